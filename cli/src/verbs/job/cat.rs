//! `lota job cat` and `lota job logs`.

use clap::Args;

use crate::{
    api::Part,
    context::Context,
    failure::Usage,
    flags::Raw,
    streams::{copy_to_stderr, copy_to_stdout},
};

/// Print one file of a job's output.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota job cat 0x3f21 stdout
  lota job cat 0x3f21 outputs/counts.csv | sort")]
pub(crate) struct Cat {
    /// The job's id, or the first 4 or more of its digits
    job: String,
    /// The file's path in the output
    path: String,
    #[command(flatten)]
    raw: Raw,
}

/// Print what a job wrote: its stdout on stdout, its stderr on stderr.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota job logs 0x3f21 2> errors.txt")]
pub(crate) struct Logs {
    /// The job's id, or the first 4 or more of its digits
    job: String,
    #[command(flatten)]
    raw: Raw,
}

impl Cat {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let path = segments(&self.path);
        if path.is_empty() {
            return Err(Usage(format!("`{}` names no file of the output; `stdout` is one", self.path)).into());
        }
        let api = context.api()?;
        copy_to_stdout(&api, api.output(&self.job, &path, Part::Bytes).await?, self.raw).await
    }
}

impl Logs {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let api = context.api()?;
        copy_to_stdout(&api, api.output(&self.job, &["stdout"], Part::Bytes).await?, self.raw).await?;
        copy_to_stderr(&api, api.output(&self.job, &["stderr"], Part::Bytes).await?, self.raw).await
    }
}

/// The parts of a path.
pub(crate) fn segments(path: &str) -> Vec<&str> {
    path.split('/').filter(|segment| !segment.is_empty()).collect()
}
