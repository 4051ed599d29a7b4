//! What travels between the mock and its clients.

mod fault;

use lota_market::{
    Address, AttoFil, B256, U256,
    agent::EffectKey,
    model::{JobId, Lane},
    movements::Holdings,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

pub use fault::{
    ContractName, ErrorObject, Fault, INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR, REVERTED, SERVER_ERROR,
    UNKNOWN_METHOD,
};

use crate::{
    memory::Booked,
    transport::{AuctionRef, Cursor, MAX_COMMAND, MarketRef, Update},
};

/// The version of the protocol.
pub const PROTOCOL: u32 = 1;
/// The most bytes of a message to the server: a command in hex, and what belongs to it.
pub const MAX_REQUEST: usize = 2 * MAX_COMMAND + 16 * 1024;
/// The most bytes of a message of the server's.
pub const MAX_MESSAGE: usize = 16 << 20;
/// The most accounts or movements of one answer.
pub const MAX_PAGE: usize = 1_000;

/// The methods.
pub mod method {
    #![allow(missing_docs, reason = "docs/mock.md says what each is")]
    pub const INFO: &str = "market.info";
    pub const SUBMIT: &str = "market.submit";
    pub const LANDED: &str = "market.landed";
    pub const HEAD: &str = "market.head";
    pub const BALANCE: &str = "market.balance";
    pub const WALLET: &str = "market.wallet";
    pub const DEAL: &str = "market.deal";
    pub const IS_SPENT: &str = "market.is_spent";
    pub const NEXT_SALT: &str = "market.next_salt";
    pub const AUCTION_BALANCE: &str = "auction.balance";
    pub const AUCTION_OF: &str = "auction.of";
    pub const SEALED_ORDER: &str = "auction.sealed_order";
    pub const EVENTS: &str = "events.subscribe";
    pub const UNSUBSCRIBE: &str = "unsubscribe";
    pub const HOLDINGS: &str = "accounts.holdings";
    pub const MOVEMENTS: &str = "accounts.movements";
    pub const FOLLOW_MOVEMENTS: &str = "accounts.subscribe";
    pub const FAUCET: &str = "faucet.give";
    pub const ADVANCE: &str = "time.advance";

    /// All of them.
    pub const ALL: [&str; 19] = [
        INFO,
        SUBMIT,
        LANDED,
        HEAD,
        BALANCE,
        WALLET,
        DEAL,
        IS_SPENT,
        NEXT_SALT,
        AUCTION_BALANCE,
        AUCTION_OF,
        SEALED_ORDER,
        EVENTS,
        UNSUBSCRIBE,
        HOLDINGS,
        MOVEMENTS,
        FOLLOW_MOVEMENTS,
        FAUCET,
        ADVANCE,
    ];
}

/// What the server says without being asked each time.
pub mod notification {
    #![allow(missing_docs, reason = "docs/mock.md says what each is")]
    pub const UPDATE: &str = "events.update";
    pub const MOVEMENT: &str = "accounts.movement";
    pub const ENDED: &str = "subscription.ended";

    /// All of them.
    pub const ALL: [&str; 3] = [UPDATE, MOVEMENT, ENDED];
}

/// A request as it comes in; what it asks for is read when it is known what that is.
#[derive(Debug, Deserialize)]
pub struct Request<'a> {
    /// "2.0".
    pub jsonrpc: String,
    /// Comes back with the answer: a number or a string.
    pub id: Option<Id>,
    pub method: String,
    #[serde(borrow)]
    pub params: Option<&'a RawValue>,
}

/// Which request an answer is to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "an `id` is a whole number from 0 on, or a string")]
pub enum Id {
    Number(u64),
    Text(String),
}

/// What may be asked without an argument.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoParams {}

/// Of [`method::LANDED`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyParams {
    pub party: Address,
    pub key: EffectKey,
}

/// Of methods that ask about an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountParams {
    pub account: Address,
}

/// Of methods that ask about a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobParams {
    pub job: JobId,
}

/// Of [`method::IS_SPENT`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaltParams {
    pub client: Address,
    pub salt: U256,
}

/// Of [`method::NEXT_SALT`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaneParams {
    pub client: Address,
    pub lane: Lane,
}

/// Of [`method::SEALED_ORDER`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BidderParams {
    pub job: JobId,
    pub bidder: Address,
}

/// Of [`method::EVENTS`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsParams {
    /// None: from the beginning.
    #[serde(default)]
    pub from: Option<Cursor>,
}

/// Of [`method::UNSUBSCRIBE`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnsubscribeParams {
    pub subscription: u64,
}

/// Of [`method::HOLDINGS`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldingsParams {
    /// Of this one only.
    #[serde(default)]
    pub account: Option<Address>,
    /// From this one on.
    #[serde(default)]
    pub from: Option<Address>,
}

/// The answer to [`method::HOLDINGS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldingsPage {
    /// By their addresses.
    pub accounts: Vec<AccountHoldings>,
    /// Where the next page begins, if there is one.
    pub next: Option<Address>,
}

/// Where an account's money lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountHoldings {
    pub account: Address,
    #[serde(flatten)]
    pub holdings: Holdings,
}

/// Of [`method::MOVEMENTS`] and [`method::FOLLOW_MOVEMENTS`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MovementsParams {
    /// The block, and the movement in it, from which on.
    #[serde(default)]
    pub from: (u64, u32),
    /// Of this account only.
    #[serde(default)]
    pub account: Option<Address>,
}

/// Of [`method::FAUCET`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaucetParams {
    pub account: Address,
    pub amount: AttoFil,
}

/// Of [`method::ADVANCE`].
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdvanceParams {
    pub seconds: u64,
}

/// The answer to [`method::INFO`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// What commands are signed for.
    pub market: MarketRef,
    pub auction: Option<AuctionRef>,
    /// The hash of block 0. Another one: another market, of which no cursor is known here.
    pub beginning: B256,
    /// Whether time passes only with [`method::ADVANCE`].
    pub virtual_time: bool,
    /// The most that the faucet gives at once; none: there is no faucet.
    pub faucet: Option<AttoFil>,
}

/// The answer to the methods that subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subscribed {
    /// It is in all that comes because of it.
    pub subscription: u64,
}

/// What a notification carries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification<T> {
    pub subscription: u64,
    #[serde(flatten)]
    pub what: T,
}

/// Of [`notification::UPDATE`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpdateBody {
    pub update: Update,
}

/// Of [`notification::MOVEMENT`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MovementBody {
    pub movement: Booked,
}

/// Of [`notification::ENDED`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedBody {
    pub error: ErrorObject,
}
