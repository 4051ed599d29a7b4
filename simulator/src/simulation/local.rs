//! What parties do on their own machines: it takes time, costs money, and may fail.

use lota_market::{
    agent::{Failure, Input, OwnFault, RunReport, Step, StepKey, StepOutcome},
    model::{JobId, JobResult},
};
use rand::Rng as _;

use super::{Happening, Simulation, SimulationError, party::Role};
use crate::{
    identity,
    queue::VirtualTime,
    scenario::{Amount, Providers},
    strategy::{Attempt, Run, Task, Verification},
};

/// Something that a party does on its own machine.
#[derive(Debug)]
pub(super) struct Local {
    pub(super) party: u32,
    pub(super) key: StepKey,
    /// How it ends; `None`: the party looks again.
    pub(super) outcome: Option<StepOutcome>,
}

impl Simulation<'_> {
    pub(super) fn providers_of(&self, party: u32) -> Option<&Providers> {
        let population = usize::from(self.parties[party as usize].population);
        self.scenario.providers.values().nth(population.checked_sub(self.scenario.clients.len())?)
    }

    pub(super) fn begin_local(&mut self, takes: VirtualTime, local: Local) {
        let ends = self.now().after(takes);
        let local = self.locals.insert(local) as u32;
        self.queue.schedule(ends, Happening::Ends { local });
    }

    pub(super) fn on_end(&mut self, local: u32) -> Result<(), SimulationError> {
        let Some(Local { party, key, outcome }) = self.locals.try_remove(local as usize) else { return Ok(()) };
        match (outcome, key.job()) {
            (Some(outcome), _) => self.tell(party, Input::Done { key, outcome }),
            (None, Some(job)) => {
                self.do_locally(party, key, job);
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    /// Begins a step that is no command.
    pub(super) fn do_locally(&mut self, party: u32, key: StepKey, job: JobId) {
        let done = match key.step {
            Step::FetchInputs => self.providers_of(party).map(|it| it.fetch.clone()).map(|it| (it, StepOutcome::Ok)),
            Step::Run => return self.run_job(party, key, job),
            Step::Publish => self.published(party, job),
            Step::Verify => self.verified(party),
            // Specs come with the event that opens a job; all other steps are commands.
            _ => None,
        };
        let Some((takes, outcome)) = done else { return };
        let takes = takes.sample(&mut self.parties[party as usize].chance);
        self.begin_local(VirtualTime::from_secs(takes), Local { party, key, outcome: Some(outcome) });
    }

    fn published(&self, party: u32, job: JobId) -> Option<(crate::distribution::Distribution, StepOutcome)> {
        let result = self.jobs.jobs.get(&job)?.result.clone()?;
        Some((self.providers_of(party)?.publish.clone(), StepOutcome::Published(result)))
    }

    fn verified(&self, party: u32) -> Option<(crate::distribution::Distribution, StepOutcome)> {
        let member = &self.parties[party as usize];
        let Role::Client(client) = &member.role else { return None };
        match client.strategy.verify() {
            Verification::Verified => {
                let population = self.scenario.clients.values().nth(member.population.into())?;
                Some((population.verify.clone(), StepOutcome::Ok))
            }
            Verification::Never => None,
        }
    }

    fn run_job(&mut self, party: u32, key: StepKey, job: JobId) {
        let now = self.now();
        let Some(record) = self.jobs.jobs.get_mut(&job) else { return };
        let Some(task) = self.jobs.tasks.get(&record.task) else { return };
        let member = &mut self.parties[party as usize];
        let Role::Provider(provider) = &member.role else { return };
        let facts = Task {
            truth: task.truth,
            made_up: identity::wrong_output(record.task, party),
            submitted: if self.scenario.job.hidden_results { &[] } else { &task.submitted },
            failure: provider.failure,
            left: record.due.secs() - now.secs(),
            price: Amount::to_fil(record.price),
            cost: provider.cost_of(record.gigafuel),
            seconds: record.gigafuel / provider.speed,
        };
        let Run { effort, attempt } = provider.strategy.run(&facts, &mut member.chance);
        let seconds = facts.seconds * effort;
        let cost = facts.cost * effort;
        let (takes, share, outcome) = match attempt {
            Attempt::Output(output) => {
                let fuel_used = (record.gigafuel * 1e9) as u64;
                record.result = Some(JobResult { output, fuel_used, ..JobResult::default() });
                let wall_ms = VirtualTime::from_secs(seconds).0;
                let ended = "exited".to_owned();
                let report = RunReport { exit_code: 0, fuel_used, ended, reproducible: true, wall_ms };
                (seconds, 1.0, Some(StepOutcome::Ran(report)))
            }
            Attempt::Fails => {
                // Somewhere on the way.
                let share = member.chance.random::<f64>();
                let problem = "the machine failed".to_owned();
                let failure = Failure::OwnFault { fault: OwnFault::Executor, problem };
                (seconds * share, share, Some(StepOutcome::Err(failure)))
            }
            Attempt::Waits(seconds) => (seconds, 1.0, None),
            Attempt::Never => return,
        };
        member.tally.cost += cost * share;
        self.summary.cost += cost * share;
        self.begin_local(VirtualTime::from_secs(takes), Local { party, key, outcome });
    }
}
