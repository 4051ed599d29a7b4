//! Whether a job's fuel fits its wall limit, as far as a client can know: providers refuse a job whose fuel may not.

use lota_market::{agent::Offer, spec::Limits};

/// Units of fuel that a slow machine burns in a second; counts where no provider is known. What the command line asks for by
/// itself, 10 G within 5 minutes, fits.
const SLOW_MACHINE: u64 = 70_000_000;

/// The most units of fuel in a second that a provider is believed: some three in each cycle of today's fastest processors.
const MOST_BELIEVED: u64 = 20_000_000_000;

/// The median of what providers say of themselves. Those that did not measure it (0), or say what no machine does, do not count: one
/// of them would speak for all.
pub(crate) fn median(rates: impl Iterator<Item = u64>) -> Option<u64> {
    let mut rates: Vec<u64> = rates.filter(|rate| (1..=MOST_BELIEVED).contains(rate)).collect();
    rates.sort_unstable();
    rates.get(rates.len() / 2).copied()
}

/// Says so if the fuel may not fit. `rate`: units of fuel that known providers, or this machine, burn in a second.
pub(crate) fn warning(limits: &Limits, rate: Option<u64>) -> Option<String> {
    let whose = if rate.is_some() { "the machines of known providers" } else { "a slow machine" };
    let rate = rate.unwrap_or(SLOW_MACHINE);
    let Limits { fuel, wall, .. } = *limits;
    let needed = Offer { fuel_per_second: rate, ..Offer::default() }.seconds(fuel);
    (needed > wall).then(|| {
        format!(
            "{fuel} units of fuel may take {needed} s on {whose} ({rate} units a second), and the wall limit is {wall} s: \
             providers refuse such a job; name a wall limit of {needed} s or more, or less fuel"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuel_that_may_not_fit_is_told_with_what_would() {
        let limits = |fuel, wall| Limits { fuel, wall, ..Limits::LEAST };
        assert_eq!(
            warning(&limits(20_000_000_000, 300), None).expect("too much for a slow machine"),
            "20000000000 units of fuel may take 571 s on a slow machine (70000000 units a second), and the wall limit is \
             300 s: providers refuse such a job; name a wall limit of 571 s or more, or less fuel"
        );
        assert_eq!(warning(&limits(20_000_000_000, 571), None), None, "what it says suffices");
        assert_eq!(warning(&limits(10_000_000_000, 300), None), None, "what `lota wasm run` asks for");
        let told = warning(&limits(20_000_000_000, 300), Some(100_000_000)).expect("too much for all that are known");
        assert!(told.contains("400 s on the machines of known providers (100000000 units a second)"), "{told}");
        assert_eq!(warning(&limits(20_000_000_000, 300), Some(200_000_000)), None);
        assert!(warning(&limits(u64::MAX, u64::MAX), Some(1)).is_none(), "no number is too large");
    }

    #[test]
    fn no_single_provider_speaks_for_all() {
        let of = |rates: &[u64]| median(rates.iter().copied());
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[0, u64::MAX, MOST_BELIEVED + 1]), None, "none of them is believed");
        for absurd in [0, u64::MAX] {
            assert_eq!(of(&[300, absurd, 100, 200]), Some(200), "{absurd}");
        }
        assert_eq!(of(&[100]), Some(100));
        assert_eq!(of(&[100, MOST_BELIEVED]), Some(MOST_BELIEVED), "of two, the faster one may take it");
    }
}
