//! What a client asks for and promises.

use core::{cmp::Ordering, fmt};

use alloy_primitives::{Address, B256, U256};
use serde::{Deserialize, Serialize};

use super::{MAX_AMOUNT_QUANTA, Rejection, Settings, TRANSFER_GAS};
use crate::{money::AttoFil, time::Time};

/// A job's id: the EIP-712 digest of its [`Terms`] in the market's domain. In JSON: `0x` and 64 hex digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct JobId(pub B256);

/// The order of the bytes, decided on numbers, nearly always on the first one: looking a deal up compares little else.
impl Ord for JobId {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        let first = |id: &Self| id.0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        first(self).cmp(&first(other)).then_with(|| self.0.cmp(&other.0))
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
    /// Makes the terms unique: [`salt`](super::salt) of a lane and a number, which clients count up from 0.
    pub salt: U256,
    /// sha2-256 digest of the job spec's bytes.
    pub spec: B256,
    /// Multicodec code of the spec's bytes, see [`SpecCodec`].
    pub spec_codec: u16,
    /// Price at `ramp_start`.
    pub min_price: AttoFil,
    /// Price from `ramp_start + ramp_period` on; this much is put in escrow.
    pub max_price: AttoFil,
    /// When the price starts to rise and the job may first be locked; at most `lock_by`.
    pub ramp_start: Time,
    /// How long the price rises, in seconds; at least 1.
    pub ramp_period: u64,
    /// Until when the job may be locked or awarded.
    pub lock_by: Time,
    /// How long the provider may take from lock to result, in seconds.
    pub run_for: u32,
    /// How long the result may be disputed, in seconds; 0 without an arbiter.
    pub review_for: u32,
    /// How long the arbiter may take from dispute to ruling, in seconds; 0 without an arbiter.
    pub rule_for: u32,
    /// What the provider stakes.
    pub collateral: AttoFil,
    /// Who alone may award and cancel; zero: any provider may lock.
    pub matcher: Address,
    /// Who may dispute and rule; zero: nobody, whatever the provider submits is paid at once.
    pub arbiter: Address,
    /// Gas given to the client's callback; zero: no callback.
    pub callback_gas: u32,
    /// Whether the market keeps for ever how the deal ended.
    pub keep_record: bool,
}

/// Whether an address is the masked id of an actor on Filecoin: 0xff, eleven zero bytes, and the id. Elsewhere nobody has
/// such an address.
#[must_use]
pub fn is_masked_id(address: Address) -> bool {
    matches!(address.as_slice(), [0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ..])
}

/// Whether an address is a masked id that is not the sender: such an actor may have another address, too, or none.
pub(crate) fn is_foreign_id(address: Address, sender: Address) -> bool {
    is_masked_id(address) && address != sender
}

impl Terms {
    /// The first thing that is wrong with these terms under a market's settings; `None` when `sender` may bring them to be opened.
    #[must_use]
    pub fn fault(&self, settings: &Settings, sender: Address) -> Option<TermsFault> {
        if self.client.is_zero() {
            return Some(TermsFault::ZeroClient);
        }
        if self.names_foreign_id(sender) {
            return Some(TermsFault::MaskedId);
        }
        if SpecCodec::from_code(self.spec_codec).is_none() {
            return Some(TermsFault::SpecCodec);
        }
        let quantum = settings.quantum;
        if ![self.min_price, self.max_price, self.collateral].iter().all(|amount| amount.is_whole(quantum)) {
            return Some(TermsFault::NotWholeQuanta);
        }
        let limit = u128::from(MAX_AMOUNT_QUANTA) * u128::from(quantum);
        if self.min_price.0 >= limit || self.max_price.0 >= limit || self.collateral.0 >= limit {
            return Some(TermsFault::AmountTooLarge);
        }
        if self.min_price.0 > self.max_price.0 {
            return Some(TermsFault::PriceOrder);
        }
        if self.ramp_period == 0 {
            return Some(TermsFault::ZeroRampPeriod);
        }
        if self.ramp_start > self.lock_by {
            return Some(TermsFault::RampStart);
        }
        if !settings.allows_window(self.run_for) {
            return Some(TermsFault::RunFor);
        }
        let fits = |window| if self.has_arbiter() { settings.allows_window(window) } else { window == 0 };
        if !fits(self.review_for) {
            return Some(TermsFault::ReviewFor);
        }
        if !fits(self.rule_for) {
            return Some(TermsFault::RuleFor);
        }
        if self.callback_gas > settings.max_callback_gas || self.callback_gas == TRANSFER_GAS {
            return Some(TermsFault::CallbackGas);
        }
        None
    }

    /// Whether client, matcher or arbiter is a masked id that is not the sender.
    pub(super) fn names_foreign_id(&self, sender: Address) -> bool {
        [self.client, self.matcher, self.arbiter].into_iter().any(|party| is_foreign_id(party, sender))
    }

    /// Whether somebody may dispute the result; otherwise it is paid as soon as it is submitted.
    #[must_use]
    pub fn has_arbiter(&self) -> bool {
        !self.arbiter.is_zero()
    }

    /// The ramp's price at a time: `min_price + (max_price - min_price) * min(time - ramp_start, ramp_period) / ramp_period`,
    /// rounded down to a quantum; `min_price` before `ramp_start`.
    ///
    /// Total also on terms that [`Terms::fault`] refuses, where the contract's view says nothing useful: a ramp without length is over
    /// at once, and prices in the wrong order do not rise.
    #[must_use]
    pub fn price_at(&self, time: Time, quantum: u64) -> AttoFil {
        let rise = self.max_price.saturating_sub(self.min_price);
        let elapsed = time.since(self.ramp_start).min(self.ramp_period);
        if elapsed == self.ramp_period {
            return AttoFil(self.min_price.0.saturating_add(rise.0)).rounded_down(quantum);
        }
        // Terms that may be opened rise by less than 2^48 whole quanta: the common case needs no wide division.
        if let (Some(low), Some(rise)) = (self.min_price.quanta(quantum), rise.quanta(quantum))
            && let Some(product) = rise.checked_mul(elapsed)
        {
            return AttoFil::from_quanta(low.saturating_add(product / self.ramp_period), quantum);
        }
        // Below 2^192; the quotient is below `rise`.
        let risen: u128 = (U256::from(rise.0) * U256::from(elapsed) / U256::from(self.ramp_period)).saturating_to();
        AttoFil(self.min_price.0.saturating_add(risen)).rounded_down(quantum)
    }

    /// Refuses a price that is not a whole number of quanta within the terms' range.
    ///
    /// # Errors
    /// [`Rejection::PriceOutOfRange`].
    pub const fn check_price(&self, price: AttoFil, quantum: u64) -> Result<(), Rejection> {
        let Self { min_price, max_price, .. } = *self;
        if price.is_whole(quantum) && min_price.0 <= price.0 && price.0 <= max_price.0 {
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

/// What is wrong with terms, in the order in which it is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[repr(u8)]
pub enum TermsFault {
    /// `client` is the zero address.
    #[error("the client is the zero address")]
    ZeroClient,
    /// `client`, `matcher` or `arbiter` is a masked id and not the sender.
    #[error("the client, the matcher or the arbiter is a masked id (0xff00…) and not the sender")]
    MaskedId,
    /// `spec_codec` is neither 0x71 nor 0x55.
    #[error("the spec's codec is neither 0x71 (DAG-CBOR) nor 0x55 (JSON)")]
    SpecCodec,
    /// `min_price`, `max_price` or `collateral` is not a whole number of quanta.
    #[error("a price or the collateral is not a whole number of quanta (of 1 gwei where amounts have 18 decimals)")]
    NotWholeQuanta,
    /// `min_price`, `max_price` or `collateral` is 2^48 quanta or more.
    #[error("a price or the collateral is 2^48 quanta or more (quanta of 1 gwei where amounts have 18 decimals)")]
    AmountTooLarge,
    /// `min_price` > `max_price`.
    #[error("the lowest price is above the highest")]
    PriceOrder,
    /// `ramp_period` is 0.
    #[error("the ramp period is 0 seconds")]
    ZeroRampPeriod,
    /// `ramp_start` > `lock_by`.
    #[error("the price starts to rise after the job may be locked")]
    RampStart,
    /// `run_for` is out of bounds.
    #[error("the run window is shorter than the market's shortest window or longer than 90 days")]
    RunFor,
    /// `review_for` is out of bounds with an arbiter, or not 0 without one.
    #[error(
        "the review window is shorter than the market's shortest window or longer than 90 days (without an arbiter: not 0)"
    )]
    ReviewFor,
    /// `rule_for` is out of bounds with an arbiter, or not 0 without one.
    #[error(
        "the ruling window is shorter than the market's shortest window or longer than 90 days (without an arbiter: not 0)"
    )]
    RuleFor,
    /// `callback_gas` is above the market's limit, or [`TRANSFER_GAS`], or above 0 in a batch.
    #[error("the callback's gas is above the market's limit, or {gas} (in a batch: above 0)", gas = TRANSFER_GAS)]
    CallbackGas,
    /// `keep_record` in a batch.
    #[error("a batch keeps no records")]
    KeepRecord,
}
