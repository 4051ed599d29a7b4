//! `lota job get`.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::cat::segments;
use crate::{
    context::Context,
    flags::Format,
    terminal::{self, file_count},
    units::ByteSize,
    verbs::content::save,
};

/// Save a job's output in a folder, which must not exist: `stdout`, `stderr`, `exitCode` and `outputs/`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota job get 0x3f21
  lota job get 0x3f21 --path outputs -o results")]
pub(crate) struct Get {
    /// The job's id, or the first 4 or more of its digits
    job: String,
    /// Where to save it [default: job-ID, with the id's first digits]
    #[arg(long, short, value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Only this file or folder of it
    #[arg(long, value_name = "PATH", default_value = "")]
    path: String,
    #[command(flatten)]
    format: Format,
}

#[derive(Serialize)]
struct Saved {
    path: PathBuf,
    bytes: u64,
    entries: u64,
}

impl Get {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let api = context.api()?;
        if let Some(path) = &self.output_dir {
            save::check_free(path)?;
        }
        let job = api.job(&self.job).await?;
        let id = job.summary.id.to_string();
        let path = self.output_dir.clone().unwrap_or_else(|| format!("job-{}", id.get(2..10).unwrap_or(&id)).into());
        save::check_free(&path)?;
        let saved = save::output(&api, &id, &segments(&self.path), &path).await?;
        if self.format.json {
            return terminal::print_json(&Saved { path, bytes: saved.bytes, entries: saved.entries });
        }
        terminal::print(&format!("{}\n", path.display()))?;
        terminal::tell(&format!("Saved {}: {}.", ByteSize(saved.bytes), file_count(saved.entries)));
        Ok(())
    }
}
