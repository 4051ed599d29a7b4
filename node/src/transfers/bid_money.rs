//! Money that an operator takes out of the auction by hand. The loop says what of it is free, and keeps bids from counting on that until
//! it has left.

use std::sync::Arc;

use lota_bridge::SubmitError;
use lota_market::{Address, AttoFil, agent::EffectKey};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{Direction, MAX_WATCHED, TRANSFERS, Transfer, TransferError, Transfers, key_of, watched};
use crate::{
    inbox::Message,
    store::{Batch, Store, StoreError},
};

/// Of how many it is remembered how much they were, so that who asks once more for all that was free is told of the same money.
const MAX_REMEMBERED: usize = 1_024;
/// Where that is kept.
const TAKEN: &str = "bid_money_taken";

/// How much was taken out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Taken {
    key: EffectKey,
    direction: Direction,
    amount: AttoFil,
}

/// What is being taken out of the auction, or was in blocks above this one, which are undone.
pub(crate) async fn leaving(store: &Store, above: u64) -> Result<AttoFil, StoreError> {
    let watched: Vec<Transfer> = store.meta(TRANSFERS).await?.unwrap_or_default();
    let leaving = watched.iter().filter(|transfer| transfer.direction.is_of_auction());
    let leaving = leaving.filter(|transfer| !transfer.landed || transfer.undone || transfer.block > above);
    Ok(AttoFil(leaving.fold(0, |sum, transfer| sum.saturating_add(transfer.amount.0))))
}

/// Notes that all blocks above this one are undone: what landed in them is leaving again, until somebody sees it land.
pub(crate) async fn undo(batch: &mut Batch<'_>, above: u64) -> Result<(), StoreError> {
    let mut watched = watched(batch).await?;
    let mut any = false;
    for transfer in watched.iter_mut().filter(|transfer| transfer.landed && transfer.block > above) {
        any |= !transfer.undone;
        transfer.undone = true;
    }
    if any { batch.set_meta(TRANSFERS, &watched).await } else { Ok(()) }
}

/// Notes that so much is about to be taken out of the auction under this key, before anybody is told that it may: whatever is looked at
/// meanwhile, no bid counts on it.
pub(crate) async fn promise(
    batch: &mut Batch<'_>,
    key: EffectKey,
    direction: Direction,
    amount: AttoFil,
    block: u64,
) -> Result<(), StoreError> {
    let mut watched = watched(batch).await?;
    // Who takes it is told that there are too many, or that the key is taken.
    if watched.len() >= MAX_WATCHED || watched.iter().any(|known| known.key == key) {
        return Ok(());
    }
    watched.push(Transfer { key, direction, amount, block, landed: false, undone: false, promised: true });
    batch.set_meta(TRANSFERS, &watched).await
}

impl Transfers {
    /// Takes so much out of the auction, or all that no bid needs, and returns when that is in a block. Otherwise as
    /// [`make`](Self::make).
    pub(crate) async fn take_bid_money(
        self: &Arc<Self>,
        to: Address,
        amount: Option<AttoFil>,
        name: Option<String>,
    ) -> Result<(), TransferError> {
        let this = Arc::clone(self);
        let work = tokio::spawn(async move {
            tokio::select! {
                result = this.take_to_end(to, amount, name) => result,
                () = this.stop.cancelled() => Err(TransferError::Ending),
            }
        });
        work.await?
    }

    async fn take_to_end(
        &self,
        to: Address,
        asked: Option<AttoFil>,
        name: Option<String>,
    ) -> Result<(), TransferError> {
        let _turn = self.taking.lock().await;
        let direction = Direction::WithdrawBidMoney { to, all: asked.is_none() };
        let is_named = name.is_some();
        let key = key_of(direction, name);
        let mut remembered: Vec<Taken> = self.store.meta(TAKEN).await?.unwrap_or_default();
        if let Some(before) = remembered.iter().find(|before| before.key == key) {
            if before.direction != direction || asked.is_some_and(|asked| asked != before.amount) {
                return Err(SubmitError::KeyReused { party: self.transport.party(), key }.into());
            }
            // It has its money already, or is the one to have it; unless an earlier process ended before it sent anything.
            if self.may_have_begun(&key).await {
                return self.make_under(key, direction, before.amount).await;
            }
            remembered.retain(|before| before.key != key);
        }
        let (reply, answer) = oneshot::channel();
        // From when the loop notes it until it is sent, nobody else is to find it unsent and forget it.
        let _making = self.begin(key.clone());
        if !self.inbox.send(Message::TakeBidMoney { amount: asked, to, key: key.clone(), reply }).await {
            return Err(TransferError::Ending);
        }
        let amount = answer.await.map_err(|_| TransferError::Ending)?.map_err(TransferError::NotTaken)?;
        if amount == AttoFil::ZERO {
            return Ok(());
        }
        if is_named {
            remembered.push(Taken { key: key.clone(), direction, amount });
            let surplus = remembered.len().saturating_sub(MAX_REMEMBERED);
            remembered.drain(..surplus);
            self.store.set_meta(TAKEN, &remembered).await?;
        }
        let made = self.make_under(key.clone(), direction, amount).await;
        if let Err(TransferError::Submit(_) | TransferError::TooMany) = &made {
            remembered.retain(|taken| taken.key != key);
            self.store.set_meta(TAKEN, &remembered).await?;
            self.forget_promise(&key).await?;
            // It may not have been among those that are watched.
            self.inbox.send(Message::BidMoneyMoved).await;
        }
        made
    }

    /// It was not even begun.
    async fn forget_promise(&self, key: &EffectKey) -> Result<(), StoreError> {
        let mut batch = self.store.begin().await?;
        let mut watched = watched(&mut batch).await?;
        watched.retain(|transfer| !transfer.promised || transfer.key != *key);
        batch.set_meta(TRANSFERS, &watched).await?;
        batch.commit().await
    }
}
