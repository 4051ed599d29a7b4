//! A population that has agreed not to compete: its cheapest member asks what jobs cost it, the others ask for nothing, so that in an
//! auction the second price is an outsider's, or the highest there is.

use super::{Market, ProviderStrategy};

pub(super) struct Ring;

impl ProviderStrategy for Ring {
    fn ask(&self, cost: f64, market: &Market) -> f64 {
        if cost <= market.lowest_of_others { cost } else { f64::INFINITY }
    }
}
