use proptest::{collection::vec, prelude::*};
use sqlx::Row as _;

use super::*;
use crate::{
    fact::{Fact, Kind},
    step::{Genesis, List, ListEntry, Report, Snapshot, SourceError, Step},
};
use lota_content::piece::PieceRoot;

const NOW: u64 = 1_800_000_000;

fn piece(byte: u8) -> PieceRoot {
    let mut bytes = [byte; 32];
    bytes[31] = 0;
    PieceRoot::new(bytes).expect("a piece")
}

fn fact(id: u64, as_of: u64) -> Fact {
    Fact {
        kind: Kind::Claim,
        id,
        as_of,
        removed: false,
        term_max: 500,
        term_min: 100,
        start: 10,
        piece: piece(1),
        provider: 1_000,
        client: 2_000,
        size_log2: 35,
        sector: 4,
    }
}

fn facts(facts: Vec<Fact>) -> Step {
    Step { facts, ..Step::default() }
}

async fn open() -> (tempfile::TempDir, Store, Registered) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), MAX_SIZE).await.expect("opened");
    let source = store.register("claims of a", "claims", "a", 60).await.expect("known");
    (folder, store, source)
}

/// The whole table of claims, without when it was told.
async fn table(store: &Store) -> Vec<Vec<i64>> {
    let rows = sqlx::query(
        "SELECT id, kind, origin, as_of, removed, term_max, term_min, start, provider, client, size, sector, \
         CAST(hex(substr(piece, 1, 1)) AS INTEGER) FROM claims ORDER BY id, kind, origin",
    );
    let rows = rows.fetch_all(store.pool()).await.expect("read");
    rows.iter().map(|row| (0..13).map(|column| row.get(column)).collect()).collect()
}

fn any_fact() -> impl Strategy<Value = Fact> {
    (0..6u64, 50..60u64, any::<bool>(), 500..503u64, 0..3u8, 0..2u64).prop_map(
        |(id, as_of, removed, term_max, byte, provider)| Fact {
            removed,
            term_max,
            piece: piece(byte),
            provider,
            kind: if id % 3 == 0 { Kind::Allocation } else { Kind::Claim },
            ..fact(id, as_of)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_table_depends_on_no_order_and_on_nothing_that_was_undone(
        facts_of_chain in vec(any_fact(), 1..24),
        undone in vec(any_fact(), 0..12),
        cuts in vec(1..7usize, 1..24),
        shuffle in any::<u64>(),
        again in 0..4usize,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (_one, straight, source) = open().await;
            for fact in &facts_of_chain {
                straight.commit(&source, &facts(vec![fact.clone()]), NOW).await.expect("kept");
            }

            let (_other, store, source) = open().await;
            store.commit(&source, &facts(undone.clone()), NOW).await.expect("kept");
            store.forget(source.origin).await.expect("forgotten");
            let mut shuffled = facts_of_chain.clone();
            shuffled.extend(facts_of_chain.iter().take(again).cloned());
            let mut state = shuffle;
            for index in (1..shuffled.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                shuffled.swap(index, usize::try_from(state >> 33).expect("31 bits") % (index + 1));
            }
            let mut cuts = cuts.iter().cycle();
            while !shuffled.is_empty() {
                let rest = shuffled.split_off((*cuts.next().expect("endless")).min(shuffled.len()));
                store.commit(&source, &facts(std::mem::replace(&mut shuffled, rest)), NOW).await.expect("kept");
            }
            let (expected, found) = (table(&straight).await, table(&store).await);
            assert!(!expected.is_empty());
            assert_eq!(expected, found);
            for row in straight.claims(&[piece(0), piece(1), piece(2)]).await.expect("read").into_values().flatten() {
                let same = |fact: &&Fact| fact.id == row.fact.id && fact.kind == row.fact.kind;
                assert!(facts_of_chain.iter().filter(same).all(|fact| !fact.newer_than(&row.fact)), "the newest holds");
            }
        });
    }
}

#[tokio::test]
async fn a_look_up_of_many_pieces_finds_what_one_of_each_finds() {
    let (_folder, store, source) = open().await;
    let claims = (0..1_000u64).map(|id| {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&(id / 2).to_be_bytes());
        Fact { piece: PieceRoot::new(bytes).expect("a piece"), ..fact(id, 60) }
    });
    let claims: Vec<Fact> = claims.collect();
    store.commit(&source, &facts(claims.clone()), NOW).await.expect("kept");
    let mut pieces: Vec<PieceRoot> = claims.iter().step_by(2).map(|fact| fact.piece).collect();
    // The same first eight bytes, and another piece.
    let mut other = *pieces[3].as_bytes();
    other[20] = 1;
    pieces.push(PieceRoot::new(other).expect("a piece"));
    let many = store.claims(&pieces).await.expect("read");
    assert_eq!(many.len(), 500);
    assert!(!many.contains_key(pieces.last().expect("one")));
    for piece in &pieces {
        let one = store.claims(&[*piece]).await.expect("read");
        let ids = |rows: Option<&Vec<ClaimRow>>| {
            let mut ids: Vec<u64> = rows.into_iter().flatten().map(|row| row.fact.id).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(ids(one.get(piece)), ids(many.get(piece)));
    }
}

#[tokio::test]
async fn a_piece_with_very_many_claims_keeps_no_other_from_being_found() {
    let (_folder, store, source) = open().await;
    let mut claims: Vec<Fact> = (0..5_000).map(|id| fact(id, 60)).collect();
    let mut pieces = vec![piece(1)];
    for id in 0..100u8 {
        let mut bytes = [id; 32];
        (bytes[0], bytes[31]) = (99, 0);
        pieces.push(PieceRoot::new(bytes).expect("a piece"));
        claims.push(Fact { piece: pieces[pieces.len() - 1], ..fact(10_000 + u64::from(id), 60) });
    }
    store.commit(&source, &facts(claims), NOW).await.expect("kept");
    let found = store.claims(&pieces).await.expect("read");
    assert_eq!(found.len(), pieces.len());
    assert_eq!(found[&piece(1)].len(), MAX_CLAIMS + 1);
    assert_eq!(found[&piece(1)][0].fact.id, 4_999);
}

#[tokio::test]
async fn what_a_later_reading_did_not_find_is_gone() {
    let (_folder, store, source) = open().await;
    let snapshot = |epoch| Snapshot { kind: Kind::Claim, party: 1_000, epoch };
    let step = Step { snapshot: Some(snapshot(60)), ..facts(vec![fact(1, 60), fact(2, 60)]) };
    store.commit(&source, &step, NOW).await.expect("kept");
    let step = Step { snapshot: Some(snapshot(70)), ..facts(vec![fact(2, 70)]) };
    store.commit(&source, &step, NOW).await.expect("kept");
    // An event from before, that was read late, and one from after.
    store.commit(&source, &facts(vec![fact(3, 65), fact(4, 75)]), NOW).await.expect("kept");
    // An older reading that comes late changes nothing.
    let step = Step { snapshot: Some(snapshot(50)), ..Step::default() };
    store.commit(&source, &step, NOW).await.expect("kept");
    let rows = store.claims(&[piece(1)]).await.expect("read").remove(&piece(1)).expect("claims");
    let mut gone: Vec<(u64, Option<u64>)> = rows.iter().map(|row| (row.fact.id, row.gone_by)).collect();
    gone.sort_unstable();
    assert_eq!(gone, [(1, Some(70)), (2, None), (3, Some(70)), (4, None)]);
}

#[tokio::test]
async fn a_cursor_moves_with_its_facts_and_an_origin_stays_on_its_chain() {
    let (folder, store, source) = open().await;
    let genesis = |key: &str| Some(Genesis { key: key.to_owned(), time: 5 });
    let step = Step { cursor: Some("1".to_owned()), genesis: genesis("a"), ..facts(vec![fact(1, 60)]) };
    store.commit(&source, &step, NOW).await.expect("kept");
    let other = Step { cursor: Some("2".to_owned()), genesis: genesis("b"), ..facts(vec![fact(2, 60)]) };
    let error = store.commit(&source, &other, NOW).await.expect_err("another chain");
    assert!(matches!(error, StoreError::OtherChain { .. }), "{error}");
    store.close().await;

    let store = Store::open(folder.path(), MAX_SIZE).await.expect("opened again");
    assert_eq!(store.cursor("claims of a").await.expect("read").as_deref(), Some("1"));
    assert_eq!(table(&store).await.len(), 1);
    assert_eq!(store.origins().await.expect("read")[0].genesis_time, Some(5));
    let problem = SourceError::Hung { place: "a".to_owned(), seconds: 1 };
    store.note_problem("claims of a", &problem, NOW).await.expect("noted");
    store.note_problem("claims of a", &problem, NOW + 5).await.expect("noted");
    let standing = &store.standings().await.expect("read")[0];
    assert_eq!((standing.problem_since, standing.problem.clone()), (Some(NOW), Some(problem.to_string())));
    store.commit(&source, &Step::default(), NOW).await.expect("kept");
    assert_eq!(store.standings().await.expect("read")[0].problem, None);
}

#[tokio::test]
async fn a_full_database_says_so_and_still_answers() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), 512 << 10).await.expect("opened");
    let source = store.register("claims of a", "claims", "a", 60).await.expect("known");
    let mut full = None;
    for begin in 0..100 {
        let claims = (0..200).map(|id| fact(begin * 200 + id, 60)).collect();
        if let Err(error) = store.commit(&source, &facts(claims), NOW).await {
            full = Some(error);
            break;
        }
    }
    let error = full.expect("it is full").to_string();
    assert!(error.contains("fil_plus.max_size"), "{error}");
    assert!(store.claims(&[piece(1)]).await.expect("read").contains_key(&piece(1)));
}

#[tokio::test]
async fn a_few_answers_with_many_reports_are_too_many_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), 512 << 10).await.expect("opened");
    let source = store.register("index", "index", "i", 60).await.expect("known");
    let reports: Vec<Report> =
        (0..64u8).map(|n| Report { piece: piece(n), verified_deal: true, peer: "p".repeat(128) }).collect();
    for payload in 0..200u64 {
        store.keep_reports(&source, &payload.to_be_bytes(), &reports, NOW + payload).await.expect("it is not full");
        store.prune_reports().await.expect("pruned");
        assert!(store.count_reports().await.expect("counted") <= 256, "a quarter of the database");
    }
    let last = store.reports(&[199u64.to_be_bytes().to_vec()]).await.expect("read");
    assert_eq!(last.values().map(Vec::len).collect::<Vec<_>>(), [8]);
    assert!(store.reports(&[0u64.to_be_bytes().to_vec()]).await.expect("read").is_empty());
}

#[tokio::test]
async fn reports_of_claimed_pieces_are_kept_before_others() {
    let (_folder, store, source) = open().await;
    store.commit(&source, &facts(vec![Fact { piece: piece(60), ..fact(1, 60) }]), NOW).await.expect("kept");
    let reports: Vec<Report> =
        (0..64u8).map(|n| Report { piece: piece(n), verified_deal: n < 50, peer: "p".to_owned() }).collect();
    store.keep_reports(&source, &[7], &reports, NOW).await.expect("kept");
    let kept = store.reports(&[vec![7]]).await.expect("read").remove(&vec![7]).expect("reports");
    assert_eq!(kept.len(), 8);
    assert!(kept.iter().any(|report| report.piece == piece(60)));
    assert_eq!(kept.iter().filter(|report| report.verified_deal).count(), 7);
}

#[tokio::test]
async fn of_many_claims_none_is_given_in_part_and_allocations_hide_none() {
    let (_folder, store, source) = open().await;
    let other = store.register("claims of b", "claims", "b", 60).await.expect("known");
    let claims: Vec<Fact> = (0..100).map(|id| fact(id, 60)).collect();
    for source in [&source, &other] {
        store.commit(source, &facts(claims.clone()), NOW).await.expect("kept");
    }
    let allocations = (1_000..1_200).map(|id| Fact { kind: Kind::Allocation, ..fact(id, 60) }).collect();
    store.commit(&source, &facts(allocations), NOW).await.expect("kept");
    let rows = store.claims(&[piece(1)]).await.expect("read").remove(&piece(1)).expect("claims");
    let ids: Vec<(Kind, u64)> = rows.iter().map(|row| (row.fact.kind, row.fact.id)).collect();
    let wanted: Vec<(Kind, u64)> =
        (100 - MAX_CLAIMS as u64 - 1..100).rev().flat_map(|id| [(Kind::Claim, id); 2]).collect();
    assert_eq!(ids, wanted, "each as both say it");
}

#[tokio::test]
async fn a_step_that_began_before_all_was_forgotten_is_not_kept() {
    let (_folder, store, source) = open().await;
    let step = |cursor: &str| Step { cursor: Some(cursor.to_owned()), complete: Some(60), ..facts(vec![fact(1, 60)]) };
    // The first step, and one that goes on.
    for _ in 0..2 {
        let from = store.position(&source).await.expect("read");
        store.forget(source.origin).await.expect("forgotten");
        assert!(!store.commit_from(&source, &from, &step("old"), NOW).await.expect("looked at"));
        assert!(table(&store).await.is_empty());
        let standing = &store.standings().await.expect("read")[0];
        assert_eq!((standing.complete, store.cursor(&source.name).await.expect("read")), (None, None));
        let from = store.position(&source).await.expect("read");
        assert!(store.commit_from(&source, &from, &step("new"), NOW).await.expect("kept"));
        assert_eq!(table(&store).await.len(), 1);
    }
    // Somebody else was faster.
    let from = store.position(&source).await.expect("read");
    assert!(store.commit_from(&source, &from, &step("one"), NOW).await.expect("kept"));
    assert!(!store.commit_from(&source, &from, &step("other"), NOW).await.expect("looked at"));
    assert_eq!(store.cursor(&source.name).await.expect("read").as_deref(), Some("one"));
}

#[tokio::test]
async fn a_list_takes_the_place_of_the_one_before() {
    let (_folder, store, source) = open().await;
    let list = |subjects: &[u8]| Step {
        list: Some(List {
            signed_by: [1; 32],
            name: "A".to_owned(),
            issued: 7,
            entries: subjects.iter().map(|b| ListEntry { subject: vec![*b], note: String::new() }).collect(),
        }),
        ..Step::default()
    };
    store.commit(&source, &list(&[1, 2, 2]), NOW).await.expect("kept");
    store.commit(&source, &list(&[2, 3]), NOW).await.expect("kept");
    let listed = store.listed(&[vec![1], vec![2], vec![3]]).await.expect("read");
    let mut keys: Vec<Vec<u8>> = listed.into_keys().collect();
    keys.sort();
    assert_eq!(keys, [[2], [3]]);
}

#[tokio::test]
async fn of_too_many_reports_the_oldest_are_forgotten() {
    let (_folder, store, source) = open().await;
    let report = Report { piece: piece(1), verified_deal: true, peer: "p".to_owned() };
    for payload in 0..10u8 {
        let when = NOW + u64::from(payload);
        store.keep_reports(&source, &[payload], std::slice::from_ref(&report), when).await.expect("kept");
    }
    // Each answer is two rows: itself, and its report.
    assert_eq!(store.prune_reports_to(8).await.expect("pruned"), 6);
    assert_eq!(store.prune_reports_to(8).await.expect("pruned"), 0);
    let keys: Vec<Vec<u8>> = (0..10u8).map(|payload| vec![payload]).collect();
    assert_eq!(store.reports(&keys).await.expect("read").len(), 4);
    assert_eq!(store.asked(&keys).await.expect("read").len(), 4);
    assert_eq!(store.reports_of_pieces(&[piece(1)]).await.expect("read")[&piece(1)].len(), 4);
}
