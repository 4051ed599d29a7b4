//! Deposits, withdrawals, and what an operator takes out of the auction by hand. One that landed is watched until its block is final: if a reorganisation undoes it, and the message is
//! dropped on the way, it is submitted again under its key.
//!
//! Whoever names a request may repeat it: its key on the chain follows from the name, and one key moves money once, whoever asks and
//! whatever crashes in between.
//!
//! What was asked for is written down before it is sent. Of what an earlier process left unsent nobody was told that it moves, so it
//! is forgotten: who asked repeats it, and both would move.

use std::{
    sync::{Arc, Mutex as SyncMutex, PoisonError},
    time::Duration,
};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use lota_bridge::{SubmitError, Transport, TransportError};
use lota_content::sha2_256;
use lota_market::{Address, AttoFil, agent::EffectKey, auction, model::Command};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, watch};
use tokio_util::sync::CancellationToken;

use crate::{
    activity::Activity,
    health::Health,
    inbox::{Inbox, Message, NotTaken},
    observe,
    store::{Batch, Store, StoreError},
};

mod bid_money;

pub(crate) use bid_money::{leaving, promise, undo};

/// The most that are watched until they are final; more are refused.
const MAX_WATCHED: usize = 1_024;
/// Where they are kept.
const TRANSFERS: &str = "transfers";
/// The longest pause before what the market did not take is tried again, as a power of two of seconds.
const MAX_PAUSE: u32 = 5;
/// So many are submitted at once: each may wait for a block.
const AT_ONCE: usize = 16;

/// Which way money moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Direction {
    /// Into the party's balance in the market.
    Deposit,
    /// Out of it, to this account.
    Withdraw { to: Address },
    /// Out of the party's account in the auction, to this account; `all`: of what was free, nothing stayed.
    WithdrawBidMoney { to: Address, all: bool },
}

impl Direction {
    const fn is_of_auction(self) -> bool {
        matches!(self, Self::WithdrawBidMoney { .. })
    }
}

/// Money that moves, and whose block is not final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Transfer {
    key: EffectKey,
    direction: Direction,
    amount: AttoFil,
    /// Number of its block; before it has one, of the newest block when it was asked for.
    block: u64,
    /// Whether it has been in a block.
    #[serde(default)]
    landed: bool,
    /// Its block was undone, and nobody has seen it in another one yet.
    #[serde(default)]
    undone: bool,
    /// The loop let go of its money, and it is about to be sent.
    #[serde(default)]
    promised: bool,
}

/// Why money was not moved.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    #[error("{MAX_WATCHED} deposits and withdrawals are not final yet; wait until some of them are")]
    TooMany,
    /// It is signed, and lands as soon as it can.
    #[error("{0}; it was begun, and goes on by itself: do not ask for it again, unless with the same idempotency key")]
    UnderWay(SubmitError),
    #[error("the node is ending; what was begun goes on when it is started again")]
    Ending,
    /// Its task panicked.
    #[error("it broke off: {0}")]
    Broke(#[from] tokio::task::JoinError),
    /// It is not taken out of the auction.
    #[error("bids need the money, or it cannot be read what there is: {0:?}")]
    NotTaken(NotTaken),
    #[error(transparent)]
    Submit(#[from] SubmitError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<TransportError> for TransferError {
    fn from(error: TransportError) -> Self {
        Self::Submit(error.into())
    }
}

/// The party's deposits and withdrawals.
pub(crate) struct Transfers {
    /// The node's name, for its log.
    node: String,
    transport: Arc<dyn Transport>,
    store: Store,
    health: Arc<Health>,
    /// Those that are being made, which nobody else is to send.
    making: SyncMutex<Vec<EffectKey>>,
    /// The loop, which knows what bids need.
    inbox: Inbox,
    /// Held by who takes money out of the auction: what one is given no other counts on.
    taking: Mutex<()>,
    stop: CancellationToken,
}

/// A transfer that is being made.
struct Making<'a> {
    transfers: &'a Transfers,
    key: EffectKey,
}

impl Drop for Making<'_> {
    fn drop(&mut self) {
        let mut making = self.transfers.making.lock().unwrap_or_else(PoisonError::into_inner);
        // The same one may be asked for twice at a time.
        if let Some(at) = making.iter().position(|key| *key == self.key) {
            making.swap_remove(at);
        }
    }
}

impl Transfers {
    /// Takes up those that an earlier process left.
    pub(crate) async fn of(
        node: &str,
        transport: Arc<dyn Transport>,
        store: Store,
        health: Arc<Health>,
        inbox: Inbox,
        stop: CancellationToken,
    ) -> Result<Self, StoreError> {
        // What cannot be read is told at the start.
        store.meta::<Vec<Transfer>>(TRANSFERS).await?;
        let (node, making, taking) = (node.to_owned(), SyncMutex::default(), Mutex::default());
        Ok(Self { node, transport, store, health, making, inbox, taking, stop })
    }

    /// Moves money, and returns when that is in a block. What is refused is not tried again. It goes on when nobody waits for it any
    /// more, as when a client hangs up: a token's deposit is two transactions. With the same name it moves once.
    pub(crate) async fn make(
        self: &Arc<Self>,
        direction: Direction,
        amount: AttoFil,
        name: Option<String>,
    ) -> Result<(), TransferError> {
        let this = Arc::clone(self);
        let work = tokio::spawn(async move {
            tokio::select! {
                result = this.make_to_end(direction, amount, name) => result,
                () = this.stop.cancelled() => Err(TransferError::Ending),
            }
        });
        work.await?
    }

    fn is_being_made(&self, key: &EffectKey) -> bool {
        self.making.lock().unwrap_or_else(PoisonError::into_inner).contains(key)
    }

    fn begin(&self, key: EffectKey) -> Making<'_> {
        self.making.lock().unwrap_or_else(PoisonError::into_inner).push(key.clone());
        Making { transfers: self, key }
    }

    async fn make_to_end(
        &self,
        direction: Direction,
        amount: AttoFil,
        name: Option<String>,
    ) -> Result<(), TransferError> {
        self.make_under(key_of(direction, name), direction, amount).await
    }

    async fn make_under(&self, key: EffectKey, direction: Direction, amount: AttoFil) -> Result<(), TransferError> {
        let block = match self.health.head() {
            Some(head) => head.block,
            None => self.transport.head().await?.block,
        };
        let _making = self.begin(key.clone());
        let transfer = Transfer { key, direction, amount, block, landed: false, undone: false, promised: false };
        let is_new = {
            let mut batch = self.store.begin().await?;
            let mut watched = watched(&mut batch).await?;
            let is_full = watched.len() >= MAX_WATCHED;
            let is_new = match watched.iter_mut().find(|known| known.key == transfer.key) {
                Some(known) if (known.direction, known.amount) != (direction, amount) => {
                    let (party, key) = (self.transport.party(), transfer.key);
                    return Err(SubmitError::KeyReused { party, key }.into());
                }
                Some(known) => std::mem::take(&mut known.promised),
                None if is_full => return Err(TransferError::TooMany),
                None => {
                    watched.push(transfer.clone());
                    true
                }
            };
            batch.set_meta(TRANSFERS, &watched).await?;
            batch.commit().await?;
            is_new
        };
        match self.submit(&transfer).await {
            Ok(block) => Ok(self.change(&transfer.key, Some(block)).await?),
            Err(error) if self.goes_on(&transfer.key, &error).await => Err(TransferError::UnderWay(error)),
            // What was asked for before is looked after as before.
            Err(error) if !is_new => Err(error.into()),
            Err(error) => {
                self.change(&transfer.key, None).await?;
                Err(error.into())
            }
        }
    }

    /// Whether what failed with this lands all the same, as soon as it can: it was signed already.
    async fn goes_on(&self, key: &EffectKey, error: &SubmitError) -> bool {
        matches!(error, SubmitError::Unaffordable { .. } | SubmitError::Transport(_)) && self.may_have_begun(key).await
    }

    /// Whether it may be on its way; what cannot be read may be.
    async fn may_have_begun(&self, key: &EffectKey) -> bool {
        self.transport.was_begun(key).await.unwrap_or(true)
    }

    /// All of them.
    async fn watched(&self) -> Result<Vec<Transfer>, StoreError> {
        Ok(self.store.meta(TRANSFERS).await?.unwrap_or_default())
    }

    /// Gets it to the market unless it is there, and says in which block it is.
    async fn submit(&self, transfer: &Transfer) -> Result<u64, SubmitError> {
        let Transfer { key, direction, amount, .. } = transfer;
        let landed = match direction {
            Direction::Deposit => self.transport.deposit(key, *amount).await?,
            Direction::Withdraw { to } => {
                let command = Command::Withdraw { to: *to, amount: *amount };
                self.transport.submit(key, &command, AttoFil::ZERO).await?
            }
            Direction::WithdrawBidMoney { to, .. } => {
                let command = auction::Command::Withdraw { to: *to, amount: *amount };
                self.transport.submit_to_auction(key, &command, AttoFil::ZERO).await?
            }
        };
        Ok(landed.cursor.block)
    }

    /// It is in this block now; `None`: it is watched no more.
    async fn change(&self, key: &EffectKey, block: Option<u64>) -> Result<(), StoreError> {
        let mut batch = self.store.begin().await?;
        let mut watched = watched(&mut batch).await?;
        let is_of_auction = watched.iter().any(|transfer| transfer.key == *key && transfer.direction.is_of_auction());
        match block {
            Some(block) => {
                for transfer in watched.iter_mut().filter(|transfer| transfer.key == *key) {
                    (transfer.block, transfer.landed, transfer.undone) = (block, true, false);
                }
            }
            None => watched.retain(|transfer| transfer.key != *key),
        }
        batch.set_meta(TRANSFERS, &watched).await?;
        batch.commit().await?;
        if is_of_auction {
            self.inbox.send(Message::BidMoneyMoved).await;
        }
        Ok(())
    }

    /// Sees to it that all of them are in blocks, or, unless `is_undone`, those whose blocks should be final by now. Says whether that
    /// is to be tried again.
    async fn look_after(&self, is_undone: bool) -> Result<bool, StoreError> {
        let mut watched = self.watched().await?;
        watched.retain(|transfer| is_undone || transfer.block <= self.health.finalized());
        // What is final is let go of before others are waited for.
        watched.sort_by_key(|transfer| (!transfer.landed, transfer.block));
        stream::iter(watched)
            .map(|transfer| self.look_at(transfer.key))
            .buffer_unordered(AT_ONCE)
            .try_fold(false, |again, this| std::future::ready(Ok(again || this)))
            .await
    }

    /// Sees to it that one is in a block. Says whether that is to be tried again.
    async fn look_at(&self, key: EffectKey) -> Result<bool, StoreError> {
        let found = {
            // Who makes one has it removed before it ends.
            let watched = self.watched().await?;
            watched.into_iter().find(|transfer| transfer.key == key && !self.is_being_made(&key))
        };
        let Some(transfer) = found else { return Ok(false) };
        if !transfer.landed && !self.may_have_begun(&key).await {
            observe::transfer_forgotten(&self.node, &key);
            self.change(&key, None).await?;
            return Ok(false);
        }
        let is_old = |block| block <= self.health.finalized();
        match self.submit(&transfer).await {
            Ok(block) => self.change(&key, Some(block).filter(|block| !is_old(*block))).await?,
            Err(error) => {
                // An older state may refuse what a newer one does not, until what it rests on is final.
                let waits = !is_old(transfer.block) || matches!(error, SubmitError::Transport(_));
                if waits || self.goes_on(&key, &error).await {
                    observe::transfer_waits(&self.node, &self.transport.asset(), &key, &error);
                    return Ok(true);
                }
                observe::transfer_lost(&self.node, &self.transport.asset(), &key, &error);
                self.change(&key, None).await?;
            }
        }
        Ok(false)
    }

    /// Looks after them until the node is stopped.
    pub(crate) async fn run(self: Arc<Self>, mut activity: watch::Receiver<Activity>, stop: CancellationToken) {
        // What happened before the start is not known.
        let mut rewinds = None;
        let mut failures = 0u32;
        loop {
            let now = activity.borrow_and_update().rewinds;
            let is_undone = failures > 0 || rewinds != Some(now);
            let result = tokio::select! {
                result = self.look_after(is_undone) => result,
                () = stop.cancelled() => return,
            };
            rewinds = Some(now);
            failures = match result {
                Ok(false) => 0,
                Ok(true) => failures.saturating_add(1),
                Err(error) => {
                    observe::transfers_failed(&self.node, &error);
                    failures.saturating_add(1)
                }
            };
            let pause = async {
                match failures {
                    0 => std::future::pending().await,
                    failures => tokio::time::sleep(Duration::from_secs(1 << failures.min(MAX_PAUSE))).await,
                }
            };
            // What failed is not tried again with each block.
            let changed = async {
                match failures {
                    0 => activity.changed().await,
                    _ => activity.wait_for(|activity| activity.rewinds != now).await.map(drop),
                }
            };
            tokio::select! {
                () = pause => {}
                result = changed => if result.is_err() { return },
                () = stop.cancelled() => return,
            }
        }
    }
}

/// All of them, to be changed in one transaction: the loop changes them, too.
async fn watched(batch: &mut Batch<'_>) -> Result<Vec<Transfer>, StoreError> {
    Ok(batch.meta(TRANSFERS).await?.unwrap_or_default())
}

/// What a transfer is known by on the chain.
fn key_of(direction: Direction, name: Option<String>) -> EffectKey {
    let kind = match direction {
        Direction::Deposit => "deposit",
        Direction::Withdraw { .. } => "withdraw",
        Direction::WithdrawBidMoney { .. } => "withdraw-bid-money",
    };
    match name {
        // Whichever way: a name is for one transfer.
        Some(name) => EffectKey::named(&format!("transfer/{}", hex::encode(sha2_256(name.as_bytes())))),
        // Each request is another transfer.
        None => EffectKey::named(&format!("{kind}/{}", hex::encode(rand::random::<[u8; 16]>()))),
    }
}

#[cfg(test)]
mod tests;
