//! One fetch: what is there, what is wanted, who brings it, what came.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use cid::Cid;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::sync::{Notify, futures::Notified};
use tokio::task::{JoinHandle, spawn_blocking};

use super::client::{Failure, Reading};
use super::work::{Claim, Item, Manner, State, TREE, Work, is_leaf, key};
use super::{FetchError, FetchLimits, Fetched, SourceFailure};
use crate::car::{CarDecoder, CarItem};
use crate::dagpb;
use crate::digest::{Block, Hash, codec, hash_of};
use crate::links::links;
use crate::node::{Node, decode};
use crate::store::{Guard, Store, StoreError};

/// Leaves of a CAR that are hashed and written while the next bytes arrive.
const LEAVES_IN_FLIGHT: usize = 4;
/// Bytes of blocks that nobody asked for, in one CAR, after which single blocks are asked for
/// instead: a CAR repeats what the store has already, or brings junk.
const MAX_UNWANTED: u64 = 8 << 20;
/// From this many children on, a node's small children come in a CAR rather than one by one.
const MANY: usize = 8;
/// What a section of a CAR has beside its block, in bytes, at most.
const SECTION: u64 = 64;

/// Why draining a gateway ended.
pub(super) enum SessionEnd {
    /// This gateway is left.
    Source(Failure),
    /// The fetch is over.
    Fetch(FetchError),
}

impl<E: Into<FetchError>> From<E> for SessionEnd {
    fn from(error: E) -> Self {
        Self::Fetch(error.into())
    }
}

/// How a piece of work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CarEnd {
    /// With its end.
    Complete,
    /// The gateway serves no CARs, or it brought too much that nobody asked for.
    Useless,
}

struct SessionState {
    root: Cid,
    guard: Guard,
    limits: FetchLimits,
    state: Mutex<State>,
    changed: Notify,
}

/// A fetch under way.
pub(super) struct Session {
    shared: Arc<SessionState>,
}

/// What a block links to, with the sizes that its links state, if they state any.
fn items(cid: &Cid, data: &Bytes) -> Result<Vec<Item>, FetchError> {
    if cid.codec() == codec::DAG_PB
        && let Ok(node) = dagpb::decode(data)
    {
        return Ok(node.links.into_iter().map(|link| Item { cid: link.cid, size: link.tsize }).collect());
    }
    Ok(links(cid, data)?.into_iter().map(|cid| Item { cid, size: u64::MAX }).collect())
}

/// How many bytes a block says that it and all below it have; at least, as far as it says so.
fn declared(cid: &Cid, data: &Bytes, below: &[Item]) -> u64 {
    let linked = below.iter().map(|item| if item.size == u64::MAX { 0 } else { item.size });
    let linked = linked.fold(data.len() as u64, u64::saturating_add);
    match decode(cid, data.clone()) {
        Ok(Node::File(file)) => linked.max(file.size),
        _ => linked,
    }
}

impl Session {
    /// Looks for what the store has already.
    pub(super) async fn begin(store: &Store, root: &Cid, limits: &FetchLimits) -> Result<Self, FetchError> {
        hash_of(root)?;
        let shared = Arc::new(SessionState {
            root: *root,
            guard: store.guard(),
            limits: limits.clone(),
            state: Mutex::default(),
            changed: Notify::new(),
        });
        let session = Self { shared };
        let root = Item { cid: *root, size: u64::MAX };
        session.blocking(move |shared| shared.absorb(None, vec![root])).await?;
        Ok(session)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.shared.state().is_complete()
    }

    /// Whether nobody is to be asked for anything any more.
    pub(super) fn is_over(&self) -> bool {
        let state = self.shared.state();
        state.is_complete() || state.failure.is_some()
    }

    /// Waits for the blocks that are being stored though whoever brought them is gone, and says whether one of them ended the fetch.
    pub(super) async fn settle(&self) -> Result<(), FetchError> {
        loop {
            let changed = self.changed();
            {
                let mut state = self.shared.state();
                if state.absorbing == 0 {
                    return state.failure.take().map_or(Ok(()), Err);
                }
            }
            changed.await;
        }
    }

    /// Ends when there may be other work than at the time of the call.
    pub(super) fn changed(&self) -> Notified<'_> {
        self.shared.changed.notified()
    }

    /// Pins the whole DAG, if that is wished.
    pub(super) async fn finish(self, failures: Vec<SourceFailure>) -> Result<Fetched, FetchError> {
        if self.shared.limits.pin.is_some() {
            self.blocking(|shared| {
                if let Some(name) = &shared.limits.pin {
                    shared.guard.store().pin(&shared.root, name)?;
                }
                Ok(())
            })
            .await?;
        }
        // A block that came twice may still be on its way to the store: then the guard, which each of them shares, would outlive
        // the fetch.
        while Arc::strong_count(&self.shared) > 1 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let state = self.shared.state();
        Ok(Fetched {
            bytes: state.bytes,
            blocks: state.blocks,
            fetched_bytes: state.fetched_bytes,
            fetched_blocks: state.fetched_blocks,
            failures,
        })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&SessionState) -> Result<T, FetchError> + Send + 'static,
    ) -> Result<T, FetchError> {
        let shared = self.shared.clone();
        spawn_blocking(move || work(&shared)).await.unwrap_or(Err(FetchError::Interrupted))
    }

    /// Gives a gateway something to do that nobody does yet; `idle`: it does nothing now.
    pub(super) fn next(&self, source: usize, manner: Manner, idle: bool) -> Option<(Claim, Work)> {
        let mut state = self.shared.state();
        let work = state.next(manner, idle)?;
        Some((state.claim(source, work.clone()), work))
    }

    /// What another gateway was given longest ago, longer than `patience`, and has not brought.
    pub(super) fn overtake(&self, source: usize, patience: Duration) -> Option<(Claim, Work)> {
        let mut state = self.shared.state();
        let slow = state
            .claims
            .values_mut()
            .filter(|claimed| claimed.source != source && !claimed.overtaken && claimed.since.elapsed() >= patience);
        let slowest = slow.min_by_key(|claimed| claimed.since)?;
        slowest.overtaken = true;
        let work = slowest.work.clone();
        Some((state.claim(source, work.clone()), work))
    }

    /// The gateways that others have overtaken, when all is here.
    pub(super) fn overtaken(&self, patience: Duration) -> Vec<(usize, Failure)> {
        let state = self.shared.state();
        if !state.is_complete() {
            return Vec::new();
        }
        let slow = state.claims.values().filter(|claimed| claimed.overtaken && claimed.since.elapsed() >= patience);
        let mut slow: Vec<(usize, Failure)> = slow
            .filter_map(|claimed| {
                let cid = Box::new(*claimed.work.cids().first()?);
                Some((claimed.source, Failure::Overtaken { cid, after: claimed.since.elapsed() }))
            })
            .collect();
        slow.sort_by_key(|(source, _)| *source);
        slow.dedup_by_key(|(source, _)| *source);
        slow
    }

    /// How many blocks a gateway brought.
    pub(super) fn taken(&self, source: usize) -> u64 {
        self.shared.state().taken.get(&source).copied().unwrap_or(0)
    }

    /// A gateway's work came to its end.
    pub(super) fn done(&self, claim: Claim, work: &Work, end: CarEnd) -> Result<(), SessionEnd> {
        let withheld = {
            let mut state = self.shared.state();
            state.give_back(claim.id);
            match (work, end) {
                (Work::Tree(cid), CarEnd::Complete) if state.wanted.contains(&key(cid)) => Some(*cid),
                _ => None,
            }
        };
        self.shared.changed.notify_waiters();
        match withheld {
            Some(cid) => Err(SessionEnd::Source(Failure::Withheld { cid: Box::new(cid) })),
            None => Ok(()),
        }
    }

    /// A gateway does nothing any more: others may do what it did not come to.
    pub(super) fn give_back(&self, source: usize) {
        let mut state = self.shared.state();
        let its: Vec<u64> =
            state.claims.iter().filter(|(_, claimed)| claimed.source == source).map(|(id, _)| *id).collect();
        for id in its {
            state.give_back(id);
        }
        drop(state);
        self.shared.changed.notify_waiters();
    }

    /// Checks and stores a block on another thread.
    fn store(&self, claim: Claim, cid: Cid, data: Bytes) -> JoinHandle<Result<(), SessionEnd>> {
        let shared = self.shared.clone();
        spawn_blocking(move || shared.take(claim, &cid, &data))
    }

    /// Checks and stores a block.
    pub(super) async fn take(&self, claim: Claim, cid: Cid, data: Bytes) -> Result<(), SessionEnd> {
        joined(self.store(claim, cid, data).await)
    }

    /// Takes the blocks of a CAR as they arrive.
    pub(super) async fn take_car(&self, claim: Claim, mut reading: Reading) -> Result<CarEnd, SessionEnd> {
        let car = |error| SessionEnd::Source(Failure::Car(error));
        let limits = &self.shared.limits;
        let sections = SECTION.saturating_mul(limits.max_blocks as u64);
        let most = limits.max_bytes.saturating_add(MAX_UNWANTED).saturating_add(sections);
        if reading.length().is_some_and(|length| length > most) {
            return Err(SessionEnd::Source(Failure::TooLong { limit: usize::try_from(most).unwrap_or(usize::MAX) }));
        }
        let mut decoder = CarDecoder::new();
        let mut unwanted = 0;
        let mut leaves = FuturesUnordered::new();
        let outcome = 'car: {
            while let Some(piece) = reading.next().await.map_err(SessionEnd::Source)? {
                decoder.push(&piece);
                while let Some(item) = decoder.next_item().map_err(car)? {
                    let CarItem::Block(cid, data) = item else {
                        continue;
                    };
                    if !self.shared.state().wanted.contains(&key(&cid)) {
                        unwanted += data.len() as u64 + SECTION;
                        if unwanted > MAX_UNWANTED {
                            break 'car CarEnd::Useless;
                        }
                        continue;
                    }
                    let leaf = is_leaf(&cid);
                    let taken = self.store(claim, cid, data);
                    if !leaf {
                        // what it links to is wanted next
                        joined(taken.await)?;
                        continue;
                    }
                    leaves.push(taken);
                    if leaves.len() >= LEAVES_IN_FLIGHT
                        && let Some(taken) = leaves.next().await
                    {
                        joined(taken)?;
                        // the disk may be slower than the gateway
                        reading.forgive();
                    }
                }
            }
            decoder.finish().map_err(car)?;
            CarEnd::Complete
        };
        while let Some(taken) = leaves.next().await {
            joined(taken)?;
        }
        Ok(outcome)
    }
}

/// A block whose children are being looked up, until this is dropped.
struct Absorbing<'a>(&'a SessionState);

impl Drop for Absorbing<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.absorbing -= 1;
        if std::thread::panicking() {
            state.failure.get_or_insert(FetchError::Interrupted);
        }
        drop(state);
        self.0.changed.notify_waiters();
    }
}

fn joined(taken: Result<Result<(), SessionEnd>, tokio::task::JoinError>) -> Result<(), SessionEnd> {
    taken.unwrap_or(Err(SessionEnd::Fetch(FetchError::Interrupted)))
}

impl SessionState {
    fn state(&self) -> MutexGuard<'_, State> {
        // consistent between any two statements, so a panic elsewhere does not matter
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn too_many_bytes(&self, declared: Option<u64>) -> FetchError {
        FetchError::TooManyBytes { cid: Box::new(self.root), limit: self.limits.max_bytes, declared }
    }

    /// Checks and stores a block that came, and finds out what it leads to.
    fn take(&self, claim: Claim, cid: &Cid, data: &Bytes) -> Result<(), SessionEnd> {
        let block = Block::verified(cid, data).map_err(|error| SessionEnd::Source(Failure::Wrong { error }))?;
        let below = items(cid, data)?;
        let length = data.len() as u64;
        let declared = declared(cid, data, &below);
        if declared > self.limits.max_bytes {
            // Nothing of it is fetched.
            return Err(SessionEnd::Fetch(self.too_many_bytes(Some(declared))));
        }
        let _absorbing = {
            let mut state = self.state();
            if !state.wanted.contains(&key(cid)) {
                return Ok(());
            }
            // several blocks arrive at once: each takes its room before it is stored
            if state.bytes.saturating_add(length) > self.limits.max_bytes {
                return Err(SessionEnd::Fetch(self.too_many_bytes(None)));
            }
            state.bytes += length;
            state.absorbing += 1;
            Absorbing(self)
        };
        // Wanted until its children are: the DAG must not look whole in between. If it came twice at once, each child is noted by
        // only one of the two, and that may be the one that is done later.
        let stored = self.guard.insert(block).map_err(FetchError::from);
        if let Err(error) = stored.and_then(|()| self.absorb(Some((claim, *cid)), below)) {
            // Children of which nobody knows would be missing for ever.
            self.state().failure.get_or_insert(error);
            return Err(SessionEnd::Fetch(FetchError::Interrupted));
        }
        let fetched = {
            let mut state = self.state();
            if !state.wanted.remove(&key(cid)) {
                // it came twice at once
                state.bytes -= length;
                return Ok(());
            }
            *state.taken.entry(claim.source).or_default() += 1;
            state.blocks += 1;
            state.fetched_bytes += length;
            state.fetched_blocks += 1;
            state.fetched_bytes
        };
        self.changed.notify_waiters();
        if let Some(progress) = &self.limits.progress {
            progress(fetched);
        }
        Ok(())
    }

    /// Walks over what the store has below some blocks, and notes what it has not. `brought`: by which piece of work they were
    /// found, and in which block.
    fn absorb(&self, brought: Option<(Claim, Cid)>, items: Vec<Item>) -> Result<(), FetchError> {
        let children = items.len();
        let together = items.iter().fold(0, |sum: u64, item| sum.saturating_add(item.size));
        let mut pending = items;
        pending.reverse();
        let mut missing = Vec::new();
        while let Some(item) = pending.pop() {
            let cid = item.cid;
            let hash = hash_of(&cid)?;
            if let Hash::Sha2(digest) = hash {
                let mut state = self.state();
                if !state.known.insert((cid.codec(), digest)) {
                    continue;
                }
                if state.known.len() > self.limits.max_blocks {
                    return Err(FetchError::TooManyBlocks { cid: Box::new(self.root), limit: self.limits.max_blocks });
                }
            }
            if pending.len() > self.limits.max_blocks {
                return Err(FetchError::TooManyBlocks { cid: Box::new(self.root), limit: self.limits.max_blocks });
            }
            let stored = self.guard.keep_size(&cid)?;
            let leaf = is_leaf(&cid);
            let size = if stored.is_none() || (leaf && !self.limits.verify) {
                stored
            } else {
                match self.guard.store().get(&cid) {
                    Ok(Some(data)) => {
                        if !leaf {
                            pending.extend(self::items(&cid, &data)?.into_iter().rev());
                        }
                        Some(data.len() as u64)
                    }
                    // what is corrupt is fetched anew
                    Ok(None) | Err(StoreError::Corrupt { .. }) => None,
                    Err(error) => return Err(error.into()),
                }
            };
            match (hash, size) {
                (Hash::Identity(_), _) => {}
                (_, None) => missing.push(item),
                (_, Some(size)) => {
                    let mut state = self.state();
                    state.blocks += 1;
                    state.bytes = state.bytes.saturating_add(size);
                    if state.bytes > self.limits.max_bytes {
                        return Err(self.too_many_bytes(None));
                    }
                }
            }
        }
        let mut state = self.state();
        for item in &missing {
            state.wanted.insert(key(&item.cid));
        }
        let claimed = brought.and_then(|(claim, _)| state.claims.get_mut(&claim.id));
        match (claimed, brought) {
            // The CAR that brought the block is to bring these too.
            (Some(claimed), _) if !matches!(claimed.work, Work::Block(_)) => claimed.below.extend(missing),
            (_, Some((_, node))) if children >= MANY && together <= TREE && missing.len() * 2 > children => {
                state.bunches.push((node, missing.iter().map(|item| item.cid).collect()));
            }
            _ => {
                missing.reverse();
                state.offer(missing);
            }
        }
        Ok(())
    }
}
