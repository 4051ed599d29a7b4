//! Sources that catch up with the others, each alone.

use super::{
    EventLog, LogError, Source, Update, pages,
    telling::{checkpoint, rest},
};
use crate::{evm::chain::RpcError, transport::Cursor};

/// A source that is not as far as the others.
#[derive(Debug)]
pub(super) struct Late {
    source: Source,
    /// Right after what was yielded of it.
    position: Option<Cursor>,
    /// The first block that may hold something new.
    next: u64,
    range: pages::Range,
}

impl Late {
    /// Takes what a rewind undid as not read.
    pub(super) fn rewind(&mut self, to: Option<Cursor>) {
        if self.position.is_some_and(|position| position.is_above(to.as_ref())) {
            self.position = to;
        }
        self.next = self.next.min(to.map_or(self.source.first_block, |to| to.block + 1)).max(self.source.first_block);
    }
}

impl<T: Send + 'static> EventLog<T> {
    /// Takes up sources that were added.
    pub(super) fn begin_late(&mut self) {
        for (source, from) in std::mem::take(&mut self.added) {
            let next = from.map_or(source.first_block, |from| from.block);
            let range = pages::Range::new(self.chain.config().max_range);
            self.late.push_back(Late { source, position: from, next, range });
        }
    }

    /// Reads some more of the first late source, up to where the others are; when it is there, it is read with them.
    pub(super) async fn catch_up(&mut self) -> Result<(), LogError> {
        let (Some(late), Some(goal)) = (self.late.front(), self.next.checked_sub(1)) else { return Ok(()) };
        let (from, to) = (late.next, goal.min(late.next.saturating_add(late.range.size - 1)));
        if from > goal {
            self.join();
            return Ok(());
        }
        let fetched = pages::fetch(&self.chain, std::slice::from_ref(&late.source), &self.decode, from, to).await;
        let Some(late) = self.late.front_mut() else { return Ok(()) };
        let logs = match fetched {
            Ok(logs) => logs,
            Err(RpcError::Refused(refusal)) if pages::is_too_much(&refusal) && !pages::is_ahead(&refusal) => {
                if late.range.refused(to - from + 1, &refusal.message) {
                    return Ok(());
                }
                return Err(RpcError::Refused(refusal).into());
            }
            Err(error) => {
                late.range.lost();
                return Err(error.into());
            }
        };
        late.range.accepted(to - from + 1, logs.len());
        let position = late.position;
        let page = pages::group(logs)?;
        // After the logs: they are believed as long as what the others rest on is on the chain, and is of the same one.
        self.chain.check_id().await?;
        if let Some(anchor) = self.anchor()
            && !self.chain.still_holds(anchor.block, anchor.hash).await?
        {
            // The next step finds out how far to go back.
            self.seen = None;
            self.pause_until = None;
            return Ok(());
        }
        let mut times = Vec::new();
        for (block, logs) in &page {
            if self.trail.find(*block).is_some_and(|known| known.hash != logs.hash) {
                return Err(
                    RpcError::unavailable(format!("the node's logs of block {block} are of another fork")).into()
                );
            }
            let unknown = || RpcError::unavailable(format!("the node does not know block {} any more", logs.hash));
            times.push(logs.time(&self.chain).await?.ok_or_else(unknown)?);
        }
        for ((block, logs), time) in page.into_iter().zip(times) {
            let block_hash = logs.hash;
            let half_read = position.filter(|at| at.block == block);
            if half_read.is_some_and(|at| at.block_hash != block_hash) {
                return Err(super::incomplete(block).into());
            }
            self.trail.merge(checkpoint(block, &logs));
            for pages::Found { log, value } in rest(logs.logs, half_read) {
                let cursor = Cursor { block, block_hash, index: pages::after(&log) };
                self.queue.push_back(Update::Log { cursor, time, log, value });
            }
        }
        if let Some(late) = self.late.front_mut() {
            late.next = to + 1;
        }
        self.trail.thin(self.finalized);
        self.kept = None;
        if to == goal {
            self.join();
        }
        Ok(())
    }

    /// Reads the first late source with the others from here on.
    fn join(&mut self) {
        let Some(late) = self.late.pop_front() else { return };
        let address = late.source.address;
        self.sources = self.sources.iter().cloned().chain([late.source]).collect::<Vec<_>>().into();
        self.ahead = None;
        // It says from now on that it reads this contract, too.
        self.live = None;
        self.pause_until = None;
        if let Some(cursor) = self.position {
            let index = self.trail.find(cursor.block).map_or(cursor.index, |point| point.index.max(cursor.index));
            let cursor = Cursor { index, ..cursor };
            self.position = Some(cursor);
            self.queue.push_back(Update::CaughtUp { address, cursor });
        }
        self.announced = None;
    }
}
