//! Amounts of money, as scenarios write them.

use core::fmt;

use lota_market::{AttoFil, money::GWEI};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount of money: a number of FIL, or a text with its unit, such as `"20 gwei"`. It is a whole number of gwei.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub AttoFil);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(AttoFil::ZERO);

    /// A number of FIL to the nearest gwei; what is not a number, or negative, is nothing, and what is too much the most.
    #[must_use]
    pub fn from_fil(fil: f64) -> AttoFil {
        // The cast saturates.
        AttoFil(((fil * 1e9).round() as u128).saturating_mul(GWEI))
    }

    /// In FIL, to the precision of a double: for statistics, never for accounts.
    #[must_use]
    pub fn to_fil(amount: AttoFil) -> f64 {
        amount.0 as f64 / 1e18
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl de::Visitor<'_> for Reader {
            type Value = Amount;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an amount of money: a number of FIL, or a text such as \"20 gwei\"")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Amount, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Amount, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Amount, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                let amount: AttoFil = text.parse().map_err(E::custom)?;
                if !amount.is_whole_gwei() {
                    return Err(E::custom(format!("`{text}` is finer than a gwei (10^-9 FIL), which no price is")));
                }
                Ok(Amount(amount))
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_fil_and_texts_have_units() {
        #[derive(Deserialize)]
        struct Holder {
            it: Amount,
        }
        let read = |text: &str| toml::from_str::<Holder>(&format!("it = {text}")).map(|holder| holder.it.0.0);
        assert_eq!(read("0.1").expect("an amount"), 100_000_000_000_000_000);
        assert_eq!(read("33").expect("an amount"), 33_000_000_000_000_000_000);
        assert_eq!(read("\"20 gwei\"").expect("an amount"), 20_000_000_000);
        for (text, word) in [
            ("-1", "not an amount"),
            ("1e30", "too large"),
            ("\"1 wei\"", "finer than a gwei"),
            ("true", "an amount of money"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.message().contains(word), "{text}: {}", error.message());
        }
    }

    #[test]
    fn draws_are_rounded_to_gwei() {
        assert_eq!(Amount::from_fil(0.123_456_789_4).0, 123_456_789 * GWEI);
        assert_eq!(Amount::from_fil(-1.0).0, 0);
        assert_eq!(Amount::from_fil(f64::NAN).0, 0);
    }
}
