//! The suite of all transports, for the one in memory; its ledger outlives the chain as a file would.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use lota_bridge::{
    AuctionRef, Cursor, MarketRef, PrivateKeySigner, Transport,
    conformance::{self, Harness},
    journal::MemoryJournal,
    memory::{Chain, FileLedger, Genesis, Link, ManualClock, Options, SyncPolicy},
};
use lota_market::{Address, AttoFil, Time, model::Settings, money::FIL};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// How many blocks lie above what is final.
const DEPTH: u64 = 2;

struct InMemory {
    dir: TempDir,
    clock: ManualClock,
    chain: Mutex<Option<Chain>>,
    links: Mutex<HashMap<Address, Link>>,
}

/// Whatever a suite did, the accounts are right.
impl Drop for InMemory {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.chain().audit().expect("all money is where the movements say");
        }
    }
}

impl InMemory {
    async fn begin() -> Self {
        let harness = Self {
            dir: tempfile::tempdir().expect("a directory"),
            clock: ManualClock::at(Time(1_800_000_000)),
            chain: Mutex::default(),
            links: Mutex::default(),
        };
        harness.open();
        harness
    }

    fn open(&self) {
        let genesis = Genesis {
            market: MarketRef {
                chain_id: 1_337,
                contract: Address::repeat_byte(0x10),
                settings: Settings { max_callback_gas: 1_000_000, ..Settings::COIN },
            },
            time: Time(1_800_000_000),
            funds: vec![],
            auction: Some(AuctionRef { contract: Address::repeat_byte(0xa0), min_reveal_period: 60 }),
        };
        let ledger = FileLedger::open(self.dir.path().join("market.log"), SyncPolicy::OperatingSystem);
        let options = Options { clock: Arc::new(self.clock.clone()), finality_depth: DEPTH, ..Options::default() };
        let chain = Chain::open(genesis, ledger.expect("nobody else has the log"), options).expect("the log adds up");
        *self.chain.lock().unwrap_or_else(PoisonError::into_inner) = Some(chain);
    }

    fn chain(&self) -> Chain {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner).clone().expect("it is open")
    }
}

#[async_trait]
impl Harness for InMemory {
    async fn connect(&self, name: &str) -> Arc<dyn Transport> {
        let signer = PrivateKeySigner::from_slice(&Sha256::digest(name)).expect("a valid key");
        let (chain, address) = (self.chain(), signer.address());
        let transport = chain.connect(signer);
        let known = self.links.lock().expect("no panic").insert(address, transport.link().clone());
        if known.is_none() {
            chain.fund(address, AttoFil(1_000 * FIL)).expect("the faucet gives");
        }
        Arc::new(transport)
    }

    async fn advance(&self, seconds: u64) {
        self.clock.advance(seconds);
    }

    async fn confirm(&self) {
        for _ in 0..DEPTH {
            self.chain().fund(Address::repeat_byte(0x11), AttoFil(1)).expect("the log is written");
        }
    }

    async fn fork_after(&self, position: Cursor) {
        let chain = self.chain();
        chain.rewind(chain.head().block - position.block).expect("the log is written");
    }

    async fn cut(&self) {
        self.links.lock().expect("no panic").values().for_each(Link::cut);
    }

    async fn restart(&self) {
        self.chain.lock().expect("no panic").take();
        self.open();
    }
}

lota_bridge::transport_conformance!(crate::InMemory::begin());
lota_bridge::auction_conformance!(crate::InMemory::begin());

#[tokio::test]
async fn a_journal_in_memory_is_a_journal() {
    let journal = MemoryJournal::default();
    conformance::journal::suite(async || journal.clone()).await;
}

/// What is not run here is run by the script that runs everything, and whoever does not use it is told.
#[cfg(not(feature = "anvil"))]
#[test]
fn the_suites_on_a_chain_are_left_to_the_script_that_runs_all_tests() {
    use std::io::Write as _;
    let script = include_str!("../../scripts/test");
    let is_run = |line: &str| line.trim_start().starts_with("cargo test") && line.contains("lota-bridge/anvil");
    assert!(script.lines().any(is_run), "scripts/test runs no suites on a chain (feature lota-bridge/anvil)");
    // Not with `eprintln!`, which says nothing when a test passes.
    let _ = writeln!(
        std::io::stderr(),
        "skipped: the suites on a chain need anvil; scripts/test installs it and runs them (feature lota-bridge/anvil)"
    );
}
