//! How fast the disk of a node's folder is, and what is free there.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, Write as _},
    path::Path,
    time::Instant,
};

use rustix::fs::{Advice, fadvise, statvfs};

use super::{BenchmarkError, Effort, rate};

/// Bytes that are written at a time.
const PIECE: usize = 1 << 20;
/// At most this part of what is free is written.
const PART_OF_FREE: u64 = 10;

/// Bytes a second, and bytes free.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disk {
    pub(super) write: u64,
    pub(super) read: u64,
    pub(super) free: u64,
}

/// Writes a file, waits until it is safe, and reads it back. However it ends, no file stays: it has no name while it is used.
pub(super) fn measure(dir: &Path, effort: Effort) -> Result<Disk, BenchmarkError> {
    let failed = |source| BenchmarkError::Disk { path: dir.to_owned(), source };
    let disk = statvfs(dir).map_err(|error| failed(error.into()))?;
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let wanted: u64 = match effort {
        Effort::Thorough => 256 << 20,
        Effort::Quick => 4 << 20,
    };
    let pieces = wanted.min(free / PART_OF_FREE) / PIECE as u64;
    if pieces == 0 {
        return Err(BenchmarkError::DiskFull { path: dir.to_owned(), free });
    }
    let (write, read) = write_and_read(dir, pieces).map_err(failed)?;
    let bytes = pieces * PIECE as u64;
    Ok(Disk { write: rate(bytes, write), read: rate(bytes, read), free })
}

fn write_and_read(dir: &Path, pieces: u64) -> io::Result<(std::time::Duration, std::time::Duration)> {
    let mut file = nameless(dir)?;
    let mut piece = noise();
    let begun = Instant::now();
    for _ in 0..pieces {
        file.write_all(&piece)?;
    }
    file.sync_all()?;
    let write = begun.elapsed();
    // What is still in memory would be read from there. Where that cannot be helped, the figure is that of memory.
    let _ = fadvise(&file, 0, None, Advice::DontNeed);
    file.rewind()?;
    let begun = Instant::now();
    for _ in 0..pieces {
        file.read_exact(&mut piece)?;
    }
    Ok((write, begun.elapsed()))
}

/// A file that goes when it is closed.
fn nameless(dir: &Path) -> io::Result<File> {
    let path = dir.join(format!("benchmark.{}", std::process::id()));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
    fs::remove_file(&path)?;
    Ok(file)
}

/// Bytes that no disk makes smaller.
fn noise() -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        // xorshift64 (Marsaglia, 2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    std::iter::repeat_with(next).take(PIECE / 8).flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_has_rates_and_nothing_stays_on_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = measure(folder.path(), Effort::Quick).expect("it can be written");
        assert!(disk.write > 0 && disk.read > 0 && disk.free > 0, "{disk:?}");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 0);
        let error = measure(&folder.path().join("none"), Effort::Quick).expect_err("no folder").to_string();
        assert!(error.contains("none"), "{error}");
    }
}
