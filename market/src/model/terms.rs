//! What a client asks for and promises.

use core::{cmp::Ordering, fmt};

use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use super::{MAX_AMOUNT_GWEI, MAX_WINDOW, Rejection};
use crate::{money::AttoFil, time::Time};

/// A job's id: the EIP-712 digest of its [`Terms`] in the market's domain. In JSON: `0x` and 64 hex digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub B256);

/// The order of the bytes, decided on numbers: looking a deal up compares little else.
impl Ord for JobId {
    fn cmp(&self, other: &Self) -> Ordering {
        U256::from_be_bytes(self.0.0).cmp(&U256::from_be_bytes(other.0.0))
    }
}

impl PartialOrd for JobId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

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

impl Terms {
    /// The first thing that is wrong with these terms under a market's settings; `None` when they may be opened.
    #[must_use]
    pub fn fault(&self, settings: &Settings) -> Option<TermsFault> {
        if self.client.is_zero() {
            return Some(TermsFault::ZeroClient);
        }
        if SpecCodec::from_code(self.spec_codec).is_none() {
            return Some(TermsFault::SpecCodec);
        }
        if !(self.min_price.is_whole_gwei() && self.max_price.is_whole_gwei() && self.collateral.is_whole_gwei()) {
            return Some(TermsFault::NotWholeGwei);
        }
        let limit = AttoFil::from_gwei(MAX_AMOUNT_GWEI).0;
        if self.min_price.0 >= limit || self.max_price.0 >= limit || self.collateral.0 >= limit {
            return Some(TermsFault::AmountTooLarge);
        }
        if self.min_price.0 > self.max_price.0 {
            return Some(TermsFault::PriceOrder);
        }
        if self.ramp_period == 0 {
            return Some(TermsFault::ZeroRampPeriod);
        }
        let reviewed = !self.arbiter.is_zero();
        if !settings.allows_window(self.run_for) {
            return Some(TermsFault::RunFor);
        }
        if !(settings.allows_window(self.review_for) || self.review_for == 0 && !reviewed) {
            return Some(TermsFault::ReviewFor);
        }
        if !(settings.allows_window(self.rule_for) || self.rule_for == 0 && !reviewed) {
            return Some(TermsFault::RuleFor);
        }
        if self.callback_gas > settings.max_callback_gas {
            return Some(TermsFault::CallbackGas);
        }
        None
    }

    /// The ramp's price at a time: `min_price + (max_price - min_price) * min(time - ramp_start, ramp_period) / ramp_period`,
    /// rounded down to a gwei; `min_price` before `ramp_start`.
    ///
    /// Total also on terms that [`Terms::fault`] refuses, where the contract's view reverts: a ramp without length is over
    /// at once, and prices in the wrong order do not rise.
    #[must_use]
    pub fn price_at(&self, time: Time) -> AttoFil {
        let rise = self.max_price.saturating_sub(self.min_price);
        let elapsed = time.since(self.ramp_start).min(self.ramp_period);
        if elapsed == self.ramp_period {
            return AttoFil(self.min_price.0.saturating_add(rise.0)).whole_gwei();
        }
        // Terms that may be opened rise by less than 2^48 whole gwei: the common case needs no wide division.
        if let (Some(low), Some(rise)) = (self.min_price.to_gwei(), rise.to_gwei())
            && let Some(product) = rise.checked_mul(elapsed)
        {
            return AttoFil(AttoFil::from_gwei(low).0 + AttoFil::from_gwei(product / self.ramp_period).0);
        }
        // Below 2^192; the quotient is below `rise`.
        let risen: u128 = (U256::from(rise.0) * U256::from(elapsed) / U256::from(self.ramp_period)).saturating_to();
        AttoFil(self.min_price.0.saturating_add(risen)).whole_gwei()
    }

    /// Refuses a price that is not a whole number of gwei within the terms' range.
    ///
    /// # Errors
    /// [`Rejection::PriceOutOfRange`].
    pub const fn check_price(&self, price: AttoFil) -> Result<(), Rejection> {
        let Self { min_price, max_price, .. } = *self;
        if price.is_whole_gwei() && min_price.0 <= price.0 && price.0 <= max_price.0 {
            Ok(())
        } else {
            Err(Rejection::PriceOutOfRange { price, min_price, max_price })
        }
    }

    /// Until when the result must be there, of a deal locked at `locked_at`.
    #[must_use]
    pub const fn run_by(&self, locked_at: Time) -> Time {
        locked_at.after(self.run_for as u64)
    }

    /// Until when a result submitted at `submitted_at` may be disputed.
    #[must_use]
    pub const fn review_by(&self, submitted_at: Time) -> Time {
        submitted_at.after(self.review_for as u64)
    }

    /// Until when the arbiter may rule on a dispute of `disputed_at`.
    #[must_use]
    pub const fn rule_by(&self, disputed_at: Time) -> Time {
        disputed_at.after(self.rule_for as u64)
    }
}

/// Settings of a deployment, fixed for ever: `ILotaMarket.Settings`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Settings {
    /// The shortest run, review and ruling window, in seconds.
    pub min_window: u32,
    /// The largest `callback_gas` that terms may ask for, in the chain's gas.
    pub max_callback_gas: u32,
}

impl Settings {
    /// Whether a window of this many seconds is neither too short nor too long.
    const fn allows_window(&self, seconds: u32) -> bool {
        self.min_window <= seconds && seconds as u64 <= MAX_WINDOW
    }
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
