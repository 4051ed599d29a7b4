//! Whether a job's fuel fits its wall limit, as far as a client can know: providers refuse a job whose fuel may not.

use lota_market::{agent::Offer, spec::Limits};

/// Units of fuel that a slow machine burns in a second; counts where no provider is known. What the command line asks for by
/// itself, 10 G within 5 minutes, fits.
const SLOW_MACHINE: u64 = 70_000_000;

/// Says so if the fuel may not fit. `fastest`: the most units of fuel that any known provider, or this machine, burns in a second.
pub(crate) fn warning(limits: &Limits, fastest: Option<u64>) -> Option<String> {
    let rate = fastest.unwrap_or(SLOW_MACHINE);
    let whose = if fastest.is_some() { "the fastest known provider" } else { "a slow machine" };
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
        assert!(told.contains("400 s on the fastest known provider (100000000 units a second)"), "{told}");
        assert_eq!(warning(&limits(20_000_000_000, 300), Some(200_000_000)), None);
        assert!(warning(&limits(u64::MAX, u64::MAX), Some(1)).is_none(), "no number is too large");
    }
}
