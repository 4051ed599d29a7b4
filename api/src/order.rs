//! Orders that are paid over Filecoin Pay: what they pay, and what a provider has of that. Amounts are in the smallest unit of `unit`.

use jiff::Timestamp;
use lota_market::{Address, AttoFil, asset::Asset};
use serde::{Deserialize, Serialize};

/// An amount that a payer pays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid {
    /// All of it.
    pub gross: AttoFil,
    /// What Filecoin Pay keeps of it.
    pub fee: AttoFil,
    /// What the provider gets.
    pub net: AttoFil,
}

/// What became of an order's price.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PriceStage {
    /// Nobody has taken the order.
    Open,
    /// It is locked for the provider while the job runs.
    Locked,
    /// The job is settled, and it can be collected.
    Due,
    /// It is in the provider's account at Filecoin Pay.
    Collected,
    /// It is the payer's again.
    Freed,
    #[serde(other)]
    Unknown,
}

/// What a job's order pays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderInfo {
    /// Whose account at Filecoin Pay pays.
    pub payer: Address,
    /// What amounts are in.
    pub unit: Asset,
    /// The price; of an order that nobody has taken the highest.
    #[serde(flatten)]
    pub price: Paid,
    pub stage: PriceStage,
    /// The rail on which it is paid, once somebody has taken it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rail: Option<String>,
    /// When it was collected, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub collected: Option<Timestamp>,
    /// Why it is not collected yet, if there is anything to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// What a provider has of orders.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrdersInfo {
    /// The `FilecoinPayDeals`.
    pub contract: Address,
    /// What amounts are in.
    pub unit: Asset,
    /// Due, and not collected.
    pub due: Paid,
    /// Collected in all.
    pub collected: Paid,
    /// Due on rails that their payers ended before it was collected, and the payers' again: gross.
    #[serde(default)]
    pub lost: AttoFil,
    /// When something was collected last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_collected: Option<Timestamp>,
    /// The rails on which something is due; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rails: Vec<DueOnRail>,
}

/// What is due on a rail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueOnRail {
    pub rail: String,
    pub payer: Address,
    #[serde(flatten)]
    pub due: Paid,
    /// Since when the oldest of it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// Before which block it must be paid, if its payer has terminated the rail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<u64>,
    /// Why it is not collected yet, if there is anything to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}
