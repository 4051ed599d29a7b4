//! Asks what a job costs it, and runs it.

use rand::Rng as _;

use super::{Attempt, ProviderStrategy, Run, Task};
use crate::chance::Chance;

pub(super) struct Honest;

impl ProviderStrategy for Honest {}

pub(super) fn run(task: &Task<'_>, chance: &mut Chance) -> Run {
    let fails = task.failure > 0.0 && chance.random::<f64>() < task.failure;
    Run { effort: 1.0, attempt: if fails { Attempt::Fails } else { Attempt::Output(task.truth) } }
}
