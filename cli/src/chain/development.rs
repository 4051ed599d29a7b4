//! A development chain with the market on it, and an account that gives money away.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, TcpListener},
    path::Path,
};

use anyhow::{Context as _, bail};
use lota_bridge::evm::{Config, Network, bindings};
use lota_market::{Address, AttoFil, B256, Bytes, U256};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use super::{
    ChainError, ChainMarket, Endpoint,
    anvil::Anvil,
    default_settings,
    deploy::{Receipt, landed},
    pulse,
};
use crate::home;

/// Where the chain's state is kept.
const STATE: &str = "anvil.json";
/// Where it is remembered where the market is.
const MARKET: &str = "market.json";

/// Where Foundry's tools look for a chain if nobody tells them.
pub(crate) const USUAL_PORT: u16 = 8545;

/// Anvil with the market.
#[derive(Debug)]
pub(crate) struct DevelopmentChain {
    anvil: Anvil,
    market: ChainMarket,
    faucet: Address,
    /// Lets time pass on the chain; ends with this.
    _pulse: AbortOnDropHandle<()>,
}

/// Where the market is.
#[derive(Serialize, Deserialize)]
struct Place {
    contract: Address,
    block: u64,
}

impl DevelopmentChain {
    /// Starts Anvil with the state that is kept in this folder, and deploys the market unless it is there. It listens at
    /// `port` if that is free, else at any.
    ///
    /// # Errors
    /// When Anvil cannot be started, or its state does not fit to what is remembered.
    pub(crate) async fn open(folder: &Path, port: u16) -> anyhow::Result<Self> {
        home::create_private(folder)?;
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
        let state = folder.join(STATE);
        let goes_on = state.exists();
        let mut anvil = Anvil::start(Some(&state), if free { port } else { 0 }).await;
        if free && anvil.as_ref().is_err_and(|error| error.to_string().contains("in use")) {
            // Somebody was faster.
            anvil = Anvil::start(Some(&state), 0).await;
        }
        let anvil = if goes_on { anvil.with_context(|| unusable(folder))? } else { anvil? };
        let endpoint = Endpoint::connect(&anvil.url(), Some(Network::DEVELOPMENT), None).await?;
        let accounts: Vec<Address> = endpoint.call("eth_accounts", json!([])).await?;
        let faucet = *accounts.first().context("Anvil has no account")?;
        let file = folder.join(MARKET);
        let place = match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice::<Place>(&text)
                .with_context(|| format!("{} is damaged; begin anew with --reset", file.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let place = deploy(&endpoint, faucet).await?;
                home::write_private(&file, &serde_json::to_vec(&place)?)?;
                place
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        let market =
            ChainMarket::find(endpoint, place.contract, place.block).await.with_context(|| unusable(folder))?;
        let pulse = pulse::keep(market.endpoint().clone(), place.contract, place.block);
        Ok(Self { anvil, market, faucet, _pulse: AbortOnDropHandle::new(tokio::spawn(pulse)) })
    }

    /// The market.
    pub(crate) const fn market(&self) -> &ChainMarket {
        &self.market
    }

    /// How nodes reach the market: told of every block.
    pub(crate) fn config(&self) -> Config {
        Config { hints: Some(self.anvil.websocket_url()), ..self.market.config() }
    }

    /// Where tools reach the chain.
    pub(crate) fn url(&self) -> String {
        self.anvil.url()
    }

    /// Gives an account money.
    ///
    /// # Errors
    /// When the chain refuses.
    pub(crate) async fn give(&self, account: Address, amount: AttoFil) -> anyhow::Result<()> {
        let transfer = json!([{ "from": self.faucet, "to": account, "value": U256::from(amount.0) }]);
        send(self.market.endpoint(), transfer).await.map(drop)
    }

    /// Ready when Anvil has ended, though nobody told it to.
    pub(crate) async fn ended(&self) {
        self.anvil.ended().await;
    }

    /// Ends it.
    ///
    /// # Errors
    /// When Anvil does not end.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        self.anvil.end().await
    }

    /// The number of the newest block.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub(crate) async fn height(&self) -> Result<u64, ChainError> {
        Ok(self.market.endpoint().block("latest").await?.number())
    }

    /// What an account has in the market and outside, as of a block.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub(crate) async fn fortune(&self, account: Address, block: u64) -> Result<(AttoFil, AttoFil), ChainError> {
        let (endpoint, block) = (self.market.endpoint(), format!("{block:#x}"));
        let inside = endpoint.view(self.market.contract(), &bindings::balance_of(account), &block).await?;
        Ok((inside, endpoint.money(account, &block).await?))
    }

    /// What the market holds in all, and what of it is burned, as of a block.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub(crate) async fn holdings(&self, block: u64) -> Result<(AttoFil, AttoFil), ChainError> {
        let (endpoint, block) = (self.market.endpoint(), format!("{block:#x}"));
        let all = endpoint.money(self.market.contract(), &block).await?;
        Ok((all, endpoint.view(self.market.contract(), &bindings::burned(), &block).await?))
    }

    /// What everybody paid for gas in these blocks, from the receipts.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub(crate) async fn gas(&self, blocks: std::ops::RangeInclusive<u64>) -> anyhow::Result<HashMap<Address, AttoFil>> {
        let mut paid: HashMap<Address, AttoFil> = HashMap::new();
        for block in blocks {
            let block = format!("{block:#x}");
            let receipts: Vec<Receipt> = self.market.endpoint().call("eth_getBlockReceipts", json!([block])).await?;
            for receipt in receipts {
                let sum = paid.entry(receipt.from).or_default();
                *sum = sum.checked_add(receipt.fee()).context("the gas cost more than there is")?;
            }
        }
        Ok(paid)
    }
}

fn unusable(folder: &Path) -> String {
    format!("the chain kept in {} cannot be used; begin anew with --reset", folder.display())
}

async fn deploy(endpoint: &Endpoint, faucet: Address) -> anyhow::Result<Place> {
    let code: Bytes = bindings::deployment(&default_settings(endpoint.network()));
    let receipt = send(endpoint, json!([{ "from": faucet, "data": code }])).await?;
    let contract = receipt.contract_address.context("Anvil deployed nothing")?;
    Ok(Place { contract, block: receipt.block_number.saturating_to() })
}

/// Sends from an account whose key Anvil has.
async fn send(endpoint: &Endpoint, transaction: Value) -> anyhow::Result<Receipt> {
    let hash: B256 = endpoint.call("eth_sendTransaction", transaction).await?;
    let receipt = landed(endpoint, hash).await?;
    if receipt.status != U256::from(1) {
        bail!("the transaction {hash} of Anvil's own account failed");
    }
    Ok(receipt)
}
