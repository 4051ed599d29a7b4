//! What the market is told from outside.

use alloy_primitives::{Address, B256, Bytes};

use super::{JobId, JobResult, Reason, Receipt, Terms};
use crate::{money::AttoFil, time::Time};

/// The environment of one command: everything that the model does not decide itself. On a chain it is the chain; in the
/// memory transport hashes and signatures are real; in the simulator and in tests they are scripted.
pub trait Env {
    /// The block's timestamp.
    fn now(&self) -> Time;
    /// The value sent along with the command.
    fn value(&self) -> AttoFil;
    /// The EIP-712 digest of terms in this market's domain.
    fn job_id(&self, terms: &Terms) -> JobId;
    /// sha2-256 of a spec's bytes.
    fn spec_digest(&self, spec: &Bytes) -> B256;
    /// The chain id when it is *not* the one the market was deployed on (signatures fail then); `None` when it is.
    fn foreign_chain(&self) -> Option<u64> {
        None
    }
    /// Whether `signature` is `client`'s over `what` (ECDSA first, then ERC-1271).
    fn signature_valid(&self, client: Address, what: &Signed<'_>, signature: &Bytes) -> bool;
    /// Whether `to` takes money that is paid out.
    fn payout_accepted(&mut self, to: Address, amount: AttoFil) -> bool;
    /// Whether the client's callback succeeds: `Ok` carries the result of a settled job, `Err` the reason of another end.
    fn callback_succeeds(&mut self, client: Address, job: JobId, gas: u32, outcome: Result<&JobResult, Reason>)
    -> bool;
}

/// What a client's signature is over (EIP-712).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed<'a> {
    /// The terms of a job, by their id, which is their digest.
    Terms(JobId),
    /// `Acceptance(bytes32 jobId,Receipt receipt)`.
    Acceptance(JobId, &'a Receipt),
}
