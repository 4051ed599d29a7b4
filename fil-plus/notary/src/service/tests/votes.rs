//! What notaries sign.

use super::*;

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
