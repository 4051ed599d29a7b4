//! What agents want is done: commands go to the chain, and come back as events.

use lota_market::{
    AttoFil,
    agent::{AuctionSubmission, Effect, Failure, Input, Seal, Step, StepKey, StepOutcome, Submission},
    auction::{self, Bid},
    model::{Event, JobId},
    world::{CallError, ContractCommand, ContractEvent, Log},
};

use super::{Happening, Sending, Simulation, SimulationError, local::Local, party::Role};
use crate::{chain::AUCTION, identity, queue::VirtualTime, scenario::Amount, strategy::Sealed};

impl Simulation<'_> {
    /// Tells a party something, and does what it wants then.
    pub(super) fn tell(&mut self, party: u32, input: Input<'_>) -> Result<(), SimulationError> {
        let now = self.chain.head().time;
        let effects = self.parties[party as usize].agent.handle(input, now);
        self.settle(party, effects)
    }

    /// Tells a party where the chain is, and does what it wants.
    pub(super) fn settle(&mut self, party: u32, mut effects: Vec<Effect>) -> Result<(), SimulationError> {
        let (head, finalized) = (self.chain.head(), self.chain.finalized());
        let is_auctioned = self.scenario.job.auction.is_some();
        let member = &mut self.parties[party as usize];
        let (balance, known) = member.told;
        let free = self.chain.market().balance(member.account);
        if balance != free {
            effects.extend(member.agent.handle(Input::Balance(free), head.time));
        }
        if known != head {
            let block = head.block;
            effects.extend(member.agent.handle(Input::Head { block, finalized, latest: head }, head.time));
        }
        member.told = (free, head);
        while is_auctioned && member.agent.wants_auction_balance() {
            let held = self.chain.auction().balance(member.account);
            effects.extend(member.agent.handle(Input::AuctionBalance(held), head.time));
        }
        for effect in effects {
            self.perform(party, effect)?;
        }
        let member = &mut self.parties[party as usize];
        member.sweep();
        self.rewake(party);
        Ok(())
    }

    /// Has a party called when its agent wants to be.
    fn rewake(&mut self, party: u32) {
        let (now, head) = (self.now(), self.chain.head());
        let member = &mut self.parties[party as usize];
        // What is due already is due again in the next second.
        let wanted = member.next_wake().map(|time| self.chain.reaches(time.max(head.time.after(1))));
        let finality = member.final_at.map(|block| self.chain.begins(block));
        let Some(next) = wanted.into_iter().chain(finality).min().map(|time| time.max(now)) else { return };
        if member.wake.is_none_or(|scheduled| next < scheduled) {
            member.wake = Some(next);
            self.queue.schedule(next, Happening::Wake { party });
        }
    }

    pub(super) fn on_wake(&mut self, party: u32) -> Result<(), SimulationError> {
        let (now, finalized) = (self.now(), self.chain.finalized());
        let member = &mut self.parties[party as usize];
        if member.wake != Some(now) {
            return Ok(());
        }
        member.wake = None;
        member.final_at = member.final_at.filter(|block| *block > finalized + self.scenario.chain.final_blocks);
        self.tell(party, Input::Tick)
    }

    pub(super) fn on_resume(&mut self, party: u32) -> Result<(), SimulationError> {
        self.tell(party, Input::Resume)
    }

    fn perform(&mut self, party: u32, effect: Effect) -> Result<(), SimulationError> {
        let key = match effect {
            Effect::Do(key) => key,
            Effect::Suspend { .. } => {
                if let Some(seconds) = self.providers_of(party).and_then(|population| population.resume_after) {
                    let time = self.now().after(VirtualTime::from_secs(seconds));
                    self.queue.schedule(time, Happening::Resumes { party });
                }
                return Ok(());
            }
            // Nobody crashes here.
            Effect::Retire { .. }
            | Effect::RememberCostlyClients
            | Effect::RememberFickleClients
            | Effect::RememberCostlyPayers
            | Effect::RememberPurse => return Ok(()),
        };
        let member = &self.parties[party as usize];
        let Some(job) = key.job() else {
            match member.agent.transfer(&key) {
                Some((AuctionSubmission { command, value }, true)) => {
                    self.send(party, key, ContractCommand::Auction(command), value);
                }
                Some((_, false)) => self.begin_local(
                    VirtualTime::default(),
                    Local { party, key, outcome: Some(StepOutcome::Err(Failure::NeverSent)) },
                ),
                None => {}
            }
            return Ok(());
        };
        let Some(record) = member.agent.job(job) else { return Ok(()) };
        let account = member.account;
        let price = std::cell::Cell::new(AttoFil::ZERO);
        let seal = |job, sealed| {
            price.set(sealed);
            let nonce = identity::nonce(job, account);
            Some(Seal { nonce, commitment: identity::commitment(&Bid { job, bidder: account, price: sealed, nonce }) })
        };
        let to_auction =
            if record.view.terms.matcher == AUCTION { record.auction_submission(key.step, seal) } else { None };
        if let Some(AuctionSubmission { command, value }) = to_auction {
            match key.step {
                Step::CommitBid => self.sealed(job, price.get()),
                Step::RevealBid if !self.opens(party, job, &command) => {
                    let problem = "the bid is not to be opened".to_owned();
                    let outcome = Some(StepOutcome::Err(Failure::Permanent(problem)));
                    self.begin_local(VirtualTime::default(), Local { party, key, outcome });
                    return Ok(());
                }
                _ => {}
            }
            self.send(party, key, ContractCommand::Auction(command), value);
        } else if let Some(Submission { command, value }) = record.submission(key.step) {
            self.send(party, key, ContractCommand::Market(command), value);
        } else {
            self.do_locally(party, key, job);
        }
        Ok(())
    }

    /// A bid is on its way.
    fn sealed(&mut self, job: JobId, price: AttoFil) {
        if let Some(record) = self.jobs.jobs.get_mut(&job) {
            record.sealed.push(price);
        }
    }

    /// Whether a party opens its bid.
    fn opens(&self, party: u32, job: JobId, reveal: &auction::Command) -> bool {
        let (Role::Provider(provider), auction::Command::Reveal { price, .. }) =
            (&self.parties[party as usize].role, reveal)
        else {
            return true;
        };
        let cost = self.jobs.jobs.get(&job).map_or(provider.cost, |record| provider.cost_of(record.gigafuel));
        let has_rival = self.chain.auction().auction(job).best.is_some();
        provider.strategy.opens(&Sealed { price: Amount::to_fil(*price), cost, has_rival })
    }

    /// Sends a command: it reaches the chain after a while, and lands there with the next block.
    fn send(&mut self, party: u32, key: StepKey, command: ContractCommand, value: AttoFil) {
        let own = self.providers_of(party).and_then(|population| population.latency.as_ref());
        let latency = own.unwrap_or(&self.scenario.chain.latency).clone();
        let latency = latency.sample(&mut self.parties[party as usize].chance);
        let lands = self.chain.lands(self.now().after(VirtualTime::from_secs(latency)));
        let sending = self.sendings.insert(Sending { party, key, command, value }) as u32;
        self.queue.schedule(lands, Happening::Lands { sending });
    }

    pub(super) fn on_landing(&mut self, sending: u32) -> Result<(), SimulationError> {
        let Some(Sending { party, key, command, value }) = self.sendings.try_remove(sending as usize) else {
            return Ok(());
        };
        let account = self.parties[party as usize].account;
        let mut log = std::mem::take(&mut self.log);
        let executed = self.chain.execute(account, &command, value, &mut log);
        let outcome = match executed {
            Ok(()) => {
                self.observe(&log)?;
                StepOutcome::Ok
            }
            Err(error) => {
                if key.step == Step::Open
                    && let Some(job) = key.job()
                {
                    self.was_not_opened(job);
                }
                StepOutcome::Err(failure(error, self.chain.head().block))
            }
        };
        self.tell(party, Input::Done { key, outcome })?;
        self.dispatch(&log)?;
        log.clear();
        self.log = log;
        Ok(())
    }

    /// Executes a command of somebody who has no agent.
    pub(super) fn execute(
        &mut self,
        sender: lota_market::Address,
        command: &ContractCommand,
        value: AttoFil,
    ) -> Result<bool, SimulationError> {
        let mut log = Vec::new();
        if self.chain.execute(sender, command, value, &mut log).is_err() {
            return Ok(false);
        }
        self.observe(&log)?;
        self.dispatch(&log)?;
        Ok(true)
    }

    /// Everybody whom an event concerns is told.
    fn dispatch(&mut self, log: &[Log]) -> Result<(), SimulationError> {
        for Log { event, .. } in log {
            match event {
                ContractEvent::Market(event) => {
                    let Some(job) = event.job() else { continue };
                    if let Event::JobOpened { .. } = event {
                        self.announce(job, event)?;
                    } else {
                        self.tell_followers(job, |block, time| Input::Event { block, time, event })?;
                    }
                    self.after(job, event)?;
                }
                ContractEvent::Auction(event) => {
                    let Some(job) = event.job() else { continue };
                    self.tell_followers(job, |block, time| Input::AuctionEvent { block, time, event })?;
                }
                ContractEvent::Blessing(_)
                | ContractEvent::FilecoinPay(_)
                | ContractEvent::Granter(_)
                | ContractEvent::FilecoinPayDeals(_) => {}
            }
        }
        Ok(())
    }

    /// A new job is seen by its client and by all providers. Each time another one sees it first: of several who want it at the
    /// same moment and price, none is always the quickest.
    fn announce(&mut self, job: JobId, event: &Event) -> Result<(), SimulationError> {
        let Some((client, task)) = self.jobs.jobs.get(&job).map(|record| (record.client, record.task)) else {
            return Ok(());
        };
        let mut followers = vec![client];
        self.tell_event(client, event)?;
        let count = self.providers.len();
        let first = if count == 0 { 0 } else { (task % count as u64) as usize };
        for at in 0..count {
            let party = self.providers[(first + at) % count];
            self.tell_event(party, event)?;
            if self.parties[party as usize].agent.job(job).is_some_and(is_followed) {
                followers.push(party);
            }
        }
        if let Some(record) = self.jobs.jobs.get_mut(&job) {
            record.followers = followers;
        }
        Ok(())
    }

    fn tell_event(&mut self, party: u32, event: &Event) -> Result<(), SimulationError> {
        let head = self.chain.head();
        self.note_block(party, head.block);
        self.tell(party, Input::Event { block: head.block, time: head.time, event })
    }

    fn note_block(&mut self, party: u32, block: u64) {
        let depth = self.scenario.chain.final_blocks;
        if depth > 0 {
            self.parties[party as usize].final_at = Some(block + depth);
        }
    }

    fn tell_followers<'e>(
        &mut self,
        job: JobId,
        input: impl Fn(u64, lota_market::Time) -> Input<'e>,
    ) -> Result<(), SimulationError> {
        let Some(record) = self.jobs.jobs.get_mut(&job) else { return Ok(()) };
        let head = self.chain.head();
        let mut followers = std::mem::take(&mut record.followers);
        for party in &followers {
            self.note_block(*party, head.block);
            self.tell(*party, input(head.block, head.time))?;
        }
        followers.retain(|party| self.parties[*party as usize].agent.job(job).is_some_and(is_followed));
        if let Some(record) = self.jobs.jobs.get_mut(&job) {
            record.followers = followers;
        }
        Ok(())
    }
}

/// Whether an agent may still do something about a job.
fn is_followed(job: &lota_market::agent::Job) -> bool {
    use lota_market::agent::Decision;
    let is_out = |work: &lota_market::agent::Work| matches!(work.decision, Decision::Refused(_) | Decision::Lost);
    job.order.is_some() || job.bid.is_some() || job.work.as_ref().is_some_and(|work| !is_out(work))
}

/// What an agent is told of a refusal.
fn failure(error: CallError, block: u64) -> Failure {
    match error {
        CallError::Rejected(rejection) => Failure::rejected(rejection, Some(block)),
        CallError::RejectedByAuction(rejection) => {
            Failure::RejectedByAuction { rejection: Box::new(rejection), block: Some(block) }
        }
        CallError::Unaffordable { account, wallet, needed } => Failure::Unaffordable { account, wallet, needed },
        other => Failure::Permanent(other.to_string()),
    }
}
