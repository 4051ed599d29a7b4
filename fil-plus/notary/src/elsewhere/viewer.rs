//! A look into an output that a stranger made: bounded in what is read, what is listed and how long names are.

use futures::{StreamExt as _, TryStreamExt as _};
use lota_content::{
    BlockSource, Cid, DagError, DirEntry, EntryKind, ListError, MAX_NAME, ReadError, ResolveError, list, read, resolve,
};
use lota_market::Bytes;

use crate::{
    desk::{DeskError, MAX_SHOWN, OutputEntry, OutputNode},
    outgoing::{causes, shown},
};

/// The most names of a directory that are listed.
pub const MAX_LISTED: usize = 500;
/// The longest path that is looked up, in bytes.
const MAX_PATH: usize = 4_096;
/// Entries of a directory that are looked at, at once.
const AT_ONCE: usize = 8;

/// What lies at a path below `root`.
pub(super) async fn look<S: BlockSource + Clone>(source: &S, root: &Cid, path: &str) -> Result<OutputNode, DeskError> {
    if path.len() > MAX_PATH {
        return Err(DeskError::Invalid(format!("the path has more than {MAX_PATH} bytes")));
    }
    let entry = resolve(source, root, path).await.map_err(of_resolving)?;
    match entry.kind {
        EntryKind::Directory { .. } => directory(source, &entry.cid).await,
        EntryKind::File { size } | EntryKind::Block { size, .. } => file(source, &entry.cid, size).await,
        EntryKind::Symlink { target } => {
            Err(DeskError::Refused(format!("it is a symbolic link to `{}`: links are not followed", shown(&target))))
        }
    }
}

async fn directory<S: BlockSource + Clone>(source: &S, cid: &Cid) -> Result<OutputNode, DeskError> {
    // One more than is shown, to know whether there are more.
    let listed: Vec<DirEntry> =
        Box::pin(list(source.clone(), cid)).take(MAX_LISTED + 1).try_collect().await.map_err(|error| match error {
            ListError::Dag(error) => of_dag(&error),
            error @ ListError::NotADirectory { .. } => malformed(&error),
        })?;
    if let Some(entry) = listed.iter().find(|entry| entry.name.len() > MAX_NAME) {
        let (bytes, name) = (entry.name.len(), shown(&entry.name));
        return Err(DeskError::Refused(format!(
            "this directory cannot be shown: a name in it has {bytes} bytes, and files' names at most {MAX_NAME}: {name}"
        )));
    }
    let more = listed.len() > MAX_LISTED;
    let entries = futures::stream::iter(listed.into_iter().take(MAX_LISTED))
        .map(|entry| async move {
            let found = resolve(source, &entry.cid, "").await.map_err(of_resolving)?;
            let (is_directory, size) = match found.kind {
                EntryKind::Directory { .. } => (true, None),
                EntryKind::File { size } | EntryKind::Block { size, .. } => (false, Some(size)),
                EntryKind::Symlink { .. } => (false, None),
            };
            Ok::<_, DeskError>(OutputEntry { name: entry.name, is_directory, size })
        })
        .buffered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    Ok(OutputNode::Directory { entries, more })
}

async fn file<S: BlockSource + Clone>(source: &S, cid: &Cid, size: u64) -> Result<OutputNode, DeskError> {
    let mut begin = Vec::new();
    let mut pieces = std::pin::pin!(read(source.clone(), cid, 0..size.min(MAX_SHOWN)));
    while let Some(piece) = pieces.next().await {
        begin.extend_from_slice(&piece.map_err(|error| match error {
            ReadError::Dag(error) => of_dag(&error),
            error => malformed(&error),
        })?);
    }
    Ok(OutputNode::File { size, begin: Bytes::from(begin) })
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
