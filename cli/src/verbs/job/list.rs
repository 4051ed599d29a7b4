//! `lota job list`.

use clap::{Args, builder::PossibleValuesParser};
use jiff::Timestamp;
use lota_market::model::Status;
use lota_node::api::types::{JobQuery, JobSummary};
use serde::Deserialize as _;

use crate::{
    arguments::Format,
    context::Context,
    terminal::{self, Column, Table, age, money, printable, short_address, short_id},
};

/// The largest page that the daemon gives.
const PAGE: u32 = 1000;

/// List jobs, newest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota job list
  lota job list --all --status settled --limit 100
  lota job list --json | jq -r '.[].id'")]
pub(crate) struct List {
    /// Everybody's jobs that the daemon has seen, not only yours
    #[arg(long, short)]
    all: bool,
    /// Only jobs in this state
    #[arg(long, short, value_parser = PossibleValuesParser::new(STATES))]
    status: Option<String>,
    /// At most this many
    #[arg(long, short = 'n', default_value_t = 50, value_name = "COUNT")]
    limit: u32,
    /// Oldest first instead of newest first
    #[arg(long, visible_alias = "reverse")]
    oldest_first: bool,
    /// Print only ids, one on each line
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    /// Print ids and addresses in full
    #[arg(long)]
    wide: bool,
    #[command(flatten)]
    format: Format,
}

const STATES: [&str; 8] = ["open", "locked", "submitted", "disputed", "settled", "cancelled", "slashed", "void"];

impl List {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let api = context.api()?;
        let status = match &self.status {
            Some(name) => {
                Some(Status::deserialize(serde::de::value::StrDeserializer::<serde::de::value::Error>::new(name))?)
            }
            None => None,
        };
        let mut jobs: Vec<JobSummary> = Vec::new();
        let mut after = None;
        let mut more = true;
        while more && jobs.len() < self.limit as usize {
            let limit = (self.limit - u32::try_from(jobs.len()).unwrap_or(u32::MAX)).min(PAGE);
            let query = JobQuery { all: self.all, status, oldest_first: self.oldest_first, limit: Some(limit), after };
            let page = api.jobs(&query).await?;
            more = page.next.is_some() && !page.jobs.is_empty();
            after = page.next;
            jobs.extend(page.jobs);
        }
        if self.format.json {
            return terminal::print_json(&jobs);
        }
        if self.quiet {
            return terminal::print(&jobs.iter().map(|job| format!("{}\n", job.id)).collect::<String>());
        }
        if jobs.is_empty() {
            let whose = if self.all { "No jobs" } else { "No jobs of yours" };
            terminal::tell(&format!("{whose} match; ask for one with `lota wasm run`."));
            return Ok(());
        }
        terminal::print(&self.table(&jobs, Timestamp::now()))?;
        if more {
            terminal::tell(&format!("There are more than {}; see them with --limit.", self.limit));
        }
        Ok(())
    }

    fn table(&self, jobs: &[JobSummary], now: Timestamp) -> String {
        let mut table = Table::new([
            Column::Left,
            Column::Left,
            Column::Right,
            Column::Right,
            Column::Left,
            Column::Right,
            Column::Left,
        ])
        .heading(&["JOB", "STATUS", "AGE", "PRICE", "PROVIDER", "EXIT", "DOING"]);
        for job in jobs {
            let address = |address| if self.wide { format!("{address}") } else { short_address(address) };
            table.row([
                if self.wide { job.id.to_string() } else { short_id(job.id) },
                terminal::status(job.status),
                age(job.opened, now),
                money(job.price),
                job.provider.map_or_else(|| "-".to_owned(), address),
                job.exit_code.map_or_else(|| "-".to_owned(), |code| code.to_string()),
                printable(&job.phase),
            ]);
        }
        table.render()
    }
}
