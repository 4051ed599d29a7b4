//! Updates: in order, complete, once, across cuts, restarts and forks.

use lota_market::{
    agent::EffectKey,
    model::{Command, Event},
};

use super::{Harness, Party, party::announcement};
use crate::{Cursor, Update};

/// Some history of two parties; the position after it.
async fn history(first: &Party, second: &Party) -> Cursor {
    let terms = first.disputable_terms(0, second.address()).await;
    first.open(&terms).await;
    let receipt = second.run(&terms).await;
    let calls = vec![announcement("https://one.example"), Command::Accept { terms, receipt }];
    first.send(Command::Multicall { calls }).await;
    second.send(announcement("https://two.example")).await.cursor
}

async fn two(harness: &impl Harness) -> (Party, Party) {
    (Party::with_deposit(harness, "first").await, Party::with_deposit(harness, "second").await)
}

/// Whoever resumes from a position gets exactly what comes after it.
pub async fn a_replay_from_any_position_gives_the_rest(harness: &impl Harness) {
    let (first, second) = two(harness).await;
    let mut live = first.whole_log();
    let end = history(&first, &second).await;
    live.read_to(end).await;
    assert_eq!(live.rewinds, 0);
    assert_eq!(live.lines.len(), 2 + 3 + 2 + 1);
    let mut replayed = second.whole_log();
    replayed.read_to(end).await;
    assert_eq!(replayed.lines, live.lines);
    for (index, line) in live.lines.iter().enumerate() {
        let known = live.lines[..=index].to_vec();
        let mut rest = second.log(Some(line.cursor), known);
        rest.read_to(end).await;
        assert_eq!(rest.lines, live.lines, "from {}", line.cursor);
    }
}

/// A log begins with the market, not with the reader.
pub async fn jobs_opened_before_connecting_are_seen(harness: &impl Harness) {
    let client = Party::with_deposit(harness, "client").await;
    let terms = client.terms(0).await;
    let job = client.open(&terms).await;
    let late = Party::connect(harness, "late").await;
    let mut log = late.whole_log();
    log.read_until(|log| !log.lines.is_empty() && log.now > Default::default()).await;
    assert!(log.events().contains(&Event::JobOpened { job, terms, spec: Default::default() }));
}

/// A stream goes on after a cut where it was.
pub async fn a_cut_connection_loses_and_repeats_nothing(harness: &impl Harness) {
    let (first, second) = two(harness).await;
    let mut log = first.whole_log();
    log.read_until(|log| log.lines.len() == 2).await;
    harness.cut().await;
    let end = history(&first, &second).await;
    harness.cut().await;
    log.read_to(end).await;
    let mut whole = second.whole_log();
    whole.read_to(end).await;
    assert_eq!(log.lines, whole.lines);
}

/// A reader who kept a position reads on after everything was started again.
pub async fn a_restart_loses_and_repeats_nothing(harness: &impl Harness) {
    let (first, second) = two(harness).await;
    let end = history(&first, &second).await;
    let mut log = first.whole_log();
    log.read_until(|log| log.lines.len() == 4).await;
    let (position, known) = (log.position, log.lines.clone());
    drop((log, first, second));
    harness.restart().await;

    let first = Party::connect(harness, "first").await;
    let mut log = first.log(position, known);
    log.read_to(end).await;
    let key = EffectKey::named("after the restart");
    let end = first.announce(&key, "https://three.example").await.expect("the market goes on").cursor;
    log.read_to(end).await;
    assert_eq!(log.rewinds, 0);
    assert_eq!(log.lines.len(), 2 + 3 + 2 + 1 + 1);
    assert_eq!(log.count("https://three.example"), 1);
    let mut whole = first.whole_log();
    whole.read_to(end).await;
    assert_eq!(log.lines, whole.lines);
}

/// A live reader is told what is undone, and then what is there instead.
pub async fn a_fork_is_undone_and_read_again(harness: &impl Harness) {
    let (first, second) = two(harness).await;
    let fork = first.announce(&EffectKey::named("kept"), "https://kept.example").await.expect("lands").cursor;
    let undone = first.announce(&EffectKey::named("undone"), "https://undone.example").await.expect("lands").cursor;
    let mut log = second.whole_log();
    log.read_to(undone).await;
    assert_eq!(log.count("https://undone.example"), 1);

    harness.fork_after(fork).await;
    let again = second.announce(&EffectKey::named("instead"), "https://instead.example").await.expect("lands").cursor;
    log.read_until(|log| log.rewinds > 0 && log.count("https://instead.example") == 1).await;
    log.read_to(again).await;
    assert_eq!(log.count("https://kept.example"), 1);
    assert!(log.lines.iter().all(|line| line.cursor != undone), "what was undone is gone, or elsewhere");
    let position = log.position.expect("it has read");
    let mut whole = first.whole_log();
    whole.read_to(position).await;
    whole.lines.retain(|line| !line.cursor.is_above(Some(&position)));
    assert_eq!(log.lines, whole.lines, "refolding gives what a new reader sees");
}

/// Who was away during the fork is told as well.
pub async fn a_reader_who_stood_on_a_dropped_fork_is_led_back(harness: &impl Harness) {
    let (first, second) = two(harness).await;
    let fork = first.announce(&EffectKey::named("kept"), "https://kept.example").await.expect("lands").cursor;
    let undone = first.announce(&EffectKey::named("undone"), "https://undone.example").await.expect("lands").cursor;
    let mut log = second.whole_log();
    log.read_to(undone).await;
    let (position, known) = (log.position, log.lines.clone());
    drop(log);

    harness.fork_after(fork).await;
    first.announce(&EffectKey::named("instead"), "https://instead.example").await.expect("lands");
    let mut log = second.log(position, known);
    let told = log.read().await;
    let Update::Rewind { to } = told else { panic!("the first update is {told:?}") };
    assert!(undone.is_above(to.as_ref()));
    log.read_until(|log| log.count("https://instead.example") == 1).await;
    assert_eq!(log.rewinds, 1);
    assert_eq!(log.count("https://kept.example"), 1);
}

/// Two events of one transaction have two positions, and a reader may stop between them.
pub async fn events_of_one_transaction_are_kept_apart(harness: &impl Harness) {
    let party = Party::connect(harness, "party").await;
    let urls = ["https://same.example", "https://same.example", "https://other.example"];
    let landed = party.send(Command::Multicall { calls: urls.map(announcement).to_vec() }).await;
    assert_eq!(landed.events.len(), 3);
    let mut log = party.whole_log();
    log.read_to(landed.cursor).await;
    assert_eq!(log.events(), landed.events);
    assert!(log.lines.iter().all(|line| line.transaction == landed.transaction));
    assert_eq!(log.lines.last().map(|line| line.cursor), Some(landed.cursor));
    let (between, known) = (log.lines[0].cursor, log.lines[..1].to_vec());
    let mut rest = party.log(Some(between), known);
    rest.read_to(landed.cursor).await;
    assert_eq!(rest.lines, log.lines);
}

/// A stream that nobody reads from for a while has everything when somebody does.
pub async fn a_slow_reader_loses_nothing(harness: &impl Harness) {
    let party = Party::connect(harness, "party").await;
    let mut slow = party.whole_log();
    slow.read().await;
    let mut end = None;
    for round in 0..8 {
        let calls = (0..50).map(|number| announcement(&format!("https://{round}.example/{number}"))).collect();
        end = Some(party.send(Command::Multicall { calls }).await.cursor);
    }
    slow.read_to(end.expect("there were rounds")).await;
    let wanted: Vec<_> = (0..400).map(|number| format!("https://{}.example/{}", number / 50, number % 50)).collect();
    let told: Vec<_> = slow
        .events()
        .into_iter()
        .filter_map(|event| if let Event::Announced { url, .. } = event { Some(url) } else { None })
        .collect();
    assert_eq!(told, wanted);
}

/// What is in a block is told at once, before it is final; that it is final is told when nothing else happens, too.
pub async fn events_come_before_they_are_final(harness: &impl Harness) {
    let (first, second) = two(harness).await;
    let mut log = first.whole_log();
    let mut before = 0;
    for round in 0..3 {
        let end = second.send(announcement(&format!("https://{round}.example"))).await.cursor;
        log.read_until(|log| log.position.is_some_and(|at| at.position() >= end.position()) && log.is_at_head).await;
        assert_eq!(log.events().len(), 2 + round + 1);
        assert!(log.finalized < end.block, "{} is final before {}", log.finalized, end.block);
        harness.confirm().await;
        log.read_until(|log| log.finalized >= end.block).await;
        assert!(log.finalized > before, "it grows");
        before = log.finalized;
    }
    assert_eq!(log.rewinds, 0);
}

/// A head comes when the log has been told, and again when time has passed.
pub async fn time_is_told(harness: &impl Harness) {
    let party = Party::connect(harness, "party").await;
    let mut log = party.whole_log();
    log.read_until(|log| log.now > Default::default()).await;
    let before = log.now;
    harness.advance(1_000).await;
    log.read_until(|log| log.now.since(before) >= 1_000).await;
    assert!(party.now().await.since(before) >= 1_000);
}
