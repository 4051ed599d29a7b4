//! Collects what is due to the node for orders that were paid over Filecoin Pay: `pay` of the `FilecoinPayDeals` beside its market.
//!
//! What is due follows from the rails' events, which the loop keeps. It is looked at with each block, and collected when it is final and
//! worth its gas ([`RailBook::collecting`](lota_market::agent::RailBook::collecting)); several rails in one transaction. Before anything
//! is sent, each rail is tried out alone: who has terminated its rail costs nothing, and hinders no others.
//!
//! A transaction is written down, under a key of its own, before it is sent, and watched until its block is final: whatever crashes in
//! between, it is sent once.

mod reasons;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lota_bridge::{Head, Reserve, SubmitError, Transport};
use lota_market::{
    AttoFil, Time, U256,
    agent::{At, Collecting, EffectKey, Gain, Rate, Standing, gas_cost},
    filecoin_pay_deals::fee,
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use self::reasons::{Reason, Reasons};
use crate::{
    activity::Activity,
    health::Health,
    observe,
    store::{DueRail, Store, StoreError},
};

/// The most rails that one transaction pays: at most 90,000 gas each on Ethereum, and some 57 M on Filecoin, where a block takes 10 G.
const AT_ONCE: usize = 32;
/// The most transactions that are watched until they are final; further ones wait.
const MAX_WATCHED: usize = 64;
/// The most rails that are tried out for one block; others come with the next one.
const MAX_TRIED: usize = 64;
/// Where they are kept.
const COLLECTIONS: &str = "collections";
/// How long a rail is not looked at again, in seconds of the chain, when the chain's node did not answer, or knows more than the loop.
const SOON: u64 = 60;
/// The same when its gas costs too much, or more may come.
const LATER: u64 = 3_600;
/// How often the pause after a refusal is doubled: from a minute to a day.
const MAX_DOUBLINGS: u32 = 10;
/// The same of a rail that ends: to a quarter of an hour.
const CLOSING_DOUBLINGS: u32 = 4;
/// How often what is on its way is looked at where no blocks come.
const LOOK: Duration = Duration::from_secs(5);

/// A transaction that collects, and whose block is not final.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Collection {
    key: EffectKey,
    rails: Vec<U256>,
    /// Number of its block; `None`: it has not been in one.
    block: Option<u64>,
}

/// Why a rail is not looked at for a time.
#[derive(Clone, Copy, Debug)]
struct Pause {
    until: Time,
    /// What was due there. When that is more, it is looked at.
    due: U256,
    /// The end that the rail had. With another one there is another hurry.
    end: Option<u64>,
    refusals: u32,
}

/// In what the gas is reckoned that collecting takes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum GasIn {
    /// In the chain's coin, which orders are paid in.
    Paid,
    /// In the chain's coin, which is the market's asset.
    Asset,
    /// In the market's asset, so much for 10^6 units.
    Megagas(AttoFil),
    /// Nobody knows what it is worth.
    Unknown,
}

/// What it works with.
pub(crate) struct Parts {
    /// The node's name, for its log.
    pub(crate) name: String,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) store: Store,
    pub(crate) health: Arc<Health>,
    /// What the party is bound to send, for which gas is left.
    pub(crate) reserve: Arc<Mutex<Reserve>>,
    /// What the token of orders is worth.
    pub(crate) rate: Rate,
    pub(crate) gas_in: GasIn,
    /// How long what is due waits for more, in seconds.
    pub(crate) within: u64,
    pub(crate) reasons: Arc<Reasons>,
}

/// Collects for the node.
pub(crate) struct Collector {
    parts: Parts,
    paused: HashMap<U256, Pause>,
}

impl Collector {
    /// Takes up what an earlier process left.
    ///
    /// # Errors
    /// What is kept cannot be read.
    pub(crate) async fn of(parts: Parts) -> Result<Self, StoreError> {
        parts.store.meta::<Vec<Collection>>(COLLECTIONS).await?;
        Ok(Self { parts, paused: HashMap::new() })
    }

    /// Collects until the node is stopped.
    pub(crate) async fn run(mut self, mut activity: watch::Receiver<Activity>, stop: CancellationToken) {
        // What happened before the start is not known.
        let mut rewinds = None;
        loop {
            let now = *activity.borrow_and_update();
            let work = async {
                match now.head {
                    Some(head) => self.look(head, rewinds != Some(now.rewinds)).await,
                    // What is in place of blocks that were undone is being read.
                    None => Ok(false),
                }
            };
            let result = tokio::select! {
                result = work => result,
                () = stop.cancelled() => return,
            };
            let is_waiting = match result {
                Ok(is_waiting) => {
                    if now.head.is_some() {
                        rewinds = Some(now.rewinds);
                    }
                    is_waiting
                }
                Err(error) => {
                    observe::collecting_failed(&self.parts.name, &error);
                    true
                }
            };
            tokio::select! {
                changed = activity.changed() => if changed.is_err() { return },
                () = tokio::time::sleep(LOOK), if is_waiting => {}
                () = stop.cancelled() => return,
            }
        }
    }

    /// Looks at everything once, when this is the newest block. Says whether something is on its way.
    async fn look(&mut self, latest: Head, is_undone: bool) -> Result<bool, StoreError> {
        let finalized = self.parts.health.finalized();
        for collection in self.watched().await? {
            if is_undone || collection.block.is_none_or(|block| block <= finalized) {
                self.see_through(collection, latest, finalized).await?;
            }
        }
        let watched = self.watched().await?;
        // What these paid the loop has not read yet.
        let is_ahead = |collection: &&Collection| collection.block.is_none_or(|block| block > latest.block);
        let busy: Vec<U256> = watched.iter().filter(is_ahead).flat_map(|it| it.rails.iter().copied()).collect();
        let due = self.parts.store.due_rails().await?;
        self.paused.retain(|rail, _| due.iter().any(|due| due.rail == *rail));
        self.parts.reasons.retain(|rail| due.iter().any(|due| due.rail == rail));
        let at = At { block: latest.block, time: latest.time };
        let (mut now, mut later, mut paused, mut tried) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for due in due.iter().filter(|due| !busy.contains(&due.rail)) {
            match due.book.standing(at, finalized) {
                Standing::Clear | Standing::Young => {}
                Standing::Lost => self.say(due.rail, Reason::Ended),
                Standing::Ripe { is_closing } if self.is_paused(due, latest) => paused.push((due, is_closing)),
                Standing::Ripe { .. } if tried >= MAX_TRIED => {}
                Standing::Ripe { is_closing } => {
                    tried += 1;
                    match self.try_out(due, is_closing, latest).await {
                        Some(Collecting::Now) => now.push(*due),
                        Some(Collecting::ForMore) => later.push(*due),
                        Some(Collecting::TooDear(_)) | None => {}
                    }
                }
            }
        }
        if !now.is_empty() && self.parts.transport.collects_cheaper_together() {
            now.append(&mut later);
            paused.truncate(MAX_TRIED);
            for (due, is_closing) in paused {
                if self.parts.reasons.of(due.rail) == Some(Reason::ForMore)
                    && let Some(Collecting::Now | Collecting::ForMore) = self.try_out(due, is_closing, latest).await
                {
                    now.push(*due);
                }
            }
        }
        later.iter().for_each(|due| self.wait_for_more(due, latest));
        let room = MAX_WATCHED.saturating_sub(watched.len());
        for some in self.together(now).into_iter().take(room) {
            self.collect(some, latest).await?;
        }
        Ok(self.watched().await?.iter().any(|collection| collection.block.is_none()))
    }

    fn is_paused(&self, due: &DueRail, latest: Head) -> bool {
        self.paused
            .get(&due.rail)
            .is_some_and(|pause| pause.until > latest.time && pause.due >= due.book.due && pause.end == due.book.end)
    }

    /// What is paid in one transaction each: a rail that was refused before hinders no others.
    fn together(&self, rails: Vec<DueRail>) -> Vec<Vec<DueRail>> {
        let is_refused = |due: &DueRail| self.paused.get(&due.rail).is_some_and(|pause| pause.refusals > 0);
        let (alone, others): (Vec<DueRail>, Vec<DueRail>) = rails.into_iter().partition(is_refused);
        others.chunks(AT_ONCE).map(<[_]>::to_vec).chain(alone.into_iter().map(|due| vec![due])).collect()
    }

    /// Tries out what it would come to if what is due on a rail were collected; `None`: it is not to be had now.
    async fn try_out(&mut self, due: &DueRail, is_closing: bool, latest: Head) -> Option<Collecting> {
        let DueRail { rail, book, .. } = due;
        let (transport, alone) = (&self.parts.transport, [*rail]);
        let (state, gas, price) =
            tokio::join!(transport.rail(*rail), transport.gas_to_collect(&alone), transport.gas_price());
        let Ok(state) = state else {
            self.pause(due, latest.time, SOON);
            return None;
        };
        if state.is_wound_up || state.end.is_some_and(|end| end <= latest.block) {
            self.say(*rail, Reason::Ended);
            self.pause(due, latest.time, LATER);
            return None;
        }
        if state.due.is_zero() {
            // Somebody has it paid just now.
            self.pause(due, latest.time, SOON);
            return None;
        }
        let gas = match gas {
            Ok(gas) => gas,
            Err(SubmitError::Transport(_)) => {
                self.pause(due, latest.time, SOON);
                return None;
            }
            Err(error) => {
                self.refused(due, &error, latest.time);
                return None;
            }
        };
        let worth = match self.parts.gas_in {
            GasIn::Paid => AttoFil(state.due.saturating_sub(fee(state.due)).saturating_to()),
            _ => self.parts.rate.worth(state.due),
        };
        let gas = match (self.parts.gas_in, price) {
            (GasIn::Paid | GasIn::Asset, Err(_)) => {
                self.pause(due, latest.time, SOON);
                return None;
            }
            (GasIn::Paid | GasIn::Asset, Ok(price)) => Some(AttoFil(price.0.saturating_mul(gas.into()))),
            (GasIn::Megagas(per_megagas), _) => Some(gas_cost(per_megagas, gas)),
            _ => None,
        };
        let gain = gas.map(|gas| Gain { worth, gas });
        let verdict = book.collecting(is_closing, gain, self.parts.within, latest.time);
        if let Collecting::TooDear(gain) = verdict {
            self.say(*rail, Reason::TooDear(gain));
            self.pause(due, latest.time, LATER);
        }
        Some(verdict)
    }

    fn wait_for_more(&mut self, due: &DueRail, latest: Head) {
        self.parts.reasons.set(due.rail, Reason::ForMore);
        let waited = due.book.since.map_or(0, |since| latest.time.since(since.time));
        self.pause(due, latest.time, self.parts.within.saturating_sub(waited).min(LATER));
    }

    /// Sends a transaction that collects from these rails, and waits until it is in a block.
    async fn collect(&mut self, rails: Vec<DueRail>, latest: Head) -> Result<(), StoreError> {
        let key = EffectKey::named(&format!("collect/{}", hex::encode(rand::random::<[u8; 16]>())));
        let numbers: Vec<U256> = rails.iter().map(|due| due.rail).collect();
        let collection = Collection { key: key.clone(), rails: numbers.clone(), block: None };
        self.change(&key, Some(collection)).await?;
        observe::collecting(&self.parts.name, &key, &numbers);
        let reserve = *self.parts.reserve.lock().unwrap_or_else(PoisonError::into_inner);
        match self.parts.transport.collect(&key, &numbers, reserve).await {
            Ok(landed) => {
                let block = Some(landed.cursor.block);
                self.change(&key, Some(Collection { key: key.clone(), rails: numbers, block })).await
            }
            Err(error) if self.goes_on(&key, &error).await => {
                observe::collecting_waits(&self.parts.name, &key, &error);
                Ok(())
            }
            Err(error) => {
                rails.iter().for_each(|due| self.refused(due, &error, latest.time));
                self.change(&key, None).await
            }
        }
    }

    /// Sees to it that a transaction is in a block.
    async fn see_through(&mut self, collection: Collection, latest: Head, finalized: u64) -> Result<(), StoreError> {
        let Collection { key, rails, block } = &collection;
        if block.is_none() && !self.may_have_begun(key).await {
            // An earlier process ended before it was sent; what is due is looked at anew.
            return self.change(key, None).await;
        }
        match self.parts.transport.collect(key, rails, Reserve::default()).await {
            Ok(landed) => {
                let block = landed.cursor.block;
                let landed = (block > finalized).then(|| Collection { block: Some(block), ..collection.clone() });
                self.change(key, landed).await
            }
            // An older state may refuse what a newer one does not, until what it rests on is final.
            Err(error) if block.is_some_and(|block| block > finalized) || self.goes_on(key, &error).await => {
                observe::collecting_waits(&self.parts.name, key, &error);
                Ok(())
            }
            Err(error) => {
                let due = self.parts.store.due_rails().await?;
                due.iter().filter(|due| rails.contains(&due.rail)).for_each(|due| {
                    self.refused(due, &error, latest.time);
                });
                self.change(key, None).await
            }
        }
    }

    /// Whether what failed with this lands all the same, as soon as it can: it was signed already.
    async fn goes_on(&self, key: &EffectKey, error: &SubmitError) -> bool {
        matches!(error, SubmitError::Unaffordable { .. } | SubmitError::Transport(_)) && self.may_have_begun(key).await
    }

    /// Whether it may be on its way; what cannot be read may be.
    async fn may_have_begun(&self, key: &EffectKey) -> bool {
        self.parts.transport.was_begun(key).await.unwrap_or(true)
    }

    fn pause(&mut self, due: &DueRail, now: Time, seconds: u64) {
        let refusals = self.paused.get(&due.rail).map_or(0, |pause| pause.refusals);
        let (until, end) = (now.after(seconds), due.book.end);
        self.paused.insert(due.rail, Pause { until, due: due.book.due, end, refusals });
    }

    /// It is not to be had for this reason, perhaps later.
    fn refused(&mut self, due: &DueRail, error: &SubmitError, now: Time) {
        let refusals = self.paused.get(&due.rail).map_or(0, |pause| pause.refusals);
        self.say(due.rail, Reason::Refused(error.words(&self.parts.transport.asset())));
        if matches!(error, SubmitError::Unaffordable { .. }) {
            // The money that jobs need comes free again, and says nothing about the rail.
            return self.pause(due, now, SOON);
        }
        // Of a rail that ends there is not much time left.
        let most = if due.book.end.is_some() { CLOSING_DOUBLINGS } else { MAX_DOUBLINGS };
        let until = now.after(SOON << refusals.min(most));
        // More that is due changes nothing about it.
        let pause = Pause { until, due: U256::MAX, end: due.book.end, refusals: refusals.saturating_add(1) };
        self.paused.insert(due.rail, pause);
    }

    fn say(&self, rail: U256, reason: Reason) {
        let (is_lost, text) = (reason == Reason::Ended, reason.to_string());
        if self.parts.reasons.set(rail, reason) {
            observe::not_collected(&self.parts.name, rail, &text, is_lost);
        }
    }

    async fn watched(&self) -> Result<Vec<Collection>, StoreError> {
        Ok(self.parts.store.meta(COLLECTIONS).await?.unwrap_or_default())
    }

    /// The transaction under this key is this one now; `None`: it is watched no more. Nobody else writes them down.
    async fn change(&self, key: &EffectKey, now: Option<Collection>) -> Result<(), StoreError> {
        let mut watched = self.watched().await?;
        watched.retain(|collection| collection.key != *key);
        watched.extend(now);
        self.parts.store.set_meta(COLLECTIONS, &watched).await
    }
}

#[cfg(test)]
mod tests;
