//! What the loop sees to of the party's account in the auction: what is there, and what its operator takes out of it.

use lota_bridge::Update;
use lota_market::{
    Address, AttoFil,
    agent::{Effect, EffectKey, Filling, Input},
};

use super::{EventLoop, PURSE_HELD, intake::Incoming};
use crate::{
    inbox::{Message, NotTaken},
    store::StoreError,
    transfers::{self, Direction},
};

/// What an operator wants out of it.
pub(super) struct Taking {
    /// None: all that no bid needs.
    pub(super) amount: Option<AttoFil>,
    pub(super) to: Address,
    /// Under which it is sent.
    pub(super) key: EffectKey,
}

impl EventLoop {
    /// Tells the agent what the party has in the auction, if it must know.
    pub(super) async fn weigh_purse(&mut self) -> Result<(), StoreError> {
        if self.auction_is_silent || !self.agent.wants_auction_balance() {
            return Ok(());
        }
        let transport = &self.parts.transport;
        let Ok(held) = transport.auction_balance(transport.party()).await else {
            self.auction_is_silent = true;
            return Ok(());
        };
        let effects = self.agent.handle(Input::AuctionBalance(held), self.now);
        let store = self.parts.store.clone();
        let mut batch = store.begin().await?;
        if self.agent.purse().is_at_rest() {
            batch.set_meta(PURSE_HELD, &held).await?;
        } else {
            batch.remove_meta(PURSE_HELD).await?;
        }
        self.store_and_perform(batch, effects).await
    }

    /// Tells the agent what is being taken out of the auction, or was in blocks above this one, which are undone.
    pub(super) async fn look_at_leaving(&mut self, above: u64) -> Result<Vec<Effect>, StoreError> {
        if self.parts.transport.auction().is_none() {
            return Ok(Vec::new());
        }
        let leaving = transfers::leaving(&self.parts.store, above).await?;
        Ok(self.agent.handle(Input::BidMoneyLeaving(leaving), self.now))
    }

    /// The same, if anything in this round may have changed that.
    pub(super) async fn look_at_leaving_after(&mut self, round: &[Incoming]) -> Result<Vec<Effect>, StoreError> {
        let above = round.iter().filter_map(|incoming| match incoming {
            Incoming::Update(update) => match &**update {
                Update::Rewind { to } => Some(to.map_or(0, |to| to.block)),
                _ => None,
            },
            Incoming::Message(message) => matches!(message, Message::BidMoneyMoved).then_some(u64::MAX),
        });
        match above.min() {
            Some(above) => self.look_at_leaving(above).await,
            None => Ok(Vec::new()),
        }
    }

    /// Says to operators who want money out of the auction how much they have of it.
    pub(super) async fn let_bid_money_go(&mut self) -> Result<(), StoreError> {
        for (asked, reply) in std::mem::take(&mut self.taking) {
            let answer = self.take_out(asked).await?;
            // Nobody waits any more: that is no concern of the loop.
            let _ = reply.send(answer);
        }
        Ok(())
    }

    async fn take_out(&mut self, taking: Taking) -> Result<Result<AttoFil, NotTaken>, StoreError> {
        let Taking { amount: asked, to, key } = taking;
        let held = match self.parts.transport.auction_balance(self.parts.transport.party()).await {
            Ok(held) => held,
            Err(error) => return Ok(Err(NotTaken::Unknown(error))),
        };
        let effects = self.agent.handle(Input::AuctionBalance(held), self.now);
        self.perform_all(effects).await?;
        let Some(money) = self.agent.bid_money() else { return Ok(Ok(AttoFil::ZERO)) };
        let (amount, filling) = match asked {
            Some(amount) => (amount, Filling::Stopped),
            None => (money.free(), Filling::Emptied),
        };
        if amount > money.free() {
            return Ok(Err(NotTaken::Bound(money)));
        }
        let effects = self.agent.handle(Input::TakeBidMoney { amount, filling }, self.now);
        let store = self.parts.store.clone();
        let mut batch = store.begin().await?;
        if amount != AttoFil::ZERO {
            let direction = Direction::WithdrawBidMoney { to, all: asked.is_none() };
            let block = self.parts.health.head().map_or(self.taken_in, |head| head.block);
            transfers::promise(&mut batch, key, direction, amount, block).await?;
        }
        self.store_and_perform(batch, effects).await?;
        Ok(Ok(amount))
    }

    async fn perform_all(&mut self, effects: Vec<Effect>) -> Result<(), StoreError> {
        let store = self.parts.store.clone();
        let batch = store.begin().await?;
        self.store_and_perform(batch, effects).await
    }
}
