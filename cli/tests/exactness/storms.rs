//! Chains that are reorganised, wires that break, clocks that jump, and all of it at once with kills.

use rand::{SeedableRng as _, rngs::StdRng};

use crate::{
    anvil::Anvil,
    frames::Frames,
    kills::{kills, seed},
    load::Happens,
    market::Market,
    party::Party,
};

/// How much of something happens where so much happens in a run of 30 kills.
fn scaled(of_thirty: u64) -> u64 {
    (of_thirty * kills()).div_ceil(30)
}

fn survives(name: &str, containers: bool, happens: Happens) {
    let Some(mut market) = Market::open(containers) else { return };
    let mut random = StdRng::seed_from_u64(seed());
    market.under_load(happens, &mut random);
    market.audit();
    market.figures.print(name);
    assert!(market.figures.kills >= happens.kills, "{:?}", market.figures);
    if happens.faults > 0 {
        assert!(market.figures.faults.values().sum::<u64>() >= happens.seconds, "{:?}", market.figures);
    }
}

#[test]
fn reorganisations_of_up_to_20_blocks_lose_nothing() {
    survives("reorganisations", false, Happens { reorganisations: scaled(15), ..Happens::default() });
}

#[test]
fn wires_that_are_late_silent_double_mixed_up_or_wrong_lose_nothing() {
    survives("a wire that breaks", false, Happens { faults: 150, seconds: scaled(25), ..Happens::default() });
}

#[test]
fn websockets_whose_messages_are_double_late_and_out_of_order_lose_nothing() {
    let Some(anvil) = Anvil::start_with(31_337, &["--block-time", "1", "--mixed-mining"]) else { return };
    let seed = seed();
    let frames = [Frames::to(&anvil.url), Frames::to(&anvil.url)];
    let (mut client, mut provider) = (Party::new(&anvil), Party::new(&anvil));
    (client.rpc, provider.rpc) = (Some(frames[0].url()), Some(frames[1].url()));
    let mut market = Market::with(anvil, client, provider, false);
    for (frames, seed) in frames.iter().zip(seed..) {
        frames.weather(Some(seed));
    }
    let mut random = StdRng::seed_from_u64(seed);
    let happens = Happens { kills: scaled(3), seconds: scaled(20), ..Happens::default() };
    market.under_load(happens, &mut random);
    for frames in &frames {
        frames.weather(None);
        for (name, count) in frames.faults() {
            *market.figures.others.entry(name).or_default() += count;
        }
    }
    market.audit();
    market.figures.print("a websocket that is mixed up");
    let others = &market.figures.others;
    assert!(["twice", "late", "out of order"].iter().all(|name| others.contains_key(name)), "{others:?}");
}

#[test]
fn clocks_that_jump_lose_nothing() {
    // No more than the jobs' windows allow.
    let happens = Happens { jumps: 6, undone: 6, reorganisations: scaled(5), ..Happens::default() };
    survives("a clock that jumps", false, happens);
}

#[test]
fn all_of_it_at_once_loses_nothing() {
    let (kills, reorganisations, seconds) = (scaled(8), scaled(5), scaled(20));
    let happens = Happens { kills, reorganisations, faults: 60, jumps: 3, undone: 3, seconds };
    survives("all at once", true, happens);
}
