//! Who takes part: keyed accounts, and contracts that do everything a client, a wallet or a payee should not.

use std::fmt;

use alloy::{primitives::keccak256, signers::local::PrivateKeySigner};
use lota_market::{Address, Bytes};

/// The contract under test; where it is deployed does not matter to it.
pub(crate) const MARKET: Address = Address::repeat_byte(0x4d);

/// The masked id of an actor on Filecoin: 0xff, eleven zeros, and its number.
pub(crate) const fn masked(actor: u64) -> Address {
    let mut bytes = [0; 20];
    bytes[0] = 0xff;
    let number = actor.to_be_bytes();
    let mut index = 0;
    while index < number.len() {
        bytes[12 + index] = number[index];
        index += 1;
    }
    Address::new(bytes)
}

/// The gas with which [`Behaviour::Gauge`] is content.
pub(crate) const GAUGE_GAS: u32 = 54_321;
/// What [`Behaviour::Verbose`] needs: two pushes (5) and 2^15 words of memory (3 each, and their square / 512).
pub(crate) const VERBOSE_GAS: u32 = 5 + 3 * 32_768 + 32_768 * 32_768 / 512;
/// More than [`Behaviour::Reentrant`] needs. What exactly that is is the compiler's affair: no job promises it less but more
/// than [`REENTRANT_MIN`].
pub(crate) const REENTRANT_GAS: u32 = 20_000;
/// Less than the bare call that [`Behaviour::Reentrant`] makes costs.
pub(crate) const REENTRANT_MIN: u32 = 100;

/// What a contract does whenever it is called: as a client, as a wallet (ERC-1271) and as a payee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Behaviour {
    /// Stops.
    Silent,
    /// Returns the word that ERC-1271 wants.
    Agreeable,
    /// Returns that word and another.
    Talkative,
    /// Returns a word of ones.
    Garbage,
    /// Returns the first 31 bytes of what ERC-1271 wants.
    Short,
    /// Returns the magic value at the wrong end of the word.
    Misaligned,
    /// Reverts.
    Refusing,
    /// Takes all gas at once.
    Burning,
    /// Takes all gas by running on.
    Looping,
    /// Returns a megabyte.
    Verbose,
    /// Reverts with a megabyte.
    Bomb,
    /// Is content with exactly [`GAUGE_GAS`].
    Gauge,
    /// Logs the data it is called with.
    Recorder,
    /// Calls the market, and reverts unless that answers `Reentered()`.
    Reentrant,
    /// Calls the market, and passes its refusal on.
    Indignant,
    /// Does what the step's script says; see [`crate::scripted`].
    Scripted,
    /// The market itself as a party.
    Market,
}

impl Behaviour {
    /// Its code; the market has its own.
    pub(crate) fn code(self) -> Vec<u8> {
        match self {
            Self::Silent | Self::Scripted => vec![0x00],
            Self::Agreeable => magic(&[0x60, 0xe0, 0x1b, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]),
            Self::Talkative => magic(&[0x60, 0xe0, 0x1b, 0x5f, 0x52, 0x60, 0x40, 0x5f, 0xf3]),
            Self::Short => magic(&[0x60, 0xe0, 0x1b, 0x5f, 0x52, 0x60, 0x1f, 0x5f, 0xf3]),
            Self::Misaligned => magic(&[0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3]),
            // not(0), at 0, returned
            Self::Garbage => vec![0x5f, 0x19, 0x5f, 0x52, 0x60, 0x20, 0x5f, 0xf3],
            Self::Refusing => vec![0x5f, 0x5f, 0xfd],
            Self::Burning => vec![0xfe],
            Self::Looping => vec![0x5b, 0x5f, 0x56],
            Self::Verbose => vec![0x62, 0x10, 0x00, 0x00, 0x5f, 0xf3],
            Self::Bomb => vec![0x62, 0x10, 0x00, 0x00, 0x5f, 0xfd],
            Self::Gauge => {
                // GAS takes 2 itself; equal: jump to the STOP, otherwise revert.
                let [high, low] = ((GAUGE_GAS - 2) as u16).to_be_bytes();
                vec![0x5a, 0x61, high, low, 0x14, 0x60, 0x0b, 0x57, 0x5f, 0x5f, 0xfd, 0x5b, 0x00]
            }
            // calldatacopy(0, 0, size), log0(0, size)
            Self::Recorder => vec![0x36, 0x5f, 0x5f, 0x37, 0x36, 0x5f, 0xa0, 0x00],
            Self::Reentrant => {
                let mut code = call_market();
                // Drop success; does the word at 0 begin with the selector of Reentered()?
                code.extend([0x50, 0x5f, 0x51, 0x60, 0xe0, 0x1c, 0x63, 0xb5, 0xdf, 0xd9, 0xe5, 0x14, 0x60]);
                let stop = code.len() as u8 + 5;
                code.extend([stop, 0x57, 0x5f, 0x5f, 0xfd, 0x5b, 0x00]);
                code
            }
            Self::Indignant => {
                let mut code = call_market();
                code.push(0x60);
                let stop = code.len() as u8 + 5;
                code.extend([stop, 0x57, 0x5f, 0x5f, 0xfd, 0x5b, 0x00]);
                code
            }
            Self::Market => Vec::new(),
        }
    }

    /// The gas that a call with `size` bytes of data takes; `None` when no gas is enough.
    fn cost(self, size: u64) -> Option<u64> {
        match self {
            Self::Silent => Some(0),
            Self::Agreeable | Self::Short => Some(22),
            Self::Talkative => Some(25),
            Self::Misaligned => Some(16),
            Self::Garbage => Some(18),
            Self::Verbose => Some(VERBOSE_GAS.into()),
            Self::Recorder => {
                let words = size.div_ceil(32);
                Some(13 + 375 + 8 * size + 6 * words + words * words / 512)
            }
            Self::Reentrant => Some(REENTRANT_GAS.into()),
            Self::Refusing
            | Self::Burning
            | Self::Looping
            | Self::Bomb
            | Self::Gauge
            | Self::Indignant
            | Self::Scripted
            | Self::Market => None,
        }
    }

    /// Whether a callback with this much gas and data succeeds.
    pub(crate) fn takes_callback(self, gas: u32, size: usize) -> bool {
        match self {
            Self::Gauge => gas == GAUGE_GAS,
            _ => self.cost(size as u64).is_some_and(|cost| u64::from(gas) >= cost),
        }
    }

    /// Whether it takes money, which comes with more gas than any of them needs.
    pub(crate) fn takes_money(self) -> bool {
        self.cost(0).is_some()
    }

    /// Whether it takes any signature for its own.
    pub(crate) const fn takes_signature(self) -> bool {
        matches!(self, Self::Agreeable | Self::Talkative)
    }
}

/// `PUSH4 0x1626ba7e`, the magic value of ERC-1271, and what is done with it.
fn magic(rest: &[u8]) -> Vec<u8> {
    [&[0x63, 0x16, 0x26, 0xba, 0x7e], rest].concat()
}

/// Calls `withdraw(address(this), 0)`; leaves success on the stack, and the first four bytes of the answer at 0.
fn call_market() -> Vec<u8> {
    let mut code = vec![0x63];
    code.extend(&keccak256("withdraw(address,uint256)")[..4]);
    code.extend([0x60, 0xe0, 0x1b, 0x5f, 0x52, 0x30, 0x60, 0x04, 0x52]);
    // retSize 4, retOffset 0, argsSize 68, argsOffset 0, value 0, market, gas
    code.extend([0x60, 0x04, 0x5f, 0x60, 0x44, 0x5f, 0x5f, 0x73]);
    code.extend(MARKET);
    code.extend([0x5a, 0xf1]);
    code
}

/// One who takes part.
#[derive(Clone, Debug)]
pub(crate) struct Party {
    pub(crate) name: &'static str,
    pub(crate) address: Address,
    /// Of those who can sign.
    pub(crate) signer: Option<PrivateKeySigner>,
    /// Of those who have code. Both at once: an account with delegated code (EIP-7702).
    pub(crate) behaviour: Option<Behaviour>,
}

/// Everybody.
#[derive(Clone, Debug)]
pub(crate) struct Parties {
    pub(crate) parties: Vec<Party>,
}

impl Parties {
    pub(crate) fn assemble() -> Self {
        use Behaviour as B;
        let keyed = |name: &'static str, behaviour| {
            let key = keccak256(name);
            #[expect(clippy::expect_used, reason = "the five names were tried")]
            let signer = PrivateKeySigner::from_bytes(&key).expect("a hash that is a key");
            Party { name, address: signer.address(), signer: Some(signer), behaviour }
        };
        let code = |name, behaviour| Party {
            name,
            address: if matches!(behaviour, B::Market) { MARKET } else { Address::from_word(keccak256(name)) },
            signer: None,
            behaviour: Some(behaviour),
        };
        Self {
            parties: vec![
                keyed("alice", None),
                keyed("bob", None),
                keyed("carol", None),
                keyed("dave", None),
                keyed("erin", Some(B::Garbage)),
                code("silent", B::Silent),
                code("agreeable", B::Agreeable),
                code("talkative", B::Talkative),
                code("garbage", B::Garbage),
                code("short", B::Short),
                code("misaligned", B::Misaligned),
                code("refusing", B::Refusing),
                code("burning", B::Burning),
                code("looping", B::Looping),
                code("verbose", B::Verbose),
                code("bomb", B::Bomb),
                code("gauge", B::Gauge),
                code("recorder", B::Recorder),
                code("reentrant", B::Reentrant),
                code("indignant", B::Indignant),
                code("scripted", B::Scripted),
                code("market", B::Market),
                // An account whose only address is a masked id.
                Party { name: "masked", address: masked(100), signer: None, behaviour: None },
            ],
        }
    }

    /// The client that does as the steps say.
    pub(crate) fn scripted(&self) -> &Party {
        #[expect(clippy::expect_used, reason = "it is in the list of `assemble`")]
        self.parties.iter().find(|party| party.behaviour == Some(Behaviour::Scripted)).expect("takes part")
    }

    pub(crate) fn behaviour(&self, address: Address) -> Option<Behaviour> {
        self.parties.iter().find(|party| party.address == address).and_then(|party| party.behaviour)
    }

    /// A signature of `address` over a digest; of those who cannot sign, something of the right size.
    pub(crate) fn sign(&self, address: Address, digest: &lota_market::B256) -> Bytes {
        let signer = self.parties.iter().find(|party| party.address == address).and_then(|party| party.signer.as_ref());
        signer
            .and_then(|signer| lota_bridge::eip712::sign(signer, digest).ok())
            .unwrap_or_else(|| vec![0x1b; 65].into())
    }

    /// Text with names in the place of addresses.
    pub(crate) fn name(&self, value: impl fmt::Debug) -> String {
        self.put_names(format!("{value:?}"))
    }

    pub(crate) fn put_names(&self, text: String) -> String {
        let mut text = text.replace("0x0000000000000000000000000000000000000000", "nobody");
        for party in &self.parties {
            text = text.replace(&format!("{:?}", party.address), party.name);
        }
        text
    }
}
