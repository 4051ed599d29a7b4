//! The terms of an order: flags, what is left to settings, and what the market is told.

use clap::Args;
use lota_api::TermsRequest;
use lota_market::{
    Address, AttoFil, B256, Time, U256,
    agent::Pace,
    asset::Asset,
    model::{SpecCodec, Terms},
};
use lota_node::config::defaults;

use crate::{
    chain::ChainPayDeals,
    failure::Usage,
    settings,
    units::{Amount, Seconds},
    verbs::job::terms::terms_of,
};

/// What you pay and ask.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Terms")]
pub(super) struct OrderTerms {
    /// The most that you pay, Filecoin Pay's fee of 0.5 % included: `0.5 USDFC`, or `0.5`
    #[arg(long, value_name = "AMOUNT")]
    max_price: Option<Amount>,
    /// The price at first; it rises, until a provider takes the job [default: the highest price from the start]
    #[arg(long, value_name = "AMOUNT")]
    min_price: Option<Amount>,
    /// How long the price rises [default: 3/4 of the time to take the job]
    #[arg(long, value_name = "TIME")]
    ramp_period: Option<Seconds>,
    /// How long providers may take the job [default: 2m, more where blocks are slow]
    #[arg(long, value_name = "TIME")]
    lock_for: Option<Seconds>,
    /// How long the provider may take from then to the result; if it takes longer, it is slashed [default: the job's wall time + 1m, more where blocks are slow]
    #[arg(long, value_name = "TIME")]
    run_for: Option<Seconds>,
    /// The collateral that the provider puts up, and loses if it does not deliver [default: 0.05 FIL]
    #[arg(long, value_name = "AMOUNT")]
    collateral: Option<Amount>,
    /// The one provider that may take the job, by its address [default: any provider but yourself]
    #[arg(long, value_name = "ADDRESS")]
    provider: Option<Address>,
}

impl OrderTerms {
    /// The flags, and what the settings say where they say nothing. Prices in the settings are the market's.
    pub(super) fn request(
        &self,
        job: &settings::Job,
        token: &Asset,
        asset: &Asset,
    ) -> Result<[TermsRequest; 2], Usage> {
        let prices = settings::Job {
            max_price: self.max_price.clone(),
            min_price: self.min_price.clone(),
            ramp_period: self.ramp_period,
            lock_for: self.lock_for,
            run_for: self.run_for,
            ..settings::Job::default()
        };
        let others = settings::Job { collateral: self.collateral.clone(), ..settings::Job::default() };
        let flags = TermsRequest {
            collateral: terms_of(&others, asset)?.collateral,
            provider: self.provider,
            ..terms_of(&prices, token)?
        };
        let usual = settings::Job {
            max_price: None,
            min_price: None,
            ramp_period: None,
            auction: None,
            review_for: None,
            ..job.clone()
        };
        Ok([flags, terms_of(&usual, asset)?])
    }
}

/// What a request may have, and an order has not.
pub(super) fn refuse_others(terms: &TermsRequest) -> Result<(), Usage> {
    let refused = [
        ("auction", terms.auction == Some(true), "its price is the order's own"),
        ("bless", terms.bless == Some(true), "such jobs cannot be blessed"),
        ("review_for", terms.review_for.is_some_and(|window| window > 0), "these jobs have no arbiter"),
    ];
    match refused.into_iter().find(|(_, is_named, _)| *is_named) {
        Some((name, _, why)) => {
            Err(Usage(format!("the file's terms name {name}, which orders do not have: {why}; leave it out")))
        }
        None => Ok(()),
    }
}

/// From which price to which, in the token's smallest unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Prices {
    pub(super) min: U256,
    pub(super) max: U256,
}

impl Prices {
    pub(super) fn of(wanted: &TermsRequest, token: &Asset) -> Result<Self, Usage> {
        let Some(max) = wanted.max_price else {
            return Err(Usage(format!(
                "what the job may cost is not known; name it with --max-price, as in '0.5 {token}'"
            )));
        };
        let min = wanted.min_price.unwrap_or(max);
        if max == AttoFil::ZERO || min == AttoFil::ZERO {
            return Err(Usage("a price of 0 cannot be paid over Filecoin Pay; name one above 0".to_owned()));
        }
        if min > max {
            return Err(Usage(format!(
                "the price at first, {}, is above the highest, {}; swap --min-price and --max-price",
                token.show(min),
                token.show(max)
            )));
        }
        Ok(Self { min: U256::from(min.0), max: U256::from(max.0) })
    }
}

/// The terms, but for the spec and the salt; `wall`: how long the job may run, in seconds.
pub(super) fn draft(
    deals: &ChainPayDeals,
    wanted: &TermsRequest,
    prices: &Prices,
    wall: u64,
    pace: &Pace,
    now: Time,
) -> Result<Terms, Usage> {
    let (settings, asset) = (deals.market().settings(), deals.market().market().asset());
    let lock_for = wanted.lock_for.unwrap_or_else(|| pace.lock_for(settings.min_window));
    let rising = wanted.ramp_period.unwrap_or_else(|| lock_for.saturating_sub(lock_for / 4));
    let run_for = match wanted.run_for {
        Some(run_for) => run_for,
        None => u32::try_from(wall.saturating_add(pace.run_margin()))
            .map_err(|_| {
                Usage(format!("the job's wall time of {wall} s is longer than any market allows; name at most 90 days"))
            })?
            .max(settings.min_window),
    };
    Ok(Terms {
        client: deals.contract(),
        salt: U256::ZERO,
        spec: B256::ZERO,
        spec_codec: SpecCodec::DagCbor.code(),
        min_price: AttoFil::ZERO,
        max_price: AttoFil::ZERO,
        ramp_start: now,
        ramp_period: if prices.min == prices.max { 1 } else { rising.max(1) },
        lock_by: now.after(lock_for),
        run_for,
        review_for: 0,
        rule_for: 0,
        collateral: wanted.collateral.unwrap_or_else(|| asset.scaled(defaults::COLLATERAL, settings.quantum)),
        matcher: deals.contract(),
        arbiter: Address::ZERO,
        callback_gas: deals.callback_gas(),
        keep_record: false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verbs::job::terms::over;

    #[test]
    fn prices_are_named_above_nothing_and_in_order() {
        let usd = Asset::token("USD", 6);
        let prices = |min: Option<u128>, max: Option<u128>| {
            let wanted =
                TermsRequest { min_price: min.map(AttoFil), max_price: max.map(AttoFil), ..TermsRequest::default() };
            Prices::of(&wanted, &usd).map_err(|error| error.to_string())
        };
        let of = |min: u64, max: u64| Ok(Prices { min: U256::from(min), max: U256::from(max) });
        assert_eq!(prices(None, Some(5)), of(5, 5));
        assert_eq!(prices(Some(2), Some(5)), of(2, 5));
        for (min, max, part) in [
            (None, None, "--max-price, as in '0.5 USD'"),
            (Some(1), None, "--max-price"),
            (None, Some(0), "price of 0"),
            (Some(0), Some(5), "price of 0"),
            (Some(2_000_000), Some(1_500_000), "2 USD, is above the highest, 1.5 USD"),
        ] {
            let error = prices(min, max).expect_err(part);
            assert!(error.contains(part) && !error.contains('\n'), "{error}");
        }
    }

    #[test]
    fn terms_that_orders_do_not_have_are_refused_with_the_reason() {
        assert!(
            refuse_others(&TermsRequest { auction: Some(false), bless: Some(false), ..TermsRequest::default() })
                .is_ok()
        );
        for (terms, part) in [
            (TermsRequest { auction: Some(true), ..TermsRequest::default() }, "auction"),
            (TermsRequest { bless: Some(true), ..TermsRequest::default() }, "cannot be blessed"),
            (TermsRequest { review_for: Some(60), ..TermsRequest::default() }, "no arbiter"),
        ] {
            let error = refuse_others(&terms).expect_err(part).to_string();
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_flag_is_over_the_settings_and_prices_of_the_settings_are_anothers() {
        let amount = |text: &str| Some(text.parse::<Amount>().expect(text));
        let set = settings::Job {
            max_price: amount("7 FIL"),
            min_price: amount("6 FIL"),
            collateral: amount("2 FIL"),
            lock_for: Some(Seconds(50)),
            run_for: Some(Seconds(60)),
            ..settings::Job::default()
        };
        let flags = OrderTerms {
            max_price: amount("1.5 USD"),
            min_price: None,
            ramp_period: None,
            lock_for: Some(Seconds(40)),
            run_for: None,
            collateral: amount("1 FIL"),
            provider: None,
        };
        let [above, below] = flags
            .request(&set, &Asset::token("USD", 6), &Asset::coin())
            .map_err(|error| error.to_string())
            .expect("terms");
        let terms = over(above, below);
        assert_eq!((terms.max_price, terms.min_price), (Some(AttoFil(1_500_000)), None));
        assert_eq!((terms.lock_for, terms.run_for), (Some(40), Some(60)));
        assert_eq!(terms.collateral, Some(AttoFil(1_000_000_000_000_000_000)));
        let wrong = OrderTerms { max_price: amount("1 FIL"), ..flags };
        assert!(wrong.request(&set, &Asset::token("USD", 6), &Asset::coin()).is_err(), "the contract is paid in USD");
    }
}
