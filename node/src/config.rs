//! How a node is set up.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use lota_api::TermsRequest;
use lota_market::{
    AttoFil,
    agent::{LookAfter, Offer, Pace},
};
use serde::{Deserialize, Serialize};

/// How a node is set up. Everything but its name and folder has a default.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeConfig {
    /// Its name, for people.
    pub name: String,
    /// Its folder: database, blocks, keys, work. Used by one process at a time.
    pub dir: PathBuf,
    /// What it offers and asks as a provider; `None`: it runs no jobs for others.
    pub provider: Option<Offer>,
    /// Whether it bids in the auction beside its market as a provider: that is then among the matchers of its offer.
    pub bids: bool,
    /// For how many seconds the money that it bids with stays in the auction when no bid needs it: each way costs gas.
    pub keep_bid_money: u64,
    /// What one whole unit of the token of the `FilecoinPayDeals` beside its market is worth in the market's asset, as a decimal number.
    /// As a provider it takes that contract's orders, which is then among the matchers of its offer. `None`: 1, and only where the
    /// token is the market's asset.
    pub filecoin_pay_rate: Option<String>,
    /// For how many seconds what is due to it for such orders waits for more at most, to be collected for the same gas. `None`: it is left
    /// to others to have it paid.
    pub collect_within: Option<u64>,
    /// What a job's request leaves out.
    pub terms: TermsRequest,
    /// How its network's time passes; `None`: what is known of the market's chain says so.
    pub pace: Option<Pace>,
    /// Contracts whose jobs it looks after: it ends them when they are overdue and calls back again, for gas only.
    pub look_after: LookAfter,
    /// How many times as much as gas costs now it asks for the gas of a client's callback: that is paid for when the result is there,
    /// and fees rise. 0: what the offer says, whatever gas costs; so it is also where the market's asset is a token.
    pub callback_margin: u32,
    /// Where its gateway listens; port 0: the one it had before, or any free one.
    pub gateway: SocketAddr,
    /// The URL it announces; `None`: `http://` and the address its gateway listens on.
    pub gateway_url: Option<String>,
    /// Where its API listens; port 0: any free one. Loopback only.
    pub api: SocketAddr,
    /// Where it serves metrics and tells of its health, to everybody who can reach the address; `None`: nowhere.
    pub monitoring: Option<SocketAddr>,
    /// The most bytes of blocks it keeps.
    pub store_capacity: u64,
    /// Whether it fetches from private addresses too (a devnet on one machine).
    pub allow_private_addresses: bool,
    /// Gateways it asks after those of the parties concerned.
    pub gateways: Vec<String>,
    /// The most bytes of a job's module and inputs together, and of an output beyond what its spec allows.
    pub max_fetch_bytes: u64,
    /// How long one fetch may take, in seconds.
    pub fetch_timeout: u64,
    /// Whether it fetches inputs from `http` URLs, too.
    pub http_urls: bool,
    /// Directories of this machine that any job may name as an input, by their labels. Whoever opens a job can read them.
    pub directories: BTreeMap<String, PathBuf>,
    /// Finished jobs and their content are kept this long after they ended, in seconds.
    pub keep_for: u64,
}

impl NodeConfig {
    /// A node of this name in this folder, with defaults: a client.
    #[must_use]
    pub fn new(name: impl Into<String>, dir: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), dir: dir.into(), ..Self::default() }
    }
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            name: "node".to_owned(),
            dir: PathBuf::from("node"),
            provider: None,
            bids: true,
            filecoin_pay_rate: None,
            collect_within: Some(defaults::COLLECT_WITHIN),
            keep_bid_money: defaults::KEEP_BID_MONEY,
            terms: TermsRequest::default(),
            pace: None,
            look_after: LookAfter::Nobody,
            callback_margin: defaults::CALLBACK_MARGIN,
            gateway: SocketAddr::from(([127, 0, 0, 1], 0)),
            gateway_url: None,
            api: SocketAddr::from(([127, 0, 0, 1], 0)),
            monitoring: None,
            store_capacity: 10 << 30,
            allow_private_addresses: false,
            gateways: Vec::new(),
            max_fetch_bytes: 4 << 30,
            fetch_timeout: 600,
            http_urls: false,
            directories: BTreeMap::new(),
            keep_for: 30 * 86_400,
        }
    }
}

/// What a request's terms are when neither it nor the node's settings say; windows follow from the network's [`Pace`].
pub mod defaults {
    use super::AttoFil;

    /// The most to be paid: 0.1 FIL.
    pub const MAX_PRICE: AttoFil = AttoFil(100_000_000_000_000_000);
    /// Collateral: 0.05 FIL.
    pub const COLLATERAL: AttoFil = AttoFil(50_000_000_000_000_000);
    /// Fees on Filecoin and Ethereum rise by an eighth with each full block: about four times in twelve blocks.
    pub const CALLBACK_MARGIN: u32 = 4;
    /// A day.
    pub const KEEP_BID_MONEY: u64 = 86_400;
    /// A day.
    pub const COLLECT_WITHIN: u64 = 86_400;
    /// How long a provider may say nothing about a job, in seconds, before it no longer counts when all others refuse.
    pub const SILENCE: u64 = 10;
}
