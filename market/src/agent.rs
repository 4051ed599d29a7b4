//! What a party does about the market: sans-I/O, deterministic, used by node and simulator alike.
//!
//! [`Agent::handle`] takes one input and the time and returns the effects that it asks for; whoever owns the agent stores what
//! changed, performs the effects and hands their outcomes back as inputs. The agent is level-triggered: what it wants follows
//! from a job's state on the market ([`JobView`], a fold of its events) and from what was found out locally ([`Work`],
//! [`Order`]), so a crash, a lost answer or a reorganisation leads back to the same place.
//!
//! A party plays roles: provider, bidder, client, caretaker. Each is a state machine of its own that looks at one job at a time, with the
//! same context. The agent follows the head of the chain; what a reorganisation must not undo (letting go of inputs, stopping
//! after a slash) waits until the block is final.

mod auction_view;
mod bidder;
mod caretaker;
mod client;
mod collecting;
mod context;
mod costly;
mod effect;
mod failure;
mod filecoin_pay;
mod input;
mod job;
mod machine;
mod offer;
mod pace;
mod pricing;
mod provider;
mod purse;
mod ramp;
mod resources;
mod specs;
mod step;
mod view;
mod wakes;

pub use auction_view::{AuctionEnd, AuctionView};
pub use bidder::{AuctionSubmission, Auctioneer, Bid, Phase, Seal, gas_cost};
pub use caretaker::LookAfter;
pub use collecting::{Collecting, Gain, Occurrence, RailBook, Standing};
pub use costly::CostlyClients;
pub use effect::{Effect, EffectKey, Submission};
pub use failure::{Fact, Failure, OwnFault};
pub use filecoin_pay::{BadRate, OrderView, PayVenue, PriceState, Rate, Taken};
pub use input::{Change, Commitments, Input, Request};
pub use job::{Decision, Job, Order, Work};
pub use machine::{Agent, MAX_CONSIDERED};
pub use offer::{Offer, Refusal};
pub use pace::Pace;
pub use pricing::{Pricing, Usage};
pub use purse::{BidMoney, Filling, PurseRecord};
pub use ramp::{Asks, Ramp, Wish};
pub use resources::Resources;
pub use specs::Specs;
pub use step::{RunReport, Step, StepKey, StepOutcome, StepState, Subject, UnknownSubject};
pub use view::{At, JobView};

#[cfg(test)]
mod tests;
