//! Markets on chains: how a chain's node is reached, what is deployed there, and a chain of one's own.

mod anvil;
mod ask;
mod code;
mod deploy;
mod development;
mod endpoint;
mod market;
mod mining;
mod network;

pub(crate) use ask::{Asker, Habits};
pub(crate) use deploy::{Deployed, DeployedAuction, deploy, deploy_auction};
pub(crate) use development::{BONUS, DevelopmentBlessing, DevelopmentChain, PaidIn, USUAL_PORT};
pub(crate) use endpoint::{ChainError, Endpoint};
pub(crate) use market::ChainMarket;
pub(crate) use network::{
    default_callback_gas, default_quantum, default_reveal_period, default_settings, parse_network,
};
