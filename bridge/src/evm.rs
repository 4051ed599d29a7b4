//! A market on an EVM chain: Filecoin's FEVM, Ethereum's relatives, development chains.
//!
//! Reading: a polled cursor with block hashes is the truth; subscriptions only wake the poller up. Logs are read by range,
//! receipts and timestamps by hash, and block numbers are never walked (a Filecoin epoch without blocks answers error 12). A
//! reader keeps a trail of blocks that it saw, so that a reorganisation is followed back to where the forks part.
//!
//! Sending: one task per key of an account gives out nonces, writes the signed bytes into the
//! [`Journal`](crate::Journal) before they are broadcast, replaces by fee what is stuck, sends again what was dropped, and
//! watches until the chain will not undo it.

pub mod bindings;
mod fees;
mod headers;
mod network;
mod reader;
mod rpc;
mod sender;
mod shared;
mod sightings;
mod trail;
mod transport;

pub use network::{CLASSIC_FINALITY, Config, Fees, Finality, MAX_RANGE, Network};
pub use rpc::MAX_RESULTS;
pub use transport::EvmTransport;
