//! What a provider does about a job that is auctioned: it seals a bid, opens it, awards, and takes its money back.
//!
//! It bids what the job costs it: the second price makes that the best it can do. What it brings into the auction for a job
//! ([`Bid::stake`]) is enough for the deposit, and later for the collateral, of that job alone, so that bids do not compete for money;
//! what is left comes back when the end of the auction will not be undone.
//!
//! A bid that is opened is known on every fork of the chain. So it is opened when the last block in which others could seal theirs
//! is final, and not before, also when that costs the deposit; auctions that leave too little time for it are refused.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use super::{
    AuctionEnd, AuctionView, Decision, Failure, Job, Offer, Refusal, Step, StepState, Work,
    caretaker::COURTESY,
    context::{Context, Situation},
    provider::{Provider, decide},
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
}

/// A provider's bid for a job. Its price is decided, and stored, before anything is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bid {
    /// What the job costs it.
    pub price: AttoFil,
    /// What it brings into its account in the auction: the larger of deposit and collateral, which are taken one after the other.
    pub stake: AttoFil,
    /// Number of a block after which no bid can be sealed.
    pub sealed_by: Option<u64>,
    /// Number of a block after which no bid can be opened.
    pub opened_by: Option<u64>,
    /// The newest block when the money that was left had been taken back.
    pub back_by: Option<u64>,
    /// Nothing of it is left in the auction.
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
    /// The command to the auction of a step of an auctioned job, made from the record for the party `me`; `None` for steps that are
    /// none. `seal` gives what a bid at a price is sealed with.
    #[must_use]
    pub fn auction_submission(
        &self,
        step: Step,
        me: Address,
        seal: impl FnOnce(JobId, AttoFil) -> Option<Seal>,
    ) -> Option<AuctionSubmission> {
        let terms = self.view.terms.clone();
        let sealed = |bid: &Bid| Some((bid.price, seal(self.view.id, bid.price)?));
        let mut value = AttoFil::ZERO;
        let command = match step {
            Step::FundBid => {
                value = self.bid.as_ref()?.stake;
                Command::Fund
            }
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
            Step::WithdrawBid => {
                let bid = self.bid.as_ref()?;
                let auction = self.view.auction.clone().unwrap_or_default();
                Command::Withdraw { to: me, amount: bid.left(&auction, &self.view.terms, me) }
            }
            Step::Cancel => Command::Cancel { terms },
            _ => return None,
        };
        Some(AuctionSubmission { command, value })
    }
}

impl Bid {
    /// What is left of the stake when the auction is over.
    fn left(&self, auction: &AuctionView, terms: &Terms, me: Address) -> AttoFil {
        let gone = match (auction.own_order, auction.own_price, auction.end) {
            (None, ..) => AttoFil::ZERO,
            (Some(_), None, _) => deposit(terms),
            (Some(_), Some(_), Some(AuctionEnd::Awarded { winner, .. })) if winner == me => terms.collateral,
            _ => AttoFil::ZERO,
        };
        self.stake.saturating_sub(gone)
    }

    /// Blocks above `block` are undone: what was noted of them holds no more.
    pub(super) fn rewind(&mut self, block: u64) {
        for noted in [&mut self.sealed_by, &mut self.opened_by, &mut self.back_by] {
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
/// # Errors
/// Why this provider does not bid.
pub(super) fn match_terms(
    terms: &Terms,
    auction: &Auctioneer,
    offer: &Offer,
    situation: &Situation,
) -> Result<(), Refusal> {
    if !situation.settings.asset.is_zero() {
        return Err(Refusal::AuctionAsset(situation.settings.asset));
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
    if cx.view.status == Status::Open && auction.end.is_none() {
        advance_open(bid, &auction, work, provider, cx);
    }
    if auction.end.is_none() && auction.own_price.is_some() {
        // Its collateral may be there until somebody says that it is too late for an award.
        if cx.reached(cx.view.terms.lock_by.after(1)) {
            cx.begin(Step::ReleaseAuction);
        }
        return;
    }
    take_back(bid, &auction, cx);
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
    let price = work.asking.max(terms.min_price);
    work.bid = Some(price);
    cx.changed = true;
    let stake = deposit(terms).max(terms.collateral);
    Some(Bid { price, stake, sealed_by: None, opened_by: None, back_by: None, over: false })
}

fn advance_open(bid: &Bid, auction: &AuctionView, work: &Work, provider: &mut Provider, cx: &mut Context<'_>) {
    let terms = &cx.view.terms;
    let (ramp_start, lock_by, reveal_until) = (terms.ramp_start, terms.lock_by, reveal_until(terms));
    let is_sealing = !cx.reached(ramp_start);
    let is_wanted = !matches!(work.decision, Decision::Lost | Decision::Refused(_));
    // A bid that was not opened in time wins nothing.
    let is_in = is_sealing || auction.own_order.is_some() && (auction.own_price.is_some() || cx.now() <= reveal_until);
    if is_in && is_wanted {
        // What it may win it must run.
        provider.running.insert(cx.view.id, work.needs);
    } else {
        provider.running.remove(&cx.view.id);
    }
    if auction.own_order.is_none() {
        if is_sealing && is_wanted && provider.takes_jobs() {
            cx.begin(Step::FundBid);
            if has_landed(cx, Step::FundBid) {
                cx.begin(Step::CommitBid);
            }
        }
    } else if auction.own_price.is_none() {
        let Some(sealed_by) = bid.sealed_by else {
            cx.wake_at_head = true;
            return;
        };
        if cx.reached_final(sealed_by) && cx.now() <= reveal_until {
            cx.begin(Step::RevealBid);
        }
    } else if cx.reached(reveal_until.after(1)) && cx.now() <= lock_by {
        // The winner gains most by it. Of equal bids, both try.
        let is_lowest = auction.own_price <= auction.lowest;
        let courtesy = if is_lowest { 0 } else { COURTESY.max(cx.situation.pace.landing()) };
        if cx.reached(reveal_until.after(1 + courtesy)) {
            cx.begin(Step::Award);
        }
    }
}

/// Takes back what is left, once that will not change any more.
fn take_back(bid: &mut Bid, auction: &AuctionView, cx: &mut Context<'_>) {
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
    if !cx.reached_final(block) {
        return;
    }
    if auction.own_order.is_none() && !has_landed(cx, Step::FundBid) {
        // Whether its money ever got there, only another attempt can tell: under the same key it is sent once.
        if cx.failed(Step::FundBid).is_some() || never_paid(cx) {
            finish(bid, cx);
        } else {
            cx.begin(Step::FundBid);
        }
        return;
    }
    if bid.left(auction, &cx.view.terms, cx.situation.me) == AttoFil::ZERO || cx.failed(Step::WithdrawBid).is_some() {
        finish(bid, cx);
        return;
    }
    if bid.back_by.is_none() && has_landed(cx, Step::WithdrawBid) {
        // It may be undone: when it cannot be any more, the step is done once more, under the same key.
        bid.back_by = Some(cx.situation.latest.block.max(cx.situation.seen));
        cx.steps.remove(&Step::WithdrawBid);
        cx.changed = true;
    }
    if let Some(block) = bid.back_by
        && !cx.reached_final(block)
    {
        return;
    }
    if has_landed(cx, Step::WithdrawBid) {
        finish(bid, cx);
    } else {
        cx.begin(Step::WithdrawBid);
    }
}

fn finish(bid: &mut Bid, cx: &mut Context<'_>) {
    (bid.over, cx.changed) = (true, true);
}

fn has_landed(cx: &Context<'_>, step: Step) -> bool {
    matches!(cx.steps.get(&step), Some(StepState::Landed { .. }))
}

/// Whether the money was refused before it was sent.
fn never_paid(cx: &Context<'_>) -> bool {
    matches!(
        cx.steps.get(&Step::FundBid),
        Some(StepState::Waiting { failure: Failure::Unaffordable { .. } | Failure::RejectedByAuction { .. }, .. })
    )
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
