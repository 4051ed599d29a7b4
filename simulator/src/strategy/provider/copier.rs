//! Submits what another provider has submitted for the same task; waits for it as long as there is time to run the job itself.

use super::{Attempt, ProviderStrategy, Run, Task, honest};
use crate::chance::Chance;

/// How long it waits before it looks again, in seconds.
const PAUSE: f64 = 5.0;
/// How much of its time it keeps to run the job itself, in seconds.
const KEPT: f64 = 60.0;

pub(super) struct Copier;

impl ProviderStrategy for Copier {
    fn run(&self, task: &Task<'_>, chance: &mut Chance) -> Run {
        match task.submitted.first() {
            Some(seen) => Run { effort: 0.0, attempt: Attempt::Output(*seen) },
            None if task.left > KEPT + PAUSE => Run { effort: 0.0, attempt: Attempt::Waits(PAUSE) },
            None => honest::run(task, chance),
        }
    }
}
