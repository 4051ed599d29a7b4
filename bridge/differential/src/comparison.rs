//! The contract and the model side by side.

use std::collections::{BTreeSet, HashMap, HashSet};

use alloy::primitives::Log;
use lota_bridge::{
    StoredDeal,
    evm::bindings::{self, Revert},
};
use lota_market::{
    Address, AttoFil, Bytes, Time, U256,
    model::{
        Command, Event, JobId, Lane, Market, Reason, Rejection, SALT_WINDOW, Status, TermsFault, is_masked_id, lane_of,
        salt,
    },
    world::{Answer, CallError, Contract, Log as WorldLog, Script, World},
};

use crate::{
    actors::ActorStep,
    chain::{CHAIN_ID, CallOutcome, Chain, Currency, WALLET},
    mutant::Mutant,
    oracle::{Ids, Oracle},
    party::{MARKET, Parties},
    scripted,
    step::{Step, Touched},
    token::{self, Approval, TOKEN, TokenStep},
};

/// Every so many steps all that is stored is compared, not only what a step touched.
const FULL_EVERY: usize = 64;

/// What the contract and the model do not agree on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) what: String,
    pub(crate) contract: String,
    pub(crate) model: String,
}

impl Difference {
    pub(crate) fn new(what: impl Into<String>, contract: impl std::fmt::Debug, model: impl std::fmt::Debug) -> Self {
        Self { what: what.into(), contract: format!("{contract:?}"), model: format!("{model:?}") }
    }
}

/// Refuses values that are not equal.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(
    what: impl FnOnce() -> String,
    contract: &T,
    model: &T,
) -> Result<(), Difference> {
    if contract == model { Ok(()) } else { Err(Difference::new(what(), contract, model)) }
}

/// What a comparison begins with.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) cast: &'a Parties,
    pub(crate) currency: Currency,
    pub(crate) mutant: Option<Mutant>,
}

pub(crate) struct Comparison<'a> {
    pub(crate) cast: &'a Parties,
    pub(crate) currency: Currency,
    world: World,
    pub(crate) ids: Ids,
    pub(crate) now: Time,
    mutant: Option<Mutant>,
    chain: Chain,
    /// How deals have ended, for the mutant that keeps that.
    ended: HashMap<JobId, (Status, Reason)>,
    /// What the scripted client does now.
    script: Script,
    /// What the token does now.
    token: TokenStep,
    /// Salts that were named by anything.
    salts: BTreeSet<(Address, U256)>,
    steps: usize,
    /// What was seen to work, of [`FEATS`].
    pub(crate) reached: BTreeSet<&'static str>,
}

/// What the model says a step comes to.
struct Expected {
    result: Result<Vec<Event>, Refusal>,
    recorded: Vec<(Address, Bytes)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Refusal {
    /// The protocol's.
    Rejected(Rejection),
    /// Money was sent along where none is taken: the compiler's, and without data.
    NotPayable,
}

impl<'a> Comparison<'a> {
    pub(crate) fn new(Setting { cast, currency, mutant }: Setting<'a>) -> Self {
        let mut world = World::new();
        let market = Contract::Market(Market::new(currency.settings()));
        #[expect(
            clippy::expect_used,
            reason = "nothing else is there, and there is room for what some twenty parties have"
        )]
        {
            if currency == Currency::Token {
                world.deploy_token(TOKEN).expect("nobody is there");
            }
            world.deploy(MARKET, market).expect("nobody is there");
            for party in cast.parties.iter().filter(|party| party.address != MARKET) {
                world.mint(party.address, WALLET).expect("there is room");
                if currency == Currency::Token {
                    world.mint_token(TOKEN, party.address, WALLET).expect("there is room");
                }
            }
        }
        Self {
            cast,
            currency,
            world,
            ended: HashMap::new(),
            token: TokenStep::default(),
            ids: Ids::default(),
            now: START,
            mutant,
            chain: Chain::new(cast, currency, |code| {
                if let Some(mutant) = mutant {
                    mutant.alter_code(code);
                }
            }),
            script: Script::default(),
            salts: BTreeSet::new(),
            steps: 0,
            reached: BTreeSet::new(),
        }
    }

    pub(crate) fn market(&self) -> &Market {
        #[expect(clippy::expect_used, reason = "`new` puts it there")]
        self.world.market(MARKET).expect("is there from the beginning")
    }

    /// Executes a step on both and compares. `Ok` says whether it was refused, by both.
    pub(crate) fn perform(&mut self, step: &Step) -> Result<Option<&'static str>, Difference> {
        self.now = step.at;
        self.steps += 1;
        if let Some(Approval { owner, spender, amount }) = step.token.approval
            && self.world.approve(TOKEN, owner, spender, amount)
        {
            self.chain.store(TOKEN, token::allowance_slot(owner, spender), amount);
        }
        let expected = self.expect(step)?;
        if self.token != step.token && self.currency == Currency::Token {
            self.token.clone_from(&step.token);
            self.chain.set_code(TOKEN, token::code(&step.token));
        }
        if self.script != step.script {
            self.script.clone_from(&step.script);
            self.chain.set_code(self.cast.scripted().address, scripted::code(&step.script));
        }
        let outcome = self.chain.execute(
            step.sender,
            step.value,
            bindings::call_data(&step.command),
            step.at,
            step.foreign_chain.unwrap_or(CHAIN_ID),
        );
        let refused = match (outcome, expected.result) {
            (CallOutcome::Done { logs, output }, Ok(events)) => {
                compare_logs(&logs, &events, &expected.recorded)?;
                self.reached.extend(feats(step, &events));
                self.compare_output(&step.command, &output)?;
                self.compare_touched(step)?;
                None
            }
            (CallOutcome::Reverted { data, changed }, Err(refusal)) => {
                let found = match bindings::revert(&data) {
                    Revert::Rejected(rejection) => Ok(Refusal::Rejected(rejection)),
                    _ if data.is_empty() => Ok(Refusal::NotPayable),
                    other => Err(other),
                };
                same(|| "the refusal".into(), &found, &Ok(refusal.clone()))?;
                same(|| "whether a refusal changes anything".into(), &changed, &false)?;
                Some(match refusal {
                    Refusal::Rejected(rejection) => kind(&rejection),
                    Refusal::NotPayable => "not payable",
                })
            }
            (CallOutcome::Done { logs, .. }, Err(refusal)) => {
                return Err(Difference::new("success or refusal", format_args!("succeeds with {logs:?}"), refusal));
            }
            (CallOutcome::Reverted { data, .. }, Ok(events)) => {
                let events = format_args!("succeeds with {events:?}").to_string();
                return Err(Difference::new("success or refusal", bindings::revert(&data), events));
            }
            (CallOutcome::Halted(reason), result) => {
                return Err(Difference::new("how the transaction ends", reason, result));
            }
        };
        let held = U256::from(self.market().held().0);
        let found = match self.currency {
            Currency::Coin => self.chain.wallet(MARKET),
            Currency::Token => self.chain.stored(TOKEN, token::balance_slot(MARKET)),
        };
        same(|| "all that the market holds".into(), &found, &held)?;
        if self.steps.is_multiple_of(FULL_EVERY) {
            self.compare_everything()?;
        }
        Ok(refused)
    }

    fn expect(&mut self, step: &Step) -> Result<Expected, Difference> {
        let mut oracle = Oracle {
            cast: self.cast,
            ids: &self.ids,
            now: step.at,
            foreign_chain: step.foreign_chain,
            script: &step.script,
            conduct: &step.token.conduct,
            mutant: self.mutant,
            pending: self.world.market(MARKET).map(pending).unwrap_or_default(),
            actors: &ActorStep::default(),
            recorded: Vec::new(),
        };
        let refused = |refusal| Ok(Expected { result: Err(refusal), recorded: Vec::new() });
        let payable = step.value == AttoFil::ZERO || step.command.is_payable();
        if let Some(rejection) = self.mutant.filter(|_| payable).and_then(|mutant| {
            #[expect(clippy::expect_used, reason = "`new` puts it there")]
            mutant.refuse(step, self.world.market(MARKET).expect("is there"), &self.ids)
        }) {
            return refused(Refusal::Rejected(rejection));
        }
        let mut log = Vec::new();
        match self.world.execute_on_market(step.sender, MARKET, step.value, &step.command, &mut oracle, &mut log) {
            Ok(()) => {
                let recorded = oracle.recorded;
                let mut events: Vec<Event> =
                    log.iter().filter_map(|WorldLog { event, .. }| event.of_market().cloned()).collect();
                if let Some(mutant) = self.mutant {
                    mutant.alter_events(&mut events);
                    self.ended.extend(events.iter().filter_map(end_of));
                }
                Ok(Expected { result: Ok(events), recorded })
            }
            Err(CallError::Rejected(rejection)) => refused(Refusal::Rejected(rejection)),
            Err(CallError::NotPayable { .. }) => refused(Refusal::NotPayable),
            Err(error) => Err(Difference::new("whether this can be sent at all", "not tried", error)),
        }
    }

    /// What opens a job returns its id.
    fn compare_output(&self, command: &Command, output: &Bytes) -> Result<(), Difference> {
        let expected = match command {
            Command::Open { terms, .. }
            | Command::OpenSigned { terms, .. }
            | Command::OpenSignedAndLock { terms, .. } => Bytes::copy_from_slice(self.ids.of(terms).0.as_slice()),
            Command::Multicall { .. } => return Ok(()),
            _ => Bytes::new(),
        };
        same(|| "what is returned".into(), output, &expected)
    }

    fn compare_touched(&mut self, step: &Step) -> Result<(), Difference> {
        let touched = Touched::by(step);
        self.salts.extend(&touched.salts);
        // Of large batches all is compared in turn, with everything.
        const AT_MOST: usize = 8;
        for terms in touched.terms.into_iter().take(AT_MOST) {
            self.compare_deal(self.ids.of(terms))?;
        }
        for account in touched.accounts.into_iter().take(AT_MOST) {
            self.compare_balance(account)?;
        }
        for (client, salt) in touched.salts.into_iter().take(AT_MOST) {
            self.compare_salt(client, salt)?;
        }
        Ok(())
    }

    /// Compares all that is stored, and what everybody has outside the market.
    pub(crate) fn compare_everything(&mut self) -> Result<(), Difference> {
        let jobs: Vec<JobId> = self.market().deals().map(|(job, _)| job).collect();
        for job in jobs {
            self.compare_deal(job)?;
        }
        let parties = self.cast.parties.iter().map(|party| party.address);
        let accounts: BTreeSet<Address> = parties
            .chain(self.market().balances().map(|(account, _)| account))
            .chain(self.salts.iter().map(|(client, _)| *client))
            .chain([Address::ZERO, TOKEN])
            .collect();
        for account in accounts.iter().copied() {
            self.compare_balance(account)?;
            let wallet = U256::from(self.world.wallet(account).0);
            same(|| self.cast.name(format_args!("the wallet of {account:?}")), &self.chain.wallet(account), &wallet)?;
            let tokens = U256::from(self.world.token_wallet(TOKEN, account).0);
            let found = self.chain.stored(TOKEN, token::balance_slot(account));
            same(|| self.cast.name(format_args!("the tokens of {account:?}")), &found, &tokens)?;
            let allowance = U256::from(self.world.allowance(TOKEN, account, MARKET).0);
            let found = self.chain.stored(TOKEN, token::allowance_slot(account, MARKET));
            same(|| self.cast.name(format_args!("the allowance of {account:?}")), &found, &allowance)?;
        }
        same(|| "how many slots are used".into(), &self.chain.slots(MARKET), &self.slots(&accounts))?;
        for (client, salt) in self.salts.clone() {
            self.compare_salt(client, salt)?;
        }
        let burned = self.chain.burned();
        same(|| "what is burned".into(), &burned, &Ok(U256::from(self.market().burned().0)))?;
        let market = self.market();
        let free: u128 = market.balances().map(|(_, balance)| balance.0).sum();
        let sum = free + market.escrowed().0 + market.collateral().0 + market.burned().0;
        same(|| "the sum of all money in the market".into(), &market.held().0, &sum)
    }

    /// How many storage slots the market needs: one for each deal that is stored, each account that has money or spent a salt of
    /// lane 0, each other lane, and what is burned.
    fn slots(&self, accounts: &BTreeSet<Address>) -> usize {
        let market = self.market();
        let is_used = |client: Address, lane: Lane| {
            let (_, next) = lane_of(market.next_salt(client, lane));
            let ahead = (1..SALT_WINDOW).filter_map(|ahead| next.checked_add(ahead));
            next > 0 || ahead.into_iter().any(|number| market.is_spent(client, salt(lane, number)))
        };
        let lanes: BTreeSet<(Address, Lane)> = self
            .salts
            .iter()
            .map(|(client, salt)| (*client, lane_of(*salt).0))
            .filter(|(_, lane)| !lane.is_zero())
            .collect();
        let is_stored =
            |account: &&Address| market.balance(**account) != AttoFil::ZERO || is_used(**account, Lane::ZERO);
        market.deals().count()
            + accounts.iter().filter(is_stored).count()
            + lanes.into_iter().filter(|(client, lane)| is_used(*client, *lane)).count()
            + usize::from(market.burned() != AttoFil::ZERO)
    }

    fn compare_deal(&mut self, job: JobId) -> Result<(), Difference> {
        let found = self.chain.view(&bindings::deal_of(job));
        let deal = self.market().deal(job);
        let mut expected = StoredDeal::of(job, &deal);
        if let Some(mutant) = self.mutant {
            mutant.alter_deal(&mut expected, deal.receipt, self.ended.get(&job).copied());
        }
        same(|| format!("the deal {job}"), &found, &Ok(expected))
    }

    fn compare_balance(&mut self, account: Address) -> Result<(), Difference> {
        let found = self.chain.view(&bindings::balance_of(account));
        let what = || self.cast.name(format_args!("the balance of {account:?}"));
        same(what, &found, &Ok(self.market().balance(account)))
    }

    fn compare_salt(&mut self, client: Address, salt: U256) -> Result<(), Difference> {
        let found = self.chain.view(&bindings::is_spent(client, salt));
        let what = || self.cast.name(format_args!("whether salt {salt} of {client:?} is spent"));
        same(what, &found, &Ok(self.market().is_spent(client, salt)))?;
        let (lane, _) = lane_of(salt);
        let found = self.chain.view(&bindings::next_salt(client, lane));
        let what = || self.cast.name(format_args!("the lowest free salt of {client:?} in lane {lane}"));
        same(what, &found, &Ok(self.market().next_salt(client, lane)))
    }
}

/// What must have worked at least once, beside all that must have been refused.
pub(crate) const FEATS: [&str; 10] = [
    "a client opens three jobs from within its callback",
    "a client deposits from within its callback",
    "a callback is delivered when it is tried again",
    "a provider gives up",
    "a result is paid for without a review",
    "a matcher brings the collateral",
    "a masked id opens a job for itself",
    "tokens come with a permit",
    "tokens come with an authorization",
    "a token that returns nothing is believed",
];

/// What a step that worked has shown.
fn feats(step: &Step, events: &[Event]) -> Vec<&'static str> {
    let is_in_callback = !matches!(step.command, Command::Multicall { .. })
        && events.iter().any(|event| matches!(event, Event::CallbackDelivered { .. }));
    let count = |wanted: fn(&Event) -> bool| events.iter().filter(|event| wanted(event)).count();
    let opens = count(|event| matches!(event, Event::JobOpened { .. }));
    let deposits = count(|event| matches!(event, Event::Deposited { .. }));
    let is_unreviewed = |event: &Event| matches!(event, Event::JobSettled { reason: Reason::Unreviewed, .. });
    let is_awarded = |event: &Event| matches!(event, Event::JobLocked { provider, payer, .. } if provider != payer);
    let is_masked_own = |event: &Event| matches!(event, Event::JobOpened { terms, .. } if is_masked_id(terms.client) && terms.client == step.sender);
    let shown = [
        is_in_callback && opens >= 3,
        is_in_callback && deposits > 0,
        matches!(step.command, Command::RetryCallback { .. }),
        matches!(step.command, Command::GiveUp { .. }),
        events.iter().any(is_unreviewed),
        events.iter().any(is_awarded),
        events.iter().any(is_masked_own),
        matches!(step.command, Command::DepositTokenWithPermit { .. }),
        matches!(step.command, Command::DepositTokenWithAuthorization { .. }),
        matches!(step.command, Command::DepositToken { .. }) && step.token.conduct.answer == Answer::Nothing,
    ];
    FEATS.into_iter().zip(shown).filter_map(|(feat, shown)| shown.then_some(feat)).collect()
}

/// The deals whose callbacks may be tried again.
fn pending(market: &Market) -> HashSet<JobId> {
    market.deals().filter(|(_, deal)| deal.callback_pending).map(|(job, _)| job).collect()
}

/// Which deal an event says has ended, and how.
const fn end_of(event: &Event) -> Option<(JobId, (Status, Reason))> {
    match event {
        Event::JobSettled { job, reason, .. }
        | Event::JobCancelled { job, reason }
        | Event::JobSlashed { job, reason, .. }
        | Event::JobVoided { job, reason, .. } => Some((*job, (reason.status(), *reason))),
        _ => None,
    }
}

/// When it all begins: a timestamp of 2026.
pub(crate) const START: Time = Time(1_767_225_600);

/// The market's logs are the model's events; all others are those of the recorder.
fn compare_logs(logs: &[Log], events: &[Event], recorded: &[(Address, Bytes)]) -> Result<(), Difference> {
    let (market, others): (Vec<_>, Vec<_>) = logs.iter().partition(|log| log.address == MARKET);
    let found: Result<Vec<Event>, _> = market.iter().map(|log| bindings::event(&log.data)).collect();
    let found = found.map_err(|error| Difference::new("the events", error, events))?;
    same(|| "the events".into(), &found.as_slice(), &events)?;
    let found: Vec<(Address, Bytes)> = others.iter().map(|log| (log.address, log.data.data.clone())).collect();
    same(|| "the calls of clients and payees".into(), &found.as_slice(), &recorded)
}

/// The name of a rejection, for the count of what was covered.
fn kind(rejection: &Rejection) -> &'static str {
    match rejection {
        Rejection::Reentered => "Reentered",
        Rejection::WrongAsset(_) => "WrongAsset",
        Rejection::BadTerms(TermsFault::ZeroClient) => "BadTerms: ZeroClient",
        Rejection::BadTerms(TermsFault::MaskedId) => "BadTerms: MaskedId",
        Rejection::BadTerms(TermsFault::SpecCodec) => "BadTerms: SpecCodec",
        Rejection::BadTerms(TermsFault::NotWholeQuanta) => "BadTerms: NotWholeQuanta",
        Rejection::BadTerms(TermsFault::AmountTooLarge) => "BadTerms: AmountTooLarge",
        Rejection::BadTerms(TermsFault::PriceOrder) => "BadTerms: PriceOrder",
        Rejection::BadTerms(TermsFault::ZeroRampPeriod) => "BadTerms: ZeroRampPeriod",
        Rejection::BadTerms(TermsFault::RampStart) => "BadTerms: RampStart",
        Rejection::BadTerms(TermsFault::RunFor) => "BadTerms: RunFor",
        Rejection::BadTerms(TermsFault::ReviewFor) => "BadTerms: ReviewFor",
        Rejection::BadTerms(TermsFault::RuleFor) => "BadTerms: RuleFor",
        Rejection::BadTerms(TermsFault::CallbackGas) => "BadTerms: CallbackGas",
        Rejection::BadTerms(TermsFault::KeepRecord) => "BadTerms: KeepRecord",
        Rejection::UnknownJob(_) => "UnknownJob",
        Rejection::SaltSpent { .. } => "SaltSpent",
        Rejection::SaltTooFar { .. } => "SaltTooFar",
        Rejection::WrongState { .. } => "WrongState",
        Rejection::WrongSender { .. } => "WrongSender",
        Rejection::TooEarly { .. } => "TooEarly",
        Rejection::TooLate { .. } => "TooLate",
        Rejection::SpecTooLarge(_) => "SpecTooLarge",
        Rejection::SpecMismatch { .. } => "SpecMismatch",
        Rejection::InvalidProvider => "InvalidProvider",
        Rejection::PriceOutOfRange { .. } => "PriceOutOfRange",
        Rejection::InlineTooLarge(_) => "InlineTooLarge",
        Rejection::ReceiptMismatch(_) => "ReceiptMismatch",
        Rejection::UrlTooLarge(_) => "UrlTooLarge",
        Rejection::TooMany(_) => "TooMany",
        Rejection::InvalidRecipient => "InvalidRecipient",
        Rejection::WrongChain(_) => "WrongChain",
        Rejection::BadSignature(_) => "BadSignature",
        Rejection::InsufficientBalance { .. } => "InsufficientBalance",
        Rejection::TransferFailed(_) => "TransferFailed",
        Rejection::TransferMismatch { .. } => "TransferMismatch",
        Rejection::CallbackReverted(_) => "CallbackReverted",
    }
}

/// Every refusal that commands can meet. `Reentered` is not among them: it is what [`crate::party::Behaviour::Reentrant`]
/// is answered, and only its callback's success tells. Nor is the record that a batch may not keep: it is skipped, with the error
/// but without its reason.
pub(crate) const REFUSALS: [&str; 36] = [
    "WrongAsset",
    "BadTerms: ZeroClient",
    "BadTerms: MaskedId",
    "BadTerms: SpecCodec",
    "BadTerms: NotWholeQuanta",
    "BadTerms: AmountTooLarge",
    "BadTerms: PriceOrder",
    "BadTerms: ZeroRampPeriod",
    "BadTerms: RampStart",
    "BadTerms: RunFor",
    "BadTerms: ReviewFor",
    "BadTerms: RuleFor",
    "BadTerms: CallbackGas",
    "UnknownJob",
    "SaltSpent",
    "SaltTooFar",
    "WrongState",
    "WrongSender",
    "TooEarly",
    "TooLate",
    "SpecTooLarge",
    "SpecMismatch",
    "InvalidProvider",
    "PriceOutOfRange",
    "InlineTooLarge",
    "ReceiptMismatch",
    "UrlTooLarge",
    "TooMany",
    "InvalidRecipient",
    "WrongChain",
    "BadSignature",
    "InsufficientBalance",
    "TransferFailed",
    "TransferMismatch",
    "CallbackReverted",
    "not payable",
];
