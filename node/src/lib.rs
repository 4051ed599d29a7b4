//! The daemon of a Lota provider, client or mediator.

pub mod api;
pub mod executor;
