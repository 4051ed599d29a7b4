//! The wallet rules of 2022: what others wrote down of their simulator.

use lota_market::{
    AttoFil,
    movements::{Cause, Movement},
};
use lota_simulator::{Seed, simulate, summary::kept};

use super::{builtin_document, run};

fn fil(amount: u128) -> AttoFil {
    AttoFil::from_fil(amount).expect("it fits")
}

#[test]
fn a_client_is_blocked_after_exactly_27_escrows_which_are_9_jobs_at_balance_109() {
    let document = builtin_document("wallets-2022-client");
    let scenario = document.scenario();
    assert_eq!((scenario.clients["client"].balance.0, scenario.clients["client"].reserve.0), (fil(1_000), fil(100)));
    assert_eq!((scenario.job.max_price.0, scenario.job.replicas), (fil(33), 3));
    let mut movements: Vec<Movement> = Vec::new();
    let outcome = simulate(scenario, Seed(1), &mut movements).expect("it ends");
    let client = &outcome.parties[0];
    assert!(client.is_blocked);
    assert_eq!((client.escrows, outcome.summary.tasks), (27, 9));
    assert_eq!((client.holdings.market, client.holdings.escrow), (fil(109), fil(27 * 33)));
    let escrows: Vec<_> = movements.iter().filter(|movement| movement.cause == Cause::Escrowed).collect();
    assert_eq!(escrows.len(), 27);
    assert!(escrows.iter().all(|movement| movement.amount == fil(33)));
    // One more FIL in reserve, and it would have been the same; with 33 more to spend, not.
    let richer = run(&document, &["clients.client.balance=1099"], 1);
    assert_eq!((richer.parties[0].escrows, richer.parties[0].holdings.market), (30, fil(109)));
}

#[test]
fn a_provider_without_earnings_is_blocked_after_its_10th_slash_of_100() {
    let document = builtin_document("wallets-2022-provider");
    let scenario = document.scenario();
    assert_eq!((scenario.providers["provider"].balance.0, scenario.job.collateral.0), (fil(1_000), fil(100)));
    let mut movements: Vec<Movement> = Vec::new();
    let outcome = simulate(scenario, Seed(1), &mut movements).expect("it ends");
    let provider = outcome.parties.iter().find(|party| party.name == "provider/0").expect("there is one");
    assert_eq!((provider.slashes, provider.settled), (10, 0));
    assert_eq!(kept(&provider.holdings), AttoFil::ZERO);
    assert_eq!(outcome.summary.locked, 10, "the 11th it cannot lock");
    assert!(outcome.summary.opened > 10, "there were more");
    let burned = movements.iter().filter(|movement| movement.cause == Cause::StakeBurned);
    assert_eq!(burned.map(|movement| movement.amount).collect::<Vec<_>>(), [fil(50); 10]);
}
