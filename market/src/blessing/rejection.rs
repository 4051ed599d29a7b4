//! Why a blessing refuses a command.

use alloy_primitives::{Address, B256, FixedBytes, U256};
use serde::{Deserialize, Serialize};

use super::{Limit, NotariesFault, Phase};
use crate::{
    AttoFil,
    asset::Asset,
    model::{self, JobId, Status},
};

/// A refusal: one for each error of `IBlessing`, with the same fields, and those of `ILotaMarket`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// Nobody can have such notaries.
    #[error("these notaries cannot be: {0}")]
    BadNotaries(NotariesFault),
    /// Not in order, or not for a contract.
    #[error("the limits of {0} are not in order (job <= provider <= period), or no contract is there")]
    BadLimits(Address),
    /// The terms do not ask for `keep_record`.
    #[error(
        "job {0} was opened without keepRecord, so the market cannot tell how it ended; open jobs with it to have them blessed"
    )]
    NotKept(JobId),
    /// The deal is not settled.
    #[error("job {job} is {found:?} at the market; only settled jobs can be nominated")]
    NotSettled { job: JobId, found: Status },
    /// Once is enough.
    #[error("job {0} was granted before")]
    AlreadyGranted(JobId),
    /// One nomination at a time.
    #[error("round {round} of job {job} is not over; nominate it again after that")]
    AlreadyNominated { job: JobId, round: u32 },
    /// Not the one that runs.
    #[error("no such nomination of job {0} runs: it has ended, or its fields are others")]
    UnknownNomination(JobId),
    /// Not now.
    #[error("the nomination of job {job} is {found:?}, which does not allow this")]
    WrongPhase { job: JobId, found: Phase },
    /// Not a notary now.
    #[error("{0} is not a notary")]
    NotNotary(Address),
    /// The notary is a party.
    #[error("{notary} is a party of job {job} and may not vote on it")]
    ConflictOfInterest { job: JobId, notary: Address },
    /// One vote for each notary.
    #[error("{notary} has voted on job {job}")]
    AlreadyVoted { job: JobId, notary: Address },
    /// The granter was not admitted.
    #[error("the notaries have not admitted the granter {0}")]
    UnknownGranter(Address),
    /// There is no recipient.
    #[error("{provider} has registered no recipient for the granter {granter}")]
    NotRegistered { provider: Address, granter: Address },
    /// Less than the nominator asked for.
    #[error(
        "the client's share would be {share} by what the provider has registered now, and at least {min_share} was asked for"
    )]
    ShareTooSmall { share: AttoFil, min_share: AttoFil },
    /// More than [`super::MAX_RECIPIENT`] bytes.
    #[error("the recipient has {0} bytes; at most {max} are allowed", max = super::MAX_RECIPIENT)]
    RecipientTooLong(u64),
    /// Zero, or of an impossible size.
    #[error("a piece {piece} of {size} bytes cannot be: its padded size must be a power of two of at least 128")]
    BadPiece { piece: B256, size: u64 },
    /// Zero, or more than a limit leaves.
    #[error("{amount} of {granter} cannot be granted: the limit {limit:?} leaves {left} now")]
    OverLimit { granter: Address, limit: Limit, amount: U256, left: U256 },
    /// Two ballots are one notary's.
    #[error("two ballots are {0}'s")]
    RepeatedBallot(Address),
    /// Too few ballots.
    #[error("{ballots} ballots are fewer than the quorum of {quorum}")]
    QuorumNotReached { ballots: u64, quorum: u32 },
    /// Not enough set aside.
    #[error("{provider} has set {pool} aside, and {needed} are needed for the client's share")]
    InsufficientPool { provider: Address, pool: AttoFil, needed: AttoFil },
    /// The granter could not grant it.
    #[error("the granter {granter} could not grant this (error {why})")]
    GrantRefused { granter: Address, why: FixedBytes<4> },
    /// An error of `ILotaMarket`.
    #[error(transparent)]
    Market(model::Rejection),
}

impl Rejection {
    /// The same in words, with amounts as the market's asset has them.
    #[must_use]
    pub fn words(&self, asset: &Asset) -> String {
        match self {
            Self::Market(rejection) => rejection.words(asset),
            other => other.to_string(),
        }
    }
}

impl From<model::Rejection> for Rejection {
    fn from(rejection: model::Rejection) -> Self {
        Self::Market(rejection)
    }
}
