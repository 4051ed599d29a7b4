//! How the rounds fall.

use serde::Serialize;

use crate::memory::state::hash_of;

/// How often things go otherwise than one would like: but for `depth`, once in so many times; 0: never.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Weather {
    /// Epochs without a block.
    pub null: u64,
    /// Epochs that begin with a reorganisation: those whose numbers are multiples of this.
    pub reorganise: u64,
    /// The most blocks that one undoes of those that were executed; it undoes the one above them, too.
    pub depth: u64,
    /// Messages that are dropped when their block is undone, unless somebody waits for them.
    pub drop: u64,
    /// Commands that are tried out on a node that has not executed the newest block yet.
    pub behind: u64,
}

impl Weather {
    /// Every epoch has its block, which stays.
    pub const CALM: Self = Self { null: 0, reorganise: 0, depth: 0, drop: 0, behind: 0 };
    /// Rougher than Filecoin: one epoch in 30 is null, and every five epochs one or two blocks are undone that had been executed.
    pub const ROUGH: Self = Self { null: 30, reorganise: 5, depth: 2, drop: 0, behind: 20 };
}

/// Chance that follows from a seed, and from what it is about: in whichever order things are asked, they come out the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chance(pub u64);

impl Chance {
    /// A number about something.
    pub(super) fn number(self, about: &impl Serialize) -> u64 {
        let hash = hash_of(&(self.0, about));
        hash.0.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// Whether it happens, once in so many times.
    pub(super) fn is_one_in(self, times: u64, about: &impl Serialize) -> bool {
        times > 0 && self.number(about).is_multiple_of(times)
    }
}
