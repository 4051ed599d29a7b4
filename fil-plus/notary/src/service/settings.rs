//! What a service is told.

use std::{collections::BTreeMap, time::Duration};

use lota_market::{Address, AttoFil, U256};

use crate::review::{Policy, PolicyError, Risk};

/// What a granter is called, and what its amounts are in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GranterName {
    pub name: String,
    /// `bytes`, or an asset's symbol.
    pub unit: String,
    /// So many decimals an amount of it has, in `unit`.
    pub decimals: u8,
}

/// How much is asked for, in the granter's unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    Fixed(U256),
    /// For each byte of the padded piece.
    PerByte(U256),
}

impl Amount {
    /// For a piece of this size.
    #[must_use]
    pub fn of(self, piece_size: u64) -> U256 {
        match self {
            Self::Fixed(amount) => amount,
            Self::PerByte(amount) => amount.saturating_mul(U256::from(piece_size)),
        }
    }
}

/// Which jobs the service nominates by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NominationPolicy {
    pub granter: Address,
    pub amount: Amount,
    /// What it adds to the client's share.
    pub bounty: AttoFil,
    /// At most with this risk.
    pub most_risk: Risk,
    /// At most so many in 24 hours.
    pub per_day: u64,
}

/// What a service's databases grow to, if nobody says otherwise, in bytes: enough for some million jobs.
pub const MAX_SIZE: u64 = 8 << 30;
/// With less there is no room for what comes at once, nor for what notaries do.
const MIN_SIZE: u64 = if cfg!(test) { 16 << 20 } else { 64 << 20 };

/// What a service is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub granters: BTreeMap<Address, GranterName>,
    /// `None`: it nominates nothing by itself.
    pub nominate: Option<NominationPolicy>,
    /// From where on a fact worries.
    pub review: Policy,
    /// See [`crate::desk::About::two_approvals_from`].
    pub two_approvals_from: Option<U256>,
    /// The same of some granters, each in its own unit.
    pub two_approvals_of: BTreeMap<Address, U256>,
    /// Where browsers reach the page, without a slash at its end: alerts name a job's there.
    pub page: Option<String>,
    /// So many seconds a payment that is due waits for others of the same granter, which then go out in one transaction.
    pub pay_after: u64,
    /// Of so many jobs something is gathered at once.
    pub gather_at_once: usize,
    /// After such a time it looks for what is due, if nothing wakes it.
    pub tick: Duration,
    /// So often another notary is asked for its answers.
    pub ask_every: Duration,
    /// The bytes that both databases together grow to.
    pub max_size: u64,
    pub chain_patience: ChainPatience,
}

/// How long the chain's node may take for what somebody who waits at a page asks of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainPatience {
    /// For what is on each page, and is known as it was before.
    pub page: Duration,
    /// For each question that must be answered now, like whether a vote would be taken.
    pub decision: Duration,
}

impl Default for ChainPatience {
    fn default() -> Self {
        Self { page: Duration::from_secs(3), decision: Duration::from_secs(8) }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            granters: BTreeMap::new(),
            nominate: None,
            review: Policy::default(),
            two_approvals_from: None,
            two_approvals_of: BTreeMap::new(),
            page: None,
            pay_after: 300,
            gather_at_once: 4,
            tick: Duration::from_secs(5),
            ask_every: Duration::from_secs(60),
            max_size: MAX_SIZE,
            chain_patience: ChainPatience::default(),
        }
    }
}

/// What makes no sense in settings.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error(transparent)]
    Policy(#[from] PolicyError),
    #[error("the amount of a nomination is 0; nominate nothing instead, or name an amount")]
    NoAmount,
    #[error("of {0} jobs something is to be gathered at once; let it be from 1 to 64")]
    AtOnce(usize),
    #[error("the databases are to grow to {0} bytes; let it be 64 MiB or more")]
    MaxSize(u64),
}

impl Settings {
    /// From which amount on two notaries must approve a grant of this granter's.
    #[must_use]
    pub fn two_approvals_from(&self, granter: Address) -> Option<U256> {
        self.two_approvals_of.get(&granter).copied().or(self.two_approvals_from)
    }

    /// # Errors
    /// The first thing that makes no sense.
    pub fn validate(&self) -> Result<(), SettingsError> {
        self.review.validate()?;
        if let Some(NominationPolicy { amount: Amount::Fixed(amount) | Amount::PerByte(amount), .. }) = self.nominate
            && amount.is_zero()
        {
            return Err(SettingsError::NoAmount);
        }
        if !(1..=64).contains(&self.gather_at_once) {
            return Err(SettingsError::AtOnce(self.gather_at_once));
        }
        if self.max_size < MIN_SIZE {
            return Err(SettingsError::MaxSize(self.max_size));
        }
        Ok(())
    }
}
