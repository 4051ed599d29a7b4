//! What parties send about Filecoin Pay: accounts, approvals, rails.

use lota_market::{
    Address, Time, U256,
    filecoin_pay::{Command as PayCommand, RailView},
    filecoin_pay_deals::Command,
    model::Reason,
};
use rand::Rng;

use super::{Draft, Generator};
use crate::{
    chain::epoch_at,
    orders::{Ask, DEALS, GRACE, GRANTER, comparison::Comparison},
};

impl Generator {
    /// What is due is paid, what is free is given back, and rails are renewed.
    pub(super) fn about_rails(&mut self, both: &Comparison<'_>) -> Draft {
        let anybody = self.anybody(both);
        match self.rng.random_range(0..10) {
            0..4 => {
                let due: Vec<U256> = both
                    .deals()
                    .rails()
                    .all_promised()
                    .filter(|(_, promised)| promised.due > 0)
                    .map(|(rail, _)| rail)
                    .collect();
                let epoch = U256::from(epoch_at(both.stage.now));
                let is_over = |rail: &RailView| rail.is_terminated() && rail.end_epoch <= epoch;
                let late = due.iter().copied().find(|rail| both.pay().rail(*rail).is_some_and(|rail| is_over(&rail)));
                if let Some(rail) = late.filter(|_| self.chance(40)) {
                    return (anybody, Command::Pay { rails: vec![rail] }.into());
                }
                let mut rails: Vec<U256> = due.into_iter().filter(|_| self.chance(60)).collect();
                if self.chance(15) {
                    rails.push(self.rail(both));
                }
                (anybody, Command::Pay { rails }.into())
            }
            4..8 => {
                let surplus = both.pay().rails().find(|(id, rail)| {
                    rail.operator == DEALS && rail.lockup_fixed > U256::from(both.deals().rails().promised(*id).needed)
                });
                let surplus = surplus.map(|(id, _)| id);
                let rail = if self.chance(60) { surplus } else { None }.unwrap_or_else(|| self.rail(both));
                (anybody, Command::Release { rail }.into())
            }
            _ => {
                let terminated = both
                    .deals()
                    .rails()
                    .pairs()
                    .find(|(_, _, rail)| both.pay().rail(*rail).is_none_or(|rail| rail.is_terminated()));
                let (payer, payee) = match terminated {
                    Some((payer, payee, _)) if self.chance(70) => (payer, payee),
                    _ => (self.pick(&both.payers), self.pick(&both.providers)),
                };
                (payer, Command::RenewRail { payee }.into())
            }
        }
    }

    /// Some rail; now and then one that is not there.
    pub(super) fn rail(&mut self, both: &Comparison<'_>) -> U256 {
        U256::from(self.rng.random_range(0..both.pay().rail_count() + 2))
    }

    pub(super) fn about_pay(&mut self, both: &Comparison<'_>, at: Time) -> Draft {
        let (payer, token) = (self.pick(&both.payers), both.token);
        let is_contract = |operator: Address| [DEALS, GRANTER].contains(&operator);
        let others = both.pay().rails().filter(|(_, rail)| !is_contract(rail.operator));
        let others: Vec<U256> = others.map(|(rail, _)| rail).collect();
        let kind = self.rng.random_range(0..30);
        // Operators' own commands are mostly about rails that an account operates.
        let is_any = others.is_empty() || self.chance(if kind < 25 { 60 } else { 35 });
        let rail = if is_any { self.rail(both) } else { self.pick(&others) };
        let found = both.pay().rail(rail);
        let RailView { from, operator, lockup_fixed, lockup_period, .. } = found.unwrap_or_default();
        let command = match kind {
            0..6 => {
                let to = if self.chance(95) { self.anybody(both) } else { Address::ZERO };
                let sender = if self.chance(80) { payer } else { self.anybody(both) };
                let amount = U256::from(self.rng.random_range(0..30_000_u32));
                return (sender, PayCommand::Deposit { token, to, amount }.into());
            }
            6..10 => {
                // Now and then the one who may refuse the money.
                let owner = if self.chance(25) { both.blessing() } else { self.anybody(both) };
                let available = both.pay().account(token, owner).available();
                let part = U256::from(self.rng.random_range(1..4_u32));
                let amount = available / part + U256::from(u32::from(self.chance(15)));
                return (owner, PayCommand::Withdraw { token, amount }.into());
            }
            10..16 => {
                let lockup_allowance = match self.rng.random_range(0..10) {
                    0 => U256::ZERO,
                    1 => U256::MAX,
                    2 => both.pay().operator_approval(token, payer, DEALS).lockup_usage,
                    4 | 5 => U256::MAX,
                    3 => both.pay().operator_approval(token, payer, DEALS).lockup_usage + U256::from(1_500),
                    _ => U256::from(100_000),
                };
                let max_lockup_period = self.pick(&[0_u64, 4, 8, 60, 60, 60, 60]);
                let operator = match self.rng.random_range(0..10) {
                    0 => Address::ZERO,
                    1..4 => self.anybody(both),
                    _ => DEALS,
                };
                let lockup_allowance = if operator != DEALS && self.chance(60) { U256::MAX } else { lockup_allowance };
                let approved = self.chance(85);
                approval(token, operator, approved, U256::ZERO, lockup_allowance, U256::from(max_lockup_period))
            }
            16..19 => {
                let sender = if self.chance(75) && found.is_some() { from } else { self.anybody(both) };
                return (sender, PayCommand::TerminateRail { rail }.into());
            }
            19..23 => {
                let epoch = U256::from(epoch_at(at));
                let is_over =
                    |rail: &RailView| rail.is_terminated() && rail.end_epoch <= epoch && !rail.lockup_fixed.is_zero();
                let holds = self.chance(25);
                let ended = both.pay().rails().find(|(_, rail)| rail.is_terminated() && (!holds || is_over(rail)));
                let ended = ended.map(|(id, _)| id);
                // What was promised and not paid in time.
                let unpaid = both.deals().rails().all_promised().map(|(rail, _)| rail);
                let unpaid = unpaid.filter(|rail| both.pay().rail(*rail).is_some_and(|rail| is_over(&rail))).last();
                let ended = unpaid.filter(|_| self.chance(50)).or(ended);
                let rail = if self.chance(70) { ended } else { None }.unwrap_or(rail);
                let until_epoch = U256::from(epoch_at(at) + u64::from(self.chance(10)));
                return (self.anybody(both), PayCommand::SettleRail { rail, until_epoch }.into());
            }
            23..25 => {
                let to = if self.chance(90) { self.anybody(both) } else { Address::ZERO };
                let from = if self.chance(90) { payer } else { Address::ZERO };
                // Mostly one who may.
                let approved = both
                    .payers
                    .iter()
                    .chain(&both.providers)
                    .find(|operator| both.pay().operator_approval(token, payer, **operator).is_approved);
                let operator = approved.copied().unwrap_or(payer);
                return (operator, PayCommand::CreateRail { token, from, to }.into());
            }
            25..28 => {
                let sender = if is_contract(operator) || self.chance(10) { self.anybody(both) } else { operator };
                let more = U256::from(self.rng.random_range(0..3_000_u32));
                let available = both.pay().account(token, from).available();
                let approval = both.pay().operator_approval(token, from, operator);
                let left = approval.lockup_allowance.saturating_sub(approval.lockup_usage);
                let change = match self.rng.random_range(0..7) {
                    0 => available + U256::from(1),
                    1 => U256::ZERO,
                    2 => left.min(U256::from(u64::MAX)) + U256::from(1),
                    _ => more,
                };
                let lockup_fixed = if self.chance(75) { lockup_fixed.saturating_add(change) } else { change };
                let longer = lockup_period + U256::from(self.rng.random_range(0..5_u32) / 3 * 40);
                let period = if self.chance(10) { approval.max_lockup_period + U256::from(1) } else { longer };
                return (sender, PayCommand::ModifyRailLockup { rail, period, lockup_fixed }.into());
            }
            _ => {
                let sender = if is_contract(operator) || self.chance(20) { self.anybody(both) } else { operator };
                let one_time_payment =
                    lockup_fixed / U256::from(self.rng.random_range(1..3_u32)) + U256::from(u32::from(self.chance(25)));
                return (sender, PayCommand::ModifyRailPayment { rail, one_time_payment }.into());
            }
        };
        (payer, command.into())
    }

    /// What only the market and Filecoin Pay may say.
    pub(super) fn told(&mut self, both: &Comparison<'_>) -> (Address, Ask) {
        let reason = self.pick(&[None, Some(Reason::NotSubmitted), Some(Reason::Withdrawn)]);
        let ask = if self.chance(60) {
            let job = self.order(both).map(|order| both.job(&order)).unwrap_or_default();
            Ask::JobEnded { job, reason }
        } else {
            let contract = self.pick(&[DEALS, GRANTER]);
            Ask::RailTerminated { contract, rail: self.rail(both), end_epoch: U256::from(GRACE) }
        };
        (self.anybody(both), ask)
    }
}

pub(super) const fn approval(
    token: Address,
    operator: Address,
    approved: bool,
    rate_allowance: U256,
    lockup_allowance: U256,
    max_lockup_period: U256,
) -> PayCommand {
    PayCommand::SetOperatorApproval { token, operator, approved, rate_allowance, lockup_allowance, max_lockup_period }
}
