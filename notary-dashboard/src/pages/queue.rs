//! What waits for a decision, and what is over.

use std::sync::Arc;

use axum::{
    extract::{Query, State},
    response::{IntoResponse as _, Redirect},
};
use lota_market::{
    Time, U256,
    blessing::{Choice, End},
    model::JobId,
};
use lota_notary::{
    desk::{About, Counts, Granter, Queue, QueueEntry, QueueFilter, Runs, Stage, Waiting},
    review::{Outcome, Risk},
};
use maud::{Markup, html};
use serde::Deserialize;
use url::form_urlencoded;

use super::job_id;
use crate::{
    page::{Answer, Failure, Page, Part},
    site::{Reader, Site},
    words,
};

/// Jobs on a page.
const ROWS: u32 = 50;
/// The most characters of a label, and of a program's name.
const MAX_LABEL: usize = 40;
/// The longest text that is searched for, in bytes.
const MAX_SEARCH: usize = 80;

/// Which part of the queue is looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum View {
    #[default]
    ToDecide,
    Voted,
    NotNominated,
    Gathering,
    All,
}

impl View {
    const ALL: [Self; 5] = [Self::ToDecide, Self::Voted, Self::NotNominated, Self::Gathering, Self::All];

    const fn waiting(self) -> Option<Waiting> {
        match self {
            Self::ToDecide => Some(Waiting::ToDecide),
            Self::Voted => Some(Waiting::Voted),
            Self::NotNominated => Some(Waiting::NotNominated),
            Self::Gathering => Some(Waiting::Gathering),
            Self::All => None,
        }
    }

    /// What it is called in an address and on the page, how many there are, and what it holds.
    const fn words(self, counts: &Counts) -> (&'static str, &'static str, u64, &'static str) {
        match self {
            Self::ToDecide => (
                "to-decide",
                "To decide",
                counts.to_decide,
                "What is voted on, or blessed and may be revoked, without a vote of yours",
            ),
            Self::Voted => ("voted", "I voted", counts.voted, "What is not decided for good, with a vote of yours"),
            Self::NotNominated => {
                ("not-nominated", "Not nominated", counts.not_nominated, "What may be nominated, and nobody has")
            }
            Self::Gathering => {
                ("gathering", "Being looked into", counts.gathering, "What this service is finding out about")
            }
            Self::All => ("all", "All", counts.all, "Everything that is not over"),
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Asked {
    #[serde(default)]
    view: View,
    /// What is searched for.
    #[serde(default)]
    q: String,
    /// The last job of the page before.
    after: Option<String>,
}

impl Asked {
    /// A page of the same search.
    fn link(&self, open: bool, view: View, after: Option<JobId>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if open && view != View::default() {
            query.append_pair("view", view.words(&Counts::default()).0);
        }
        if !self.q.is_empty() {
            query.append_pair("q", &self.q);
        }
        if let Some(after) = after {
            query.append_pair("after", &after.to_string());
        }
        let (path, query) = (if open { "/" } else { "/history" }, query.finish());
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

pub(crate) async fn open(State(site): State<Arc<Site>>, reader: Reader, Query(asked): Query<Asked>) -> Answer {
    page(&site, &reader, true, asked).await
}

pub(crate) async fn over(State(site): State<Arc<Site>>, reader: Reader, Query(asked): Query<Asked>) -> Answer {
    page(&site, &reader, false, asked).await
}

/// The first job that waits for this reader's decision.
pub(crate) async fn next(State(site): State<Arc<Site>>, reader: Reader) -> Answer {
    let (waiting, voter) = (Some(Waiting::ToDecide), reader.account());
    let filter = QueueFilter { open: true, waiting, voter, limit: 1, ..QueueFilter::default() };
    let queue = site.ask(site.desk.queue(&filter)).await?;
    let path = queue.entries.first().map_or_else(|| "/".to_owned(), |entry| format!("/jobs/{}", entry.job));
    Ok(Redirect::to(&path).into_response())
}

async fn page(site: &Site, reader: &Reader, open: bool, asked: Asked) -> Answer {
    let about = reader.about.clone()?;
    if asked.q.len() > MAX_SEARCH {
        return Err(Failure::invalid(format!("What is searched for has more than {MAX_SEARCH} bytes.")));
    }
    let filter = QueueFilter {
        open,
        waiting: asked.view.waiting().filter(|_| open),
        voter: reader.account().filter(|_| reader.is_notary),
        search: asked.q.trim().to_owned(),
        after: asked.after.as_deref().map(job_id).transpose()?,
        limit: ROWS,
    };
    let queue = site.ask(site.desk.queue(&filter)).await?;
    let (title, part) = if open { ("Queue", Part::Queue) } else { ("History", Part::History) };
    let content = html! {
        h1 { (title) }
        @if open { (views(&asked, &queue.counts, reader)) }
        (search(&asked, open))
        p.quiet {
            @if open {
                (asked.view.words(&queue.counts).3) ": the riskier and older first. What is over is in the " a href="/history" { "history" } "."
            } @else {
                "What is over, the newest first. What waits is in the " a href="/" { "queue" } "."
            }
        }
        (table(&queue, &about, reader, open, &asked))
        nav.pager aria-label="More jobs" {
            @if filter.after.is_some() { a href=(asked.link(open, asked.view, None)) { "From the beginning" } }
            @if queue.more && let Some(last) = queue.entries.last() {
                a href=(asked.link(open, asked.view, Some(last.job))) { "The next ones" }
            }
        }
    };
    Ok(Page::new(title, part).live("queue").render(Some(reader), &content))
}

fn views(asked: &Asked, counts: &Counts, reader: &Reader) -> Markup {
    html! {
        nav #views .views aria-label="Which jobs" {
            ul {
                @for view in View::ALL.into_iter().filter(|view| *view != View::Voted || reader.is_notary) {
                    @let (_, name, count, _) = view.words(counts);
                    li { a href=(asked.link(true, view, None)) aria-current=[(view == asked.view).then_some("page")] { (name) " (" (count) ")" } }
                }
            }
        }
    }
}

fn search(asked: &Asked, open: bool) -> Markup {
    html! {
        form.search role="search" method="get" action=(if open { "/" } else { "/history" }) {
            @if open && asked.view != View::default() {
                input type="hidden" name="view" value=(asked.view.words(&Counts::default()).0);
            }
            label for="q" { "Job, provider or client" }
            input #q name="q" type="text" value=(asked.q) maxlength=(MAX_SEARCH) autocomplete="off" spellcheck="false" placeholder="0x…";
            button.second type="submit" { "Search" }
            @if !asked.q.is_empty() { a href=(Asked::default().link(open, asked.view, None)) { "Show all" } }
        }
    }
}

fn table(queue: &Queue, about: &About, reader: &Reader, open: bool, asked: &Asked) -> Markup {
    let now = about.now;
    let caption = words::count(queue.total, "job", "jobs");
    let caption = match (open, asked.view) {
        (true, View::ToDecide) => format!("{caption} to decide"),
        (true, _) => caption,
        (false, _) => format!("{caption} over"),
    };
    let found = if asked.q.is_empty() { "" } else { " that was searched for" };
    html! {
        @if queue.entries.is_empty() {
            p.empty #none {
                @match (open, asked.view) {
                    (true, View::ToDecide) => { "Nothing" (found) " waits for a decision." }
                    (true, _) => { "Nothing" (found) " is here." }
                    (false, _) => { "Nothing" (found) " is over yet." }
                }
            }
        } @else {
            // The roles are repeated because narrow screens lay rows out as cards, which takes them away.
            table.jobs role="table" aria-labelledby="jobs-caption" {
                caption #jobs-caption { (caption) }
                thead role="rowgroup" {
                    tr role="row" {
                        @for column in ["Risk", "Job", "What worries", "Asked for", "Votes", if open { "Until" } else { "Outcome" }, "Settled", "Provider, client"] {
                            th scope="col" role="columnheader" { (column) }
                        }
                    }
                }
                tbody #jobs role="rowgroup" {
                    @for entry in &queue.entries { (row(entry, about, reader, now, open)) }
                }
            }
        }
    }
}

fn row(entry: &QueueEntry, about: &About, reader: &Reader, now: Time, open: bool) -> Markup {
    let id = entry.job.to_string();
    let mine = reader.account().is_some_and(|account| entry.voted.contains(&account));
    html! {
        tr role="row" id={ "job-" (id) } {
            td role="cell" data-label="Risk" { (risk(entry.risk)) }
            th scope="row" role="rowheader" data-label="Job" {
                a href={ "/jobs/" (id) } { code.hex { (words::shortened(&id)) } }
                div.quiet { (stage(entry.stage)) }
                (runs(entry.runs.as_ref()))
            }
            td role="cell" data-label="What worries" {
                @if entry.worries.is_empty() { "nothing" } @else { (words::theirs(&entry.worries)) }
            }
            td role="cell" data-label="Asked for" {
                @match (entry.amount, entry.granter) {
                    (Some(amount), granter) => {
                        @let granter = granter.and_then(|granter| about.granters.iter().find(|known| known.granter == granter));
                        span title=(asked_for(amount, granter)) { (briefly(amount, granter)) }
                        @if let Some(granter) = granter { div.quiet { (words::theirs(&granter.name)) } }
                        @if open && needs_two(about, amount, granter) { div.quiet { "needs two approvals" } }
                    }
                    (None, _) => "not nominated",
                }
            }
            td role="cell" data-label="Votes" {
                @if entry.amount.is_some() { (tally(entry.stage, [entry.approvals, entry.against, entry.revocations], about.quorum)) } @else { "–" }
                @if mine { div.quiet { "you voted" } }
            }
            td role="cell" data-label=(if open { "Until" } else { "Outcome" }) {
                @if open {
                    @match entry.until { Some(until) => (words::how_far(until, now)), None => "–" }
                } @else { (stage(entry.stage)) }
            }
            td role="cell" data-label="Settled" { (words::how_far(entry.settled_at, now)) div.quiet { (about.asset.show(entry.price)) } }
            td role="cell" data-label="Provider, client" {
                div { (words::short_account(entry.provider)) }
                div { (words::short_account(entry.client)) }
            }
        }
    }
}

/// What a job runs: strangers name it, so that names are cut off.
fn runs(runs: Option<&Runs>) -> Markup {
    let brief = |text: &str| match text.char_indices().nth(MAX_LABEL) {
        Some((at, _)) => format!("{}…", words::visible(&text[..at])),
        None => words::visible(text),
    };
    html! {
        @match runs {
            None => div.quiet { "its spec is not known" },
            Some(runs) => {
                div.quiet {
                    (brief(&runs.engine)) " "
                    bdi title=(words::visible(&runs.program)) {
                        @if runs.program.starts_with("baf") { (words::shortened(&words::visible(&runs.program))) } @else { (brief(&runs.program)) }
                    }
                    ", " (words::count(u64::from(runs.inputs), "input", "inputs"))
                }
                @for label in &runs.labels { div.quiet { bdi { (brief(label)) } } }
            }
        }
    }
}

/// Whether an amount is one that two notaries must approve before anything is sent.
pub(super) fn needs_two(about: &About, amount: U256, granter: Option<&Granter>) -> bool {
    granter.map_or(about.two_approvals_from, |granter| granter.two_approvals_from).is_some_and(|from| amount >= from)
}

/// An amount in its granter's unit; of a granter that is not known, the bare number.
pub(super) fn asked_for(amount: U256, granter: Option<&Granter>) -> String {
    granter.map_or_else(
        || format!("{amount} of an unknown unit"),
        |granter| words::amount(amount, granter.decimals, &granter.unit),
    )
}

fn briefly(amount: U256, granter: Option<&Granter>) -> String {
    granter
        .map_or_else(|| asked_for(amount, None), |granter| words::short_amount(amount, granter.decimals, &granter.unit))
}

/// How the votes for, against and to revoke stand, or stood when it was decided.
pub(super) fn tally(stage: Stage, [approvals, against, revocations]: [u32; 3], quorum: u32) -> Markup {
    html! {
        (approvals)
        @if stage == Stage::Voting { " of " (quorum) }
        " for"
        @if against > 0 { ", " (against) " against" }
        @if stage == Stage::Blessed { ", " (revocations) " of " (quorum) " to revoke" }
        @else if revocations > 0 { ", " (revocations) " to revoke" }
    }
}

/// A risk, in a word and a sign.
pub(super) fn risk(risk: Risk) -> Markup {
    let (class, sign, word) = match risk {
        Risk::Low => ("badge good", "✓", "low"),
        Risk::Medium => ("badge look", "!", "medium"),
        Risk::High => ("badge bad", "✕", "high"),
    };
    html! { span class=(class) { span aria-hidden="true" { (sign) } " " (word) } }
}

/// What a check came to, in a word and a sign.
pub(super) fn outcome(outcome: Outcome) -> Markup {
    let (class, sign, word) = match outcome {
        Outcome::Passed => ("badge good", "✓", "passed"),
        Outcome::Noted => ("badge plain", "i", "noted"),
        Outcome::Unknown => ("badge look", "?", "unknown"),
        Outcome::Warning => ("badge look", "!", "warning"),
        Outcome::Failed => ("badge bad", "✕", "failed"),
    };
    html! { span class=(class) { span aria-hidden="true" { (sign) } " " (word) } }
}

/// Where a job stands, in words.
pub(super) const fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Gathering => "being looked into",
        Stage::NotNominated => "not nominated",
        Stage::Voting => "notaries vote",
        Stage::Blessed => "blessed, may be revoked",
        Stage::Due => "blessed, grant is due",
        Stage::Granted => "granted",
        Stage::Ended(End::Refused) => "refused",
        Stage::Ended(End::Expired) => "not decided in time",
        Stage::Ended(End::Revoked) => "revoked",
        Stage::Ended(End::Lapsed) => "not granted in time",
    }
}

/// A choice, in a word.
pub(super) const fn choice(choice: Choice) -> &'static str {
    match choice {
        Choice::Approve => "approve",
        Choice::Reject => "reject",
        Choice::Revoke => "revoke",
    }
}
