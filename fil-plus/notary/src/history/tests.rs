#![allow(clippy::expect_used, clippy::panic, reason = "this is test code")]

use std::collections::BTreeMap;

use lota_bridge::Cursor;
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    model::{Event, JobId, JobResult, Reason, Terms},
};
use proptest::prelude::*;

use super::*;
use crate::review::{MAX_STEPS, Pair, PartyHistory};

fn party(number: u8) -> Address {
    Address::with_last_byte(number)
}

fn id(number: u8) -> JobId {
    JobId(B256::with_last_byte(number))
}

fn at(block: u64) -> Cursor {
    Cursor { block, block_hash: B256::with_last_byte(u8::try_from(block).expect("few blocks")), index: 1 }
}

fn told(block: u64, event: Event) -> Told {
    Told::Event { cursor: at(block), time: Time(100 + block), event: Box::new(event) }
}

fn opened(job: u8, client: u8, kept: bool) -> Event {
    Event::JobOpened { job: id(job), terms: terms(client, kept), spec: Bytes::from_static(b"spec") }
}

fn terms(client: u8, kept: bool) -> Terms {
    Terms {
        client: party(client),
        salt: U256::ZERO,
        spec: B256::with_last_byte(77),
        spec_codec: 0x71,
        min_price: AttoFil::ZERO,
        max_price: AttoFil(1_000),
        ramp_start: Time(0),
        ramp_period: 1,
        lock_by: Time(1_000),
        run_for: 60,
        review_for: 60,
        rule_for: 60,
        collateral: AttoFil(1),
        matcher: Address::ZERO,
        arbiter: Address::ZERO,
        callback_gas: 0,
        keep_record: kept,
    }
}

fn submitted(job: u8, output: u8) -> Event {
    let result = JobResult { output: B256::with_last_byte(output), exit_code: 3, ..JobResult::default() };
    Event::ResultSubmitted { job: id(job), provider: party(2), result }
}

fn settled(job: u8, provider: u8, price: u128) -> Event {
    Event::JobSettled { job: id(job), provider: party(provider), price: AttoFil(price), reason: Reason::Accepted }
}

async fn history() -> (tempfile::TempDir, History) {
    let folder = tempfile::tempdir().expect("a folder");
    let history = History::open(folder.path(), "31337/0x01", None).await.expect("a database");
    (folder, history)
}

/// A job from its opening to its end, in three blocks.
fn life(job: u8, client: u8, provider: u8, price: u128, first: u64) -> Vec<Told> {
    vec![
        told(first, opened(job, client, true)),
        told(first + 1, submitted(job, job)),
        told(first + 2, settled(job, provider, price)),
    ]
}

#[tokio::test]
async fn only_what_is_final_counts_and_what_was_undone_never_does() {
    let (_folder, history) = history().await;
    history.take(&life(1, 1, 2, 10, 1)).await.expect("taken");
    assert!(!history.finalize(0).await.expect("nothing"));
    assert_eq!(history.pair(party(1), party(2)).await.expect("read"), Pair::default());

    // The settlement is undone, and happens later at another price.
    history.take(&[Told::Rewind { to: Some(at(2)) }]).await.expect("taken");
    assert_eq!(history.cursor().await.expect("read"), Some(at(2)));
    assert!(history.finalize(9).await.expect("folded"));
    assert_eq!(history.settled_job(id(1)).await.expect("read"), None);

    history.take(&[told(10, settled(1, 2, 7)), Told::Head { cursor: at(12) }]).await.expect("taken");
    assert!(history.finalize(10).await.expect("folded"));
    let pair = history.pair(party(1), party(2)).await.expect("read");
    assert_eq!(pair, Pair { jobs: 1, volume: AttoFil(7), first: Time(110), last: Time(110) });
    let kept = history.settled_job(id(1)).await.expect("read").expect("it is kept");
    assert_eq!((kept.job.price, kept.job.exit_code, kept.number), (AttoFil(7), 3, 1));
    assert_eq!(kept.spec.as_deref(), Some(&b"spec"[..]));
    assert_eq!(history.cursor().await.expect("read"), Some(at(12)));
}

#[tokio::test]
async fn a_restart_goes_on_and_another_market_is_refused() {
    let (folder, history) = history().await;
    history.take(&life(1, 1, 2, 10, 1)).await.expect("taken");
    history.close().await;
    let again = History::open(folder.path(), "31337/0x01", None).await.expect("a database");
    assert_eq!(again.cursor().await.expect("read"), Some(at(3)));
    assert!(again.finalize(3).await.expect("folded"));
    assert!(!again.finalize(3).await.expect("nothing is folded twice"));
    assert_eq!(again.pair(party(1), party(2)).await.expect("read").volume, AttoFil(10));
    again.close().await;
    let other = History::open(folder.path(), "31337/0x02", None).await.expect_err("another market").to_string();
    assert!(other.contains("31337/0x01") && other.contains("31337/0x02"), "{other}");
}

#[tokio::test]
async fn jobs_without_a_record_count_for_the_pair_and_leave_nothing_else() {
    let (_folder, history) = history().await;
    history
        .take(&[told(1, opened(1, 1, false)), told(2, submitted(1, 9)), told(3, settled(1, 2, 5))])
        .await
        .expect("taken");
    history.finalize(3).await.expect("folded");
    assert_eq!(history.pair(party(1), party(2)).await.expect("read").jobs, 1);
    assert_eq!(history.settled_job(id(1)).await.expect("read"), None);
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM deals").fetch_one(history.pool()).await.expect("read");
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_spec_that_is_published_later_is_kept() {
    let (_folder, history) = history().await;
    history
        .take(&[
            told(1, Event::JobOpened { job: id(1), terms: terms(1, true), spec: Bytes::new() }),
            told(2, submitted(1, 9)),
            told(3, settled(1, 2, 5)),
            told(4, Event::SpecPublished { spec: B256::with_last_byte(77), data: Bytes::from_static(b"late") }),
        ])
        .await
        .expect("taken");
    history.finalize(3).await.expect("folded");
    assert_eq!(history.settled_job(id(1)).await.expect("read").expect("kept").spec, None);
    history.finalize(4).await.expect("folded");
    assert_eq!(history.settled_job(id(1)).await.expect("read").expect("kept").spec.as_deref(), Some(&b"late"[..]));
}

#[tokio::test]
async fn a_spec_that_was_published_before_is_known_of_all_jobs_that_name_it() {
    let (_folder, history) = history().await;
    let mut all =
        vec![told(1, Event::SpecPublished { spec: B256::with_last_byte(77), data: Bytes::from_static(b"early") })];
    for (job, block) in [(1, 2), (2, 5)] {
        all.push(told(block, Event::JobOpened { job: id(job), terms: terms(1, true), spec: Bytes::new() }));
        all.extend([told(block + 1, submitted(job, job)), told(block + 2, settled(job, 2, 5))]);
    }
    history.take(&all).await.expect("taken");
    for finalized in [1, 7] {
        history.finalize(finalized).await.expect("folded");
    }
    for job in [1, 2] {
        let kept = history.settled_job(id(job)).await.expect("read").expect("kept");
        assert_eq!(kept.spec.as_deref(), Some(&b"early"[..]), "{job}");
    }
    let copies: i64 = sqlx::query_scalar("SELECT count(*) FROM specs").fetch_one(history.pool()).await.expect("read");
    assert_eq!(copies, 1);
}

#[tokio::test]
async fn of_these_jobs_those_alike_are_found_however_many_others_there_are() {
    let (_folder, history) = history().await;
    let all: Vec<_> = (1..40).flat_map(|job| life(job, 1, 2, 10, 3 * u64::from(job))).collect();
    history.take(&all).await.expect("taken");
    history.finalize(1_000).await.expect("folded");
    let last = history.settled_job(id(35)).await.expect("read").expect("kept");
    assert_eq!(history.alike(&last).await.expect("read").len(), 20);
    // One above the first twenty, one that was settled later, itself, and one that is not known.
    let among = history.alike_among(&last, &[id(39), id(35), id(30), id(200)]).await.expect("read");
    assert_eq!(among, [(id(30), "spec"), (id(39), "spec")]);
    let many: Vec<_> = (0..=255).map(id).chain([id(7), id(8)]).collect();
    assert_eq!(history.alike_among(&last, &many).await.expect("read").len(), 20);
}

#[tokio::test]
async fn the_way_of_the_money_and_jobs_alike_are_found() {
    let (_folder, history) = history().await;
    let mut all = life(1, 1, 2, 10, 1);
    all.push(told(4, Event::Withdrawn { account: party(2), to: party(7), amount: AttoFil(9) }));
    all.push(told(5, Event::Deposited { account: party(1), payer: party(7), amount: AttoFil(8) }));
    all.extend(life(2, 1, 3, 10, 6));
    all.push(told(9, opened(3, 1, true)));
    all.push(told(10, submitted(3, 1)));
    all.push(told(11, settled(3, 2, 4)));
    all.push(told(
        12,
        Event::JobSlashed {
            job: id(9),
            provider: party(2),
            to_client: AttoFil(1),
            to_arbiter: AttoFil(0),
            to_burn: AttoFil(1),
            reason: Reason::NotSubmitted,
        },
    ));
    history.take(&all).await.expect("taken");
    history.finalize(12).await.expect("folded");
    let (flows, all) = history.flows_from(party(2)).await.expect("read");
    assert!(all);
    let way = flows.widest(party(2), party(1), MAX_STEPS).expect("a way back");
    assert_eq!((way.parties, way.amount), (vec![party(2), party(7), party(1)], AttoFil(8)));
    let third = history.settled_job(id(3)).await.expect("read").expect("kept");
    let alike = history.alike(&third).await.expect("read");
    assert_eq!(alike, [(id(1), "output"), (id(1), "spec"), (id(2), "spec")]);
    let after: Vec<_> =
        history.settled_after(1, 10).await.expect("read").into_iter().map(|kept| kept.job.job).collect();
    assert_eq!(after, [id(2), id(3)]);
    let known = history.party_history(party(2)).await.expect("read");
    assert_eq!(known, PartyHistory { since: Some(Time(103)), settled: 2, slashed: 1 });
}

#[tokio::test]
async fn who_gave_to_very_many_is_said_not_to_be_looked_at_whole() {
    let (_folder, history) = history().await;
    let gifts: Vec<_> = (0..60_u8)
        .map(|n| {
            told(
                u64::from(n) + 1,
                Event::Withdrawn { account: party(200), to: party(n), amount: AttoFil(1 + u128::from(n)) },
            )
        })
        .collect();
    history.take(&gifts).await.expect("taken");
    history.finalize(100).await.expect("folded");
    let (flows, all) = history.flows_from(party(200)).await.expect("read");
    assert!(!all);
    assert_eq!(flows.direct(party(200), party(59)), AttoFil(60), "those who got most are looked at");
    assert_eq!(flows.direct(party(200), party(0)), AttoFil::ZERO);
}

/// A job that is settled in one step, by (client, provider, price), with a rewind before it or not.
fn lives() -> impl Strategy<Value = Vec<(u8, u8, u128, bool)>> {
    prop::collection::vec((0_u8..4, 4_u8..8, 0_u128..1_000, any::<bool>()), 1..20)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn volumes_are_the_sums_of_what_was_settled_whatever_was_undone(lives in lives(), step in 1_u64..4) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (_folder, history) = history().await;
            let mut expected = BTreeMap::<(u8, u8), (u64, u128)>::new();
            let mut block = 1;
            for (n, &(client, provider, price, undone)) in lives.iter().enumerate() {
                let job = u8::try_from(n).expect("few");
                if undone {
                    // A fork on which the job was settled for more.
                    history.take(&life(job, client, provider, price + 1_000, block)).await.expect("taken");
                    history.take(&[Told::Rewind { to: (block > 1).then(|| at(block - 1)) }]).await.expect("taken");
                }
                history.take(&life(job, client, provider, price, block)).await.expect("taken");
                let pair = expected.entry((client, provider)).or_default();
                *pair = (pair.0 + 1, pair.1 + price);
                block += 3;
                if (n as u64).is_multiple_of(step) {
                    history.finalize(block - 1).await.expect("folded");
                }
            }
            history.finalize(block).await.expect("folded");
            for ((client, provider), (jobs, volume)) in expected {
                let pair = history.pair(party(client), party(provider)).await.expect("read");
                assert_eq!((pair.jobs, pair.volume.0), (jobs, volume));
                let (flows, _) = history.flows_from(party(client)).await.expect("read");
                assert_eq!(flows.direct(party(client), party(provider)).0, volume);
            }
            history.close().await;
        });
    }
}

#[tokio::test]
async fn where_a_party_serves_content_is_what_it_announced_last_and_finally() {
    let folder = tempfile::tempdir().expect("a folder");
    let history = History::open(folder.path(), "a market", None).await.expect("a database");
    assert_eq!(history.gateway(party(1)).await.expect("read"), None);
    let announced = |block, url: &str| told(block, Event::Announced { party: party(1), url: url.to_owned() });
    history.take(&[announced(1, "https://a.example"), announced(2, "https://b.example")]).await.expect("taken");
    for (finalized, url) in [(1, "https://a.example"), (2, "https://b.example")] {
        history.finalize(finalized).await.expect("folded");
        assert_eq!(history.gateway(party(1)).await.expect("read").as_deref(), Some(url));
    }
}
