//! What notaries sign.

use axum::{body::Body, http::Request};
use futures::StreamExt as _;
use lota_market::blessing::Command;
use tower::ServiceExt as _;

use super::*;
use crate::{
    desk::Waiting,
    store::{HeldVote, SignedState},
};

/// All that the service tells anybody of a job.
async fn told_of(bench: &Bench, job: JobId) -> String {
    let router = crate::http::router(Arc::clone(&bench.service) as Arc<dyn Desk>, Default::default());
    let mut told = format!("{:?}", bench.told.alerts.lock().expect("alerts"));
    for path in [
        "about".to_owned(),
        "queue?open=true".to_owned(),
        "queue?open=false".to_owned(),
        format!("jobs/{job}"),
        format!("jobs/{job}/output"),
        format!("jobs/{job}/attestation"),
        "audit-log?from=1&limit=200".to_owned(),
        "audit-log/export".to_owned(),
    ] {
        let request = Request::get(format!("/api/v1/{path}")).body(Body::empty()).expect("a request");
        let response = router.clone().oneshot(request).await.expect("an answer");
        assert!(matches!(response.status().as_u16(), 200 | 409), "{path}: {}", response.status());
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.expect("a body");
        assert!(!bytes.is_empty(), "{path}");
        told.push_str(&String::from_utf8_lossy(&bytes));
    }
    told.to_lowercase()
}

/// Whether half of a signature is in a text: who has one half and the vote, has the other.
fn holds(text: &str, vote: &SignedVote) -> bool {
    vote.signature.chunks(32).take(2).any(|half| text.contains(&hex::encode(half)))
}

#[tokio::test]
async fn nobody_sees_a_signature_before_it_is_released() {
    let bench = Bench::new(Settings { two_approvals_from: Some(U256::from(100)), ..settings() }).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let router = crate::http::router(Arc::clone(&bench.service) as Arc<dyn Desk>, Default::default());
    let listen = Request::get("/api/v1/changes").body(Body::empty()).expect("a request");
    let mut changes = router.clone().oneshot(listen).await.expect("an answer").into_body().into_data_stream();
    let vote = bench.sign(job, Choice::Approve, &notary(1)).await.expect("a paper");
    let post = Request::post("/api/v1/votes").header("content-type", "application/json");
    let post = post.body(Body::from(serde_json::to_vec(&vote).expect("JSON"))).expect("a request");
    let answer = router.oneshot(post).await.expect("an answer");
    let answer = axum::body::to_bytes(answer.into_body(), 1 << 20).await.expect("a body");
    let mut told = String::from_utf8_lossy(&answer).to_lowercase();
    assert!(told.contains("\"held\""), "{told}");
    bench.turn().await;
    told.push_str(&told_of(&bench, job).await);
    while let Ok(Some(event)) = tokio::time::timeout(Duration::from_millis(50), changes.next()).await {
        told.push_str(&String::from_utf8_lossy(&event.expect("bytes")));
    }
    assert!(told.contains("event: change") && told.contains("needsvote"), "{told}");
    assert!(told.contains(&vote.notary.to_string().to_lowercase()), "that it signed is no secret");
    assert!(!holds(&told, &vote), "{told}");
    let digest = hex::encode(lota_content::sha2_256(&vote.signature));
    assert!(told.contains(&digest), "which it was can be shown later");
    let shown = |vote: &SignedVote| {
        bench
            .twin
            .tried()
            .iter()
            .any(|command| matches!(command, Command::VoteSigned { signature, .. } if *signature == vote.signature))
    };
    assert!(!shown(&vote), "nor does a chain's node");

    // Once another has signed, both go out, and are told.
    let second = bench.sign(job, Choice::Approve, &notary(2)).await.expect("a paper");
    assert!(matches!(bench.service.vote(&second).await.expect("taken").state, VoteState::Landed { .. }));
    bench.turn().await;
    assert_eq!(bench.twin.phase(job), Phase::Blessed);
    let told = told_of(&bench, job).await;
    assert!(holds(&told, &vote) && holds(&told, &second), "{told}");
}

#[tokio::test]
async fn a_vote_that_was_replaced_is_not_taken_again() {
    let bench = Bench::new(Settings { two_approvals_from: Some(U256::from(100)), ..settings() }).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let wallet = notary(1);
    let first = bench.sign(job, Choice::Approve, &wallet).await.expect("a paper");
    assert_eq!(bench.service.vote(&first).await.expect("taken").state, VoteState::Held);
    let on_second_thoughts = |vote: &SignedVote, text: &str| {
        let (vote, text) = (vote.clone(), text.to_owned());
        let bench = &bench;
        let wallet = &wallet;
        async move {
            let paper = Desk::ballot_paper(&*bench.service, job, vote.choice, &text, vote.notary).await?;
            let signature = eip712::sign(wallet, &paper.digest).expect("signed");
            Ok::<_, DeskError>(SignedVote { text, signature, ..vote })
        }
    };
    let second = on_second_thoughts(&first, "it is fine, but for the licence").await.expect("a paper");
    assert_eq!(bench.service.vote(&second).await.expect("taken").state, VoteState::Held);
    // Whoever kept the first one brings it again, as it is and written in another way (EIP-2098, 64 bytes).
    let mut short = first.signature[..64].to_vec();
    short[32] |= (first.signature[64] - 27) << 7;
    for signature in [first.signature.clone(), short.into()] {
        let again = bench.service.vote(&SignedVote { signature, ..first.clone() }).await;
        assert!(matches!(&again, Err(DeskError::Refused(why)) if why.contains("replaced")), "{again:?}");
    }
    let kept = bench.service.store.votes(job).await.expect("read");
    assert_eq!((kept.len(), kept[0].reasons), (1, ballot::reasons_digest(&second.text)));
    // Nor is it offered for a signature, which would be the same one; with another reason it is.
    let paper = bench.sign(job, Choice::Approve, &wallet).await;
    assert!(matches!(&paper, Err(DeskError::Refused(why)) if why.contains("another reason")), "{paper:?}");
    let third = on_second_thoughts(&first, "the licence was added").await.expect("a paper");
    assert_eq!(bench.service.vote(&third).await.expect("taken").state, VoteState::Held);

    // A rejection in its place goes out at once; what was held before it does not come back when that is undone.
    let block = bench.twin.block();
    let rejection = bench.sign(job, Choice::Reject, &wallet).await.expect("a paper");
    assert!(matches!(bench.service.vote(&rejection).await.expect("taken").state, VoteState::Landed { .. }));
    for old in [&first, &second, &third] {
        assert!(matches!(bench.service.vote(old).await, Err(DeskError::Refused(_))));
    }
    bench.twin.undo(block);
    bench.hear().await;
    bench.vote(job, Choice::Approve, 2).await.expect("held");
    for old in [&first, &second, &third] {
        assert!(matches!(bench.service.vote(old).await, Err(DeskError::Refused(_))));
    }
    bench.turn().await;
    let dossier = bench.service.dossier(job).await.expect("known");
    assert_eq!((dossier.approvals, dossier.against), (0, 1));
}

#[tokio::test]
async fn signatures_that_only_the_chain_can_judge_hold_up_no_wallet() {
    let bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let good = bench.sign(job, Choice::Approve, &notary(1)).await.expect("a paper");
    bench
        .twin
        .stall(|command| matches!(command, Command::VoteSigned { signature, .. } if signature.first() == Some(&0xee)));
    let garbage = SignedVote { signature: vec![0xee; 65].into(), ..good.clone() };
    let crowd: Vec<_> = (0..10)
        .map(|_| {
            let (service, garbage) = (Arc::clone(&bench.service), garbage.clone());
            tokio::spawn(async move { service.vote(&garbage).await })
        })
        .collect();
    while bench.twin.tried().iter().filter(|command| matches!(command, Command::VoteSigned { .. })).count() < 2 {
        tokio::task::yield_now().await;
    }
    // Were they in its way, this would never end.
    let taken = tokio::time::timeout(Duration::from_secs(60), bench.service.vote(&good)).await.expect("not held up");
    assert!(matches!(taken.expect("taken").state, VoteState::Landed { .. }));
    let asked = bench.twin.tried().iter().filter(|command| matches!(command, Command::VoteSigned { .. })).count();
    assert_eq!(asked, 3, "of the garbage, no more than two are asked of the chain at once");
    for vote in crowd {
        vote.abort();
    }
}

#[tokio::test]
async fn a_vote_that_somebody_else_sent_first_is_sent_again_when_that_is_undone() {
    let mut bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.turn().await;
    // From here on, blocks may be undone.
    bench.depth = 100;
    let bench = bench;
    let signed = bench.sign(job, Choice::Approve, &notary(1)).await.expect("a paper");
    let nomination = bench.service.dossier(job).await.expect("known").nomination.expect("it runs");
    let own = |number, choice, text: &str| {
        let (nomination, reasons) = (Box::new(nomination.clone()), ballot::reasons_digest(text));
        let account = notary(number).address();
        bench.twin.bless(account, AttoFil::ZERO, Command::Vote { nomination, choice, reasons });
    };
    let to_send = |vote: &SignedVote| HeldVote {
        job,
        round: 1,
        notary: vote.notary,
        choice: vote.choice,
        version: vote.version,
        reasons: ballot::reasons_digest(&vote.text),
        signature: vote.signature.clone(),
        at: Time(1),
        state: SignedState::ToSend,
    };
    let keep = async |vote: &SignedVote| {
        let note = bench.service.note_of("test", "signed", job, json!({}));
        bench.service.store.keep_vote(&to_send(vote), &vote.text, vec![], note, (&[], &[])).await.expect("kept");
    };
    let states = async || {
        let votes = bench.service.store.votes(job).await.expect("read");
        votes.into_iter().map(|vote| vote.state).collect::<Vec<_>>()
    };
    // It is in a block, and the service has not heard of that.
    let block = bench.twin.block();
    keep(&signed).await;
    own(1, Choice::Approve, &signed.text);
    let before = bench.twin.submitted();
    bench.service.votes_due().await.expect("sent");
    assert_eq!((states().await, bench.twin.submitted()), (vec![SignedState::ToSend], before));
    // That block is undone.
    bench.twin.undo(block);
    bench.twin.pass(100);
    bench.turn().await;
    assert_eq!(bench.twin.submitted(), before + 1);
    assert_eq!(bench.service.dossier(job).await.expect("known").approvals, 1);

    // Whose notary voted otherwise meanwhile is void once that is final, and not before.
    let other = bench.sign(job, Choice::Approve, &notary(2)).await.expect("a paper");
    keep(&other).await;
    own(2, Choice::Reject, "no");
    bench.service.votes_due().await.expect("sent");
    bench.twin.pass(100);
    bench.turn().await;
    assert!(!states().await.iter().any(|state| matches!(state, SignedState::Refused { .. })), "{:?}", states().await);
    let bench = Bench { depth: 0, ..bench };
    bench.twin.pass(100);
    bench.turn().await;
    let votes = bench.service.store.votes(job).await.expect("read");
    let states: Vec<_> = votes.iter().map(|vote| (vote.notary, &vote.state)).collect();
    assert_eq!(states.len(), 2);
    for (notary, state) in states {
        assert_eq!(notary == other.notary, matches!(state, SignedState::Refused { .. }), "{state:?}");
        assert_eq!(notary == signed.notary, *state == SignedState::Done, "{state:?}");
    }
}

#[tokio::test]
async fn above_a_threshold_the_first_approval_is_held() {
    let mut bench = Bench::new(Settings { two_approvals_from: Some(U256::from(100)), ..settings() }).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let first = bench.vote(job, Choice::Approve, 1).await.expect("taken");
    assert_eq!((first.state, bench.twin.submitted()), (VoteState::Held, 1));
    bench.kill().await;
    bench.work().await;
    assert_eq!(bench.twin.submitted(), 1, "it is held still");
    assert_eq!(bench.kinds(), [AlertKind::Nominated, AlertKind::NeedsVote]);
    // A rejection goes at once.
    bench.vote(job, Choice::Reject, 3).await.expect("taken");
    bench.hear().await;
    assert_eq!(bench.service.dossier(job).await.expect("known").against, 1);
    let second = bench.vote(job, Choice::Approve, 2).await.expect("taken");
    assert!(matches!(second.state, VoteState::Landed { .. }), "{second:?}");
    bench.turn().await;
    assert_eq!(bench.twin.phase(job), Phase::Blessed);
}

#[tokio::test]
async fn a_held_vote_of_a_notary_that_was_removed_is_void() {
    let bench = Bench::new(Settings { two_approvals_from: Some(U256::from(1)), ..settings() }).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let old = bench.sign(job, Choice::Approve, &notary(1)).await.expect("a paper");
    bench.vote(job, Choice::Approve, 2).await.expect("held");
    bench.twin.set_notaries(&[2, 3, 4]);
    bench.turn().await;
    let error = bench.service.vote(&old).await.expect_err("of an older set").to_string();
    assert!(error.contains("version 1") && error.contains("2"), "{error}");
    let removed = bench.sign(job, Choice::Approve, &notary(1)).await.expect_err("removed").to_string();
    assert!(removed.contains("not a notary"), "{removed}");
    let votes = bench.service.dossier(job).await.expect("known").votes;
    assert!(matches!(&votes[0].state, VoteState::Refused { why } if why.contains("sign again")), "{votes:?}");
    // Who is still one signs again, and it counts.
    assert_eq!(bench.vote(job, Choice::Approve, 2).await.expect("held").state, VoteState::Held);
    bench.vote(job, Choice::Approve, 4).await.expect("sent");
    bench.turn().await;
    assert_eq!(bench.twin.phase(job), Phase::Blessed);
}

#[tokio::test]
async fn replayed_and_foreign_signatures_are_refused_and_the_same_one_counts_once() {
    let bench = Bench::new(settings()).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let wallet = notary(1);
    let good = bench.sign(job, Choice::Approve, &wallet).await.expect("a paper");
    let nomination = bench.service.dossier(job).await.expect("known").nomination.expect("it runs");
    let reasons = ballot::reasons_digest(&good.text);
    let foreign = |chain_id, contract, choice, reasons, version| {
        let what = Signed::Vote { nomination: &nomination, choice, reasons, version };
        let digest = signed_digest(&BlessingRef { chain_id, contract }, &what);
        SignedVote { signature: eip712::sign(&wallet, &digest).expect("signed"), ..good.clone() }
    };
    let (approve, version) = (Choice::Approve, good.version);
    let wrong = [
        ("another chain", foreign(1, BLESSING, approve, reasons, version)),
        ("another contract", foreign(CHAIN, MARKET, approve, reasons, version)),
        ("another choice", foreign(CHAIN, BLESSING, Choice::Reject, reasons, version)),
        ("another reason", SignedVote { text: "I was paid".into(), ..good.clone() }),
        ("another version", foreign(CHAIN, BLESSING, approve, reasons, version + 1)),
        ("another's", SignedVote { notary: notary(2).address(), ..good.clone() }),
        ("another round", SignedVote { round: 2, ..good.clone() }),
        ("another set", SignedVote { version: version + 1, ..good.clone() }),
        ("nobody's", SignedVote { notary: Address::repeat_byte(1), ..good.clone() }),
        ("a flipped bit", {
            let mut bytes = good.signature.to_vec();
            bytes[3] ^= 1;
            SignedVote { signature: bytes.into(), ..good.clone() }
        }),
    ];
    for (what, vote) in wrong {
        let outcome = bench.service.vote(&vote).await;
        assert!(matches!(outcome, Err(DeskError::Refused(_))), "{what}: {outcome:?}");
    }
    for (what, vote) in [
        ("no signature", SignedVote { signature: Default::default(), ..good.clone() }),
        ("a huge one", SignedVote { signature: vec![1; 9_000].into(), ..good.clone() }),
        ("no reason", SignedVote { text: " \n".into(), ..good.clone() }),
        ("a long one", SignedVote { text: "x".repeat(5_000), ..good.clone() }),
    ] {
        assert!(matches!(bench.service.vote(&vote).await, Err(DeskError::Invalid(_))), "{what}");
    }
    let unknown = SignedVote { job: JobId(B256::ZERO), ..good.clone() };
    assert!(matches!(bench.service.vote(&unknown).await, Err(DeskError::NotFound(_))));
    assert_eq!(bench.twin.submitted(), 1, "nothing of that was sent");
    assert_eq!(bench.service.store.votes(job).await.expect("read"), [], "nor kept");

    for _ in 0..3 {
        assert!(matches!(
            bench.service.vote(&good).await.expect("taken").state,
            VoteState::Landed { .. } | VoteState::Sending
        ));
    }
    bench.hear().await;
    assert!(matches!(bench.service.vote(&good).await.expect("taken").state, VoteState::Landed { .. }));
    assert_eq!(bench.twin.submitted(), 2, "it was sent once");
    let twice = bench.sign(job, Choice::Reject, &wallet).await.expect_err("voted").to_string();
    assert!(twice.contains("has voted"), "{twice}");
}

#[tokio::test]
async fn a_party_may_not_vote_and_is_told_so_before_it_signs() {
    let bench = Bench::new(settings()).await;
    bench.twin.set_notaries(&[1, 2, 5]);
    let recipient = notary(5).address();
    let register = lota_market::blessing::Command::Register {
        granter: GRANTER,
        recipient: recipient.to_vec().into(),
        share_rate: U256::ZERO,
        max_share: AttoFil::ZERO,
    };
    bench.twin.bless(PROVIDER, AttoFil::ZERO, register);
    let job = bench.twin.settle();
    bench.turn().await;
    let error = bench.sign(job, Choice::Approve, &notary(5)).await.expect_err("a party").to_string();
    assert!(error.contains("is a party"), "{error}");
    let early = bench.sign(job, Choice::Revoke, &notary(1)).await.expect_err("not blessed").to_string();
    assert!(early.contains("Nominated"), "{early}");
    bench.twin.pass(1_001);
    bench.hear().await;
    assert!(matches!(bench.sign(job, Choice::Approve, &notary(1)).await, Err(DeskError::Refused(_))), "too late");
}

#[tokio::test]
async fn what_was_asked_for_and_how_it_was_decided_stay_known() {
    let bench = Bench::new(settings()).await;
    let (granted, revoked) = (bench.twin.settle(), bench.twin.settle());
    bench.turn().await;
    for job in [granted, revoked] {
        for number in 1..=2 {
            bench.vote(job, Choice::Approve, number).await.expect("taken");
        }
    }
    bench.hear().await;
    let dossier = bench.service.dossier(granted).await.expect("known");
    assert_eq!((dossier.stage, dossier.approvals, dossier.revocations), (Stage::Blessed, 2, 0));
    assert!(dossier.voters.is_empty(), "who approved may revoke");
    bench.vote(revoked, Choice::Revoke, 1).await.expect("taken");
    bench.hear().await;
    let dossier = bench.service.dossier(revoked).await.expect("known");
    assert_eq!((dossier.approvals, dossier.revocations, dossier.voters), (2, 1, vec![notary(1).address()]));
    bench.vote(revoked, Choice::Revoke, 2).await.expect("taken");
    bench.twin.pass(101);
    bench.turn().await;
    for (job, stage, revocations) in [(granted, Stage::Granted, 0), (revoked, Stage::Ended(End::Revoked), 2)] {
        let dossier = bench.service.dossier(job).await.expect("known");
        assert_eq!((dossier.stage, dossier.approvals, dossier.revocations), (stage, 2, revocations));
        assert_eq!(dossier.nomination.expect("it was nominated").amount, U256::from(100));
    }
}

#[tokio::test]
async fn the_queue_tells_apart_what_a_notary_can_decide() {
    let bench = Bench::new(settings()).await;
    let (one, two) = (bench.twin.settle(), bench.twin.settle());
    bench.hear().await;
    let page = async |waiting, voter: Option<u8>| {
        let voter = voter.map(|number| notary(number).address());
        let page = bench.service.queue(&QueueFilter { waiting, voter, ..all() }).await.expect("a page");
        let mut jobs: Vec<JobId> = page.entries.iter().map(|entry| entry.job).collect();
        assert_eq!(jobs.len() as u64, page.total, "{waiting:?}");
        jobs.sort();
        (jobs, page.counts)
    };
    let mut both = vec![one, two];
    both.sort();
    assert_eq!(page(Some(Waiting::Gathering), None).await.0, both);
    assert_eq!(page(Some(Waiting::ToDecide), Some(1)).await.0, []);
    bench.turn().await;
    assert_eq!(page(Some(Waiting::Gathering), None).await.0, []);
    assert_eq!(page(Some(Waiting::ToDecide), Some(1)).await.0, both);
    bench.vote(one, Choice::Approve, 1).await.expect("taken");
    // Before its block is read, too: it is on its way.
    for _ in 0..2 {
        assert_eq!(page(Some(Waiting::ToDecide), Some(1)).await.0, [two]);
        let (voted, counts) = page(Some(Waiting::Voted), Some(1)).await;
        assert_eq!((voted, counts.to_decide, counts.voted, counts.all), (vec![one], 1, 1, 2));
        assert_eq!(page(Some(Waiting::ToDecide), Some(2)).await.0, both);
        bench.hear().await;
    }
    bench.vote(one, Choice::Approve, 2).await.expect("taken");
    bench.hear().await;
    assert_eq!(bench.stage(one).await, Stage::Blessed);
    assert_eq!(page(Some(Waiting::ToDecide), Some(2)).await.0, [two], "who blessed it is not asked again");
    assert_eq!(page(Some(Waiting::ToDecide), Some(3)).await.0, both, "others may revoke it");
    bench.twin.pass(101);
    bench.hear().await;
    assert_eq!(page(Some(Waiting::ToDecide), Some(3)).await.0, [two]);
    assert_eq!(page(None, None).await.0, both);

    let dossier = bench.service.dossier(two).await.expect("known");
    assert!(
        dossier.piece.is_some_and(|piece| piece.starts_with("bafkzci")),
        "the piece that it found is the nominated one"
    );
    for (search, found) in [
        (two.to_string().to_uppercase().replace("0X", "0x"), vec![two]),
        (format!(" {:#x}", PROVIDER), both.clone()),
        (dossier.job.client.to_string()[..12].to_owned(), both),
        ("%".to_owned(), vec![]),
    ] {
        let page = bench.service.queue(&QueueFilter { search: search.clone(), ..all() }).await.expect("a page");
        let mut jobs: Vec<JobId> = page.entries.iter().map(|entry| entry.job).collect();
        jobs.sort();
        assert_eq!((jobs, page.counts.all), (found.clone(), found.len() as u64), "{search}");
        assert!(page.entries.iter().all(|entry| entry.runs.is_some()), "{search}");
    }
}

#[tokio::test]
async fn two_approvals_are_asked_for_by_each_granter_s_own_amount() {
    let other = lota_market::Address::repeat_byte(0x77);
    for (of, held) in [
        (vec![], false),
        (vec![(other, U256::from(1))], false),
        (vec![(GRANTER, U256::from(100))], true),
        (vec![(GRANTER, U256::from(101))], false),
    ] {
        let two_approvals_of = of.iter().copied().collect();
        let bench =
            Bench::new(Settings { two_approvals_from: Some(U256::from(500)), two_approvals_of, ..settings() }).await;
        let job = bench.twin.settle();
        bench.turn().await;
        let vote = bench.vote(job, Choice::Approve, 1).await.expect("taken");
        assert_eq!(vote.state == VoteState::Held, held, "{of:?}");
        let about = bench.service.about().await.expect("read");
        let own = of.iter().find(|(granter, _)| *granter == GRANTER).map_or(U256::from(500), |(_, amount)| *amount);
        assert_eq!(
            (about.granters[0].two_approvals_from, about.two_approvals_from),
            (Some(own), Some(U256::from(500)))
        );
    }
}

#[tokio::test]
async fn alerts_lead_to_the_job_s_page() {
    for page in [None, Some("https://notary.example".to_owned())] {
        let bench = Bench::new(Settings { page: page.clone(), ..settings() }).await;
        let job = bench.twin.settle();
        bench.turn().await;
        bench.work().await;
        let alerts = bench.told.alerts.lock().expect("alerts").clone();
        let [alert] = &alerts[..] else { panic!("{alerts:?}") };
        let link = page.map(|page| format!("{page}/jobs/{job}"));
        assert_eq!(alert.details["page"].as_str(), link.as_deref());
        assert_eq!(alert.text.contains("/jobs/"), link.is_some(), "{}", alert.text);
        assert!(link.is_none_or(|link| alert.text.ends_with(&format!(". {link}"))), "{}", alert.text);
    }
}
