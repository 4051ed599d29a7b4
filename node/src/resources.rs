//! What this machine has for jobs, and what those that run have taken of it.

use std::{fs, path::Path, sync::Arc, thread};

use lota_market::agent::Resources;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::{executor::WasmRun, gpus};

/// Memory and disk space are kept in units of this many bytes.
const UNIT: u64 = 1 << 20;
/// The part of the memory that jobs may have, as a fraction; the rest is for the system, the node and compilers.
const MEMORY: (u64, u64) = (3, 4);

/// What the machine has for jobs. `block_store`: bytes by which the node's block store may still grow on the disk that has its
/// folder; jobs get what that leaves, and a quarter of what is free at least. Processors can be shared, so there are no fewer
/// than one for each slot. Graphics processors are there for engines that can give them to jobs, which WebAssembly's cannot. What cannot
/// be found out is not limited.
pub(crate) fn measure(dir: &Path, block_store: u64, slots: u32, engines: &[&str]) -> Resources {
    let processors = thread::available_parallelism().map_or(1, |count| count.get() as u64).max(u64::from(slots));
    let free = rustix::fs::statvfs(dir).map(|disk| disk.f_bavail.saturating_mul(disk.f_frsize));
    Resources {
        cpu_millis: processors.saturating_mul(1_000),
        memory_bytes: memory().map_or(u64::MAX, |bytes| bytes / MEMORY.1 * MEMORY.0),
        disk_bytes: free.map_or(u64::MAX, |free| free.saturating_sub(block_store).max(free / 4)),
        gpus: if engines.iter().any(|engine| *engine != WasmRun::ENGINE) { gpus::count() } else { 0 },
    }
}

/// Bytes of memory that this process may have: the machine's, or less if the system limits it (control groups, version 2).
pub(crate) fn memory() -> Option<u64> {
    let read = |path: &str| fs::read_to_string(path).ok();
    let machine = read("/proc/meminfo").and_then(|text| total_of(&text));
    let allowed = read("/sys/fs/cgroup/memory.max").and_then(|text| text.trim().parse().ok());
    machine.into_iter().chain(allowed).min()
}

/// The line `MemTotal` of `/proc/meminfo`, in bytes.
fn total_of(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1 << 10)
}

/// What jobs have taken while they run. Whoever comes first is served first; what is not there is waited for.
#[derive(Debug)]
pub(crate) struct Capacity {
    kinds: [Kind; 4],
}

/// So many units of one thing.
#[derive(Debug)]
struct Kind {
    total: u32,
    free: Arc<Semaphore>,
}

/// What one job has, until it is dropped.
#[derive(Debug)]
pub(crate) struct Reserved {
    _permits: Vec<OwnedSemaphorePermit>,
}

impl Kind {
    fn new(units: u64) -> Self {
        let most = u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX);
        let total = u32::try_from(units).unwrap_or(most).min(most);
        Self { total, free: Arc::new(Semaphore::new(total as usize)) }
    }
}

/// In units, in the order in which they are always taken: so nobody waits for one who waits for him.
fn units(resources: &Resources, in_units: impl Fn(u64) -> u64) -> [u64; 4] {
    let Resources { cpu_millis, memory_bytes, disk_bytes, gpus } = *resources;
    [u64::from(gpus), in_units(memory_bytes), in_units(disk_bytes), cpu_millis]
}

impl Capacity {
    pub(crate) fn new(total: &Resources) -> Self {
        Self { kinds: units(total, |bytes| bytes / UNIT).map(Kind::new) }
    }

    /// Takes what a job needs, as soon as it is there. One that needs more than there is in all was taken on nevertheless, and gets
    /// everything.
    pub(crate) async fn reserve(&self, needs: Resources) -> Reserved {
        let mut permits = Vec::with_capacity(self.kinds.len());
        for (kind, wanted) in self.kinds.iter().zip(units(&needs, |bytes| bytes.div_ceil(UNIT))) {
            let wanted = u32::try_from(wanted).unwrap_or(u32::MAX).min(kind.total);
            if wanted > 0
                && let Ok(permit) = Arc::clone(&kind.free).acquire_many_owned(wanted).await
            {
                permits.push(permit);
            }
        }
        Reserved { _permits: permits }
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, future::BoxFuture, poll};
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn needs(cpu_millis: u64, memory_bytes: u64) -> Resources {
        Resources { cpu_millis, memory_bytes, ..Resources::default() }
    }

    #[tokio::test]
    async fn what_is_taken_is_waited_for_in_order() {
        let capacity = Capacity::new(&needs(2_000, 10 * MIB));
        let first = capacity.reserve(needs(1_000, 6 * MIB)).await;
        let mut large = Box::pin(capacity.reserve(needs(1_000, 10 * MIB)));
        assert!(poll!(&mut large).is_pending());
        let mut small = Box::pin(capacity.reserve(needs(1_000, 1)));
        assert!(poll!(&mut small).is_pending(), "who came first is served first");
        drop(first);
        let large = large.now_or_never().expect("it is there now");
        assert!(poll!(&mut small).is_pending());
        drop(large);
        small.now_or_never().expect("it is there now");
    }

    #[tokio::test]
    async fn one_who_gives_up_takes_nothing() {
        let capacity = Capacity::new(&needs(2_000, 10 * MIB));
        let first = capacity.reserve(needs(0, 10 * MIB)).await;
        let mut waiting = Box::pin(capacity.reserve(needs(1_000, MIB)));
        assert!(poll!(&mut waiting).is_pending());
        drop((waiting, first));
        capacity.reserve(needs(2_000, 10 * MIB)).now_or_never().expect("everything is free");
    }

    #[tokio::test]
    async fn a_job_that_is_larger_than_the_machine_gets_all_of_it() {
        let capacity = Capacity::new(&needs(1_000, MIB / 2));
        let all = capacity.reserve(Resources::UNLIMITED).await;
        let mut next = Box::pin(capacity.reserve(needs(1, 0)));
        assert!(poll!(&mut next).is_pending());
        drop(all);
        next.now_or_never().expect("it is free");
        let unlimited = Capacity::new(&Resources::UNLIMITED);
        let _one = unlimited.reserve(needs(1_000, 1 << 40)).now_or_never().expect("there is enough");
        unlimited.reserve(needs(1_000, 1 << 40)).now_or_never().expect("and for another");
    }

    fn sizes() -> impl Strategy<Value = Resources> {
        (0u64..4_000, 0u64..12, 0u64..12, 0u32..3).prop_map(|(cpu_millis, memory, disk, gpus)| Resources {
            cpu_millis,
            memory_bytes: memory * MIB,
            disk_bytes: disk * MIB,
            gpus,
        })
    }

    /// What one gets who wants this: no more than there is.
    fn at_most(total: &Resources, wanted: &Resources) -> Resources {
        Resources {
            cpu_millis: wanted.cpu_millis.min(total.cpu_millis),
            memory_bytes: wanted.memory_bytes.min(total.memory_bytes),
            disk_bytes: wanted.disk_bytes.min(total.disk_bytes),
            gpus: wanted.gpus.min(total.gpus),
        }
    }

    fn sum(held: &[(Reserved, Resources)]) -> Resources {
        held.iter().fold(Resources::default(), |sum, (_, part)| Resources {
            cpu_millis: sum.cpu_millis + part.cpu_millis,
            memory_bytes: sum.memory_bytes + part.memory_bytes,
            disk_bytes: sum.disk_bytes + part.disk_bytes,
            gpus: sum.gpus + part.gpus,
        })
    }

    proptest! {
        #[test]
        fn nothing_is_given_out_twice_and_everybody_is_served(
            total in sizes(), wanted in proptest::collection::vec((sizes(), any::<prop::sample::Index>(), any::<bool>()), 1..40),
        ) {
            let capacity = Capacity::new(&total);
            let outcome: Result<(), TestCaseError> = futures::executor::block_on(async {
                let mut waiting: Vec<(BoxFuture<'_, Reserved>, Resources)> = Vec::new();
                let mut held = Vec::new();
                for (needs, ended, gives_up) in &wanted {
                    waiting.push((capacity.reserve(*needs).boxed(), at_most(&total, needs)));
                    if *gives_up {
                        drop(waiting.remove(ended.index(waiting.len())));
                    } else if !held.is_empty() {
                        held.swap_remove(ended.index(held.len()));
                    }
                    serve(&mut waiting, &mut held).await;
                    prop_assert_eq!(total.lacks(&sum(&held)), None);
                }
                while !waiting.is_empty() {
                    held.pop();
                    let before = waiting.len();
                    serve(&mut waiting, &mut held).await;
                    prop_assert_eq!(total.lacks(&sum(&held)), None);
                    prop_assert!(waiting.len() < before || !held.is_empty(), "{} wait, and nobody runs", before);
                }
                Ok(())
            });
            outcome?;
        }
    }

    /// Gives everybody who waits what is there.
    async fn serve(waiting: &mut Vec<(BoxFuture<'_, Reserved>, Resources)>, held: &mut Vec<(Reserved, Resources)>) {
        let mut left = Vec::new();
        for (mut reserving, needs) in std::mem::take(waiting) {
            match poll!(&mut reserving) {
                std::task::Poll::Ready(reserved) => held.push((reserved, needs)),
                std::task::Poll::Pending => left.push((reserving, needs)),
            }
        }
        *waiting = left;
    }

    #[test]
    fn memory_is_read_as_the_system_writes_it() {
        assert_eq!(total_of("MemTotal:       24684084 kB\nMemFree:  1 kB\n"), Some(24_684_084 << 10));
        assert_eq!(total_of("MemFree: 1 kB\n"), None);
        assert_eq!(total_of("MemTotal: much kB\n"), None);
        let here = measure(Path::new("/"), 0, 64, &["wasm"]);
        assert!(here.memory_bytes > 0 && here.disk_bytes > 0 && here.cpu_millis >= 64_000, "{here:?}");
        assert!(measure(Path::new("/"), u64::MAX, 1, &["wasm"]).disk_bytes > 0, "the block store does not take it all");
    }
}
