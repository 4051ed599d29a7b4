//! A chain like Filecoin, in virtual time.
//!
//! Time passes when [`EpochChain::pass`] is called, an epoch each time, and not otherwise. An epoch has a block with the messages
//! that were sent before it, or none (a null round). A block is executed with the next one, as Lotus does: what is told of the chain
//! is that of the newest block that was executed. Every few epochs blocks are undone, and others take their place; what was in them
//! is included again, in another order, or dropped. All that happens by chance follows from a seed.
//!
//! A party's transport behaves as the one to a real chain: it tries a command out before it sends it, one key is one message, and
//! while somebody waits for a message that was dropped it is sent again.

mod blocks;
mod chance;
mod transport;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lota_market::{
    Address, AttoFil, Bytes, U256,
    agent::EffectKey,
    model::{Command, Event, JobId, Lane, Market},
    world::TooMuchMoney,
};
use tokio::sync::watch;

pub use chance::Weather;
pub use transport::EpochTransport;

use self::blocks::{Blocks, Submitted};
use super::{Accounts, Contracts, Genesis};
use crate::{
    PrivateKeySigner,
    eip712::SignedCommand,
    transport::{Cursor, Head, MarketRef, StoredDeal, SubmitError, Update},
};

/// What a chain is run with.
#[derive(Clone, Debug)]
pub struct EpochOptions {
    /// Seconds from one epoch to the next.
    pub epoch: u64,
    /// How many epochs must lie above a block that is told to be final. No reorganisation goes deeper.
    pub finality: u64,
    /// How the rounds fall.
    pub weather: Weather,
    /// What all that happens by chance follows from.
    pub seed: u64,
    /// What contracts do when they are called.
    pub contracts: Arc<dyn Contracts>,
}

impl Default for EpochOptions {
    /// Filecoin's epochs and finality, in calm weather.
    fn default() -> Self {
        Self { epoch: 30, finality: 900, weather: Weather::CALM, seed: 0, contracts: Arc::new(Accounts) }
    }
}

/// A message that a party sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// By whom.
    pub sender: Address,
    /// Under which key.
    pub key: EffectKey,
    /// The command, [encoded](crate::encoding).
    pub command: Bytes,
    /// What was sent along.
    pub value: AttoFil,
    /// The epoch of its block; `None`: it is in none.
    pub epoch: Option<u64>,
    /// Whether it was refused in that block.
    pub refused: bool,
}

struct Inner {
    market: MarketRef,
    blocks: Mutex<Blocks>,
    changes: watch::Sender<u64>,
}

/// A chain whose time passes in epochs; see [the module](self). It lives as long as the process and keeps every block: it is for
/// tests and demonstrations. Clones are the same chain.
#[derive(Clone)]
pub struct EpochChain(Arc<Inner>);

impl fmt::Debug for EpochChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EpochChain").field("market", &self.0.market).finish_non_exhaustive()
    }
}

impl EpochChain {
    /// Begins a chain; block 0 has an empty block above it, so that it was executed.
    ///
    /// # Errors
    /// When the funds of the genesis are more than can exist.
    pub fn new(genesis: &Genesis, options: EpochOptions) -> Result<Self, TooMuchMoney> {
        let blocks = Blocks::new(genesis, options)?;
        let inner = Inner { market: genesis.market, blocks: Mutex::new(blocks), changes: watch::Sender::new(0) };
        Ok(Self(Arc::new(inner)))
    }

    /// A party's transport.
    #[must_use]
    pub fn connect(&self, signer: PrivateKeySigner) -> EpochTransport {
        EpochTransport::new(self.clone(), signer)
    }

    /// Which market this is.
    #[must_use]
    pub fn market(&self) -> MarketRef {
        self.0.market
    }

    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.0.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.0.changes.send_modify(|change| *change += 1);
    }

    // Time ------------------------------------------------------------------------------------------------------------

    /// An epoch passes.
    pub fn pass(&self) {
        self.blocks().pass();
        self.changed();
    }

    /// The weather changes.
    pub fn set_weather(&self, weather: Weather) {
        self.blocks().weather = weather;
    }

    /// The clock jumps: the next block is so many seconds later than it should be, and those that follow it, too. A reorganisation that
    /// undoes the block turns the clock back.
    pub fn jump(&self, seconds: u64) {
        self.blocks().ahead = seconds;
    }

    /// A reorganisation: the blocks above the one of this epoch, or the last before it, are replaced by others. What is final stays.
    pub fn fork_above(&self, epoch: u64) {
        self.blocks().fork_above(epoch);
        self.changed();
    }

    /// Which epoch it is.
    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.blocks().epoch
    }

    /// Changes whenever the chain does.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    // What is told ----------------------------------------------------------------------------------------------------

    /// What comes after `from`, at most `limit` updates (at least one): a rewind, events, or the head when there are none.
    #[must_use]
    pub fn read(&self, from: Option<&Cursor>, limit: usize) -> Vec<Update> {
        self.blocks().read(from, limit.max(1))
    }

    /// The newest block that was executed.
    #[must_use]
    pub fn head(&self) -> Head {
        self.blocks().head().as_head()
    }

    /// Native money of an account.
    #[must_use]
    pub fn wallet(&self, account: Address) -> AttoFil {
        self.blocks().head().world.wallet(account)
    }

    fn in_market<T>(&self, look: impl FnOnce(&Market) -> T) -> T {
        let blocks = self.blocks();
        look(blocks.head().market(self.0.market.contract))
    }

    /// Free balance of an account in the market.
    #[must_use]
    pub fn balance(&self, account: Address) -> AttoFil {
        self.in_market(|market| market.balance(account))
    }

    /// A deal as it is stored.
    #[must_use]
    pub fn deal(&self, job: JobId) -> StoredDeal {
        self.in_market(|market| StoredDeal::of(job, &market.deal(job)))
    }

    /// Whether a salt was used or revoked.
    #[must_use]
    pub fn is_spent(&self, client: Address, salt: U256) -> bool {
        self.in_market(|market| market.is_spent(client, salt))
    }

    /// The lowest salt of a client's lane that was neither used nor revoked.
    #[must_use]
    pub fn next_salt(&self, client: Address, lane: Lane) -> U256 {
        self.in_market(|market| market.next_salt(client, lane))
    }

    /// A copy of the market's state.
    #[must_use]
    pub fn snapshot(&self) -> Market {
        self.in_market(Market::clone)
    }

    /// All money there is.
    #[must_use]
    pub fn minted(&self) -> AttoFil {
        self.blocks().head().world.minted()
    }

    // What tests look at ----------------------------------------------------------------------------------------------

    /// The keys that a party's [`submit`](crate::Transport::submit) waits for, of which this chain cannot say yet what they came to.
    #[must_use]
    pub fn awaited(&self, party: Address) -> Vec<EffectKey> {
        self.blocks().awaited(party)
    }

    /// The events of all blocks, with the epochs of these; also of the newest block, which was not executed yet.
    #[must_use]
    pub fn events(&self) -> Vec<(u64, Event)> {
        self.blocks().events()
    }

    /// All messages that were sent, in the order in which they were sent first.
    #[must_use]
    pub fn messages(&self) -> Vec<Sent> {
        self.blocks().messages()
    }

    /// How many blocks were undone that had been told of.
    #[must_use]
    pub fn undone(&self) -> u64 {
        self.blocks().undone
    }

    // What transports do ----------------------------------------------------------------------------------------------

    /// Sends a command, or looks what became of it.
    fn submit(&self, signed: &SignedCommand, command: &Command, is_first: bool) -> Result<Submitted, SubmitError> {
        self.blocks().submit(signed, command, is_first)
    }
}
