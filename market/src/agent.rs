//! What a party does about the market: sans-I/O, deterministic, used by node and simulator alike.
//!
//! [`Agent::handle`] takes one input and the time and returns the effects that it asks for; whoever owns the agent (the
//! shell) stores what changed, performs the effects and hands their outcomes back as inputs. The agent is level-triggered:
//! what it wants follows from a job's state on the market ([`JobView`], a fold of its events) and from what was found out
//! locally ([`Work`], [`Order`]), so a crash, a lost answer or a reorganisation leads back to the same place.

mod brain;
mod client;
mod effect;
mod job;
mod offer;
mod provider;
mod ramp;
mod resources;
mod step;
mod view;
mod wakes;
mod ward;

pub use brain::{Agent, Change, Commitments, Input, MAX_CONSIDERED, Request};
pub use effect::{Effect, EffectKey};
pub use job::{Decision, Job, Order, Work};
pub use offer::{Offer, Pricing, Refusal};
pub use ramp::{Asks, Ramp, Wish};
pub use resources::Resources;
pub use step::{Failure, Outcome, RunReport, Step, StepState};
pub use view::JobView;
pub use ward::Wards;

#[cfg(test)]
mod tests;
