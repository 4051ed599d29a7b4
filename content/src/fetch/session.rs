//! One fetch: what is there, what is wanted, what came.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use cid::Cid;
use futures::stream::{FuturesUnordered, StreamExt as _};
use tokio::task::{JoinHandle, spawn_blocking};
use url::Url;

use super::client::{Client, Failure, Reading};
use super::{FetchError, FetchLimits, Fetched, SourceFailure};
use crate::car::{CarDecoder, CarItem};
use crate::digest::{Block, Hash, codec, hash_of};
use crate::links::links;
use crate::store::{Guard, Store, StoreError};

/// Leaves of a CAR that are hashed and written while the next bytes arrive.
const LEAVES_IN_FLIGHT: usize = 4;
/// Bytes of blocks that nobody asked for, in one CAR, after which single blocks are asked for
/// instead: a CAR repeats what the store has already, or brings junk.
const MAX_UNWANTED: u64 = 8 << 20;

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

/// How a CAR ended.
#[derive(Debug, PartialEq, Eq)]
enum CarEnd {
    /// With its end.
    Complete,
    /// The gateway serves none, or it brought too much that nobody asked for.
    Useless,
}

/// A block met in the DAG: one digest has several meanings with several codecs.
type Key = (u64, [u8; 32]);

struct State {
    /// All that was met, there or wanted.
    known: HashSet<Key>,
    wanted: HashMap<Key, Cid>,
    /// Wanted blocks that link to others; may hold some that came meanwhile.
    nodes: Vec<Cid>,
    /// Wanted blocks that do not.
    leaves: Vec<Cid>,
    bytes: u64,
    blocks: u64,
    fetched_bytes: u64,
    fetched_blocks: u64,
}

struct SessionState {
    root: Cid,
    guard: Guard,
    limits: FetchLimits,
    state: Mutex<State>,
}

/// A fetch under way.
pub(super) struct Session {
    shared: Arc<SessionState>,
}

/// The key of a block; of an identity CID, which is never wanted, one that no block has.
fn key(cid: &Cid) -> Key {
    match hash_of(cid) {
        Ok(Hash::Sha2(digest)) => (cid.codec(), digest),
        _ => (u64::MAX, [0; 32]),
    }
}

fn is_leaf(cid: &Cid) -> bool {
    matches!(cid.codec(), codec::RAW | codec::JSON)
}

impl Session {
    /// Looks for what the store has already.
    pub(super) async fn begin(store: &Store, root: &Cid, limits: &FetchLimits) -> Result<Self, FetchError> {
        hash_of(root)?;
        let shared = Arc::new(SessionState {
            root: *root,
            guard: store.guard(),
            limits: limits.clone(),
            state: Mutex::new(State {
                known: HashSet::new(),
                wanted: HashMap::new(),
                nodes: Vec::new(),
                leaves: Vec::new(),
                bytes: 0,
                blocks: 0,
                fetched_bytes: 0,
                fetched_blocks: 0,
            }),
        });
        let session = Self { shared };
        let root = *root;
        session.blocking(move |shared| shared.absorb(vec![root])).await?;
        Ok(session)
    }

    pub(super) fn is_complete(&self) -> bool {
        self.shared.state().wanted.is_empty()
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

    /// Checks and stores a block on another thread.
    fn take(&self, cid: Cid, data: Bytes) -> JoinHandle<Result<(), SessionEnd>> {
        let shared = self.shared.clone();
        spawn_blocking(move || shared.take(&cid, &data))
    }

    /// Fetches what is wanted from one gateway: until nothing is, or the gateway is left.
    pub(super) async fn drain(
        &self,
        client: &Client,
        source: &Url,
        deadline: Instant,
        concurrency: usize,
    ) -> Result<(), SessionEnd> {
        self.shared.state().restock();
        let mut cars = true;
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < concurrency.max(1) {
                let Some(cid) = self.shared.state().next_block(cars) else {
                    break;
                };
                running.push(async move {
                    let data = client.block(source, &cid, deadline).await;
                    self.take(cid, data.map_err(SessionEnd::Source)?)
                        .await
                        .unwrap_or(Err(SessionEnd::Fetch(FetchError::Interrupted)))
                });
            }
            if let Some(done) = running.next().await {
                done?;
                continue;
            }
            let Some(cid) = self.shared.state().next_node() else {
                return Ok(());
            };
            match client.car(source, &cid, deadline).await {
                Ok(Some(reading)) => {
                    cars = self.take_car(reading).await? == CarEnd::Complete;
                    if cars && self.shared.state().wanted.contains_key(&key(&cid)) {
                        return Err(SessionEnd::Source(Failure::Withheld { cid: Box::new(cid) }));
                    }
                }
                Ok(None) => cars = false,
                Err(failure) => return Err(SessionEnd::Source(failure)),
            }
            if !cars {
                self.shared.state().nodes.push(cid);
            }
        }
    }

    /// Takes the blocks of a CAR as they arrive.
    async fn take_car(&self, mut reading: Reading) -> Result<CarEnd, SessionEnd> {
        let car = |error| SessionEnd::Source(Failure::Car(error));
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
                    if !self.shared.state().wanted.contains_key(&key(&cid)) {
                        unwanted += data.len() as u64 + 64;
                        if unwanted > MAX_UNWANTED {
                            break 'car CarEnd::Useless;
                        }
                        continue;
                    }
                    let leaf = is_leaf(&cid);
                    let taken = self.take(cid, data);
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

fn joined(taken: Result<Result<(), SessionEnd>, tokio::task::JoinError>) -> Result<(), SessionEnd> {
    taken.unwrap_or(Err(SessionEnd::Fetch(FetchError::Interrupted)))
}

impl State {
    /// Lays out again what is wanted, after a gateway that was left in the middle.
    fn restock(&mut self) {
        (self.leaves, self.nodes) = self.wanted.values().copied().partition(is_leaf);
    }

    /// The next block to ask for by itself. With CARs these are leaves, once no node is left whose
    /// CAR would bring them; without, leaves come first, so that few are wanted at a time.
    fn next_block(&mut self, cars: bool) -> Option<Cid> {
        if cars {
            match pop(&mut self.nodes, &self.wanted) {
                Some(node) => {
                    self.nodes.push(node);
                    None
                }
                None => pop(&mut self.leaves, &self.wanted),
            }
        } else {
            pop(&mut self.leaves, &self.wanted).or_else(|| pop(&mut self.nodes, &self.wanted))
        }
    }

    fn next_node(&mut self) -> Option<Cid> {
        pop(&mut self.nodes, &self.wanted)
    }
}

fn pop(stack: &mut Vec<Cid>, wanted: &HashMap<Key, Cid>) -> Option<Cid> {
    while let Some(cid) = stack.pop() {
        if wanted.contains_key(&key(&cid)) {
            return Some(cid);
        }
    }
    None
}

impl SessionState {
    fn state(&self) -> MutexGuard<'_, State> {
        // consistent between any two statements, so a panic elsewhere does not matter
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn too_many_bytes(&self) -> FetchError {
        FetchError::TooManyBytes { cid: Box::new(self.root), limit: self.limits.max_bytes }
    }

    /// Checks and stores a block that came, and finds out what it leads to.
    fn take(&self, cid: &Cid, data: &Bytes) -> Result<(), SessionEnd> {
        let block = Block::verified(cid, data).map_err(|error| SessionEnd::Source(Failure::Wrong { error }))?;
        let below = links(cid, data)?;
        let length = data.len() as u64;
        {
            let mut state = self.state();
            if !state.wanted.contains_key(&key(cid)) {
                return Ok(());
            }
            // several blocks arrive at once: each takes its room before it is stored
            if state.bytes.saturating_add(length) > self.limits.max_bytes {
                return Err(SessionEnd::Fetch(self.too_many_bytes()));
            }
            state.bytes += length;
        }
        self.guard.insert(block)?;
        // wanted until its children are: the DAG must not look whole in between
        self.absorb(below)?;
        let fetched = {
            let mut state = self.state();
            if state.wanted.remove(&key(cid)).is_none() {
                // it came twice at once
                state.bytes -= length;
                return Ok(());
            }
            state.blocks += 1;
            state.fetched_bytes += length;
            state.fetched_blocks += 1;
            state.fetched_bytes
        };
        if let Some(progress) = &self.limits.progress {
            progress(fetched);
        }
        Ok(())
    }

    /// Walks over what the store has below `cids`, and notes what it has not.
    fn absorb(&self, cids: Vec<Cid>) -> Result<(), FetchError> {
        let mut pending = cids;
        pending.reverse();
        let mut missing = Vec::new();
        while let Some(cid) = pending.pop() {
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
                            pending.extend(links(&cid, &data)?.into_iter().rev());
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
                (_, None) => missing.push(cid),
                (_, Some(size)) => {
                    let mut state = self.state();
                    state.blocks += 1;
                    state.bytes = state.bytes.saturating_add(size);
                    if state.bytes > self.limits.max_bytes {
                        return Err(self.too_many_bytes());
                    }
                }
            }
        }
        let mut state = self.state();
        for cid in missing.into_iter().rev() {
            state.wanted.insert(key(&cid), cid);
            if is_leaf(&cid) {
                state.leaves.push(cid);
            } else {
                state.nodes.push(cid);
            }
        }
        Ok(())
    }
}
