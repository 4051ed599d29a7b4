//! How the price of a job is chosen.

use lota_api::JobOffer;
use lota_market::{
    AttoFil,
    agent::{Ramp, Wish},
    asset::Asset,
};

use crate::offers::Quotes;

/// From how many times what providers ask an amount is far above it.
const FAR: u128 = 10;

/// What a client is told about the price of its job. `named`: the limit is the client's own and no default.
pub(crate) fn told(
    asset: &Asset,
    wish: &Wish,
    named: bool,
    ramp: &Ramp,
    quotes: &Quotes,
    from_wallet: AttoFil,
) -> JobOffer {
    JobOffer {
        limit: wish.limit,
        min_price: ramp.min_price,
        max_price: ramp.max_price,
        ramp_period: ramp.period,
        providers: u32::try_from(quotes.asks.len()).unwrap_or(u32::MAX),
        lowest_ask: quotes.asks.first().map(|ask| ask.asking),
        highest_ask: quotes.highest(),
        from_wallet,
        warnings: warnings(asset, wish, named, ramp, quotes),
    }
}

fn warnings(asset: &Asset, wish: &Wish, named: bool, ramp: &Ramp, quotes: &Quotes) -> Vec<String> {
    let mut warnings = Vec::new();
    let (Some(lowest), Some(highest)) = (quotes.asks.first().map(|ask| ask.asking), quotes.highest()) else {
        return warnings;
    };
    let far = |amount: AttoFil, ask: AttoFil| amount.0 / FAR > ask.0;
    let show = |amount| asset.show(amount);
    let (low, high) = (show(lowest), show(highest));
    let asks = match quotes.asks.len() {
        1 => format!("the {low} that the one known provider asks"),
        known if lowest == highest => format!("the {low} that {known} known providers ask"),
        known => format!("the {low} to {high} that {known} known providers ask"),
    };
    let step = ramp.step();
    if wish.ramp_period.is_some() && step > lowest {
        warnings.push(format!(
            "the price rises by {} each second, which is more than {asks}: leave the ramp period out, or name a lower highest price",
            show(step)
        ));
    } else if far(ramp.min_price, highest) {
        warnings.push(format!("the lowest price, {}, is far above {asks}: that much is paid", show(ramp.min_price)));
    } else if named && far(wish.limit, highest) {
        warnings.push(format!(
            "the highest price, {}, is far above {asks}; it is a limit and no bid: {} is offered at most",
            show(wish.limit),
            show(ramp.max_price)
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use lota_market::{Address, money::FIL};

    use super::*;
    use crate::offers::Ask;

    fn quotes(asks: &[u128]) -> Quotes {
        let asks = asks.iter().map(|asking| Ask::of(Address::repeat_byte(1), AttoFil(*asking))).collect();
        Quotes { asks, ..Quotes::default() }
    }

    fn warned(wish: Wish, named: bool, asks: &[u128]) -> Vec<String> {
        let quotes = quotes(asks);
        let ramp = Ramp::choose(&wish, quotes.believed(), AttoFil(FIL / 1000), 1_000_000_000);
        told(&Asset::coin(), &wish, named, &ramp, &quotes, AttoFil::ZERO).warnings
    }

    #[test]
    fn prices_far_above_all_asks_are_warned_of() {
        let wish = |limit| Wish { limit: AttoFil(limit), min_price: None, ramp_period: None, lock_for: 120 };
        let asks = [FIL / 1000, FIL / 800];
        assert_eq!(
            warned(wish(200 * FIL), true, &asks),
            [
                "the highest price, 200 FIL, is far above the 0.001 FIL to 0.00125 FIL that 2 known providers ask; it is a limit and no bid: 0.008 FIL is offered at most"
            ]
        );
        assert_eq!(warned(wish(200 * FIL), false, &asks), [""; 0], "nobody named it");
        assert_eq!(warned(wish(FIL / 100), true, &asks), [""; 0]);
        assert_eq!(warned(wish(200 * FIL), true, &[]), [""; 0], "nothing is known");
        assert_eq!(
            warned(Wish { ramp_period: Some(60), ..wish(180 * FIL) }, true, &asks[..1]),
            [
                "the price rises by 3 FIL each second, which is more than the 0.001 FIL that the one known provider asks: leave the ramp period out, or name a lower highest price"
            ]
        );
        assert_eq!(
            warned(Wish { min_price: Some(AttoFil(FIL)), ..wish(FIL) }, true, &[FIL / 1000, FIL / 1000]),
            ["the lowest price, 1 FIL, is far above the 0.001 FIL that 2 known providers ask: that much is paid"]
        );
    }
}
