//! The limits that a job must name.

use clap::Args;
use lota_market::spec::Limits;

use crate::{
    settings::{self, Layers},
    units::{ByteSize, Count, Seconds},
};

/// The limits that a job must name.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct LimitFlags {
    /// The most fuel that the program may use: about one unit for each instruction [default: 10G]
    #[arg(long, value_name = "COUNT")]
    fuel: Option<Count>,
    #[command(flatten)]
    usual: UsualLimits,
}

/// Those that jobs of every engine name.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Limits")]
pub(crate) struct UsualLimits {
    /// The most memory that the program may use [default: 256 MiB]
    #[arg(long, value_name = "SIZE")]
    memory: Option<ByteSize>,
    /// The most bytes that the program may write: files, stdout and stderr together [default: 64 MiB]
    #[arg(long, value_name = "SIZE")]
    output_size: Option<ByteSize>,
    /// The most files and folders that the program may make [default: 10000]
    #[arg(long, value_name = "COUNT")]
    entries: Option<Count>,
    /// The most time that the program may run, on the provider's clock [default: 5m]
    #[arg(long, visible_alias = "wall", value_name = "TIME")]
    wall_time: Option<Seconds>,
}

impl LimitFlags {
    /// Whether one is named.
    pub(crate) const fn is_any(&self) -> bool {
        let UsualLimits { memory, output_size, entries, wall_time } = &self.usual;
        self.fuel.is_some() || memory.is_some() || output_size.is_some() || entries.is_some() || wall_time.is_some()
    }

    /// Layers with these flags on top.
    pub(crate) fn over(&self, layers: Layers) -> Layers {
        self.usual.over(layers.flag("--fuel", "job.fuel", self.fuel.as_ref()))
    }
}

impl UsualLimits {
    /// Layers with these flags on top.
    pub(crate) fn over(&self, layers: Layers) -> Layers {
        layers
            .flag("--memory", "job.memory", self.memory.as_ref())
            .flag("--output-size", "job.output_size", self.output_size.as_ref())
            .flag("--entries", "job.entries", self.entries.as_ref())
            .flag("--wall-time", "job.wall_time", self.wall_time.as_ref())
    }
}

/// The limits that the settings (with the flags on top of them) name.
pub(crate) const fn limits(job: &settings::Job) -> Limits {
    Limits {
        fuel: job.fuel.0,
        memory: job.memory.0,
        output: job.output_size.0,
        entries: job.entries.0,
        wall: job.wall_time.0,
        ..Limits::LEAST
    }
}
