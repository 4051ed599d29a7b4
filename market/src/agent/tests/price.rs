//! What a client pays in a market with competition, whatever the most is that it would pay.

use proptest::prelude::*;

use super::*;

/// The most that clients name: just enough, a little, a lot, more than a market takes.
const LIMITS: [u128; 4] = [FIL / 500, FIL, 200 * FIL, 1_000_000 * FIL];

/// What the offers that a client knows ask for a job; refusals say why not.
fn asks(offers: &[(Address, Offer)], draft: &Terms, spec: &Bytes) -> Vec<Result<AttoFil, Refusal>> {
    let spec = crate::spec::parse(SpecCodec::DagCbor, spec).expect("a valid spec");
    offers.iter().map(|(who, offer)| offer.quote(*who, SETTINGS, draft, &spec)).collect()
}

/// A job of a client that may pay `limit`, taken by providers that are known and look at it after `delay` seconds; its price.
fn price(limit: u128, base: u128, delay: u64, known: bool) -> AttoFil {
    let offers = [(CHEAP, offer(base)), (DEAR, offer(base + base / 4))];
    let mut world = World::new(vec![
        Party::new(CLIENT, None),
        Party::new(CHEAP, Some(offers[0].1.clone())),
        Party::new(DEAR, Some(offers[1].1.clone())),
    ]);
    let spec = spec(1_000_000);
    let limit = AttoFil(limit);
    let draft = Terms { min_price: limit, max_price: limit, ..terms(0, &spec) };
    let lowest = asks(&offers, &draft, &spec).into_iter().flatten().min().filter(|_| known);
    let wish = Wish { limit, min_price: None, ramp_period: None, lock_for: 120 };
    let asks = lowest.map(|lowest| Asks { lowest, median: lowest });
    let ramp = Ramp::choose(&wish, asks, AttoFil(base), GWEI);
    let terms = Terms { min_price: ramp.min_price, max_price: ramp.max_price, ramp_period: ramp.period, ..draft };
    let (id, value, now) = (id_of(&terms), terms.max_price, world.now);
    world.party(CLIENT).input(Input::Request(Box::new(Request { id, terms, spec, value })), now);
    // The client's command lands; the others hear of it later.
    world.step(0);
    world.now = world.now.after(delay);
    world.run(60);
    assert_eq!(world.status(id), Status::Settled, "{limit}");
    world.party(CLIENT).stored[&id].job.view.price
}

proptest! {
    #[test]
    fn a_competitive_market_is_paid_near_its_ask_at_any_limit(
        limit in prop::sample::select(&LIMITS[..]),
        base in (1u64..1_600_000).prop_map(|gwei| u128::from(gwei) * 1_000_000_000),
        delay in 0u64..8,
    ) {
        let price = price(limit, base, delay, true).0;
        prop_assert!(price >= base, "{price} for {base}");
        prop_assert!(price <= 2 * base + 1_000_000_000, "{price} for {base}");
        // Nobody waits longer than a block for the price: the ask is offered at once.
        prop_assert!(delay > 0 || price == base, "{price} for {base}");
    }
}

#[test]
fn the_ask_is_paid_to_the_gwei_if_it_is_taken_at_once_and_not_twice_it_if_no_ask_was_known() {
    let ask = FIL / 1000;
    for limit in LIMITS {
        assert_eq!(price(limit, ask, 0, true), AttoFil(ask), "{limit}");
        let blind = price(limit, ask, 1, false);
        assert!(ask <= blind.0 && blind.0 < 2 * ask, "{blind} with a limit of {limit}");
    }
}

#[test]
fn offers_above_the_limit_say_what_they_ask() {
    let spec = spec(1_000_000);
    let limit = AttoFil(FIL / 10);
    let draft = Terms { min_price: limit, max_price: limit, ..terms(0, &spec) };
    let offers = [(CHEAP, offer(FIL)), (DEAR, offer(FIL / 10))];
    let refusal = Refusal::Price { offered: limit, asking: AttoFil(FIL) };
    assert_eq!(asks(&offers, &draft, &spec), [Err(refusal), Ok(limit)]);
}
