//! A bidder's account in the auction: filled for all of its bids together, and left as it is between auctions.
//!
//! To bring money in for each auction, and to take it out again, costs gas that no price contains, and whoever opens jobs and
//! cancels them would have it burned for nothing. So only what is missing is brought, and it goes back when none of it was needed for
//! long, or the party does not bid any more.
//!
//! One [`Transfer`] is under way at a time, each under a key of its own, so that none is done twice. One whose fate is not known,
//! after a crash or a reorganisation, is sent again under its key if it is still needed; if not, only its fate is found out. So is that
//! of one that the party could not pay for, since it may be signed already, before another one begins.
//!
//! What its operator takes out by hand ([`Input::TakeBidMoney`](super::Input::TakeBidMoney)) others send; here it is kept from bids until
//! it has left, and none is brought in its place ([`Filling`]).

use std::collections::BTreeMap;

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use super::{At, AuctionSubmission, Effect, Failure, Pace, Step, StepKey, StepOutcome, Subject};
use crate::{AttoFil, Time, auction::Command, model::JobId};

/// How many blocks above the newest one that the agent has heard of a landing may lie: receipts may be read before the log. Too many
/// have a transfer's fate asked once more than needed; too few let one that was undone pass for landed.
const AHEAD: u64 = 32;

/// Whether money is brought for bids. An operator who takes some out by hand does not want it back in with the next bid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Filling {
    /// What they lack.
    #[default]
    AsNeeded,
    /// None for further bids, until its operator resumes. They may use what is there.
    Stopped,
    /// None, until its operator resumes, and there are no further bids: what those that are sealed give back goes back at once.
    Emptied,
}

impl Filling {
    /// Whether it is that of an account that nobody has taken money out of by hand.
    #[must_use]
    pub fn is_as_needed(&self) -> bool {
        *self == Self::AsNeeded
    }
}

/// What an operator may take out of the account by hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BidMoney {
    /// What is in it.
    pub held: AttoFil,
    /// What of that is on its way out already, or what sealed bids, and those under way, may take of it yet.
    pub bound: AttoFil,
    /// How many bids these are.
    pub bids: usize,
}

impl BidMoney {
    /// What may be taken out.
    #[must_use]
    pub const fn free(&self) -> AttoFil {
        self.held.saturating_sub(self.bound)
    }
}

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
    /// Whether it is filled.
    #[serde(default, skip_serializing_if = "Filling::is_as_needed")]
    pub filling: Filling,
}

impl PurseRecord {
    /// The record for this auction: a new one, if this is of another. Its transfers are counted on, as each needs a key of its own.
    #[must_use]
    pub fn in_auction(self, auction: Option<Address>) -> Self {
        match (self.auction, auction) {
            (Some(before), Some(now)) if before != now => {
                Self { begun: self.begun, auction, filling: self.filling, ..Self::default() }
            }
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
    /// What of that its operator is taking out.
    leaving: AttoFil,
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
        self.held.is_none() && (!self.needs.is_empty() || self.record.begun > 0 || self.is_emptied())
    }

    pub(super) fn holds(&mut self, amount: AttoFil) {
        (self.held, self.is_due) = (Some(amount), true);
    }

    /// What it has for bids; `None`: not known.
    fn at_hand(&self) -> Option<AttoFil> {
        self.held.map(|held| held.saturating_sub(self.leaving))
    }

    /// Its operator takes so much out, in all.
    pub(super) fn set_leaving(&mut self, amount: AttoFil) {
        self.leaving = amount;
        self.moved();
    }

    /// Its operator takes so much more out, and has it filled like this from now on.
    pub(super) fn take_out(&mut self, amount: AttoFil, filling: Filling, effects: &mut Vec<Effect>) {
        self.leaving = AttoFil(self.leaving.0.saturating_add(amount.0));
        (self.record.filling, self.is_due) = (self.record.filling.max(filling), true);
        effects.push(Effect::RememberPurse);
    }

    /// It is filled as needed again.
    pub(super) fn resume(&mut self, effects: &mut Vec<Effect>) {
        self.is_due = true;
        if !std::mem::take(&mut self.record.filling).is_as_needed() {
            effects.push(Effect::RememberPurse);
        }
    }

    /// Whether no bids are made with it, until its operator resumes.
    pub(super) fn is_emptied(&self) -> bool {
        self.record.filling == Filling::Emptied
    }

    /// Whether it has nothing for a further bid of this stake, and gets nothing for it.
    pub(super) fn is_closed_to(&self, stake: AttoFil) -> bool {
        match self.record.filling {
            Filling::AsNeeded => false,
            Filling::Stopped => self.at_hand().is_some_and(|held| held.saturating_sub(self.bound()) < stake),
            Filling::Emptied => true,
        }
    }

    /// What bids that are sealed, or about to be, may take yet.
    fn bound(&self) -> AttoFil {
        sum(self.needs.values().filter(|need| !need.waits).map(|need| need.most))
    }

    /// What its operator may take out; `None`: not known.
    pub(super) fn bid_money(&self) -> Option<BidMoney> {
        let held = self.held?;
        let goes_back = self.under_way().filter(|transfer| transfer.direction == Direction::Out);
        let amounts = goes_back.map(|transfer| transfer.amount).into_iter().chain([self.bound(), self.leaving]);
        let bids = self.needs.values().filter(|need| !need.waits && need.most > AttoFil::ZERO).count();
        Some(BidMoney { held, bound: sum(amounts), bids })
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
        let taken_out =
            self.is_emptied() || self.under_way().is_some_and(|transfer| transfer.direction == Direction::Out);
        let (Some(held), Some(own)) = (self.at_hand().filter(|_| !taken_out), self.needs.get(&job)) else {
            return false;
        };
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
        let needed = match waiting.clone().min().filter(|_| self.record.filling.is_as_needed()) {
            None => sum(others),
            Some(cheapest) if self.is_poor => sum(others.chain([cheapest])),
            Some(_) => sum(others.chain(waiting)),
        };
        needed.min(limit).saturating_sub(held)
    }

    /// What is to be taken out.
    fn surplus(&self, held: AttoFil, bounds: &Bounds, now: Time) -> AttoFil {
        let is_idle = self.record.idle_since.is_some_and(|since| !bounds.bids || now >= since.after(self.keep_for));
        let kept = match self.record.filling {
            Filling::Emptied => self.bound(),
            _ if is_idle => AttoFil::ZERO,
            _ => sum(self.needs.values().map(|need| need.most)).max(bounds.limit),
        };
        // What somebody else brought with the same key is theirs, unless the operator says otherwise.
        if self.record.begun == 0 && !self.is_emptied() { AttoFil::ZERO } else { held.saturating_sub(kept) }
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
        self.record.idle_since = if self.needs.is_empty() { Some(self.record.idle_since.unwrap_or(now)) } else { None };
        let mut asked = None;
        if let (Some(held), false) = (self.at_hand(), self.is_asked_for || now < self.until) {
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
        let is_useful = self.at_hand().is_none_or(|held| match direction {
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
mod tests;
