//! What may be asked of a blessing.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use super::{Choice, Limits, Nomination, Request};
use crate::{
    AttoFil, Time,
    model::{Receipt, Terms},
};

/// A command: one for each state-changing function of `IBlessing`, where its checks and effects are specified.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Credit the value sent to the sender's account.
    Fund,
    /// Take `amount` of the token from the sender, who approved it, and credit it to the sender's account.
    FundToken { amount: AttoFil },
    /// Pay out `amount` of the sender's account to `to`.
    Withdraw { to: Address, amount: AttoFil },
    /// Set money aside for clients' shares.
    SetAside { amount: AttoFil },
    /// Take back what was set aside.
    TakeBack { amount: AttoFil },
    /// Register the sender for a granter.
    Register { granter: Address, recipient: Bytes, share_rate: U256, max_share: AttoFil },
    /// Replace the notaries and their quorum.
    SetNotaries { notaries: Vec<Address>, quorum: u32, until: Time, ballots: Vec<Ballot> },
    /// Admit a granter, change its limits, or send it away.
    SetGranter { granter: Address, limits: Limits, until: Time, ballots: Vec<Ballot> },
    /// Nominate a settled job.
    Nominate { terms: Box<Terms>, receipt: Box<Receipt>, request: Request },
    /// The sender's vote.
    Vote { nomination: Box<Nomination>, choice: Choice, reasons: B256 },
    /// A vote that `notary` signed.
    VoteSigned { nomination: Box<Nomination>, choice: Choice, reasons: B256, notary: Address, signature: Bytes },
    /// Have the granter grant.
    Grant { nomination: Box<Nomination> },
    /// End what was not decided, or not granted, in time.
    Expire { nomination: Box<Nomination> },
    /// Forget what was granted in periods that are over.
    Sweep { granter: Address, providers: Vec<Address> },
}

/// A notary's ballot on a change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ballot {
    pub notary: Address,
    /// May be empty when the notary is the sender.
    pub signature: Bytes,
}

/// What a notary's signature is over (EIP-712).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed<'a> {
    /// `Approval`, `Rejection` or `Revocation` (Nomination nomination,bytes32 reasons,uint32 version).
    Vote { nomination: &'a Nomination, choice: Choice, reasons: B256, version: u32 },
    /// `SetNotaries(address[] notaries,uint32 quorum,uint64 decision,uint64 until)`.
    Notaries { notaries: &'a [Address], quorum: u32, decision: u64, until: Time },
    /// `SetGranter(address granter,uint128 perJob,uint128 perProvider,uint128 perPeriod,uint64 decision,uint64 until)`.
    Granter { granter: Address, limits: &'a Limits, decision: u64, until: Time },
}

impl Command {
    /// Whether value may be sent along.
    #[must_use]
    pub const fn is_payable(&self) -> bool {
        matches!(self, Self::Fund)
    }

    /// The nomination that it is about.
    #[must_use]
    pub fn nomination(&self) -> Option<&Nomination> {
        match self {
            Self::Vote { nomination, .. }
            | Self::VoteSigned { nomination, .. }
            | Self::Grant { nomination }
            | Self::Expire { nomination } => Some(nomination),
            _ => None,
        }
    }
}
