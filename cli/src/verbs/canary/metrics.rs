//! What the canary counts and measures; docs/monitoring.md lists it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
    time::{Duration, Instant, SystemTime},
};

use lota_node::monitoring::{self, Watched};
use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::Registry,
};
use serde::Serialize;

use super::{phases::Phase, report::Report};

/// The least that is told from nothing, in seconds; each further bucket is twice as wide: up to some 27 minutes.
const SHORTEST: f64 = 0.05;
/// Buckets of a duration.
const BUCKETS: u16 = 16;
/// How much longer than it may take a run has to take until the process is held to be stuck.
const PATIENCE: Duration = Duration::from_secs(120);

const OK: &str = "ok";
const FAILED: &str = "failed";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RunLabels {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    phase: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    phase: &'static str,
}

/// A time in seconds since the epoch of Unix.
type Time = Gauge<f64, AtomicU64>;

/// What the canary counts.
#[derive(Debug)]
pub(super) struct Metrics {
    runs: Family<RunLabels, Counter>,
    phases: Family<PhaseLabels, Counter>,
    durations: Family<DurationLabels, Histogram>,
    whole: Histogram,
    last_run: Time,
    last_success: Time,
    state: Mutex<State>,
    /// How long a run may take, with all that comes after it.
    limit: Duration,
}

#[derive(Debug, Default)]
struct State {
    /// When the run that is under way began.
    under_way: Option<Instant>,
    /// What the last run came to: the phase that was not reached, and why.
    last: Option<Option<(Phase, String)>>,
}

impl Metrics {
    /// `limit` is how long a run may take, with all that comes after it.
    pub(super) fn new(limit: Duration) -> Self {
        let buckets: fn() -> Histogram = || Histogram::new(exponential_buckets(SHORTEST, 2.0, BUCKETS));
        let metrics = Self {
            runs: Family::default(),
            phases: Family::default(),
            durations: Family::new_with_constructor(buckets),
            whole: buckets(),
            last_run: Time::default(),
            last_success: Time::default(),
            state: Mutex::default(),
            limit,
        };
        // From the beginning, so that the first increase can be told from a first reading.
        for outcome in [OK, FAILED] {
            drop(metrics.runs.get_or_create(&RunLabels { outcome }));
            for phase in Phase::ALL {
                drop(metrics.phases.get_or_create(&PhaseLabels { phase: phase.name(), outcome }));
            }
        }
        for phase in Phase::ALL {
            drop(metrics.durations.get_or_create(&DurationLabels { phase: phase.name() }));
        }
        metrics
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run begins.
    pub(super) fn begin(&self) {
        self.state().under_way = Some(Instant::now());
    }

    /// It is over.
    pub(super) fn end(&self, report: &Report) {
        for (phase, took) in report.reached.durations() {
            let phase = phase.name();
            self.phases.get_or_create(&PhaseLabels { phase, outcome: OK }).inc();
            self.durations.get_or_create(&DurationLabels { phase }).observe(took.as_secs_f64());
        }
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        self.last_run.set(now);
        let outcome = match &report.failed {
            None => {
                self.whole.observe(report.took.as_secs_f64());
                self.last_success.set(now);
                OK
            }
            Some((phase, _)) => {
                self.phases.get_or_create(&PhaseLabels { phase: phase.name(), outcome: FAILED }).inc();
                FAILED
            }
        };
        self.runs.get_or_create(&RunLabels { outcome }).inc();
        *self.state() = State { under_way: None, last: Some(report.failed.clone()) };
    }

    fn registry(&self) -> Registry {
        let mut registry = monitoring::registry();
        registry.register("canary_runs", "Runs of the canary that ended, by what they came to", self.runs.clone());
        registry.register("canary_phases", "Phases that runs reached, or failed to reach", self.phases.clone());
        registry.register(
            "canary_phase_duration_seconds",
            "How long a phase took after the one before",
            self.durations.clone(),
        );
        registry.register("canary_run_duration_seconds", "How long successful runs took", self.whole.clone());
        registry.register(
            "canary_last_run_time_seconds",
            "When the last run ended, since the epoch of Unix; 0: none has",
            self.last_run.clone(),
        );
        registry.register(
            "canary_last_success_time_seconds",
            "When the last successful run ended, since the epoch of Unix; 0: none has",
            self.last_success.clone(),
        );
        registry
    }
}

/// What is told to those who watch over the canary.
pub(super) struct Served {
    registry: Registry,
    metrics: Arc<Metrics>,
}

impl Served {
    pub(super) fn of(metrics: &Arc<Metrics>) -> Self {
        Self { registry: metrics.registry(), metrics: Arc::clone(metrics) }
    }
}

/// What the last run came to.
#[derive(Serialize)]
struct Readiness {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<Phase>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Watched for Served {
    fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Not when a run does not end.
    fn alive(&self) -> (bool, impl Serialize + Send) {
        let since = self.metrics.state().under_way.map(|began| began.elapsed());
        let stuck = since.filter(|since| *since > self.metrics.limit.saturating_add(PATIENCE));
        match stuck {
            None => (true, serde_json::json!({ "alive": true })),
            Some(since) => (false, serde_json::json!({ "alive": false, "run_under_way_seconds": since.as_secs() })),
        }
    }

    /// When the last run succeeded.
    fn ready(&self) -> (bool, impl Serialize + Send) {
        let last = self.metrics.state().last.clone();
        let (ready, failure) = match last {
            None => (false, None),
            Some(failure) => (failure.is_none(), failure),
        };
        let (failed, reason) = failure.unzip();
        (ready, Readiness { ready, failed, reason })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::verbs::canary::phases::Reached;

    fn told(answer: (bool, impl Serialize)) -> (bool, Value) {
        (answer.0, serde_json::to_value(answer.1).expect("JSON"))
    }

    #[test]
    fn runs_are_counted_by_how_far_they_came() {
        let metrics = Arc::new(Metrics::new(Duration::from_secs(1)));
        let served = Served::of(&metrics);
        assert_eq!(told(served.ready()), (false, json!({ "ready": false })), "no run has ended");
        let mut reached = Reached::new();
        reached.reach(Phase::Opened);
        metrics.begin();
        metrics.end(&Report::new(1, Timestamp::UNIX_EPOCH, reached.clone(), Some("nobody took it".to_owned())));
        assert_eq!(
            told(served.ready()),
            (false, json!({ "ready": false, "failed": "locked", "reason": "nobody took it" }))
        );
        assert_eq!(metrics.last_success.get(), 0.0);
        reached.reach(Phase::Fetched);
        metrics.begin();
        metrics.end(&Report::new(2, Timestamp::UNIX_EPOCH, reached, None));
        assert_eq!(told(served.ready()), (true, json!({ "ready": true })));
        assert_eq!(told(served.alive()), (true, json!({ "alive": true })));
        assert!(metrics.last_success.get() > 0.0);
        let count = |phase, outcome| metrics.phases.get_or_create(&PhaseLabels { phase, outcome }).get();
        assert_eq!((count("opened", OK), count("opened", FAILED)), (2, 0));
        assert_eq!((count("locked", OK), count("locked", FAILED), count("fetched", OK)), (1, 1, 1));
        for outcome in [OK, FAILED] {
            assert_eq!(metrics.runs.get_or_create(&RunLabels { outcome }).get(), 1);
        }
    }
}
