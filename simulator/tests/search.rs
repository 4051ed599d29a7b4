//! Looking for cheats: none with the protections, the known one without each of them.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use lota_simulator::{
    Document, Override, Scenario, builtin,
    program::Point,
    search::{Found, Search, SearchError, Side, replay, search},
};

fn scenario(sets: &[&str]) -> Scenario {
    named("cheats", sets)
}

fn named(name: &str, sets: &[&str]) -> Scenario {
    let builtin = builtin(name).expect("it comes along");
    let document = Document::parse(name, builtin.text).expect("a scenario");
    let sets: Vec<Override> = sets.iter().map(|set| Override::parse(set).expect("KEY=VALUE")).collect();
    document.with(&sets).expect("possible values")
}

/// Every provider is as cheap as the others, and wins as often: few seeds say as much as many.
const SAME_COST: &str = "providers.provider.cost=0.05";

fn find(side: Side, sets: &[&str], budget: u64, threads: usize) -> Found {
    find_in(&scenario(sets), side, budget, threads)
}

fn find_in(scenario: &Scenario, side: Side, budget: u64, threads: usize) -> Found {
    let points = Point::ALL.to_vec();
    let what = Search { scenario, side, population: None, points, seeds: 10, budget, threads };
    search(&what, &|_| ()).expect("it comes to an end")
}

/// The best deviation is what it says, and its trace replays.
#[track_caller]
fn best(found: &Found, word: &str) {
    let best = found.deviations.first().unwrap_or_else(|| panic!("nothing was found; nearest: {:?}", found.nearest));
    assert!(best.what.contains(word), "{}", best.what);
    assert!(best.low_per_job > 0 && best.low_per_job <= best.gain_per_job && best.gain_per_job <= best.high_per_job);
    assert_eq!(best.gain.div_euclid(i128::from(best.jobs)), best.gain_per_job);
    let trace = Document::parse("trace.toml", &best.trace).expect("a trace is a scenario");
    let replayed = replay(&trace).expect("it runs");
    assert!(replayed.is_the_same(), "{replayed:?}");
    assert_eq!(replayed.found, best.digest);
}

#[test]
fn with_the_protections_no_provider_gains_by_anything() {
    let found = find(Side::Provider, &[], 40, 0);
    assert!(found.deviations.is_empty(), "{:?}", found.deviations);
    assert_eq!(found.candidates, 40);
    assert!(found.nearest.is_some_and(|nearest| nearest.low_per_job <= 0 && nearest.runs == 20));
}

#[test]
fn with_the_protections_no_client_gains_by_anything() {
    let found = find(Side::Client, &[], 16, 0);
    assert!(found.deviations.is_empty(), "{:?}", found.deviations);
}

#[test]
fn without_collateral_guessing_is_found() {
    best(&find(Side::Provider, &["job.collateral=0", SAME_COST], 24, 0), "guess");
}

#[test]
fn with_a_review_window_that_ends_before_the_dispute_guessing_is_found() {
    best(&find(Side::Provider, &["job.review_for=20", SAME_COST], 24, 0), "guess");
}

#[test]
fn where_bids_are_not_sealed_the_client_that_looks_at_them_is_found() {
    best(&find(Side::Client, &["job.auction.unsealed=true"], 16, 0), "shill");
}

/// The contracts show what is submitted: where replicas are other providers', copying is found. Hidden, nothing is.
#[test]
fn where_results_of_other_replicas_can_be_seen_copying_is_found() {
    best(&find_in(&named("copies", &[]), Side::Provider, 24, 0), "copy");
    let hidden = find_in(&named("copies", &["job.hidden_results=true"]), Side::Provider, 24, 0);
    assert!(hidden.deviations.is_empty(), "{:?}", hidden.deviations);
    // One provider wins all replicas: there is nobody to copy from, and nothing is found either.
    let alone = find_in(&named("copies", &["providers.provider.slots=20"]), Side::Provider, 24, 0);
    assert!(alone.deviations.iter().all(|it| !it.what.contains("copy")), "{:?}", alone.deviations);
}

#[test]
fn what_is_found_does_not_depend_on_the_threads() {
    let found = |threads| {
        let found = find(Side::Provider, &["job.collateral=0", "clients.client.jobs=2"], 20, threads);
        serde_json::to_string(&found).expect("JSON")
    };
    assert_eq!(found(1), found(3));
}

#[test]
fn what_cannot_be_searched_is_refused() {
    let scenario = scenario(&[]);
    let (side, points) = (Side::Provider, Point::ALL.to_vec());
    let right = Search { scenario: &scenario, side, population: None, points, seeds: 10, budget: 1, threads: 1 };
    let refused = |what: Search<'_>| search(&what, &|_| ()).expect_err("refused").to_string();
    let nobody = refused(Search { population: Some("nobody".to_owned()), ..right.clone() });
    assert!(nobody.contains("no providers `nobody`; it has provider"), "{nobody}");
    assert!(refused(Search { seeds: 3, ..right.clone() }).contains("--seeds 3"));
    assert!(refused(Search { budget: 0, ..right.clone() }).contains("--budget 0"));
    assert!(refused(Search { points: Vec::new(), ..right }).contains("ask, won or reveal"));
    let text = builtin("cheats").expect("it comes along").text;
    let no_trace = replay(&Document::parse("cheats.toml", text).expect("a scenario"));
    assert!(matches!(no_trace, Err(SearchError::NoTrace)), "{no_trace:?}");
}

#[test]
fn a_trace_that_was_changed_does_not_replay() {
    let found = find(Side::Provider, &["job.collateral=0", "clients.client.jobs=2"], 8, 0);
    let some = found.deviations.first().or(found.nearest.as_ref()).expect("something was tested");
    let trace = Document::parse("trace.toml", &some.trace).expect("a trace");
    assert!(replay(&trace).expect("it runs").is_the_same());
    let changed = some.trace.replace(&format!("seed = {}", some.seed), &format!("seed = {}", some.seed + 1));
    assert_ne!(changed, some.trace);
    let changed = Document::parse("trace.toml", &changed).expect("a trace");
    assert!(!replay(&changed).expect("it runs").is_the_same());
}
