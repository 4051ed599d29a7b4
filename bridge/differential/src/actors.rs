//! What granters call outside of the world: Filecoin's precompile "call actor by id", and a MetaAllocator. Both answer what the step says and log
//! what they are called with.

use alloy::primitives::{I256, U256, keccak256};
use lota_market::{
    Address, B256, Bytes,
    granter::{ActorAnswer, ActorRequest},
    world::{End, Script},
};

use crate::assembler::{
    Assembler, CALLDATACOPY, CALLDATALOAD, CALLDATASIZE, CALLER, EQ, LOG0, PUSH0, RETURN, REVERT, SHR, STOP, TLOAD,
    TSTORE,
};

/// Where FEVM calls actors by their ids.
pub(crate) const PRECOMPILE: Address = {
    let mut bytes = [0; 20];
    (bytes[0], bytes[19]) = (0xfe, 5);
    Address::new(bytes)
};
/// Where the MetaAllocator is.
pub(crate) const ALLOCATOR: Address = Address::repeat_byte(0x6f);

const REGISTRY: u64 = 6;
const DATACAP: u64 = 7;
/// FRC-0042's numbers of `AddVerifiedClient` and `Balance`.
const ADD_VERIFIED_CLIENT: u64 = 3_916_220_144;
const BALANCE: u64 = 3_261_979_605;
const CBOR: u64 = 0x51;
/// Where the precompile remembers, in its caller's transient storage, that it has told a balance.
const TOLD: u64 = 0x70_1d;

/// What is outside in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ActorStep {
    pub(crate) precompile: Precompile,
    pub(crate) registry: ActorAnswer,
    /// Of the DataCap actor: the first time, and after that.
    pub(crate) balances: [ActorAnswer; 2],
    pub(crate) allowance: Allowance,
    /// What the MetaAllocator does when it is to give DataCap. No call in it must succeed.
    pub(crate) allocation: Script,
    /// What it reverts with if it does.
    pub(crate) refusal: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Precompile {
    Answers,
    Reverts,
    Missing,
}

/// What the MetaAllocator answers when it is asked for an allowance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Allowance {
    Told(U256),
    Reverts(Bytes),
    /// Less than a word.
    Short,
}

impl Default for ActorStep {
    fn default() -> Self {
        let answer = ActorAnswer::default();
        Self {
            precompile: Precompile::Answers,
            registry: answer.clone(),
            balances: [answer.clone(), answer],
            allowance: Allowance::Told(U256::MAX),
            allocation: Script::default(),
            refusal: Bytes::new(),
        }
    }
}

impl ActorStep {
    pub(crate) fn datacap_allowance(&self) -> Result<U256, Bytes> {
        match &self.allowance {
            Allowance::Told(allowance) => Ok(*allowance),
            Allowance::Reverts(data) => Err(data.clone()),
            Allowance::Short => Err(Bytes::new()),
        }
    }

    /// What the MetaAllocator has reverted with.
    pub(crate) fn allocator_refusal(&self) -> Bytes {
        if self.allocation.end == End::Revert { self.refusal.clone() } else { Bytes::new() }
    }

    /// What an actor answers; `has_told` says whether a balance was told before.
    pub(crate) fn answer(&self, request: &ActorRequest<'_>, has_told: bool) -> Option<ActorAnswer> {
        if self.precompile != Precompile::Answers {
            return None;
        }
        Some(match request {
            ActorRequest::AddVerifiedClient { .. } => self.registry.clone(),
            ActorRequest::DataCapOf { .. } => self.balances[usize::from(has_told)].clone(),
        })
    }

    /// The precompile's code.
    pub(crate) fn precompile_code(&self) -> Vec<u8> {
        let mut asm = Assembler::default();
        match self.precompile {
            Precompile::Missing => return Vec::new(),
            Precompile::Reverts => asm.revert(),
            Precompile::Answers => {
                let [registers, again] = [(); 2].map(|()| asm.label());
                log_call(&mut asm);
                asm.ops(&[PUSH0, CALLDATALOAD]);
                asm.push(U256::from(ADD_VERIFIED_CLIENT));
                asm.ops(&[EQ]);
                asm.jump_if(registers);
                asm.ops(&[PUSH0, CALLDATALOAD]);
                asm.push(U256::from(BALANCE));
                asm.ops(&[EQ]);
                asm.require();
                asm.push(U256::from(TOLD));
                asm.ops(&[TLOAD]);
                asm.jump_if(again);
                asm.push(U256::from(1));
                asm.push(U256::from(TOLD));
                asm.ops(&[TSTORE]);
                asm.give(&encoded_answer(&self.balances[0]), RETURN);
                asm.place(again);
                asm.give(&encoded_answer(&self.balances[1]), RETURN);
                asm.place(registers);
                asm.give(&encoded_answer(&self.registry), RETURN);
            }
        }
        asm.finish()
    }

    /// The MetaAllocator's code.
    pub(crate) fn allocator_code(&self) -> Vec<u8> {
        let mut asm = Assembler::default();
        let tells = asm.label();
        asm.ops(&[PUSH0, CALLDATALOAD]);
        asm.push(U256::from(0xe0));
        asm.ops(&[SHR]);
        asm.push(U256::from_be_slice(&keccak256("allowance(address)")[..4]));
        asm.ops(&[EQ]);
        asm.jump_if(tells);
        log_call(&mut asm);
        let end = if self.allocation.end == End::OutOfGas { End::OutOfGas } else { End::Return };
        asm.script(&self.allocation.calls, end);
        if self.allocation.end == End::Revert {
            asm.give(&self.refusal, REVERT);
        } else {
            asm.ops(&[STOP]);
        }
        asm.place(tells);
        // Only of who asks.
        asm.argument(0);
        asm.ops(&[CALLER, EQ]);
        asm.require();
        match &self.allowance {
            Allowance::Told(allowance) => asm.give(&allowance.to_be_bytes::<32>(), RETURN),
            Allowance::Reverts(data) => asm.give(data, REVERT),
            Allowance::Short => asm.give(&[0xff; 31], RETURN),
        }
        asm.finish()
    }
}

/// Logs the data of the call.
fn log_call(asm: &mut Assembler) {
    asm.ops(&[CALLDATASIZE, PUSH0, PUSH0, CALLDATACOPY, CALLDATASIZE, PUSH0, LOG0]);
}

fn number(number: u64) -> B256 {
    B256::left_padding_from(&number.to_be_bytes())
}

/// A byte string as the ABI has it: its length, and words.
fn tail(data: &[u8]) -> Vec<B256> {
    [number(data.len() as u64)].into_iter().chain(data.chunks(32).map(B256::right_padding_from)).collect()
}

/// `(int256 exitCode, uint64 codec, bytes returned)`, as the precompile returns it.
fn encoded_answer(answer: &ActorAnswer) -> Vec<u8> {
    let exit_code = I256::try_from(answer.exit_code).unwrap_or_default().into_raw();
    let head = [B256::from(exit_code), number(if answer.returned.is_empty() { 0 } else { CBOR }), number(0x60)];
    [head.concat(), tail(&answer.returned).concat()].concat()
}

/// What the precompile is called with for a request.
pub(crate) fn actor_call(request: &ActorRequest<'_>) -> Bytes {
    let (actor, method, params) = match *request {
        ActorRequest::AddVerifiedClient { client, amount } => {
            // An array of two: the client, and the amount as a sign and its bytes.
            let digits = amount.to_be_bytes_trimmed_vec();
            let amount = if digits.is_empty() { digits } else { [&[0][..], &digits].concat() };
            (REGISTRY, ADD_VERIFIED_CLIENT, [vec![0x82], cbor_bytes(client), cbor_bytes(&amount)].concat())
        }
        ActorRequest::DataCapOf { client } => (DATACAP, BALANCE, cbor_bytes(client)),
    };
    // The method, no value, no flags, the codec, where the parameters are, the actor.
    let head = [method, 0, 0, CBOR, 0xc0, actor].map(number);
    [head.concat(), tail(&params).concat()].concat().into()
}

/// What the MetaAllocator is called with.
pub(crate) fn allocation_call(client: &[u8], amount: U256) -> Bytes {
    let selector = keccak256("addVerifiedClient(bytes,uint256)");
    let head = [number(0x40), B256::from(amount)];
    [&selector[..4], &head.concat(), &tail(client).concat()].concat().into()
}

/// A byte string of less than 256 bytes (RFC 8949, 3).
fn cbor_bytes(data: &[u8]) -> Vec<u8> {
    let size = data.len() as u8;
    let head = if size < 24 { vec![0x40 | size] } else { vec![0x58, size] };
    [head, data.to_vec()].concat()
}

/// A balance as the DataCap actor tells it: so many bytes, of 10^18 units each, and some units.
pub(crate) fn balance(bytes: U256, units: u64) -> ActorAnswer {
    let all = bytes * U256::from(10_u64.pow(18)) + U256::from(units);
    let digits = all.to_be_bytes_trimmed_vec();
    let content = if digits.is_empty() { digits } else { [&[0][..], &digits].concat() };
    ActorAnswer { exit_code: 0, returned: cbor_bytes(&content).into() }
}
