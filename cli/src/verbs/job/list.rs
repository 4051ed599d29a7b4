//! `lota job list`.

use clap::{
    Args,
    builder::{PossibleValuesParser, TypedValueParser as _},
};
use jiff::Timestamp;
use lota_api::{JobQuery, JobSummary, LabelFilter, StateFilter};
use lota_market::asset::Asset;
use lota_market::model::{Reason, Status};

use super::{ending, since::Since};
use crate::{
    context::Context,
    flags::Format,
    terminal::{self, Column, Table, age, money, printable, short_address, short_id, span},
};

/// The largest page that the daemon gives.
const PAGE: u32 = 1000;

/// List jobs, newest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota job list
  lota job list --status running,failed --since 2h
  lota job list --all --label kind=thumbnails --status settled --limit 100
  lota job list --json | jq -r '.[].id'")]
pub(crate) struct List {
    /// Everybody's jobs that the daemon has seen, not only yours
    #[arg(long, short)]
    all: bool,
    /// Only jobs in one of these states (`settled,void`); `running`: locked, submitted or disputed; `failed`: slashed, void,
    /// taken by nobody in time, or with an exit code other than 0
    #[arg(
        long,
        short,
        value_delimiter = ',',
        value_parser = PossibleValuesParser::new(STATES).try_map(|state| state.parse::<StateFilter>())
    )]
    status: Vec<StateFilter>,
    /// Only jobs with this label, NAME=VALUE or, whatever its value, NAME; give it again for jobs that have all of them
    #[arg(long = "label", short, value_name = "LABEL")]
    labels: Vec<LabelFilter>,
    /// Only jobs that were opened within this time (`2h`), or since a moment (`2026-01-31T12:00:00Z`)
    #[arg(long, value_name = "TIME")]
    since: Option<Since>,
    /// At most this many
    #[arg(long, short = 'n', default_value_t = 50, value_name = "COUNT")]
    limit: u32,
    /// Oldest first instead of newest first
    #[arg(long, visible_alias = "reverse")]
    oldest_first: bool,
    /// Print only ids, one on each line
    #[arg(long, short, conflicts_with = "json")]
    quiet: bool,
    /// Print ids and addresses in full, and labels
    #[arg(long)]
    wide: bool,
    #[command(flatten)]
    format: Format,
}

const STATES: [&str; 10] =
    ["open", "locked", "submitted", "disputed", "settled", "cancelled", "slashed", "void", "running", "failed"];

impl List {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let api = context.api()?;
        let now = Timestamp::now();
        let mut jobs: Vec<JobSummary> = Vec::new();
        let mut after = None;
        let mut more = true;
        while more && jobs.len() < self.limit as usize {
            let limit = (self.limit - u32::try_from(jobs.len()).unwrap_or(u32::MAX)).min(PAGE);
            let query = JobQuery {
                all: self.all,
                states: self.status.clone(),
                labels: self.labels.clone(),
                since: self.since.map(|since| since.moment(now)),
                oldest_first: self.oldest_first,
                limit: Some(limit),
                after,
            };
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
        terminal::print(&table(&jobs, self.wide, now, &api.asset_for_showing().await))?;
        if more {
            terminal::tell(&format!("There are more than {}; see them with --limit.", self.limit));
        }
        Ok(())
    }
}

fn table(jobs: &[JobSummary], wide: bool, now: Timestamp, asset: &Asset) -> String {
    let mut names = vec!["JOB", "STATUS", "RESULT", "AGE", "TOOK", "PRICE", "PROVIDER"];
    let mut columns =
        vec![Column::Left, Column::Left, Column::Left, Column::Right, Column::Right, Column::Right, Column::Left];
    if wide {
        names.push("LABELS");
        columns.push(Column::Left);
    }
    let mut table = Table::new(columns).heading(&names);
    for job in jobs {
        let address = |address| if wide { format!("{address}") } else { short_address(address) };
        let labels = job.labels.iter().map(|(name, value)| printable(&format!("{name}={value}")));
        table.row([
            if wide { job.id.to_string() } else { short_id(job.id) },
            terminal::job_status(job),
            result(job),
            age(job.opened, now),
            took(job),
            job.order.as_ref().map_or_else(|| money(job.price, asset), |order| order.unit.show(order.price.gross)),
            job.provider.map_or_else(|| "-".to_owned(), address),
            labels.collect::<Vec<_>>().join(" "),
        ]);
    }
    table.render()
}

/// What came of a job so far: how its program ended, else what its state does not say.
fn result(job: &JobSummary) -> String {
    if let Some(word) = ending::word(job) {
        return if job.exit_code == Some(0) { terminal::good(&word) } else { terminal::bad(&word) };
    }
    match (job.status, job.reason) {
        (Status::None | Status::Locked, _) => terminal::dim(&job.phase.to_string()),
        (_, Reason::NotLocked) => "nobody took it".to_owned(),
        (_, Reason::Withdrawn) => "withdrawn".to_owned(),
        (_, Reason::NotSubmitted) => terminal::bad("no result in time"),
        _ => "-".to_owned(),
    }
}

/// How long it took from its opening to its end.
fn took(job: &JobSummary) -> String {
    if !job.status.is_final() {
        return "-".to_owned();
    }
    span(u64::try_from(job.updated.duration_since(job.opened).as_secs()).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use lota_api::Phase;

    use super::*;

    fn job(change: impl FnOnce(&mut JobSummary)) -> JobSummary {
        let mut job = serde_json::from_str(include_str!("../../../tests/fixtures/job.json")).expect("a job");
        change(&mut job);
        job
    }

    #[test]
    fn a_list_shows_what_is_worth_knowing() {
        console::set_colors_enabled(false);
        let unfinished = |job: &mut JobSummary, status, phase| {
            (job.status, job.reason, job.phase) = (status, Reason::None, phase);
            job.exit_code = None;
        };
        let ended = |job: &mut JobSummary, status, reason| {
            (job.status, job.reason) = (status, reason);
            (job.exit_code, job.price, job.provider) = (None, None, None);
        };
        let jobs = [
            job(|_| ()),
            job(|job| job.exit_code = Some(7)),
            job(|job| job.exit_code = Some(152)),
            job(|job| unfinished(job, Status::Locked, Phase::Running)),
            job(|job| unfinished(job, Status::Open, Phase::Open)),
            job(|job| ended(job, Status::Cancelled, Reason::NotLocked)),
            job(|job| ended(job, Status::Cancelled, Reason::Withdrawn)),
            job(|job| ended(job, Status::Slashed, Reason::NotSubmitted)),
        ];
        let now = "2026-01-01T00:05:00Z".parse().expect("a time");
        insta::assert_snapshot!("list", table(&jobs, false, now, &Asset::coin()));
        insta::assert_snapshot!("wide_list", table(&jobs[..1], true, now, &Asset::coin()));
    }
}
