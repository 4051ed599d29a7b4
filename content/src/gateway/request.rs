//! What a client asks for.

use axum::http::{HeaderMap, StatusCode, Uri, header};
use cid::Cid;
use percent_encoding::percent_decode_str;

use super::GatewayOptions;
use super::respond::Refusal;
use crate::digest::parse_cid;
use crate::walk::{ByteRange, DagScope};

/// Media type of a block.
pub(crate) const RAW_TYPE: &str = "application/vnd.ipld.raw";
/// Media type of a CAR.
pub(crate) const CAR_TYPE: &str = "application/vnd.ipld.car";

/// In which form content is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// One block.
    Raw,
    /// A CAR.
    Car(DagScope),
    /// What a browser shows.
    Content,
}

/// A request that makes sense.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) root: Cid,
    /// Decoded, without slashes at its ends.
    pub(super) path: String,
    /// Whether the URL ended in a slash, as that of a directory should.
    pub(super) trailing_slash: bool,
    /// The URL's path as it came, for headers and redirects.
    pub(super) raw_path: String,
    pub(super) query: Option<String>,
    pub(super) format: Format,
    pub(super) download: bool,
    pub(super) filename: Option<String>,
    /// In a listing: the entry that the page begins behind.
    pub(super) after: Option<String>,
    pub(super) if_none_match: Vec<String>,
    pub(super) if_range: Option<String>,
    pub(super) range: Option<String>,
    pub(super) only_if_cached: bool,
}

fn bad(reason: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, reason)
}

pub(super) fn parse(uri: &Uri, headers: &HeaderMap, options: &GatewayOptions) -> Result<Request, Refusal> {
    let raw_path = uri.path();
    let rest = raw_path.strip_prefix("/ipfs/").unwrap_or(raw_path);
    let (root, path) = rest.split_once('/').unwrap_or((rest, ""));
    let root = parse_cid(root).map_err(|error| bad(error.to_string()))?;
    let path = decode(path)?;
    let segments = path.split('/').filter(|segment| !segment.is_empty());
    if segments.count() > options.max_path_segments {
        return Err(bad(format!("the path has more than {} segments", options.max_path_segments)));
    }
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut query = Query::default();
    for pair in uri.query().unwrap_or_default().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = decode(&value.replace('+', " "))?;
        match name {
            "format" => query.format = Some(value),
            "dag-scope" => query.scope = Some(value),
            "entity-bytes" => query.bytes = Some(value),
            "car-version" => query.car_version = Some(value),
            "filename" => query.filename = Some(value),
            "download" => query.download = value == "true",
            "after" => query.after = Some(value),
            _ => {}
        }
    }
    let accept: Vec<&str> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let format = format(&query, &accept)?;
    Ok(Request {
        root,
        trailing_slash: raw_path.ends_with('/'),
        path: path.trim_matches('/').to_owned(),
        raw_path: raw_path.to_owned(),
        query: uri.query().map(str::to_owned),
        format,
        download: query.download,
        filename: query.filename,
        after: query.after,
        if_none_match: headers
            .get_all(header::IF_NONE_MATCH)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .map(|tag| tag.trim().trim_start_matches("W/").to_owned())
            .collect(),
        if_range: text(header::IF_RANGE),
        range: text(header::RANGE),
        only_if_cached: text(header::CACHE_CONTROL).is_some_and(|value| value.contains("only-if-cached")),
    })
}

#[derive(Default)]
struct Query {
    format: Option<String>,
    scope: Option<String>,
    bytes: Option<String>,
    car_version: Option<String>,
    filename: Option<String>,
    download: bool,
    after: Option<String>,
}

fn decode(text: &str) -> Result<String, Refusal> {
    match percent_decode_str(text).decode_utf8() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => Err(bad("the URL is not UTF-8")),
    }
}

/// The query comes before the `Accept` header, as the specification has it.
fn format(query: &Query, accept: &[&str]) -> Result<Format, Refusal> {
    let car = |version: Option<&str>| match version {
        None | Some("1") => scope(query).map(Format::Car),
        Some(version) => {
            let reason = format!("CARs of version {version} are not offered; version 1 is");
            Err(Refusal::new(StatusCode::NOT_ACCEPTABLE, reason))
        }
    };
    match query.format.as_deref() {
        Some("raw") => return Ok(Format::Raw),
        Some("car") => return car(query.car_version.as_deref()),
        Some(other) => {
            return Err(bad(format!("the format {other:?} is not offered; raw and car are")));
        }
        None => {}
    }
    for wanted in accept {
        let mut parameters = wanted.split(';').map(str::trim);
        match parameters.next() {
            Some(RAW_TYPE) => return Ok(Format::Raw),
            Some(CAR_TYPE) => {
                let version =
                    parameters.filter_map(|parameter| parameter.split_once('=')).find(|(name, _)| *name == "version");
                return car(version.map(|(_, version)| version));
            }
            _ => {}
        }
    }
    Ok(Format::Content)
}

fn scope(query: &Query) -> Result<DagScope, Refusal> {
    let entity_bytes = || {
        let Some(bytes) = query.bytes.as_deref() else {
            return Ok(DagScope::Entity);
        };
        let range = bytes.split_once(':').and_then(|(from, to)| {
            Some(ByteRange {
                from: from.parse().ok()?,
                to: match to {
                    "*" => None,
                    to => Some(to.parse().ok()?),
                },
            })
        });
        range
            .map(DagScope::EntityBytes)
            .ok_or_else(|| bad(format!("entity-bytes={bytes} is not of the form from:to, such as 0:1023 or -1024:*")))
    };
    match query.scope.as_deref() {
        Some("all") => Ok(DagScope::All),
        None if query.bytes.is_none() => Ok(DagScope::All),
        None | Some("entity") => entity_bytes(),
        Some("block") => Ok(DagScope::Block),
        Some(other) => Err(bad(format!("dag-scope={other} is not known; block, entity and all are"))),
    }
}

/// A `Range` header asks for bytes that lie wholly beyond the end (RFC 9110, 15.5.17).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the range does not lie within the {size} bytes")]
pub struct Unsatisfiable {
    size: u64,
}

/// The part of `size` bytes that a `Range` header asks for, end exclusive. `Ok(None)` if the header
/// is to be ignored: no header, another unit, several ranges, or nonsense (RFC 9110, 14.2).
///
/// # Errors
/// If the range cannot be satisfied.
pub fn requested_range(header: Option<&str>, size: u64) -> Result<Option<std::ops::Range<u64>>, Unsatisfiable> {
    let Some((from, to)) =
        header.and_then(|header| header.strip_prefix("bytes=")).and_then(|range| range.trim().split_once('-'))
    else {
        return Ok(None);
    };
    let number = |text: &str| -> Option<u64> {
        text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().unwrap_or(u64::MAX))
    };
    let range = match (from, to) {
        ("", "") => return Ok(None),
        ("", last) => match number(last) {
            Some(0) => return Err(Unsatisfiable { size }),
            Some(last) => size.saturating_sub(last)..size,
            None => return Ok(None),
        },
        (from, to) => {
            let to = if to.is_empty() { Some(u64::MAX) } else { number(to) };
            match (number(from), to) {
                (Some(from), Some(to)) if from <= to => from..to.saturating_add(1).min(size),
                _ => return Ok(None),
            }
        }
    };
    if range.start < size { Ok(Some(range)) } else { Err(Unsatisfiable { size }) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_request_is_parsed_or_refused_without_a_panic(
            path in "/ipfs/(bafkqaaa|[a-zA-Z0-9]{0,20})(/[!-~]{0,20}){0,4}",
            query in "((format|dag-scope|entity-bytes|after|filename)=[!-~]{0,12}&?){0,4}",
            accept in "[ -~]{0,60}",
            header in "(bytes=)?[0-9,-]{0,30}",
            size: u64,
        ) {
            let Ok(uri) = format!("{}?{}", path.replace(['?', '#'], ""), query.replace('#', "")).parse::<Uri>() else {
                return Ok(());
            };
            let mut headers = HeaderMap::new();
            if let Ok(accept) = accept.parse() {
                headers.insert(header::ACCEPT, accept);
            }
            let _ = parse(&uri, &headers, &GatewayOptions::default());
            if let Ok(Some(range)) = requested_range(Some(&header), size) {
                prop_assert!(range.start < range.end && range.end <= size);
            }
        }
    }

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        let of = |header, size| requested_range(Some(header), size);
        assert_eq!(requested_range(None, 10), Ok(None));
        assert_eq!(of("bytes=0-0", 10), Ok(Some(0..1)));
        assert_eq!(of("bytes=2-5", 10), Ok(Some(2..6)));
        assert_eq!(of("bytes=2-", 10), Ok(Some(2..10)));
        assert_eq!(of("bytes=2-99999999999999999999999", 10), Ok(Some(2..10)));
        assert_eq!(of("bytes=-3", 10), Ok(Some(7..10)));
        assert_eq!(of("bytes=-30", 10), Ok(Some(0..10)));
        for unsatisfiable in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(of(unsatisfiable, 10), Err(Unsatisfiable { size: 10 }), "{unsatisfiable}");
        }
        assert_eq!(of("bytes=0-0", 0), Err(Unsatisfiable { size: 0 }));
        for ignored in ["bytes=5-2", "bytes=0-1,3-4", "bytes=a-b", "lines=1-2", "bytes=-", "bytes=+1-2"] {
            assert_eq!(of(ignored, 10), Ok(None), "{ignored}");
        }
    }
}
