//! Sealed bids: `SealedBidAuction.sol` as a value, a matcher beside a [market](crate::model).
//!
//! It is the same protocol as `contracts/src/interfaces/ISealedBidAuction.sol`, whose header is the specification; names, order of
//! checks, errors and events are the same. A [world](crate::world) executes it, and its calls of the market.

mod bids;
mod command;
mod event;
mod rejection;
mod selector;
mod standing;
mod state;
mod storage;

pub use command::{Bid, Command};
pub use event::Event;
pub use rejection::{AuctionFault, Rejection};
pub use standing::{Auction, Standing};
pub use state::SealedBidAuction;
pub(crate) use state::{Next, Situation};

use crate::model::{MAX_WINDOW, Terms};

/// The longest `min_reveal_period`, in seconds (90 days).
pub const MAX_REVEAL_PERIOD: u64 = MAX_WINDOW;
/// The most bidders of one `sweep`.
pub const MAX_SWEEP: usize = 62;
/// The most commits of one auction.
pub const MAX_COMMITS: u32 = (1 << 24) - 1;

/// What a bid costs to seal: `max_price - min_price`. It comes back when the bid is revealed, and is burned otherwise.
#[must_use]
pub const fn deposit(terms: &Terms) -> crate::AttoFil {
    terms.max_price.saturating_sub(terms.min_price)
}

/// Until when bids may be revealed; from `ramp_start` on.
#[must_use]
pub const fn reveal_until(terms: &Terms) -> crate::Time {
    terms.ramp_start.after(terms.ramp_period)
}
