use super::run_text;

const MEDIATED: &str = r#"
[job]
gigafuel = 10
max_price = 1
ramp_for = 10
collateral = 2
review_for = 100
rule_for = 100

[mediation]
audit = 0
rule_after = 10

[clients.one]
count = 1
balance = 1000
jobs = 200
interval = 50

[providers.it]
count = 3
balance = 1000
cost = 0.3
slots = 9
resume_after = 0
"#;

#[test]
fn who_guesses_is_paid_where_nobody_looks_and_slashed_where_everybody_does() {
    let lazy = "providers.it.strategy=lazy";
    let unwatched = run_text(MEDIATED, &[lazy], 1).summary;
    assert_eq!((unwatched.wrong, unwatched.missed, unwatched.caught), (200, 200, 0));
    assert!(unwatched.populations[1].mean_profit > 0.0);
    let watched = run_text(MEDIATED, &[lazy, "mediation.audit=1"], 1).summary;
    assert_eq!((watched.wrong, watched.missed, watched.caught), (200, 0, 200));
    assert_eq!(watched.slashed, 200);
    assert!(watched.populations[1].mean_profit < 0.0);
    let honest = run_text(MEDIATED, &["mediation.audit=1"], 1).summary;
    assert_eq!((honest.wrong, honest.wronged, honest.settled), (0, 0, 200));
}

#[test]
fn a_panel_that_errs_overturns_right_results() {
    let summary = run_text(MEDIATED, &["mediation.audit=1", "mediation.error=0.2", "mediation.panel=3"], 1).summary;
    // A majority of three errs with 0.104: 200 of those, within four standard deviations.
    assert!((4..=38).contains(&summary.wronged), "{}", summary.wronged);
    assert_eq!(summary.settled + summary.slashed, 200);
}

#[test]
fn a_client_that_never_accepts_delays_the_payment_by_the_review_window() {
    let honest = run_text(MEDIATED, &[], 1).summary;
    let never = run_text(MEDIATED, &["clients.one.strategy=never_accepts"], 1).summary;
    assert_eq!((honest.settled, never.settled), (200, 200));
    assert!((never.mean_wait - honest.mean_wait - 100.0).abs() < 3.0, "{} and {}", never.mean_wait, honest.mean_wait);
}

#[test]
fn a_no_show_loses_its_collateral_and_the_client_its_time() {
    let outcome = run_text(MEDIATED, &["providers.it.strategy=no_show", "clients.one.jobs=3", "job.run_for=60"], 1);
    let summary = &outcome.summary;
    assert_eq!((summary.locked, summary.slashed, summary.settled), (3, 3, 0));
    // Half of the collateral goes to the client, half is burned.
    assert!((summary.populations[0].mean_profit - 3.0).abs() < 1e-9, "{}", summary.populations[0].mean_profit);
    assert_eq!(summary.burned.0, 3_000_000_000_000_000_000);
}

#[test]
fn an_underbidder_gets_the_jobs_and_makes_a_loss() {
    let rival = "\n[providers.low]\ncount = 1\nbalance = 1000\ncost = 0.3\nslots = 9\nstrategy = \"underbidder\"\nundercut = 0.5\n";
    let slow_ramp = ["job.ramp_for=1000", "job.lock_for=2000"];
    let summary = run_text(&format!("{MEDIATED}{rival}"), &slow_ramp, 1).summary;
    let of = |name: &str| summary.populations.iter().find(|it| it.name == name).expect("a population");
    assert_eq!((of("low").jobs, of("it").jobs), (200, 0));
    assert!((of("low").mean_profit + 200.0 * 0.15).abs() < 1.0, "{}", of("low").mean_profit);
}

#[test]
fn flaky_machines_give_up_jobs_or_do_them_late() {
    let flaky = ["providers.it.strategy=flaky", "providers.it.failure=0.7", "job.run_for=60"];
    let summary = run_text(MEDIATED, &flaky, 1).summary;
    assert!(summary.slashed > 0 && summary.settled > 0, "{summary:?}");
    let better = run_text(MEDIATED, &["providers.it.failure=0.1", "job.run_for=60"], 1).summary;
    assert!(better.slashed < summary.slashed, "{} and {}", better.slashed, summary.slashed);
}

#[test]
fn copiers_spare_themselves_the_work_and_copy_mistakes_too() {
    let replicated =
        ["job.replicas=3", "clients.one.jobs=30", "clients.one.interval=2000", "clients.one.balance=10000"];
    let copier = "\n[providers.copy]\ncount = 3\nbalance = 1000\ncost = 0.3\nstrategy = \"copier\"\n";
    let one = "providers.it.count=1";
    let slots = "providers.it.slots=1";
    let honest = run_text(&format!("{MEDIATED}{copier}"), &[&replicated[..], &[one, slots]].concat(), 1).summary;
    assert_eq!(honest.wrong, 0);
    assert!(honest.cost < 90.0 * 0.3 * 0.7, "{}: copies cost nothing", honest.cost);
    let lazy = [&replicated[..], &[one, slots, "providers.it.strategy=lazy"]].concat();
    let lazy = run_text(&format!("{MEDIATED}{copier}"), &lazy, 1).summary;
    assert!(lazy.failed_tasks > 20, "{}: the copies agree with the guess", lazy.failed_tasks);
}

#[test]
fn a_ring_in_an_auction_is_paid_what_the_outsider_asks() {
    let scenario = r#"
        job.auction = { seal_for = 60 }
        clients.one = { count = 1, balance = 100, jobs = 3, interval = 500 }
        providers.ring = { count = 3, balance = 10, cost = { uniform = [0.1, 0.3] } }
        providers.outside = { count = 1, balance = 10, cost = 0.7 }
    "#;
    let apart = run_text(scenario, &[], 3).summary;
    let ring = run_text(scenario, &["providers.ring.strategy=ring"], 3).summary;
    assert_eq!((apart.settled, ring.settled), (3, 3));
    assert!(apart.mean_price < 0.31, "{}", apart.mean_price);
    assert!((ring.mean_price - 0.7).abs() < 1e-9, "{}", ring.mean_price);
}

#[test]
fn a_shill_pays_less_and_loses_more() {
    let scenario = r#"
        job.auction = { seal_for = 60 }
        job.collateral = 0.1
        clients.one = { count = 1, balance = 100, jobs = 3, interval = 500, strategy = "shill", shills = 9 }
        providers.low = { count = 1, balance = 10, cost = 0.35 }
        providers.high = { count = 1, balance = 10, cost = 0.85 }
    "#;
    let outcome = run_text(scenario, &[], 1);
    let summary = outcome.summary;
    assert_eq!(summary.settled, 3);
    assert!((summary.mean_price - 0.4).abs() < 1e-9, "{}: the step above 0.35", summary.mean_price);
    // Eight of nine bids are not opened, each with a deposit of 1 FIL.
    assert_eq!(summary.burned.0, 3 * 8 * 1_000_000_000_000_000_000);
    let of = |name: &str| summary.populations.iter().find(|it| it.name == name).expect("a population");
    assert_eq!(of("one").parties, 1);
    assert!((of("one").mean_profit + 3.0 * 0.4 + 24.0).abs() < 1e-9, "{}", of("one").mean_profit);
    assert!((of("low").mean_profit - 3.0 * 0.05).abs() < 1e-9, "{}", of("low").mean_profit);
}

#[test]
fn a_sybil_is_several_accounts_with_the_same_jobs() {
    let sets = ["clients.one.strategy=sybil", "clients.one.identities=4"];
    let outcome = run_text(MEDIATED, &sets, 1);
    assert_eq!(outcome.summary.populations[0].parties, 4);
    assert_eq!((outcome.summary.tasks, outcome.summary.settled), (200, 200));
}
