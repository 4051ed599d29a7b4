//! Quantities as a person writes them: `512 MiB`, `10G`, `5m`.

use core::{fmt, str::FromStr};
use std::time::Duration;

use jiff::{SignedDuration, Span, SpanRelativeTo, SpanRound, Unit, fmt::friendly};
use lota_market::{
    AttoFil,
    asset::{Asset, ParseAssetError},
    money,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a text is not a quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {wanted}: {problem}; write for example {example}")]
pub(crate) struct ParseQuantityError {
    text: String,
    wanted: &'static str,
    problem: &'static str,
    example: &'static str,
}

/// The number of a text, times the unit that `scale` knows, rounded down to a whole number.
fn scaled(text: &str, scale: impl Fn(&str) -> Option<u64>) -> Result<u64, &'static str> {
    if text.trim_start().starts_with('-') {
        return Err("it is negative");
    }
    let (number, unit) = money::split_unit(text);
    let scale = scale(unit).ok_or("its unit is not known")?;
    let (digits, decimals) = money::decimal(number)?;
    if decimals > 9 {
        return Err("it has more than nine decimals");
    }
    let value = digits.checked_mul(u128::from(scale)).ok_or("it is too large")? / 10u128.pow(decimals);
    u64::try_from(value).map_err(|_| "it is too large")
}

/// An amount of data in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ByteSize(pub(crate) u64);

impl FromStr for ByteSize {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        scaled(text, |unit| {
            Some(match unit.to_ascii_lowercase().as_str() {
                "" | "b" => 1,
                "k" | "ki" | "kib" => 1 << 10,
                "m" | "mi" | "mib" => 1 << 20,
                "g" | "gi" | "gib" => 1 << 30,
                "t" | "ti" | "tib" => 1 << 40,
                "kb" => 1_000,
                "mb" => 1_000_000,
                "gb" => 1_000_000_000,
                "tb" => 1_000_000_000_000,
                _ => return None,
            })
        })
        .map(Self)
        .map_err(|problem| ParseQuantityError {
            text: text.to_owned(),
            wanted: "an amount of data",
            problem,
            example: "`512 MiB`, `1.5GB` or `4096`",
        })
    }
}

/// Shown in the largest binary unit with at most one decimal: `1.5 MiB`.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return f.pad(&format!("{} B", self.0));
        }
        let mut tenths = u128::from(self.0) * 10;
        let mut unit = "B";
        for name in UNITS {
            if tenths < 10_235 {
                break;
            }
            tenths = tenths.div_ceil(512) / 2;
            unit = name;
        }
        let (whole, tenth) = (tenths / 10, tenths % 10);
        if tenth == 0 { f.pad(&format!("{whole} {unit}")) } else { f.pad(&format!("{whole}.{tenth} {unit}")) }
    }
}

/// A large whole number, such as fuel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Count(pub(crate) u64);

impl FromStr for Count {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        scaled(text, |unit| {
            Some(match unit.to_ascii_lowercase().as_str() {
                "" => 1,
                "k" | "thousand" => 1_000,
                "m" | "million" => 1_000_000,
                "g" | "b" | "billion" => 1_000_000_000,
                "t" | "trillion" => 1_000_000_000_000,
                _ => return None,
            })
        })
        .map(Self)
        .map_err(|problem| ParseQuantityError {
            text: text.to_owned(),
            wanted: "a number",
            problem,
            example: "`1000000`, `500M` or `10G`",
        })
    }
}

/// Shown with separators between thousands: `1,234,567`.
impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        let mut text = String::with_capacity(digits.len() * 4 / 3);
        for (i, digit) in digits.chars().enumerate() {
            if i > 0 && (digits.len() - i).is_multiple_of(3) {
                text.push(',');
            }
            text.push(digit);
        }
        f.pad(&text)
    }
}

/// A length of time in whole seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Seconds(pub(crate) u64);

impl Seconds {
    /// As a duration.
    pub(crate) const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl FromStr for Seconds {
    type Err = ParseQuantityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fail = |problem| ParseQuantityError {
            text: text.to_owned(),
            wanted: "a length of time",
            problem,
            example: "`90s`, `5m` or `1h 30m`",
        };
        if let Ok(seconds) = text.trim().parse() {
            return Ok(Self(seconds));
        }
        let span: Span = text.trim().parse().map_err(|_| fail("its form is not known"))?;
        let duration = span
            .to_duration(SpanRelativeTo::days_are_24_hours())
            .map_err(|_| fail("it has months or years, whose length varies"))?;
        if duration.subsec_nanos() != 0 {
            return Err(fail("it is not a whole number of seconds"));
        }
        u64::try_from(duration.as_secs()).map(Self).map_err(|_| fail("it is negative"))
    }
}

/// Shown as `1h 30m`.
impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let printer = friendly::SpanPrinter::new()
            .designator(friendly::Designator::Compact)
            .spacing(friendly::Spacing::BetweenUnits);
        let duration = SignedDuration::from_secs(i64::try_from(self.0).unwrap_or(i64::MAX));
        let days = SpanRound::new().largest(Unit::Day).days_are_24_hours();
        let span = Span::try_from(duration).and_then(|span| span.round(days));
        f.pad(&span.map_or_else(|_| printer.duration_to_string(&duration), |span| printer.span_to_string(&span)))
    }
}

/// An amount of money as a person writes it; in settings as in flags (`0.5 FIL`). What it is, the market's asset says: `2.5` is in its
/// unit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Amount(String);

impl Amount {
    /// The amount in a market's asset.
    ///
    /// # Errors
    /// When it is in another unit, or too fine.
    pub(crate) fn in_asset(&self, asset: &Asset) -> Result<AttoFil, ParseAssetError> {
        asset.parse(&self.0)
    }
}

/// A unit that may be a token's symbol.
fn may_be_symbol(unit: &str) -> bool {
    !unit.is_empty()
        && unit.starts_with(|c: char| c.is_ascii_alphabetic())
        && unit.chars().all(|c| c.is_ascii_graphic())
}

impl FromStr for Amount {
    type Err = <AttoFil as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (number, unit) = money::split_unit(text);
        // In what markets it is an amount turns out when the market is known.
        if money::decimal(number).is_err() || !may_be_symbol(unit) {
            text.parse::<AttoFil>()?;
        }
        Ok(Self(text.trim().to_owned()))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How a value is written so that reading it gives the very same value: settings go through it, prose need not.
pub(crate) trait Written {
    /// The text.
    fn written(&self) -> String;
}

impl Written for ByteSize {
    fn written(&self) -> String {
        let text = self.to_string();
        if text.parse() == Ok(*self) { text } else { self.0.to_string() }
    }
}

impl Written for Count {
    fn written(&self) -> String {
        for (unit, suffix) in [(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M")] {
            if self.0 > 0 && self.0.is_multiple_of(unit) {
                return format!("{}{suffix}", self.0 / unit);
            }
        }
        self.0.to_string()
    }
}

impl Written for Seconds {
    fn written(&self) -> String {
        self.to_string()
    }
}

impl Written for Amount {
    fn written(&self) -> String {
        self.to_string()
    }
}

impl Written for String {
    fn written(&self) -> String {
        self.clone()
    }
}

impl Written for u32 {
    fn written(&self) -> String {
        self.to_string()
    }
}

impl Written for bool {
    fn written(&self) -> String {
        self.to_string()
    }
}

/// In settings quantities are texts with units; whole numbers may be bare.
macro_rules! in_settings {
    ($($quantity:ty),+) => { $(
        impl Serialize for $quantity {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.written())
            }
        }

        impl<'de> Deserialize<'de> for $quantity {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl de::Visitor<'_> for Text {
                    type Value = $quantity;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a text in quotes such as \"1.5 FIL\", \"64 MiB\" or \"5m\"")
                    }
                    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                        text.parse().map_err(E::custom)
                    }
                    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
                        self.visit_str(&number.to_string())
                    }
                    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
                        self.visit_str(&number.to_string())
                    }
                }
                deserializer.deserialize_any(Text)
            }
        }
    )+ };
}
in_settings!(ByteSize, Count, Seconds, Amount);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_read_in_binary_and_decimal_units() {
        for (text, bytes) in [
            ("4096", 4096),
            ("1 KiB", 1024),
            ("1k", 1024),
            ("1kB", 1000),
            ("1.5 GiB", 3 << 29),
            ("0.5MB", 500_000),
            ("0", 0),
        ] {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
    }

    #[test]
    fn a_bad_quantity_says_what_is_wrong() {
        for (text, problem) in [
            ("", "digits"),
            ("MiB", "digits"),
            ("1 parsec", "unit"),
            ("1.2.3", "two decimal"),
            ("99999999 TiB", "too large"),
        ] {
            let error = text.parse::<ByteSize>().expect_err(text).to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
        assert!("1.5s".parse::<Seconds>().expect_err("half a second").to_string().contains("whole number"));
        assert!("-5s".parse::<Seconds>().expect_err("negative").to_string().contains("negative"));
        assert!("soon".parse::<Seconds>().expect_err("no time").to_string().contains("form"));
    }

    #[test]
    fn data_is_shown_in_the_largest_unit() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (1_048_575, "1 MiB"),
            (10 << 30, "10 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(ByteSize(bytes).to_string(), text);
        }
    }

    #[test]
    fn an_amount_is_what_the_markets_asset_says() {
        let (coin, usd) = (Asset::coin(), Asset::token("USD", 6));
        let amount = |text: &str| text.parse::<Amount>().expect(text);
        assert_eq!(amount("2.5").in_asset(&coin), Ok(AttoFil(2_500_000_000_000_000_000)));
        assert_eq!(amount("2.5").in_asset(&usd), Ok(AttoFil(2_500_000)));
        assert_eq!(amount(" 2.5 usd ").in_asset(&usd), Ok(AttoFil(2_500_000)));
        for (text, asset) in [("1 FIL", &usd), ("20 gwei", &usd), ("1 USD", &coin), ("0.0000001", &usd)] {
            let error = amount(text).in_asset(asset).expect_err(text).to_string();
            assert!(error.contains(&format!("is not an amount of {asset}")), "{error}");
        }
        for text in ["", "USD", "-1", "1.2.3 USD", "five FIL", "1 \u{1b}[2J"] {
            assert!(text.parse::<Amount>().is_err(), "{text}");
        }
        assert_eq!(amount("2.5 USD").written().parse(), Ok(amount("2.5 USD")));
    }

    #[test]
    fn what_is_written_reads_back_exactly() {
        for n in [0, 1, 999, 1000, 1024, 1_000_001, 1_600_000, 50_000_000_000, 1 << 40, u64::MAX] {
            assert_eq!(ByteSize(n).written().parse(), Ok(ByteSize(n)), "{}", ByteSize(n).written());
            assert_eq!(Count(n).written().parse(), Ok(Count(n)), "{}", Count(n).written());
            if i64::try_from(n).is_ok() {
                assert_eq!(Seconds(n).written().parse(), Ok(Seconds(n)), "{}", Seconds(n).written());
            }
        }
        assert_eq!(ByteSize(10 << 30).written(), "10 GiB");
        assert_eq!(Count(50_000_000_000).written(), "50G");
    }

    #[test]
    fn counts_and_times_are_read_and_shown() {
        assert_eq!("10G".parse(), Ok(Count(10_000_000_000)));
        assert_eq!("2.5 million".parse(), Ok(Count(2_500_000)));
        assert_eq!(Count(1_234_567).to_string(), "1,234,567");
        assert_eq!(Count(12).to_string(), "12");
        assert_eq!("90".parse(), Ok(Seconds(90)));
        assert_eq!("1h 30m".parse(), Ok(Seconds(5400)));
        assert_eq!("5m".parse(), Ok(Seconds(300)));
        assert_eq!("90d".parse(), Ok(Seconds(90 * 86_400)));
        assert_eq!(Seconds(5400).to_string(), "1h 30m");
        assert_eq!(Seconds(90 * 86_400 + 60).to_string(), "90d 1m");
        assert_eq!(Seconds(0).to_string(), "0s");
    }
}
