//! A development chain with the market and an auction on it, and an account that gives money away.

mod blessing;
mod stand_in;

use std::{
    collections::HashMap,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use clap::ValueEnum;
use lota_bridge::evm::{
    auction, bindings,
    chain::{At, Receipt},
    token,
};
use lota_market::{Address, AttoFil, B256, Bytes, U256};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use super::{
    ChainError, ChainMarket, Endpoint, anvil::Anvil, default_quantum, default_reveal_period, default_settings, mining,
};
use crate::home;

pub(crate) use blessing::{BONUS, BlessingPlan, DevelopmentBlessing, GranterKind, REVOKE_FOR};
use stand_in::StandIn;

/// Where the chain's state is kept.
const STATE: &str = "anvil.json";
/// Where it is remembered where the market is.
const MARKET: &str = "market.json";

/// Decimals of the test dollar, as of most that people use.
const DOLLAR_DECIMALS: u8 = 6;

/// How long Anvil may take to mine what it has, and how often to look.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

/// Where Foundry's tools look for a chain if nobody tells them.
pub(crate) const USUAL_PORT: u16 = 8545;

/// What the jobs of a development chain's market are paid in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PaidIn {
    /// The chain's coin
    #[default]
    Coin,
    /// A test dollar, a token of six decimals that is deployed for it
    Usd,
}

/// Anvil with the market, and an auction beside it.
#[derive(Debug)]
pub(crate) struct DevelopmentChain {
    anvil: Anvil,
    market: ChainMarket,
    faucet: Address,
    /// Lets time pass on the chain; ends with this.
    mining: Mutex<Vec<AbortOnDropHandle<()>>>,
}

/// Where the market is.
#[derive(Serialize, Deserialize)]
struct Place {
    contract: Address,
    block: u64,
    /// The auction beside it; none: it was begun when there was none yet.
    #[serde(default)]
    auction: Option<Address>,
}

impl Place {
    fn keep(&self, file: &Path) -> anyhow::Result<()> {
        home::write_private(file, &serde_json::to_vec(self)?)
    }
}

impl DevelopmentChain {
    /// Starts Anvil with the state that is kept in this folder, and deploys the market and its auction unless they are there. It
    /// listens at `port` if that is free, else at any.
    ///
    /// # Errors
    /// When Anvil cannot be started, or its state does not fit to what is remembered.
    pub(crate) async fn open(folder: &Path, port: u16, paid_in: PaidIn) -> anyhow::Result<Self> {
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
        let endpoint = Endpoint::development(anvil.url(), anvil.websocket_url()).await?;
        let accounts: Vec<Address> = endpoint.chain().request("eth_accounts", ()).await?;
        let faucet = *accounts.first().context("Anvil has no account")?;
        let file = folder.join(MARKET);
        let mut place = match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice::<Place>(&text)
                .with_context(|| format!("{} is damaged; begin anew with --reset", file.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let place = deploy(&endpoint, faucet, paid_in).await?;
                place.keep(&file)?;
                place
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        let market =
            ChainMarket::find(endpoint, place.contract, place.block).await.with_context(|| unusable(folder))?;
        if place.auction.is_none() {
            let period = default_reveal_period(market.endpoint().network());
            let code: Bytes = auction::deployment(place.contract, period);
            place.auction = Some(create(market.endpoint(), faucet, code).await?.0);
            place.keep(&file)?;
        }
        let market = market.with_auction_at(place.auction).await.with_context(|| unusable(folder))?;
        let chain = Self { anvil, market, faucet, mining: Mutex::default() };
        chain.mine_for(place.contract, place.block);
        Ok(chain)
    }

    /// Lets time pass while something happens at this contract.
    fn mine_for(&self, contract: Address, first_block: u64) {
        let mining = mining::keep(self.market.endpoint().chain().clone(), contract, first_block);
        let mining = AbortOnDropHandle::new(tokio::spawn(mining));
        self.mining.lock().unwrap_or_else(PoisonError::into_inner).push(mining);
    }

    /// The market.
    pub(crate) const fn market(&self) -> &ChainMarket {
        &self.market
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

    /// Gives an account some of what the market is paid in, if that is the test dollar.
    ///
    /// # Errors
    /// When the chain refuses.
    pub(crate) async fn mint(&self, account: Address, amount: AttoFil) -> anyhow::Result<()> {
        let dollar = self.market.settings().asset;
        let mint = json!([{ "from": self.faucet, "to": dollar, "data": token::mint(account, amount) }]);
        send(self.market.endpoint(), mint).await.map(drop)
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
        let endpoint = self.market.endpoint();
        Ok(endpoint.chain().newest().await.map_err(|error| endpoint.failed(error))?.number())
    }

    /// What an account has in the market and outside, as of a block.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub(crate) async fn fortune(&self, account: Address, block: u64) -> Result<(AttoFil, AttoFil), ChainError> {
        let (endpoint, at) = (self.market.endpoint(), At::Block(block));
        let inside = endpoint.view(self.market.contract(), &bindings::balance_of(account), at).await?;
        Ok((inside, endpoint.money(account, at).await?))
    }

    /// What the market holds in all, and what of it is burned, as of a block.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub(crate) async fn holdings(&self, block: u64) -> Result<(AttoFil, AttoFil), ChainError> {
        let (endpoint, at) = (self.market.endpoint(), At::Block(block));
        let all = endpoint.money(self.market.contract(), at).await?;
        Ok((all, endpoint.view(self.market.contract(), &bindings::burned(), at).await?))
    }

    /// What everybody paid for gas in these blocks, from the receipts.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub(crate) async fn gas(&self, blocks: std::ops::RangeInclusive<u64>) -> anyhow::Result<HashMap<Address, AttoFil>> {
        let mut paid: HashMap<Address, AttoFil> = HashMap::new();
        for block in blocks {
            let block = format!("{block:#x}");
            let chain = self.market.endpoint().chain();
            let receipts: Vec<Receipt> = chain.request("eth_getBlockReceipts", (block,)).await?;
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

async fn deploy(endpoint: &Endpoint, faucet: Address, paid_in: PaidIn) -> anyhow::Result<Place> {
    let mut settings = default_settings(endpoint.network());
    if paid_in == PaidIn::Usd {
        settings.asset = create(endpoint, faucet, token::test_dollar()).await?.0;
        settings.quantum = default_quantum(DOLLAR_DECIMALS);
    }
    let (contract, block) = create(endpoint, faucet, bindings::deployment(&settings)).await?;
    Ok(Place { contract, block, auction: None })
}

/// Deploys a contract; its address, and the block that it is in.
async fn create(endpoint: &Endpoint, faucet: Address, code: Bytes) -> anyhow::Result<(Address, u64)> {
    let receipt = send(endpoint, json!([{ "from": faucet, "data": code }])).await?;
    Ok((receipt.contract_address.context("Anvil deployed nothing")?, receipt.block()))
}

/// Sends from an account whose key Anvil has.
async fn send(endpoint: &Endpoint, transaction: Value) -> anyhow::Result<Receipt> {
    let chain = endpoint.chain();
    let hash: B256 = chain.request("eth_sendTransaction", transaction).await?;
    let begun = Instant::now();
    let receipt = loop {
        if let Some(receipt) = chain.receipt(hash).await? {
            break receipt;
        }
        if begun.elapsed() > PATIENCE {
            bail!("the transaction {hash} of Anvil's own account is in no block after {} s", PATIENCE.as_secs());
        }
        tokio::time::sleep(LOOK).await;
    };
    if !receipt.succeeded() {
        bail!("the transaction {hash} of Anvil's own account failed");
    }
    Ok(receipt)
}
