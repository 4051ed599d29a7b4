//! What a job put out, browsed in place. Strangers wrote all of it: it is shown as text that is escaped, as cells that are, or as a raster
//! image of a known format, and never served as anything that a browser would run.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lota_market::{U256, model::JobId};
use lota_notary::{
    desk::{DeskError, EntryKind, MAX_SHOWN, OutputEntry, OutputFile, OutputNode},
    http::{Client, Place},
};
use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::Deserialize;

use super::{
    job_id,
    text::{Text, csv_table, delimiter, hex_dump, lines},
};
use crate::{
    download,
    guard::SANDBOX,
    page::{Answer, Failure, Page, Part},
    raster::raster,
    site::{Reader, Site},
    words,
};

/// The longest path, in bytes.
const MAX_PATH: usize = 4_096;
/// The most names of a directory.
const MAX_NAMES: usize = 1_000;
/// The largest image that is shown, and the largest file that is handed out.
const MAX_IMAGE: u64 = 16 << 20;
const MAX_FILE: u64 = 32 << 20;
/// What may stand in a query as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Where {
    #[serde(default)]
    path: String,
    /// Show a table as the text that it is.
    #[serde(default)]
    plain: bool,
    /// Of a directory, the last name of the page before.
    after: Option<String>,
}

fn check_path(path: &str) -> Result<(), Failure> {
    if path.len() > MAX_PATH {
        return Err(Failure::invalid(format!("The path has more than {MAX_PATH} bytes.")));
    }
    Ok(())
}

fn link(job: JobId, kind: &str, path: &str) -> String {
    if path.is_empty() {
        return format!("/jobs/{job}/{kind}");
    }
    format!("/jobs/{job}/{kind}?path={}", in_query(path))
}

fn in_query(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, PLAIN)
}

pub(crate) async fn browse(
    State(site): State<Arc<Site>>,
    reader: Reader,
    Path(id): Path<String>,
    Query(place): Query<Where>,
) -> Answer {
    let job = job_id(&id)?;
    let path = place.path.trim_matches('/');
    check_path(path)?;
    let after = place.after.as_deref();
    check_path(after.unwrap_or_default())?;
    let failed = |error| Failure::from(error).on(format!("/jobs/{job}"), "Back to the job");
    let node = site.ask(site.desk.output(job, path, after)).await.map_err(failed)?;
    let content = html! {
        h1 { "Output of job " code.hex title=(id) { (words::shortened(&id)) } }
        p { a href={ "/jobs/" (id) } { "Back to the job" } }
        (way(job, path))
        p.quiet { "A stranger wrote this. Nothing of it runs here; characters that would not be seen are shown by their number." }
        @match &node {
            OutputNode::Directory { entries, more } => (directory(job, path, entries, after.is_some(), *more)),
            OutputNode::File { size, begin, cid } => (file(job, path, (*size, cid), begin, place.plain)),
        }
    };
    Ok(Page::new("Output", Part::Else).render(Some(&reader), &content))
}

/// The directories above.
fn way(job: JobId, path: &str) -> Markup {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    html! {
        nav.way aria-label="Where this is" {
            ol {
                li { a href=(link(job, "output", "")) aria-current=[parts.is_empty().then_some("page")] { "output" } }
                @for (at, part) in parts.iter().enumerate() {
                    @let here = parts.len() == at + 1;
                    li { a href=(link(job, "output", &parts[..=at].join("/"))) aria-current=[here.then_some("page")] { (words::theirs(part)) } }
                }
            }
        }
    }
}

fn directory(job: JobId, path: &str, entries: &[OutputEntry], is_later: bool, more: bool) -> Markup {
    let within = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
    let shown = &entries[..entries.len().min(MAX_NAMES)];
    let more = more || shown.len() < entries.len();
    html! {
        @if entries.is_empty() { p.empty { @if is_later { "There are no more names." } @else { "This directory is empty." } } }
        @else {
            table.files {
                caption { (words::count(shown.len() as u64, "name", "names")) @if more { ", and more on the next page" } }
                thead { tr { th scope="col" { "Name" } th scope="col" { "Kind" } th scope="col" { "Size" } } }
                tbody {
                    @for entry in shown { tr {
                        th scope="row" { a href=(link(job, "output", &within(&entry.name))) { (words::theirs(&entry.name)) } }
                        td {
                            @match entry.kind {
                                EntryKind::Directory => "directory",
                                EntryKind::File => "file",
                                EntryKind::Link => "symbolic link, not followed",
                                EntryKind::Unknown => "cannot be read now",
                            }
                        }
                        td { @if let Some(size) = entry.size { (bytes(size)) } }
                    } }
                }
            }
        }
        nav.pager aria-label="More names" {
            @if is_later { a href=(link(job, "output", path)) { "From the beginning" } }
            @if more && let Some(last) = shown.last() {
                a href={ "/jobs/" (job) "/output?path=" (in_query(path)) "&after=" (in_query(&last.name)) } { "The next names" }
            }
        }
    }
}

fn bytes(size: u64) -> String {
    words::amount(U256::from(size), 0, "bytes")
}

fn file(job: JobId, path: &str, (size, cid): (u64, &str), begin: &[u8], plain: bool) -> Markup {
    let is_whole = begin.len() as u64 == size;
    let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let is_table = name.ends_with(".csv") || name.ends_with(".tsv");
    let image = raster(begin);
    html! {
        p {
            (bytes(size))
            @if !is_whole && (image.is_none() || size > MAX_IMAGE) { ", of which the first " (bytes(begin.len() as u64)) " are here" }
            @if size <= MAX_FILE { " · " a href=(link(job, "file", path)) { "Download" } }
        }
        @if size <= MAX_FILE && is_table {
            p.quiet { "Formulas in it are not defused: a spreadsheet program may run them. Look at it here, or as text." }
        }
        @if size > MAX_FILE {
            p {
                "Files of at most " (bytes(MAX_FILE)) " are handed out here. Fetch this one by its CID, with each block checked: "
                code.hex.whole { "lota content get " (words::visible(cid)) }
            }
        }
        @if let Some(image) = image.filter(|_| size <= MAX_IMAGE) {
            figure {
                img src=(link(job, "image", path)) alt="The image that the job put out" width=(image.width) height=(image.height);
                figcaption { (image.kind) ", " (image.width) " × " (image.height) " pixels" }
            }
        } @else if let Some(image) = image {
            p {
                "An image (" (image.kind) ", " (image.width) " × " (image.height) " pixels), of which only those of at most "
                (bytes(MAX_IMAGE)) " are shown."
            }
        } @else if let Some(text) = Text::of(begin, is_whole) {
            @if let Some(encoding) = text.encoding { p.quiet { "Shown as " (encoding) "." } }
            @match is_table.then(|| delimiter(&text.text)).filter(|_| !plain) {
                Some(delimiter) => {
                    p { a href={ (link(job, "output", path)) "&plain=true" } { "Show it as text" } }
                    (csv_table(&text.text, delimiter, is_whole))
                }
                None => (lines(&text.text)),
            }
        } @else {
            (hex_dump(begin))
        }
    }
}

/// A file of an output, with the place that it takes until it was handed out.
async fn opened(
    site: &Site,
    client: Client,
    (id, path): (&str, &str),
    most: u64,
) -> Result<(OutputFile, Place<Client>), Failure> {
    let job = job_id(id)?;
    check_path(path)?;
    let back = |failure: Failure| failure.on(format!("/jobs/{job}/output"), "Back to the output");
    let Some(place) = site.files.take(client) else {
        let text = "Files are being handed out already; wait until that has ended.";
        return Err(back(Failure::new(StatusCode::SERVICE_UNAVAILABLE, "Not now", text)));
    };
    let file = site.ask_for_file(site.desk.file(job, path.trim_matches('/'), most)).await;
    Ok((file.map_err(|error| back(error.into()))?, place))
}

/// Bytes that a browser may save, or decode as an image; it does nothing else with them.
fn inert(kind: &'static str, name: &str, size: u64, body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_LENGTH, size.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CONTENT_SECURITY_POLICY, SANDBOX.to_owned()),
    ];
    (headers, body).into_response()
}

pub(crate) async fn image(
    State(site): State<Arc<Site>>,
    client: Client,
    _: Reader,
    Path(id): Path<String>,
    Query(place): Query<Where>,
) -> Answer {
    let (mut file, held) = opened(&site, client, (&id, &place.path), MAX_IMAGE).await?;
    let lost = |error: std::io::Error| Failure::from(DeskError::Unavailable(error.to_string()));
    // What it is, is told by its beginning.
    let mut begin = Vec::new();
    let image = loop {
        let piece = file.bytes.try_next().await.map_err(lost)?;
        begin.extend_from_slice(piece.as_deref().unwrap_or_default());
        let image = raster(&begin);
        if image.is_some() || piece.is_none() || begin.len() as u64 >= MAX_SHOWN {
            break image;
        }
    };
    let Some(image) = image else {
        let what = "This is no image that is shown.";
        return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "It is not shown", what));
    };
    let pieces = stream::iter([Ok(begin.into())]).chain(file.bytes).boxed();
    Ok(inert(image.kind, &format!("image.{}", image.extension), file.size, download::body(pieces, held)))
}

pub(crate) async fn download(
    State(site): State<Arc<Site>>,
    client: Client,
    _: Reader,
    Path(id): Path<String>,
    Query(place): Query<Where>,
) -> Answer {
    let (file, held) = opened(&site, client, (&id, &place.path), MAX_FILE).await?;
    // A name that no shell, browser or file manager takes for anything else.
    let name = place.path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("output");
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
    let (stem, end) = name.rsplit_once('.').unwrap_or((name, ""));
    let keep = matches!(end, "txt" | "csv" | "tsv" | "json" | "png" | "jpg" | "jpeg" | "gif" | "webp");
    let stem: String = stem.chars().map(safe).take(80).collect();
    let name = format!("output-{stem}.{}", if keep { end } else { "bin" });
    Ok(inert("application/octet-stream", &name, file.size, download::body(file.bytes, held)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_a_path_do_not_leave_the_query() {
        let job = JobId::default();
        let to = link(job, "output", "a b/&path=..%2f#\"<>");
        assert!(to.ends_with("?path=a%20b/%26path%3D..%252f%23%22%3C%3E"), "{to}");
    }
}
