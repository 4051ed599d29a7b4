//! Locks jobs and lets them lie: it costs the client time, and the provider its collateral.

use super::{Attempt, ProviderStrategy, Run, Task};
use crate::chance::Chance;

pub(super) struct NoShow;

impl ProviderStrategy for NoShow {
    fn run(&self, _: &Task<'_>, _: &mut Chance) -> Run {
        Run { effort: 0.0, attempt: Attempt::Never }
    }
}
