//! The best two of the bids that were revealed.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::AttoFil;

/// A revealed bid that is among the best two, and has staked the collateral.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Standing {
    pub bidder: Address,
    pub price: AttoFil,
    /// Which of the commits it was, from 1.
    pub order: u32,
}

impl Standing {
    /// Whether this bid comes before `other`: ties go to the earlier commit.
    fn beats(&self, other: Option<&Self>) -> bool {
        other.is_none_or(|other| (self.price, self.order) < (other.price, other.order))
    }
}

/// An auction as it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Auction {
    /// How many have committed.
    pub commits: u32,
    /// The lowest bid so far.
    pub best: Option<Standing>,
    /// The next.
    pub second: Option<Standing>,
}

impl Auction {
    /// The auction with another bid revealed, if that is among the best two, and who is not any more.
    pub(crate) fn with(&self, bid: Standing) -> Option<(Self, Option<Standing>)> {
        let Self { commits, best, second } = *self;
        let next = if bid.beats(best.as_ref()) {
            Self { commits, best: Some(bid), second: best }
        } else if bid.beats(second.as_ref()) {
            Self { commits, best, second: Some(bid) }
        } else {
            return None;
        };
        Some((next, second))
    }

    /// Who gets the job, and at what price, if it were awarded now: the lowest bid at the second-lowest price; a lone bid at
    /// `max_price`.
    #[must_use]
    pub fn award(&self, max_price: AttoFil) -> Option<(Address, AttoFil)> {
        let best = self.best?;
        Some((best.bidder, self.second.map_or(max_price, |second| second.price)))
    }
}
