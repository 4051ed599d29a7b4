//! What Filecoin Pay remembers: accounts, approvals, rails.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::{Account, Approval, RailView};
use crate::undo::UndoLog;

/// Everything it remembers. What is all zeros has no entry, so that equal storages are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Storage {
    /// By token and owner.
    #[serde(with = "crate::map_as_pairs")]
    accounts: BTreeMap<(Address, Address), Account>,
    /// By token, client and operator.
    #[serde(with = "crate::map_as_pairs")]
    approvals: BTreeMap<(Address, Address, Address), Approval>,
    #[serde(with = "crate::map_as_pairs")]
    rails: BTreeMap<U256, RailView>,
    /// How many rails there ever were.
    count: u64,
    #[serde(skip)]
    undo: UndoLog<Change>,
}

/// What something was before it changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Change {
    Account((Address, Address), Account),
    Approval((Address, Address, Address), Approval),
    Rail(U256, Option<RailView>),
    Count(u64),
}

impl Storage {
    pub(super) fn account(&self, token: Address, owner: Address) -> Account {
        self.accounts.get(&(token, owner)).copied().unwrap_or_default()
    }

    pub(super) fn accounts(&self) -> impl Iterator<Item = (Address, Address, Account)> + '_ {
        self.accounts.iter().map(|((token, owner), account)| (*token, *owner, *account))
    }

    pub(super) fn set_account(&mut self, token: Address, owner: Address, account: Account) {
        let before = put(&mut self.accounts, (token, owner), account);
        self.undo.note(|| Change::Account((token, owner), before));
    }

    pub(super) fn approval(&self, token: Address, client: Address, operator: Address) -> Approval {
        self.approvals.get(&(token, client, operator)).copied().unwrap_or_default()
    }

    pub(super) fn approvals(&self) -> impl Iterator<Item = (Address, Approval)> + '_ {
        self.approvals.iter().map(|((_, client, _), approval)| (*client, *approval))
    }

    pub(super) fn set_approval(&mut self, token: Address, client: Address, operator: Address, approval: Approval) {
        let key = (token, client, operator);
        let before = put(&mut self.approvals, key, approval);
        self.undo.note(|| Change::Approval(key, before));
    }

    pub(super) fn rail(&self, id: U256) -> Option<RailView> {
        self.rails.get(&id).copied()
    }

    pub(super) fn rails(&self) -> impl Iterator<Item = (U256, &RailView)> + '_ {
        self.rails.iter().map(|(id, rail)| (*id, rail))
    }

    /// Stores a rail; `None` forgets it.
    pub(super) fn set_rail(&mut self, id: U256, rail: Option<RailView>) {
        let before = match rail {
            Some(rail) => self.rails.insert(id, rail),
            None => self.rails.remove(&id),
        };
        self.undo.note(|| Change::Rail(id, before));
    }

    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// The id of the next rail, from 1.
    pub(super) fn next_id(&mut self) -> U256 {
        let before = self.count;
        self.undo.note(|| Change::Count(before));
        // Nobody makes 2^64 rails.
        self.count = before.saturating_add(1);
        U256::from(self.count)
    }

    pub(super) fn open_savepoint(&mut self) {
        self.undo.open_savepoint();
    }

    pub(super) fn keep(&mut self) {
        self.undo.keep();
    }

    /// Undoes the changes since the innermost savepoint.
    pub(super) fn roll_back(&mut self) {
        let Self { accounts, approvals, rails, count, undo } = self;
        for change in undo.take_back() {
            match change {
                Change::Account(key, account) => {
                    put(accounts, key, account);
                }
                Change::Approval(key, approval) => {
                    put(approvals, key, approval);
                }
                Change::Rail(id, Some(rail)) => drop(rails.insert(id, rail)),
                Change::Rail(id, None) => drop(rails.remove(&id)),
                Change::Count(before) => *count = before,
            }
        }
    }
}

/// Stores a value, or, if it is all zeros, forgets it; returns what was there.
fn put<K: Ord, V: Default + PartialEq>(map: &mut BTreeMap<K, V>, key: K, value: V) -> V {
    let before = if value == V::default() { map.remove(&key) } else { map.insert(key, value) };
    before.unwrap_or_default()
}
