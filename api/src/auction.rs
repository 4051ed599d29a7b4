//! A job's auction for a person.

use jiff::Timestamp;
use lota_market::{Address, AttoFil};
use serde::{Deserialize, Serialize};

/// The auction of a job, as far as it is public.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuctionInfo {
    /// Bids are sealed before this.
    pub sealed_until: Timestamp,
    /// Then they are opened until this, and awarded.
    pub opened_until: Timestamp,
    /// The bids that are known, in the order in which they were sealed: of very many, those that were sealed first, and the cheapest of
    /// those that were opened.
    pub bids: Vec<BidInfo>,
    /// There are so many that some are not among them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
    /// Who got the job, once it was awarded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awarded: Option<AwardInfo>,
}

/// A bid.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BidInfo {
    pub bidder: Address,
    /// What it bid, once that was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<AttoFil>,
}

/// The award of an auction.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AwardInfo {
    pub winner: Address,
    /// What it is paid: the second-lowest bid, or the highest price if there is no other.
    pub price: AttoFil,
}
