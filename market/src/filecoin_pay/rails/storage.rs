//! What a contract with rails remembers of them: the rail of each pair, and what is promised on each rail.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use crate::undo::UndoLog;

/// What is promised on a rail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Promised {
    /// What must stay in the rail's fixed lockup.
    pub needed: u128,
    /// How much of that is to be paid.
    pub due: u128,
}

/// A rail on which nothing is promised has no entry, so that equal storages are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Storage {
    /// By payer and payee.
    #[serde(with = "crate::map_as_pairs")]
    rail_of: BTreeMap<(Address, Address), U256>,
    #[serde(with = "crate::map_as_pairs")]
    promised: BTreeMap<U256, Promised>,
    #[serde(skip)]
    undo: UndoLog<Change>,
}

/// What something was before it changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Change {
    RailOf((Address, Address), Option<U256>),
    Promised(U256, Promised),
}

impl Storage {
    pub(super) fn rail_of(&self, payer: Address, payee: Address) -> Option<U256> {
        self.rail_of.get(&(payer, payee)).copied()
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (Address, Address, U256)> + '_ {
        self.rail_of.iter().map(|((payer, payee), rail)| (*payer, *payee, *rail))
    }

    pub(super) fn set_rail_of(&mut self, payer: Address, payee: Address, rail: Option<U256>) {
        let before = set(&mut self.rail_of, (payer, payee), rail);
        self.undo.note(|| Change::RailOf((payer, payee), before));
    }

    pub(super) fn promised(&self, rail: U256) -> Promised {
        self.promised.get(&rail).copied().unwrap_or_default()
    }

    pub(super) fn all_promised(&self) -> impl Iterator<Item = (U256, Promised)> + '_ {
        self.promised.iter().map(|(rail, promised)| (*rail, *promised))
    }

    pub(super) fn set_promised(&mut self, rail: U256, promised: Promised) {
        let before = set(&mut self.promised, rail, Some(promised).filter(|promised| *promised != Promised::default()));
        self.undo.note(|| Change::Promised(rail, before.unwrap_or_default()));
    }

    pub(super) fn open_savepoint(&mut self) {
        self.undo.open_savepoint();
    }

    pub(super) fn keep(&mut self) {
        self.undo.keep();
    }

    /// Undoes the changes since the innermost savepoint.
    pub(super) fn roll_back(&mut self) {
        let Self { rail_of, promised, undo } = self;
        for change in undo.take_back() {
            match change {
                Change::RailOf(pair, before) => drop(set(rail_of, pair, before)),
                Change::Promised(rail, before) => {
                    set(promised, rail, Some(before).filter(|promised| *promised != Promised::default()));
                }
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
