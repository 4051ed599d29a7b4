//! Routes about money.

use axum::{Json, extract::State};
use lota_market::{AttoFil, agent::EffectKey, model::Command};

use super::{
    Api,
    error::Failed,
    types::{MoveMoney, WalletInfo},
};

pub(super) async fn show(State(api): State<Api>) -> Result<Json<WalletInfo>, Failed> {
    let transport = &api.shared.transport;
    let address = transport.party();
    let wallet = transport.wallet(address).await.map_err(Failed::market)?;
    let market = transport.balance(address).await.map_err(Failed::market)?;
    Ok(Json(WalletInfo { address, wallet, market }))
}

pub(super) async fn deposit(State(api): State<Api>, Json(body): Json<MoveMoney>) -> Result<Json<WalletInfo>, Failed> {
    if body.to.is_some() {
        return Err(Failed::invalid("a deposit goes into the account's own balance; leave `to` out"));
    }
    let command = Command::Deposit { account: api.shared.transport.party() };
    once(&api, "deposit", &command, body.amount).await
}

pub(super) async fn withdraw(State(api): State<Api>, Json(body): Json<MoveMoney>) -> Result<Json<WalletInfo>, Failed> {
    let to = body.to.unwrap_or_else(|| api.shared.transport.party());
    let command = Command::Withdraw { to, amount: body.amount };
    once(&api, "withdraw", &command, AttoFil::ZERO).await
}

async fn once(api: &Api, what: &str, command: &Command, value: AttoFil) -> Result<Json<WalletInfo>, Failed> {
    let key = EffectKey::named(&format!("{what}/{}", hex::encode(rand::random::<[u8; 16]>())));
    api.shared.transport.submit(&key, command, value).await?;
    show(State(api.clone())).await
}
