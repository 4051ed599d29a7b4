//! Machine code on disk, so that a restart compiles nothing again.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use sha2::{Digest as _, Sha256};
use wasmtime::Engine;

use super::super::engine::DiskCache;

/// How the files are named that hold machine code, and those that are being written.
const SUFFIX: &str = ".code";
const TEMPORARY: &str = ".tmp";
/// Bytes of the digest that a file begins with.
const DIGEST: usize = 32;
/// Most files; each takes a name and a page of the disk, however small.
const FILES: usize = 10_000;
/// Disks give out space in pages of this many bytes.
const PAGE: u64 = 4_096;

/// A directory of compiled modules. Each file is the sha2-256 of what follows, then the machine code: what does not hash
/// to it is never run.
#[derive(Debug)]
pub(crate) struct Artifacts {
    directory: PathBuf,
    bytes: u64,
    /// Differs for engines whose machine code is not the same, and for versions of the node, which may accept other modules.
    engine: u64,
    number: AtomicU64,
}

impl Artifacts {
    /// Opens the directory, which is made if need be, and removes what an earlier process left half-written.
    pub(crate) fn open(settings: &DiskCache, engine: &Engine) -> io::Result<Self> {
        private_directory(&settings.directory)?;
        for entry in fs::read_dir(&settings.directory)? {
            let path = entry?.path();
            if path.to_str().is_some_and(|path| path.ends_with(TEMPORARY)) {
                fs::remove_file(path)?;
            }
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        let (directory, bytes) = (settings.directory.clone(), settings.bytes);
        Ok(Self { directory, bytes, engine: hasher.finish(), number: AtomicU64::new(0) })
    }

    fn path(&self, module: &[u8; 32]) -> PathBuf {
        self.directory.join(format!("{}-{:016x}{SUFFIX}", hex::encode(module), self.engine))
    }

    /// The machine code of a module. What is damaged is removed.
    pub(crate) fn get(&self, module: &[u8; 32]) -> Option<Vec<u8>> {
        let path = self.path(module);
        let mut code = fs::read(&path).ok()?;
        if code.len() >= DIGEST && Sha256::digest(&code[DIGEST..])[..] == code[..DIGEST] {
            // The least recently used go first.
            let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
            code.drain(..DIGEST);
            return Some(code);
        }
        tracing::warn!(path = %path.display(), "a compiled module is damaged on disk: it is compiled again");
        self.remove(module);
        None
    }

    /// Removes the machine code of a module.
    pub(crate) fn remove(&self, module: &[u8; 32]) {
        // Gone already: fine.
        let _ = fs::remove_file(self.path(module));
    }

    /// Keeps the machine code of a module. That it could not is no failure: it is compiled again then.
    pub(crate) fn put(&self, module: &[u8; 32], code: &[u8]) {
        if let Err(error) = self.write(module, code).and_then(|()| self.tidy()) {
            tracing::warn!(directory = %self.directory.display(), %error, "a compiled module could not be kept");
        }
    }

    fn write(&self, module: &[u8; 32], code: &[u8]) -> io::Result<()> {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let temporary = self.directory.join(format!("{}-{number}{TEMPORARY}", std::process::id()));
        let written = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| {
                file.write_all(&Sha256::digest(code))?;
                file.write_all(code)
            })
            .and_then(|()| fs::rename(&temporary, self.path(module)));
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// Removes those that were used longest ago until the others keep the limits.
    fn tidy(&self) -> io::Result<()> {
        let mut files = Vec::new();
        let mut sum = 0;
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let path = entry.path();
            if path.to_str().is_some_and(|path| path.ends_with(SUFFIX))
                && let Ok(metadata) = entry.metadata()
            {
                let size = metadata.len().max(1).next_multiple_of(PAGE);
                sum += size;
                files.push((metadata.modified()?, size, path));
            }
        }
        files.sort();
        let mut count = files.len();
        for (_, size, path) in files {
            if sum <= self.bytes && count <= FILES {
                break;
            }
            fs::remove_file(path)?;
            sum -= size;
            count -= 1;
        }
        Ok(())
    }
}

/// Makes a directory for this user alone, or checks that it is one.
fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a directory"));
    }
    if found.uid() != rustix::process::geteuid().as_raw() || found.permissions().mode() & 0o077 != 0 {
        let message = "it must belong to the node's user and be closed to others (mode 0700)";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::wasm::engine::{Optimize, engine};

    fn artifacts(directory: &Path, bytes: u64) -> Artifacts {
        let engine = engine(Optimize::None).unwrap();
        Artifacts::open(&DiskCache { directory: directory.join("code"), bytes }, &engine).unwrap()
    }

    #[test]
    fn what_is_damaged_is_not_given_and_goes() {
        let home = tempfile::tempdir().unwrap();
        let artifacts = artifacts(home.path(), 1 << 20);
        artifacts.put(&[1; 32], b"machine code");
        assert_eq!(artifacts.get(&[1; 32]).unwrap(), b"machine code");
        assert_eq!(artifacts.get(&[2; 32]), None);
        let path = artifacts.path(&[1; 32]);
        let whole = fs::read(&path).unwrap();
        for position in [0, 31, 32, whole.len() - 1] {
            let mut bytes = whole.clone();
            bytes[position] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert_eq!(artifacts.get(&[1; 32]), None, "{position}");
            assert!(!path.exists());
        }
        fs::write(&path, &whole[..20]).unwrap();
        assert_eq!(artifacts.get(&[1; 32]), None);
    }

    #[test]
    fn the_least_recently_used_go_first() {
        let home = tempfile::tempdir().unwrap();
        let artifacts = artifacts(home.path(), 3 * PAGE);
        let long_ago = SystemTime::UNIX_EPOCH;
        for module in 1..=3 {
            artifacts.put(&[module; 32], &[module; 100]);
            let path = artifacts.path(&[module; 32]);
            let age = std::time::Duration::from_secs(module.into());
            File::open(path).unwrap().set_modified(long_ago + age).unwrap();
        }
        assert!(artifacts.get(&[1; 32]).is_some(), "it is used again");
        artifacts.put(&[4; 32], &[4; 100]);
        let there: Vec<_> = (1..=4).filter(|module| artifacts.get(&[*module; 32]).is_some()).collect();
        assert_eq!(there, [1, 3, 4]);
    }

    #[test]
    fn what_was_left_half_written_is_removed() {
        let home = tempfile::tempdir().unwrap();
        drop(artifacts(home.path(), 1 << 20));
        let left = home.path().join("code/17-0.tmp");
        fs::write(&left, "half").unwrap();
        drop(artifacts(home.path(), 1 << 20));
        assert!(!left.exists());
    }
}
