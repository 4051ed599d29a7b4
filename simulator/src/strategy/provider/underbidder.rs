//! Asks less than jobs cost it.

use super::{Market, ProviderStrategy};

/// Which share of its cost it asks, if the scenario does not say.
pub(super) const SHARE: f64 = 0.5;

pub(super) struct Underbidder {
    pub(super) share: f64,
}

impl ProviderStrategy for Underbidder {
    fn ask(&self, cost: f64, _: &Market) -> f64 {
        cost * self.share
    }
}
