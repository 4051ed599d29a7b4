//! A market on a chain of its own, behind a node that behaves like Lotus or reached by websocket.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use lota_bridge::{
    Cursor, PrivateKeySigner, Transport,
    conformance::Harness,
    evm::{Config, EvmTransport, Finality, Network, auction, bindings},
    journal::MemoryJournal,
};
use lota_market::{Address, model::Settings, money::FIL};
use sha2::{Digest, Sha256};

use crate::{
    anvil::Anvil,
    lotus::{Fault, Lotus, block_of},
};

/// How a node is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// HTTP, through the proxy that behaves like Lotus.
    Lotus,
    /// The development chain's websocket.
    Websocket,
}

/// How the market is deployed.
pub(crate) const SETTINGS: Settings = Settings { max_callback_gas: 1_000_000, ..Settings::COIN };

pub(crate) struct OnChain {
    pub(crate) anvil: Anvil,
    pub(crate) lotus: Lotus,
    pub(crate) market: Address,
    /// Beside it, for those who ask for it.
    auction: Option<Address>,
    via: Via,
    depth: u64,
    journals: Mutex<HashMap<String, MemoryJournal>>,
}

pub(crate) fn signer(name: &str) -> PrivateKeySigner {
    PrivateKeySigner::from_slice(&Sha256::digest(name)).expect("a valid key")
}

impl OnChain {
    pub(crate) async fn begin(via: Via, depth: u64) -> Self {
        let anvil = Anvil::spawn().await;
        let lotus = Lotus::in_front_of(anvil.http_url()).await;
        let market = anvil.deploy(&bindings::deployment(&SETTINGS)).await;
        Self { anvil, lotus, market, auction: None, via, depth, journals: Mutex::default() }
    }

    /// The same with an auction, which everybody's transport reaches.
    pub(crate) async fn with_auction(via: Via, depth: u64) -> Self {
        let chain = Self::begin(via, depth).await;
        let auction = chain.anvil.deploy(&auction::deployment(chain.market, 60)).await;
        Self { auction: Some(auction), ..chain }
    }

    pub(crate) fn journal(&self, name: &str) -> MemoryJournal {
        self.journals.lock().expect("no panic").entry(name.to_owned()).or_default().clone()
    }

    /// The party's next process finds an empty journal.
    pub(crate) fn forget(&self, name: &str) {
        self.journals.lock().expect("no panic").remove(name);
    }

    pub(crate) fn config(&self) -> Config {
        let url = match self.via {
            Via::Lotus => self.lotus.url(),
            Via::Websocket => self.anvil.ws_url(),
        };
        Config {
            finality: Finality::Depth(self.depth),
            poll: Duration::from_millis(if self.via == Via::Lotus { 60 } else { 2_000 }),
            timeout: Duration::from_secs(20),
            ..Config::new(&Network::FILECOIN_LOCAL, url)
        }
    }

    /// A party's transport with settings of the test's own.
    pub(crate) async fn connect_with(&self, name: &str, config: Config) -> EvmTransport {
        let journal = self.journal(name);
        let journal = Arc::new(journal);
        let transport = EvmTransport::connect(config, self.market, 0, signer(name), journal).await;
        let transport = transport.expect("the market is there");
        match self.auction {
            Some(auction) => transport.with_auction_at(auction).await.expect("the auction is there"),
            None => transport,
        }
    }

    pub(crate) async fn fund(&self, name: &str) {
        self.anvil.set_balance(signer(name).address(), 1_000 * FIL).await;
    }
}

#[async_trait]
impl Harness for OnChain {
    async fn connect(&self, name: &str) -> Arc<dyn Transport> {
        let is_new = !self.journals.lock().expect("no panic").contains_key(name);
        if is_new {
            self.fund(name).await;
        }
        Arc::new(self.connect_with(name, self.config()).await)
    }

    async fn advance(&self, seconds: u64) {
        self.anvil.call("evm_increaseTime", serde_json::json!([seconds])).await;
        self.anvil.mine(1).await;
    }

    async fn confirm(&self) {
        // Some epochs are null.
        self.anvil.mine(self.depth + self.depth.min(1)).await;
    }

    async fn fork_after(&self, position: Cursor) {
        let block = match self.via {
            Via::Lotus => block_of(position.block).expect("a position is in a block"),
            Via::Websocket => position.block,
        };
        self.anvil.fork_above(block).await;
    }

    async fn cut(&self) {
        self.lotus.next("*", [Fault::Down, Fault::Down, Fault::Down]);
    }

    async fn restart(&self) {}
}
