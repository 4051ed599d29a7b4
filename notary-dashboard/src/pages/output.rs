//! What a job put out, browsed in place. Strangers wrote all of it: it is shown as text that is escaped, as cells that are, or as a raster
//! image of a known format, and never served as anything that a browser would run.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use lota_market::{U256, model::JobId};
use lota_notary::desk::{OutputEntry, OutputNode};
use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::job_id;
use crate::{
    guard::SANDBOX,
    page::{Answer, Failure, Page, Part},
    raster::raster,
    site::{Reader, Site},
    words,
};

/// The longest path, in bytes.
const MAX_PATH: usize = 4_096;
/// Names of a directory, rows and columns of a table, and bytes of what is neither text nor image.
const MAX_NAMES: usize = 1_000;
const MAX_ROWS: usize = 200;
const MAX_COLUMNS: usize = 40;
const MAX_HEX: usize = 1_024;
/// The most bytes of text that are laid out.
const MAX_TEXT: usize = 128 * 1024;
/// What may stand in a query as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_');

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Place {
    #[serde(default)]
    path: String,
    /// Show a table as the text that it is.
    #[serde(default)]
    plain: bool,
}

async fn node(site: &Site, job: JobId, path: &str) -> Result<OutputNode, Failure> {
    if path.len() > MAX_PATH {
        return Err(Failure::invalid(format!("The path has more than {MAX_PATH} bytes.")));
    }
    let failed = |error| Failure::from(error).on(format!("/jobs/{job}"), "Back to the job");
    site.ask(site.desk.output(job, path)).await.map_err(failed)
}

fn link(job: JobId, kind: &str, path: &str) -> String {
    if path.is_empty() {
        return format!("/jobs/{job}/{kind}");
    }
    format!("/jobs/{job}/{kind}?path={}", utf8_percent_encode(path, PLAIN))
}

pub(crate) async fn browse(
    State(site): State<Arc<Site>>,
    reader: Reader,
    Path(id): Path<String>,
    Query(place): Query<Place>,
) -> Answer {
    let job = job_id(&id)?;
    let path = place.path.trim_matches('/');
    let node = node(&site, job, path).await?;
    let content = html! {
        h1 { "Output of job " code.hex title=(id) { (words::shortened(&id)) } }
        p { a href={ "/jobs/" (id) } { "Back to the job" } }
        (way(job, path))
        p.quiet { "A stranger wrote this. Nothing of it runs here; characters that would not be seen are shown by their number." }
        @match &node {
            OutputNode::Directory { entries, more } => (directory(job, path, entries, *more)),
            OutputNode::File { size, begin } => (file(job, path, *size, begin, place.plain)),
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

fn directory(job: JobId, path: &str, entries: &[OutputEntry], more: bool) -> Markup {
    let within = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}/{name}") };
    let shown = &entries[..entries.len().min(MAX_NAMES)];
    html! {
        @if entries.is_empty() { p.empty { "This directory is empty." } }
        @else {
            table.files {
                caption { (words::count(shown.len() as u64, "name", "names")) @if more || shown.len() < entries.len() { ", and more that are not listed" } }
                thead { tr { th scope="col" { "Name" } th scope="col" { "Kind" } th scope="col" { "Size" } } }
                tbody {
                    @for entry in shown { tr {
                        th scope="row" { a href=(link(job, "output", &within(&entry.name))) { (words::theirs(&entry.name)) } }
                        td { (if entry.is_directory { "directory" } else { "file" }) }
                        td { @if let Some(size) = entry.size { (bytes(size)) } }
                    } }
                }
            }
        }
    }
}

fn bytes(size: u64) -> String {
    words::amount(U256::from(size), 0, "bytes")
}

/// The text that a file's beginning is; `None` if it is none. A character that is cut off by the end is left out.
fn text(begin: &[u8], is_whole: bool) -> Option<&str> {
    let text = match std::str::from_utf8(begin) {
        Ok(text) => text,
        Err(error) if !is_whole && error.error_len().is_none() => {
            std::str::from_utf8(&begin[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    (!text.contains('\0')).then_some(text)
}

fn file(job: JobId, path: &str, size: u64, begin: &[u8], plain: bool) -> Markup {
    let is_whole = begin.len() as u64 == size;
    let name = path.rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let delimiter = if name.ends_with(".csv") {
        Some(b',')
    } else if name.ends_with(".tsv") {
        Some(b'\t')
    } else {
        None
    };
    html! {
        p {
            (bytes(size))
            @if is_whole { " · " a href=(link(job, "file", path)) { "Download" } }
            @else { ", of which the first " (bytes(begin.len() as u64)) " are here" }
        }
        @if let Some(image) = raster(begin).filter(|_| is_whole) {
            figure {
                img src=(link(job, "image", path)) alt="The image that the job put out" width=(image.width) height=(image.height);
                figcaption { (image.kind) ", " (image.width) " × " (image.height) " pixels" }
            }
        } @else if let Some(text) = text(begin, is_whole) {
            @match delimiter.filter(|_| !plain) {
                Some(delimiter) => {
                    p { a href={ (link(job, "output", path)) "&plain=true" } { "Show it as text" } }
                    (csv_table(text, delimiter, is_whole))
                }
                None => (lines(text)),
            }
        } @else {
            (hex_dump(begin))
        }
    }
}

fn lines(text: &str) -> Markup {
    let shown = &text[..text.floor_char_boundary(MAX_TEXT)];
    html! {
        pre.text tabindex="0" role="region" aria-label="The file's text" dir="auto" { (words::visible_lines(shown)) }
        @if shown.len() < text.len() { p.quiet { "These are the first " (bytes(shown.len() as u64)) "." } }
    }
}

fn csv_table(text: &str, delimiter: u8, is_whole: bool) -> Markup {
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut rows: Vec<csv::StringRecord> = Vec::new();
    let mut more = !is_whole;
    for row in reader.records() {
        match row {
            Ok(_) if rows.len() > MAX_ROWS => {
                more = true;
                break;
            }
            Ok(row) => rows.push(row),
            Err(_) => break,
        }
    }
    let columns = rows.iter().map(csv::StringRecord::len).max().unwrap_or(0);
    let shown = columns.min(MAX_COLUMNS);
    let cell = |row: &csv::StringRecord, at: usize| words::visible(row.get(at).unwrap_or_default());
    let mut rest = rows.iter();
    html! {
        div.scroll tabindex="0" role="region" aria-label="The file as a table" {
            table.csv {
                caption {
                    (words::count(rows.len().saturating_sub(1) as u64, "row", "rows")) " of " (words::count(columns as u64, "column", "columns"))
                    @if more { ", and more that are not shown" }
                    @if shown < columns { "; the first " (shown) " columns" }
                }
                @if let Some(first) = rest.next() {
                    thead { tr { @for at in 0..shown { th scope="col" { bdi { (cell(first, at)) } } } } }
                }
                tbody { @for row in rest { tr { @for at in 0..shown { td { bdi { (cell(row, at)) } } } } } }
            }
        }
    }
}

fn hex_dump(begin: &[u8]) -> Markup {
    let shown = &begin[..begin.len().min(MAX_HEX)];
    let printable = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '·' };
    let lines: String = shown
        .chunks(16)
        .enumerate()
        .map(|(at, line)| {
            let codes: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{:06x}  {:<47}  {}\n", at * 16, codes.join(" "), line.iter().map(printable).collect::<String>())
        })
        .collect();
    html! {
        p { "This is neither text nor an image that is shown." }
        pre.text.dump tabindex="0" role="region" aria-label="The file's first bytes" { (lines) }
    }
}

/// A file whose whole is known.
async fn whole(site: &Site, id: &str, path: &str) -> Result<Vec<u8>, Failure> {
    match node(site, job_id(id)?, path.trim_matches('/')).await? {
        OutputNode::File { size, begin } if begin.len() as u64 == size => Ok(begin.to_vec()),
        OutputNode::File { .. } => {
            Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "It is too large", "Fetch it by its CID instead."))
        }
        OutputNode::Directory { .. } => Err(Failure::not_found("That is a directory.")),
    }
}

/// Bytes that a browser may save, or decode as an image; it does nothing else with them.
fn inert(kind: &'static str, name: &str, bytes: Vec<u8>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, kind.to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
        (header::CONTENT_SECURITY_POLICY, SANDBOX.to_owned()),
    ];
    (headers, bytes).into_response()
}

pub(crate) async fn image(
    State(site): State<Arc<Site>>,
    _: Reader,
    Path(id): Path<String>,
    Query(place): Query<Place>,
) -> Answer {
    let bytes = whole(&site, &id, &place.path).await?;
    match raster(&bytes) {
        Some(image) => Ok(inert(image.kind, &format!("image.{}", image.extension), bytes)),
        None => {
            Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "It is not shown", "This is no image that is shown."))
        }
    }
}

pub(crate) async fn download(
    State(site): State<Arc<Site>>,
    _: Reader,
    Path(id): Path<String>,
    Query(place): Query<Place>,
) -> Answer {
    let bytes = whole(&site, &id, &place.path).await?;
    // A name that no shell, browser or file manager takes for anything else.
    let name = place.path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("output");
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' };
    let (stem, end) = name.rsplit_once('.').unwrap_or((name, ""));
    let keep = matches!(end, "txt" | "csv" | "tsv" | "json" | "png" | "jpg" | "jpeg" | "gif" | "webp");
    let stem: String = stem.chars().map(safe).take(80).collect();
    let name = format!("output-{stem}.{}", if keep { end } else { "bin" });
    Ok(inert("application/octet-stream", &name, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_was_cut_within_a_character_is_text() {
        let bytes = "aü".as_bytes();
        assert_eq!(text(&bytes[..2], false), Some("a"));
        assert_eq!(text(&bytes[..2], true), None);
        assert_eq!(text(b"a\0", true), None);
        assert_eq!(text(b"\xff\xfea", false), None);
        assert_eq!(text(b"", true), Some(""));
    }

    #[test]
    fn tables_are_bounded_and_say_so() {
        let wide = vec!["x"; 100].join(",");
        let long = format!("{wide}\n").repeat(1_000);
        let page = csv_table(&long, b',', true).into_string();
        assert_eq!(page.matches("<td>").count(), MAX_ROWS * MAX_COLUMNS);
        assert!(
            page.contains("200 rows of 100 columns, and more that are not shown; the first 40 columns"),
            "{}",
            &page[..300]
        );
        let page = csv_table("a,b\n1,2\n", b',', true).into_string();
        assert!(page.contains("1 row of 2 columns</caption>"), "{page}");
        // A quote that never ends is one cell, which is cut off.
        let open = csv_table(&format!("\"{}", "y".repeat(100_000)), b',', true).into_string();
        assert!(open.len() < 3_000, "{}", open.len());
    }

    #[test]
    fn names_in_a_path_do_not_leave_the_query() {
        let job = JobId::default();
        let to = link(job, "output", "a b/&path=..%2f#\"<>");
        assert!(to.ends_with("?path=a%20b/%26path%3D..%252f%23%22%3C%3E"), "{to}");
    }
}
