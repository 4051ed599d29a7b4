//! Which salts this node's orders get: numbers of a lane of its own.
//!
//! The market lets a lane's numbers run at most [`SALT_WINDOW`] ahead of its lowest free one, so that none may be lost for good: an
//! order that was never opened leaves its number to the next one. Who has which number is kept in the store. Several machines
//! with one key do not get into each other's way, each has its lane; lane 0 is left to tools that keep nothing.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use lota_bridge::Transport;
use lota_market::{
    Address, U256,
    model::{JobId, Lane, SALT_WINDOW, lane_of, salt},
};

use crate::store::{Store, StoreError};

/// Where the number of the lane is kept.
const LANE: &str = "salt_lane";

/// The salts of a node's orders.
#[derive(Debug)]
pub(crate) struct Salts {
    lane: Lane,
    /// Numbers of orders that are not in the store yet.
    on_their_way: Mutex<BTreeSet<u64>>,
}

/// A salt that no other order gets as long as this is held: until the order is stored, or given up.
#[derive(Debug)]
pub(crate) struct TakenSalt {
    salt: U256,
    number: u64,
    salts: Arc<Salts>,
}

impl Drop for TakenSalt {
    fn drop(&mut self) {
        self.salts.on_their_way().remove(&self.number);
    }
}

/// Why no salt can be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SaltError {
    #[error(
        "{SALT_WINDOW} jobs of this node are being opened already, and the market takes no more at once; try again when some of them are open"
    )]
    NoneFree,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Market(#[from] lota_bridge::TransportError),
}

impl Salts {
    /// Those of the lane that the store remembers; the first time it is drawn.
    pub(crate) async fn of(store: &Store) -> Result<Arc<Self>, StoreError> {
        let lane: u64 = match store.meta(LANE).await? {
            Some(lane) => lane,
            None => {
                let lane = rand::random::<u64>().max(1);
                store.set_meta(LANE, &lane).await?;
                lane
            }
        };
        Ok(Arc::new(Self { lane: Lane::from(lane), on_their_way: Mutex::default() }))
    }

    fn on_their_way(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.on_their_way.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the lowest salt that is free, and writes down that it is this job's: `id` is asked for the id of the job with a salt.
    pub(crate) async fn take(
        self: &Arc<Self>,
        store: &Store,
        transport: &dyn Transport,
        id: impl Fn(U256) -> JobId + Send + Sync,
    ) -> Result<TakenSalt, SaltError> {
        let party: Address = transport.party();
        let (_, first) = lane_of(transport.next_salt(party, self.lane).await?);
        // The highest number of a lane is never used.
        let end = first.saturating_add(SALT_WINDOW);
        let held = store.held_salts(first).await?;
        for number in (first..end).filter(|number| !held.contains(number)) {
            if !self.on_their_way().insert(number) {
                continue;
            }
            let taken = TakenSalt { salt: salt(self.lane, number), number, salts: Arc::clone(self) };
            // Another process may have spent it; the first one the market has just called free.
            if number != first && transport.is_spent(party, taken.salt).await? {
                continue;
            }
            if store.take_salt(number, id(taken.salt)).await? {
                return Ok(taken);
            }
        }
        Err(SaltError::NoneFree)
    }

    /// Whether a job's salt was left to another one, because the job had failed to open.
    pub(crate) async fn is_lost(&self, store: &Store, job: JobId, salt: U256) -> Result<bool, StoreError> {
        let (lane, number) = lane_of(salt);
        if lane != self.lane {
            return Ok(false);
        }
        Ok(store.salt_holder(number).await?.is_some_and(|holder| holder != job))
    }
}

impl TakenSalt {
    pub(crate) const fn salt(&self) -> U256 {
        self.salt
    }
}
