//! Storing on Filecoin, with providers and chains that behave, and with ones that do not.

mod contracts;
mod place;

use axum::http::Method;
use lota_content::{CarImportOptions, ImportOptions, Store, StoreOptions, car_import, import_bytes};

use self::place::{Fault, PAYEE, SERVICE};
pub(crate) use self::place::{Mining, Place};
use super::*;
use crate::publisher::tests::content;

/// One that stores there.
pub(crate) fn publisher(place: &Place, url: &str) -> Filecoin {
    let payer = place.inner().payer;
    let options = FilecoinOptions {
        provider: url.to_owned(),
        payee: PAYEE,
        rpc: format!("{url}/rpc"),
        service: SERVICE,
        payer,
        signer: place.signer.clone(),
    };
    Filecoin::new(options).expect("URLs")
}

/// One of a process that began after all that happened.
pub(crate) fn restarted(mut filecoin: Filecoin) -> Filecoin {
    filecoin.started += 10;
    filecoin
}

/// What came of it, as the background table goes about it.
struct Outcome {
    last: Result<Published, PublishError>,
    receipt: Option<String>,
    /// What went wrong on the way.
    problems: Vec<String>,
}

/// Asks again and again, until it is stored or given up, or nothing more happens.
async fn drive(filecoin: &Filecoin, content: &Content, mut receipt: Option<String>) -> Outcome {
    let mut problems = Vec::new();
    let mut last = Err(PublishError::Temporary("not asked".to_owned()));
    for _ in 0..40 {
        last = filecoin.publish(content, receipt.as_deref()).await;
        match &last {
            Ok(published) => {
                receipt = published.receipt.clone();
                if published.progress == Progress::Pinned {
                    break;
                }
            }
            Err(PublishError::Refused(_)) => break,
            Err(error) => {
                if matches!(error, PublishError::GivenUp(_)) {
                    receipt = None;
                }
                problems.push(error.to_string());
            }
        }
    }
    Outcome { last, receipt, problems }
}

fn is_stored(outcome: &Outcome) -> bool {
    outcome.last.as_ref().is_ok_and(|published| published.progress == Progress::Pinned)
}

fn no_violations(place: &Place) {
    assert_eq!(place.inner().violations, Vec::<String>::new());
}

#[tokio::test]
async fn outputs_become_pieces_of_one_data_set() {
    let (folder, first) = content();
    let other = import_bytes(&first.store, &[7; 5_000], &ImportOptions::default()).expect("imported").cid;
    let second = Content { cid: other, name: "lota/0x02".to_owned(), ..first.clone() };
    let place = Place::new();
    let url = place.serve().await;
    let filecoin = publisher(&place, &url);
    for (content, id) in [(&first, 0), (&second, 1)] {
        let outcome = drive(&filecoin, content, None).await;
        assert!(is_stored(&outcome), "{:?} {:?}", outcome.last, outcome.problems);
        assert_eq!(outcome.problems, Vec::<String>::new());
        let receipt = outcome.receipt.expect("a receipt");
        assert!(receipt.len() <= 500, "{receipt}");
        let piece = commitment(content).await.expect("a CAR");
        assert_eq!(detail(&receipt), Some(format!("piece {id} of data set 1; {}", piece.v2())));
        assert_eq!(place.pieces()[id], (piece, content.cid.to_string()));
    }
    assert_eq!(place.inner().transactions, 2);
    no_violations(&place);

    // What the provider has is the output, by its CAR.
    let cid = place.pieces()[0].0.v2().to_string();
    let bytes = place.inner().stored[&cid].clone();
    let there = Store::open(folder.path().join("there"), StoreOptions::default()).expect("a store");
    let imported = car_import(&there, &bytes[..], &CarImportOptions::default()).await.expect("a CAR");
    assert_eq!(imported.roots, [first.cid]);
}

#[tokio::test]
async fn a_process_that_forgot_pays_for_nothing_twice() {
    let (_folder, content) = content();
    let place = Place::new();
    let url = place.serve().await;
    let mut receipts = Vec::new();
    // Each of these knows nothing of the one before; none sees the chain move before it has sent the piece.
    place.inner().mining = Mining::Never;
    for _ in 0..3 {
        let filecoin = publisher(&place, &url);
        let uploaded = filecoin.publish(&content, None).await.expect("uploaded");
        receipts.push(filecoin.publish(&content, uploaded.receipt.as_deref()).await.expect("sent").receipt);
    }
    assert_eq!(place.inner().transactions, 3);
    place.inner().mining = Mining::Soon;
    let filecoin = publisher(&place, &url);
    for receipt in receipts {
        assert!(is_stored(&drive(&filecoin, &content, receipt).await));
    }
    assert!(is_stored(&drive(&filecoin, &content, None).await), "a receipt is found again on the chain");
    assert_eq!(place.pieces().len(), 1);
    assert_eq!(place.inner().data_sets.len(), 1);
    assert_eq!(place.inner().transactions, 3);
    no_violations(&place);
}

#[tokio::test]
async fn whatever_fails_once_only_delays() {
    let steps = [
        (Method::POST, "/pdp/piece"),
        (Method::PUT, "/pdp/piece/upload/"),
        (Method::GET, "/pdp/piece?"),
        (Method::POST, "/pdp/data-sets/create-and-add"),
        (Method::GET, "/pdp/data-sets/created/"),
    ];
    let (_folder, content) = content();
    for (method, path) in &steps {
        for fault in [Fault::Status(503), Fault::Status(429), Fault::Status(404), Fault::Hang, Fault::LosesAnswer] {
            let place = Place::new();
            place.inner().faults.push((method.clone(), path, fault));
            place.inner().mining = Mining::Never;
            let mut filecoin = publisher(&place, &place.serve().await);
            filecoin.provider.server.silence = Duration::from_millis(300);
            let mut receipt = None;
            // Up to the look at the transaction; then the chain goes on.
            for _ in 0..6 {
                if let Ok(published) = filecoin.publish(&content, receipt.as_deref()).await {
                    receipt = published.receipt;
                }
            }
            assert!(place.inner().faults.is_empty(), "{method} {path} {fault:?} was not met");
            place.inner().mining = Mining::Soon;
            let outcome = drive(&filecoin, &content, receipt).await;
            assert!(is_stored(&outcome), "{method} {path} {fault:?}: {:?} {:?}", outcome.last, outcome.problems);
            assert_eq!(place.pieces().len(), 1, "{method} {path} {fault:?}");
            no_violations(&place);
        }
    }
}

#[tokio::test]
async fn lies_about_the_piece_are_told_as_such() {
    const OTHER: &str = r#"{"pieceCid":"bafkzcibcaabdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy"}"#;
    let (_folder, content) = content();
    for (method, path) in [(Method::POST, "/pdp/piece"), (Method::GET, "/pdp/piece?")] {
        for (lie, problem) in [(OTHER, "answered about `bafkzcibcaab"), ("<html>", "is not understood")] {
            let place = Place::new();
            place.inner().faults.push((method.clone(), path, Fault::Says(lie)));
            let filecoin = publisher(&place, &place.serve().await);
            let outcome = drive(&filecoin, &content, None).await;
            assert!(outcome.problems[0].contains(problem), "{:?}", outcome.problems);
            assert!(is_stored(&outcome), "an honest answer later is believed");
        }
    }
}

#[tokio::test]
async fn what_never_lands_is_sent_some_times_and_then_said_to_have_failed() {
    let (_folder, content) = content();
    for (mining, why) in [
        (Mining::Never, "did not land in time"),
        (Mining::Claimed, "did not land in time"),
        (Mining::Reverting, "was rejected by the chain"),
    ] {
        let place = Place::new();
        place.inner().mining = mining;
        let url = place.serve().await;
        let mut filecoin = publisher(&place, &url);
        filecoin.patience = 0;
        let outcome = drive(&filecoin, &content, None).await;
        let Err(PublishError::Refused(reason)) = &outcome.last else { panic!("{mining:?}: {:?}", outcome.last) };
        assert!(reason.contains("came to nothing 5 times") && reason.contains(why), "{reason}");
        assert_eq!(place.inner().transactions, u64::from(TRIES), "{mining:?}");
        assert!(detail(outcome.receipt.as_deref().expect("a receipt")).expect("ours").contains("try 5"));

        // The next process tries again, and the chain takes it.
        place.inner().mining = Mining::Soon;
        let filecoin = restarted(publisher(&place, &url));
        let outcome = drive(&filecoin, &content, outcome.receipt).await;
        assert!(is_stored(&outcome), "{mining:?}: {:?}", outcome.last);
        assert_eq!(place.pieces().len(), 1, "{mining:?}");
        no_violations(&place);
    }
}

#[tokio::test]
async fn a_provider_that_loses_the_upload_is_given_it_again() {
    let (_folder, content) = content();
    let place = Place::new();
    let mut filecoin = publisher(&place, &place.serve().await);
    let uploaded = filecoin.publish(&content, None).await.expect("uploaded");
    place.inner().stored.clear();
    let waits = filecoin.publish(&content, uploaded.receipt.as_deref()).await.expect("it may be preparing it");
    assert_eq!(waits, uploaded);
    filecoin.patience = 0;
    let error = filecoin.publish(&content, uploaded.receipt.as_deref()).await.expect_err("too long");
    assert!(matches!(&error, PublishError::GivenUp(reason) if reason.contains("does not have the piece")), "{error}");
    filecoin.patience = 600;
    assert!(is_stored(&drive(&filecoin, &content, None).await));
}

#[tokio::test]
async fn nothing_is_uploaded_before_the_payer_can_pay_and_the_session_key_sign() {
    let (_folder, content) = content();
    let place = Place::new();
    let filecoin = publisher(&place, &place.serve().await);
    let refused = async |part: &str| {
        let error = filecoin.publish(&content, None).await.expect_err("not ready");
        assert!(matches!(&error, PublishError::Temporary(reason) if reason.contains(part)), "{error}");
        assert!(place.inner().stored.is_empty());
    };
    place.inner().authorised_until = 1_000;
    refused("may not sign `CreateDataSet`").await;
    place.inner().authorised_until = 0;
    refused("its leave is not given").await;
    place.inner().authorised_until = u64::MAX;
    place.inner().is_approved = false;
    refused("`setOperatorApproval`").await;
    place.inner().is_approved = true;
    place.inner().lockup_period = 86_399;
    refused("for 86399 epochs at most, needed are").await;
    place.inner().lockup_period = 86_400;
    // An epoch costs 1 for the data set and less than 1 for the bytes: 2 each, for 86,400 epochs, beside fees of 1,515.
    place.inner().funds = 2 * 86_400 + 1_515 + 22;
    refused("`deposit`").await;
    place.inner().funds = 1_000_000;
    assert!(is_stored(&drive(&filecoin, &content, None).await));
    no_violations(&place);
}

#[tokio::test]
async fn only_what_is_final_counts_as_stored() {
    let (_folder, content) = content();
    let place = Place::new();
    place.inner().is_final_at_once = false;
    let filecoin = publisher(&place, &place.serve().await);
    let outcome = drive(&filecoin, &content, None).await;
    assert_eq!(outcome.last.as_ref().map(|published| published.progress), Ok(Progress::Pinning));
    assert!(detail(outcome.receipt.as_deref().expect("a receipt")).expect("ours").contains("not final yet"));

    // The chain undoes it: it is added again, once.
    place.inner().nonces.clear();
    place.inner().data_sets.clear();
    let outcome = drive(&filecoin, &content, outcome.receipt).await;
    assert_eq!(outcome.last.as_ref().map(|published| published.progress), Ok(Progress::Pinning));
    place.inner().is_final_at_once = true;
    let outcome = drive(&filecoin, &content, outcome.receipt).await;
    assert!(is_stored(&outcome), "{:?} {:?}", outcome.last, outcome.problems);
    assert_eq!(place.pieces().len(), 1);
    no_violations(&place);
}

#[tokio::test]
async fn what_is_forgotten_is_removed_by_a_signature() {
    let (_folder, content) = content();
    let place = Place::new();
    let filecoin = publisher(&place, &place.serve().await);
    filecoin.withdraw(&content.cid, None).await.expect("nothing was asked for");
    let receipt = drive(&filecoin, &content, None).await.receipt;
    place.inner().faults.push((Method::DELETE, "/pdp/", Fault::Status(503)));
    assert!(matches!(filecoin.withdraw(&content.cid, receipt.as_deref()).await, Err(PublishError::Temporary(_))));
    assert_eq!(place.pieces().len(), 1);
    filecoin.withdraw(&content.cid, receipt.as_deref()).await.expect("removed");
    assert_eq!(place.pieces().len(), 0);
    no_violations(&place);

    let underway = Place::new();
    underway.inner().mining = Mining::Never;
    let mut filecoin = publisher(&underway, &underway.serve().await);
    let uploaded = filecoin.publish(&content, None).await.expect("uploaded");
    let sent = filecoin.publish(&content, uploaded.receipt.as_deref()).await.expect("sent").receipt;
    let error = filecoin.withdraw(&content.cid, sent.as_deref()).await.expect_err("it may land");
    assert!(error.to_string().contains("may still be added"), "{error}");
    filecoin.patience = 0;
    filecoin.withdraw(&content.cid, sent.as_deref()).await.expect("it did not");
}

#[tokio::test]
async fn a_provider_that_says_that_it_removed_a_piece_is_not_believed() {
    let (_folder, content) = content();
    let place = Place::new();
    let filecoin = publisher(&place, &place.serve().await);
    let receipt = drive(&filecoin, &content, None).await.receipt;
    for lie in [Fault::Says("{}"), Fault::Status(404)] {
        place.inner().faults.push((Method::DELETE, "/pdp/", lie));
        let error = filecoin.withdraw(&content.cid, receipt.as_deref()).await.expect_err("it is still there");
        assert!(matches!(&error, PublishError::Temporary(why) if why.contains("not on chain yet")), "{error}");
        assert!(place.inner().faults.is_empty());
    }
    // What is removed with the next proving period is paid for no longer.
    place.inner().scheduled.push((1, 0));
    filecoin.withdraw(&content.cid, receipt.as_deref()).await.expect("it goes");
    place.inner().scheduled = vec![(1, 7), (2, 0)];
    filecoin.withdraw(&content.cid, receipt.as_deref()).await.expect("an honest provider removes it");
    assert_eq!(place.pieces().len(), 0);
    filecoin.withdraw(&content.cid, receipt.as_deref()).await.expect("it is gone");
    no_violations(&place);
}

#[tokio::test]
async fn what_may_land_yet_is_not_forgotten() {
    let (_folder, content) = content();
    let place = Place::new();
    place.inner().is_final_at_once = false;
    let filecoin = publisher(&place, &place.serve().await);
    let waits = async |receipt: &Receipt| {
        let error = filecoin.withdraw(&content.cid, Some(&receipt.encode())).await.expect_err("it may land");
        assert!(error.to_string().contains("may still be added"), "{error}");
    };
    let uploaded = filecoin.publish(&content, None).await.expect("uploaded").receipt.expect("a receipt");
    let uploaded = Receipt::parse(&uploaded).expect("ours");
    waits(&uploaded).await;
    // The answer is lost: what was signed may land.
    let lost = Fault::LosesAnswer;
    place.inner().mining = Mining::Never;
    place.inner().faults.push((Method::POST, "/pdp/data-sets/create-and-add", lost));
    filecoin.publish(&content, Some(&uploaded.encode())).await.expect_err("the answer is lost");
    assert_eq!(place.inner().transactions, 1);
    waits(&uploaded).await;
    let with = |stage| Receipt { stage, ..uploaded.clone() };
    filecoin.withdraw(&content.cid, Some(&with(Stage::Uploaded { since: 0 }).encode())).await.expect("too long ago");
    // Nothing is sent before it is noted that it may have been.
    let noted = filecoin.publish(&content, Some(&with(Stage::Uploaded { since: 0 }).encode())).await.expect("noted");
    assert_eq!(place.inner().transactions, 1);
    waits(&Receipt::parse(&noted.receipt.expect("a receipt")).expect("ours")).await;

    // The chain undoes what was stored.
    place.inner().mining = Mining::Soon;
    let stored = drive(&filecoin, &content, Some(uploaded.encode())).await.receipt.expect("a receipt");
    let stored = Receipt::parse(&stored).expect("ours");
    assert!(matches!(stored.stage, Stage::Stored { .. }), "{stored:?}");
    place.inner().nonces.clear();
    place.inner().data_sets.clear();
    waits(&stored).await;
    let Stage::Stored { data_set, id, .. } = stored.stage else { unreachable!() };
    let long_ago = with(Stage::Stored { data_set, id, is_final: false, since: 0 });
    filecoin.withdraw(&content.cid, Some(&long_ago.encode())).await.expect("it did not");
}

#[tokio::test]
async fn a_data_set_that_has_ended_is_followed_by_another() {
    let (_folder, first) = content();
    let other = import_bytes(&first.store, &[7; 5_000], &ImportOptions::default()).expect("imported").cid;
    let second = Content { cid: other, name: "lota/0x02".to_owned(), ..first.clone() };
    let third = Content { name: "lota/0x03".to_owned(), ..second.clone() };
    for is_deleted in [false, true] {
        let place = Place::new();
        let url = place.serve().await;
        let filecoin = publisher(&place, &url);
        let receipt = drive(&filecoin, &first, None).await.receipt;
        let look = filecoin.publish(&first, receipt.as_deref()).await.expect("it is there");
        assert_eq!(look.progress, Progress::Pinned);
        // What was uploaded meanwhile goes into the next one.
        let uploaded = filecoin.publish(&second, None).await.expect("uploaded").receipt;
        let why = if is_deleted {
            place.delete(1);
            "data set 1 has ended"
        } else {
            place.terminate(1);
            "data set 1 ends with epoch 86"
        };
        let gone = filecoin.publish(&first, receipt.as_deref()).await.expect_err("it is gone");
        assert!(matches!(&gone, PublishError::GivenUp(told) if told.contains(why)), "{gone}");
        filecoin.withdraw(&first.cid, receipt.as_deref()).await.expect("it ends by itself");
        let again = [(&first, None), (&second, uploaded), (&third, None)];
        for (id, (content, receipt)) in again.into_iter().enumerate() {
            let outcome = drive(&filecoin, content, receipt).await;
            assert!(is_stored(&outcome), "{:?} {:?}", outcome.last, outcome.problems);
            let told = detail(outcome.receipt.as_deref().expect("a receipt")).expect("ours");
            assert!(told.starts_with(&format!("piece {id} of data set 2; ")), "{told}");
            filecoin.publish(content, outcome.receipt.as_deref()).await.expect("it is there");
        }
        // A process that knows nothing of that finds the same, and can have it removed.
        let outcome = drive(&publisher(&place, &url), &third, None).await;
        assert!(is_stored(&outcome), "{:?} {:?}", outcome.last, outcome.problems);
        filecoin.withdraw(&third.cid, outcome.receipt.as_deref()).await.expect("removed");
        assert!(place.inner().data_sets[&2].pieces[2].is_none());
        assert_eq!(place.inner().data_sets.len(), 2);
        assert_eq!(place.inner().transactions, 4);
        no_violations(&place);
    }
}

#[tokio::test]
async fn a_piece_that_somebody_removed_is_added_anew() {
    let (_folder, content) = content();
    let place = Place::new();
    let filecoin = publisher(&place, &place.serve().await);
    let mut receipt = drive(&filecoin, &content, None).await.receipt;
    for id in 0..3 {
        place.inner().data_sets.get_mut(&1).expect("a data set").pieces[id] = None;
        let gone = filecoin.publish(&content, receipt.as_deref()).await.expect_err("it is gone");
        let why = format!("it is not stored any longer: piece {id} of data set 1 was removed");
        assert_eq!(gone, PublishError::GivenUp(why));
        let outcome = drive(&filecoin, &content, None).await;
        assert!(is_stored(&outcome), "{:?} {:?}", outcome.last, outcome.problems);
        receipt = outcome.receipt;
    }
    assert_eq!((place.pieces().len(), place.inner().transactions), (1, 4));
    no_violations(&place);
}

#[tokio::test]
async fn a_data_set_that_not_all_nodes_of_the_chain_know_has_not_ended() {
    let (_folder, content) = content();
    let place = Place::new();
    place.inner().is_final_at_once = false;
    let filecoin = publisher(&place, &place.serve().await);
    let uploaded = filecoin.publish(&content, None).await.expect("uploaded").receipt;
    let number = filecoin.number(0).await.expect("a number");
    place.inner().nonces.insert(number, U256::from(7));
    assert_eq!(filecoin.data_set().await, Ok((number, Some(7))), "it is there, and not known everywhere");
    let waits = filecoin.publish(&content, uploaded.as_deref()).await.expect_err("the provider does not know it");
    assert!(matches!(waits, PublishError::Temporary(_)), "{waits}");
    assert_eq!(place.inner().transactions, 0);
}

#[tokio::test]
async fn a_refusal_is_final_and_says_why() {
    let (_folder, content) = content();
    for code in [400, 401, 413, 307] {
        let place = Place::new();
        place.inner().faults.push((Method::POST, "/pdp/piece", Fault::Status(code)));
        let filecoin = publisher(&place, &place.serve().await);
        let error = filecoin.publish(&content, None).await.expect_err("refused");
        assert!(matches!(&error, PublishError::Refused(reason) if reason.contains(&code.to_string())), "{error}");
    }
    let tiny = import_bytes(&content.store, b"x", &ImportOptions::default()).expect("imported").cid;
    let place = Place::new();
    let filecoin = publisher(&place, &place.serve().await);
    let error = filecoin.publish(&Content { cid: tiny, ..content }, None).await.expect_err("too small");
    assert!(matches!(&error, PublishError::Refused(reason) if reason.contains("must have 127")), "{error}");
}

#[test]
fn receipts_of_no_version_are_begun_anew() {
    for text in [
        "",
        "{}",
        "null",
        r#"{"piece":"bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi","nonce":"0x1","stage":"uploaded","since":1}"#,
    ] {
        assert_eq!(Receipt::parse(text), None, "{text}");
    }
}
