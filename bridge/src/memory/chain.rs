//! A chain of one market: many parties, one log.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lota_market::{
    Address, AttoFil, U256,
    agent::EffectKey,
    auction::SealedBidAuction,
    model::{JobId, Lane, Market, SettingsFault},
    world::{DeployError, TooMuchMoney},
};
use tokio::sync::watch;

use super::{
    Accounts, Clock, Contracts, Entry, Genesis, Ledger, LedgerError, MemoryLedger, MemoryTransport, SystemClock,
    state::{Answers, Origin, State},
};
use crate::{
    PrivateKeySigner,
    eip712::SignedCommand,
    encoding,
    transport::{AuctionRef, Cursor, Head, Landed, MarketRef, StoredDeal, SubmitError, TransportError, Update},
};

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
}

impl Default for Options {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), contracts: Arc::new(Accounts), max_blocks: 1 << 20, finality_depth: 0 }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("contracts", &self.contracts)
            .field("max_blocks", &self.max_blocks)
            .field("finality_depth", &self.finality_depth)
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
    /// Why the log takes no more, if it failed once.
    broken: Option<String>,
}

impl Kept {
    fn check(&self) -> Result<(), SubmitError> {
        self.broken.clone().map_or(Ok(()), |problem| Err(TransportError::Storage(problem).into()))
    }
}

struct Inner {
    market: MarketRef,
    options: Options,
    kept: Mutex<Kept>,
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

/// Brings the state to where an entry says it is.
pub(super) fn replay(state: &mut Option<State>, entry: Entry) -> Result<(), LedgerError> {
    let block = state.as_ref().map_or(0, |state| state.height() + 1);
    let inconsistent = |problem: String| LedgerError::Inconsistent { block, problem };
    let (hash, landed) = match (state.as_mut(), entry) {
        (None, Entry::Genesis(genesis)) => {
            *state = Some(State::new(genesis).map_err(|error| inconsistent(error.to_string()))?);
            return Ok(());
        }
        (Some(state), Entry::Rewind { to }) => return state.rewind(to).map_err(inconsistent),
        (Some(state), Entry::Command { time, signed, answers, hash }) => {
            (hash, state.replay(time, signed, answers).map_err(inconsistent)?)
        }
        (Some(state), Entry::Fund { time, account, amount, hash }) => {
            (hash, state.fund(time, account, amount).map_err(|error| inconsistent(error.to_string()))?)
        }
        (None, _) => return Err(inconsistent("it does not start with the beginning".into())),
        (Some(_), Entry::Genesis(_)) => return Err(inconsistent("there is a second beginning".into())),
    };
    if hash != landed.cursor.block_hash {
        return Err(inconsistent(format!(
            "the log says {hash}, but {} comes out; it was written by a version with another protocol",
            landed.cursor.block_hash
        )));
    }
    Ok(())
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
        let mut state = None;
        ledger.load(&mut |entry| replay(&mut state, entry))?;
        let state = match state {
            Some(state) => {
                same_genesis(&genesis, &state.genesis)?;
                state
            }
            None => {
                let state = State::new(genesis.clone())?;
                ledger.append(&Entry::Genesis(genesis))?;
                state
            }
        };
        Ok(Self(Arc::new(Inner {
            market: state.genesis.market,
            options,
            kept: Mutex::new(Kept { state, ledger: Box::new(ledger), broken: None }),
            changes: watch::Sender::new(0),
        })))
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
        // Whoever panicked held a state that `broken` or the next replay judges; refusing to read helps nobody.
        self.0.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What comes after `from`, at most `limit` updates (at least one): a rewind, events, or the head when there are none.
    #[must_use]
    pub fn read(&self, from: Option<&Cursor>, limit: usize) -> Vec<Update> {
        let Options { clock, finality_depth, .. } = &self.0.options;
        let now = clock.now();
        self.kept().state.read(from, limit.max(1), now, *finality_depth)
    }

    /// The newest block, and the time.
    #[must_use]
    pub fn head(&self) -> Head {
        let now = self.0.options.clock.now();
        self.kept().state.head(now)
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
        self.kept().state.genesis.auction
    }

    /// What the auction's state says, if there is one.
    pub(super) fn ask_auction<T>(&self, ask: impl FnOnce(&SealedBidAuction) -> T) -> Result<T, TransportError> {
        self.kept().state.auction().map(ask).ok_or(TransportError::NoAuction)
    }

    /// Whether a party's command landed under this key.
    pub(super) fn has_landed(&self, party: Address, key: &EffectKey) -> bool {
        self.kept().state.has_landed(party, key)
    }

    /// A copy of the market's state.
    #[must_use]
    pub fn snapshot(&self) -> Market {
        self.kept().state.market().clone()
    }

    /// Executes a signed command: one block when it is accepted, nothing otherwise. Blocks while the log is written.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub fn execute(&self, signed: &SignedCommand) -> Result<Landed, SubmitError> {
        let command = encoding::decode_directed(&signed.command, signed.value)?;
        if signed.key != EffectKey::named(signed.key.as_str()) || signed.key.as_str().is_empty() {
            return Err(SubmitError::Failed(format!(
                "the effect's key is empty, longer than {} bytes, or not printable ASCII",
                EffectKey::MAX_LEN
            )));
        }
        match signed.signer(&self.0.market) {
            Some(signer) if signer == signed.sender => {}
            found => {
                let problem = found.map_or_else(|| "it is no signature".into(), |found| format!("by {found}"));
                return Err(SubmitError::WrongSigner { sender: signed.sender, problem });
            }
        }
        let Options { clock, contracts, .. } = &self.0.options;
        let mut kept = self.kept();
        kept.check()?;
        if let Some(landed) = kept.state.find(signed)? {
            return Ok(landed);
        }
        self.check_room(&kept)?;
        let landed = kept.state.execute(clock.now(), signed.clone(), &command, Answers::Ask(&**contracts))?;
        self.keep(&mut kept)?;
        Ok(landed)
    }

    /// Gives an account native money from nowhere: a faucet. Blocks while the log is written.
    ///
    /// # Errors
    /// When that much money cannot exist, and when the log is full or cannot be written.
    pub fn fund(&self, account: Address, amount: AttoFil) -> Result<Landed, SubmitError> {
        let now = self.0.options.clock.now();
        let mut kept = self.kept();
        kept.check()?;
        self.check_room(&kept)?;
        let landed = kept.state.fund(now, account, amount).map_err(|error| SubmitError::Failed(error.to_string()))?;
        self.keep(&mut kept)?;
        Ok(landed)
    }

    /// A reorganisation: drops the newest `blocks` blocks (all but the beginning, if there are fewer). What they held may be
    /// submitted again. Blocks while everything is executed again and the log is written.
    ///
    /// # Errors
    /// When the log cannot be written.
    pub fn rewind(&self, blocks: u64) -> Result<(), SubmitError> {
        let mut kept = self.kept();
        kept.check()?;
        let to = kept.state.height().saturating_sub(blocks);
        self.append(&mut kept, &Entry::Rewind { to })?;
        kept.state.rewind(to).map_err(SubmitError::Failed)
    }

    fn check_room(&self, kept: &Kept) -> Result<(), SubmitError> {
        let limit = self.0.options.max_blocks;
        if kept.state.height() >= limit {
            return Err(SubmitError::Failed(format!("the log is full ({limit} blocks); begin a new one")));
        }
        Ok(())
    }

    /// Writes the newest block to the log.
    fn keep(&self, kept: &mut Kept) -> Result<(), SubmitError> {
        let block = kept.state.newest();
        let (time, hash) = (block.time, block.hash);
        let entry = match block.origin.clone() {
            Origin::Command { signed, answers } => Entry::Command { time, signed, answers, hash },
            Origin::Fund { account, amount } => Entry::Fund { time, account, amount, hash },
            Origin::Genesis => return Ok(()),
        };
        self.append(kept, &entry).inspect_err(|_| {
            // Nobody may see or build on what is not in the log. A restart reads what the log does hold.
            let before = kept.state.height().saturating_sub(1);
            if let Err(problem) = kept.state.rewind(before) {
                tracing::error!(problem, "a block that could not be logged cannot be taken back");
            }
        })
    }

    fn append(&self, kept: &mut Kept, entry: &Entry) -> Result<(), SubmitError> {
        if let Err(error) = kept.ledger.append(entry) {
            let problem = format!("{}; restart, once the cause is removed", crate::failure::causes(&error));
            kept.broken = Some(problem.clone());
            return Err(TransportError::Storage(problem).into());
        }
        self.0.changes.send_modify(|change| *change += 1);
        Ok(())
    }
}
