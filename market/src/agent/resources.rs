//! What jobs take of a provider's machine while they run, and what it has of that.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    model::JobId,
    spec::{Engine, ValidatedSpec},
};

/// Thousandths of a processor that a WASM job takes: it has one thread.
const WASM_CPU: u64 = 1_000;

/// Amounts of everything that a machine has only so much of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resources {
    /// Thousandths of a processor.
    #[serde(default = "unlimited")]
    pub cpu_millis: u64,
    /// Memory, in bytes.
    #[serde(default = "unlimited")]
    pub memory_bytes: u64,
    /// Disk space for what jobs write, in bytes.
    #[serde(default = "unlimited")]
    pub disk_bytes: u64,
    /// Whole graphics processors.
    #[serde(default = "unlimited_gpus")]
    pub gpus: u32,
}

const fn unlimited() -> u64 {
    u64::MAX
}

const fn unlimited_gpus() -> u32 {
    u32::MAX
}

impl Resources {
    /// As much of everything as anybody may ask for; in an offer: what the machine turns out to have.
    pub const UNLIMITED: Self =
        Self { cpu_millis: u64::MAX, memory_bytes: u64::MAX, disk_bytes: u64::MAX, gpus: u32::MAX };

    /// What a job takes at most while it runs. What its inputs take on the disk is not in its spec, and counts with the block store.
    #[must_use]
    pub fn of(spec: &ValidatedSpec) -> Self {
        let limits = spec.limits();
        let (cpu_millis, gpus) = match spec.engine() {
            Engine::Wasm { .. } => (WASM_CPU, 0),
            Engine::Docker { .. } => (limits.cpu, u32::try_from(limits.gpus).unwrap_or(u32::MAX)),
        };
        Self { cpu_millis, memory_bytes: limits.memory, disk_bytes: limits.output, gpus }
    }

    /// These amounts, and of what is not limited here that of `measured`.
    #[must_use]
    pub fn or(self, measured: Self) -> Self {
        let or = |named, measured| if named == u64::MAX { measured } else { named };
        Self {
            cpu_millis: or(self.cpu_millis, measured.cpu_millis),
            memory_bytes: or(self.memory_bytes, measured.memory_bytes),
            disk_bytes: or(self.disk_bytes, measured.disk_bytes),
            gpus: if self.gpus == u32::MAX { measured.gpus } else { self.gpus },
        }
    }

    /// The first of which there is less here than `wanted`: its name in a sentence, how much is wanted, how much there is.
    #[must_use]
    pub fn lacks(&self, wanted: &Self) -> Option<(&'static str, u64, u64)> {
        [
            ("thousandths of a processor", wanted.cpu_millis, self.cpu_millis),
            ("bytes of memory", wanted.memory_bytes, self.memory_bytes),
            ("bytes of output", wanted.disk_bytes, self.disk_bytes),
            ("graphics processors", wanted.gpus.into(), self.gpus.into()),
        ]
        .into_iter()
        .find(|(_, wanted, has)| wanted > has)
    }

    fn plus(self, other: Self) -> Self {
        Self {
            cpu_millis: self.cpu_millis.saturating_add(other.cpu_millis),
            memory_bytes: self.memory_bytes.saturating_add(other.memory_bytes),
            disk_bytes: self.disk_bytes.saturating_add(other.disk_bytes),
            gpus: self.gpus.saturating_add(other.gpus),
        }
    }
}

/// The jobs that a provider has taken on, and what it keeps free for each.
#[derive(Clone, Debug, Default)]
pub(super) struct Reservations {
    of: BTreeMap<JobId, Resources>,
    /// Something was given back since it was last asked.
    given_back: bool,
}

impl Reservations {
    /// Keeps this much for a job, whether it is there or not: what was taken on must be run.
    pub(super) fn insert(&mut self, job: JobId, needs: Resources) {
        self.of.insert(job, needs);
    }

    pub(super) fn remove(&mut self, job: &JobId) {
        self.given_back |= self.of.remove(job).is_some();
    }

    /// Which jobs there are.
    pub(super) fn jobs(&self) -> impl Iterator<Item = &JobId> {
        self.of.keys()
    }

    /// Whether this is one of them.
    pub(super) fn has(&self, job: &JobId) -> bool {
        self.of.contains_key(job)
    }

    /// How many jobs there are.
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }

    /// Whether there is room for another job on a machine with this much.
    pub(super) fn has_room(&self, total: &Resources, needs: Resources) -> bool {
        total.lacks(&self.of.values().fold(needs, |sum, held| sum.plus(*held))).is_none()
    }

    /// Whether something was given back since this was last asked.
    pub(super) fn were_given_back(&mut self) -> bool {
        std::mem::take(&mut self.given_back)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::B256;

    const GIB: u64 = 1 << 30;

    fn memory(bytes: u64) -> Resources {
        Resources { memory_bytes: bytes, ..Resources::default() }
    }

    #[test]
    fn what_is_reserved_is_not_given_out_twice() {
        let total = Resources { memory_bytes: 4 * GIB, ..Resources::UNLIMITED };
        let mut held = Reservations::default();
        let [one, two] = [1, 2].map(|byte| JobId(B256::repeat_byte(byte)));
        held.insert(one, memory(3 * GIB));
        assert!(held.has_room(&total, memory(GIB)) && !held.has_room(&total, memory(GIB + 1)));
        held.insert(one, memory(3 * GIB));
        assert!(held.has_room(&total, memory(GIB)), "a job that is reserved for again is not counted twice");
        held.insert(two, memory(u64::MAX));
        assert!(!held.has_room(&total, memory(0)), "sums do not wrap");
        assert!(!held.were_given_back());
        held.remove(&two);
        assert!(held.were_given_back() && !held.were_given_back());
        held.remove(&two);
        assert!(!held.were_given_back(), "there was nothing left to give back");
        assert!(held.has_room(&total, memory(GIB)));
    }

    #[test]
    fn what_lacks_is_named_with_both_amounts() {
        let has = Resources { cpu_millis: 4_000, memory_bytes: GIB, disk_bytes: GIB, gpus: 0 };
        assert_eq!(has.lacks(&has), None);
        assert_eq!(has.lacks(&memory(GIB + 1)), Some(("bytes of memory", GIB + 1, GIB)));
        let gpu = Resources { gpus: 1, ..Resources::default() };
        assert_eq!(has.lacks(&gpu), Some(("graphics processors", 1, 0)));
        assert_eq!(Resources::UNLIMITED.lacks(&Resources::UNLIMITED), None);
    }

    #[test]
    fn what_settings_leave_out_is_measured() {
        let some: Resources = serde_json::from_str(r#"{ "memory_bytes": 5 }"#).expect("a part of it");
        assert_eq!(some, Resources { memory_bytes: 5, ..Resources::UNLIMITED });
        let measured = Resources { cpu_millis: 1, memory_bytes: 2, disk_bytes: 3, gpus: 4 };
        assert_eq!(some.or(measured), Resources { memory_bytes: 5, ..measured });
    }
}
