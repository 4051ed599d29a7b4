//! Chains, and how they are talked to.

use std::{fmt, time::Duration};

use super::rpc::Secret;

/// From when on a block is final: the chain will not undo it. Events are told of before, at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finality {
    /// With this many blocks (on Filecoin: epochs) above it; 0 means at once.
    Depth(u64),
    /// What the node calls `safe`; where it knows no such block, with [`CLASSIC_FINALITY`] above it.
    Safe,
    /// What the node calls `finalized` (on Filecoin with F3: a few epochs); where it knows no such block, with
    /// [`CLASSIC_FINALITY`] above it.
    Finalized,
}

/// Epochs after which Filecoin's consensus (without F3) undoes nothing: `ChainFinality` in the policy of the built-in actors.
pub const CLASSIC_FINALITY: u64 = 900;

/// A chain with what is known about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    pub name: &'static str,
    /// Its id (EIP-155).
    pub chain_id: u64,
    /// When its blocks are final.
    pub finality: Finality,
    /// How often to look for news.
    pub poll: Duration,
    /// How long after a block the next one comes; zero where that may be at once.
    pub block_time: Duration,
    /// How long a transaction may wait before it is replaced by one with a higher fee.
    pub patience: Duration,
}

impl Network {
    /// Filecoin's main network.
    pub const FILECOIN: Self = Self {
        name: "filecoin",
        chain_id: 314,
        finality: Finality::Finalized,
        poll: Duration::from_secs(10),
        block_time: Duration::from_secs(30),
        patience: Duration::from_secs(300),
    };
    /// Filecoin's test network.
    pub const CALIBRATION: Self = Self { name: "calibration", chain_id: 314_159, ..Self::FILECOIN };
    /// A Filecoin network on this computer.
    pub const FILECOIN_LOCAL: Self = Self {
        name: "filecoin-local",
        chain_id: 31_415_926,
        finality: Finality::Depth(2),
        poll: Duration::from_secs(1),
        block_time: Duration::ZERO,
        patience: Duration::from_secs(60),
    };
    /// Anvil or Hardhat on this computer.
    pub const DEVELOPMENT: Self = Self {
        name: "development",
        chain_id: 31_337,
        finality: Finality::Depth(0),
        poll: Duration::from_millis(250),
        block_time: Duration::ZERO,
        patience: Duration::from_secs(10),
    };
    /// All of them.
    pub const ALL: [Self; 4] = [Self::FILECOIN, Self::CALIBRATION, Self::FILECOIN_LOCAL, Self::DEVELOPMENT];

    /// Whether others than this computer's users are on it.
    #[must_use]
    pub const fn is_public(&self) -> bool {
        self.chain_id != Self::FILECOIN_LOCAL.chain_id && self.chain_id != Self::DEVELOPMENT.chain_id
    }

    /// Whether a chain with this id counts gas as Filecoin does, which is another unit than Ethereum's.
    #[must_use]
    pub const fn is_filecoin_id(chain_id: u64) -> bool {
        matches!(chain_id, 314 | 314_159 | 31_415_926)
    }

    /// The network of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|network| network.name == name)
    }

    /// The network with that chain id.
    #[must_use]
    pub fn with_chain_id(chain_id: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|network| network.chain_id == chain_id)
    }
}

/// What an account pays for gas, in attoFIL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fees {
    /// The most per unit of gas; nothing is sent while more would be needed.
    pub max_fee: Option<u128>,
    /// How long a transaction may wait before it is replaced by one with a higher fee.
    pub patience: Duration,
    /// After so long what is in no block is broadcast again, in case it was dropped.
    pub repeat: Duration,
}

/// How a chain is reached. Its `Debug` shows no more than the URL's host.
#[derive(Clone, PartialEq, Eq)]
pub struct Config {
    /// URL of a node's JSON-RPC: http, https, ws or wss.
    pub url: String,
    /// URLs of further nodes of the same chain, in the order of preference, for when that one fails.
    pub others: Vec<String>,
    /// Websocket URL of the same node that is used only to be told of new blocks; calls go to `url`. A websocket carries them
    /// one after another, and is slower than HTTP where the other side waits for acknowledgements (Nagle's algorithm). `None`:
    /// `url`, if it is one.
    pub hints: Option<String>,
    /// The chain's id; the node must serve this chain.
    pub chain_id: u64,
    /// When blocks are final.
    pub finality: Finality,
    /// The most blocks that are asked for at once; halved when the node refuses. Filecoin nodes allow 2,880.
    pub max_range: u64,
    /// How many blocks are read again every time, in case the node that answered was behind.
    pub look_back: u64,
    /// How often to look for news.
    pub poll: Duration,
    /// How long after a block the next one comes: sooner, nobody looks for it. Zero where that may be at once.
    pub block_time: Duration,
    /// How long to wait for one answer.
    pub timeout: Duration,
    /// What gas may cost.
    pub fees: Fees,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("url", &Secret(self.url.clone()))
            .field("others", &self.others.iter().cloned().map(Secret).collect::<Vec<_>>())
            .field("hints", &self.hints.clone().map(Secret))
            .field("chain_id", &self.chain_id)
            .field("finality", &self.finality)
            .field("max_range", &self.max_range)
            .field("look_back", &self.look_back)
            .field("poll", &self.poll)
            .field("block_time", &self.block_time)
            .field("timeout", &self.timeout)
            .field("fees", &self.fees)
            .finish()
    }
}

/// Epochs of a day: the most that Filecoin nodes search for logs in one call.
pub const MAX_RANGE: u64 = 2_880;

impl Config {
    /// The usual settings for a network.
    #[must_use]
    pub fn new(network: &Network, url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            others: Vec::new(),
            hints: None,
            chain_id: network.chain_id,
            finality: network.finality,
            max_range: MAX_RANGE,
            look_back: 10,
            poll: network.poll,
            block_time: network.block_time,
            timeout: Duration::from_secs(30),
            fees: Fees { max_fee: None, patience: network.patience, repeat: Duration::from_secs(30) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_found_by_name_and_by_chain_id() {
        for (name, chain_id) in [("filecoin", 314), ("calibration", 314_159), ("filecoin-local", 31_415_926)] {
            let network = Network::named(name).expect(name);
            assert_eq!(network.chain_id, chain_id);
            assert_eq!(Network::with_chain_id(chain_id), Some(network));
        }
        assert_eq!(Network::named("ropsten"), None);
    }

    #[test]
    fn a_configuration_is_shown_without_its_keys() {
        let config = Config::new(&Network::FILECOIN, "https://node.example/v1/KEY");
        let (hints, others) = (Some("wss://node.example/v1/KEY".into()), vec!["https://other.example/KEY".into()]);
        let config = Config { hints, others, ..config };
        let text = format!("{config:?}");
        assert!(
            text.contains("https://node.example") && text.contains("https://other.example") && !text.contains("KEY"),
            "{text}"
        );
    }
}
