//! What is looked up when somebody asks: where the node stands.

use std::fmt;

use lota_api::ProblemCode;
use lota_market::asset::Asset;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeGaugeValue, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
};

use super::{Sources, in_units};
use crate::health::Money;

/// Reads [`Sources`] with each question.
pub(super) struct Standing(pub(super) Sources);

impl fmt::Debug for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standing").finish_non_exhaustive()
    }
}

/// What can be wrong, by the names that the API has for it.
const PROBLEMS: [(ProblemCode, &str); 6] = [
    (ProblemCode::Unreachable, "unreachable"),
    (ProblemCode::Gas, "gas"),
    (ProblemCode::Slashed, "slashed"),
    (ProblemCode::KeyShared, "key_shared"),
    (ProblemCode::Engine, "engine"),
    (ProblemCode::Draining, "draining"),
];

impl Collector for Standing {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Sources { asset, health, content, activity } = &self.0;
        let mut out = Gauges(&mut encoder);
        if let Some(head) = health.head() {
            out.one("head_block", "Number of the newest block", head.block)?;
            out.one("head_time_seconds", "Time of the newest block, since the epoch of Unix", head.time.0)?;
        }
        out.one("finalized_block", "Number of the newest block that will not be undone", health.finalized())?;
        let problems = health.problems(None);
        let problems = PROBLEMS.map(|(code, name)| (name, u64::from(problems.iter().any(|found| found.code == code))));
        out.each("problem", "Whether this keeps the node from its work", "problem", problems)?;
        if let Some(Money { wallet, market }) = health.money() {
            out.one("wallet_coins", "Coins outside the market, for gas", in_units(&Asset::coin(), wallet))?;
            let help = "Free balance in the market, in its asset";
            out.each("market_balance", help, "asset", [(asset.symbol(), in_units(asset, market))])?;
        }
        let usage = content.usage();
        out.one("block_store_bytes", "Bytes on the disk of the content that is kept", usage.charged)?;
        out.one("block_store_capacity_bytes", "The most of them", content.capacity())?;
        out.one("block_store_blocks", "Blocks of content that are kept", usage.blocks)?;
        let activity = *activity.borrow();
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        out.one("local_steps", "Steps under way on this machine", count(activity.local_steps))?;
        out.one("commands", "Commands on their way to the market", count(activity.commands))
    }
}

/// Writes gauges.
pub(super) struct Gauges<'a, 'e>(pub(super) &'a mut DescriptorEncoder<'e>);

impl Gauges<'_, '_> {
    pub(super) fn one(&mut self, name: &str, help: &str, value: impl EncodeGaugeValue) -> fmt::Result {
        let gauge = ConstGauge::new(value);
        gauge.encode(self.0.encode_descriptor(name, help, None, MetricType::Gauge)?)
    }

    fn each<'l, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        label: &'l str,
        values: impl IntoIterator<Item = (&'l str, V)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for (name, value) in values {
            ConstGauge::new(value).encode(family.encode_family(&[(label, name)])?)?;
        }
        Ok(())
    }
}
