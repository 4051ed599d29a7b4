//! A discrete-event simulator of the market: a virtual clock, the contracts as [`lota_market::world`] has them, the same agents as
//! in the node, and whoever cheats.
//!
//! A [`Scenario`] names populations of clients and providers, and what they are like. [`simulate`] runs one of it from a seed:
//! everything that happens follows from scenario and seed, bit for bit, and [`run_all`] does many at once on several threads. What an agent
//! wants done ([`lota_market::agent::Effect`]), the simulator does: commands arrive after a latency, programs take as long as the scenario
//! says, results are digests. A [strategy](strategy) is what somebody does otherwise.
//!
//! ```
//! use lota_simulator::{Document, Seed, simulate};
//! let scenario = Document::parse("tiny.toml", r#"
//!     clients.one = { count = 1, balance = 10, jobs = 3 }
//!     providers.one = { count = 1, balance = 10, cost = 0.1 }
//! "#)?;
//! let outcome = simulate(scenario.scenario(), Seed(1), &mut ())?;
//! assert_eq!(outcome.summary.settled, 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod analysis;
pub mod chain;
pub mod chance;
pub mod distribution;
pub mod experiments;
mod identity;
pub mod ledger;
pub mod program;
pub mod queue;
pub mod runs;
pub mod scenario;
pub mod search;
pub mod simulation;
pub mod state;
pub mod strategy;
pub mod summary;
pub mod table;

pub use chance::Seed;
pub use runs::{Plan, Run, run_all};
pub use scenario::{Document, Override, Scenario, ScenarioError, Sweep, builtin, builtins};
pub use simulation::{Outcome, SimulationError, simulate};
