//! The images that this node brought to the engine: those that were used longest ago give way.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bollard::query_parameters::RemoveImageOptionsBuilder;
use serde::{Deserialize, Serialize};

use super::DockerExecutor;
use super::engine::is_missing;
use crate::executor::ExecutorError;

/// Where it is written down, in the executor's folder.
const FILE: &str = "images.json";
/// The most images that are kept.
const IMAGES: usize = 1_000;

/// What is known of the images that this node brought.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
    images: Mutex<Images>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Images {
    /// Counts what was used, to tell what was used last.
    clock: u64,
    images: BTreeMap<String, Kept>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    used: u64,
    bytes: u64,
}

impl Cache {
    pub(super) fn open(dir: &Path) -> Result<Self, ExecutorError> {
        let path = dir.join(FILE);
        let failed =
            |source| ExecutorError::WorkDir { path: path.clone(), doing: "reading which images are there", source };
        let images = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| failed(error.into()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Images::default(),
            Err(error) => return Err(failed(error)),
        };
        Ok(Self { path, images: Mutex::new(images) })
    }

    /// It is about to be there.
    pub(super) fn added(&self, reference: &str) -> Result<(), ExecutorError> {
        let mut images = self.lock();
        images.clock += 1;
        let used = images.clock;
        images.images.insert(reference.to_owned(), Kept { used, bytes: 0 });
        self.write(&images).map_err(|source| ExecutorError::WorkDir {
            path: self.path.clone(),
            doing: "writing down which images are there",
            source,
        })
    }

    /// It is used, if it is one of those.
    pub(super) fn used(&self, reference: &str) {
        let mut images = self.lock();
        images.clock += 1;
        let clock = images.clock;
        if let Some(kept) = images.images.get_mut(reference) {
            kept.used = clock;
            self.try_write(&images);
        }
    }

    pub(super) fn measured(&self, reference: &str, bytes: u64) {
        let mut images = self.lock();
        if let Some(kept) = images.images.get_mut(reference) {
            kept.bytes = bytes;
            self.try_write(&images);
        }
    }

    pub(super) fn removed(&self, reference: &str) {
        let mut images = self.lock();
        images.images.remove(reference);
        self.try_write(&images);
    }

    /// Those of which it is not known whether they came.
    pub(super) fn unmeasured(&self) -> Vec<String> {
        let images = self.lock();
        images.images.iter().filter(|(_, kept)| kept.bytes == 0).map(|(reference, _)| reference.clone()).collect()
    }

    /// Those that must go before another one may come, the oldest first.
    fn surplus(&self, limit: u64) -> Vec<String> {
        let images = self.lock();
        let mut by_use: Vec<_> = images.images.iter().collect();
        by_use.sort_by_key(|(_, kept)| kept.used);
        let mut bytes: u64 = by_use.iter().fold(0, |sum, (_, kept)| sum.saturating_add(kept.bytes));
        let mut count = by_use.len();
        let mut surplus = Vec::new();
        for (reference, kept) in by_use {
            if bytes <= limit && count < IMAGES {
                break;
            }
            bytes = bytes.saturating_sub(kept.bytes);
            count -= 1;
            surplus.push(reference.clone());
        }
        surplus
    }

    fn try_write(&self, images: &Images) {
        if let Err(error) = self.write(images) {
            tracing::warn!(path = %self.path.display(), %error, "it could not be written down which images are there");
        }
    }

    fn write(&self, images: &Images) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = fs::File::create(&new)?;
        file.write_all(&serde_json::to_vec(images)?)?;
        // Else a power cut may leave an empty file under the name, and containers off until somebody looks.
        file.sync_data()?;
        fs::rename(&new, &self.path)
    }

    fn lock(&self) -> MutexGuard<'_, Images> {
        self.images.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DockerExecutor {
    /// Removes images that this node brought until those that stay fit the cache. What is in use stays.
    pub(super) async fn make_room(&self) {
        for reference in self.cache.surplus(self.settings.cache_bytes) {
            self.remove_image(&reference).await;
        }
    }

    /// Removes an image that this node brought.
    pub(super) async fn remove_image(&self, reference: &str) {
        let options = RemoveImageOptionsBuilder::new().build();
        match self.engine.docker.remove_image(reference, Some(options), None).await {
            Ok(_) => self.cache.removed(reference),
            Err(error) if is_missing(&error) => self.cache.removed(reference),
            // A job may be running it: the next time.
            Err(error) => tracing::debug!(reference, %error, "an image was not removed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path()).unwrap();
        for name in ["a", "b", "c"] {
            cache.added(name).unwrap();
            cache.measured(name, 10);
        }
        cache.used("a");
        cache.used("not ours");
        assert_eq!(cache.surplus(30), Vec::<String>::new());
        assert_eq!(cache.surplus(29), ["b"]);
        assert_eq!(cache.surplus(0), ["b", "c", "a"]);
        cache.removed("b");
        // The next process knows the same.
        let cache = Cache::open(dir.path()).unwrap();
        assert_eq!(cache.surplus(0), ["c", "a"]);
    }

    #[test]
    fn a_crash_leaves_nothing_unknown() {
        let dir = tempfile::tempdir().unwrap();
        Cache::open(dir.path()).unwrap().added("begun").unwrap();
        fs::write(dir.path().join("images.new"), "half").unwrap();
        assert_eq!(Cache::open(dir.path()).unwrap().images.lock().unwrap().images.len(), 1);
    }
}
