//! `lota job wait`.

use clap::Args;
use lota_market::model::Status;

use super::{
    describe, ending,
    follow::{Followed, follow, if_interrupted},
};
use crate::{
    context::Context,
    failure::{ExitWith, FAILED},
    flags::Format,
    terminal::{self, Progress},
    units::Seconds,
};

/// Wait until a job has ended. Exit code 0: it was settled; 1: it ended otherwise, or the time was over first.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota job wait 0x3f21 --timeout 5m && lota job get 0x3f21")]
pub(crate) struct Wait {
    /// The job's id, or the first 4 or more of its digits
    job: String,
    /// Give up after this time (the job goes on)
    #[arg(long, short, value_name = "TIME")]
    timeout: Option<Seconds>,
    #[command(flatten)]
    format: Format,
}

impl Wait {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let api = context.api()?;
        let progress = Progress::start(self.format.json);
        let words = context.last_words.clone();
        words.set(format!("The job goes on; wait for it with `lota job wait {}`.", self.job));
        let limit = self.timeout.map(Seconds::duration);
        let followed = follow(&api, &self.job, &progress, limit, |job| words.set(if_interrupted(&job.summary))).await?;
        progress.finish();
        let (job, in_time) = match followed {
            Followed::Ended(job) => (job, true),
            Followed::TimeOver(job) => (job, false),
        };
        let summary = &job.summary;
        if self.format.json {
            terminal::print_json(&job)?;
        } else if in_time {
            let (state, reason) = (terminal::job_status(summary), describe::reason(summary.reason));
            terminal::print(&format!("{} {state}: {reason}\n", summary.id))?;
            if let Some(failure) = ending::failure(&job) {
                terminal::tell(&terminal::bad(&failure));
            }
        } else {
            terminal::print(&format!("{} {}\n", summary.id, terminal::status(summary.status)))?;
            terminal::tell("The time is over; the job goes on.");
        }
        if in_time && summary.status == Status::Settled { Ok(()) } else { Err(ExitWith(FAILED).into()) }
    }
}
