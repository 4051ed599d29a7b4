//! What is said of nominations, granters and notaries.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde::{Deserialize, Serialize};

use super::RATE_UNIT;
use crate::{AttoFil, Time, filecoin_address::FilecoinAddress, model::JobId};

/// What is fixed at the deployment: `IBlessing.Settings`. Periods are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Settings {
    /// What a nomination costs until it is blessed; burned when it is refused.
    pub deposit: AttoFil,
    /// How long a nomination is voted on.
    pub vote_for: u32,
    /// How long a blessing may be revoked.
    pub revoke_for: u32,
    /// How long a grant may be tried after that; longer than `limit_period`.
    pub grant_for: u32,
    /// The period of the limits.
    pub limit_period: u32,
    /// Gas that a granter is given at least, in the chain's own.
    pub granter_gas: u32,
}

/// The most that a granter may grant, in its own unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limits {
    pub per_job: U256,
    /// In a period.
    pub per_provider: U256,
    /// In a period, altogether.
    pub per_period: U256,
}

/// What a provider has said of itself for a granter.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Registration {
    /// To whom is granted; empty: not registered.
    pub recipient: Bytes,
    /// The client's share: attoFIL for 10^18 of the granter's unit; below 2^128.
    pub share_rate: U256,
    /// The most that one job costs the provider.
    pub max_share: AttoFil,
}

/// What a nominator asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Request {
    pub granter: Address,
    /// In the granter's unit.
    pub amount: U256,
    /// Commitment to the piece.
    pub piece: B256,
    /// Its padded size in bytes.
    pub piece_size: u64,
    /// What the nominator adds to the client's share.
    pub bounty: AttoFil,
    /// The least share for the client: the provider may change what it registered at any time.
    pub min_share: AttoFil,
}

/// What notaries vote on, and sign. The contract stores its EIP-712 struct hash, the twin all of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Nomination {
    pub job: JobId,
    /// Which nomination of the job it is, from 1.
    pub round: u32,
    pub client: Address,
    pub provider: Address,
    pub matcher: Address,
    pub arbiter: Address,
    pub nominator: Address,
    pub granter: Address,
    pub recipient: Bytes,
    pub amount: U256,
    pub piece: B256,
    pub piece_size: u64,
    /// What the provider pays the client when the job is granted.
    pub share: AttoFil,
    pub bounty: AttoFil,
    /// Until when it is voted on.
    pub expires: Time,
}

/// What a granter is asked for: `IGranter.Grant`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Grant {
    pub job: JobId,
    pub round: u32,
    pub provider: Address,
    pub recipient: Bytes,
    pub amount: U256,
    pub piece: B256,
    pub piece_size: u64,
    /// Digest of the reasons of the vote that blessed it.
    pub reasons: B256,
}

/// What a notary decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    Approve,
    Reject,
    Revoke,
}

/// The life of a nomination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// There is none, or it ended without a grant.
    None,
    Nominated,
    Blessed,
    Granted,
}

/// How a nomination ended without a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// By the notaries.
    Refused,
    /// Not decided in time.
    Expired,
    /// Blessed, and revoked.
    Revoked,
    /// Blessed, and not granted in time.
    Lapsed,
}

/// What is wrong with a deployment, in the order in which it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentFault {
    /// There is no market, or another than this was made for.
    #[error("there is no market at that address whose jobs could be blessed here")]
    Market,
    /// A period is 0 or above [`super::MAX_PERIOD`], or `grant_for` is not longer than `limit_period`.
    #[error(
        "a period is zero or longer than 365 days, or the time to grant is not longer than the period of the limits, in which \
         case a job that a limit keeps waiting could never be granted"
    )]
    Period,
    /// It is zero.
    #[error("the granter is promised no gas")]
    GranterGas,
}

/// What is wrong with a set of notaries, in the order in which it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum NotariesFault {
    /// None, or more than [`super::MAX_NOTARIES`].
    #[error("there must be from 1 to 32 notaries")]
    Count,
    /// 0, or more than there are notaries.
    #[error("the quorum must be from 1 to the number of notaries")]
    Quorum,
    /// The zero address, or a masked id.
    #[error("the zero address and masked ids (0xff00…) cannot be notaries")]
    Invalid,
    /// One is there twice.
    #[error("a notary is named twice")]
    Repeated,
}

/// One of [`Limits`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    PerJob,
    PerProvider,
    PerPeriod,
}

/// Lists of variants in the order of the contract's numbers.
macro_rules! numbered {
    ($kind:ident: $($variant:ident),+) => {
        impl $kind {
            /// All variants, in the order of their numbers in the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The one with a number in the contract.
            #[must_use]
            pub fn from_number(number: u8) -> Option<Self> {
                Self::ALL.get(usize::from(number)).copied()
            }

            /// Its number in the contract.
            #[must_use]
            pub const fn number(self) -> u8 {
                self as u8
            }
        }
    };
}

numbered!(Choice: Approve, Reject, Revoke);
numbered!(Phase: None, Nominated, Blessed, Granted);
numbered!(End: Refused, Expired, Revoked, Lapsed);
numbered!(DeploymentFault: Market, Period, GranterGas);
numbered!(NotariesFault: Count, Quorum, Invalid, Repeated);
numbered!(Limit: PerJob, PerProvider, PerPeriod);

impl Settings {
    /// What is wrong with them, apart from the market.
    #[must_use]
    pub fn fault(&self) -> Option<DeploymentFault> {
        let periods = [self.vote_for, self.revoke_for, self.grant_for, self.limit_period];
        let is_amiss = periods.into_iter().any(|period| period == 0 || period > super::MAX_PERIOD);
        // What goes beyond a limit waits for the next period: that must begin before the time to grant is over.
        if is_amiss || self.grant_for <= self.limit_period {
            Some(DeploymentFault::Period)
        } else {
            (self.granter_gas == 0).then_some(DeploymentFault::GranterGas)
        }
    }
}

impl Registration {
    /// What the provider pays the client for a grant of `amount`, which is below 2^128.
    #[must_use]
    pub fn share(&self, amount: U256) -> AttoFil {
        let share = self.share_rate.saturating_mul(amount) / U256::from(RATE_UNIT);
        // What is above the most need not be counted.
        u128::try_from(share).map_or(self.max_share, |share| self.max_share.min(AttoFil(share)))
    }
}

impl Nomination {
    /// Whether somebody has an interest in it that can be seen: a recipient may be an EVM address, or Filecoin's name of one.
    #[must_use]
    pub fn is_party(&self, account: Address) -> bool {
        let parties = [self.client, self.provider, self.matcher, self.arbiter, self.nominator];
        let recipient = FilecoinAddress::read(&self.recipient).and_then(|recipient| recipient.evm());
        parties.contains(&account) || recipient == Some(account)
    }

    /// What goes into escrow besides the deposit.
    #[must_use]
    pub const fn to_client(&self) -> AttoFil {
        // Both were somebody's: their sum is not more than there is.
        AttoFil(self.share.0.saturating_add(self.bounty.0))
    }

    /// What a granter is asked for when it is blessed with these reasons.
    #[must_use]
    pub fn grant(&self, reasons: B256) -> Grant {
        Grant {
            job: self.job,
            round: self.round,
            provider: self.provider,
            recipient: self.recipient.clone(),
            amount: self.amount,
            piece: self.piece,
            piece_size: self.piece_size,
            reasons,
        }
    }
}
