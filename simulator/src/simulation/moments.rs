//! When the market's state is told, and what is told then.

use lota_market::AttoFil;

use crate::{queue::VirtualTime, scenario::Amount, state::State, summary::Summary};

/// The moments at which the state is told: 0, and each multiple of an interval.
#[derive(Debug)]
pub(super) struct States {
    every: Option<VirtualTime>,
    next: VirtualTime,
    /// What was settled and paid at the last moment.
    settled: u64,
    paid: AttoFil,
}

impl States {
    /// `None`, or no time: never.
    pub(super) fn new(every: Option<VirtualTime>) -> Self {
        let every = every.filter(|every| every.0 > 0);
        Self { every, next: VirtualTime::default(), settled: 0, paid: AttoFil::ZERO }
    }

    pub(super) fn every(&self) -> VirtualTime {
        self.every.unwrap_or_default()
    }

    /// The next moment, when it is before `time`.
    pub(super) fn next_before(&mut self, time: VirtualTime) -> Option<VirtualTime> {
        let (every, next) = (self.every?, self.next);
        if next >= time {
            return None;
        }
        self.next = next.after(every);
        Some(next)
    }

    pub(super) fn state(
        &mut self,
        time: VirtualTime,
        summary: &Summary,
        under_way: u64,
        welfare: f64,
        burned: AttoFil,
    ) -> State {
        let (settled, paid) = (summary.settled - self.settled, summary.paid.0.saturating_sub(self.paid.0));
        (self.settled, self.paid) = (summary.settled, summary.paid);
        let price = (settled > 0).then(|| Amount::to_fil(AttoFil(paid)) / settled as f64);
        State { time, under_way, price, so_far: Summary { welfare, burned, ..summary.clone() } }
    }
}
