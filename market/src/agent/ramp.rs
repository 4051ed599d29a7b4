//! What a client offers for a job: a price that rises.
//!
//! The market's ramp is a straight line that moves in whole blocks, so whoever stretches it up to the highest price that one
//! would pay pays for the seconds that a provider takes to answer. The most to be paid is a limit and no bid: the ramp begins
//! where the cheapest provider takes the job and rises so slowly that the second in which it is taken matters little.

use crate::AttoFil;

/// How far the price rises above the lowest ask, in multiples of it: for providers that are dearer than the ones that do not
/// answer, and for asks that rose since they were heard.
const RISE: u128 = 7;
/// The price rises each second by at most the lowest ask divided by this.
const SECONDS_PER_ASK: u128 = 8;
/// How far the price rises where no ask is known, in multiples of what a provider with usual prices asks.
const UNKNOWN_RISE: u128 = 64;

/// What the client names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// The most to be paid.
    pub limit: AttoFil,
    /// Where the price begins, if the client says so; not above the limit.
    pub min_price: Option<AttoFil>,
    /// How long it rises, in seconds, if the client says so: then it rises up to the limit.
    pub ramp_period: Option<u64>,
    /// How long the job may be locked, in seconds.
    pub lock_for: u64,
}

/// What providers are known to ask for a job, all of it at most the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asks {
    pub lowest: AttoFil,
    /// As many ask more as ask less.
    pub median: AttoFil,
}

/// A ramp for [`Terms`](crate::model::Terms).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ramp {
    /// Price at its start.
    pub min_price: AttoFil,
    /// Price at its end; this much is put in escrow.
    pub max_price: AttoFil,
    /// How long it rises, in seconds.
    pub period: u64,
}

impl Ramp {
    /// The ramp for a wish. `asks`: what is known; `usual`: what a provider with usual prices asks for this job, which counts
    /// where no ask is known.
    ///
    /// A stranger who publishes next to nothing, to take no job, delays jobs by that and does not spoil them: where the rise
    /// from the lowest ask ends below the median, the price rises to twice the median.
    #[must_use]
    pub fn choose(wish: &Wish, asks: Option<Asks>, usual: AttoFil, quantum: u64) -> Self {
        let Wish { limit, min_price, ramp_period, lock_for } = *wish;
        if let Some(period) = ramp_period {
            return Self { min_price: min_price.unwrap_or_default(), max_price: limit, period };
        }
        // At its end it stays for a quarter of the time.
        let period = lock_for.saturating_sub(lock_for / 4).max(1);
        let rises_from = |base: AttoFil| {
            let base = base.0.max(u128::from(quantum));
            let rise = base.saturating_mul(RISE).min(base.saturating_mul(period.into()) / SECONDS_PER_ASK);
            AttoFil(base.saturating_add(rise))
        };
        let (start, end) = match asks {
            Some(Asks { lowest, median }) => {
                let start = min_price.unwrap_or(lowest);
                let end = rises_from(start.max(lowest));
                (start, if end < median { AttoFil(median.0.saturating_mul(2)) } else { end })
            }
            None => {
                let start = min_price.unwrap_or_default();
                (start, rises_from(start).max(AttoFil(usual.0.saturating_mul(UNKNOWN_RISE))))
            }
        };
        // A client's amount that is no whole quantum is left as it is, for the market to say so.
        let max_price = if end < limit { end.rounded_down(quantum).max(start) } else { limit };
        Self { min_price: start.min(max_price), max_price, period }
    }

    /// By how much the price rises in a second, at most.
    #[must_use]
    pub fn step(&self) -> AttoFil {
        AttoFil(self.max_price.saturating_sub(self.min_price).0.div_ceil(u128::from(self.period.max(1))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::{FIL, GWEI};

    const ASK: AttoFil = AttoFil(1_500_000 * GWEI);
    const USUAL: AttoFil = AttoFil(FIL / 1000);

    fn choose(wish: &Wish, asks: Option<Asks>, usual: AttoFil) -> Ramp {
        Ramp::choose(wish, asks, usual, 1_000_000_000)
    }

    fn wish(limit: u128) -> Wish {
        Wish { limit: AttoFil(limit), min_price: None, ramp_period: None, lock_for: 120 }
    }

    const fn alike(ask: AttoFil) -> Asks {
        Asks { lowest: ask, median: ask }
    }

    #[test]
    fn an_ask_that_nobody_means_delays_a_job_and_does_not_spoil_it() {
        let lie = Asks { lowest: AttoFil(GWEI), median: ASK };
        let ramp = choose(&wish(FIL), Some(lie), USUAL);
        assert_eq!(ramp, Ramp { min_price: AttoFil(GWEI), max_price: AttoFil(2 * ASK.0), period: 90 });
        assert_eq!(choose(&wish(ASK.0), Some(lie), USUAL).max_price, ASK, "the limit holds");
        // A provider that is merely cheap is paid what it asks.
        let cheap = Asks { lowest: AttoFil(ASK.0 / 4), median: ASK };
        assert_eq!(choose(&wish(FIL), Some(cheap), USUAL).max_price, AttoFil(2 * ASK.0));
        let dear = Asks { lowest: ASK, median: AttoFil(8 * ASK.0) };
        assert_eq!(choose(&wish(FIL), Some(dear), USUAL), choose(&wish(FIL), Some(alike(ASK)), USUAL));
    }

    #[test]
    fn it_begins_at_the_lowest_ask_and_a_higher_limit_changes_nothing() {
        let ramp = choose(&wish(FIL), Some(alike(ASK)), USUAL);
        assert_eq!(ramp, Ramp { min_price: ASK, max_price: AttoFil(8 * ASK.0), period: 90 });
        assert!(ramp.step().0 * 8 <= ASK.0);
        for limit in [200 * FIL, 1_000_000 * FIL, u128::MAX] {
            assert_eq!(choose(&wish(limit), Some(alike(ASK)), USUAL), ramp);
        }
        let low = choose(&wish(2 * ASK.0), Some(alike(ASK)), USUAL);
        assert_eq!(low, Ramp { max_price: AttoFil(2 * ASK.0), ..ramp });
        assert_eq!(choose(&wish(ASK.0), Some(alike(ASK)), USUAL).max_price, ASK);
    }

    #[test]
    fn it_rises_slowly_however_short_the_time_is() {
        for lock_for in [0, 1, 2, 4, 30, 600, u64::MAX] {
            let ramp = choose(&Wish { lock_for, ..wish(200 * FIL) }, Some(alike(ASK)), USUAL);
            assert!(ramp.step().0 <= ASK.0 / 8 + 1, "{lock_for}: {ramp:?}");
            assert!(ramp.period >= 1 && (ramp.period <= lock_for || lock_for == 0), "{lock_for}: {ramp:?}");
            assert!(ramp.min_price == ASK && ramp.max_price.is_whole_gwei(), "{lock_for}: {ramp:?}");
        }
    }

    #[test]
    fn what_the_client_names_is_kept() {
        let named = Wish { min_price: Some(AttoFil(GWEI)), ramp_period: Some(7), ..wish(FIL) };
        let whole = Ramp { min_price: AttoFil(GWEI), max_price: AttoFil(FIL), period: 7 };
        assert_eq!(choose(&named, Some(alike(ASK)), USUAL), whole);
        let flat = Wish { min_price: Some(AttoFil(FIL)), ..wish(FIL) };
        let ramp = choose(&flat, Some(alike(ASK)), USUAL);
        assert_eq!((ramp.min_price, ramp.max_price), (AttoFil(FIL), AttoFil(FIL)));
        let low = choose(&Wish { min_price: Some(AttoFil::ZERO), ..wish(FIL) }, Some(alike(ASK)), USUAL);
        assert_eq!((low.min_price, low.max_price), (AttoFil::ZERO, AttoFil(8 * ASK.0)));
        // An amount that the market refuses is not mended in silence.
        assert_eq!(choose(&wish(1), None, USUAL).max_price, AttoFil(1));
        let odd = choose(&Wish { min_price: Some(AttoFil(1)), ..wish(FIL) }, Some(alike(ASK)), USUAL);
        assert_eq!(odd.min_price, AttoFil(1));
    }

    #[test]
    fn without_asks_it_rises_from_nothing_to_a_multiple_of_the_usual_price() {
        let ramp = choose(&wish(200 * FIL), None, USUAL);
        assert_eq!(ramp, Ramp { min_price: AttoFil::ZERO, max_price: AttoFil(64 * USUAL.0), period: 90 });
        assert!(ramp.step() < USUAL);
        let named = choose(&Wish { min_price: Some(AttoFil(FIL)), ..wish(200 * FIL) }, None, USUAL);
        assert_eq!((named.min_price, named.max_price), (AttoFil(FIL), AttoFil(8 * FIL)));
    }

    #[test]
    fn providers_that_ask_for_nothing_get_next_to_nothing() {
        let ramp = choose(&wish(FIL), Some(alike(AttoFil::ZERO)), USUAL);
        assert_eq!((ramp.min_price, ramp.max_price), (AttoFil::ZERO, AttoFil(8 * GWEI)));
    }
}
