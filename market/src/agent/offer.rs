//! What a provider offers, and why it refuses a job.

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use super::{Phase, Pricing, Resources, Usage, gas_cost};
use crate::{
    AttoFil, Time,
    asset::Asset,
    auction::AuctionFault,
    model::{JobId, Settings, SpecCodec, Terms},
    spec::ValidatedSpec,
};

/// The name of the WASM engine in offers.
pub(super) const WASM: &str = "wasm";
/// By how many times a machine may be slower than it was measured: others use it, too, and some programs wait for memory.
const FUEL_MARGIN: u64 = 2;
/// Enough gas of Ethereum's to store 1 KiB of a result, which is what a result carries at most.
const DEFAULT_CALLBACK_GAS: u32 = 1_000_000;
/// A day, in seconds.
const DEFAULT_MAX_WINDOW: u32 = 86_400;

/// An amount rounded up to a whole number of quanta.
fn rounded_up(amount: AttoFil, quantum: u64) -> AttoFil {
    let quantum = u128::from(quantum.max(1));
    AttoFil(amount.0.div_ceil(quantum).saturating_mul(quantum))
}

/// What a provider offers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Offer {
    /// Engines it has.
    pub engines: Vec<String>,
    /// What it asks.
    pub pricing: Pricing,
    /// How many jobs it runs at once.
    pub slots: u32,
    /// What its jobs may take together at any time.
    pub resources: Resources,
    /// The most fuel of a job.
    pub max_fuel: u64,
    /// The most memory of a job, in bytes.
    pub max_memory: u64,
    /// The most output of a job, in bytes.
    pub max_output: u64,
    /// The longest wall time of a job, in seconds.
    pub max_wall: u64,
    /// The highest collateral it puts up for a job.
    pub max_collateral: AttoFil,
    /// The shortest windows it accepts, in seconds, and what a run window must have beyond the job's wall limit: time to see the
    /// lock, and to land the result again after a reorganisation.
    pub min_window: u32,
    /// The longest windows that it accepts, in seconds: so long its collateral may lie.
    pub max_window: u32,
    /// Whether it takes jobs that ask for no collateral: nothing keeps whoever locks such a job from letting it lie.
    pub accept_no_collateral: bool,
    /// Whether it cancels jobs that are directed to it and that it refuses. That costs gas, and nobody else can do it: the client
    /// waits until nobody may lock the job any more.
    pub cancel_refused: bool,
    /// Units of fuel that its machine burns in a second with the slowest program it was measured with; 0: it was not measured,
    /// and takes every job's word that its fuel fits its wall limit.
    pub fuel_per_second: u64,
    /// The most gas of a client's callback that it accepts: who ends a deal pays for the callback, and that is usually the
    /// provider.
    pub max_callback_gas: u32,
    /// Matchers whose awards it accepts.
    pub matchers: Vec<Address>,
    /// Arbiters whose rulings it accepts.
    pub arbiters: Vec<Address>,
}

impl Default for Offer {
    fn default() -> Self {
        Self {
            engines: vec![WASM.to_owned()],
            pricing: Pricing::default(),
            slots: 4,
            resources: Resources::UNLIMITED,
            max_fuel: 1_000_000_000_000,
            max_memory: 1 << 30,
            max_output: 1 << 30,
            max_wall: 600,
            max_collateral: AttoFil::from_gwei(10_000_000_000),
            min_window: 1,
            max_window: DEFAULT_MAX_WINDOW,
            accept_no_collateral: false,
            cancel_refused: true,
            fuel_per_second: 0,
            max_callback_gas: DEFAULT_CALLBACK_GAS,
            matchers: Vec::new(),
            arbiters: Vec::new(),
        }
    }
}

/// Why a provider does not want a job. The reason reaches the person who asked, in [`Self::words`]: its text gives amounts in the
/// smallest unit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// It is its own client.
    #[error("this provider does not run its own jobs")]
    OwnJob,
    /// Another provider, or a matcher that is not on its list, alone may award the job.
    #[error(
        "the job is directed to {0}, who alone may award it; that is neither this provider nor a matcher on its list"
    )]
    Matcher(Address),
    /// The arbiter is not on its list.
    #[error("the arbiter {0} is not on this provider's list")]
    Arbiter(Address),
    /// The collateral is too high.
    #[error("{}", too_much("the collateral of", [.asked, .limit], &Asset::unknown()))]
    Collateral {
        /// What the terms say.
        asked: AttoFil,
        /// What it puts up at most.
        limit: AttoFil,
    },
    /// There is no collateral.
    #[error(
        "the job asks for no collateral, and this provider takes such jobs only if its settings say so (node.accept_no_collateral)"
    )]
    NoCollateral,
    /// A window is too long.
    #[error(
        "a window of {seconds} s is longer than the {limit} s for which this provider puts up its collateral at most"
    )]
    LongWindow {
        /// What the terms say.
        seconds: u32,
        /// What it accepts at most.
        limit: u32,
    },
    /// A window is too short.
    #[error("a window of {seconds} s is shorter than the {limit} s that this provider needs to be safe")]
    Window {
        /// What the terms say.
        seconds: u32,
        /// What it needs.
        limit: u32,
    },
    /// The run window is shorter than the job's wall limit.
    #[error(
        "the run window of {run_for} s leaves no time for a job that may take {wall} s and its publication; this provider needs {needed} s"
    )]
    RunWindow {
        run_for: u32,
        /// The job's limit.
        wall: u64,
        /// The shortest window that would do.
        #[serde(default)]
        needed: u64,
    },
    /// The fuel does not fit the wall limit on this machine: the run would end by the clock, with a result that nobody can confirm.
    #[error(
        "{fuel} units of fuel may take this provider {needed} s, and the job may take {wall} s; name at least that wall time, or less fuel"
    )]
    Fuel {
        /// What the spec says.
        fuel: u64,
        /// The job's wall limit.
        wall: u64,
        /// What the fuel may take here.
        needed: u64,
    },
    /// It was slashed and waits for its operator.
    #[error("this provider was slashed for job {0} and takes no jobs until its operator resumes")]
    Suspended(JobId),
    /// The client's callback may cost too much gas.
    #[error("the callback may use {asked} gas; this provider, who may have to pay for it, accepts {limit}")]
    CallbackGas {
        /// What the terms say.
        asked: u32,
        /// What it accepts at most.
        limit: u32,
    },
    /// Too little is paid.
    #[error("{}", too_little([.offered, .asking], &Asset::unknown()))]
    Price {
        /// What is paid at most.
        offered: AttoFil,
        /// What it asks.
        asking: AttoFil,
    },
    /// The time for locking ends before the price reaches what it asks.
    #[error("{}", too_late(*.asking, &Asset::unknown()))]
    Ramp {
        /// What it asks.
        asking: AttoFil,
    },
    /// The spec has a codec it does not know.
    #[error("the spec's codec 0x{0:x} is unknown")]
    Codec(u16),
    /// The spec is not valid.
    #[error("the spec is not valid: {0}")]
    Spec(String),
    /// It does not have the engine.
    #[error("this provider has no `{0}` engine")]
    Engine(String),
    /// The job may use too much of something.
    #[error("the job may use {asked} {what}; this provider allows {limit}")]
    Limit {
        /// Of what.
        what: String,
        /// What the spec says.
        asked: u64,
        /// What it allows.
        limit: u64,
    },
    /// Spec, module or inputs could not be had, or the module cannot run.
    #[error("{0}")]
    Content(String),
    /// It has too many jobs to look at already.
    #[error("this provider is looking at {0} jobs already")]
    Busy(usize),
    /// The terms are for the auction, and cannot be auctioned.
    #[error("the job cannot be auctioned: {0}")]
    NoAuction(AuctionFault),
    /// Bids are opened when nobody can undo the phase before; there must be time for that.
    #[error("the auction leaves {seconds} s for {phase}; this provider needs {needed} s to be safe on this network")]
    AuctionPhase {
        phase: Phase,
        /// What is left of it.
        seconds: u64,
        /// What the provider needs.
        needed: u64,
    },
    /// The auction goes on for too long.
    #[error(
        "the auction goes on for {seconds} s, longer than the {limit} s for which this provider keeps room and money for a bid at most"
    )]
    LongAuction {
        /// Until the job can no longer be awarded.
        seconds: u64,
        /// What it accepts at most.
        limit: u32,
    },
    /// The deposit of a bid, which is lost if the bid cannot be opened in time, is too high.
    #[error("{}", too_much("the deposit for a bid of", [.asked, .limit], &Asset::unknown()))]
    Deposit {
        /// What the terms say: the highest price less the lowest.
        asked: AttoFil,
        /// What it puts up at most.
        limit: AttoFil,
    },
    /// The client has cost it gas for nothing.
    #[error(
        "{client} cancelled {times} auctions after this provider had sent commands for a bid; it bids for none of its jobs any more"
    )]
    Fickle { client: Address, times: u32 },
    /// The payer of the order has cost it gas for nothing.
    #[error(
        "{times} times an order of {payer} could not be taken any more when this provider's command for it was in a block; it takes none of its orders any more"
    )]
    CostlyPayer { payer: Address, times: u32 },
    /// The payer of the order cannot pay, and could not for as long as that was looked at.
    #[error("the order's payer has not seen to it that it can be taken: {0}")]
    Unpaid(String),
    /// Its operator has taken the money for bids out of the auction by hand.
    #[error("this provider has no money in the auction for another bid, and brings none until its operator resumes")]
    NoBidMoney,
}

impl Refusal {
    /// The same in words, with amounts as the market's asset has them.
    #[must_use]
    pub fn words(&self, asset: &Asset) -> String {
        match self {
            Self::Collateral { asked, limit } => too_much("the collateral of", [asked, limit], asset),
            Self::Deposit { asked, limit } => too_much("the deposit for a bid of", [asked, limit], asset),
            Self::Price { offered, asking } => too_little([offered, asking], asset),
            Self::Ramp { asking } => too_late(*asking, asset),
            other => other.to_string(),
        }
    }
}

fn too_much(what: &str, amounts: [&AttoFil; 2], asset: &Asset) -> String {
    let [asked, limit] = amounts.map(|amount| asset.show(*amount));
    format!("{what} {asked} is above the {limit} that this provider puts up at most")
}

fn too_little(amounts: [&AttoFil; 2], asset: &Asset) -> String {
    let [offered, asking] = amounts.map(|amount| asset.show(*amount));
    format!("the highest price, {offered}, is below the {asking} that this provider asks")
}

fn too_late(asking: AttoFil, asset: &Asset) -> String {
    let asking = asset.show(asking);
    format!("the price reaches the {asking} that this provider asks only after the job can no longer be locked")
}

impl Offer {
    /// This offer, whose amounts are those of 18 decimals, in a market's asset: 0.001 FIL are 0.001 USD there.
    #[must_use]
    pub fn in_asset(self, asset: &Asset, quantum: u64) -> Self {
        let scaled = |amount| asset.scaled(amount, quantum);
        // Rates need not be whole quanta: what is asked is rounded.
        let pricing = self.pricing.map(|rate| asset.scaled(rate, 1));
        Self { pricing, max_collateral: scaled(self.max_collateral), ..self }
    }

    /// What the provider `me` asks for a job of these terms and this spec: for a client that wants to know before it opens one.
    ///
    /// # Errors
    /// Why the provider would not want the job; [`Refusal::Price`] if it asks more than the terms offer.
    pub fn quote(
        &self,
        me: Address,
        settings: Settings,
        terms: &Terms,
        spec: &ValidatedSpec,
    ) -> Result<AttoFil, Refusal> {
        self.match_terms(me, settings, terms)?;
        self.match_spec(me, settings, terms, spec)
    }

    /// How long this much fuel may take on its machine, in seconds.
    #[must_use]
    pub fn seconds(&self, fuel: u64) -> u64 {
        let fuel = u128::from(fuel) * u128::from(FUEL_MARGIN);
        let seconds = fuel.checked_div(self.fuel_per_second.into()).unwrap_or(0);
        u64::try_from(seconds).unwrap_or(u64::MAX)
    }

    /// Checks what the terms alone say.
    ///
    /// # Errors
    /// Why this provider does not want the job.
    pub fn match_terms(&self, me: Address, settings: Settings, terms: &Terms) -> Result<(), Refusal> {
        if terms.client == me {
            return Err(Refusal::OwnJob);
        }
        if terms.matcher != Address::ZERO && terms.matcher != me && !self.matchers.contains(&terms.matcher) {
            return Err(Refusal::Matcher(terms.matcher));
        }
        if terms.arbiter != Address::ZERO && !self.arbiters.contains(&terms.arbiter) {
            return Err(Refusal::Arbiter(terms.arbiter));
        }
        if terms.collateral > self.max_collateral {
            return Err(Refusal::Collateral { asked: terms.collateral, limit: self.max_collateral });
        }
        if terms.collateral == AttoFil::ZERO && !self.accept_no_collateral {
            return Err(Refusal::NoCollateral);
        }
        if terms.callback_gas > self.max_callback_gas {
            return Err(Refusal::CallbackGas { asked: terms.callback_gas, limit: self.max_callback_gas });
        }
        let limit = self.min_window.max(settings.min_window);
        for seconds in
            [terms.run_for, terms.review_for, terms.rule_for].into_iter().take(if terms.has_arbiter() { 3 } else { 1 })
        {
            if seconds < limit {
                return Err(Refusal::Window { seconds, limit });
            }
            if seconds > self.max_window {
                return Err(Refusal::LongWindow { seconds, limit: self.max_window });
            }
        }
        if SpecCodec::from_code(terms.spec_codec).is_none() {
            return Err(Refusal::Codec(terms.spec_codec));
        }
        Ok(())
    }

    /// Checks the spec and says what this provider, `me`, asks for the job.
    ///
    /// # Errors
    /// Why this provider does not want the job.
    pub fn match_spec(
        &self,
        me: Address,
        settings: Settings,
        terms: &Terms,
        spec: &ValidatedSpec,
    ) -> Result<AttoFil, Refusal> {
        let asking = self.asking(settings, terms, spec)?;
        if asking > terms.max_price {
            return Err(Refusal::Price { offered: terms.max_price, asking });
        }
        match price_reached(terms, asking, settings.quantum) {
            // What is directed to it, it takes at the highest price.
            _ if terms.matcher == me => Ok(asking),
            Some(at) if at <= terms.lock_by => Ok(asking),
            _ => Err(Refusal::Ramp { asking }),
        }
    }

    /// What it asks for a job with so much gas besides, rounded up to a whole quantum.
    pub(super) fn with_gas(&self, asking: AttoFil, gas: u64, quantum: u64) -> AttoFil {
        let cost = gas_cost(self.pricing.per_megagas, gas);
        rounded_up(AttoFil(asking.0.saturating_add(cost.0)), quantum)
    }

    /// What this provider asks for a job of this spec, whatever is offered.
    pub(super) fn asking(&self, settings: Settings, terms: &Terms, spec: &ValidatedSpec) -> Result<AttoFil, Refusal> {
        let engine = spec.engine().name();
        if !self.engines.iter().any(|known| known == engine) {
            return Err(Refusal::Engine(engine.to_owned()));
        }
        let limits = spec.limits();
        for (what, asked, limit) in [
            ("units of fuel", limits.fuel, self.max_fuel),
            ("bytes of memory", limits.memory, self.max_memory),
            ("bytes of output", limits.output, self.max_output),
            ("seconds", limits.wall, self.max_wall),
        ] {
            if asked > limit {
                return Err(Refusal::Limit { what: what.to_owned(), asked, limit });
            }
        }
        if let Some((what, asked, limit)) = self.resources.lacks(&Resources::of(spec)) {
            return Err(Refusal::Limit { what: what.to_owned(), asked, limit });
        }
        // A container's fuel is time, of which it may use less.
        let needed = if engine == WASM { self.seconds(limits.fuel) } else { 0 };
        if needed > limits.wall {
            return Err(Refusal::Fuel { fuel: limits.fuel, wall: limits.wall, needed });
        }
        let needed = limits.wall.saturating_add(u64::from(self.min_window.max(1)));
        if u64::from(terms.run_for) < needed {
            return Err(Refusal::RunWindow { run_for: terms.run_for, wall: limits.wall, needed });
        }
        Ok(self.pricing.asking(&settings, &Usage::of(spec, self.fuel_per_second), terms.callback_gas))
    }
}

/// When the ramp of `terms` first reaches `asking`; `None` if it never does.
#[must_use]
pub(super) fn price_reached(terms: &Terms, asking: AttoFil, quantum: u64) -> Option<Time> {
    let quantum = u128::from(quantum.max(1));
    if asking <= terms.min_price {
        return Some(terms.ramp_start);
    }
    if asking > terms.max_price {
        return None;
    }
    let rise = (terms.max_price.0 - terms.min_price.0) / quantum;
    let needed = (asking.0 - terms.min_price.0).div_ceil(quantum);
    // Terms whose amounts are no whole quanta no market opens; nor do they end a node.
    let seconds = needed.checked_mul(u128::from(terms.ramp_period))?.div_ceil(rise.max(1));
    Some(terms.ramp_start.after(u64::try_from(seconds).ok()?))
}
