use super::*;
use crate::answer::SourceState;

const NOW: u64 = 1_800_000_000;
const PIECE: &str = "baga6ea4seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy";
const PIECE_V2: &str = "bafkzcibcaabdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy";
const OTHER: &str = "baga6ea4seaqhb46uour2wtpzlv7jevd3j7rhw2k6tk66igql5yb3wzxv7cvwaoq";
const PAYLOAD: &str = "bafybeieiy62xj7i62t57wzf2eusjj6ff3je5pihd2nbpu27fwtj4h4v2by";

fn claim() -> ClaimEvidence {
    ClaimEvidence {
        kind: "claim".to_owned(),
        id: 7,
        state: ClaimState::Active,
        piece: PIECE.to_owned(),
        size: 128,
        provider: "f01000".to_owned(),
        client: "f02000".to_owned(),
        sector: None,
        term_min: 1,
        term_max: 2,
        term_start: None,
        over_at: 99,
        over_at_time: Some(timestamp(NOW + 1)),
        as_of_epoch: 50,
        sources: vec!["node.example".to_owned()],
        seen: timestamp(0),
    }
}

fn verified(cid: &str) -> Answer {
    Answer {
        cid: cid.to_owned(),
        certainty: Certainty::Verified,
        reason: "1 claim on chain".to_owned(),
        as_of: Some(timestamp(NOW)),
        age: Some(0),
        old: false,
        pieces: vec![PIECE.to_owned()],
        claims: vec![claim()],
        more_claims: false,
        more_evidence: false,
        reports: vec![],
        lists: vec![],
        contradictions: vec![],
        caveats: vec![],
    }
}

fn with(cid: &str, change: impl Fn(&mut Answer)) -> Checked {
    let mut answer = verified(cid);
    change(&mut answer);
    Checked::Answer(Box::new(answer))
}

fn no_cid(cid: &str) -> Checked {
    Checked::Malformed { cid: cid.to_owned(), error: "no CID".to_owned() }
}

fn reply(asked: &[&str], answers: Vec<Checked>) -> Result<Vec<Checked>, ReplyError> {
    let asked: Vec<String> = asked.iter().map(ToString::to_string).collect();
    check(&asked, CheckAnswer { answers, sources: Vec::<SourceState>::new() }, NOW).map(|reply| reply.answers)
}

#[test]
fn a_reply_is_about_what_was_asked_and_in_its_order() {
    let good = |cid| with(cid, |_| {});
    assert_eq!(reply(&[PIECE, PAYLOAD], vec![good(PIECE), good(PAYLOAD)]), Ok(vec![good(PIECE), good(PAYLOAD)]));
    for (answers, wanted) in [
        (vec![], "answered about 0 CIDs of 2"),
        (vec![good(PIECE)], "answered about 1 CIDs of 2"),
        (vec![good(PIECE), good(PIECE)], "answered about baga6"),
        (vec![good(PAYLOAD), good(PIECE)], "was asked about baga6"),
        (vec![good(PIECE), no_cid(PIECE)], "answered about baga6"),
        (vec![good(PIECE), no_cid(PAYLOAD)], "is no CID, and it is one"),
        (vec![good(PIECE), good("\u{1b}[2J")], "answered about \\u{1b}[2J"),
    ] {
        let error = reply(&[PIECE, PAYLOAD], answers).expect_err(wanted).to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[test]
fn what_is_no_cid_is_none_whatever_a_server_says() {
    let long = "x".repeat(300);
    for (text, said) in [
        (format!("{PIECE}a"), with(&format!("{PIECE}a"), |_| {})),
        ("hello".to_owned(), no_cid("hello")),
        (long.clone(), no_cid(&long[..80])),
    ] {
        let found = reply(&[text.as_str()], vec![said]).expect("taken");
        assert!(matches!(&found[0], Checked::Malformed { error, .. } if error.contains("`")), "{found:?}");
    }
}

#[test]
fn verified_needs_a_claim_of_what_was_asked_that_runs() {
    let certainty = |cid: &str, change: &dyn Fn(&mut Answer)| {
        let found = reply(&[cid], vec![with(cid, change)]).expect("taken");
        let Checked::Answer(answer) = &found[0] else { panic!("{found:?}") };
        assert_eq!(answer.certainty == Certainty::Verified, !answer.reason.contains("does not count"), "{answer:?}");
        answer.certainty
    };
    for cid in [PIECE, PIECE_V2, PAYLOAD] {
        assert_eq!(certainty(cid, &|_| {}), Certainty::Verified, "{cid}");
        let lies: [&dyn Fn(&mut Answer); 5] = [
            &|answer| answer.claims.clear(),
            &|answer| answer.claims[0].state = ClaimState::Expired,
            &|answer| answer.claims[0].kind = "allocation".to_owned(),
            &|answer| answer.claims[0].over_at_time = Some(timestamp(NOW)),
            &|answer| answer.claims[0].piece = OTHER.to_owned(),
        ];
        for (number, lie) in lies.into_iter().enumerate() {
            assert_eq!(certainty(cid, lie), Certainty::Unknown, "{cid} {number}");
        }
    }
    assert_eq!(certainty(PIECE_V2, &|answer| answer.claims[0].size = 256), Certainty::Unknown);
    assert_eq!(certainty(PIECE, &|answer| answer.claims[0].size = 256), Certainty::Verified, "it tells no size");
    // Of a payload in many pieces not all are shown.
    let many = |answer: &mut Answer| (answer.pieces, answer.more_evidence) = (vec![OTHER.to_owned()], true);
    assert_eq!(certainty(PAYLOAD, &many), Certainty::Verified);
}

#[test]
fn a_word_is_old_from_its_age_on_and_if_nobody_knows_it() {
    let is_old = |as_of: Option<u64>| {
        let answer = Answer { as_of: as_of.map(timestamp), ..verified(PIECE) };
        answer.rests_on_old_word(60, NOW)
    };
    assert!(!is_old(Some(NOW)) && !is_old(Some(NOW - 60)));
    assert!(is_old(Some(NOW - 61)) && is_old(None));
    let unverified = Answer { certainty: Certainty::Ended, as_of: None, ..verified(PIECE) };
    assert!(!unverified.rests_on_old_word(60, NOW));
}
