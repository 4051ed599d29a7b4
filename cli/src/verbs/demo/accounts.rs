//! Where all money went.

use lota_market::{Address, AttoFil, model::Status};
use serde::Serialize;

use super::{parties::Parties, plan::Job};
use crate::host::Wealth;

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
    /// What went to the chain for gas.
    pub(super) gas: AttoFil,
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
    /// What gas cost, by the receipts.
    pub(super) gas: AttoFil,
    /// Whether these explain the change.
    pub(super) explained: bool,
}

/// What somebody earned and spent beside the jobs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extra {
    pub(super) account: Address,
    pub(super) earned: AttoFil,
    pub(super) spent: AttoFil,
}

/// Explains everybody's change by the jobs, by what came beside them (and burned so much), and by gas.
pub(super) async fn account(
    parties: &Parties,
    jobs: &[Job],
    extras: &[Extra],
    burned_beside: AttoFil,
    before: &Wealth,
    after: &Wealth,
) -> anyhow::Result<Money> {
    let paid = parties.venue.gas(before, after).await?;
    let accounts: Vec<Change> = parties
        .holders()
        .into_iter()
        .zip(before.accounts.iter().zip(&after.accounts))
        .filter_map(|(holder, amounts)| Some((*holder.addresses.first()?, holder, amounts)))
        .map(|(address, holder, (&before, &after))| {
            let (earned, spent) = flows(jobs, extras, &holder.addresses);
            let gas = paid.get(&address).copied().unwrap_or_default();
            let explained =
                before.checked_add(earned).and_then(|sum| sum.checked_sub(spent)).and_then(|sum| sum.checked_sub(gas))
                    == Some(after);
            Change { name: holder.name, address, before, after, earned, spent, gas, explained }
        })
        .collect();
    let (held, burned) = (after.held, after.burned);
    let (before, after): (AttoFil, AttoFil) =
        (before.accounts.iter().copied().sum(), after.accounts.iter().copied().sum());
    let gas: AttoFil = accounts.iter().map(|change| change.gas).sum();
    let burned_by_jobs: AttoFil = jobs.iter().map(|job| job.detail.money.burned).sum();
    let to_be_burned = [burned_by_jobs, burned_beside].into_iter().sum::<AttoFil>();
    let accounted = accounts.iter().all(|change| change.explained)
        && burned == to_be_burned
        && held == AttoFil::ZERO
        && after.checked_add(burned).and_then(|sum| sum.checked_add(gas)) == Some(before);
    Ok(Money { accounts, before, after, burned, gas, held, accounted })
}

/// What the jobs, and what came beside them, brought a party, and what they cost it.
fn flows(jobs: &[Job], extras: &[Extra], party: &[Address]) -> (AttoFil, AttoFil) {
    let (mut earned, mut spent) = (Vec::new(), Vec::new());
    for extra in extras.iter().filter(|extra| party.contains(&extra.account)) {
        earned.push(extra.earned);
        spent.push(extra.spent);
    }
    for job in jobs {
        let (summary, money) = (&job.detail.summary, &job.detail.money);
        if party.contains(&summary.client) {
            spent.push(money.paid_to_provider);
            earned.push(money.compensation);
        }
        if summary.provider.is_some_and(|provider| party.contains(&provider)) {
            earned.push(money.paid_to_provider);
            if summary.status == Status::Slashed {
                spent.push(job.detail.terms.collateral);
            }
        }
    }
    (earned.into_iter().sum(), spent.into_iter().sum())
}
