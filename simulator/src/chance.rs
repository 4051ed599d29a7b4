//! Chance: streams of numbers that follow from a run's seed alone.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{RngCore as _, SeedableRng as _},
};
use rand_pcg::Pcg64Mcg;

/// A stream of numbers. It is 16 bytes: a million parties have one each.
pub type Chance = Pcg64Mcg;

/// What a stream is for. A party's stream does not depend on what other parties draw, so that two runs of a seed that differ in one
/// party's strategy are comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// What a party is: its costs, its speed.
    Nature,
    /// What happens to a party.
    Life,
    /// What becomes of commands on their way to the chain.
    Chain,
    /// Who is audited, and how mediators vote.
    Mediation,
    /// An experiment's own draws.
    Experiment,
}

/// The seed of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seed(pub u64);

impl Seed {
    /// The stream of a number (a party's, below 2^56) for a purpose.
    #[must_use]
    pub fn stream(self, purpose: Purpose, number: u64) -> Chance {
        let mut source = ChaCha8Rng::seed_from_u64(self.0);
        source.set_stream((purpose as u64) << 56 | number);
        let mut seed = [0; 16];
        source.fill_bytes(&mut seed);
        Chance::from_seed(seed)
    }

    /// The seed of a run among several.
    #[must_use]
    pub const fn of_run(self, run: u64) -> Self {
        Self(self.0.wrapping_add(run))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_differ_by_seed_purpose_and_number_and_repeat() {
        let first = |seed: u64, purpose, number| Seed(seed).stream(purpose, number).next_u64();
        let all = [
            first(1, Purpose::Nature, 0),
            first(2, Purpose::Nature, 0),
            first(1, Purpose::Life, 0),
            first(1, Purpose::Nature, 1),
        ];
        let distinct: std::collections::BTreeSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(all[0], first(1, Purpose::Nature, 0));
    }
}
