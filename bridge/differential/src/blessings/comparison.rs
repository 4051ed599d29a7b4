//! The contracts and their twins side by side.

use std::collections::BTreeMap;

use alloy::primitives::Log;
use lota_bridge::{
    blessing::StoredRecord,
    evm::{bindings, blessing as contract, granters as deployed},
};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    blessing::{self, Blessing, Event, Notaries, Record, Registration, Rejection, Stage},
    model::{self, Market, Terms},
    world::{Call, CallError, Contract, ContractCommand, ContractEvent, End, Log as WorldLog, Script, World},
};

use super::{
    BLESSING, BlessingMutant, RECENT, SETTINGS, Step,
    granters::{self, Member, Probe},
    reading::{kind, recording_granter},
};
use crate::{
    actors::{ALLOCATOR, ActorStep, PRECOMPILE},
    beside::{Both, Difference, same},
    chain::{CHAIN_ID, CallOutcome, Chain, Currency, WALLET},
    comparison::START,
    oracle::{Ids, Oracle},
    party::{Behaviour, MARKET, Parties, Party},
    scripted,
    token::{self, Approval, TOKEN, TokenStep},
};

/// Every so many steps what was granted is compared for everybody.
const GRANTERS_EVERY: usize = 8;

pub(super) struct Comparison<'a> {
    pub(super) cast: &'a Parties,
    pub(super) currency: Currency,
    /// Accounts, and contracts that take money.
    pub(super) accounts: Vec<Address>,
    /// Code of which it is known what it does as a granter.
    pub(super) granters: Vec<Address>,
    /// Granters of the project.
    pub(super) members: Vec<Member>,
    world: World,
    chain: Chain,
    pub(super) ids: Ids,
    script: Script,
    token: TokenStep,
    actors: ActorStep,
    mutant: Option<BlessingMutant>,
    /// What granters are told by this step.
    recorded: Vec<(Address, Bytes)>,
    /// What a mutant thinks that accounts have more in the blessing.
    amiss: BTreeMap<Address, u128>,
    pub(super) known: Vec<Terms>,
    pub(super) now: Time,
    steps: usize,
}

/// Who decides at first: two of them.
pub(super) fn first_notaries(cast: &Parties) -> Notaries {
    let named = |name: &&str| cast.parties.iter().find(|party| party.name == *name).map(|party| party.address);
    Notaries::first(["alice", "bob", "erin", "agreeable"].iter().filter_map(named).collect(), 2)
}

impl Both for Comparison<'_> {
    type Step = Step;

    fn perform(&mut self, step: &Step) -> Result<Vec<String>, Difference> {
        self.now = step.at;
        if let Some(Approval { owner, spender, amount }) = step.token.approval
            && self.world.approve(TOKEN, owner, spender, amount)
        {
            self.chain.store(TOKEN, token::allowance_slot(owner, spender), amount);
        }
        let expected = self.expect(step);
        let events = expected.iter().flatten().filter_map(|log| log.event.of_market());
        self.known.extend(events.filter_map(|event| match event {
            model::Event::JobOpened { terms, .. } => Some(terms.clone()),
            _ => None,
        }));
        if self.script != step.script {
            self.script.clone_from(&step.script);
            self.chain.set_code(self.cast.scripted().address, scripted::code(&step.script));
        }
        if self.token != step.token && self.currency == Currency::Token {
            self.token.clone_from(&step.token);
            self.chain.set_code(TOKEN, token::code(&step.token));
        }
        if self.actors != step.actors {
            self.actors.clone_from(&step.actors);
            self.set_actors();
        }
        let at = step.contract;
        let data = match &step.command {
            ContractCommand::Market(command) => bindings::call_data(command),
            ContractCommand::Blessing(command) => contract::call_data(command),
            ContractCommand::Granter(command) => deployed::bindings::call_data(command),
            ContractCommand::Auction(_) | ContractCommand::FilecoinPay(_) | ContractCommand::FilecoinPayDeals(_) => {
                return Err(Difference::new("which contract is asked: there is none such here", "", ""));
            }
        };
        let chain = step.foreign_chain.unwrap_or(CHAIN_ID);
        let outcome = match self.chain.execute_at(at, step.sender, step.value, data, step.at, chain) {
            CallOutcome::Done { logs, .. } => {
                let is_told = |log: &&Log| {
                    // Calls of actors are logged in the name of who calls.
                    let is_event = self.member(log.address).is_some() && !log.data.topics().is_empty();
                    !is_event && ![TOKEN, MARKET, BLESSING].contains(&log.address)
                };
                let told: Vec<_> = logs.iter().filter(is_told).map(|log| (log.address, &log.data.data)).collect();
                let recorded: Vec<_> = self.recorded.iter().map(|(granter, data)| (*granter, data)).collect();
                same("what granters are told", &told, &recorded)?;
                Ok(logs.iter().filter_map(|log| self.read(log)).collect::<Result<Vec<_>, _>>()?)
            }
            CallOutcome::Reverted { data, changed } => {
                same("whether a refusal changes anything", &changed, &false)?;
                Err(self.refusal(at, &data))
            }
            CallOutcome::Halted(reason) => Err(reason),
        };
        same("the events, or the refusal", &outcome, &expected)?;
        self.compare()?;
        let name = format!("{:?}", step.command);
        let name = name.split(['(', ' ', '{', ')']).nth(1).unwrap_or_default();
        let whose = if matches!(step.command, ContractCommand::Granter(_)) { "granter: " } else { "" };
        let mut outcomes = match outcome {
            Ok(log) => log.iter().flat_map(|log| self.notable(log)).chain([format!("{whose}{name}")]).collect(),
            Err(refusal) => vec![kind(&refusal)],
        };
        if let Some(probe) = &step.probe {
            outcomes.extend(self.probe(step, probe)?);
        }
        Ok(outcomes)
    }
}

impl<'a> Comparison<'a> {
    #[expect(clippy::expect_used, clippy::panic, reason = "what cannot be deployed cannot be compared")]
    pub(super) fn new(cast: &'a Parties, currency: Currency, mutant: Option<BlessingMutant>) -> Self {
        let notaries = first_notaries(cast);
        let mut chain = Chain::new(cast, currency, |_| {});
        if let Err(data) = chain.deploy_at(BLESSING, contract::deployment(MARKET, &SETTINGS, &notaries), |_| {}) {
            panic!("the blessing cannot be deployed: {:?}", contract::revert(&data));
        }
        for party in cast.parties.iter().filter(|party| party.behaviour == Some(Behaviour::Recorder)) {
            chain.set_code(party.address, recording_granter());
        }
        let members = granters::cast(cast, currency);
        // A constructor looks whether the MetaAllocator is there.
        chain.set_code(ALLOCATOR, ActorStep::default().allocator_code());
        for Member { address, blessing, deployed } in &members {
            chain.deploy_at(*address, deployed.deployment(*blessing), |_| {}).expect("a granter that can be deployed");
        }
        let mut world = World::new();
        if currency == Currency::Token {
            world.deploy_token(TOKEN).expect("nobody is there");
        }
        world.deploy(MARKET, Contract::Market(Market::new(currency.settings()))).expect("nobody is there");
        let Notaries { list, quorum, .. } = notaries;
        world.deploy_blessing(BLESSING, MARKET, SETTINGS, list, quorum).expect("nobody is there");
        for member in &members {
            world.deploy_granter(member.address, member.blessing, member.kind(mutant)).expect("nobody is there");
        }
        for party in cast.parties.iter().filter(|party| party.address != MARKET) {
            world.mint(party.address, WALLET).expect("there is room");
            if currency == Currency::Token {
                world.mint_token(TOKEN, party.address, WALLET).expect("there is room");
            }
        }
        let plays = |party: &&Party| {
            party.signer.is_some()
                || matches!(
                    party.behaviour,
                    None | Some(Behaviour::Silent | Behaviour::Agreeable | Behaviour::Scripted)
                )
        };
        let grants = |party: &&Party| {
            use Behaviour as B;
            matches!(party.behaviour, Some(B::Silent | B::Scripted | B::Refusing | B::Bomb | B::Verbose | B::Recorder))
        };
        let addresses = |parties: &mut dyn Iterator<Item = &Party>| parties.map(|party| party.address).collect();
        let mut both = Self {
            cast,
            currency,
            members,
            actors: ActorStep::default(),
            accounts: addresses(&mut cast.parties.iter().filter(plays)),
            granters: addresses(&mut cast.parties.iter().filter(grants)),
            world,
            chain,
            ids: Ids::default(),
            script: Script::default(),
            token: TokenStep::default(),
            mutant,
            recorded: Vec::new(),
            amiss: BTreeMap::new(),
            known: Vec::new(),
            now: START,
            steps: 0,
        };
        both.set_actors();
        both
    }

    fn set_actors(&mut self) {
        self.chain.set_code(PRECOMPILE, self.actors.precompile_code());
        self.chain.set_code(ALLOCATOR, self.actors.allocator_code());
    }

    pub(super) fn member(&self, address: Address) -> Option<&Member> {
        self.members.iter().find(|member| member.address == address)
    }

    pub(super) fn blessing(&self) -> &Blessing {
        #[expect(clippy::expect_used, reason = "`new` puts it there")]
        self.world.blessing(BLESSING).expect("is there from the beginning")
    }

    pub(super) fn market(&self) -> &Market {
        #[expect(clippy::expect_used, reason = "`new` puts it there")]
        self.world.market(MARKET).expect("is there from the beginning")
    }

    fn is(&self, mutant: BlessingMutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn expect(&mut self, step: &Step) -> Result<Vec<WorldLog>, String> {
        let mut conduct = step.token.conduct.clone();
        if self.is(BlessingMutant::TokenBelieved) {
            (conduct.taken, conduct.given) = (None, None);
        }
        self.open_pools(&mut conduct.script);
        let script = self.script(step);
        let actors = granters::altered(self.mutant, &step.actors);
        let mut oracle = Oracle {
            cast: self.cast,
            ids: &self.ids,
            now: step.at,
            foreign_chain: step.foreign_chain,
            script: &script,
            conduct: &conduct,
            mutant: None,
            pending: Default::default(),
            actors: &actors,
            recorded: Vec::new(),
        };
        let mut log = Vec::new();
        self.recorded.clear();
        let call =
            Call { sender: step.sender, contract: step.contract, value: step.value, command: step.command.clone() };
        let outcome = self.world.execute(&call, &mut oracle, &mut log);
        match outcome {
            Ok(()) => {
                let has_failed =
                    |log: &WorldLog| matches!(log.event, ContractEvent::Blessing(Event::GrantFailed { .. }));
                // What a granter did that failed has not happened.
                self.recorded = if log.iter().any(has_failed) { Vec::new() } else { oracle.recorded };
                self.misjudge(step, &mut log);
                Ok(log)
            }
            Err(CallError::Rejected(rejection)) => Err(format!("{:?}", Rejection::Market(rejection))),
            Err(CallError::RejectedByBlessing(rejection)) => {
                use model::Rejection as M;
                let is_vote = matches!(
                    step.command,
                    ContractCommand::Blessing(blessing::Command::Vote { .. } | blessing::Command::VoteSigned { .. })
                );
                let is_overlooked = match self.mutant {
                    Some(BlessingMutant::LateVote) => {
                        is_vote && matches!(rejection, Rejection::Market(M::TooLate { .. }))
                    }
                    Some(BlessingMutant::Conflict) => matches!(rejection, Rejection::ConflictOfInterest { .. }),
                    Some(BlessingMutant::HiddenParties) => match (&step.command, &rejection) {
                        (ContractCommand::Blessing(command), Rejection::ConflictOfInterest { notary, .. }) => {
                            let seen = command.nomination().map(|nomination| blessing::Nomination {
                                matcher: Address::ZERO,
                                arbiter: Address::ZERO,
                                ..nomination.clone()
                            });
                            seen.is_some_and(|seen| !seen.is_party(*notary))
                        }
                        _ => false,
                    },
                    Some(BlessingMutant::AnySignature) => matches!(rejection, Rejection::Market(M::BadSignature(_))),
                    Some(BlessingMutant::DoubleVote) => matches!(rejection, Rejection::AlreadyVoted { .. }),
                    Some(BlessingMutant::NoLimit) => {
                        use blessing::Limit;
                        matches!(rejection, Rejection::OverLimit { limit: Limit::PerProvider | Limit::PerPeriod, .. })
                    }
                    _ => false,
                };
                if is_overlooked { Ok(Vec::new()) } else { Err(format!("{rejection:?}")) }
            }
            Err(CallError::RejectedByGranter(rejection)) => {
                let is_overlooked = granters::is_overlooked(self.mutant, &rejection);
                if is_overlooked { Ok(Vec::new()) } else { Err(granters::in_words(&rejection)) }
            }
            Err(CallError::NotPayable { .. } | CallError::NoSuchFunction(_)) => Err(String::new()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// What the code that the steps write is said to do.
    fn script(&self, step: &Step) -> Script {
        let mut script = step.script.clone();
        let is_grant = matches!(step.command, ContractCommand::Blessing(blessing::Command::Grant { .. }));
        if is_grant && self.is(BlessingMutant::GranterBelieved) {
            script.end = End::Return;
        }
        if is_grant && self.is(BlessingMutant::OpenGuard) {
            script.calls.retain(|scripted| scripted.call.contract != BLESSING);
        }
        self.open_pools(&mut script);
        script
    }

    /// Whoever is called by a pool is said to be let in, by a mutant.
    fn open_pools(&self, script: &mut Script) {
        if self.is(BlessingMutant::OpenPool) {
            script.calls.retain(|scripted| self.member(scripted.call.contract).is_none());
        }
    }

    /// What both sides say a granter could grant.
    fn probe(&mut self, step: &Step, probe: &Probe) -> Result<Option<String>, Difference> {
        let Probe { granter, provider, recipient, amount } = probe;
        let data = deployed::bindings::check_grant(*provider, recipient, *amount);
        let found = self.chain.ask(*granter, data).map_err(|data| granters::refusal(&data));
        let actors = granters::altered(self.mutant, &step.actors);
        let (script, conduct) = (Script::default(), Default::default());
        let oracle = Oracle {
            cast: self.cast,
            ids: &self.ids,
            now: step.at,
            foreign_chain: step.foreign_chain,
            script: &script,
            conduct: &conduct,
            mutant: None,
            pending: Default::default(),
            actors: &actors,
            recorded: Vec::new(),
        };
        let expected = self.world.check_grant(*granter, *provider, recipient, *amount, &oracle);
        let expected = expected.unwrap_or(Ok(()));
        let is_overlooked = |rejection: &_| granters::is_overlooked(self.mutant, rejection);
        let expected = match expected {
            Err(rejection) if !is_overlooked(&rejection) => Err(granters::in_words(&rejection)),
            _ => Ok(()),
        };
        same("what a granter could grant", &found, &expected)?;
        Ok(found.err().map(|refusal| kind(&refusal)))
    }

    /// Makes the mutant's mistake.
    fn misjudge(&mut self, step: &Step, log: &mut [WorldLog]) {
        for WorldLog { event, .. } in log {
            match (self.mutant, event) {
                (Some(BlessingMutant::UnpaidClient), ContractEvent::Blessing(Event::JobGranted { to_client, .. })) => {
                    *to_client = AttoFil::ZERO
                }
                (Some(BlessingMutant::RefusalExpires), ContractEvent::Blessing(Event::NominationEnded { end, .. }))
                    if *end == blessing::End::Refused =>
                {
                    *end = blessing::End::Expired
                }
                (
                    Some(BlessingMutant::DepositReturned),
                    ContractEvent::Blessing(Event::NominationEnded { end, .. }),
                ) if *end == blessing::End::Refused => {
                    let ContractCommand::Blessing(command) = &step.command else { continue };
                    let Some(nomination) = command.nomination() else { continue };
                    *self.amiss.entry(nomination.nominator).or_default() += SETTINGS.deposit.0;
                }
                _ => {}
            }
        }
    }

    fn compare(&mut self) -> Result<(), Difference> {
        let jobs: Vec<Terms> = self.known.iter().rev().take(RECENT).cloned().collect();
        for terms in &jobs {
            let job = self.ids.of(terms);
            let found = self.chain.view_at(BLESSING, &contract::record_of(job));
            same("a nomination", &found, &Ok(self.record(job)))?;
            for account in self.accounts.clone() {
                let found = self.chain.view_at(BLESSING, &contract::has_voted(job, account));
                let name = self.cast.name(format_args!("whether {account:?} has voted"));
                same(name, &found, &Ok(self.has_voted(job, account)))?;
            }
        }
        for account in self.accounts.clone() {
            let found = self.chain.view_at(BLESSING, &contract::balance_of(account));
            let amiss = self.amiss.get(&account).copied().unwrap_or_default();
            let balance = AttoFil(self.blessing().balance(account).0 + amiss);
            same(self.cast.name(format_args!("the account of {account:?}")), &found, &Ok(balance))?;
            let found = self.chain.view_at(BLESSING, &contract::pool_of(account));
            let name = self.cast.name(format_args!("what {account:?} has set aside"));
            same(name, &found, &Ok(self.blessing().pool(account)))?;
        }
        let found = self.chain.view_at(BLESSING, &contract::burned());
        same("what is burned", &found, &Ok(self.blessing().burned()))?;
        let found = self.chain.view_at(BLESSING, &contract::notaries());
        let Notaries { list, quorum, version, decisions } = self.blessing().notaries().clone();
        same("the notaries", &found, &Ok((list, quorum, version)))?;
        same("the decisions", &self.chain.view_at(BLESSING, &contract::decisions()), &Ok(decisions))?;
        self.steps += 1;
        if self.steps.is_multiple_of(GRANTERS_EVERY) {
            self.compare_granters()?;
        }
        self.compare_members()?;
        self.compare_wallets()?;
        let blessing = self.blessing();
        let free: u128 = blessing.balances().chain(blessing.pools()).map(|(_, amount)| amount.0).sum();
        let sum = free + blessing.escrowed().0 + blessing.burned().0;
        same("the sum of all money", &blessing.held().0, &sum)?;
        same("how many slots are used", &self.chain.slots(BLESSING), &self.slots())
    }

    /// A job as the contract should store it.
    fn record(&self, job: model::JobId) -> StoredRecord {
        let none = Record::default();
        let record = self.blessing().record(job).unwrap_or(&none);
        let (approvals, against) = self.blessing().votes(job);
        let (blessed_at, reasons) = match &record.stage {
            Stage::Blessed { at, reasons, .. } => (*at, *reasons),
            _ => (Time(0), B256::ZERO),
        };
        StoredRecord {
            phase: record.phase(),
            round: record.round,
            nomination: record.nomination().map(lota_bridge::blessing::nomination_hash).unwrap_or_default(),
            approvals: approvals as u32,
            against: against as u32,
            blessed_at,
            reasons,
        }
    }

    fn has_voted(&self, job: model::JobId, account: Address) -> bool {
        let notaries = self.blessing().notaries();
        let is_of = |version: u32| version == notaries.version;
        match self.blessing().record(job).map(|record| &record.stage) {
            Some(Stage::Nominated { version, approvals, rejections, .. }) => {
                is_of(*version) && (approvals.contains(&account) || rejections.contains(&account))
            }
            Some(Stage::Blessed { version, revocations, .. }) => is_of(*version) && revocations.contains(&account),
            _ => false,
        }
    }

    fn compare_members(&mut self) -> Result<(), Difference> {
        for Member { address, .. } in self.members.clone() {
            let Some(pool) = self.world.granter(address).and_then(|granter| granter.pool()) else {
                same("how many slots a granter uses", &self.chain.slots(address), &0)?;
                continue;
            };
            same("how many slots a pool uses", &self.chain.slots(address), &pool.sums())?;
            for provider in self.accounts.iter().take(3) {
                let found = self.chain.view_at(address, &deployed::bindings::left_for(*provider));
                let name = self.cast.name(format_args!("what a pool has left for {provider:?}"));
                same(name, &found, &Ok(pool.left_for(*provider, self.now)))?;
            }
        }
        Ok(())
    }

    fn compare_granters(&mut self) -> Result<(), Difference> {
        let members = self.members.iter().map(|member| member.address);
        for granter in self.granters.iter().copied().chain(members).collect::<Vec<_>>() {
            let found = self.chain.view_at(BLESSING, &contract::limits_of(granter));
            same("limits", &found, &Ok(self.blessing().limits(granter)))?;
            for provider in self.accounts.clone() {
                let found = self.chain.view_at(BLESSING, &contract::granted_of(granter, provider));
                same("what was granted", &found, &Ok(self.blessing().granted_of(granter, provider, self.now)))?;
            }
        }
        let registered: Vec<(Address, Address, Registration)> = self
            .blessing()
            .registrations()
            .map(|(provider, granter, found)| (provider, granter, found.clone()))
            .collect();
        for (provider, granter, expected) in registered {
            let found = self.chain.view_at(BLESSING, &contract::registration_of(provider, granter));
            same("a registration", &found, &Ok(expected))?;
        }
        Ok(())
    }

    /// What everybody has outside, the contracts and the token included.
    fn compare_wallets(&mut self) -> Result<(), Difference> {
        let members = self.members.iter().map(|member| member.address);
        for account in self.accounts.iter().copied().chain([BLESSING, MARKET, TOKEN]).chain(members) {
            let name = |what: &str| self.cast.name(format_args!("{what} of {account:?}"));
            let wallet = U256::from(self.world.wallet(account).0);
            same(name("the wallet"), &self.chain.wallet(account), &wallet)?;
            let tokens = U256::from(self.world.token_wallet(TOKEN, account).0);
            same(name("the tokens"), &self.chain.stored(TOKEN, token::balance_slot(account)), &tokens)?;
        }
        Ok(())
    }

    /// How many storage slots the contract needs.
    fn slots(&self) -> usize {
        let blessing = self.blessing();
        let used = |is_used: bool| usize::from(is_used);
        // The list's length and members, their seats, and the slot of quorum, version and decisions.
        let notaries = 2 + 2 * blessing.notaries().list.len();
        let jobs = blessing.records().map(|(_, record)| match &record.stage {
            Stage::Idle | Stage::Granted => 1,
            Stage::Nominated { .. } => 2,
            Stage::Blessed { reasons, .. } => 2 + used(!reasons.is_zero()),
        });
        let limits = blessing.granters().map(|(_, limits)| {
            used(!(limits.per_job.is_zero() && limits.per_provider.is_zero())) + used(!limits.per_period.is_zero())
        });
        let registrations = blessing.registrations().map(|(_, _, found)| {
            let size = found.recipient.len();
            let words = if size > 31 { size.div_ceil(32) } else { 0 };
            1 + words + used(!found.share_rate.is_zero() || found.max_share != AttoFil::ZERO)
        });
        blessing.balances().count()
            + blessing.pools().count()
            + used(blessing.burned() != AttoFil::ZERO)
            + notaries
            + blessing.usages()
            + jobs.sum::<usize>()
            + limits.sum::<usize>()
            + registrations.sum::<usize>()
    }
}
