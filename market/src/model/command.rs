//! What a party may ask of the market.

use alloy_primitives::{Address, Bytes, U256};
use serde::{Deserialize, Serialize};

use super::{JobResult, Receipt, Terms, Verdict};
use crate::money::AttoFil;

/// A command: one for each state-changing function of `ILotaMarket`, where its checks and effects are specified.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Credit the value sent to `account`.
    Deposit {
        /** Who is credited. */
        account: Address,
    },
    /// Pay out `amount` of the sender's free balance to `to`.
    Withdraw {
        /** Who receives. */
        to: Address,
        /** How much. */
        amount: AttoFil,
    },
    /// Open a job; the value sent is credited to the client first.
    Open {
        /** The job's terms. */
        terms: Terms,
        /** The spec's bytes, or none. */
        spec: Bytes,
    },
    /// Open a job for a client who signed its terms.
    OpenSigned {
        /// The job's terms.
        terms: Terms,
        /// The spec's bytes, or none.
        spec: Bytes,
        /// The client's signature over the terms.
        signature: Bytes,
    },
    /// Open a job for a client who signed its terms, and lock it for the sender.
    OpenSignedAndLock {
        /// The job's terms.
        terms: Terms,
        /// The spec's bytes, or none.
        spec: Bytes,
        /// The client's signature over the terms.
        signature: Bytes,
    },
    /// Make salts of the sender unusable.
    Revoke {
        /** The salts. */
        salts: Vec<U256>,
    },
    /// Lock an open job at the ramp's price.
    Lock {
        /** The job's terms. */
        terms: Terms,
    },
    /// Award an open job (matcher).
    Award {
        /** The job's terms. */
        terms: Terms,
        /** Who gets it. */
        provider: Address,
        /** At what price. */
        price: AttoFil,
    },
    /// Cancel an open job (client, or matcher where there is one).
    Cancel {
        /** The job's terms. */
        terms: Terms,
    },
    /// End an open or locked job whose deadline has passed.
    Expire {
        /** The job's terms. */
        terms: Terms,
    },
    /// Submit the result (provider).
    SubmitResult {
        /** The job's terms. */
        terms: Terms,
        /** What it came to. */
        result: JobResult,
    },
    /// Accept the result (client).
    Accept {
        /** The job's terms. */
        terms: Terms,
        /** What was submitted. */
        receipt: Receipt,
    },
    /// Settle a result that nobody disputed in time.
    Settle {
        /** The job's terms. */
        terms: Terms,
        /** What was submitted. */
        receipt: Receipt,
    },
    /// Dispute the result (arbiter).
    Dispute {
        /** The job's terms. */
        terms: Terms,
    },
    /// Rule on a disputed result (arbiter).
    Rule {
        /** The job's terms. */
        terms: Terms,
        /** What was submitted. */
        receipt: Receipt,
        /** The ruling. */
        verdict: Verdict,
    },
    /// End a dispute that was not ruled on in time.
    Lapse {
        /** The job's terms. */
        terms: Terms,
        /** What was submitted. */
        receipt: Receipt,
    },
    /// Try a failed callback again.
    RetryCallback {
        /** The job's terms. */
        terms: Terms,
        /** What was submitted. */
        receipt: Receipt,
    },
    /// Settle deals that were never opened, by the clients' signatures.
    SettleBatch {
        /** The deals. */
        entries: Vec<BatchEntry>,
    },
    /// Several commands at once, all or nothing. No value; neither `Open` with value nor `Deposit` moves money in it.
    Multicall {
        /** The commands. */
        calls: Vec<Command>,
    },
    /// Emit the bytes of a spec.
    PublishSpec {
        /** The bytes. */
        spec: Bytes,
    },
    /// Say where the sender serves content.
    Announce {
        /** The URL. */
        url: String,
    },
}

/// One entry of [`Command::SettleBatch`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BatchEntry {
    /// The client's terms, without callback.
    pub terms: Terms,
    /// What the client accepted.
    pub receipt: Receipt,
    /// The client's signature over `Acceptance(bytes32 jobId,Receipt receipt)`.
    pub signature: Bytes,
}
