//! Money: exact integers in attoFIL.

use core::{fmt, iter::Sum, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// attoFIL in one gwei (nanoFIL): the quantum of markets whose asset has 18 decimals.
pub const GWEI: u128 = 1_000_000_000;
/// attoFIL in one FIL.
pub const FIL: u128 = 1_000_000_000_000_000_000;

const GWEI_QUANTUM: u64 = GWEI as u64;

/// An amount of money in attoFIL (1e-18 FIL; on an EVM chain: wei); in the market of a token: in the token's smallest unit.
///
/// All the FIL there will ever be is below 2^91 attoFIL, so sums of amounts cannot overflow 128 bits in practice; arithmetic
/// is checked all the same. In JSON an amount is a decimal string, in binary formats 16 big-endian bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttoFil(pub u128);

impl AttoFil {
    /// No money.
    pub const ZERO: Self = Self(0);

    /// A whole number of FIL; `None` above 2^128 attoFIL.
    #[must_use]
    pub const fn from_fil(fil: u128) -> Option<Self> {
        match fil.checked_mul(FIL) {
            Some(atto) => Some(Self(atto)),
            None => None,
        }
    }

    /// A whole number of gwei; a `u64` of gwei always fits.
    #[must_use]
    pub const fn from_gwei(gwei: u64) -> Self {
        Self(gwei as u128 * GWEI)
    }

    /// Whether this is a whole number of gwei.
    #[must_use]
    pub const fn is_whole_gwei(self) -> bool {
        // 1e9 = 2^9 * 5^9. Without the factor of two, what terms may hold fits 64 bits, which divide much faster than 128.
        let odd = self.0 >> 9;
        if odd >> 64 == 0 {
            self.0.trailing_zeros() >= 9 && (odd as u64).is_multiple_of(5_u64.pow(9))
        } else {
            self.0.is_multiple_of(GWEI)
        }
    }

    /// The amount in gwei, if it is a whole number of them below 2^64.
    #[must_use]
    pub const fn to_gwei(self) -> Option<u64> {
        if !self.is_whole_gwei() {
            return None;
        }
        let odd = self.0 >> 9;
        if odd >> 64 == 0 {
            return Some(odd as u64 / 5_u64.pow(9));
        }
        let gwei = self.0 / GWEI;
        if gwei >> 64 == 0 { Some(gwei as u64) } else { None }
    }

    /// A whole number of quanta: multiples of a market's [`quantum`](crate::model::Settings::quantum). Always fits.
    #[must_use]
    pub const fn from_quanta(quanta: u64, quantum: u64) -> Self {
        Self(quanta as u128 * quantum as u128)
    }

    /// Whether this is a whole number of quanta. Of quanta of 0 there is no whole number.
    #[must_use]
    pub const fn is_whole(self, quantum: u64) -> bool {
        match quantum {
            GWEI_QUANTUM => self.is_whole_gwei(),
            0 => false,
            1 => true,
            _ => self.0.is_multiple_of(quantum as u128),
        }
    }

    /// The amount in quanta, if it is a whole number of them below 2^64.
    #[must_use]
    pub const fn quanta(self, quantum: u64) -> Option<u64> {
        if quantum == GWEI_QUANTUM {
            return self.to_gwei();
        }
        if !self.is_whole(quantum) {
            return None;
        }
        let quanta = self.0 / quantum as u128;
        if quanta >> 64 == 0 { Some(quanta as u64) } else { None }
    }

    /// The amount rounded down to a whole number of quanta; to 0 when they are of 0.
    #[must_use]
    pub const fn rounded_down(self, quantum: u64) -> Self {
        if self.is_whole(quantum) {
            self
        } else if quantum == 0 {
            Self::ZERO
        } else {
            Self(self.0 - self.0 % quantum as u128)
        }
    }

    /// The sum, or `None` on overflow.
    #[must_use]
    pub const fn checked_add(self, other: Self) -> Option<Self> {
        match self.0.checked_add(other.0) {
            Some(sum) => Some(Self(sum)),
            None => None,
        }
    }

    /// The difference, or `None` when `other` is larger.
    #[must_use]
    pub const fn checked_sub(self, other: Self) -> Option<Self> {
        match self.0.checked_sub(other.0) {
            Some(difference) => Some(Self(difference)),
            None => None,
        }
    }

    /// The difference, or zero when `other` is larger.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    /// Half of it, rounded down to an attoFIL.
    #[must_use]
    pub const fn half(self) -> Self {
        Self(self.0 / 2)
    }
}

impl Sum for AttoFil {
    /// # Panics
    /// On overflow of 128 bits, which more money than exists would need.
    fn sum<I: Iterator<Item = Self>>(iter: I) -> Self {
        Self(iter.map(|amount| amount.0).sum())
    }
}

/// Shown in FIL with its unit and without trailing zeros: `1.5 FIL`.
impl fmt::Display for AttoFil {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) = (self.0 / FIL, self.0 % FIL);
        let text = if fraction == 0 {
            format!("{whole} FIL")
        } else {
            let digits = format!("{fraction:018}");
            format!("{whole}.{} FIL", digits.trim_end_matches('0'))
        };
        f.pad(&text)
    }
}

/// Why a text is not an amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an amount of money: {problem}; write for example `1.5 FIL`, `20 gwei` or `7 attoFIL`")]
pub struct ParseAmountError {
    text: String,
    problem: &'static str,
}

/// Reads `1.5 FIL`, `1.5` (FIL is the default unit), `20 nanoFIL`, `20 gwei`, `7 attoFIL`; units in any case, space optional.
impl FromStr for AttoFil {
    type Err = ParseAmountError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |problem| ParseAmountError { text: text.to_owned(), problem };
        let (number, unit) = split_unit(text);
        if unit.starts_with('-') {
            return Err(fail("it is negative"));
        }
        let unit_decimals: u32 = match unit.to_ascii_lowercase().as_str() {
            "" | "fil" => 18,
            "millifil" => 15,
            "microfil" => 12,
            "nanofil" | "gwei" => 9,
            "attofil" | "wei" => 0,
            _ => {
                return Err(fail("the unit is none of FIL, milliFIL, microFIL, nanoFIL (gwei), attoFIL"));
            }
        };
        let (digits, decimals) = decimal(number).map_err(fail)?;
        let missing = unit_decimals.checked_sub(decimals).ok_or_else(|| fail("it is finer than one attoFIL"))?;
        10u128
            .checked_pow(missing)
            .and_then(|scale| digits.checked_mul(scale))
            .map(Self)
            .ok_or_else(|| fail("it is too large"))
    }
}

/// Splits a quantity such as `1.5 GiB` into the number and its unit, without the space between them.
#[must_use]
pub fn split_unit(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_')).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim())
}

/// Reads a decimal number, in which `_` may group digits: its digits, and how many of them are decimals. Zeros at the end of
/// the decimals do not count.
///
/// # Errors
/// What is wrong with it, to follow the number in a sentence.
pub fn decimal(number: &str) -> Result<(u128, u32), &'static str> {
    let number = number.replace('_', "");
    let (whole, fraction) = number.split_once('.').unwrap_or((&number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return Err("it has no digits");
    }
    if fraction.contains('.') {
        return Err("it has two decimal points");
    }
    let fraction = fraction.trim_end_matches('0');
    let digits = format!("0{whole}{fraction}").parse().map_err(|_| "it is too large")?;
    Ok((digits, u32::try_from(fraction.len()).unwrap_or(u32::MAX)))
}

impl Serialize for AttoFil {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&self.0)
        } else {
            serializer.serialize_bytes(&self.0.to_be_bytes())
        }
    }
}

impl<'de> Deserialize<'de> for AttoFil {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            text.parse().map(Self).map_err(|_| {
                de::Error::invalid_value(de::Unexpected::Str(&text), &"attoFIL as a decimal string below 2^128")
            })
        } else {
            let bytes = serde_bytes::ByteBuf::deserialize(deserializer)?;
            <[u8; 16]>::try_from(bytes.as_slice())
                .map(|be| Self(u128::from_be_bytes(be)))
                .map_err(|_| de::Error::invalid_length(bytes.len(), &"16 big-endian bytes of attoFIL"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_their_units() {
        for (text, atto) in [
            ("1.5 FIL", 1_500_000_000_000_000_000),
            ("1.5", 1_500_000_000_000_000_000),
            ("0", 0),
            (".5fil", 500_000_000_000_000_000),
            ("20 gwei", 20_000_000_000),
            ("20 nanoFIL", 20_000_000_000),
            ("7 attoFIL", 7),
            ("1_000 attoFIL", 1_000),
            ("0.000000000000000001", 1),
            ("1.50000000000000000000000", 1_500_000_000_000_000_000),
        ] {
            assert_eq!(text.parse::<AttoFil>(), Ok(AttoFil(atto)), "{text}");
        }
    }

    #[test]
    fn a_bad_amount_says_what_is_wrong() {
        for (text, problem) in [
            ("", "no digits"),
            ("FIL", "no digits"),
            ("1.5 USD", "unit"),
            ("-1", "negative"),
            ("1.2.3", "two decimal points"),
            ("0.0000000000000000001", "finer than one attoFIL"),
            ("999999999999999999999999999999 FIL", "too large"),
        ] {
            let error = text.parse::<AttoFil>().expect_err(text).to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn an_amount_is_shown_in_fil_and_read_back() {
        for atto in [0, 1, 42, GWEI, FIL, FIL + 1, 5 * FIL / 2, u128::MAX] {
            let amount = AttoFil(atto);
            assert_eq!(amount.to_string().parse::<AttoFil>(), Ok(amount));
        }
        assert_eq!(AttoFil(5 * FIL / 2).to_string(), "2.5 FIL");
    }

    #[test]
    fn gwei_are_counted_exactly() {
        let whole = |gwei: u128| AttoFil(gwei * GWEI);
        for gwei in [0, 1, 512, 1 << 48, (1 << 64) - 1, u64::MAX as u128 / 512, (1 << 73) / GWEI, (1 << 73) / GWEI + 1]
        {
            assert_eq!(whole(gwei).to_gwei(), u64::try_from(gwei).ok(), "{gwei}");
            assert_eq!(u64::try_from(gwei).map(AttoFil::from_gwei), Ok(whole(gwei)));
            for fraction in [1, 511, 512, 1_953_125, GWEI - 1] {
                let amount = AttoFil(gwei * GWEI + fraction);
                assert!(!amount.is_whole_gwei() && amount.to_gwei().is_none(), "{amount:?}");
            }
        }
        assert!(whole(1 << 64).is_whole_gwei());
        assert_eq!(whole(1 << 64).to_gwei(), None);
    }

    #[test]
    fn quanta_are_counted_exactly() {
        for quantum in [1, 3, 1_000_000, GWEI_QUANTUM, u64::MAX] {
            for quanta in [0, 1, 77, u64::MAX] {
                let amount = AttoFil::from_quanta(quanta, quantum);
                assert!(amount.is_whole(quantum));
                assert_eq!((amount.quanta(quantum), amount.rounded_down(quantum)), (Some(quanta), amount));
                let above = AttoFil(amount.0 + 1);
                assert_eq!(above.is_whole(quantum), quantum == 1, "{above:?} of {quantum}");
                assert_eq!(above.rounded_down(quantum), if quantum == 1 { above } else { amount });
            }
        }
        assert_eq!(AttoFil(u128::MAX).quanta(1), None);
        assert!(!AttoFil(5).is_whole(0) && AttoFil(5).quanta(0).is_none());
        assert_eq!(AttoFil(5).rounded_down(0), AttoFil::ZERO);
    }

    #[test]
    fn json_is_a_decimal_string() {
        let json = serde_json::to_string(&AttoFil(FIL)).expect("amounts serialise");
        assert_eq!(json, "\"1000000000000000000\"");
        assert_eq!(serde_json::from_str::<AttoFil>(&json).expect("reads back"), AttoFil(FIL));
        assert!(serde_json::from_str::<AttoFil>("1").is_err());
        assert!(serde_json::from_str::<AttoFil>("\"-1\"").is_err());
    }
}
