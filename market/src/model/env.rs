//! What the market is told from outside.

use alloy_primitives::{Address, B256, Bytes};

use super::{JobId, Receipt, Terms};
use crate::time::Time;

/// What a market asks while it executes a command and cannot decide itself. The [world](crate::world) answers for its
/// [`Env`](crate::world::Env).
pub(crate) trait Env {
    /// The market's own address.
    fn here(&self) -> Address;
    fn now(&self) -> Time;
    fn job_id(&self, terms: &Terms) -> JobId;
    fn spec_digest(&self, spec: &Bytes) -> B256;
    fn foreign_chain(&self) -> Option<u64>;
    fn signature_valid(&self, client: Address, what: &Signed<'_>, signature: &Bytes) -> bool;
}

/// What a client's signature is over (EIP-712).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed<'a> {
    /// The terms of a job, by their id, which is their digest.
    Terms(JobId),
    /// `Acceptance(bytes32 jobId,Receipt receipt,uint64 until)`.
    Acceptance(JobId, &'a Receipt, Time),
}
