//! What a notary should know of a job before blessing it: each question that one would ask, what was found, and the evidence.
//!
//! Pure: [`Facts`] that somebody gathered go in, [`Check`]s come out. Who deals with whom is known from the market's events alone, so
//! that anybody can come to the same numbers; what those events cannot show (plain transfers, one person behind two keys) is not claimed.

mod check;
mod checks;
mod facts;
mod flows;
mod max_flow;
mod policy;

pub use check::{Check, Evidence, Outcome, Question, Risk};
pub use checks::checks;
pub use facts::{Blessed, EarlierJob, Facts, InputEvidence, Pair, PartyHistory, ReExecution, Retrieval, SettledJob};
pub use flows::{Flows, MAX_STEPS, Way};
pub use max_flow::Total;
pub use policy::{Policy, PolicyError, Share};
