#![allow(clippy::expect_used, clippy::panic, reason = "this is test code")]

use lota_bridge::Cursor;
use lota_market::{
    AttoFil, Bytes, Time,
    blessing::{Choice, End, Event, Nomination},
};
use proptest::prelude::*;

use super::*;

fn job(number: u8) -> JobId {
    JobId(B256::with_last_byte(number))
}

fn nominated(number: u8, round: u32) -> Event {
    let party = Address::with_last_byte;
    let nomination = Nomination {
        job: job(number),
        round,
        client: party(1),
        provider: party(2),
        matcher: Address::ZERO,
        arbiter: Address::ZERO,
        nominator: party(3),
        granter: party(4),
        recipient: Bytes::from_static(b"f0"),
        amount: U256::from(7),
        piece: B256::with_last_byte(9),
        piece_size: 128,
        share: AttoFil(1),
        bounty: AttoFil::ZERO,
        expires: Time(1_000),
    };
    Event::JobNominated { job: job(number), nominator: party(3), nomination: Box::new(nomination) }
}

/// Any event of two jobs, or of the notaries.
fn events() -> impl Strategy<Value = Event> {
    (0_u8..2, 0_u8..7, 0_u8..4).prop_map(|(number, kind, notary)| {
        let (job, round, notary) = (job(number), 1, Address::with_last_byte(notary));
        match kind {
            0 => nominated(number, 1),
            1 => Event::VoteCast { job, round, notary, choice: Choice::Approve, reasons: B256::ZERO },
            2 => Event::JobBlessed { job, round, revoke_until: Time(500), grant_until: Time(900) },
            3 => Event::NominationEnded { job, round, end: End::Expired },
            4 => Event::GrantFailed { job, round, why: Default::default() },
            5 => Event::NotariesSet { version: 2, notaries: vec![notary], quorum: 1 },
            _ => Event::JobGranted {
                job,
                provider: Address::with_last_byte(2),
                granter: Address::with_last_byte(4),
                amount: U256::from(7),
                to_client: AttoFil(1),
            },
        }
    })
}

fn cursor(block: u64) -> Cursor {
    Cursor { block, block_hash: B256::with_last_byte(1), index: 1 }
}

fn told(block: u64, event: Event) -> Told {
    Told::Event {
        cursor: cursor(block),
        time: Time(100 + block),
        transaction: B256::with_last_byte(8),
        event: Box::new(event),
    }
}

async fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), "0x01 on chain 1", 1 << 30).await.expect("a database");
    (folder, store)
}

async fn finalize(store: &Store, block: u64) -> u32 {
    let count = std::sync::atomic::AtomicU32::new(0);
    store
        .finalize(block, &[], &|_| {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Default::default()
        })
        .await
        .expect("final");
    count.into_inner()
}

/// Everything that can be read of it.
async fn read(store: &Store) -> Vec<String> {
    let mut all = Vec::new();
    for number in 0..2 {
        all.push(format!("{:?}", store.course(job(number)).await.expect("read")));
        all.push(format!("{:?}", store.final_course(job(number)).await.expect("read")));
    }
    let mut running = store.running().await.expect("read");
    running.sort_by_key(|running| running.job);
    all.push(format!("{running:?}"));
    all.push(format!("{:?}", store.blessed_after(Address::with_last_byte(4), Time(0)).await.expect("read")));
    all.push(format!("{:?}", store.granters().await.expect("read")));
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Events come, some of a fork that is undone, and become final in steps of any size: what is known in the end is the same as if
    /// there had been no fork and no steps; and each final event is told of once.
    #[test]
    fn folding_with_rewinds_equals_folding_without(
        events in prop::collection::vec((events(), prop::option::of(events()), any::<bool>()), 1..25)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let ((_one, forked), (_other, straight)) = (store().await, store().await);
            let mut finals = 0;
            for (block, (event, fork, is_final)) in (1..).zip(&events) {
                if let Some(fork) = fork {
                    forked.take(&[told(block, fork.clone()), told(block + 1, fork.clone())]).await.expect("taken");
                    forked.take(&[Told::Rewind { to: (block > 1).then(|| cursor(block - 1)) }]).await.expect("taken");
                }
                forked.take(&[told(block, event.clone()), Told::Head { cursor: cursor(block) }]).await.expect("taken");
                straight.take(&[told(block, event.clone())]).await.expect("taken");
                if *is_final {
                    finals += finalize(&forked, block).await;
                }
            }
            let last = events.len() as u64;
            finals += finalize(&forked, last).await;
            assert_eq!(finals, finalize(&straight, last).await);
            assert_eq!(finals, u32::try_from(last).expect("few"));
            assert_eq!(read(&forked).await, read(&straight).await);
            assert_eq!(forked.cursor().await.expect("read"), Some(cursor(last)));
            forked.close().await;
            straight.close().await;
        });
    }
}

#[tokio::test]
async fn what_is_final_is_not_undone_and_a_restart_goes_on() {
    let (folder, store) = store().await;
    store.take(&[told(1, nominated(1, 1)), told(2, nominated(2, 1))]).await.expect("taken");
    assert_eq!(finalize(&store, 1).await, 1);
    let touched = store.take(&[Told::Rewind { to: None }]).await.expect("taken");
    assert_eq!((touched.jobs.len(), touched.rewound), (1, true));
    let again = Store::open(folder.path(), "0x01 on chain 1", 1 << 30).await.expect("the same");
    assert_eq!(again.cursor().await.expect("read"), None);
    assert_eq!(again.course(job(1)).await.expect("read").round, 1);
    assert_eq!(again.course(job(2)).await.expect("read").round, 0);
    assert_eq!(again.finalized().await.expect("read"), 1);
    let other = Store::open(folder.path(), "0x02 on chain 1", 1 << 30).await.expect_err("another").to_string();
    assert!(other.contains("0x01") && other.contains("0x02"), "{other}");
}

#[tokio::test]
async fn an_alert_is_put_once_and_stays_until_it_is_delivered() {
    let (_folder, store) = store().await;
    let alert = crate::alerts::Alert {
        id: "1/0x01/1/1".into(),
        at: Time(1),
        kind: crate::alerts::AlertKind::Blessed,
        job: None,
        text: "text".into(),
        details: serde_json::json!({}),
    };
    let to = ["mail".to_owned(), "webhook".to_owned()];
    store.put_alert(&alert, &to).await.expect("put");
    store.put_alert(&alert, &to).await.expect("once");
    let outgoing = store.to_send(Time(0), 10).await.expect("read");
    assert_eq!(outgoing.len(), 2);
    store.delivered(&outgoing[0]).await.expect("gone");
    store.not_delivered(&outgoing[1], "busy", Some(Time(50))).await.expect("kept");
    assert_eq!(store.to_send(Time(49), 10).await.expect("read"), []);
    let again = store.to_send(Time(50), 10).await.expect("read");
    assert_eq!((again.len(), again[0].attempts), (1, 1));
    store.not_delivered(&again[0], "gone", None).await.expect("given up");
    assert_eq!(store.to_send(Time(u64::MAX), 10).await.expect("read"), []);
    assert_eq!(store.undelivered().await.expect("read"), [("webhook".to_owned(), 1, "gone".to_owned())]);
}

fn numbered(number: u16) -> JobId {
    let mut bytes = [0; 32];
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    JobId(B256::from(bytes))
}

/// A nomination that takes 4 kB.
fn large(number: u16) -> Event {
    let Event::JobNominated { nominator, mut nomination, .. } = nominated(1, 1) else { panic!("it is one") };
    nomination.job = numbered(number);
    nomination.recipient = Bytes::from(vec![7; 4_000]);
    Event::JobNominated { job: numbered(number), nominator, nomination }
}

fn small_note() -> AuditNote {
    AuditNote {
        at: Time(1),
        actor: "a".into(),
        action: "signed".into(),
        subject: "s".into(),
        details: serde_json::json!({}),
    }
}

fn signed_vote(number: u16) -> HeldVote {
    HeldVote {
        job: numbered(number),
        round: 1,
        notary: Address::with_last_byte(1),
        choice: Choice::Approve,
        version: 1,
        reasons: numbered(number).0,
        signature: Bytes::from(vec![1; 65]),
        at: Time(1),
        state: SignedState::ToSend,
    }
}

async fn small_store(max_size: u64) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), "0x01 on chain 1", max_size).await.expect("a database");
    (folder, store)
}

#[tokio::test]
async fn what_is_voted_on_stays_and_has_room_when_there_is_none_for_strangers() {
    let limit = 2 << 20;
    let (folder, store) = small_store(limit).await;
    let mut refused = None;
    for number in 0..1_000_u16 {
        if let Err(error) = store.make_room().await {
            refused = Some((number, error));
            break;
        }
        store.take(&[told(u64::from(number) + 1, large(number))]).await.expect("there is room");
    }
    let (count, error) = refused.expect("4 MB are more than there is room for");
    assert!(error.is_full() && error.to_string().contains("notary.max_size"), "{error}");
    // None is final: each may be undone, and stays.
    assert_eq!(store.may_go(&[numbered(0)]).await.expect("read"), []);
    finalize(&store, 1).await;
    assert_eq!(store.may_go(&[numbered(0)]).await.expect("read"), [], "it is voted on");
    let text = "r".repeat(4_000);
    for number in 0..5.min(count) {
        let vote = signed_vote(number);
        store.keep_vote(&vote, &text, vec![], small_note(), (&[], &[])).await.expect("notaries have room");
        store.keep_vote_state(&vote, &SignedState::Done).await.expect("kept");
    }
    assert!(std::fs::metadata(folder.path().join(FILE)).expect("a file").len() <= limit);

    // Once nobody decided, they go.
    let block = u64::from(count) + 1;
    let ended = (0..count).map(|number| Told::Event {
        cursor: Cursor { index: u32::from(number) + 1, ..cursor(block) },
        time: Time(100),
        transaction: B256::ZERO,
        event: Box::new(Event::NominationEnded { job: numbered(number), round: 1, end: End::Expired }),
    });
    store.take(&ended.collect::<Vec<_>>()).await.expect("there is room");
    finalize(&store, block).await;
    store.make_room().await.expect("there is room again");
    assert!(store.votes(numbered(0)).await.expect("read").is_empty());
    assert_eq!(store.reasons(signed_vote(0).reasons).await.expect("read"), None);
}
