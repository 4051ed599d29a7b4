//! Lists by state, label and time.

use std::collections::BTreeMap;

use lota_api::LabelFilter;
use lota_market::{
    model::{JobResult, Reason},
    spec::{JobSpec, Limits, Link},
};

use super::*;

/// A spec with these labels, in both encodings.
fn spec(labels: &[(&str, &str)]) -> (Bytes, Bytes) {
    let cid = lota_content::cid_from_digest(lota_content::codec::RAW, [7; 32]);
    let limits = Limits::LEAST;
    let labels: BTreeMap<_, _> = labels.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let args = vec!["flabels".to_owned()];
    let spec = JobSpec { labels, args, ..JobSpec::wasm(Link(cid), limits) }.validate().expect("valid");
    (spec.to_dag_cbor().into(), spec.to_json().into_bytes().into())
}

/// A job in this state.
fn job(number: u64, status: Status, reason: Reason, exit_code: Option<u32>, labels: &[(&str, &str)]) -> Change {
    let mut change = record(number, 100 + number);
    let (cbor, json) = spec(labels);
    let view = &mut change.job.view;
    (view.status, view.reason) = (status, reason);
    view.result = exit_code.map(|exit_code| JobResult { exit_code, ..JobResult::default() });
    // Those of contracts are in JSON.
    (view.terms.spec_codec, view.spec) = if number.is_multiple_of(2) { (0x71, cbor) } else { (0x55, json) };
    change.job.work = None;
    change.job.order = None;
    change
}

/// The jobs' numbers, page by page.
async fn numbers(store: &Store, filter: ListFilter) -> Vec<u64> {
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = store.list(&ListFilter { limit: 2, after, ..filter.clone() }).await.expect("listed");
        let Some(last) = page.last() else { return seen };
        after = Some((last.job.view.opened, last.job.id()));
        seen.extend(page.iter().map(|listed| listed.job.view.opened.0 - 100));
    }
}

fn label(text: &str) -> LabelFilter {
    text.parse().expect("a label")
}

/// Ten jobs, of which the even ones are this node's own.
async fn filled() -> (TempDir, Store) {
    let (folder, store) = store().await;
    let mut batch = store.begin().await.expect("begins");
    let a = &[("kind", "a"), ("urgent", "")][..];
    for change in [
        job(0, Status::Open, Reason::None, None, a),
        job(1, Status::Locked, Reason::None, None, &[("kind", "b")]),
        job(2, Status::Submitted, Reason::None, Some(0), &[("kind", "b")]),
        job(3, Status::Settled, Reason::Accepted, Some(0), a),
        job(4, Status::Settled, Reason::Accepted, Some(152), &[]),
        job(5, Status::Cancelled, Reason::Withdrawn, None, &[("kind", "a")]),
        job(6, Status::Cancelled, Reason::NotLocked, None, &[]),
        job(7, Status::Slashed, Reason::NotSubmitted, None, a),
        job(8, Status::Void, Reason::NotRuled, Some(0), &[("kind", "a")]),
        job(9, Status::Disputed, Reason::None, Some(1), &[]),
    ] {
        let mine = change.job.view.opened.0 % 2 == 0;
        batch.save(&change, mine, Time(9)).await.expect("saved");
        // Twice: as when something happens to it.
        batch.save(&change, mine, Time(9)).await.expect("saved");
    }
    batch.commit().await.expect("committed");
    (folder, store)
}

#[tokio::test]
async fn jobs_are_listed_by_several_states_and_by_failure() {
    let (_folder, store) = filled().await;
    let all = ListFilter::default();
    let running = vec![Status::Locked, Status::Submitted, Status::Disputed];
    for (filter, expected) in [
        (all.clone(), &[9, 8, 7, 6, 5, 4, 3, 2, 1, 0][..]),
        (ListFilter { statuses: running.clone(), ..all.clone() }, &[9, 2, 1]),
        (ListFilter { statuses: running.clone(), oldest_first: true, ..all.clone() }, &[1, 2, 9]),
        (ListFilter { failed: true, ..all.clone() }, &[9, 8, 7, 6, 4]),
        (ListFilter { failed: true, mine: true, oldest_first: true, ..all.clone() }, &[4, 6, 8]),
        // A job that is both is listed once.
        (ListFilter { failed: true, statuses: running, ..all.clone() }, &[9, 8, 7, 6, 4, 2, 1]),
        (ListFilter { statuses: vec![Status::Settled], mine: true, ..all.clone() }, &[4]),
        (ListFilter { since: Some(Time(107)), ..all.clone() }, &[9, 8, 7]),
        (ListFilter { since: Some(Time(104)), failed: true, mine: true, ..all }, &[8, 6, 4]),
    ] {
        assert_eq!(numbers(&store, filter.clone()).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn jobs_are_listed_by_their_labels() {
    let (_folder, store) = filled().await;
    let by = |labels: &[&str]| ListFilter {
        labels: labels.iter().map(|text| label(text)).collect(),
        ..ListFilter::default()
    };
    for (filter, expected) in [
        (by(&["kind"]), &[8, 7, 5, 3, 2, 1, 0][..]),
        (by(&["kind=a"]), &[8, 7, 5, 3, 0]),
        (by(&["kind=a", "urgent"]), &[7, 3, 0]),
        (by(&["urgent=", "kind"]), &[7, 3, 0]),
        (by(&["kind=a", "kind=b"]), &[]),
        (by(&["Kind"]), &[]),
        (ListFilter { oldest_first: true, mine: true, ..by(&["kind=a"]) }, &[0, 8]),
        (ListFilter { failed: true, ..by(&["kind=a"]) }, &[8, 7]),
        (ListFilter { failed: true, statuses: vec![Status::Open], ..by(&["kind=a"]) }, &[8, 7, 0]),
        (ListFilter { since: Some(Time(103)), ..by(&["urgent"]) }, &[7, 3]),
    ] {
        assert_eq!(numbers(&store, filter.clone()).await, expected, "{filter:?}");
    }
}

#[tokio::test]
async fn labels_go_with_their_job_and_follow_its_opening() {
    let (_folder, store) = filled().await;
    let urgent = ListFilter { labels: vec![label("urgent")], ..ListFilter::default() };
    let mut batch = store.begin().await.expect("begins");
    let mut moved = job(0, Status::Open, Reason::None, None, &[("urgent", "")]);
    moved.job.view.opened = Time(105);
    batch.save(&moved, true, Time(9)).await.expect("saved");
    let mut gone = job(7, Status::Slashed, Reason::NotSubmitted, None, &[]);
    gone.live = false;
    batch.save(&gone, false, Time(1)).await.expect("saved");
    assert_eq!(batch.prune(Time(5), 10).await.expect("pruned"), [id(7)]);
    batch.commit().await.expect("committed");
    assert_eq!(numbers(&store, urgent).await, [5, 3]);
    let left = sqlx::query_scalar::<_, i64>("SELECT COUNT(*) FROM labels WHERE job = $1").bind(id(7).0.to_vec());
    assert_eq!(left.fetch_one(store.pool()).await.expect("read"), 0);
}

#[tokio::test]
async fn every_filter_has_an_index_in_the_order_of_the_list() {
    let (_folder, store) = filled().await;
    for (filter, index) in [
        (ListFilter { statuses: vec![Status::Open, Status::Void], ..ListFilter::default() }, "jobs_by_status"),
        (
            ListFilter { statuses: vec![Status::Open, Status::Void], mine: true, ..ListFilter::default() },
            "my_jobs_by_status",
        ),
        (ListFilter { failed: true, ..ListFilter::default() }, "failed_jobs"),
        (ListFilter { mine: true, ..ListFilter::default() }, "my_jobs_by_age"),
        (ListFilter { labels: vec![label("kind")], ..ListFilter::default() }, "jobs_by_label "),
        (ListFilter { labels: vec![label("kind=a")], mine: true, ..ListFilter::default() }, "jobs_by_label_value"),
    ] {
        let filter = ListFilter { limit: 2, after: Some((Time(105), id(5))), ..filter };
        let plan = store.plan(&filter).await;
        assert!(plan.contains(index), "{filter:?}\n{plan}");
        let labelled = !filter.labels.is_empty();
        assert!(!labelled || !plan.contains("TEMP B-TREE"), "{filter:?} is sorted\n{plan}");
    }
}
