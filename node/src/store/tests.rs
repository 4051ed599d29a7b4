use lota_bridge::Cursor;
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    agent::{Agent, Change, Input, Offer},
    model::{Event, JobId, Settings, Status, Terms},
};
use tempfile::TempDir;

use super::*;

mod auctions;
mod filters;
mod order_events;
mod rails;

const CLIENT: Address = Address::repeat_byte(1);

async fn store() -> (TempDir, Store) {
    let folder = TempDir::new().expect("a folder");
    let store = Store::open(&folder.path().join("node.db")).await.expect("the store opens");
    (folder, store)
}

#[tokio::test]
async fn a_transaction_that_sqlite_ended_by_itself_does_not_keep_later_ones_out() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("node.db");
    let store = Store::open_with(&path, SqliteSynchronous::Normal, 1).await.expect("the store opens");
    let mut writing = store.write().await.expect("it begins");
    // As on a full disk.
    sqlx::query("ROLLBACK").execute(&mut *writing).await.expect("it is rolled back");
    drop(writing);
    store.set_meta("after", &7_u8).await.expect("there is a connection that writes");
    assert_eq!(store.meta::<u8>("after").await.expect("it is read"), Some(7));
}

pub(crate) fn terms(number: u64) -> Terms {
    Terms {
        client: CLIENT,
        salt: U256::from(number),
        spec: B256::ZERO,
        spec_codec: 0x71,
        min_price: AttoFil::ZERO,
        max_price: AttoFil(1_000_000_000),
        ramp_start: Time(0),
        ramp_period: 1,
        lock_by: Time(100),
        run_for: 10,
        review_for: 0,
        rule_for: 0,
        collateral: AttoFil::ZERO,
        matcher: Address::ZERO,
        arbiter: Address::ZERO,
        callback_gas: 0,
        keep_record: false,
    }
}

pub(super) fn id(number: u64) -> JobId {
    JobId(B256::from(U256::from(number)))
}

fn opened(number: u64) -> Event {
    Event::JobOpened { job: id(number), terms: terms(number), spec: Bytes::from_static(b"no spec") }
}

fn cursor(block: u64, index: u32) -> Cursor {
    Cursor { block, block_hash: B256::repeat_byte(7), index }
}

/// What an agent makes of a job that was opened at a time.
fn record(number: u64, time: u64) -> Change {
    let settings = Settings { min_window: 1, ..Settings::COIN };
    let mut agent = Agent::new(Address::repeat_byte(2), settings, Some(Offer::default()));
    drop(agent.handle(Input::Event { block: 1, time: Time(time), event: &opened(number) }, Time(time)));
    agent.take_changes().remove(0)
}

#[tokio::test]
async fn a_round_that_is_not_committed_leaves_nothing() {
    let (_folder, store) = store().await;
    let mut batch = store.begin().await.expect("begins");
    batch.set_cursor(Some(cursor(1, 1))).await.expect("set");
    batch.add_event(&cursor(1, 1), Time(5), &opened(1)).await.expect("added");
    drop(batch);
    assert_eq!(store.cursor().await.expect("read"), None);
    assert!(store.events_of(id(1)).await.expect("read").is_empty());
}

#[tokio::test]
async fn a_rewind_deletes_what_lies_above_and_names_the_jobs_it_touched() {
    let (_folder, store) = store().await;
    let locked = Event::JobLocked { job: id(1), provider: CLIENT, payer: CLIENT, price: AttoFil(1) };
    let mut batch = store.begin().await.expect("begins");
    for (at, event) in [(cursor(1, 1), opened(1)), (cursor(1, 2), opened(2)), (cursor(2, 1), locked)] {
        batch.add_event(&at, Time(5), &event).await.expect("added");
    }
    assert_eq!(batch.fold(id(1)).await.expect("folded").map(|view| view.status), Some(Status::Locked));
    assert_eq!(batch.rewind(Some(cursor(1, 1))).await.expect("rewound"), [id(1), id(2)]);
    assert_eq!(batch.fold(id(1)).await.expect("folded").map(|view| view.status), Some(Status::Open));
    assert_eq!(batch.fold(id(2)).await.expect("folded"), None);
    assert_eq!(batch.rewind(None).await.expect("rewound"), [id(1)]);
}

#[tokio::test]
async fn lists_are_paged_in_both_directions_without_gaps() {
    let (_folder, store) = store().await;
    let mut batch = store.begin().await.expect("begins");
    for number in 0..25 {
        // Several are opened in the same second.
        batch.save(&record(number, number / 3), number % 2 == 0, Time(9)).await.expect("saved");
    }
    batch.commit().await.expect("committed");
    for (oldest_first, mine, total) in [(false, false, 25), (true, false, 25), (true, true, 13)] {
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let statuses = vec![Status::Open];
            let filter = ListFilter { mine, oldest_first, limit: 4, after, statuses, ..ListFilter::default() };
            let page = store.list(&filter).await.expect("listed");
            let Some(last) = page.last() else { break };
            after = Some((last.job.view.opened, last.job.id()));
            seen.extend(page.iter().map(|listed| (listed.job.view.opened, listed.job.id())));
        }
        let mut sorted = seen.clone();
        sorted.sort_unstable();
        if !oldest_first {
            sorted.reverse();
        }
        assert_eq!((seen.len(), &seen), (total, &sorted));
    }
    let filter = ListFilter { limit: 9, statuses: vec![Status::Settled], ..ListFilter::default() };
    assert!(store.list(&filter).await.expect("listed").is_empty());
}

#[tokio::test]
async fn only_finished_jobs_are_pruned_and_their_events_with_them() {
    let (_folder, store) = store().await;
    let mut batch = store.begin().await.expect("begins");
    for (number, updated) in [(1, 10), (2, 20), (3, 10)] {
        let mut change = record(number, 5);
        change.live = number == 3;
        batch.save(&change, true, Time(updated)).await.expect("saved");
        batch.add_event(&cursor(number, 1), Time(5), &opened(number)).await.expect("added");
    }
    assert_eq!(batch.prune(Time(15), 10).await.expect("pruned"), [id(1)]);
    batch.commit().await.expect("committed");
    assert!(store.events_of(id(1)).await.expect("read").is_empty());
    assert_eq!(store.events_of(id(2)).await.expect("read").len(), 1);
    let live: Vec<JobId> = store.live_jobs().await.expect("read").iter().map(Job::id).collect();
    assert_eq!(live, [id(3)]);
}

#[tokio::test]
async fn events_about_no_job_go_with_their_age_and_announcements_when_there_are_too_many() {
    let (_folder, store) = store().await;
    let mut batch = store.begin().await.expect("begins");
    for block in [1, 2] {
        let event = Event::Deposited { account: CLIENT, payer: CLIENT, amount: AttoFil(1) };
        batch.add_event(&cursor(block, 1), Time(block * 10), &event).await.expect("added");
    }
    for index in 0..crate::store::MAX_PARTIES + 2 {
        let party = Address::from_word(U256::from(index).into());
        let event = Event::Announced { party, url: String::new() };
        batch.add_event(&cursor(3, index), Time(1), &event).await.expect("added");
    }
    batch.prune(Time(15), 10).await.expect("pruned");
    batch.commit().await.expect("committed");
    let blocks: Vec<i64> = sqlx::query_scalar("SELECT block FROM events WHERE NOT announcement")
        .fetch_all(store.pool())
        .await
        .expect("read");
    assert_eq!(blocks, [2]);
    let parties = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM events WHERE announcement");
    assert_eq!(parties.fetch_one(store.pool()).await.expect("read"), i64::from(crate::store::MAX_PARTIES));
}

#[tokio::test]
async fn the_latest_announcement_of_a_party_counts() {
    let (_folder, store) = store().await;
    let mut batch = store.begin().await.expect("begins");
    for (block, url) in [(1, "http://old"), (2, "http://new")] {
        let event = Event::Announced { party: CLIENT, url: url.to_owned() };
        batch.add_event(&cursor(block, 1), Time(5), &event).await.expect("added");
    }
    batch.commit().await.expect("committed");
    assert_eq!(store.announcements(10).await.expect("read"), [(CLIENT, "http://new".to_owned())]);
}

#[tokio::test]
async fn a_store_of_the_first_edition_is_refused_in_one_clear_line_and_left_as_it_is() {
    let (folder, store) = store().await;
    // As the versions for the first edition left it: with their steps, the last of which was the ninth.
    sqlx::query("UPDATE _sqlx_migrations SET version = version - 2")
        .execute(store.pool())
        .await
        .expect("an earlier version was here");
    store.set_meta("cursor", &cursor(7, 2)).await.expect("written");
    store.close().await;
    let path = folder.path().join("node.db");
    for _ in 0..2 {
        let error = Store::open(&path).await.expect_err("it is of the first edition").to_string();
        assert!(error.contains("node.db was written for the market's first edition") && error.contains("move it away"));
        assert!(!error.contains('\n'), "{error}");
        assert!(NodeJournal::open(folder.path()).await.is_err(), "nor is it used for what is sent");
    }
    for name in ["node.db", "node.db-wal", "node.db-shm"] {
        let file = folder.path().join(name);
        if file.exists() {
            std::fs::rename(&file, folder.path().join(format!("old-{name}"))).expect("moved away");
        }
    }
    Store::open(&path).await.expect("the node begins anew");
}

#[tokio::test]
async fn a_store_from_a_newer_version_is_refused_in_one_clear_line() {
    let (folder, store) = store().await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) VALUES (9999, 'x', TRUE, x'00', 0)",
    )
    .execute(store.pool())
    .await
    .expect("a newer version was here");
    store.close().await;
    let error = Store::open(&folder.path().join("node.db")).await.expect_err("it is newer").to_string();
    assert!(error.contains("newer version of lota (migration 9999"), "{error}");
    assert!(!error.contains('\n'), "{error}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("node.db");
    std::fs::write(&path, "this is no database, though it is long enough to look like one".repeat(100))
        .expect("written");
    let error = Store::open(&path).await.expect_err("it is no database");
    assert!(error.to_string().contains("node.db"), "{error}");
    assert!(std::fs::read(&path).expect("still there").starts_with(b"this is no database"));
}

#[tokio::test]
async fn published_specs_are_found_by_their_digest_and_the_oldest_go_when_there_are_too_many() {
    let (_folder, store) = store().await;
    let most = u64::from(specs::MAX_SPECS);
    let spec = |number: u64| Bytes::from(number.to_string().into_bytes());
    let digest = |number: u64| B256::from(lota_content::sha2_256(number.to_string().as_bytes()));
    let mut batch = store.begin().await.expect("begins");
    for number in 0..most {
        batch.add_spec(&cursor(number, 0), &spec(number)).await.expect("added");
    }
    // Published once more, so it is among the latest.
    batch.add_spec(&cursor(most, 0), &spec(0)).await.expect("added");
    batch.add_spec(&cursor(most, 1), &spec(most)).await.expect("added");
    batch.commit().await.expect("committed");
    for (number, there) in [(0, true), (1, false), (2, true), (most, true), (most + 1, false)] {
        let found = store.spec(digest(number)).await.expect("read");
        assert_eq!(found, there.then(|| spec(number)), "{number}");
    }
}

#[tokio::test]
async fn many_events_of_one_round_are_kept_in_order_and_can_be_undone_within_it() {
    let (_folder, store) = store().await;
    let mut batch = store.begin().await.expect("begins");
    for number in 1..=150 {
        let party = Address::with_last_byte(number);
        let event = Event::Announced { party, url: format!("https://{number}.example") };
        batch.add_event(&cursor(1, u32::from(number)), Time(1), &event).await.expect("is kept");
    }
    batch.add_event(&cursor(2, 1), Time(2), &opened(1)).await.expect("is kept");
    assert!(batch.fold(id(1)).await.expect("reads").is_some(), "what was just added is there");
    assert_eq!(batch.rewind(Some(cursor(1, 140))).await.expect("is undone"), [id(1)]);
    assert_eq!(batch.fold(id(1)).await.expect("reads"), None);
    // The same position again is the same event.
    batch.add_event(&cursor(1, 140), Time(1), &opened(2)).await.expect("is ignored");
    batch.commit().await.expect("is kept");
    assert_eq!(store.events_of(id(2)).await.expect("reads").len(), 0);
    let known = store.announcements(1_000).await.expect("reads");
    let expected: Vec<_> =
        (1..=140).rev().map(|number| (Address::with_last_byte(number), format!("https://{number}.example"))).collect();
    assert_eq!(known, expected);
}

#[tokio::test]
async fn a_key_is_the_first_jobs_until_it_is_given_back() {
    let (_folder, store) = store().await;
    let key = |body| RequestKey { name: "invoice-7".to_owned(), body: [body; 32] };
    let mut batch = store.begin().await.expect("a batch");
    assert_eq!(batch.claim(&key(1), id(1)).await.expect("claimed"), Claim::New);
    assert_eq!(batch.claim(&key(1), id(2)).await.expect("claimed before"), Claim::Same(id(1)));
    assert_eq!(batch.claim(&key(2), id(2)).await.expect("claimed before"), Claim::Other(id(1)));
    batch.commit().await.expect("committed");
    assert_eq!(store.requested(&key(1)).await.expect("read"), Some(Claim::Same(id(1))));
    assert_eq!(store.requested(&key(2)).await.expect("read"), Some(Claim::Other(id(1))));
    let mut batch = store.begin().await.expect("a batch");
    batch.give_back(id(1)).await.expect("given back");
    assert_eq!(batch.claim(&key(2), id(2)).await.expect("claimed"), Claim::New);
    batch.commit().await.expect("committed");
    assert_eq!(store.requested(&key(2)).await.expect("read"), Some(Claim::Same(id(2))));
}
