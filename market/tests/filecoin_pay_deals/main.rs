//! The twins of `FilecoinPayDeals.sol` and of Filecoin Pay, in a world with their market.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod life;
mod random;
mod town;
