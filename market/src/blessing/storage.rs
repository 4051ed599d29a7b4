//! What a blessing remembers: accounts, registrations, granters' limits, jobs.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use super::{Limits, Nomination, Notaries, Phase, Registration};
use crate::{
    AttoFil, Time,
    model::{self, JobId},
    undo::UndoLog,
};

/// Everything it remembers. What is zero has no entry, so that equal storages are equal values.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Storage {
    #[serde(with = "crate::map_as_pairs")]
    balances: BTreeMap<Address, AttoFil>,
    #[serde(with = "crate::map_as_pairs")]
    pools: BTreeMap<Address, AttoFil>,
    /// By provider and granter.
    #[serde(with = "crate::map_as_pairs")]
    registrations: BTreeMap<(Address, Address), Registration>,
    #[serde(with = "crate::map_as_pairs")]
    limits: BTreeMap<Address, Limits>,
    /// By granter and provider; the zero address: all of them.
    #[serde(with = "crate::map_as_pairs")]
    usage: BTreeMap<(Address, Option<Address>), Usage>,
    #[serde(with = "crate::map_as_pairs")]
    jobs: BTreeMap<JobId, Record>,
    notaries: Notaries,
    pub(super) totals: Totals,
    #[serde(skip)]
    undo: UndoLog<Change>,
}

/// What was granted in a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Usage {
    pub(super) period: u64,
    pub(super) granted: U256,
}

/// A job that was nominated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Record {
    /// Of its last nomination; 0: it was never nominated.
    pub round: u32,
    pub stage: Stage,
}

/// Where its nomination is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// None runs.
    #[default]
    Idle,
    Nominated {
        nomination: Box<Nomination>,
        /// Of the notaries who have voted.
        version: u32,
        approvals: BTreeSet<Address>,
        rejections: BTreeSet<Address>,
    },
    Blessed {
        nomination: Box<Nomination>,
        at: Time,
        reasons: B256,
        version: u32,
        revocations: BTreeSet<Address>,
    },
    Granted,
}

/// Sums over the whole contract. `held` bounds the others from above.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Totals {
    /// All that was brought and did not leave.
    pub(super) held: AttoFil,
    /// Deposits, shares and bounties of the nominations that run.
    pub(super) escrowed: AttoFil,
    pub(super) burned: AttoFil,
}

/// What something was before it changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Change {
    Balance(Address, AttoFil),
    Pool(Address, AttoFil),
    Registration((Address, Address), Option<Registration>),
    Limits(Address, Option<Limits>),
    Usage((Address, Option<Address>), Option<Usage>),
    Job(JobId, Option<Box<Record>>),
    Notaries(Box<Notaries>),
    Totals(Totals),
}

impl Record {
    /// As the contract has it.
    #[must_use]
    pub const fn phase(&self) -> Phase {
        match self.stage {
            Stage::Idle => Phase::None,
            Stage::Nominated { .. } => Phase::Nominated,
            Stage::Blessed { .. } => Phase::Blessed,
            Stage::Granted => Phase::Granted,
        }
    }

    /// The nomination that runs.
    #[must_use]
    pub fn nomination(&self) -> Option<&Nomination> {
        match &self.stage {
            Stage::Nominated { nomination, .. } | Stage::Blessed { nomination, .. } => Some(nomination),
            Stage::Idle | Stage::Granted => None,
        }
    }
}

impl Storage {
    pub(super) fn new(notaries: Notaries) -> Self {
        Self {
            balances: BTreeMap::new(),
            pools: BTreeMap::new(),
            registrations: BTreeMap::new(),
            limits: BTreeMap::new(),
            usage: BTreeMap::new(),
            jobs: BTreeMap::new(),
            notaries,
            totals: Totals::default(),
            undo: UndoLog::default(),
        }
    }

    pub(super) fn balance(&self, account: Address) -> AttoFil {
        self.balances.get(&account).copied().unwrap_or_default()
    }

    pub(super) const fn balances(&self) -> &BTreeMap<Address, AttoFil> {
        &self.balances
    }

    pub(super) fn credit(&mut self, account: Address, amount: AttoFil) {
        // `held` bounds the sum of all balances.
        self.set_balance(account, AttoFil(self.balance(account).0.saturating_add(amount.0)));
    }

    /// Takes `amount` from `account`, or refuses and changes nothing.
    pub(super) fn debit(&mut self, account: Address, amount: AttoFil) -> Result<(), model::Rejection> {
        let balance = self.balance(account);
        let refused = model::Rejection::InsufficientBalance { account, balance, needed: amount };
        self.set_balance(account, balance.checked_sub(amount).ok_or(refused)?);
        Ok(())
    }

    fn set_balance(&mut self, account: Address, amount: AttoFil) {
        let before = put(&mut self.balances, account, (amount != AttoFil::ZERO).then_some(amount));
        self.undo.note(|| Change::Balance(account, before.unwrap_or_default()));
    }

    pub(super) fn pool(&self, provider: Address) -> AttoFil {
        self.pools.get(&provider).copied().unwrap_or_default()
    }

    pub(super) const fn pools(&self) -> &BTreeMap<Address, AttoFil> {
        &self.pools
    }

    pub(super) fn set_pool(&mut self, provider: Address, amount: AttoFil) {
        let before = put(&mut self.pools, provider, (amount != AttoFil::ZERO).then_some(amount));
        self.undo.note(|| Change::Pool(provider, before.unwrap_or_default()));
    }

    pub(super) fn registration(&self, provider: Address, granter: Address) -> Option<&Registration> {
        self.registrations.get(&(provider, granter))
    }

    pub(super) const fn registrations(&self) -> &BTreeMap<(Address, Address), Registration> {
        &self.registrations
    }

    pub(super) fn set_registration(&mut self, key: (Address, Address), registration: Option<Registration>) {
        let before = put(&mut self.registrations, key, registration);
        self.undo.note(|| Change::Registration(key, before));
    }

    pub(super) fn limits(&self, granter: Address) -> Limits {
        self.limits.get(&granter).copied().unwrap_or_default()
    }

    pub(super) const fn all_limits(&self) -> &BTreeMap<Address, Limits> {
        &self.limits
    }

    pub(super) fn set_limits(&mut self, granter: Address, limits: Limits) {
        let before = put(&mut self.limits, granter, (limits != Limits::default()).then_some(limits));
        self.undo.note(|| Change::Limits(granter, before));
    }

    pub(super) fn usage(&self, granter: Address, provider: Option<Address>) -> Usage {
        self.usage.get(&(granter, provider)).copied().unwrap_or_default()
    }

    pub(super) const fn usages(&self) -> &BTreeMap<(Address, Option<Address>), Usage> {
        &self.usage
    }

    pub(super) fn set_usage(&mut self, granter: Address, provider: Option<Address>, usage: Option<Usage>) {
        let key = (granter, provider);
        let before = put(&mut self.usage, key, usage);
        self.undo.note(|| Change::Usage(key, before));
    }

    pub(super) fn job(&self, job: JobId) -> Option<&Record> {
        self.jobs.get(&job)
    }

    pub(super) const fn jobs(&self) -> &BTreeMap<JobId, Record> {
        &self.jobs
    }

    pub(super) fn set_job(&mut self, job: JobId, record: Record) {
        let before = self.jobs.insert(job, record);
        self.undo.note(|| Change::Job(job, before.map(Box::new)));
    }

    pub(super) const fn notaries(&self) -> &Notaries {
        &self.notaries
    }

    pub(super) fn set_notaries(&mut self, notaries: Notaries) {
        let before = core::mem::replace(&mut self.notaries, notaries);
        self.undo.note(|| Change::Notaries(Box::new(before)));
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
        let Self { balances, pools, registrations, limits, usage, jobs, notaries, totals, undo } = self;
        for change in undo.take_back() {
            match change {
                Change::Balance(account, amount) => {
                    put(balances, account, (amount != AttoFil::ZERO).then_some(amount));
                }
                Change::Pool(provider, amount) => {
                    put(pools, provider, (amount != AttoFil::ZERO).then_some(amount));
                }
                Change::Registration(key, before) => drop(put(registrations, key, before)),
                Change::Limits(granter, before) => drop(put(limits, granter, before)),
                Change::Usage(key, before) => drop(put(usage, key, before)),
                Change::Job(job, before) => drop(put(jobs, job, before.map(|record| *record))),
                Change::Notaries(before) => *notaries = *before,
                Change::Totals(before) => *totals = before,
            }
        }
    }
}

/// Stores a value; `None` forgets it. What was there before.
fn put<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    }
}

impl Totals {
    pub(super) fn pay_in(&mut self, amount: AttoFil) {
        add(&mut self.held, amount);
    }

    pub(super) fn pay_out(&mut self, amount: AttoFil) {
        subtract(&mut self.held, amount);
    }

    pub(super) fn escrow(&mut self, amount: AttoFil) {
        add(&mut self.escrowed, amount);
    }

    pub(super) fn release(&mut self, amount: AttoFil) {
        subtract(&mut self.escrowed, amount);
    }

    pub(super) fn burn(&mut self, amount: AttoFil) {
        add(&mut self.burned, amount);
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
