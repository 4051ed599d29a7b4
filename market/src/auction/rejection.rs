//! Why an auction refuses a command.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::{
    asset::Asset,
    model::{self, JobId, Status},
};

/// A refusal: one for each error of `ISealedBidAuction`, with the same fields, and those of `ILotaMarket`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// The terms' matcher is another.
    #[error("the terms name {0} as matcher, not this auction")]
    NotTheMatcher(Address),
    /// These terms cannot be auctioned.
    #[error("the job cannot be auctioned: {0}")]
    BadAuction(AuctionFault),
    /// The deal is not open.
    #[error("job {job} is {found:?} at the market, so there is nothing to bid for")]
    NotOpen { job: JobId, found: Status },
    /// One bid for each bidder.
    #[error("{bidder} has bid for job {job} before; a sealed bid cannot be replaced")]
    AlreadyCommitted { job: JobId, bidder: Address },
    /// There is nothing to reveal.
    #[error("{bidder} has no sealed bid for job {job}: none was committed, or it was revealed or swept")]
    NoCommitment { job: JobId, bidder: Address },
    /// No valid bid was revealed.
    #[error("no bid for job {0} was revealed, or it was awarded before")]
    NothingToAward(JobId),
    /// A bid was revealed.
    #[error("bids for job {0} were revealed, so it cannot be cancelled; award it")]
    HasBids(JobId),
    /// Nothing is stored.
    #[error("there is no auction of job {0}: nobody has bid, or it has ended")]
    NoAuction(JobId),
    /// Not everybody may bid.
    #[error("{0} cannot bid: it is the job's client, the zero address, or a masked id (0xff00…)")]
    InvalidBidder(Address),
    /// Not what was committed to.
    #[error("price and nonce are not those that {bidder} committed to for job {job}")]
    WrongReveal { job: JobId, bidder: Address },
    /// An error of `ILotaMarket`: this contract's own, or what the market answered it.
    #[error(transparent)]
    Market(model::Rejection),
}

/// What is wrong with terms for an auction, in the order in which it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[repr(u8)]
#[serde(rename_all = "snake_case")]
pub enum AuctionFault {
    /// `min_price` is not below `max_price`.
    #[error("the lowest price is not below the highest, so there is nothing to bid about")]
    NoRange,
    /// `ramp_period` is below the auction's `min_reveal_period`.
    #[error("the ramp period, in which bids are revealed, is shorter than the auction demands")]
    RevealPeriod,
    /// `ramp_start + ramp_period` is not before `lock_by`.
    #[error("the reveals end no earlier than the job must be locked, so nobody could award it")]
    TooLong,
}

impl AuctionFault {
    /// All of them, by their numbers in the contract.
    pub const ALL: [Self; 3] = [Self::NoRange, Self::RevealPeriod, Self::TooLong];

    /// The one with a number in the contract.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }
}

impl Rejection {
    /// The same in words, with amounts as the market's asset has them.
    #[must_use]
    pub fn words(&self, asset: &Asset) -> String {
        match self {
            Self::Market(rejection) => rejection.words(asset),
            other => other.to_string(),
        }
    }
}

impl From<model::Rejection> for Rejection {
    fn from(rejection: model::Rejection) -> Self {
        Self::Market(rejection)
    }
}
