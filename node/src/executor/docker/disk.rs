//! The engine's disk while an image comes: what a small archive unpacks to is known at the end only, and that may be too late.

use std::path::Path;
use std::time::Duration;

use super::DockerExecutor;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(500);
/// What is left to the engine, in bytes.
const RESERVE: u64 = 1 << 30;
/// An image may take so many times its limit while it comes: packed, unpacked, and what others write meanwhile.
const TIMES: u64 = 3;

/// Bytes that are free on a disk, if it tells.
fn free(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Why no more may come, of a disk that had `before` bytes free.
fn too_much(before: u64, now: u64, limit: u64) -> Option<String> {
    let taken = before.saturating_sub(now);
    if taken > limit.saturating_mul(TIMES) {
        return Some(format!("{taken} bytes were written, and it may have {limit} unpacked"));
    }
    (now < RESERVE).then(|| format!("only {now} bytes are left on the disk of this provider's engine"))
}

impl DockerExecutor {
    /// Ends with the reason when so much was written that an image must not go on coming; never, if the engine's disk is not seen from here.
    pub(super) async fn disk_is_filled(&self) -> String {
        let root = self.engine.root.as_deref();
        let Some((root, before)) = root.and_then(|root| Some((root, free(root)?))) else {
            return std::future::pending().await;
        };
        loop {
            if let Some(why) = free(root).and_then(|now| too_much(before, now, self.settings.image_bytes)) {
                return why;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_may_take_so_much_of_the_disk_and_no_more() {
        const GIB: u64 = 1 << 30;
        assert_eq!(too_much(100 * GIB, 80 * GIB, 8 * GIB), None);
        assert!(too_much(100 * GIB, 75 * GIB, 8 * GIB).is_some_and(|why| why.contains("bytes were written")));
        assert!(too_much(2 * GIB, GIB - 1, 8 * GIB).is_some_and(|why| why.contains("are left")));
        assert_eq!(too_much(2 * GIB, 3 * GIB, 8 * GIB), None, "others removed something");
        assert!(free(&std::env::temp_dir()).is_some());
    }
}
