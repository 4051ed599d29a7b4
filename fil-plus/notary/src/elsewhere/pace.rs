//! Places that strangers hold no longer than they are of use: who gives slowly gives way to those who wait.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use tokio::time::Instant;

/// How slow somebody may be while others wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Bytes in a second, on the average since the beginning.
    pub least: u64,
    /// So long nobody gives way.
    pub grace: Duration,
}

impl Default for Pace {
    /// 256 KiB in a second, after a minute.
    fn default() -> Self {
        Self { least: 256 << 10, grace: Duration::from_secs(60) }
    }
}

/// It gave way to others.
#[derive(Debug)]
pub(super) struct TooSlow {
    pub(super) words: String,
}

/// One of those who wait, as long as it lives.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    /// Waits for something, as one of those who wait.
    pub(super) async fn of<T>(waiting: &'a AtomicUsize, something: impl Future<Output = T>) -> T {
        waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Self(waiting);
        something.await
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Pace {
    /// Whether so many bytes in this time are too few.
    fn is_missed(&self, bytes: u64, elapsed: Duration) -> bool {
        elapsed >= self.grace && bytes / elapsed.as_secs().max(1) < self.least
    }
}

/// Does something that brings bytes, of which `here` tells how many there are, until it is too slow for those who wait.
pub(super) async fn at_pace<T>(
    doing: impl Future<Output = T>,
    pace: &Pace,
    waiting: &AtomicUsize,
    here: impl Fn() -> u64,
) -> Result<T, TooSlow> {
    let (begun, before) = (Instant::now(), here());
    let watching = async {
        loop {
            tokio::time::sleep(pace.grace.max(Duration::from_millis(10))).await;
            let (elapsed, bytes) = (begun.elapsed(), here().saturating_sub(before));
            if waiting.load(Ordering::Relaxed) > 0 && pace.is_missed(bytes, elapsed) {
                let (seconds, least) = (elapsed.as_secs(), pace.least);
                return format!(
                    "it gave way to others: {bytes} bytes came in {seconds} s, and while others wait {least} in a second are expected"
                );
            }
        }
    };
    tokio::select! {
        biased;
        done = doing => Ok(done),
        words = watching => Err(TooSlow { words }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_slow_is_told_from_who_has_just_begun() {
        let pace = Pace { least: 1_000, grace: Duration::from_secs(60) };
        for (bytes, seconds, is_missed) in
            [(0, 59, false), (59_000, 60, true), (60_000, 60, false), (60_000, 61, true), (0, u64::MAX, true)]
        {
            assert_eq!(pace.is_missed(bytes, Duration::from_secs(seconds)), is_missed, "{bytes} in {seconds} s");
        }
        assert!(Pace { grace: Duration::ZERO, ..pace }.is_missed(999, Duration::ZERO), "no division by nothing");
    }

    #[tokio::test]
    async fn who_gives_nothing_gives_way_to_who_waits() {
        let (pace, waiting) = (Pace { least: 1, grace: Duration::ZERO }, AtomicUsize::new(1));
        let never = std::future::pending::<()>();
        let words = at_pace(never, &pace, &waiting, || 7).await.expect_err("nothing comes").words;
        assert!(words.contains("0 bytes came in 0 s"), "{words}");
        assert_eq!(at_pace(async { 5 }, &pace, &waiting, || 7).await.expect("it is done"), 5);
    }

    #[tokio::test]
    async fn who_waits_no_longer_is_not_counted() {
        let waiting = AtomicUsize::default();
        assert_eq!(Waiting::of(&waiting, async { waiting.load(Ordering::Relaxed) }).await, 1);
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
    }
}
