//! The daemon of a Lota provider, client or mediator.

pub mod executor;
