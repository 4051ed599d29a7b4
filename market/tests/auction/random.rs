//! Random commands: money is conserved, what is refused changes nothing, and time brings everything to its end.

use lota_market::{
    AttoFil, U256,
    auction::{Bid, Command},
    model::{self, Terms},
    world::CallError,
};

use crate::town::*;

const BIDDERS: u64 = 5;

struct Trial {
    town: Town,
    dice: Dice,
    jobs: Vec<Terms>,
}

impl Trial {
    fn random_terms(&mut self) -> Terms {
        let (dice, now) = (&mut self.dice, self.town.env.now);
        let min = dice.below(3);
        let ramp_period = u64::from(MIN_REVEAL_PERIOD) + dice.below(60);
        let ramp_start = now.after(dice.below(100));
        Terms {
            salt: U256::from(self.jobs.len()),
            min_price: gwei(min),
            max_price: gwei(min + 1 + dice.below(4)),
            ramp_start,
            ramp_period,
            lock_by: ramp_start.after(ramp_period + 1 + dice.below(300)),
            collateral: gwei(dice.below(3) * 10_000),
            ..terms(0)
        }
    }

    fn job(&mut self) -> Terms {
        let from = self.jobs.len().saturating_sub(3);
        self.jobs[from + self.dice.below((self.jobs.len() - from) as u64) as usize].clone()
    }

    fn price(terms: &Terms, bidder: u64) -> AttoFil {
        // What a bidder remembers; now and then it is out of range.
        let number = bidder * 7 + terms.salt.to::<u64>();
        let range = (terms.max_price.0 - terms.min_price.0) / gwei(1).0 + u128::from(number.is_multiple_of(4));
        AttoFil(terms.min_price.0 + u128::from(number) % (range + 1) * gwei(1).0)
    }

    fn turn(&mut self) -> (lota_market::Address, Command) {
        let n = self.dice.below(BIDDERS);
        let by = bidder(n as usize);
        let terms = self.job();
        let price = Self::price(&terms, n);
        let command = match self.dice.below(20) {
            0 => Command::Withdraw { to: by, amount: AttoFil(self.dice.below(50_000) as u128 * gwei(1).0) },
            1..8 => sealed(&terms, by, price),
            8..14 => revealed(&terms, by, price),
            14..16 => Command::Award { terms },
            16 => Command::Cancel { terms },
            17 => Command::Release { terms },
            18 => Command::Sweep { terms, bidders: (0..BIDDERS as usize).map(bidder).collect() },
            _ => {
                let bid = Bid { job: job_of(&terms), bidder: bidder(0), price, nonce: nonce(by) };
                Command::Commit { terms, commitment: commitment(&bid) }
            }
        };
        (if self.dice.below(10) == 0 { CLIENT } else { by }, command)
    }
}

#[test]
fn money_is_conserved_and_what_is_refused_or_rolled_back_has_not_happened() {
    let (mut done, mut refused, mut undone, mut awarded) = (0, 0, 0, 0);
    for seed in 0..180 {
        let mut trial = Trial { town: Town::with(BIDDERS as usize, seed % 3 == 0), dice: Dice(seed), jobs: Vec::new() };
        for _ in 0..150 {
            if trial.jobs.is_empty() || trial.dice.below(25) == 0 {
                let terms = trial.random_terms();
                trial.town.open(&terms);
                trial.jobs.push(terms);
            }
            if trial.dice.below(3) == 0 {
                trial.town.env.now = trial.town.env.now.after(trial.dice.below(80));
            }
            let (sender, command) = trial.turn();
            let town = &mut trial.town;
            let (before, said) = (town.world.clone(), town.log.len());
            let savepoint = town.world.savepoint();
            match town.act(sender, command.clone()) {
                Ok(()) if trial.dice.below(8) == 0 => {
                    town.world.roll_back(savepoint);
                    town.log.truncate(said);
                    assert_eq!(town.world, before, "rolled back: {command:?}");
                    undone += 1;
                }
                Ok(()) => {
                    town.world.keep(savepoint);
                    done += 1;
                    awarded += usize::from(matches!(command, Command::Award { .. }));
                }
                Err(CallError::RejectedByAuction(_)) => {
                    town.world.keep(savepoint);
                    assert_eq!(town.world, before, "refused: {command:?}");
                    assert_eq!(town.log.len(), said, "a refused command said something");
                    refused += 1;
                }
                Err(error) => panic!("{error}: {command:?}"),
            }
            town.money_is_accounted_for();
        }
        finish(trial);
    }
    assert!(done > 1_000 && refused > 1_000 && undone > 100 && awarded > 20, "{done} {refused} {undone} {awarded}");
}

/// A stranger and time end everything, and everybody leaves with all of their money.
fn finish(mut trial: Trial) {
    let town = &mut trial.town;
    town.env.now = town.env.now.after(100_000);
    for terms in &trial.jobs {
        if town.auction().auction(job_of(terms)).commits > 0 {
            town.act(STRANGER, Command::Release { terms: terms.clone() }).expect("it is time");
        }
        let bidders = (0..BIDDERS as usize).map(bidder).chain([CLIENT]).collect();
        town.act(STRANGER, Command::Sweep { terms: terms.clone(), bidders }).expect("it is time");
        if town.market().deal(job_of(terms)).status == model::Status::Open {
            let expire = model::Command::Expire { terms: terms.clone() };
            town.ask_market(STRANGER, AttoFil::ZERO, expire).expect("it is time");
        }
    }
    assert!(town.is_empty());
    let accounts: Vec<_> = town.auction().balances().collect();
    for (account, amount) in accounts {
        town.act(account, Command::Withdraw { to: account, amount }).expect("it is there");
    }
    assert_eq!(town.auction().held(), town.auction().burned(), "nothing else is left");
    assert_eq!(town.auction().staked(), AttoFil::ZERO);
    town.money_is_accounted_for();
}
