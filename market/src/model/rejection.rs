//! Why the market refuses a command.

use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use super::{JobId, Status, TermsFault};
use crate::{money::AttoFil, time::Time};

/// A refusal: one for each error of `ILotaMarket`, with the same fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// Called from within a callback or a payout.
    #[error("the market cannot be called from within a callback or a payout")]
    Reentered,
    /// The terms may not be opened.
    #[error("the terms cannot be opened: {0}")]
    BadTerms(TermsFault),
    /// No deal has these terms.
    #[error("no job {0} is known to the market")]
    UnknownJob(JobId),
    /// This salt was used or revoked before.
    #[error("salt {salt} of client {client} was used or revoked before; take another")]
    SaltSpent { client: Address, salt: U256 },
    /// The deal is in a state that does not allow this.
    #[error("job {job} is {found:?}, which does not allow this")]
    WrongState { job: JobId, found: Status },
    /// Only `wanted` may do this.
    #[error("only {wanted} may do this, not {sender}")]
    WrongSender { sender: Address, wanted: Address },
    /// Too early.
    #[error("it is {time} and this may be done from {from} on (Unix seconds)")]
    TooEarly { time: Time, from: Time },
    /// Too late.
    #[error("it is {time} and this could be done until {until} (Unix seconds)")]
    TooLate { time: Time, until: Time },
    /// The spec is too large.
    #[error("the spec has {0} bytes; at most 8192 can be published")]
    SpecTooLarge(u64),
    /// The spec's bytes are not the ones the terms name.
    #[error("the spec's bytes hash to {found}, not to {wanted} as the terms say")]
    SpecMismatch { found: B256, wanted: B256 },
    /// The zero address cannot be a provider.
    #[error("the zero address cannot be a provider")]
    InvalidProvider,
    /// The price is out of range.
    #[error("{price} is not a whole number of gwei from {min_price} to {max_price}")]
    PriceOutOfRange { price: AttoFil, min_price: AttoFil, max_price: AttoFil },
    /// Too much inline data.
    #[error("the result carries {0} bytes inline; at most 1024 are allowed")]
    InlineTooLarge(u64),
    /// Not the receipt this deal committed to.
    #[error("the receipt is not the one that job {0} committed to")]
    ReceiptMismatch(JobId),
    /// The URL is too long.
    #[error("the URL has {0} bytes; at most 256 are allowed")]
    UrlTooLarge(u64),
    /// Too many at once.
    #[error("{0} at once are too many; at most 256 are allowed")]
    TooMany(u64),
    /// The zero address cannot receive money.
    #[error("the zero address cannot receive money")]
    InvalidRecipient,
    /// Signatures are valid on the chain of deployment only.
    #[error("signatures are valid on the chain of deployment only, and this is chain {0}")]
    WrongChain(u64),
    /// The signature is not the client's.
    #[error("the signature is not {0}'s")]
    BadSignature(Address),
    /// The free balance is too small.
    #[error("{account} has {balance} free in the market and needs {needed}; deposit more")]
    InsufficientBalance { account: Address, balance: AttoFil, needed: AttoFil },
    /// The recipient refused the money.
    #[error("{0} refused the money")]
    TransferFailed(Address),
}
