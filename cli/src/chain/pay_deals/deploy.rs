//! Deploying the contract.

use anyhow::{Context as _, bail};
use lota_bridge::{
    PrivateKeySigner,
    evm::{self, Call, chain::At, filecoin_pay, filecoin_pay_deals::Deployment},
};
use lota_market::{Address, B256};

use super::ChainPayDeals;
use crate::chain::{
    ChainError, ChainMarket, Endpoint,
    deploy::{DeployedContract, create},
    pay_settings::PaySettings,
};

/// The longest grace that the contract takes, in seconds: 365 days.
const MAX_GRACE: u64 = 365 * 86_400;
/// Deploys the checked-in contract beside a market, and compares what the chain then holds.
///
/// # Errors
/// When the market, Filecoin Pay or the token are none, or a number is out of range; when the account has no money, the chain refuses, or
/// what is there afterwards is something else.
pub(crate) async fn deploy_pay_deals(
    market: &ChainMarket,
    signer: PrivateKeySigner,
    wanted: &Deployment,
    sent: impl FnOnce(B256),
) -> anyhow::Result<(DeployedContract, ChainPayDeals)> {
    check(market, wanted).await?;
    let endpoint = market.endpoint();
    let deployed = create(endpoint, signer, Call::create(wanted.code()), sent).await.context("nothing was deployed")?;
    let there = ChainPayDeals::find(endpoint.clone(), deployed.contract, deployed.block).await?;
    let found = Deployment {
        market: there.market.contract(),
        callback_gas: there.callback_gas(),
        filecoin_pay: there.filecoin_pay(),
        token: there.token(),
        epoch_seconds: there.epoch_seconds,
        grace: there.grace,
    };
    if found != *wanted {
        bail!("{} was deployed with others than asked for ({found:?}); do not use it", deployed.contract);
    }
    Ok((deployed, there))
}

/// Refuses what the constructor refuses, and what it cannot know.
async fn check(market: &ChainMarket, wanted: &Deployment) -> anyhow::Result<()> {
    let endpoint = market.endpoint();
    let most = market.settings().max_callback_gas;
    if wanted.callback_gas == 0 || wanted.callback_gas > most {
        bail!(
            "the callback would be given {} gas, and this market promises callbacks from 1 to {most}; name another amount with --callback-gas",
            wanted.callback_gas
        );
    }
    if wanted.epoch_seconds == 0 {
        bail!(
            "an epoch of 0 s is none; name the shortest time between two blocks with --epoch-seconds (30 on Filecoin)"
        );
    }
    if wanted.grace > MAX_GRACE {
        bail!("a grace of {} s is longer than a year ({MAX_GRACE} s); name a shorter one with --grace", wanted.grace);
    }
    check_filecoin_pay(endpoint, wanted.filecoin_pay, wanted.token, wanted.market).await?;
    if let Err(fault) = PaySettings::from(wanted).check(endpoint.network(), true) {
        bail!("no node of this version would take orders of a contract like this: {fault}");
    }
    Ok(())
}

/// Refuses a Filecoin Pay, and a token of what it keeps, that are none; `owner` is somebody whose account is asked for.
///
/// # Errors
/// In words that name the flags, or when the node does not answer.
pub(crate) async fn check_filecoin_pay(
    endpoint: &Endpoint,
    filecoin_pay: Address,
    token: Address,
    owner: Address,
) -> anyhow::Result<()> {
    let network = endpoint.network();
    let on = format!("{} (chain {})", network.name, network.chain_id);
    for (what, flag, contract) in [("Filecoin Pay", "--filecoin-pay", filecoin_pay), ("the token", "--token", token)] {
        let is_coin = flag == "--token" && contract.is_zero();
        if !is_coin && endpoint.chain().code(contract).await.map_err(|error| endpoint.failed(error))?.is_empty() {
            bail!("there is no contract at {contract} on {on}, where {what} should be; name its address with {flag}");
        }
    }
    let account = filecoin_pay::account_info(token, owner);
    match endpoint.view(filecoin_pay, &account, At::Latest).await {
        Ok(_) => {}
        Err(ChainError::Refused { .. } | ChainError::Malformed { .. }) => bail!(
            "the contract at {} on {on} does not answer as Filecoin Pay (getAccountInfoIfSettled); name the address of FilecoinPayV1 with --filecoin-pay",
            filecoin_pay
        ),
        Err(error) => return Err(error.into()),
    }
    if !token.is_zero() && endpoint.view(token, &evm::token::decimals(), At::Latest).await.is_err() {
        bail!(
            "the contract at {} on {on} does not say how many decimals its amounts have, so it is no ERC-20 that people can be shown amounts of; name another with --token",
            token
        );
    }
    Ok(())
}
