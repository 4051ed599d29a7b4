//! Whether an order could be taken, as far as that is for its payer to see to: found out before anything is done for it.

use lota_market::{
    Address, U256,
    filecoin_pay_deals::{Order, Rejection},
};

use super::{Call, EvmTransport, FilecoinPayDeals};
use crate::{
    evm::{
        chain::{At, RpcError},
        filecoin_pay::{self, AccountInfo, Approval},
        filecoin_pay_deals,
    },
    transport::{SubmitError, Transport as _, TransportError},
};

/// What the contract looks at before it locks a price.
#[derive(Clone, Copy, Debug)]
struct Found {
    payer: Address,
    /// The newest block.
    block: u64,
    approval: Approval,
    account: AccountInfo,
    /// What is promised on the rail already.
    promised: U256,
    /// What is locked for it, and for how many epochs.
    locked: U256,
    period: U256,
}

impl Found {
    /// `Rails._requireLockable`, for so many epochs.
    fn check(&self, price: U256, period: U256) -> Result<(), Rejection> {
        let Self { payer, block, approval, account, promised, locked, period: period_now } = *self;
        let needed = promised.saturating_add(price);
        if price.is_zero() || needed > U256::from(u128::MAX) {
            return Err(Rejection::AmountOutOfRange(price));
        }
        if !approval.is_approved {
            return Err(Rejection::OperatorNotApproved(payer));
        }
        if period > period_now && period > approval.max_lockup_period {
            return Err(Rejection::LockupPeriodTooLong { payer, allowed: approval.max_lockup_period, needed: period });
        }
        let more = needed.saturating_sub(locked);
        let left = approval.lockup_allowance.saturating_sub(approval.lockup_usage);
        if more > left {
            return Err(Rejection::AllowanceTooSmall { payer, left, needed: more });
        }
        if account.funded_until < U256::from(block) {
            return Err(Rejection::PayerInDebt { payer, epoch: account.funded_until });
        }
        if more > account.available {
            return Err(Rejection::NotEnoughFunds { payer, available: account.available, needed: more });
        }
        Ok(())
    }
}

impl EvmTransport {
    pub(super) async fn try_to_take(&self, order: &Order, price: U256) -> Result<(), SubmitError> {
        let deals = self.used_filecoin_pay_deals()?;
        let head = self.market.chain.newest().await.map_err(TransportError::from)?;
        let has_begun = head.time() >= order.terms.ramp_start;
        if !has_begun || order.price_at(head.time()) < price {
            self.check_payer(deals, order, price, head.number()).await?;
        }
        if has_begun {
            let is_coin = self.market.settings.asset.is_zero();
            let value = if is_coin { order.terms.collateral } else { Default::default() };
            self.check_take(Call { value, ..Self::call_to_take(deals, order) }).await?;
        }
        Ok(())
    }

    /// Looks at what the contract would, at another price than today's.
    async fn check_payer(
        &self,
        deals: &FilecoinPayDeals,
        order: &Order,
        price: U256,
        block: u64,
    ) -> Result<(), SubmitError> {
        let (payer, token) = (order.payer, deals.reference().token);
        let refused =
            |rejection| SubmitError::RejectedByFilecoinPayDeals { rejection: Box::new(rejection), block: None };
        let approval = filecoin_pay::operator_approval(token, payer, deals.contract());
        let account = filecoin_pay::account_info(token, payer);
        let mut found = Found {
            payer,
            block,
            approval: deals.view_of_filecoin_pay(&approval, At::Latest).await?,
            account: deals.view_of_filecoin_pay(&account, At::Latest).await?,
            promised: U256::ZERO,
            locked: U256::ZERO,
            period: U256::ZERO,
        };
        if let Some(number) = deals.view(&filecoin_pay_deals::rail_of(payer, self.party()), At::Latest).await? {
            let view = filecoin_pay::rail(number);
            let rail = match self.market.chain.view(deals.reference().filecoin_pay, &view.data, At::Latest).await {
                Ok(data) => view.read(&data).map_err(|error| TransportError::Malformed(error.to_string()))?,
                // It was wound up.
                Err(RpcError::Refused(refusal)) if refusal.data.is_some() => {
                    return Err(refused(Rejection::RailTerminated(number)));
                }
                Err(error) => return Err(TransportError::from(error).into()),
            };
            if !rail.end_epoch.is_zero() {
                return Err(refused(Rejection::RailTerminated(number)));
            }
            found.promised = deals.view(&filecoin_pay_deals::promised(number), At::Latest).await?.needed;
            (found.locked, found.period) = (rail.lockup_fixed, rail.lockup_period);
        }
        let terms = &order.terms;
        let time = [terms.run_for, terms.review_for, terms.rule_for].map(u64::from).into_iter().sum();
        found.check(price, deals.lockup_period(time)).map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_the_contract_from_locking_a_price_is_found_in_its_order() {
        let payer = Address::repeat_byte(7);
        let word = U256::from::<u64>;
        let approval = Approval {
            is_approved: true,
            lockup_allowance: word(150),
            lockup_usage: word(50),
            max_lockup_period: word(1_000),
            ..Approval::default()
        };
        let account = AccountInfo { funded_until: word(10), available: word(90), ..AccountInfo::default() };
        let zero = U256::ZERO;
        let found = Found { payer, block: 10, approval, account, promised: zero, locked: zero, period: zero };
        let check = |found: Found, price, period| found.check(word(price), word(period));
        assert_eq!(check(found, 90, 1_000), Ok(()));
        let (available, needed) = (word(90), word(91));
        assert_eq!(check(found, 91, 1_000), Err(Rejection::NotEnoughFunds { payer, available, needed }));
        let debt = Found { block: 11, ..found };
        assert_eq!(check(debt, 91, 1_000), Err(Rejection::PayerInDebt { payer, epoch: word(10) }));
        let (left, needed) = (word(100), word(101));
        assert_eq!(check(debt, 101, 1_000), Err(Rejection::AllowanceTooSmall { payer, left, needed }));
        let (allowed, needed) = (word(1_000), word(1_001));
        let too_long = Err(Rejection::LockupPeriodTooLong { payer, allowed, needed });
        assert_eq!(check(debt, 101, 1_001), too_long);
        let revoked = Found { approval: Approval { is_approved: false, ..approval }, ..debt };
        assert_eq!(check(revoked, 101, 1_001), Err(Rejection::OperatorNotApproved(payer)));
        // What lies idle on the rail is used up first, and a rail that is locked for as long needs no more leave.
        let rail = Found { promised: word(30), locked: word(50), period: word(1_001), ..found };
        assert_eq!(check(rail, 110, 1_001), Ok(()));
        let (available, needed) = (word(90), word(91));
        assert_eq!(check(rail, 111, 1_001), Err(Rejection::NotEnoughFunds { payer, available, needed }));
        for price in [U256::ZERO, U256::from(u128::MAX), U256::MAX] {
            assert_eq!(rail.check(price, word(1)), Err(Rejection::AmountOutOfRange(price)));
        }
    }
}
