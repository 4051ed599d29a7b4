//! What a provider does about a job that is auctioned: it seals a bid, opens it, awards.
//!
//! It bids what the job costs it, gas included: the second price makes that the best it can do. What a bid needs in the party's account
//! in the auction ([`Bid::stake`]) is enough for the deposit, and later for the collateral, of that job alone, so that bids do not
//! compete for money; the account is filled for all of them ([`purse`](super::purse)).
//!
//! A bid that is opened is known on every fork of the chain. So it is opened when the last block in which others could seal theirs
//! is final, and not before, also when that costs the deposit; auctions that leave too little time for it are refused.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use super::{
    AuctionEnd, AuctionView, Decision, Effect, Job, Offer, Refusal, Step, StepState, Work,
    caretaker::COURTESY,
    context::{Context, Situation},
    provider::{Provider, decide},
    purse::Need,
};
use crate::{
    AttoFil,
    auction::{AuctionFault, Command, deposit, reveal_until},
    model::{JobId, Status, Terms},
};

/// The auction that a party bids in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Auctioneer {
    pub contract: Address,
    /// The shortest time to open bids in, in seconds.
    pub min_reveal_period: u32,
    /// The gas of what a bid takes: bringing money, sealing, opening, awarding.
    pub bid_gas: u64,
}

/// What gas costs, at a price for each 10^6 units, rounded up. A bid covers [`Auctioneer::bid_gas`] beside what the job costs.
#[must_use]
pub const fn gas_cost(per_megagas: AttoFil, gas: u64) -> AttoFil {
    AttoFil(per_megagas.0.saturating_mul(gas as u128).div_ceil(1_000_000))
}

/// A provider's bid for a job. Its price is decided, and stored, before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bid {
    /// What the job costs it, with the gas of the bid.
    pub price: AttoFil,
    /// What it needs in the party's account in the auction: the larger of deposit and collateral, which are taken one after the
    /// other.
    pub stake: AttoFil,
    /// Number of a block after which no bid can be sealed.
    pub sealed_by: Option<u64>,
    /// Number of a block after which no bid can be opened.
    pub opened_by: Option<u64>,
    /// Gas was spent for it: money was brought while it waited for some, or it was to be sealed in a block.
    #[serde(default)]
    pub has_cost: bool,
    /// It needs nothing more in the auction, and nothing will undo that.
    pub over: bool,
}

/// One of the phases of an auction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Bids are sealed.
    Sealing,
    /// Bids are opened.
    Opening,
    /// The job is awarded.
    Awarding,
}

impl core::fmt::Display for Phase {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Sealing => "sealing bids",
            Self::Opening => "opening them",
            Self::Awarding => "the award",
        })
    }
}

/// What a bid is sealed with, computed where the keys are; the same for the same job and price, after a restart too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// What nobody can guess.
    pub nonce: B256,
    /// To price and nonce.
    pub commitment: B256,
}

/// A command to the auction, and money from outside to send along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuctionSubmission {
    pub command: Command,
    pub value: AttoFil,
}

impl Auctioneer {
    /// Whether these terms are for this auction.
    #[must_use]
    pub fn is_matcher_of(&self, terms: &Terms) -> bool {
        terms.matcher == self.contract
    }
}

impl Job {
    /// The command to the auction of a step of an auctioned job, made from the record; `None` for steps that are none. `seal` gives
    /// what a bid at a price is sealed with.
    #[must_use]
    pub fn auction_submission(
        &self,
        step: Step,
        seal: impl FnOnce(JobId, AttoFil) -> Option<Seal>,
    ) -> Option<AuctionSubmission> {
        let terms = self.view.terms.clone();
        let sealed = |bid: &Bid| Some((bid.price, seal(self.view.id, bid.price)?));
        let command = match step {
            Step::CommitBid => {
                let (_, Seal { commitment, .. }) = sealed(self.bid.as_ref()?)?;
                Command::Commit { terms, commitment }
            }
            Step::RevealBid => {
                let (price, Seal { nonce, .. }) = sealed(self.bid.as_ref()?)?;
                Command::Reveal { terms, price, nonce }
            }
            Step::Award => Command::Award { terms },
            Step::ReleaseAuction => Command::Release { terms },
            Step::Cancel => Command::Cancel { terms },
            _ => return None,
        };
        Some(AuctionSubmission { command, value: AttoFil::ZERO })
    }
}

impl Bid {
    /// Blocks above `block` are undone: what was noted of them holds no more.
    pub(super) fn rewind(&mut self, block: u64) {
        for noted in [&mut self.sealed_by, &mut self.opened_by] {
            *noted = noted.filter(|noted| *noted <= block);
        }
    }

    /// Notes which phases the newest block has left behind; says whether that is news.
    fn note(&mut self, terms: &Terms, situation: &Situation) -> bool {
        let latest = situation.latest;
        let before = (self.sealed_by, self.opened_by);
        if latest.time >= terms.ramp_start {
            self.sealed_by = self.sealed_by.or(Some(latest.block));
        }
        if latest.time > reveal_until(terms) {
            self.opened_by = self.opened_by.or(Some(latest.block));
        }
        before != (self.sealed_by, self.opened_by)
    }
}

/// Checks what the terms of a job for this party's auction say.
///
/// `fickle`: how often their client cost it gas for nothing, if that was too often.
///
/// # Errors
/// Why this provider does not bid.
pub(super) fn match_terms(
    terms: &Terms,
    auction: &Auctioneer,
    offer: &Offer,
    situation: &Situation,
    fickle: Option<u32>,
) -> Result<(), Refusal> {
    if let Some(times) = fickle {
        return Err(Refusal::Fickle { client: terms.client, times });
    }
    if terms.min_price >= terms.max_price {
        return Err(Refusal::NoAuction(AuctionFault::NoRange));
    }
    if terms.ramp_period < u64::from(auction.min_reveal_period) {
        return Err(Refusal::NoAuction(AuctionFault::RevealPeriod));
    }
    if reveal_until(terms) >= terms.lock_by {
        return Err(Refusal::NoAuction(AuctionFault::TooLong));
    }
    // A bid binds a slot and money until the award, and costs the client nothing: neither may be more than this provider says.
    let seconds = terms.lock_by.since(situation.now);
    if seconds > u64::from(offer.max_window) {
        return Err(Refusal::LongAuction { seconds, limit: offer.max_window });
    }
    if deposit(terms) > offer.max_collateral {
        return Err(Refusal::Deposit { asked: deposit(terms), limit: offer.max_collateral });
    }
    let pace = &situation.pace;
    for (phase, seconds, needed) in [
        (Phase::Sealing, terms.ramp_start.since(situation.now), pace.sealing()),
        (Phase::Opening, terms.ramp_period, pace.opening()),
        (Phase::Awarding, terms.lock_by.since(reveal_until(terms)), pace.awarding()),
    ] {
        if seconds < needed {
            return Err(Refusal::AuctionPhase { phase, seconds, needed });
        }
    }
    Ok(())
}

/// Takes a bidder's next step, if there is one.
pub(super) fn advance(bid: &mut Option<Bid>, work: &mut Work, provider: &mut Provider, cx: &mut Context<'_>) {
    if bid.is_none() {
        *bid = decide_to_bid(work, provider, cx);
    }
    let Some(bid) = bid.as_mut().filter(|bid| !bid.over) else { return };
    cx.changed |= bid.note(&cx.view.terms, cx.situation);
    let auction = cx.view.auction.clone().unwrap_or_default();
    let is_going_on = cx.view.status == Status::Open && auction.end.is_none();
    let mut need = Need::default();
    if is_going_on {
        need = advance_open(bid, &auction, work, provider, cx);
    }
    if auction.end.is_none() && auction.own_price.is_some() {
        // Its collateral may be there until somebody says that it is too late for an award.
        if cx.reached(cx.view.terms.lock_by.after(1)) {
            cx.begin(Step::ReleaseAuction);
        }
    } else {
        conclude(bid, &auction, provider, cx);
    }
    provider.purse.set_need(cx.view.id, (!bid.over).then_some(need));
}

/// A bid for a job that the provider wants and has room for.
fn decide_to_bid(work: &mut Work, provider: &mut Provider, cx: &mut Context<'_>) -> Option<Bid> {
    let (id, terms) = (cx.view.id, &cx.view.terms);
    let is_ours = cx.situation.auction.is_some_and(|auction| auction.is_matcher_of(terms));
    if !is_ours || cx.view.status != Status::Open || work.decision != Decision::Wanted || !provider.takes_jobs() {
        return None;
    }
    let (seconds, needed) = (terms.ramp_start.since(cx.now()), cx.situation.pace.landing().max(1));
    if seconds < needed {
        provider.queue.remove(&(cx.view.opened, id));
        decide(work, Decision::Refused(Refusal::AuctionPhase { phase: Phase::Sealing, seconds, needed }), cx);
        return None;
    }
    if !provider.has_room(work.needs) {
        provider.queue.insert((cx.view.opened, id));
        cx.reached(terms.ramp_start);
        return None;
    }
    let price = with_gas(work.asking, provider, cx).max(terms.min_price);
    if price > terms.max_price {
        provider.queue.remove(&(cx.view.opened, id));
        decide(work, Decision::Refused(Refusal::Price { offered: terms.max_price, asking: price }), cx);
        return None;
    }
    let stake = deposit(terms).max(terms.collateral);
    if provider.purse.is_closed_to(stake) {
        provider.queue.remove(&(cx.view.opened, id));
        decide(work, Decision::Refused(Refusal::NoBidMoney), cx);
        return None;
    }
    work.bid = Some(price);
    cx.changed = true;
    Some(Bid { price, stake, sealed_by: None, opened_by: None, has_cost: false, over: false })
}

/// What a job costs, with the gas of a bid for it.
fn with_gas(asking: AttoFil, provider: &Provider, cx: &Context<'_>) -> AttoFil {
    let gas = cx.situation.auction.map_or(0, |auction| auction.bid_gas);
    provider.offer.as_ref().map_or(asking, |offer| offer.with_gas(asking, gas, cx.situation.settings.quantum))
}

/// Does what is due before the award; says what the bid needs from now on.
fn advance_open(bid: &Bid, auction: &AuctionView, work: &Work, provider: &mut Provider, cx: &mut Context<'_>) -> Need {
    let terms = &cx.view.terms;
    let (ramp_start, lock_by, reveal_until) = (terms.ramp_start, terms.lock_by, reveal_until(terms));
    let is_sealing = !cx.reached(ramp_start);
    let is_sent = matches!(cx.steps.get(&Step::CommitBid), Some(StepState::InFlight { .. } | StepState::Landed { .. }));
    let is_wanted = !matches!(work.decision, Decision::Lost | Decision::Refused(_))
        && (auction.own_order.is_some() || is_sent || !provider.purse.is_emptied());
    // A bid that was not opened in time wins nothing.
    let is_in = is_sealing || auction.own_order.is_some() && (auction.own_price.is_some() || cx.now() <= reveal_until);
    if is_in && is_wanted {
        // What it may win it must run.
        provider.running.insert(cx.view.id, work.needs);
    } else {
        provider.running.remove(&cx.view.id);
    }
    if auction.own_order.is_none() {
        if !is_sealing || !is_wanted || !(provider.takes_jobs() || is_sent) {
            return Need::default();
        }
        let need = need_to_seal(bid, terms, cx.steps.get(&Step::CommitBid));
        provider.purse.set_need(cx.view.id, Some(need));
        if !need.waits || provider.purse.covers(cx.view.id) {
            cx.begin(Step::CommitBid);
        }
        return need_to_seal(bid, terms, cx.steps.get(&Step::CommitBid));
    } else if auction.own_price.is_none() {
        let Some(sealed_by) = bid.sealed_by else {
            cx.wake_at_head = true;
            return need_to_open(bid, terms, is_in, cx.steps.get(&Step::RevealBid));
        };
        if cx.reached_final(sealed_by) && cx.now() <= reveal_until {
            cx.begin(Step::RevealBid);
        }
        return need_to_open(bid, terms, is_in, cx.steps.get(&Step::RevealBid));
    } else if cx.reached(reveal_until.after(1)) && cx.now() <= lock_by {
        // The winner gains most by it. Of equal bids, both try.
        let is_lowest = auction.own_price <= auction.lowest;
        let courtesy = if is_lowest { 0 } else { COURTESY.max(cx.situation.pace.landing()) };
        if cx.reached(reveal_until.after(1 + courtesy)) {
            cx.begin(Step::Award);
        }
    }
    Need::default()
}

/// What a bid needs that is not sealed, as far as is known. `commit`: where that step stands.
fn need_to_seal(bid: &Bid, terms: &Terms, commit: Option<&StepState>) -> Need {
    let (all, rest) = (bid.stake, bid.stake.saturating_sub(deposit(terms)));
    match commit {
        None | Some(StepState::Waiting { .. }) => Need { least: all, most: all, waits: true },
        Some(StepState::InFlight { .. }) => Need { least: rest, most: all, waits: false },
        Some(StepState::Landed { .. }) => Need { least: rest, most: rest, waits: false },
        Some(StepState::Done | StepState::Failed { .. }) => Need::default(),
    }
}

/// What a bid needs that is sealed: its deposit comes back when it is opened, and collateral is taken. `reveal`: where that step
/// stands.
fn need_to_open(bid: &Bid, terms: &Terms, is_in: bool, reveal: Option<&StepState>) -> Need {
    let rest = if is_in { bid.stake.saturating_sub(deposit(terms)) } else { AttoFil::ZERO };
    match reveal {
        Some(StepState::Landed { .. }) => Need::default(),
        Some(StepState::InFlight { .. }) => Need { least: AttoFil::ZERO, most: rest, waits: false },
        _ => Need { least: rest, most: rest, waits: false },
    }
}

/// The bid is over once nothing can undo that it is.
fn conclude(bid: &mut Bid, auction: &AuctionView, provider: &mut Provider, cx: &mut Context<'_>) {
    let block = match (auction.end, bid.opened_by) {
        (Some(_), _) => auction.ended_in,
        (None, Some(block)) => block,
        (None, None) => {
            if cx.reached(reveal_until(&cx.view.terms).after(1)) {
                cx.wake_at_head = true;
            }
            return;
        }
    };
    // What sealing it comes to says whether that cost gas.
    let is_asked_for = matches!(cx.steps.get(&Step::CommitBid), Some(StepState::InFlight { .. }));
    if is_asked_for || !cx.reached_final(block) {
        return;
    }
    (bid.over, cx.changed) = (true, true);
    // Its client may do that at no cost, until a bid is sealed.
    let was_cancelled = auction.end == Some(AuctionEnd::Cancelled) && cx.view.since < cx.view.terms.ramp_start;
    if was_cancelled && auction.own_order.is_none() && std::mem::take(&mut bid.has_cost) {
        provider.fickle.count(cx.view.terms.client);
        cx.effects.push(Effect::RememberFickleClients);
    }
}

/// How many commands to the auction a bid that may win is bound to send, sealing included.
pub(super) fn commands_left(job: &Job) -> u32 {
    if job.view.status != Status::Open || !may_win(job) {
        return 0;
    }
    let auction = job.view.auction.as_ref();
    let (sealed, opened) = auction.map_or((false, false), |view| (view.own_order.is_some(), view.own_price.is_some()));
    // The last one awards, or releases.
    3 - u32::from(sealed) - u32::from(opened)
}

/// Whether a bidder needs nothing more of a job, unless something happens to it.
pub(super) fn is_quiet(job: &Job) -> bool {
    job.bid.as_ref().is_none_or(|bid| bid.over)
}

/// Whether a bid may still win the job.
pub(super) fn may_win(job: &Job) -> bool {
    job.bid.as_ref().is_some_and(|bid| !bid.over)
        && !matches!(job.work.as_ref().map(|work| &work.decision), Some(Decision::Lost | Decision::Refused(_)))
}

#[cfg(test)]
mod tests {
    use alloy_primitives::U256;

    use super::*;
    use crate::Time;

    #[test]
    fn a_bid_needs_what_no_command_has_taken_for_certain() {
        let terms = Terms {
            client: Address::ZERO,
            salt: U256::ZERO,
            spec: B256::ZERO,
            spec_codec: 0,
            min_price: AttoFil(1),
            max_price: AttoFil(31),
            ramp_start: Time(0),
            ramp_period: 1,
            lock_by: Time(3),
            run_for: 1,
            review_for: 0,
            rule_for: 0,
            collateral: AttoFil(50),
            matcher: Address::ZERO,
            arbiter: Address::ZERO,
            callback_gas: 0,
            keep_record: false,
        };
        // The deposit is 30; the collateral is taken when that has come back.
        let (price, stake) = (AttoFil(7), AttoFil(50));
        let bid = Bid { price, stake, sealed_by: None, opened_by: None, has_cost: false, over: false };
        let need = |least, most, waits| Need { least: AttoFil(least), most: AttoFil(most), waits };
        let in_flight = StepState::InFlight { attempt: 1, round: 0 };
        let landed = StepState::Landed { attempts: 1, until: Time(9) };
        let waiting = StepState::Waiting { attempts: 1, until: Time(9), failure: super::super::Failure::NeverSent };
        let seal = |state| need_to_seal(&bid, &terms, state);
        assert_eq!([None, Some(&waiting)].map(seal), [need(50, 50, true); 2]);
        assert_eq!([&in_flight, &landed].map(|s| seal(Some(s))), [need(20, 50, false), need(20, 20, false)]);
        let open = |is_in, state| need_to_open(&bid, &terms, is_in, state);
        assert_eq!([None, Some(&waiting)].map(|state| open(true, state)), [need(20, 20, false); 2]);
        assert_eq!(open(true, Some(&in_flight)), need(0, 20, false));
        assert_eq!((open(true, Some(&landed)), open(false, None)), (Need::default(), Need::default()));
    }
}
