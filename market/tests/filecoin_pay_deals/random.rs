//! Random commands: money is conserved, what is refused changes nothing, and no payer can take back what it has promised.

use lota_market::{
    Address, AttoFil, Bytes, U256, filecoin_pay,
    filecoin_pay_deals::{Command, Order},
    model::{self, Status, Verdict},
    world::{CallError, ContractCommand},
};

use crate::town::*;

const PAYERS: u64 = 2;
const PROVIDERS: u64 = 2;

struct Trial {
    town: Town,
    dice: Dice,
    orders: Vec<Order>,
}

impl Trial {
    fn draw_up(&mut self) -> Order {
        let (number, now) = (self.orders.len() as u64, self.town.env.now);
        let mut order = order(payer(self.dice.below(PAYERS)), number, now.after(self.dice.below(30)));
        order.min_price = U256::from(1 + self.dice.below(80_000));
        order.max_price = order.min_price + U256::from(self.dice.below(80_000));
        order.terms.run_for = 60 + self.dice.below(600) as u32;
        if self.dice.below(2) == 0 {
            (order.terms.arbiter, order.terms.review_for, order.terms.rule_for) = (Address::ZERO, 0, 0);
        }
        self.orders.push(order.clone());
        order
    }

    fn turn(&mut self) -> (Address, AttoFil, ContractCommand) {
        let none = AttoFil::ZERO;
        let (who, whom) = (payer(self.dice.below(PAYERS)), provider(self.dice.below(PROVIDERS)));
        let token = self.town.deals().rails().token();
        let rail = U256::from(self.dice.below(self.town.pay().rail_count() + 1));
        let recent = self.orders.len().saturating_sub(6);
        let drawn = recent + self.dice.below((self.orders.len() - recent).max(1) as u64) as usize;
        let order = self.orders.get(drawn).cloned();
        let order = if self.dice.below(6) == 0 { None } else { order }.unwrap_or_else(|| self.draw_up());
        let (terms, epoch) = (order.terms.clone(), U256::from(self.town.env.now.0 / EPOCH));
        let deal = self.town.market().deal(job_of(&terms));
        let (status, runs) = (deal.status, deal.provider);
        let receipt = deal.receipt.cloned().unwrap_or_default();
        match self.dice.below(24) {
            0 => (who, none, Command::Pay { rails: vec![rail] }.into()),
            1 => (who, none, Command::Release { rail }.into()),
            2 => (who, none, Command::RenewRail { payee: whom }.into()),
            3 => (who, none, Command::Withdraw { to: who }.into()),
            4 => (who, none, filecoin_pay::Command::TerminateRail { rail }.into()),
            5 => (whom, none, filecoin_pay::Command::SettleRail { rail, until_epoch: epoch }.into()),
            6 => {
                let amount = U256::from(self.dice.below(FUNDS));
                (who, none, filecoin_pay::Command::Withdraw { token, amount }.into())
            }
            7 => {
                let amount = self.dice.below(50_000);
                let value = if token.is_zero() { AttoFil(amount.into()) } else { none };
                let amount = U256::from(amount);
                (who, value, filecoin_pay::Command::Deposit { token, to: who, amount }.into())
            }
            _ => match status {
                Status::None => {
                    let signature = Bytes::copy_from_slice(order.payer.as_slice());
                    let (value, spec) = (terms.collateral, Bytes::new());
                    if self.dice.below(3) == 0 {
                        return (whom, none, Command::Open { order, spec, signature }.into());
                    }
                    (whom, value, Command::OpenAndTake { order, spec, signature }.into())
                }
                Status::Open if self.dice.below(6) == 0 => (order.payer, none, Command::Cancel { order }.into()),
                Status::Open if self.town.env.now > terms.lock_by => {
                    (who, none, model::Command::Expire { terms }.into())
                }
                Status::Open => (whom, terms.collateral, Command::Take { order }.into()),
                Status::Locked if self.dice.below(5) == 0 => (runs, none, model::Command::GiveUp { terms }.into()),
                Status::Locked if self.town.env.now > terms.run_by(deal.since) => {
                    (who, none, model::Command::Expire { terms }.into())
                }
                Status::Locked => {
                    let result = Default::default();
                    (runs, none, model::Command::SubmitResult { terms, result }.into())
                }
                Status::Submitted => match self.dice.below(3) {
                    0 => (order.payer, none, Command::Accept { terms, receipt }.into()),
                    1 => (ARBITER, none, model::Command::Dispute { terms }.into()),
                    _ => (whom, none, model::Command::Settle { terms, receipt }.into()),
                },
                Status::Disputed if self.dice.below(3) == 0 => {
                    (whom, none, model::Command::Lapse { terms, receipt }.into())
                }
                _ => {
                    let verdict = [Verdict::Upheld, Verdict::Overturned, Verdict::Void][self.dice.below(3) as usize];
                    (ARBITER, none, model::Command::Rule { terms, receipt, verdict }.into())
                }
            },
        }
    }
}

#[test]
fn money_is_conserved_and_what_is_refused_or_rolled_back_has_not_happened() {
    let (mut done, mut refused, mut undone, mut paid) = (0, 0, 0, 0);
    for seed in 0..120 {
        let town = Town::new(PAYERS, PROVIDERS, seed % 2 == 0);
        let mut trial = Trial { town, dice: Dice(seed), orders: Vec::new() };
        for _ in 0..200 {
            if trial.dice.below(3) == 0 {
                trial.town.env.now = trial.town.env.now.after(trial.dice.below(120));
            }
            let (sender, value, command) = trial.turn();
            let town = &mut trial.town;
            let (before, said) = (town.world.clone(), town.log.len());
            let savepoint = town.world.savepoint();
            match town.act(sender, value, command.clone()) {
                Ok(()) if trial.dice.below(8) == 0 => {
                    town.world.roll_back(savepoint);
                    town.log.truncate(said);
                    assert_eq!(town.world, before, "rolled back: {command:?}");
                    undone += 1;
                }
                Ok(()) => {
                    town.world.keep(savepoint);
                    done += 1;
                    let payments = town.log[said..].iter().filter_map(|log| log.event.of_filecoin_pay());
                    let is_payment = |event: &&filecoin_pay::Event| {
                        matches!(event, filecoin_pay::Event::RailOneTimePaymentProcessed { .. })
                    };
                    paid += payments.filter(is_payment).count();
                }
                Err(
                    CallError::Rejected(_)
                    | CallError::RejectedByFilecoinPay(_)
                    | CallError::RejectedByFilecoinPayDeals(_),
                ) => {
                    town.world.keep(savepoint);
                    assert_eq!(town.world, before, "refused: {command:?}");
                    assert_eq!(town.log.len(), said, "a refused command said something");
                    refused += 1;
                }
                Err(error) => panic!("{error}: {command:?}"),
            }
            town.money_is_accounted_for();
        }
    }
    assert!(done > 5_000 && refused > 1_000 && undone > 500 && paid > 100, "{done} {refused} {undone} {paid}");
}

/// The payer does all that it can against it, the arbiter takes as long as it may, and the provider is paid as late as the grace allows.
#[test]
fn what_is_promised_is_paid_whatever_the_payer_does() {
    for seed in 0..500 {
        let mut dice = Dice(seed);
        let mut town = Town::new(1, 1, seed % 2 == 0);
        town.env.now = START.after(dice.below(2 * EPOCH));
        let mut order = order(payer(0), 0, town.env.now);
        order.terms.run_for = 60 + dice.below(200) as u32;
        order.terms.review_for = 60 + dice.below(200) as u32;
        order.terms.rule_for = 60 + dice.below(200) as u32;
        town.take(&order, provider(0)).expect("it is there to be taken");
        let rail = town.deals().rails().rail_of(payer(0), provider(0)).expect("it was taken");
        let late =
            |dice: &mut Dice, window: u32| if dice.below(2) == 0 { window.into() } else { dice.below(window.into()) };
        let ends = dice.below(4);
        let pester = |town: &mut Town, when: u64| {
            if when == ends {
                town.withdraw_all(payer(0));
                town.approve(payer(0), U256::ZERO, U256::ZERO);
                let terminated = town.ask(payer(0), filecoin_pay::Command::TerminateRail { rail });
                terminated.expect("the payer may always");
            }
            let until_epoch = U256::from(town.env.now.0 / EPOCH);
            town.ask(payer(0), filecoin_pay::Command::SettleRail { rail, until_epoch }).expect("anybody may");
            town.ask(payer(0), Command::Release { rail }).expect("anybody may");
        };
        pester(&mut town, 0);
        town.env.now = town.env.now.after(late(&mut dice, order.terms.run_for));
        town.submit(&order, provider(0)).expect("in time");
        pester(&mut town, 1);
        let terms = order.terms.clone();
        town.env.now = town.env.now.after(late(&mut dice, terms.review_for));
        town.ask(ARBITER, model::Command::Dispute { terms: terms.clone() }).expect("in time");
        pester(&mut town, 2);
        town.env.now = town.env.now.after(late(&mut dice, terms.rule_for));
        let (receipt, verdict) = (receipt(provider(0)), Verdict::Upheld);
        town.ask(ARBITER, model::Command::Rule { terms, receipt, verdict }).expect("in time");
        pester(&mut town, 3);
        town.env.now = town.env.now.after(GRACE);
        town.ask(STRANGER, Command::Pay { rails: vec![rail] }).expect("within the grace");
        assert_eq!(town.account(provider(0)).0, U256::from(995));
        town.money_is_accounted_for();
    }
}
