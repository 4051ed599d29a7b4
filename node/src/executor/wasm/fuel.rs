//! What host calls cost, and the meter they are charged on.
//!
//! These figures are part of the protocol: fuel used is part of a result, so every provider must count alike.

use super::stop::Stop;

/// Names the fuel table: the figures here, and those of the engine, which `tests/fixtures/fuel-v1.tsv` pins. Another table has
/// another name, and jobs say nothing about it yet: nodes of two tables do not agree on what a job used.
pub const VERSION: &str = "lota/fuel/v1";
/// Charged for every host call, before anything else is done.
pub const HOST_CALL: u64 = 1_000;
/// Charged on top by calls that resolve a path, once per path.
pub const PATH: u64 = 10_000;
/// Charged per directory entry that is read for the first time, returned to the program, skipped, or moved.
pub const ENTRY: u64 = 200;
/// Charged per byte that is read, written, filled with zeros or copied into the program's memory.
pub const BYTE: u64 = 1;

/// The fuel that is left while a host call runs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meter {
    limit: u64,
    remaining: u64,
}

impl Meter {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, remaining: limit }
    }

    /// Takes over what the engine says is left.
    pub(crate) fn resume(&mut self, remaining: u64) {
        self.remaining = remaining.min(self.limit);
    }

    pub(crate) fn remaining(&self) -> u64 {
        self.remaining
    }

    pub(crate) fn used(&self) -> u64 {
        self.limit - self.remaining
    }

    /// Takes `cost` away before the work it pays for is done; with too little left, takes all and stops the program.
    pub(crate) fn charge(&mut self, cost: u64) -> Result<(), Stop> {
        match self.remaining.checked_sub(cost) {
            Some(rest) => {
                self.remaining = rest;
                Ok(())
            }
            None => {
                self.remaining = 0;
                Err(Stop::OutOfFuel)
            }
        }
    }

    pub(crate) fn charge_bytes(&mut self, bytes: u64) -> Result<(), Stop> {
        self.charge(bytes.saturating_mul(BYTE))
    }

    pub(crate) fn charge_entries(&mut self, entries: u64) -> Result<(), Stop> {
        self.charge(entries.saturating_mul(ENTRY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_charge_beyond_what_is_left_takes_all_and_stops() {
        let mut meter = Meter::new(10);
        assert!(meter.charge(10).is_ok());
        assert_eq!(meter.used(), 10);
        meter.resume(3);
        assert!(matches!(meter.charge(4), Err(Stop::OutOfFuel)));
        assert_eq!((meter.remaining(), meter.used()), (0, 10));
    }

    #[test]
    fn charges_saturate() {
        let mut meter = Meter::new(u64::MAX);
        assert!(meter.charge_entries(u64::MAX).is_ok());
        assert!(matches!(meter.charge(1), Err(Stop::OutOfFuel)));
    }
}
