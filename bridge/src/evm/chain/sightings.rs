//! Transactions that accounts wait for and a log of the same chain comes across: they need not be asked for.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lota_market::{Address, B256, Time};
use tokio::sync::watch;

use super::Log;

/// The most transactions that are looked out for; of more, the node is asked.
const MAX_WANTED: usize = 8_192;

/// A transaction that a log came across.
#[derive(Clone, Debug)]
pub(in crate::evm) struct Sighting {
    pub transaction: B256,
    pub block: u64,
    pub block_hash: B256,
    pub time: Time,
    /// Its logs, as far as they are followed, in order.
    pub logs: Vec<Log>,
    /// Contracts of which these are all logs.
    pub complete: Arc<[Address]>,
}

/// What is looked out for, and what was found of it.
#[derive(Debug)]
pub(in crate::evm) struct Sightings {
    wanted: Mutex<HashMap<B256, Option<Sighting>>>,
    found: watch::Sender<u64>,
}

impl Default for Sightings {
    fn default() -> Self {
        Self { wanted: Mutex::default(), found: watch::Sender::new(0) }
    }
}

impl Sightings {
    fn wanted(&self) -> MutexGuard<'_, HashMap<B256, Option<Sighting>>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks out for a transaction.
    pub(in crate::evm) fn want(&self, transaction: B256) {
        let mut wanted = self.wanted();
        if wanted.len() < MAX_WANTED {
            wanted.entry(transaction).or_default();
        }
    }

    /// Looks out for it no more.
    pub(in crate::evm) fn forget(&self, transaction: B256) {
        self.wanted().remove(&transaction);
    }

    /// Which of these are looked out for.
    pub(in crate::evm) fn wanted_of(&self, transactions: impl Iterator<Item = B256>) -> Vec<B256> {
        let wanted = self.wanted();
        if wanted.is_empty() {
            return Vec::new();
        }
        transactions.filter(|transaction| wanted.contains_key(transaction)).collect()
    }

    /// Says what transactions came to that are looked out for.
    pub(in crate::evm) fn found(&self, sighted: Vec<Sighting>) {
        if sighted.is_empty() {
            return;
        }
        let mut wanted = self.wanted();
        for sighting in sighted {
            if let Some(found) = wanted.get_mut(&sighting.transaction) {
                *found = Some(sighting);
            }
        }
        drop(wanted);
        self.found.send_modify(|count| *count += 1);
    }

    /// What a transaction came to, if a log came across it since it was asked last.
    pub(in crate::evm) fn take(&self, transaction: B256) -> Option<Sighting> {
        self.wanted().get_mut(&transaction)?.take()
    }

    /// Changes when something was found.
    pub(in crate::evm) fn news(&self) -> watch::Receiver<u64> {
        self.found.subscribe()
    }
}
