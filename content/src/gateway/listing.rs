//! A directory as a page of HTML.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::list::DirEntry;

/// What stays as it is in a segment of a URL.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes one segment of a path, or a value of a query.
pub(super) fn encode_segment(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, SEGMENT)
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The page. `more` is the last entry's name if others follow it.
pub(super) fn page(path: &str, entries: &[DirEntry], more: Option<&str>) -> String {
    let title = escape(path);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{title}</title>\n\
         <style>body{{font-family:sans-serif;margin:2em}}td{{padding:.1em 1em .1em 0}}\
         td+td{{text-align:right;color:#555}}td+td+td{{font-family:monospace;text-align:left}}</style></head>\n\
         <body>\n<h1>{title}</h1>\n<table>\n"
    );
    if path.trim_matches('/').contains('/') {
        html.push_str("<tr><td><a href=\"../\">..</a></td><td></td><td></td></tr>\n");
    }
    for entry in entries {
        // a name that a URL would take for a way up, or for nothing, has no link of its own
        let href = match entry.name.as_str() {
            "." | ".." | "" => format!("/ipfs/{}", entry.cid),
            name if name.contains('/') => format!("/ipfs/{}", entry.cid),
            name => format!("./{}", encode_segment(name)),
        };
        let _ = writeln!(
            html,
            "<tr><td><a href=\"{href}\">{name}</a></td><td>{size}</td>\
             <td><a href=\"/ipfs/{cid}\">{cid}</a></td></tr>",
            name = escape(&entry.name),
            size = entry.dag_size,
            cid = entry.cid,
        );
    }
    html.push_str("</table>\n");
    if let Some(last) = more {
        let _ = writeln!(html, "<p><a href=\"?after={}\">more</a></p>", encode_segment(last));
    }
    html.push_str("</body>\n</html>\n");
    html
}
