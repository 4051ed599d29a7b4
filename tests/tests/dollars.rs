//! A market on a chain whose jobs are paid in a token.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use lota_api::{JobDetail, MarketInfo, WalletInfo};
use lota_bridge::Transport as _;
use lota_market::{
    AttoFil,
    model::{Reason, Status},
    money::FIL,
};
use lota_node::NodeConfig;
use lota_tests::{
    anvil::Anvil,
    programs,
    world::{self, Party, asking, spec},
};
use serde_json::json;
use tempfile::TempDir;

const DOLLAR: u128 = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_paid_in_dollars_from_the_deposit_to_the_withdrawal() {
    let Some(mut anvil) = Anvil::spawn_or_skip().await else { return };
    let dollar = anvil.in_dollars().await;
    let home = TempDir::new().expect("a folder");
    let mut parties = Vec::new();
    for (number, name) in [(1, "client"), (2, "provider"), (3, "poor")] {
        let transport = anvil.connect(world::key(number), &home.path().join(name), AttoFil(FIL)).await;
        let asset = transport.asset();
        assert_eq!((asset.symbol(), asset.decimals()), ("tUSD", 6));
        anvil.mint(dollar, transport.party(), AttoFil(100 * DOLLAR)).await;
        let offer = asking(AttoFil(FIL / 1000)).in_asset(&asset, 1);
        let config = NodeConfig { provider: (number == 2).then_some(offer), ..world::config(name, home.path()) };
        parties.push(Party::with_executors(transport, config, world::executors(1)).await);
    }
    let [client, provider, poor] = &parties[..] else { panic!("three parties") };
    let market: MarketInfo = client.get("/v1/market").await.expect("it is shown");
    assert_eq!((market.asset.symbol(), market.token), ("tUSD", Some(dollar)));

    // Twice: the second deposit finds the leave of the first used up.
    client.deposit(AttoFil(4 * DOLLAR)).await;
    let wallet: WalletInfo = client.deposit(AttoFil(6 * DOLLAR)).await;
    assert_eq!((wallet.market, wallet.token), (AttoFil(10 * DOLLAR), Some(AttoFil(90 * DOLLAR))));
    assert!(wallet.wallet > AttoFil::ZERO && wallet.wallet < AttoFil(FIL), "gas is paid in coins");
    provider.deposit(AttoFil(10 * DOLLAR)).await;
    let too_much = json!({ "amount": (91 * DOLLAR).to_string() });
    let (status, _) = client.post::<WalletInfo>("/v1/wallet/deposit", &too_much).await.expect_err("it has 90");
    assert_eq!(status, 422);

    client.knows(3).await;
    let module = client.add(&programs::says("hello\n", 0)).await;
    // At what is asked: on this chain no time passes without transactions, so no price rises.
    let terms = json!({ "min_price": (DOLLAR / 1000).to_string() });
    let job = client.request(spec(&module), terms).await.expect("the job is opened");
    let detail: JobDetail = client.wait(&job).await;
    assert_eq!((detail.summary.status, detail.summary.reason), (Status::Settled, Reason::Unreviewed), "{detail:#?}");
    let price = detail.summary.price.expect("it has one");
    assert!(price.0 >= DOLLAR / 1000 && price.0 < DOLLAR / 10, "{price:?} units");
    assert_eq!(detail.terms.collateral, AttoFil(DOLLAR / 20), "0.05 of whatever it is paid in");
    let words =
        detail.events.iter().map(|event| event.text.clone()).chain(detail.decisions.into_iter().map(|d| d.reason));
    let words: Vec<String> = words.collect();
    assert!(
        words.iter().any(|text| text.contains("tUSD")) && !words.iter().any(|text| text.contains("FIL")),
        "{words:?}"
    );

    let module = poor.add(&programs::says("x", 0)).await;
    let (status, body) = poor.request(spec(&module), json!({})).await.expect_err("nothing of its is in the market");
    assert_eq!((status, body["code"].as_str()), (422, Some("insufficient_balance")), "{body}");
    assert!(body["message"].as_str().is_some_and(|text| text.contains("has 0 tUSD free in the market")), "{body}");

    let all = json!({ "amount": (10 * DOLLAR + price.0).to_string() });
    let wallet: WalletInfo = provider.post("/v1/wallet/withdraw", &all).await.expect("it is its money");
    assert_eq!((wallet.market, wallet.token), (AttoFil::ZERO, Some(AttoFil(100 * DOLLAR + price.0))));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_jobs_are_auctioned_at_once_in_dollars_and_everybody_has_what_is_due() {
    const OPENING: u64 = 600;
    const LOCK_FOR: u64 = 3_600;
    let Some(mut anvil) = Anvil::spawn_or_skip().await else { return };
    let dollar = anvil.in_dollars().await;
    anvil.with_auction().await;
    let home = TempDir::new().expect("a folder");
    let mut parties = Vec::new();
    for (number, name, asks) in [(1, "client", 0), (2, "cheap", 10), (3, "dear", 20)] {
        let transport = anvil.connect(world::key(number), &home.path().join(name), AttoFil(FIL)).await;
        anvil.mint(dollar, transport.party(), AttoFil(100 * DOLLAR)).await;
        let offer = asking(AttoFil(asks * FIL / 1000)).in_asset(&transport.asset(), 1);
        let config = NodeConfig {
            provider: (number > 1).then_some(offer),
            // What is asked for callbacks does not follow what gas costs.
            callback_margin: 0,
            keep_bid_money: 0,
            ..world::config(name, home.path())
        };
        parties.push(Party::with_executors(transport, config, world::executors(2)).await);
    }
    let [client, cheap, dear] = &parties[..] else { panic!("three parties") };
    client.deposit(AttoFil(10 * DOLLAR)).await;
    client.knows(3).await;
    let terms = json!({ "auction": true, "max_price": (DOLLAR / 10).to_string(), "ramp_period": OPENING, "lock_for": LOCK_FOR });
    let mut jobs = Vec::new();
    for word in ["one", "other"] {
        let module = client.add(&programs::says(word, 0)).await;
        jobs.push(client.request(spec(&module), terms.clone()).await.expect("the job is opened"));
    }
    let opened =
        |job: &JobDetail| job.auction.as_ref().map_or(0, |a| a.bids.iter().filter(|b| b.price.is_some()).count());
    let until = async |what: &str, is_so: &dyn Fn(&JobDetail) -> bool| {
        for job in &jobs {
            let mut looks = 0;
            loop {
                let detail: JobDetail = client.get(&format!("/v1/jobs/{}", job.id)).await.expect("it is there");
                if is_so(&detail) {
                    break;
                }
                looks += 1;
                assert!(looks < 3_000, "{what}: {detail:#?}");
                if looks % 50 == 0 {
                    // What is tried again later waits for the chain's time.
                    anvil.advance(1).await;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        }
    };
    until("both have bid for both", &|job| job.auction.as_ref().is_some_and(|auction| auction.bids.len() == 2)).await;
    anvil.advance(LOCK_FOR - OPENING - 30 + 1).await;
    until("both have opened both bids", &|job| opened(job) == 2).await;
    anvil.advance(OPENING + 1).await;
    let price = AttoFil(DOLLAR / 50);
    for job in &jobs {
        let detail: JobDetail = client.wait(job).await;
        assert_eq!(
            (detail.summary.status, detail.summary.reason),
            (Status::Settled, Reason::Unreviewed),
            "{detail:#?}"
        );
        assert_eq!(
            (detail.summary.provider, detail.summary.price),
            (Some(cheap.address), Some(price)),
            "the second price"
        );
    }
    for (party, due) in [(cheap, 100 * DOLLAR + 2 * price.0), (dear, 100 * DOLLAR)] {
        let mut looks = 0;
        loop {
            let wallet: WalletInfo = party.get("/v1/wallet").await.expect("it is shown");
            let all = wallet.market.0 + wallet.token.expect("a token").0;
            if all == due {
                break;
            }
            looks += 1;
            assert!(looks < 3_000, "it has {all} of {due}, and the rest is in the auction: {wallet:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}
