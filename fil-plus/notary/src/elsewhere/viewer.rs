//! A look into an output that a stranger made: bounded in what is read, what is listed and how long names are.

use std::{io, time::Duration};

use futures::{StreamExt as _, TryStreamExt as _};
use lota_content::{
    BlockSource, Cid, DagError, DirEntry, Entry, EntryKind, ListError, MAX_NAME, ReadError, ResolveError, list_after,
    read, resolve,
};
use lota_market::Bytes;

use crate::{
    desk::{self, DeskError, MAX_SHOWN, OutputEntry, OutputFile, OutputNode},
    outgoing::{causes, shown},
};

/// The most names of a directory that are listed.
pub const MAX_LISTED: usize = 500;
/// The longest path that is looked up, in bytes.
const MAX_PATH: usize = 4_096;
/// Entries of a directory that are looked at, at once.
const AT_ONCE: usize = 8;
/// So long it is looked at what is behind the names of a directory; those that are left are listed without.
const ENTRIES: Duration = Duration::from_secs(10);

/// What lies at a path below `root`.
pub(super) async fn look<S: BlockSource + Clone>(
    source: &S,
    root: &Cid,
    path: &str,
    after: Option<&str>,
) -> Result<OutputNode, DeskError> {
    let entry = at(source, root, path).await?;
    match entry.kind {
        EntryKind::Directory { .. } => directory(source, &entry.cid, after).await,
        EntryKind::File { size } | EntryKind::Block { size, .. } => file(source, &entry.cid, size).await,
        EntryKind::Symlink { target } => Err(of_link(&target)),
    }
}

/// A file at a path below `root`: all of it is read once before any of it is handed out.
pub(super) async fn whole<S: BlockSource + Clone + 'static>(
    source: S,
    root: &Cid,
    path: &str,
    most: u64,
) -> Result<OutputFile, DeskError> {
    let entry = at(&source, root, path).await?;
    let size = match entry.kind {
        EntryKind::Directory { .. } => return Err(DeskError::NotFound("that is a directory".to_owned())),
        EntryKind::Symlink { target } => return Err(of_link(&target)),
        EntryKind::File { size } | EntryKind::Block { size, .. } => size,
    };
    if size > most {
        return Err(DeskError::TooLarge { size, most, cid: entry.cid.to_string() });
    }
    {
        let mut pieces = std::pin::pin!(read(source.clone(), &entry.cid, 0..size));
        while let Some(piece) = pieces.next().await {
            piece.map_err(of_reading)?;
        }
    }
    let bytes = read(source, &entry.cid, 0..size).map(|piece| piece.map_err(io::Error::other)).boxed();
    Ok(OutputFile { size, bytes })
}

async fn at<S: BlockSource + Clone>(source: &S, root: &Cid, path: &str) -> Result<Entry, DeskError> {
    if path.len() > MAX_PATH {
        return Err(DeskError::Invalid(format!("the path has more than {MAX_PATH} bytes")));
    }
    resolve(source, root, path).await.map_err(of_resolving)
}

fn of_link(target: &str) -> DeskError {
    DeskError::Refused(format!("it is a symbolic link to `{}`: links are not followed", shown(target)))
}

async fn directory<S: BlockSource + Clone>(
    source: &S,
    cid: &Cid,
    after: Option<&str>,
) -> Result<OutputNode, DeskError> {
    // One more than is shown, to know whether there are more.
    let listed: Vec<DirEntry> =
        Box::pin(list_after(source.clone(), cid, after)).take(MAX_LISTED + 1).try_collect().await.map_err(|error| {
            match error {
                ListError::Dag(error) => of_dag(&error),
                error @ ListError::NotADirectory { .. } => malformed(&error),
            }
        })?;
    if let Some(entry) = listed.iter().find(|entry| entry.name.len() > MAX_NAME) {
        let (bytes, name) = (entry.name.len(), shown(&entry.name));
        return Err(DeskError::Refused(format!(
            "this directory cannot be shown: a name in it has {bytes} bytes, and files' names at most {MAX_NAME}: {name}"
        )));
    }
    let more = listed.len() > MAX_LISTED;
    let until = tokio::time::Instant::now() + ENTRIES;
    let entries = futures::stream::iter(listed.into_iter().take(MAX_LISTED))
        .map(|entry| async move {
            // One that is broken, or that nobody serves, hides no other.
            let found = tokio::time::timeout_at(until, resolve(source, &entry.cid, "")).await;
            let (kind, size) = match found.ok().and_then(Result::ok).map(|found| found.kind) {
                Some(EntryKind::Directory { .. }) => (desk::EntryKind::Directory, None),
                Some(EntryKind::File { size } | EntryKind::Block { size, .. }) => (desk::EntryKind::File, Some(size)),
                Some(EntryKind::Symlink { .. }) => (desk::EntryKind::Link, None),
                None => (desk::EntryKind::Unknown, None),
            };
            OutputEntry { name: entry.name, kind, size }
        })
        .buffered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    Ok(OutputNode::Directory { entries, more })
}

async fn file<S: BlockSource + Clone>(source: &S, cid: &Cid, size: u64) -> Result<OutputNode, DeskError> {
    let mut begin = Vec::new();
    let mut pieces = std::pin::pin!(read(source.clone(), cid, 0..size.min(MAX_SHOWN)));
    while let Some(piece) = pieces.next().await {
        begin.extend_from_slice(&piece.map_err(of_reading)?);
    }
    Ok(OutputNode::File { size, begin: Bytes::from(begin), cid: cid.to_string() })
}

fn of_reading(error: ReadError) -> DeskError {
    match error {
        ReadError::Dag(error) => of_dag(&error),
        error => malformed(&error),
    }
}

fn of_resolving(error: ResolveError) -> DeskError {
    match error {
        ResolveError::Dag(error) => of_dag(&error),
        error @ ResolveError::TooLong => DeskError::Invalid(error.to_string()),
        error @ (ResolveError::NotFound { .. } | ResolveError::NotADirectory { .. }) => {
            DeskError::NotFound(shown(&error.to_string()))
        }
    }
}

fn of_dag(error: &DagError) -> DeskError {
    match error {
        DagError::Malformed { .. } => malformed(error),
        DagError::Source(_) | DagError::Missing { .. } => DeskError::Unavailable(causes(error)),
    }
}

fn malformed(error: &dyn std::error::Error) -> DeskError {
    DeskError::Refused(format!("the output cannot be shown: {}", causes(error)))
}
