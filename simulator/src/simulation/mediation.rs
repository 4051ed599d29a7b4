//! The arbiter: mediators as a formula.
//!
//! A result is checked with the scenario's probability. Then it is disputed, in the block of its submission, and ruled on as most of a
//! panel vote, each of whom errs independently.

use lota_market::{
    AttoFil,
    model::{Command, JobId, Receipt, Verdict},
};
use rand::Rng as _;

use super::{Happening, Simulation, SimulationError};
use crate::{
    chain::{ARBITER, to_market},
    identity,
    queue::VirtualTime,
};

impl Simulation<'_> {
    /// A result was submitted that the arbiter may check.
    pub(super) fn may_be_checked(&mut self, job: JobId) {
        let Some(mediation) = &self.scenario.mediation else { return };
        if self.mediators.random::<f64>() < mediation.audit {
            let note = self.notes.insert(job) as u32;
            self.queue.schedule(self.queue.now(), Happening::Disputes { note });
        }
    }

    pub(super) fn on_dispute(&mut self, note: u32) -> Result<(), SimulationError> {
        let Some(job) = self.notes.try_remove(note as usize) else { return Ok(()) };
        let (Some(mediation), Some(record)) = (&self.scenario.mediation, self.jobs.jobs.get(&job)) else {
            return Ok(());
        };
        let (rule_after, terms) = (mediation.rule_after, record.terms.clone());
        if self.execute(ARBITER, &to_market(Command::Dispute { terms }), AttoFil::ZERO)? {
            let note = self.notes.insert(job) as u32;
            let time = self.chain.lands(self.now().after(VirtualTime::from_secs(rule_after)));
            self.queue.schedule(time, Happening::Rules { note });
        }
        Ok(())
    }

    pub(super) fn on_ruling(&mut self, note: u32) -> Result<(), SimulationError> {
        let Some(job) = self.notes.try_remove(note as usize) else { return Ok(()) };
        let (Some(mediation), Some(record)) = (&self.scenario.mediation, self.jobs.jobs.get(&job)) else {
            return Ok(());
        };
        let (Some(result), Some(provider)) = (record.result.clone(), record.provider) else { return Ok(()) };
        let Some(task) = self.jobs.tasks.get(&record.task) else { return Ok(()) };
        let mut wrongly = 0;
        for _ in 0..mediation.panel {
            wrongly += u32::from(self.mediators.random::<f64>() < mediation.error);
        }
        let is_right = result.output == task.truth;
        let is_upheld = is_right == (2 * wrongly < mediation.panel);
        let verdict = if is_upheld { Verdict::Upheld } else { Verdict::Overturned };
        let receipt = Receipt { provider: identity::address(provider), price: record.price, result };
        let terms = record.terms.clone();
        self.execute(ARBITER, &to_market(Command::Rule { terms, receipt, verdict }), AttoFil::ZERO)?;
        Ok(())
    }
}
