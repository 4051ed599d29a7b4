//! `FilecoinPayDeals` on a chain: found, and looked at.

use lota_market::{Address, U256};

use crate::{
    FilecoinPayDealsRef,
    evm::{
        auction::ask,
        chain::{At, Chain},
        filecoin_pay_deals,
        market::{Market, bindings::View},
    },
    transport::TransportError,
};

/// A `FilecoinPayDeals` on a chain.
#[derive(Clone, Debug)]
pub struct FilecoinPayDeals {
    chain: Chain,
    reference: FilecoinPayDealsRef,
    epoch_seconds: u64,
    grace: u64,
}

impl FilecoinPayDeals {
    /// The one at an address, for the jobs of this market.
    ///
    /// # Errors
    /// [`TransportError::NoFilecoinPayDealsAt`] when there is something else, or nothing, or it is another market's.
    pub async fn find(market: &Market, contract: Address) -> Result<Self, TransportError> {
        let chain = market.chain();
        let absent = |problem: String| TransportError::NoFilecoinPayDealsAt { contract, chain_id: chain.id(), problem };
        if chain.code(contract).await?.is_empty() {
            return Err(absent("there is no contract".into()));
        }
        // Auctions and blessings have a market, too, and no Filecoin Pay.
        let filecoin_pay = ask(chain, contract, &filecoin_pay_deals::filecoin_pay(), &absent).await?;
        let of_market = ask(chain, contract, &filecoin_pay_deals::market_of(), &absent).await?;
        if of_market != market.contract() {
            return Err(absent(format!("its jobs are of another market, {of_market}")));
        }
        let token = ask(chain, contract, &filecoin_pay_deals::token(), &absent).await?;
        let callback_gas = ask(chain, contract, &filecoin_pay_deals::callback_gas(), &absent).await?;
        let epoch_seconds = ask(chain, contract, &filecoin_pay_deals::epoch_seconds(), &absent).await?.saturating_to();
        let grace = ask(chain, contract, &filecoin_pay_deals::grace(), &absent).await?.saturating_to();
        let reference = FilecoinPayDealsRef { contract, filecoin_pay, token, callback_gas };
        Ok(Self { chain: chain.clone(), reference, epoch_seconds, grace })
    }

    /// The same contract by another connection to its chain.
    #[must_use]
    pub fn reached_by(&self, chain: &Chain) -> Self {
        Self { chain: chain.clone(), ..self.clone() }
    }

    /// Its address.
    #[must_use]
    pub const fn contract(&self) -> Address {
        self.reference.contract
    }

    /// What it is.
    #[must_use]
    pub const fn reference(&self) -> FilecoinPayDealsRef {
        self.reference
    }

    /// What it takes for the shortest time between two blocks, in seconds.
    #[must_use]
    pub const fn epoch_seconds(&self) -> u64 {
        self.epoch_seconds
    }

    /// How long what is due can still be paid when its payer ends the rail, in seconds.
    #[must_use]
    pub const fn grace(&self) -> u64 {
        self.grace
    }

    /// For how many epochs it locks a price that must lie for so many seconds and the grace.
    pub(crate) fn lockup_period(&self, seconds: u64) -> U256 {
        let seconds = U256::from(seconds) + U256::from(self.grace);
        seconds.div_ceil(U256::from(self.epoch_seconds.max(1))) + U256::ONE
    }

    /// What one of its views answers.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn view<T>(&self, view: &View<T>, at: At) -> Result<T, TransportError> {
        self.ask(self.contract(), view, at).await
    }

    /// What a view of its Filecoin Pay answers.
    ///
    /// # Errors
    /// [`TransportError`].
    pub async fn view_of_filecoin_pay<T>(&self, view: &View<T>, at: At) -> Result<T, TransportError> {
        self.ask(self.reference.filecoin_pay, view, at).await
    }

    async fn ask<T>(&self, contract: Address, view: &View<T>, at: At) -> Result<T, TransportError> {
        let returned = self.chain.view(contract, &view.data, at).await?;
        view.read(&returned).map_err(|error| TransportError::Malformed(error.to_string()))
    }
}
