//! `lota wasm run`.

use std::io::Read as _;

use anyhow::Context as _;
use clap::Args;
use lota_content::Cid;
use lota_market::spec::{Engine, JobSpec, Link};

use super::{
    job::{Asked, Called, Given, Program, Wanted},
    limits::{LimitFlags, limits},
    source::Source,
};
use crate::{context::Context, failure::Usage, settings};

/// Run a module on the market, as if it were a program on this machine: waits, prints its stdout and stderr, and ends with
/// its exit code. The price, the provider and the output's CID go to stderr.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota wasm run hello.wasm world
  lota wasm run wc.wasm -i texts --max-price '0.02 FIL' -- --top 10
  lota wasm run resize.wasm -i cat.png:/cat.png -e WIDTH=64 --output-dir out
  git log | lota wasm run wc.wasm -i -
  lota wasm run bafybei... --detach

Exit codes: the job's own; 124 it exceeded its wall time, 126 the module cannot be run,
134 it trapped, 137 out of memory, 152 out of fuel, 153 it wrote too much;
1 the job did not come to a result; 130 interrupted (the job goes on).")]
pub(crate) struct Run {
    /// The module: a file, or a CID
    module: String,
    #[command(flatten)]
    given: Given,
    /// The exported function to call
    #[arg(long, default_value = lota_market::spec::DEFAULT_ENTRY, value_name = "NAME")]
    entry_point: String,
    #[command(flatten)]
    wanted: Wanted,
    #[command(flatten)]
    limits: LimitFlags,
    #[command(flatten)]
    called: Called,
}

impl Run {
    /// Whether stderr is for what the job writes there.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.wanted.is_quiet()
    }

    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let program = Module::find(&self.module, &self.entry_point)?;
        let layers = self.limits.over(self.called.terms.over(context));
        Asked { program, given: &self.given, wanted: &self.wanted, called: &self.called, layers }.run(context).await
    }
}

/// A module, and the function to call.
pub(crate) struct Module<'a> {
    module: Source,
    entry_point: &'a str,
}

impl<'a> Module<'a> {
    /// The module in a file of this machine, or by its CID.
    ///
    /// # Errors
    /// When there is none, or it is no module.
    pub(crate) fn find(text: &str, entry_point: &'a str) -> anyhow::Result<Self> {
        let module = Source::find(text).map_err(|error| Usage(error.to_string()))?;
        if let Source::Path(path) = &module {
            check_module(path)?;
        }
        if matches!(module, Source::Url { .. } | Source::Directory(_)) {
            let problem = "a module is a file or a CID; only inputs are at a URL or in a provider's directory";
            return Err(Usage(problem.to_owned()).into());
        }
        Ok(Self { module, entry_point })
    }
}

impl Program for Module<'_> {
    fn source(&self) -> Option<&Source> {
        Some(&self.module)
    }

    fn spec(&self, cid: Option<Cid>, job: &settings::Job) -> anyhow::Result<JobSpec> {
        let module = Link(cid.context("the module has no CID")?);
        let mut spec = JobSpec::wasm(module, limits(job));
        spec.engine = Engine::Wasm { module, entry: self.entry_point.to_owned() };
        Ok(spec)
    }
}

/// Refuses what is no module before it costs anything.
fn check_module(path: &std::path::Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot read the module {}", path.display());
    let mut start = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(8).read_to_end(&mut start)).with_context(cannot)?;
    if start.starts_with(b"\0asm") {
        return Ok(());
    }
    let what = if start.is_empty() {
        "it is empty".to_owned()
    } else {
        format!("it begins with `{}` instead of `\\0asm`", start.escape_ascii())
    };
    Err(Usage(format!(
        "{} is not a WebAssembly module: {what}; compile your program with `--target wasm32-wasip1`",
        path.display()
    ))
    .into())
}
