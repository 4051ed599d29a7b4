//! `lota job cancel`.

use clap::Args;

use crate::{context::Context, flags::Format, terminal};

/// Withdraw a job that nobody has locked yet; the escrow comes back.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota job cancel 0x3f21")]
pub(crate) struct Cancel {
    /// The job's id, or the first 4 or more of its digits
    job: String,
    #[command(flatten)]
    format: Format,
}

impl Cancel {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let job = context.api()?.cancel(&self.job).await?;
        if self.format.json {
            return terminal::print_json(&job);
        }
        terminal::print(&format!("{} {}\n", job.id, terminal::status(job.status)))
    }
}
