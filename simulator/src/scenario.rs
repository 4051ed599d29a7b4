//! Scenarios: what a simulation is about, as a TOML file says it.

mod amount;
mod builtin;
mod check;
mod problem;
mod read;
mod settings;
mod sweep;

pub use amount::Amount;
pub use builtin::{Builtin, builtin, builtins};
pub use problem::ScenarioError;
pub use read::{Document, MAX_SCENARIO, Override};
pub use settings::{
    AuctionSettings, ChainSettings, ClientKind, Clients, JobSettings, Mediation, ProviderKind, Providers, Scenario,
};
pub use sweep::{Sweep, points};
