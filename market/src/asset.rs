//! What a market's amounts are in: the chain's coin, or a token.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    AttoFil,
    money::{decimal, split_unit},
};

/// The longest symbol that is shown, in characters.
const MAX_SYMBOL: usize = 12;
/// The most decimals that amounts of 128 bits can be shown with.
const MAX_DECIMALS: u8 = 38;
/// The decimals of the chain's coin, and of amounts that are meant for any asset, such as defaults.
const COIN_DECIMALS: u8 = 18;
/// Units of the chain's coin, which no token may pass for.
const COIN_UNITS: [&str; 8] = ["fil", "millifil", "microfil", "nanofil", "gwei", "attofil", "wei", "tfil"];
/// How a token is called whose symbol cannot be shown.
const NAMELESS: &str = "TOKEN";

/// What a market's amounts are in.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "Told")]
pub struct Asset {
    symbol: String,
    decimals: u8,
}

/// An asset as somebody tells of it.
#[derive(Deserialize)]
struct Told {
    symbol: String,
    decimals: u8,
}

impl From<Told> for Asset {
    fn from(Told { symbol, decimals }: Told) -> Self {
        let coin = Self::coin();
        if symbol == coin.symbol && decimals == coin.decimals { coin } else { Self::token(&symbol, decimals) }
    }
}

impl Default for Asset {
    fn default() -> Self {
        Self::coin()
    }
}

impl Asset {
    /// The chain's coin.
    #[must_use]
    pub fn coin() -> Self {
        Self { symbol: "FIL".to_owned(), decimals: COIN_DECIMALS }
    }

    /// A token that says this of itself. Its symbol is a stranger's word: what is no printable ASCII is left out, what is long is
    /// cut off, and one that reads like a number or like a unit of the chain's coin is marked.
    #[must_use]
    pub fn token(symbol: &str, decimals: u8) -> Self {
        let plain: String = symbol.chars().filter(char::is_ascii_graphic).take(MAX_SYMBOL).collect();
        let is_coin = COIN_UNITS.contains(&plain.to_ascii_lowercase().as_str());
        let symbol = match plain.chars().next() {
            None => NAMELESS.to_owned(),
            Some(first) if first.is_ascii_alphabetic() && !is_coin => plain,
            Some(_) => format!("{NAMELESS}:{plain}"),
        };
        // Nobody can say what an amount with more decimals than digits is worth.
        if decimals > MAX_DECIMALS {
            return Self { symbol: format!("units-of-{symbol}"), decimals: 0 };
        }
        Self { symbol, decimals }
    }

    /// An asset of which nothing is known: amounts are shown in its smallest unit, `7 units`, which every asset
    /// [reads](Self::parse).
    #[must_use]
    pub fn unknown() -> Self {
        Self { symbol: "units".to_owned(), decimals: 0 }
    }

    /// What it is called: printable ASCII, at most some thirty characters.
    #[must_use]
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    /// How many decimals an amount has.
    #[must_use]
    pub const fn decimals(&self) -> u8 {
        self.decimals
    }

    /// Whether it is the chain's coin.
    #[must_use]
    pub fn is_coin(&self) -> bool {
        *self == Self::coin()
    }

    fn unit(&self) -> u128 {
        10_u128.checked_pow(self.decimals.into()).unwrap_or(1)
    }

    /// An amount for a person: `2.5 USD`, without trailing zeros.
    #[must_use]
    pub fn show(&self, amount: AttoFil) -> String {
        let (whole, fraction) = (amount.0 / self.unit(), amount.0 % self.unit());
        if fraction == 0 {
            return format!("{whole} {}", self.symbol);
        }
        let digits = format!("{fraction:0width$}", width = usize::from(self.decimals));
        format!("{whole}.{} {}", digits.trim_end_matches('0'), self.symbol)
    }

    /// Reads `2.5 USD`, or `2.5` in the asset's unit; `7 units` are the smallest ones. Of the chain's coin also what
    /// [`AttoFil`] reads.
    ///
    /// # Errors
    /// What is wrong, with an example.
    pub fn parse(&self, text: &str) -> Result<AttoFil, ParseAssetError> {
        if self.is_coin()
            && let Ok(amount) = text.parse()
        {
            return Ok(amount);
        }
        let fail = |problem: &str| ParseAssetError {
            text: text.to_owned(),
            symbol: self.symbol.clone(),
            problem: problem.to_owned(),
        };
        let (number, unit) = split_unit(text);
        let scale = if unit.is_empty() || unit.eq_ignore_ascii_case(&self.symbol) {
            u32::from(self.decimals)
        } else if unit.eq_ignore_ascii_case("units") {
            0
        } else if self.is_coin() {
            return Err(fail("the unit is none of FIL, milliFIL, microFIL, nanoFIL (gwei), attoFIL"));
        } else {
            return Err(fail("that is another unit than the market's"));
        };
        let (digits, decimals) = decimal(number).map_err(fail)?;
        let missing = scale.checked_sub(decimals).ok_or_else(|| fail("it is finer than the smallest unit"))?;
        10_u128
            .checked_pow(missing)
            .and_then(|scale| digits.checked_mul(scale))
            .map(AttoFil)
            .ok_or_else(|| fail("it is too large"))
    }

    /// As much of this asset as `amount` is of the chain's coin (0.001 FIL: 0.001 USD), rounded up to a whole quantum: what is
    /// meant as a default in any asset.
    #[must_use]
    pub fn scaled(&self, amount: AttoFil, quantum: u64) -> AttoFil {
        let quantum = u128::from(quantum.max(1));
        let exact = match self.decimals.checked_sub(COIN_DECIMALS) {
            Some(more) => {
                10_u128.checked_pow(more.into()).and_then(|scale| amount.0.checked_mul(scale)).unwrap_or(u128::MAX)
            }
            None => {
                let scale = 10_u128.checked_pow((COIN_DECIMALS - self.decimals).into()).unwrap_or(u128::MAX);
                amount.0.div_ceil(scale)
            }
        };
        AttoFil(exact.div_ceil(quantum).saturating_mul(quantum))
    }
}

impl fmt::Display for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.symbol)
    }
}

/// Why a text is not an amount of an asset.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an amount of {symbol}: {problem}; write for example `1.5 {symbol}`")]
pub struct ParseAssetError {
    text: String,
    symbol: String,
    problem: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::FIL;

    fn dollar() -> Asset {
        Asset::token("USD", 6)
    }

    #[test]
    fn amounts_are_shown_and_read_in_the_assets_unit() {
        let usd = dollar();
        for (units, text) in [
            (0, "0 USD"),
            (1, "0.000001 USD"),
            (2_500_000, "2.5 USD"),
            (1_000_000, "1 USD"),
            (u128::MAX, "340282366920938463463374607431768.211455 USD"),
        ] {
            assert_eq!(usd.show(AttoFil(units)), text);
            assert_eq!(usd.parse(text), Ok(AttoFil(units)));
        }
        for (text, units) in [("2.5", 2_500_000), ("2.5usd", 2_500_000), ("7 units", 7), (" 1_000 USD ", 1_000_000_000)]
        {
            assert_eq!(usd.parse(text), Ok(AttoFil(units)), "{text}");
        }
        assert_eq!(Asset::token("WEI8", 0).show(AttoFil(5)), "5 WEI8");
    }

    #[test]
    fn a_bad_amount_says_what_is_wrong_in_the_assets_words() {
        for (text, problem) in [
            ("1.5 FIL", "that is another unit than the market's; write for example `1.5 USD`"),
            ("20 gwei", "another unit"),
            ("0.0000001", "finer than the smallest unit"),
            ("340282366920938463463374607431769", "too large"),
            ("", "no digits"),
            ("1.2.3", "two decimal points"),
        ] {
            let error = dollar().parse(text).expect_err(text).to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn the_coin_is_as_it_always_was() {
        let coin = Asset::coin();
        for text in ["1.5 FIL", "0 FIL", "0.000000000000000007 FIL"] {
            let amount: AttoFil = text.parse().expect(text);
            assert_eq!((coin.show(amount), amount.to_string()), (text.to_owned(), text.to_owned()));
            assert_eq!(coin.parse(text), Ok(amount));
        }
        assert_eq!(coin.parse("20 gwei"), Ok(AttoFil(20_000_000_000)));
        assert!(coin.parse("1 USD").expect_err("no dollars").to_string().contains("none of FIL"));
    }

    #[test]
    fn a_tokens_word_for_itself_cannot_spoil_a_screen_or_pass_for_the_coin() {
        for (symbol, shown) in [
            ("USDC", "USDC"),
            ("\u{1b}[2J\u{1b}]0;x\u{7}USD", "TOKEN:[2J]0;xUSD"),
            ("FIL", "TOKEN:FIL"),
            ("tfil", "TOKEN:tfil"),
            ("  F I L\u{200b} ", "TOKEN:FIL"),
            ("attoFIL", "TOKEN:attoFIL"),
            ("", "TOKEN"),
            ("\u{202e}\n", "TOKEN"),
            ("1000", "TOKEN:1000"),
            (&"A".repeat(1 << 16), "AAAAAAAAAAAA"),
        ] {
            let asset = Asset::token(symbol, 6);
            assert_eq!(asset.symbol(), shown, "{symbol:?}");
            assert!(!asset.is_coin());
            let amount = AttoFil(1_234_567);
            assert_eq!(asset.parse(&asset.show(amount)), Ok(amount), "{shown}");
        }
        // Nor can somebody who tells of it.
        let json = r#"{"symbol":"\u001b[31mFIL","decimals":6}"#;
        assert_eq!(serde_json::from_str::<Asset>(json).expect("reads").symbol(), "TOKEN:[31mFIL");
        let coin = serde_json::to_string(&Asset::coin()).expect("encodes");
        assert!(serde_json::from_str::<Asset>(&coin).expect("reads").is_coin());
    }

    #[test]
    fn what_is_shown_of_an_unknown_asset_any_asset_reads() {
        let shown = Asset::unknown().show(AttoFil(1_234_567));
        assert_eq!(shown, "1234567 units");
        assert_eq!(
            (dollar().parse(&shown), Asset::coin().parse(&shown)),
            (Ok(AttoFil(1_234_567)), Ok(AttoFil(1_234_567)))
        );
    }

    #[test]
    fn any_number_of_decimals_can_be_shown() {
        for decimals in [0, 1, 18, 38, 39, 77, 255] {
            let asset = Asset::token("X", decimals);
            for amount in [0, 1, u128::MAX] {
                assert_eq!(asset.parse(&asset.show(AttoFil(amount))), Ok(AttoFil(amount)), "{decimals}");
            }
        }
        assert_eq!(Asset::token("X", 255).show(AttoFil(7)), "7 units-of-X");
    }

    #[test]
    fn defaults_are_as_much_in_any_asset() {
        let milli = AttoFil(FIL / 1000);
        assert_eq!(Asset::coin().scaled(milli, 1_000_000_000), milli);
        assert_eq!(dollar().scaled(milli, 1), AttoFil(1_000));
        assert_eq!(Asset::token("X", 20).scaled(milli, 1), AttoFil(FIL / 10));
        // However coarse the unit is, something is not nothing.
        assert_eq!(Asset::token("X", 0).scaled(milli, 1), AttoFil(1));
        assert_eq!(dollar().scaled(milli, 30_000), AttoFil(30_000));
        assert_eq!(dollar().scaled(AttoFil::ZERO, 1), AttoFil::ZERO);
        assert_eq!(Asset::token("X", 38).scaled(AttoFil(u128::MAX), 1), AttoFil(u128::MAX));
    }
}
