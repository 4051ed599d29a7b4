//! What a payer asks for.

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use crate::{Time, model::Terms};

/// An order: a job, and what its payer pays for it over Filecoin Pay. `IFilecoinPayDeals.Order`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Order {
    /// At the market the job costs nothing; its ramp is that of the order's prices.
    pub terms: Terms,
    /// Whose Filecoin Pay account pays.
    pub payer: Address,
    /// Who may take the job; zero: anyone but the payer.
    pub provider: Address,
    /// At `terms.ramp_start`, in the rails' token's smallest unit, gross.
    pub min_price: U256,
    /// From the ramp's end on; below 2^128.
    pub max_price: U256,
}

impl Order {
    /// The price for which the job is taken at `time`, gross: `IFilecoinPayDeals.priceAt`. Where that overflows (no order that can be
    /// opened) it is the greatest number.
    #[must_use]
    pub fn price_at(&self, time: Time) -> U256 {
        let (start, period) = (self.terms.ramp_start.0, self.terms.ramp_period);
        if time.0 <= start {
            return self.min_price;
        }
        let elapsed = time.0 - start;
        if elapsed >= period {
            return self.max_price;
        }
        let above = self.max_price.saturating_sub(self.min_price).saturating_mul(U256::from(elapsed));
        self.min_price.saturating_add(above / U256::from(period))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttoFil, B256};

    fn order(min: u128, max: u128, start: u64, period: u64) -> Order {
        let terms = Terms {
            client: Address::ZERO,
            salt: U256::ZERO,
            spec: B256::ZERO,
            spec_codec: 0,
            min_price: AttoFil::ZERO,
            max_price: AttoFil::ZERO,
            ramp_start: Time(start),
            ramp_period: period,
            lock_by: Time(start + period),
            run_for: 0,
            review_for: 0,
            rule_for: 0,
            collateral: AttoFil::ZERO,
            matcher: Address::ZERO,
            arbiter: Address::ZERO,
            callback_gas: 0,
            keep_record: false,
        };
        let (payer, provider) = (Address::repeat_byte(1), Address::ZERO);
        Order { terms, payer, provider, min_price: U256::from(min), max_price: U256::from(max) }
    }

    #[test]
    fn the_price_rises_as_the_contract_says_rounded_down() {
        let rising = order(10, 20, 1000, 3);
        let prices: Vec<U256> = [0, 1000, 1001, 1002, 1003, u64::MAX].map(|time| rising.price_at(Time(time))).into();
        assert_eq!(prices, [10, 10, 13, 16, 20, 20].map(U256::from));
        // No ramp: the highest price right after the start.
        assert_eq!(order(10, 20, 1000, 0).price_at(Time(1000)), U256::from(10));
        assert_eq!(order(10, 20, 1000, 0).price_at(Time(1001)), U256::from(20));
        // The greatest prices that an order has.
        let wide = order(1, u128::MAX, 0, 1 << 40);
        assert_eq!(wide.price_at(Time(1 << 39)), U256::from(1) + (U256::from(u128::MAX - 1) >> 1));
    }
}
