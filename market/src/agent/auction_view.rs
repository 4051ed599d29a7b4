//! A job's auction as the auction's events tell it to one of its bidders.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use super::At;
use crate::{AttoFil, auction::Event};

/// What the auction's events about one job add up to for a party: a fold, like the [job's](super::JobView). It holds the party's own
/// bid and the lowest of all, so that it stays small however many bid.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AuctionView {
    /// The lowest price of the bids that were opened.
    pub lowest: Option<AttoFil>,
    /// Which of the sealed bids (from 1) is the party's own.
    pub own_order: Option<u32>,
    /// The price of the party's own bid, once it was opened.
    pub own_price: Option<AttoFil>,
    pub end: Option<AuctionEnd>,
    /// Number of the block in which it ended.
    pub ended_in: u64,
}

/// How an auction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AuctionEnd {
    Awarded {
        winner: Address,
        price: AttoFil,
    },
    Cancelled,
    /// Nobody awarded it in time.
    Released,
}

impl AuctionView {
    /// The fold for `me` of an auction's events about one job; `None` when there are none.
    #[must_use]
    pub fn fold<'a>(me: Address, events: impl IntoIterator<Item = (At, &'a Event)>) -> Option<Self> {
        let mut view: Option<Self> = None;
        for (at, event) in events {
            view.get_or_insert_default().apply(me, event, at);
        }
        view
    }

    /// Takes in one more event about this job.
    pub fn apply(&mut self, me: Address, event: &Event, at: At) {
        match event {
            Event::BidCommitted { bidder, order, .. } => {
                if *bidder == me {
                    self.own_order = Some(*order);
                }
            }
            Event::BidRevealed { bidder, price, .. } => {
                self.lowest = Some(self.lowest.map_or(*price, |lowest| lowest.min(*price)));
                if *bidder == me {
                    self.own_price = Some(*price);
                }
            }
            Event::AuctionAwarded { winner, price, .. } => {
                self.finish(AuctionEnd::Awarded { winner: *winner, price: *price }, at);
            }
            Event::AuctionCancelled { .. } => self.finish(AuctionEnd::Cancelled, at),
            Event::AuctionReleased { .. } => self.finish(AuctionEnd::Released, at),
            Event::CommitmentSwept { .. } | Event::Funded { .. } | Event::Defunded { .. } => {}
        }
    }

    const fn finish(&mut self, end: AuctionEnd, at: At) {
        (self.end, self.ended_in) = (Some(end), at.block);
    }
}
