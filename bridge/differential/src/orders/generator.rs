//! What parties send to the market, to Filecoin Pay, and to the contracts that pay over it.

mod grants;
mod payments;

use std::collections::BTreeMap;

use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    filecoin_pay::Command as PayCommand,
    filecoin_pay_deals::{Command, Order, lane_of_payer},
    granter::Command as GranterCommand,
    model::{Command as MarketCommand, JobResult, Receipt, Status, Terms, Verdict, salt},
    world::{Answer, Call, ContractCommand, End, Script, ScriptedCall},
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use self::payments::approval;
use super::{Ask, CALLBACK_GAS, Comparison, DEALS, GRANTER, PAY, RECENT, Step, contract_of};
use crate::{
    chain::{CHAIN_ID, Currency, EPOCH_SECONDS},
    oracle::REFERENCE,
    party::MARKET,
    token::{self, Approval, TOKEN, TokenStep, UNLIMITED},
};

pub(super) struct Generator {
    rng: StdRng,
    /// The next number of a payer's salts.
    salts: BTreeMap<Address, u64>,
    begun: usize,
    /// Orders that were drawn up, whether or not somebody has opened them.
    drafts: Vec<Order>,
}

/// What is asked, and by whom.
type Draft = (Address, ContractCommand);

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), salts: BTreeMap::new(), begun: 0, drafts: Vec::new() }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_ratio(percent, 100)
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.random_range(0..from.len())]
    }

    pub(super) fn next(&mut self, both: &Comparison<'_>) -> Step {
        let at = self.time(both);
        if self.begun < 2 * both.payers.len() {
            self.begun += 1;
            let payer = both.payers[(self.begun - 1) / 2];
            let command = if self.begun.is_multiple_of(2) {
                let (rate_allowance, lockup_allowance) = (U256::ZERO, U256::from(200_000));
                let (operator, max_lockup_period) = (DEALS, U256::from(60));
                approval(both.token, operator, true, rate_allowance, lockup_allowance, max_lockup_period)
            } else {
                PayCommand::Deposit { token: both.token, to: payer, amount: U256::from(100_000) }
            };
            return self.step(both, at, payer, command.into());
        }
        if self.begun < 2 * both.payers.len() + 2 {
            self.begun += 1;
            // Another's rail, beside those of the contract.
            let (token, from, operator) = (both.token, both.payers[0], both.providers[1]);
            let (sender, command) = if self.begun % 2 == 1 {
                let allowance = self.pick(&[U256::MAX, U256::MAX, U256::from(2_000)]);
                (from, approval(token, operator, true, U256::ZERO, allowance, U256::from(100)))
            } else {
                (operator, PayCommand::CreateRail { token, from, to: operator })
            };
            return self.step(both, at, sender, command.into());
        }
        if self.begun == 2 * both.payers.len() + 2 {
            self.begun += 1;
            let (allowance, period) = (U256::from(100_000), U256::from(60));
            let command = approval(both.token, GRANTER, true, U256::ZERO, allowance, period);
            return self.step(both, at, both.sponsor(), command.into());
        }
        let foreign_chain = self.chance(2).then_some(CHAIN_ID + 1);
        let (mut sender, ask) = match self.rng.random_range(0..112) {
            0..18 => {
                let (sender, command) = self.about_pay(both, at);
                (sender, Ask::Command(command))
            }
            18..20 => self.told(both),
            20..24 => {
                let payer = self.pick(&both.payers);
                let to = self.pick(&[payer, both.stage.cast.scripted().address, MARKET, Address::ZERO]);
                (payer, Ask::Command(Command::Withdraw { to }.into()))
            }
            24 => {
                let payer = self.pick(&both.payers);
                let up_to = self.salts.get(&payer).copied().unwrap_or_default();
                (payer, Ask::Command(Command::Revoke { up_to: self.rng.random_range(0..=up_to + 1) }.into()))
            }
            25..45 => {
                let (sender, command) = self.about_rails(both);
                (sender, Ask::Command(command))
            }
            100.. => {
                let (sender, command) = self.about_grants(both, at);
                (sender, Ask::Command(command))
            }
            _ => {
                let (sender, command) = self.life(both, at);
                (sender, Ask::Command(command))
            }
        };
        if self.chance(4) || sender.is_zero() {
            sender = self.anybody(both);
        }
        let mut step = match ask {
            Ask::Command(command) => self.step(both, at, sender, command),
            ask => Step { ask, ..self.step(both, at, sender, Command::Revoke { up_to: 0 }.into()) },
        };
        step.foreign_chain = foreign_chain;
        if self.chance(3) && matches!(step.ask, Ask::Command(_)) {
            step.value = AttoFil(self.rng.random_range(0..3));
        }
        if self.chance(50) {
            step.script = self.script(both, at);
        }
        step
    }

    /// A command with the value it needs, and what the token does meanwhile.
    fn step(&mut self, both: &Comparison<'_>, at: Time, sender: Address, command: ContractCommand) -> Step {
        let is_coin = both.stage.currency == Currency::Coin;
        let value = match &command {
            ContractCommand::FilecoinPay(PayCommand::Deposit { token, amount, .. }) if token.is_zero() => {
                AttoFil(amount.saturating_to())
            }
            ContractCommand::FilecoinPayDeals(Command::Take { order } | Command::OpenAndTake { order, .. })
                if is_coin =>
            {
                order.terms.collateral
            }
            _ => AttoFil::ZERO,
        };
        let token = self.token_step(both, &command, sender, at);
        let (ask, script) = (Ask::Command(command), Script::default());
        Step { at, foreign_chain: None, sender, value, ask, script, token, probe: self.probe(both) }
    }

    fn time(&mut self, both: &Comparison<'_>) -> Time {
        let now = both.stage.now;
        match self.rng.random_range(0..100) {
            0..82 => now,
            82..90 => now.after(self.rng.random_range(1..20)),
            _ => {
                // To where something changes next, or a second beside it.
                let orders = both.known.iter().rev().take(RECENT);
                let edges = orders.flat_map(|order| {
                    let Terms { ramp_start, ramp_period, lock_by, .. } = order.terms;
                    let terms = &order.terms;
                    let since = both.stage.market().deal(both.job(order)).since;
                    let deadlines = [terms.run_by(since), terms.review_by(since), terms.rule_by(since)];
                    [ramp_start, ramp_start.after(ramp_period), lock_by].into_iter().chain(deadlines)
                });
                let ends = both.pay().rails().filter(|(_, rail)| rail.is_terminated());
                let ends =
                    ends.map(|(_, rail)| Time(rail.end_epoch.saturating_to::<u64>().saturating_mul(EPOCH_SECONDS)));
                let next: Vec<Time> = edges.chain(ends).filter(|edge| *edge > now && edge.0 < now.0 + 600).collect();
                if next.is_empty() {
                    return now;
                }
                let edge = if self.chance(70) { next.iter().copied().min().unwrap_or(now) } else { self.pick(&next) };
                self.pick(&[Time(edge.0 - 1), edge, edge.after(1)]).max(now)
            }
        }
    }

    fn anybody(&mut self, both: &Comparison<'_>) -> Address {
        let named = both.stage.cast.parties.iter().find(|party| party.name == "dave");
        let stranger = named.map_or(both.payers[0], |party| party.address);
        let (payer, provider) = (self.pick(&both.payers), self.pick(&both.providers));
        self.pick(&[stranger, payer, provider])
    }

    // Orders ----------------------------------------------------------------------------------------------------------

    fn draw_up(&mut self, both: &Comparison<'_>, at: Time) -> Order {
        let payer = self.pick(&both.payers);
        let number = self.salts.entry(payer).or_default();
        *number += 1;
        let number = *number - 1;
        let arbiter = if self.chance(60) { both.providers[1] } else { Address::ZERO };
        let reviewed = !arbiter.is_zero();
        let window = |generator: &mut Self| 60 + generator.rng.random_range(0..60);
        let (run_for, review_for, rule_for) = (window(self), window(self), window(self));
        let ramp_start = if self.chance(75) { at } else { at.after(self.rng.random_range(0..20)) };
        let min_price = U256::from(self.rng.random_range(1..3_000_u32));
        let max_price = min_price + U256::from(self.rng.random_range(0..3_000_u32));
        let collateral = AttoFil::from_gwei(self.pick(&[0, 1, 500, 3]));
        let terms = Terms {
            client: DEALS,
            salt: salt(lane_of_payer(payer), number),
            spec: B256::repeat_byte(1),
            spec_codec: 0x71,
            min_price: AttoFil::ZERO,
            max_price: AttoFil::ZERO,
            ramp_start,
            ramp_period: self.rng.random_range(1..200),
            lock_by: ramp_start.after(self.rng.random_range(0..150)),
            run_for,
            review_for: if reviewed { review_for } else { 0 },
            rule_for: if reviewed { rule_for } else { 0 },
            collateral,
            matcher: DEALS,
            arbiter,
            callback_gas: CALLBACK_GAS,
            keep_record: false,
        };
        let provider = if self.chance(20) { self.pick(&both.providers) } else { Address::ZERO };
        let mut order = Order { terms, payer, provider, min_price, max_price };
        if self.chance(15) {
            self.spoil(&mut order);
        }
        self.drafts.push(order.clone());
        order
    }

    /// What may not be, or cannot be paid.
    fn spoil(&mut self, order: &mut Order) {
        let beyond = U256::from(u128::MAX);
        match self.rng.random_range(0..16) {
            0 => order.terms.client = order.payer,
            1 => order.terms.matcher = Address::ZERO,
            2 => order.terms.max_price = AttoFil::from_gwei(1),
            3 => order.terms.callback_gas = CALLBACK_GAS - 1,
            4 => order.terms.keep_record = true,
            5 => (order.payer, order.terms.salt) = (Address::ZERO, U256::ZERO),
            6 => order.terms.salt += U256::from(1) << 64,
            7 => order.min_price = U256::ZERO,
            8 => order.max_price = order.min_price - U256::from(1),
            9 => order.max_price = beyond + U256::from(1),
            // The whole of what can be promised: nothing else may be promised on the same rail.
            10 | 14 => (order.min_price, order.max_price) = (beyond, beyond),
            11 => order.terms.run_for = 1,
            12 => order.provider = order.payer,
            13 => order.terms.run_for = 100 * 60,
            _ => order.max_price = U256::from(90_000),
        }
    }

    fn signature(&mut self, both: &Comparison<'_>, order: &Order) -> Bytes {
        let mut digest = lota_bridge::filecoin_pay_deals::order_digest(&REFERENCE, DEALS, order);
        if self.chance(8) {
            digest.0[0] ^= 1;
        }
        both.stage.cast.sign(order.payer, &digest)
    }

    /// A provider of an order: mostly the one that it names.
    fn provider(&mut self, both: &Comparison<'_>, order: &Order) -> Address {
        if !order.provider.is_zero() && self.chance(92) {
            return order.provider;
        }
        // Mostly one who can be paid.
        let others = [both.providers[1], both.providers[2], self.pick(&both.providers)];
        self.pick(&others)
    }

    fn begin(&mut self, both: &Comparison<'_>, at: Time) -> Draft {
        let order = self.draw_up(both, at);
        let spec = Bytes::new();
        let signs = order.payer != both.stage.cast.scripted().address;
        match self.rng.random_range(0..10) {
            0..4 => (order.payer, Command::Open { order, spec, signature: Bytes::new() }.into()),
            4..9 if !signs => (order.payer, Command::Open { order, spec, signature: Bytes::new() }.into()),
            4..7 => {
                let signature = self.signature(both, &order);
                (self.anybody(both), Command::Open { order, spec, signature }.into())
            }
            _ => {
                let signature = self.signature(both, &order);
                let provider = self.provider(both, &order);
                (provider, Command::OpenAndTake { order, spec, signature }.into())
            }
        }
    }

    /// Mostly one that goes on.
    fn order(&mut self, both: &Comparison<'_>) -> Option<Order> {
        let goes_on = |order: &&Order| {
            let job = both.job(order);
            both.deals().open_order(job).is_some() || both.deals().deal(job).is_some()
        };
        let alive: Vec<&Order> = self.drafts.iter().rev().take(8 * RECENT).filter(goes_on).collect();
        if !alive.is_empty() && self.rng.random_ratio(3, 4) {
            return Some(alive[self.rng.random_range(0..alive.len())].clone());
        }
        let recent = self.drafts.len().min(RECENT);
        if recent == 0 {
            return None;
        }
        let back = self.rng.random_range(0..recent);
        self.drafts.get(self.drafts.len() - 1 - back).cloned()
    }

    /// What may be done with an order now, or could be at some other time.
    fn life(&mut self, both: &Comparison<'_>, at: Time) -> Draft {
        let drawn = if self.chance(14) { None } else { self.order(both) };
        let Some(order) = drawn else { return self.begin(both, at) };
        let (payer, terms, job) = (order.payer, order.terms.clone(), both.job(&order));
        let deal = both.stage.market().deal(job);
        let (since, status, open) = (deal.since, deal.status, both.deals().open_order(job).is_some());
        let receipt = deal.receipt.cloned().unwrap_or_default();
        let anybody = self.anybody(both);
        if self.chance(6) {
            // Something that may not be, most of the time.
            let (spec, signature) = (Bytes::new(), self.signature(both, &order));
            let mut other = order.clone();
            other.max_price += U256::from(1);
            let command = match self.rng.random_range(0..6) {
                0 => Command::Take { order: other },
                1 => Command::Take { order },
                2 => Command::OpenAndTake { order, spec, signature },
                3 => Command::Cancel { order },
                4 => Command::Accept { terms, receipt: Receipt::default() },
                _ => Command::Open { order, spec, signature },
            };
            return (anybody, command.into());
        }
        match status {
            Status::Open if open && at > terms.lock_by && self.chance(60) => {
                (anybody, MarketCommand::Expire { terms }.into())
            }
            Status::Open if open => match self.rng.random_range(0..12) {
                0 => (payer, Command::Cancel { order }.into()),
                1 => {
                    let (spec, signature) = (Bytes::new(), Bytes::new());
                    (self.provider(both, &order), Command::OpenAndTake { order, spec, signature }.into())
                }
                _ => (self.provider(both, &order), Command::Take { order }.into()),
            },
            Status::Locked => match self.rng.random_range(0..10) {
                0 => (deal.provider, MarketCommand::GiveUp { terms }.into()),
                1 | 2 => (anybody, MarketCommand::Expire { terms }.into()),
                3 => (anybody, MarketCommand::Cancel { terms }.into()),
                _ if at > terms.run_by(since) => (anybody, MarketCommand::Expire { terms }.into()),
                _ => (deal.provider, MarketCommand::SubmitResult { terms, result: JobResult::default() }.into()),
            },
            Status::Submitted => match self.rng.random_range(0..10) {
                0..3 => (payer, Command::Accept { terms, receipt }.into()),
                3..7 if at <= terms.review_by(since) => (terms.arbiter, MarketCommand::Dispute { terms }.into()),
                _ => (anybody, MarketCommand::Settle { terms, receipt }.into()),
            },
            Status::Disputed if at > terms.rule_by(since) => (anybody, MarketCommand::Lapse { terms, receipt }.into()),
            Status::Disputed => {
                let verdict = self.pick(&[Verdict::Upheld, Verdict::Overturned, Verdict::Overturned, Verdict::Void]);
                (terms.arbiter, MarketCommand::Rule { terms, receipt, verdict }.into())
            }
            // Signed, and not opened yet, or over.
            _ if self.chance(25) => {
                let (spec, signature) = (Bytes::new(), self.signature(both, &order));
                (self.provider(both, &order), Command::OpenAndTake { order, spec, signature }.into())
            }
            _ => self.begin(both, at),
        }
    }

    // Others' code ----------------------------------------------------------------------------------------------------

    /// What the one with code does if it is paid.
    fn script(&mut self, both: &Comparison<'_>, at: Time) -> Script {
        let sender = both.stage.cast.scripted().address;
        let calls = (0..self.rng.random_range(1..3)).map(|_| {
            let (_, command) = match self.rng.random_range(0..7) {
                0 => self.about_pay(both, at),
                1 => self.about_rails(both),
                2 => (sender, PayCommand::Withdraw { token: both.token, amount: U256::ZERO }.into()),
                3 => (sender, Command::Withdraw { to: sender }.into()),
                4 if self.chance(70) => (sender, GranterCommand::Grant(Box::new(self.grant(both))).into()),
                4 => self.about_grants(both, at),
                _ => self.life(both, at),
            };
            let value = match &command {
                ContractCommand::FilecoinPay(PayCommand::Deposit { token, amount, .. }) if token.is_zero() => {
                    AttoFil(amount.saturating_to())
                }
                _ => AttoFil::ZERO,
            };
            let call = Call { sender, contract: contract_of(&command), value, command };
            ScriptedCall { call, may_fail: self.chance(80) }
        });
        let calls = calls.collect();
        let end = if self.chance(80) { End::Return } else { End::Revert };
        Script { calls, end }
    }

    /// What the token does. Where rails are paid in it, what it should; where collateral is, mostly that.
    fn token_step(&mut self, both: &Comparison<'_>, command: &ContractCommand, sender: Address, at: Time) -> TokenStep {
        let mut step = TokenStep::default();
        let (spender, amount) = match command {
            ContractCommand::FilecoinPay(PayCommand::Deposit { amount, .. }) => (PAY, AttoFil(amount.saturating_to())),
            ContractCommand::FilecoinPayDeals(Command::Take { order } | Command::OpenAndTake { order, .. }) => {
                (DEALS, order.terms.collateral)
            }
            _ => (MARKET, AttoFil::ZERO),
        };
        if spender != MARKET && self.chance(90) {
            let one_less = AttoFil(amount.0.saturating_sub(1));
            let amount = self.pick(&[amount, amount, UNLIMITED, UNLIMITED, UNLIMITED, UNLIMITED, one_less]);
            step.approval = Some(Approval { owner: sender, spender, amount });
        }
        if both.stage.currency == Currency::Coin || self.chance(70) {
            return step;
        }
        match self.rng.random_range(0..8) {
            5 => step.conduct.script.end = self.pick(&[End::Revert, End::OutOfGas]),
            6 | 7 => step.conduct.script = self.token_script(both, at),
            way => (step.conduct.taken, step.conduct.given) = token::wrong_amounts(way, amount),
        }
        step.conduct.answer = self.pick(&[Answer::True, Answer::True, Answer::Nothing, Answer::NotTrue]);
        step.untruth = self.rng.random_range(0..3);
        step
    }

    /// Calls of all of them while it moves collateral. `FilecoinPayDeals` lets in what is about rails alone.
    fn token_script(&mut self, both: &Comparison<'_>, at: Time) -> Script {
        let calls = (0..self.rng.random_range(1..3)).map(|_| {
            let command = match self.rng.random_range(0..7) {
                // Would be done, by anybody, if the contract were open.
                0 | 1 => Command::Revoke { up_to: 0 }.into(),
                2 | 3 => self.about_rails(both).1,
                4 => self.about_pay(both, at).1,
                5 => self.about_grants(both, at).1,
                _ => self.life(both, at).1,
            };
            let call = Call { sender: TOKEN, contract: contract_of(&command), value: AttoFil::ZERO, command };
            ScriptedCall { call, may_fail: self.chance(80) }
        });
        Script { calls: calls.collect(), end: End::Return }
    }
}
