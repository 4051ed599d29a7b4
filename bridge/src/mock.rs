//! The websocket mock of the contracts: a [market without a chain](crate::memory), for processes that are not this one.
//!
//! JSON-RPC 2.0 over a websocket: signed commands in, ordered events out, from any cursor and then live. [`protocol`] is what travels;
//! docs/mock.md tells it with examples, and docs/mock.asyncapi.json formally. [`Server`] is one end, [`WsTransport`](crate::ws::WsTransport) the other.

mod connection;
mod handlers;
mod outbox;
pub mod protocol;
mod server;
mod subscription;

pub use server::{Limits, Server, ServerOptions};
