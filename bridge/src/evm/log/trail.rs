//! The blocks that a reader saw: the way back when the chain is reorganised.

use crate::{
    journal::{Checkpoint, MAX_CHECKPOINTS},
    transport::Cursor,
};

/// The newest points, which are not thinned out, final or not.
const LEAST_DENSE: usize = 64;
/// The most points that are not thinned out because their blocks are not final.
const MOST_DENSE: usize = 1_024;
/// The most of those before them.
const MOST_SPARSE: usize = 192;
const _: () = assert!(MOST_DENSE + MOST_SPARSE <= MAX_CHECKPOINTS, "the journal keeps all of them");

/// Points of one fork in the order of their blocks: all that are not final (the blocks with logs among them), and those before,
/// the further back, the sparser. So a reorganisation undoes no log that is still on the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trail(Vec<Checkpoint>);

impl Trail {
    /// What is known of the way to a position.
    pub(super) fn up_to(mut points: Vec<Checkpoint>, position: &Cursor) -> Self {
        points.retain(|point| point.block <= position.block);
        let mut trail = Self(points);
        if trail.find(position.block).is_none_or(|point| point.hash != position.block_hash) {
            // Another fork's: nothing is known.
            trail.0.clear();
        }
        trail
    }

    pub(super) fn points(&self) -> &[Checkpoint] {
        &self.0
    }

    pub(super) fn find(&self, block: u64) -> Option<&Checkpoint> {
        let index = self.0.binary_search_by_key(&block, |point| point.block).ok()?;
        self.0.get(index)
    }

    /// Adds the newest point, or what is new about it.
    pub(super) fn push(&mut self, point: Checkpoint) {
        self.cut(point.block.checked_sub(1));
        self.0.push(point);
    }

    /// Adds logs of a block that others were read of before, or none.
    pub(super) fn merge(&mut self, point: Checkpoint) {
        match self.0.binary_search_by_key(&point.block, |point| point.block) {
            Ok(at) => {
                if let Some(known) = self.0.get_mut(at) {
                    known.logs = known.logs.saturating_add(point.logs);
                    known.index = known.index.max(point.index);
                }
            }
            Err(at) => self.0.insert(at, point),
        }
    }

    /// Drops points before the newest final one until there are not too many.
    pub(super) fn thin(&mut self, finalized: u64) {
        let final_points = self.0.partition_point(|point| point.block <= finalized);
        let len = self.0.len();
        let dense = (len - final_points.saturating_sub(1)).clamp(LEAST_DENSE.min(len), MOST_DENSE.min(len));
        let mut old = len - dense;
        while old > MOST_SPARSE {
            let mut index = 0;
            self.0.retain(|_| {
                index += 1;
                index > old || index % 2 == 1
            });
            old = old.div_ceil(2);
        }
    }

    /// Forgets the points above a block.
    pub(super) fn cut(&mut self, above: Option<u64>) {
        let keep = above.map_or(0, |above| self.0.partition_point(|point| point.block <= above));
        self.0.truncate(keep);
    }
}

#[cfg(test)]
mod tests {
    use lota_market::B256;

    use super::*;

    fn point(block: u64, logs: u32) -> Checkpoint {
        Checkpoint { block, hash: hash(block), logs, index: 2 * logs }
    }

    fn hash(block: u64) -> B256 {
        B256::from(alloy::primitives::U256::from(block + 1))
    }

    /// A trail of blocks that are final with `depth` above them.
    fn deep(blocks: u64, depth: u64) -> Trail {
        let mut trail = Trail::default();
        for block in 0..blocks {
            trail.push(point(block, 1));
            trail.thin(block.saturating_sub(depth));
        }
        trail
    }

    fn long(blocks: u64) -> Trail {
        deep(blocks, 0)
    }

    #[test]
    fn a_trail_is_bounded_dense_near_its_end_and_reaches_its_beginning() {
        let trail = long(100_000);
        assert!(trail.points().len() <= LEAST_DENSE + MOST_SPARSE, "it is written down with every block");
        assert_eq!(trail.points().first().map(|point| point.block), Some(0));
        for block in 100_000 - LEAST_DENSE as u64 + 1..100_000 {
            assert_eq!(trail.find(block).map(|point| point.hash), Some(hash(block)), "{block}");
        }
        assert!(trail.points().is_sorted_by_key(|point| point.block));
        // No gap is much larger than the distance to the end.
        for pair in trail.points().windows(2) {
            assert!(pair[1].block - pair[0].block <= (100_000 - pair[0].block).max(1), "{pair:?}");
        }
    }

    #[test]
    fn a_trail_has_all_that_is_not_final_and_the_newest_final_point() {
        let trail = deep(10_000, 900);
        for block in 9_999 - 900..10_000 {
            assert!(trail.find(block).is_some(), "{block}");
        }
        assert!(trail.points().len() <= 901 + MOST_SPARSE);
        // Many at once, as after a while away.
        let mut trail = long(100);
        (100..20_000).for_each(|block| trail.push(point(block, 1)));
        trail.thin(19_999 - 900);
        assert!(trail.points().len() <= 901 + MOST_SPARSE);
        assert!((19_099..20_000).all(|block| trail.find(block).is_some()));
        // It is bounded, however deep finality is.
        assert!(deep(10_000, 9_000).points().len() <= MAX_CHECKPOINTS);
    }

    #[test]
    fn the_same_block_again_replaces_what_was_known() {
        let mut trail = long(10);
        trail.push(point(9, 5));
        assert_eq!(trail.points().len(), 10);
        assert_eq!(trail.find(9).map(|point| point.logs), Some(5));
        trail.cut(Some(4));
        assert_eq!(trail.points().last().map(|point| point.block), Some(4));
        trail.cut(None);
        assert!(trail.points().is_empty());
    }

    #[test]
    fn logs_of_a_source_that_came_later_are_added_where_they_belong() {
        let mut trail = long(3);
        trail.push(point(6, 0));
        trail.merge(point(1, 2));
        trail.merge(point(4, 1));
        let known: Vec<_> = trail.points().iter().map(|point| (point.block, point.logs, point.index)).collect();
        assert_eq!(known, [(0, 1, 2), (1, 3, 4), (2, 1, 2), (4, 1, 2), (6, 0, 0)]);
    }

    #[test]
    fn the_trail_of_another_fork_is_no_trail() {
        let points = long(10).points().to_vec();
        let position = Cursor { block: 7, block_hash: hash(7), index: 1 };
        assert_eq!(Trail::up_to(points.clone(), &position), long(8));
        let elsewhere = Cursor { block_hash: hash(70), ..position };
        assert_eq!(Trail::up_to(points.clone(), &elsewhere), Trail::default());
        assert_eq!(Trail::up_to(points, &Cursor { block: 12, ..position }), Trail::default());
    }
}
