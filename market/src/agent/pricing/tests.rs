use proptest::prelude::*;

use super::*;
use crate::{money::FIL, spec::JobSpec, spec::Limits};

const MICRO: u128 = FIL / 1_000_000;

fn wasm(limits: Limits) -> ValidatedSpec {
    let module = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy".parse().expect("a CID");
    JobSpec::wasm(module, limits).validate().expect("valid")
}

/// The job and the machine of the worked example in docs/provider.md.
fn example() -> (ValidatedSpec, Pricing) {
    let limits =
        Limits { fuel: 10_000_000_000, memory: GIB / 4, output: GIB / 16, entries: 10, wall: 300, ..Limits::LEAST };
    let machine = Resources { cpu_millis: 4_000, memory_bytes: 16 * GIB, disk_bytes: 0, gpus: 0 };
    let pricing = Pricing::default().covering(AttoFil(86_400 * MICRO), &machine, 200_000_000);
    (wasm(limits), pricing)
}

#[test]
fn the_worked_example_is_what_the_documents_say() {
    let (spec, pricing) = example();
    assert_eq!(pricing.per_cpu_hour, AttoFil(14_400 * MICRO));
    assert_eq!(pricing.per_gib_hour, AttoFil(1_800 * MICRO));
    assert_eq!(pricing.per_gigafuel, AttoFil(20 * MICRO));
    let usage = Usage::of(&spec, 200_000_000);
    assert_eq!(usage.seconds, 50);
    let asking = |margin| Pricing { margin, ..pricing }.asking(&Settings::COIN, &usage, 0);
    assert_eq!(asking(0), "0.0012125 FIL".parse().expect("an amount"));
    assert_eq!(asking(20), "0.001455 FIL".parse().expect("an amount"));
}

#[test]
fn a_job_takes_until_its_fuel_is_burned_and_no_longer_than_its_wall_limit() {
    let seconds =
        |fuel, wall, rate| Usage::of(&wasm(Limits { fuel, memory: GIB, wall, ..Limits::LEAST }), rate).seconds;
    assert_eq!(seconds(1_001, 300, 100), 11, "a second that is begun counts");
    assert_eq!(seconds(u64::MAX, 300, 100), 300);
    assert_eq!(seconds(1, 300, 0), 300, "what is not known is not counted on");
}

#[test]
fn each_kind_of_use_is_paid_for() {
    let hour = Usage { seconds: HOUR, ..Usage::default() };
    let free = Pricing::flat(AttoFil::ZERO);
    let rate = AttoFil(7 * FIL);
    for (pricing, usage) in [
        (Pricing { base: rate, ..free }, Usage::default()),
        (Pricing { per_gigafuel: rate, ..free }, Usage { fuel: GIGAFUEL, ..Usage::default() }),
        (Pricing { per_cpu_hour: rate, ..free }, Usage { cpu_millis: 1_000, ..hour }),
        (Pricing { per_gib_hour: rate, ..free }, Usage { memory: GIB, ..hour }),
        (Pricing { per_gib_output: rate, ..free }, Usage { output: GIB, ..Usage::default() }),
        (Pricing { per_gpu_hour: rate, ..free }, Usage { gpus: 1, ..hour }),
    ] {
        assert_eq!(pricing.asking(&Settings::COIN, &usage, 0), rate, "{pricing:?}");
        assert_eq!(Pricing { margin: 50, ..pricing }.asking(&Settings::COIN, &usage, 0), AttoFil(21 * FIL / 2));
        let unused = pricing.asking(&Settings::COIN, &Usage { fuel: 0, ..Usage::default() }, 0);
        assert_eq!(unused, pricing.base, "what is not used costs nothing");
    }
    let gas = Pricing { per_megagas: AttoFil(FIL), margin: 1_000, ..free };
    let settings = Settings { callback_reserve: 63_999, ..Settings::COIN };
    let asked = gas.asking(&settings, &Usage::default(), 63_000);
    assert_eq!(asked, AttoFil(FIL * 128_000 / 1_000_000), "gas has a margin of its own");
}

#[test]
fn what_no_amount_can_be_is_more_than_anybody_pays() {
    let most = Pricing::flat(AttoFil(u128::MAX)).map(|_| AttoFil(u128::MAX));
    let most = Pricing { margin: u32::MAX, ..most };
    let all = Usage {
        fuel: u64::MAX,
        cpu_millis: u64::MAX,
        memory: u64::MAX,
        output: u64::MAX,
        gpus: u32::MAX,
        seconds: u64::MAX,
    };
    for quantum in [0, 1, u64::MAX] {
        let settings = Settings { quantum, ..Settings::COIN };
        assert_eq!(most.asking(&settings, &all, u32::MAX), AttoFil(u128::MAX));
    }
    let covering = most.covering(AttoFil(u128::MAX), &Resources { cpu_millis: 1, ..Resources::default() }, 1);
    assert_eq!(covering.per_gpu_hour, AttoFil(u128::MAX));
    assert_eq!(most.covering(AttoFil(1), &Resources::default(), 1), most, "nothing has no cost");
    assert_eq!(
        Pricing::default().covering(AttoFil(FIL), &Resources::UNLIMITED, 0).per_gigafuel,
        Pricing::default().per_gigafuel
    );
}

fn pricing() -> impl Strategy<Value = Pricing> {
    (prop::array::uniform7(0..1_000_000_000_000_u128), 0..300_u32).prop_map(|(rates, margin)| {
        let [base, per_gigafuel, per_cpu_hour, per_gib_hour, per_gib_output, per_gpu_hour, per_megagas] =
            rates.map(AttoFil);
        Pricing { base, per_gigafuel, per_cpu_hour, per_gib_hour, per_gib_output, per_gpu_hour, per_megagas, margin }
    })
}

fn usage() -> impl Strategy<Value = Usage> {
    (0..1_u64 << 50, 0..256_000_u64, 0..1_u64 << 42, 0..1_u64 << 42, 0..16_u32, 0..1_000_000_u64).prop_map(
        |(fuel, cpu_millis, memory, output, gpus, seconds)| Usage { fuel, cpu_millis, memory, output, gpus, seconds },
    )
}

/// The shares of a job one by one, rounded by `round`, with the margin; in hundredths.
fn shares(pricing: &Pricing, usage: &Usage, gas: u64, round: fn(u128, u128) -> u128) -> u128 {
    let time = |amount: u64| u128::from(amount) * u128::from(usage.seconds);
    let machine = pricing.base.0
        + round(pricing.per_gigafuel.0 * u128::from(usage.fuel), 1_000_000_000)
        + round(pricing.per_cpu_hour.0 * time(usage.cpu_millis), 3_600_000)
        + round(pricing.per_gib_hour.0 * time(usage.memory), 3_600 << 30)
        + round(pricing.per_gib_output.0 * u128::from(usage.output), 1 << 30)
        + round(pricing.per_gpu_hour.0 * time(usage.gpus.into()), 3_600);
    machine * u128::from(100 + pricing.margin) + 100 * round(pricing.per_megagas.0 * u128::from(gas), 1_000_000)
}

proptest! {
    #[test]
    fn what_is_asked_lies_between_the_shares_rounded_down_and_up(
        pricing in pricing(), usage in usage(), gas in 0..1_000_000_000_u32, quantum in 1..1_000_000_000_000_u64,
    ) {
        let settings = Settings { quantum, ..Settings::COIN };
        let asking = pricing.asking(&settings, &usage, gas);
        let gas = gas_ready(&settings, gas);
        let lowest = shares(&pricing, &usage, gas, |amount, unit| amount / unit);
        let highest = shares(&pricing, &usage, gas, u128::div_ceil);
        let quantum = u128::from(quantum);
        prop_assert!(asking.0.is_multiple_of(quantum));
        prop_assert!(asking.0 * 100 >= lowest, "{} for {lowest} hundredths", asking.0);
        prop_assert!(asking.0 <= highest.div_ceil(100).div_ceil(quantum) * quantum, "{} for {highest} hundredths", asking.0);
    }

    #[test]
    fn more_use_and_higher_rates_never_cost_less(low in usage(), more in usage(), pricing in pricing(), dearer in pricing()) {
        let high = Usage {
            fuel: low.fuel + more.fuel,
            cpu_millis: low.cpu_millis + more.cpu_millis,
            memory: low.memory + more.memory,
            output: low.output + more.output,
            gpus: low.gpus + more.gpus,
            seconds: low.seconds + more.seconds,
        };
        let asking = |pricing: &Pricing, usage: &Usage| pricing.asking(&Settings::COIN, usage, 100_000);
        prop_assert!(asking(&pricing, &low) <= asking(&pricing, &high));
        let mut raised = dearer;
        raised.margin += pricing.margin;
        for (rate, plus) in [
            (&mut raised.base, pricing.base),
            (&mut raised.per_gigafuel, pricing.per_gigafuel),
            (&mut raised.per_cpu_hour, pricing.per_cpu_hour),
            (&mut raised.per_gib_hour, pricing.per_gib_hour),
            (&mut raised.per_gib_output, pricing.per_gib_output),
            (&mut raised.per_gpu_hour, pricing.per_gpu_hour),
            (&mut raised.per_megagas, pricing.per_megagas),
        ] {
            rate.0 += plus.0;
        }
        prop_assert!(asking(&pricing, &low) <= asking(&raised, &low));
    }

    #[test]
    fn who_sells_the_whole_machine_for_an_hour_gets_what_it_costs(
        per_hour in 0..1_000 * FIL, cpus in 1..256_u64, gib in 0..2_048_u64, gpus in 0..16_u32, rate in 1_000_000..5_000_000_000_u64,
    ) {
        let machine = Resources { cpu_millis: 1_000 * cpus, memory_bytes: gib << 30, disk_bytes: 0, gpus };
        let pricing = Pricing::flat(AttoFil::ZERO).covering(AttoFil(per_hour), &machine, rate);
        let settings = Settings { quantum: 1, ..Settings::COIN };
        let memory = Usage { memory: machine.memory_bytes, gpus, seconds: HOUR, ..Usage::default() };
        // Sold as processors, and as fuel.
        for usage in [
            Usage { cpu_millis: machine.cpu_millis, ..memory },
            Usage { fuel: rate * HOUR * cpus, ..memory },
        ] {
            let sold = pricing.asking(&settings, &usage, 0).0;
            // Each rate was rounded up, by less than one unit: so much is got for it in all.
            let roundings = 2 * u128::from(cpus) + u128::from(gib) + u128::from(gpus) + u128::from(usage.fuel.div_ceil(GIGAFUEL));
            prop_assert!((per_hour..=per_hour + roundings).contains(&sold), "{sold} for {per_hour}");
        }
    }
}
