//! The bytes of Filecoin addresses, and of the EVM addresses that stand for some of them: the twin of `FilecoinAddress.sol`, whose
//! header lists the forms (<https://spec.filecoin.io/appendix/address>; FIP-0048).

use alloy_primitives::Address;

use crate::model::is_masked_id;

/// The namespace of EVM addresses among delegated ones.
const EVM: u8 = 10;
/// The most bytes of an id, of 7 bits each: it is below 2^63.
const MAX_ID_BYTES: usize = 9;

/// An address by its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilecoinAddress<'a> {
    /// f0: an actor's id.
    Id(u64),
    /// f1 (a secp256k1 key's), f2 (an actor's) and f3 (a BLS key): the protocol, and what follows it.
    Hash(u8, &'a [u8]),
    /// f410: Filecoin's name of an EVM address.
    Delegated(Address),
    /// The 20 bytes of an EVM address.
    Evm(Address),
}

impl<'a> FilecoinAddress<'a> {
    /// The address that these bytes are, whether or not anything can be granted to it.
    #[must_use]
    pub fn read(bytes: &'a [u8]) -> Option<Self> {
        match bytes {
            evm if evm.len() == Address::len_bytes() => Some(Self::Evm(Address::from_slice(evm))),
            [0, id @ ..] => read_id(id).map(Self::Id),
            [protocol @ (1 | 2), rest @ ..] if rest.len() == 20 => Some(Self::Hash(*protocol, rest)),
            [3, rest @ ..] if rest.len() == 48 => Some(Self::Hash(3, rest)),
            [4, EVM, rest @ ..] if rest.len() == Address::len_bytes() => {
                Some(Self::Delegated(Address::from_slice(rest)))
            }
            _ => None,
        }
    }

    /// The EVM address that it is or stands for.
    #[must_use]
    pub const fn evm(&self) -> Option<Address> {
        match self {
            Self::Delegated(address) | Self::Evm(address) => Some(*address),
            Self::Id(_) | Self::Hash(..) => None,
        }
    }

    /// Whether nothing can be granted to it: the EVM's zero address, and masked ids, which one actor may have beside its address, or
    /// nobody.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.evm().is_some_and(|address| address.is_zero() || is_masked_id(address))
    }

    /// The bytes of f410 for an EVM address.
    #[must_use]
    pub fn delegated(address: Address) -> Vec<u8> {
        [&[4, EVM], address.as_slice()].concat()
    }
}

/// An unsigned LEB128 number of the fewest bytes.
fn read_id(id: &[u8]) -> Option<u64> {
    let (last, others) = id.split_last()?;
    let is_shortest = *last != 0 || others.is_empty();
    if id.len() > MAX_ID_BYTES || *last >= 0x80 || !is_shortest || others.iter().any(|byte| *byte < 0x80) {
        return None;
    }
    Some(id.iter().rev().fold(0, |sum, byte| (sum << 7) | u64::from(byte & 0x7f)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_nothing_else() {
        let somebody = Address::repeat_byte(7);
        let most = [&[0_u8][..], &[0xff; 8], &[0x7f]].concat();
        let delegated = FilecoinAddress::delegated(somebody);
        for (bytes, read) in [
            (&[0, 0][..], Some(FilecoinAddress::Id(0))),
            (&[0, 0x7f], Some(FilecoinAddress::Id(127))),
            (&[0, 0x80, 1], Some(FilecoinAddress::Id(128))),
            (&most, Some(FilecoinAddress::Id((1 << 63) - 1))),
            (&[&[1_u8][..], &[9; 20]].concat(), Some(FilecoinAddress::Hash(1, &[9; 20]))),
            (&[&[2_u8][..], &[9; 20]].concat(), Some(FilecoinAddress::Hash(2, &[9; 20]))),
            (&[&[3_u8][..], &[9; 48]].concat(), Some(FilecoinAddress::Hash(3, &[9; 48]))),
            (&delegated, Some(FilecoinAddress::Delegated(somebody))),
            (somebody.as_slice(), Some(FilecoinAddress::Evm(somebody))),
            (&[], None),
            (&[0], None),
            (&[0, 0x80], None),
            (&[0, 0x80, 0], None),
            (&[0, 1, 1], None),
            (&[&[0_u8][..], &[0xff; 9], &[1]].concat(), None),
            (&[&[1_u8][..], &[9; 21]].concat(), None),
            (&[&[3_u8][..], &[9; 20]].concat(), None),
            (&[&[4, 11][..], &[9; 20]].concat(), None),
            (&[&[4, 10][..], &[9; 21]].concat(), None),
            (&[5, 1], None),
            (b"f1recipient", None),
        ] {
            assert_eq!(FilecoinAddress::read(bytes), read, "{bytes:?}");
        }
    }

    #[test]
    fn nothing_is_granted_to_nobody() {
        let mut masked = [0_u8; 20];
        (masked[0], masked[19]) = (0xff, 5);
        for (address, is_refused) in
            [(Address::ZERO, true), (Address::new(masked), true), (Address::repeat_byte(0xff), false)]
        {
            let delegated = FilecoinAddress::delegated(address);
            for bytes in [address.as_slice(), &delegated] {
                let read = FilecoinAddress::read(bytes).expect("is one");
                assert_eq!((read.is_refused(), read.evm()), (is_refused, Some(address)));
            }
        }
        assert!(!FilecoinAddress::Id(0).is_refused(), "f00 is the system's actor");
    }
}
