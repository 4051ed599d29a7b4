//! Jobs that nobody will take: who waits for one learns of it soon, also if somebody who announced a gateway is gone.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::{net::TcpListener, time::Duration};

use lota_api::{JobDetail, JobSummary};
use lota_bridge::{Transport as _, memory::Chain};
use lota_market::{
    AttoFil,
    agent::{EffectKey, Offer},
    model::{Command, Status},
    money::FIL,
};
use lota_node::NodeConfig;
use lota_tests::{
    programs,
    world::{self, FUNDS, Party, asking, chain, spec},
};
use serde_json::json;
use tempfile::TempDir;

/// A party with this key says that it is there.
async fn announce(chain: &Chain, number: u8, url: String) {
    let party = chain.connect(world::key(number));
    let command = Command::Announce { url };
    party.submit(&EffectKey::named("announce"), &command, AttoFil::ZERO).await.expect("it is announced");
}

/// A provider that stakes nothing, and so takes no job that asks for collateral.
async fn refusing(chain: &Chain, home: &TempDir) -> Party {
    let offer = Offer { max_collateral: AttoFil::ZERO, ..asking(AttoFil(FIL / 1000)) };
    Party::provider(chain, 2, home.path(), offer).await
}

async fn request(client: &Party) -> JobSummary {
    let module = client.add(&programs::says("x", 0)).await;
    client.request(spec(&module), json!({ "lock_for": 3_000 })).await.expect("the job is opened")
}

/// Waits for its end, or until nobody is left who may take it.
async fn wait(client: &Party, job: &JobSummary, silence: u64) -> JobDetail {
    let path = format!("/v1/jobs/{}/wait?timeout=120&refusals=true&silence={silence}", job.id);
    loop {
        let detail: JobDetail = client.get(&path).await.expect("the job is known");
        if detail.refused_by_all || detail.summary.status.is_final() {
            return detail;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_gone_does_not_hold_a_refusal_up() {
    let (home, chain) = (TempDir::new().expect("a folder"), chain(None));
    let _refusing = refusing(&chain, &home).await;
    // One whose gateway is gone, and one whose gateway takes connections and never says a word.
    announce(&chain, 3, "http://127.0.0.1:9".to_owned()).await;
    let mute = TcpListener::bind("127.0.0.1:0").expect("a port");
    announce(&chain, 4, format!("http://{}", mute.local_addr().expect("its address"))).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    client.knows(4).await;
    let job = request(&client).await;
    let begun = std::time::Instant::now();
    let detail = wait(&client, &job, 4).await;
    assert!(begun.elapsed() >= Duration::from_secs(4), "they got their time");
    assert!(detail.refused_by_all && detail.summary.status == Status::Open, "{detail:#?}");
    let mut said: Vec<_> = detail.decisions.iter().map(|decision| decision.decision.to_string()).collect();
    said.sort_unstable();
    assert_eq!(said, ["refused", "silent", "silent"], "{detail:#?}");
    let path = format!("/v1/jobs/{}/cancel", job.id);
    let cancelled: JobSummary = client.post(&path, &json!({})).await.expect("an open job can be cancelled");
    assert_eq!(cancelled.status, Status::Cancelled);
    assert_eq!(client.money().await, FUNDS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_comes_late_still_gets_the_job() {
    let (home, chain) = (TempDir::new().expect("a folder"), chain(None));
    let _refusing = refusing(&chain, &home).await;
    // Until it comes, its gateway takes connections and says nothing.
    let mute = TcpListener::bind("127.0.0.1:0").expect("a port");
    let place = mute.local_addr().expect("its address");
    announce(&chain, 3, format!("http://{place}")).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    client.knows(3).await;
    let job = request(&client).await;
    // All others have refused by then, twice over.
    let late = async {
        tokio::time::sleep(Duration::from_secs(8)).await;
        drop(mute);
        let provider = Some(asking(AttoFil(FIL / 1000)));
        let config = NodeConfig { provider, gateway: place, ..world::config("late", home.path()) };
        let late = Party::start(&chain, 3, config).await;
        late.deposit(AttoFil(10 * FIL)).await;
        late
    };
    let (detail, late) = tokio::join!(wait(&client, &job, 240), late);
    assert_eq!(detail.summary.status, Status::Settled, "{detail:#?}");
    assert_eq!((detail.refused_by_all, detail.summary.provider), (false, Some(late.address)));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_asked_waits_as_long_as_before() {
    let (home, chain) = (TempDir::new().expect("a folder"), chain(None));
    let _refusing = refusing(&chain, &home).await;
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    client.knows(2).await;
    let job = request(&client).await;
    let path = format!("/v1/jobs/{}/wait?timeout=5", job.id);
    let detail: JobDetail = client.get(&path).await.expect("the job is known");
    assert!(!detail.refused_by_all && detail.summary.status == Status::Open, "{detail:#?}");
    assert!(wait(&client, &job, 0).await.refused_by_all);
}
