//! What an auction remembers: accounts, the auctions that run, sealed bids.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use super::Auction;
use crate::{
    AttoFil,
    model::{self, JobId},
    undo::UndoLog,
};

/// Everything it remembers. An account without money, an auction that ended and a bid that was revealed have no entry, so that
/// equal storages are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Storage {
    #[serde(with = "crate::map_as_pairs")]
    balances: BTreeMap<Address, AttoFil>,
    #[serde(with = "crate::map_as_pairs")]
    auctions: BTreeMap<JobId, Auction>,
    #[serde(with = "crate::map_as_pairs")]
    sealed: BTreeMap<(JobId, Address), Sealed>,
    pub(super) totals: Totals,
    #[serde(skip)]
    undo: UndoLog<Change>,
}

/// A bid that was committed to, and not revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Sealed {
    pub(super) order: u32,
    pub(super) commitment: B256,
}

/// Sums over the whole contract. `held` bounds the others from above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Totals {
    /// All that was brought and did not leave: accounts, collateral and burned deposits.
    pub(super) held: AttoFil,
    /// Collateral of the best two.
    pub(super) staked: AttoFil,
    pub(super) burned: AttoFil,
}

/// What something was before it changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Change {
    Balance(Address, AttoFil),
    Auction(JobId, Option<Auction>),
    Sealed(JobId, Address, Option<Sealed>),
    Totals(Totals),
}

impl Storage {
    pub(super) fn balance(&self, account: Address) -> AttoFil {
        self.balances.get(&account).copied().unwrap_or_default()
    }

    pub(super) fn balances(&self) -> impl Iterator<Item = (Address, AttoFil)> + '_ {
        self.balances.iter().map(|(account, balance)| (*account, *balance))
    }

    pub(super) fn credit(&mut self, account: Address, amount: AttoFil) {
        // `held` bounds the sum of all balances.
        self.set_balance(account, AttoFil(self.balance(account).0.saturating_add(amount.0)));
    }

    /// Takes `amount` from `account`, or refuses and changes nothing.
    pub(super) fn debit(&mut self, account: Address, amount: AttoFil) -> Result<(), model::Rejection> {
        let balance = self.balance(account);
        let left = balance.checked_sub(amount).ok_or(model::Rejection::InsufficientBalance {
            account,
            balance,
            needed: amount,
        })?;
        self.set_balance(account, left);
        Ok(())
    }

    fn set_balance(&mut self, account: Address, amount: AttoFil) {
        let before = if amount == AttoFil::ZERO {
            self.balances.remove(&account)
        } else {
            self.balances.insert(account, amount)
        };
        self.undo.note(|| Change::Balance(account, before.unwrap_or_default()));
    }

    pub(super) fn auction(&self, job: JobId) -> Auction {
        self.auctions.get(&job).copied().unwrap_or_default()
    }

    pub(super) fn auctions(&self) -> impl Iterator<Item = (JobId, Auction)> + '_ {
        self.auctions.iter().map(|(job, auction)| (*job, *auction))
    }

    /// Stores an auction; `None` forgets it.
    pub(super) fn set_auction(&mut self, job: JobId, auction: Option<Auction>) {
        let before = match auction {
            Some(auction) => self.auctions.insert(job, auction),
            None => self.auctions.remove(&job),
        };
        self.undo.note(|| Change::Auction(job, before));
    }

    pub(super) fn sealed(&self, job: JobId, bidder: Address) -> Option<Sealed> {
        self.sealed.get(&(job, bidder)).copied()
    }

    pub(super) fn all_sealed(&self) -> impl Iterator<Item = (JobId, Address, Sealed)> + '_ {
        self.sealed.iter().map(|((job, bidder), sealed)| (*job, *bidder, *sealed))
    }

    /// Stores a sealed bid; `None` forgets it.
    pub(super) fn set_sealed(&mut self, job: JobId, bidder: Address, sealed: Option<Sealed>) {
        let before = match sealed {
            Some(sealed) => self.sealed.insert((job, bidder), sealed),
            None => self.sealed.remove(&(job, bidder)),
        };
        self.undo.note(|| Change::Sealed(job, bidder, before));
    }

    pub(super) fn open_savepoint(&mut self) {
        let totals = self.totals;
        self.undo.open_savepoint();
        self.undo.note(|| Change::Totals(totals));
    }

    pub(super) fn keep(&mut self) {
        self.undo.keep();
    }

    /// Undoes the changes since the innermost savepoint.
    pub(super) fn roll_back(&mut self) {
        let Self { balances, auctions, sealed, totals, undo } = self;
        for change in undo.take_back() {
            match change {
                Change::Balance(account, AttoFil::ZERO) => drop(balances.remove(&account)),
                Change::Balance(account, amount) => drop(balances.insert(account, amount)),
                Change::Auction(job, Some(auction)) => drop(auctions.insert(job, auction)),
                Change::Auction(job, None) => drop(auctions.remove(&job)),
                Change::Sealed(job, bidder, Some(bid)) => drop(sealed.insert((job, bidder), bid)),
                Change::Sealed(job, bidder, None) => drop(sealed.remove(&(job, bidder))),
                Change::Totals(before) => *totals = before,
            }
        }
    }
}

impl Totals {
    pub(super) fn pay_in(&mut self, amount: AttoFil) {
        add(&mut self.held, amount);
    }

    pub(super) fn pay_out(&mut self, amount: AttoFil) {
        subtract(&mut self.held, amount);
    }

    pub(super) fn stake(&mut self, amount: AttoFil) {
        add(&mut self.staked, amount);
    }

    pub(super) fn unstake(&mut self, amount: AttoFil) {
        subtract(&mut self.staked, amount);
    }

    pub(super) fn burn(&mut self, amount: AttoFil) {
        add(&mut self.burned, amount);
    }

    pub(super) fn unburn(&mut self, amount: AttoFil) {
        subtract(&mut self.burned, amount);
    }
}

// Nothing is in the other totals that is not in `held`, and nothing is taken out that was not put in: saturation never happens.
fn add(total: &mut AttoFil, amount: AttoFil) {
    debug_assert!(total.checked_add(amount).is_some(), "a total overflows");
    total.0 = total.0.saturating_add(amount.0);
}

fn subtract(total: &mut AttoFil, amount: AttoFil) {
    debug_assert!(*total >= amount, "more is taken out than was put in");
    *total = total.saturating_sub(amount);
}
