//! An offer as it travels.

use lota_market::{
    Address, AttoFil,
    agent::{Offer, Pricing, Resources},
};
use serde::{Deserialize, Serialize};

/// An offer as providers publish it. Fields that are not known yet are passed over.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Published {
    engines: Vec<String>,
    base: AttoFil,
    per_gigafuel: AttoFil,
    per_cpu_hour: AttoFil,
    per_gib_hour: AttoFil,
    per_gib_output: AttoFil,
    per_gpu_hour: AttoFil,
    per_megagas: AttoFil,
    margin: u32,
    max_fuel: u64,
    max_memory: u64,
    max_output: u64,
    max_wall: u64,
    max_collateral: AttoFil,
    min_window: u32,
    max_window: u32,
    accept_no_collateral: bool,
    fuel_per_second: u64,
    max_callback_gas: u32,
    matchers: Vec<Address>,
    arbiters: Vec<Address>,
}

impl Published {
    /// The same with another price for callbacks' gas, if there is one.
    pub(crate) fn with_callback_price(self, per_megagas: Option<AttoFil>) -> Self {
        Self { per_megagas: per_megagas.unwrap_or(self.per_megagas), ..self }
    }
}

impl Default for Published {
    fn default() -> Self {
        Self::from(&Offer::default())
    }
}

impl From<&Offer> for Published {
    fn from(offer: &Offer) -> Self {
        let Pricing {
            base,
            per_gigafuel,
            per_cpu_hour,
            per_gib_hour,
            per_gib_output,
            per_gpu_hour,
            per_megagas,
            margin,
        } = offer.pricing;
        Self {
            engines: offer.engines.clone(),
            base,
            per_gigafuel,
            per_cpu_hour,
            per_gib_hour,
            per_gib_output,
            per_gpu_hour,
            per_megagas,
            margin,
            max_fuel: offer.max_fuel,
            max_memory: offer.max_memory,
            max_output: offer.max_output,
            max_wall: offer.max_wall,
            max_collateral: offer.max_collateral,
            min_window: offer.min_window,
            max_window: offer.max_window,
            accept_no_collateral: offer.accept_no_collateral,
            fuel_per_second: offer.fuel_per_second,
            max_callback_gas: offer.max_callback_gas,
            matchers: offer.matchers.clone(),
            arbiters: offer.arbiters.clone(),
        }
    }
}

impl From<Published> for Offer {
    fn from(published: Published) -> Self {
        Self {
            engines: published.engines,
            pricing: Pricing {
                base: published.base,
                per_gigafuel: published.per_gigafuel,
                per_cpu_hour: published.per_cpu_hour,
                per_gib_hour: published.per_gib_hour,
                per_gib_output: published.per_gib_output,
                per_gpu_hour: published.per_gpu_hour,
                per_megagas: published.per_megagas,
                margin: published.margin,
            },
            slots: 1,
            resources: Resources::UNLIMITED,
            max_fuel: published.max_fuel,
            max_memory: published.max_memory,
            max_output: published.max_output,
            max_wall: published.max_wall,
            max_collateral: published.max_collateral,
            min_window: published.min_window,
            max_window: published.max_window,
            accept_no_collateral: published.accept_no_collateral,
            cancel_refused: true,
            fuel_per_second: published.fuel_per_second,
            max_callback_gas: published.max_callback_gas,
            matchers: published.matchers,
            arbiters: published.arbiters,
        }
    }
}

#[cfg(test)]
mod tests {
    use lota_market::money::FIL;

    use super::*;

    #[test]
    fn an_offer_is_published_and_read_back_and_new_fields_are_passed_over() {
        let priced = Offer { pricing: Pricing::flat(AttoFil(FIL)), ..Offer::default() };
        let offer = Offer { slots: 1, matchers: vec![Address::repeat_byte(3)], ..priced };
        let mut json = serde_json::to_value(Published::from(&offer)).expect("JSON");
        json["from_the_future"] = 1.into();
        let back: Published = serde_json::from_value(json).expect("reads back");
        assert_eq!(Offer::from(back), offer);
    }
}
