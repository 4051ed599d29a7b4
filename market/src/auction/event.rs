//! What an auction says happened.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use crate::{AttoFil, model::JobId};

/// An event: one for each event of `ISealedBidAuction`, with the same fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// `amount` of `payer`'s was credited to `account`.
    Funded { account: Address, payer: Address, amount: AttoFil },
    /// `amount` left `account` to `to`.
    Defunded { account: Address, to: Address, amount: AttoFil },
    /// A bid was sealed.
    BidCommitted {
        job: JobId,
        bidder: Address,
        commitment: B256,
        /// Which of its auction's commits it is, from 1.
        order: u32,
    },
    /// A bid was opened, and its deposit came back.
    BidRevealed { job: JobId, bidder: Address, price: AttoFil },
    /// The auction ended: `winner` gets the job at `price`.
    AuctionAwarded { job: JobId, winner: Address, price: AttoFil },
    /// The auction ended without an award.
    AuctionCancelled { job: JobId },
    /// The auction was not awarded in time; what the best two had staked came back.
    AuctionReleased { job: JobId },
    /// A commitment that was not revealed was forgotten.
    CommitmentSwept { job: JobId, bidder: Address },
}

impl Event {
    /// The job that it is about.
    #[must_use]
    pub const fn job(&self) -> Option<JobId> {
        match self {
            Self::Funded { .. } | Self::Defunded { .. } => None,
            Self::BidCommitted { job, .. }
            | Self::BidRevealed { job, .. }
            | Self::AuctionAwarded { job, .. }
            | Self::AuctionCancelled { job }
            | Self::AuctionReleased { job }
            | Self::CommitmentSwept { job, .. } => Some(*job),
        }
    }
}
