//! A scripted environment, and the parties and terms that the tests use.

use core::hash::{Hash, Hasher};
use std::{collections::VecDeque, hash::DefaultHasher};

use alloy_primitives::{Address, B256, Bytes, U256};

use crate::{
    model::{
        Authorization, BatchEntry, Command, Deal, Event, JobId, JobResult, Market, Permit, Reason, Receipt, Rejection,
        Settings, Signed, Terms,
    },
    money::AttoFil,
    time::Time,
    world::{CallError, Conduct, Env, ExternalCall, Log, Occasion, Script, TokenTransfer, World},
};

/// What the environment does, as far as the model may ask.
#[derive(Clone, Debug)]
pub(crate) struct Outside {
    pub(crate) now: Time,
    pub(crate) value: AttoFil,
    pub(crate) foreign_chain: Option<u64>,
    pub(crate) payouts: bool,
    pub(crate) callbacks: bool,
    /// Whether accounts have code.
    pub(crate) code: bool,
    /// Whether permits and authorizations are good.
    pub(crate) permits: bool,
    /// What the token does next; when nothing is left, what it should.
    pub(crate) conduct: VecDeque<Conduct>,
    /// Every callback that was made.
    pub(crate) calls: Vec<(Address, JobId, u32, Result<JobResult, Reason>)>,
    /// What was paid out, modulo 2^128.
    pub(crate) paid: AttoFil,
}

/// 32 bytes that stand for a value: 64 bits of SipHash, spread out.
pub(crate) fn digest<T: Hash + ?Sized>(value: &T) -> B256 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    let hash = hasher.finish();
    let mut word = [0; 32];
    for (part, chunk) in (0..).zip(word.chunks_exact_mut(8)) {
        chunk.copy_from_slice(&hash.rotate_left(part * 16).to_be_bytes());
    }
    B256::from(word)
}

pub(crate) fn job_of(terms: &Terms) -> JobId {
    JobId(digest(terms))
}

/// The signature of a client over its terms.
pub(crate) fn sign_terms(terms: &Terms) -> Bytes {
    Bytes::copy_from_slice(digest(&(terms.client, job_of(terms))).as_slice())
}

/// The signature of a client over an acceptance.
pub(crate) fn sign_acceptance(terms: &Terms, receipt: &Receipt, until: Time) -> Bytes {
    Bytes::copy_from_slice(digest(&(terms.client, job_of(terms), receipt, until)).as_slice())
}

/// An entry of a batch that its client has signed.
pub(crate) fn accepted(terms: Terms, receipt: Receipt, until: Time) -> BatchEntry {
    BatchEntry { signature: sign_acceptance(&terms, &receipt, until), terms, receipt, until }
}

/// Whether it is the client's signature over this, as these two functions make them.
pub(crate) fn is_signature(client: Address, what: &Signed<'_>, signature: &Bytes) -> bool {
    let wanted = match what {
        Signed::Terms(job) => digest(&(client, *job)),
        Signed::Acceptance(job, receipt, until) => digest(&(client, *job, *receipt, *until)),
    };
    signature.as_ref() == wanted.as_slice()
}

impl Default for Outside {
    fn default() -> Self {
        Self {
            now: START,
            value: AttoFil::ZERO,
            foreign_chain: None,
            payouts: true,
            callbacks: true,
            code: true,
            permits: true,
            conduct: VecDeque::new(),
            calls: Vec::new(),
            paid: AttoFil::ZERO,
        }
    }
}

impl Env for Outside {
    fn now(&self) -> Time {
        self.now
    }

    fn job_id(&self, _: Address, terms: &Terms) -> JobId {
        job_of(terms)
    }

    fn spec_digest(&self, spec: &Bytes) -> B256 {
        digest(spec)
    }

    fn foreign_chain(&self) -> Option<u64> {
        self.foreign_chain
    }

    fn signature_valid(&self, _: Address, client: Address, what: &Signed<'_>, signature: &Bytes) -> bool {
        is_signature(client, what, signature)
    }

    fn has_code(&self, _: Address) -> bool {
        self.code
    }

    fn permit_valid(&self, _: Address, _: Address, _: Address, _: AttoFil, _: &Permit) -> bool {
        self.permits
    }

    fn authorization_valid(&self, _: Address, _: Address, _: Address, _: AttoFil, _: &Authorization) -> bool {
        self.permits
    }

    fn conduct(&mut self, _: &TokenTransfer) -> Conduct {
        self.conduct.pop_front().unwrap_or_default()
    }

    fn script(&mut self, call: &ExternalCall<'_>) -> Script {
        Script::accepting(match call.occasion {
            Occasion::Payout { amount } => {
                if self.payouts {
                    self.paid.0 = self.paid.0.wrapping_add(amount.0);
                }
                self.payouts
            }
            Occasion::Callback { job, gas, outcome } => {
                let outcome = outcome.cloned();
                self.calls.push((call.callee, job, gas, outcome));
                self.callbacks
            }
            Occasion::Grant { .. } | Occasion::AddVerifiedClient { .. } => false,
        })
    }
}

/// What a market by itself may ask.
pub(crate) struct Nothing;

impl crate::model::Env for Nothing {
    fn here(&self) -> Address {
        MARKET
    }

    fn now(&self) -> Time {
        START
    }

    fn job_id(&self, terms: &Terms) -> JobId {
        job_of(terms)
    }

    fn spec_digest(&self, spec: &Bytes) -> B256 {
        digest(spec)
    }

    fn foreign_chain(&self) -> Option<u64> {
        None
    }

    fn signature_valid(&self, _: Address, _: &Signed<'_>, _: &Bytes) -> bool {
        false
    }
}

/// The id of an actor on Filecoin, as an address.
pub(crate) const MASKED: Address = {
    let mut bytes = [0; 20];
    (bytes[0], bytes[18], bytes[19]) = (0xff, 0x12, 0x34);
    Address::new(bytes)
};
/// Where a token is.
pub(crate) const TOKEN: Address = Address::repeat_byte(0x70);
/// Where the market of the tests is.
pub(crate) const MARKET: Address = Address::repeat_byte(0x4d);
pub(crate) const START: Time = Time(1_800_000_000);
pub(crate) const CLIENT: Address = Address::repeat_byte(0xc1);
pub(crate) const PROVIDER: Address = Address::repeat_byte(0xb0);
pub(crate) const MATCHER: Address = Address::repeat_byte(0x3a);
pub(crate) const ARBITER: Address = Address::repeat_byte(0xa2);
pub(crate) const STRANGER: Address = Address::repeat_byte(0x57);
pub(crate) const SETTINGS: Settings = Settings { max_callback_gas: 1_000_000, ..Settings::COIN };

pub(crate) fn gwei(amount: u64) -> AttoFil {
    AttoFil::from_gwei(amount)
}

/// Terms at a ramp from 100 to 200 gwei over 100 seconds from START, with an arbiter, a callback and a record; collateral 51 gwei.
pub(crate) fn terms(salt: u64) -> Terms {
    Terms {
        client: CLIENT,
        salt: U256::from(salt),
        spec: digest(&spec()),
        spec_codec: 0x71,
        min_price: gwei(100),
        max_price: gwei(200),
        ramp_start: START,
        ramp_period: 100,
        lock_by: START.after(1_000),
        run_for: 100,
        review_for: 200,
        rule_for: 300,
        collateral: gwei(51),
        matcher: Address::ZERO,
        arbiter: ARBITER,
        callback_gas: 500_000,
        keep_record: true,
    }
}

pub(crate) fn spec() -> Bytes {
    Bytes::from_static(b"a spec")
}

pub(crate) fn result() -> JobResult {
    JobResult { output: B256::repeat_byte(7), exit_code: 3, fuel_used: 1_000, inline_data: Bytes::from_static(b"42") }
}

/// A world with one market, its environment, and what came out of it so far.
#[derive(Clone)]
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) env: Outside,
    pub(crate) events: Vec<Event>,
}

impl Scene {
    /// Client, provider, matcher and arbiter own 1000 gwei each in the market.
    pub(crate) fn new() -> Self {
        let world = World::with_market(MARKET, SETTINGS);
        let mut scene = Self { world, env: Outside::default(), events: Vec::new() };
        for account in [CLIENT, PROVIDER, MATCHER, ARBITER] {
            scene.pay(STRANGER, gwei(1_000), &Command::Deposit { account }).expect("deposits are accepted");
        }
        scene.events.clear();
        scene
    }

    pub(crate) fn market(&self) -> &Market {
        self.world.market(MARKET).expect("is there from the beginning")
    }

    pub(crate) fn at(&mut self, now: Time) -> &mut Self {
        self.env.now = now;
        self
    }

    /// Executes a command; its sender owns outside of the market whatever the environment's value is.
    pub(crate) fn act(&mut self, sender: Address, command: &Command) -> Result<(), Rejection> {
        self.world.mint(sender, self.env.value).expect("there is room for it");
        let mut log = Vec::new();
        let outcome = self.world.execute_on_market(sender, MARKET, self.env.value, command, &mut self.env, &mut log);
        self.events.extend(log.iter().filter_map(|Log { contract, event }| {
            assert_eq!(*contract, MARKET);
            event.of_market().cloned()
        }));
        outcome.map_err(|error| match error {
            CallError::Rejected(rejection) => rejection,
            other => panic!("{command:?}: {other}"),
        })
    }

    pub(crate) fn pay(&mut self, sender: Address, value: AttoFil, command: &Command) -> Result<(), Rejection> {
        self.env.value = value;
        let outcome = self.act(sender, command);
        self.env.value = AttoFil::ZERO;
        outcome
    }

    /// The events since the last call.
    pub(crate) fn news(&mut self) -> Vec<Event> {
        core::mem::take(&mut self.events)
    }

    pub(crate) fn deal(&self, terms: &Terms) -> Deal<'_> {
        self.market().deal(job_of(terms))
    }
}
