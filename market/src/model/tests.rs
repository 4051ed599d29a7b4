//! Tests of the protocol as a whole.

mod interface;
mod multicall;
mod order;
mod plan;
mod predecessors;
mod price;
mod properties;
pub(crate) mod random;
mod salts;
pub(crate) mod script;
mod transitions;
