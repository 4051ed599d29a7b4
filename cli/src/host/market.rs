//! The market without a chain.

use std::path::Path;

use anyhow::Context as _;
use lota_bridge::{
    AuctionRef, MarketRef,
    memory::{Chain, FileLedger, Genesis, Options, SyncPolicy},
};
use lota_market::{Address, model::Settings};

use crate::home;

/// The chain id of a Filecoin network on one machine.
const CHAIN_ID: u64 = 31_415_926;
/// The shortest window, in seconds: what the clock can tell apart.
const MIN_WINDOW: u32 = 1;
/// The auction beside it.
const AUCTION: AuctionRef = AuctionRef { contract: Address::new(*b"lota/local/auction/1"), min_reveal_period: 10 };
/// The name of the log's file.
const LOG: &str = "market.log";

/// When what happens on the market reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sync {
    /// Before it is acknowledged.
    Always,
    /// When the operating system likes.
    Never,
}

/// A market whose log is a file.
#[derive(Clone, Debug)]
pub(crate) struct LocalMarket {
    pub(crate) chain: Chain,
}

impl LocalMarket {
    /// Opens the market in this folder, or begins it there.
    ///
    /// # Errors
    /// When its log is in use, damaged, or of a newer version.
    pub(crate) fn open(folder: &Path, sync: Sync) -> anyhow::Result<Self> {
        Self::open_with(folder, sync, Options::default())
    }

    /// The same with options; it begins at its clock's time.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub(crate) fn open_with(folder: &Path, sync: Sync, options: Options) -> anyhow::Result<Self> {
        home::create_private(folder)?;
        let file = folder.join(LOG);
        let policy = match sync {
            Sync::Always => SyncPolicy::EveryEntry,
            Sync::Never => SyncPolicy::OperatingSystem,
        };
        let market = MarketRef {
            chain_id: CHAIN_ID,
            contract: Address::from(*b"lota/local/market/v1"),
            settings: Settings { min_window: MIN_WINDOW, ..Settings::COIN },
        };
        let genesis = Genesis { market, time: options.clock.now(), funds: Vec::new(), auction: Some(AUCTION) };
        let ledger = FileLedger::open(&file, policy)?;
        let chain = Chain::open(genesis, ledger, options)
            .with_context(|| format!("the market in {} cannot be opened", file.display()))?;
        Ok(Self { chain })
    }
}
