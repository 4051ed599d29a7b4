//! Asks what is best in a first-price auction: n sellers whose costs are uniform from 0 to the highest price.

use super::{Market, ProviderStrategy};

pub(super) struct Shading;

impl ProviderStrategy for Shading {
    fn ask(&self, cost: f64, market: &Market) -> f64 {
        let sellers = market.rivals as f64 + 1.0;
        ((sellers - 1.0) * cost + market.highest) / sellers
    }
}
