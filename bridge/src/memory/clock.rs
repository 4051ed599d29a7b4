//! Where a market without a chain takes its time from.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use futures::{FutureExt, future::BoxFuture};
use lota_market::Time;
use tokio::sync::watch;

/// A source of time. It may stand still or jump; the chain never goes back.
pub trait Clock: Send + Sync + 'static {
    /// The time now.
    fn now(&self) -> Time;
    /// Ready once the time is later than `time`.
    fn later_than(&self, time: Time) -> BoxFuture<'static, ()>;
}

/// The wall clock; it ticks once a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// The longest single sleep: a wall clock that is set is noticed within this.
const NAP: Duration = Duration::from_secs(1);

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

impl Clock for SystemClock {
    fn now(&self) -> Time {
        Time(since_epoch().as_secs())
    }

    fn later_than(&self, time: Time) -> BoxFuture<'static, ()> {
        async move {
            let goal = Duration::from_secs(time.after(1).0);
            loop {
                let left = goal.saturating_sub(since_epoch());
                if left.is_zero() {
                    return;
                }
                tokio::time::sleep(left.min(NAP)).await;
            }
        }
        .boxed()
    }
}

/// A clock that moves when it is told to: for tests and demonstrations. Clones share the time.
#[derive(Clone, Debug)]
pub struct ManualClock(Arc<watch::Sender<Time>>);

impl ManualClock {
    /// A clock that stands at `time`.
    #[must_use]
    pub fn at(time: Time) -> Self {
        Self(Arc::new(watch::Sender::new(time)))
    }

    /// Moves it ahead to `time`, unless it is later already.
    pub fn move_to(&self, time: Time) {
        self.0.send_modify(|now| *now = time.max(*now));
    }

    /// Moves it ahead.
    pub fn advance(&self, seconds: u64) {
        self.0.send_modify(|time| *time = time.after(seconds));
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Time {
        *self.0.borrow()
    }

    fn later_than(&self, time: Time) -> BoxFuture<'static, ()> {
        let mut changes = self.0.subscribe();
        async move {
            // The sender lives as long as the clock; without a clock there is no later.
            if changes.wait_for(|now| *now > time).await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_moves_when_it_is_told_to() {
        let clock = ManualClock::at(Time(100));
        let mut later = clock.later_than(Time(104));
        clock.advance(4);
        assert!((&mut later).now_or_never().is_none());
        clock.advance(1);
        later.await;
        assert_eq!(clock.now(), Time(105));
    }

    #[tokio::test]
    async fn the_system_clock_reaches_the_next_second() {
        let clock = SystemClock;
        let before = clock.now();
        clock.later_than(before).await;
        assert!(clock.now() > before);
    }
}
