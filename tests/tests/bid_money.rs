//! Money that an operator takes out of the auction by hand, from real nodes.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::{path::Path, time::Duration};

use lota_api::{JobDetail, JobSummary, Resumed, WalletInfo};
use lota_bridge::{
    Reserve, Transport,
    memory::{Chain, ManualClock},
};
use lota_market::{
    AttoFil,
    agent::{EffectKey, Filling},
    model::Status,
    money::FIL,
};
use lota_node::NodeConfig;
use lota_tests::{
    programs,
    world::{self, FUNDS, Party, asking, chain_with_auction, spec},
};
use serde_json::{Value, json};
use tempfile::TempDir;

const ASK: AttoFil = AttoFil(FIL / 50);
/// How long bids are opened, and how long all of it takes, in seconds.
const OPENING: u64 = 20;
const LOCK_FOR: u64 = 90;
/// The most that a job pays, and so the deposit of a bid.
const DEPOSIT: AttoFil = AttoFil(FIL / 10);
const DAY: u64 = 86_400;

fn bidder(home: &Path) -> NodeConfig {
    let config = world::config("provider", home);
    NodeConfig { provider: Some(asking(ASK)), keep_bid_money: DAY, ..config }
}

async fn request(client: &Party) -> JobSummary {
    let spec = spec(&client.add(&programs::says("x", 0)).await);
    let terms = json!({ "auction": true, "max_price": DEPOSIT, "ramp_period": OPENING, "lock_for": LOCK_FOR });
    client.request(spec, terms).await.expect("the job is opened")
}

/// Waits until so many bids for the job are sealed, and so many of them opened.
async fn bids(client: &Party, job: &JobSummary, sealed: usize, opened: usize) {
    for _ in 0..3_000 {
        if let Ok(detail) = client.get::<JobDetail>(&format!("/v1/jobs/{}", job.id)).await {
            let bids = detail.auction.expect("it is auctioned").bids;
            if bids.len() == sealed && bids.iter().filter(|bid| bid.price.is_some()).count() == opened {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the auction of job {} does not get there", job.id);
}

/// Has a job done in an auction.
async fn is_done(client: &Party, job: &JobSummary, clock: &ManualClock) -> JobDetail {
    bids(client, job, 1, 0).await;
    clock.advance(LOCK_FOR - OPENING - 30 + 1);
    bids(client, job, 1, 1).await;
    clock.advance(OPENING);
    client.wait(job).await
}

async fn wallet(party: &Party) -> WalletInfo {
    party.get("/v1/wallet").await.expect("it is shown")
}

/// Waits until the wallet says this of the auction, which must be what the chain says, too.
async fn has_in_auction(chain: &Chain, party: &Party, amount: AttoFil) {
    let on_chain = chain.connect(world::key(9));
    for _ in 0..3_000 {
        let told = wallet(party).await.auction;
        if told == Some(amount) && on_chain.auction_balance(party.address).await == Ok(amount) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(wallet(party).await.auction, Some(amount));
    assert_eq!(on_chain.auction_balance(party.address).await, Ok(amount));
}

async fn take(party: &Party, order: &Value) -> Result<WalletInfo, (u16, Value)> {
    party.post("/v1/wallet/withdraw-bid-money", order).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_taken_out_stays_out_across_restarts_until_the_operator_resumes() {
    let (home, clock) = (TempDir::new().expect("a folder"), ManualClock::at(world::BEGINNING));
    let chain = chain_with_auction(&clock);
    let provider = Party::start(&chain, 2, bidder(home.path())).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    client.knows(2).await;
    let job = request(&client).await;
    bids(&client, &job, 1, 0).await;

    // The deposit of the bid is not free, and it is not in the account any more.
    let (status, error) = take(&provider, &json!({ "amount": DEPOSIT })).await.expect_err("its bid has it");
    assert_eq!((status, &error["code"]), (422, &json!("insufficient_balance")), "{error}");
    let words = error["message"].as_str().unwrap_or_default().to_owned();
    assert!(words.contains("in the auction"), "{error}");
    assert!(wallet(&provider).await.bid_money.is_as_needed(), "what is refused changes nothing");

    let detail = is_done(&client, &job, &clock).await;
    assert_eq!(detail.summary.status, Status::Settled, "{detail:#?}");
    let held = wallet(&provider).await.auction.expect("there is one");
    assert!(held > AttoFil(2), "what the bid left is kept for the next: {held}");
    has_in_auction(&chain, &provider, held).await;

    // Half of it, and with the same key not once more.
    let half = AttoFil(held.0 / 2);
    let order = json!({ "amount": half, "idempotency_key": "rent" });
    let before = wallet(&provider).await.wallet;
    for _ in 0..2 {
        let told = take(&provider, &order).await.expect("it is free");
        assert_eq!((told.auction, told.bid_money), (Some(held.saturating_sub(half)), Filling::Stopped));
        assert_eq!(told.wallet.0, before.0 + half.0, "it came back to where it was");
    }
    let (status, error) =
        take(&provider, &json!({ "amount": 1, "idempotency_key": "rent" })).await.err().unwrap_or_default();
    assert!(status >= 400, "another one: {error}");

    // The next bid would need more than there is.
    provider.node.shutdown().await;
    let provider = Party::start(&chain, 2, bidder(home.path())).await;
    assert_eq!(wallet(&provider).await.bid_money, Filling::Stopped, "it is not forgotten");
    take(&provider, &order).await.expect("it was done");
    has_in_auction(&chain, &provider, held.saturating_sub(half)).await;
    let refused = request(&client).await;
    clock.advance(LOCK_FOR + 30);
    let detail = client.wait(&refused).await;
    assert_eq!(detail.summary.status, Status::Cancelled, "{detail:#?}");
    has_in_auction(&chain, &provider, held.saturating_sub(half)).await;

    let resumed: Resumed = provider.post("/v1/node/resume", &json!({})).await.expect("it resumes");
    assert_eq!((resumed.bid_money, resumed.slashed_for), (Filling::Stopped, None));
    let job = request(&client).await;
    let detail = is_done(&client, &job, &clock).await;
    assert_eq!(detail.summary.status, Status::Settled, "{detail:#?}");
    provider.node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_it_comes_back_also_what_a_bid_still_has() {
    let (home, clock) = (TempDir::new().expect("a folder"), ManualClock::at(world::BEGINNING));
    let chain = chain_with_auction(&clock);
    let provider = Party::start(&chain, 2, bidder(home.path())).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    client.knows(2).await;
    let job = request(&client).await;
    bids(&client, &job, 1, 0).await;
    let told = take(&provider, &json!({ "idempotency_key": "everything" })).await.expect("what is free");
    assert_eq!(told.bid_money, Filling::Emptied);
    let detail = is_done(&client, &job, &clock).await;
    assert_eq!(detail.summary.status, Status::Settled, "its bid was not let down: {detail:#?}");
    has_in_auction(&chain, &provider, AttoFil::ZERO).await;
    let told = take(&provider, &json!({ "idempotency_key": "everything" })).await.expect("it was done");
    assert_eq!(told.auction, Some(AttoFil::ZERO));
    let price = detail.summary.price.expect("it was awarded");
    let all = AttoFil(FUNDS.0 + price.0);
    for _ in 0..3_000 {
        if provider.money().await == all {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(provider.money().await, all);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_wallet_says_of_the_auction_is_what_the_chain_says() {
    let (home, clock) = (TempDir::new().expect("a folder"), ManualClock::at(world::BEGINNING));
    let chain = chain_with_auction(&clock);
    let provider = Party::start(&chain, 2, bidder(home.path())).await;
    assert_eq!(wallet(&provider).await.auction, Some(AttoFil::ZERO));
    // By somebody else with the same key, or this node before it lost its database: its own records say nothing of it.
    let elsewhere = chain.connect(world::key(2));
    let key = EffectKey::named("elsewhere");
    elsewhere.fund_auction(&key, AttoFil(7 * FIL), Reserve::default()).await.expect("it has that");
    assert_eq!(wallet(&provider).await.auction, Some(AttoFil(7 * FIL)));
    let too_much = take(&provider, &json!({ "amount": AttoFil(8 * FIL) })).await.expect_err("there are 7");
    assert!(too_much.1.to_string().contains("only 7 FIL in the auction"), "{too_much:?}");
    let nothing = take(&provider, &json!({ "amount": "0" })).await.expect_err("that is nothing");
    assert!(nothing.1.to_string().contains("nothing to take out"), "{nothing:?}");
    let other = world::key(5).address();
    take(&provider, &json!({ "amount": AttoFil(3 * FIL), "to": other })).await.expect("it is its own");
    assert_eq!(elsewhere.wallet(other).await, Ok(AttoFil(FUNDS.0 + 3 * FIL)));
    let told = take(&provider, &json!({})).await.expect("it is its own");
    assert_eq!((told.auction, told.wallet), (Some(AttoFil::ZERO), AttoFil(FUNDS.0 - 3 * FIL)));

    let plain = world::chain_at(&clock);
    let alone = Party::start(&plain, 3, world::config("alone", home.path())).await;
    let (status, error) = take(&alone, &json!({})).await.expect_err("there is none");
    assert!(status == 422 && error.to_string().contains("uses no auction"), "{status}: {error}");
    assert_eq!(wallet(&alone).await.auction, None);
}
