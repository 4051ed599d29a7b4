//! What clients pay: near what the cheapest provider asks, whatever the most is that they would pay.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::path::Path;

use lota_api::{JobDetail, NodeInfo, OpenedJob, TermsRequest};
use lota_bridge::memory::{Chain, ManualClock};
use lota_market::{
    AttoFil,
    model::{Reason, Status},
    money::FIL,
};
use lota_node::NodeConfig;
use lota_tests::{
    programs,
    world::{self, FUNDS, Party, asking, chain_at, spec},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// What the cheapest provider asks, and the others.
const ASK: AttoFil = AttoFil(1_500_000_000_000_000);
const DEARER: AttoFil = AttoFil(ASK.0 / 4 * 5);
const DEAREST: AttoFil = AttoFil(90 * FIL);

/// A client as it is without settings of its own.
async fn client(chain: &Chain, home: &Path) -> Party {
    let config = NodeConfig { terms: TermsRequest::default(), ..world::config("client", home) };
    Party::start(chain, 1, config).await
}

async fn open(client: &Party, spec: &Value, terms: Value) -> OpenedJob {
    client.post("/v1/jobs", &json!({ "spec": spec, "terms": terms })).await.expect("the job is opened")
}

fn settled_price(detail: &JobDetail) -> AttoFil {
    assert_eq!((detail.summary.status, detail.summary.reason), (Status::Settled, Reason::Unreviewed), "{detail:#?}");
    detail.summary.price.expect("it has a price")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_competitive_market_is_paid_near_its_ask_at_any_limit() {
    let (home, clock) = (TempDir::new().expect("a folder"), ManualClock::at(world::BEGINNING));
    let chain = chain_at(&clock);
    let mut providers = Vec::new();
    for (number, ask) in [(2, ASK), (3, DEARER), (4, DEAREST)] {
        providers.push(Party::provider(&chain, number, home.path(), asking(ask)).await);
    }
    let client = client(&chain, home.path()).await;
    client.knows(4).await;
    let spec = spec(&client.add(&programs::says("x", 0)).await);
    let mut spent = 0;
    for limit in [FIL / 500, FIL, 200 * FIL, 1_000_000 * FIL] {
        for late in [0, 6] {
            let terms = json!({ "max_price": limit.to_string() });
            let free = chain.balance(client.address);
            let opened = open(&client, &spec, terms).await;
            clock.advance(late);
            let offer = opened.offer.expect("the first request of its kind");
            let known = if limit > DEAREST.0 { 3 } else { 2 };
            assert_eq!((offer.limit, offer.providers, offer.lowest_ask), (AttoFil(limit), known, Some(ASK)));
            assert_eq!(offer.min_price, ASK);
            assert_eq!(opened.job.max_price, offer.max_price);
            assert!(offer.max_price.0 <= (8 * ASK.0).min(limit), "{offer:?}");
            assert_eq!(offer.from_wallet, offer.max_price.saturating_sub(free));
            let highest = if limit > DEAREST.0 { DEAREST } else { DEARER };
            let far = limit > 10 * highest.0;
            assert_eq!(offer.warnings.iter().any(|text| text.contains("far above")), far, "{offer:?}");
            let price = settled_price(&client.wait(&opened.job).await);
            assert!(price >= ASK && price.0 <= 2 * ASK.0, "{price} with a limit of {} FIL", limit / FIL);
            assert!(late > 0 || price == ASK, "{price} with a limit of {} FIL", limit / FIL);
            spent += price.0;
        }
    }
    assert_eq!(client.money().await, AttoFil(FUNDS.0 - spent));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_names_the_ramp_gets_it_and_is_warned_where_it_is_dear() {
    let (home, clock) = (TempDir::new().expect("a folder"), ManualClock::at(world::BEGINNING));
    let chain = chain_at(&clock);
    let _provider = Party::provider(&chain, 2, home.path(), asking(ASK)).await;
    let client = client(&chain, home.path()).await;
    client.knows(2).await;
    let spec = spec(&client.add(&programs::says("x", 0)).await);
    let opened = open(&client, &spec, json!({ "max_price": (90 * FIL).to_string(), "ramp_period": 30 })).await;
    let offer = opened.offer.expect("an offer");
    assert_eq!((offer.min_price, offer.max_price, offer.ramp_period), (AttoFil::ZERO, AttoFil(90 * FIL), 30));
    assert_eq!(offer.from_wallet, AttoFil(90 * FIL));
    assert!(offer.warnings[0].starts_with("the price rises by 3 FIL each second"), "{offer:?}");
    clock.advance(1);
    assert_eq!(settled_price(&client.wait(&opened.job).await), AttoFil(3 * FIL));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_more_fuel_than_fits_the_wall_limit_is_told_at_once() {
    let (home, clock) = (TempDir::new().expect("a folder"), ManualClock::at(world::BEGINNING));
    let chain = chain_at(&clock);
    let client = client(&chain, home.path()).await;
    let modest = spec(&client.add(&programs::says("x", 0)).await);
    let mut greedy = modest.clone();
    (greedy["limits"]["fuel"], greedy["limits"]["wall"]) = (json!(1_000_000_000_000_u64), json!(2));
    let warned = async |spec: &Value| {
        let opened = open(&client, spec, json!({})).await;
        opened.offer.expect("the first request of its kind").warnings
    };
    assert_eq!(warned(&modest).await, [""; 0]);
    let told = warned(&greedy).await;
    assert!(
        told[0].contains("28571 s on a slow machine (70000000 units a second), and the wall limit is 2 s"),
        "{told:?}"
    );
    let _provider = Party::provider(&chain, 2, home.path(), asking(ASK)).await;
    client.knows(2).await;
    // Who there is, is looked up once a second.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let told = warned(&greedy).await;
    assert!(
        told[0].starts_with("1000000000000 units of fuel may take ") && told[0].contains("known provider"),
        "{told:?}"
    );
    assert_eq!(warned(&modest).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_provides_says_what_its_jobs_may_take_together() {
    let (home, clock) = (TempDir::new().expect("a folder"), ManualClock::at(world::BEGINNING));
    let chain = chain_at(&clock);
    let provider = Party::provider(&chain, 2, home.path(), asking(ASK)).await;
    let client = client(&chain, home.path()).await;
    let offers = async |party: &Party| party.get::<NodeInfo>("/v1/node").await.expect("the node is shown").offers;
    let offered = offers(&provider).await.expect("it provides");
    assert!(offered.slots > 0 && offered.cpu_millis >= 1_000 && offered.memory_bytes < u64::MAX, "{offered:?}");
    assert_eq!(offers(&client).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_says_it_is_cheap_and_takes_nothing_does_not_hold_the_market_up_for_long() {
    let (home, clock) = (TempDir::new().expect("a folder"), ManualClock::at(world::BEGINNING));
    let chain = chain_at(&clock);
    let cheap = Party::provider(&chain, 2, home.path(), asking(AttoFil(1_000_000_000))).await;
    // It has no money for any collateral.
    let out = json!({ "amount": (10 * FIL).to_string() });
    let _: Value = cheap.post("/v1/wallet/withdraw", &out).await.expect("it is its money");
    let _dear = Party::provider(&chain, 3, home.path(), asking(ASK)).await;
    let client = client(&chain, home.path()).await;
    client.knows(3).await;
    let spec = spec(&client.add(&programs::says("x", 0)).await);
    let first = open(&client, &spec, json!({})).await;
    assert_eq!(first.job.max_price, AttoFil(2 * ASK.0));
    // Half of the ramp's 90 s, and a little.
    clock.advance(46);
    let price = settled_price(&client.wait(&first.job).await);
    assert!(price >= ASK && price.0 <= 2 * ASK.0, "{price}");
    let second = open(&client, &spec, json!({})).await;
    assert_eq!(second.offer.as_ref().map(|offer| offer.min_price), Some(ASK));
    assert_eq!(settled_price(&client.wait(&second.job).await), ASK);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_ask_is_known_the_price_rises_from_nothing_and_not_to_the_limit() {
    let (home, clock) = (TempDir::new().expect("a folder"), ManualClock::at(world::BEGINNING));
    let chain = chain_at(&clock);
    let client = client(&chain, home.path()).await;
    let spec = spec(&client.add(&programs::says("x", 0)).await);
    let opened = open(&client, &spec, json!({ "max_price": (200 * FIL).to_string() })).await;
    let offer = opened.offer.expect("an offer");
    assert_eq!((offer.providers, offer.lowest_ask, offer.min_price), (0, None, AttoFil::ZERO));
    assert!(offer.max_price < AttoFil(FIL / 10) && offer.ramp_period == 90, "{offer:?}");
    let provider = Party::provider(&chain, 2, home.path(), asking(ASK)).await;
    // A provider with usual prices would take it after two seconds, this one after three.
    clock.advance(3);
    let price = settled_price(&client.wait(&opened.job).await);
    assert!(price >= ASK && price.0 < 2 * ASK.0, "{price}");
    assert_eq!(provider.money().await, AttoFil(FUNDS.0 + price.0));
}
