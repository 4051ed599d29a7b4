//! The newest blocks of the chain, each the parent of the next. What they say need not be asked again: whether an older block is
//! still on the chain, which one is final, and that a new one belongs to the chain whose id was checked once.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

use lota_market::B256;

use super::Header;

/// The most blocks that are remembered: more than there are above a final one on any network.
const MAX_HEADERS: usize = 1_024;
/// The most blocks before them that are remembered because somebody asked.
const MAX_ANCESTORS: usize = 4_096;

/// The newest blocks that a node showed.
#[derive(Debug, Default)]
pub(in crate::evm) struct Headers {
    /// In order, without a gap: only numbers that never had a block are left out.
    blocks: VecDeque<Header>,
    /// Hashes of older blocks that the first of them descends from.
    ancestors: BTreeMap<u64, B256>,
    /// Changes when the blocks are others than before.
    generation: u64,
    /// The newest block as the node said last, and when; one that is behind may say less than it said before.
    newest: Option<(Header, Instant)>,
    /// Told by a subscription, and not yet asked for.
    is_told: bool,
}

impl Headers {
    /// Takes the node's newest block; false when it does not hang together with what is known, so that nothing says which chain
    /// it is of.
    pub(in crate::evm) fn accept(&mut self, latest: Header) -> bool {
        let is_known = self.blocks.iter().rev().any(|block| block.hash == latest.hash);
        if !is_known {
            let parent = self.blocks.iter().rposition(|block| block.hash == latest.parent_hash);
            let Some(parent) = parent.filter(|parent| self.blocks[*parent].number() < latest.number()) else {
                return false;
            };
            // What was known above the parent is of another fork.
            self.blocks.truncate(parent + 1);
            self.push(latest);
        }
        (self.newest, self.is_told) = (Some((latest, Instant::now())), false);
        true
    }

    /// Takes a block that a subscription told of, if it is the child of the newest one; otherwise it is no more than a hint that
    /// the node must be asked.
    pub(in crate::evm) fn extend(&mut self, told: Header) {
        let top = self.blocks.back().filter(|top| self.newest.is_some_and(|(newest, _)| newest.hash == top.hash));
        if top.is_some_and(|top| top.hash == told.parent_hash && top.number() < told.number()) {
            self.push(told);
            (self.newest, self.is_told) = (Some((told, Instant::now())), true);
        } else if !self.blocks.iter().rev().any(|block| block.hash == told.hash) {
            self.outdate();
        }
    }

    /// Something happened that is not known here: until the node is asked, nothing is said.
    pub(in crate::evm) fn outdate(&mut self) {
        (self.newest, self.is_told) = (None, false);
    }

    /// Begins anew with a block of which it is known that it is of the right chain.
    pub(in crate::evm) fn restart(&mut self, latest: Header) {
        self.blocks.clear();
        self.ancestors.clear();
        self.generation += 1;
        self.push(latest);
        (self.newest, self.is_told) = (Some((latest, Instant::now())), false);
    }

    fn push(&mut self, header: Header) {
        self.blocks.push_back(header);
        if self.blocks.len() > MAX_HEADERS {
            self.blocks.pop_front();
        }
    }

    /// What [`remember`](Self::remember) takes.
    pub(super) const fn generation(&self) -> u64 {
        self.generation
    }

    /// Takes a block that was found on the chain since `generation` was asked for.
    pub(in crate::evm) fn remember(&mut self, block: u64, hash: B256, generation: u64) {
        let is_before = self.blocks.front().is_some_and(|first| block < first.number());
        if generation == self.generation && is_before {
            self.ancestors.insert(block, hash);
            if self.ancestors.len() > MAX_ANCESTORS {
                self.ancestors.pop_first();
            }
        }
    }

    /// The newest block, if it is another than this and was heard of not longer ago than that; and whether a subscription told of
    /// it and the node was not asked since.
    pub(in crate::evm) fn news(&self, seen: Option<B256>, age: Duration) -> Option<(Header, bool)> {
        self.within(age).filter(|newest| Some(newest.hash) != seen).map(|newest| (newest, self.is_told))
    }

    /// The newest block, if the node said so not longer ago than this.
    pub(in crate::evm) fn within(&self, age: Duration) -> Option<Header> {
        self.newest.filter(|(_, at)| at.elapsed() <= age).map(|(newest, _)| newest)
    }

    /// The block with a number or, where the chain has none there, the one below; `None` when that is not known.
    pub(in crate::evm) fn at_or_below(&self, number: u64) -> Option<Header> {
        self.newest.filter(|(newest, _)| number <= newest.number())?;
        let index = self.blocks.partition_point(|block| block.number() <= number).checked_sub(1)?;
        self.blocks.get(index).copied()
    }

    /// Whether a block is on the chain; `None` when that is not known.
    pub(in crate::evm) fn holds(&self, block: u64, hash: B256) -> Option<bool> {
        self.newest?;
        match self.ancestors.get(&block) {
            Some(known) => Some(*known == hash),
            None => self.at_or_below(block).map(|found| found.number() == block && found.hash == hash),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    fn hash(number: u64, fork: u8) -> B256 {
        let mut hash = B256::repeat_byte(fork);
        hash[..8].copy_from_slice(&number.to_be_bytes());
        hash
    }

    fn header(number: u64, fork: u8, parent: u64, parent_fork: u8) -> Header {
        Header::of(number, hash(number, fork), hash(parent, parent_fork))
    }

    fn chain(numbers: &[u64]) -> Headers {
        let mut headers = Headers::default();
        headers.restart(header(numbers[0], 1, numbers[0].saturating_sub(1), 1));
        for pair in numbers.windows(2) {
            assert!(headers.accept(header(pair[1], 1, pair[0], 1)), "{pair:?}");
        }
        headers
    }

    #[test]
    fn what_hangs_together_is_known_without_asking() {
        let headers = chain(&[5, 6, 8, 9]);
        assert_eq!(headers.holds(8, hash(8, 1)), Some(true));
        assert_eq!(headers.holds(8, hash(8, 2)), Some(false));
        assert_eq!(headers.holds(7, hash(7, 1)), Some(false), "there never was a block");
        assert_eq!(headers.at_or_below(7).map(|header| header.number()), Some(6));
        assert_eq!(headers.holds(4, hash(4, 1)), None, "before what is known");
        assert_eq!(headers.holds(10, hash(10, 1)), None, "after it");
    }

    #[test]
    fn a_block_of_nowhere_is_not_taken() {
        let mut headers = chain(&[5, 6]);
        for stranger in [header(8, 1, 7, 1), header(7, 2, 6, 2), header(6, 2, 5, 2), header(5, 1, 6, 1)] {
            let is_known = stranger.hash == hash(5, 1);
            assert_eq!(headers.accept(stranger), is_known, "{stranger:?}");
        }
        // Its parent is known, and above it.
        assert!(!headers.accept(header(4, 2, 6, 1)));
        assert!(!Headers::default().accept(header(1, 1, 0, 1)));
    }

    #[test]
    fn another_fork_takes_the_place_of_what_was_above_its_parent() {
        let mut headers = chain(&[5, 6, 7, 8]);
        assert!(headers.accept(header(7, 2, 6, 1)));
        assert_eq!(headers.holds(7, hash(7, 1)), Some(false));
        assert_eq!(headers.holds(7, hash(7, 2)), Some(true));
        assert_eq!(headers.holds(6, hash(6, 1)), Some(true));
        assert_eq!(headers.holds(8, hash(8, 1)), None);
    }

    #[test]
    fn nothing_is_said_of_what_lies_above_the_newest_block() {
        let mut headers = chain(&[5, 6, 7]);
        assert!(headers.accept(header(6, 1, 5, 1)), "the node is behind, or the chain went back");
        assert_eq!(headers.holds(7, hash(7, 1)), None);
        headers.extend(header(8, 1, 7, 1));
        assert_eq!(headers.within(LONG), None, "whoever is told of it asks");
        assert!(headers.accept(header(7, 1, 6, 1)));
        assert_eq!(headers.holds(7, hash(7, 1)), Some(true));
    }

    #[test]
    fn only_a_child_of_the_newest_block_is_believed_untold() {
        let mut headers = chain(&[5, 6]);
        let news = |headers: &Headers, seen| {
            let news = headers.news(Some(hash(seen, 1)), LONG);
            news.map(|(header, is_told)| (header.number(), is_told))
        };
        assert_eq!(news(&headers, 5), Some((6, false)));
        assert_eq!(news(&headers, 6), None, "that was seen");
        headers.extend(header(8, 1, 6, 1));
        assert_eq!(news(&headers, 6), Some((8, true)));
        headers.extend(header(6, 1, 5, 1));
        assert_eq!(news(&headers, 6), Some((8, true)), "it is no news that was known");
        assert!(headers.accept(header(8, 1, 6, 1)));
        assert_eq!(news(&headers, 6), Some((8, false)), "the node was asked");
        headers.extend(header(8, 2, 6, 1));
        assert_eq!(news(&headers, 6), None, "a reorganisation is for the node to say");
        assert_eq!(headers.holds(6, hash(6, 1)), None);
        assert!(headers.accept(header(8, 2, 6, 1)));
        assert_eq!(headers.holds(6, hash(6, 1)), Some(true));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let headers = chain(&(0..5_000).collect::<Vec<_>>());
        assert_eq!(headers.blocks.len(), MAX_HEADERS);
        assert_eq!(headers.holds(5_000 - MAX_HEADERS as u64, hash(5_000 - MAX_HEADERS as u64, 1)), Some(true));
    }

    #[test]
    fn an_older_block_is_asked_for_once_as_long_as_the_chain_goes_on() {
        let mut headers = chain(&[10, 11]);
        assert_eq!(headers.holds(4, hash(4, 1)), None);
        headers.remember(4, hash(4, 1), headers.generation());
        headers.remember(10, hash(10, 2), headers.generation());
        assert_eq!(headers.holds(4, hash(4, 1)), Some(true));
        assert_eq!(headers.holds(4, hash(4, 2)), Some(false));
        assert_eq!(headers.holds(10, hash(10, 1)), Some(true), "nobody need say what is known better");
        headers.outdate();
        assert_eq!(headers.holds(4, hash(4, 1)), None);
        let generation = headers.generation();
        headers.restart(header(20, 1, 19, 1));
        headers.remember(4, hash(4, 1), generation);
        assert_eq!(headers.holds(4, hash(4, 1)), None, "it was found on what may be another chain");
    }
}
