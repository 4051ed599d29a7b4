//! JSON-RPC of one chain: requests, known headers, what is final, news of blocks.
//!
//! A [`Chain`] knows that its node serves the right chain: the id is asked for when it connects, after anything went wrong, and
//! whenever the newest block is not the child of a known one. There may be several nodes: then the first that answers is asked, and
//! they are compared now and then. Behind it are an HTTP or websocket connection that is made when it is
//! needed, and a subscription to new blocks where the node offers one. Failures are typed ([`RpcError`]).

mod agreement;
mod choice;
mod endpoints;
mod error;
mod headers;
mod matching;
mod network;
mod requests;
mod rpc;
mod sightings;
mod types;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use lota_market::{Address, B256, U256};
use tokio::{sync::watch, task::AbortHandle};

pub(super) use self::sightings::Sighting;
use self::{
    endpoints::Endpoints,
    headers::Headers,
    rpc::{Heads, LONGEST_ASKED, Rpc},
    sightings::Sightings,
};
pub use self::{
    error::{Refusal, RpcError},
    network::{CLASSIC_FINALITY, Config, Fees, Finality, MAX_RANGE, Network},
    types::{At, CallRequest, Filter, Header, Height, Log, Receipt},
};

/// Filecoin nodes give no more logs in one answer; other nodes may give no more than some other round number of at least that
/// many.
pub const MAX_RESULTS: usize = 10_000;
/// The most epochs without blocks in a row that are stepped over to find a block.
const MAX_NULL_ROUNDS: u64 = 64;
/// For so long the node is not asked again what it advises as a tip: a replacement offers more in any case.
const TIP_AGE: Duration = Duration::from_secs(60);
/// Where nothing waits for it, the node is asked which block is final with every so many blocks.
const BLOCKS_OF_REST: u32 = 8;
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

struct Inner {
    config: Config,
    endpoints: Arc<Endpoints>,
    /// Where to be told of new blocks, if not by `endpoints`.
    hints: Option<Rpc>,
    wakes: watch::Sender<u64>,
    /// Whether a subscription tells of new blocks.
    hinted: AtomicBool,
    listener: Mutex<Option<AbortHandle>>,
    headers: Mutex<Headers>,
    /// Whether something went wrong since the chain's id was asked for.
    doubted: AtomicBool,
    /// Which block the node last said was final.
    finalized: Mutex<Option<Finalized>>,
    /// What the node last advised as a tip, and when.
    tip: Mutex<Option<(U256, Instant)>>,
    /// Transactions that a log is to tell an account of.
    sightings: Sightings,
    /// How many logs follow a contract, are as far as the chain is, and read each block at once.
    live: Mutex<HashMap<Address, usize>>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(listener) = self.listener.lock().unwrap_or_else(PoisonError::into_inner).take() {
            listener.abort();
        }
    }
}

/// A node's answer to which block is final.
#[derive(Clone, Copy, Debug)]
struct Finalized {
    number: u64,
    /// The newest block then.
    latest: B256,
    at: Instant,
}

/// A log that is as far as the chain is; as long as there is one, transactions that land are sighted.
#[derive(Debug)]
pub(super) struct Live {
    chain: Chain,
    addresses: Arc<[Address]>,
}

impl Drop for Live {
    fn drop(&mut self) {
        let mut live = self.chain.live();
        for address in self.addresses.iter() {
            if let Some(count) = live.get_mut(address) {
                *count -= 1;
                if *count == 0 {
                    live.remove(address);
                }
            }
        }
    }
}

/// One chain, by its node's JSON-RPC. Clones are the same connection.
#[derive(Clone)]
pub struct Chain {
    inner: Arc<Inner>,
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("config", &self.inner.config).finish_non_exhaustive()
    }
}

impl Chain {
    /// Connects, and checks that the node serves the configured chain; of several, that one does.
    ///
    /// # Errors
    /// [`RpcError`]; [`RpcError::WrongChain`] when it serves another.
    pub async fn connect(config: Config) -> Result<Self, RpcError> {
        let endpoints = Arc::new(Endpoints::new(&config));
        let hints = config.hints.clone().map(|url| Rpc::new(url, config.timeout));
        let chain = Self {
            inner: Arc::new(Inner {
                config,
                endpoints,
                hints,
                wakes: watch::Sender::new(0),
                hinted: AtomicBool::new(false),
                listener: Mutex::default(),
                headers: Mutex::default(),
                doubted: AtomicBool::new(true),
                finalized: Mutex::default(),
                tip: Mutex::default(),
                sightings: Sightings::default(),
                live: Mutex::default(),
            }),
        };
        if chain.inner.endpoints.are_several() {
            // Of each that is asked the id is.
            chain.newest().await?;
        } else {
            chain.check_id().await?;
        }
        Ok(chain)
    }

    /// The id of the chain that a node serves.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn id_at(url: &str, timeout: Duration) -> Result<u64, RpcError> {
        endpoints::chain_id(&Rpc::new(url.to_owned(), timeout)).await
    }

    /// How it is reached.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    /// Whether there is more than one node of it.
    pub(super) fn has_several_nodes(&self) -> bool {
        self.inner.endpoints.are_several()
    }

    /// Its id (EIP-155).
    #[must_use]
    pub fn id(&self) -> u64 {
        self.inner.config.chain_id
    }

    pub(super) fn headers(&self) -> MutexGuard<'_, Headers> {
        self.inner.headers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn sightings(&self) -> &Sightings {
        &self.inner.sightings
    }

    fn live(&self) -> MutexGuard<'_, HashMap<Address, usize>> {
        self.inner.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a log of all that these contracts say is as far as the chain is, until the value is dropped.
    pub(super) fn follow_live(&self, addresses: Arc<[Address]>) -> Live {
        let mut live = self.live();
        addresses.iter().for_each(|address| *live.entry(*address).or_default() += 1);
        drop(live);
        Live { chain: self.clone(), addresses }
    }

    /// Whether a log sights what lands at a contract.
    pub(super) fn is_followed_live(&self, address: Address) -> bool {
        self.live().contains_key(&address)
    }

    /// Whether the node still serves the right chain.
    pub(super) async fn check_id(&self) -> Result<(), RpcError> {
        self.inner.endpoints.check_again().await
    }

    /// The newest block, of a node that serves the right chain. A balancer may send every call somewhere else, so this is
    /// asked whenever something new is begun. A block whose parent is known is of the same chain; of any other the id is asked.
    ///
    /// # Errors
    /// [`RpcError`]; [`RpcError::WrongChain`] when the node serves another.
    pub async fn latest(&self) -> Result<Header, RpcError> {
        let latest = if self.has_several_nodes() { self.agreed().await? } else { self.newest().await? };
        let is_doubted = self.inner.doubted.load(Ordering::Relaxed);
        if is_doubted || !self.headers().accept(latest) {
            self.check_id().await?;
            self.inner.doubted.store(false, Ordering::Relaxed);
            if !self.headers().accept(latest) {
                self.headers().restart(latest);
            }
        }
        Ok(latest)
    }

    /// Something went wrong: the next time the chain's id is asked for again.
    pub(super) fn doubt(&self) {
        self.inner.doubted.store(true, Ordering::Relaxed);
        self.headers().outdate();
    }

    /// The newest block as it was known not long ago.
    pub(super) async fn recent(&self) -> Result<Header, RpcError> {
        let known = self.headers().within(self.inner.config.poll / 2);
        match known {
            Some(known) => Ok(known),
            None => self.latest().await,
        }
    }

    /// Up to which number the chain's blocks are final: the node's word, or so many below the newest one; there need not be a
    /// block at it. `is_awaited` says whether it matters now; otherwise what was said a while ago will do.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn finalized(&self, latest: &Header, is_awaited: bool) -> Result<u64, RpcError> {
        let by_depth = |depth| latest.number().saturating_sub(depth);
        let tag = match self.inner.config.finality {
            Finality::Depth(depth) => return Ok(by_depth(depth)),
            Finality::Safe => "safe",
            Finality::Finalized => "finalized",
        };
        let Config { poll, block_time, .. } = self.inner.config;
        let between_blocks = block_time.max(poll);
        let known = *self.inner.finalized.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.filter(|known| known.number <= latest.number()) {
            let age = known.at.elapsed();
            let is_of_this_block = known.latest == latest.hash && age < between_blocks;
            if is_of_this_block || age < poll / 2 || !is_awaited && age < between_blocks * BLOCKS_OF_REST {
                return Ok(known.number);
            }
        }
        let tagged = self.tagged_block(tag).await?;
        let number = tagged.map_or_else(|| by_depth(CLASSIC_FINALITY), |block| block.number().min(latest.number()));
        *self.inner.finalized.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Finalized { number, latest: latest.hash, at: Instant::now() });
        Ok(number)
    }

    /// The block with a number or, where the chain has none there, the one below.
    ///
    /// # Errors
    /// [`RpcError`], also when there is none within 64 numbers.
    pub async fn at_or_below(&self, goal: u64) -> Result<Header, RpcError> {
        let known = self.headers().at_or_below(goal);
        if let Some(known) = known {
            return Ok(known);
        }
        for number in (goal.saturating_sub(MAX_NULL_ROUNDS)..=goal).rev() {
            if let Some(header) = self.block_at(number).await? {
                return Ok(header);
            }
        }
        Err(RpcError::unavailable(format!("the node knows no block from {MAX_NULL_ROUNDS} below {goal} on")))
    }

    /// The tip that the node advises, as of not long ago.
    pub(super) async fn tip(&self) -> Result<U256, RpcError> {
        let known = *self.inner.tip.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((tip, _)) = known.filter(|(_, at)| at.elapsed() < TIP_AGE) {
            return Ok(tip);
        }
        let tip = self.advised_tip().await?;
        *self.inner.tip.lock().unwrap_or_else(PoisonError::into_inner) = Some((tip, Instant::now()));
        Ok(tip)
    }

    /// Whether a block is on the node's chain.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn is_canonical(&self, block: u64, hash: B256) -> Result<bool, RpcError> {
        let (known, generation) = {
            let headers = self.headers();
            (headers.holds(block, hash), headers.generation())
        };
        if let Some(holds) = known {
            return Ok(holds);
        }
        let holds = self.block_at(block).await?.is_some_and(|header| header.hash == hash);
        if holds {
            self.headers().remember(block, hash, generation);
        }
        Ok(holds)
    }

    /// Whether a block is on the node's chain, for those who know that the chain reaches that far: a node that does not is behind, and says nothing about it.
    pub(super) async fn still_holds(&self, block: u64, hash: B256) -> Result<bool, RpcError> {
        let known = self.headers().holds(block, hash);
        if let Some(holds) = known {
            return Ok(holds);
        }
        match self.height(block).await? {
            Height::Block(header) => Ok(header.hash == hash),
            Height::Empty => Ok(false),
            Height::Beyond => {
                Err(RpcError::unavailable(format!("the node is behind: it does not know block {block} yet")))
            }
        }
    }

    /// Waits until it is worth looking again: a while, or a hint.
    pub(super) async fn pause(&self, wakes: &mut watch::Receiver<u64>, pause: Duration) {
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            changed = wakes.changed() => if changed.is_err() {
                tokio::time::sleep(pause).await;
            }
        }
    }

    /// How long to wait after so many failures in a row.
    pub(super) fn pause_after(&self, failures: u32, asked: Option<Duration>) -> Duration {
        let longer = self.inner.config.poll.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
        asked.map_or(longer, |asked| longer.max(asked.min(LONGEST_ASKED)))
    }

    pub(super) fn wakes(&self) -> watch::Receiver<u64> {
        self.inner.wakes.subscribe()
    }

    /// Whether a subscription tells of new blocks.
    pub(super) fn is_hinted(&self) -> bool {
        self.inner.hinted.load(Ordering::Relaxed)
    }

    async fn new_heads(&self) -> Result<Option<Heads>, RpcError> {
        match &self.inner.hints {
            Some(hints) => hints.new_heads().await,
            None => self.inner.endpoints.new_heads().await,
        }
    }

    /// Lets a subscription to new blocks wake everybody up, from the first time on that this is called; where there is none,
    /// polling has to do.
    pub(super) fn listen(&self) {
        let mut listener = self.inner.listener.lock().unwrap_or_else(PoisonError::into_inner);
        let can_tell = self.inner.hints.as_ref().map_or_else(|| self.inner.endpoints.can_tell(), Rpc::is_websocket);
        if listener.is_some() || !can_tell {
            return;
        }
        let weak = Arc::downgrade(&self.inner);
        let mut changes = self.inner.endpoints.changes();
        let listening = tokio::spawn(async move {
            let upgrade = || weak.upgrade().map(|inner| Self { inner });
            loop {
                let Some(chain) = upgrade() else { return };
                let pause = chain.config().poll;
                changes.mark_unchanged();
                let heads = chain.new_heads().await;
                chain.inner.hinted.store(matches!(heads, Ok(Some(_))), Ordering::Relaxed);
                drop(chain);
                if let Ok(Some(mut heads)) = heads {
                    loop {
                        let told = tokio::select! {
                            told = heads.next() => told,
                            // The one that tells may be the one that failed.
                            Ok(()) = changes.changed() => None,
                        };
                        let Some(told) = told else { break };
                        let Some(chain) = upgrade() else { return };
                        match told {
                            // Of several nodes none is believed alone.
                            Some(told) if !chain.has_several_nodes() => chain.headers().extend(told),
                            _ => chain.headers().outdate(),
                        }
                        chain.inner.wakes.send_modify(|wakes| *wakes += 1);
                    }
                }
                let Some(chain) = upgrade() else { return };
                chain.inner.hinted.store(false, Ordering::Relaxed);
                drop(chain);
                tokio::time::sleep(pause).await;
            }
        });
        *listener = Some(listening.abort_handle());
    }
}
