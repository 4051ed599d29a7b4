//! The daemon's HTTP API, from the side of the command line.

mod calls;
mod connection;

pub(crate) use calls::Part;
pub(crate) use connection::{Api, ApiFailure};
