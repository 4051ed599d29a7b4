//! Several nodes of one chain as if they were one.
//!
//! The first is preferred. One that fails is left aside, and tried again in the background, ever less often; meanwhile the next one
//! is asked. Of each it is asked, before it is believed and after each trouble, which chain it serves. One that comes back must be as far
//! as the others, and agree with them. With one node all of this is nothing: calls go to it.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use alloy::{
    primitives::{U64, keccak256},
    rpc::json_rpc::{RpcRecv, RpcSend},
};
use futures::future::join_all;
use lota_market::{B256, Bytes};
use tokio::{sync::watch, time::Instant};

use super::{
    Config, RpcError,
    choice::{Choice, Fault},
    rpc::{Heads, Rpc},
    types::{Receipt, quantity},
};

/// Of so many transactions it is remembered that they were broadcast.
const MAX_SENT: usize = 512;

/// The nodes of one chain.
#[derive(Debug)]
pub(super) struct Endpoints {
    pub(super) nodes: Vec<Rpc>,
    choice: Mutex<Choice>,
    pub(super) chain_id: u64,
    /// How many blocks below the newest one nodes must have the same.
    pub(super) depth: u64,
    /// How often they are compared.
    pub(super) interval: Duration,
    /// Whoever is behind for longer, though it answers, is left aside.
    pub(super) long: Duration,
    /// For so long what one node says may be unknown to the others.
    pub(super) patience: Duration,
    /// The newest block's number, as far as anybody was told.
    pub(super) top: AtomicU64,
    pub(super) next_comparison: Mutex<Option<Instant>>,
    /// What they disagree about, without a majority.
    pub(super) dispute: Mutex<Option<String>>,
    /// Another node is asked than before.
    has_changed: AtomicBool,
    changes: watch::Sender<u64>,
    sent: Mutex<VecDeque<B256>>,
}

pub(super) async fn chain_id(rpc: &Rpc) -> Result<u64, RpcError> {
    rpc.request::<_, U64>("eth_chainId", ()).await.map(|id| id.to())
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Endpoints {
    pub(super) fn new(config: &Config) -> Self {
        let urls = std::iter::once(&config.url).chain(&config.others);
        let nodes: Vec<_> = urls.map(|url| Rpc::new(url.clone(), config.timeout)).collect();
        let between_blocks = config.block_time.max(config.poll);
        Self {
            choice: Mutex::new(Choice::new(nodes.len(), config.poll)),
            nodes,
            chain_id: config.chain_id,
            depth: config.look_back,
            interval: 4 * between_blocks,
            long: (2 * config.block_time).max(8 * config.poll),
            patience: config.fees.patience,
            top: AtomicU64::new(0),
            next_comparison: Mutex::default(),
            dispute: Mutex::default(),
            has_changed: AtomicBool::new(false),
            changes: watch::Sender::new(0),
            sent: Mutex::default(),
        }
    }

    pub(super) fn are_several(&self) -> bool {
        self.nodes.len() > 1
    }

    pub(super) fn choice(&self) -> MutexGuard<'_, Choice> {
        locked(&self.choice)
    }

    /// Whether another node is asked than when this was called last.
    pub(super) fn take_change(&self) -> bool {
        self.has_changed.swap(false, Ordering::Relaxed)
    }

    /// Changes whenever another node is asked than before.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Whether one of them could tell of new blocks.
    pub(super) fn can_tell(&self) -> bool {
        self.nodes.iter().any(Rpc::is_websocket)
    }

    /// News of blocks from the node that is asked now.
    pub(super) async fn new_heads(&self) -> Result<Option<Heads>, RpcError> {
        let index = self.choice().order().first().copied();
        match index {
            Some(index) => self.nodes[index].new_heads().await,
            None => Ok(None),
        }
    }

    /// Calls a method of the first node that answers. That a node refuses is an answer.
    pub(super) async fn request<P: RpcSend, R: RpcRecv>(
        self: &Arc<Self>,
        method: &'static str,
        params: P,
    ) -> Result<R, RpcError> {
        match &*self.nodes {
            [only] => only.request(method, params).await,
            _ => self.request_from(method, params).await.map(|(_, answer)| answer),
        }
    }

    /// The same, and whose answer it is.
    pub(super) async fn request_from<P: RpcSend, R: RpcRecv>(
        self: &Arc<Self>,
        method: &'static str,
        params: P,
    ) -> Result<(usize, R), RpcError> {
        self.try_again();
        let order = self.choice().order();
        let mut problems = Vec::new();
        for index in order {
            match self.ask(index, method, params.clone()).await {
                Ok(answer) => return Ok((index, answer)),
                Err(refusal @ RpcError::Refused(_)) => return Err(refusal),
                Err(error) => problems.push((index, error)),
            }
        }
        Err(self.together(problems))
    }

    /// Calls a method of one node, and remembers how that went.
    pub(super) async fn ask<P: RpcSend, R: RpcRecv>(
        &self,
        index: usize,
        method: &'static str,
        params: P,
    ) -> Result<R, RpcError> {
        // Otherwise another call had trouble meanwhile, and this one says nothing newer.
        let was_aside = self.choice().is_aside(index);
        let answer = async {
            self.check(index).await?;
            self.nodes[index].request(method, params).await
        };
        let answer = answer.await;
        match &answer {
            Ok(_) | Err(RpcError::Refused(_)) if was_aside => self.put_back(index),
            Ok(_) | Err(RpcError::Refused(_)) => {}
            Err(error) => self.failed(index, error),
        }
        answer
    }

    /// Asks a node which chain it serves, if that was not asked since its last trouble.
    async fn check(&self, index: usize) -> Result<(), RpcError> {
        if self.choice().is_checked(index) {
            return Ok(());
        }
        let found = match chain_id(&self.nodes[index]).await {
            Err(RpcError::Refused(refusal)) => return Err(RpcError::unavailable(refusal.message)),
            other => other?,
        };
        if found != self.chain_id {
            return Err(RpcError::WrongChain { wanted: self.chain_id, found });
        }
        self.choice().set_checked(index, true);
        Ok(())
    }

    /// Asks the present node once more which chain it serves.
    pub(super) async fn check_again(&self) -> Result<(), RpcError> {
        if let [only] = &*self.nodes {
            let (wanted, found) = (self.chain_id, chain_id(only).await?);
            return if found == wanted { Ok(()) } else { Err(RpcError::WrongChain { wanted, found }) };
        }
        let Some(index) = self.choice().order().first().copied() else { return Err(self.together(Vec::new())) };
        self.choice().set_checked(index, false);
        let Err(error) = self.check(index).await else { return Ok(()) };
        self.failed(index, &error);
        if self.choice().usable().is_empty() {
            return Err(error);
        }
        // What was read before may be of the wrong chain: whoever asks begins again, with the next node.
        Err(RpcError::unavailable(format!("{}: {error}; another node is asked", self.name(index))))
    }

    /// Whether a node still serves the chain; one that does not is left aside.
    pub(super) async fn serves_chain(&self, index: usize) -> bool {
        self.choice().set_checked(index, false);
        match self.check(index).await {
            Ok(()) => true,
            Err(error) => {
                self.failed(index, &error);
                false
            }
        }
    }

    /// A node as it may be shown.
    pub(super) fn name(&self, index: usize) -> String {
        self.nodes[index].name()
    }

    fn failed(&self, index: usize, error: &RpcError) {
        let asked = if let RpcError::Unavailable { retry_after, .. } = error { *retry_after } else { None };
        if self.choice().set_aside(index, Instant::now(), asked) {
            tracing::warn!(node = self.name(index), %error, "a node of the chain fails; it is left aside");
            self.changed();
        }
    }

    /// Leaves a node aside that answers, but not as the others do.
    pub(super) fn leave_aside(&self, index: usize, fault: Fault, why: &str) {
        let is_new = self.choice().blame(index, Instant::now(), fault);
        if is_new {
            tracing::warn!(node = self.name(index), "a node of the chain is left aside: {why}");
            self.changed();
        }
    }

    fn put_back(&self, index: usize) {
        if self.choice().put_back(index) {
            tracing::warn!(node = self.name(index), "a node of the chain is asked again");
            self.changed();
        }
    }

    fn changed(&self) {
        self.has_changed.store(true, Ordering::Relaxed);
        self.changes.send_modify(|changes| *changes += 1);
    }

    /// What is wrong when none of them answers.
    fn together(&self, problems: Vec<(usize, RpcError)>) -> RpcError {
        if let Some((_, wrong)) = problems.first()
            && problems.iter().all(|(_, error)| matches!(error, RpcError::WrongChain { .. }))
        {
            return wrong.clone();
        }
        let asked = problems.iter().map(|(_, error)| match error {
            RpcError::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        });
        let retry_after = asked.min().flatten();
        let texts: Vec<_> = problems.iter().map(|(index, error)| format!("{}: {error}", self.name(*index))).collect();
        let problem = match &*texts {
            [] => "no node of the chain can be asked: those that answer say what the others deny".to_owned(),
            texts => format!("no node of the chain answers; {}", texts.join("; ")),
        };
        RpcError::Unavailable { problem, retry_after }
    }

    /// Tries a node whose time is over, in the background: a call would have to wait for one that is silent.
    fn try_again(self: &Arc<Self>) {
        let due = self.choice().take_due(Instant::now());
        if let Some(index) = due {
            let this = Arc::clone(self);
            tokio::spawn(async move { this.attempt(index).await });
        }
    }

    async fn attempt(&self, index: usize) {
        let tried = async {
            self.check(index).await?;
            let header = self.newest_at(index).await?;
            let present = self.choice().usable().first().copied();
            let (Some(header), Some(present)) = (header, present) else { return Ok(header.is_some()) };
            let top = self.top.load(Ordering::Relaxed);
            if header.number() < top {
                return Ok(false);
            }
            let deep = top.saturating_sub(self.depth);
            let (own, other) = tokio::join!(self.hash_at(index, deep), self.hash_at(present, deep));
            match (own?, other?) {
                (Some(own), Some(other)) if own != other => {
                    Err(RpcError::unavailable(format!("it disagrees with {} about block {deep}", self.name(present))))
                }
                (own, other) => Ok(own.is_some() && other.is_some()),
            }
        };
        match tried.await {
            Ok(true) => self.put_back(index),
            Ok(false) => {
                // It has not caught up.
                self.choice().set_aside(index, Instant::now(), None);
            }
            Err(error) => {
                tracing::debug!(node = self.name(index), %error, "a node of the chain still fails");
                self.failed(index, &error);
            }
        }
    }

    /// Broadcasts a transaction; one that was broadcast before goes to all nodes: the first may have lost it.
    pub(super) async fn send_raw(self: &Arc<Self>, raw: &Bytes) -> Result<B256, RpcError> {
        let sent = self.request("eth_sendRawTransaction", (raw,)).await;
        if self.are_several() {
            let hash = keccak256(raw);
            let is_repeated = {
                let mut known = locked(&self.sent);
                let is_repeated = known.contains(&hash);
                if !is_repeated {
                    known.push_back(hash);
                    if known.len() > MAX_SENT {
                        known.pop_front();
                    }
                }
                is_repeated
            };
            if is_repeated {
                let (this, raw) = (Arc::clone(self), raw.clone());
                tokio::spawn(async move {
                    let others = this.choice().usable().into_iter().skip(1).collect::<Vec<_>>();
                    // Whatever they say: the first one's answer counts.
                    join_all(
                        others.into_iter().map(|index| this.ask::<_, B256>(index, "eth_sendRawTransaction", (&raw,))),
                    )
                    .await;
                });
            }
        }
        sent
    }

    pub(super) async fn receipt_at(&self, index: usize, transaction: B256) -> Result<Option<Receipt>, RpcError> {
        self.ask(index, "eth_getTransactionReceipt", (transaction,)).await
    }

    pub(super) async fn count_at(
        &self,
        index: usize,
        account: lota_market::Address,
        block: u64,
    ) -> Result<u64, RpcError> {
        self.ask::<_, U64>(index, "eth_getTransactionCount", (account, quantity(block))).await.map(|count| count.to())
    }
}
