//! Deploying the market.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use lota_bridge::{
    Journal as _, PrivateKeySigner,
    evm::{Account, Call, Chain, Config, Network, SendError, account::Landed, auction, bindings, chain::At, token},
    journal::{AccountId, MemoryJournal},
};
use lota_market::{Address, AttoFil, B256, agent::EffectKey, model::Settings};
use serde::Serialize;

use super::{ChainError, ChainMarket, Endpoint, default_quantum, default_settings};

/// How long a transaction may take to get into a block: twice the time after which Filecoin's senders replace it, and more.
const PATIENCE: Duration = Duration::from_secs(900);
/// How often to look whether it is there.
const LOOK: Duration = Duration::from_secs(1);
/// How often to look whether it was sent.
const GLANCE: Duration = Duration::from_millis(20);

/// A market that was deployed just now.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Deployed {
    /// In which block: reading begins there.
    pub(crate) block: u64,
    /// By which transaction.
    pub(crate) transaction: B256,
    /// Of whom.
    pub(crate) deployer: Address,
    /// What it took.
    pub(crate) gas_used: u64,
    /// What that cost, in attoFIL.
    pub(crate) fee: AttoFil,
}

/// An auction that was deployed just now.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DeployedAuction {
    /// Where.
    pub(crate) contract: Address,
    /// The shortest time to reveal bids in, in seconds.
    pub(crate) min_reveal_period: u32,
    /// In which block.
    pub(crate) block: u64,
    /// By which transaction.
    pub(crate) transaction: B256,
    /// What it took.
    pub(crate) gas_used: u64,
    /// What that cost, in attoFIL.
    pub(crate) fee: AttoFil,
}

/// A contract that was deployed just now.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DeployedContract {
    pub(crate) contract: Address,
    /// In which block: reading begins there.
    pub(crate) block: u64,
    pub(crate) transaction: B256,
    pub(crate) deployer: Address,
    pub(crate) gas_used: u64,
    /// What that cost, in attoFIL.
    pub(crate) fee: AttoFil,
}

/// Deploys the checked-in market with these settings, which are told the network and the usual quantum of the asset, and compares what the chain then holds.
///
/// # Errors
/// When the account has no money, the chain refuses, or what is there afterwards is something else.
pub(crate) async fn deploy(
    url: &str,
    network: Option<Network>,
    signer: PrivateKeySigner,
    asset: Option<Address>,
    settings: impl FnOnce(&Network, u64) -> Settings,
    sent: impl FnOnce(B256),
) -> anyhow::Result<(Deployed, ChainMarket)> {
    let deployer = signer.address();
    let endpoint = Endpoint::connect(url, network).await?;
    let network = *endpoint.network();
    let quantum = match asset {
        Some(asset) => token_quantum(&endpoint, asset).await?,
        None => default_settings(&network).quantum,
    };
    let wanted = settings(&network, quantum);
    check_money(&endpoint, deployer).await?;
    let has_code = !wanted.asset.is_zero()
        && !endpoint.chain().code(wanted.asset).await.map_err(|error| endpoint.failed(error))?.is_empty();
    if let Some(fault) = wanted.fault(has_code) {
        bail!("the market cannot be deployed with these settings: {fault}");
    }
    let call = Call::create(bindings::deployment(&wanted));
    let landed = send(endpoint.chain(), signer, call, sent).await.context("nothing was deployed")?;
    let contract = landed.created.context("the chain does not say where the contract is")?;
    let fee = landed.fee.context("the chain does not say what it took")?;
    let market = ChainMarket::find(endpoint, contract, landed.block).await?;
    let found = market.settings();
    if found != wanted {
        bail!("{contract} was deployed with other settings ({found:?}) than asked for ({wanted:?}); do not use it");
    }
    let deployed = Deployed {
        block: landed.block,
        transaction: landed.transaction,
        deployer,
        gas_used: fee.gas_used,
        fee: fee.paid,
    };
    Ok((deployed, market))
}

/// Deploys the checked-in auction beside a market, and compares what the chain then holds.
///
/// # Errors
/// When the account has no money, the chain refuses, or what is there afterwards is something else.
pub(crate) async fn deploy_auction(
    market: &ChainMarket,
    signer: PrivateKeySigner,
    min_reveal_period: u32,
    sent: impl FnOnce(B256),
) -> anyhow::Result<DeployedAuction> {
    let endpoint = market.endpoint();
    check_money(endpoint, signer.address()).await?;
    let call = Call::create(auction::deployment(market.contract(), min_reveal_period));
    let landed = send(endpoint.chain(), signer, call, sent).await.context("no auction was deployed")?;
    let contract = landed.created.context("the chain does not say where the auction is")?;
    let fee = landed.fee.context("the chain does not say what it took")?;
    let there = market.clone().with_auction_at(Some(contract)).await?;
    let found = there.auction().map(|auction| auction.reference().min_reveal_period);
    if found != Some(min_reveal_period) {
        bail!(
            "{contract} was deployed with another reveal period ({found:?} s) than {min_reveal_period} s; do not use it"
        );
    }
    Ok(DeployedAuction {
        contract,
        min_reveal_period,
        block: landed.block,
        transaction: landed.transaction,
        gas_used: fee.gas_used,
        fee: fee.paid,
    })
}

/// Creates a contract, and says what that took.
pub(super) async fn create(
    endpoint: &Endpoint,
    signer: PrivateKeySigner,
    call: Call,
    sent: impl FnOnce(B256),
) -> anyhow::Result<DeployedContract> {
    let deployer = signer.address();
    check_money(endpoint, deployer).await?;
    let landed = send(endpoint.chain(), signer, call, sent).await?;
    let contract = landed.created.context("the chain does not say where the contract is")?;
    let fee = landed.fee.context("the chain does not say what it took")?;
    let (block, transaction) = (landed.block, landed.transaction);
    Ok(DeployedContract { contract, block, transaction, deployer, gas_used: fee.gas_used, fee: fee.paid })
}

/// Refuses an account without money for gas.
pub(super) async fn check_money(endpoint: &Endpoint, account: Address) -> anyhow::Result<()> {
    let network = endpoint.network();
    if endpoint.money(account, At::Latest).await? == AttoFil::ZERO {
        bail!("{account} has no money on {} (chain {}) to pay for gas; send it some", network.name, network.chain_id);
    }
    Ok(())
}

/// The usual quantum of a token's market.
async fn token_quantum(endpoint: &Endpoint, asset: Address) -> anyhow::Result<u64> {
    let network = endpoint.network();
    if endpoint.chain().code(asset).await.map_err(|error| endpoint.failed(error))?.is_empty() {
        bail!(
            "there is no contract at {asset} on {} (chain {}), so jobs cannot be paid in it; name a token's address with --asset, or leave it out for the chain's own coin",
            network.name,
            network.chain_id
        );
    }
    match endpoint.view(asset, &token::decimals(), At::Latest).await {
        Ok(decimals) => Ok(default_quantum(decimals)),
        Err(ChainError::Refused { .. } | ChainError::Malformed { .. }) => bail!(
            "the contract at {asset} on {} does not say how many decimals its amounts have, so it is no ERC-20 that people can be shown amounts of; name another with --asset",
            network.name
        ),
        Err(error) => Err(error.into()),
    }
}

/// Sends one call with a key that nothing else uses in the meantime, and waits for its block; `sent` is told its hash.
pub(super) async fn send(
    chain: &Chain,
    signer: PrivateKeySigner,
    call: Call,
    sent: impl FnOnce(B256),
) -> anyhow::Result<Landed> {
    let config = Config { poll: chain.config().poll.min(LOOK), ..chain.config().clone() };
    let chain = Chain::connect(config).await?;
    let id = AccountId { chain_id: chain.id(), address: signer.address() };
    let journal = MemoryJournal::default();
    let account = Account::open(&chain, signer, Arc::new(journal.clone()));
    let key = EffectKey::named("once");
    let written = async || journal.find(id, &key).await.ok().flatten().map(|sending| sending.attempts);
    let telling = async {
        loop {
            if let Some(first) = written().await.and_then(|versions| versions.into_iter().next()) {
                return sent(first.hash);
            }
            tokio::time::sleep(GLANCE).await;
        }
    };
    let sending = async {
        loop {
            match account.send(&key, call.clone()).await {
                // It is on its way, and the node is away; under its key it is sent once.
                Err(SendError::Rpc(error)) if error.is_temporary() && written().await.is_some() => {}
                landed => return landed,
            }
        }
    };
    let sending = tokio::time::timeout(PATIENCE, sending);
    tokio::pin!(telling, sending);
    let landed = tokio::select! {
        biased;
        landed = &mut sending => landed,
        () = &mut telling => sending.await,
    };
    match landed {
        Ok(landed) => Ok(landed?),
        Err(_) => {
            let version = written().await.and_then(|versions| versions.into_iter().next_back());
            let hash = version.map_or_else(String::new, |version| format!(" {}", version.hash));
            bail!(
                "the transaction{hash} is in no block after {} s; look for it in a block explorer before you repeat it",
                PATIENCE.as_secs()
            )
        }
    }
}
