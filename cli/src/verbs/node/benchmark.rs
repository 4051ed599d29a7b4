//! `lota node benchmark`.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::Context as _;
use clap::Args;
use jiff::Timestamp;
use lota_market::{
    AttoFil,
    agent::{Offer, Pricing, Resources},
    asset::Asset,
};
use lota_node::{
    benchmark::{self, Benchmark as Measured, Cost, Effort, FILE, Gpu, Machine, Rates, Standing},
    executor::DockerRun,
};
use serde::Serialize;

use super::{config::named_resources, run::check_name};
use crate::{
    context::Context,
    failure::{self, Usage},
    flags::Format,
    home,
    host::{Containers, Engines, HomeLock},
    terminal::{self, Progress, Table, bold, plural, printable},
    units::{Amount, ByteSize, Count},
};

/// Measure this machine, and what a job costs on it.
///
/// The figures go to the node's folder, where `lota node run` reads them when it starts; measure again when the machine has changed.
/// With --cost-per-hour, they give a cost model: what the node asks for a job, and bids for it. Settings such as `node.min_price`
/// take precedence over it. Measure while nothing else runs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota node benchmark
  lota node benchmark --cost-per-hour '0.05 FIL' --margin 20
  lota node benchmark --quick --json")]
pub(crate) struct Benchmark {
    /// The node that it is for: it measures the disk of that node's folder [default: main]
    #[arg(long)]
    name: Option<String>,
    /// What the whole machine costs you in an hour; for a market of a token, in that, without its unit [default: that of the last
    /// time]
    #[arg(long, value_name = "AMOUNT")]
    cost_per_hour: Option<Amount>,
    /// What a GiB of output costs you: it is kept, and sent to the client [default: that of the last time, or 0.0001 FIL]
    #[arg(long, value_name = "AMOUNT")]
    cost_per_gib: Option<Amount>,
    /// What to add to what a job costs, in percent [default: that of the last time, or 0]
    #[arg(long, value_name = "PERCENT")]
    margin: Option<u32>,
    /// Measure for a second or so: the figures are rough
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    format: Format,
}

/// What is printed for programs.
#[derive(Serialize)]
struct Shown<'a> {
    file: PathBuf,
    benchmark: &'a Measured,
}

impl Benchmark {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let settings = context.layers.clone().flag("--name", "node.name", self.name.as_ref()).settings()?;
        check_name(&settings.node.name)?;
        let dir = context.home.node(&settings.node.name);
        let cost = self.cost(&dir)?;
        // No daemon shall start meanwhile. One that is there already goes on.
        let lock = HomeLock::take(&context.home);
        if lock.is_err() {
            terminal::tell(
                "A daemon is running in this home: what it does makes the figures worse than they would be.",
            );
        }
        if cfg!(debug_assertions) {
            terminal::tell("This is a debug build of lota: native code is slower in it than it would be.");
        }
        home::create_private(&dir)?;
        let modules = tempfile::tempdir_in(&dir).context("cannot make a folder for the module that is compiled")?;
        let mut executors = Engines::start(&modules.path().join("compiled"))?.executors(1);
        let mut containers = Containers::new(settings.node.docker.clone());
        if let Some(docker) = containers.executor(modules.path(), 1).await {
            executors = executors.with(DockerRun::ENGINE, Arc::new(docker));
        }
        let here = Machine::here();
        let named = named_resources(&settings.node);
        let for_jobs = benchmark::for_jobs(&dir, named, settings.node.store_capacity.0, 1, &executors);
        // Who lets jobs share processors sells each of them once.
        let for_jobs = Resources { cpu_millis: for_jobs.cpu_millis.min(here.processors * 1_000), ..for_jobs };
        let effort = if self.quick { Effort::Quick } else { Effort::Thorough };
        let progress = Progress::start(self.format.json);
        let told = |stage: benchmark::Stage| progress.say(stage.to_string());
        let mut measured = Measured::measure(&dir, &executors, effort, for_jobs, told).await?;
        progress.finish();
        drop((modules, lock));
        if let Some((per_hour, pricing)) = cost {
            measured = measured.costing(per_hour, pricing);
        }
        let file = dir.join(FILE);
        home::write_private(&file, &serde_json::to_vec_pretty(&measured).context("cannot write JSON")?)?;
        if self.format.json {
            return terminal::print_json(&Shown { file, benchmark: &measured });
        }
        terminal::print(&text(&measured))?;
        terminal::tell(&format!("Written to {}; `lota node run` reads it when it starts.", file.display()));
        if measured.cost.is_none() {
            terminal::tell("Say what the machine costs you with --cost-per-hour, and jobs are priced by that.");
        }
        Ok(())
    }

    /// What the machine costs an hour, and what else is asked: what is named, else that of the last time.
    fn cost(&self, dir: &Path) -> anyhow::Result<Option<(AttoFil, Pricing)>> {
        let amount = |flag, amount: &Option<Amount>| {
            let amount = amount.as_ref().map(|amount| amount.in_asset(&Asset::coin())).transpose();
            amount.map_err(|error| Usage(format!("{flag}: {error}")))
        };
        let before = match Measured::read(dir) {
            Ok(before) => before.and_then(|before| before.cost),
            Err(error) => {
                terminal::tell(&format!("{}; what it said of costs is lost.", failure::line(&error.into())));
                None
            }
        };
        let (per_hour, per_gib) =
            (amount("--cost-per-hour", &self.cost_per_hour)?, amount("--cost-per-gib", &self.cost_per_gib)?);
        let Some(per_hour) = per_hour.or(before.map(|before| before.per_hour)) else {
            let without = if self.margin.is_some() { Some("--margin") } else { per_gib.map(|_| "--cost-per-gib") };
            return match without {
                Some(flag) => Err(Usage(format!(
                    "{flag} goes with what the machine costs: name that with --cost-per-hour AMOUNT"
                ))
                .into()),
                None => Ok(None),
            };
        };
        let mut pricing = before.map_or_else(Pricing::default, |before| before.pricing);
        pricing.margin = self.margin.unwrap_or(pricing.margin);
        pricing.per_gib_output = per_gib.unwrap_or(pricing.per_gib_output);
        Ok(Some((per_hour, pricing)))
    }
}

/// What a node that starts takes from the benchmark in its folder: how fast its machine is, and what it asks. What is wrong with it is
/// told, and it is done without.
pub(super) fn take_up(offer: &mut Offer, dir: &Path) {
    let benchmark = match Measured::read(dir) {
        Ok(None) => return,
        Ok(Some(benchmark)) => benchmark,
        Err(error) => {
            terminal::tell(&format!("{}; this node goes on without it.", failure::line(&error.into())));
            return;
        }
    };
    match benchmark.standing(&Machine::here(), Timestamp::now()) {
        Standing::Current => {}
        Standing::Old { days } => terminal::tell(&format!(
            "This machine was benchmarked {days} days ago: `lota node benchmark` measures it anew."
        )),
        Standing::OtherMachine(machine) => {
            terminal::tell(&format!(
                "{} is of another machine ({}), and is not used: `lota node benchmark` measures this one.",
                dir.join(FILE).display(),
                printable(&described(&machine))
            ));
            return;
        }
    }
    offer.fuel_per_second = benchmark.rates.fuel_per_second;
    if let Some(Cost { pricing, .. }) = benchmark.cost {
        offer.pricing = pricing;
    }
}

fn described(machine: &Machine) -> String {
    let Machine { cpu, processors, memory_bytes } = machine;
    let cpu = if cpu.is_empty() { String::new() } else { format!(" {cpu}") };
    format!("{processors} ×{cpu}, {} of memory", ByteSize(*memory_bytes))
}

/// The figures for a person.
fn text(measured: &Measured) -> String {
    let Rates {
        fuel_per_second,
        native_fuel_per_second,
        compile_bytes_per_second,
        memory_bytes_per_second,
        disk_write_bytes_per_second,
        disk_read_bytes_per_second,
    } = measured.rates;
    let data = |bytes| format!("{}/s", ByteSize(bytes));
    let mut table = Table::pairs();
    table.row(["machine", &printable(&described(&measured.machine))]);
    table.row(["WebAssembly", &format!("{} units of fuel/s on one processor", Count(fuel_per_second))]);
    table.row(["the same as native code", &format!("{} units/s", Count(native_fuel_per_second))]);
    table.row(["compiling a module", &data(compile_bytes_per_second)]);
    table.row(["copying memory", &data(memory_bytes_per_second)]);
    let (write, read) = (data(disk_write_bytes_per_second), data(disk_read_bytes_per_second));
    table.row(["disk", &format!("writes {write}, reads {read}, {} free", ByteSize(measured.disk_free))]);
    table.row(["graphics processors", &printable(&gpus(&measured.gpus))]);
    table.row(["engines", &measured.engines.join(", ")]);
    table.row(["for jobs", &for_jobs(&measured.for_jobs)]);
    let mut text = table.render();
    if let Some(Cost { per_hour, pricing }) = measured.cost {
        let Pricing { base, per_gigafuel, per_cpu_hour, per_gib_hour, per_gib_output, per_gpu_hour, margin, .. } =
            pricing;
        text.push_str(&format!("\n{}\n", bold(&format!("What a job costs, on a machine for {per_hour} an hour"))));
        let mut table = Table::pairs().indent(2);
        table.row(["every job", &base.to_string()]);
        table.row(["10^9 units of fuel", &per_gigafuel.to_string()]);
        table.row(["a processor for an hour, where no fuel is counted", &per_cpu_hour.to_string()]);
        table.row(["a GiB of memory for an hour", &per_gib_hour.to_string()]);
        table.row(["a GiB of output", &per_gib_output.to_string()]);
        if measured.for_jobs.gpus > 0 {
            table.row(["a graphics processor for an hour", &per_gpu_hour.to_string()]);
        }
        table.row(["margin", &format!("{margin} %")]);
        text.push_str(&table.render());
    }
    text
}

fn for_jobs(resources: &Resources) -> String {
    let Resources { cpu_millis, memory_bytes, disk_bytes, gpus } = *resources;
    let gpus = if gpus > 0 { format!(", {}", plural(gpus.into(), "graphics processor")) } else { String::new() };
    format!(
        "{}, {} of memory, {} of disk{gpus}",
        plural(cpu_millis / 1_000, "processor"),
        ByteSize(memory_bytes),
        ByteSize(disk_bytes)
    )
}

fn gpus(gpus: &[Gpu]) -> String {
    if gpus.is_empty() {
        return "none found".to_owned();
    }
    let described = |gpu: &Gpu| {
        let memory = gpu.memory_bytes.map_or_else(String::new, |bytes| format!(" ({})", ByteSize(bytes)));
        let use_ = if gpu.nvidia { "" } else { ", not for jobs" };
        format!("{}{memory}{use_}", gpu.name)
    };
    gpus.iter().map(described).collect::<Vec<_>>().join("; ")
}
