//! A contract that pays what is due, as far as a collector sees it.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use lota_bridge::{Cursor, Head, Landed, MarketRef, Reserve, SubmitError, Transport, TransportError, UpdateStream};
use lota_bridge::{filecoin_pay_deals::RailState, transport::StoredDeal};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    agent::EffectKey,
    filecoin_pay_deals::Rejection,
    model::{Command, JobId, Lane, Receipt, Settings, Terms},
};

use super::away;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rail {
    pub(super) due: U256,
    pub(super) end: Option<u64>,
    pub(super) is_wound_up: bool,
    pub(super) is_refused: bool,
    tried: u32,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) rails: BTreeMap<U256, Rail>,
    pub(super) block: u64,
    /// Nothing is answered.
    pub(super) is_away: bool,
    /// So many transactions are reverted in their blocks.
    pub(super) reverts: u32,
    /// What is sent never ends, and is signed before that or not.
    pub(super) hangs: bool,
    pub(super) hangs_signed: bool,
    is_hanging: bool,
    /// Keys under which something was begun, with the block in which it landed.
    begun: BTreeMap<EffectKey, Option<u64>>,
    sent: Vec<(EffectKey, Vec<U256>)>,
    /// What the loop has not read.
    paid: Vec<(U256, U256)>,
    all_paid: U256,
    index: u32,
}

#[derive(Debug, Default)]
pub(super) struct Till(Mutex<State>);

impl Till {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set<T>(&self, change: impl FnOnce(&mut State) -> T) {
        change(&mut self.state());
    }

    pub(super) fn next_index(&self) -> u32 {
        let mut state = self.state();
        state.index += 1;
        state.index
    }

    pub(super) fn take_paid(&self) -> Vec<(U256, U256)> {
        std::mem::take(&mut self.state().paid)
    }

    pub(super) fn paid(&self) -> U256 {
        self.state().all_paid
    }

    /// What was sent, in order; also again.
    pub(super) fn sent(&self) -> Vec<(EffectKey, Vec<U256>)> {
        self.state().sent.clone()
    }

    pub(super) fn tried(&self, rail: U256) -> u32 {
        self.state().rails.get(&rail).map_or(0, |rail| rail.tried)
    }

    /// Ready when something was sent that never ends.
    pub(super) async fn is_hanging(&self) {
        while !std::mem::take(&mut self.state().is_hanging) {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    /// All blocks are undone.
    pub(super) fn undo(&self) {
        self.state().begun.values_mut().for_each(|landed| *landed = None);
    }
}

fn refused(rail: U256, block: Option<u64>) -> SubmitError {
    let rejection = Box::new(Rejection::RailInactiveOrSettled(rail));
    SubmitError::RejectedByFilecoinPayDeals { rejection, block }
}

#[async_trait]
impl Transport for Till {
    async fn rail(&self, rail: U256) -> Result<RailState, TransportError> {
        let state = self.state();
        if state.is_away {
            return Err(away());
        }
        let Rail { due, end, is_wound_up, .. } = state.rails.get(&rail).copied().unwrap_or_default();
        Ok(RailState { due, end, is_wound_up })
    }

    async fn gas_to_collect(&self, rails: &[U256]) -> Result<u64, SubmitError> {
        let mut state = self.state();
        for rail in rails {
            let found = state.rails.entry(*rail).or_default();
            found.tried += 1;
            if found.is_refused {
                return Err(refused(*rail, None));
            }
        }
        Ok(10)
    }

    async fn gas_price(&self) -> Result<AttoFil, TransportError> {
        Ok(AttoFil(10))
    }

    async fn was_begun(&self, key: &EffectKey) -> Result<bool, TransportError> {
        Ok(self.state().begun.contains_key(key))
    }

    async fn collect(&self, key: &EffectKey, rails: &[U256], _: Reserve) -> Result<Landed, SubmitError> {
        let hangs = {
            let mut state = self.state();
            if state.hangs && state.hangs_signed {
                state.begun.insert(key.clone(), None);
            }
            state.is_hanging |= state.hangs;
            state.hangs
        };
        if hangs {
            std::future::pending::<()>().await;
        }
        let mut state = self.state();
        let before = state.begun.get(key).copied().flatten();
        if before.is_none() {
            state.sent.push((key.clone(), rails.to_vec()));
            if state.reverts > 0 {
                state.reverts -= 1;
                return Err(refused(rails[0], Some(state.block)));
            }
            for rail in rails {
                let due = std::mem::take(&mut state.rails.entry(*rail).or_default().due);
                state.all_paid += due;
                if !due.is_zero() {
                    state.paid.push((*rail, due));
                }
            }
        }
        let block = before.unwrap_or(state.block);
        state.begun.insert(key.clone(), Some(block));
        let cursor = Cursor { block, block_hash: B256::ZERO, index: 0 };
        let (events, auction_events) = (Vec::new(), Vec::new());
        Ok(Landed { transaction: B256::ZERO, cursor, time: Time(0), events, auction_events })
    }

    fn market(&self) -> MarketRef {
        MarketRef { chain_id: 1, contract: Address::ZERO, settings: Settings::COIN }
    }

    fn party(&self) -> Address {
        Address::ZERO
    }

    fn updates(&self, _: Option<Cursor>) -> UpdateStream {
        Box::pin(futures::stream::pending())
    }

    async fn submit(&self, _: &EffectKey, _: &Command, _: AttoFil) -> Result<Landed, SubmitError> {
        Err(away().into())
    }

    async fn head(&self) -> Result<Head, TransportError> {
        Err(away())
    }

    async fn balance(&self, _: Address) -> Result<AttoFil, TransportError> {
        Err(away())
    }

    async fn wallet(&self, _: Address) -> Result<AttoFil, TransportError> {
        Err(away())
    }

    async fn deal(&self, _: JobId) -> Result<StoredDeal, TransportError> {
        Err(away())
    }

    async fn is_spent(&self, _: Address, _: U256) -> Result<bool, TransportError> {
        Err(away())
    }

    async fn next_salt(&self, _: Address, _: Lane) -> Result<U256, TransportError> {
        Err(away())
    }

    async fn sign_terms(&self, _: &Terms) -> Result<Bytes, TransportError> {
        Err(away())
    }

    async fn sign_acceptance(&self, _: JobId, _: &Receipt, _: Time) -> Result<Bytes, TransportError> {
        Err(away())
    }
}
