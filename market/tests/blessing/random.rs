//! Random commands: money is conserved, what is refused changes nothing, and time brings everything to its end.

use lota_market::{
    Address, AttoFil, Bytes, Time,
    blessing::{Choice, Command, Nomination, Phase},
    model::{Receipt, Terms},
    world::{CallError, End, Script},
};

use crate::town::*;

struct Trial {
    town: Town,
    dice: Dice,
    jobs: Vec<(Terms, Receipt)>,
    /// The last nomination of each job.
    nominations: Vec<Option<Nomination>>,
}

impl Trial {
    fn account(&mut self) -> Address {
        match self.dice.below(7) {
            0 => CLIENT,
            1 => PROVIDER,
            2 => NOMINATOR,
            n => notary(n - 3),
        }
    }

    fn turn(&mut self) -> (Address, Command) {
        let index = self.jobs.len() - 1 - self.dice.below(self.jobs.len().min(4) as u64) as usize;
        let (by, voter) = (self.account(), notary(self.dice.below(5)));
        let amount = gwei(self.dice.below(30_000));
        let command = match self.dice.below(20) {
            0 => Command::Withdraw { to: by, amount },
            1 => Command::SetAside { amount },
            2 => Command::TakeBack { amount },
            3 => register(if self.dice.below(2) == 0 { Bytes::from_static(b"f1") } else { by[..].to_vec().into() }),
            4 => {
                let first = self.dice.below(3);
                let list = (first..first + 1 + self.dice.below(3)).map(notary).collect();
                let ballots = ballots(0..self.dice.below(4));
                let quorum = 1 + self.dice.below(2) as u32;
                Command::SetNotaries { notaries: list, quorum, until: self.town.env.now, ballots }
            }
            5 => Command::Sweep { granter: GRANTER, providers: vec![PROVIDER, notary(3)] },
            _ => {
                let Some(nomination) = self.nominations[index].clone() else {
                    let (terms, receipt) = &self.jobs[index];
                    return (by, nominate(terms, receipt));
                };
                match self.town.blessing().phase(nomination.job) {
                    Phase::Nominated if self.dice.below(4) > 0 => {
                        let choice = if self.dice.below(4) == 0 { Choice::Reject } else { Choice::Approve };
                        if self.dice.below(2) == 0 {
                            return (voter, vote(&nomination, choice));
                        }
                        let signature = Bytes::copy_from_slice(&voter[..]);
                        let reasons = Default::default();
                        let nomination = Box::new(nomination);
                        Command::VoteSigned { nomination, choice, reasons, notary: voter, signature }
                    }
                    Phase::Blessed if self.dice.below(3) == 0 => return (voter, vote(&nomination, Choice::Revoke)),
                    Phase::Blessed if self.dice.below(4) > 0 => grant(&nomination),
                    Phase::None | Phase::Granted => {
                        let (terms, receipt) = &self.jobs[index];
                        nominate(terms, receipt)
                    }
                    _ => expire(&nomination),
                }
            }
        };
        (by, command)
    }
}

#[test]
fn money_is_conserved_and_what_is_refused_or_rolled_back_has_not_happened() {
    let (mut done, mut refused, mut undone, mut granted, mut burned) = (0, 0, 0, 0, 0);
    for seed in 0..120 {
        let town = Town::new(seed % 3 == 0);
        let mut trial = Trial { town, dice: Dice(seed), jobs: Vec::new(), nominations: Vec::new() };
        for number in 0..200 {
            if trial.jobs.is_empty() || trial.dice.below(20) == 0 {
                let provider = if trial.dice.below(3) == 0 { notary(3) } else { PROVIDER };
                let job = trial.town.settled(number, provider);
                trial.jobs.push(job);
                trial.nominations.push(None);
            }
            if trial.dice.below(4) == 0 {
                trial.town.env.now = trial.town.env.now.after(trial.dice.below(60));
            }
            let (sender, command) = trial.turn();
            let fails = trial.dice.below(4) == 0;
            let town = &mut trial.town;
            town.env.scripts = if fails { [Script::ending(End::Revert)].into() } else { Default::default() };
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
                    if let Some(nomination) = command.nomination() {
                        granted += usize::from(town.blessing().phase(nomination.job) == Phase::Granted);
                    }
                    if matches!(command, Command::Nominate { .. }) {
                        trial.nominations = trial
                            .jobs
                            .iter()
                            .zip(&trial.nominations)
                            .map(|((terms, _), known)| trial.town.last(terms).or_else(|| known.clone()))
                            .collect();
                    }
                }
                Err(CallError::RejectedByBlessing(_)) => {
                    town.world.keep(savepoint);
                    assert_eq!(town.world, before, "refused: {command:?}");
                    assert_eq!(town.log.len(), said, "a refused command said something");
                    refused += 1;
                }
                Err(error) => panic!("{error}: {command:?}"),
            }
            trial.town.money_is_accounted_for();
        }
        burned += usize::from(trial.town.blessing().burned() > AttoFil::ZERO);
        finish(&mut trial);
    }
    assert!(done > 3_000 && refused > 3_000 && undone > 300, "{done} done, {refused} refused, {undone} undone");
    assert!(granted > 100 && burned > 20, "{granted} granted, {burned} trials with a refusal");
}

/// A stranger and time end everything, and everybody leaves with all of their money.
fn finish(trial: &mut Trial) {
    let town = &mut trial.town;
    town.env.now = Time(town.env.now.0 + 10_000);
    town.env.scripts.clear();
    let running: Vec<Nomination> =
        town.blessing().records().filter_map(|(_, record)| record.nomination().cloned()).collect();
    for nomination in running {
        town.act(STRANGER, expire(&nomination)).expect("its time is over");
    }
    for (provider, amount) in town.blessing().pools().collect::<Vec<_>>() {
        town.act(provider, Command::TakeBack { amount }).expect("it is the provider's");
    }
    for (account, amount) in town.blessing().balances().collect::<Vec<_>>() {
        town.act(account, Command::Withdraw { to: account, amount }).expect("it is the account's");
    }
    let blessing = town.blessing();
    assert_eq!(blessing.escrowed(), AttoFil::ZERO);
    assert_eq!(blessing.held(), blessing.burned(), "nothing else is left");
    town.money_is_accounted_for();
}
