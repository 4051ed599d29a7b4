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
    Deposit { account: Address },
    /// Pay out `amount` of the sender's free balance to `to`.
    Withdraw { to: Address, amount: AttoFil },
    /// Open a job; the value sent is credited to the client first.
    Open { terms: Terms, spec: Bytes },
    /// Open a job for a client who signed its terms.
    OpenSigned {
        terms: Terms,
        spec: Bytes,
        /// The client's signature over the terms.
        signature: Bytes,
    },
    /// Open a job for a client who signed its terms, and lock it for the sender.
    OpenSignedAndLock {
        terms: Terms,
        spec: Bytes,
        /// The client's signature over the terms.
        signature: Bytes,
    },
    /// Make salts of the sender unusable.
    Revoke { salts: Vec<U256> },
    /// Lock an open job at the ramp's price.
    Lock { terms: Terms },
    /// Award an open job (matcher).
    Award { terms: Terms, provider: Address, price: AttoFil },
    /// Cancel an open job (client, or matcher where there is one).
    Cancel { terms: Terms },
    /// End an open or locked job whose deadline has passed.
    Expire { terms: Terms },
    /// Submit the result (provider).
    SubmitResult { terms: Terms, result: JobResult },
    /// Accept the result (client).
    Accept { terms: Terms, receipt: Receipt },
    /// Settle a result that nobody disputed in time.
    Settle { terms: Terms, receipt: Receipt },
    /// Dispute the result (arbiter).
    Dispute { terms: Terms },
    /// Rule on a disputed result (arbiter).
    Rule { terms: Terms, receipt: Receipt, verdict: Verdict },
    /// End a dispute that was not ruled on in time.
    Lapse { terms: Terms, receipt: Receipt },
    /// Try a failed callback again.
    RetryCallback { terms: Terms, receipt: Receipt },
    /// Settle deals that were never opened, by the clients' signatures.
    SettleBatch { entries: Vec<BatchEntry> },
    /// Several commands at once, all or nothing. No value goes with it or with any of them.
    Multicall { calls: Vec<Command> },
    /// Emit the bytes of a spec.
    PublishSpec { spec: Bytes },
    /// Say where the sender serves content.
    Announce { url: String },
}

impl Command {
    /// Whether value may be sent along.
    #[must_use]
    pub const fn is_payable(&self) -> bool {
        matches!(self, Self::Deposit { .. } | Self::Open { .. })
    }
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
