//! The price ramp.

use alloy_primitives::U256;
use proptest::prelude::*;

use super::script::*;
use crate::{
    model::{MAX_AMOUNT_QUANTA, Terms},
    money::AttoFil,
    time::Time,
};

const GWEI: u64 = crate::money::GWEI as u64;

#[test]
fn the_price_rises_from_the_lowest_to_the_highest_in_whole_quanta() {
    let terms = Terms { ramp_period: 7, ..terms(0) };
    let at = |time, quantum: u64| terms.price_at(time, quantum).0 / u128::from(quantum);
    let prices: Vec<_> = (0..10).map(|t| at(START.after(t), GWEI)).collect();
    assert_eq!(prices, [100, 114, 128, 142, 157, 171, 185, 200, 200, 200]);
    assert_eq!(terms.price_at(Time(0), GWEI), gwei(100));
    assert_eq!(terms.price_at(Time(u64::MAX), GWEI), gwei(200));
    assert_eq!(at(START.after(1), 1), 114_285_714_285);
    assert_eq!(at(START.after(1), GWEI * 50), 2, "100 gwei");
}

proptest! {
    #[test]
    fn the_price_is_the_formula(
        low in 0..MAX_AMOUNT_QUANTA, rise in 0..MAX_AMOUNT_QUANTA, start: u64, period in 1..=u64::MAX, time: u64,
        quantum in prop_oneof![Just(1), Just(GWEI), 1..=u64::MAX],
    ) {
        let high = (low + rise).min(MAX_AMOUNT_QUANTA - 1);
        let terms = Terms {
            min_price: AttoFil::from_quanta(low, quantum), max_price: AttoFil::from_quanta(high, quantum), ramp_start: Time(start), ramp_period: period, ..terms(0)
        };
        let elapsed = time.saturating_sub(start).min(period);
        let exact = U256::from(terms.min_price.0)
            + U256::from(terms.max_price.0 - terms.min_price.0) * U256::from(elapsed) / U256::from(period);
        let wanted = exact - exact % U256::from(quantum);
        prop_assert_eq!(U256::from(terms.price_at(Time(time), quantum).0), wanted);
        prop_assert!(terms.price_at(Time(time), quantum) <= terms.price_at(Time(time.saturating_add(1)), quantum));
    }

    /// Terms that nobody may open have a price as well: the function is total.
    #[test]
    fn the_price_of_hostile_terms_is_no_panic(
        low: u128, high: u128, start: u64, period: u64, time: u64, quantum: u64,
    ) {
        let terms = Terms {
            min_price: AttoFil(low), max_price: AttoFil(high), ramp_start: Time(start), ramp_period: period, ..terms(0)
        };
        prop_assert!(terms.price_at(Time(time), quantum).0 <= low.max(high));
    }
}
