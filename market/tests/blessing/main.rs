//! The twin of `Blessing.sol`, in a world with its market.
#![expect(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod granters;
mod life;
mod random;
mod town;
