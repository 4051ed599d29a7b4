//! A market that is deployed on a chain.

use lota_bridge::evm::{
    Config,
    bindings::{self, Deployment},
};
use lota_market::Address;

use super::{ChainError, Endpoint, code};

/// A market on a chain, whose code was compared with the checked-in one.
#[derive(Clone, Debug)]
pub(crate) struct ChainMarket {
    endpoint: Endpoint,
    contract: Address,
    first_block: u64,
    deployment: Deployment,
}

impl ChainMarket {
    /// The market at this address; what happened there is read from `first_block` on.
    ///
    /// # Errors
    /// [`ChainError::NoContract`], [`ChainError::OtherCode`], or when the node does not answer.
    pub(crate) async fn find(endpoint: Endpoint, contract: Address, first_block: u64) -> Result<Self, ChainError> {
        let network = *endpoint.network();
        let code = endpoint.code(contract).await?;
        if code.is_empty() {
            return Err(ChainError::NoContract { contract, network: network.name, chain_id: network.chain_id });
        }
        if !code::is_market(&code) {
            return Err(ChainError::OtherCode { contract, network: network.name, size: code.len() });
        }
        let deployment = endpoint.view(contract, &bindings::settings(), "latest").await?;
        Ok(Self { endpoint, contract, first_block, deployment })
    }

    /// The chain.
    pub(crate) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Its address.
    pub(crate) const fn contract(&self) -> Address {
        self.contract
    }

    /// What it was deployed with.
    pub(crate) const fn deployment(&self) -> Deployment {
        self.deployment
    }

    /// How nodes reach it.
    pub(crate) fn config(&self) -> Config {
        let (network, url) = (self.endpoint.network(), self.endpoint.url());
        Config { first_block: self.first_block, ..Config::new(network, url, self.contract) }
    }
}
