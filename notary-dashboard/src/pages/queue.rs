//! What waits for a decision, and what is over.

use std::sync::Arc;

use axum::extract::{Query, State};
use lota_market::{
    Time, U256,
    blessing::{Choice, End},
};
use lota_notary::{
    desk::{About, Granter, Queue, QueueEntry, QueueFilter, Stage},
    review::{Outcome, Risk},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::job_id;
use crate::{
    page::{Answer, Page, Part},
    site::{Reader, Site},
    words,
};

/// Jobs on a page.
const ROWS: u32 = 50;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    /// The last job of the page before.
    after: Option<String>,
}

pub(crate) async fn open(State(site): State<Arc<Site>>, reader: Reader, Query(asked): Query<Asked>) -> Answer {
    page(&site, &reader, true, asked).await
}

pub(crate) async fn over(State(site): State<Arc<Site>>, reader: Reader, Query(asked): Query<Asked>) -> Answer {
    page(&site, &reader, false, asked).await
}

async fn page(site: &Site, reader: &Reader, open: bool, asked: Asked) -> Answer {
    let about = reader.about.clone()?;
    let after = asked.after.as_deref().map(job_id).transpose()?;
    let queue = site.ask(site.desk.queue(&QueueFilter { open, after, limit: ROWS })).await?;
    let (title, part) = if open { ("Queue", Part::Queue) } else { ("History", Part::History) };
    let content = html! {
        h1 { (title) }
        (filters(open))
        (table(&queue, &about, reader, open))
        nav.pager aria-label="More jobs" {
            @if after.is_some() { a href=(if open { "/" } else { "/history" }) { "From the beginning" } }
            @if queue.more && let Some(last) = queue.entries.last() {
                a href={ (if open { "/" } else { "/history" }) "?after=" (last.job) } { "The next ones" }
            }
        }
    };
    Ok(Page::new(title, part).live("queue").render(Some(reader), &content))
}

fn filters(open: bool) -> Markup {
    html! {
        p.quiet {
            @if open {
                "What waits for somebody's decision: the riskier and older first. What is over is in the " a href="/history" { "history" } "."
            } @else {
                "What is over, the newest first. What waits is in the " a href="/" { "queue" } "."
            }
        }
    }
}

fn table(queue: &Queue, about: &About, reader: &Reader, open: bool) -> Markup {
    let now = about.now;
    let caption = words::count(queue.total, "job", "jobs");
    let caption = if open { format!("{caption} to decide") } else { format!("{caption} over") };
    html! {
        @if queue.entries.is_empty() {
            p.empty #none { @if open { "Nothing waits for a decision." } @else { "Nothing is over yet." } }
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
                @if entry.amount.is_some() { (tally(entry.approvals, entry.against, about.quorum)) } @else { "–" }
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

/// How the votes stand.
pub(super) fn tally(approvals: u32, against: u32, quorum: u32) -> Markup {
    html! { (approvals) " of " (quorum) " for" @if against > 0 { ", " (against) " against" } }
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
