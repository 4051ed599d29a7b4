//! `lota job describe`.

use std::fmt::Write as _;

use clap::Args;
use jiff::Timestamp;
use lota_api::{AuctionInfo, AwardInfo, JobDetail, OrderInfo, PriceStage, PublicationInfo, PublicationProgress};
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
    text.push_str(&money(job, asset).render());
    let _ = writeln!(text, "\n{}", bold("Providers"));
    if job.decisions.is_empty() {
        text.push_str("  none has said anything yet\n");
    } else {
        text.push_str(&decisions(job).render());
    }
    if let Some(auction) = &job.auction {
        let _ = writeln!(text, "\n{}", bold("Auction"));
        text.push_str(&bids(auction, now, asset).render());
        if let Some(why) = why_the_price(auction, asset) {
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
    match &summary.order {
        Some(order) => {
            table.row(["price", &format!("{} over Filecoin Pay", order.unit.show(order.price.gross))]);
            table.row(["payer", &order.payer.to_string()]);
        }
        None => table.row(["price", &price]),
    }
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
    for publication in &job.published {
        table.row(["kept by", &kept(publication)]);
    }
    for (name, value) in &summary.labels {
        table.row(["label", &printable(&format!("{name}={value}"))]);
    }
    table
}

/// Where an output is, in a line.
pub(super) fn kept(publication: &PublicationInfo) -> String {
    let mut line = match (publication.publisher.as_str(), publication.state) {
        ("gateway", _) => "this daemon's gateway".to_owned(),
        (publisher, PublicationProgress::Queued) => format!("{publisher}: queued"),
        (publisher, PublicationProgress::Pinning) => format!("{publisher}: pinning"),
        (publisher, PublicationProgress::Pinned) => format!("{publisher}: pinned"),
        (publisher, PublicationProgress::Failed) => format!("{publisher}: {}", terminal::bad("failed")),
    };
    for detail in [&publication.detail, &publication.reason, &publication.url].into_iter().flatten() {
        let _ = write!(line, " ({})", printable(detail));
    }
    line
}

fn money(job: &JobDetail, asset: &Asset) -> Table {
    let JobDetail { money, summary, .. } = job;
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
    if let Some(order) = &summary.order {
        for (name, amount) in paid_by(order) {
            table.row([name, amount]);
        }
        any = true;
    }
    if !any {
        table.row(["none has moved"]);
    }
    table
}

/// What an order that is paid over Filecoin Pay pays, and what has become of that.
fn paid_by(order: &OrderInfo) -> Vec<(String, String)> {
    let show = |amount| order.unit.show(amount);
    let rail = order.rail.as_deref().map_or_else(String::new, |rail| format!(" on rail {}", printable(rail)));
    let stage = match order.stage {
        PriceStage::Open => "offered at most, over Filecoin Pay".to_owned(),
        PriceStage::Locked => format!("locked for the provider{rail}"),
        PriceStage::Due => format!("due to the provider{rail}"),
        PriceStage::Collected => match order.collected {
            Some(at) => format!("collected{rail} at {at}"),
            None => format!("collected{rail}"),
        },
        PriceStage::Freed => format!("given back to the payer{rail}"),
        PriceStage::Unknown => format!("paid over Filecoin Pay{rail}"),
    };
    let mut rows = vec![(stage, show(order.price.gross))];
    if !matches!(order.stage, PriceStage::Freed) {
        rows.push(("of that Filecoin Pay's fee".to_owned(), show(order.price.fee)));
        rows.push(("and the provider's".to_owned(), show(order.price.net)));
    }
    if let Some(why_not) = &order.why_not {
        rows.push((format!("not collected yet: {}", printable(why_not)), String::new()));
    }
    rows
}

/// The bids, as far as they are public.
fn bids(auction: &AuctionInfo, now: Timestamp, asset: &Asset) -> Table {
    let mut table = Table::new([Column::Left, Column::Right]).indent(2);
    table.row(["bids are sealed before".to_owned(), auction.sealed_until.to_string()]);
    table.row(["and opened until".to_owned(), auction.opened_until.to_string()]);
    let is_over = auction.awarded.is_some() || now > auction.opened_until;
    let closed = if is_over { "never opened, its deposit is burned" } else { "sealed" };
    for bid in &auction.bids {
        table.row([bid.bidder.to_string(), bid.price.map_or_else(|| closed.to_owned(), |price| asset.show(price))]);
    }
    if auction.bids.is_empty() {
        table.row(["nobody has bid".to_owned(), String::new()]);
    }
    if auction.more {
        table.row(["and more, which this node does not keep".to_owned(), String::new()]);
    }
    table
}

/// Who won, and why it is paid what it is paid.
pub(crate) fn why_the_price(auction: &AuctionInfo, asset: &Asset) -> Option<String> {
    let AwardInfo { winner, price } = auction.awarded.as_ref()?;
    let mut opened: Vec<AttoFil> = auction.bids.iter().filter_map(|bid| bid.price).collect();
    opened.sort_unstable();
    let price = asset.show(*price);
    Some(match opened.get(1) {
        Some(second) => format!(
            "{winner} bid lowest and is paid {price}: the second-lowest bid, {}, so that nobody gains by bidding \
             anything but what the job costs",
            asset.show(*second)
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
    fn a_job_says_where_its_output_is_kept() {
        console::set_colors_enabled(false);
        let kept = |publisher: &str, state, reason: Option<&str>| {
            let (publisher, reason) = (publisher.to_owned(), reason.map(str::to_owned));
            super::kept(&PublicationInfo { publisher, state, detail: None, reason, url: None })
        };
        assert_eq!(kept("kubo", PublicationProgress::Pinned, None), "kubo: pinned");
        let failed = kept("pinning service", PublicationProgress::Failed, Some("it answered 401\u{1b}"));
        assert_eq!(failed, "pinning service: failed (it answered 401\\u{1b})");
        let (publisher, detail) = ("filecoin".to_owned(), Some("piece 3 of data set 12".to_owned()));
        let state = PublicationProgress::Pinned;
        let stored = super::kept(&PublicationInfo { publisher, state, detail, reason: None, url: None });
        assert_eq!(stored, "filecoin: pinned (piece 3 of data set 12)");
    }

    #[test]
    fn a_job_is_told_in_full() {
        let job: JobDetail = serde_json::from_str(JOB).expect("the fixture is a job");
        console::set_colors_enabled(false);
        let now = "2026-01-01T00:05:00Z".parse().expect("a time");
        insta::assert_snapshot!(text(&job, now, &Asset::coin()));
    }

    #[test]
    fn bids_are_told_in_what_the_market_is_paid_in() {
        let bid = |byte, price: Option<u128>| lota_api::BidInfo {
            bidder: lota_market::Address::repeat_byte(byte),
            price: price.map(AttoFil),
        };
        let at = |text: &str| text.parse::<Timestamp>().expect("a time");
        let (low, high) = (bid(1, Some(2_500_000)), bid(2, Some(3_000_000)));
        let award = AwardInfo { winner: low.bidder, price: AttoFil(3_000_000) };
        let (sealed_until, opened_until) = (at("2026-01-01T00:05:00Z"), at("2026-01-01T00:06:00Z"));
        let mut auction =
            AuctionInfo { sealed_until, opened_until, bids: vec![low, high, bid(3, None)], more: false, awarded: None };
        let dollar = Asset::token("USD", 6);
        let told = |auction: &AuctionInfo, now| bids(auction, at(now), &dollar).render();
        let open = told(&auction, "2026-01-01T00:06:00Z");
        assert!(open.contains(" 2.5 USD\n") && open.contains(" 3 USD\n") && open.contains(" sealed\n"), "{open}");
        assert!(!open.contains("FIL") && why_the_price(&auction, &dollar).is_none(), "{open}");
        let late = told(&auction, "2026-01-01T00:06:01Z");
        assert!(late.contains("never opened, its deposit is burned") && !late.contains(" sealed\n"), "{late}");
        auction.awarded = Some(award);
        assert_eq!(told(&auction, "2026-01-01T00:06:00Z"), late, "after the award nobody opens a bid");
        let why = why_the_price(&auction, &dollar).expect("it was awarded");
        assert!(why.contains("is paid 3 USD: the second-lowest bid, 3 USD,") && !why.contains("FIL"), "{why}");
    }
}
