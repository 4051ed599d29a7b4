//! Where all money went.

use lota_market::{Address, AttoFil, model::Status};
use serde::Serialize;

use super::{cast::Cast, plan::Job};

/// What everybody has, in the order of the cast.
pub(super) type Balances = Vec<AttoFil>;

/// What everybody has now, in the market and outside.
pub(super) fn balances(cast: &Cast) -> Balances {
    let chain = &cast.market.chain;
    cast.people
        .iter()
        .map(|person| {
            [chain.wallet(person.account.address()), chain.balance(person.account.address())].into_iter().sum()
        })
        .collect()
}

/// All money, before and after.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Money {
    /// Everybody's.
    pub(super) accounts: Vec<Change>,
    /// What all had together before, in attoFIL.
    pub(super) before: AttoFil,
    /// What all have together after.
    pub(super) after: AttoFil,
    /// What was burned.
    pub(super) burned: AttoFil,
    /// What the market still holds for jobs.
    pub(super) held: AttoFil,
    /// Whether every change is what the jobs say, and nothing is missing.
    pub(super) accounted: bool,
}

/// One party's money.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Change {
    pub(super) name: &'static str,
    pub(super) address: Address,
    pub(super) before: AttoFil,
    pub(super) after: AttoFil,
    /// What the jobs brought.
    pub(super) earned: AttoFil,
    /// What the jobs cost.
    pub(super) spent: AttoFil,
    /// Whether the two explain the change.
    pub(super) explained: bool,
}

/// Explains everybody's change by the jobs.
pub(super) fn account(cast: &Cast, jobs: &[Job], before: &Balances, after: &Balances) -> Money {
    let accounts: Vec<Change> = cast
        .people
        .iter()
        .zip(before.iter().zip(after))
        .map(|(person, (&before, &after))| {
            let address = person.account.address();
            let (earned, spent) = flows(jobs, address);
            let explained = before.checked_add(earned).and_then(|sum| sum.checked_sub(spent)) == Some(after);
            Change { name: person.name, address, before, after, earned, spent, explained }
        })
        .collect();
    let market = cast.market.chain.snapshot();
    let held = [market.escrowed(), market.collateral()].into_iter().sum();
    let burned = market.burned();
    let (before, after): (AttoFil, AttoFil) = (before.iter().copied().sum(), after.iter().copied().sum());
    let burned_by_jobs: AttoFil = jobs.iter().map(|job| job.detail.money.burned).sum();
    let accounted = accounts.iter().all(|change| change.explained)
        && burned == burned_by_jobs
        && held == AttoFil::ZERO
        && after.checked_add(burned) == Some(before);
    Money { accounts, before, after, burned, held, accounted }
}

/// What the jobs brought a party, and what they cost it.
fn flows(jobs: &[Job], party: Address) -> (AttoFil, AttoFil) {
    let (mut earned, mut spent) = (Vec::new(), Vec::new());
    for job in jobs {
        let (summary, money) = (&job.detail.summary, &job.detail.money);
        if summary.client == party {
            spent.push(money.paid_to_provider);
            earned.push(money.compensation);
        }
        if summary.provider == Some(party) {
            earned.push(money.paid_to_provider);
            if summary.status == Status::Slashed {
                spent.push(job.detail.terms.collateral);
            }
        }
    }
    (earned.into_iter().sum(), spent.into_iter().sum())
}
