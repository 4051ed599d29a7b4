//! `lota node resume`.

use clap::Args;

use crate::{context::Context, flags::Format, terminal};

/// Have a provider that was slashed lock jobs again.
///
/// A provider that lost its collateral stops locking jobs once that is final: `lota node show` says for which job. Find out why first
/// (`lota job describe`): what cost one collateral may cost the next.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota node resume")]
pub(crate) struct Resume {
    #[command(flatten)]
    format: Format,
}

impl Resume {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let resumed = context.api()?.resume().await?;
        if self.format.json {
            return terminal::print_json(&resumed);
        }
        match resumed.slashed_for {
            Some(job) => terminal::tell(&format!("The node locks jobs again; it had stopped over job {job}.")),
            None => terminal::tell("The node had not stopped locking jobs."),
        }
        Ok(())
    }
}
