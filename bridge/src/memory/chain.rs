//! A chain of one market: many parties, one log.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lota_market::{
    Address, AttoFil, B256, Time, U256,
    agent::EffectKey,
    auction::SealedBidAuction,
    model::{JobId, Lane, Market, SettingsFault},
    movements::Holdings,
    world::{DeployError, TooMuchMoney},
};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::{
    Accounts, Block, Clock, Contracts, Entry, Genesis, Ledger, LedgerError, Link, MemoryLedger, MemoryTransport,
    MovementPage, Origin, SystemClock,
    history::{History, Orphan},
    reader,
    state::{Answers, Mark, State, landing},
};
use crate::{
    PrivateKeySigner,
    eip712::SignedCommand,
    encoding::{self, Directed},
    failure,
    transport::{
        AuctionRef, Cursor, Head, Landed, MarketRef, StoredDeal, SubmitError, TransportError, Update, UpdateStream,
    },
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

/// What a snapshot holds beside its index.
#[derive(Serialize, Deserialize)]
struct Saved {
    #[serde(with = "serde_bytes_vec")]
    state: Vec<u8>,
    orphans: Vec<Orphan>,
}

/// Bytes as bytes, not as a list of numbers.
mod serde_bytes_vec {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Ok(lota_market::Bytes::deserialize(deserializer)?.to_vec())
    }
}

/// A chain that is being read from its log.
struct Loading {
    state: Option<State>,
    history: Option<History>,
    /// The block of the snapshot that it began with.
    saved: u64,
}

impl Loading {
    /// As far as the snapshot goes, if there is one that is good; and where to read on.
    fn begin(ledger: &mut impl Ledger) -> Result<(Self, u64), LedgerError> {
        let nothing = Self { state: None, history: None, saved: 0 };
        let Some(snapshot) = ledger.snapshot() else { return Ok((nothing, 0)) };
        let restored = serde_ipld_dagcbor::from_slice(&snapshot.state).map_err(|error| error.to_string()).and_then(
            |Saved { state, orphans }| {
                let state = State::saved(&state, snapshot.blocks.iter().map(|(command, _)| *command))?;
                let begin = *State::new(state.genesis.clone()).map_err(|error| error.to_string())?.tip();
                let history = History::new(ledger.reader(), begin);
                let places = snapshot.blocks.iter().map(|(_, place)| *place).collect();
                history.restore(places, *state.tip(), state.fork(), orphans);
                let newest = history.block(state.tip().number).map_err(|error| error.to_string())?;
                if newest.is_some_and(|(block, _)| block.hash != state.tip().hash) {
                    return Err("it is that of another log".to_owned());
                }
                Ok((state, history))
            },
        );
        match restored {
            Ok((state, history)) => {
                let saved = state.tip().number;
                Ok((Self { state: Some(state), history: Some(history), saved }, snapshot.end))
            }
            Err(problem) => {
                tracing::warn!(problem, "the snapshot cannot be used; everything is replayed");
                ledger.forget_snapshot()?;
                Ok((nothing, 0))
            }
        }
    }

    /// Brings the state to where an entry says it is.
    fn take(&mut self, ledger: &Arc<dyn super::EntryReader>, place: u64, entry: Entry) -> Result<(), LedgerError> {
        let block = self.state.as_ref().map_or(0, |state| state.tip().number + 1);
        let inconsistent = |problem: String| LedgerError::Inconsistent { block, problem };
        match (self.state.as_mut().zip(self.history.as_ref()), entry) {
            (None, Entry::Genesis(genesis)) => {
                let state = State::new(genesis).map_err(|error| inconsistent(error.to_string()))?;
                self.history = Some(History::new(Arc::clone(ledger), *state.tip()));
                self.state = Some(state);
            }
            (Some((state, history)), Entry::Rewind { to }) => {
                // What was told to be final before is forgotten with the process.
                *state = rewound(state, history, to, u64::MAX)?;
                self.saved = self.saved.min(to);
            }
            (Some((state, history)), Entry::Block(block)) => {
                state.again(block).map_err(inconsistent)?;
                history.extend([place], *state.tip());
            }
            (None, _) => return Err(inconsistent("it does not start with the beginning".into())),
            (Some(_), Entry::Genesis(_)) => return Err(inconsistent("there is a second beginning".into())),
        }
        Ok(())
    }
}

/// The state without the blocks above `to`, found by executing everything up to there again; the history is without them, too.
fn rewound(state: &State, history: &History, to: u64, depth: u64) -> Result<State, LedgerError> {
    let begin = State::new(state.genesis.clone())
        .map_err(|error| LedgerError::Inconsistent { block: 0, problem: error.to_string() })?;
    let mut before = begin;
    for number in 1..=to.min(state.tip().number) {
        let Some((block, _)) = history.block(number)? else { break };
        before.again(block).map_err(|problem| LedgerError::Inconsistent { block: number, problem })?;
    }
    before.fork_after(state.fork());
    history.rewind(to, *before.tip(), before.fork(), depth)?;
    Ok(before)
}

/// A command that may be executed: its sender signed it.
#[derive(Clone, Debug)]
pub struct CheckedCommand {
    signed: SignedCommand,
    command: Directed,
}

/// What became of a command.
enum Outcome {
    /// It landed before.
    Known(Result<Landed, SubmitError>),
    /// It is in a new block, or was judged by a state with new blocks.
    New(Result<Landed, SubmitError>),
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
        reader::updates(self.clone(), &Link::default(), from)
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
        self.kept().state.accounts().all().skip_while(|(account, _)| *account < from).take(limit).collect()
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

    /// Whether a command may be executed: it can be read, its key is one, and its sender signed it.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub fn check(&self, signed: SignedCommand) -> Result<CheckedCommand, SubmitError> {
        let command = encoding::decode_directed(&signed.command, signed.value)?;
        if signed.key != EffectKey::named(signed.key.as_str()) || signed.key.as_str().is_empty() {
            return Err(SubmitError::Failed(format!(
                "the effect's key is empty, longer than {} bytes, or not printable ASCII",
                EffectKey::MAX_LEN
            )));
        }
        match signed.signer(&self.0.market) {
            Some(signer) if signer == signed.sender => Ok(CheckedCommand { signed, command }),
            found => {
                let problem = found.map_or_else(|| "it is no signature".into(), |found| format!("by {found}"));
                Err(SubmitError::WrongSigner { sender: signed.sender, problem })
            }
        }
    }

    /// Executes a signed command: one block when it is accepted, nothing otherwise. Blocks while the log is written.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub fn execute(&self, signed: &SignedCommand) -> Result<Landed, SubmitError> {
        let checked = self.check(signed.clone())?;
        let nothing = || Err(SubmitError::Failed("nothing came of the command".into()));
        self.execute_all(vec![checked]).pop().unwrap_or_else(nothing)
    }

    /// Executes commands in this order, each a block of its own when it is accepted, and writes them at once. What became of them, in
    /// the same order: whatever it says is in the log for good, and if that cannot be written, nothing has happened. Blocks while the
    /// log is written.
    #[must_use]
    pub fn execute_all(&self, commands: Vec<CheckedCommand>) -> Vec<Result<Landed, SubmitError>> {
        let several = commands.len() > 1;
        let again = if several { commands.clone() } else { Vec::new() };
        match self.try_execute_all(commands) {
            Ok(outcomes) => outcomes,
            // One of them comes to more than fits: the others do not suffer from it.
            Err(LedgerError::TooLarge { .. }) if several => {
                again.into_iter().flat_map(|command| self.execute_all(vec![command])).collect()
            }
            Err(LedgerError::TooLarge { size, .. }) => {
                let problem = format!("what it comes to has {size} bytes");
                vec![Err(SubmitError::TooLarge(problem))]
            }
            Err(error) => {
                let error = TransportError::Storage(failure::causes(&error));
                vec![Err(error.into()); again.len().max(1)]
            }
        }
    }

    fn try_execute_all(&self, commands: Vec<CheckedCommand>) -> Result<Vec<Result<Landed, SubmitError>>, LedgerError> {
        let mut kept = self.kept();
        let now = self.0.options.clock.now();
        let mark = kept.state.mark();
        let mut fresh = Vec::new();
        let outcomes: Vec<Outcome> =
            commands.into_iter().map(|command| self.execute_one(&mut kept.state, &mut fresh, now, command)).collect();
        let is_known = |outcome: &Outcome| matches!(outcome, Outcome::Known(_));
        let written = self.commit(&mut kept, mark, fresh);
        drop(kept);
        if let Err(error) = written {
            if matches!(error, LedgerError::TooLarge { .. }) || !outcomes.iter().any(is_known) {
                return Err(error);
            }
            let problem = SubmitError::from(TransportError::Storage(failure::causes(&error)));
            let told = |outcome| match outcome {
                Outcome::Known(known) => known,
                Outcome::New(_) => Err(problem.clone()),
            };
            return Ok(outcomes.into_iter().map(told).collect());
        }
        Ok(outcomes.into_iter().map(|(Outcome::Known(outcome) | Outcome::New(outcome))| outcome).collect())
    }

    fn execute_one(
        &self,
        state: &mut State,
        fresh: &mut Vec<Entry>,
        now: Time,
        CheckedCommand { signed, command }: CheckedCommand,
    ) -> Outcome {
        if let Some(number) = state.landed(signed.sender, &signed.key) {
            return match number.checked_sub(self.0.history.height() + 1) {
                None => Outcome::Known(self.landed_in(number, &signed)),
                Some(index) => match usize::try_from(index).ok().and_then(|index| fresh.get(index)) {
                    Some(Entry::Block(block)) => Outcome::New(landed_as(number, block, &signed)),
                    _ => Outcome::New(Err(SubmitError::Failed("its block is missing".into()))),
                },
            };
        }
        let limit = self.0.options.max_blocks.min(u32::MAX.into());
        if state.tip().number >= limit {
            return Outcome::New(Err(log_is_full(limit)));
        }
        let answers = Answers::Ask(&*self.0.options.contracts);
        let made = state.execute(now, signed, &command, answers);
        Outcome::New(made.map(|block| {
            let landed = landing(state.tip().number, &block);
            fresh.push(Entry::Block(block));
            landed
        }))
    }

    /// What a command came to that landed before under the same key.
    fn landed_in(&self, number: u64, signed: &SignedCommand) -> Result<Landed, SubmitError> {
        let block = self.0.history.block(number);
        let block = block.map_err(|error| TransportError::Storage(failure::causes(&error)))?;
        let missing = || SubmitError::Failed(format!("block {number} is missing"));
        block.ok_or_else(missing).and_then(|(block, _)| landed_as(number, &block, signed))
    }

    /// Gives an account native money from nowhere: a faucet. Blocks while the log is written.
    ///
    /// # Errors
    /// When that much money cannot exist, and when the log is full or cannot be written.
    pub fn fund(&self, account: Address, amount: AttoFil) -> Result<Landed, SubmitError> {
        self.make(|state, now| state.fund(now, account, amount).map_err(|error| SubmitError::Failed(error.to_string())))
    }

    /// Makes an empty block of this time, before which no later one is: virtual time that has passed lasts. Blocks while the log is
    /// written.
    ///
    /// # Errors
    /// When the log is full or cannot be written.
    pub fn mark_time(&self, time: Time) -> Result<Landed, SubmitError> {
        self.make(|state, now| Ok(state.wait(now.max(time))))
    }

    /// The hash of block 0: which market this is, and when it began.
    #[must_use]
    pub fn beginning(&self) -> B256 {
        self.0.history.beginning()
    }

    fn make(&self, make: impl FnOnce(&mut State, Time) -> Result<Block, SubmitError>) -> Result<Landed, SubmitError> {
        let now = self.0.options.clock.now();
        let mut kept = self.kept();
        let limit = self.0.options.max_blocks.min(u32::MAX.into());
        if kept.state.tip().number >= limit {
            return Err(log_is_full(limit));
        }
        let mark = kept.state.mark();
        let block = match make(&mut kept.state, now) {
            Ok(block) => block,
            Err(error) => {
                kept.state.roll_back(mark);
                return Err(error);
            }
        };
        let landed = landing(kept.state.tip().number, &block);
        let written = self.commit(&mut kept, mark, vec![Entry::Block(block)]);
        written.map_err(|error| TransportError::Storage(failure::causes(&error)))?;
        Ok(landed)
    }

    /// Writes new blocks to the log. If that fails, nobody has seen them, and nothing is built upon them.
    fn commit(&self, kept: &mut Kept, mark: Mark, fresh: Vec<Entry>) -> Result<(), LedgerError> {
        if fresh.is_empty() {
            kept.state.keep(mark);
            return Ok(());
        }
        match kept.ledger.append(&fresh) {
            Ok(places) => {
                kept.state.keep(mark);
                self.0.history.extend(places, *kept.state.tip());
                self.save_if_due(kept);
                self.0.changes.send_modify(|change| *change += 1);
                Ok(())
            }
            Err(error) => {
                kept.state.roll_back(mark);
                Err(error)
            }
        }
    }

    fn save_if_due(&self, kept: &mut Kept) {
        if !kept.ledger.keeps_snapshots() {
            kept.state.was_saved();
        } else if kept.state.tip().number - kept.saved >= self.0.options.snapshot_every
            && let Err(problem) = self.save(kept)
        {
            // The next start takes longer; nothing else is wrong.
            tracing::warn!(problem, "no snapshot could be kept");
            kept.saved = kept.state.tip().number;
        }
    }

    fn save(&self, kept: &mut Kept) -> Result<(), String> {
        let Kept { state, ledger, saved } = kept;
        let number = state.tip().number;
        let first = number - state.unsaved().len() as u64;
        let blocks: Vec<_> = state.unsaved().iter().copied().zip(self.0.history.places_after(first)).collect();
        let whole = Saved { state: state.save()?, orphans: self.0.history.orphans() };
        let bytes = serde_ipld_dagcbor::to_vec(&whole).map_err(|error| error.to_string())?;
        ledger.keep_snapshot(&bytes, &blocks).map_err(|error| failure::causes(&error))?;
        state.was_saved();
        *saved = number;
        Ok(())
    }

    /// Keeps a snapshot now, where the log has such things: the next start takes up from here. Blocks while it is written.
    ///
    /// # Errors
    /// When it cannot be written; the log is not affected.
    pub fn keep_snapshot(&self) -> Result<(), TransportError> {
        let mut kept = self.kept();
        if !kept.ledger.keeps_snapshots() || kept.state.unsaved().is_empty() {
            return Ok(());
        }
        self.save(&mut kept).map_err(TransportError::Storage)
    }

    /// A reorganisation: drops the newest `blocks` blocks (all but the beginning, if there are fewer). What they held may be
    /// submitted again. Blocks while everything is executed again and the log is written.
    ///
    /// # Errors
    /// When the log cannot be read or written.
    pub fn rewind(&self, blocks: u64) -> Result<(), SubmitError> {
        let failed = |error: LedgerError| TransportError::Storage(failure::causes(&error));
        let mut kept = self.kept();
        let to = kept.state.tip().number.saturating_sub(blocks);
        // A snapshot of the other fork must not be found by a start that comes before the next one is written.
        kept.ledger.forget_snapshot().map_err(failed)?;
        kept.saved = 0;
        kept.ledger.append(&[Entry::Rewind { to }]).map_err(failed)?;
        kept.state = rewound(&kept.state, &self.0.history, to, self.0.options.finality_depth).map_err(failed)?;
        self.0.changes.send_modify(|change| *change += 1);
        Ok(())
    }
}

fn log_is_full(limit: u64) -> SubmitError {
    SubmitError::Failed(format!("the log is full ({limit} blocks); begin a new one"))
}

/// What a command came to that landed in this block under the same key.
fn landed_as(number: u64, block: &Block, signed: &SignedCommand) -> Result<Landed, SubmitError> {
    match &block.origin {
        Origin::Command { signed: before, .. } if before.command == signed.command && before.value == signed.value => {
            Ok(landing(number, block))
        }
        _ => Err(SubmitError::KeyReused { party: signed.sender, key: signed.key.clone() }),
    }
}
