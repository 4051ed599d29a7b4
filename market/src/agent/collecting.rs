//! What is due to a party on the rails of a `FilecoinPayDeals`, and when it collects that.

use alloy_primitives::U256;
use serde::{Deserialize, Serialize};

use super::At;
use crate::{
    AttoFil, Time,
    filecoin_pay_deals::{Event, fee},
};

/// So many blocks lie between the newest one and that in which what is sent now lands, at the least.
const TO_LAND: u64 = 2;
/// So many more are left before a rail's end when what is due there is collected whether or not it is final.
const HURRY: u64 = 20;
/// Gas that costs at most this part of what it brings is not worth waiting for more.
const CHEAP: u128 = 100;

/// Where in the chain something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Occurrence {
    pub block: u64,
    /// Among the events of its block.
    pub index: u32,
    pub time: Time,
}

/// What the events about a rail add up to: a fold. Amounts in the token's smallest unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RailBook {
    /// Due and not paid, gross.
    pub due: U256,
    /// Since when the oldest of it is.
    pub since: Option<Occurrence>,
    /// Paid in all, gross.
    pub paid: U256,
    /// What Filecoin Pay kept of that.
    pub fees: U256,
    pub last_paid: Option<Occurrence>,
    /// Before which block it still pays, once its payer has terminated it.
    pub end: Option<u64>,
}

/// How what is due on a rail stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is.
    Clear,
    /// It may still be undone.
    Young,
    /// It can be collected; `is_closing`: the payer has terminated the rail, so no more is to come.
    Ripe { is_closing: bool },
    /// The rail pays no more: it is the payer's again.
    Lost,
}

/// What collecting brings and takes, in one asset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gain {
    /// What is due, less Filecoin Pay's fee.
    pub worth: AttoFil,
    /// What its gas costs.
    pub gas: AttoFil,
}

/// Whether what is ripe is collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Collecting {
    Now,
    /// More may be due on the rail soon, which is then collected for the same gas.
    ForMore,
    /// Its gas costs more than it brings.
    TooDear(Gain),
}

impl RailBook {
    /// Takes in one more event about this rail.
    pub fn apply(&mut self, at: Occurrence, event: &Event) {
        match event {
            Event::PriceDue { price, .. } => {
                self.due = self.due.saturating_add(*price);
                self.since.get_or_insert(at);
            }
            // All that was due; also what this book does not know of.
            Event::RailPaid { amount, .. } => {
                (self.due, self.since) = (U256::ZERO, None);
                self.paid = self.paid.saturating_add(*amount);
                self.fees = self.fees.saturating_add(fee(*amount));
                self.last_paid = Some(at);
            }
            Event::RailClosing { end_epoch, .. } => self.end = Some(end_epoch.saturating_to()),
            _ => {}
        }
    }

    /// How what is due stands when this is the newest block, and `finalized` the newest that will not be undone.
    #[must_use]
    pub fn standing(&self, latest: At, finalized: u64) -> Standing {
        let Some(since) = self.since.filter(|_| !self.due.is_zero()) else { return Standing::Clear };
        let is_closing = self.end.is_some();
        if let Some(end) = self.end {
            let left = end.saturating_sub(latest.block);
            if left <= TO_LAND {
                return Standing::Lost;
            }
            let until_final = latest.block.saturating_sub(finalized);
            if left <= until_final.saturating_mul(2).saturating_add(HURRY) {
                return Standing::Ripe { is_closing };
            }
        }
        if since.block > finalized { Standing::Young } else { Standing::Ripe { is_closing } }
    }

    /// Whether what is ripe is collected at `now`. What is due waits for more for `within` seconds at most; nobody knows what it brings
    /// without a `gain`.
    #[must_use]
    pub fn collecting(&self, is_closing: bool, gain: Option<Gain>, within: u64, now: Time) -> Collecting {
        if let Some(gain) = gain {
            if gain.gas >= gain.worth {
                return Collecting::TooDear(gain);
            }
            if gain.gas.0.saturating_mul(CHEAP) <= gain.worth.0 {
                return Collecting::Now;
            }
        }
        let waited = self.since.map_or(0, |since| now.since(since.time));
        if is_closing || waited >= within { Collecting::Now } else { Collecting::ForMore }
    }
}

#[cfg(test)]
mod tests {
    use crate::model::JobId;

    use super::*;

    const DAY: u64 = 86_400;

    fn at(block: u64, index: u32) -> Occurrence {
        Occurrence { block, index, time: Time(block * 30) }
    }

    fn due(price: u64) -> Event {
        Event::PriceDue { job: JobId::default(), rail: U256::ONE, price: U256::from(price) }
    }

    fn book(events: &[(Occurrence, Event)]) -> RailBook {
        let mut book = RailBook::default();
        for (at, event) in events {
            book.apply(*at, event);
        }
        book
    }

    fn newest(block: u64) -> At {
        At { block, time: Time(block * 30) }
    }

    #[test]
    fn what_is_due_adds_up_until_it_is_paid() {
        let paid = |amount: u64| Event::RailPaid { rail: U256::ONE, amount: U256::from(amount) };
        let mut book = book(&[(at(3, 1), due(300)), (at(4, 0), due(101))]);
        assert_eq!((book.due, book.since, book.last_paid), (U256::from(401), Some(at(3, 1)), None));
        book.apply(at(5, 2), &paid(401));
        assert_eq!((book.due, book.since, book.last_paid), (U256::ZERO, None, Some(at(5, 2))));
        assert_eq!((book.paid, book.fees), (U256::from(401), U256::from(3)), "half a percent, rounded up once");
        book.apply(at(5, 3), &due(7));
        book.apply(at(6, 0), &paid(7));
        assert_eq!((book.paid, book.fees), (U256::from(408), U256::from(4)));
    }

    #[test]
    fn it_is_ripe_when_it_is_final_and_sooner_when_the_rail_ends() {
        let mut book = book(&[(at(10, 0), due(5))]);
        assert_eq!(RailBook::default().standing(newest(50), 50), Standing::Clear);
        assert_eq!(book.standing(newest(50), 9), Standing::Young);
        assert_eq!(book.standing(newest(50), 10), Standing::Ripe { is_closing: false });
        book.apply(at(11, 0), &Event::RailClosing { rail: U256::ONE, end_epoch: U256::from(200) });
        assert_eq!(book.standing(newest(12), 9), Standing::Young, "there is time: 3 blocks until final, 188 left");
        let ripe = Standing::Ripe { is_closing: true };
        assert_eq!(book.standing(newest(12), 10), ripe);
        assert_eq!(book.standing(newest(150), 9), ripe, "it would not be final in time");
        assert_eq!((book.standing(newest(197), 9), book.standing(newest(198), 197)), (ripe, Standing::Lost));
        book.apply(at(12, 0), &Event::RailClosing { rail: U256::ONE, end_epoch: U256::MAX });
        assert_eq!(book.standing(At { block: u64::MAX - 99, time: Time(0) }, 10), ripe, "nothing overflows");
    }

    #[test]
    fn it_is_collected_for_little_gas_or_when_it_waited_long_and_never_for_more_than_it_brings() {
        let book = book(&[(at(1, 0), due(5))]);
        let gain = |worth: u128, gas: u128| Some(Gain { worth: AttoFil(worth), gas: AttoFil(gas) });
        let after = |waited: u64, gain, is_closing| book.collecting(is_closing, gain, DAY, Time(30 + waited));
        assert_eq!(after(0, gain(1_000, 10), false), Collecting::Now);
        assert_eq!(after(0, gain(1_000, 11), false), Collecting::ForMore);
        assert_eq!(after(0, gain(1_000, 11), true), Collecting::Now, "no more is to come");
        assert_eq!(after(DAY - 1, gain(1_000, 999), false), Collecting::ForMore);
        assert_eq!(after(DAY, gain(1_000, 999), false), Collecting::Now);
        for is_closing in [false, true] {
            let dear = gain(1_000, 1_000);
            assert_eq!(after(9 * DAY, dear, is_closing), Collecting::TooDear(dear.expect("known")));
        }
        assert_eq!([0, DAY].map(|waited| after(waited, None, false)), [Collecting::ForMore, Collecting::Now]);
        assert_eq!(after(0, gain(0, 0), false), Collecting::TooDear(gain(0, 0).expect("known")), "it brings nothing");
    }
}
