//! What a client asks for and promises.

use core::fmt;

use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use crate::{money::AttoFil, time::Time};

/// A job's id: the EIP-712 digest of its [`Terms`] in the market's domain. In JSON: `0x` and 64 hex digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub B256);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// The multicodec codes that a spec's bytes may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SpecCodec {
    /// Canonical DAG-CBOR.
    DagCbor,
    /// JSON text, for contracts that build specs.
    Json,
}

impl SpecCodec {
    /// The codec of a multicodec code, if it is one that a spec may have.
    #[must_use]
    pub const fn from_code(code: u16) -> Option<Self> {
        match code {
            0x71 => Some(Self::DagCbor),
            0x55 => Some(Self::Json),
            _ => None,
        }
    }

    /// Its multicodec code (`dag-cbor` 0x71; `raw` 0x55, as which JSON text is stored).
    #[must_use]
    pub const fn code(self) -> u16 {
        match self {
            Self::DagCbor => 0x71,
            Self::Json => 0x55,
        }
    }
}

/// The terms of a job: `ILotaMarket.Terms`, field by field.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Terms {
    /// Who pays and is called back.
    pub client: Address,
    /// Makes the terms unique; clients count it up from 0.
    pub salt: U256,
    /// sha2-256 digest of the job spec's bytes.
    pub spec: B256,
    /// Multicodec code of the spec's bytes, see [`SpecCodec`].
    pub spec_codec: u16,
    /// Price at `ramp_start`.
    pub min_price: AttoFil,
    /// Price from `ramp_start + ramp_period` on; this much is put in escrow.
    pub max_price: AttoFil,
    /// When the price starts to rise and the job may first be locked.
    pub ramp_start: Time,
    /// How long the price rises, in seconds; at least 1.
    pub ramp_period: u64,
    /// Until when the job may be locked or awarded.
    pub lock_by: Time,
    /// How long the provider may take from lock to result, in seconds.
    pub run_for: u32,
    /// How long the result may be disputed, in seconds.
    pub review_for: u32,
    /// How long the arbiter may take from dispute to ruling, in seconds.
    pub rule_for: u32,
    /// What the provider stakes.
    pub collateral: AttoFil,
    /// Who alone may award and cancel; zero: any provider may lock.
    pub matcher: Address,
    /// Who may dispute and rule; zero: no disputes.
    pub arbiter: Address,
    /// Gas given to the client's callback; zero: no callback.
    pub callback_gas: u32,
}

/// Settings of a deployment, fixed for ever: `ILotaMarket.Settings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Settings {
    /// The shortest run, review and ruling window, in seconds.
    pub min_window: u32,
    /// The largest `callback_gas` that terms may ask for, in the chain's gas.
    pub max_callback_gas: u32,
}

/// What is wrong with terms, in the order in which it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[repr(u8)]
pub enum TermsFault {
    /// `client` is the zero address.
    #[error("the client is the zero address")]
    ZeroClient,
    /// `spec_codec` is neither 0x71 nor 0x55.
    #[error("the spec's codec is neither 0x71 (DAG-CBOR) nor 0x55 (JSON)")]
    SpecCodec,
    /// `min_price`, `max_price` or `collateral` is not a whole number of gwei.
    #[error("a price or the collateral is not a whole number of gwei")]
    NotWholeGwei,
    /// `min_price`, `max_price` or `collateral` is 2^48 gwei or more.
    #[error("a price or the collateral is 2^48 gwei or more")]
    AmountTooLarge,
    /// `min_price` > `max_price`.
    #[error("the lowest price is above the highest")]
    PriceOrder,
    /// `ramp_period` is 0.
    #[error("the ramp period is 0 seconds")]
    ZeroRampPeriod,
    /// `run_for` is out of bounds.
    #[error("the run window is shorter than the market's shortest window or longer than 90 days")]
    RunFor,
    /// `review_for` is out of bounds.
    #[error("the review window is shorter than the market's shortest window or longer than 90 days")]
    ReviewFor,
    /// `rule_for` is out of bounds.
    #[error("the ruling window is shorter than the market's shortest window or longer than 90 days")]
    RuleFor,
    /// `callback_gas` is above the market's limit, or above 0 in a batch.
    #[error("the callback's gas is above the market's limit (in a batch: above 0)")]
    CallbackGas,
}
