//! What is in the log for good, as readers see it: beside whoever writes it, and without waiting for him.

use std::{
    collections::VecDeque,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use lota_market::{Address, B256, Time, movements::Movement, world::ContractEvent};
use serde::{Deserialize, Serialize};

use super::{Block, Entry, EntryReader, LedgerError, state::Tip};
use crate::{
    failure,
    transport::{Cursor, Head, TransportError, Update},
};

/// Dropped blocks that are remembered, so that a reader who stands on one is led back to the fork.
const MAX_ORPHANS: usize = 4_096;
/// How many blocks are looked through at once, whether there is anything in them or not.
const MAX_LOOK: u64 = 4_096;
/// The most bytes of blocks for one page, unless its first block has more.
const MAX_PAGE_BYTES: usize = 1 << 18;
/// The most bytes of blocks that are looked through for a page, whether there is anything in them or not.
const MAX_LOOK_BYTES: usize = 1 << 22;

/// A dropped block, and the one that it was built upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Orphan {
    child: B256,
    parent: B256,
}

#[derive(Debug)]
struct Newest {
    tip: Tip,
    /// How many reorganisations there were.
    fork: u64,
    /// The places of all blocks but block 0 in the log.
    places: Vec<u64>,
    orphans: VecDeque<Orphan>,
    /// What was told to be final stays so, also while blocks above it are gone.
    floor: u64,
}

/// The blocks that are in the log.
pub(super) struct History {
    reader: Arc<dyn EntryReader>,
    /// Block 0.
    begin: Tip,
    newest: RwLock<Newest>,
}

/// A movement of money, and where in the log it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booked {
    /// Of its block.
    pub block: u64,
    /// Which of its block's movements it is, from 0.
    pub index: u32,
    pub time: Time,
    pub transaction: B256,
    #[serde(flatten)]
    pub movement: Movement,
}

/// Some movements of money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovementPage {
    /// Oldest first.
    pub movements: Vec<Booked>,
    /// The block, and the movement in it, at which the next page begins.
    pub next: (u64, u32),
    /// Whether there may be more by now.
    pub more: bool,
}

fn unreadable(error: &LedgerError) -> TransportError {
    TransportError::Storage(failure::causes(error))
}

impl History {
    pub(super) fn new(reader: Arc<dyn EntryReader>, begin: Tip) -> Self {
        let newest = Newest { tip: begin, fork: 0, places: Vec::new(), orphans: VecDeque::new(), floor: 0 };
        Self { reader, begin, newest: RwLock::new(newest) }
    }

    fn read_newest(&self) -> RwLockReadGuard<'_, Newest> {
        self.newest.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self) -> RwLockWriteGuard<'_, Newest> {
        self.newest.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Blocks were written.
    pub(super) fn extend(&self, places: impl IntoIterator<Item = u64>, tip: Tip) {
        let mut newest = self.change();
        newest.places.extend(places);
        newest.tip = tip;
    }

    /// What a snapshot says of it.
    pub(super) fn restore(&self, places: Vec<u64>, tip: Tip, fork: u64, orphans: Vec<Orphan>) {
        *self.change() = Newest { tip, fork, places, orphans: orphans.into(), floor: 0 };
    }

    /// The places of the blocks above one.
    pub(super) fn places_after(&self, block: u64) -> Vec<u64> {
        self.read_newest().places.iter().skip(usize::try_from(block).unwrap_or(usize::MAX)).copied().collect()
    }

    pub(super) fn orphans(&self) -> Vec<Orphan> {
        self.read_newest().orphans.iter().copied().collect()
    }

    /// Drops the blocks above `to`, which is `tip` in short. So many blocks must lie above one that is told to be final.
    pub(super) fn rewind(&self, to: u64, tip: Tip, fork: u64, depth: u64) -> Result<(), LedgerError> {
        let (height, mut parent) = (self.read_newest().tip.number, tip.hash);
        let mut dropped = Vec::new();
        for number in to + 1..=height {
            let child = self.block(number)?.map_or(parent, |(block, _)| block.hash);
            dropped.push(Orphan { child, parent });
            parent = child;
        }
        let mut newest = self.change();
        newest.orphans.extend(dropped);
        let surplus = newest.orphans.len().saturating_sub(MAX_ORPHANS);
        newest.orphans.drain(..surplus);
        newest.places.truncate(usize::try_from(to).unwrap_or(usize::MAX));
        newest.floor = newest.floor.max(height.saturating_sub(depth)).min(to);
        (newest.tip, newest.fork) = (tip, fork);
        Ok(())
    }

    pub(super) const fn beginning(&self) -> B256 {
        self.begin.hash
    }

    pub(super) fn height(&self) -> u64 {
        self.read_newest().tip.number
    }

    pub(super) fn head(&self, now: Time) -> Head {
        self.read_newest().tip.head(now)
    }

    /// Block `number` of this fork, and its size in bytes; none for block 0 and those that there are not.
    pub(super) fn block(&self, number: u64) -> Result<Option<(Block, usize)>, LedgerError> {
        let Some(index) = number.checked_sub(1).and_then(|index| usize::try_from(index).ok()) else { return Ok(None) };
        let Some(place) = self.read_newest().places.get(index).copied() else { return Ok(None) };
        self.block_at(number, place).map(Some)
    }

    fn block_at(&self, number: u64, place: u64) -> Result<(Block, usize), LedgerError> {
        match self.reader.read(place)? {
            (Entry::Block(block), size) => Ok((block, size)),
            _ => Err(LedgerError::Inconsistent { block: number, problem: "something else is in its place".into() }),
        }
    }

    /// A block in short.
    fn tip_of(&self, number: u64) -> Result<Option<Tip>, LedgerError> {
        {
            let newest = self.read_newest();
            if newest.tip.number == number {
                return Ok(Some(newest.tip));
            }
        }
        if number == 0 {
            return Ok(Some(self.begin));
        }
        let tip = |(block, _): (Block, usize)| Tip {
            number,
            hash: block.hash,
            time: block.time,
            // A command's size bounds its events.
            events: block.events.len() as u32,
        };
        Ok(self.block(number)?.map(tip))
    }

    /// The highest block of this fork that a position descends from.
    fn ancestor(&self, from: &Cursor) -> Result<Option<Cursor>, LedgerError> {
        let orphans = self.orphans();
        let (mut number, mut hash) = (from.block, from.block_hash);
        for _ in 0..=MAX_ORPHANS {
            if let Some(tip) = self.tip_of(number)?.filter(|tip| tip.hash == hash) {
                return Ok(Some(tip.end()));
            }
            let Some(orphan) = orphans.iter().rev().find(|orphan| orphan.child == hash) else { return Ok(None) };
            hash = orphan.parent;
            let Some(below) = number.checked_sub(1) else { return Ok(None) };
            number = below;
        }
        Ok(None)
    }

    /// The places of the blocks from `number` on, as many as are looked through at once, with the fork that they are on and the newest
    /// block.
    fn ahead(&self, number: u64, most: u64) -> (Vec<u64>, u64, Tip) {
        let newest = self.read_newest();
        let index = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
        let places = newest.places.iter().skip(index).take(most as usize).copied().collect();
        (places, newest.fork, newest.tip)
    }

    /// What comes after `from`: a rewind when it is on no block of this fork, else up to `limit` events, else the head, with `depth`
    /// blocks above what is final.
    pub(super) fn read(
        &self,
        from: Option<&Cursor>,
        limit: usize,
        now: Time,
        depth: u64,
    ) -> Result<Vec<Update>, TransportError> {
        self.try_read(from, limit, now, depth).map_err(|error| unreadable(&error))
    }

    fn try_read(&self, from: Option<&Cursor>, limit: usize, now: Time, depth: u64) -> Result<Vec<Update>, LedgerError> {
        let (mut at, mut first) = (self.begin.end(), 1);
        if let Some(from) = from {
            let known = self.tip_of(from.block)?;
            match known.filter(|tip| tip.hash == from.block_hash && from.index <= tip.events) {
                // Between two events of it, or after the last one.
                Some(tip) => {
                    at = Cursor { index: from.index, ..tip.end() };
                    first = if from.index == tip.events { from.block + 1 } else { from.block };
                }
                None => return Ok(vec![Update::Rewind { to: self.ancestor(from)? }]),
            }
        }
        let skip = at.index as usize;
        let (places, fork, tip) = self.ahead(first, MAX_LOOK);
        let (mut updates, mut bytes) = (Vec::new(), 0);
        for (number, place) in (first..).zip(places) {
            let (block, size) = self.block_at(number, place)?;
            bytes += size;
            let skip = if number == at.block { skip } else { 0 };
            let (hash, time, transaction) = (block.hash, block.time, block.transaction);
            at = if number > at.block { Cursor { block: number, block_hash: hash, index: 0 } } else { at };
            for (index, event) in block.events.into_iter().enumerate().skip(skip) {
                if updates.len() == limit {
                    return Ok(updates);
                }
                at = Cursor { block: number, block_hash: hash, index: index as u32 + 1 };
                updates.push(match event {
                    ContractEvent::Market(event) => Update::Event { cursor: at, time, transaction, event },
                    ContractEvent::Auction(event) => Update::Auction { cursor: at, time, transaction, event },
                    // A market without a chain has none of them.
                    ContractEvent::Blessing(_)
                    | ContractEvent::FilecoinPay(_)
                    | ContractEvent::Granter(_)
                    | ContractEvent::FilecoinPayDeals(_) => {
                        continue;
                    }
                });
            }
            if !updates.is_empty() && (updates.len() >= limit || (bytes > MAX_PAGE_BYTES && limit < usize::MAX)) {
                return Ok(updates);
            }
        }
        if !updates.is_empty() {
            if limit == usize::MAX && at.block < tip.number {
                updates.extend(self.try_read(Some(&at), limit, now, depth)?);
                updates.retain(|update| !matches!(update, Update::Head { .. }));
            }
            return Ok(updates);
        }
        let newest = self.read_newest();
        if newest.fork != fork {
            // What was looked through is gone meanwhile: the next call says so.
            return Ok(vec![Update::Rewind { to: from.copied() }]);
        }
        let finalized = newest.tip.number.saturating_sub(depth).max(newest.floor);
        Ok(vec![Update::Head { cursor: at, latest: newest.tip.head(now), finalized }])
    }

    /// Movements of money from a place on, in blocks that are looked through at once; of one account only, if one is named.
    pub(super) fn movements(
        &self,
        (block, skip): (u64, u32),
        limit: usize,
        account: Option<Address>,
    ) -> Result<MovementPage, TransportError> {
        let first = block.max(1);
        let (places, _, tip) = self.ahead(first, MAX_LOOK);
        let mut page = MovementPage { movements: Vec::new(), next: (first, skip), more: false };
        let mut bytes = 0;
        // In this order: a range that begins at the largest number must not be asked for the next one.
        for (place, number) in places.into_iter().zip(first..) {
            let (read, size) = self.block_at(number, place).map_err(|error| unreadable(&error))?;
            bytes += size;
            let skip = if number == first { skip as usize } else { 0 };
            for (index, movement) in read.movements.into_iter().enumerate().skip(skip) {
                if page.movements.len() >= limit {
                    return Ok(MovementPage { next: (number, index as u32), more: true, ..page });
                }
                if account.is_none_or(|account| movement.concerns(account)) {
                    let (time, transaction) = (read.time, read.transaction);
                    page.movements.push(Booked { block: number, index: index as u32, time, transaction, movement });
                }
            }
            page.next = (number + 1, 0);
            if bytes > MAX_LOOK_BYTES || (bytes > MAX_PAGE_BYTES && !page.movements.is_empty()) {
                break;
            }
        }
        page.more = page.next.0 <= tip.number;
        Ok(page)
    }
}
