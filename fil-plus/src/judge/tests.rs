use lota_content::piece::{PieceCid, PieceCommitment, PieceRoot};

use super::*;
use crate::fact::Fact;

const NOW: u64 = 1_000_000;

fn piece() -> PieceRoot {
    PieceRoot::new([3; 32]).expect("a piece")
}

fn row(id: u64, origin: i64) -> ClaimRow {
    let fact = Fact {
        kind: Kind::Claim,
        id,
        as_of: 100,
        removed: false,
        term_max: 1_000_000,
        term_min: 100,
        start: 10,
        piece: piece(),
        provider: 1_000,
        client: 2_000,
        size_log2: 35,
        sector: 4,
    };
    ClaimRow { fact, origin, seen: 7, gone_by: None }
}

fn with(mut row: ClaimRow, change: impl Fn(&mut ClaimRow)) -> ClaimRow {
    change(&mut row);
    row
}

fn report(verified_deal: bool) -> ReportRow {
    ReportRow { piece: piece(), source: "index i".to_owned(), peer: "p".to_owned(), verified_deal, seen: 5 }
}

/// What is answered about the piece (or a payload in it) when chain nodes 1 and 2 say this; of node 2 all was read if so.
fn answer(subject: &Subject, rows: Vec<ClaimRow>, reports: &[ReportRow], complete: bool) -> Answer {
    let witness =
        |name: &str, complete| Witness { name: name.to_owned(), genesis_time: Some(0), complete, ..Witness::default() };
    let witnesses = HashMap::from([(1, witness("one", None)), (2, witness("two", complete.then_some(150)))]);
    let known = Known {
        witnesses: &witnesses,
        claims: &HashMap::from([(piece(), rows)]),
        reports: reports.iter().collect(),
        listed: Vec::new(),
        caveats: Vec::new(),
        shown: 10,
        now: NOW,
    };
    judge("x", subject, &known)
}

fn of_piece(rows: Vec<ClaimRow>) -> Answer {
    answer(&Subject::Piece(PieceCid::V1(piece())), rows, &[], false)
}

fn payload() -> Subject {
    Subject::parse("bafybeieiy62xj7i62t57wzf2eusjj6ff3je5pihd2nbpu27fwtj4h4v2by").expect("a CID")
}

#[test]
fn a_claim_verifies_until_it_ends() {
    let verified = of_piece(vec![row(1, 1), row(1, 2)]);
    assert_eq!(verified.certainty, Certainty::Verified);
    let claim = &verified.claims[0];
    assert_eq!((claim.id, claim.provider.as_str(), claim.client.as_str()), (1, "f01000", "f02000"));
    assert_eq!((claim.sources.join(" "), claim.over_at, claim.size), ("one two".to_owned(), 1_000_010, 1 << 35));

    type Change = fn(&mut ClaimRow);
    let endings: [(ClaimState, Change); 3] = [
        (ClaimState::Expired, |row| row.fact.term_max = 1_000),
        (ClaimState::Removed, |row| row.fact.removed = true),
        (ClaimState::Vanished, |row| row.gone_by = Some(120)),
    ];
    for (state, change) in endings {
        let ended = of_piece(vec![with(row(1, 1), change)]);
        assert_eq!((ended.certainty, ended.claims[0].state), (Certainty::Ended, state));
        assert!(ended.reason.contains("1 claim that ended"), "{}", ended.reason);
        let beside = of_piece(vec![with(row(1, 1), change), row(2, 1)]);
        assert_eq!(beside.certainty, Certainty::Verified);
        assert_eq!(beside.claims.iter().map(|claim| claim.id).collect::<Vec<_>>(), [2, 1]);
    }
}

#[test]
fn a_word_is_as_young_as_the_events_that_would_have_ended_it() {
    let said = |followed: Option<(u64, u64)>, kind: Kind| {
        let witness = Witness { genesis_time: Some(1_000), followed, ..Witness::default() };
        said_at(&with(row(1, 1), |row| row.fact.kind = kind), &witness)
    };
    // It is of epoch 100.
    assert_eq!(said(None, Kind::Claim), Some(4_000));
    assert_eq!(said(Some((100, 200)), Kind::Claim), Some(7_000));
    assert_eq!(said(Some((101, 200)), Kind::Claim), Some(4_000), "it may have been removed before");
    assert_eq!(said(Some((10, 90)), Kind::Claim), Some(4_000));
    assert_eq!(said(Some((10, 200)), Kind::Allocation), Some(4_000), "no event tells of allocations");
    assert_eq!(said_at(&row(1, 1), &Witness::default()), None);

    let answer = of_piece(vec![row(1, 1), with(row(1, 2), |row| row.fact.as_of = 90)]);
    assert_eq!((answer.as_of, answer.age), (Some(timestamp(3_000)), Some(NOW - 3_000)));
    let ended = of_piece(vec![with(row(1, 1), |row| row.fact.removed = true)]);
    assert_eq!(ended.as_of, Some(timestamp(3_000)));
    assert_eq!(of_piece(vec![]).as_of, None);
}

#[test]
fn the_newest_word_about_a_claim_holds_whoever_says_it() {
    let removed = with(row(1, 2), |row| (row.fact.as_of, row.fact.removed) = (110, true));
    assert_eq!(of_piece(vec![row(1, 1), removed]).certainty, Certainty::Ended);
    let gone = with(row(1, 2), |row| (row.fact.as_of, row.gone_by) = (90, Some(120)));
    assert_eq!(of_piece(vec![row(1, 1), gone]).certainty, Certainty::Ended);
    let older = with(row(1, 2), |row| (row.fact.as_of, row.gone_by) = (80, Some(90)));
    assert_eq!(of_piece(vec![row(1, 1), older]).certainty, Certainty::Verified);
}

#[test]
fn chain_nodes_that_disagree_are_shown() {
    let other = with(row(1, 2), |row| row.fact.provider = 9_999);
    let disputed = of_piece(vec![row(1, 1), other.clone()]);
    assert_eq!(disputed.certainty, Certainty::Contradicted);
    assert_eq!(disputed.claims[0].state, ClaimState::Disputed);
    assert!(disputed.contradictions[0].contains("disagree"), "{:?}", disputed.contradictions);
    // Another claim, which nobody disputes, is enough; what is wrong with the first one is still said.
    let beside = of_piece(vec![row(1, 1), other, row(2, 1)]);
    assert_eq!((beside.certainty, beside.contradictions.len()), (Certainty::Verified, 1));
}

#[test]
fn a_node_that_read_everything_contradicts_one_that_knows_more() {
    let subject = Subject::Piece(PieceCid::V1(piece()));
    let alone = answer(&subject, vec![row(1, 1)], &[], true);
    assert_eq!(alone.certainty, Certainty::Contradicted);
    assert!(alone.contradictions[0].contains("two, all of whose claims were read, has not"));
    let later = with(row(1, 1), |row| row.fact.as_of = 200);
    assert_eq!(answer(&subject, vec![later], &[], true).certainty, Certainty::Verified);
    assert_eq!(answer(&subject, vec![row(1, 1), row(1, 2)], &[], true).certainty, Certainty::Verified);
}

#[test]
fn a_size_in_the_cid_must_be_that_of_the_claim() {
    let of_size = |size_log2: u32| {
        let unpadded = (1_u64 << size_log2) / 128 * 127;
        Subject::Piece(PieceCid::V2(PieceCommitment::new(piece(), unpadded).expect("not too large")))
    };
    assert_eq!(answer(&of_size(35), vec![row(1, 1)], &[], false).certainty, Certainty::Verified);
    let wrong = answer(&of_size(34), vec![row(1, 1)], &[], false);
    assert_eq!((wrong.certainty, wrong.claims[0].state), (Certainty::Contradicted, ClaimState::Disputed));
}

#[test]
fn an_index_alone_is_only_self_reported_and_may_be_contradicted() {
    let nothing = |reports: &[ReportRow], complete| answer(&payload(), Vec::new(), reports, complete);
    assert_eq!(nothing(&[report(true)], false).certainty, Certainty::SelfReported);
    assert_eq!(nothing(&[report(false)], false).certainty, Certainty::Unknown);
    let contradicted = nothing(&[report(true)], true);
    assert_eq!(contradicted.certainty, Certainty::Contradicted);
    assert!(contradicted.contradictions[0].contains("index i says"), "{:?}", contradicted.contradictions);
    let confirmed = answer(&payload(), vec![row(1, 1)], &[report(true)], false);
    assert_eq!(confirmed.certainty, Certainty::Verified);
    assert!(confirmed.caveats.iter().any(|caveat| caveat.contains("advertiser's word")));
    let denied = answer(&payload(), vec![row(1, 1)], &[report(false)], false);
    assert_eq!((denied.certainty, denied.contradictions.len()), (Certainty::Verified, 1));
    let ended = answer(&payload(), vec![with(row(1, 1), |row| row.fact.removed = true)], &[report(true)], false);
    assert_eq!((ended.certainty, ended.contradictions.len()), (Certainty::Ended, 1));
}

#[test]
fn an_allocation_is_less_than_a_claim() {
    let allocation = |start| with(row(5, 1), |row| (row.fact.kind, row.fact.start) = (Kind::Allocation, start));
    assert_eq!(of_piece(vec![allocation(2_000_000)]).certainty, Certainty::Allocated);
    assert_eq!(of_piece(vec![allocation(200)]).certainty, Certainty::Unknown);
    let claimed = of_piece(vec![allocation(2_000_000), row(5, 1)]);
    assert_eq!(claimed.certainty, Certainty::Verified);
    assert!(claimed.claims.iter().any(|claim| claim.state == ClaimState::Claimed));
}

#[test]
fn who_is_not_among_the_witnesses_does_not_count() {
    assert_eq!(of_piece(vec![row(1, 3)]).certainty, Certainty::Unknown);
}

#[test]
fn no_more_of_the_evidence_is_shown_than_is_asked_for() {
    let pieces = (1..=30u8).map(|n| PieceRoot::new([n; 32]).expect("a piece"));
    let reports: Vec<ReportRow> = pieces.map(|piece| ReportRow { piece, ..report(true) }).collect();
    let few = answer(&payload(), Vec::new(), &reports[..10], true);
    assert_eq!((few.pieces.len(), few.contradictions.len(), few.more_evidence), (10, 10, false));
    let many = answer(&payload(), Vec::new(), &reports, true);
    assert_eq!((many.pieces.len(), many.contradictions.len(), many.more_evidence), (10, 10, true));
    assert_eq!((many.certainty, many.reports.len()), (Certainty::Contradicted, 10));
}
