//! Routes about money.

use std::sync::Arc;

use axum::{Json, extract::State};
use lota_api::{AtFilecoinPay, MoveMoney, TakeBidMoney, WalletInfo};
use lota_market::AttoFil;

use super::{Api, in_time};
use crate::{health::Money, http_error::HttpError, order::check_key, transfers::Direction};

pub(super) async fn show(State(api): State<Arc<Api>>) -> Result<Json<WalletInfo>, HttpError> {
    let transport = &api.transport;
    let address = transport.party();
    let health = &api.health;
    let asked = async { tokio::try_join!(transport.wallet(address), transport.balance(address)) };
    // What is not known is left out.
    let token = async {
        match transport.market().settings.is_token() {
            true => in_time(transport.funds(address)).await.ok(),
            false => None,
        }
    };
    let auction = async {
        match transport.auction() {
            Some(_) => in_time(transport.auction_balance(address)).await.ok(),
            None => None,
        }
    };
    let filecoin_pay = async {
        let unit = api.orders_asset.clone()?;
        let available = in_time(transport.filecoin_pay_balance(address)).await.ok()?;
        Some(AtFilecoinPay { unit, available })
    };
    let (asked, token, auction, filecoin_pay) = tokio::join!(in_time(asked), token, auction, filecoin_pay);
    let (Money { wallet, market }, problems) = match asked {
        Ok((wallet, market)) => {
            let money = Money { wallet, market };
            health.set_money(money);
            (money, health.problems(None))
        }
        Err(error) => match health.money() {
            Some(money) => (money, health.problems(Some(&error))),
            None => return Err(HttpError::market(error)),
        },
    };
    let bid_money = health.bid_money();
    Ok(Json(WalletInfo { address, wallet, token, market, auction, bid_money, filecoin_pay, problems }))
}

pub(super) async fn deposit(
    State(api): State<Arc<Api>>,
    Json(body): Json<MoveMoney>,
) -> Result<Json<WalletInfo>, HttpError> {
    if body.to.is_some() {
        return Err(HttpError::invalid("a deposit goes into the account's own balance; leave `to` out"));
    }
    transfer(api, Direction::Deposit, body).await
}

pub(super) async fn withdraw(
    State(api): State<Arc<Api>>,
    Json(body): Json<MoveMoney>,
) -> Result<Json<WalletInfo>, HttpError> {
    let to = body.to.unwrap_or_else(|| api.transport.party());
    transfer(api, Direction::Withdraw { to }, body).await
}

async fn transfer(api: Arc<Api>, direction: Direction, body: MoveMoney) -> Result<Json<WalletInfo>, HttpError> {
    let MoveMoney { amount, idempotency_key, .. } = body;
    if let Some(key) = &idempotency_key {
        check_key(key)?;
    }
    let refused = |error| HttpError::transfer(error, &api.transport.asset());
    api.transfers.make(direction, amount, idempotency_key).await.map_err(refused)?;
    show(State(api)).await
}

/// Takes money out of the auction.
pub(super) async fn withdraw_bid_money(
    State(api): State<Arc<Api>>,
    Json(body): Json<TakeBidMoney>,
) -> Result<Json<WalletInfo>, HttpError> {
    let TakeBidMoney { amount, to, idempotency_key } = body;
    if let Some(key) = &idempotency_key {
        check_key(key)?;
    }
    if api.transport.auction().is_none() {
        return Err(HttpError::refused("this node uses no auction, so it has no money in one"));
    }
    if amount == Some(AttoFil::ZERO) {
        return Err(HttpError::invalid(
            "there is nothing to take out: the amount is 0; to take out everything, leave it out",
        ));
    }
    let to = to.unwrap_or_else(|| api.transport.party());
    let refused = |error| HttpError::transfer(error, &api.transport.asset());
    api.transfers.take_bid_money(to, amount, idempotency_key).await.map_err(refused)?;
    show(State(api)).await
}
