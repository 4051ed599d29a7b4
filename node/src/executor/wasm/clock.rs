//! The virtual clock: a nanosecond per unit of fuel, plus what the program slept.

use super::preview1::types::{Clockid, Errno, Timestamp};

/// Resolution of every clock, in nanoseconds.
pub(crate) const RESOLUTION: Timestamp = 1;

/// Time as the program sees it. Never asks the host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    /// The wall clock at the start, in nanoseconds since the Unix epoch.
    start: u64,
    /// Slept so far, in nanoseconds.
    slept: u64,
}

impl Clock {
    pub(crate) fn new(epoch_seconds: u64) -> Self {
        Self { start: epoch_seconds.saturating_mul(1_000_000_000), slept: 0 }
    }

    /// The time on a clock, in nanoseconds, after `fuel_used`.
    pub(crate) fn now(&self, clock: Clockid, fuel_used: u64) -> Timestamp {
        let monotonic = fuel_used.saturating_add(self.slept);
        match clock {
            Clockid::Realtime => self.start.saturating_add(monotonic),
            Clockid::Monotonic => monotonic,
            Clockid::ProcessCputimeId | Clockid::ThreadCputimeId => fuel_used,
        }
    }

    /// How long, in nanoseconds, a wait lasts that ends at `timeout` (absolute) or after it.
    pub(crate) fn wait(
        &self,
        clock: Clockid,
        timeout: Timestamp,
        absolute: bool,
        fuel_used: u64,
    ) -> Result<u64, Errno> {
        match clock {
            // Sleeping uses no processor time: such a wait would never end.
            Clockid::ProcessCputimeId | Clockid::ThreadCputimeId => Err(Errno::Notsup),
            _ if absolute => Ok(timeout.saturating_sub(self.now(clock, fuel_used))),
            _ => Ok(timeout),
        }
    }

    /// Lets `nanoseconds` pass without work.
    pub(crate) fn sleep(&mut self, nanoseconds: u64) {
        self.slept = self.slept.saturating_add(nanoseconds);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_passes_with_fuel_and_with_sleep() {
        let mut clock = Clock::new(100);
        assert_eq!(clock.now(Clockid::Realtime, 0), 100_000_000_000);
        clock.sleep(5);
        assert_eq!(clock.now(Clockid::Realtime, 7), 100_000_000_012);
        assert_eq!(clock.now(Clockid::Monotonic, 7), 12);
        assert_eq!(clock.now(Clockid::ProcessCputimeId, 7), 7);
    }

    #[test]
    fn waits_are_relative_or_until() {
        let mut clock = Clock::new(0);
        clock.sleep(50);
        assert_eq!(clock.wait(Clockid::Monotonic, 80, true, 10), Ok(20));
        assert_eq!(clock.wait(Clockid::Monotonic, 10, true, 10), Ok(0));
        assert_eq!(clock.wait(Clockid::Monotonic, 80, false, 10), Ok(80));
        assert_eq!(clock.wait(Clockid::ThreadCputimeId, 80, false, 10), Err(Errno::Notsup));
    }

    #[test]
    fn no_sleep_is_too_long() {
        let mut clock = Clock::new(u64::MAX);
        clock.sleep(u64::MAX);
        clock.sleep(u64::MAX);
        assert_eq!(clock.now(Clockid::Realtime, u64::MAX), u64::MAX);
    }
}
