//! A job's spec as a person reads it.

use maud::{Markup, html};
use serde_json::Value;

use crate::words;

/// Deeper than this, and beyond so many values, only the raw text is there.
const MAX_DEPTH: usize = 8;
const MAX_VALUES: usize = 400;
/// The most bytes of raw text.
const MAX_RAW: usize = 64 * 1024;

pub(super) fn spec(spec: &Value) -> Markup {
    let mut left = MAX_VALUES;
    let mut raw = serde_json::to_string_pretty(spec).unwrap_or_default();
    let whole = raw.len();
    if whole > MAX_RAW {
        raw.truncate(raw.floor_char_boundary(MAX_RAW));
    }
    html! {
        (value(spec, 0, &mut left))
        @if left == 0 { p.quiet { "There is more of it than is laid out here; the text below has it." } }
        details #spec-raw {
            summary { "As it is written" }
            pre.text tabindex="0" role="region" aria-label="The spec as JSON" { (words::visible_lines(&raw)) }
            @if whole > MAX_RAW { p.quiet { "These are the first " (MAX_RAW) " of " (whole) " bytes." } }
        }
    }
}

fn value(of: &Value, depth: usize, left: &mut usize) -> Markup {
    if *left == 0 {
        return html! { "…" };
    }
    *left -= 1;
    match of {
        Value::Null => html! { span.quiet { "none" } },
        Value::Bool(is) => html! { (if *is { "yes" } else { "no" }) },
        Value::Number(number) => html! { (number) },
        Value::String(text) if text.is_empty() => html! { span.quiet { "empty" } },
        Value::String(text) => html! { bdi.theirs { (words::visible(text)) } },
        Value::Array(items) if items.is_empty() => html! { span.quiet { "none" } },
        Value::Object(fields) if fields.is_empty() => html! { span.quiet { "none" } },
        Value::Array(_) | Value::Object(_) if depth >= MAX_DEPTH => {
            html! { span.quiet { "deeper than is shown here" } }
        }
        Value::Array(items) => html! {
            ol.values { @for item in items.iter().take(*left) { li { (value(item, depth + 1, left)) } } }
        },
        Value::Object(fields) => html! {
            dl.fields {
                @for (name, field) in fields.iter().take(*left) {
                    div { dt { bdi { (words::visible(name)) } } dd { (value(field, depth + 1, left)) } }
                }
            }
        },
    }
}
