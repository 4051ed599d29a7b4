//! How far a job came, and when.

use std::time::{Duration, Instant};

use serde::Serialize;

/// What a job comes through, in this order: these jobs have no review, so that the result is paid for when it is submitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// The module is with the daemon, and the job is open on the market.
    Opened,
    /// A provider took it.
    Locked,
    /// There is a result, with exit code 0.
    Result,
    /// The provider was paid.
    Settled,
    /// The daemon has the output from its provider, and has verified every block of it.
    Verified,
    /// The canary has it from the daemon, has verified every block of it, and it is what it must be.
    Fetched,
}

impl Phase {
    pub(super) const ALL: [Self; 6] =
        [Self::Opened, Self::Locked, Self::Result, Self::Settled, Self::Verified, Self::Fetched];

    /// As in JSON and in metrics.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Locked => "locked",
            Self::Result => "result",
            Self::Settled => "settled",
            Self::Verified => "verified",
            Self::Fetched => "fetched",
        }
    }
}

/// What a run has reached.
#[derive(Clone, Debug)]
pub(super) struct Reached {
    began: Instant,
    /// When each phase was reached, in their order.
    at: Vec<Instant>,
    /// The job's id, once it is open.
    pub(super) job: Option<String>,
}

impl Reached {
    pub(super) fn new() -> Self {
        Self { began: Instant::now(), at: Vec::with_capacity(Phase::ALL.len()), job: None }
    }

    /// A phase is reached, and so are all before it.
    pub(super) fn reach(&mut self, phase: Phase) {
        let now = Instant::now();
        while self.missing().is_some_and(|missing| missing <= phase) {
            self.at.push(now);
        }
    }

    /// The first phase that is not reached; none: all are.
    pub(super) fn missing(&self) -> Option<Phase> {
        Phase::ALL.get(self.at.len()).copied()
    }

    /// The phases that were reached, and how long each took after the one before.
    pub(super) fn durations(&self) -> impl Iterator<Item = (Phase, Duration)> {
        let before = std::iter::once(&self.began).chain(&self.at);
        Phase::ALL.into_iter().zip(self.at.iter().zip(before).map(|(at, before)| at.duration_since(*before)))
    }

    /// How long it has taken so far.
    pub(super) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_that_is_seen_late_is_reached_with_the_next() {
        let mut reached = Reached::new();
        assert_eq!(reached.missing(), Some(Phase::Opened));
        reached.reach(Phase::Opened);
        assert_eq!(reached.missing(), Some(Phase::Locked));
        reached.reach(Phase::Settled);
        assert_eq!(reached.missing(), Some(Phase::Verified));
        reached.reach(Phase::Locked);
        let durations: Vec<_> = reached.durations().collect();
        assert_eq!(durations.len(), 4, "nothing is reached twice");
        assert_eq!(durations[2], (Phase::Result, Duration::ZERO), "it was seen together with the one before");
        reached.reach(Phase::Fetched);
        assert_eq!(reached.missing(), None);
    }
}
