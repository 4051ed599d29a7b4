//! Telling what was read: logs and heads are queued, and accounts hear of what they wait for.

use std::sync::Arc;

use lota_market::{Address, B256, Time};

use super::{
    EventLog, Update,
    pages::{BlockLogs, Found, Page, after},
};
use crate::{
    evm::chain::{Header, Sighting},
    journal::Checkpoint,
    transport::{Cursor, Head},
};

impl<T: Send + 'static> EventLog<T> {
    /// Queues what is new in a page.
    pub(super) fn take(&mut self, mut page: Page<T>, times: &[Time]) {
        let page = page.split_off(&self.next);
        let before = self.queue.len();
        for ((block, logs), time) in page.into_iter().zip(times) {
            let (hash, point) = (logs.hash, checkpoint(block, &logs));
            self.sight(block, hash, *time, &logs.logs);
            let half_read = self.position.filter(|position| position.block == block);
            for Found { log, value } in rest(logs.logs, half_read) {
                let cursor = Cursor { block, block_hash: hash, index: after(&log) };
                self.position = Some(cursor);
                self.queue.push_back(Update::Log { cursor, time: *time, log, value });
            }
            self.trail.push(point);
        }
        if self.queue.len() > before {
            self.announced = None;
        }
    }

    /// Contracts of which everything is read.
    pub(super) fn complete(&self) -> Arc<[Address]> {
        let whole = self.sources.iter().filter(|source| source.topics.iter().all(Vec::is_empty));
        whole.map(|source| source.address).collect()
    }

    /// Tells accounts of what they wait for.
    fn sight(&self, block: u64, block_hash: B256, time: Time, logs: &[Found<T>]) {
        let mut wanted = self.chain.sightings().wanted_of(logs.iter().map(|found| found.log.transaction_hash));
        if wanted.is_empty() {
            return;
        }
        wanted.sort_unstable();
        wanted.dedup();
        let complete = self.complete();
        let sighted = wanted.into_iter().map(|transaction| {
            let own = logs.iter().filter(|found| found.log.transaction_hash == transaction);
            let (logs, complete) = (own.map(|found| found.log.clone()).collect(), Arc::clone(&complete));
            Sighting { transaction, block, block_hash, time, logs, complete }
        });
        self.chain.sightings().found(sighted.collect());
    }

    /// Queues the head if it says anything new, and a pause before the next step.
    pub(super) fn announce(&mut self, latest: &Header) {
        let index = self.trail.find(latest.number()).map_or(0, |point| point.index);
        let cursor = Cursor { block: latest.number(), block_hash: latest.hash, index };
        let at = Head { block: latest.number(), hash: latest.hash, time: latest.time() };
        let finalized = self.finalized;
        if self.announced != Some((cursor, at, finalized)) {
            self.position = Some(cursor);
            self.announced = Some((cursor, at, finalized));
            self.queue.push_back(Update::Head { cursor, latest: at, finalized });
        }
        if self.live.is_none() {
            self.live = Some(self.chain.follow_live(self.complete()));
        }
        self.pause(self.idle());
    }
}

/// The logs of a block after a position in it.
pub(super) fn rest<T>(logs: Vec<Found<T>>, position: Option<Cursor>) -> impl Iterator<Item = Found<T>> {
    let index = position.map_or(0, |at| at.index);
    logs.into_iter().filter(move |found| after(&found.log) > index)
}

pub(super) fn checkpoint<T>(block: u64, logs: &BlockLogs<T>) -> Checkpoint {
    Checkpoint { block, hash: logs.hash, logs: logs.count(), index: logs.index() }
}
