//! A blessing's contract on a chain.

use lota_market::{Address, asset::Asset, blessing::Settings};

use crate::{
    BlessingRef,
    evm::{
        auction::ask,
        blessing,
        chain::{At, Chain},
        log::Source,
        market::{Market, bindings::View},
    },
    transport::TransportError,
};

/// A blessing's contract on a chain.
#[derive(Clone, Debug)]
pub struct Blessing {
    chain: Chain,
    contract: Address,
    first_block: u64,
    settings: Settings,
    market: Address,
    /// What its amounts are in: zero is the chain's coin.
    token: Address,
    asset: Asset,
}

impl Blessing {
    /// The blessing at an address, for the jobs of this market; what happened there is read from `first_block` on: that of its
    /// deployment, or 0.
    ///
    /// # Errors
    /// [`TransportError::NoBlessingAt`] when there is something else, or nothing, or it is another market's.
    pub async fn find(market: &Market, contract: Address, first_block: u64) -> Result<Self, TransportError> {
        let chain = market.chain();
        let absent = |problem: String| TransportError::NoBlessingAt { contract, chain_id: chain.id(), problem };
        if chain.code(contract).await?.is_empty() {
            return Err(absent("there is no contract".into()));
        }
        // An auction has a market, too, and no such settings.
        let settings = ask(chain, contract, &blessing::settings(), &absent).await?;
        let of_market = ask(chain, contract, &blessing::market_of(), &absent).await?;
        if of_market != market.contract() {
            return Err(absent(format!("it blesses the jobs of another market, {of_market}")));
        }
        Ok(Self {
            chain: chain.clone(),
            contract,
            first_block,
            settings,
            market: of_market,
            token: market.settings().asset,
            asset: market.asset().clone(),
        })
    }

    /// The same blessing by another connection to its chain.
    #[must_use]
    pub fn reached_by(&self, chain: &Chain) -> Self {
        Self { chain: chain.clone(), ..self.clone() }
    }

    /// Its chain.
    #[must_use]
    pub const fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Its address.
    #[must_use]
    pub const fn contract(&self) -> Address {
        self.contract
    }

    /// The market whose jobs it blesses.
    #[must_use]
    pub const fn market(&self) -> Address {
        self.market
    }

    /// What it was deployed with.
    #[must_use]
    pub const fn settings(&self) -> Settings {
        self.settings
    }

    /// The ERC-20 that its amounts are in; zero: the chain's coin.
    #[must_use]
    pub const fn token(&self) -> Address {
        self.token
    }

    /// What its amounts are in, as people are told.
    #[must_use]
    pub const fn asset(&self) -> &Asset {
        &self.asset
    }

    /// What its events are read from.
    #[must_use]
    pub const fn source(&self) -> Source {
        Source::new(self.contract, self.first_block)
    }

    /// The domain of what notaries sign for it.
    #[must_use]
    pub fn reference(&self) -> BlessingRef {
        BlessingRef { chain_id: self.chain.id(), contract: self.contract }
    }

    /// What one of its views answers.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn view<T>(&self, view: &View<T>, at: At) -> Result<T, TransportError> {
        let returned = self.chain.view(self.contract, &view.data, at).await?;
        view.read(&returned).map_err(|error| TransportError::Malformed(error.to_string()))
    }
}
