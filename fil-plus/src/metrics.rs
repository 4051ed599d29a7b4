//! What the registry counts, in the text format of OpenMetrics 1.0.

use std::fmt;

use prometheus_client::{
    encoding::{EncodeLabelSet, text},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use crate::answer::{Checked, SourceState};

/// The media type of [`Metrics::render`]'s text.
pub(crate) const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SourceLabels {
    source: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    certainty: &'static str,
}

/// What it counts.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    answers: Family<AnswerLabels, Counter>,
    facts: Family<SourceLabels, Counter>,
    failures: Family<SourceLabels, Counter>,
}

impl Metrics {
    /// A step of a source was kept, with so many facts.
    pub(crate) fn step(&self, source: &str, facts: usize) {
        self.facts.get_or_create(&SourceLabels { source: source.to_owned() }).inc_by(facts as u64);
    }

    /// A step of a source failed.
    pub(crate) fn step_failed(&self, source: &str) {
        self.failures.get_or_create(&SourceLabels { source: source.to_owned() }).inc();
    }

    /// Questions were answered.
    pub(crate) fn answered(&self, answers: &[Checked]) {
        for answer in answers {
            let certainty = match answer {
                Checked::Answer(answer) => answer.certainty.name(),
                Checked::Malformed { .. } => "malformed",
            };
            self.answers.get_or_create(&AnswerLabels { certainty }).inc();
        }
    }

    /// Everything as text, with how far sources are and the database's bytes.
    ///
    /// # Errors
    /// None is known.
    pub(crate) fn render(&self, sources: &[SourceState], bytes: u64) -> Result<String, fmt::Error> {
        let mut registry = Registry::with_prefix("lota_fil_plus");
        registry.register("answers", "CIDs that were answered about, by how sure it was", self.answers.clone());
        registry.register("facts", "Facts that sources gave", self.facts.clone());
        registry.register("source_failures", "Steps of sources that failed", self.failures.clone());
        let (age, stale, epoch, refused) = (gauges(), gauges(), gauges(), gauges());
        for source in sources {
            let set = |family: &Family<SourceLabels, Gauge>, value: u64| {
                let gauge = family.get_or_create(&SourceLabels { source: source.name.clone() });
                gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            };
            set(&stale, u64::from(source.stale));
            set(&refused, source.refused);
            if let Some(value) = source.age {
                set(&age, value);
            }
            if let Some(value) = source.epoch {
                set(&epoch, value);
            }
        }
        registry.register("source_age_seconds", "How old what a source said last is", age);
        registry.register("source_stale", "1 for sources whose word is old", stale);
        registry.register("source_epoch", "The chain's epoch that a source was read to", epoch);
        registry.register("source_refused", "What sources said and was not believed", refused);
        let size: Gauge = Gauge::default();
        size.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        registry.register("database_bytes", "The database's size", size);
        let mut rendered = String::new();
        text::encode(&mut rendered, &registry)?;
        Ok(rendered)
    }
}

fn gauges() -> Family<SourceLabels, Gauge> {
    Family::default()
}
