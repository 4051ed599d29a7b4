//! The chain's own money.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::{AttoFil, undo::UndoLog};

/// Who owns how much. An account without money has no entry, so that equal wallets are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Wallets {
    #[serde(with = "crate::map_as_pairs")]
    owned: BTreeMap<Address, AttoFil>,
    /// The sum of all. It bounds every wallet: no sum in here overflows.
    minted: AttoFil,
    #[serde(skip)]
    pub(super) undo: UndoLog<Change>,
}

/// What something was before it changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Change {
    Minted(AttoFil),
    Owned(Address, AttoFil),
}

/// More money than amounts can count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{amount} cannot be added to the {minted} that there are: all money must stay below 2^128 attoFIL")]
pub struct TooMuchMoney {
    /// What was to be added.
    pub amount: AttoFil,
    /// What there is.
    pub minted: AttoFil,
}

impl Wallets {
    pub(super) fn of(&self, account: Address) -> AttoFil {
        self.owned.get(&account).copied().unwrap_or_default()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Address, AttoFil)> + '_ {
        self.owned.iter().map(|(account, amount)| (*account, *amount))
    }

    pub(super) const fn minted(&self) -> AttoFil {
        self.minted
    }

    pub(super) fn mint(&mut self, account: Address, amount: AttoFil) -> Result<(), TooMuchMoney> {
        let minted = self.minted;
        self.minted = minted.checked_add(amount).ok_or(TooMuchMoney { amount, minted })?;
        self.undo.note(|| Change::Minted(minted));
        self.set(account, AttoFil(self.of(account).0.saturating_add(amount.0)));
        Ok(())
    }

    /// Moves money; or refuses, changes nothing, and says what is there.
    pub(super) fn transfer(&mut self, from: Address, to: Address, amount: AttoFil) -> Result<(), AttoFil> {
        if amount == AttoFil::ZERO {
            return Ok(());
        }
        let owned = self.of(from);
        let left = owned.checked_sub(amount).ok_or(owned)?;
        if from != to {
            self.set(from, left);
            self.set(to, AttoFil(self.of(to).0.saturating_add(amount.0)));
        }
        Ok(())
    }

    fn set(&mut self, account: Address, amount: AttoFil) {
        let before =
            if amount == AttoFil::ZERO { self.owned.remove(&account) } else { self.owned.insert(account, amount) };
        self.undo.note(|| Change::Owned(account, before.unwrap_or_default()));
    }

    pub(super) fn open_savepoint(&mut self) {
        self.undo.open_savepoint();
    }

    /// Undoes what has happened since the innermost savepoint.
    pub(super) fn roll_back(&mut self) {
        for change in self.undo.take_back() {
            match change {
                Change::Minted(minted) => self.minted = minted,
                Change::Owned(account, AttoFil::ZERO) => {
                    self.owned.remove(&account);
                }
                Change::Owned(account, amount) => {
                    self.owned.insert(account, amount);
                }
            }
        }
    }
}
