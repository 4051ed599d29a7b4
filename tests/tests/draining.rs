//! A provider's node that is about to end while the chain, one like Filecoin in virtual time, undoes what it has sent.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::sync::Arc;

use lota_bridge::memory::Weather;
use lota_market::{
    AttoFil,
    agent::{LookAfter, Offer, Pricing},
    model::{Event, JobId, Status},
    money::FIL,
};
use lota_tests::{
    filecoin::{Filecoin, MAX_PRICE},
    world::{FUNDS, Party, spec},
};
use serde_json::{Value, json};

const PROGRAM: &[u8] = include_bytes!("../../examples/wordcount/wordcount.wasm");
/// Epochs without any block.
const NO_BLOCKS: Weather = Weather { null: 1, ..Weather::CALM };

/// A client and a provider, which has locked a job and was told to end.
struct Draining {
    world: Filecoin,
    _client: Arc<Party>,
    provider: Arc<Party>,
    job: JobId,
    /// The epoch in which the job was locked.
    locked: u64,
}

impl Draining {
    async fn begin(seed: u64) -> Self {
        let world = Filecoin::begin(seed);
        let client = world.client("client", 1, LookAfter::Nobody).await;
        let offer = Offer { pricing: Pricing::flat(AttoFil(FIL / 1_000)), ..Offer::default() };
        // Its runs begin three epochs late.
        let provider = world.provider("provider", 2, offer, 3).await;
        for party in [&client, &provider] {
            world.deposit(party, AttoFil(10 * FIL)).await;
        }
        // Nothing passes while the provider looks for what it needs.
        let knows = async || provider.get::<Vec<Value>>("/v1/parties").await.expect("the parties").len() == 2;
        world.until("the provider knows the client", 20, knows).await;
        let module = client.add(PROGRAM).await;
        let asked =
            world.ask(&client, spec(&module), json!({ "max_price": MAX_PRICE, "collateral": AttoFil(FIL / 20) })).await;
        let job = world.opened(asked).await.id;
        world.until("it is locked", 20, async || world.chain.deal(job).status == Status::Locked).await;
        let locked =
            world.chain.events().iter().find(|(_, event)| matches!(event, Event::JobLocked { .. })).expect("is").0;
        assert_eq!(provider.node.drain().await, 1);
        Self { world, _client: client, provider, job, locked }
    }

    fn unfinished(&self) -> Option<usize> {
        self.provider.node.activity().borrow().unfinished
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_undone_and_lands_later_is_seen_through_before_the_node_ends() {
    let it = Draining::begin(70).await;
    it.world.chain.set_weather(NO_BLOCKS);
    it.world.chain.fork_above(it.locked - 1);
    it.world.pass_many(2).await;
    assert_ne!(it.world.chain.deal(it.job).status, Status::Locked, "it is undone");
    assert_eq!(it.unfinished(), Some(1), "its message waits for a block");

    it.world.chain.set_weather(Weather::CALM);
    it.world.until("it is finished", 20, async || it.unfinished() == Some(0)).await;
    assert_eq!(it.world.count(it.job, |event| matches!(event, Event::ResultSubmitted { .. })), 1, "the job is done");
    it.world.until("it is paid", 20, async || it.world.is_over(it.job)).await;
    assert_eq!(it.world.count(it.job, |event| matches!(event, Event::JobSlashed { .. })), 0);
    assert!(it.world.money(it.provider.address) > FUNDS, "it was paid, and has its collateral");
    it.world.assert_nothing_was_done_twice();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_undone_and_gone_keeps_no_node_from_ending() {
    let it = Draining::begin(71).await;
    it.world.chain.set_weather(Weather { drop: 1, ..NO_BLOCKS });
    it.world.chain.fork_above(it.locked - 1);
    it.world.pass_many(2).await;
    it.world.chain.set_weather(Weather::CALM);
    it.world.until("it has nothing to wait for", 3, async || it.unfinished() == Some(0)).await;
    it.world.pass_many(5).await;
    let locks = it.world.chain.messages().into_iter().filter(|sent| sent.key.as_str().ends_with("/lock"));
    assert_eq!(locks.map(|sent| sent.epoch).collect::<Vec<_>>(), [None], "it locks nothing anew");
}
