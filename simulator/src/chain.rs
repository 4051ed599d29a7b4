//! The chain of a simulation: the contracts in virtual time.

use std::hash::{Hash as _, Hasher};

use lota_market::{
    Address, AttoFil, B256, Bytes, Time,
    agent::{At, Auctioneer, Pace},
    auction::{Bid, SealedBidAuction},
    model::{self, JobId, Market, Settings, Signed, Terms},
    world::{CallError, ContractCommand, Env, ExternalCall, Log, Script, TooMuchMoney, World},
};
use sha2::{Digest as _, Sha256};

use crate::{identity, queue::VirtualTime, scenario::ChainSettings};

/// Where the market is.
pub const MARKET: Address = Address::repeat_byte(0x4d);
/// Where the auction is.
pub const AUCTION: Address = Address::repeat_byte(0x4e);
/// The arbiter's account.
pub const ARBITER: Address = Address::repeat_byte(0x4a);
/// The timestamp of the beginning.
pub const START: Time = Time(1_800_000_000);

/// The account of a party.
#[must_use]
pub fn account(number: u32) -> Address {
    identity::address(number)
}

/// The shortest reveal period of an auction, in seconds.
const MIN_REVEAL_PERIOD: u32 = 1;

/// Market and auction, the time of the newest block, and a digest over all that was said.
#[derive(Clone, Debug)]
pub struct Chain {
    world: World,
    settings: Settings,
    block_time: u64,
    final_blocks: u64,
    now: VirtualTime,
    block: u64,
    said: LogDigest,
    events: u64,
    commands: u64,
    refusals: u64,
}

impl Chain {
    /// A chain on which nothing has happened.
    ///
    /// # Errors
    /// When the market cannot be deployed with these settings.
    pub fn new(settings: &ChainSettings) -> Result<Self, lota_market::world::DeployError> {
        let market = Settings { min_window: settings.min_window, ..Settings::COIN };
        let mut world = World::new();
        world.deploy(MARKET, lota_market::world::Contract::Market(Market::new(market)))?;
        world.deploy_auction(AUCTION, MARKET, MIN_REVEAL_PERIOD)?;
        Ok(Self {
            world,
            settings: market,
            block_time: settings.block_time,
            final_blocks: settings.final_blocks,
            now: VirtualTime::default(),
            block: 0,
            said: LogDigest::default(),
            events: 0,
            commands: 0,
            refusals: 0,
        })
    }

    /// How time passes on it, as its agents are told.
    #[must_use]
    pub const fn pace(&self) -> Pace {
        Pace { epoch: self.block_time, undo_depth: 0, final_blocks: self.final_blocks, careful_from: None }
    }

    /// The auction, as its agents are told.
    #[must_use]
    pub const fn auctioneer() -> Auctioneer {
        Auctioneer { contract: AUCTION, min_reveal_period: MIN_REVEAL_PERIOD, bid_gas: 0 }
    }

    /// The market's settings.
    #[must_use]
    pub const fn settings(&self) -> Settings {
        self.settings
    }

    /// When a command that reaches the chain at some time is executed: where blocks come at intervals, with the next one.
    #[must_use]
    pub fn lands(&self, arrives: VirtualTime) -> VirtualTime {
        match self.block_time.saturating_mul(1_000) {
            0 => arrives,
            interval => VirtualTime((arrives.0 / interval).saturating_add(1).saturating_mul(interval)),
        }
    }

    /// The first moment at which the newest block has a timestamp.
    #[must_use]
    pub fn reaches(&self, time: Time) -> VirtualTime {
        let wanted = time.since(START).saturating_mul(1_000);
        match self.block_time.saturating_mul(1_000) {
            0 => VirtualTime(wanted),
            interval => VirtualTime(wanted.div_ceil(interval).saturating_mul(interval)),
        }
    }

    /// The last moment at which the newest block's timestamp is not after `time`.
    #[must_use]
    pub fn last_before(&self, time: Time) -> VirtualTime {
        let wanted = time.since(START).saturating_mul(1_000);
        match self.block_time.saturating_mul(1_000) {
            0 => VirtualTime(wanted),
            interval => VirtualTime(wanted / interval * interval),
        }
    }

    /// When a block comes, where blocks come at intervals.
    #[must_use]
    pub const fn begins(&self, block: u64) -> VirtualTime {
        VirtualTime(block.saturating_mul(self.block_time).saturating_mul(1_000))
    }

    /// Time passes.
    pub const fn advance(&mut self, now: VirtualTime) {
        self.now = now;
        if self.block_time > 0 {
            self.block = now.0 / (self.block_time * 1_000);
        }
    }

    /// Number and timestamp of the newest block.
    #[must_use]
    pub const fn head(&self) -> At {
        let seconds = match self.block_time {
            0 => self.now.0 / 1_000,
            interval => self.block * interval,
        };
        At { block: self.block, time: START.after(seconds) }
    }

    /// Number of the newest block that is final.
    #[must_use]
    pub const fn finalized(&self) -> u64 {
        self.block.saturating_sub(self.final_blocks)
    }

    /// Executes a command; what contracts say is added to `log`.
    ///
    /// # Errors
    /// When it is refused: then nothing has changed.
    pub fn execute(
        &mut self,
        sender: Address,
        command: &ContractCommand,
        value: AttoFil,
        log: &mut Vec<Log>,
    ) -> Result<(), CallError> {
        let mut env = Surroundings { now: self.head().time };
        let first = log.len();
        self.commands += 1;
        // Beside the command, whose memory is waited for.
        self.said.advance();
        let executed = match command {
            ContractCommand::Market(command) => {
                self.world.execute_on_market(sender, MARKET, value, command, &mut env, log)
            }
            ContractCommand::Auction(command) => {
                self.world.execute_on_auction(sender, AUCTION, value, command, &mut env, log)
            }
            ContractCommand::Blessing(_)
            | ContractCommand::FilecoinPay(_)
            | ContractCommand::Granter(_)
            | ContractCommand::FilecoinPayDeals(_) => Err(CallError::NoSuchFunction(MARKET)),
        };
        if let Err(error) = executed {
            self.refusals += 1;
            return Err(error);
        }
        if self.block_time == 0 {
            self.block += 1;
        }
        for said in &log[first..] {
            self.events += 1;
            self.said.add(self.now, said);
        }
        Ok(())
    }

    /// Makes money in a wallet.
    ///
    /// # Errors
    /// When there would be more than can be counted.
    pub fn mint(&mut self, account: Address, amount: AttoFil) -> Result<(), TooMuchMoney> {
        self.world.mint(account, amount)
    }

    /// Wallets and contracts.
    #[must_use]
    pub const fn world(&self) -> &World {
        &self.world
    }

    /// The market.
    ///
    /// # Panics
    /// Never: it is there from the beginning.
    #[must_use]
    #[expect(clippy::expect_used, reason = "it was deployed in `new`")]
    pub fn market(&self) -> &Market {
        self.world.market(MARKET).expect("deployed in `new`")
    }

    /// The auction.
    ///
    /// # Panics
    /// Never: it is there from the beginning.
    #[must_use]
    #[expect(clippy::expect_used, reason = "it was deployed in `new`")]
    pub fn auction(&self) -> &SealedBidAuction {
        self.world.auction(AUCTION).expect("deployed in `new`")
    }

    /// How many events there were.
    #[must_use]
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// How many commands there were, and how many of them were refused.
    #[must_use]
    pub const fn commands(&self) -> (u64, u64) {
        (self.commands, self.refusals)
    }

    /// The digest of the event log: sha2-256 over every event, with its contract and its time.
    #[must_use]
    pub fn digest(&self) -> B256 {
        self.said.finalize()
    }
}

/// The digest of a log, on the way.
#[derive(Clone, Debug)]
struct LogDigest {
    digest: Sha256,
    /// What is not in `digest` yet: the first `filled` bytes.
    buffer: [u8; Self::BUFFER],
    filled: usize,
}

impl Default for LogDigest {
    fn default() -> Self {
        Self { digest: Sha256::default(), buffer: [0; Self::BUFFER], filled: 0 }
    }
}

impl LogDigest {
    const BLOCK: usize = 64;
    /// More than most commands say.
    const BUFFER: usize = 16 * Self::BLOCK;

    #[inline]
    fn add(&mut self, time: VirtualTime, said: &Log) {
        self.write_u64(time.0);
        said.hash(self);
    }

    /// Digests the whole blocks of what was added. Each step of sha2-256 waits for the one before, and the processor does meanwhile what
    /// does not: so what a command says is digested beside the next one, which waits for memory.
    #[inline]
    fn advance(&mut self) {
        let whole = self.filled - self.filled % Self::BLOCK;
        self.digest.update(&self.buffer[..whole]);
        self.buffer.copy_within(whole..self.filled, 0);
        self.filled -= whole;
    }

    /// What does not fit into the buffer.
    #[cold]
    fn overflow(&mut self, bytes: &[u8]) {
        self.digest.update(&self.buffer[..self.filled]);
        self.digest.update(bytes);
        self.filled = 0;
    }

    fn finalize(&self) -> B256 {
        B256::from_slice(&self.digest.clone().chain_update(&self.buffer[..self.filled]).finalize())
    }
}

/// The standard library's way of walking over a value feeds the digest: no copy is made of it.
impl Hasher for LogDigest {
    fn finish(&self) -> u64 {
        0
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        match self.buffer.get_mut(self.filled..).and_then(|free| free.get_mut(..bytes.len())) {
            Some(free) => {
                free.copy_from_slice(bytes);
                self.filled += bytes.len();
            }
            None => self.overflow(bytes),
        }
    }
}

struct Surroundings {
    now: Time,
}

impl Env for Surroundings {
    fn now(&self) -> Time {
        self.now
    }
    fn job_id(&self, _: Address, terms: &Terms) -> JobId {
        identity::job_id(terms)
    }
    fn spec_digest(&self, spec: &Bytes) -> B256 {
        identity::spec_digest(spec)
    }
    fn signature_valid(&self, _: Address, _: Address, _: &Signed<'_>, _: &Bytes) -> bool {
        false
    }
    fn has_code(&self, _: Address) -> bool {
        false
    }
    fn seals(&self, _: Address, commitment: B256, bid: &Bid) -> bool {
        identity::commitment(bid) == commitment
    }
    fn script(&mut self, _: &ExternalCall<'_>) -> Script {
        Script::accepting(true)
    }
}

/// A command to the market.
pub(crate) const fn to_market(command: model::Command) -> ContractCommand {
    ContractCommand::Market(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(block_time: u64) -> Chain {
        Chain::new(&ChainSettings { block_time, ..ChainSettings::default() }).expect("settings that work")
    }

    #[test]
    fn a_command_lands_at_once_or_with_the_next_block() {
        assert_eq!(chain(0).lands(VirtualTime(1_234)), VirtualTime(1_234));
        assert_eq!(chain(30).lands(VirtualTime(1_234)), VirtualTime(30_000));
        assert_eq!(chain(30).lands(VirtualTime(30_000)), VirtualTime(60_000), "that block is made already");
        assert_eq!(chain(30).reaches(START.after(31)), VirtualTime(60_000));
        assert_eq!(chain(0).reaches(START.after(31)), VirtualTime(31_000));
    }

    struct Plain(Sha256);

    impl Hasher for Plain {
        fn finish(&self) -> u64 {
            0
        }

        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
    }

    /// In whatever pieces it is digested, also what is larger than the buffer.
    #[test]
    fn the_digest_is_that_of_all_that_was_said_in_a_row() {
        let (mut said, mut plain) = (LogDigest::default(), Plain(Sha256::default()));
        for size in 0..4 * LogDigest::BUFFER {
            let time = VirtualTime(size as u64);
            let url = "u".repeat(if size % 7 == 0 { size } else { size % 100 });
            let log = Log { contract: MARKET, event: model::Event::Announced { party: ARBITER, url }.into() };
            said.add(time, &log);
            plain.write_u64(time.0);
            log.hash(&mut plain);
            if size % 5 < 3 {
                said.advance();
            }
            if size % 64 == 0 {
                assert_eq!(said.finalize(), B256::from_slice(&plain.0.clone().finalize()));
            }
        }
        assert_eq!(said.finalize(), B256::from_slice(&plain.0.finalize()));
    }

    #[test]
    fn the_digest_tells_logs_apart_by_event_and_time() {
        let digest = |time, amount| {
            let (mut chain, account) = (chain(0), identity::address(1));
            chain.mint(account, AttoFil(10)).expect("room");
            chain.advance(VirtualTime(time));
            let deposit = to_market(model::Command::Deposit { account });
            chain.execute(account, &deposit, AttoFil(amount), &mut Vec::new()).expect("he has it");
            chain.digest()
        };
        assert_eq!(digest(1, 2), digest(1, 2));
        assert_ne!(digest(1, 2), digest(2, 2));
        assert_ne!(digest(1, 2), digest(1, 3));
    }
}
