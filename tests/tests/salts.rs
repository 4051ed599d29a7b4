//! Which salts a node's jobs get: a lane of its own, of which no number is lost.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::time::Duration;

use lota_api::{JobDetail, JobSummary};
use lota_bridge::memory::Chain;
use lota_market::{
    U256,
    model::{Lane, SALT_WINDOW, Status, lane_of, salt},
};
use lota_tests::{
    programs,
    world::{self, Party, chain, spec},
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// More than anybody has.
const TOO_DEAR: &str = "1000000000000000000000";

async fn lane_and_number(client: &Party, job: &JobSummary) -> (Lane, u64) {
    let detail: JobDetail = client.get(&format!("/v1/jobs/{}", job.id)).await.expect("the job is known");
    lane_of(detail.terms.salt.parse::<U256>().expect("a number"))
}

async fn open(client: &Party, spec: &Value) -> JobSummary {
    client.request(spec.clone(), json!({})).await.expect("the job is opened")
}

fn next(chain: &Chain, client: &Party, lane: Lane) -> U256 {
    chain.next_salt(client.address, lane)
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_fail_leave_their_salts_to_the_next_ones() {
    let (home, chain) = (TempDir::new().expect("a folder"), chain(None));
    let client = Party::start(&chain, 1, world::config("client", home.path())).await;
    let spec = spec(&client.add(&programs::says("x", 0)).await);
    // More than the market's window would hold.
    for _ in 0..SALT_WINDOW + 6 {
        client.request(spec.clone(), json!({ "max_price": TOO_DEAR })).await.expect_err("nobody has that much");
    }
    let mut jobs = Vec::new();
    for number in 0..3 {
        let job = open(&client, &spec).await;
        let (lane, found) = lane_and_number(&client, &job).await;
        assert_eq!(found, number);
        assert_ne!(lane, Lane::ZERO, "that is for tools that keep nothing");
        assert_eq!(next(&chain, &client, lane), salt(lane, number + 1));
        jobs.push(job);
        client.request(spec.clone(), json!({ "max_price": TOO_DEAR })).await.expect_err("nobody has that much");
    }
    // What is undone is opened again, under its salt; what had failed with that salt before stays as it was.
    chain.rewind(3).expect("the log takes it");
    for job in jobs {
        let mut patience = 2_000;
        while chain.deal(job.id).status != Status::Open {
            assert!(patience > 0, "job {} is not opened again", job.id);
            patience -= 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(chain.snapshot().deals().count(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_keeps_its_lane_and_two_nodes_of_one_key_have_two() {
    let (home, chain) = (TempDir::new().expect("a folder"), chain(None));
    let config = |name| world::config(name, home.path());
    let here = Party::start(&chain, 1, config("here")).await;
    let spec = spec(&here.add(&programs::says("x", 0)).await);
    let (lane, number) = lane_and_number(&here, &open(&here, &spec).await).await;
    assert_eq!(number, 0);
    here.node.shutdown().await;

    let here = Party::start(&chain, 1, config("here")).await;
    let there = Party::start(&chain, 1, config("there")).await;
    there.add(&programs::says("x", 0)).await;
    assert_eq!(here.address, there.address);
    // At the same time, and many of them.
    let both = (0..8).map(|_| async { tokio::join!(open(&here, &spec), open(&there, &spec)) });
    let mut lanes = [Vec::new(), Vec::new()];
    for (mine, other) in futures::future::join_all(both).await {
        lanes[0].push(lane_and_number(&here, &mine).await);
        lanes[1].push(lane_and_number(&there, &other).await);
    }
    lanes.iter_mut().for_each(|salts| salts.sort_unstable());
    assert_eq!(lanes[0], (1..9).map(|number| (lane, number)).collect::<Vec<_>>());
    let other = lanes[1][0].0;
    assert_ne!(other, lane);
    assert_eq!(lanes[1], (0..8).map(|number| (other, number)).collect::<Vec<_>>());
}
