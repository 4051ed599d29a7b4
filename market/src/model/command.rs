//! What a party may ask of the market.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use super::{JobResult, Lane, Receipt, Terms, Verdict};
use crate::{money::AttoFil, time::Time};

/// A command: one for each state-changing function of `ILotaMarket`, where its checks and effects are specified.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Credit the value sent to `account`.
    Deposit { account: Address },
    /// Take `amount` of the token from the sender, who approved it, and credit it to `account`.
    DepositToken { account: Address, amount: AttoFil },
    /// The same, with the sender's permit; one that fails is ignored.
    DepositTokenWithPermit { account: Address, amount: AttoFil, permit: Permit },
    /// Take `amount` of the token from `from`, who signed an authorization to the market, and credit it to `from`.
    DepositTokenWithAuthorization { from: Address, amount: AttoFil, authorization: Authorization },
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
    /// Make the sender's salts in `lane` with numbers below `up_to` unusable.
    Revoke { lane: Lane, up_to: u64 },
    /// Lock an open job at the ramp's price.
    Lock { terms: Terms },
    /// Award an open job (matcher).
    Award { terms: Terms, provider: Address, price: AttoFil },
    /// Cancel an open job (client, or matcher where there is one).
    Cancel { terms: Terms },
    /// End an open or locked job whose deadline has passed.
    Expire { terms: Terms },
    /// End a locked job as if its window had passed (provider).
    GiveUp { terms: Terms },
    /// Submit the result (provider); without an arbiter it is settled at once.
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
    /// Whether the market takes this while it calls a client back.
    pub(crate) const fn may_come_from_a_callback(&self) -> bool {
        matches!(
            self,
            Self::Open { .. }
                | Self::Deposit { .. }
                | Self::DepositToken { .. }
                | Self::DepositTokenWithPermit { .. }
                | Self::DepositTokenWithAuthorization { .. }
        )
    }

    /// Whether value may be sent along.
    #[must_use]
    pub const fn is_payable(&self) -> bool {
        matches!(self, Self::Deposit { .. } | Self::Open { .. })
    }
}

/// One entry of [`Command::SettleBatch`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BatchEntry {
    /// The client's terms, with neither callback nor record.
    pub terms: Terms,
    /// What the client accepted.
    pub receipt: Receipt,
    /// Until when the acceptance may be used.
    pub until: Time,
    /// The client's signature over `Acceptance(bytes32 jobId,Receipt receipt,uint64 until)`.
    pub signature: Bytes,
}

/// An ERC-2612 permit: its owner lets the market take the amount of the deposit that it comes with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Permit {
    /// Until when it may be used (Unix seconds).
    pub deadline: U256,
    pub v: u8,
    pub r: B256,
    pub s: B256,
}

/// An ERC-3009 authorization: its signer lets the market take the amount of the deposit that it comes with, once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Authorization {
    /// After when it may be used (Unix seconds).
    pub valid_after: U256,
    /// Before when it may be used (Unix seconds).
    pub valid_before: U256,
    /// Used once per signer.
    pub nonce: B256,
    pub v: u8,
    pub r: B256,
    pub s: B256,
}
