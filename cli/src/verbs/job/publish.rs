//! `lota job publish`.

use clap::Args;

use super::describe::kept;
use crate::{
    context::Context,
    flags::Format,
    terminal::{self, Table},
};

/// Have a job's output published again where that failed, at once, and look at where it is kept. The daemon that ran the job publishes
/// it; `lota job describe` shows how far that is.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota job publish 0x3f21")]
pub(crate) struct Publish {
    /// The job's id, or the first 4 or more of its digits
    job: String,
    #[command(flatten)]
    format: Format,
}

impl Publish {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let published = context.api()?.publish(&self.job).await?;
        if self.format.json {
            return terminal::print_json(&published);
        }
        let mut table = Table::pairs();
        for publication in &published {
            table.row(["kept by", &kept(publication)]);
        }
        terminal::print(&table.render())
    }
}
