//! What readers and senders of one market share.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use lota_market::{Address, B256, U256};
use tokio::{sync::watch, task::JoinHandle};

use super::{
    CLASSIC_FINALITY, Config, Finality,
    bindings::{self, Deployment},
    headers::Headers,
    rpc::{Header, Height, LONGEST_ASKED, Rpc, Trouble},
    sightings::Sightings,
};
use crate::{
    Journal,
    journal::Market,
    transport::{MarketRef, TransportError},
};

/// The most epochs without blocks in a row that are stepped over to find a block.
const MAX_NULL_ROUNDS: u64 = 64;
/// For so long the node is not asked again what it advises as a tip: a replacement offers more in any case.
const TIP_AGE: Duration = Duration::from_secs(60);
/// Where nothing waits for it, the node is asked which block is final with every so many blocks.
const BLOCKS_OF_REST: u32 = 8;
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

pub(super) struct Shared {
    pub config: Config,
    pub rpc: Rpc,
    /// Where to be told of new blocks, if not by `rpc`.
    hints: Option<Rpc>,
    pub journal: Arc<dyn Journal>,
    pub deployment: Deployment,
    wakes: watch::Sender<u64>,
    /// Whether a subscription tells of new blocks.
    hinted: AtomicBool,
    headers: Mutex<Headers>,
    /// Whether something went wrong since the chain's id was asked for.
    doubted: AtomicBool,
    /// Which block the node last said was final.
    finalized: Mutex<Option<Finalized>>,
    /// What the node last advised as a tip, and when.
    tip: Mutex<Option<(U256, Instant)>>,
    /// Transactions that the reader is to tell the sender of.
    pub sightings: Sightings,
    /// Readers that are as far as the chain is, and read each block at once.
    live: AtomicUsize,
}

/// A node's answer to which block is final.
#[derive(Clone, Copy, Debug)]
struct Finalized {
    number: u64,
    /// The newest block then.
    latest: B256,
    at: Instant,
}

/// A reader that is as far as the chain is; as long as there is one, transactions that land are sighted.
#[derive(Debug)]
pub(super) struct Live(Arc<Shared>);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Shared {
    /// Connects, and checks that the market is there.
    pub(super) async fn connect(config: Config, journal: Arc<dyn Journal>) -> Result<Self, TransportError> {
        let rpc = Rpc::new(config.url.clone(), config.timeout);
        check_chain(&rpc, config.chain_id).await?;
        let absent = |problem: String| TransportError::NoMarket {
            contract: config.contract,
            chain_id: config.chain_id,
            problem,
        };
        if rpc.code(config.contract).await?.is_empty() {
            return Err(absent("there is no contract".into()));
        }
        let deployment = match rpc.view(config.contract, bindings::settings()).await {
            Ok(deployment) => deployment,
            Err(Trouble::Refused(refusal)) => return Err(absent(refusal.message)),
            Err(Trouble::Nonsense(problem)) => return Err(absent(problem)),
            Err(trouble) => return Err(trouble.into()),
        };
        let hints = config.hints.clone().map(|url| Rpc::new(url, config.timeout));
        Ok(Self {
            config,
            rpc,
            hints,
            journal,
            deployment,
            wakes: watch::Sender::new(0),
            hinted: AtomicBool::new(false),
            headers: Mutex::default(),
            doubted: AtomicBool::new(true),
            finalized: Mutex::default(),
            tip: Mutex::default(),
            sightings: Sightings::default(),
            live: AtomicUsize::new(0),
        })
    }

    pub(super) fn headers(&self) -> MutexGuard<'_, Headers> {
        self.headers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says that a reader is as far as the chain is, until the value is dropped.
    pub(super) fn read_live(self: &Arc<Self>) -> Live {
        self.live.fetch_add(1, Ordering::Relaxed);
        Live(Arc::clone(self))
    }

    /// Whether a reader sights what lands.
    pub(super) fn is_read_live(&self) -> bool {
        self.live.load(Ordering::Relaxed) > 0
    }

    pub(super) fn market(&self) -> MarketRef {
        MarketRef { chain_id: self.config.chain_id, contract: self.config.contract, settings: self.deployment.settings }
    }

    /// What the journal calls this market.
    pub(super) fn key(&self) -> Market {
        Market { chain_id: self.config.chain_id, contract: self.config.contract }
    }

    /// Whether the node still serves the right chain.
    pub(super) async fn check_chain(&self) -> Result<(), TransportError> {
        check_chain(&self.rpc, self.config.chain_id).await
    }

    /// The newest block, of a node that serves the right chain. A balancer may send every call somewhere else, so this is
    /// asked whenever something new is begun. A block whose parent is known is of the same chain; of any other the id is asked.
    pub(super) async fn latest(&self) -> Result<Header, TransportError> {
        let latest = self.rpc.latest().await?;
        let is_doubted = self.doubted.load(Ordering::Relaxed);
        if is_doubted || !self.headers().accept(latest) {
            self.check_chain().await?;
            self.doubted.store(false, Ordering::Relaxed);
            if !self.headers().accept(latest) {
                self.headers().restart(latest);
            }
        }
        Ok(latest)
    }

    /// Something went wrong: the next time the chain's id is asked for again.
    pub(super) fn doubt(&self) {
        self.doubted.store(true, Ordering::Relaxed);
        self.headers().outdate();
    }

    /// The newest block as it was known not long ago.
    pub(super) async fn recent(&self) -> Result<Header, TransportError> {
        let known = self.headers().within(self.config.poll / 2);
        match known {
            Some(known) => Ok(known),
            None => self.latest().await,
        }
    }

    /// Up to which number the chain's blocks are final: the node's word, or so many below the newest one; there need not be a
    /// block at it. `is_awaited` says whether it matters now; otherwise what was said a while ago will do.
    pub(super) async fn finalized(&self, latest: &Header, is_awaited: bool) -> Result<u64, Trouble> {
        let by_depth = |depth| latest.number().saturating_sub(depth);
        let tag = match self.config.finality {
            Finality::Depth(depth) => return Ok(by_depth(depth)),
            Finality::Safe => "safe",
            Finality::Finalized => "finalized",
        };
        let Config { poll, block_time, .. } = self.config;
        let between_blocks = block_time.max(poll);
        let known = *self.finalized.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = known.filter(|known| known.number <= latest.number()) {
            let age = known.at.elapsed();
            let is_of_this_block = known.latest == latest.hash && age < between_blocks;
            if is_of_this_block || age < poll / 2 || !is_awaited && age < between_blocks * BLOCKS_OF_REST {
                return Ok(known.number);
            }
        }
        let tagged = self.rpc.tagged_block(tag).await?;
        let number = tagged.map_or_else(|| by_depth(CLASSIC_FINALITY), |block| block.number().min(latest.number()));
        *self.finalized.lock().unwrap_or_else(PoisonError::into_inner) =
            Some(Finalized { number, latest: latest.hash, at: Instant::now() });
        Ok(number)
    }

    /// The block with a number or, where the chain has none there, the one below.
    pub(super) async fn at_or_below(&self, goal: u64) -> Result<Header, Trouble> {
        let known = self.headers().at_or_below(goal);
        if let Some(known) = known {
            return Ok(known);
        }
        for number in (goal.saturating_sub(MAX_NULL_ROUNDS)..=goal).rev() {
            if let Some(header) = self.rpc.block_at(number).await? {
                return Ok(header);
            }
        }
        Err(Trouble::down(format!("the node knows no block from {MAX_NULL_ROUNDS} below {goal} on")))
    }

    /// The tip that the node advises, as of not long ago.
    pub(super) async fn tip(&self) -> Result<U256, Trouble> {
        let known = *self.tip.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((tip, _)) = known.filter(|(_, at)| at.elapsed() < TIP_AGE) {
            return Ok(tip);
        }
        let tip = self.rpc.tip().await?;
        *self.tip.lock().unwrap_or_else(PoisonError::into_inner) = Some((tip, Instant::now()));
        Ok(tip)
    }

    /// Whether a block is on the node's chain.
    pub(super) async fn is_canonical(&self, block: u64, hash: B256) -> Result<bool, Trouble> {
        let (known, generation) = {
            let headers = self.headers();
            (headers.holds(block, hash), headers.generation())
        };
        if let Some(holds) = known {
            return Ok(holds);
        }
        let holds = self.rpc.block_at(block).await?.is_some_and(|header| header.hash == hash);
        if holds {
            self.headers().remember(block, hash, generation);
        }
        Ok(holds)
    }

    /// Whether a block is on the node's chain, for those who know that the chain reaches that far: a node that does not is behind, and says nothing about it.
    pub(super) async fn still_holds(&self, block: u64, hash: B256) -> Result<bool, Trouble> {
        let known = self.headers().holds(block, hash);
        if let Some(holds) = known {
            return Ok(holds);
        }
        match self.rpc.height(block).await? {
            Height::Block(header) => Ok(header.hash == hash),
            Height::Empty => Ok(false),
            Height::Beyond => Err(Trouble::down(format!("the node is behind: it does not know block {block} yet"))),
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
        let longer = self.config.poll.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE);
        asked.map_or(longer, |asked| longer.max(asked.min(LONGEST_ASKED)))
    }

    pub(super) fn wakes(&self) -> watch::Receiver<u64> {
        self.wakes.subscribe()
    }

    /// Whether a subscription tells of new blocks.
    pub(super) fn is_hinted(&self) -> bool {
        self.hinted.load(Ordering::Relaxed)
    }

    fn hints(&self) -> &Rpc {
        self.hints.as_ref().unwrap_or(&self.rpc)
    }

    /// Lets a subscription to new blocks wake everybody up; where there is none, polling has to do.
    pub(super) fn listen(self: &Arc<Self>) -> Option<JoinHandle<()>> {
        if !self.hints().is_websocket() {
            return None;
        }
        let weak = Arc::downgrade(self);
        Some(tokio::spawn(async move {
            loop {
                let Some(shared) = weak.upgrade() else { return };
                let pause = shared.config.poll;
                let heads = shared.hints().new_heads().await;
                shared.hinted.store(matches!(heads, Ok(Some(_))), Ordering::Relaxed);
                drop(shared);
                if let Ok(Some(mut heads)) = heads {
                    while let Some(told) = heads.next().await {
                        let Some(shared) = weak.upgrade() else { return };
                        match told {
                            Some(told) => shared.headers().extend(told),
                            None => shared.headers().outdate(),
                        }
                        shared.wakes.send_modify(|wakes| *wakes += 1);
                    }
                }
                let Some(shared) = weak.upgrade() else { return };
                shared.hinted.store(false, Ordering::Relaxed);
                drop(shared);
                tokio::time::sleep(pause).await;
            }
        }))
    }
}

async fn check_chain(rpc: &Rpc, wanted: u64) -> Result<(), TransportError> {
    let found = rpc.chain_id().await?;
    if found == wanted { Ok(()) } else { Err(TransportError::WrongChain { wanted, found }) }
}

/// An account on this market's chain.
pub(super) fn account(shared: &Shared, address: Address) -> crate::journal::Account {
    crate::journal::Account { chain_id: shared.config.chain_id, address }
}
