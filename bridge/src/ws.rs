//! A party's transport to the [websocket mock](crate::mock).

mod client;
mod connection;
mod reader;

pub use client::{MockClient, WsTransport};
