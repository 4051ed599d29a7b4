//! Clients ask for jobs.

use lota_market::{
    Address, AttoFil, U256,
    agent::{Input, Request},
    model::{SpecCodec, Terms},
};

use super::{
    MOST_JOBS, MOST_WAITING, Simulation, SimulationError,
    jobs::{JobRecord, TaskRecord},
    party::Role,
    setup,
};
use crate::{
    chain::{ARBITER, AUCTION},
    identity,
    queue::VirtualTime,
    scenario::{Amount, Clients, Scenario},
};

impl Simulation<'_> {
    fn clients_of(scenario: &Scenario, population: u16) -> Option<&Clients> {
        // Populations of clients come first, in this order.
        scenario.clients.values().nth(population.into())
    }

    pub(super) fn on_request(&mut self, party: u32) -> Result<(), SimulationError> {
        let (now, member) = (self.now(), &mut self.parties[party as usize]);
        let Some(population) = Self::clients_of(self.scenario, member.population) else { return Ok(()) };
        if let Some(client) = member.client() {
            client.due.push_back(now);
        }
        self.waiting += 1;
        if self.waiting > MOST_WAITING {
            return Err(SimulationError::TooManyWaiting(now));
        }
        self.schedule_request(party, population);
        self.ask(party)
    }

    /// A client asks for what it wants, as far as it can.
    pub(super) fn ask(&mut self, party: u32) -> Result<(), SimulationError> {
        let scenario = self.scenario;
        let (replicas, price) = (scenario.job.replicas, scenario.job.max_price.0);
        let all = AttoFil(price.0.saturating_mul(replicas.into()));
        loop {
            let account = self.parties[party as usize].account;
            let free = self.chain.market().balance(account);
            let member = &mut self.parties[party as usize];
            let Some(population) = Self::clients_of(scenario, member.population) else { return Ok(()) };
            let Role::Client(client) = &mut member.role else { return Ok(()) };
            let Some(wanted) = client.due.front().copied() else { return Ok(()) };
            if population.concurrency.is_some_and(|most| client.busy.saturating_add(replicas) > most) {
                return Ok(());
            }
            let left = free.saturating_sub(client.committed).checked_sub(all);
            client.is_blocked = left.is_none_or(|left| left < population.reserve.0);
            if client.is_blocked {
                return Ok(());
            }
            client.due.pop_front();
            self.waiting -= 1;
            if self.jobs.jobs.len() >= MOST_JOBS {
                return Err(SimulationError::TooManyJobs(self.queue.now()));
            }
            client.busy += replicas;
            client.committed = AttoFil(client.committed.0.saturating_add(all.0));
            let highest = Amount::to_fil(price);
            let value = population.value.as_ref().map_or(highest, |value| value.sample(&mut member.chance));
            let gigafuel = scenario.job.gigafuel.sample(&mut member.chance);
            self.ask_for_task(party, wanted, value, gigafuel)?;
        }
    }

    fn ask_for_task(
        &mut self,
        party: u32,
        wanted: VirtualTime,
        value: f64,
        gigafuel: f64,
    ) -> Result<(), SimulationError> {
        let job = &self.scenario.job;
        // Whole 10^6 units: specs of the same size are one spec.
        let megafuel = (gigafuel * 1e3).round().clamp(1.0, 1e12) as u64;
        let wall = setup::wall(job, self.chain.pace().min_window());
        let (spec, digest) = self.specs.spec(megafuel, wall)?;
        let task = self.jobs.next_task;
        self.jobs.next_task += 1;
        self.summary.tasks += 1;
        let left = job.replicas;
        let truth = identity::output(task);
        self.jobs.tasks.insert(task, TaskRecord { truth, value, left, submitted: Vec::new(), paid: Vec::new() });
        for _ in 0..job.replicas {
            let salt = {
                let Some(client) = self.parties[party as usize].client() else { return Ok(()) };
                client.next_salt += 1;
                client.next_salt - 1
            };
            let terms = self.terms(party, salt, digest);
            let id = identity::job_id(&terms);
            let record = JobRecord {
                task,
                client: party,
                terms: terms.clone(),
                gigafuel: megafuel as f64 / 1e3,
                requested: wanted,
                provider: None,
                price: AttoFil::ZERO,
                due: VirtualTime::default(),
                result: None,
                sealed: Vec::new(),
                after_look: None,
                followers: Vec::new(),
            };
            self.jobs.jobs.insert(id, record);
            let request = Request { id, terms, spec: spec.clone(), value: AttoFil::ZERO };
            self.tell(party, Input::Request(Box::new(request)))?;
        }
        Ok(())
    }

    fn terms(&self, party: u32, salt: u64, spec: lota_market::B256) -> Terms {
        let (scenario, now) = (self.scenario, self.chain.head().time);
        let job = &scenario.job;
        // The clock goes on while the opening is on its way.
        let on_its_way = self.chain.pace().landing();
        let start = now.after(on_its_way);
        let (ramp_start, ramp_period, lock_by, matcher) = match &job.auction {
            None => (now, job.ramp_for, start.after(job.lock_for), Address::ZERO),
            Some(auction) => {
                let opens = start.after(auction.seal_for);
                (opens, auction.reveal_for, opens.after(auction.reveal_for + auction.award_for), AUCTION)
            }
        };
        let is_mediated = scenario.mediation.is_some();
        let windows = if is_mediated { (job.review_for, job.rule_for, ARBITER) } else { (0, 0, Address::ZERO) };
        let (review_for, rule_for, arbiter) = windows;
        Terms {
            client: self.parties[party as usize].account,
            salt: U256::from(salt),
            spec,
            spec_codec: SpecCodec::DagCbor.code(),
            min_price: job.min_price.0,
            max_price: job.max_price.0,
            ramp_start,
            ramp_period,
            lock_by,
            run_for: job.run_for,
            review_for,
            rule_for,
            collateral: job.collateral.0,
            matcher,
            arbiter,
            callback_gas: 0,
            keep_record: false,
        }
    }
}
