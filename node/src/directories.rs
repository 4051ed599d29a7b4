//! Directories of this machine that jobs may name, and their import into the block store: few at a time, and one for all who wait.

use std::{
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use lota_content::{Cid, Guard, ImportError, ImportOptions, Imported, Store};
use lota_market::agent::Failure;
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::failure::temporary;

/// The deepest directory of an input.
pub(crate) const MAX_DEPTH: usize = 64;
/// The most files and directories of all inputs of a job together, and of its output.
pub(crate) const MAX_ENTRIES: u64 = 100_000;

/// Imports at once, of all directories: each reads a disk, and hashes on its one thread. Anybody may order jobs that name
/// directories, and they are imported before it is known who does the job.
const IMPORTS: usize = 2;

/// What an operator offers, by its labels.
pub(crate) struct Directories {
    paths: BTreeMap<String, PathBuf>,
    /// The most bytes of one.
    max_bytes: u64,
    places: Arc<Semaphore>,
    /// Of each label that somebody waits for.
    queues: Mutex<HashMap<String, Weak<Queue>>>,
}

/// Those who wait for one directory.
#[derive(Default)]
struct Queue {
    /// Counts those who asked and the imports that began: so it is known which of the two was first.
    tickets: AtomicU64,
    last: tokio::sync::Mutex<Option<Snapshot>>,
}

/// What was in a directory.
struct Snapshot {
    begun: u64,
    outcome: Result<Imported, Failure>,
    /// Nobody has pinned it yet.
    _guard: Guard,
}

impl Queue {
    fn ticket(&self) -> u64 {
        self.tickets.fetch_add(1, Ordering::Relaxed)
    }
}

/// Ends an import whose future is dropped.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Directories {
    pub(crate) fn new(paths: BTreeMap<String, PathBuf>, max_bytes: u64) -> Self {
        Self { paths, max_bytes, places: Arc::new(Semaphore::new(IMPORTS)), queues: Mutex::default() }
    }

    fn queue(&self, label: &str) -> Arc<Queue> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.get(label).and_then(Weak::upgrade).unwrap_or_else(|| {
            let queue = Arc::default();
            queues.insert(label.to_owned(), Arc::downgrade(&queue));
            queue
        })
    }

    /// Imports what is in a directory now, and pins it; returns its root, and how many bytes of files it has. An import that began
    /// after the call will do.
    pub(crate) async fn import(
        &self,
        store: &Store,
        label: &str,
        limit: u64,
        pin: String,
    ) -> Result<(Cid, u64), Failure> {
        let Some(path) = self.paths.get(label) else {
            return Err(Failure::Permanent(format!("this provider offers no directory `{label}`")));
        };
        let queue = self.queue(label);
        let asked = queue.ticket();
        let mut last = queue.last.lock().await;
        let snapshot = match last.take() {
            Some(snapshot) if snapshot.begun > asked => snapshot,
            _ => self.read(store, label, path, &queue).await?,
        };
        let outcome = last.insert(snapshot).outcome.clone();
        let imported = outcome.and_then(|imported| match imported.size {
            size if size > limit => Err(too_large(label, limit)),
            _ => Ok(imported),
        })?;
        let (store, cid) = (store.clone(), imported.cid);
        let pinned = spawn_blocking(move || store.pin(&cid, &pin)).await;
        pinned.map_err(|_| ending())?.map_err(temporary)?;
        Ok((imported.cid, imported.size))
    }

    async fn read(&self, store: &Store, label: &str, path: &Path, queue: &Queue) -> Result<Snapshot, Failure> {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(temporary)?;
        let begun = queue.ticket();
        let guard = store.guard();
        let cancel = CancelOnDrop(Arc::default());
        let options = ImportOptions {
            max_entries: MAX_ENTRIES,
            max_bytes: self.max_bytes,
            max_depth: MAX_DEPTH,
            threads: 1,
            cancel: Some(Arc::clone(&cancel.0)),
            ..ImportOptions::default()
        };
        let (into, path) = (store.clone(), path.to_owned());
        let imported = spawn_blocking(move || {
            // As long as it reads, and not as long as somebody waits for it.
            let _place = place;
            // The operator may have named it by a link; what is below it is not led elsewhere.
            let dir =
                std::fs::canonicalize(&path).map_err(|source| ImportError::Io { action: "find", path, source })?;
            lota_content::import_path(&into, dir, &options)
        });
        let imported = imported.await.map_err(|_| ending())?;
        let outcome = imported.map_err(|error| failure(label, error));
        Ok(Snapshot { begun, outcome, _guard: guard })
    }
}

fn ending() -> Failure {
    Failure::Temporary("the node is ending".to_owned())
}

fn too_large(label: &str, limit: u64) -> Failure {
    Failure::Permanent(format!("the directory `{label}` has more than the {limit} bytes that are left for it"))
}

/// Why a directory could not be imported. Nobody is told its path.
fn failure(label: &str, error: ImportError) -> Failure {
    tracing::warn!(label, %error, "a directory could not be imported");
    let problem = |what: String| format!("the directory `{label}` {what}");
    match error {
        ImportError::TooManyBytes { limit, .. } => too_large(label, limit),
        ImportError::TooManyEntries { limit, .. } => {
            Failure::Permanent(problem(format!("has more than {limit} files and directories")))
        }
        ImportError::TooDeep { limit, .. } => {
            Failure::Permanent(problem(format!("is nested deeper than {limit} directories")))
        }
        ImportError::Symlink { .. } => {
            Failure::Permanent(problem("holds a symbolic link, and links are not followed".to_owned()))
        }
        ImportError::SpecialFile { kind, .. } => Failure::Permanent(problem(format!("holds a {kind}"))),
        ImportError::Name { .. } => Failure::Permanent(problem("holds a name that is not UTF-8".to_owned())),
        ImportError::Store(error) => temporary(error),
        _ => Failure::Temporary(problem("cannot be read now; its operator's log says why".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt as _, future::join_all};
    use lota_content::StoreOptions;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn one_import_is_for_all_who_wait_and_few_run_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path().join("blocks"), StoreOptions::default()).expect("a store");
        let path = folder.path().join("data");
        std::fs::create_dir(&path).expect("made");
        std::fs::write(path.join("file"), [1; 1_000]).expect("written");
        let directories = Directories::new([("data".to_owned(), path.clone())].into(), 1_000);
        let import = |number: usize, limit: u64| directories.import(&store, "data", limit, format!("input {number}"));
        // Nobody has a place: all wait.
        let places = Arc::clone(&directories.places).acquire_many_owned(IMPORTS as u32).await.expect("places");
        let mut waiting: Vec<_> = (0..100).map(|number| Box::pin(import(number, 1_000))).collect();
        let mut small = Box::pin(import(100, 999));
        for waiting in &mut waiting {
            assert!(waiting.now_or_never().is_none(), "there is no place");
        }
        assert!((&mut small).now_or_never().is_none());
        let queue = directories.queue("data");
        drop(places);
        let imported = join_all(waiting);
        let (imported, refused) = tokio::join!(imported, small);
        let (cid, _) = imported[0].clone().expect("imported");
        for (number, imported) in imported.into_iter().enumerate() {
            assert_eq!(imported, Ok((cid, 1_000)));
            assert_eq!(store.pinned(&format!("input {number}")), Some(cid));
        }
        assert_eq!(refused, Err(too_large("data", 999)));
        assert_eq!(store.pinned("input 100"), None);
        assert_eq!(queue.ticket(), 101 + 1, "one import for all who asked");
        // What is there now is read for those who ask now.
        std::fs::write(path.join("file"), [2; 1_000]).expect("written");
        assert_ne!(import(101, 1_000).await.expect("imported").0, cid);
        assert_eq!(directories.places.available_permits(), IMPORTS);
    }
}
