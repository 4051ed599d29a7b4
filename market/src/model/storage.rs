//! The market's storage: deals that have not ended, accounts, what is held for whom, lanes of salts.

use std::{
    collections::{BTreeMap, hash_map::Entry},
    hash::{BuildHasherDefault, DefaultHasher},
};

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::{
    JobId, Lane, Rejection, Terms,
    escrow::Escrow,
    lane_of,
    market::Checked,
    salts::{self, Window},
    state::DealState,
};
use crate::{
    lookup_map::{DigestHasher, LookupMap},
    money::AttoFil,
    undo::UndoLog,
};

/// Everything the market remembers. An account that was never used and a deal of which nothing is kept have no entry, so that
/// equal storages are equal values.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Storage {
    pub(super) deals: LookupMap<JobId, DealState, BuildHasherDefault<DigestHasher>>,
    pub(super) books: Books,
    /// The lanes other than 0 that were used.
    #[serde(with = "crate::map_as_pairs")]
    lanes: Lanes,
    #[serde(skip)]
    pub(super) undo: Undo,
}

type Lanes = BTreeMap<(Address, Lane), Window>;

pub(super) type Undo = UndoLog<Change>;

/// Who has how much, and what was spent in lane 0.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Books {
    /// Anybody may pay in for any address, so somebody may look for addresses that get into each other's way. Their hash is SipHash
    /// with a key that everybody knows: to have n accounts searched for from the same of m places takes n * m hashes. 100,000 in a map
    /// that they fill take ten minutes on a core, each costs a command, and one of them is then found after 100,000 / 16
    /// steps, some 10 microseconds: less than a deposit that is to be durable.
    accounts: LookupMap<Address, Account, BuildHasherDefault<DefaultHasher>>,
    pub(super) totals: Totals,
}

/// One slot of the contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Account {
    balance: AttoFil,
    /// Of lane 0.
    salts: Window,
}

impl Account {
    const UNUSED: Self = Self { balance: AttoFil::ZERO, salts: Window::UNUSED };
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

/// The value of one entry before it was changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Change {
    Totals(Totals),
    Deal(JobId, Option<DealState>),
    Account(Address, Account),
    Lane(Address, Lane, Window),
}

impl Storage {
    /// A deal, to check and to move on.
    pub(super) fn deal<'l, 'c>(&'l mut self, job: JobId, terms: &'c Terms) -> Result<Escrow<'l, 'c>, Rejection> {
        let Self { deals, books, lanes, undo } = self;
        match deals.entry(job) {
            Entry::Occupied(entry) => Ok(Escrow { job, terms, entry, books, undo }),
            Entry::Vacant(_) => {
                let Terms { client, salt, .. } = *terms;
                let (lane, number) = lane_of(salt);
                let is_spent = window(books, lanes, client, lane).is_spent(number);
                Err(if is_spent { Rejection::SaltSpent { client, salt } } else { Rejection::UnknownJob(job) })
            }
        }
    }

    /// Enters a deal that did not exist.
    pub(super) fn enter(&mut self, job: JobId, state: DealState) {
        let before = self.deals.insert(job, state);
        self.undo.note(|| Change::Deal(job, before));
    }

    fn window(&self, client: Address, lane: Lane) -> Window {
        window(&self.books, &self.lanes, client, lane)
    }

    pub(super) fn is_spent(&self, client: Address, salt: U256) -> bool {
        let (lane, number) = lane_of(salt);
        self.window(client, lane).is_spent(number)
    }

    pub(super) fn next_salt(&self, client: Address, lane: Lane) -> U256 {
        salts::salt(lane, self.window(client, lane).next)
    }

    /// Refuses a salt that cannot be spent.
    pub(super) fn check_salt(&self, client: Address, salt: U256) -> Checked {
        self.window(client, lane_of(salt).0).check(client, salt)
    }

    /// Spends a salt that passed the [check](Self::check_salt).
    pub(super) fn spend(&mut self, client: Address, salt: U256) {
        let (lane, number) = lane_of(salt);
        self.move_window(client, lane, |window| window.with_spent(number));
    }

    /// Spends all salts of a lane with numbers below `up_to`.
    pub(super) fn revoke(&mut self, client: Address, lane: Lane, up_to: u64) {
        self.move_window(client, lane, |window| window.revoked(up_to));
    }

    fn move_window(&mut self, client: Address, lane: Lane, moved: impl FnOnce(Window) -> Window) {
        if lane.is_zero() {
            self.books.change(client, &mut self.undo, |account| account.salts = moved(account.salts));
            return;
        }
        let before = self.lanes.get(&(client, lane)).copied().unwrap_or_default();
        let after = moved(before);
        if after != before {
            self.lanes.insert((client, lane), after);
            self.undo.note(|| Change::Lane(client, lane, before));
        }
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
        let Self { deals, books, lanes, undo } = self;
        for change in undo.take_back() {
            match change {
                Change::Totals(totals) => books.totals = totals,
                Change::Deal(job, Some(state)) => {
                    deals.insert(job, state);
                }
                Change::Deal(job, None) => {
                    deals.remove(&job);
                }
                Change::Account(account, Account::UNUSED) => {
                    books.accounts.remove(&account);
                }
                Change::Account(account, before) => {
                    books.accounts.insert(account, before);
                }
                Change::Lane(client, lane, Window::UNUSED) => {
                    lanes.remove(&(client, lane));
                }
                Change::Lane(client, lane, before) => {
                    lanes.insert((client, lane), before);
                }
            }
        }
    }
}

fn window(books: &Books, lanes: &Lanes, client: Address, lane: Lane) -> Window {
    if lane.is_zero() { books.account(client).salts } else { lanes.get(&(client, lane)).copied().unwrap_or_default() }
}

impl Books {
    fn account(&self, account: Address) -> Account {
        self.accounts.get(&account).copied().unwrap_or_default()
    }

    pub(super) fn balance(&self, account: Address) -> AttoFil {
        self.account(account).balance
    }

    pub(super) fn balances(&self) -> impl Iterator<Item = (Address, AttoFil)> + '_ {
        let accounts = self.accounts.sorted().into_iter();
        let balances = accounts.map(|(account, Account { balance, .. })| (*account, *balance));
        balances.filter(|(_, balance)| *balance != AttoFil::ZERO)
    }

    /// Changes an account, which may be a new one.
    fn change(&mut self, account: Address, undo: &mut Undo, change: impl FnOnce(&mut Account)) {
        match self.accounts.entry(account) {
            Entry::Occupied(mut entry) => {
                let before = *entry.get();
                change(entry.get_mut());
                if *entry.get() == Account::UNUSED {
                    entry.remove();
                }
                undo.note(|| Change::Account(account, before));
            }
            Entry::Vacant(entry) => {
                let mut new = Account::UNUSED;
                change(&mut new);
                if new != Account::UNUSED {
                    entry.insert(new);
                    undo.note(|| Change::Account(account, Account::UNUSED));
                }
            }
        }
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
    pub(super) fn require_room(&self, market: Address, value: AttoFil) -> Checked {
        if self.totals.held.checked_add(value).is_none() {
            return Err(Rejection::TransferFailed(market));
        }
        Ok(())
    }

    pub(super) fn credit(&mut self, account: Address, amount: AttoFil, undo: &mut Undo) {
        if amount != AttoFil::ZERO {
            self.change(account, undo, |account| add(&mut account.balance, amount));
        }
    }

    /// Takes `amount` from `account`, or refuses and changes nothing.
    pub(super) fn debit(&mut self, account: Address, amount: AttoFil, undo: &mut Undo) -> Checked {
        if amount == AttoFil::ZERO {
            return Ok(());
        }
        let mut balance = AttoFil::ZERO;
        if let Entry::Occupied(mut entry) = self.accounts.entry(account) {
            let before = *entry.get();
            if let Some(left) = before.balance.checked_sub(amount) {
                let after = Account { balance: left, ..before };
                if after == Account::UNUSED {
                    entry.remove();
                } else {
                    *entry.get_mut() = after;
                }
                undo.note(|| Change::Account(account, before));
                return Ok(());
            }
            balance = before.balance;
        }
        Err(Rejection::InsufficientBalance { account, balance, needed: amount })
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
