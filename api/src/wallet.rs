//! The account's money.

use lota_market::{Address, AttoFil, agent::Filling, asset::Asset};
use serde::{Deserialize, Serialize};

use crate::Problem;

/// `GET /v1/wallet`: the account's money.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WalletInfo {
    pub address: Address,
    /// The chain's coin outside the market, which pays for gas.
    pub wallet: AttoFil,
    /// What it has of the market's token outside, if the market is paid in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<AttoFil>,
    /// Free balance in the market.
    pub market: AttoFil,
    /// Free balance in the auction beside it, for bids, if the daemon uses one and that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auction: Option<AttoFil>,
    /// Whether money is brought there for bids: not, when its operator has taken some out, until it resumes.
    #[serde(default, skip_serializing_if = "Filling::is_as_needed")]
    pub bid_money: Filling,
    /// What it has at Filecoin Pay that is not locked, in what orders are paid in, if the daemon follows such and that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filecoin_pay: Option<AtFilecoinPay>,
    /// What keeps the daemon from its work now. When the market is unreachable, the amounts are the last known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<Problem>,
}

/// What an account has at Filecoin Pay, in the smallest unit of `unit`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtFilecoinPay {
    pub unit: Asset,
    pub available: AttoFil,
}

/// `POST /v1/wallet/deposit` and `/v1/wallet/withdraw`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveMoney {
    /// How much.
    pub amount: AttoFil,
    /// Withdrawals: to whom; the account itself when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Address>,
    /// Any name: asked for again with the same one, the money moves once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}

/// `POST /v1/wallet/withdraw-bid-money`: takes money out of the auction, which brings none for further bids from then on, until the
/// operator resumes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeBidMoney {
    /// How much; left out: all that no bid needs, and later what bids give back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<AttoFil>,
    /// To whom; the account itself when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Address>,
    /// Any name: asked for again with the same one, the money moves once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<String>,
}
