//! What a node counts and measures, in the text format of OpenMetrics 1.0, which Prometheus reads.
//!
//! Counters count what the process has seen since it started; what a reorganisation undoes is not taken back, and is counted again
//! when it comes again. All else is looked up when somebody asks. docs/monitoring.md lists everything.

mod process;
mod standing;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::Instant,
};

use lota_market::{
    Address, AttoFil,
    agent::{Failure, Step, StepKey, StepOutcome},
    asset::Asset,
    auction, filecoin_pay_deals,
    model::Event,
};
use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{
        counter::Counter,
        family::Family,
        histogram::{Histogram, exponential_buckets},
        info::Info,
    },
    registry::Registry,
};
use tokio::sync::watch;

use crate::{activity::Activity, health::Health, observe};

/// The longest of the shortest steps, in seconds; each further bucket is four times as wide: up to some 70 minutes.
const SHORTEST_STEP: f64 = 0.001;
/// Buckets of a step's duration.
const BUCKETS: u16 = 12;
/// Steps whose beginning is remembered: more than a node ever has under way.
const MOST_BEGUN: usize = 1 << 16;

/// What a party is in a job, and how the job ends.
const ROLES: [&str; 2] = ["provider", "client"];
const ENDS: [&str; 4] = ["settled", "cancelled", "slashed", "void"];
/// What steps come to.
const DONE: &str = "done";
const FAILED_FOR_NOW: &str = "failed_for_now";
const FAILED: &str = "failed";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabels {
    step: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabels {
    event: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    /// What the party was in the job.
    role: &'static str,
    end: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AssetLabels {
    asset: String,
}

/// An amount in whole units of its asset.
type Money = Counter<f64, AtomicU64>;

/// A registry with what every process tells: its version, and what it takes of its machine. All names begin with `lota_`.
#[must_use]
pub fn registry() -> Registry {
    let mut registry = Registry::with_prefix("lota");
    registry.register("build", "The version that runs", Info::new([("version", env!("CARGO_PKG_VERSION"))]));
    registry.register_collector(Box::new(process::Process));
    registry
}

/// What is looked up when somebody asks.
pub(crate) struct Sources {
    pub(crate) asset: Asset,
    pub(crate) health: Arc<Health>,
    pub(crate) content: lota_content::Store,
    pub(crate) activity: watch::Receiver<Activity>,
}

/// What a node counts.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    party: Address,
    asset: Asset,
    events: Family<EventLabels, Counter>,
    steps: Family<StepLabels, Counter>,
    durations: Family<StepLabels, Histogram>,
    begun: Arc<Mutex<HashMap<StepKey, Instant>>>,
    ends: Family<EndLabels, Counter>,
    earned: Family<AssetLabels, Money>,
    spent: Family<AssetLabels, Money>,
    rewinds: Counter,
}

impl Metrics {
    pub(crate) fn new(party: Address, asset: Asset) -> Self {
        let buckets: fn() -> Histogram = || Histogram::new(exponential_buckets(SHORTEST_STEP, 4.0, BUCKETS));
        let metrics = Self {
            party,
            asset,
            events: Family::default(),
            steps: Family::default(),
            durations: Family::new_with_constructor(buckets),
            begun: Arc::default(),
            ends: Family::default(),
            earned: Family::default(),
            spent: Family::default(),
            rewinds: Counter::default(),
        };
        metrics.begin_at_zero();
        metrics
    }

    /// What is counted from the beginning, so that its first increase can be told from a first reading.
    fn begin_at_zero(&self) {
        let labels = AssetLabels { asset: self.asset.symbol().to_owned() };
        drop((self.earned.get_or_create(&labels), self.spent.get_or_create(&labels)));
        for (role, end) in ROLES.into_iter().flat_map(|role| ENDS.map(|end| (role, end))) {
            drop(self.ends.get_or_create(&EndLabels { role, end }));
        }
        for outcome in [DONE, FAILED_FOR_NOW, FAILED] {
            let labels = StepLabels { step: Step::Run.name(), outcome };
            drop((self.steps.get_or_create(&labels), self.durations.get_or_create(&labels)));
        }
        drop(self.events.get_or_create(&EventLabels { event: "JobOpened" }));
    }

    /// Everything, to be read by whoever asks.
    pub(crate) fn registry(&self, sources: Sources) -> Registry {
        let mut registry = registry();
        registry.register("events", "Events of the market and the auction that were read", self.events.clone());
        registry.register("steps", "Steps of jobs that ended, by what they came to", self.steps.clone());
        registry.register(
            "step_duration_seconds",
            "How long steps of jobs took, waiting included",
            self.durations.clone(),
        );
        registry.register("jobs_ended", "The party's own jobs that ended", self.ends.clone());
        registry.register("earned", "What it was paid for jobs", self.earned.clone());
        registry.register("spent", "What it paid for jobs", self.spent.clone());
        registry.register("reorganisations", "Reorganisations of the chain that were met with", self.rewinds.clone());
        registry.register_collector(Box::new(standing::Standing(sources)));
        registry
    }

    fn begun(&self) -> MutexGuard<'_, HashMap<StepKey, Instant>> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A step is begun.
    pub(crate) fn step_begun(&self, key: &StepKey) {
        let mut begun = self.begun();
        if begun.len() < MOST_BEGUN {
            begun.insert(*key, Instant::now());
        }
    }

    /// A step ended.
    pub(crate) fn step_ended(&self, key: &StepKey, outcome: &StepOutcome) {
        let outcome = match outcome {
            StepOutcome::Err(Failure::Temporary(_) | Failure::Unaffordable { .. }) => FAILED_FOR_NOW,
            StepOutcome::Err(_) => FAILED,
            _ => DONE,
        };
        let labels = StepLabels { step: Step::name(key.step), outcome };
        let began = self.begun().remove(key);
        if let Some(began) = began {
            self.durations.get_or_create(&labels).observe(began.elapsed().as_secs_f64());
        }
        self.steps.get_or_create(&labels).inc();
    }

    /// An event of the auction was read.
    pub(crate) fn auction_event(&self, event: &auction::Event) {
        self.events.get_or_create(&EventLabels { event: observe::auction_event_name(event) }).inc();
    }

    pub(crate) fn order_event(&self, event: &filecoin_pay_deals::Event) {
        self.events.get_or_create(&EventLabels { event: observe::order_event_name(event) }).inc();
    }

    /// The party was paid so much over Filecoin Pay, in this asset.
    pub(crate) fn collected(&self, asset: &Asset, net: AttoFil) {
        let labels = AssetLabels { asset: asset.symbol().to_owned() };
        self.earned.get_or_create(&labels).inc_by(in_units(asset, net));
    }

    /// An event of the market was read; `client` is whose job it is about, if that is known.
    pub(crate) fn event(&self, event: &Event, client: Option<Address>) {
        self.events.get_or_create(&EventLabels { event: observe::event_name(event) }).inc();
        let (provider, end, paid) = match event {
            Event::JobSettled { provider, price, .. } => (Some(*provider), "settled", *price),
            Event::BatchSettled { provider, price, .. } => (Some(*provider), "settled", *price),
            Event::JobCancelled { .. } => (None, "cancelled", AttoFil(0)),
            Event::JobSlashed { provider, .. } => (Some(*provider), "slashed", AttoFil(0)),
            Event::JobVoided { provider, .. } => (Some(*provider), "void", AttoFil(0)),
            _ => return,
        };
        for (role, party, money) in [("provider", provider, &self.earned), ("client", client, &self.spent)] {
            if party == Some(self.party) {
                self.ends.get_or_create(&EndLabels { role, end }).inc();
                if paid > AttoFil(0) {
                    let labels = AssetLabels { asset: self.asset.symbol().to_owned() };
                    money.get_or_create(&labels).inc_by(in_units(&self.asset, paid));
                }
            }
        }
    }

    /// The chain was reorganised.
    pub(crate) fn rewound(&self) {
        self.rewinds.inc();
    }
}

/// All metrics as text.
///
/// # Errors
/// None is known.
pub(crate) fn render(registry: &Registry) -> Result<String, std::fmt::Error> {
    let mut rendered = String::new();
    text::encode(&mut rendered, registry)?;
    Ok(rendered)
}

/// The media type of [`render`]'s text.
pub(crate) const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// An amount in whole units of its asset. Graphs need no more digits than a double has.
#[allow(clippy::cast_precision_loss, reason = "graphs need no more digits than a double has")]
fn in_units(asset: &Asset, amount: AttoFil) -> f64 {
    amount.0 as f64 / 10_f64.powi(asset.decimals().into())
}

#[cfg(test)]
mod tests {
    use lota_market::{
        B256,
        agent::Subject,
        model::{JobId, Reason},
    };

    use super::*;

    fn job(byte: u8) -> JobId {
        JobId(B256::repeat_byte(byte))
    }

    #[test]
    fn what_a_party_earns_and_pays_is_counted_in_whole_units() {
        let (party, other) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let metrics = Metrics::new(party, Asset::token("USD", 6));
        let settled = |provider| Event::JobSettled {
            job: job(1),
            provider,
            price: AttoFil(1_500_000),
            reason: Reason::Unreviewed,
        };
        metrics.event(&settled(party), Some(other));
        metrics.event(&settled(other), Some(party));
        metrics.event(&settled(other), Some(party));
        metrics.event(&settled(other), None);
        metrics.event(&Event::JobCancelled { job: job(2), reason: Reason::NotLocked }, Some(party));
        metrics.collected(&Asset::coin(), AttoFil(500_000_000_000_000_000));
        let mut registry = Registry::with_prefix("lota");
        registry.register("earned", "", metrics.earned.clone());
        registry.register("spent", "", metrics.spent.clone());
        registry.register("jobs_ended", "", metrics.ends.clone());
        registry.register("events", "", metrics.events.clone());
        let text = render(&registry).expect("it is text");
        for line in [
            "lota_earned_total{asset=\"USD\"} 1.5",
            "lota_earned_total{asset=\"FIL\"} 0.5",
            "lota_spent_total{asset=\"USD\"} 3.0",
            "lota_jobs_ended_total{role=\"provider\",end=\"settled\"} 1",
            "lota_jobs_ended_total{role=\"client\",end=\"settled\"} 2",
            "lota_jobs_ended_total{role=\"client\",end=\"cancelled\"} 1",
            "lota_events_total{event=\"JobSettled\"} 4",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_step_is_measured_once_however_often_it_is_told_of() {
        let metrics = Metrics::new(Address::ZERO, Asset::coin());
        let key = StepKey { subject: Subject::Job(job(1)), step: Step::Run, round: 0, attempt: 1 };
        metrics.step_begun(&key);
        metrics.step_ended(&key, &StepOutcome::Ok);
        metrics.step_ended(&key, &StepOutcome::Err(Failure::Temporary("later".to_owned())));
        let done = StepLabels { step: "run", outcome: DONE };
        let later = StepLabels { outcome: FAILED_FOR_NOW, ..done.clone() };
        assert_eq!(metrics.steps.get_or_create(&done).get(), 1);
        assert_eq!(metrics.steps.get_or_create(&later).get(), 1);
        assert!(metrics.begun().is_empty());
        let mut registry = Registry::default();
        registry.register("duration", "", metrics.durations.clone());
        let text = render(&registry).expect("it is text");
        assert!(text.contains("duration_count{step=\"run\",outcome=\"done\"} 1"), "{text}");
        assert!(
            text.contains("duration_count{step=\"run\",outcome=\"failed_for_now\"} 0"),
            "nobody knows when it began: {text}"
        );
    }
}
