//! Jobs that are directed to one provider, on real nodes.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use lota_api::{JobDetail, Verdict, Verification};
use lota_market::{
    AttoFil,
    model::{Reason, Status},
    money::FIL,
};
use lota_tests::{
    programs,
    world::{self, FUNDS, Party, asking, chain, spec},
};
use serde_json::json;
use tempfile::TempDir;

const CHEAP: AttoFil = AttoFil(FIL / 1000);
const DEAR: AttoFil = AttoFil(FIL / 500);

async fn parties(home: &TempDir) -> (Party, Party, Party) {
    let chain = chain(None);
    let cheap = Party::provider(&chain, 2, home.path(), asking(CHEAP)).await;
    let dear = Party::provider(&chain, 3, home.path(), asking(DEAR)).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    client.knows(2).await;
    (client, cheap, dear)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_that_is_named_runs_the_job_at_what_it_asks() {
    let home = TempDir::new().expect("a folder");
    let (client, cheap, dear) = parties(&home).await;
    let module = client.add(&programs::says("hello\n", 0)).await;
    let terms = json!({ "provider": dear.address });
    let job = client.request(spec(&module), terms).await.expect("the job is opened");
    assert_eq!((job.verification, job.directed_to), (Verification::Unverified, Some(dear.address)));
    let detail = client.wait(&job).await;
    assert_eq!((detail.summary.status, detail.summary.reason), (Status::Settled, Reason::Unreviewed), "{detail:#?}");
    assert_eq!((detail.summary.provider, detail.summary.price), (Some(dear.address), Some(DEAR)));
    assert_eq!((dear.money().await, cheap.money().await), (AttoFil(FUNDS.0 + DEAR.0), FUNDS));
    let other = detail.decisions.iter().find(|decision| decision.provider == cheap.address).expect("it looked");
    assert_eq!(other.decision, Verdict::Refused);
    assert!(other.reason.starts_with(&format!("the job is directed to {}", dear.address)), "{}", other.reason);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_cannot_run_it_cancels_and_the_escrow_comes_back() {
    let home = TempDir::new().expect("a folder");
    let (client, _cheap, dear) = parties(&home).await;
    let module = client.add(b"this is no module").await;
    let terms = json!({ "provider": dear.address, "lock_for": 3_000 });
    let job = client.request(spec(&module), terms).await.expect("the job is opened");
    let detail = client.wait(&job).await;
    assert_eq!((detail.summary.status, detail.summary.reason), (Status::Cancelled, Reason::Withdrawn), "{detail:#?}");
    assert_eq!(client.money().await, FUNDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_go_with_one_provider_is_refused_with_a_reason() {
    let home = TempDir::new().expect("a folder");
    let (client, cheap, _dear) = parties(&home).await;
    let module = client.add(&programs::says("x", 0)).await;
    let nobody = world::key(9).address();
    for (terms, status, part) in [
        (json!({ "provider": cheap.address, "min_price": "1" }), 422, "min_price says how a price rises"),
        (json!({ "provider": cheap.address, "ramp_period": 5 }), 422, "ramp_period says how a price rises"),
        (json!({ "provider": client.address }), 422, "does not run its own jobs"),
        (json!({ "provider": nobody }), 422, "is not known, as it does not answer; name max_price"),
        (
            json!({ "provider": cheap.address, "max_price": (CHEAP.0 / 2).to_string() }),
            422,
            "would not take the job: the highest price, 0.0005 FIL, is below the 0.001 FIL",
        ),
        (json!({ "provider": cheap.address, "collateral": "0" }), 422, "the job asks for no collateral"),
        (
            json!({ "provider": cheap.address, "run_for": 90_000 }),
            422,
            "a window of 90000 s is longer than the 86400 s",
        ),
    ] {
        let (found, body) = client.request(spec(&module), terms.clone()).await.expect_err("it makes no sense");
        let message = body["message"].as_str().unwrap_or_default();
        assert!(found == status && message.contains(part), "{terms}: {found} {body}");
    }
    // Directed to somebody who is not there, at a price: it waits, and its client cannot cancel it.
    let terms = json!({ "provider": nobody, "max_price": CHEAP.0.to_string(), "lock_for": 2_000 });
    let job = client.request(spec(&module), terms).await.expect("the job is opened");
    let cancelled = client.post::<serde_json::Value>(&format!("/v1/jobs/{}/cancel", job.id), &json!({})).await;
    let (status, body) = cancelled.expect_err("only the provider can");
    assert_eq!(status, 409);
    assert!(body["message"].as_str().is_some_and(|text| text.contains("nobody else can cancel it")), "{body}");
    let detail: JobDetail = client.get(&format!("/v1/jobs/{}", job.id)).await.expect("it is known");
    assert_eq!((detail.terms.min_price, detail.terms.max_price), (CHEAP, CHEAP));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_without_collateral_is_opened_by_wish_and_locked_by_setting() {
    let home = TempDir::new().expect("a folder");
    let chain = chain(None);
    let careful = Party::provider(&chain, 2, home.path(), asking(CHEAP)).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    client.knows(1).await;
    let module = client.add(&programs::says("x", 0)).await;
    let job = client.request(spec(&module), json!({ "collateral": "0" })).await.expect("the wish is explicit");
    // Nobody takes it who did not say so.
    let begun = std::time::Instant::now();
    let refusal = loop {
        assert!(begun.elapsed().as_secs() < 300, "the provider does not say anything");
        let detail: JobDetail = client.get(&format!("/v1/jobs/{}", job.id)).await.expect("it is known");
        if let Some(refused) = detail.decisions.iter().find(|decision| decision.decision == Verdict::Refused) {
            break refused.clone();
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(refusal.provider, careful.address);
    assert!(refusal.reason.contains("node.accept_no_collateral"), "{}", refusal.reason);
    let bold = lota_market::agent::Offer { accept_no_collateral: true, ..asking(CHEAP) };
    let bold = Party::provider(&chain, 3, home.path(), bold).await;
    let detail = client.wait(&job).await;
    assert_eq!((detail.summary.status, detail.summary.provider), (Status::Settled, Some(bold.address)), "{detail:#?}");
    // Unless it is named it is not nothing.
    let job = client.request(spec(&module), json!({})).await.expect("the job is opened");
    let detail: JobDetail = client.get(&format!("/v1/jobs/{}", job.id)).await.expect("it is known");
    assert!(detail.terms.collateral > AttoFil::ZERO);
}
