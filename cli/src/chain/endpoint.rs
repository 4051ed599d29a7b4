//! A chain's node, reached by JSON-RPC.

use std::time::Duration;

use alloy::{
    providers::{DynProvider, Provider as _, ProviderBuilder},
    rpc::json_rpc::{RpcError, RpcRecv},
    transports::TransportError,
};
use lota_bridge::{
    PrivateKeySigner,
    evm::{Network, bindings::View},
};
use lota_market::{Address, AttoFil, B256, Bytes, Time, U256};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::failure::Usage;

/// How long one answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The longest text of a node that is passed on.
const MAX_TEXT: usize = 300;

/// What is wrong with a chain, or with what is deployed there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ChainError {
    /// No answer.
    #[error("the chain's node at {node} does not answer: {problem}; is it running, and is the URL right?")]
    Down { node: String, problem: String },
    /// It answers that it will not.
    #[error("the chain's node at {node} refuses {method}: {problem}")]
    Refused { node: String, method: &'static str, problem: String },
    /// The answer is none.
    #[error("the chain's node at {node} answers {method} with what cannot be understood: {problem}")]
    Malformed { node: String, method: &'static str, problem: String },
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
}

fn known(chain_id: u64) -> String {
    Network::with_chain_id(chain_id).map_or_else(String::new, |network| format!(" ({})", network.name))
}

fn all_networks() -> String {
    Network::ALL.map(|network| format!("{} ({})", network.name, network.chain_id)).join(", ")
}

/// A chain's node, of which it is known that it serves the right chain.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    provider: DynProvider,
    url: String,
    node: String,
    network: Network,
}

/// A block's head, as much of it as is needed.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Header {
    number: U256,
    timestamp: U256,
    /// Its hash.
    pub(crate) hash: B256,
}

impl Header {
    /// Its number.
    pub(crate) fn number(&self) -> u64 {
        self.number.saturating_to()
    }

    /// Its time.
    pub(crate) fn time(&self) -> Time {
        Time(self.timestamp.saturating_to())
    }
}

impl Endpoint {
    /// Connects to the node at this URL. What is sent through it is signed with `signer`, if there is one. Without a network
    /// the chain's id says which it is.
    ///
    /// # Errors
    /// [`Usage`] for what is no URL of a node; [`ChainError`].
    pub(crate) async fn connect(
        url: &str,
        network: Option<Network>,
        signer: Option<PrivateKeySigner>,
    ) -> anyhow::Result<Self> {
        let node = place_of(url)?;
        lota_http::use_ring();
        let connecting = async {
            match signer {
                Some(signer) => {
                    ProviderBuilder::new().wallet(signer).connect(url).await.map(|provider| provider.erased())
                }
                None => ProviderBuilder::new().connect(url).await.map(|provider| provider.erased()),
            }
        };
        let down = |problem: String| ChainError::Down { node: node.clone(), problem };
        let provider = tokio::time::timeout(TIMEOUT, connecting)
            .await
            .map_err(|_| down(format!("no connection within {} s", TIMEOUT.as_secs())))?
            .map_err(|error| down(shortened(&causes(&error), url, &node)))?;
        let assumed = network.unwrap_or(Network::DEVELOPMENT);
        let endpoint = Self { provider, url: url.to_owned(), node: node.clone(), network: assumed };
        let found = endpoint.call::<U256>("eth_chainId", json!([])).await?.saturating_to::<u64>();
        let network = match network {
            Some(network) if network.chain_id != found => {
                return Err(
                    ChainError::WrongChain { node, found, network: network.name, wanted: network.chain_id }.into()
                );
            }
            Some(network) => network,
            None => Network::with_chain_id(found).ok_or(ChainError::UnknownChain { node, found })?,
        };
        Ok(Self { network, ..endpoint })
    }

    /// The network.
    pub(crate) const fn network(&self) -> &Network {
        &self.network
    }

    /// The URL; it may hold a key and is not for logs.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Where the node is, without what may be secret.
    pub(crate) fn node(&self) -> &str {
        &self.node
    }

    /// What signs and sends.
    pub(super) const fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Calls a method.
    ///
    /// # Errors
    /// [`ChainError`].
    pub(crate) async fn call<R: RpcRecv>(&self, method: &'static str, params: Value) -> Result<R, ChainError> {
        let answer = self.provider.raw_request::<Value, R>(method.into(), params);
        self.within(method, answer).await
    }

    /// Waits for an answer, for a while.
    pub(super) async fn within<T>(
        &self,
        method: &'static str,
        answer: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, ChainError> {
        let node = || self.node.clone();
        match tokio::time::timeout(TIMEOUT, answer).await {
            Err(_) => {
                Err(ChainError::Down { node: node(), problem: format!("nothing within {} s", TIMEOUT.as_secs()) })
            }
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(RpcError::ErrorResp(error))) => {
                let problem = shortened(&error.message, &self.url, &self.node);
                if error.is_retry_err() {
                    return Err(ChainError::Down { node: node(), problem });
                }
                Err(ChainError::Refused { node: node(), method, problem })
            }
            Ok(Err(RpcError::Transport(error))) => {
                Err(ChainError::Down { node: node(), problem: shortened(&causes(&error), &self.url, &self.node) })
            }
            Ok(Err(error)) => Err(ChainError::Malformed {
                node: node(),
                method,
                problem: shortened(&causes(&error), &self.url, &self.node),
            }),
        }
    }

    /// A block by its number or name.
    ///
    /// # Errors
    /// [`ChainError`], also when there is no such block.
    pub(crate) async fn block(&self, block: &str) -> Result<Header, ChainError> {
        let method = "eth_getBlockByNumber";
        self.call::<Option<Header>>(method, json!([block, false])).await?.ok_or_else(|| ChainError::Malformed {
            node: self.node.clone(),
            method,
            problem: format!("there is no block {block}"),
        })
    }

    /// Code of an account, in the newest block.
    ///
    /// # Errors
    /// [`ChainError`].
    pub(crate) async fn code(&self, account: Address) -> Result<Bytes, ChainError> {
        self.call("eth_getCode", json!([account, "latest"])).await
    }

    /// Native money of an account as of a block (a number in hex, or a name).
    ///
    /// # Errors
    /// [`ChainError`].
    pub(crate) async fn money(&self, account: Address, block: &str) -> Result<AttoFil, ChainError> {
        let method = "eth_getBalance";
        let money = self.call::<U256>(method, json!([account, block])).await?;
        money.try_into().map(AttoFil).map_err(|_| ChainError::Malformed {
            node: self.node.clone(),
            method,
            problem: format!("{money} attoFIL is more than there is"),
        })
    }

    /// What a contract's view answers as of a block.
    ///
    /// # Errors
    /// [`ChainError`].
    pub(crate) async fn view<T>(&self, contract: Address, view: &View<T>, block: &str) -> Result<T, ChainError> {
        let method = "eth_call";
        let data: Bytes = self.call(method, json!([{ "to": contract, "data": view.data }, block])).await?;
        view.read(&data).map_err(|error| ChainError::Malformed {
            node: self.node.clone(),
            method,
            problem: error.to_string(),
        })
    }
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

/// An error and its causes in one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// A node's text, not too long, and without the URL's secrets.
fn shortened(text: &str, url: &str, node: &str) -> String {
    let text = text.replace(url, node);
    match text.char_indices().nth(MAX_TEXT) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_shown_without_its_secrets() {
        assert_eq!(place_of("https://user:pass@node.example/rpc/KEY?x=y").expect("a URL"), "https://node.example");
        assert_eq!(place_of("ws://127.0.0.1:8545/").expect("a URL"), "ws://127.0.0.1:8545");
        for (url, part) in [("node", "no URL"), ("ftp://node", "`ftp`"), ("127.0.0.1:8545", "no")] {
            let error = place_of(url).expect_err(url).to_string();
            assert!(error.contains(part), "{error}");
        }
        let url = "https://node.example/KEY";
        assert_eq!(shortened("sending to https://node.example/KEY", url, "NODE"), "sending to NODE");
    }
}
