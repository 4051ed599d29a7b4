//! Distributions, as scenarios write them.

use core::fmt;

use rand::Rng as _;
use rand_distr::{Distribution as _, Exp, LogNormal, Normal, Pareto};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::chance::Chance;

/// Of how many draws of a normal distribution one must lie within its bounds.
const DRAWS: u32 = 10_000;

/// A distribution of numbers that are not negative: a bare number is always that number.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Distribution {
    Fixed(f64),
    /// From the first number to the second.
    Uniform([f64; 2]),
    Normal(Truncated),
    Lognormal(Lognormal),
    Exponential(Exponential),
    Pareto(ParetoTail),
    /// One of these, each as likely as the others.
    Empirical(Vec<f64>),
}

/// A normal distribution, of which only what lies within bounds is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Truncated {
    /// Before truncation.
    pub mean: f64,
    /// Standard deviation, before truncation.
    pub sd: f64,
    #[serde(default)]
    pub min: f64,
    #[serde(default = "infinity")]
    pub max: f64,
}

const fn infinity() -> f64 {
    f64::INFINITY
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lognormal {
    pub median: f64,
    /// Standard deviation of the natural logarithm.
    pub sigma: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exponential {
    pub mean: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParetoTail {
    /// The smallest number.
    pub scale: f64,
    /// The heavier the tail, the smaller; with 1 or less there is no mean.
    pub shape: f64,
}

/// How a table names its distribution: exactly one key.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    fixed: Option<f64>,
    uniform: Option<[f64; 2]>,
    normal: Option<Truncated>,
    lognormal: Option<Lognormal>,
    exponential: Option<Exponential>,
    pareto: Option<ParetoTail>,
    empirical: Option<Vec<f64>>,
}

impl<'de> Deserialize<'de> for Distribution {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> de::Visitor<'de> for Reader {
            type Value = Distribution;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, or a table such as { uniform = [1, 2] } (or normal, lognormal, exponential, pareto, empirical)")
            }
            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Distribution, E> {
                Ok(Distribution::Fixed(value as f64))
            }
            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Distribution, E> {
                Ok(Distribution::Fixed(value as f64))
            }
            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Distribution, E> {
                Ok(Distribution::Fixed(value))
            }
            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Distribution, A::Error> {
                let named = Named::deserialize(de::value::MapAccessDeserializer::new(map))?;
                let all = [
                    named.fixed.map(Distribution::Fixed),
                    named.uniform.map(Distribution::Uniform),
                    named.normal.map(Distribution::Normal),
                    named.lognormal.map(Distribution::Lognormal),
                    named.exponential.map(Distribution::Exponential),
                    named.pareto.map(Distribution::Pareto),
                    named.empirical.map(Distribution::Empirical),
                ];
                let mut found = all.into_iter().flatten();
                match (found.next(), found.next()) {
                    (Some(one), None) => Ok(one),
                    _ => Err(de::Error::custom(
                        "a distribution has exactly one of fixed, uniform, normal, lognormal, exponential, pareto, empirical",
                    )),
                }
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl Distribution {
    /// What is impossible about it, if anything is: its numbers must be finite, not negative, and no more than `most`, where their
    /// kind has a largest.
    #[must_use]
    pub fn fault(&self, most: f64) -> Option<String> {
        let within = |what: &str, number: f64| {
            (!number.is_finite() || number < 0.0 || number > most)
                .then(|| format!("{what} is {number}, and must be from 0 to {most}"))
        };
        let positive = |what: &str, number: f64| {
            (!number.is_finite() || number <= 0.0).then(|| format!("{what} is {number}, and must be above 0"))
        };
        match self {
            Self::Fixed(number) => within("the number", *number),
            Self::Uniform([low, high]) => within("the lower end", *low)
                .or_else(|| within("the upper end", *high))
                .or_else(|| (low > high).then(|| format!("it begins at {low}, above its end {high}; swap them"))),
            Self::Normal(Truncated { mean, sd, min, max }) => within("`min`", *min)
                .or_else(|| (!mean.is_finite()).then(|| format!("`mean` is {mean}, and must be a number")))
                .or_else(|| (!sd.is_finite() || *sd < 0.0).then(|| format!("`sd` is {sd}, and must not be negative")))
                .or_else(|| (max.is_nan() || min > max).then(|| format!("`min` {min} is above `max` {max}; swap them")))
                .or_else(|| {
                    let far = *mean < min - 2.0 * sd || *mean > max + 2.0 * sd;
                    far.then(|| format!("the mean {mean} lies more than two standard deviations outside of {min} to {max}: hardly any draw would count"))
                }),
            Self::Lognormal(Lognormal { median, sigma }) => positive("`median`", *median)
                .or_else(|| within("`median`", *median))
                .or_else(|| (!sigma.is_finite() || *sigma < 0.0).then(|| format!("`sigma` is {sigma}, and must not be negative"))),
            Self::Exponential(Exponential { mean }) => positive("`mean`", *mean).or_else(|| within("`mean`", *mean)),
            Self::Pareto(ParetoTail { scale, shape }) => positive("`scale`", *scale)
                .or_else(|| within("`scale`", *scale))
                .or_else(|| positive("`shape`", *shape)),
            Self::Empirical(numbers) => numbers
                .is_empty()
                .then(|| "it has no numbers".to_owned())
                .or_else(|| numbers.iter().find_map(|number| within("one of the numbers", *number))),
        }
    }

    /// Draws a number.
    pub fn sample(&self, chance: &mut Chance) -> f64 {
        // What `fault` lets through, the libraries take; otherwise it is the middle of the distribution.
        match self {
            Self::Fixed(number) => *number,
            Self::Uniform([low, high]) => low + (high - low) * chance.random::<f64>(),
            Self::Normal(Truncated { mean, sd, min, max }) => {
                let Ok(normal) = Normal::new(*mean, *sd) else { return *mean };
                let drawn = (0..DRAWS).map(|_| normal.sample(chance)).find(|drawn| (*min..=*max).contains(drawn));
                drawn.unwrap_or_else(|| mean.clamp(*min, *max))
            }
            Self::Lognormal(Lognormal { median, sigma }) => {
                LogNormal::new(median.ln(), *sigma).map_or(*median, |it| it.sample(chance))
            }
            Self::Exponential(Exponential { mean }) => Exp::new(1.0 / mean).map_or(*mean, |it| it.sample(chance)),
            Self::Pareto(ParetoTail { scale, shape }) => {
                Pareto::new(*scale, *shape).map_or(*scale, |it| it.sample(chance))
            }
            Self::Empirical(numbers) => {
                if numbers.is_empty() {
                    0.0
                } else {
                    numbers[chance.random_range(0..numbers.len())]
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::{Purpose, Seed};

    fn read(text: &str) -> Result<Distribution, String> {
        #[derive(Deserialize)]
        struct Holder {
            it: Distribution,
        }
        toml::from_str::<Holder>(&format!("it = {text}"))
            .map(|holder| holder.it)
            .map_err(|error| error.message().to_owned())
    }

    /// The mean of many draws lies within four standard errors of what is known of it.
    #[test]
    fn draws_have_the_means_that_the_distributions_are_known_for() {
        for (text, mean, sd) in [
            ("2.5", 2.5, 0.0),
            ("{ uniform = [1, 3] }", 2.0, (4.0_f64 / 12.0).sqrt()),
            ("{ normal = { mean = 50, sd = 5 } }", 50.0, 5.0),
            // Half of a normal distribution: sqrt(2/pi).
            ("{ normal = { mean = 0, sd = 1 } }", 0.797_884_56, 0.602_8),
            ("{ lognormal = { median = 1, sigma = 0.5 } }", 0.125_f64.exp(), 0.604),
            ("{ exponential = { mean = 4 } }", 4.0, 4.0),
            ("{ pareto = { scale = 1, shape = 3 } }", 1.5, 0.866),
            ("{ empirical = [1, 1, 4] }", 2.0, 2.0_f64.sqrt()),
        ] {
            let distribution = read(text).expect("it is one");
            assert_eq!(distribution.fault(1e9), None, "{text}");
            let mut chance = Seed(3).stream(Purpose::Nature, 0);
            let draws = 40_000;
            let found = (0..draws).map(|_| distribution.sample(&mut chance)).sum::<f64>() / f64::from(draws);
            let error = 4.0 * sd / f64::from(draws).sqrt() + 1e-12;
            assert!((found - mean).abs() <= error, "{text}: {found}, not {mean} within {error}");
        }
    }

    #[test]
    fn what_is_impossible_is_said_of_each_kind() {
        for (text, word) in [
            ("-1", "from 0 to"),
            ("nan", "from 0 to"),
            ("1e10", "from 0 to"),
            ("{ uniform = [3, 1] }", "swap"),
            ("{ normal = { mean = 1, sd = -1 } }", "`sd`"),
            ("{ normal = { mean = 1, sd = 1, min = 2, max = 1 } }", "swap"),
            ("{ normal = { mean = -9, sd = 1 } }", "two standard deviations"),
            ("{ lognormal = { median = 0, sigma = 1 } }", "`median`"),
            ("{ exponential = { mean = 0 } }", "above 0"),
            ("{ pareto = { scale = 1, shape = 0 } }", "`shape`"),
            ("{ empirical = [] }", "no numbers"),
            ("{ empirical = [1, -2] }", "one of the numbers"),
        ] {
            let fault = read(text).expect("it is written well").fault(1e9).expect(text);
            assert!(fault.contains(word), "{text}: {fault}");
        }
    }

    #[test]
    fn what_is_no_distribution_is_not_read() {
        for (text, word) in [
            ("\"x\"", "a number, or a table"),
            ("{ uniform = [1, 2], fixed = 1 }", "exactly one"),
            ("{}", "exactly one"),
            ("{ gauss = 1 }", "unknown field `gauss`"),
            ("{ exponential = { rate = 1 } }", "unknown field `rate`"),
        ] {
            let error = read(text).expect_err(text);
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
