//! What a machine can do and what it costs: measured on demand, kept in a file of the node's folder, and read when the node starts.

mod compile;
mod disk;
pub(crate) mod fuel;
mod native;

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use lota_market::{
    AttoFil,
    agent::{Pricing, Resources},
};
use serde::{Deserialize, Serialize};

pub use crate::gpus::Gpu;
use crate::{
    executor::{ExecutorError, Executors, WasmRun},
    gpus, resources,
};

/// The file's name in a node's folder.
pub const FILE: &str = "benchmark.json";
/// The version of the file's format.
const VERSION: u32 = 1;
/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// After so many days the figures are called old.
const OLD_AFTER: i64 = 180;
/// By what part the memory of a machine may differ from time to time: the kernel keeps more or less of it.
const MEMORY_DRIFT: u64 = 16;

/// What a machine can do, and what it costs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Benchmark {
    /// The version of this format.
    version: u32,
    /// When it was measured.
    pub measured_at: Timestamp,
    /// Which machine it was.
    pub machine: Machine,
    pub rates: Rates,
    /// Bytes free on the disk of the node's folder.
    pub disk_free: u64,
    pub gpus: Vec<Gpu>,
    /// What jobs can be run with.
    pub engines: Vec<String>,
    /// What jobs might take together: what the machine had for them. What was free on the disk is for one moment only.
    pub for_jobs: Resources,
    /// What the machine costs, if that was said.
    pub cost: Option<Cost>,
}

/// What makes one machine another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// The model of its processors, as the system calls it; empty: it does not say.
    pub cpu: String,
    /// How many processors this process may use.
    pub processors: u64,
    /// Memory that this process may have, in bytes.
    pub memory_bytes: u64,
}

/// How fast it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// Units of fuel that one processor burns in a second, with a program that is slow for the fuel it burns; 0: there is no engine
    /// that counts fuel.
    pub fuel_per_second: u64,
    /// The same program as native code on one processor, in the same unit.
    pub native_fuel_per_second: u64,
    /// Bytes of a WebAssembly module that are compiled in a second, with the start of the compiler; 0: there is none.
    pub compile_bytes_per_second: u64,
    /// Bytes of memory that one processor copies in a second.
    pub memory_bytes_per_second: u64,
    /// Bytes that are written to the disk of the node's folder in a second, until they are safe there.
    pub disk_write_bytes_per_second: u64,
    /// Bytes that are read from it in a second, not from memory, as far as the system obeys.
    pub disk_read_bytes_per_second: u64,
}

/// What a machine costs its owner, and the cost model that follows: amounts of 18 decimals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// The whole machine, for an hour.
    pub per_hour: AttoFil,
    /// What jobs are asked.
    pub pricing: Pricing,
}

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// As long as good figures need: some ten seconds.
    Thorough,
    /// A second or so: the figures are rough.
    Quick,
}

/// What is being measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Fuel,
    Compiler,
    Native,
    Memory,
    Disk,
    Gpus,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fuel => "Running WebAssembly",
            Self::Compiler => "Compiling a module",
            Self::Native => "Running native code",
            Self::Memory => "Copying memory",
            Self::Disk => "Writing to the disk, and reading back",
            Self::Gpus => "Looking for graphics processors",
        })
    }
}

/// Why a machine cannot be measured, or the file not be used.
#[derive(Debug, thiserror::Error)]
pub enum BenchmarkError {
    #[error("the engine does not run the program that is measured")]
    Engine(#[from] ExecutorError),
    #[error("{path} cannot be used: {source}")]
    Disk { path: PathBuf, source: io::Error },
    #[error(
        "the disk of {path} has {free} bytes free, too few to measure how fast it is; make room, or name another home"
    )]
    DiskFull { path: PathBuf, free: u64 },
    #[error("{path} is no benchmark ({problem}): measure anew with `lota node benchmark`")]
    Unreadable { path: PathBuf, problem: String },
    #[error("a measurement ended early")]
    Broken,
}

/// How a benchmark stands to the machine that it is read on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Current,
    /// It was measured so many days ago; it counts nevertheless.
    Old {
        days: i64,
    },
    /// It is of another machine, or this one has changed: its figures mean nothing here.
    OtherMachine(Machine),
}

impl Machine {
    /// This one.
    #[must_use]
    pub fn here() -> Self {
        let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        Self {
            cpu: model_of(&text),
            processors: std::thread::available_parallelism().map_or(1, |count| count.get() as u64),
            memory_bytes: resources::memory().unwrap_or(0),
        }
    }

    /// Whether it may be the same one.
    fn is_like(&self, other: &Self) -> bool {
        let drift = self.memory_bytes / MEMORY_DRIFT;
        self.cpu == other.cpu
            && self.processors == other.processors
            && self.memory_bytes.abs_diff(other.memory_bytes) <= drift
    }
}

/// The line `model name` of `/proc/cpuinfo`, cut to what fits a line.
fn model_of(cpuinfo: &str) -> String {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"));
    let model = line.and_then(|line| line.split_once(':')).map(|(_, model)| model.trim()).unwrap_or_default();
    model.chars().take(80).collect()
}

impl Benchmark {
    /// Measures this machine. `dir`: the node's folder, on whose disk it writes. `told`: what is being measured.
    ///
    /// # Errors
    /// When an engine does not work, or the disk cannot be written.
    pub async fn measure(
        dir: &Path,
        executors: &Executors,
        effort: Effort,
        for_jobs: Resources,
        told: impl Fn(Stage),
    ) -> Result<Self, BenchmarkError> {
        let (mut fuel_per_second, mut compile_bytes_per_second) = (0, 0);
        if let Some(wasm) = executors.get(WasmRun::ENGINE) {
            let work = dir.join("benchmark");
            told(Stage::Fuel);
            fuel_per_second = fuel::measure(&**wasm, &work, effort).await?;
            told(Stage::Compiler);
            compile_bytes_per_second = compile::bytes_per_second(&**wasm, &work, effort).await?;
        }
        told(Stage::Native);
        let native_fuel_per_second = blocking(move || native::fuel_per_second(effort)).await?;
        told(Stage::Memory);
        let memory_bytes_per_second = blocking(move || native::memory_bytes_per_second(effort)).await?;
        told(Stage::Disk);
        let folder = dir.to_owned();
        let disk = blocking(move || disk::measure(&folder, effort)).await??;
        told(Stage::Gpus);
        let gpus = gpus::find().await;
        Ok(Self {
            version: VERSION,
            measured_at: Timestamp::now(),
            machine: Machine::here(),
            rates: Rates {
                fuel_per_second,
                native_fuel_per_second,
                compile_bytes_per_second,
                memory_bytes_per_second,
                disk_write_bytes_per_second: disk.write,
                disk_read_bytes_per_second: disk.read,
            },
            disk_free: disk.free,
            gpus,
            engines: executors.engines().map(str::to_owned).collect(),
            for_jobs,
            cost: None,
        })
    }

    /// The same for a machine that costs so much an hour. What does not follow from that stays as in `pricing`.
    #[must_use]
    pub fn costing(self, per_hour: AttoFil, pricing: Pricing) -> Self {
        let pricing = pricing.covering(per_hour, &self.for_jobs, self.rates.fuel_per_second);
        Self { cost: Some(Cost { per_hour, pricing }), ..self }
    }

    /// The one in a node's folder; none: it was never measured.
    ///
    /// # Errors
    /// When there is a file, and it cannot be read, or is of another version.
    pub fn read(dir: &Path) -> Result<Option<Self>, BenchmarkError> {
        let path = dir.join(FILE);
        let unreadable = |problem: String| BenchmarkError::Unreadable { path: path.clone(), problem };
        let text = match fs::File::open(&path) {
            Ok(file) => {
                io::read_to_string(io::Read::take(file, MAX_FILE)).map_err(|error| unreadable(error.to_string()))?
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(BenchmarkError::Disk { path, source }),
        };
        /// All that every version has.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?;
        if version != VERSION {
            return Err(unreadable(format!("its version is {version}, not {VERSION}")));
        }
        serde_json::from_str(&text).map(Some).map_err(|error| unreadable(error.to_string()))
    }

    /// How it stands to this machine, now.
    #[must_use]
    pub fn standing(&self, machine: &Machine, now: Timestamp) -> Standing {
        if !self.machine.is_like(machine) {
            return Standing::OtherMachine(self.machine.clone());
        }
        match now.duration_since(self.measured_at).as_hours() / 24 {
            days if days > OLD_AFTER => Standing::Old { days },
            _ => Standing::Current,
        }
    }
}

/// What jobs might take of this machine together, for a node in this folder: what `named` leaves out is measured. `block_store`: bytes
/// by which the node's block store may still grow.
#[must_use]
pub fn for_jobs(dir: &Path, named: Resources, block_store: u64, slots: u32, engines: &Executors) -> Resources {
    let engines: Vec<&str> = engines.engines().collect();
    named.or(resources::measure(dir, block_store, slots, &engines))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, BenchmarkError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| BenchmarkError::Broken)
}

/// So much in so many seconds, in one.
fn rate(amount: u64, took: std::time::Duration) -> u64 {
    let rate = u128::from(amount) * 1_000_000_000 / took.as_nanos().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use jiff::ToSpan as _;
    use lota_market::money::FIL;

    use super::*;

    fn benchmark() -> Benchmark {
        Benchmark {
            version: VERSION,
            measured_at: "2026-01-01T00:00:00Z".parse().expect("a time"),
            machine: Machine { cpu: "Model 1".to_owned(), processors: 4, memory_bytes: 16 << 30 },
            rates: Rates {
                fuel_per_second: 200_000_000,
                native_fuel_per_second: 2,
                compile_bytes_per_second: 3,
                memory_bytes_per_second: 4,
                disk_write_bytes_per_second: 5,
                disk_read_bytes_per_second: 6,
            },
            disk_free: 7,
            gpus: vec![Gpu { name: "Some GPU".to_owned(), memory_bytes: Some(8), nvidia: true }],
            engines: vec!["wasm".to_owned()],
            for_jobs: Resources { cpu_millis: 4_000, memory_bytes: 12 << 30, disk_bytes: 9, gpus: 0 },
            cost: None,
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_what_is_no_benchmark_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(Benchmark::read(folder.path()).expect("no file is no error").is_none());
        let written = benchmark().costing(AttoFil(FIL), Pricing { margin: 20, ..Pricing::default() });
        let path = folder.path().join(FILE);
        fs::write(&path, serde_json::to_vec(&written).expect("JSON")).expect("written");
        assert_eq!(Benchmark::read(folder.path()).expect("readable"), Some(written));
        for (text, problem) in
            [("{", "EOF"), (r#"{ "version": 2 }"#, "its version is 2, not 1"), (r#"{ "version": 1 }"#, "measured_at")]
        {
            fs::write(&path, text).expect("written");
            let error = Benchmark::read(folder.path()).expect_err("no benchmark").to_string();
            for part in [problem, "benchmark.json", "lota node benchmark"] {
                assert!(error.contains(part), "{error}");
            }
        }
    }

    #[test]
    fn another_machine_is_noticed_and_so_is_the_time_that_has_passed() {
        let (mine, now) = (benchmark(), benchmark().measured_at);
        assert_eq!(mine.standing(&mine.machine, now), Standing::Current);
        assert_eq!(mine.standing(&mine.machine, now - 48.hours()), Standing::Current, "a clock may be wrong");
        assert_eq!(mine.standing(&mine.machine, now + (181 * 24).hours()), Standing::Old { days: 181 });
        let change: [fn(&mut Machine); 3] = [
            |machine| machine.cpu.push('0'),
            |machine| machine.processors -= 1,
            |machine| machine.memory_bytes += machine.memory_bytes / 8,
        ];
        for change in change {
            let mut other = mine.machine.clone();
            change(&mut other);
            assert_eq!(mine.standing(&other, now), Standing::OtherMachine(mine.machine.clone()));
        }
        let kernel = Machine { memory_bytes: mine.machine.memory_bytes - (64 << 20), ..mine.machine.clone() };
        assert_eq!(mine.standing(&kernel, now), Standing::Current, "a kernel that keeps more is no other machine");
    }

    #[test]
    fn the_cost_is_that_of_what_jobs_may_take() {
        let cost = benchmark().costing(AttoFil(44 * FIL), Pricing { margin: 20, ..Pricing::default() }).cost;
        let Cost { per_hour, pricing } = cost.expect("it was said");
        // Four processors, each worth 8 GiB, and 12 GiB.
        assert_eq!((per_hour, pricing.per_gib_hour), (AttoFil(44 * FIL), AttoFil(FIL)));
        assert_eq!((pricing.per_cpu_hour, pricing.margin), (AttoFil(8 * FIL), 20));
        assert_eq!(pricing.base, Pricing::default().base, "no cost of the machine's");
    }

    #[test]
    fn the_processor_is_called_what_the_system_calls_it() {
        let cpuinfo = "processor\t: 0\nmodel name\t: A: very fast one\nprocessor\t: 1\nmodel name\t: B\n";
        assert_eq!(model_of(cpuinfo), "A: very fast one");
        assert_eq!(model_of("processor : 0\n"), "");
        assert_eq!(model_of(&format!("model name : {}", "x".repeat(1_000))).len(), 80);
    }
}
