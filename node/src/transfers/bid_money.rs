//! Money that an operator takes out of the auction by hand. The loop says what of it is free, and keeps bids from counting on that until
//! it has left.

use std::sync::Arc;

use lota_bridge::SubmitError;
use lota_market::{Address, AttoFil, agent::EffectKey};
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{Direction, TRANSFERS, Transfer, TransferError, Transfers, key_of};
use crate::{
    inbox::Message,
    store::{Store, StoreError},
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
    let leaving = leaving.filter(|transfer| !transfer.landed || transfer.block > above);
    Ok(AttoFil(leaving.fold(0, |sum, transfer| sum.saturating_add(transfer.amount.0))))
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
        if !self.inbox.send(Message::TakeBidMoney { amount: asked, reply }).await {
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
            // It may not have been among those that are watched.
            self.inbox.send(Message::BidMoneyMoved).await;
        }
        made
    }
}
