//! What the contract remembers: open orders, deals under way, refunds.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::Order;
use crate::{AttoFil, model::JobId, undo::UndoLog};

/// Everything it remembers beside its rails. An order that was taken and a deal that has ended have no entry, so that equal storages
/// are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Storage {
    #[serde(with = "crate::map_as_pairs")]
    open: BTreeMap<JobId, OpenOrder>,
    #[serde(with = "crate::map_as_pairs")]
    taken: BTreeMap<JobId, Deal>,
    /// Halves of the collateral of those who were slashed, by payer.
    #[serde(with = "crate::map_as_pairs")]
    owed: BTreeMap<Address, AttoFil>,
    #[serde(skip)]
    undo: UndoLog<Change>,
}

/// What an order has beside its job's terms. The contract keeps a digest of it and the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OpenOrder {
    pub payer: Address,
    pub provider: Address,
    pub min_price: U256,
    pub max_price: U256,
}

impl OpenOrder {
    pub(super) const fn of(order: &Order) -> Self {
        let Order { payer, provider, min_price, max_price, .. } = *order;
        Self { payer, provider, min_price, max_price }
    }
}

/// A job that a provider has taken and that has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Deal {
    pub payer: Address,
    /// What the provider staked, in the market's asset.
    pub collateral: AttoFil,
    /// Locked on the rail, in its token's smallest unit.
    pub price: u128,
    pub rail: U256,
}

/// What something was before it changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Change {
    Open(JobId, Option<OpenOrder>),
    Taken(JobId, Option<Deal>),
    Owed(Address, Option<AttoFil>),
}

impl Storage {
    pub(super) fn open_order(&self, job: JobId) -> Option<OpenOrder> {
        self.open.get(&job).copied()
    }

    pub(super) fn open_orders(&self) -> impl Iterator<Item = (JobId, OpenOrder)> + '_ {
        self.open.iter().map(|(job, order)| (*job, *order))
    }

    /// Stores an open order; `None` forgets it.
    pub(super) fn set_open(&mut self, job: JobId, order: Option<OpenOrder>) {
        let before = set(&mut self.open, job, order);
        self.undo.note(|| Change::Open(job, before));
    }

    pub(super) fn deal(&self, job: JobId) -> Option<Deal> {
        self.taken.get(&job).copied()
    }

    pub(super) fn deals(&self) -> impl Iterator<Item = (JobId, Deal)> + '_ {
        self.taken.iter().map(|(job, deal)| (*job, *deal))
    }

    /// Stores a deal; `None` forgets it.
    pub(super) fn set_deal(&mut self, job: JobId, deal: Option<Deal>) {
        let before = set(&mut self.taken, job, deal);
        self.undo.note(|| Change::Taken(job, before));
    }

    pub(super) fn owed(&self, payer: Address) -> AttoFil {
        self.owed.get(&payer).copied().unwrap_or_default()
    }

    pub(super) fn all_owed(&self) -> impl Iterator<Item = (Address, AttoFil)> + '_ {
        self.owed.iter().map(|(payer, amount)| (*payer, *amount))
    }

    pub(super) fn set_owed(&mut self, payer: Address, amount: AttoFil) {
        let before = set(&mut self.owed, payer, Some(amount).filter(|amount| *amount != AttoFil::ZERO));
        self.undo.note(|| Change::Owed(payer, before));
    }

    pub(super) fn open_savepoint(&mut self) {
        self.undo.open_savepoint();
    }

    pub(super) fn keep(&mut self) {
        self.undo.keep();
    }

    /// Undoes the changes since the innermost savepoint.
    pub(super) fn roll_back(&mut self) {
        let Self { open, taken, owed, undo } = self;
        for change in undo.take_back() {
            match change {
                Change::Open(job, before) => drop(set(open, job, before)),
                Change::Taken(job, before) => drop(set(taken, job, before)),
                Change::Owed(payer, before) => drop(set(owed, payer, before)),
            }
        }
    }
}

fn set<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    }
}
