//! An audit after the fact: what contracts said, folded through the model.
//!
//! An event does not carry the command that caused it, but it leaves no choice of what that did: a [`Replay`] finds for each event
//! the command that would cause it, executes it in a [`World`] at the event's time, and compares what the model says with
//! what was recorded. So every event must be a legal step of the protocol: sender, time, order, salts, amounts, and that there is the
//! money. The first one that is not is a [`Divergence`].
//!
//! What events do not tell is not checked: that a client signed, that a bid opens its commitment, why an entry of a batch was left
//! out, and whether a client has code: of one who is not called nothing is told. A log from which a whole story is missing, or in which somebody deposits another amount, is
//! a legal one, too, until money lacks: therefore the balances at the end are to be compared with those of the contracts
//! ([`Replay::market`], [`Replay::auction`]).

mod command;
mod divergence;
mod outside;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use crate::{
    AttoFil, Time,
    auction::SealedBidAuction,
    model::{Command, Event, JobId, Market, Reason, Receipt, Settings, Status, Terms},
    world::{Call, ContractEvent, DeployError, Log, World},
};
pub use divergence::{Divergence, Problem};
pub use outside::Oracle;
use outside::Outside;
pub use tally::{Party, Tally};

/// What was deployed, and is now replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    pub market: Address,
    pub settings: Settings,
    /// The auction beside it, and its shortest reveal period in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auction: Option<(Address, u32)>,
}

/// An event as a chain recorded it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// The number of its block.
    pub block: u64,
    /// Its place in the block: rises, but not always by one.
    pub index: u32,
    /// The block's timestamp.
    pub time: Time,
    /// The transaction that caused it.
    pub transaction: B256,
    #[serde(flatten)]
    pub log: Log,
}

/// What is known of a job.
#[derive(Clone, Debug)]
struct Known {
    terms: Terms,
    /// Bids that were committed to, and neither revealed nor swept.
    sealed: u32,
}

/// A replay under way. After a divergence it makes no sense to go on.
#[derive(Clone, Debug)]
pub struct Replay<O> {
    deployment: Deployment,
    oracle: O,
    world: World,
    /// The jobs of which something may be said yet.
    jobs: BTreeMap<JobId, Known>,
    /// What the model has said and the record has not, all of one transaction.
    due: VecDeque<Log>,
    /// Jobs whose end was told in this transaction, and not yet what became of their callback.
    called: BTreeSet<JobId>,
    last: Option<(u64, u32, Time, B256)>,
    tally: Tally,
}

impl<O: Oracle> Replay<O> {
    /// A replay from the beginning.
    ///
    /// # Errors
    /// When there can be no such deployment.
    pub fn new(deployment: Deployment, oracle: O) -> Result<Self, DeployError> {
        let Deployment { market, settings, auction } = deployment;
        let mut world = World::new();
        if settings.is_token() {
            world.deploy_token(settings.asset)?;
        }
        world.deploy(market, crate::world::Contract::Market(Market::new(settings)))?;
        if let Some((auction, min_reveal_period)) = auction {
            world.deploy_auction(auction, market, min_reveal_period)?;
        }
        Ok(Self {
            deployment,
            oracle,
            world,
            jobs: BTreeMap::new(),
            due: VecDeque::new(),
            called: BTreeSet::new(),
            last: None,
            tally: Tally::default(),
        })
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// When the model cannot say this here.
    pub fn apply(&mut self, event: &Recorded) -> Result<(), Divergence> {
        let outcome = self.check_position(event).and_then(|()| self.fold(event));
        outcome.map_err(|problem| Divergence { at: Some(Box::new(event.clone())), problem: Box::new(problem) })?;
        self.tally.count(&event.log, [self.deployment.market, self.auction_address()]);
        Ok(())
    }

    /// The record ends here: nothing may be due any more.
    ///
    /// # Errors
    /// When the model has more to say.
    pub fn finish(&mut self) -> Result<(), Divergence> {
        self.end_transaction().map_err(|problem| Divergence { at: None, problem: Box::new(problem) })
    }

    /// What the market comes to, if the record is true.
    #[must_use]
    #[expect(clippy::expect_used, reason = "`new` deploys it, and contracts stay")]
    pub fn market(&self) -> &Market {
        self.world.market(self.deployment.market).expect("the market is there from the beginning")
    }

    /// What the auction comes to, if there is one and the record is true.
    #[must_use]
    pub fn auction(&self) -> Option<&SealedBidAuction> {
        self.world.auction(self.auction_address())
    }

    /// What has been counted so far.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The zero address when there is none.
    fn auction_address(&self) -> Address {
        self.deployment.auction.map_or(Address::ZERO, |(auction, _)| auction)
    }

    fn check_position(&mut self, event: &Recorded) -> Result<(), Problem> {
        let Recorded { block, index, time, transaction, .. } = *event;
        if let Some((last_block, last_index, last_time, last_transaction)) = self.last {
            if (block, index) <= (last_block, last_index) {
                return Err(Problem::OutOfOrder { block: last_block, index: last_index });
            }
            if time < last_time || (block == last_block && time != last_time) {
                return Err(Problem::TimeRunsBack { time, before: last_time });
            }
            if transaction != last_transaction || block != last_block {
                self.end_transaction()?;
            }
        }
        self.last = Some((block, index, time, transaction));
        Ok(())
    }

    /// Nothing of a transaction may be due when it is over.
    fn end_transaction(&mut self) -> Result<(), Problem> {
        if let Some(due) = self.due.pop_front() {
            return Err(Problem::Missing(Box::new(due)));
        }
        // Whose end was told and nothing of a callback has a client without code, who is not called.
        for job in core::mem::take(&mut self.called) {
            let Some(known) = self.jobs.get(&job) else { continue };
            let receipt = self.receipt(job);
            let retry = Command::RetryCallback { terms: known.terms.clone(), receipt };
            self.execute(&self.on_market(Address::ZERO, retry), None, true)?;
            self.forget(job);
        }
        Ok(())
    }

    fn fold(&mut self, event: &Recorded) -> Result<(), Problem> {
        let Log { contract, event: told } = &event.log;
        let is_known = match told {
            ContractEvent::Market(_) => *contract == self.deployment.market,
            ContractEvent::Auction(_) => *contract == self.auction_address(),
            ContractEvent::Blessing(_)
            | ContractEvent::FilecoinPay(_)
            | ContractEvent::Granter(_)
            | ContractEvent::FilecoinPayDeals(_) => false,
        };
        if !is_known {
            return Err(Problem::Foreign(*contract));
        }
        if let Some(due) = self.due.pop_front() {
            if due != event.log {
                return Err(Problem::SaysInstead(Box::new(due)));
            }
        } else if let ContractEvent::Market(Event::CallbackFailed { job }) = told {
            // The model was told that it fails, until something else is heard of.
            if !self.called.remove(job) {
                return Err(Problem::NoCallbackDue(*job));
            }
        } else {
            self.cause(event)?;
        }
        self.remember(told);
        Ok(())
    }

    /// Executes what must have caused an event.
    fn cause(&mut self, event: &Recorded) -> Result<(), Problem> {
        let Some(step) = self.command_for(event)? else { return Ok(()) };
        let delivered = matches!(event.log.event, ContractEvent::Market(Event::CallbackDelivered { .. }));
        let mut said: VecDeque<Log> = self.execute(&step.call, step.batch, delivered)?.into();
        // Whether a callback failed is not known before it is told.
        said.retain(|log| match log.event.of_market() {
            Some(Event::CallbackFailed { job }) => !self.called.insert(*job),
            _ => true,
        });
        if let ContractEvent::Market(Event::CallbackDelivered { job }) = &event.log.event {
            self.called.remove(job);
        }
        match said.pop_front() {
            Some(first) if first == event.log => {
                self.due = said;
                Ok(())
            }
            Some(other) => Err(Problem::SaysInstead(Box::new(other))),
            None => Err(Problem::SaysNothing),
        }
    }

    /// What the model says to a call at the time of the last event.
    fn execute(&mut self, call: &Call, batch: Option<(Terms, JobId)>, callbacks: bool) -> Result<Vec<Log>, Problem> {
        let now = self.last.map_or(Time(0), |(_, _, time, _)| time);
        let mut env = Outside { oracle: &self.oracle, now, callbacks, batch };
        let mut log = Vec::new();
        self.world.execute(call, &mut env, &mut log).map_err(Problem::Refused)?;
        Ok(log)
    }

    fn on_market(&self, sender: Address, command: Command) -> Call {
        Call { sender, contract: self.deployment.market, value: AttoFil::ZERO, command: command.into() }
    }

    /// What was submitted, as the market has it.
    fn receipt(&self, job: JobId) -> Receipt {
        self.market().deal(job).receipt.cloned().unwrap_or_default()
    }

    fn terms(&self, job: JobId) -> Result<&Terms, Problem> {
        self.jobs.get(&job).map(|known| &known.terms).ok_or(Problem::UnknownJob(job))
    }

    /// What later events need, and nothing else: jobs that are done with are forgotten.
    fn remember(&mut self, told: &ContractEvent) {
        use crate::auction::Event as Bidding;
        let job = match told {
            ContractEvent::Market(Event::JobOpened { job, terms, .. }) => {
                self.jobs.insert(*job, Known { terms: terms.clone(), sealed: 0 });
                return;
            }
            ContractEvent::Market(event) => event.job(),
            ContractEvent::Auction(event) => {
                let job = event.job();
                if let Some(known) = job.and_then(|job| self.jobs.get_mut(&job)) {
                    match event {
                        Bidding::BidCommitted { .. } => known.sealed = known.sealed.saturating_add(1),
                        Bidding::BidRevealed { .. } | Bidding::CommitmentSwept { .. } => {
                            known.sealed = known.sealed.saturating_sub(1);
                        }
                        _ => {}
                    }
                }
                job
            }
            ContractEvent::Blessing(_)
            | ContractEvent::FilecoinPay(_)
            | ContractEvent::Granter(_)
            | ContractEvent::FilecoinPayDeals(_) => None,
        };
        if let Some(job) = job {
            self.forget(job);
        }
    }

    /// Forgets a job of which nothing can be said any more.
    fn forget(&mut self, job: JobId) {
        let deal = self.market().deal(job);
        let is_over = deal.status == Status::None || (deal.reason != Reason::None && !deal.callback_pending);
        let is_bid_for = self.auction().is_some_and(|auction| auction.auction(job).commits > 0);
        if is_over && !is_bid_for && self.jobs.get(&job).is_some_and(|known| known.sealed == 0) {
            self.jobs.remove(&job);
        }
    }
}
