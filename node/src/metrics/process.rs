//! What the process takes of its machine, by the names that Prometheus' client libraries agreed on. Linux only: elsewhere
//! nothing is told.

use std::{fmt, fs};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter},
};

use super::standing::Gauges;

/// Reads `/proc/self` (proc(5)) with each question.
#[derive(Debug)]
pub(super) struct Process;

/// The fields of `/proc/self/stat` after the name of the process, which may hold anything.
const UTIME: usize = 11;
const STIME: usize = 12;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        if let Some(bytes) = resident_bytes(&read("statm")) {
            Gauges(&mut encoder).one("resident_memory_bytes", "Memory of the process", bytes)?;
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            let open = u64::try_from(open.count()).unwrap_or(u64::MAX);
            Gauges(&mut encoder).one("open_fds", "Descriptors that are open", open)?;
        }
        if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
            Gauges(&mut encoder).one("max_fds", "Descriptors that may be open", limit)?;
        }
        let ticks = rustix::param::clock_ticks_per_second();
        if let Some(seconds) = processor_seconds(&read("stat"), ticks) {
            let help = "Processor time that was used, in the user's code and in the system's";
            let counter = ConstCounter::new(seconds);
            counter.encode(encoder.encode_descriptor("cpu_seconds", help, None, MetricType::Counter)?)?;
        }
        Ok(())
    }
}

fn read(name: &str) -> String {
    fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default()
}

fn resident_bytes(statm: &str) -> Option<u64> {
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(u64::try_from(rustix::param::page_size()).ok()?)
}

#[allow(clippy::cast_precision_loss, reason = "graphs need no more digits than a double has")]
fn processor_seconds(stat: &str, ticks: u64) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let field = |at| fields.split_whitespace().nth(at)?.parse::<u64>().ok();
    Some((field(UTIME)? + field(STIME)?) as f64 / ticks.max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_as_the_system_writes_them() {
        let stat = "7 (lo) ta) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 9 0 100 1 1";
        assert_eq!(processor_seconds(stat, 100), Some(3.0));
        assert_eq!(processor_seconds("", 100), None);
        let page = u64::try_from(rustix::param::page_size()).expect("it is small");
        assert_eq!(resident_bytes("9 3 1 1 0 1 0\n"), Some(3 * page));
        assert!(resident_bytes(&read("statm")).is_some_and(|bytes| bytes > 1 << 20));
        assert!(processor_seconds(&read("stat"), rustix::param::clock_ticks_per_second()).is_some());
    }
}
