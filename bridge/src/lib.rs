//! How a process reaches a Lota market.
//!
//! [`Transport`] is the only way anything outside `lota-market` sees a market: an ordered stream of [`Update`]s from any
//! [`Cursor`], and [`Transport::submit`], which is idempotent on the key of the effect. [`memory`] runs the protocol's model
//! in the process, [`mock`] serves it to others over websockets, where [`ws`] is the transport; all transports pass the same
//! conformance suite. [`eip712`] is what parties sign.
//!
//! Deliberately absent: what a party does about an event (that is `lota_market::agent`), and any database (that is the
//! node's; this crate asks for small traits).

pub mod auction;
pub mod blessing;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod eip712;
pub mod encoding;
pub mod evm;
pub mod failure;
pub mod filecoin_address;
pub mod filecoin_pay_deals;
pub mod journal;
pub mod memory;
pub mod mock;
pub mod recording;
pub mod transport;
pub mod ws;

pub use alloy::signers::local::PrivateKeySigner;
pub use auction::AuctionRef;
pub use blessing::BlessingRef;
pub use filecoin_pay_deals::FilecoinPayDealsRef;
pub use journal::{Journal, JournalError};
pub use transport::{
    Cursor, Head, Landed, MarketRef, Outstanding, Reserve, StoredDeal, SubmitError, Transport, TransportError, Update,
    UpdateStream,
};
