//! What parties send about grants that a sponsor pays over Filecoin Pay.

use lota_market::{
    Address, B256, Bytes, Time, U256,
    blessing::Grant,
    filecoin_address::FilecoinAddress,
    filecoin_pay::{Command as PayCommand, RailView},
    granter::Command,
    model::JobId,
};
use rand::Rng;

use super::{Draft, Generator, payments::approval};
use crate::{
    chain::epoch_at,
    orders::{GRANTER, PAY, comparison::Comparison, granter::Probe},
    party::masked,
};

impl Generator {
    /// Grants, what becomes of their rails, and what the sponsor does about them.
    pub(super) fn about_grants(&mut self, both: &Comparison<'_>, at: Time) -> Draft {
        let (sponsor, anybody) = (both.sponsor(), self.anybody(both));
        let command = match self.rng.random_range(0..22) {
            0..9 => {
                let sender = if self.chance(93) { both.blessing() } else { anybody };
                return (sender, Command::Grant(Box::new(self.grant(both))).into());
            }
            9..12 => {
                let due = both.grant_rails().all_promised().map(|(rail, _)| rail).collect::<Vec<_>>();
                let mut rails: Vec<U256> = due.into_iter().filter(|_| self.chance(60)).collect();
                if self.chance(15) {
                    rails.push(self.rail(both));
                }
                return (anybody, Command::Pay { rails }.into());
            }
            12 => {
                let rail = self.rail_of_grants(both, |_| true).unwrap_or_else(|| self.rail(both));
                return (anybody, Command::Release { rail }.into());
            }
            13 | 14 => {
                let runs = |rail: U256| both.pay().rail(rail).is_some_and(|rail| !rail.is_terminated());
                let closed = both.grant_rails().pairs().find(|(_, _, rail)| !runs(*rail));
                let (payer, payee) = match closed {
                    Some((payer, payee, _)) if self.chance(75) => (payer, payee),
                    _ => (self.pick(&[sponsor, sponsor, anybody]), self.pick(&both.providers)),
                };
                return (payer, Command::RenewRail { payee }.into());
            }
            15 | 16 => {
                let used = both.pay().operator_approval(both.token, sponsor, GRANTER).lockup_usage;
                let allowance = match self.rng.random_range(0..8) {
                    0 => U256::ZERO,
                    1 => used,
                    2 => used + U256::from(1_500),
                    3..6 => U256::MAX,
                    _ => U256::from(100_000),
                };
                let period = U256::from(self.pick(&[0_u64, 4, 5, 60, 60, 60]));
                approval(both.token, GRANTER, self.chance(85), U256::ZERO, allowance, period)
            }
            17 | 18 => {
                let amount = U256::from(self.rng.random_range(0..20_000_u32));
                PayCommand::Deposit { token: both.token, to: sponsor, amount }
            }
            19 | 20 => match self.rail_of_grants(both, |rail| !rail.is_terminated()) {
                Some(rail) => PayCommand::TerminateRail { rail },
                None => return (both.blessing(), Command::Grant(Box::new(self.grant(both))).into()),
            },
            _ => {
                let rail = self.rail_of_grants(both, RailView::is_terminated).unwrap_or_else(|| self.rail(both));
                PayCommand::SettleRail { rail, until_epoch: U256::from(epoch_at(at)) }
            }
        };
        (sponsor, command.into())
    }

    /// One of the granter's at Filecoin Pay.
    fn rail_of_grants(&mut self, both: &Comparison<'_>, which: impl Fn(&RailView) -> bool) -> Option<U256> {
        let rails = both.pay().rails().filter(|(_, rail)| rail.operator == GRANTER && which(rail));
        let rails: Vec<U256> = rails.map(|(rail, _)| rail).collect();
        if rails.is_empty() { None } else { Some(self.pick(&rails)) }
    }

    /// Something that could be granted.
    pub(super) fn probe(&mut self, both: &Comparison<'_>) -> Probe {
        let Grant { provider, recipient, amount, .. } = self.grant(both);
        Probe { provider, recipient, amount }
    }

    pub(super) fn grant(&mut self, both: &Comparison<'_>) -> Grant {
        Grant {
            job: JobId(B256::repeat_byte(self.rng.random())),
            round: self.rng.random_range(1..4),
            provider: self.pick(&both.providers),
            recipient: self.recipient(both),
            amount: self.amount(both),
            piece: B256::repeat_byte(7),
            piece_size: 128,
            reasons: B256::repeat_byte(self.pick(&[0, 1])),
        }
    }

    /// In the rails' token: mostly what can be paid, and what is just beyond.
    fn amount(&mut self, both: &Comparison<'_>) -> U256 {
        let one = U256::from(1);
        let approval = both.pay().operator_approval(both.token, both.sponsor(), GRANTER);
        match self.rng.random_range(0..24) {
            0 => U256::ZERO,
            1 => one,
            2 => both.pay().account(both.token, both.sponsor()).available() + one,
            3 => approval.lockup_allowance.saturating_sub(approval.lockup_usage).saturating_add(one),
            // The whole of what can be promised: too much where something is promised already.
            4 => U256::from(u128::MAX),
            5 => U256::from(u128::MAX) + one,
            6 => U256::MAX,
            _ => U256::from(self.rng.random_range(1..3_000_u32)),
        }
    }

    /// To whom is granted: every form of an address, and what is none.
    fn recipient(&mut self, both: &Comparison<'_>) -> Bytes {
        // Mostly one who can be paid.
        let others = [both.providers[1], both.providers[2], self.pick(&both.providers)];
        let somebody = self.pick(&others);
        let anybody = self.anybody(both);
        let nobody = self.pick(&[Address::ZERO, masked(7), both.sponsor(), GRANTER, PAY]);
        match self.rng.random_range(0..24) {
            0..13 => somebody.to_vec(),
            13..17 => FilecoinAddress::delegated(somebody),
            17 => anybody.to_vec(),
            18 => nobody.to_vec(),
            19 => FilecoinAddress::delegated(nobody),
            20 => vec![0, self.rng.random_range(0..128)],
            21 => [vec![self.pick(&[1, 2, 3])], vec![9; self.pick(&[19, 20, 48])]].concat(),
            22 => [&[4, self.pick(&[9, 11])][..], somebody.as_slice()].concat(),
            _ => vec![7; self.rng.random_range(0..65)],
        }
        .into()
    }
}
