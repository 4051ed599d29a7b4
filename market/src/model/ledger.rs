//! The market's books: free balances, what is held for whom, spent salts, and the journal that takes a step back.

use core::mem;
use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::{JobId, Rejection, stage::Stage};
use crate::money::AttoFil;

/// Everything the market remembers. An account without money and a deal that does not exist have no entry, so that equal
/// books are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Ledger {
    #[serde(with = "super::pairs")]
    pub(super) deals: BTreeMap<JobId, Stage>,
    #[serde(with = "super::pairs")]
    balances: BTreeMap<Address, AttoFil>,
    #[serde(with = "super::pairs")]
    salts: BTreeMap<SaltWord, U256>,
    pub(super) totals: Totals,
    /// What to undo; `Some` only while a multicall runs, hence never part of a state that anyone sees.
    #[serde(skip)]
    journal: Option<Journal>,
}

/// Sums over the whole market.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Totals {
    /// All that was paid in and did not leave: free balances, escrow, collateral and burned money.
    pub(super) held: AttoFil,
    pub(super) escrowed: AttoFil,
    pub(super) collateral: AttoFil,
    pub(super) burned: AttoFil,
}

/// 256 neighbouring salts of a client, as the contract packs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct SaltWord {
    client: Address,
    index: U256,
}

impl SaltWord {
    /// The word of a salt, and the salt's bit in it.
    fn of(client: Address, salt: U256) -> (Self, U256) {
        let bit = usize::from(salt.to_le_bytes::<32>()[0]);
        (Self { client, index: salt >> 8 }, U256::ONE << bit)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Journal {
    totals: Totals,
    changes: Vec<Change>,
}

/// The value of one entry before it was changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Change {
    Deal(JobId, Option<Stage>),
    Balance(Address, AttoFil),
    Salts(SaltWord, U256),
}

impl Ledger {
    // Money -----------------------------------------------------------------------------------------------------------

    pub(super) fn balance(&self, account: Address) -> AttoFil {
        self.balances.get(&account).copied().unwrap_or_default()
    }

    pub(super) fn balances(&self) -> impl Iterator<Item = (Address, AttoFil)> + '_ {
        self.balances.iter().map(|(account, balance)| (*account, *balance))
    }

    /// Refuses when `account` has less than `needed`.
    pub(super) fn require(&self, account: Address, needed: AttoFil) -> Result<AttoFil, Rejection> {
        let balance = self.balance(account);
        if balance < needed {
            return Err(Rejection::InsufficientBalance { account, balance, needed });
        }
        Ok(balance)
    }

    /// Refuses money that cannot exist: no sum in the books exceeds `held`, so that none can overflow.
    pub(super) fn require_room(&self, sender: Address, value: AttoFil) -> Result<(), Rejection> {
        let room = AttoFil(u128::MAX - self.totals.held.0);
        if value > room {
            return Err(Rejection::InsufficientBalance { account: sender, balance: room, needed: value });
        }
        Ok(())
    }

    pub(super) fn credit(&mut self, account: Address, amount: AttoFil) {
        if amount == AttoFil::ZERO {
            return;
        }
        let balance = self.balances.entry(account).or_default();
        if let Some(journal) = &mut self.journal {
            journal.changes.push(Change::Balance(account, *balance));
        }
        balance.0 = balance.0.saturating_add(amount.0);
    }

    /// Takes `amount` from `account`, or refuses and changes nothing.
    pub(super) fn debit(&mut self, account: Address, amount: AttoFil) -> Result<(), Rejection> {
        if amount == AttoFil::ZERO {
            return Ok(());
        }
        let balance = self.balances.get_mut(&account);
        let before = balance.as_ref().map_or(AttoFil::ZERO, |balance| **balance);
        let Some(after) = before.checked_sub(amount) else {
            return Err(Rejection::InsufficientBalance { account, balance: before, needed: amount });
        };
        if let Some(journal) = &mut self.journal {
            journal.changes.push(Change::Balance(account, before));
        }
        match balance {
            Some(balance) if after != AttoFil::ZERO => *balance = after,
            _ => {
                self.balances.remove(&account);
            }
        }
        Ok(())
    }

    /// Credits `refund` to `client`, then takes `stake` from `staker`, who may be the same; or refuses and changes nothing.
    pub(super) fn refund_and_stake(
        &mut self,
        client: Address,
        refund: AttoFil,
        staker: Address,
        stake: AttoFil,
    ) -> Result<(), Rejection> {
        if client != staker {
            self.debit(staker, stake)?;
            self.credit(client, refund);
            return Ok(());
        }
        let refunded = AttoFil(self.balance(client).0.saturating_add(refund.0));
        if refunded < stake {
            return Err(Rejection::InsufficientBalance { account: staker, balance: refunded, needed: stake });
        }
        self.credit(client, refund);
        self.debit(staker, stake)
    }

    // Salts -----------------------------------------------------------------------------------------------------------

    pub(super) fn is_spent(&self, client: Address, salt: U256) -> bool {
        let (word, bit) = SaltWord::of(client, salt);
        self.salts.get(&word).is_some_and(|bits| !(*bits & bit).is_zero())
    }

    pub(super) fn spend(&mut self, client: Address, salt: U256) {
        let (word, bit) = SaltWord::of(client, salt);
        let bits = self.salts.entry(word).or_default();
        if let Some(journal) = &mut self.journal {
            journal.changes.push(Change::Salts(word, *bits));
        }
        *bits |= bit;
    }

    // Deals -----------------------------------------------------------------------------------------------------------

    /// The stage of a deal, or that there is none.
    pub(super) fn stage(&self, job: JobId) -> Result<&Stage, Rejection> {
        self.deals.get(&job).ok_or(Rejection::UnknownJob(job))
    }

    /// Enters a deal that did not exist.
    pub(super) fn enter(&mut self, job: JobId, stage: Stage) {
        let before = self.deals.insert(job, stage);
        if let Some(journal) = &mut self.journal {
            journal.changes.push(Change::Deal(job, before));
        }
    }

    /// Moves a deal on to its next stage.
    pub(super) fn advance(&mut self, job: JobId, next: impl FnOnce(Stage) -> Stage) {
        let Some(stage) = self.deals.get_mut(&job) else { return };
        if let Some(journal) = &mut self.journal {
            journal.changes.push(Change::Deal(job, Some(stage.clone())));
        }
        *stage = next(mem::replace(stage, Stage::Open));
    }

    // Steps back ------------------------------------------------------------------------------------------------------

    /// From here on changes can be undone.
    pub(super) fn begin(&mut self) {
        self.journal = Some(Journal { totals: self.totals, changes: Vec::new() });
    }

    /// Keeps the changes since [`Ledger::begin`].
    pub(super) fn commit(&mut self) {
        self.journal = None;
    }

    /// Undoes the changes since [`Ledger::begin`].
    pub(super) fn roll_back(&mut self) {
        let Some(journal) = self.journal.take() else { return };
        self.totals = journal.totals;
        for change in journal.changes.into_iter().rev() {
            match change {
                Change::Deal(job, Some(stage)) => {
                    self.deals.insert(job, stage);
                }
                Change::Deal(job, None) => {
                    self.deals.remove(&job);
                }
                Change::Balance(account, AttoFil::ZERO) => {
                    self.balances.remove(&account);
                }
                Change::Balance(account, balance) => {
                    self.balances.insert(account, balance);
                }
                Change::Salts(word, U256::ZERO) => {
                    self.salts.remove(&word);
                }
                Change::Salts(word, bits) => {
                    self.salts.insert(word, bits);
                }
            }
        }
    }
}

impl Totals {
    /// Money comes in.
    pub(super) fn pay_in(&mut self, value: AttoFil) {
        add(&mut self.held, value);
    }

    /// Money leaves.
    pub(super) fn pay_out(&mut self, amount: AttoFil) {
        subtract(&mut self.held, amount);
    }

    /// An escrow of `price` and a `collateral` are held for a running deal.
    pub(super) fn hold(&mut self, price: AttoFil, collateral: AttoFil) {
        add(&mut self.escrowed, price);
        add(&mut self.collateral, collateral);
    }

    /// They are held no longer.
    pub(super) fn release(&mut self, price: AttoFil, collateral: AttoFil) {
        subtract(&mut self.escrowed, price);
        subtract(&mut self.collateral, collateral);
    }

    /// Money is burned.
    pub(super) fn burn(&mut self, amount: AttoFil) {
        add(&mut self.burned, amount);
    }
}

// `held` bounds every sum from above (see `require_room`), and what is released was held: saturation never happens.
fn add(total: &mut AttoFil, amount: AttoFil) {
    debug_assert!(total.checked_add(amount).is_some(), "a total overflows");
    total.0 = total.0.saturating_add(amount.0);
}

fn subtract(total: &mut AttoFil, amount: AttoFil) {
    debug_assert!(*total >= amount, "more is released than was held");
    *total = total.saturating_sub(amount);
}
