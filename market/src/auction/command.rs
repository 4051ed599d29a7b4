//! What may be asked of an auction.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use crate::{
    AttoFil,
    model::{JobId, Terms},
};

/// A command: one for each state-changing function of `ISealedBidAuction`, where its checks and effects are specified.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Credit the value sent to the sender's account.
    Fund,
    /// Take `amount` of the token from the sender, who approved it, and credit it to the sender's account.
    FundToken { amount: AttoFil },
    /// Pay out `amount` of the sender's account to `to`.
    Withdraw { to: Address, amount: AttoFil },
    /// Seal a bid.
    Commit { terms: Terms, commitment: B256 },
    /// Open a bid.
    Reveal { terms: Terms, price: AttoFil, nonce: B256 },
    /// Award the job to the lowest bid at the second-lowest price.
    Award { terms: Terms },
    /// Cancel a job that nobody bids for.
    Cancel { terms: Terms },
    /// Give the collateral back of an auction that was not awarded in time.
    Release { terms: Terms },
    /// Forget bids that were not revealed.
    Sweep { terms: Terms, bidders: Vec<Address> },
}

impl Command {
    /// Whether value may be sent along.
    #[must_use]
    pub const fn is_payable(&self) -> bool {
        matches!(self, Self::Fund)
    }

    /// The terms of the job that it is about.
    #[must_use]
    pub const fn terms(&self) -> Option<&Terms> {
        match self {
            Self::Fund | Self::FundToken { .. } | Self::Withdraw { .. } => None,
            Self::Commit { terms, .. }
            | Self::Reveal { terms, .. }
            | Self::Award { terms }
            | Self::Cancel { terms }
            | Self::Release { terms }
            | Self::Sweep { terms, .. } => Some(terms),
        }
    }
}

/// What a commitment seals: keccak256(abi.encode(chain id at deployment, auction, job, bidder, price, nonce)).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bid {
    pub job: JobId,
    pub bidder: Address,
    pub price: AttoFil,
    /// What keeps others from trying all prices.
    pub nonce: B256,
}
