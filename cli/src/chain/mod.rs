//! Markets on chains: how a chain's node is reached, what is deployed there, and a chain of one's own.

mod anvil;
mod code;
mod deploy;
mod development;
mod endpoint;
mod market;
mod network;

pub(crate) use deploy::deploy;
pub(crate) use development::DevelopmentChain;
pub(crate) use endpoint::{ChainError, Endpoint};
pub(crate) use market::ChainMarket;
pub(crate) use network::{default_settings, parse_network};
