//! How a log finds out that the chain is another than it was, and how far back.

use tokio::time::Instant;

use super::{EventLog, LogError, Update, incomplete, pages::Page};
use crate::{
    evm::chain::{Header, RpcError},
    journal::Checkpoint,
    transport::Cursor,
};

impl<T: Send + 'static> EventLog<T> {
    /// Compares what is read again with what was read before; a block from which on everything must be read again.
    pub(super) fn compare(&self, page: &Page<T>, from: u64, to: u64) -> Result<Option<u64>, RpcError> {
        for block in from..self.next.min(to + 1) {
            let known = self.trail.find(block);
            match (page.get(&block), known) {
                (None, None) => {}
                (None, Some(known)) if known.logs == 0 => {}
                (None, Some(_)) => return Err(incomplete(block)),
                (Some(found), Some(known)) if found.hash == known.hash && found.count() <= known.logs => {
                    if found.count() < known.logs {
                        return Err(incomplete(block));
                    }
                }
                (Some(_), _) => return Ok(Some(block)),
            }
        }
        Ok(None)
    }

    /// The chain ends below what was read: this node is behind, or what was read is gone.
    pub(super) async fn shorter(&mut self, latest: &Header, anchor: Checkpoint) -> Result<(), LogError> {
        let highest = self.trail.points().iter().rev().find(|point| point.block <= latest.number()).copied();
        if let Some(point) = highest
            && !self.chain.still_holds(point.block, point.hash).await?
        {
            return self.back_below(point.block).await;
        }
        let since = *self.shorter_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= self.chain.config().fees.patience {
            // Nodes do not stay behind that long: the chain itself went back.
            self.shorter_since = None;
            return self.back_below(latest.number() + 1).await;
        }
        let (found, read) = (latest.number(), anchor.block);
        Err(RpcError::unavailable(format!(
            "the node is behind: it is at block {found}, and block {read} was read before"
        ))
        .into())
    }

    /// Goes back to the highest block below `bad` that is still on the chain.
    pub(super) async fn back_below(&mut self, bad: u64) -> Result<(), LogError> {
        let points = self.trail.points();
        let points = &points[..points.partition_point(|point| point.block < bad)];
        self.ahead = None;
        // A balancer that switched to another chain must not undo this one.
        self.chain.check_id().await?;
        // Points of one fork: those that hold come first.
        let (mut low, mut high) = (0, points.len());
        while low < high {
            let middle = (low + high) / 2;
            let Some(point) = points.get(middle) else { break };
            if self.chain.still_holds(point.block, point.hash).await? {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        self.chain.check_id().await?;
        let holds = low.checked_sub(1).and_then(|index| points.get(index)).copied();
        let to = holds.map(|point| Cursor { block: point.block, block_hash: point.hash, index: point.index });
        let first_undone = self.trail.points().get(low).map(|point| point.block);
        if let Some(block) = first_undone.filter(|block| *block <= self.finalized) {
            tracing::warn!(block, finalized = self.finalized, "the chain undid a block that was said to be final");
            self.finalized = holds.map_or(0, |point| point.block);
        }
        self.trail.cut(holds.map(|point| point.block));
        self.next = holds.map_or(self.first_block(), |point| point.block + 1);
        self.dense_from = self.dense_from.min(self.next);
        self.announced = None;
        if let Some(position) = self.position.filter(|position| position.is_above(to.as_ref())) {
            tracing::info!(from = %position, to = ?to, "the chain was reorganised");
            self.position = to;
            self.late.iter_mut().for_each(|late| late.rewind(to));
            for (_, from) in self.added.iter_mut().filter(|(_, from)| from.is_some_and(|at| at.is_above(to.as_ref()))) {
                *from = to;
            }
            self.queue.push_back(Update::Rewind { to });
        }
        Ok(())
    }
}
