//! What is counted, and what becomes of jobs' records.

use lota_market::{
    AttoFil, B256,
    model::{Event, JobId, Reason},
    movements::Holdings,
    world::{ContractEvent, Log},
};

use super::{
    Outcome, Simulation, SimulationError,
    moments::States,
    party::{Party, Role},
};
use crate::{
    identity,
    queue::VirtualTime,
    scenario::Amount,
    summary::{PartyOutcome, Population, Summary, gini},
};

/// Sums for means.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Sums {
    /// Seconds from requests to settlements.
    pub(super) waited: f64,
    /// What correct results were worth, in FIL.
    pub(super) value: f64,
}

impl Simulation<'_> {
    /// What contracts said is counted and entered, before anybody reacts to it.
    pub(super) fn observe(&mut self, log: &[Log]) -> Result<(), SimulationError> {
        let now = self.now();
        self.ledger.take_in(now, log, self.sink)?;
        for Log { event, .. } in log {
            if let ContractEvent::Market(event) = event
                && let Some(job) = event.job()
            {
                self.count(job, event, now);
            }
        }
        Ok(())
    }

    fn count(&mut self, id: JobId, event: &Event, now: VirtualTime) {
        let Some(record) = self.jobs.jobs.get_mut(&id) else { return };
        let Some(task) = self.jobs.tasks.get_mut(&record.task) else { return };
        let summary = &mut self.summary;
        let output = record.result.as_ref().map_or(B256::ZERO, |result| result.output);
        let is_right = output == task.truth;
        match event {
            Event::JobOpened { terms, .. } => {
                summary.opened += 1;
                let client = &mut self.parties[record.client as usize];
                client.tally.escrows += 1;
                if let Some(client) = client.client() {
                    client.committed = client.committed.saturating_sub(terms.max_price);
                }
            }
            Event::JobLocked { provider, price, .. } => {
                summary.locked += 1;
                (record.provider, record.price) = (identity::number(*provider), *price);
                record.due = now.after(VirtualTime(u64::from(record.terms.run_for) * 1_000));
            }
            Event::ResultSubmitted { result, .. } => {
                record.result = Some(result.clone());
                task.submitted.push(result.output);
                summary.wrong += u64::from(result.output != task.truth);
            }
            Event::JobSettled { price, .. } => {
                summary.settled += 1;
                summary.missed += u64::from(!is_right);
                summary.paid = AttoFil(summary.paid.0.saturating_add(price.0));
                self.sums.waited += now.secs() - record.requested.secs();
                task.paid.push(output);
                self.parties[record.client as usize].tally.settled += 1;
                if let Some(provider) = record.provider {
                    let tally = &mut self.parties[provider as usize].tally;
                    tally.settled += 1;
                    tally.paid += Amount::to_fil(*price);
                }
            }
            Event::JobCancelled { .. } => summary.cancelled += 1,
            Event::JobVoided { .. } => summary.voided += 1,
            Event::JobSlashed { reason, .. } => {
                summary.slashed += 1;
                if *reason == Reason::Overturned {
                    summary.caught += u64::from(!is_right);
                    summary.wronged += u64::from(is_right);
                }
                if let Some(provider) = record.provider {
                    let tally = &mut self.parties[provider as usize].tally;
                    tally.slashes += 1;
                    tally.slashed = AttoFil(tally.slashed.0.saturating_add(record.terms.collateral.0));
                }
            }
            _ => {}
        }
    }

    /// Everybody knows of an event: what follows from it for the simulation.
    pub(super) fn after(&mut self, job: JobId, event: &Event) -> Result<(), SimulationError> {
        match event {
            Event::JobOpened { .. } => self.may_be_shilled(job),
            Event::ResultSubmitted { .. } => self.may_be_checked(job),
            Event::JobSettled { .. }
            | Event::JobCancelled { .. }
            | Event::JobVoided { .. }
            | Event::JobSlashed { .. } => {
                if let Some(client) = self.ended(job) {
                    self.ask(client)?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A job could not be opened.
    pub(super) fn was_not_opened(&mut self, job: JobId) {
        let Some(price) = self.jobs.jobs.get(&job).map(|record| record.terms.max_price) else { return };
        if let Some(client) = self.ended(job)
            && let Some(client) = self.parties[client as usize].client()
        {
            client.committed = client.committed.saturating_sub(price);
        }
    }

    /// A job's record goes; with the last one of a task, the task's. Gives its client.
    fn ended(&mut self, job: JobId) -> Option<u32> {
        let record = self.jobs.jobs.remove(&job)?;
        if let Some(client) = self.parties[record.client as usize].client() {
            client.busy = client.busy.saturating_sub(1);
        }
        let task = self.jobs.tasks.get_mut(&record.task)?;
        task.left = task.left.saturating_sub(1);
        if task.left == 0 {
            if task.is_right() {
                self.sums.value += task.value;
                self.parties[record.client as usize].tally.value += task.value;
            } else if !task.paid.is_empty() {
                self.summary.failed_tasks += 1;
            }
            self.jobs.tasks.remove(&record.task);
        }
        Some(record.client)
    }

    /// Tells the sink the states at all moments before `time` of which it has not been told.
    pub(super) fn tell_states(&mut self, states: &mut States, time: VirtualTime) -> Result<(), SimulationError> {
        while let Some(moment) = states.next_before(time) {
            let under_way = self.jobs.jobs.len() as u64;
            let welfare = self.sums.value - self.summary.cost;
            let state = states.state(moment, &self.summary, under_way, welfare, self.ledger.burned());
            self.sink.state(&state)?;
        }
        Ok(())
    }

    /// What everything came to.
    pub(super) fn outcome(self) -> Result<Outcome, SimulationError> {
        self.ledger.check(&self.chain).map_err(SimulationError::Ledger)?;
        let Self { parties, ledger, chain, mut summary, sums, jobs, populations, happenings, queue, .. } = self;
        let settled = summary.settled.max(1) as f64;
        summary.unfinished = jobs.jobs.len() as u64;
        summary.mean_price = Amount::to_fil(summary.paid) / settled;
        summary.mean_wait = sums.waited / settled;
        summary.welfare = sums.value - summary.cost;
        summary.burned = ledger.burned();
        (summary.commands, summary.refused) = chain.commands();
        summary.events = chain.events();
        summary.happenings = happenings;
        summary.seconds = queue.now().secs();
        summary.digest = chain.digest().to_string().trim_start_matches("0x").to_owned();
        let mut paid: Vec<f64> = parties
            .iter()
            .filter(|party| matches!(party.role, Role::Provider(_)))
            .map(|party| party.tally.paid)
            .collect();
        summary.gini = gini(&mut paid);
        let outcomes: Vec<PartyOutcome> =
            parties.iter().map(|party| outcome_of(party, ledger.of(party.account))).collect();
        summary.blocked = outcomes.iter().filter(|party| party.is_blocked).count() as u64;
        count_populations(&mut summary, &populations, &parties, &outcomes);
        Ok(Outcome { summary, parties: outcomes })
    }
}

fn outcome_of(party: &Party, holdings: Holdings) -> PartyOutcome {
    let Party { name, began, tally, role, .. } = party;
    PartyOutcome {
        name: name.clone(),
        began: *began,
        holdings,
        cost: tally.cost,
        value: tally.value,
        escrows: tally.escrows,
        slashes: tally.slashes,
        settled: tally.settled,
        is_blocked: matches!(role, Role::Client(client) if client.is_blocked),
    }
}

fn count_populations(summary: &mut Summary, names: &[String], parties: &[Party], outcomes: &[PartyOutcome]) {
    summary.populations = names.iter().map(|name| Population { name: name.clone(), ..Population::default() }).collect();
    for (party, outcome) in parties.iter().zip(outcomes) {
        let Some(population) = summary.populations.get_mut(usize::from(party.population)) else { continue };
        // What a client's further accounts lose, the client loses.
        population.parties += u64::from(!matches!(party.role, Role::Shill));
        population.jobs += if matches!(party.role, Role::Client(_)) { outcome.escrows } else { outcome.settled };
        population.mean_profit += outcome.profit();
        population.slashed = AttoFil(population.slashed.0.saturating_add(party.tally.slashed.0));
    }
    for population in &mut summary.populations {
        population.mean_profit /= population.parties.max(1) as f64;
    }
}
