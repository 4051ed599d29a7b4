//! A bidder's account in the auction: filled for all of its bids together, and left as it is between auctions.
//!
//! To bring money in for each auction, and to take it out again, costs gas that no price contains, and whoever opens jobs and
//! cancels them would have it burned for nothing. So only what is missing is brought, and it goes back when none of it was needed for
//! long, or the party does not bid any more.
//!
//! One [`Transfer`] is under way at a time, each under a key of its own, so that none is done twice. One whose fate is not known,
//! after a crash or a reorganisation, is sent again under its key if it is still needed; if not, only its fate is found out. So is that
//! of one that the party could not pay for, since it may be signed already, before another one begins.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use super::{At, AuctionSubmission, Effect, Failure, Pace, Step, StepKey, StepOutcome, Subject};
use crate::{AttoFil, Time, auction::Command, model::JobId};

/// How many blocks above the newest one that the agent has heard of a landing may lie: receipts may be read before the log. Too many
/// have a transfer's fate asked once more than needed; too few let one that was undone pass for landed.
const AHEAD: u64 = 32;

/// What is kept of a bidder's account in the auction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurseRecord {
    /// How many transfers were begun.
    begun: u32,
    /// The newest of them, unless it is known that it was never sent.
    last: Option<Transfer>,
    /// Since when nothing in the account is needed.
    idle_since: Option<Time>,
    /// The auction's contract, as whoever keeps this says; `None`: not said.
    #[serde(default)]
    pub auction: Option<Address>,
}

impl PurseRecord {
    /// The record for this auction: a new one, if this is of another. Its transfers are counted on, as each needs a key of its own.
    #[must_use]
    pub fn in_auction(self, auction: Option<Address>) -> Self {
        match (self.auction, auction) {
            (Some(before), Some(now)) if before != now => Self { begun: self.begun, auction, ..Self::default() },
            (before, now) => Self { auction: now.or(before), ..self },
        }
    }

    /// Whether nothing was ever brought.
    #[must_use]
    pub const fn is_unused(&self) -> bool {
        self.begun == 0
    }

    /// Whether all that the party has in the auction is in its account there: no bid needs it, and none of it is on its way.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        self.idle_since.is_some() && self.last.is_none_or(|transfer| transfer.landed.is_some())
    }
}

/// A command that brings money into the account in the auction, or takes it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Transfer {
    /// Which it is, from 1: what its key ends with.
    number: u32,
    direction: Direction,
    amount: AttoFil,
    /// It has landed, in this block or below it.
    landed: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Direction {
    In,
    Out,
}

/// What a bid needs of the account from now on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Need {
    /// At least this: a command under way may have taken the rest already.
    pub(super) least: AttoFil,
    /// At most this.
    pub(super) most: AttoFil,
    /// It is sealed as soon as the money is there.
    pub(super) waits: bool,
}

/// What the account may hold, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The most that it is filled to.
    pub(super) limit: AttoFil,
    /// Whether the party may bid for more jobs.
    pub(super) bids: bool,
}

/// A bidder's account in the auction.
#[derive(Clone, Debug, Default)]
pub(super) struct Purse {
    record: PurseRecord,
    /// What it holds; `None`: to be asked, since something may have changed it.
    held: Option<AttoFil>,
    /// Bids that are not over, and what they need.
    needs: BTreeMap<JobId, Need>,
    /// For so long it is left as it is when nothing is needed, in seconds.
    pub(super) keep_for: u64,
    /// This process has asked for the newest transfer, and was not told what came of it.
    is_asked_for: bool,
    /// How often in a row a transfer came to nothing, and when to go on after that.
    failures: u32,
    until: Time,
    /// The newest transfer could not be paid for. It may be signed, and land once there is money: only its fate is found out.
    is_doubtful: bool,
    /// There was no money for all that was missing: so much is brought as the cheapest of the bids that wait needs.
    is_poor: bool,
    /// Blocks were undone while the newest transfer was asked for: it may have landed in one of them.
    is_rewound: bool,
    /// Something may have to be done.
    pub(super) is_due: bool,
}

fn sum(amounts: impl Iterator<Item = AttoFil>) -> AttoFil {
    AttoFil(amounts.fold(0, |sum, amount| sum.saturating_add(amount.0)))
}

impl Purse {
    pub(super) const fn record(&self) -> &PurseRecord {
        &self.record
    }

    /// What was kept of it in an earlier process.
    pub(super) fn recall(&mut self, record: PurseRecord) {
        (self.record, self.is_due) = (record, true);
    }

    /// Whether somebody must ask what the account holds.
    pub(super) fn is_to_be_weighed(&self) -> bool {
        self.held.is_none() && (!self.needs.is_empty() || self.record.begun > 0)
    }

    pub(super) fn holds(&mut self, amount: AttoFil) {
        (self.held, self.is_due) = (Some(amount), true);
    }

    /// Something may have changed what it holds.
    pub(super) fn moved(&mut self) {
        (self.held, self.is_due) = (None, true);
    }

    /// Whether a bid of this party for the job is not over.
    pub(super) fn has(&self, job: JobId) -> bool {
        self.needs.contains_key(&job)
    }

    /// What a bid needs from now on; `None`: nothing more, ever.
    pub(super) fn set_need(&mut self, job: JobId, need: Option<Need>) {
        let before = match need {
            Some(need) => self.needs.insert(job, need),
            None => self.needs.remove(&job),
        };
        self.is_due |= before != need;
        if before.is_none() && need.is_some() {
            self.held = None;
        }
    }

    /// The bids that wait for money.
    pub(super) fn waiting(&self) -> Vec<JobId> {
        self.needs.iter().filter(|(_, need)| need.waits).map(|(job, _)| *job).collect()
    }

    /// Whether there is enough for a bid that waits, beside those that do not.
    pub(super) fn covers(&self, job: JobId) -> bool {
        let taken_out = self.under_way().is_some_and(|transfer| transfer.direction == Direction::Out);
        let (Some(held), Some(own)) = (self.held.filter(|_| !taken_out), self.needs.get(&job)) else { return false };
        let others = self.needs.iter().filter(|(other, need)| **other != job && !need.waits);
        held >= sum(others.map(|(_, need)| need.most).chain([own.most]))
    }

    fn under_way(&self) -> Option<Transfer> {
        self.record.last.filter(|transfer| transfer.landed.is_none())
    }

    /// What must be brought: for all bids that wait or, after that was more than there is, for the cheapest of them. Otherwise whoever
    /// has costless auctions, and never lets them end, would keep a small wallet from every other one.
    fn missing(&self, held: AttoFil, limit: AttoFil) -> AttoFil {
        let waiting = self.needs.values().filter(|need| need.waits).map(|need| need.most);
        // What may have been taken already is not brought twice: if it was not, it is missing when that is known.
        let others = self.needs.values().filter(|need| !need.waits).map(|need| need.least);
        let needed = match waiting.clone().min() {
            None => sum(others),
            Some(cheapest) if self.is_poor => sum(others.chain([cheapest])),
            Some(_) => sum(others.chain(waiting)),
        };
        needed.min(limit).saturating_sub(held)
    }

    /// What is to be taken out.
    fn surplus(&self, held: AttoFil, bounds: &Bounds, now: Time) -> AttoFil {
        let is_idle = self.record.idle_since.is_some_and(|since| !bounds.bids || now >= since.after(self.keep_for));
        let kept = match is_idle {
            true => AttoFil::ZERO,
            false => sum(self.needs.values().map(|need| need.most)).max(bounds.limit),
        };
        // What somebody else brought with the same key is theirs.
        if self.record.begun == 0 { AttoFil::ZERO } else { held.saturating_sub(kept) }
    }

    /// When to look at it again although nothing happens.
    pub(super) fn wake(&self) -> Option<Time> {
        let idle = self.record.idle_since.filter(|_| self.held.is_some_and(|held| held != AttoFil::ZERO));
        let idle = idle.map(|since| since.after(self.keep_for));
        let again = (self.failures > 0).then_some(self.until);
        idle.into_iter().chain(again).min().filter(|_| !self.is_asked_for && self.record.begun > 0)
    }

    /// Begins the transfer that is due, if there is one.
    pub(super) fn advance(&mut self, me: Address, now: Time, bounds: &Bounds, effects: &mut Vec<Effect>) {
        let before = self.record;
        // The chain's clock may have been turned back since.
        let idle_since = self.record.idle_since.map_or(now, |since| since.min(now));
        self.record.idle_since = self.needs.is_empty().then_some(idle_since);
        let mut asked = None;
        if let (Some(held), false) = (self.held, self.is_asked_for || now < self.until) {
            if let Some(transfer) = self.under_way() {
                asked = Some(transfer);
            } else {
                let (missing, surplus) = (self.missing(held, bounds.limit), self.surplus(held, bounds, now));
                asked = match (missing, surplus) {
                    (AttoFil::ZERO, AttoFil::ZERO) => None,
                    (AttoFil::ZERO, amount) => Some(self.begin(Direction::Out, amount)),
                    (amount, _) => Some(self.begin(Direction::In, amount)),
                };
            }
        }
        // Nothing is due any more.
        if asked.is_none() && self.held.is_some() && !self.is_asked_for && now >= self.until {
            self.failures = 0;
        }
        // An account that was never used is of no interest.
        if self.record != before && self.record.begun > 0 {
            effects.push(Effect::RememberPurse);
        }
        if let Some(Transfer { number, direction, .. }) = asked {
            self.is_asked_for = true;
            effects.push(Effect::Do(key(me, direction, number)));
        }
    }

    fn begin(&mut self, direction: Direction, amount: AttoFil) -> Transfer {
        self.record.begun = self.record.begun.saturating_add(1);
        let transfer = Transfer { number: self.record.begun, direction, amount, landed: None };
        self.record.last = Some(transfer);
        transfer
    }

    /// The command of a transfer, and whether it is still needed: if not, it is to be sent only if it was before.
    pub(super) fn submission(
        &self,
        key: &StepKey,
        me: Address,
        bounds: &Bounds,
        now: Time,
    ) -> Option<(AuctionSubmission, bool)> {
        let transfer =
            self.under_way().filter(|transfer| self::key(me, transfer.direction, transfer.number) == *key)?;
        let Transfer { direction, amount, .. } = transfer;
        let is_useful = self.held.is_none_or(|held| match direction {
            Direction::In => self.missing(held, bounds.limit) > AttoFil::ZERO,
            Direction::Out => self.surplus(held, bounds, now) >= amount,
        });
        let needed = is_useful && !self.is_doubtful;
        let (command, value) = match direction {
            Direction::In => (Command::Fund, amount),
            Direction::Out => (Command::Withdraw { to: me, amount }, AttoFil::ZERO),
        };
        Some((AuctionSubmission { command, value }, needed))
    }

    /// A transfer came to this; says whether it has brought money in. `at`: the newest block that is known, and the time.
    pub(super) fn done(
        &mut self,
        step: &StepKey,
        me: Address,
        outcome: &StepOutcome,
        at: At,
        pace: &Pace,
        effects: &mut Vec<Effect>,
    ) -> bool {
        let transfer = self.under_way().filter(|transfer| key(me, transfer.direction, transfer.number) == *step);
        let Some(transfer) = transfer else { return false };
        self.is_asked_for = false;
        let is_rewound = std::mem::take(&mut self.is_rewound);
        self.moved();
        match outcome {
            StepOutcome::Err(failure) => {
                let was_doubtful = self.is_doubtful;
                // What may have been sent is sent again; of the rest there is nothing to find out.
                match failure {
                    Failure::Temporary(_) => {}
                    Failure::Unaffordable { .. } => (self.is_doubtful, self.is_poor) = (true, true),
                    _ => (self.record.last, self.is_doubtful) = (None, false),
                }
                if *failure != Failure::NeverSent {
                    self.failures = self.failures.saturating_add(1);
                    self.until = at.time.after(pace.backoff(self.failures));
                } else if !was_doubtful {
                    (self.failures, self.until) = (0, at.time);
                }
            }
            _ => {
                (self.failures, self.is_doubtful, self.is_poor) = (0, false, false);
                let landed = (!is_rewound).then_some(at.block.saturating_add(AHEAD));
                self.record.last = Some(Transfer { landed, ..transfer });
            }
        }
        effects.push(Effect::RememberPurse);
        transfer.direction == Direction::In && !matches!(outcome, StepOutcome::Err(_))
    }

    /// It is `now`, which is earlier than it was.
    pub(super) fn turn_back(&mut self, now: Time, pace: &Pace) {
        self.until = self.until.min(now.after(pace.backoff(self.failures)));
        self.is_due = true;
    }

    /// Blocks above this one are undone.
    pub(super) fn rewind(&mut self, block: u64, effects: &mut Vec<Effect>) {
        self.moved();
        self.is_rewound |= self.is_asked_for;
        if let Some(transfer) = &mut self.record.last
            && transfer.landed.is_some_and(|landed| landed > block)
        {
            transfer.landed = None;
            effects.push(Effect::RememberPurse);
        }
    }
}

const fn key(me: Address, direction: Direction, number: u32) -> StepKey {
    let step = match direction {
        Direction::In => Step::FundBid,
        Direction::Out => Step::WithdrawBid,
    };
    StepKey { subject: Subject::Party(me), step, round: 0, attempt: number }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;

    use super::*;
    use crate::money::FIL;

    const ME: Address = Address::repeat_byte(0xA1);
    const BOUNDS: Bounds = Bounds { limit: AttoFil(10 * FIL), bids: true };

    fn job(number: u8) -> JobId {
        JobId(B256::repeat_byte(number))
    }

    fn need(amount: u128, waits: bool) -> Option<Need> {
        Some(Need { least: AttoFil(amount), most: AttoFil(amount), waits })
    }

    /// What it asks for, at a time.
    fn asked(purse: &mut Purse, now: u64) -> Option<StepKey> {
        let mut effects = Vec::new();
        purse.advance(ME, Time(now), &BOUNDS, &mut effects);
        effects.into_iter().find_map(|effect| match effect {
            Effect::Do(key) => Some(key),
            _ => None,
        })
    }

    fn done(purse: &mut Purse, key: &StepKey, outcome: StepOutcome, now: u64) {
        purse.done(key, ME, &outcome, At { block: 7, time: Time(now) }, &Pace::INSTANT, &mut Vec::new());
    }

    fn amount(purse: &Purse, key: &StepKey) -> Option<(AttoFil, bool)> {
        let (submission, is_needed) = purse.submission(key, ME, &BOUNDS, Time(0))?;
        Some((submission.value, is_needed))
    }

    #[test]
    fn only_what_is_missing_is_brought_by_one_transfer_at_a_time() {
        let mut purse = Purse::default();
        purse.set_need(job(1), need(3 * FIL, true));
        assert_eq!(asked(&mut purse, 0), None, "it does not know what is there");
        purse.holds(AttoFil(FIL));
        purse.set_need(job(2), need(FIL, true));
        assert_eq!((purse.covers(job(1)), purse.covers(job(2))), (false, false), "a new bid: it is asked again");
        purse.holds(AttoFil(FIL));
        assert_eq!((purse.covers(job(1)), purse.covers(job(2))), (false, true));
        let key = asked(&mut purse, 0).expect("something is missing");
        assert_eq!(amount(&purse, &key), Some((AttoFil(3 * FIL), true)));
        purse.set_need(job(3), need(20 * FIL, true));
        purse.holds(AttoFil(FIL));
        assert_eq!(asked(&mut purse, 0), None, "one is under way");
        done(&mut purse, &StepKey { attempt: 9, ..key }, StepOutcome::Ok, 0);
        assert_eq!(asked(&mut purse, 0), None, "that was another");
        done(&mut purse, &key, StepOutcome::Ok, 0);
        assert!(purse.is_to_be_weighed());
        purse.holds(AttoFil(4 * FIL));
        let next = asked(&mut purse, 0).expect("more is missing");
        assert_eq!(next.attempt, key.attempt + 1);
        assert_eq!(amount(&purse, &next), Some((AttoFil(6 * FIL), true)), "up to the limit");
        assert_eq!(amount(&purse, &key), None, "that one is over");
    }

    #[test]
    fn what_may_have_been_sent_keeps_its_key_and_what_was_not_does_not() {
        let mut purse = Purse::default();
        purse.set_need(job(1), need(FIL, true));
        purse.holds(AttoFil::ZERO);
        let key = asked(&mut purse, 0).expect("money is missing");
        done(&mut purse, &key, StepOutcome::Err(Failure::Temporary("no answer".to_owned())), 0);
        purse.holds(AttoFil::ZERO);
        assert_eq!(asked(&mut purse, 0), None, "not at once");
        assert_eq!(purse.wake(), Some(Time(1)));
        assert_eq!(asked(&mut purse, 1), Some(key));
        let poor = Failure::Unaffordable { account: ME, wallet: AttoFil::ZERO, needed: AttoFil(FIL) };
        let err = |failure: &Failure| StepOutcome::Err(failure.clone());
        done(&mut purse, &key, err(&poor), 1);
        purse.holds(AttoFil::ZERO);
        assert_eq!(asked(&mut purse, 2), None, "the pauses grow");
        assert_eq!(asked(&mut purse, 3), Some(key), "it may be signed");
        assert_eq!(amount(&purse, &key), Some((AttoFil(FIL), false)), "it is sent only if that was begun");
        // It was, and there still is no money.
        done(&mut purse, &key, err(&poor), 3);
        purse.holds(AttoFil::ZERO);
        assert_eq!((asked(&mut purse, 6), asked(&mut purse, 7)), (None, Some(key)));
        // Nobody could say.
        done(&mut purse, &key, err(&Failure::Temporary("no answer".to_owned())), 7);
        purse.holds(AttoFil::ZERO);
        assert_eq!((asked(&mut purse, 14), asked(&mut purse, 15)), (None, Some(key)));
        assert_eq!(amount(&purse, &key), Some((AttoFil(FIL), false)));
        done(&mut purse, &key, err(&Failure::NeverSent), 15);
        purse.holds(AttoFil::ZERO);
        let next = asked(&mut purse, 15).expect("that one is over");
        assert_eq!((next.attempt, amount(&purse, &next)), (2, Some((AttoFil(FIL), true))));
        done(&mut purse, &next, err(&poor), 15);
        purse.holds(AttoFil::ZERO);
        assert_eq!((asked(&mut purse, 30), asked(&mut purse, 31)), (None, Some(next)), "no loop without pauses");
        // It was signed, and there is money now.
        done(&mut purse, &next, StepOutcome::Ok, 31);
        purse.holds(AttoFil(FIL));
        assert_eq!((asked(&mut purse, 31), purse.covers(job(1))), (None, true));
    }

    #[test]
    fn who_has_not_enough_for_all_bids_brings_what_the_cheapest_needs() {
        let mut purse = Purse::default();
        for (number, amount) in [(1, 3 * FIL), (2, FIL), (3, 4 * FIL)] {
            purse.set_need(job(number), need(amount, true));
        }
        purse.set_need(job(4), need(FIL / 2, false));
        purse.holds(AttoFil::ZERO);
        let poor =
            || StepOutcome::Err(Failure::Unaffordable { account: ME, wallet: AttoFil(2 * FIL), needed: AttoFil::ZERO });
        let all = asked(&mut purse, 0).expect("money is missing");
        assert_eq!(amount(&purse, &all), Some((AttoFil(8 * FIL + FIL / 2), true)));
        done(&mut purse, &all, poor(), 0);
        purse.holds(AttoFil::ZERO);
        assert_eq!(asked(&mut purse, 1), Some(all));
        done(&mut purse, &all, StepOutcome::Err(Failure::NeverSent), 1);
        purse.holds(AttoFil::ZERO);
        let one = asked(&mut purse, 1).expect("one can be paid for");
        assert_eq!(amount(&purse, &one), Some((AttoFil(FIL + FIL / 2), true)));
        done(&mut purse, &one, StepOutcome::Ok, 1);
        purse.holds(AttoFil(FIL + FIL / 2));
        assert_eq!([1, 2, 3].map(|number| purse.covers(job(number))), [false, true, false]);
        // The others have their turn when that is sealed.
        purse.set_need(job(2), need(0, false));
        let rest = asked(&mut purse, 1).expect("money is missing");
        assert_eq!(amount(&purse, &rest), Some((AttoFil(6 * FIL), true)));
    }

    #[test]
    fn what_a_reorganisation_undid_is_sent_again_under_its_key_and_what_is_deeper_is_not() {
        // Its receipt may have been read before the blocks up to its own were.
        for (block, is_again) in [(6, true), (7, true), (7 + AHEAD - 1, true), (7 + AHEAD, false)] {
            let mut purse = Purse::default();
            purse.set_need(job(1), need(FIL, true));
            purse.holds(AttoFil::ZERO);
            let key = asked(&mut purse, 0).expect("money is missing");
            done(&mut purse, &key, StepOutcome::Ok, 0);
            purse.rewind(block, &mut Vec::new());
            purse.holds(if is_again { AttoFil::ZERO } else { AttoFil(FIL) });
            assert_eq!(asked(&mut purse, 0), is_again.then_some(key));
        }
    }

    #[test]
    fn what_landed_on_a_fork_that_went_meanwhile_is_asked_again() {
        let mut purse = Purse::default();
        purse.set_need(job(1), need(FIL, true));
        purse.holds(AttoFil::ZERO);
        let key = asked(&mut purse, 0).expect("money is missing");
        purse.rewind(5, &mut Vec::new());
        done(&mut purse, &key, StepOutcome::Ok, 0);
        purse.holds(AttoFil::ZERO);
        assert_eq!(asked(&mut purse, 0), Some(key), "nothing else is begun");
        done(&mut purse, &key, StepOutcome::Ok, 0);
        purse.holds(AttoFil(FIL));
        assert_eq!(asked(&mut purse, 0), None);
    }

    #[test]
    fn a_command_under_way_may_have_taken_its_money_already() {
        let mut purse = Purse::default();
        let under_way = Need { least: AttoFil::ZERO, most: AttoFil(FIL), waits: false };
        purse.set_need(job(1), Some(under_way));
        purse.holds(AttoFil::ZERO);
        assert_eq!(asked(&mut purse, 0), None, "that is no reason to bring more");
        purse.set_need(job(2), need(FIL, true));
        purse.holds(AttoFil(FIL));
        assert!(!purse.covers(job(2)), "nor is what is there certain to be free");
        assert_eq!(asked(&mut purse, 0), None, "nor is it certain that it is not");
        // It was refused: then more is missing.
        purse.set_need(job(1), need(FIL, true));
        let key = asked(&mut purse, 0).expect("enough for both");
        assert_eq!(amount(&purse, &key), Some((AttoFil(FIL), true)));
    }

    #[test]
    fn who_may_bid_no_more_does_not_wait_for_its_money() {
        for (bids, is_asked) in [(true, false), (false, true)] {
            let mut purse = Purse { keep_for: 500, ..Purse::default() };
            purse.set_need(job(1), need(FIL, true));
            purse.holds(AttoFil::ZERO);
            let key = asked(&mut purse, 0).expect("money is missing");
            done(&mut purse, &key, StepOutcome::Ok, 0);
            purse.set_need(job(1), None);
            purse.holds(AttoFil(FIL));
            let mut effects = Vec::new();
            purse.advance(ME, Time(9), &Bounds { bids, ..BOUNDS }, &mut effects);
            assert_eq!(effects.iter().any(|effect| matches!(effect, Effect::Do(_))), is_asked);
            assert_eq!(purse.wake().is_some(), !is_asked);
        }
    }

    #[test]
    fn money_that_it_did_not_bring_is_left_alone() {
        let mut purse = Purse::default();
        purse.set_need(job(1), need(FIL, true));
        purse.holds(AttoFil(50 * FIL));
        assert_eq!(asked(&mut purse, 0), None);
        purse.set_need(job(1), None);
        assert_eq!((asked(&mut purse, 1_000_000), purse.wake(), purse.is_to_be_weighed()), (None, None, false));
    }
}
