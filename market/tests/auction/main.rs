//! The twin of `SealedBidAuction.sol`, in a world with its market.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod formula;
mod interface;
mod life;
mod random;
mod reentrancy;
mod town;
