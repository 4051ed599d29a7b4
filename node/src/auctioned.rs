//! Jobs that are auctioned: their terms, and what is told of their bids.

use std::collections::BTreeMap;

use lota_api::{AuctionInfo, AwardInfo, BidInfo, rfc3339};
use lota_bridge::AuctionRef;
use lota_market::{
    AttoFil, Time,
    agent::{At, Pace, Ramp},
    asset::Asset,
    auction::{Event, reveal_until},
    model::Terms,
};

use crate::store::KEPT_BIDS;

/// Why a job cannot be auctioned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AuctionError {
    #[error(
        "this node has no auction beside its market; leave `auction` out, or name one when the node is started (--auction-contract ADDRESS, or the setting node.auction_contract)"
    )]
    None,
    #[error("{seconds} s to open bids in is less than the {needed} s that the auction and this network need")]
    Opening { seconds: u64, needed: u64 },
    #[error(
        "{seconds} s to take the job leaves too little for an auction; it needs {needed} s to seal bids, open them and award"
    )]
    LockFor { seconds: u64, needed: u64 },
    #[error(
        "the lowest price, {lowest}, is not below the highest that is offered, {highest}: there is nothing to bid about"
    )]
    NoRange { lowest: String, highest: String },
}

/// When the phases of an auction end that begins now, in seconds from now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Phases {
    /// Bids are sealed for this long.
    pub(crate) sealing: u64,
    /// Then they are opened for this long.
    pub(crate) opening: u64,
    /// Until then the job may be awarded.
    pub(crate) lock_for: u64,
}

impl Phases {
    /// As the client wants them, who may name how long bids are opened and how long all of it takes.
    pub(crate) fn choose(
        pace: &Pace,
        auction: &AuctionRef,
        opening: Option<u64>,
        lock_for: Option<u64>,
    ) -> Result<Self, AuctionError> {
        let [usual_sealing, usual_opening, awarding] = pace.auction_phases(auction.min_reveal_period);
        let needed = pace.opening().max(u64::from(auction.min_reveal_period));
        let opening = opening.unwrap_or(usual_opening);
        if opening < needed {
            return Err(AuctionError::Opening { seconds: opening, needed });
        }
        let Some(lock_for) = lock_for else {
            let sealing = usual_sealing;
            return Ok(Self { sealing, opening, lock_for: sealing.saturating_add(opening).saturating_add(awarding) });
        };
        let needed = pace.sealing().saturating_add(opening).saturating_add(awarding);
        match lock_for.checked_sub(opening.saturating_add(awarding)) {
            Some(sealing) if sealing >= pace.sealing() => Ok(Self { sealing, opening, lock_for }),
            _ => Err(AuctionError::LockFor { seconds: lock_for, needed }),
        }
    }

    /// The prices between which bids may lie. `ramp`: what would be offered without an auction. `lowest`: named by the client.
    pub(crate) fn prices(&self, ramp: &Ramp, lowest: Option<AttoFil>, asset: &Asset) -> Result<Ramp, AuctionError> {
        let (min_price, max_price) = (lowest.unwrap_or_default(), ramp.max_price);
        if min_price >= max_price {
            return Err(AuctionError::NoRange { lowest: asset.show(min_price), highest: asset.show(max_price) });
        }
        Ok(Ramp { min_price, max_price, period: self.opening })
    }

    /// The terms' times.
    pub(crate) fn set(&self, terms: &mut Terms, now: Time) {
        terms.ramp_start = now.after(self.sealing);
        terms.ramp_period = self.opening;
        terms.lock_by = now.after(self.lock_for);
    }
}

/// What is public of a job's auction.
pub(crate) fn told(terms: &Terms, events: &[(At, Event)]) -> AuctionInfo {
    let (mut sealed, mut opened) = (Vec::new(), BTreeMap::new());
    let mut awarded = None;
    for (_, event) in events {
        match event {
            Event::BidCommitted { bidder, .. } => sealed.push(*bidder),
            Event::BidRevealed { bidder, price, .. } => {
                opened.insert(*bidder, *price);
            }
            Event::AuctionAwarded { winner, price, .. } => {
                awarded = Some(AwardInfo { winner: *winner, price: *price });
            }
            _ => {}
        }
    }
    let more = sealed.len().max(opened.len()) >= KEPT_BIDS as usize;
    let mut bids: Vec<BidInfo> =
        sealed.into_iter().map(|bidder| BidInfo { bidder, price: opened.remove(&bidder) }).collect();
    // Sealed too late to be kept, and then opened.
    bids.extend(opened.into_iter().map(|(bidder, price)| BidInfo { bidder, price: Some(price) }));
    AuctionInfo {
        sealed_until: rfc3339(terms.ramp_start),
        opened_until: rfc3339(reveal_until(terms)),
        bids,
        more,
        awarded,
    }
}

#[cfg(test)]
mod tests {
    use lota_market::Address;

    use super::*;

    fn auction(min_reveal_period: u32) -> AuctionRef {
        AuctionRef { contract: Address::repeat_byte(1), min_reveal_period }
    }

    #[test]
    fn phases_are_long_enough_for_bidders_and_add_up() {
        for (pace, min) in [(Pace::INSTANT, 1), (Pace::INSTANT, 5_000), (Pace::FILECOIN, 600)] {
            let phases = Phases::choose(&pace, &auction(min), None, None).expect("the defaults will do");
            assert!(phases.sealing > pace.sealing() && phases.opening >= pace.opening().max(min.into()));
            assert!(phases.lock_for >= phases.sealing + phases.opening + pace.awarding());
        }
        let choose = |opening, lock_for| Phases::choose(&Pace::FILECOIN, &auction(600), opening, lock_for);
        assert_eq!(choose(Some(599), None), Err(AuctionError::Opening { seconds: 599, needed: 600 }));
        let least = 390 + 600 + 270;
        let needed = AuctionError::LockFor { seconds: least - 1, needed: least };
        assert_eq!(choose(Some(600), Some(least - 1)), Err(needed));
        assert_eq!(choose(Some(600), Some(least)), Ok(Phases { sealing: 390, opening: 600, lock_for: least }));
    }

    #[test]
    fn there_must_be_something_to_bid_about() {
        let phases = Phases { sealing: 1, opening: 2, lock_for: 5 };
        let ramp = Ramp { min_price: AttoFil(3), max_price: AttoFil(7), period: 9 };
        let dollar = Asset::token("USD", 6);
        let prices = |lowest| phases.prices(&ramp, lowest, &dollar);
        assert_eq!(prices(None), Ok(Ramp { min_price: AttoFil(0), max_price: AttoFil(7), period: 2 }));
        let none = AuctionError::NoRange { lowest: "0.000007 USD".to_owned(), highest: "0.000007 USD".to_owned() };
        assert_eq!(prices(Some(AttoFil(7))), Err(none));
    }
}
