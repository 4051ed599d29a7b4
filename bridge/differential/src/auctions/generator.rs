//! What parties send to an auction and its market.

use std::collections::BTreeMap;

use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    auction::{Bid, Command, reveal_until},
    model::{Command as MarketCommand, JobResult, Status, Terms},
    world::{Answer, Call, ContractCommand, End, Script, ScriptedCall},
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{AUCTION, Comparison, MIN_REVEAL_PERIOD, RECENT, Step, contract_of};
use crate::{
    chain::{CHAIN_ID, Currency, SETTINGS},
    party::{MARKET, masked},
    token::{self, Approval, TOKEN, TokenStep, UNLIMITED},
};

pub(super) struct Generator {
    rng: StdRng,
    salts: BTreeMap<Address, u64>,
    begun: usize,
}

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), salts: BTreeMap::new(), begun: 0 }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_ratio(percent, 100)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.random_range(0..from.len())]
    }

    pub(super) fn next(&mut self, both: &Comparison<'_>) -> Step {
        let at = self.time(both);
        let scripted = both.stage.cast.scripted().address;
        if self.begun < 2 * both.bidders.len() + 1 {
            self.begun += 1;
            let account = *both.bidders.get(self.begun / 2).unwrap_or(&scripted);
            let amount = gwei(self.rng.random_range(20_000..60_000));
            let (value, command) = if self.begun.is_multiple_of(2) || account == scripted {
                into_market(both.stage.currency, account, amount)
            } else {
                into_auction(both.stage.currency, amount)
            };
            let sender = if account == scripted { both.bidders[0] } else { account };
            let approval = Approval { owner: sender, spender: contract_of(&command), amount: UNLIMITED };
            let token = TokenStep { approval: Some(approval), ..TokenStep::default() };
            return Step { at, sender, value, command, script: Script::default(), token };
        }
        let mut value = AttoFil::ZERO;
        let (mut sender, mut command) = match self.rng.random_range(0..100) {
            0..8 => self.open(both, at),
            8..16 => {
                let amount = gwei(self.rng.random_range(0..3_000));
                let (brought, command) = into_auction(both.stage.currency, amount);
                value = brought;
                (self.pick(&both.bidders), command)
            }
            16..19 => {
                let account = self.pick(&both.bidders);
                let balance = both.auction().balance(account).0;
                let amount = AttoFil(balance / self.rng.random_range(1..6) + u128::from(self.chance(10)));
                (account, Command::Withdraw { to: self.recipient(both, account), amount }.into())
            }
            // The other currency.
            19 if both.stage.currency == Currency::Token => (self.pick(&both.bidders), Command::Fund.into()),
            19 => (self.pick(&both.bidders), Command::FundToken { amount: AttoFil(1) }.into()),
            _ => self.life(both, at),
        };
        // Mistakes.
        if self.chance(8) {
            sender = self.pick(&both.bidders);
        }
        if self.chance(8)
            && let ContractCommand::Auction(command) = &mut command
        {
            self.spoil(command);
        }
        if self.chance(2) {
            value = gwei(1);
        }
        let script = if self.chance(50) { self.script(both, at) } else { Script::default() };
        let token = match both.stage.currency {
            Currency::Coin => TokenStep::default(),
            Currency::Token => self.token_step(both, &command, sender, at),
        };
        Step { at, sender, value, command, script, token }
    }

    fn recipient(&mut self, both: &Comparison<'_>, account: Address) -> Address {
        match self.rng.random_range(0..12) {
            0 => Address::ZERO,
            1 => masked(7),
            2 => AUCTION,
            3 => both.stage.cast.scripted().address,
            _ => account,
        }
    }

    fn time(&mut self, both: &Comparison<'_>) -> Time {
        let now = both.stage.now;
        match self.rng.random_range(0..100) {
            0..72 => now,
            72..88 => now.after(self.rng.random_range(1..4)),
            _ => {
                // To where something changes next, or a second beside it.
                let jobs = both.stage.known.iter().rev().take(RECENT);
                let edges = jobs.flat_map(|terms| [terms.ramp_start, reveal_until(terms), terms.lock_by]);
                let Some(edge) = edges.filter(|edge| *edge > now).min() else { return now };
                self.pick(&[Time(edge.0 - 1), edge, edge.after(1)])
            }
        }
    }

    fn job(&mut self, both: &Comparison<'_>) -> Option<Terms> {
        let recent = both.stage.known.len().min(RECENT);
        if recent == 0 {
            return None;
        }
        let mut terms = None;
        // Mostly one that goes on.
        for _ in 0..4 {
            let back = self.rng.random_range(0..recent);
            terms = both.stage.known.get(both.stage.known.len() - 1 - back);
            let job = terms.map(|terms| both.stage.ids.of(terms)).unwrap_or_default();
            if both.stage.market().deal(job).status == Status::Open || both.auction().auction(job).commits > 0 {
                break;
            }
        }
        terms.cloned()
    }

    fn terms(&mut self, client: Address, at: Time, scripted: Address) -> Terms {
        let salt = self.salts.entry(client).or_default();
        *salt += 1;
        let number = *salt - 1;
        let min = self.rng.random_range(0..4);
        let ramp_start = at.after(self.rng.random_range(0..60));
        let ramp_period = u64::from(MIN_REVEAL_PERIOD) + self.rng.random_range(0..30) - u64::from(self.chance(4));
        let has_callback = client == scripted && self.chance(80);
        Terms {
            client,
            salt: U256::from(number),
            spec: B256::repeat_byte(1),
            spec_codec: 0x71,
            min_price: gwei(min),
            max_price: gwei(min + self.rng.random_range(0..4) + u64::from(self.chance(85))),
            ramp_start,
            ramp_period,
            lock_by: ramp_start.after(ramp_period + self.rng.random_range(0..60)),
            run_for: 60,
            review_for: 0,
            rule_for: 0,
            collateral: gwei(self.pick(&[0, 1, 5_000])),
            matcher: if self.chance(95) { AUCTION } else { Address::repeat_byte(9) },
            arbiter: Address::ZERO,
            callback_gas: if has_callback { SETTINGS.max_callback_gas } else { 0 },
            keep_record: self.chance(20),
        }
    }

    fn open(&mut self, both: &Comparison<'_>, at: Time) -> (Address, ContractCommand) {
        let scripted = both.stage.cast.scripted().address;
        let client = self.pick(&[both.bidders[0], both.bidders[1], scripted]);
        let terms = self.terms(client, at, scripted);
        (client, MarketCommand::Open { terms, spec: Bytes::new() }.into())
    }

    /// What a bidder remembers of its bid: few different prices, so that there are ties.
    fn bid(&mut self, both: &Comparison<'_>, terms: &Terms, bidder: Address) -> Bid {
        let job = both.stage.ids.of(terms);
        let steps = (terms.max_price.0.saturating_sub(terms.min_price.0)) / gwei(1).0 + 1;
        let number = u128::from(bidder.0[3]) + u128::from(job.0.0[5]);
        // One bidder in a while commits to a price that nobody can reveal.
        let extra = if number.is_multiple_of(9) { gwei(1).0 } else { 0 };
        let price = AttoFil(terms.min_price.0 + number % steps * gwei(1).0 + extra * steps);
        Bid { job, bidder, price, nonce: B256::left_padding_from(bidder.as_slice()) }
    }

    /// What may be done with a job now, or could be at some other time.
    fn life(&mut self, both: &Comparison<'_>, at: Time) -> (Address, ContractCommand) {
        let Some(terms) = self.job(both) else { return self.open(both, at) };
        let job = both.stage.ids.of(&terms);
        let bidder = self.pick(&both.bidders);
        let bid = self.bid(both, &terms, bidder);
        let commit = |terms, bid: &Bid| Command::Commit {
            terms,
            commitment: lota_bridge::auction::commitment(CHAIN_ID, AUCTION, bid),
        };
        let reveal = |terms, Bid { price, nonce, .. }| Command::Reveal { terms, price, nonce };
        let deal = both.stage.market().deal(job);
        let sweep = |terms| Command::Sweep { terms, bidders: both.bidders.clone() };
        let usual = if deal.status == Status::Locked && self.chance(70) {
            let result = JobResult::default();
            return (deal.provider, MarketCommand::SubmitResult { terms, result }.into());
        } else if deal.callback_pending && self.chance(70) {
            let receipt = Default::default();
            return (bidder, MarketCommand::RetryCallback { terms, receipt }.into());
        } else if at < terms.ramp_start {
            match self.rng.random_range(0..20) {
                0 => return (terms.client, Command::Cancel { terms }.into()),
                1 => {
                    // Copied, of whoever is next.
                    let other = Bid { bidder: both.bidders[0], ..bid };
                    commit(terms, &other)
                }
                _ => commit(terms, &bid),
            }
        } else if at <= reveal_until(&terms) {
            reveal(terms, bid)
        } else if at <= terms.lock_by {
            match self.rng.random_range(0..4) {
                0 => Command::Cancel { terms },
                1 => sweep(terms),
                _ => Command::Award { terms },
            }
        } else {
            match self.rng.random_range(0..5) {
                0 => return (bidder, MarketCommand::Expire { terms }.into()),
                1 => sweep(terms),
                2 => Command::Cancel { terms },
                _ => Command::Release { terms },
            }
        };
        if self.chance(80) {
            return (bidder, usual.into());
        }
        let Some(terms) = usual.terms().cloned() else { return (bidder, usual.into()) };
        let other = match self.rng.random_range(0..6) {
            0 => commit(terms, &bid),
            1 => reveal(terms, bid),
            2 => Command::Award { terms },
            3 => Command::Cancel { terms },
            4 => Command::Release { terms },
            _ => sweep(terms),
        };
        (bidder, other.into())
    }

    fn spoil(&mut self, command: &mut Command) {
        match command {
            Command::Reveal { price, nonce, .. } => {
                if self.chance(50) {
                    price.0 = price.0.wrapping_add(gwei(1).0);
                } else {
                    nonce.0[0] ^= 1;
                }
            }
            Command::Sweep { bidders, .. } => {
                *bidders = vec![bidders.first().copied().unwrap_or_default(); self.rng.random_range(60..66)];
            }
            Command::Commit { terms, .. } | Command::Award { terms } | Command::Release { terms } => {
                match self.rng.random_range(0..5) {
                    0 => terms.min_price = terms.max_price,
                    1 => terms.ramp_period = u64::from(MIN_REVEAL_PERIOD) - 1,
                    2 => terms.lock_by = reveal_until(terms),
                    3 => terms.matcher = Address::repeat_byte(9),
                    _ => terms.salt += U256::from(1),
                }
            }
            _ => {}
        }
    }

    /// What the client with code does if it is called: it may open and deposit at the market; the auction lets it in unless it
    /// is the auction that is calling.
    fn script(&mut self, both: &Comparison<'_>, at: Time) -> Script {
        let sender = both.stage.cast.scripted().address;
        let calls = (0..self.rng.random_range(1..4))
            .map(|_| {
                let (contract, value, command) = match self.rng.random_range(0..4) {
                    0 => {
                        let terms = self.terms(sender, at, sender);
                        (MARKET, AttoFil::ZERO, MarketCommand::Open { terms, spec: Bytes::new() }.into())
                    }
                    1 => {
                        let (value, command) = into_auction(both.stage.currency, gwei(1));
                        (AUCTION, value, command)
                    }
                    2 => {
                        let account = self.pick(&both.bidders);
                        let (value, command) = into_market(both.stage.currency, account, gwei(1));
                        (MARKET, value, command)
                    }
                    _ => {
                        let command = self.life(both, at).1;
                        (contract_of(&command), AttoFil::ZERO, command)
                    }
                };
                ScriptedCall { call: Call { sender, contract, value, command }, may_fail: self.chance(80) }
            })
            .collect();
        let end = if self.chance(85) { End::Return } else { End::Revert };
        Script { calls, end }
    }

    /// What the token does: mostly what it should. Who brings money has mostly approved it.
    fn token_step(&mut self, both: &Comparison<'_>, command: &ContractCommand, sender: Address, at: Time) -> TokenStep {
        let mut step = TokenStep::default();
        let amount = match command {
            ContractCommand::Auction(Command::FundToken { amount } | Command::Withdraw { amount, .. })
            | ContractCommand::Market(MarketCommand::DepositToken { amount, .. }) => *amount,
            ContractCommand::Auction(Command::Award { terms }) => terms.collateral,
            _ => gwei(1),
        };
        if self.chance(60) {
            let owner = if self.chance(80) { sender } else { both.stage.cast.scripted().address };
            let spender = if self.chance(80) { contract_of(command) } else { MARKET };
            let one_less = AttoFil(amount.0.saturating_sub(1));
            let amount = self.pick(&[amount, one_less, UNLIMITED, UNLIMITED, AttoFil::ZERO]);
            step.approval = Some(Approval { owner, spender, amount });
        }
        if self.chance(75) {
            return step;
        }
        match self.rng.random_range(0..8) {
            5 => step.conduct.script.end = self.pick(&[End::Revert, End::OutOfGas]),
            6 => step.conduct.script = self.token_script(both, at),
            way => (step.conduct.taken, step.conduct.given) = token::wrong_amounts(way, amount),
        }
        step.conduct.answer = self.pick(&[Answer::True, Answer::True, Answer::Nothing, Answer::NotTrue]);
        step.untruth = self.rng.random_range(0..3);
        step
    }

    /// Calls of both contracts. The one that has called the token lets nobody in meanwhile.
    fn token_script(&mut self, both: &Comparison<'_>, at: Time) -> Script {
        let calls = (0..self.rng.random_range(1..3)).map(|_| {
            let command = match self.rng.random_range(0..5) {
                0 => into_auction(Currency::Token, gwei(1)).1,
                1 => into_market(Currency::Token, both.bidders[0], gwei(1)).1,
                // Would be done, by anybody, if the auction were open.
                2 => Command::Withdraw { to: both.bidders[0], amount: AttoFil::ZERO }.into(),
                _ => self.life(both, at).1,
            };
            let call = Call { sender: TOKEN, contract: contract_of(&command), value: AttoFil::ZERO, command };
            ScriptedCall { call, may_fail: self.chance(70) }
        });
        Script { calls: calls.collect(), end: End::Return }
    }
}

/// Money for the auction, and the value that goes with it.
fn into_auction(currency: Currency, amount: AttoFil) -> (AttoFil, ContractCommand) {
    match currency {
        Currency::Coin => (amount, Command::Fund.into()),
        Currency::Token => (AttoFil::ZERO, Command::FundToken { amount }.into()),
    }
}

/// Money for somebody's balance at the market, and the value that goes with it.
fn into_market(currency: Currency, account: Address, amount: AttoFil) -> (AttoFil, ContractCommand) {
    match currency {
        Currency::Coin => (amount, MarketCommand::Deposit { account }.into()),
        Currency::Token => (AttoFil::ZERO, MarketCommand::DepositToken { account, amount }.into()),
    }
}

const fn gwei(amount: u64) -> AttoFil {
    AttoFil::from_gwei(amount)
}
