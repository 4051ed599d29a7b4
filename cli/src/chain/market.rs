//! A market that is deployed on a chain.

use lota_bridge::{TransportError, evm::Market};
use lota_market::{Address, model::Settings};

use super::{ChainError, Endpoint, code};

/// A market on a chain, whose code was compared with the checked-in one.
#[derive(Clone, Debug)]
pub(crate) struct ChainMarket {
    endpoint: Endpoint,
    market: Market,
}

impl ChainMarket {
    /// The market at this address; what happened there is read from `first_block` on.
    ///
    /// # Errors
    /// [`ChainError::NoContract`], [`ChainError::OtherCode`], or when the node does not answer.
    pub(crate) async fn find(endpoint: Endpoint, contract: Address, first_block: u64) -> anyhow::Result<Self> {
        let network = *endpoint.network();
        let code = endpoint.chain().code(contract).await.map_err(|error| endpoint.failed(error))?;
        if code.is_empty() {
            return Err(ChainError::NoContract { contract, network: network.name, chain_id: network.chain_id }.into());
        }
        if !code::is_market(&code) {
            return Err(ChainError::OtherCode { contract, network: network.name, size: code.len() }.into());
        }
        let market = match Market::find(endpoint.chain(), contract, first_block).await {
            Err(TransportError::Unavailable(problem)) => {
                return Err(ChainError::Down { node: endpoint.node().to_owned(), problem }.into());
            }
            found => found?,
        };
        Ok(Self { endpoint, market })
    }

    /// The chain.
    pub(crate) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The market itself.
    pub(crate) const fn market(&self) -> &Market {
        &self.market
    }

    /// Its address.
    pub(crate) const fn contract(&self) -> Address {
        self.market.contract()
    }

    /// What it was deployed with.
    pub(crate) const fn settings(&self) -> Settings {
        self.market.settings()
    }
}
