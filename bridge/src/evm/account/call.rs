//! What is sent, what it came to, and why it did not.

use alloy::primitives::keccak256;
use lota_market::{Address, AttoFil, B256, Bytes, Time, U256, agent::EffectKey};

use crate::{
    JournalError,
    evm::chain::{CallRequest, Log, Refusal, RpcError},
};

/// Something that an account does: a call of a contract, a payment, or a contract that it creates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// Who is called; `None` creates a contract.
    pub to: Option<Address>,
    /// Money that goes with it.
    pub value: AttoFil,
    /// Call data, or the code that creates the contract.
    pub data: Bytes,
    /// Gas beside what the node estimates and a quarter of that: what the contract promises to others without using it.
    pub extra_gas: u64,
    /// The most gas, all in all, that it may be sent with; `None`: whatever the node's estimate comes to.
    pub max_gas: Option<u64>,
    /// What must stay in the account afterwards. A call that was sent before is not held up.
    pub reserve: Reserve,
    /// The contract whose logs alone say what came of the call; where a log on the same [`Chain`] follows it, the receipt need not
    /// be asked for. `None`: all logs matter.
    pub result_from: Option<Address>,
}

impl Call {
    /// A call of a contract, without money.
    #[must_use]
    pub fn new(to: Address, data: Bytes) -> Self {
        Self { to: Some(to), data, ..Self::default() }
    }

    /// The creation of a contract; [`Landed::created`] says where it is.
    #[must_use]
    pub fn create(code: Bytes) -> Self {
        Self { data: code, ..Self::default() }
    }

    pub(super) fn content(&self) -> B256 {
        content(self.to, self.value, &self.data)
    }

    pub(super) fn request(&self, from: Address) -> CallRequest {
        CallRequest { from: Some(from), to: self.to, value: self.value, data: self.data.clone() }
    }
}

/// Hash of what a call does: tells another call under the same key.
pub(super) fn content(to: Option<Address>, value: AttoFil, data: &[u8]) -> B256 {
    let to = to.as_ref().map_or(b"create".as_slice(), |to| to.as_slice());
    keccak256([to, &U256::from(value.0).to_be_bytes::<32>(), data].concat())
}

/// Gas that an account is certain to need later, and must be able to pay for after a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserve {
    /// How many more calls it must be able to pay for, each with half as much gas again as this one.
    pub calls: u32,
    /// Gas besides, in the chain's units.
    pub gas: u64,
}

/// What a call came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Landed {
    /// Hash of the transaction.
    pub transaction: B256,
    /// Number of its block. A reorganisation may still undo it.
    pub block: u64,
    /// The block's hash.
    pub block_hash: B256,
    /// The block's timestamp.
    pub time: Time,
    /// What happened, in order; with [`Call::result_from`], at least what happened there.
    pub logs: Vec<Log>,
    /// The contract that was created.
    pub created: Option<Address>,
    /// What it cost, where the receipt was asked for.
    pub fee: Option<Fee>,
}

/// What a transaction cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fee {
    /// Gas that was used, in the chain's units.
    pub gas_used: u64,
    /// What that cost.
    pub paid: AttoFil,
}

/// Why a call did not land.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The node, or the contract, refuses it; [`Refusal::data`] is what the contract reverted with. The key is not used up.
    #[error("the node says: {}", refusal.message)]
    Refused {
        refusal: Refusal,
        /// Number of the block in whose state it was refused, if that is known.
        block: Option<u64>,
    },
    /// It got into a block and was reverted there: its gas is paid for. The key is not used up.
    #[error("transaction {transaction} was reverted in block {block}: {}", refusal.message)]
    Reverted {
        transaction: B256,
        block: u64,
        /// What the same call comes to on the state after that block; no more than words if it works there.
        refusal: Refusal,
    },
    /// It needs more gas than it may use; nothing was sent.
    #[error("it needs {needed} gas, and {most} is the most that it may use")]
    TooMuchGas {
        needed: u64,
        /// See [`Call::max_gas`].
        most: u64,
    },
    /// The key was used for another call (or the same with other money) before.
    #[error("the key `{key}` was used by {account} for another call before; every effect needs a key of its own")]
    KeyReused { account: Address, key: EffectKey },
    /// The account holds too little for the money that is sent, the fees and the reserve. Sending resumes by itself, on the next
    /// call, once there is enough.
    #[error("{account} holds {wallet} and needs {needed} for what it sends and the fees; send it more")]
    Unaffordable {
        account: Address,
        wallet: AttoFil,
        /// What is needed.
        needed: AttoFil,
    },
    /// It failed, and nobody says why. The key is not used up.
    #[error("{0}")]
    Failed(String),
    /// The key cannot sign.
    #[error("the key of {account} cannot sign: {problem}")]
    Signer { account: Address, problem: String },
    /// What must be written down before anything is sent cannot be.
    #[error("what is sent cannot be written down: {0}")]
    Journal(#[from] JournalError),
    /// It is not known whether it landed. Sending again under the same key is harmless and finds out.
    #[error(transparent)]
    Rpc(#[from] RpcError),
}

impl SendError {
    /// Whether the same call may succeed later without anybody changing it.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Rpc(error) => error.is_temporary(),
            Self::Unaffordable { .. } => true,
            _ => false,
        }
    }
}
