//! What one processor does without an engine in between.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use super::{Effort, fuel::FUEL_OF_A_STEP, rate};

/// 32-bit words of the memory that the program walks through: 16 MiB.
const WORDS: usize = 4 << 20;
/// Bytes that are copied at a time: more than any cache holds of both copies.
const COPIED: usize = 64 << 20;

/// The program of [`super::fuel`] as native code, in units of the fuel that it would burn.
pub(super) fn fuel_per_second(effort: Effort) -> u64 {
    let (times, steps) = match effort {
        Effort::Thorough => (5, 20_000_000),
        Effort::Quick => (1, 500_000),
    };
    let mut memory = black_box(vec![0_u32; WORDS]);
    best_of(times, || {
        let mut place = black_box(0_u32);
        for _ in 0..steps {
            let read = memory[word(place)];
            place = place.wrapping_mul(1_664_525).wrapping_add(1_013_904_223).wrapping_add(read);
            memory[word(place)] = 0;
        }
        black_box(place);
        steps * FUEL_OF_A_STEP
    })
}

/// Where the word lies that the lower bits of `place` name.
const fn word(place: u32) -> usize {
    (place as usize >> 2) & (WORDS - 1)
}

/// Bytes that are copied in a second.
pub(super) fn memory_bytes_per_second(effort: Effort) -> u64 {
    let (times, size) = match effort {
        Effort::Thorough => (10, COPIED),
        Effort::Quick => (2, COPIED / 16),
    };
    let from = black_box(vec![1_u8; size]);
    // Written to, so that the system has given it all its pages.
    let mut to = black_box(vec![2_u8; size]);
    best_of(times, || {
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
        size as u64
    })
}

/// The best rate of so many attempts: what interrupts one of them is not the machine's speed.
fn best_of(times: u32, mut attempt: impl FnMut() -> u64) -> u64 {
    let attempt = |_| {
        let begun = Instant::now();
        let amount = attempt();
        rate(amount, begun.elapsed().max(Duration::from_nanos(1)))
    };
    (0..times).map(attempt).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_has_rates() {
        // None does a step in a tenth of a cycle, and none needs a millisecond for it.
        assert!((1_000..1_000_000_000_000).contains(&fuel_per_second(Effort::Quick)));
        assert!((1_000..100_000_000_000_000).contains(&memory_bytes_per_second(Effort::Quick)));
    }

    #[test]
    fn places_are_words_of_the_memory_as_in_the_program() {
        assert_eq!((word(0), word(7), word(0xff_fffc), word(0x100_0000)), (0, 1, WORDS - 1, 0));
    }
}
