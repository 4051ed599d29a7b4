//! What a notary's service does between the market and a notary's decision: it follows settled jobs, and gathers what a notary should
//! know of each; what was done is written into a log that nobody can change unseen, and signed for third parties.

pub mod alerts;
pub mod attestation;
pub mod audit_file;
pub mod audit_log;
pub mod availability;
pub mod ballot;
pub mod course;
pub mod desk;
pub mod elsewhere;
pub mod gather;
pub mod history;
pub mod http;
pub mod other_notary;
pub mod outgoing;
pub mod payments;
pub mod review;
pub mod service;
mod space;
pub mod store;
#[cfg(test)]
mod testing;
pub mod verifying;
