//! What would keep every provider from taking an order, as things are now.

use lota_bridge::evm::{
    filecoin_pay::{AccountInfo, Approval},
    filecoin_pay_deals,
};
use lota_market::{Address, U256};

use crate::chain::ChainPayDeals;

/// What an order needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    pub(super) payer: Address,
    /// Who alone may take it.
    pub(super) provider: Option<Address>,
    /// In the token's smallest unit.
    pub(super) max_price: U256,
    /// From when it is taken to its last deadline, in seconds.
    pub(super) seconds: u64,
}

/// How things are.
#[derive(Clone, Copy, Debug)]
struct Found {
    block: u64,
    account: AccountInfo,
    approval: Approval,
    /// For so many epochs the price would be locked.
    period: U256,
    /// The rail to the one provider, if it was terminated.
    terminated: Option<U256>,
}

/// What stands in the way, each with what to do about it.
///
/// # Errors
/// When the node does not answer.
pub(super) async fn obstacles(deals: &ChainPayDeals, need: &Need) -> anyhow::Result<Vec<String>> {
    let (block, _) = deals.head().await?;
    let mut terminated = None;
    if let Some(provider) = need.provider
        && let Some(rail) = deals.view(&filecoin_pay_deals::rail_of(need.payer, provider)).await?
    {
        let runs = deals.rail_at_filecoin_pay(rail).await?.is_some_and(|rail| rail.end_epoch.is_zero());
        terminated = (!runs).then_some(rail);
    }
    let found = Found {
        block,
        account: deals.account(need.payer).await?,
        approval: deals.approval(need.payer).await?,
        period: deals.lockup_period(need.seconds),
        terminated,
    };
    Ok(found.words(need, |amount| deals.show(amount)))
}

impl Found {
    fn words(&self, need: &Need, show: impl Fn(U256) -> String) -> Vec<String> {
        let Self { block, account, approval, period, terminated } = self;
        let mut words = Vec::new();
        let left = approval.lockup_allowance.saturating_sub(approval.lockup_usage);
        if !approval.is_approved {
            words.push(
                "the contract is not approved to lock money of your account (lota filecoin-pay approve)".to_owned(),
            );
        } else if left < need.max_price {
            let wanted = approval.lockup_usage.saturating_add(need.max_price);
            words.push(format!(
                "the contract may lock {} more, and the job may cost {} (lota filecoin-pay approve, at least '{}')",
                show(left),
                show(need.max_price),
                show(wanted)
            ));
        }
        if approval.is_approved && approval.max_lockup_period < *period {
            words.push(format!(
                "the contract may lock money for {} blocks, and this job needs {period} (lota filecoin-pay approve --period {period}, or more)",
                approval.max_lockup_period
            ));
        }
        if account.funded_until < U256::from(*block) {
            words.push(format!(
                "your account is in debt to its other rails since block {} (lota filecoin-pay deposit)",
                account.funded_until
            ));
        } else if account.available < need.max_price {
            words.push(format!(
                "your account has {} that are not locked, and the job may cost {} (lota filecoin-pay deposit)",
                show(account.available),
                show(need.max_price)
            ));
        }
        if let (Some(rail), Some(provider)) = (terminated, need.provider) {
            words.push(format!("you terminated rail {rail} to {provider} (lota filecoin-pay renew {provider})"));
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        let approval = Approval {
            is_approved: true,
            lockup_allowance: U256::from(150),
            lockup_usage: U256::from(50),
            max_lockup_period: U256::from(1_000),
            ..Approval::default()
        };
        let account = AccountInfo {
            funded_until: U256::MAX,
            funds: U256::from(300),
            available: U256::from(100),
            lockup_rate: U256::ZERO,
        };
        Found { block: 10, account, approval, period: U256::from(1_000), terminated: None }
    }

    #[test]
    fn everything_that_stands_in_the_way_is_named_with_what_to_do() {
        let provider = Address::repeat_byte(7);
        let need = |max_price: u64| Need {
            payer: Address::repeat_byte(6),
            provider: Some(provider),
            max_price: U256::from(max_price),
            seconds: 60,
        };
        let words = |found: Found, max_price| found.words(&need(max_price), |amount| amount.to_string()).join("; ");
        assert_eq!(words(found(), 100), "", "just enough of everything");
        let more = words(found(), 101);
        assert!(more.contains("may lock 100 more") && more.contains("at least '151'"), "{more}");
        assert!(more.contains("has 100 that are not locked, and the job may cost 101"), "{more}");
        let longer = words(Found { period: U256::from(1_001), ..found() }, 1);
        assert!(longer.contains("for 1000 blocks, and this job needs 1001") && !longer.contains(';'), "{longer}");
        let none = words(Found { approval: Approval::default(), ..found() }, 1);
        assert!(none.contains("not approved") && !none.contains(';'), "{none}");
        let account = AccountInfo { funded_until: U256::from(9), available: U256::ZERO, ..found().account };
        let debt = words(Found { account, ..found() }, 1);
        assert!(debt.contains("in debt") && !debt.contains("not locked"), "{debt}");
        let account = AccountInfo { funded_until: U256::from(10), ..found().account };
        assert_eq!(words(Found { account, ..found() }, 1), "", "it is funded for this block");
        let ended = words(Found { terminated: Some(U256::from(3)), ..found() }, 1);
        assert!(ended.contains(&format!("rail 3 to {provider} (lota filecoin-pay renew")), "{ended}");
    }
}
