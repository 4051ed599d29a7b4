//! Strategies: what somebody does otherwise than the node.
//!
//! Every party here is the node's own agent ([`lota_market::agent::Agent`]); a strategy is how its wishes are carried out: what it asks, what it
//! makes of `run`, whether it verifies. So a cheat knows, waits and pays like everybody else.

mod client;
mod provider;

pub use client::{ClientStrategy, Verification, client};
pub use provider::{Attempt, Market, ProviderStrategy, Run, Sealed, Task, provider};
