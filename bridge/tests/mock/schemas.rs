//! Each event and each refusal, as the document has it.

use std::collections::BTreeSet;

use lota_bridge::{SubmitError, mock::protocol::ErrorObject};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256, auction,
    model::{self, Event, JobId, JobResult, Lane, Reason, Status, Terms, TermsFault},
};
use serde_json::{Value, json};

use crate::asyncapi::{document, misfit};

fn events() -> Vec<Event> {
    let (job, account, amount) = (JobId::default(), Address::repeat_byte(0xab), AttoFil(u128::MAX));
    let reason = Reason::NotSubmitted;
    let result = JobResult {
        output: B256::repeat_byte(1),
        exit_code: u32::MAX,
        fuel_used: u64::MAX,
        inline_data: Bytes::from_static(b"x"),
    };
    let terms = Terms {
        client: account,
        salt: U256::MAX,
        spec: B256::repeat_byte(3),
        spec_codec: 0x71,
        min_price: AttoFil::ZERO,
        max_price: amount,
        ramp_start: Time(u64::MAX),
        ramp_period: 1,
        lock_by: Time(0),
        run_for: u32::MAX,
        review_for: 0,
        rule_for: 0,
        collateral: amount,
        matcher: account,
        arbiter: account,
        callback_gas: 7,
        keep_record: true,
    };
    vec![
        Event::Deposited { account, payer: account, amount },
        Event::Withdrawn { account, to: account, amount },
        Event::JobOpened { job, terms, spec: Bytes::new() },
        Event::JobLocked { job, provider: account, payer: account, price: amount },
        Event::ResultSubmitted { job, provider: account, result },
        Event::JobDisputed { job },
        Event::JobSettled { job, provider: account, price: amount, reason },
        Event::JobCancelled { job, reason },
        Event::JobSlashed { job, provider: account, to_client: amount, to_arbiter: amount, to_burn: amount, reason },
        Event::JobVoided { job, provider: account, price: amount, reason },
        Event::CallbackDelivered { job },
        Event::CallbackFailed { job },
        Event::BatchSettled {
            job,
            client: account,
            provider: account,
            salt: U256::MAX,
            price: amount,
            output: B256::ZERO,
            exit_code: 1,
        },
        Event::BatchSkipped { job, why: [0, 1, 2, 255] },
        Event::SaltsRevoked { client: account, lane: Lane::MAX, up_to: u64::MAX },
        Event::SpecPublished { spec: B256::ZERO, data: Bytes::from_static(b"spec") },
        Event::Announced { party: account, url: "https://\u{1f980}.example".into() },
    ]
}

fn auction_events() -> Vec<auction::Event> {
    use auction::Event;
    let (job, account, amount) = (JobId::default(), Address::repeat_byte(0xab), AttoFil(u128::MAX));
    vec![
        Event::Funded { account, payer: account, amount },
        Event::Defunded { account, to: account, amount },
        Event::BidCommitted { job, bidder: account, commitment: B256::ZERO, order: 1 },
        Event::BidRevealed { job, bidder: account, price: amount },
        Event::AuctionAwarded { job, winner: account, price: amount },
        Event::AuctionCancelled { job },
        Event::AuctionReleased { job },
        Event::CommitmentSwept { job, bidder: account },
    ]
}

fn rejections() -> Vec<model::Rejection> {
    use model::Rejection;
    let (job, account, amount, time) = (JobId::default(), Address::repeat_byte(0xab), AttoFil(u128::MAX), Time(7));
    let faults = [
        TermsFault::ZeroClient,
        TermsFault::MaskedId,
        TermsFault::SpecCodec,
        TermsFault::NotWholeQuanta,
        TermsFault::AmountTooLarge,
        TermsFault::PriceOrder,
        TermsFault::ZeroRampPeriod,
        TermsFault::RampStart,
        TermsFault::RunFor,
        TermsFault::ReviewFor,
        TermsFault::RuleFor,
        TermsFault::CallbackGas,
        TermsFault::KeepRecord,
    ];
    let mut all = vec![
        Rejection::Reentered,
        Rejection::WrongAsset(account),
        Rejection::UnknownJob(job),
        Rejection::SaltSpent { client: account, salt: U256::MAX },
        Rejection::SaltTooFar { client: account, salt: U256::MAX, next: U256::ZERO },
        Rejection::WrongState { job, found: Status::Void },
        Rejection::WrongSender { sender: account, wanted: account },
        Rejection::TooEarly { time, from: time },
        Rejection::TooLate { time, until: time },
        Rejection::SpecTooLarge(u64::MAX),
        Rejection::SpecMismatch { found: B256::ZERO, wanted: B256::ZERO },
        Rejection::InvalidProvider,
        Rejection::PriceOutOfRange { price: amount, min_price: amount, max_price: amount },
        Rejection::InlineTooLarge(7),
        Rejection::ReceiptMismatch(job),
        Rejection::UrlTooLarge(7),
        Rejection::TooMany(7),
        Rejection::InvalidRecipient,
        Rejection::WrongChain(7),
        Rejection::BadSignature(account),
        Rejection::InsufficientBalance { account, balance: amount, needed: amount },
        Rejection::TransferFailed(account),
        Rejection::TransferMismatch { asked: amount, moved: amount },
        Rejection::CallbackReverted(job),
    ];
    all.extend(faults.map(Rejection::BadTerms));
    all
}

fn auction_rejections() -> Vec<auction::Rejection> {
    use auction::{AuctionFault, Rejection};
    let (job, bidder) = (JobId::default(), Address::repeat_byte(0xab));
    let mut all = vec![
        Rejection::NotTheMatcher(bidder),
        Rejection::NotOpen { job, found: Status::Open },
        Rejection::AlreadyCommitted { job, bidder },
        Rejection::NoCommitment { job, bidder },
        Rejection::NothingToAward(job),
        Rejection::HasBids(job),
        Rejection::NoAuction(job),
        Rejection::InvalidBidder(bidder),
        Rejection::WrongReveal { job, bidder },
    ];
    all.extend(AuctionFault::ALL.map(Rejection::BadAuction));
    all
}

fn name_of(event: &Value) -> String {
    event.as_object().and_then(|event| event.keys().next()).expect("an event is an object of its name").clone()
}

fn names(document: &Value, schema: &str) -> BTreeSet<String> {
    document["components"]["schemas"][schema]["properties"].as_object().expect("properties").keys().cloned().collect()
}

/// Each event of either contract fits the document, which has no others; without a field, or with another one, it does not.
#[test]
fn every_event_has_the_fields_that_the_document_says() {
    let document = document();
    let json = |event: &Event| serde_json::to_value(event).expect("JSON");
    let of_auction = |event: &auction::Event| serde_json::to_value(event).expect("JSON");
    let both = [
        ("Event", events().iter().map(json).collect::<Vec<_>>()),
        ("AuctionEvent", auction_events().iter().map(of_auction).collect()),
    ];
    for (schema, events) in both {
        assert_eq!(events.iter().map(name_of).collect::<BTreeSet<_>>(), names(&document, schema));
        for event in events {
            assert_eq!(misfit(schema, &event), None, "{event}");
            let name = name_of(&event);
            let fields: Vec<String> = event[&name].as_object().expect("fields").keys().cloned().collect();
            for field in fields {
                let mut less = event.clone();
                less[&name].as_object_mut().expect("fields").remove(&field);
                assert!(misfit(schema, &less).is_some(), "{name} without {field} fits");
                let mut wrong = event.clone();
                wrong[&name][&field] = json!({ "?": 1 });
                assert!(misfit(schema, &wrong).is_some(), "{name} fits whatever {field} is");
            }
            let mut more = event.clone();
            more[&name]["more"] = json!(1);
            assert!(misfit(schema, &more).is_some(), "{name} fits with more");
        }
    }
}

/// Each refusal of either contract has its error, selector and arguments as the document says, and is the same refusal to its reader.
#[test]
fn every_refusal_has_its_error_selector_and_arguments() {
    let document = document();
    let block = Some(12);
    let mut seen = BTreeSet::new();
    let of_market = rejections().into_iter().flat_map(|rejection| {
        let by_auction = auction::Rejection::Market(rejection.clone());
        [
            (rejection.selector(), SubmitError::Rejected { rejection: rejection.clone(), block }),
            (rejection.selector(), SubmitError::RejectedByAuction { rejection: by_auction, block: None }),
        ]
    });
    let of_auction = auction_rejections()
        .into_iter()
        .map(|rejection| (rejection.selector(), SubmitError::RejectedByAuction { rejection, block }));
    for (selector, refusal) in of_market.chain(of_auction) {
        let told = ErrorObject::from(refusal.clone());
        let error = serde_json::to_value(&told).expect("JSON");
        assert_eq!(misfit("Error", &error), None, "{error}");
        let data = &error["data"];
        assert_eq!(data["selector"], format!("0x{:08x}", u32::from_be_bytes(selector)), "{error}");
        seen.insert((data["declared_by"].to_string(), data["error"].to_string()));
        let mut wrong = error.clone();
        wrong["data"]["arguments"] = json!([1]);
        assert!(misfit("Error", &wrong).is_some(), "{wrong}");
        let read: ErrorObject = serde_json::from_value(error).expect("an error");
        assert_eq!(read.into_submit_error(), refusal);
    }
    let wanted: BTreeSet<_> = document["components"]["schemas"]["ContractError"]["oneOf"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|error| &error["properties"])
        .map(|error| (error["declared_by"]["const"].to_string(), error["error"]["const"].to_string()))
        .collect();
    assert_eq!(seen, wanted);
}
