use super::{builtin_document, run, run_text};

const TINY: &str = r#"
[job]
gigafuel = 10
min_price = 0
max_price = 1
ramp_for = 100
collateral = 0.5

[clients.one]
count = 1
balance = 100
jobs = 5
interval = 200

[providers.cheap]
count = 1
balance = 10
cost = 0.2

[providers.dear]
count = 1
balance = 10
cost = 0.6
"#;

#[test]
fn on_a_ramp_the_cheapest_locks_at_what_a_job_costs_it() {
    let summary = run_text(TINY, &[], 1).summary;
    assert_eq!((summary.settled, summary.slashed, summary.cancelled, summary.unfinished), (5, 0, 0, 0));
    // 20 s until the price is 0.2 FIL, 10 s to run.
    assert!((summary.mean_price - 0.2).abs() < 1e-9, "{}", summary.mean_price);
    assert!((summary.mean_wait - 30.0).abs() < 1.0, "{}", summary.mean_wait);
    assert!((summary.welfare - 5.0 * 0.8).abs() < 1e-9, "{}", summary.welfare);
    assert_eq!(summary.populations.iter().map(|it| it.jobs).collect::<Vec<_>>(), [5, 5, 0]);
    assert!(summary.populations[1].mean_profit.abs() < 1e-9, "a ramp leaves the cheapest nothing");
}

#[test]
fn in_an_auction_the_cheapest_wins_and_is_paid_what_the_second_asked() {
    let sets = ["job.auction.seal_for=60", "clients.one.interval=400"];
    let summary = run_text(TINY, &sets, 1).summary;
    assert_eq!((summary.settled, summary.slashed, summary.unfinished), (5, 0, 0));
    assert!((summary.mean_price - 0.6).abs() < 1e-9, "{}", summary.mean_price);
    assert!((summary.populations[1].mean_profit - 5.0 * 0.4).abs() < 1e-9);
    assert_eq!(summary.burned.0, 0, "everybody opens what they have sealed");
}

#[test]
fn on_a_chain_with_blocks_of_30_s_the_same_jobs_are_done_later() {
    let at_once = run_text(TINY, &[], 1).summary;
    let sets = ["chain.block_time=30", "chain.final_blocks=2", "job.lock_for=300"];
    let blocks = run_text(TINY, &sets, 1).summary;
    assert_eq!((blocks.settled, blocks.slashed), (5, 0));
    assert!(blocks.mean_wait > at_once.mean_wait + 30.0, "{} and {}", blocks.mean_wait, at_once.mean_wait);
    let auctioned =
        ["chain.block_time=30", "job.auction.seal_for=600", "job.auction.reveal_for=600", "job.auction.award_for=600"];
    let auctioned = run_text(TINY, &[&auctioned[..], &["clients.one.interval=4000"]].concat(), 1).summary;
    assert_eq!((auctioned.settled, auctioned.slashed, auctioned.burned.0), (5, 0, 0));
    assert!((auctioned.mean_price - 0.6).abs() < 1e-9, "{}", auctioned.mean_price);
}

#[test]
fn a_job_that_nobody_takes_at_its_price_is_cancelled_and_the_money_comes_back() {
    let outcome = run_text(TINY, &["job.max_price=0.1"], 1);
    assert_eq!((outcome.summary.cancelled, outcome.summary.locked), (5, 0));
    assert_eq!(lota_simulator::summary::kept(&outcome.parties[0].holdings), outcome.parties[0].began);
}

#[test]
fn clients_with_a_limit_have_no_more_jobs_at_once_and_lose_none() {
    let sets = ["clients.one.concurrency=1", "clients.one.interval=1", "providers.cheap.slots=9"];
    let limited = run_text(TINY, &sets, 1).summary;
    let free = run_text(TINY, &sets[1..], 1).summary;
    assert_eq!((limited.settled, free.settled), (5, 5));
    assert!(limited.mean_wait > 1.5 * free.mean_wait, "{} and {}", limited.mean_wait, free.mean_wait);
}

#[test]
fn the_first_market_settles_everything() {
    let summary = run(&builtin_document("first-market"), &[], 1).summary;
    assert_eq!((summary.tasks, summary.settled, summary.slashed), (40, 40, 0));
}

#[test]
fn where_time_is_up_what_is_unfinished_is_counted_and_the_books_still_agree() {
    let summary = run_text(TINY, &["until=215"], 1).summary;
    assert_eq!((summary.opened, summary.settled, summary.unfinished), (1, 0, 1));
}
