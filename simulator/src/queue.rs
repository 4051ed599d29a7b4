//! The virtual clock, and what is to happen when.

use std::{collections::VecDeque, iter, mem};

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

/// Bits of a time's digit.
const DIGIT_BITS: u32 = 6;
/// The slots of a level: one for each digit, so that 64 bits tell which are occupied.
const SLOTS: usize = 1 << DIGIT_BITS;
/// Digits of a time.
const LEVELS: usize = u64::BITS.div_ceil(DIGIT_BITS) as usize;
/// The room for events that a slot keeps when it is empty; what is above is given back.
const KEPT: usize = 64;

/// What is to happen, in the order of time; what is to happen at the same time, in the order in which it was scheduled. Whatever
/// is scheduled for the past happens now.
///
/// A hierarchical timing wheel (Varghese and Lauck, 1987), without ticks. An event waits at the level of the highest digit in which its
/// time differs from the present one, in the slot of that digit: so everything at a level comes before everything above it, and what
/// is due at the same time waits in the same slot. When all below a slot is done, time goes on to the earliest in it, and what it holds is
/// spread over the levels below. Memory is walked through in its order there, where each step of a heap of a million events
/// waits for memory from somewhere else.
#[derive(Clone, Debug)]
pub struct EventQueue<E> {
    /// Level by level.
    slots: Vec<VecDeque<(VirtualTime, E)>>,
    /// Of each level: the bits of the slots that are not empty.
    occupied: [u64; LEVELS],
    now: VirtualTime,
    scheduled: u64,
    pending: usize,
}

impl<E> Default for EventQueue<E> {
    fn default() -> Self {
        Self {
            slots: iter::repeat_with(VecDeque::new).take(LEVELS * SLOTS).collect(),
            occupied: [0; LEVELS],
            now: VirtualTime::default(),
            scheduled: 0,
            pending: 0,
        }
    }
}

impl<E> EventQueue<E> {
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
    pub const fn len(&self) -> usize {
        self.pending
    }

    /// Whether nothing is to happen any more.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.pending == 0
    }

    /// Schedules an event.
    pub fn schedule(&mut self, time: VirtualTime, event: E) {
        self.scheduled += 1;
        self.pending += 1;
        self.put(time.max(self.now), event);
    }

    /// Lets an event wait that does not lie in the past.
    fn put(&mut self, time: VirtualTime, event: E) {
        let differing = time.0 ^ self.now.0;
        let level = (u64::BITS - 1 - (differing | 1).leading_zeros()) / DIGIT_BITS;
        let digit = (time.0 >> (level * DIGIT_BITS)) as usize % SLOTS;
        let level = level as usize;
        self.occupied[level] |= 1 << digit;
        self.slots[level * SLOTS + digit].push_back((time, event));
    }

    /// Takes the next event; the clock goes on to its time.
    pub fn pop(&mut self) -> Option<(VirtualTime, E)> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        if level > 0 {
            self.spread(level);
        }
        // At level 0 all that a slot holds is due at the same time.
        let digit = self.occupied[0].trailing_zeros() as usize % SLOTS;
        let slot = &mut self.slots[digit];
        let next = slot.pop_front()?;
        if slot.is_empty() {
            self.occupied[0] &= !(1 << digit);
            if slot.capacity() > KEPT {
                *slot = VecDeque::new();
            }
        }
        self.now = next.0;
        self.pending -= 1;
        Some(next)
    }

    /// Spreads the first slot of the lowest level at which something waits over those below; at least one event comes to level 0. What
    /// is due at the same time keeps its order: the slots below are empty.
    fn spread(&mut self, level: usize) {
        let digit = self.occupied[level].trailing_zeros() as usize % SLOTS;
        self.occupied[level] &= !(1 << digit);
        let mut events = mem::take(&mut self.slots[level * SLOTS + digit]);
        if let Some(first) = events.iter().map(|(time, _)| *time).min() {
            self.now = first;
        }
        for (time, event) in events.drain(..) {
            self.put(time, event);
        }
        if events.capacity() <= KEPT {
            self.slots[level * SLOTS + digit] = events;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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

        /// The same while events are taken and others scheduled, from the next millisecond to the end of time.
        #[test]
        fn events_that_are_scheduled_on_the_way_come_in_their_turn(
            steps in prop::collection::vec((0u32..=64, any::<u64>(), 1usize..4, 0usize..4), 1..200),
        ) {
            let mut queue = EventQueue::default();
            let mut expected = BTreeSet::new();
            let take = |queue: &mut EventQueue<u64>, expected: &mut BTreeSet<(VirtualTime, u64)>| {
                let next = expected.pop_first();
                prop_assert_eq!(queue.pop(), next);
                prop_assert_eq!(queue.now(), next.map_or(queue.now(), |(time, _)| time));
                Ok(())
            };
            for (bits, random, alike, taken) in steps {
                let delay = VirtualTime(random.checked_shr(bits).unwrap_or_default());
                for _ in 0..alike {
                    let (time, number) = (queue.now().after(delay), queue.scheduled());
                    queue.schedule(time, number);
                    expected.insert((time, number));
                }
                prop_assert_eq!(queue.len(), expected.len());
                for _ in 0..taken {
                    take(&mut queue, &mut expected)?;
                }
            }
            while !queue.is_empty() {
                take(&mut queue, &mut expected)?;
            }
            prop_assert!(expected.is_empty());
        }
    }
}
