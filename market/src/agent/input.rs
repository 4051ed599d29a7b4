//! What an agent is told, and what it says of itself.

use alloy_primitives::Bytes;

use super::{At, Filling, Job, JobView, StepKey, StepOutcome};
use crate::{
    AttoFil, Time, auction, filecoin_pay_deals,
    model::{Event, JobId, Terms},
};

/// What an agent is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// Something happened on the market. If a record of the job is stored and the agent is concerned
    /// ([`Agent::is_concerned`](super::Agent::is_concerned)), it must hold it ([`Agent::knows`](super::Agent::knows)).
    Event {
        /// Number of its block.
        block: u64,
        /// The block's timestamp.
        time: Time,
        event: &'a Event,
    },
    /// All events up to a block were given.
    Head {
        /// The block's number.
        block: u64,
        /// Number of the newest block that will not be undone.
        finalized: u64,
        /// The newest block, however deep. None that follows it has an earlier time.
        latest: At,
    },
    /// Something happened in the auction, about a job; otherwise as [`Event`](Self::Event).
    AuctionEvent { block: u64, time: Time, event: &'a auction::Event },
    /// Something happened at a `FilecoinPayDeals`, about a job; otherwise as [`Event`](Self::Event). An order is opened before its job
    /// is: who holds no such job yet is told again when it does.
    OrderEvent { block: u64, time: Time, event: &'a filecoin_pay_deals::Event },
    /// The chain was reorganised; a [`Refold`](Self::Refold) for each job that was touched follows.
    Rewind {
        /// Number of the highest block that still holds.
        block: u64,
    },
    /// A reorganisation changed what the events of a job add up to; `None`: it is no longer open.
    Refold {
        job: JobId,
        /// The new fold.
        view: Option<Box<JobView>>,
    },
    /// A step came to an end.
    Done {
        /// Which.
        key: StepKey,
        /// What it came to.
        outcome: StepOutcome,
    },
    /// The party wants a job done.
    Request(Box<Request>),
    /// The party wants its job cancelled.
    Cancel(JobId),
    /// Somebody else sends with the party's key: until [`Resume`](Self::Resume) it takes no more jobs, and finishes those that it has.
    KeyShared,
    /// The party's free balance in the market.
    Balance(AttoFil),
    /// What the party's account in the auction holds: asked after everything else that it was told.
    AuctionBalance(AttoFil),
    /// Its operator takes so much more out of that account by hand, of what is free ([`Agent::bid_money`](super::Agent::bid_money)); and
    /// from now on it is filled like this, until [`Resume`](Self::Resume). Who sends it says what is left of that
    /// ([`BidMoneyLeaving`](Self::BidMoneyLeaving)) when it has left.
    TakeBidMoney { amount: AttoFil, filling: Filling },
    /// What the operator takes out of that account by hand, in all, and has not left it yet.
    BidMoneyLeaving(AttoFil),
    /// What the party asks from now on for each 10^6 units of gas that a client's callback is promised.
    CallbackPrice(AttoFil),
    /// A provider that was slashed may lock jobs again, and bring money for its bids.
    Resume,
    /// The party's node is about to end: a provider binds itself to no further jobs ([`Agent::bound`](super::Agent::bound)).
    Drain,
    /// Time has passed.
    Tick,
}

/// A job that the party wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The id that the terms have in this market.
    pub id: JobId,
    /// The terms; the client is this party.
    pub terms: Terms,
    /// The spec's bytes, which hash to the terms' digest.
    pub spec: Bytes,
    /// Money from outside the market to send along.
    pub value: AttoFil,
}

/// What a provider is bound to send for its jobs and bids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Commitments {
    /// Commands: results and settlements; of bids, what is left of sealing, opening and awarding.
    pub commands: u32,
    /// Gas that the clients' callbacks may use, all together.
    pub callback_gas: u64,
}

/// A record that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub job: Job,
    /// Whether the agent wants it back after a restart ([`Agent::restore`](super::Agent::restore)): it still needs something, or
    /// its end may be undone. Of the latter, [`Effect::Retire`](super::Effect::Retire) says when that is over.
    pub live: bool,
}
