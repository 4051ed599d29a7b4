//! Temporary folders that do not stay behind, however the process ends.
//!
//! A folder goes when its work is done, also when a signal ends the command (`process`). A process that is killed cannot
//! tidy up; but the system releases its locks, so the next command sees that the folder is nobody's, and removes it.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Mutex, Once, PoisonError},
    time::Duration,
};

use anyhow::Context as _;

/// The file in a folder that its process holds locked.
const OWNER: &str = "owner.lock";
/// A folder without [`OWNER`] (its process was killed in its first moments, or the file system has no locks) is nobody's
/// after so long.
const UNOWNED: Duration = Duration::from_secs(24 * 3600);
/// How many entries of the system's temporary folder are looked at.
const MAX_ENTRIES: usize = 100_000;
/// How often a folder is removed in which somebody still writes.
const ATTEMPTS: u32 = 20;
/// The time between.
const PAUSE: Duration = Duration::from_millis(10);

/// All folders that this process has made.
static MADE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// What a folder is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Blocks on their way to the daemon.
    Add,
    /// Blocks on their way from it.
    Get,
    /// All of `lota demo`.
    Demo,
    /// The output of a canary's job.
    Canary,
    /// A market's history, for a review.
    Review,
}

impl Purpose {
    const ALL: [Self; 5] = [Self::Add, Self::Get, Self::Demo, Self::Canary, Self::Review];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Add => "lota-add-",
            Self::Get => "lota-get-",
            Self::Demo => "lota-demo-",
            Self::Canary => "lota-canary-",
            Self::Review => "lota-review-",
        }
    }
}

/// A temporary folder for this process and its user alone. It goes with the value.
#[derive(Debug)]
pub(crate) struct Scratch {
    folder: tempfile::TempDir,
    /// Locked; none: the file system has no locks.
    _owner: Option<File>,
}

impl Scratch {
    /// A new one, in the system's place for such. Leftovers of killed processes are removed on the occasion.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn new(purpose: Purpose) -> anyhow::Result<Self> {
        static SWEPT: Once = Once::new();
        let parent = std::env::temp_dir();
        let scratch = Self::new_in(&parent, purpose)?;
        SWEPT.call_once(|| sweep(&parent, scratch.path()));
        Ok(scratch)
    }

    fn new_in(parent: &Path, purpose: Purpose) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(purpose.prefix())
            .permissions(Permissions::from_mode(0o700))
            .tempdir_in(parent)
            .with_context(|| format!("cannot make a temporary folder in {}", parent.display()))?;
        MADE.lock().unwrap_or_else(PoisonError::into_inner).push(folder.path().to_owned());
        let owner = own(folder.path()).ok();
        Ok(Self { folder, _owner: owner })
    }

    /// The folder.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A place in it.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

/// Locks a folder. The file gets its name when it is locked, so that nobody sees it otherwise.
fn own(folder: &Path) -> io::Result<File> {
    let unfinished = folder.join("owner.new");
    let file = File::create(&unfinished)?;
    file.try_lock()?;
    fs::rename(unfinished, folder.join(OWNER))?;
    Ok(file)
}

/// Removes what killed processes of the same user left in this folder; `mine` is this process' own.
fn sweep(parent: &Path, mine: &Path) {
    let (Ok(entries), Ok(owner)) = (fs::read_dir(parent), fs::metadata(mine)) else { return };
    for entry in entries.take(MAX_ENTRIES).flatten() {
        let name = entry.file_name();
        let ours = Purpose::ALL.iter().any(|purpose| name.as_encoded_bytes().starts_with(purpose.prefix().as_bytes()));
        let path = entry.path();
        // Not through a link, and not what another user made.
        let is_folder = |metadata: &fs::Metadata| metadata.is_dir() && metadata.uid() == owner.uid();
        if !ours || path == mine || !path.symlink_metadata().is_ok_and(|metadata| is_folder(&metadata)) {
            continue;
        }
        // While it is removed the lock is held: of two who sweep, one does.
        if let Some(_lock) = unowned(&path) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// Whether a folder is nobody's; then it is locked, if it can be.
fn unowned(folder: &Path) -> Option<Option<File>> {
    match File::open(folder.join(OWNER)) {
        Ok(file) => file.try_lock().is_ok().then_some(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let age = fs::metadata(folder).and_then(|metadata| metadata.modified()).ok()?.elapsed().ok()?;
            (age > UNOWNED).then_some(None)
        }
        Err(_) => None,
    }
}

/// Removes all folders of this process that are still there. For its end: somebody may have been writing in them when they
/// were given up, and have made them anew.
pub(crate) fn remove_all() {
    for folder in std::mem::take(&mut *MADE.lock().unwrap_or_else(PoisonError::into_inner)) {
        for _ in 0..ATTEMPTS {
            match fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => std::thread::sleep(PAUSE),
                _ => break,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_private_and_goes_with_its_value() {
        let parent = tempfile::tempdir().expect("a folder");
        let scratch = Scratch::new_in(parent.path(), Purpose::Get).expect("made");
        let folder = scratch.join("");
        fs::write(scratch.join("a"), "x").expect("written");
        assert_eq!(fs::metadata(&folder).expect("there").permissions().mode() & 0o777, 0o700);
        drop(scratch);
        assert!(!folder.exists());
    }

    #[test]
    fn leftovers_are_swept_and_nothing_else() {
        let parent = tempfile::tempdir().expect("a folder");
        let mine = Scratch::new_in(parent.path(), Purpose::Get).expect("made");
        let used = Scratch::new_in(parent.path(), Purpose::Add).expect("made");
        let place = |name: &str| parent.path().join(name);
        for name in ["lota-add-dead", "lota-demo-dead", "lota-get-new", "lota-get-old", "other"] {
            fs::create_dir_all(place(name).join("store")).expect("made");
        }
        for name in ["lota-add-dead", "lota-demo-dead", "other"] {
            fs::write(place(name).join(OWNER), "").expect("written");
        }
        let old = std::time::SystemTime::now() - 2 * UNOWNED;
        File::open(place("lota-get-old")).and_then(|folder| folder.set_modified(old)).expect("set");
        std::os::unix::fs::symlink(place("other"), place("lota-get-link")).expect("linked");
        fs::write(place("lota-get-file"), "").expect("written");

        sweep(parent.path(), mine.path());
        for name in ["lota-add-dead", "lota-demo-dead", "lota-get-old"] {
            assert!(!place(name).exists(), "{name} is a leftover");
        }
        for path in [place("lota-get-new"), place("other/store"), place("lota-get-link"), place("lota-get-file")] {
            assert!(path.exists(), "{} is none", path.display());
        }
        assert!(mine.join(OWNER).exists() && used.join(OWNER).exists());
    }
}
