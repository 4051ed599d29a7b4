//! `lota job describe`.

use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;
use lota_api::{AuctionInfo, AwardInfo, JobDetail, MoneyInfo};
use lota_market::{AttoFil, asset::Asset, model::Reason};

use super::{decisions::grouped, ending, offer};
use crate::{
    context::Context,
    flags::Format,
    terminal::{self, Column, Table, age, bold, printable, span},
    units::Count,
    verbs::node::show::problems,
};

/// Show everything about a job.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota job describe 0x3f21
  lota job describe 0x3f21 --spec | lota job submit -     # the same job again")]
pub(crate) struct Describe {
    /// The job's id, or the first 4 or more of its digits
    job: String,
    /// Print only its spec, as JSON for `lota job submit`
    #[arg(long, conflicts_with = "json")]
    spec: bool,
    #[command(flatten)]
    format: Format,
}

impl Describe {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let api = context.api()?;
        let job = api.job(&self.job).await?;
        if self.format.json {
            return terminal::print_json(&job);
        }
        if self.spec {
            return match &job.spec {
                Some(spec) => terminal::print_json(spec),
                None => anyhow::bail!(
                    "the daemon does not have the spec of job {} (CID {})",
                    job.summary.id,
                    job.terms.spec
                ),
            };
        }
        terminal::print(&text(&job, Timestamp::now(), &api.asset_for_showing().await))
    }
}

/// A reason's name in words.
pub(crate) const fn reason(reason: Reason) -> &'static str {
    match reason {
        Reason::None => "not ended",
        Reason::Accepted => "the client accepted the result",
        Reason::Unchallenged => "nobody disputed the result in time",
        Reason::Upheld => "the arbiter upheld the result",
        Reason::Unreviewed => "the result was submitted, and there is no arbiter to review it",
        Reason::Withdrawn => "it was withdrawn",
        Reason::NotLocked => "no provider took it in time",
        Reason::NotSubmitted => "the provider gave no result in time, or gave up",
        Reason::Overturned => "the arbiter overturned the result",
        Reason::Undecided => "the arbiter could not decide",
        Reason::NotRuled => "the arbiter did not rule in time",
    }
}

fn text(job: &JobDetail, now: Timestamp, asset: &Asset) -> String {
    let mut text = format!("{} {}\n", bold("Job"), job.summary.id);
    text.push_str(&summary(job, now, asset).render());
    if let Some(problem) = &job.problem {
        let _ = writeln!(text, "  {} {}", terminal::bad("problem"), printable(problem));
    }
    text.push_str(&problems(&job.node_problems));
    let _ = writeln!(text, "\n{}", bold("Money"));
    text.push_str(&money(&job.money, asset).render());
    let _ = writeln!(text, "\n{}", bold("Providers"));
    if job.decisions.is_empty() {
        text.push_str("  none has said anything yet\n");
    } else {
        text.push_str(&decisions(job).render());
    }
    if let Some(auction) = &job.auction {
        let _ = writeln!(text, "\n{}", bold("Auction"));
        text.push_str(&bids(auction).render());
        if let Some(why) = why_the_price(auction) {
            let _ = writeln!(text, "  {why}");
        }
    }
    let _ = writeln!(text, "\n{}", bold("Events"));
    let mut events = Table::new([Column::Left, Column::Right, Column::Left, Column::Left]).indent(2);
    for event in &job.events {
        events.row([
            event.time.to_string(),
            format!("block {}", event.block),
            printable(&event.name),
            printable(&event.text),
        ]);
    }
    text.push_str(&events.render());
    let _ = writeln!(text, "\n{}", bold("Terms"));
    text.push_str(&terms(job, asset).render());
    text
}

fn summary(job: &JobDetail, now: Timestamp, asset: &Asset) -> Table {
    let summary = &job.summary;
    let mut table = Table::pairs().indent(2);
    let mut status = terminal::job_status(summary);
    if summary.reason != Reason::None {
        let _ = write!(status, ": {}", reason(summary.reason));
    }
    if summary.status.is_final() {
        status.push_str(if summary.is_final { " (final)" } else { " (the chain may still undo it)" });
    }
    table.row(["status", &status]);
    if !summary.status.is_final() {
        table.row(["doing", &summary.phase.to_string()]);
    }
    table.row(["client", &summary.client.to_string()]);
    if let Some(provider) = summary.provider {
        table.row(["provider", &provider.to_string()]);
    }
    if let Some(trusted) = offer::trusted(summary) {
        table.row(["result", &trusted]);
    }
    if ending::is_container(job) {
        table.row(["container", "its output is not reproducible: running it again proves nothing"]);
    }
    table.row(["opened", &format!("{} ({} ago)", summary.opened, age(summary.opened, now))]);
    table.row(["changed", &format!("{} ({} ago)", summary.updated, age(summary.updated, now))]);
    let price = summary.price.map_or_else(
        || format!("at most {}", asset.show(summary.max_price)),
        |price| format!("{} (at most {})", asset.show(price), asset.show(summary.max_price)),
    );
    table.row(["price", &price]);
    if let Some(result) = &job.result {
        let code = match ending::failure(job) {
            Some(failure) => format!("{}: {}", result.exit_code, terminal::bad(&failure)),
            None => result.exit_code.to_string(),
        };
        table.row(["exit code", &code]);
        table.row(["fuel used", &Count(result.fuel_used).to_string()]);
        let held = match (summary.output_verified, ending::is_container(job)) {
            (true, false) => "verified, held here",
            (false, false) => "not verified here",
            // That is said of its bytes, and would be believed of more.
            (true, true) => "held here",
            (false, true) => "not held here",
        };
        table.row(["output", &format!("{} ({held})", printable(&result.output))]);
        if let Some(gateway) = &result.gateway {
            table.row(["served at", &printable(gateway)]);
        }
    }
    for (name, value) in &summary.labels {
        table.row(["label", &printable(&format!("{name}={value}"))]);
    }
    table
}

fn money(money: &MoneyInfo, asset: &Asset) -> Table {
    let mut table = Table::new([Column::Left, Column::Right]).indent(2);
    let mut any = false;
    for (name, amount) in [
        ("held for the price", money.in_escrow),
        ("held as the provider's collateral", money.collateral_held),
        ("paid to the provider", money.paid_to_provider),
        ("returned to the client", money.returned_to_client),
        ("compensation to the client", money.compensation),
        ("to the arbiter", money.to_arbiter),
        ("burned", money.burned),
    ] {
        if amount != AttoFil::ZERO {
            table.row([name.to_owned(), asset.show(amount)]);
            any = true;
        }
    }
    if !any {
        table.row(["none has moved"]);
    }
    table
}

/// The bids, as far as they are public.
fn bids(auction: &AuctionInfo) -> Table {
    let mut table = Table::new([Column::Left, Column::Right]).indent(2);
    table.row(["bids are sealed before".to_owned(), auction.sealed_until.to_string()]);
    table.row(["and opened until".to_owned(), auction.opened_until.to_string()]);
    for bid in &auction.bids {
        table.row([bid.bidder.to_string(), bid.price.map_or_else(|| "sealed".to_owned(), |price| price.to_string())]);
    }
    if auction.bids.is_empty() {
        table.row(["nobody has bid".to_owned(), String::new()]);
    }
    table
}

/// Who won, and why it is paid what it is paid.
pub(crate) fn why_the_price(auction: &AuctionInfo) -> Option<String> {
    let AwardInfo { winner, price } = auction.awarded.as_ref()?;
    let mut opened: Vec<AttoFil> = auction.bids.iter().filter_map(|bid| bid.price).collect();
    opened.sort_unstable();
    Some(match opened.get(1) {
        Some(second) => format!(
            "{winner} bid lowest and is paid {price}: the second-lowest bid, {second}, so that nobody gains by bidding \
             anything but what the job costs"
        ),
        None => format!("{winner} was the only bidder whose bid was opened, and is paid the highest price, {price}"),
    })
}

fn decisions(job: &JobDetail) -> Table {
    let mut table = Table::new([Column::Left, Column::Left, Column::Left]).indent(2);
    for group in grouped(&job.decisions) {
        table.row([group.who, group.decision.to_string(), group.reason]);
    }
    table
}

fn terms(job: &JobDetail, asset: &Asset) -> Table {
    let terms = &job.terms;
    let mut table = Table::pairs().indent(2);
    table.row(["spec", &printable(&terms.spec)]);
    table.row([
        "price",
        &format!(
            "{} rising to {} within {} from {}",
            asset.show(terms.min_price),
            asset.show(terms.max_price),
            span(terms.ramp_period),
            terms.ramp_start
        ),
    ]);
    table.row(["to be locked by", &terms.lock_by.to_string()]);
    table.row(["run window", &span(terms.run_for.into())]);
    table.row(["review window", &span(terms.review_for.into())]);
    table.row(["collateral", &asset.show(terms.collateral)]);
    if let Some(matcher) = terms.matcher {
        // Whether the job is directed to a provider, or awarded by a contract, its address does not tell.
        table.row(["awarded by", &matcher.to_string()]);
    }
    if let Some(arbiter) = terms.arbiter {
        table.row(["disputes", &format!("ruled by {arbiter} within {}", span(terms.rule_for.into()))]);
    }
    if terms.callback_gas > 0 {
        table.row(["callback", &format!("{} gas", terms.callback_gas)]);
    }
    table.row(["salt", &printable(&terms.salt)]);
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: &str = include_str!("../../../tests/fixtures/job.json");

    #[test]
    fn a_job_is_told_in_full() {
        let job: JobDetail = serde_json::from_str(JOB).expect("the fixture is a job");
        console::set_colors_enabled(false);
        let now = "2026-01-01T00:05:00Z".parse().expect("a time");
        insta::assert_snapshot!(text(&job, now, &Asset::coin()));
    }
}
