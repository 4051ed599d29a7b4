//! Deploying the market.

use std::time::Duration;

use alloy::{
    network::TransactionBuilder as _,
    providers::Provider as _,
    rpc::types::{Log, TransactionRequest},
};
use anyhow::{Context as _, bail};
use lota_bridge::{
    PrivateKeySigner,
    evm::{
        Network,
        bindings::{self, Deployment},
    },
};
use lota_market::{Address, AttoFil, B256, U256};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{ChainMarket, Endpoint};

/// How long a transaction may take to get into a block: twice the time after which Filecoin's senders replace it, and more.
const PATIENCE: Duration = Duration::from_secs(900);

/// A market that was deployed just now.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Deployed {
    /// Where.
    pub(crate) contract: Address,
    /// Of which network.
    pub(crate) network: &'static str,
    /// Its chain's id.
    pub(crate) chain_id: u64,
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

/// What became of a transaction.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Receipt {
    pub(super) from: Address,
    pub(super) block_number: U256,
    /// 1: it was carried out.
    pub(super) status: U256,
    gas_used: U256,
    effective_gas_price: U256,
    pub(super) contract_address: Option<Address>,
    #[serde(default)]
    pub(super) logs: Vec<Log>,
}

impl Receipt {
    /// What its gas cost.
    pub(super) fn fee(&self) -> AttoFil {
        AttoFil(self.gas_used.saturating_mul(self.effective_gas_price).saturating_to())
    }
}

/// Deploys the checked-in market with these settings, and compares what the chain then holds.
///
/// # Errors
/// When the account has no money, the chain refuses, or what is there afterwards is something else.
pub(crate) async fn deploy(
    url: &str,
    network: Option<Network>,
    signer: PrivateKeySigner,
    settings: impl FnOnce(&Network) -> Deployment,
    sent: impl FnOnce(B256),
) -> anyhow::Result<(Deployed, ChainMarket)> {
    let deployer = signer.address();
    let endpoint = Endpoint::connect(url, network, Some(signer)).await?;
    let network = *endpoint.network();
    let wanted = settings(&network);
    if endpoint.money(deployer, "latest").await? == AttoFil::ZERO {
        bail!("{deployer} has no money on {} (chain {}) to pay for gas; send it some", network.name, network.chain_id);
    }
    let request = TransactionRequest::default().with_from(deployer).with_deploy_code(bindings::deployment(&wanted));
    let pending = endpoint.within("eth_sendRawTransaction", endpoint.provider().send_transaction(request)).await?;
    let transaction = *pending.tx_hash();
    sent(transaction);
    let receipt = landed(&endpoint, transaction).await?;
    let contract = receipt.contract_address.filter(|_| receipt.status == U256::from(1)).with_context(|| {
        format!("the transaction {transaction} failed in block {}; nothing was deployed", receipt.block_number)
    })?;
    let block = receipt.block_number.saturating_to();
    let market = ChainMarket::find(endpoint, contract, block).await?;
    let found = market.deployment();
    if found != wanted {
        bail!("{contract} was deployed with other settings ({found:?}) than asked for ({wanted:?}); do not use it");
    }
    let deployed = Deployed {
        contract,
        network: network.name,
        chain_id: network.chain_id,
        block,
        transaction,
        deployer,
        gas_used: receipt.gas_used.saturating_to(),
        fee: receipt.fee(),
    };
    Ok((deployed, market))
}

/// Waits for a transaction's receipt. Asked for by hash: block numbers are not walked (Filecoin's null rounds).
pub(super) async fn landed(endpoint: &Endpoint, transaction: B256) -> anyhow::Result<Receipt> {
    let begun = tokio::time::Instant::now();
    loop {
        let receipt: Option<Receipt> = endpoint.call("eth_getTransactionReceipt", json!([transaction])).await?;
        if let Some(receipt) = receipt {
            return Ok(receipt);
        }
        if begun.elapsed() > PATIENCE {
            bail!(
                "the transaction {transaction} is in no block after {} s; look for it in a block explorer before you deploy again",
                PATIENCE.as_secs()
            );
        }
        tokio::time::sleep(endpoint.network().poll.min(Duration::from_secs(2))).await;
    }
}
