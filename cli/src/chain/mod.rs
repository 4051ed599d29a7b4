//! Markets on chains: how a chain's node is reached, what is deployed there, and a chain of one's own.

mod anvil;
mod ask;
mod ballot;
mod blessing;
mod code;
mod deploy;
mod development;
mod endpoint;
mod market;
mod mining;
mod network;
mod pay_deals;
mod pay_settings;
mod rail_granter;
mod reading;

pub(crate) use ask::{Asker, Habits};
pub(crate) use ballot::{Change, SignedBallot};
pub(crate) use blessing::{ChainBlessing, default_blessing_settings, deploy_blessing, deploy_granter, left};
pub(crate) use deploy::{Deployed, DeployedAuction, DeployedContract, deploy, deploy_auction};
pub(crate) use development::{
    BONUS, BlessingPlan, DevelopmentBlessing, DevelopmentChain, GranterKind, PaidIn, REVOKE_FOR, USUAL_PORT,
};
pub(crate) use endpoint::{ChainError, Endpoint};
pub(crate) use market::ChainMarket;
pub(crate) use network::{
    default_callback_gas, default_quantum, default_reveal_period, default_settings, known_filecoin_pay, parse_network,
};
pub(crate) use pay_deals::{
    ChainPayDeals, FollowedOrder, OrderState, RailState, ReadSoFar, check_filecoin_pay, default_pay_callback_gas,
    deploy_pay_deals, show as show_amount,
};
pub(crate) use pay_settings::{PayFault, epoch_seconds};
pub(crate) use rail_granter::{ChainRailGranter, GranterRail};
