//! Transactions that senders wait for and the reader of the same market comes across: they need not be asked for.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use lota_market::B256;
use tokio::sync::watch;

use crate::transport::Landed;

/// The most transactions that are looked out for; of more, the node is asked.
const MAX_WANTED: usize = 8_192;

/// What is looked out for, and what was found of it.
#[derive(Debug)]
pub(super) struct Sightings {
    wanted: Mutex<HashMap<B256, Option<Landed>>>,
    found: watch::Sender<u64>,
}

impl Default for Sightings {
    fn default() -> Self {
        Self { wanted: Mutex::default(), found: watch::Sender::new(0) }
    }
}

impl Sightings {
    fn wanted(&self) -> MutexGuard<'_, HashMap<B256, Option<Landed>>> {
        self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks out for a transaction.
    pub(super) fn want(&self, transaction: B256) {
        let mut wanted = self.wanted();
        if wanted.len() < MAX_WANTED {
            wanted.entry(transaction).or_default();
        }
    }

    /// Looks out for it no more.
    pub(super) fn forget(&self, transaction: B256) {
        self.wanted().remove(&transaction);
    }

    /// Which of these are looked out for.
    pub(super) fn wanted_of(&self, transactions: impl Iterator<Item = B256>) -> Vec<B256> {
        let wanted = self.wanted();
        if wanted.is_empty() {
            return Vec::new();
        }
        transactions.filter(|transaction| wanted.contains_key(transaction)).collect()
    }

    /// Says what transactions came to that are looked out for.
    pub(super) fn found(&self, landed: Vec<Landed>) {
        if landed.is_empty() {
            return;
        }
        let mut wanted = self.wanted();
        for landed in landed {
            if let Some(found) = wanted.get_mut(&landed.transaction) {
                *found = Some(landed);
            }
        }
        drop(wanted);
        self.found.send_modify(|count| *count += 1);
    }

    /// What a transaction came to, if the reader came across it since it was asked last.
    pub(super) fn take(&self, transaction: B256) -> Option<Landed> {
        self.wanted().get_mut(&transaction)?.take()
    }

    /// Changes when something was found.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.found.subscribe()
    }
}
