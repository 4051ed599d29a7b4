//! Routes about content: what jobs need and what they made.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use futures::{StreamExt as _, TryStreamExt as _};
use lota_api::{ContentEntry, Stored};
use lota_content::{
    CarImportError, CarImportOptions, Cid, DagScope, DirEntry, Entry, EntryKind, ReadError, StoreError, car_import,
    car_stream, gateway::requested_range,
};
use lota_market::{Address, agent::Step};
use serde::Deserialize;
use tokio_util::io::StreamReader;

use super::{Api, jobs::find};
use crate::{fetch::Purpose, http_error::HttpError, pins::output_pin};

/// The most blocks of a CAR.
const MAX_CAR_BLOCKS: usize = 10_000_000;
/// The most entries of a directory in one answer.
const MAX_ENTRIES: usize = 10_000;

/// How content is wanted.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ContentQuery {
    /// The entries of a directory.
    list: bool,
    /// Behind this entry.
    after: Option<String>,
    /// `car`: all of it, with its blocks.
    format: Option<String>,
}

/// How long content is wanted.
#[derive(Debug, Deserialize)]
#[serde(default)]
pub(super) struct StoreQuery {
    /// Whether it is to be kept until it is let go of. Otherwise it stays while there is room, or a job needs it.
    pin: bool,
}

impl Default for StoreQuery {
    fn default() -> Self {
        Self { pin: true }
    }
}

fn added_pin(cid: &Cid) -> String {
    format!("added/{cid}")
}

/// Does what waits for the disk where it holds nobody up.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, HttpError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => Ok(outcome?),
        Err(error) => Err(HttpError::internal(&error)),
    }
}

/// Takes a CAR, and pins its roots if that is wanted.
pub(super) async fn store(
    State(api): State<Arc<Api>>,
    Query(query): Query<StoreQuery>,
    body: Body,
) -> Result<(StatusCode, Json<Stored>), HttpError> {
    let store = &api.content;
    // Until they are pinned, the blocks are guarded from collection.
    let guard = store.guard();
    let reader = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
    let refused = |error: &dyn std::fmt::Display| HttpError::invalid(format!("the CAR cannot be taken: {error}"));
    let imported = car_import(store, reader, &CarImportOptions::default()).await.map_err(|error| match error {
        CarImportError::Store(StoreError::Cid(error)) => refused(&error),
        CarImportError::Store(error) => HttpError::from(error),
        error => refused(&error),
    })?;
    if query.pin && imported.roots.is_empty() {
        return Err(refused(&"it names no root that could be pinned; name one, or say `pin=false`"));
    }
    if query.pin {
        let (store, roots) = (store.clone(), imported.roots.clone());
        blocking(move || roots.iter().try_for_each(|root| store.pin(root, &added_pin(root)).map(drop))).await?;
    }
    drop(guard);
    let roots = imported.roots.iter().map(ToString::to_string).collect();
    Ok((StatusCode::CREATED, Json(Stored { roots, blocks: imported.blocks, bytes: imported.bytes })))
}

/// Lets go of content that was added: it goes when its room is needed.
pub(super) async fn forget(State(api): State<Arc<Api>>, Path(cid): Path<String>) -> Result<StatusCode, HttpError> {
    let cid = lota_content::parse_cid(&cid).map_err(|error| HttpError::invalid(error.to_string()))?;
    let (store, pin) = (api.content.clone(), added_pin(&cid));
    match blocking(move || store.unpin(&pin)).await? {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(HttpError::not_found(format!("{cid} was not added here, or was let go of before"))),
    }
}

impl Api {
    /// Makes sure that content is here, whole. It is not pinned: whoever reads something does not mean to keep it.
    async fn fetch_if_missing(&self, cid: &Cid, holder: Option<Address>) -> Result<(), HttpError> {
        let limit = self.max_fetch_bytes;
        self.downloader
            .fetch(Purpose::Own, cid, holder, limit, None)
            .await
            .map(drop)
            .map_err(|failure| HttpError::not_found(format!("{cid} cannot be had: {failure}")))
    }
}

pub(super) async fn show_root(
    api: State<Arc<Api>>,
    Path(cid): Path<String>,
    query: Query<ContentQuery>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    show(api, Path((cid, String::new())), query, headers).await
}

pub(super) async fn show(
    State(api): State<Arc<Api>>,
    Path((cid, path)): Path<(String, String)>,
    Query(query): Query<ContentQuery>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let cid = lota_content::parse_cid(&cid).map_err(|error| HttpError::invalid(error.to_string()))?;
    let _guard = api.content.guard();
    api.fetch_if_missing(&cid, None).await?;
    answer(&api, &cid, &path, &query, &headers).await
}

pub(super) async fn output_root(
    api: State<Arc<Api>>,
    Path(id): Path<String>,
    query: Query<ContentQuery>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    output(api, Path((id, String::new())), query, headers).await
}

pub(super) async fn output(
    State(api): State<Arc<Api>>,
    Path((id, path)): Path<(String, String)>,
    Query(query): Query<ContentQuery>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let listed = find(&api, &id).await?;
    let job = &listed.job;
    let Some(result) = &job.view.result else {
        return Err(HttpError::conflict(format!(
            "job {} has no output: it is {}",
            job.id(),
            super::describe::phase(job)
        )));
    };
    let cid = crate::local_steps::output_cid(result);
    let _guard = api.content.guard();
    // What was let go of may have been collected.
    if !job.is_done(Step::Verify) || api.content.pinned(&output_pin(job.id())).is_none() {
        api.fetch_if_missing(&cid, Some(job.view.provider)).await?;
    }
    answer(&api, &cid, &path, &query, &headers).await
}

/// Lets go of the output of a job that this node asked for: it goes when its room is needed, and is fetched again for who asks
/// after that. A provider keeps what it ran.
pub(super) async fn release_output(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
) -> Result<StatusCode, HttpError> {
    let listed = find(&api, &id).await?;
    let job = &listed.job;
    let id = job.id();
    if job.order.is_none() {
        return Err(HttpError::conflict(format!("job {id} is not this daemon's: a provider keeps what it ran")));
    }
    if !job.view.status.is_final() {
        return Err(HttpError::conflict(format!(
            "job {id} is {}; its output can be let go of when it has ended",
            super::describe::phase(job)
        )));
    }
    let (store, pin) = (api.content.clone(), output_pin(id));
    match blocking(move || store.unpin(&pin)).await? {
        Some(_) => Ok(StatusCode::NO_CONTENT),
        None => Err(HttpError::not_found(format!("the output of job {id} is not kept here"))),
    }
}

async fn answer(
    api: &Api,
    cid: &Cid,
    path: &str,
    query: &ContentQuery,
    headers: &HeaderMap,
) -> Result<Response, HttpError> {
    let store = &api.content;
    let entry =
        lota_content::resolve(store, cid, path).await.map_err(|error| HttpError::not_found(error.to_string()))?;
    if query.list {
        return list(api, &entry, query.after.as_deref()).await;
    }
    match query.format.as_deref() {
        None => file(api, &entry, headers),
        Some("car") => {
            let car = car_stream(store.clone(), &[], &entry.cid, DagScope::All, MAX_CAR_BLOCKS);
            let body = Body::from_stream(car.map_err(std::io::Error::other));
            let kind = HeaderValue::from_static("application/vnd.ipld.car; version=1");
            Ok(([(header::CONTENT_TYPE, kind)], body).into_response())
        }
        Some(other) => Err(HttpError::invalid(format!("`{other}` is not a format; there is `car`"))),
    }
}

async fn list(api: &Api, entry: &Entry, after: Option<&str>) -> Result<Response, HttpError> {
    let store = &api.content;
    let links: Vec<DirEntry> = lota_content::list_page(store.clone(), &entry.cid, after, MAX_ENTRIES)
        .await
        .map_err(|error| HttpError::invalid(error.to_string()))?;
    let entries = futures::stream::iter(links)
        .map(|link| async move {
            let found = lota_content::resolve(store, &link.cid, "").await.ok();
            let (kind, size) = match found.map(|entry| entry.kind) {
                Some(EntryKind::File { size }) => ("file", size),
                Some(EntryKind::Directory { .. }) => ("directory", link.dag_size),
                Some(EntryKind::Symlink { .. }) => ("symlink", 0),
                Some(EntryKind::Block { size, .. }) => ("block", size),
                None => ("missing", link.dag_size),
            };
            ContentEntry { name: link.name, cid: link.cid.to_string(), kind: kind.to_owned(), size }
        })
        .buffered(8)
        .collect::<Vec<_>>()
        .await;
    Ok(Json(entries).into_response())
}

fn file(api: &Api, entry: &Entry, headers: &HeaderMap) -> Result<Response, HttpError> {
    let (EntryKind::File { size } | EntryKind::Block { size, .. }) = entry.kind else {
        return Err(HttpError::invalid(format!("{} is a directory; list it, or ask for `format=car`", entry.cid)));
    };
    let header = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let range = requested_range(header, size).map_err(|error| HttpError::invalid(error.to_string()))?;
    let wanted = range.clone().unwrap_or(0..size);
    let length = wanted.end - wanted.start;
    let pieces = lota_content::read(api.content.clone(), &entry.cid, wanted.clone());
    let body = Body::from_stream(pieces.map_err(|error: ReadError| std::io::Error::other(error)));
    let mut response = body.into_response();
    let out = response.headers_mut();
    out.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    out.insert(header::CONTENT_LENGTH, length.into());
    if range.is_some() {
        let text = format!("bytes {}-{}/{size}", wanted.start, wanted.end.saturating_sub(1));
        if let Ok(value) = HeaderValue::from_str(&text) {
            out.insert(header::CONTENT_RANGE, value);
        }
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}
