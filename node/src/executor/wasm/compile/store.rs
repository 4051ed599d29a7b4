//! Machine code on disk, so that a restart compiles nothing again.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use hmac::{Hmac, KeyInit as _, Mac as _};
use rustix::fs::{Mode, OFlags};
use sha2::Sha256;
use wasmtime::Engine;

use super::super::engine::DiskCache;

/// How the files are named that hold machine code, and those that are being written.
const SUFFIX: &str = ".code";
const TEMPORARY: &str = ".tmp";
/// What is authenticated begins with this.
const DOMAIN: &[u8] = b"lota/code/v1";
/// Bytes of the authentication code that a file begins with.
const MAC: usize = 32;
/// Bytes of the key: a block of the hash function.
const KEY: usize = 64;
/// Most files; each takes a name and a page of the disk, however small.
const FILES: usize = 10_000;
/// Disks give out space in pages of this many bytes.
const PAGE: u64 = 4_096;

/// A directory of compiled modules. Each file is an authentication code (HMAC-SHA-256) over module, engine and what follows, then
/// the machine code: what this node did not write, for this module and this engine, is never run.
pub(crate) struct Artifacts {
    directory: PathBuf,
    bytes: u64,
    key: [u8; KEY],
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
                remove(&path)?;
            }
        }
        let key = key(&settings.key)?;
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        env!("CARGO_PKG_VERSION").hash(&mut hasher);
        let (directory, bytes) = (settings.directory.clone(), settings.bytes);
        Ok(Self { directory, bytes, key, engine: hasher.finish(), number: AtomicU64::new(0) })
    }

    fn path(&self, module: &[u8; 32]) -> PathBuf {
        self.directory.join(format!("{}-{:016x}{SUFFIX}", hex::encode(module), self.engine))
    }

    fn mac(&self, module: &[u8; 32], code: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new(&self.key.into());
        mac.update(DOMAIN);
        mac.update(module);
        mac.update(&self.engine.to_le_bytes());
        mac.update(code);
        mac
    }

    /// The machine code of a module. What is damaged, or not this node's, is removed.
    pub(crate) fn get(&self, module: &[u8; 32]) -> Option<Vec<u8>> {
        let path = self.path(module);
        let problem = match self.read(&path) {
            Ok(mut file) => match file.split_first_chunk::<MAC>() {
                Some((mac, code)) if self.mac(module, code).verify_slice(mac).is_ok() => {
                    // The least recently used go first.
                    let _ = File::open(&path).and_then(|file| file.set_modified(SystemTime::now()));
                    file.drain(..MAC);
                    return Some(file);
                }
                _ => io::Error::new(io::ErrorKind::InvalidData, "it is not what this node wrote"),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => error,
        };
        tracing::warn!(path = %path.display(), %problem, "a compiled module is damaged on disk: it is compiled again");
        self.remove(module);
        None
    }

    /// Reads a regular file, if it is not larger than all of them may be together.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > self.bytes.saturating_add(MAC as u64) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no regular file of a likely size"));
        }
        let mut bytes = Vec::new();
        file.take(metadata.len()).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Removes the machine code of a module, and whatever else is in its place.
    pub(crate) fn remove(&self, module: &[u8; 32]) {
        let path = self.path(module);
        if let Err(error) = remove(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "a damaged compiled module could not be removed");
        }
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
                file.write_all(&self.mac(module, code).finalize().into_bytes())?;
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
            remove(&path)?;
            sum -= size;
            count -= 1;
        }
        Ok(())
    }
}

/// Removes a file, or a directory with all that is in it.
fn remove(path: &Path) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
}

/// Reads the key, or makes another one where there is none that only this user can have read or written.
fn key(path: &Path) -> io::Result<[u8; KEY]> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let read = rustix::fs::open(path, flags, Mode::empty()).map_err(io::Error::from).and_then(|file| {
        let mut file = File::from(file);
        let found = file.metadata()?;
        let mut key = [0; KEY];
        if !found.is_file() || found.len() != KEY as u64 || !is_private(&found) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a key that this node made"));
        }
        file.read_exact(&mut key)?;
        Ok(key)
    });
    match read {
        Ok(key) => return Ok(key),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(problem) => {
            tracing::warn!(path = %path.display(), %problem, "the key of the compiled modules is made anew");
            remove(path)?;
        }
    }
    let key = rand::random::<[u8; KEY]>();
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(&key)?;
    Ok(key)
}

/// Whether something belongs to this user, and nobody else may do anything with it.
fn is_private(found: &fs::Metadata) -> bool {
    found.uid() == rustix::process::geteuid().as_raw() && found.permissions().mode() & 0o077 == 0
}

/// Makes a directory for this user alone, or checks that it is one.
fn private_directory(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a directory"));
    }
    if !is_private(&found) {
        let message = "it must belong to the node's user and be closed to others (mode 0700)";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, message));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::executor::wasm::engine::{Code, Memories, engine};

    const MODULE: [u8; 32] = [1; 32];

    fn artifacts(home: &Path, bytes: u64) -> Artifacts {
        let engine = engine(Code::default(), Memories::OnDemand).unwrap();
        Artifacts::open(&DiskCache { directory: home.join("code"), key: home.join("key"), bytes }, &engine).unwrap()
    }

    #[test]
    fn what_is_damaged_is_not_given_and_goes() {
        let home = tempfile::tempdir().unwrap();
        let artifacts = artifacts(home.path(), 1 << 20);
        artifacts.put(&MODULE, b"machine code");
        assert_eq!(artifacts.get(&MODULE).unwrap(), b"machine code");
        assert_eq!(artifacts.get(&[2; 32]), None);
        let path = artifacts.path(&MODULE);
        let whole = fs::read(&path).unwrap();
        for position in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[position] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert_eq!(artifacts.get(&MODULE), None, "{position}");
            assert!(!path.exists());
            fs::write(&path, &whole[..position]).unwrap();
            assert_eq!(artifacts.get(&MODULE), None, "the first {position} bytes");
            assert!(!path.exists());
        }
        fs::write(&path, [&whole[..], b"more"].concat()).unwrap();
        assert_eq!(artifacts.get(&MODULE), None);
        fs::write(&path, &whole).unwrap();
        assert!(artifacts.get(&MODULE).is_some());
    }

    #[test]
    fn what_is_in_the_place_of_a_file_is_not_given_and_goes() {
        let home = tempfile::tempdir().unwrap();
        let artifacts = artifacts(home.path(), 1 << 20);
        let path = artifacts.path(&MODULE);
        artifacts.put(&MODULE, b"machine code");
        let elsewhere = home.path().join("elsewhere");
        fs::rename(&path, &elsewhere).unwrap();
        let make: [(&str, &dyn Fn()); 4] = [
            ("a directory", &|| fs::create_dir_all(path.join("with/others")).unwrap()),
            ("a link", &|| std::os::unix::fs::symlink(&elsewhere, &path).unwrap()),
            ("a pipe, which nobody writes to", &|| {
                rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
            }),
            ("a file of a terabyte", &|| File::create(&path).unwrap().set_len(1 << 40).unwrap()),
        ];
        for (what, make) in make {
            make();
            assert_eq!(artifacts.get(&MODULE), None, "{what}");
            assert!(fs::symlink_metadata(&path).is_err(), "{what}");
            artifacts.put(&MODULE, b"machine code");
            assert_eq!(artifacts.get(&MODULE).unwrap(), b"machine code", "{what}");
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn what_was_written_for_something_else_is_not_given() {
        let home = tempfile::tempdir().unwrap();
        let artifacts = artifacts(home.path(), 1 << 20);
        let (path, written) = (artifacts.path(&MODULE), artifacts.path(&[2; 32]));
        artifacts.put(&[2; 32], b"machine code");
        fs::copy(&written, &path).unwrap();
        assert_eq!(artifacts.get(&MODULE), None, "another module's");
        let other = Artifacts { engine: artifacts.engine + 1, ..self::artifacts(home.path(), 1 << 20) };
        other.put(&MODULE, b"machine code");
        fs::copy(other.path(&MODULE), &path).unwrap();
        assert_eq!(artifacts.get(&MODULE), None, "another version's");
        let stranger = tempfile::tempdir().unwrap();
        let other = self::artifacts(stranger.path(), 1 << 20);
        other.put(&MODULE, b"machine code");
        fs::copy(other.path(&MODULE), &path).unwrap();
        assert_eq!(artifacts.get(&MODULE), None, "another node's");
    }

    #[test]
    fn a_key_that_others_may_know_is_replaced_and_nothing_counts_any_more() {
        let home = tempfile::tempdir().unwrap();
        let key = home.path().join("key");
        let spoil: [(&str, &dyn Fn()); 5] = [
            ("gone", &|| fs::remove_file(&key).unwrap()),
            ("readable", &|| fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap()),
            ("short", &|| fs::write(&key, b"short").unwrap()),
            ("a link", &|| {
                let elsewhere = home.path().join("elsewhere");
                fs::rename(&key, &elsewhere).unwrap();
                std::os::unix::fs::symlink(&elsewhere, &key).unwrap();
            }),
            ("a directory", &|| {
                fs::remove_file(&key).unwrap();
                fs::create_dir(&key).unwrap();
            }),
        ];
        for (what, spoil) in spoil {
            artifacts(home.path(), 1 << 20).put(&MODULE, b"machine code");
            assert!(artifacts(home.path(), 1 << 20).get(&MODULE).is_some(), "{what}");
            spoil();
            let artifacts = artifacts(home.path(), 1 << 20);
            assert_eq!(artifacts.get(&MODULE), None, "{what}");
            let metadata = fs::symlink_metadata(&key).unwrap();
            assert!(metadata.is_file() && is_private(&metadata), "{what}");
        }
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
        let (left, worse) = (home.path().join("code/17-0.tmp"), home.path().join("code/17-1.tmp"));
        fs::write(&left, "half").unwrap();
        fs::create_dir(&worse).unwrap();
        drop(artifacts(home.path(), 1 << 20));
        assert!(!left.exists() && !worse.exists());
    }
}
