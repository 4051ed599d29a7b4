//! Parts of processors.

use core::str::FromStr;

/// Thousandths of a processor, written as `2` or `0.5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cpus(pub(super) u64);

impl FromStr for Cpus {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad =
            || format!("`{text}` is no number of processors; write for example 2 or 0.5, with at most three decimals");
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(part) || part.len() > 3 || text.ends_with('.') {
            return Err(bad());
        }
        let millis = format!("{whole}{part:0<3}").parse().map_err(|_| bad())?;
        if millis == 0 { Err(bad()) } else { Ok(Self(millis)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_processors_are_read() {
        for (text, millis) in [("1", 1_000), ("0.5", 500), ("2.25", 2_250), ("0.001", 1), ("64", 64_000)] {
            assert_eq!(text.parse(), Ok(Cpus(millis)), "{text}");
        }
        for text in ["", "0", "0.0", ".5", "1.", "1.0001", "-1", "one", "1e3", "99999999999999999999"] {
            assert!(text.parse::<Cpus>().expect_err(text).contains("write for example 2 or 0.5"), "{text}");
        }
    }
}
