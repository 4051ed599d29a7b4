//! A server and its clients in one process, with nothing between them but sockets.

use std::{
    collections::HashSet,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use lota_bridge::{
    AuctionRef, Cursor, Landed, MarketRef, PrivateKeySigner, SubmitError, Transport,
    conformance::Harness,
    memory::{Chain, FileLedger, Genesis, ManualClock, Options, SyncPolicy},
    mock::{Limits, Server, ServerOptions},
    ws::{MockClient, WsTransport},
};
use lota_market::{
    Address, AttoFil, Time,
    agent::EffectKey,
    model::{Command, Settings},
    money::FIL,
};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::asyncapi::misfit;

/// When markets begin.
pub(crate) const BEGINNING: Time = Time(1_800_000_000);
/// How many blocks lie above what is final.
const DEPTH: u64 = 2;

pub(crate) fn genesis() -> Genesis {
    Genesis {
        market: MarketRef {
            chain_id: 1_337,
            contract: Address::repeat_byte(0x10),
            settings: Settings { max_callback_gas: 1_000_000, ..Settings::COIN },
        },
        time: BEGINNING,
        funds: vec![],
        auction: Some(AuctionRef { contract: Address::repeat_byte(0xa0), min_reveal_period: 60 }),
    }
}

pub(crate) fn signer(name: &str) -> PrivateKeySigner {
    PrivateKeySigner::from_slice(&Sha256::digest(name)).expect("a valid key")
}

pub(crate) fn announce(url: &str) -> Command {
    Command::Announce { url: url.into() }
}

/// A server, its chain, and its clock.
pub(crate) struct Running {
    pub(crate) chain: Chain,
    pub(crate) server: Server,
}

pub(crate) fn options(clock: &ManualClock) -> Options {
    Options { clock: Arc::new(clock.clone()), finality_depth: DEPTH, ..Options::default() }
}

/// Opens the chain in this folder.
pub(crate) fn open(folder: &Path, options: Options) -> Chain {
    let ledger = FileLedger::open(folder.join("market.log"), SyncPolicy::EveryEntry).expect("nobody else has the log");
    Chain::open(genesis(), ledger, options).expect("the log adds up")
}

impl Running {
    /// Serves the chain in this folder.
    pub(crate) async fn start(folder: &Path, limits: Limits) -> Self {
        let clock = ManualClock::at(BEGINNING);
        let chain = open(folder, options(&clock));
        clock.move_to(chain.head().time);
        Self::serve(chain, clock, limits).await
    }

    pub(crate) async fn serve(chain: Chain, clock: ManualClock, limits: Limits) -> Self {
        let options = ServerOptions { limits, faucet: Some(AttoFil(10_000 * FIL)), virtual_clock: Some(clock) };
        let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let server = Server::start(chain.clone(), anywhere, options).await.expect("a free port");
        Self { chain, server }
    }

    pub(crate) async fn client(&self) -> MockClient {
        MockClient::connect(&self.server.url()).await.expect("it answers")
    }

    /// A party with money.
    pub(crate) async fn party(&self, name: &str) -> WsTransport {
        let party = self.client().await.party(signer(name));
        party.client().give(party.party(), AttoFil(1_000 * FIL)).await.expect("the faucet gives");
        party
    }
}

pub(crate) async fn say(party: &WsTransport, key: &str, url: &str) -> Result<Landed, SubmitError> {
    party.submit(&EffectKey::named(key), &announce(url), AttoFil::ZERO).await
}

/// What the suite of all transports does things to.
pub(crate) struct Mock {
    dir: TempDir,
    running: Mutex<Option<Arc<Running>>>,
    known: Mutex<HashSet<Address>>,
}

impl Mock {
    pub(crate) async fn begin() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let running = Running::start(dir.path(), Limits::default()).await;
        Self { dir, running: Mutex::new(Some(Arc::new(running))), known: Mutex::default() }
    }

    fn running(&self) -> Arc<Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).clone().expect("it runs")
    }
}

/// Whatever a suite did, the accounts are right, and its events are what the document says.
impl Drop for Mock {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let chain = &self.running().chain;
            chain.audit().expect("all money is where the movements say");
            for update in chain.read(None, usize::MAX).expect("the log is read") {
                let told = serde_json::to_value(&update).expect("JSON");
                assert_eq!(misfit("Update", &told), None, "{told}");
            }
        }
    }
}

#[async_trait]
impl Harness for Mock {
    async fn connect(&self, name: &str) -> Arc<dyn Transport> {
        let party = self.running().client().await.party(signer(name));
        if self.known.lock().expect("no panic").insert(party.party()) {
            party.client().give(party.party(), AttoFil(1_000 * FIL)).await.expect("the faucet gives");
        }
        Arc::new(party)
    }

    async fn advance(&self, seconds: u64) {
        self.running().client().await.advance(seconds).await.expect("time is virtual");
    }

    async fn confirm(&self) {
        for _ in 0..DEPTH {
            self.running().chain.fund(Address::repeat_byte(0x11), AttoFil(1)).expect("the log is written");
        }
    }

    async fn fork_after(&self, position: Cursor) {
        let chain = &self.running().chain;
        chain.rewind(chain.head().block - position.block).expect("the log is written");
    }

    async fn cut(&self) {
        self.running().server.cut();
    }

    async fn restart(&self) {
        let running = self.running.lock().expect("no panic").take().expect("it runs");
        let running = Arc::into_inner(running).expect("nobody else holds it");
        running.server.stop().await;
        drop(running.chain);
        // Tasks that hold the chain end with their runtime's next turn.
        let again = loop {
            let path = self.dir.path().join("market.log");
            match FileLedger::open(path, SyncPolicy::EveryEntry) {
                Ok(ledger) => break drop(ledger),
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let () = again;
        *self.running.lock().expect("no panic") =
            Some(Arc::new(Running::start(self.dir.path(), Limits::default()).await));
    }
}
