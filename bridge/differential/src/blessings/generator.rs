//! What parties send to a blessing and its market.

use std::collections::BTreeMap;

use lota_bridge::evm::Granter as Deployed;
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    blessing::{Choice, Command, Nomination, Phase, Request, Signed, Stage},
    granter,
    model::{Command as MarketCommand, JobResult, Receipt, Status, Terms},
    world::{Answer, Call, ContractCommand, End, Script, ScriptedCall},
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{BLESSING, Comparison, RECENT, REFERENCE, SETTINGS, Step, contract_of, granters};
use crate::{
    actors::ActorStep,
    chain::{self, Currency},
    party::{MARKET, masked},
    token::{self, Approval, TOKEN, TokenStep, UNLIMITED},
};

/// The most that a job gets, in the granters' unit.
const AMOUNT: u64 = 1_000;

pub(super) struct Generator {
    pub(super) rng: StdRng,
    salts: BTreeMap<Address, u64>,
    pub(super) begun: usize,
    /// Whether it is about the granters of the project.
    pub(super) is_ours: bool,
}

impl Generator {
    pub(super) fn new(seed: u64, is_ours: bool) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), salts: BTreeMap::new(), begun: 0, is_ours }
    }

    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_ratio(percent, 100)
    }

    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.rng.random_range(0..from.len())]
    }

    pub(super) fn next(&mut self, both: &Comparison<'_>) -> Step {
        let at = self.time(both);
        let scripted = both.cast.scripted().address;
        let begun = self.begun;
        self.begun += 1;
        if begun < self.beginning_length(both) {
            return self.beginning(both, at, begun);
        }
        let mut value = AttoFil::ZERO;
        let mut contract = None;
        let draw = if self.is_ours && self.chance(28) { 100 } else { self.rng.random_range(0..100) };
        let (mut sender, mut command) = match draw {
            100 => {
                let (sender, brought, to, command) = self.command_to_granter(both, at);
                (value, contract) = (brought, Some(to));
                (sender, command.into())
            }
            0..6 => self.open(both, at),
            6..12 => {
                let (brought, command) = into_blessing(both.currency, gwei(self.rng.random_range(0..3_000)));
                value = brought;
                (self.pick(&both.accounts), command)
            }
            12..20 => self.money(both),
            20..26 => (self.pick(&both.accounts), self.registration(both)),
            26..30 => self.change(both, at),
            30 if both.currency == Currency::Token => (self.pick(&both.accounts), Command::Fund.into()),
            30 => (self.pick(&both.accounts), Command::FundToken { amount: AttoFil(1) }.into()),
            31 => {
                let count = if self.chance(30) { 63 } else { 3 };
                let providers = (0..count).map(|_| self.pick(&both.accounts)).collect();
                (scripted, Command::Sweep { granter: self.granter(both), providers }.into())
            }
            32..38 => self.waiting(both, at),
            _ => self.life(both, at),
        };
        if self.chance(5) {
            sender = self.pick(&both.accounts);
        }
        if self.chance(6)
            && let ContractCommand::Blessing(command) = &mut command
        {
            self.spoil(both, command);
        }
        if self.chance(2) {
            value = gwei(1);
        }
        let mut script = if self.chance(50) { self.script(both, at) } else { Script::default() };
        if matches!(command, ContractCommand::Blessing(Command::Nominate { .. })) {
            // A granter is asked by a static call, in which calls of its own would fail in the EVM's way.
            script.calls.clear();
        }
        let contract = contract.unwrap_or_else(|| contract_of(&command));
        let token = match both.currency {
            Currency::Coin => TokenStep::default(),
            Currency::Token => self.token_step(both, &command, contract, sender),
        };
        let foreign_chain = self.chance(3).then_some(1);
        let (mut actors, mut probe) = (ActorStep::default(), None);
        if self.is_ours {
            actors = self.actors(both, granters::amount_of(&command));
            probe = self.chance(40).then(|| self.probe(both));
        }
        Step { at, sender, contract, value, command, foreign_chain, script, token, actors, probe }
    }

    fn granters(&self, both: &Comparison<'_>) -> Vec<Address> {
        if !self.is_ours {
            return both.granters.clone();
        }
        both.members.iter().filter(|member| member.blessing == BLESSING).map(|member| member.address).collect()
    }

    pub(super) fn granter(&mut self, both: &Comparison<'_>) -> Address {
        let granters = self.granters(both);
        self.pick(&granters)
    }

    /// The most that a job gets, in the granters' unit.
    pub(super) const fn most(&self) -> u64 {
        if self.is_ours { 3 * granters::AMOUNT } else { AMOUNT }
    }

    /// By which a client gets so many gwei for the most that a job gets.
    fn share_rate(&self, gwei_of_most: u64) -> U256 {
        U256::from(gwei(gwei_of_most).0) * U256::from(10_u64.pow(18)) / U256::from(self.most())
    }

    /// How many steps a sequence begins with.
    pub(super) fn beginning_length(&self, both: &Comparison<'_>) -> usize {
        let pools = if self.is_ours { 2 } else { 0 };
        2 * both.accounts.len() + 3 * self.granters(both).len() + pools
    }

    /// Everybody brings money and sets some aside; granters are admitted, and providers register for them.
    fn beginning(&mut self, both: &Comparison<'_>, at: Time, begun: usize) -> Step {
        let accounts = both.accounts.len();
        let granters = self.granters(both);
        let first_registration = 2 * accounts + granters.len();
        let first_pool = first_registration + 2 * granters.len();
        let mut contract = BLESSING;
        let (sender, value, command) = if let Some(pool) = begun.checked_sub(first_pool) {
            contract = both.members[4 * pool].address;
            let amount = AttoFil((4 * granters::AMOUNT).into());
            match both.currency {
                Currency::Coin => (both.accounts[0], amount, granter::Command::Fund.into()),
                Currency::Token => (both.accounts[0], AttoFil::ZERO, granter::Command::FundToken { amount }.into()),
            }
        } else if let Some(number) = begun.checked_sub(first_registration) {
            let (granter, provider) = (granters[number / 2], both.accounts[1 + number % 2]);
            let (share_rate, max_share) = (self.share_rate(500), gwei(100));
            let recipient = if self.is_ours { provider.to_vec().into() } else { Bytes::from_static(b"f1recipient") };
            (provider, AttoFil::ZERO, Command::Register { granter, recipient, share_rate, max_share }.into())
        } else if let Some(granter) = begun.checked_sub(2 * accounts) {
            let granter = granters[granter];
            (both.accounts[0], AttoFil::ZERO, self.admission(both, at, granter, Some(2)))
        } else if begun < accounts {
            let (value, command) = into_blessing(both.currency, gwei(self.rng.random_range(20_000..60_000)));
            (both.accounts[begun], value, command)
        } else {
            let amount = gwei(self.rng.random_range(0..10_000));
            (both.accounts[begun - accounts], AttoFil::ZERO, Command::SetAside { amount }.into())
        };
        let approval = Approval { owner: sender, spender: contract, amount: UNLIMITED };
        let token = match both.currency {
            Currency::Coin => TokenStep::default(),
            Currency::Token => TokenStep { approval: Some(approval), ..TokenStep::default() },
        };
        Step {
            at,
            sender,
            contract,
            value,
            command,
            foreign_chain: None,
            script: Script::default(),
            token,
            actors: ActorStep::default(),
            probe: None,
        }
    }

    fn time(&mut self, both: &Comparison<'_>) -> Time {
        let now = both.now;
        match self.rng.random_range(0..100) {
            0..70 => now,
            70..95 => now.after(self.rng.random_range(1..3)),
            _ => {
                // To where something changes next, or a second beside it.
                let is_late = self.is_ours && self.chance(4);
                let running = both.blessing().records().filter_map(|(_, record)| match &record.stage {
                    Stage::Nominated { nomination, .. } => Some(nomination.expires),
                    Stage::Blessed { at, .. } => {
                        let revoke_until = at.after(SETTINGS.revoke_for.into());
                        let grant_until = revoke_until.after(SETTINGS.grant_for.into());
                        Some(if revoke_until >= now { revoke_until } else { grant_until })
                    }
                    _ => None,
                });
                let pools = both.members.iter().filter_map(|member| match member.deployed {
                    Deployed::Bonus { open_until, .. } if is_late => Some(open_until),
                    _ => None,
                });
                let Some(edge) = running.chain(pools).filter(|edge| *edge > now).min() else { return now };
                self.pick(&[Time(edge.0 - 1), edge, edge.after(1), edge.after(1)])
            }
        }
    }

    fn money(&mut self, both: &Comparison<'_>) -> (Address, ContractCommand) {
        let account = self.pick(&both.accounts);
        let part = |generator: &mut Self, of: AttoFil| {
            AttoFil(of.0 / generator.rng.random_range(1..6) + u128::from(generator.chance(10)))
        };
        let command = match self.rng.random_range(0..3) {
            0 => {
                let amount = part(self, both.blessing().balance(account));
                let to = match self.rng.random_range(0..10) {
                    0 => Address::ZERO,
                    1 => masked(7),
                    2 => BLESSING,
                    _ => account,
                };
                Command::Withdraw { to, amount }
            }
            1 => Command::SetAside { amount: part(self, both.blessing().balance(account)) },
            _ => Command::TakeBack { amount: part(self, both.blessing().pool(account)) },
        };
        (account, command.into())
    }

    fn registration(&mut self, both: &Comparison<'_>) -> ContractCommand {
        let somebody = self.pick(&both.accounts);
        let recipient = match self.rng.random_range(0..12) {
            0 => Bytes::new(),
            1 => vec![7; self.pick(&[1, 31, 32, 33, 63, 64, 65])].into(),
            2 => [&[4, 10], &somebody[..]].concat().into(),
            3 => [&[4, 11], &somebody[..]].concat().into(),
            4 | 5 => Bytes::copy_from_slice(&somebody[..]),
            _ => Bytes::from_static(b"f1recipient"),
        };
        let recipient = if !self.is_ours {
            recipient
        } else if self.chance(40) {
            self.recipient(both)
        } else {
            self.pick(&[somebody, both.cast.scripted().address]).to_vec().into()
        };
        let share_rate = self.rng.random_range(0..2) * 500;
        let share_rate = if self.chance(5) { U256::from(u128::MAX) } else { self.share_rate(share_rate) };
        let max_share = if self.chance(20) { gwei(100) } else { gwei(5_000) };
        // Mostly the scripted one, or the pool.
        let first = if self.is_ours { both.members[0].address } else { both.cast.scripted().address };
        let granter = if self.chance(60) { first } else { self.granter(both) };
        Command::Register { granter, recipient, share_rate, max_share }.into()
    }

    // Jobs ------------------------------------------------------------------------------------------------------------

    fn open(&mut self, both: &Comparison<'_>, at: Time) -> (Address, ContractCommand) {
        let scripted = both.cast.scripted().address;
        let client = self.pick(&[both.accounts[0], both.accounts[2], both.accounts[3], scripted]);
        let salt = self.salts.entry(client).or_default();
        *salt += 1;
        let number = *salt - 1;
        let has_callback = client == scripted && self.chance(60);
        // Half of the jobs have a matcher, half an arbiter, never the same: so it is seen who is taken for whom.
        let known = both.accounts.iter().filter(|account| !lota_market::model::is_masked_id(**account));
        let mut known: Vec<Address> = known.copied().collect();
        let matcher = known.swap_remove(self.rng.random_range(0..known.len()));
        let matcher = if self.chance(50) { matcher } else { Address::ZERO };
        let arbiter = if self.chance(50) { self.pick(&known) } else { Address::ZERO };
        let window = if arbiter.is_zero() { 0 } else { chain::SETTINGS.min_window };
        let terms = Terms {
            client,
            salt: U256::from(number),
            spec: B256::repeat_byte(1),
            spec_codec: 0x71,
            min_price: AttoFil::ZERO,
            max_price: AttoFil::ZERO,
            ramp_start: at,
            ramp_period: 1,
            lock_by: at.after(100),
            run_for: 1_000,
            review_for: window,
            rule_for: window,
            collateral: AttoFil::ZERO,
            matcher,
            arbiter,
            callback_gas: if has_callback { chain::SETTINGS.max_callback_gas } else { 0 },
            keep_record: self.chance(92),
        };
        (client, MarketCommand::Open { terms, spec: Bytes::new() }.into())
    }

    /// What may be done with a job now, or could be at some other time.
    fn life(&mut self, both: &Comparison<'_>, at: Time) -> (Address, ContractCommand) {
        let recent = both.known.len().min(RECENT);
        if recent == 0 {
            return self.open(both, at);
        }
        let terms = both.known[both.known.len() - 1 - self.rng.random_range(0..recent)].clone();
        let job = both.ids.of(&terms);
        let deal = both.market().deal(job);
        let (anybody, provider) = (self.pick(&both.accounts), both.accounts[1 + usize::from(self.chance(30))]);
        match deal.status {
            Status::Open if self.chance(80) => {
                if terms.matcher.is_zero() {
                    return (provider, MarketCommand::Lock { terms }.into());
                }
                let price = AttoFil::ZERO;
                return (terms.matcher, MarketCommand::Award { terms, provider, price }.into());
            }
            Status::Locked if self.chance(80) => {
                let result = JobResult::default();
                return (deal.provider, MarketCommand::SubmitResult { terms, result }.into());
            }
            Status::Submitted if self.chance(80) => {
                let receipt = deal.receipt.cloned().unwrap_or_default();
                return if self.chance(70) {
                    (terms.client, MarketCommand::Accept { terms, receipt }.into())
                } else {
                    (anybody, MarketCommand::Settle { terms, receipt }.into())
                };
            }
            _ => {}
        }
        let receipt = deal.receipt.cloned().unwrap_or_default();
        let Some(record) = both.blessing().record(job) else { return (anybody, self.nomination(both, terms, receipt)) };
        let Some(nomination) = record.nomination().cloned() else {
            return (anybody, self.nomination(both, terms, receipt));
        };
        let boxed = Box::new(nomination.clone());
        let phase = record.phase();
        match self.rng.random_range(0..10) {
            0 => return (anybody, self.nomination(both, terms, receipt)),
            1 => return (anybody, Command::Expire { nomination: boxed }.into()),
            2 => return (anybody, Command::Grant { nomination: boxed }.into()),
            3 if phase == Phase::Blessed => return self.ballot(both, nomination, Choice::Revoke),
            4..6 if phase == Phase::Blessed => return (anybody, Command::Grant { nomination: boxed }.into()),
            _ => {}
        }
        let choice = match (phase, self.rng.random_range(0..12)) {
            (Phase::Nominated, 0..10) => Choice::Approve,
            (Phase::Nominated, 10) | (Phase::Blessed, 0) => Choice::Reject,
            (Phase::Blessed, 1..4) => return (anybody, Command::Grant { nomination: boxed }.into()),
            _ => Choice::Revoke,
        };
        self.ballot(both, nomination, choice)
    }

    /// The grant of something that may be granted now, but for limits and the granter: so that these are met.
    fn waiting(&mut self, both: &Comparison<'_>, at: Time) -> (Address, ContractCommand) {
        let may_be_granted = both.blessing().records().filter(|(_, record)| match record.stage {
            Stage::Blessed { at: blessed_at, .. } => blessed_at.after(SETTINGS.revoke_for.into()) < at,
            _ => false,
        });
        let waiting: Vec<Nomination> = may_be_granted.filter_map(|(_, record)| record.nomination().cloned()).collect();
        if waiting.is_empty() {
            return self.life(both, at);
        }
        let nomination = Box::new(waiting[self.rng.random_range(0..waiting.len())].clone());
        (self.pick(&both.accounts), Command::Grant { nomination }.into())
    }

    fn nomination(&mut self, both: &Comparison<'_>, terms: Terms, receipt: Receipt) -> ContractCommand {
        let registered = both.blessing().registrations().filter(|(provider, ..)| *provider == receipt.provider);
        let granters: Vec<Address> = registered.map(|(_, granter, _)| granter).collect();
        let pool = both.members[0].address;
        let granter = if self.is_ours && granters.contains(&pool) && self.chance(50) {
            pool
        } else if granters.is_empty() || self.chance(8) {
            self.granter(both)
        } else {
            self.pick(&granters)
        };
        let most = self.most();
        let amounts =
            if self.is_ours { [most / 3, most / 2, most / 3 + 1, most * 2 / 3] } else { [most, most, most / 4, 3] };
        let amount = if self.chance(94) { self.pick(&amounts) } else { self.pick(&[most + 1, 0]) };
        let request = Request {
            granter,
            amount: U256::from(amount),
            piece: B256::repeat_byte(if self.chance(97) { 7 } else { 0 }),
            piece_size: if self.chance(96) { self.pick(&[128, 1 << 63, 1 << 35]) } else { self.pick(&[64, 129, 0]) },
            bounty: gwei(self.rng.random_range(0..300)),
            min_share: if self.chance(6) { gwei(self.rng.random_range(1..600)) } else { AttoFil::ZERO },
        };
        Command::Nominate { terms: Box::new(terms), receipt: Box::new(receipt), request }.into()
    }

    /// A vote, by transaction or signed.
    fn ballot(&mut self, both: &Comparison<'_>, nomination: Nomination, choice: Choice) -> (Address, ContractCommand) {
        let notaries = both.blessing().notaries();
        let notary = if self.chance(92) { self.pick(&notaries.list) } else { self.pick(&both.accounts) };
        let reasons = B256::repeat_byte(self.pick(&[0, 1, 2]));
        if self.chance(50) {
            return (notary, Command::Vote { nomination: Box::new(nomination), choice, reasons }.into());
        }
        let version = if self.chance(92) { notaries.version } else { notaries.version.saturating_sub(1) };
        let signed = if self.chance(94) { choice } else { Choice::Reject };
        let what = Signed::Vote { nomination: &nomination, choice: signed, reasons, version };
        let digest = lota_bridge::blessing::signed_digest(&REFERENCE, &what);
        let signature = both.cast.sign(notary, &digest);
        let command = Command::VoteSigned { nomination: Box::new(nomination), choice, reasons, notary, signature };
        (self.pick(&both.accounts), command.into())
    }

    fn spoil(&mut self, both: &Comparison<'_>, command: &mut Command) {
        match command {
            Command::Nominate { terms, receipt, request } => match self.rng.random_range(0..4) {
                0 => terms.salt += U256::from(1),
                1 => receipt.provider = self.pick(&both.accounts),
                2 => request.bounty = AttoFil(UNLIMITED.0 - SETTINGS.deposit.0),
                _ => request.granter = both.accounts[0],
            },
            Command::Vote { nomination, .. }
            | Command::VoteSigned { nomination, .. }
            | Command::Grant { nomination }
            | Command::Expire { nomination } => match self.rng.random_range(0..5) {
                0 => nomination.round += 1,
                1 => nomination.amount += U256::from(1),
                2 => nomination.share.0 += 1,
                3 => nomination.recipient = Bytes::from_static(b"another"),
                _ => nomination.nominator = self.pick(&both.accounts),
            },
            _ => {}
        }
    }

    /// What the code that is client, payee and granter does. In callbacks it has so much gas that what is here can be done.
    fn script(&mut self, both: &Comparison<'_>, at: Time) -> Script {
        let sender = both.cast.scripted().address;
        let calls = (0..self.rng.random_range(0..4))
            .map(|_| {
                if self.is_ours && self.chance(40) {
                    return self.pool_call(both, sender);
                }
                let (value, command) = match self.rng.random_range(0..6) {
                    0 => {
                        let amount = gwei(1);
                        let command = MarketCommand::Deposit { account: sender };
                        if both.currency == Currency::Coin {
                            (amount, command.into())
                        } else {
                            (AttoFil::ZERO, command.into())
                        }
                    }
                    1 => into_blessing(both.currency, gwei(1)),
                    2 => (AttoFil::ZERO, Command::SetAside { amount: gwei(1) }.into()),
                    3 => (AttoFil::ZERO, Command::TakeBack { amount: AttoFil::ZERO }.into()),
                    _ => match self.life(both, at).1 {
                        // These call others, who are promised more gas than there may be.
                        ContractCommand::Blessing(
                            Command::Nominate { .. } | Command::Grant { .. } | Command::VoteSigned { .. },
                        ) => (AttoFil::ZERO, Command::SetAside { amount: AttoFil::ZERO }.into()),
                        command => (AttoFil::ZERO, command),
                    },
                };
                let call = Call { sender, contract: contract_of(&command), value, command };
                ScriptedCall { call, may_fail: self.chance(85) }
            })
            .collect();
        let end = self.pick(&[End::Return, End::Return, End::Return, End::Revert, End::OutOfGas]);
        Script { calls, end }
    }

    /// What the token does: mostly what it should. Who brings money has mostly approved it.
    fn token_step(
        &mut self,
        both: &Comparison<'_>,
        command: &ContractCommand,
        contract: Address,
        sender: Address,
    ) -> TokenStep {
        let mut step = TokenStep::default();
        let amount = match command {
            ContractCommand::Blessing(Command::FundToken { amount } | Command::Withdraw { amount, .. }) => *amount,
            ContractCommand::Granter(command) => granters::money_of(command).unwrap_or(gwei(1)),
            _ => gwei(1),
        };
        if self.chance(60) {
            let owner = if self.chance(80) { sender } else { both.cast.scripted().address };
            let amount = self.pick(&[amount, AttoFil(amount.0.saturating_sub(1)), UNLIMITED, UNLIMITED]);
            let spender = if contract == MARKET { BLESSING } else { contract };
            step.approval = Some(Approval { owner, spender, amount });
        }
        if self.chance(75) {
            return step;
        }
        match self.rng.random_range(0..8) {
            5 => step.conduct.script.end = self.pick(&[End::Revert, End::OutOfGas]),
            6 if self.is_ours && self.chance(60) => {
                step.conduct.script.calls = vec![self.pool_call(both, TOKEN)];
            }
            6 => {
                let command = Command::Withdraw { to: both.accounts[0], amount: AttoFil::ZERO }.into();
                let call = Call { sender: TOKEN, contract: BLESSING, value: AttoFil::ZERO, command };
                step.conduct.script.calls = vec![ScriptedCall { call, may_fail: self.chance(70) }];
            }
            way => (step.conduct.taken, step.conduct.given) = token::wrong_amounts(way, amount),
        }
        step.conduct.answer = self.pick(&[Answer::True, Answer::True, Answer::Nothing, Answer::NotTrue]);
        step.untruth = self.rng.random_range(0..3);
        step
    }
}

/// Money for the blessing, and the value that goes with it.
fn into_blessing(currency: Currency, amount: AttoFil) -> (AttoFil, ContractCommand) {
    match currency {
        Currency::Coin => (amount, Command::Fund.into()),
        Currency::Token => (AttoFil::ZERO, Command::FundToken { amount }.into()),
    }
}

const fn gwei(amount: u64) -> AttoFil {
    AttoFil::from_gwei(amount)
}
