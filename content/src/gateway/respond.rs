//! Answers.

use std::ops::Range;
use std::path::Path;

use axum::body::Body;
use axum::http::response::Builder;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use cid::Cid;
use futures::StreamExt as _;

use super::Gateway;
use super::body::streaming;
use super::listing::{self, encode_segment};
use super::request::{CAR_TYPE, Format, RAW_TYPE, Request, requested_range};
use super::slots::Slot;
use crate::digest::{codec, sha2_256};
use crate::list::{ListError, list_after};
use crate::node::DagError;
use crate::read::{ReadError, read};
use crate::resolve::{Entry, EntryKind, ResolveError, resolve};
use crate::source::{BlockSource as _, SourceError};
use crate::store::StoreError;
use crate::walk::{DagScope, car_scope_name};

/// What a CID names never changes.
const IMMUTABLE: &str = "public, max-age=29030400, immutable";
/// A listing is made by this program, and may look different in its next version.
const GENERATED: &str = "public, max-age=604800, stale-while-revalidate=2678400";
/// Pages run in an origin of their own, without cookies, storage or the rights of this one.
const SANDBOX: &str = "sandbox allow-scripts allow-popups allow-downloads";
/// Part of the entity tags of listings; to be changed with the look of the page.
const LISTING_VERSION: u32 = 1;
/// Bytes of a file without an extension that are looked at to tell text from data.
const SNIFF: u64 = 1024;

/// An answer that is not what was asked for: a status and one line of text.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    reason: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, reason: impl Into<String>) -> Self {
        Self { status, reason: reason.into() }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let line = self.reason.replace(['\n', '\r'], " ");
        let headers = [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")];
        (self.status, headers, format!("{line}\n")).into_response()
    }
}

impl From<DagError> for Refusal {
    fn from(error: DagError) -> Self {
        let status = match &error {
            DagError::Missing { .. } => StatusCode::NOT_FOUND,
            DagError::Malformed { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            DagError::Source(SourceError::Cid(_) | SourceError::Store(StoreError::Cid(_))) => StatusCode::BAD_REQUEST,
            DagError::Source(_) => {
                // the client need not know where our files are
                tracing::error!(%error, "the gateway cannot read its store");
                return Self::new(
                    StatusCode::INTERNAL_SERVER_ERROR,
                    "the gateway cannot read the block from its store",
                );
            }
        };
        Self::new(status, error.to_string())
    }
}

impl From<ResolveError> for Refusal {
    fn from(error: ResolveError) -> Self {
        match error {
            ResolveError::Dag(error) => error.into(),
            ResolveError::NotFound { .. } | ResolveError::NotADirectory { .. } => {
                Self::new(StatusCode::NOT_FOUND, error.to_string())
            }
            ResolveError::TooLong => Self::new(StatusCode::BAD_REQUEST, error.to_string()),
        }
    }
}

impl From<ListError> for Refusal {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Dag(error) => error.into(),
            ListError::NotADirectory { .. } => Self::new(StatusCode::NOT_FOUND, error.to_string()),
        }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Dag(error) => error.into(),
            other => Self::new(StatusCode::UNPROCESSABLE_ENTITY, other.to_string()),
        }
    }
}

/// Answers a request. The slot goes into the body.
pub(super) async fn respond(gateway: &Gateway, request: &Request, head: bool, slot: Slot) -> Result<Response, Refusal> {
    let found = resolve(&gateway.store, &request.root, &request.path).await;
    let entry = match found {
        Err(ResolveError::Dag(DagError::Missing { cid })) if request.only_if_cached => {
            return Err(Refusal::new(StatusCode::PRECONDITION_FAILED, format!("block {cid} is not available here")));
        }
        // a block can be asked for without being understood
        Err(ResolveError::Dag(DagError::Malformed { cid, .. }))
            if request.path.is_empty() && request.format != Format::Content =>
        {
            Entry {
                cid: *cid,
                kind: EntryKind::Block { codec: cid.codec(), size: 0 },
                path_cids: vec![*cid],
                path_blocks: vec![*cid],
            }
        }
        found => found?,
    };
    let answer = Answer { gateway, request, entry, head, slot };
    match request.format {
        Format::Raw => answer.raw().await,
        Format::Car(scope) => answer.car(scope),
        Format::Content => answer.content().await,
    }
}

struct Answer<'a> {
    gateway: &'a Gateway,
    request: &'a Request,
    entry: Entry,
    head: bool,
    slot: Slot,
}

impl Answer<'_> {
    async fn raw(self) -> Result<Response, Refusal> {
        let cid = self.entry.cid;
        let block = self
            .gateway
            .store
            .block(&cid)
            .await
            .map_err(DagError::from)?
            .ok_or(DagError::Missing { cid: Box::new(cid) })?;
        let builder = self
            .headers(&format!("\"{cid}.raw\""), IMMUTABLE)
            .header(header::CONTENT_TYPE, RAW_TYPE)
            .header(header::CONTENT_DISPOSITION, self.disposition("attachment", &format!("{cid}.bin")));
        self.bytes(&format!("\"{cid}.raw\""), builder, block.len() as u64, |range| {
            Body::from(block.slice(range.start as usize..range.end as usize))
        })
    }

    fn car(self, scope: DagScope) -> Result<Response, Refusal> {
        let cid = self.entry.cid;
        let Some((_, prefix)) = self.entry.path_blocks.split_last() else {
            return Err(Refusal::new(StatusCode::NOT_FOUND, "the path is empty"));
        };
        // what the CAR holds depends on the path and the scope
        let variant = format!("{}/{} {}", self.request.root, self.request.path, car_scope_name(scope));
        let variant = sha2_256(variant.as_bytes());
        let tag: String = variant[..8].iter().map(|byte| format!("{byte:02x}")).collect();
        let tag = format!("\"{cid}.car.{tag}\"");
        if self.is_known(&tag) {
            return self.not_modified(&tag, IMMUTABLE);
        }
        let builder = self
            .headers(&format!("W/{tag}"), IMMUTABLE)
            .header(header::CONTENT_TYPE, format!("{CAR_TYPE}; version=1; order=dfs; dups=n"))
            .header(header::ACCEPT_RANGES, "none")
            .header(header::CONTENT_DISPOSITION, self.disposition("attachment", &format!("{cid}.car")));
        if self.head {
            return finish(builder, Body::empty());
        }
        let options = &self.gateway.options;
        let pieces = crate::car::car_stream(self.gateway.store.clone(), prefix, &cid, scope, options.max_car_blocks);
        finish(builder, streaming(pieces, self.slot, options.idle_timeout))
    }

    async fn content(self) -> Result<Response, Refusal> {
        match &self.entry.kind {
            EntryKind::File { size } => {
                let size = *size;
                self.file(size).await
            }
            EntryKind::Directory { .. } => self.directory().await,
            EntryKind::Symlink { target } => {
                let target = Bytes::from(target.clone());
                let tag = format!("\"{}\"", self.entry.cid);
                let builder = self.headers(&tag, IMMUTABLE).header(header::CONTENT_TYPE, "inode/symlink");
                self.bytes(&tag, builder, target.len() as u64, |range| {
                    Body::from(target.slice(range.start as usize..range.end as usize))
                })
            }
            EntryKind::Block { codec, size } => {
                let (codec, size) = (*codec, *size);
                let content_type = match codec {
                    codec::JSON => "application/json",
                    codec::DAG_CBOR => "application/vnd.ipld.dag-cbor",
                    _ => "application/octet-stream",
                };
                let builder = self.file_headers(content_type);
                self.stream(builder, size)
            }
        }
    }

    async fn file(self, size: u64) -> Result<Response, Refusal> {
        let content_type = self.content_type(size).await?;
        let builder = self.file_headers(&content_type);
        self.stream(builder, size)
    }

    fn file_headers(&self, content_type: &str) -> Builder {
        let mut builder = self
            .headers(&format!("\"{}\"", self.entry.cid), IMMUTABLE)
            .header(header::CONTENT_TYPE, content_type)
            .header(header::CONTENT_SECURITY_POLICY, SANDBOX);
        if self.request.download || self.request.filename.is_some() {
            let kind = if self.request.download { "attachment" } else { "inline" };
            let name = self.name().unwrap_or_else(|| self.entry.cid.to_string());
            builder = builder.header(header::CONTENT_DISPOSITION, self.disposition(kind, &name));
        }
        builder
    }

    /// Sends a file, or the part of it that was asked for.
    fn stream(self, builder: Builder, size: u64) -> Result<Response, Refusal> {
        let tag = format!("\"{}\"", self.entry.cid);
        let cid = self.entry.cid;
        let store = self.gateway.store.clone();
        let idle = self.gateway.options.idle_timeout;
        let answer = Parts { head: self.head, known: self.is_known(&tag), range: self.wanted_range(&tag) };
        if answer.known {
            return self.not_modified(&tag, IMMUTABLE);
        }
        let slot = self.slot;
        answer.send(builder, size, |range| streaming(read(store, &cid, range), slot, idle))
    }

    /// Sends what is in memory, or the part of it that was asked for.
    fn bytes(
        &self,
        tag: &str,
        builder: Builder,
        size: u64,
        body: impl FnOnce(Range<u64>) -> Body,
    ) -> Result<Response, Refusal> {
        if self.is_known(tag) {
            return self.not_modified(tag, IMMUTABLE);
        }
        let parts = Parts { head: self.head, known: false, range: self.wanted_range(tag) };
        parts.send(builder, size, body)
    }

    /// The media type by the name's extension; without one, text is told from data.
    async fn content_type(&self, size: u64) -> Result<String, Refusal> {
        let name = self.name().unwrap_or_default();
        if let Some(guess) = mime_guess::from_path(Path::new(&name)).first() {
            let text = guess.type_() == "text" && guess.get_param("charset").is_none();
            return Ok(if text { format!("{guess}; charset=utf-8") } else { guess.to_string() });
        }
        let mut start = Vec::new();
        let mut pieces = std::pin::pin!(read(&self.gateway.store, &self.entry.cid, 0..size.min(SNIFF)));
        while let Some(piece) = pieces.next().await {
            start.extend_from_slice(&piece?);
        }
        let text = match std::str::from_utf8(&start) {
            Ok(text) => Some(text),
            // cut within a character
            Err(error) if error.error_len().is_none() => std::str::from_utf8(&start[..error.valid_up_to()]).ok(),
            Err(_) => None,
        };
        let plain = text.is_some_and(|text| {
            !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{1b}' | '\u{c}'))
        });
        Ok(if plain { "text/plain; charset=utf-8".to_owned() } else { "application/octet-stream".to_owned() })
    }

    async fn directory(self) -> Result<Response, Refusal> {
        if !self.request.trailing_slash {
            return self.redirect_to_slash();
        }
        let cid = self.entry.cid;
        let index = resolve(&self.gateway.store, &cid, "index.html").await;
        match index {
            Ok(index) => {
                if let EntryKind::File { size } = index.kind {
                    let answer = Answer { entry: index, ..self };
                    let builder = answer.file_headers("text/html; charset=utf-8");
                    return answer.stream(builder, size);
                }
            }
            Err(ResolveError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let tag = format!(
            "\"DirIndex-{LISTING_VERSION}-{}_CID-{cid}\"",
            encode_segment(self.request.after.as_deref().unwrap_or_default())
        );
        if self.is_known(&tag) {
            return self.not_modified(&tag, GENERATED);
        }
        let builder = self
            .headers(&format!("W/{tag}"), GENERATED)
            .header(header::CONTENT_TYPE, "text/html; charset=utf-8")
            .header(header::CONTENT_SECURITY_POLICY, SANDBOX);
        if self.head {
            return finish(builder, Body::empty());
        }
        let page = self.gateway.options.listing_page;
        let mut entries = Vec::new();
        let mut more = false;
        let mut listing = std::pin::pin!(list_after(&self.gateway.store, &cid, self.request.after.as_deref()));
        while let Some(entry) = listing.next().await {
            if entries.len() == page {
                more = true;
                break;
            }
            entries.push(entry?);
        }
        let last = entries.last().filter(|_| more);
        let last = last.map(|entry| entry.name.clone());
        let path = format!("/ipfs/{}/{}", self.request.root, self.request.path);
        finish(builder, Body::from(listing::page(&path, &entries, last.as_deref())))
    }

    /// Relative links in a page only work below a URL that ends in a slash.
    fn redirect_to_slash(&self) -> Result<Response, Refusal> {
        let last = self.request.raw_path.rsplit('/').next().unwrap_or_default();
        let mut location = format!("./{last}/");
        if let Some(query) = &self.request.query {
            location.push('?');
            location.push_str(query);
        }
        let builder = Response::builder().status(StatusCode::MOVED_PERMANENTLY).header(header::LOCATION, location);
        finish(builder, Body::empty())
    }

    /// The name that the URL gives the content.
    fn name(&self) -> Option<String> {
        self.request.filename.clone().or_else(|| {
            let last = self.request.path.rsplit('/').next().unwrap_or_default();
            (!last.is_empty()).then(|| last.to_owned())
        })
    }

    /// The headers that all answers have.
    fn headers(&self, tag: &str, cache: &str) -> Builder {
        let roots: Vec<String> = self.entry.path_cids.iter().map(Cid::to_string).collect();
        Response::builder()
            .header(header::ETAG, tag)
            .header(header::CACHE_CONTROL, cache)
            .header("x-ipfs-path", &self.request.raw_path)
            .header("x-ipfs-roots", roots.join(","))
            .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
            .header(header::VARY, "Accept")
            .header(header::ACCESS_CONTROL_ALLOW_ORIGIN, "*")
            .header(
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                "Content-Length, Content-Range, ETag, X-Ipfs-Path, X-Ipfs-Roots",
            )
    }

    fn not_modified(&self, tag: &str, cache: &str) -> Result<Response, Refusal> {
        let builder = self.headers(tag, cache).status(StatusCode::NOT_MODIFIED);
        finish(builder, Body::empty())
    }

    fn is_known(&self, tag: &str) -> bool {
        let known = &self.request.if_none_match;
        known.iter().any(|known| known == tag || known == "*")
    }

    /// The `Range` header, unless an `If-Range` says that it is about something else.
    fn wanted_range(&self, tag: &str) -> Option<String> {
        let fits = self.request.if_range.as_deref().is_none_or(|of| of == tag);
        self.request.range.clone().filter(|_| fits)
    }

    /// RFC 6266, with a plain name for old clients.
    fn disposition(&self, kind: &str, fallback: &str) -> String {
        let name = self.request.filename.as_deref().unwrap_or(fallback);
        let plain: String = name
            .chars()
            .map(|c| match c {
                ' '..='~' if !matches!(c, '"' | '\\' | '/' | '%') => c,
                _ => '_',
            })
            .collect();
        format!("{kind}; filename=\"{plain}\"; filename*=UTF-8''{}", encode_segment(name))
    }
}

/// How much of some bytes is sent.
struct Parts {
    head: bool,
    known: bool,
    range: Option<String>,
}

impl Parts {
    fn send(self, builder: Builder, size: u64, body: impl FnOnce(Range<u64>) -> Body) -> Result<Response, Refusal> {
        let builder = builder.header(header::ACCEPT_RANGES, "bytes");
        let (builder, range) = match requested_range(self.range.as_deref(), size) {
            Ok(None) => (builder, 0..size),
            Ok(Some(range)) => {
                let stated = format!("bytes {}-{}/{size}", range.start, range.end - 1);
                let builder = builder.status(StatusCode::PARTIAL_CONTENT).header(header::CONTENT_RANGE, stated);
                (builder, range)
            }
            Err(_) => {
                let builder = builder
                    .status(StatusCode::RANGE_NOT_SATISFIABLE)
                    .header(header::CONTENT_RANGE, format!("bytes */{size}"));
                return finish(builder, Body::empty());
            }
        };
        let length = range.end - range.start;
        let builder = builder.header(header::CONTENT_LENGTH, HeaderValue::from(length));
        let body = if self.head { Body::empty() } else { body(range) };
        finish(builder, body)
    }
}

fn finish(builder: Builder, body: Body) -> Result<Response, Refusal> {
    builder.body(body).map_err(|error| {
        tracing::error!(%error, "a response has a header that HTTP does not allow");
        Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "the response cannot be expressed in HTTP")
    })
}
