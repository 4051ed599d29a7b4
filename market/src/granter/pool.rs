//! A pool of bonuses: what is peculiar to `BonusGranter.sol`.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::Rejection;
use crate::{
    Time,
    blessing::{Limit, Limits},
    undo::UndoLog,
};

/// The greatest bound of a bonus: the contract keeps 96 bits.
const MAX_BONUS: u128 = (1 << 96) - 1;

/// What a pool of bonuses pays at most, in its asset's smallest unit: [`Limits`] below 2^96.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bounds {
    pub limits: Limits,
    /// Length of a period in seconds. Periods are stretches of Unix time divided by it.
    pub period: u64,
}

impl Bounds {
    /// The greatest bound of a bonus.
    pub const MAX: U256 = U256::from_limbs([MAX_BONUS as u64, (MAX_BONUS >> 64) as u64, 0, 0]);

    /// What is wrong with them.
    #[must_use]
    pub fn fault(&self) -> Option<&'static str> {
        let Limits { per_job, per_provider, per_period } = self.limits;
        if per_period > Self::MAX {
            Some("a bound is 2^96 or more")
        } else if per_job.is_zero() || self.period == 0 {
            Some("the bound for a job, or the period, is zero")
        } else if per_provider < per_job || per_period < per_provider {
            Some("the bounds are not in order (job <= provider <= period)")
        } else {
            None
        }
    }
}

/// What is fixed when a pool of bonuses is deployed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PoolSettings {
    /// What bonuses are paid in: zero for the chain's coin, else a token.
    pub asset: Address,
    pub bounds: Bounds,
    /// Who gets what is left once the pool has closed, or says who does.
    pub remainder_to: Address,
    /// Until when bonuses are paid.
    pub open_until: Time,
}

/// A pool of bonuses: what it has paid. What it holds is in its contract's wallet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BonusPool {
    settings: PoolSettings,
    spent: Spent,
    #[serde(with = "crate::map_as_pairs")]
    spent_on: BTreeMap<Address, Spent>,
    /// A payee or the token runs: nobody may do anything here.
    #[serde(skip)]
    pub(super) calling: bool,
    #[serde(skip)]
    undo: UndoLog<Change>,
}

/// What was paid in a period, the last in which anything was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Spent {
    period: u64,
    amount: U256,
}

impl Spent {
    fn within(self, period: u64) -> U256 {
        if self.period == period { self.amount } else { U256::ZERO }
    }

    fn and(self, period: u64, amount: U256) -> Self {
        // The bounds keep sums far below this.
        Self { period, amount: self.within(period).saturating_add(amount) }
    }
}

/// What something was before it changed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Change {
    Spent(Spent),
    SpentOn(Address, Option<Spent>),
}

impl BonusPool {
    /// A pool that has paid nothing.
    #[must_use]
    pub fn new(settings: PoolSettings) -> Self {
        let (spent, undo) = (Spent::default(), UndoLog::default());
        Self { settings, spent, spent_on: BTreeMap::new(), calling: false, undo }
    }

    /// What was fixed at the deployment.
    #[must_use]
    pub const fn settings(&self) -> &PoolSettings {
        &self.settings
    }

    /// What may still be paid in the period of `now`, to a provider and to all; the pool may hold less.
    #[must_use]
    pub fn left_for(&self, provider: Address, now: Time) -> (U256, U256) {
        let Limits { per_provider, per_period, .. } = self.settings.bounds.limits;
        let period = self.period(now);
        let on = self.spent_on.get(&provider).copied().unwrap_or_default();
        (per_provider.saturating_sub(on.within(period)), per_period.saturating_sub(self.spent.within(period)))
    }

    /// How many sums of bonuses are stored, of periods that are over, too.
    #[must_use]
    pub fn sums(&self) -> usize {
        self.spent_on.len() + usize::from(!self.spent.amount.is_zero())
    }

    fn period(&self, now: Time) -> u64 {
        // A pool that was deployed has a period of a second at least.
        now.0.checked_div(self.settings.bounds.period).unwrap_or_default()
    }

    pub(super) fn check(&self, provider: Address, amount: U256, held: U256, now: Time) -> Result<(), Rejection> {
        if amount.is_zero() {
            return Err(Rejection::NoAmount);
        }
        if now > self.settings.open_until {
            return Err(Rejection::PoolClosed(self.settings.open_until));
        }
        let (to_provider, to_all) = self.left_for(provider, now);
        for (limit, left) in [
            (Limit::PerJob, self.settings.bounds.limits.per_job),
            (Limit::PerProvider, to_provider),
            (Limit::PerPeriod, to_all),
        ] {
            if amount > left {
                return Err(Rejection::OverLimit { limit, left, amount });
            }
        }
        if held < amount { Err(Rejection::PoolEmpty { held, amount }) } else { Ok(()) }
    }

    pub(super) fn spend(&mut self, provider: Address, amount: U256, now: Time) {
        let (period, spent) = (self.period(now), self.spent);
        self.spent = spent.and(period, amount);
        let on = self.spent_on.get(&provider).copied();
        self.spent_on.insert(provider, on.unwrap_or_default().and(period, amount));
        self.undo.note(|| Change::Spent(spent));
        self.undo.note(|| Change::SpentOn(provider, on));
    }

    pub(super) fn open_savepoint(&mut self) {
        self.undo.open_savepoint();
    }

    pub(super) fn keep(&mut self) {
        self.undo.keep();
    }

    pub(super) fn roll_back(&mut self) {
        for change in self.undo.take_back() {
            match change {
                Change::Spent(before) => self.spent = before,
                Change::SpentOn(provider, Some(before)) => {
                    self.spent_on.insert(provider, before);
                }
                Change::SpentOn(provider, None) => {
                    self.spent_on.remove(&provider);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(job: u128, provider: u128, all: u128, period: u64) -> Bounds {
        let [per_job, per_provider, per_period] = [job, provider, all].map(U256::from);
        Bounds { limits: Limits { per_job, per_provider, per_period }, period }
    }

    #[test]
    fn bounds_are_in_order() {
        assert_eq!(bounds(1, 1, MAX_BONUS, 1).fault(), None);
        let wrong = [
            bounds(0, 1, 1, 1),
            bounds(1, 1, 1, 0),
            bounds(2, 1, 3, 1),
            bounds(1, 3, 2, 1),
            bounds(1, 1, MAX_BONUS + 1, 1),
        ];
        for wrong in wrong {
            assert!(wrong.fault().is_some(), "{wrong:?}");
        }
    }

    #[test]
    fn a_period_forgets_what_was_paid_in_the_one_before() {
        let [one, other] = [1, 2].map(Address::repeat_byte);
        let settings = PoolSettings {
            asset: Address::ZERO,
            bounds: bounds(5, 8, 12, 10),
            remainder_to: one,
            open_until: Time(1_000),
        };
        let mut pool = BonusPool::new(settings);
        let of = U256::from::<u64>;
        let held = of(1_000);
        assert_eq!(pool.check(one, of(6), held, Time(99)), over(Limit::PerJob, 5, 6));
        pool.spend(one, of(5), Time(90));
        assert_eq!(pool.check(one, of(4), held, Time(99)), over(Limit::PerProvider, 3, 4));
        pool.spend(other, of(5), Time(95));
        assert_eq!(pool.check(one, of(3), held, Time(99)), over(Limit::PerPeriod, 2, 3));
        assert_eq!(pool.left_for(one, Time(99)), (of(3), of(2)));
        assert_eq!(pool.check(one, of(5), held, Time(100)), Ok(()));
        assert_eq!((pool.left_for(one, Time(100)), pool.sums()), ((of(8), of(12)), 3));
    }

    fn over(limit: Limit, left: u64, amount: u64) -> Result<(), Rejection> {
        Err(Rejection::OverLimit { limit, left: U256::from(left), amount: U256::from(amount) })
    }
}
