//! A chain of one market: many parties, one log.

mod writing;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lota_market::{
    Address, AttoFil, U256,
    agent::EffectKey,
    auction::SealedBidAuction,
    model::{JobId, Lane, Market, SettingsFault},
    movements::Holdings,
    world::{DeployError, TooMuchMoney},
};
use tokio::sync::{Semaphore, watch};

use super::{
    Accounts, Clock, Contracts, Entry, Genesis, Ledger, LedgerError, Link, MemoryLedger, MemoryTransport, MovementPage,
    SystemClock, history::History, loading::Loading, reader, state::State,
};
use crate::{
    PrivateKeySigner,
    transport::{AuctionRef, Cursor, Head, MarketRef, StoredDeal, TransportError, Update, UpdateStream},
};
pub use writing::CheckedCommand;

/// What a chain is run with.
#[derive(Clone)]
pub struct Options {
    /// Where it takes its time from.
    pub clock: Arc<dyn Clock>,
    /// What contracts do when they are called.
    pub contracts: Arc<dyn Contracts>,
    /// The most blocks; the log then takes no more.
    pub max_blocks: u64,
    /// How many blocks must be above one that is told to be final.
    pub finality_depth: u64,
    /// After how many blocks a snapshot is kept, so that a start executes at most that many.
    pub snapshot_every: u64,
}

/// The blocks from one snapshot to the next unless somebody says something else: a start then takes some seconds.
pub const SNAPSHOT_EVERY: u64 = 1 << 16;

impl Default for Options {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            contracts: Arc::new(Accounts),
            max_blocks: 1 << 20,
            finality_depth: 0,
            snapshot_every: SNAPSHOT_EVERY,
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("contracts", &self.contracts)
            .field("max_blocks", &self.max_blocks)
            .field("finality_depth", &self.finality_depth)
            .field("snapshot_every", &self.snapshot_every)
            .finish_non_exhaustive()
    }
}

/// Why a chain cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The log cannot be used.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The funds of the genesis are more than can exist.
    #[error("the funds that the market begins with are too many")]
    Funds(#[from] TooMuchMoney),
    /// The auction of the genesis cannot be deployed.
    #[error(transparent)]
    Auction(#[from] DeployError),
    /// No market can be opened with these settings.
    #[error("the market cannot have these settings: {0}; without a chain there are no tokens")]
    Settings(SettingsFault),
    /// The log is that of another market.
    #[error("the log was begun with other {what}; use the settings it was begun with, or begin a new log")]
    OtherGenesis { what: &'static str },
}

struct Kept {
    state: State,
    ledger: Box<dyn Ledger>,
    /// The newest block of which the ledger has been asked to keep a snapshot.
    saved: u64,
}

struct Inner {
    market: MarketRef,
    genesis: Genesis,
    options: Options,
    /// Held while commands are executed and written, so that nobody sees what may not stay.
    kept: Mutex<Kept>,
    history: History,
    changes: watch::Sender<u64>,
}

/// A market without a chain; see [the module](super). Clones are the same chain.
#[derive(Clone)]
pub struct Chain(Arc<Inner>);

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain").field("market", &self.0.market).finish_non_exhaustive()
    }
}

fn same_genesis(wanted: &Genesis, found: &Genesis) -> Result<(), ChainError> {
    let what = if wanted.market.chain_id != found.market.chain_id {
        "a chain id"
    } else if wanted.market.contract != found.market.contract {
        "a contract address"
    } else if wanted.market.settings != found.market.settings {
        "settings"
    } else if wanted.funds != found.funds {
        "funds"
    } else if wanted.auction != found.auction {
        "an auction"
    } else {
        return Ok(());
    };
    Err(ChainError::OtherGenesis { what })
}

impl Chain {
    /// Opens the chain that `ledger` holds, or begins it there. The log's own time of beginning counts.
    ///
    /// # Errors
    /// When the log cannot be read, does not add up, or was begun with another genesis.
    pub fn open(genesis: Genesis, mut ledger: impl Ledger, options: Options) -> Result<Self, ChainError> {
        if let Some(fault) = genesis.market.settings.fault(false) {
            return Err(ChainError::Settings(fault));
        }
        let (mut loading, from) = Loading::begin(&mut ledger)?;
        let reader = ledger.reader();
        ledger.load(from, &mut |place, entry| loading.take(&reader, place, entry))?;
        let Loading { state, history, saved } = loading;
        let (state, history) = match state.zip(history) {
            Some((state, history)) => {
                same_genesis(&genesis, &state.genesis)?;
                (state, history)
            }
            None => {
                let state = State::new(genesis.clone())?;
                ledger.append(&[Entry::Genesis(genesis)])?;
                let history = History::new(reader, *state.tip());
                (state, history)
            }
        };
        let chain = Self(Arc::new(Inner {
            market: state.genesis.market,
            genesis: state.genesis.clone(),
            options,
            kept: Mutex::new(Kept { state, ledger: Box::new(ledger), saved }),
            history,
            changes: watch::Sender::new(0),
        }));
        chain.save_if_due(&mut chain.kept());
        Ok(chain)
    }

    /// A chain that lives as long as the process.
    ///
    /// # Errors
    /// None in practice; the signature is that of [`open`](Self::open).
    pub fn in_memory(genesis: Genesis, options: Options) -> Result<Self, ChainError> {
        Self::open(genesis, MemoryLedger::default(), options)
    }

    /// A party's transport.
    #[must_use]
    pub fn connect(&self, signer: PrivateKeySigner) -> MemoryTransport {
        MemoryTransport::new(self.clone(), signer)
    }

    /// What happens, from right after a position on: see [`Transport::updates`](crate::Transport::updates).
    #[must_use]
    pub fn updates(&self, from: Option<Cursor>) -> UpdateStream {
        reader::updates(self.clone(), &Link::default(), from, None)
    }

    /// The same, for one of several readers who hold together as many pages as `pages` has permits.
    pub(crate) fn updates_sharing(&self, from: Option<Cursor>, pages: Arc<Semaphore>) -> UpdateStream {
        reader::updates(self.clone(), &Link::default(), from, Some(pages))
    }

    /// Which market this is.
    #[must_use]
    pub fn market(&self) -> MarketRef {
        self.0.market
    }

    pub(super) fn clock(&self) -> &Arc<dyn Clock> {
        &self.0.options.clock
    }

    /// Changes whenever the log does.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // Whoever panicked held a state that the next replay judges; refusing to read helps nobody.
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What comes after `from`, at most `limit` updates (at least one): a rewind, events, or the head when there are none.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn read(&self, from: Option<&Cursor>, limit: usize) -> Result<Vec<Update>, TransportError> {
        let Options { clock, finality_depth, .. } = &self.0.options;
        self.0.history.read(from, limit.max(1), clock.now(), *finality_depth)
    }

    /// Movements of money from a block and the movement in it on, at most `limit` of them, and of this account only.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn movements(
        &self,
        from: (u64, u32),
        limit: usize,
        account: Option<Address>,
    ) -> Result<MovementPage, TransportError> {
        self.0.history.movements(from, limit.max(1), account)
    }

    /// Where a party's money lies.
    #[must_use]
    pub fn holdings(&self, account: Address) -> Holdings {
        self.kept().state.accounts().of(account)
    }

    /// Everybody who ever had money, and where it lies, from an address on; at most `limit` of them.
    #[must_use]
    pub fn all_holdings(&self, from: Address, limit: usize) -> Vec<(Address, Holdings)> {
        self.kept().state.accounts().all_from(from).take(limit).collect()
    }

    /// Whether what the events say of everybody's money is what the contracts hold.
    ///
    /// # Errors
    /// With what differs.
    pub fn audit(&self) -> Result<(), String> {
        self.kept().state.audit()
    }

    /// How the market began.
    #[must_use]
    pub fn genesis(&self) -> &Genesis {
        &self.0.genesis
    }

    /// The newest block, and the time.
    #[must_use]
    pub fn head(&self) -> Head {
        self.0.history.head(self.0.options.clock.now())
    }

    /// Native money of an account.
    #[must_use]
    pub fn wallet(&self, account: Address) -> AttoFil {
        self.kept().state.wallet(account)
    }

    /// Free balance of an account in the market.
    #[must_use]
    pub fn balance(&self, account: Address) -> AttoFil {
        self.kept().state.market().balance(account)
    }

    /// A deal as it is stored.
    #[must_use]
    pub fn deal(&self, job: JobId) -> StoredDeal {
        StoredDeal::of(job, &self.kept().state.market().deal(job))
    }

    /// Whether a salt was used or revoked.
    #[must_use]
    pub fn is_spent(&self, client: Address, salt: U256) -> bool {
        self.kept().state.market().is_spent(client, salt)
    }

    /// The lowest salt of a client's lane that was neither used nor revoked.
    #[must_use]
    pub fn next_salt(&self, client: Address, lane: Lane) -> U256 {
        self.kept().state.market().next_salt(client, lane)
    }

    /// The auction beside the market.
    #[must_use]
    pub fn auction(&self) -> Option<AuctionRef> {
        self.0.genesis.auction
    }

    /// What the auction's state says, if there is one.
    pub(crate) fn ask_auction<T>(&self, ask: impl FnOnce(&SealedBidAuction) -> T) -> Result<T, TransportError> {
        self.kept().state.auction().map(ask).ok_or(TransportError::NoAuction)
    }

    /// Whether a party's command landed under this key.
    #[must_use]
    pub fn has_landed(&self, party: Address, key: &EffectKey) -> bool {
        self.kept().state.landed(party, key).is_some()
    }

    /// A copy of the market's state.
    #[must_use]
    pub fn snapshot(&self) -> Market {
        self.kept().state.market().clone()
    }
}
