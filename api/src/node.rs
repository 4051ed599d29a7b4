//! The daemon itself, and the other parties that it knows.

use jiff::Timestamp;
use lota_market::{Address, B256, agent::Filling, asset::Asset, model::JobId};
use serde::{Deserialize, Serialize};

use crate::{OrdersInfo, ProblemCode};

/// What the jobs of a provider may take together at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfferedResources {
    /// How many jobs run at once.
    pub slots: u32,
    /// Thousandths of a processor.
    pub cpu_millis: u64,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Disk space for what they write, in bytes.
    pub disk_bytes: u64,
    /// Whole graphics processors.
    #[serde(default)]
    pub gpus: u32,
}

/// `GET /v1/node`: who this daemon is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeInfo {
    /// Its name: the folder under `$LOTA_HOME/nodes/`.
    pub name: String,
    /// Version of the software.
    pub version: String,
    /// The account it acts as.
    pub party: Address,
    /// Whether it runs jobs for others.
    pub provider: bool,
    /// What jobs may take of its machine together, if it runs jobs for others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offers: Option<OfferedResources>,
    /// The market it is connected to.
    pub market: MarketInfo,
    /// Where it serves content.
    pub gateway: String,
    /// Timestamp of the newest block it has seen.
    pub head: Timestamp,
    /// Bytes that the blocks in its store take on the disk, as the limit counts them: each a whole number of pages.
    pub store_bytes: u64,
    /// Blocks in its store.
    #[serde(default)]
    pub store_blocks: u64,
    /// The limit of its store, in bytes.
    pub store_capacity: u64,
    /// What it has of orders that are paid over Filecoin Pay, if it follows such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub orders: Option<OrdersInfo>,
    /// What keeps it from its work now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// What keeps a daemon from its work, until it passes or somebody mends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    pub code: ProblemCode,
    /// In words for a person.
    pub message: String,
}

/// `POST /v1/node/resume`: a provider that had stopped for a slash, or because its key is used elsewhere, locks jobs again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// The job that it was slashed for; none: it had not stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slashed_for: Option<JobId>,
    /// The transaction by which it had noticed that somebody else sends with its key, if it had stopped for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_shared: Option<B256>,
    /// How its account in the auction was filled, if money is brought there for bids again.
    #[serde(default, skip_serializing_if = "Filling::is_as_needed")]
    pub bid_money: Filling,
}

/// `GET /v1/market`: the market a daemon is connected to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MarketInfo {
    /// EVM chain id.
    pub chain_id: u64,
    /// Address of the market's contract.
    pub contract: Address,
    /// The shortest window that terms may name, in seconds.
    pub min_window: u32,
    /// What its amounts are in: amounts are in its smallest unit.
    #[serde(default)]
    pub asset: Asset,
    /// The token's contract, if the asset is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Address>,
    /// The auction's contract beside it, if the daemon uses one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auction: Option<Address>,
}

/// `GET /v1/parties`: someone who announced where content is served.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Party {
    pub address: Address,
    pub url: String,
}

/// `$LOTA_HOME/api.json` (mode 0600): where the daemon is and what proves that one may speak to it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApiFile {
    /// `http://127.0.0.1:PORT`.
    pub url: String,
    /// Sent as `Authorization: Bearer TOKEN`.
    pub token: String,
    /// Process id of the daemon, for messages.
    pub pid: u32,
    /// Name of the node.
    pub node: String,
}
