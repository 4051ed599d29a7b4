//! From a long sequence that shows a difference to a short one that does.

use lota_market::model::Command;

use crate::{
    comparison::{Comparison, Difference, Setting},
    step::Step,
};

/// The most times that a sequence is executed again.
const MAX_ATTEMPTS: usize = 4_000;

/// Executes steps in a world of their own, until the contract and the model differ; says at which.
pub(crate) fn replay(setting: Setting<'_>, steps: &[Step]) -> Option<(usize, Difference)> {
    let mut both = Comparison::new(setting);
    for (index, step) in steps.iter().enumerate() {
        if let Err(difference) = both.perform(step) {
            return Some((index, difference));
        }
    }
    both.compare_everything().err().map(|difference| (steps.len().saturating_sub(1), difference))
}

struct Shrinker<'a> {
    setting: Setting<'a>,
    steps: Vec<Step>,
    difference: Difference,
    attempts: usize,
}

/// Drops whatever is not needed for a difference: steps, calls of multicalls, entries of batches. Any difference will do.
pub(crate) fn shrink(setting: Setting<'_>, steps: Vec<Step>, difference: Difference) -> (Vec<Step>, Difference) {
    let mut shrinker = Shrinker { setting, steps, difference, attempts: 0 };
    loop {
        let before = shrinker.size();
        shrinker.drop_steps();
        shrinker.drop_parts();
        if shrinker.size() == before || shrinker.attempts >= MAX_ATTEMPTS {
            return (shrinker.steps, shrinker.difference);
        }
    }
}

impl Shrinker<'_> {
    fn size(&self) -> usize {
        self.steps.iter().map(|step| 1 + parts(&step.command) + step.script.calls.len()).sum()
    }

    /// Takes a candidate when it still shows a difference; what comes after that is dropped.
    fn try_out(&mut self, mut candidate: Vec<Step>) -> bool {
        self.attempts += 1;
        let Some((index, difference)) = replay(self.setting, &candidate) else { return false };
        candidate.truncate(index + 1);
        self.steps = candidate;
        self.difference = difference;
        true
    }

    /// Delta debugging (Zeller and Hildebrandt, 2002), on complements: ever smaller pieces are left out, from the end on.
    fn drop_steps(&mut self) {
        let mut piece = self.steps.len().div_ceil(2);
        while piece > 0 {
            let mut end = self.steps.len();
            while end > 0 && self.attempts < MAX_ATTEMPTS {
                let start = end.saturating_sub(piece);
                let mut candidate = self.steps.clone();
                candidate.drain(start..end.min(candidate.len()));
                if !candidate.is_empty() {
                    self.try_out(candidate);
                }
                end = start.min(self.steps.len());
            }
            piece /= 2;
        }
    }

    fn drop_parts(&mut self) {
        for index in (0..self.steps.len()).rev() {
            let Some(step) = self.steps.get(index) else { continue };
            for call in (0..step.script.calls.len()).rev() {
                let mut candidate = self.steps.clone();
                let Some(step) = candidate.get_mut(index) else { break };
                if call < step.script.calls.len() {
                    step.script.calls.remove(call);
                    self.try_out(candidate);
                }
            }
            let Some(step) = self.steps.get(index) else { continue };
            for part in (0..parts(&step.command)).rev() {
                let mut candidate = self.steps.clone();
                let Some(step) = candidate.get_mut(index) else { break };
                drop_part(&mut step.command, part);
                if self.attempts >= MAX_ATTEMPTS {
                    return;
                }
                self.try_out(candidate);
            }
        }
    }
}

/// Of how many parts a command consists.
fn parts(command: &Command) -> usize {
    match command {
        Command::Multicall { calls } => calls.iter().map(|call| 1 + parts(call)).sum(),
        Command::SettleBatch { entries } => entries.len(),
        _ => 0,
    }
}

/// Drops a part by its number, counted through everything within.
fn drop_part(command: &mut Command, mut part: usize) {
    match command {
        Command::Multicall { calls } => {
            for index in 0..calls.len() {
                if part == 0 {
                    calls.remove(index);
                    return;
                }
                part -= 1;
                let within = parts(&calls[index]);
                if part < within {
                    drop_part(&mut calls[index], part);
                    return;
                }
                part -= within;
            }
        }
        Command::SettleBatch { entries } if part < entries.len() => {
            entries.remove(part);
        }
        _ => {}
    }
}
