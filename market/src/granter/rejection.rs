//! Why a granter refuses a command.

use alloy_primitives::{Address, Bytes, U256};
use serde::{Deserialize, Serialize};

use super::MIN_DATACAP;
use crate::{Time, blessing::Limit, filecoin_pay::rails, model};

/// A refusal: one for each error of the contracts, with the same fields, and those of `ILotaMarket`. Amounts are in the granter's unit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// Only the blessing contract grants.
    #[error("{0} asks for a grant, and only the blessing contract may; have it grant the job there")]
    NotTheBlessing(Address),
    /// Nothing can be granted to such bytes.
    #[error("{0} is no address that can be granted anything; register another recipient")]
    BadRecipient(Bytes),
    /// A grant of nothing.
    #[error("a grant of nothing was asked for")]
    NoAmount,

    /// The pool pays nothing any more.
    #[error("the pool has been closed since {0}")]
    PoolClosed(Time),
    /// The pool is not closed yet.
    #[error("the pool is open until {0}; what is left can be taken out after that")]
    PoolOpen(Time),
    /// Not whom the pool named.
    #[error("{0} is not whom the pool named for what is left")]
    NotEntitled(Address),
    /// More than a bound leaves.
    #[error("{amount} is more than the bound {limit:?} of the pool leaves now, {left}")]
    OverLimit { limit: Limit, left: U256, amount: U256 },
    /// The pool must be funded.
    #[error("the pool holds {held}, less than the bonus of {amount}; fund it")]
    PoolEmpty { held: U256, amount: U256 },

    /// Less than [`MIN_DATACAP`].
    #[error("{0} bytes of DataCap are fewer than the registry grants at once, {MIN_DATACAP}")]
    AmountTooSmall(U256),
    /// Exit code 16 of the registry.
    #[error(
        "the registry refused to grant {0} bytes: more than the granter is still allowed, or the client is a verifier or the root"
    )]
    AmountRefused(U256),
    /// Exit code 17.
    #[error("the granter is no verifier, or no longer")]
    NotAVerifier,
    /// Exit code 18.
    #[error("the registry grants nothing any more: FIL+ has ended")]
    FilPlusEnded,
    /// Another exit code.
    #[error("the registry failed with exit code {0}")]
    RegistryFailed(i64),
    /// The MetaAllocator's limit.
    #[error("the MetaAllocator allows the granter {allowance} bytes, less than {amount}")]
    AllowanceTooSmall { allowance: U256, amount: U256 },
    /// What the MetaAllocator reverted with instead of telling an allowance; the granter passes it on.
    #[error("the MetaAllocator does not tell what it allows: {0}")]
    AllowanceUnknown(Bytes),
    /// What it reverted with.
    #[error("the MetaAllocator refused with {0}; if that is empty or of the registry, FIL+ may have ended")]
    AllocatorRefused(Bytes),
    /// What it said is not so.
    #[error("the client's DataCap grew by {granted} bytes instead of {amount}")]
    NotGranted { granted: U256, amount: U256 },
    /// The DataCap actor's exit code.
    #[error("the DataCap actor does not tell the client's balance: exit code {0}")]
    BalanceUnknown(i64),
    /// There is no precompile for calls of actors.
    #[error("this chain has none of Filecoin's built-in actors")]
    NoBuiltinActors,
    /// What an actor's method does not return.
    #[error("a built-in actor returned {0}, which is no number")]
    BadReturn(Bytes),

    /// An error of `Rails.sol`, or of Filecoin Pay.
    #[error(transparent)]
    Rails(rails::Rejection),

    /// An error of `ILotaMarket`, or one called alike.
    #[error(transparent)]
    Market(model::Rejection),
}

impl From<rails::Rejection> for Rejection {
    fn from(rejection: rails::Rejection) -> Self {
        Self::Rails(rejection)
    }
}

impl From<model::Rejection> for Rejection {
    fn from(rejection: model::Rejection) -> Self {
        Self::Market(rejection)
    }
}
