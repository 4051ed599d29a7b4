//! What travels over a daemon's HTTP API, as JSON: times are RFC 3339, amounts are attoFIL as decimal strings, ids are `0x` and 64
//! hex digits. docs/api.md says which route takes and gives what.
//!
//! Where a word stands for one of a few things there is an enum. A word of a newer daemon reads as its `Unknown`.

mod auction;
mod content;
mod decision;
mod error;
mod job;
mod node;
mod order;
mod query;
mod wallet;
mod words;

use jiff::Timestamp;
use lota_market::Time;

pub use auction::{AuctionInfo, AwardInfo, BidInfo};
pub use content::{ContentEntry, Stored};
pub use decision::Decision;
pub use error::ApiError;
pub use job::{
    JobDetail, JobEvent, JobOffer, JobPage, JobRequest, JobSummary, MoneyInfo, OpenedJob, PublicationInfo,
    PublicationProgress, ResultInfo, TermsInfo, TermsRequest,
};
pub use node::{ApiFile, MarketInfo, NodeInfo, OfferedResources, Party, Problem, Resumed};
pub use order::{DueOnRail, OrderInfo, OrdersInfo, Paid, PriceStage};
pub use query::{JobQuery, LabelFilter, MAX_LABELS, QueryError, StateFilter};
pub use wallet::{AtFilecoinPay, MoveMoney, TakeBidMoney, WalletInfo};
pub use words::{ErrorCode, Phase, ProblemCode, Verdict, Verification};

/// A block's time as JSON carries it; times beyond the year 9999 are the last one that can be written.
#[must_use]
pub fn rfc3339(time: Time) -> Timestamp {
    i64::try_from(time.0).ok().and_then(|s| Timestamp::from_second(s).ok()).unwrap_or(Timestamp::MAX)
}
