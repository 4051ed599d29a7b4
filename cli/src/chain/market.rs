//! A market that is deployed on a chain.

use lota_bridge::{
    TransportError,
    evm::{FilecoinPayDeals, Market, auction, auction::Auction, chain::At},
};
use lota_market::{Address, model::Settings};

use super::{ChainError, Endpoint, code, pay_settings::PaySettings};

/// A market on a chain, and perhaps the auction beside it, whose code was compared with the checked-in one.
#[derive(Clone, Debug)]
pub(crate) struct ChainMarket {
    endpoint: Endpoint,
    market: Market,
    auction: Option<Auction>,
    filecoin_pay_deals: Option<FilecoinPayDeals>,
}

impl ChainMarket {
    /// The market at this address; what happened there is read from `first_block` on.
    ///
    /// # Errors
    /// [`ChainError::NoContract`], [`ChainError::OtherCode`], [`ChainError::AuctionForMarket`], or when the node does not answer.
    pub(crate) async fn find(endpoint: Endpoint, contract: Address, first_block: u64) -> anyhow::Result<Self> {
        let network = *endpoint.network();
        let code = endpoint.chain().code(contract).await.map_err(|error| endpoint.failed(error))?;
        if code.is_empty() {
            return Err(ChainError::NoContract { contract, network: network.name, chain_id: network.chain_id }.into());
        }
        if code::is_auction(&code) {
            return Err(ChainError::AuctionForMarket { contract, network: network.name }.into());
        }
        if !code::is_market(&code) {
            return Err(ChainError::OtherCode { contract, network: network.name, size: code.len() }.into());
        }
        let market = found(&endpoint, Market::find(endpoint.chain(), contract, first_block).await)?;
        Ok(Self { endpoint, market, auction: None, filecoin_pay_deals: None })
    }

    /// The same with the auction at this address, if one is named.
    ///
    /// # Errors
    /// [`ChainError::NoAuction`], [`ChainError::OtherThanAuction`], [`ChainError::OtherMarket`], or when the node does not answer.
    pub(crate) async fn with_auction_at(self, contract: Option<Address>) -> anyhow::Result<Self> {
        let Some(contract) = contract else { return Ok(self) };
        let endpoint = &self.endpoint;
        let network = *endpoint.network();
        let code = endpoint.chain().code(contract).await.map_err(|error| endpoint.failed(error))?;
        if code.is_empty() {
            return Err(ChainError::NoAuction { contract, network: network.name, chain_id: network.chain_id }.into());
        }
        if !code::is_auction(&code) {
            let size = (!code::is_market(&code)).then_some(code.len());
            return Err(ChainError::OtherThanAuction { contract, network: network.name, size }.into());
        }
        let (of, wanted) = (endpoint.view(contract, &auction::market_of(), At::Latest).await?, self.contract());
        if of != wanted {
            return Err(ChainError::OtherMarket { contract, network: network.name, found: of, wanted }.into());
        }
        let auction = found(endpoint, Auction::find(&self.market, contract).await)?;
        Ok(Self { auction: Some(auction), ..self })
    }

    /// The same with the `FilecoinPayDeals` at this address, if one is named.
    ///
    /// # Errors
    /// When there is none for this market, [`ChainError::PaySettings`], or the node does not answer.
    pub(crate) async fn with_filecoin_pay_deals_at(self, contract: Option<Address>) -> anyhow::Result<Self> {
        let Some(contract) = contract else { return Ok(self) };
        let (network, code) = (self.endpoint.network(), self.endpoint.chain().code(contract).await);
        let code = code.map_err(|error| self.endpoint.failed(error))?;
        // Whoever takes its orders trusts it with collateral and income.
        if !code.is_empty() && !code::is_pay_deals(&code) {
            return Err(ChainError::OtherThanPayDeals { contract, network: network.name, size: code.len() }.into());
        }
        let deals = found(&self.endpoint, FilecoinPayDeals::find(&self.market, contract).await)?;
        // Anybody may deploy that code with settings by which nobody is paid.
        let filecoin_pay = self.endpoint.chain().code(deals.reference().filecoin_pay).await;
        let has_filecoin_pay = !filecoin_pay.map_err(|error| self.endpoint.failed(error))?.is_empty();
        PaySettings::from(&deals).check(network, has_filecoin_pay).map_err(|fault| ChainError::PaySettings {
            contract,
            network: network.name,
            fault,
        })?;
        Ok(Self { filecoin_pay_deals: Some(deals), ..self })
    }

    /// The chain.
    pub(crate) const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The market itself.
    pub(crate) const fn market(&self) -> &Market {
        &self.market
    }

    /// The `FilecoinPayDeals` beside it, if one was named.
    pub(crate) const fn filecoin_pay_deals(&self) -> Option<&FilecoinPayDeals> {
        self.filecoin_pay_deals.as_ref()
    }

    /// The auction beside it, if one was named.
    pub(crate) const fn auction(&self) -> Option<&Auction> {
        self.auction.as_ref()
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

/// What was looked for; that the node does not answer is said with its URL.
fn found<T>(endpoint: &Endpoint, result: Result<T, TransportError>) -> anyhow::Result<T> {
    match result {
        Err(TransportError::Unavailable(problem)) => {
            Err(ChainError::Down { node: endpoint.node().to_owned(), problem }.into())
        }
        found => Ok(found?),
    }
}
