//! The market's storage: deals, free balances, what is held for whom, spent salts.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::{JobId, Rejection, Terms, escrow::Escrow, market::Checked, state::DealState};
use crate::{money::AttoFil, undo::UndoLog};

/// Everything the market remembers. An account without money and a deal that does not exist have no entry, so that equal
/// storages are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Storage {
    #[serde(with = "crate::map_as_pairs")]
    pub(super) deals: BTreeMap<JobId, DealState>,
    pub(super) books: Books,
    #[serde(with = "crate::map_as_pairs")]
    salts: BTreeMap<SaltWord, U256>,
    #[serde(skip)]
    pub(super) undo: Undo,
}

pub(super) type Undo = UndoLog<Change>;

/// Who has how much.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Books {
    #[serde(with = "crate::map_as_pairs")]
    balances: BTreeMap<Address, AttoFil>,
    pub(super) totals: Totals,
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

/// 256 neighbouring salts of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct SaltWord {
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

/// The value of one entry before it was changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Change {
    Totals(Totals),
    Deal(JobId, Option<DealState>),
    Balance(Address, AttoFil),
    Salts(SaltWord, U256),
}

impl Storage {
    /// A deal, to check and to move on.
    pub(super) fn deal<'l>(&'l mut self, job: JobId, terms: &'l Terms) -> Result<Escrow<'l>, Rejection> {
        let Self { deals, books, undo, .. } = self;
        let state = deals.get_mut(&job).ok_or(Rejection::UnknownJob(job))?;
        Ok(Escrow { job, terms, state, books, undo })
    }

    /// Enters a deal that did not exist.
    pub(super) fn enter(&mut self, job: JobId, state: DealState) {
        let before = self.deals.insert(job, state);
        self.undo.note(|| Change::Deal(job, before));
    }

    pub(super) fn is_spent(&self, client: Address, salt: U256) -> bool {
        let (word, bit) = SaltWord::of(client, salt);
        self.salts.get(&word).is_some_and(|bits| !(*bits & bit).is_zero())
    }

    pub(super) fn spend(&mut self, client: Address, salt: U256) {
        let (word, bit) = SaltWord::of(client, salt);
        let bits = self.salts.entry(word).or_default();
        self.undo.note(|| Change::Salts(word, *bits));
        *bits |= bit;
    }

    pub(super) fn credit(&mut self, account: Address, amount: AttoFil) {
        self.books.credit(account, amount, &mut self.undo);
    }

    /// Takes `amount` from `account`, or refuses and changes nothing.
    pub(super) fn debit(&mut self, account: Address, amount: AttoFil) -> Checked {
        self.books.debit(account, amount, &mut self.undo)
    }

    /// From here on changes can be undone, until the savepoint is closed by one of the next two.
    pub(super) fn open_savepoint(&mut self) {
        let totals = self.books.totals;
        self.undo.open_savepoint();
        self.undo.note(|| Change::Totals(totals));
    }

    /// Keeps the changes since the innermost savepoint.
    pub(super) fn keep(&mut self) {
        self.undo.keep();
    }

    /// Undoes the changes since the innermost savepoint.
    pub(super) fn roll_back(&mut self) {
        let Self { deals, books, salts, undo } = self;
        for change in undo.take_back() {
            match change {
                Change::Totals(totals) => books.totals = totals,
                Change::Deal(job, Some(state)) => {
                    deals.insert(job, state);
                }
                Change::Deal(job, None) => {
                    deals.remove(&job);
                }
                Change::Balance(account, AttoFil::ZERO) => {
                    books.balances.remove(&account);
                }
                Change::Balance(account, balance) => {
                    books.balances.insert(account, balance);
                }
                Change::Salts(word, U256::ZERO) => {
                    salts.remove(&word);
                }
                Change::Salts(word, bits) => {
                    salts.insert(word, bits);
                }
            }
        }
    }
}

impl Books {
    pub(super) fn balance(&self, account: Address) -> AttoFil {
        self.balances.get(&account).copied().unwrap_or_default()
    }

    pub(super) fn balances(&self) -> impl Iterator<Item = (Address, AttoFil)> + '_ {
        self.balances.iter().map(|(account, balance)| (*account, *balance))
    }

    /// Refuses when `account` has less than `needed`; says how much it has.
    pub(super) fn require(&self, account: Address, needed: AttoFil) -> Result<AttoFil, Rejection> {
        let balance = self.balance(account);
        if balance < needed {
            return Err(Rejection::InsufficientBalance { account, balance, needed });
        }
        Ok(balance)
    }

    /// Refuses money that cannot exist: no sum in the books exceeds `held`, so that none can overflow.
    pub(super) fn require_room(&self, sender: Address, value: AttoFil) -> Checked {
        let room = AttoFil(u128::MAX - self.totals.held.0);
        if value > room {
            return Err(Rejection::InsufficientBalance { account: sender, balance: room, needed: value });
        }
        Ok(())
    }

    pub(super) fn credit(&mut self, account: Address, amount: AttoFil, undo: &mut Undo) {
        if amount == AttoFil::ZERO {
            return;
        }
        let balance = self.balances.entry(account).or_default();
        undo.note(|| Change::Balance(account, *balance));
        add(balance, amount);
    }

    /// Takes `amount` from `account`, or refuses and changes nothing.
    pub(super) fn debit(&mut self, account: Address, amount: AttoFil, undo: &mut Undo) -> Checked {
        if amount == AttoFil::ZERO {
            return Ok(());
        }
        let balance = self.balances.get_mut(&account);
        let before = balance.as_ref().map_or(AttoFil::ZERO, |balance| **balance);
        let Some(after) = before.checked_sub(amount) else {
            return Err(Rejection::InsufficientBalance { account, balance: before, needed: amount });
        };
        undo.note(|| Change::Balance(account, before));
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
        undo: &mut Undo,
    ) -> Checked {
        if client != staker {
            self.debit(staker, stake, undo)?;
            self.credit(client, refund, undo);
            return Ok(());
        }
        let refunded = AttoFil(self.balance(client).0.saturating_add(refund.0));
        if refunded < stake {
            return Err(Rejection::InsufficientBalance { account: staker, balance: refunded, needed: stake });
        }
        self.credit(client, refund, undo);
        self.debit(staker, stake, undo)
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
