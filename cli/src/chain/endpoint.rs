//! A chain's node in the words of the command line: a [`Chain`] of a network that has a name.

use std::time::Duration;

use lota_bridge::{
    TransportError,
    evm::{Chain, Config, Network, RpcError, bindings::View, chain::At},
};
use lota_market::{Address, AttoFil};

use super::PayFault;
use crate::failure::Usage;

/// How long the first answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The most nodes of one chain.
const MAX_NODES: usize = 8;

/// What is wrong with a chain, or with what is deployed there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChainError {
    /// No answer.
    #[error("the chain's node at {node} does not answer: {problem}; is it running, and is the URL right?")]
    Down { node: String, problem: String },
    /// It answers that it will not.
    #[error("the chain's node at {node} refuses: {problem}")]
    Refused { node: String, problem: String },
    /// The answer is none.
    #[error("the chain's node at {node} answers what cannot be understood: {problem}")]
    Malformed { node: String, problem: String },
    /// Another network than the one that was named.
    #[error("the node at {node} serves chain {found}{}, not {network} (chain {wanted}); name another URL or network", known(*.found))]
    WrongChain { node: String, found: u64, network: &'static str, wanted: u64 },
    /// None was named, and this one is unknown.
    #[error("the node at {node} serves chain {found}, which is none of {}", all_networks())]
    UnknownChain { node: String, found: u64 },
    /// Nothing is deployed there.
    #[error(
        "there is no contract at {contract} on {network} (chain {chain_id}); name the address that `lota chain deploy` printed"
    )]
    NoContract { contract: Address, network: &'static str, chain_id: u64 },
    /// Something else is deployed there.
    #[error(
        "the contract at {contract} on {network} is another ({size} bytes of code that are not LotaMarket's of this version); do not send it money"
    )]
    OtherCode { contract: Address, network: &'static str, size: usize },
    /// The auction's address where the market's should be.
    #[error("the contract at {contract} on {network} is an auction, not a market; name the market that it is for")]
    AuctionForMarket { contract: Address, network: &'static str },
    /// No auction is deployed there.
    #[error(
        "there is no contract at {contract} on {network} (chain {chain_id}), where the auction should be; name the address of an auction that `lota chain deploy` printed, or none"
    )]
    NoAuction { contract: Address, network: &'static str, chain_id: u64 },
    /// Something else is deployed where the auction should be.
    #[error(
        "the contract at {contract} on {network} is {}; name the address of an auction that `lota chain deploy` printed, or none",
        other_than_auction(*.size)
    )]
    OtherThanAuction {
        contract: Address,
        network: &'static str,
        /// How much code there is; none: it is a market.
        size: Option<usize>,
    },
    /// No blessing is deployed there.
    #[error(
        "there is no contract at {contract} on {network} (chain {chain_id}), where the blessing should be; name the address that `lota chain deploy-blessing` printed"
    )]
    NoBlessing { contract: Address, network: &'static str, chain_id: u64 },
    /// Something else is deployed where the blessing should be.
    #[error(
        "the contract at {contract} on {network} is another ({size} bytes of code that are not Blessing's of this version); do not send it money"
    )]
    OtherThanBlessing { contract: Address, network: &'static str, size: usize },
    /// No contract of Filecoin Pay deals is deployed there.
    #[error(
        "there is no contract at {contract} on {network} (chain {chain_id}), where FilecoinPayDeals should be; name the address that `lota chain deploy-filecoin-pay-deals` printed"
    )]
    NoPayDeals { contract: Address, network: &'static str, chain_id: u64 },
    /// Something else is deployed there.
    #[error(
        "the contract at {contract} on {network} is another ({size} bytes of code that are not FilecoinPayDeals' of this version); do not approve it"
    )]
    OtherThanPayDeals { contract: Address, network: &'static str, size: usize },
    /// Providers could lose their pay by what it was deployed with.
    #[error(
        "the FilecoinPayDeals at {contract} on {network} cannot be trusted with a provider's pay: {fault}; name another one (node.filecoin_pay.contract), or none"
    )]
    PaySettings { contract: Address, network: &'static str, fault: PayFault },
    /// A granter pays over Filecoin Pay, too, and is asked by another verb.
    #[error(
        "the contract at {contract} on {network} is a FilecoinPayGranter, which pays what notaries blessed; `lota blessing pay --granter {contract}` pays its rails"
    )]
    GranterNotPayDeals { contract: Address, network: &'static str },
    /// The auction serves another market.
    #[error(
        "the auction at {contract} on {network} is for the jobs of another market, {found}, and not of {wanted}; name an auction of this market (`lota chain deploy --beside {wanted}` makes one), or none"
    )]
    OtherMarket { contract: Address, network: &'static str, found: Address, wanted: Address },
}

fn known(chain_id: u64) -> String {
    Network::with_chain_id(chain_id).map_or_else(String::new, |network| format!(" ({})", network.name))
}

fn other_than_auction(size: Option<usize>) -> String {
    size.map_or_else(
        || "a market, not an auction".to_owned(),
        |size| format!("another ({size} bytes of code that are not SealedBidAuction's of this version)"),
    )
}

fn all_networks() -> String {
    Network::ALL.map(|network| format!("{} ({})", network.name, network.chain_id)).join(", ")
}

/// A chain's node, of which it is known that it serves the right chain.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    chain: Chain,
    node: String,
    network: Network,
}

impl Endpoint {
    /// Connects to the node at this URL, or to those at several with commas between. Without a network the chain's id says which it
    /// is.
    ///
    /// # Errors
    /// [`Usage`] for what is no URL of a node; [`ChainError`].
    pub(crate) async fn connect(url: &str, network: Option<Network>) -> anyhow::Result<Self> {
        let urls = urls_of(url)?;
        let places = urls.iter().map(|url| place_of(url)).collect::<Result<Vec<_>, _>>()?;
        let network = match network {
            Some(network) => network,
            None => network_of(&urls, &places).await?,
        };
        let (first, others) = urls.split_first().ok_or_else(|| Usage("`--rpc` names no node".to_owned()))?;
        let others = others.iter().map(|url| (*url).to_owned()).collect();
        let config = Config { others, ..Config::new(&network, *first) };
        Ok(Self::with(config, places.join(", "), network).await?)
    }

    /// Connects to a development chain that tells of new blocks at another URL.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub(crate) async fn development(url: String, hints: String) -> Result<Self, ChainError> {
        let (network, node) = (Network::DEVELOPMENT, url.clone());
        Self::with(Config { hints: Some(hints), ..Config::new(&network, url) }, node, network).await
    }

    async fn with(config: Config, node: String, network: Network) -> Result<Self, ChainError> {
        match Chain::connect(config).await {
            Ok(chain) => Ok(Self { chain, node, network }),
            Err(RpcError::WrongChain { wanted, found }) => {
                Err(ChainError::WrongChain { node, found, network: network.name, wanted })
            }
            Err(error) => Err(ChainError::of(&node, error)),
        }
    }

    /// The chain.
    pub(crate) const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The network.
    pub(crate) const fn network(&self) -> &Network {
        &self.network
    }

    /// Where the node is, without what may be secret.
    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// What went wrong, in words that name the node.
    pub(crate) fn failed(&self, error: RpcError) -> ChainError {
        ChainError::of(&self.node, error)
    }

    /// Native money of an account.
    ///
    /// # Errors
    /// [`ChainError`].
    pub(crate) async fn money(&self, account: Address, at: At) -> Result<AttoFil, ChainError> {
        self.chain.balance(account, at).await.map_err(|error| self.failed(error))
    }

    /// What a contract's view answers.
    ///
    /// # Errors
    /// [`ChainError`].
    pub(crate) async fn view<T>(&self, contract: Address, view: &View<T>, at: At) -> Result<T, ChainError> {
        let data = self.chain.view(contract, &view.data, at).await.map_err(|error| self.failed(error))?;
        view.read(&data).map_err(|error| ChainError::Malformed { node: self.node.clone(), problem: error.to_string() })
    }
}

impl ChainError {
    fn of(node: &str, error: RpcError) -> Self {
        let node = node.to_owned();
        match error {
            RpcError::Unavailable { problem, .. } => Self::Down { node, problem },
            RpcError::Refused(refusal) => Self::Refused { node, problem: refusal.message },
            RpcError::Malformed(problem) => Self::Malformed { node, problem },
            // By now: it was the right one when it was connected to.
            RpcError::WrongChain { .. } => Self::Down { node, problem: TransportError::from(error).to_string() },
        }
    }
}

/// The URLs in a text with commas between.
fn urls_of(text: &str) -> Result<Vec<&str>, Usage> {
    let urls: Vec<_> = text.split(',').map(str::trim).collect();
    if urls.len() > MAX_NODES {
        return Err(Usage(format!("`--rpc` names {} nodes of the chain; name at most {MAX_NODES}", urls.len())));
    }
    for (number, url) in urls.iter().enumerate() {
        if urls.iter().take(number).any(|before| before == url) {
            let place = place_of(url)?;
            return Err(Usage(format!("`--rpc` names the node at {place} twice; name each once")));
        }
    }
    Ok(urls)
}

/// The network that these nodes serve. Where they serve several, nobody but the operator knows which is meant.
async fn network_of(urls: &[&str], places: &[String]) -> Result<Network, ChainError> {
    let mut asked = Vec::new();
    for url in urls {
        let url = (*url).to_owned();
        asked.push(tokio::spawn(async move { Chain::id_at(&url, TIMEOUT).await }));
    }
    let (mut network, mut problem) = (None::<Network>, None);
    for (asked, node) in asked.into_iter().zip(places) {
        let found = match asked.await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => {
                problem.get_or_insert(ChainError::of(node, error));
                continue;
            }
            Err(error) => {
                problem.get_or_insert(ChainError::Down { node: node.clone(), problem: error.to_string() });
                continue;
            }
        };
        match network {
            None => {
                let known = Network::with_chain_id(found);
                network = Some(known.ok_or(ChainError::UnknownChain { node: node.clone(), found })?);
            }
            Some(network) if network.chain_id != found => {
                let (network, wanted) = (network.name, network.chain_id);
                return Err(ChainError::WrongChain { node: node.clone(), found, network, wanted });
            }
            Some(_) => {}
        }
    }
    let nobody = || ChainError::Down { node: places.join(", "), problem: "none of them answers".to_owned() };
    network.ok_or_else(|| problem.unwrap_or_else(nobody))
}

/// Scheme, host and port of a node's URL; the rest may be a key.
fn place_of(url: &str) -> Result<String, Usage> {
    let bad = |problem: &str| Usage(format!("`--rpc`: {problem}; write for example http://127.0.0.1:8545"));
    let parsed: reqwest::Url = url.parse().map_err(|_| bad("this is no URL"))?;
    if !["http", "https", "ws", "wss"].contains(&parsed.scheme()) {
        return Err(bad(&format!("`{}` is not how nodes are reached (http, https, ws, wss are)", parsed.scheme())));
    }
    let host = parsed.host_str().ok_or_else(|| bad("this URL names no host"))?;
    let port = parsed.port().map_or_else(String::new, |port| format!(":{port}"));
    Ok(format!("{}://{host}{port}", parsed.scheme()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_nodes_are_named_with_commas() {
        assert_eq!(urls_of("http://one, ws://two").expect("two"), ["http://one", "ws://two"]);
        let nine = (0..9).map(|number| format!("http://node{number}")).collect::<Vec<_>>().join(",");
        for (text, part) in [("http://me:KEY@one/KEY,http://me:KEY@one/KEY", "http://one twice"), (&*nine, "at most 8")]
        {
            let error = urls_of(text).expect_err(text).to_string();
            assert!(error.contains(part) && !error.contains("KEY"), "{error}");
        }
        assert!(urls_of("http://one,").expect("an empty one").into_iter().any(|url| place_of(url).is_err()));
    }

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        assert_eq!(place_of("https://user:pass@node.example/rpc/KEY?x=y").expect("a URL"), "https://node.example");
        assert_eq!(place_of("ws://127.0.0.1:8545/").expect("a URL"), "ws://127.0.0.1:8545");
        for (url, part) in [("node", "no URL"), ("ftp://node", "`ftp`"), ("127.0.0.1:8545", "no")] {
            let error = place_of(url).expect_err(url).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
