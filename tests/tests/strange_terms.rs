//! Jobs that providers do not take: of contracts that open nonsense, and markets with settings of their own.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use lota_api::{JobDetail, Verdict};
use lota_bridge::{SubmitError, Transport as _};
use lota_market::{
    Address, AttoFil, B256, Bytes, U256,
    agent::{EffectKey, Offer},
    model::{Command, Rejection, Settings, SpecCodec, Status, Terms, TermsFault},
    money::FIL,
};
use lota_tests::{
    programs,
    world::{self, Party, asking, chain, spec},
};
use serde_json::json;
use tempfile::TempDir;

fn home() -> TempDir {
    TempDir::new().expect("a temporary folder")
}

/// Terms of a job of the party with key 5, a contract for all that nodes can tell, with a spec in JSON.
async fn strange_terms(chain: &lota_bridge::memory::Chain, salt: u64, spec: &[u8]) -> Terms {
    let transport = chain.connect(world::key(5));
    let now = transport.head().await.expect("the chain is there").time;
    Terms {
        client: transport.party(),
        salt: U256::from(salt),
        spec: B256::from(lota_content::sha2_256(spec)),
        spec_codec: SpecCodec::Json.code(),
        min_price: AttoFil(FIL / 100),
        max_price: AttoFil(FIL / 100),
        ramp_start: now,
        ramp_period: 1,
        lock_by: now.after(6),
        run_for: 60,
        review_for: 0,
        rule_for: 0,
        collateral: AttoFil(FIL / 100),
        matcher: Address::ZERO,
        arbiter: Address::ZERO,
        callback_gas: 0,
        keep_record: false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strange_jobs_of_contracts_are_refused_with_a_reason_and_nothing_is_locked() {
    let (home, chain) = (home(), chain(None));
    let offer = Offer { max_callback_gas: 200_000, ..asking(AttoFil(FIL / 1000)) };
    let provider = Party::provider(&chain, 2, home.path(), offer).await;
    let before = provider.money().await;
    let contract = chain.connect(world::key(5));
    let good = serde_json::to_vec(&spec(&provider.add(&programs::says("x", 0)).await)).expect("JSON");
    let no_spec = br#"{"version":1,"engine":{"type":"none"}}"#.to_vec();
    let terms = |salt, spec: Vec<u8>| {
        let chain = chain.clone();
        async move { (strange_terms(&chain, salt, &spec).await, Bytes::from(spec)) }
    };
    let (mismatched, spec) = terms(0, good.clone()).await;
    let mismatched = Terms { spec: B256::repeat_byte(9), ..mismatched };
    let open = |terms: &Terms, spec: &Bytes| {
        let (key, value) = (EffectKey::named(&format!("open/{}", terms.salt)), terms.max_price);
        let command = Command::Open { terms: terms.clone(), spec: spec.clone() };
        let contract = &contract;
        async move { contract.submit(&key, &command, value).await }
    };
    let refused = open(&mismatched, &spec).await.expect_err("the market compares them");
    assert!(matches!(refused, SubmitError::Rejected(Rejection::SpecMismatch { .. })), "{refused}");

    let (unknown, spec) = terms(1, good.clone()).await;
    let refused = open(&Terms { spec_codec: 0x1234, ..unknown }, &spec).await.expect_err("the market knows its codecs");
    assert_eq!(refused, SubmitError::Rejected(Rejection::BadTerms(TermsFault::SpecCodec)));

    let (called_back, _) = terms(2, good.clone()).await;
    let (invalid, nonsense) = terms(3, no_spec).await;
    let (garbage, noise) = terms(4, vec![0xff; 300]).await;
    let (unheard, _) = terms(5, b"nobody has this".to_vec()).await;
    for (terms, spec, decision, reason) in [
        (
            Terms { callback_gas: 200_001, ..called_back },
            spec,
            Verdict::Refused,
            "the callback may use 200001 gas; this provider, who may have to pay for it, accepts 200000",
        ),
        (invalid, nonsense, Verdict::Refused, "the spec is not valid: "),
        (garbage, noise, Verdict::Refused, "the spec is not valid: "),
        (unheard, Bytes::new(), Verdict::Lost, "the job ended before it was ready (fetch-spec: "),
    ] {
        open(&terms, &spec).await.expect("the market takes it");
        let job = contract.job_id(&terms);
        let begun = std::time::Instant::now();
        let detail = loop {
            assert!(begun.elapsed().as_secs() < 300, "the provider does not say {reason:?}");
            let found: Result<JobDetail, _> = provider.get(&format!("/v1/jobs/{job}")).await;
            if let Ok(detail) = found.as_ref()
                && detail.decisions.first().is_some_and(|found| found.decision == decision)
            {
                break detail.clone();
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        assert!(detail.decisions[0].reason.starts_with(reason), "{:?}", detail.decisions);
        assert_eq!(contract.deal(job).await.expect("the chain is there").status, Status::Open, "{reason}");
    }
    assert_eq!(provider.money().await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_market_with_long_windows_gets_jobs_with_long_windows() {
    let home = home();
    let chain = world::chain_with(Settings { min_window: 500, ..Settings::COIN });
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let module = client.add(&programs::says("x", 0)).await;
    let job =
        client.request(spec(&module), json!({})).await.expect("the defaults are no shorter than the market allows");
    let detail: JobDetail = client.get(&format!("/v1/jobs/{}", job.id)).await.expect("the job is known");
    assert_eq!((detail.terms.run_for, detail.terms.review_for), (500, 0), "nobody reviews it");
}
