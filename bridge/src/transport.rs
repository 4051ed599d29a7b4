//! The [`Transport`] trait: what a party sees of a market and how its commands get there.

use std::fmt;

use alloy::primitives::FixedBytes;
use async_trait::async_trait;
use futures::stream::BoxStream;
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    agent::EffectKey,
    asset::Asset,
    auction, filecoin_pay_deals,
    model::{Command, Deal, Event, JobId, Lane, Reason, Receipt, Rejection, Status, Terms},
};
use serde::{Deserialize, Serialize};

pub use crate::{
    auction::{AuctionRef, SealedBid},
    eip712::MarketRef,
    filecoin_pay_deals::{FilecoinPayDealsRef, RailState},
};

/// A position in a log: right after the event whose index within its block, by the chain's own count, is `index - 1`; or, with
/// `index` 0, before the block's first event. It does not depend on which contracts are read.
///
/// Positions are ordered by `(block, index)` within one fork; `block_hash` says which fork. Two events of one transaction, and
/// two transactions of one block, have different positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cursor {
    /// Number of the block; block 0 is the market's beginning and has no events.
    pub block: u64,
    pub block_hash: B256,
    /// One more than the chain's index of the last event before this position.
    pub index: u32,
}

impl Cursor {
    /// What positions of one fork are ordered by.
    #[must_use]
    pub const fn position(&self) -> (u64, u32) {
        (self.block, self.index)
    }

    /// Whether this position lies above `to`, so that a rewind to `to` undoes it; above `None` lies everything.
    #[must_use]
    pub fn is_above(&self, to: Option<&Self>) -> bool {
        to.is_none_or(|to| self.position() > to.position())
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block {} ({}), event {}", self.block, self.block_hash, self.index)
    }
}

/// The newest block of the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Head {
    pub block: u64,
    pub hash: B256,
    /// Its timestamp; where time passes between blocks (memory), the market's time now.
    pub time: Time,
}

/// A deal as the market stores it: `ILotaMarket.Deal`. Of one that has ended nothing is stored, unless its terms say `keepRecord` or
/// its callback is pending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StoredDeal {
    /// Its state; [`Status::None`] when there is no such deal.
    pub status: Status,
    /// Why it ended; [`Reason::None`] while it runs.
    pub reason: Reason,
    /// A callback runs, or failed and may be retried.
    pub callback_pending: bool,
    /// When it was locked (Locked), submitted (Submitted) or disputed (Disputed); otherwise 0.
    pub since: Time,
    /// Who locked it (Locked only, otherwise zero).
    pub provider: Address,
    /// Its price (Locked only, otherwise zero).
    pub price: AttoFil,
    /// [Digest](crate::eip712::receipt_digest) of its receipt: in Submitted, Disputed, Settled, in Slashed for Overturned,
    /// and in Void; otherwise zeros.
    pub receipt: FixedBytes<26>,
}

impl StoredDeal {
    /// What a chain would store of the model's deal.
    #[must_use]
    pub fn of(job: JobId, deal: &Deal<'_>) -> Self {
        Self {
            status: deal.status,
            reason: deal.reason,
            callback_pending: deal.callback_pending,
            since: deal.since,
            provider: deal.provider,
            price: deal.price,
            receipt: deal.receipt.map(|receipt| crate::eip712::receipt_digest(job, receipt)).unwrap_or_default(),
        }
    }

    /// Whether `receipt` is the one that this deal, of this job, committed to.
    #[must_use]
    pub fn committed_to(&self, job: JobId, receipt: &Receipt) -> bool {
        self.receipt == crate::eip712::receipt_digest(job, receipt)
    }
}

/// What [`Transport::updates`] yields.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Update {
    /// Something happened.
    Event {
        /// The position right after it: store it together with what came of the event, and resume from it.
        cursor: Cursor,
        /// Timestamp of its block.
        time: Time,
        /// Hash of the transaction it is from.
        transaction: B256,
        event: Event,
    },
    /// Something happened in the [auction](Transport::auction); otherwise as `Event`.
    Auction { cursor: Cursor, time: Time, transaction: B256, event: auction::Event },
    /// Something happened at the [`FilecoinPayDeals`](Transport::filecoin_pay_deals); otherwise as `Event`.
    FilecoinPayDeals { cursor: Cursor, time: Time, transaction: B256, event: filecoin_pay_deals::Event },
    /// Every event up to `cursor` has been yielded, and this is the market's time. Comes when the replay has caught up, and
    /// then as time passes; never between two events of one block.
    Head {
        /// How far the log has been yielded (on a chain: the newest block that is deep enough); a place to resume from.
        cursor: Cursor,
        /// The newest block, however deep: its time is *now* for deadlines.
        latest: Head,
        /// Number of the newest block that the chain will not undo: what happened up to it is final.
        finalized: u64,
    },
    /// The chain was reorganised: every event above `to` that was yielded before is undone (all of them when it is `None`).
    /// What follows continues from `to`.
    Rewind {
        /// The highest position that still holds.
        to: Option<Cursor>,
    },
}

/// A stream of updates; see [`Transport::updates`].
pub type UpdateStream = BoxStream<'static, Result<Update, TransportError>>;

/// What a command came to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Landed {
    /// Hash of the transaction.
    pub transaction: B256,
    /// The position right after its last event. It may still be undone by a reorganisation.
    pub cursor: Cursor,
    /// Timestamp of its block.
    pub time: Time,
    /// The market's events, in order.
    pub events: Vec<Event>,
    /// The [auction's](Transport::auction) events, in order.
    #[serde(default)]
    pub auction_events: Vec<auction::Event>,
}

/// Why the market cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// It cannot be reached now; trying again later may help.
    #[error("the market cannot be reached: {0}")]
    Unavailable(String),
    /// The other side is another chain than the configured one.
    #[error(
        "the RPC endpoint serves chain {found}, but chain {wanted} is configured; change the URL or the network preset"
    )]
    WrongChain { wanted: u64, found: u64 },
    /// There is no market at the configured address.
    #[error("no Lota market answers at {contract} on chain {chain_id}: {problem}; check the contract's address")]
    NoMarket {
        contract: Address,
        /** The chain's id. */
        chain_id: u64,
        problem: String,
    },
    /// There is no auction for this market at the configured address.
    #[error(
        "no auction for this market answers at {contract} on chain {chain_id}: {problem}; check the auction's address"
    )]
    NoAuctionAt {
        contract: Address,
        /** The chain's id. */
        chain_id: u64,
        problem: String,
    },
    /// There is no blessing for this market at the configured address.
    #[error(
        "no blessing for this market answers at {contract} on chain {chain_id}: {problem}; check the blessing's address"
    )]
    NoBlessingAt {
        contract: Address,
        /** The chain's id. */
        chain_id: u64,
        problem: String,
    },
    /// There is no `FilecoinPayDeals` for this market at the configured address.
    #[error(
        "no FilecoinPayDeals for this market answers at {contract} on chain {chain_id}: {problem}; check its address"
    )]
    NoFilecoinPayDealsAt {
        contract: Address,
        /** The chain's id. */
        chain_id: u64,
        problem: String,
    },
    /// It was asked about an auction, and there is none.
    #[error("this market is used without an auction; configure one")]
    NoAuction,
    /// An order was to be taken, and there is no contract of orders.
    #[error("this market is used without a FilecoinPayDeals; configure one")]
    NoFilecoinPayDeals,
    /// The other side answered something that this version does not understand.
    #[error("the market's answer cannot be understood: {0}")]
    Malformed(String),
    /// What must be kept between restarts could not be read or written.
    #[error("the log cannot be kept: {0}")]
    Storage(String),
    /// The signing key cannot be used.
    #[error("the key of {party} cannot sign: {problem}")]
    Signer { party: Address, problem: String },
}

impl TransportError {
    /// Whether the same call may succeed later without anybody changing anything.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// Why a command did not land.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The market refuses it: its word for now. The key is not used up.
    #[error("the market refuses: {rejection}")]
    Rejected {
        rejection: Rejection,
        /// Number of the block in whose state it was refused, where that is known: a node may answer from an older state than the
        /// one that was read.
        block: Option<u64>,
    },
    /// The auction refuses it, or the market that the auction asks. The key is not used up.
    #[error("the auction refuses: {rejection}")]
    RejectedByAuction {
        rejection: auction::Rejection,
        /// As of [`Self::Rejected`].
        block: Option<u64>,
    },
    /// `FilecoinPayDeals` refuses it, or who it asks: the market, Filecoin Pay. The key is not used up.
    #[error("FilecoinPayDeals refuses: {rejection}")]
    RejectedByFilecoinPayDeals {
        rejection: Box<filecoin_pay_deals::Rejection>,
        /// As of [`Self::Rejected`].
        block: Option<u64>,
    },
    /// An order could not be taken any more in a block, although that had worked when it was tried out, and nobody else had taken it:
    /// the gas is paid for. The key is not used up.
    #[error(
        "the order could not be taken any more in block {block} (transaction {transaction}), though that had worked when it was tried out{}",
        rejection.as_ref().map_or_else(String::new, |rejection| format!(": {rejection}"))
    )]
    TakeFailed {
        /// What keeps it from being taken after that block; `None`: nothing does any more.
        rejection: Option<Box<filecoin_pay_deals::Rejection>>,
        transaction: B256,
        block: u64,
    },
    /// The key was used for another command (or the same with another value) before.
    #[error("the key `{key}` was used by {party} for another command before; every effect needs a key of its own")]
    KeyReused { party: Address, key: EffectKey },
    /// The party's account outside the market holds too little for the value and the fees. Sending resumes by itself, on the
    /// next call, once there is enough.
    #[error("{account} holds {wallet} outside the market and needs {needed} for the value and the fees; send it more")]
    Unaffordable { account: Address, wallet: AttoFil, needed: AttoFil },
    /// The callback that was to be retried failed in a block, although it had worked when it was tried out: the gas is paid for. The
    /// key is not used up.
    #[error(
        "the client's callback failed in block {block} (transaction {transaction}), though it had worked when it was tried out"
    )]
    CallbackFailed { transaction: B256, block: u64 },
    /// The command needs more gas than the party sends with it at most; nothing was sent.
    #[error("it needs {needed} gas, and {most} is the most that is sent with it")]
    TooMuchGas {
        needed: u64,
        /// What the party's settings say.
        most: u64,
    },
    /// Value was sent with a command that takes none.
    #[error("{value} was sent with a command that takes no money; only deposit, open and fund do")]
    NotPayable { value: AttoFil },
    /// The command has more bytes than [`MAX_COMMAND`], or nests deeper than [`MAX_NESTING`].
    #[error("the command is too large: {0}; split it")]
    TooLarge(String),
    /// The signature is not the sender's.
    #[error("the command of {sender} is signed by somebody else ({problem})")]
    WrongSigner {
        /** Who is said to send. */
        sender: Address,
        problem: String,
    },
    /// It failed for a reason the protocol does not know: a node that is confused, perhaps. The key is not used up.
    #[error("the command failed: {0}")]
    Failed(String),
    /// It is not known whether it landed. Submitting again under the same key is harmless and finds out.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

impl SubmitError {
    /// In words, with amounts of the market as its asset has them; what is outside it for gas is in the chain's coin.
    #[must_use]
    pub fn words(&self, asset: &Asset) -> String {
        match self {
            Self::Rejected { rejection, .. } => format!("the market refuses: {}", rejection.words(asset)),
            Self::RejectedByAuction { rejection, .. } => format!("the auction refuses: {}", rejection.words(asset)),
            Self::RejectedByFilecoinPayDeals { rejection, .. } => {
                format!("FilecoinPayDeals refuses: {}", rejection.words(asset))
            }
            other => other.to_string(),
        }
    }

    /// Whether the same call may succeed later without anybody changing the command.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Transport(error) => error.is_temporary(),
            Self::Unaffordable { .. } => true,
            _ => false,
        }
    }
}

/// What must stay in an account outside the market when a command is sent: gas that is certain to be needed later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reserve {
    /// Commands that the account is bound to send: results of jobs that it has locked or is about to, settlements.
    pub commands: u32,
    /// Gas that the clients' callbacks may use, all together.
    pub callback_gas: u64,
}

/// The most bytes of one encoded command.
pub const MAX_COMMAND: usize = 1 << 20;
/// How deep multicalls may be nested in each other.
pub const MAX_NESTING: usize = 4;

/// Whether a command takes money: `Deposit` and `Open` do, outside a multicall.
#[must_use]
pub const fn is_payable(command: &Command) -> bool {
    matches!(command, Command::Deposit { .. } | Command::Open { .. })
}

/// Commands of a party's that the chain may still execute, or undo, without anybody submitting them again; see
/// [`Transport::outstanding`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outstanding {
    /// Their keys, in any order; a key may come more than once.
    pub keys: Vec<EffectKey>,
    /// Timestamp of a final block above which they land, if they do; 0 when none is known.
    pub final_time: Time,
}

/// A party's way to one market: what happens there, in order, and how its commands get there.
///
/// Implementations share a conformance suite, so that nothing above depends on which one it is.
#[async_trait]
pub trait Transport: Send + Sync + 'static {
    /// Which market this is.
    fn market(&self) -> MarketRef;

    /// Whose commands this transport signs and sends.
    fn party(&self) -> Address;

    /// The market's log from right after `from` (from its beginning, if `None`), then what happens live.
    ///
    /// Each event comes once and in order. If `from` is on a fork that is gone, or the chain is reorganised meanwhile, an
    /// [`Update::Rewind`] comes first. The stream is pulled: a slow reader loses nothing and makes nothing grow.
    ///
    /// # Errors
    /// A temporary error ([`TransportError::is_temporary`]) is news, not the end: the stream goes on from where it was when it
    /// is polled again. Any other error is the stream's last item.
    fn updates(&self, from: Option<Cursor>) -> UpdateStream;

    /// Gets a command to the market and waits until it landed in a block. `value` is money from outside the market
    /// ([`wallet`](Self::wallet)), for `Deposit` and `Open` only.
    ///
    /// Idempotent on (party, `key`): called again, at the same time, or after a restart, it lands once, and every call
    /// returns what it came to. When a reorganisation undid it, calling again sends it again. Dropping the future does not
    /// undo anything.
    ///
    /// # Errors
    /// See [`SubmitError`]. After a rejection the key may be tried again.
    async fn submit(&self, key: &EffectKey, command: &Command, value: AttoFil) -> Result<Landed, SubmitError>;

    /// [`submit`](Self::submit) if the account could afterwards still pay for what is reserved. Where commands cost nothing, it
    /// always can. A command that was sent before is not held up.
    ///
    /// # Errors
    /// See [`SubmitError`]; [`SubmitError::Unaffordable`] names what is needed with the reserve.
    async fn submit_with_reserve(
        &self,
        key: &EffectKey,
        command: &Command,
        value: AttoFil,
        reserve: Reserve,
    ) -> Result<Landed, SubmitError> {
        let _ = reserve;
        self.submit(key, command, value).await
    }

    /// The `FilecoinPayDeals` beside the market, if this transport reaches one: its events come in [`updates`](Self::updates), too.
    fn filecoin_pay_deals(&self) -> Option<FilecoinPayDealsRef> {
        None
    }

    /// What its prices are in.
    ///
    /// # Errors
    /// See [`TransportError`]; [`TransportError::NoFilecoinPayDeals`] without one.
    async fn filecoin_pay_asset(&self) -> Result<Asset, TransportError> {
        Err(TransportError::NoFilecoinPayDeals)
    }

    /// Whether an order could be taken there at this price, as far as that is for its payer to see to: its account, its approval, the
    /// rail. Nothing is sent.
    ///
    /// # Errors
    /// What keeps it from being taken, as of [`take_order`](Self::take_order).
    async fn try_order(&self, order: &filecoin_pay_deals::Order, price: U256) -> Result<(), SubmitError> {
        let _ = (order, price);
        Err(TransportError::NoFilecoinPayDeals.into())
    }

    /// Takes an order there, with the collateral from the party's own [funds](Self::funds): of a token, after it has allowed the contract
    /// to take it. Otherwise as [`submit_with_reserve`](Self::submit_with_reserve), with keys of the same kind. It is tried out before
    /// it is sent, so that an order that somebody else has taken, or whose payer cannot pay, costs nothing, unless that changes on the
    /// way into a block.
    ///
    /// # Errors
    /// See [`SubmitError`]; [`TransportError::NoFilecoinPayDeals`] without one.
    async fn take_order(
        &self,
        key: &EffectKey,
        order: &filecoin_pay_deals::Order,
        reserve: Reserve,
    ) -> Result<Landed, SubmitError> {
        let _ = (key, order, reserve);
        Err(TransportError::NoFilecoinPayDeals.into())
    }

    /// How one of its rails is at the newest block.
    ///
    /// # Errors
    /// See [`TransportError`]; [`TransportError::NoFilecoinPayDeals`] without one.
    async fn rail(&self, rail: U256) -> Result<RailState, TransportError> {
        let _ = rail;
        Err(TransportError::NoFilecoinPayDeals)
    }

    /// How much gas it takes to have paid what is due on these rails. It is tried out: nothing is sent.
    ///
    /// # Errors
    /// See [`SubmitError`]; what it would be refused with.
    async fn gas_to_collect(&self, rails: &[U256]) -> Result<u64, SubmitError> {
        let _ = rails;
        Err(TransportError::NoFilecoinPayDeals.into())
    }

    /// Whether it takes less gas to collect from several rails at once than from one after the other.
    fn collects_cheaper_together(&self) -> bool {
        true
    }

    /// Has what is due on these rails paid to their payees, all or nothing. It is tried out before it is sent; otherwise as
    /// [`submit_with_reserve`](Self::submit_with_reserve), with keys of the same kind.
    ///
    /// # Errors
    /// See [`SubmitError`]; [`TransportError::NoFilecoinPayDeals`] without one.
    async fn collect(&self, key: &EffectKey, rails: &[U256], reserve: Reserve) -> Result<Landed, SubmitError> {
        let _ = (key, rails, reserve);
        Err(TransportError::NoFilecoinPayDeals.into())
    }

    /// What an account at Filecoin Pay has, in what orders are paid in, that is not locked.
    ///
    /// # Errors
    /// See [`TransportError`]; [`TransportError::NoFilecoinPayDeals`] without one.
    async fn filecoin_pay_balance(&self, account: Address) -> Result<AttoFil, TransportError> {
        let _ = account;
        Err(TransportError::NoFilecoinPayDeals)
    }

    /// The auction beside the market, if this transport reaches one: its events come in [`updates`](Self::updates), too.
    fn auction(&self) -> Option<AuctionRef> {
        None
    }

    /// Gets a command to the auction; otherwise as [`submit`](Self::submit), with keys of the same kind. `value` goes with `Fund`
    /// only.
    ///
    /// # Errors
    /// See [`SubmitError`]; [`TransportError::NoAuction`] without an auction.
    async fn submit_to_auction(
        &self,
        key: &EffectKey,
        command: &auction::Command,
        value: AttoFil,
    ) -> Result<Landed, SubmitError> {
        let _ = (key, command, value);
        Err(TransportError::NoAuction.into())
    }

    /// Moves so much of the party's own [funds](Self::funds) into its account in the auction, once for each key; of a token, after it
    /// has allowed the auction to take it. With the reserve of [`submit_to_auction_with_reserve`](Self::submit_to_auction_with_reserve).
    ///
    /// # Errors
    /// As of [`submit_to_auction`](Self::submit_to_auction).
    async fn fund_auction(&self, key: &EffectKey, amount: AttoFil, reserve: Reserve) -> Result<Landed, SubmitError> {
        self.submit_to_auction_with_reserve(key, &auction::Command::Fund, amount, reserve).await
    }

    /// [`submit_to_auction`](Self::submit_to_auction) if the account could afterwards still pay for what is reserved: as
    /// [`submit_with_reserve`](Self::submit_with_reserve).
    ///
    /// # Errors
    /// See [`SubmitError`].
    async fn submit_to_auction_with_reserve(
        &self,
        key: &EffectKey,
        command: &auction::Command,
        value: AttoFil,
        reserve: Reserve,
    ) -> Result<Landed, SubmitError> {
        let _ = reserve;
        self.submit_to_auction(key, command, value).await
    }

    /// Whether a command was begun under this key, so that it has landed or may yet land; nothing is sent. Who does not remember
    /// what it began says that it may have.
    ///
    /// # Errors
    /// When what is remembered cannot be read.
    async fn was_begun(&self, key: &EffectKey) -> Result<bool, TransportError> {
        let _ = key;
        Ok(true)
    }

    /// The party's commands that may still be executed in a block above `seen`, which is final and whose events were taken in; also
    /// those that were, in a block that may be undone or above `seen`, whatever they came to there. Nothing is sent. A command that is
    /// not among them, and of which no [`submit`](Self::submit) is under way, has taken effect up to `seen`, or never will. Where none
    /// lands but while somebody waits for it, there are none.
    ///
    /// If the market cannot be reached, there may be some among them that are over.
    ///
    /// # Errors
    /// When what is remembered cannot be read.
    async fn outstanding(&self, seen: u64) -> Result<Outstanding, TransportError> {
        let _ = seen;
        Ok(Outstanding::default())
    }

    /// The nonce of a transaction that was sent with the party's key by somebody who has not this transport's memory: another process,
    /// on another machine perhaps. `None`: it was sent by this one, or before this one sent anything, or by another party, or is not
    /// known. Where a key has no nonces nothing is said.
    ///
    /// # Errors
    /// If the market, or what is remembered, cannot be read.
    async fn sent_elsewhere(&self, transaction: B256) -> Result<Option<u64>, TransportError> {
        let _ = transaction;
        Ok(None)
    }

    /// The gas that a bid takes in all: bringing money into the auction, sealing, opening, awarding. Nothing where commands cost
    /// nothing.
    fn bid_gas(&self) -> u64 {
        0
    }

    /// The gas that an order takes beyond a lock at the market: taking it, on a rail that has to be made first, and having it paid.
    /// Nothing where commands cost nothing.
    fn order_gas(&self) -> u64 {
        0
    }

    /// The party's bid for a job, as it is sealed and later revealed; `None` without an auction. The same price gives the same
    /// bid again, after a restart too.
    fn seal(&self, job: JobId, price: AttoFil) -> Option<SealedBid> {
        let _ = (job, price);
        None
    }

    /// Free balance of an account in the auction.
    ///
    /// # Errors
    /// If it cannot be reached; [`TransportError::NoAuction`].
    async fn auction_balance(&self, account: Address) -> Result<AttoFil, TransportError> {
        let _ = account;
        Err(TransportError::NoAuction)
    }

    /// A job's auction as it is stored, in the newest block; without commits when there is none.
    ///
    /// # Errors
    /// If it cannot be reached; [`TransportError::NoAuction`].
    async fn auction_of(&self, job: JobId) -> Result<auction::Auction, TransportError> {
        let _ = job;
        Err(TransportError::NoAuction)
    }

    /// Which of a job's bids (from 1) a bidder has sealed and not revealed; 0: none.
    ///
    /// # Errors
    /// If it cannot be reached; [`TransportError::NoAuction`].
    async fn sealed_order(&self, job: JobId, bidder: Address) -> Result<u32, TransportError> {
        let _ = (job, bidder);
        Err(TransportError::NoAuction)
    }

    /// The newest block, however deep.
    ///
    /// # Errors
    /// If the market cannot be reached.
    async fn head(&self) -> Result<Head, TransportError>;

    /// Free balance of an account in the market.
    ///
    /// # Errors
    /// If the market cannot be reached.
    async fn balance(&self, account: Address) -> Result<AttoFil, TransportError>;

    /// Native money of an account outside the market.
    ///
    /// # Errors
    /// If the market cannot be reached.
    async fn wallet(&self, account: Address) -> Result<AttoFil, TransportError>;

    /// What the market's amounts are in.
    fn asset(&self) -> Asset {
        Asset::coin()
    }

    /// What an account has of the market's asset outside the market.
    ///
    /// # Errors
    /// If the market, or its token, cannot be reached.
    async fn funds(&self, account: Address) -> Result<AttoFil, TransportError> {
        self.wallet(account).await
    }

    /// Moves so much of the party's own [funds](Self::funds) into the market, once for each key; of a token, after it has allowed the
    /// market to take it.
    ///
    /// # Errors
    /// See [`SubmitError`].
    async fn deposit(&self, key: &EffectKey, amount: AttoFil) -> Result<Landed, SubmitError> {
        self.submit(key, &Command::Deposit { account: self.party() }, amount).await
    }

    /// What a unit of gas costs now, in the chain's coin; nothing where commands cost nothing.
    ///
    /// # Errors
    /// If the market cannot be reached.
    async fn gas_price(&self) -> Result<AttoFil, TransportError> {
        Ok(AttoFil::ZERO)
    }

    /// A deal as it is stored, in the newest block.
    ///
    /// # Errors
    /// If the market cannot be reached.
    async fn deal(&self, job: JobId) -> Result<StoredDeal, TransportError>;

    /// Whether a client's salt was used or revoked.
    ///
    /// # Errors
    /// If the market cannot be reached.
    async fn is_spent(&self, client: Address, salt: U256) -> Result<bool, TransportError>;

    /// The lowest salt of a client's lane that was neither used nor revoked. Those up to
    /// [`SALT_WINDOW`](lota_market::model::SALT_WINDOW) numbers above it may be used, too.
    ///
    /// # Errors
    /// If the market cannot be reached.
    async fn next_salt(&self, client: Address, lane: Lane) -> Result<U256, TransportError>;

    /// The id that a job with these terms has in this market.
    fn job_id(&self, terms: &Terms) -> JobId {
        crate::eip712::job_id(&self.market(), terms)
    }

    /// The party's signature over terms, as `openSigned` and `openSignedAndLock` take it (65 bytes: r, s, v).
    ///
    /// # Errors
    /// [`TransportError::Signer`].
    async fn sign_terms(&self, terms: &Terms) -> Result<Bytes, TransportError>;

    /// The party's signature over `Acceptance(bytes32 jobId,Receipt receipt,uint64 until)`, as `settleBatch` takes it.
    ///
    /// # Errors
    /// [`TransportError::Signer`].
    async fn sign_acceptance(&self, job: JobId, receipt: &Receipt, until: Time) -> Result<Bytes, TransportError>;
}
