//! The virtual clock, and what is to happen when.

use std::{cmp::Ordering, collections::BinaryHeap};

/// A point in virtual time: milliseconds since the simulation began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtualTime(pub u64);

impl VirtualTime {
    /// So many seconds after the beginning; what is finer than a millisecond is rounded up, so that nothing comes too early.
    #[must_use]
    pub fn from_secs(seconds: f64) -> Self {
        // The cast saturates, and what is not a number becomes 0.
        Self((seconds * 1_000.0).ceil() as u64)
    }

    /// This time and `other` more.
    #[must_use]
    pub const fn after(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    /// In seconds.
    #[must_use]
    pub fn secs(self) -> f64 {
        self.0 as f64 / 1_000.0
    }
}

/// What is to happen, in the order of time; what is to happen at the same time, in the order in which it was scheduled. Whatever
/// is scheduled for the past happens now.
#[derive(Clone, Debug)]
pub struct EventQueue<E> {
    pending: BinaryHeap<Pending<E>>,
    now: VirtualTime,
    scheduled: u64,
}

#[derive(Clone, Debug)]
struct Pending<E> {
    time: VirtualTime,
    number: u64,
    event: E,
}

impl<E> PartialEq for Pending<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl<E> Eq for Pending<E> {}

impl<E> PartialOrd for Pending<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The heap gives its greatest first: that is the earliest.
impl<E> Ord for Pending<E> {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |of: &Self| u128::from(of.time.0) << 64 | u128::from(of.number);
        key(other).cmp(&key(self))
    }
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self { pending: BinaryHeap::new(), now: VirtualTime::default(), scheduled: 0 }
    }
}

impl<E> EventQueue<E> {
    /// An empty queue at the beginning of time, with room for so many events.
    #[must_use]
    pub fn with_capacity(events: usize) -> Self {
        Self { pending: BinaryHeap::with_capacity(events), ..Self::default() }
    }

    /// The time of the event that was taken last.
    #[must_use]
    pub const fn now(&self) -> VirtualTime {
        self.now
    }

    /// How many events were scheduled so far.
    #[must_use]
    pub const fn scheduled(&self) -> u64 {
        self.scheduled
    }

    /// How many events are pending.
    #[must_use]
    pub fn len(&self) -> usize {
        self.pending.len()
    }

    /// Whether nothing is to happen any more.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Schedules an event.
    pub fn schedule(&mut self, time: VirtualTime, event: E) {
        self.pending.push(Pending { time: time.max(self.now), number: self.scheduled, event });
        self.scheduled += 1;
    }

    /// The next event; the clock goes on to its time.
    pub fn next(&mut self) -> Option<(VirtualTime, E)> {
        let Pending { time, event, .. } = self.pending.pop()?;
        self.now = time;
        Some((time, event))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_scheduled_for_the_past_happens_now() {
        let mut queue = EventQueue::default();
        queue.schedule(VirtualTime(5), "first");
        assert_eq!(queue.next(), Some((VirtualTime(5), "first")));
        queue.schedule(VirtualTime(6), "later");
        queue.schedule(VirtualTime(2), "late");
        assert_eq!(queue.next(), Some((VirtualTime(5), "late")));
        assert_eq!((queue.next(), queue.next()), (Some((VirtualTime(6), "later")), None));
    }

    #[test]
    fn seconds_that_no_clock_counts_are_the_last_or_the_first() {
        assert_eq!(VirtualTime::from_secs(0.0001), VirtualTime(1));
        assert_eq!(VirtualTime::from_secs(f64::INFINITY), VirtualTime(u64::MAX));
        assert_eq!(VirtualTime::from_secs(f64::NAN), VirtualTime(0));
        assert_eq!(VirtualTime::from_secs(-3.0), VirtualTime(0));
    }

    proptest! {
        /// The order is that of a stable sort by time.
        #[test]
        fn events_come_by_time_and_then_in_the_order_of_their_scheduling(times in prop::collection::vec(0u64..20, 0..200)) {
            let mut queue = EventQueue::default();
            for (number, time) in times.iter().enumerate() {
                queue.schedule(VirtualTime(*time), number);
            }
            let mut expected: Vec<_> = times.iter().enumerate().map(|(number, time)| (VirtualTime(*time), number)).collect();
            expected.sort_by_key(|(time, _)| *time);
            let mut taken = Vec::new();
            while let Some(event) = queue.next() {
                taken.push(event);
            }
            prop_assert_eq!(taken, expected);
        }
    }
}
