//! The audit log: read, checked, exported.

use std::{io::BufReader, sync::Arc};

use axum::{
    body::Body,
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Redirect},
};
use lota_market::Address;
use lota_notary::{
    audit_log::{self, Entry, Head},
    http::Client,
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use crate::{
    page::{Answer, Failure, Page, Part},
    site::{Reader, Site},
    words,
};

/// Entries on a page.
const ROWS: u32 = 50;

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Asked {
    /// The first entry; without it, the newest ones.
    from: Option<u64>,
}

pub(crate) async fn log(State(site): State<Arc<Site>>, reader: Reader, Query(asked): Query<Asked>) -> Answer {
    let from = match asked.from {
        Some(from) => from.max(1),
        None => {
            let (_, head) = site.ask(site.desk.audit_log(1, 1)).await?;
            head.entries.saturating_sub(u64::from(ROWS) - 1).max(1)
        }
    };
    let (entries, head) = site.ask(site.desk.audit_log(from, ROWS)).await?;
    let checked = site.checked.lock().await.clone();
    let last = entries.last().map_or(from, |entry| entry.number);
    let content = html! {
        h1 { "Audit log" }
        p.quiet { "What notaries and this service did. Each entry holds the digest of the one before, so that nothing can be changed or taken out without a trace." }
        section.card aria-labelledby="end-title" {
            h2 #end-title { "Its end" }
            dl.fields {
                div { dt { "Entries" } dd { (head.entries) } }
                div { dt { "Digest of the last" } dd { (words::digest(head.digest)) } }
                div { dt { "Links" } dd #checked { (state(checked.as_ref(), head)) } }
            }
            p.actions {
                a.button.second href="/audit/check" { "Check all links" }
                a.button.second href="/audit/export" { "Export" }
            }
        }
        @if entries.is_empty() { p.empty { "There are no entries here." } }
        @else {
            div.scroll tabindex="0" role="region" aria-label="Entries" {
                table.log {
                    caption { "Entries " (from) " to " (last) " of " (head.entries) }
                    thead { tr { @for column in ["Number", "When", "Who", "What", "To what", "Details"] { th scope="col" { (column) } } } }
                    tbody { @for entry in entries.iter().rev() { (row(entry)) } }
                }
            }
        }
        nav.pager aria-label="More entries" {
            @if last < head.entries { a href={ "/audit?from=" (last + 1) } { "Newer" } }
            @if from > 1 { a href={ "/audit?from=" (from.saturating_sub(u64::from(ROWS)).max(1)) } { "Older" } }
        }
    };
    Ok(Page::new("Audit log", Part::Audit).render(Some(&reader), &content))
}

fn row(entry: &Entry) -> Markup {
    let job = super::job_id(&entry.subject).ok();
    html! {
        tr id={ "entry-" (entry.number) } {
            th scope="row" { (entry.number) }
            td { (words::when(entry.at)) }
            td {
                @match entry.actor.parse::<Address>() {
                    Ok(account) => (words::short_account(account)),
                    Err(_) => (words::theirs(&entry.actor)),
                }
            }
            td { (words::theirs(&entry.action)) }
            td {
                @match job {
                    Some(job) => a href={ "/jobs/" (job) } { code.hex { (words::shortened(&entry.subject)) } },
                    None => (words::theirs(&entry.subject)),
                }
            }
            td { (details(&entry.details)) }
        }
    }
}

fn details(details: &Value) -> Markup {
    let text = |value: &Value| match value {
        Value::String(text) => words::visible_short_lines(text),
        other => words::visible(&other.to_string()),
    };
    html! {
        @match details {
            Value::Null => {},
            Value::Object(fields) if fields.is_empty() => {},
            Value::Object(fields) => dl.fields.small {
                @for (name, value) in fields.iter().take(20) { div { dt { (words::theirs(name)) } dd { bdi.theirs.lines { (text(value)) } } } }
            },
            other => bdi.theirs { (text(other)) },
        }
    }
}

/// What is known of the links.
fn state(checked: Option<&(Head, Result<Head, String>)>, head: Head) -> Markup {
    html! {
        @match checked {
            Some((of, Ok(end))) if *of == head && *end == head => {
                span.badge.good { span aria-hidden="true" { "✓" } " whole" } " Every entry names the one before, up to the last."
            }
            Some((of, Ok(end))) if of == end => {
                span.badge.plain { span aria-hidden="true" { "i" } " whole up to " (of.entries) } " The entries after that were not checked yet."
            }
            Some((of, Ok(end))) => {
                span.badge.bad { span aria-hidden="true" { "✕" } " broken" }
                " The lines end at entry " (end.entries) " with " (words::digest(end.digest)) ", but the service says " (of.entries) " with " (words::digest(of.digest)) "."
            }
            Some((_, Err(broken))) => { span.badge.bad { span aria-hidden="true" { "✕" } " broken" } " " (words::theirs(broken)) }
            None => "not checked since this page was started",
        }
    }
}

pub(crate) async fn check(State(site): State<Arc<Site>>, _: Reader) -> Answer {
    // One at a time: who comes meanwhile gets its result.
    let mut checked = site.checked.lock().await;
    let (_, head) = site.ask(site.desk.audit_log(1, 1)).await?;
    if !checked.as_ref().is_some_and(|(of, _)| *of == head) {
        let export = site.ask(site.desk.export_audit_log()).await?;
        let of = export.head();
        let read = tokio::task::spawn_blocking(move || audit_log::verify(BufReader::new(export.into_reader()), |_| ()));
        let end = read.await.map_err(|error| Failure::invalid(error.to_string()))?;
        *checked = Some((of, end.map_err(|broken| broken.to_string())));
    }
    Ok(Redirect::to("/audit#checked").into_response())
}

pub(crate) async fn export(State(site): State<Arc<Site>>, client: Client, _: Reader) -> Answer {
    let Some(place) = site.exports.take(client) else {
        let text = "The log is being exported already; wait until that has ended.";
        return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "Not now", text));
    };
    let export = site.ask(site.desk.export_audit_log()).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/x-ndjson"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"audit-log.jsonl\""),
    ];
    let length = [(header::CONTENT_LENGTH, export.bytes().to_string())];
    Ok((headers, length, Body::from_stream(export.stream(place))).into_response())
}
