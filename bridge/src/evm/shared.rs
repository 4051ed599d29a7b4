//! What readers and senders of one market share.

use std::{fmt, sync::Arc, time::Duration};

use lota_market::{Address, B256};
use tokio::{sync::watch, task::JoinHandle};

use super::{
    Config, Finality,
    bindings::{self, Deployment},
    rpc::{Header, Height, LONGEST_ASKED, Rpc, Trouble},
};
use crate::{
    Journal,
    journal::Market,
    transport::{MarketRef, TransportError},
};

/// The most epochs without blocks in a row that are stepped over to find a settled block.
const MAX_NULL_ROUNDS: u64 = 64;
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
        Ok(Self { config, rpc, hints, journal, deployment, wakes: watch::Sender::new(0) })
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
    /// asked whenever something new is begun.
    pub(super) async fn latest(&self) -> Result<Header, TransportError> {
        let (chain, latest) = tokio::join!(self.check_chain(), self.rpc.named_block("latest"));
        chain?;
        Ok(latest?)
    }

    /// The newest block that counts as settled.
    pub(super) async fn settled(&self, latest: &Header) -> Result<Header, Trouble> {
        let depth = match self.config.finality {
            Finality::Safe => return self.rpc.named_block("safe").await,
            Finality::Finalized => return self.rpc.named_block("finalized").await,
            Finality::Depth(0) => return Ok(*latest),
            Finality::Depth(depth) => depth,
        };
        let goal = latest.number().saturating_sub(depth);
        for number in (goal.saturating_sub(MAX_NULL_ROUNDS)..=goal).rev() {
            if let Some(header) = self.rpc.block_at(number).await? {
                return Ok(header);
            }
        }
        Err(Trouble::down(format!("the node knows no block from {MAX_NULL_ROUNDS} below {goal} on")))
    }

    /// Whether a block is on the node's chain.
    pub(super) async fn is_canonical(&self, block: u64, hash: B256) -> Result<bool, Trouble> {
        Ok(self.rpc.block_at(block).await?.is_some_and(|header| header.hash == hash))
    }

    /// The same, for those who know that the chain reaches that far: a node that does not is behind, and says nothing about it.
    pub(super) async fn still_holds(&self, block: u64, hash: B256) -> Result<bool, Trouble> {
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
                drop(shared);
                if let Ok(Some(mut heads)) = heads {
                    while heads.next().await {
                        let Some(shared) = weak.upgrade() else { return };
                        shared.wakes.send_modify(|wakes| *wakes += 1);
                    }
                }
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
