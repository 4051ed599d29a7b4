//! The virtual clock, and what is to happen when.

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

/// How many children a place of the heap has: those of one place lie side by side in memory, and with a million events pending that
/// memory is what an event waits for.
const CHILDREN: usize = 4;

/// What is to happen, in the order of time; what is to happen at the same time, in the order in which it was scheduled. Whatever
/// is scheduled for the past happens now.
#[derive(Clone, Debug)]
pub struct EventQueue<E> {
    /// A heap: none comes before the one at a [`CHILDREN`]th of its place.
    pending: Vec<Pending<E>>,
    now: VirtualTime,
    scheduled: u64,
}

#[derive(Clone, Copy, Debug)]
struct Pending<E> {
    time: VirtualTime,
    number: u64,
    event: E,
}

impl<E> Pending<E> {
    /// One number for both, so that no branch is to be guessed.
    const fn key(&self) -> u128 {
        (self.time.0 as u128) << 64 | self.number as u128
    }

    const fn comes_before(&self, other: &Self) -> bool {
        self.key() < other.key()
    }
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self { pending: Vec::new(), now: VirtualTime::default(), scheduled: 0 }
    }
}

impl<E: Copy> EventQueue<E> {
    /// An empty queue at the beginning of time, with room for so many events.
    #[must_use]
    pub fn with_capacity(events: usize) -> Self {
        Self { pending: Vec::with_capacity(events), ..Self::default() }
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
        let new = Pending { time: time.max(self.now), number: self.scheduled, event };
        self.scheduled += 1;
        self.pending.push(new);
        self.rise(self.pending.len() - 1);
    }

    /// Lets an event rise to its place.
    fn rise(&mut self, mut place: usize) {
        let event = self.pending[place];
        while place > 0 {
            let parent = (place - 1) / CHILDREN;
            if !event.comes_before(&self.pending[parent]) {
                break;
            }
            self.pending[place] = self.pending[parent];
            place = parent;
        }
        self.pending[place] = event;
    }

    /// Takes the next event; the clock goes on to its time.
    pub fn pop(&mut self) -> Option<(VirtualTime, E)> {
        let last = self.pending.pop()?;
        let next = match self.pending.first() {
            None => last,
            Some(first) => {
                let next = *first;
                self.sink(last);
                next
            }
        };
        self.now = next.time;
        Some((next.time, next.event))
    }

    /// Puts an event where the first one was. The gap sinks to the bottom, and the event rises from there: it was the last, so that
    /// it hardly rises, and nothing is compared with it on the way down.
    fn sink(&mut self, event: Pending<E>) {
        let pending = &mut self.pending;
        let mut place = 0;
        loop {
            let first = CHILDREN * place + 1;
            let least = match pending.get(first..first + CHILDREN) {
                Some([a, b, c, d]) => {
                    let (left, right) = (usize::from(b.comes_before(a)), 2 + usize::from(d.comes_before(c)));
                    first + if pending[first + right].comes_before(&pending[first + left]) { right } else { left }
                }
                _ => {
                    let children = first..pending.len();
                    let least = children.reduce(|a, b| if pending[b].comes_before(&pending[a]) { b } else { a });
                    let Some(least) = least else { break };
                    least
                }
            };
            pending[place] = pending[least];
            place = least;
        }
        pending[place] = event;
        self.rise(place);
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
        assert_eq!(queue.pop(), Some((VirtualTime(5), "first")));
        queue.schedule(VirtualTime(6), "later");
        queue.schedule(VirtualTime(2), "late");
        assert_eq!(queue.pop(), Some((VirtualTime(5), "late")));
        assert_eq!((queue.pop(), queue.pop()), (Some((VirtualTime(6), "later")), None));
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
            while let Some(event) = queue.pop() {
                taken.push(event);
            }
            prop_assert_eq!(taken, expected);
        }
    }
}
