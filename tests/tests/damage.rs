//! What attackers and failing disks do to a provider: it refuses with a reason or mends it, and goes on.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use lota_api::{JobDetail, NodeInfo, Verdict};
use lota_bridge::memory::Chain;
use lota_content::{Cid, DagScope, DirBuilder, ImportOptions, Store, StoreOptions};
use lota_market::{
    AttoFil,
    model::{Reason, Status},
    money::FIL,
};
use lota_node::NodeConfig;
use lota_tests::{
    programs,
    world::{self, FUNDS, Party, asking, chain, fresh_executors, key, spec},
};
use serde_json::json;
use tempfile::TempDir;

/// A provider that reads every module from its store: no other provider of this process compiles for it.
async fn provider(chain: &Chain, home: &Path) -> Party {
    let offer = asking(AttoFil(FIL / 1000));
    let config = NodeConfig { provider: Some(offer), ..world::config("provider-2", home) };
    let party = Party::with_executors(Arc::new(chain.connect(key(2))), config, fresh_executors()).await;
    party.deposit(AttoFil(10 * FIL)).await;
    party
}

/// A provider and a client of it.
struct Place {
    home: TempDir,
    chain: Chain,
    provider: Party,
    client: Party,
}

impl Place {
    async fn new() -> Self {
        let (home, chain) = (TempDir::new().expect("a temporary folder"), chain(None));
        let provider = provider(&chain, home.path()).await;
        let client = Party::start(&chain, 1, world::config("client", home.path())).await;
        Self { home, chain, provider, client }
    }

    /// Asserts that a job of this client's is done.
    async fn a_job_is_done(&self) {
        let module = self.client.add(&programs::says("well", 0)).await;
        let job = self.client.request(spec(&module), json!({})).await.expect("the job is opened");
        let detail = self.client.wait(&job).await;
        assert_eq!((detail.summary.status, detail.summary.exit_code), (Status::Settled, Some(0)), "{detail:#?}");
    }

    /// Asserts that nobody takes a job, and that it costs nothing; returns why.
    async fn refused(&self, spec: serde_json::Value) -> String {
        let before = self.client.money().await;
        let job = self.client.request(spec, json!({ "lock_for": 6 })).await.expect("the job is opened");
        let detail: JobDetail = self.client.wait(&job).await;
        assert_eq!((detail.summary.status, detail.summary.reason), (Status::Cancelled, Reason::NotLocked));
        assert_eq!(self.client.money().await, before);
        // Who took the provider's place while it was away says nothing any more.
        let refusal = detail.decisions.iter().find(|decision| decision.decision != Verdict::Silent);
        refusal.unwrap_or_else(|| panic!("nobody refused it: {:#?}", detail.decisions)).reason.clone()
    }

    /// The file of a block in the provider's store.
    fn block(&self, cid: &Cid) -> PathBuf {
        find(&self.home.path().join("provider-2/blocks"), cid).expect("the provider has the block")
    }

    /// Starts the provider anew, with no machine code in memory, after something was done to its files.
    async fn restart(mut self, harm: impl FnOnce(&Self)) -> Self {
        let stopped = Party::start(&self.chain, 3, world::config("nobody", self.home.path())).await;
        std::mem::replace(&mut self.provider, stopped).node.shutdown().await;
        harm(&self);
        self.provider = provider(&self.chain, self.home.path()).await;
        self
    }
}

fn find(dir: &Path, cid: &Cid) -> Option<PathBuf> {
    std::fs::read_dir(dir).expect("a folder").find_map(|entry| {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            return find(&path, cid);
        }
        let bytes = std::fs::read(&path).expect("a file");
        lota_content::verify(cid, &bytes).is_ok().then_some(path)
    })
}

fn flip_a_byte(file: &Path) {
    let mut bytes = std::fs::read(file).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(file, bytes).expect("it is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_blocks_are_fetched_again_and_the_job_is_done() {
    let place = Place::new().await;
    let module = place.client.add(&programs::says("whole again", 0)).await;
    let input = place.client.add(b"precious input").await;
    let mut spec = spec(&module);
    spec["inputs"] = json!([{ "cid": input.to_string() }]);
    let job = place.client.request(spec.clone(), json!({})).await.expect("the job is opened");
    assert_eq!(place.client.wait(&job).await.summary.status, Status::Settled);
    let files = [place.block(&module), place.block(&input)];
    let place = place.restart(|_| files.iter().for_each(|file| flip_a_byte(file))).await;
    let job = place.client.request(spec, json!({})).await.expect("the job is opened");
    let detail = place.client.wait(&job).await;
    assert_eq!(detail.summary.status, Status::Settled, "{detail:#?}");
    let output = place.client.bytes(&format!("/v1/jobs/{}/output/stdout", job.id)).await;
    assert_eq!(output, b"whole again");
    assert_eq!((place.block(&module), place.block(&input)), (files[0].clone(), files[1].clone()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reason_names_no_file_of_the_provider() {
    let place = Place::new().await;
    let module = place.client.add(&programs::says("unreadable", 0)).await;
    let job = place.client.request(spec(&module), json!({})).await.expect("the job is opened");
    assert_eq!(place.client.wait(&job).await.summary.status, Status::Settled);
    let file = place.block(&module);
    let place = place
        .restart(|_| {
            std::fs::remove_file(&file).expect("it goes");
            std::fs::create_dir(&file).expect("something else comes");
        })
        .await;
    let reason = place.refused(spec(&module)).await;
    assert!(reason.contains("a file of this provider"), "{reason}");
    assert!(!reason.contains(place.home.path().to_str().expect("UTF-8")), "{reason}");
    assert!(!reason.contains("blocks"), "{reason}");
    place.a_job_is_done().await;
}

/// A module of so many functions that do nothing.
fn empty_functions(count: u32) -> Vec<u8> {
    let leb = |mut number: u32| {
        let mut bytes = Vec::new();
        while number >= 0x80 {
            bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        bytes.push(number as u8);
        bytes
    };
    let section = |id: u8, thing: &[u8]| {
        let things = [leb(count), thing.repeat(count as usize)].concat();
        [vec![id], leb(things.len() as u32), things].concat()
    };
    [b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0".to_vec(), section(3, &[0]), section(10, &[2, 0, 0x0b])].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compile_bomb_is_refused_before_it_costs_anything() {
    let place = Place::new().await;
    let bomb = place.client.add(&empty_functions(1_000_000)).await;
    let reason = place.refused(spec(&bomb)).await;
    assert!(reason.contains("1000000 functions; at most 100000"), "{reason}");
    place.a_job_is_done().await;
    assert!(place.client.money().await < FUNDS, "that one was paid");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_blocks_that_make_half_a_million_files_are_refused_with_the_numbers() {
    let place = Place::new().await;
    let scratch = TempDir::new().expect("a folder");
    let store = Store::open(scratch.path(), StoreOptions::default()).expect("a store");
    let guard = store.guard();
    let mut cid = lota_content::import_bytes(&store, b"x", &ImportOptions::default()).expect("an import").cid;
    for _ in 0..12 {
        let mut directory = DirBuilder::new();
        for name in ["a", "b", "c"] {
            directory.insert(name, &cid, 1).expect("a name");
        }
        cid = directory.build(&guard).expect("a directory").cid;
    }
    assert_eq!(store.usage().blocks, 13);
    let mut car = Vec::new();
    lota_content::car_export(store.clone(), &cid, DagScope::All, 100, &mut car).await.expect("a CAR");
    place.client.add_car(&cid, car).await;
    let module = place.client.add(&programs::says("x", 0)).await;
    let mut bomb = spec(&module);
    bomb["inputs"] = json!([{ "cid": cid.to_string() }]);
    let reason = place.refused(bomb).await;
    assert!(reason.contains("input 1") && reason.contains("797161") && reason.contains("100000"), "{reason}");
    assert!(!place.home.path().join("provider-2/work").exists(), "nothing was laid out");
    place.a_job_is_done().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tiny_blocks_are_counted_as_what_they_take() {
    let place = Place::new().await;
    for number in 0..20 {
        place.client.add(format!("{number}").as_bytes()).await;
    }
    let info: NodeInfo = place.client.get("/v1/node").await.expect("the node is shown");
    assert_eq!(info.store_blocks, 20);
    assert_eq!(info.store_bytes, 20 * 4096);
}
