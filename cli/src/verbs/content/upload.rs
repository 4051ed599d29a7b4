//! From this machine into the daemon's block store.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::bail;
use futures::TryStreamExt as _;
use lota_content::{Cid, DagScope, ImportOptions, Imported, Store, StoreOptions, Symlinks, SyncPolicy, car_stream};
use serde::{Serialize, Serializer};

use crate::{
    api::Api,
    aside::aside,
    scratch::{Purpose, Scratch},
    terminal::Progress,
    units::ByteSize,
};

/// The most blocks of one upload: what a million entries and 1 TiB come to at most.
const MAX_BLOCKS: usize = 10_000_000;

/// What becomes of symbolic links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Links {
    /// They are an error.
    Refuse,
    /// They are stored as links.
    Keep,
}

/// How long the daemon keeps what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    /// Until it is let go of.
    Always,
    /// While there is room, or a job needs it.
    ForJob,
}

/// What was added.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Added {
    /// Its CID.
    #[serde(serialize_with = "as_text")]
    pub(crate) cid: Cid,
    /// Bytes of content.
    pub(crate) size: u64,
    /// Files and folders, the root included.
    pub(crate) entries: u64,
}

fn as_text<S: Serializer>(cid: &Cid, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(cid)
}

impl From<Imported> for Added {
    fn from(imported: Imported) -> Self {
        Self { cid: imported.cid, size: imported.size, entries: imported.entries }
    }
}

/// The CID of a file or folder (`-`: stdin).
///
/// # Errors
/// When it cannot be read.
pub(crate) async fn cid_only(path: &Path, links: Links, progress: &Progress) -> anyhow::Result<Added> {
    let (path, options) = (path.to_owned(), options(&path.display().to_string(), links, progress));
    let _cancel = CancelOnDrop(options.cancel.clone());
    let imported = if is_stdin(&path) {
        aside(move || lota_content::cid_of_reader(io::stdin().lock(), &options)).await??
    } else {
        tokio::task::spawn_blocking(move || lota_content::cid_of_path(&path, &options)).await??
    };
    Ok(imported.into())
}

/// Adds a file or folder (`-`: stdin). It is read once, into a store of its own beside the system's other temporary files:
/// the root, which a CAR begins with, is known only at the end.
///
/// # Errors
/// When it cannot be read, or the daemon does not take it.
pub(crate) async fn path(
    api: &Api,
    path: &Path,
    links: Links,
    keep: Keep,
    progress: &Progress,
) -> anyhow::Result<Added> {
    let name = path.display().to_string();
    let scratch = Scratch::new(Purpose::Add)?;
    let options = options(&name, links, progress);
    let _cancel = CancelOnDrop(options.cancel.clone());
    let (store, imported) = {
        let (path, folder) = (path.to_owned(), scratch.join("store"));
        if is_stdin(&path) {
            aside(move || import(&path, folder, &options)).await??
        } else {
            tokio::task::spawn_blocking(move || import(&path, folder, &options)).await??
        }
    };
    progress.say(format!("sending {name} ({})", ByteSize(imported.size)));
    let car = car_stream(Arc::new(store), &[], &imported.cid, DagScope::All, MAX_BLOCKS).map_err(io::Error::other);
    let stored = api.add(car, keep == Keep::Always).await?;
    if stored.roots != [imported.cid.to_string()] {
        bail!("the daemon stored {} instead of {}", stored.roots.join(", "), imported.cid);
    }
    Ok(imported.into())
}

fn import(path: &Path, folder: PathBuf, options: &ImportOptions) -> anyhow::Result<(Store, Imported)> {
    let capacity = StoreOptions { capacity: u64::MAX, sync: SyncPolicy::Never };
    let store = Store::open(folder, capacity)?;
    let imported = if is_stdin(path) {
        lota_content::import_reader(&store, io::stdin().lock(), options)?
    } else {
        lota_content::import_path(&store, path, options)?
    };
    Ok((store, imported))
}

/// Whoever is not waited for any more stops at the next piece.
struct CancelOnDrop(Option<Arc<AtomicBool>>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(cancel) = &self.0 {
            cancel.store(true, Ordering::Relaxed);
        }
    }
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn options(name: &str, links: Links, progress: &Progress) -> ImportOptions {
    let (name, progress) = (name.to_owned(), progress.clone());
    ImportOptions {
        symlinks: match links {
            Links::Refuse => Symlinks::Refuse,
            Links::Keep => Symlinks::Keep,
        },
        progress: Some(Arc::new(move |bytes| progress.say(format!("reading {name} ({})", ByteSize(bytes))))),
        // Without a pin the blocks could be collected before they are sent, were the store ever full.
        pin: Some("upload".to_owned()),
        cancel: Some(Arc::default()),
        ..ImportOptions::default()
    }
}
