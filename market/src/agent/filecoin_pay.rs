//! Orders of a `FilecoinPayDeals`: jobs that cost nothing at the market, and are paid over Filecoin Pay in a token.

use alloy_primitives::{Address, B256, U256, U512};
use serde::{Deserialize, Serialize};

use super::{At, Refusal};
use crate::{
    AttoFil, Time,
    filecoin_pay_deals::{Event, Order, fee},
    model::Terms,
};

/// The most digits of a rate, and the most before its point: more is a slip of the pen, and the powers of ten fit in 256 bits.
const MAX_DIGITS: usize = 18;
/// The most decimals of an asset that an exchange rate is reckoned with.
const MAX_DECIMALS: u8 = 38;

/// What the smallest unit of a token is worth in a market's asset, in its smallest unit: a fraction, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    numerator: U256,
    denominator: U256,
}

/// A text that says no exchange rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRate {
    #[error(
        "an exchange rate is a decimal number with at most {MAX_DIGITS} digits before its point and as many behind, such as 0.25"
    )]
    NoNumber,
    #[error("an exchange rate is above 0; without one, leave the setting out")]
    Zero,
    #[error("amounts with more than {MAX_DECIMALS} decimals have no exchange rate")]
    Decimals,
}

impl Rate {
    /// Reads how much of the market's asset one whole unit of the token is worth, `0.25`; `decimals`: those of the token, and of the
    /// asset.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, decimals: [u8; 2]) -> Result<Self, BadRate> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.len() <= MAX_DIGITS && part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || text.ends_with('.') || !digits(whole) || !digits(fraction) {
            return Err(BadRate::NoNumber);
        }
        let [of_token, of_asset] = decimals;
        if of_token > MAX_DECIMALS || of_asset > MAX_DECIMALS {
            return Err(BadRate::Decimals);
        }
        // At most 36 digits and 38 decimals: 10^74 are below 2^256.
        let ten = |power: usize| U256::from(10).pow(U256::from(power));
        let number = |part: &str| U256::from(part.parse::<u64>().unwrap_or_default());
        let all = number(whole) * ten(fraction.len()) + number(fraction);
        if all.is_zero() {
            return Err(BadRate::Zero);
        }
        Ok(Self { numerator: all * ten(of_asset.into()), denominator: ten(fraction.len()) * ten(of_token.into()) })
    }

    /// What a provider gets of a gross price, less Filecoin Pay's fee, in the market's asset: rounded down.
    #[must_use]
    pub fn worth(&self, gross: U256) -> AttoFil {
        let net = gross.saturating_sub(fee(gross));
        let worth = U512::from(net) * U512::from(self.numerator) / U512::from(self.denominator);
        AttoFil(worth.try_into().unwrap_or(u128::MAX))
    }
}

/// A `FilecoinPayDeals` whose orders a provider takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayVenue {
    pub contract: Address,
    pub rate: Rate,
    /// The gas that an order takes beyond a job of the market: it is taken on a rail that may have to be made, and paid.
    pub order_gas: u64,
}

impl PayVenue {
    /// When an order's price first is worth `asking`; `None` if it never is.
    #[must_use]
    pub fn price_reached(&self, order: &Order, asking: AttoFil) -> Option<Time> {
        let is_worth_it = |time: u64| self.rate.worth(order.price_at(Time(time))) >= asking;
        // The worth never falls: neither the price does, nor what the fee leaves of it, nor what that is worth.
        let Time(mut low) = order.terms.ramp_start;
        // Without a ramp the highest price holds right after the start.
        let mut high = low.saturating_add(order.terms.ramp_period.max(1));
        if !is_worth_it(high) {
            return None;
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if is_worth_it(middle) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        Some(Time(high))
    }

    /// From when on a provider who asks so much for the job wants it.
    pub(super) fn match_price(&self, order: &Order, asking: AttoFil) -> Result<Time, Refusal> {
        match self.price_reached(order, asking) {
            None => Err(Refusal::Price { offered: self.rate.worth(order.max_price), asking }),
            Some(at) if at > order.terms.lock_by => Err(Refusal::Ramp { asking }),
            Some(at) => Ok(at),
        }
    }

    /// The payer of an order with these terms; `None`: they are none of this contract's. The contract opens only what has its salt in
    /// the payer's lane.
    pub(super) fn payer_of(&self, terms: &Terms) -> Option<Address> {
        let is_order = terms.matcher == self.contract && terms.client == self.contract;
        is_order.then(|| Address::from_word(B256::from(terms.salt >> 64)))
    }
}

/// What the events of a `FilecoinPayDeals` about one job add up to: a fold, like the [job's](super::JobView).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OrderView {
    pub payer: Address,
    /// Who may take the job; zero: anybody but the payer.
    pub provider: Address,
    pub min_price: U256,
    pub max_price: U256,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<Taken>,
}

/// An order that somebody took.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Taken {
    pub provider: Address,
    pub rail: U256,
    /// Locked on the rail, gross.
    pub price: U256,
    pub state: PriceState,
}

/// What became of the price of a job that was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceState {
    Locked,
    /// The job was settled: anybody may have it paid.
    Due,
    /// It is the payer's again.
    Freed,
}

impl OrderView {
    /// The fold of stored events about one job; `None` when there are none.
    #[must_use]
    pub fn fold<'a>(events: impl IntoIterator<Item = (At, &'a Event)>) -> Option<Self> {
        let mut view = None;
        for (_, event) in events {
            Self::apply(&mut view, event);
        }
        view
    }

    /// Takes in one more event about this job.
    pub fn apply(view: &mut Option<Self>, event: &Event) {
        match (event, view) {
            (&Event::OrderOpened { payer, provider, min_price, max_price, .. }, view) => {
                *view = Some(Self { payer, provider, min_price, max_price, taken: None });
            }
            (&Event::OrderTaken { payer, provider, rail, price, .. }, view) => {
                // Opened and taken in one step it has been opened, too.
                let order = view.get_or_insert(Self {
                    payer,
                    provider: Address::ZERO,
                    min_price: price,
                    max_price: price,
                    taken: None,
                });
                order.taken = Some(Taken { provider, rail, price, state: PriceState::Locked });
            }
            (Event::PriceDue { .. }, Some(Self { taken: Some(taken), .. })) => taken.state = PriceState::Due,
            (Event::PriceFreed { .. }, Some(Self { taken: Some(taken), .. })) => taken.state = PriceState::Freed,
            _ => {}
        }
    }

    /// The order, of a job of these terms.
    #[must_use]
    pub fn order(&self, terms: &Terms) -> Order {
        let &Self { payer, provider, min_price, max_price, .. } = self;
        Order { terms: terms.clone(), payer, provider, min_price, max_price }
    }

    /// Whether `me` took it.
    #[must_use]
    pub fn is_taken_by(&self, me: Address) -> bool {
        self.taken.as_ref().is_some_and(|taken| taken.provider == me)
    }

    /// Whether `me` may take it.
    pub(super) fn match_party(&self, me: Address) -> Result<(), Refusal> {
        if self.payer == me {
            Err(Refusal::OwnJob)
        } else if self.provider.is_zero() || self.provider == me {
            Ok(())
        } else {
            Err(Refusal::Matcher(self.provider))
        }
    }
}
