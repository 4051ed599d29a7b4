//! From which states a final one cannot be reached.
//!
//! stateright's `eventually` looks at paths that end, and takes a state that it met before for one where the property was met:
//! its own documentation says so. What is asked here is another question: whether there *is* a way out, for anybody. So the steps that
//! anybody can make are noted while the states are explored, and walked backwards from the final states.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

/// The states that were met, and the steps between them that time or a stranger makes.
#[derive(Debug, Default)]
pub struct Exits(Mutex<Graph>);

#[derive(Debug, Default)]
struct Graph {
    numbers: HashMap<u64, u32>,
    is_final: Vec<bool>,
    steps: Vec<(u32, u32)>,
}

impl Graph {
    fn number(&mut self, state: u64, is_final: bool) -> u32 {
        let Self { numbers, is_final: finals, .. } = self;
        *numbers.entry(state).or_insert_with(|| {
            finals.push(is_final);
            // 2^32 states of more than a kilobyte each are more than any memory holds.
            u32::try_from(finals.len() - 1).unwrap_or(u32::MAX)
        })
    }
}

impl Exits {
    /// Notes a state (by its hash).
    pub fn state(&self, state: (u64, bool)) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).number(state.0, state.1);
    }

    /// Notes a step that anybody can make.
    pub fn step(&self, from: (u64, bool), to: (u64, bool)) {
        let graph = &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let step = (graph.number(from.0, from.1), graph.number(to.0, to.1));
        graph.steps.push(step);
    }

    /// The states that were met.
    #[must_use]
    pub fn states(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_final.len()
    }

    /// The states from which no final one is reached.
    #[must_use]
    pub fn traps(&self) -> Vec<u64> {
        let graph = &*self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Who leads to whom, backwards: the steps into a state lie side by side.
        let mut into = graph.steps.clone();
        into.sort_unstable_by_key(|(_, to)| *to);
        let mut escapes = graph.is_final.clone();
        let finals = escapes.iter().enumerate().filter(|(_, is_final)| **is_final);
        let mut open: VecDeque<u32> = finals.map(|(number, _)| number as u32).collect();
        while let Some(state) = open.pop_front() {
            let begin = into.partition_point(|(_, to)| *to < state);
            for (from, _) in into[begin..].iter().take_while(|(_, to)| *to == state) {
                if !std::mem::replace(&mut escapes[*from as usize], true) {
                    open.push_back(*from);
                }
            }
        }
        graph.numbers.iter().filter(|(_, number)| !escapes[**number as usize]).map(|(state, _)| *state).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trap_is_a_state_from_which_no_final_one_is_reached() {
        let exits = Exits::default();
        let at = |n: u64| (n, n == 9);
        // 1 -> 2 -> 9; a circle of 3 and 4, with a way out by 4; 5 leads into the circle of 6 and 7, which has none; 8 is alone.
        for (from, to) in [(1, 2), (2, 9), (3, 4), (4, 3), (4, 2), (5, 6), (6, 7), (7, 6)] {
            exits.step(at(from), at(to));
        }
        exits.state(at(8));
        let mut traps = exits.traps();
        traps.sort_unstable();
        assert_eq!((exits.states(), traps), (9, vec![5, 6, 7, 8]));
    }
}
