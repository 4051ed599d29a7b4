//! Sweeps: one value after another in a scenario's key.

use super::{Override, ScenarioError, read::value_of};

/// The most points of all sweeps together.
const MOST: usize = 100_000;

/// A key and the values that it takes in turn: `--sweep KEY=A..B[:STEP]`, or `KEY=A,B,C`.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    pub key: String,
    pub values: Vec<toml::Value>,
}

impl Sweep {
    /// Reads a sweep.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let wrong = |problem: &str| {
            ScenarioError::Flag(format!(
                "`{text}` sweeps nothing: {problem}; write KEY=FROM..TO, KEY=FROM..TO:STEP or KEY=A,B,C"
            ))
        };
        let (key, values) = text.split_once('=').ok_or_else(|| wrong("there is no `=`"))?;
        let key = key.trim();
        if key.is_empty() {
            return Err(wrong("there is no key"));
        }
        let Some((from, rest)) = values.split_once("..") else {
            let values: Vec<toml::Value> = values.split(',').map(|value| value_of(value.trim())).collect();
            if values.iter().any(|value| value.as_str() == Some("")) {
                return Err(wrong("a value is missing"));
            }
            return Ok(Self { key: key.to_owned(), values });
        };
        let (to, step) = rest.split_once(':').unwrap_or((rest, "1"));
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let (Some(first), Some(last), Some(by)) = (number(from), number(to), number(step)) else {
            return Err(wrong("ends and step must be numbers"));
        };
        if by <= 0.0 || first > last {
            return Err(wrong("it must go upwards by a step above 0"));
        }
        // What a sum of steps lacks to the end by rounding is no reason to leave the end out.
        let points = ((last - first) / by + 1e-9).floor();
        if points >= MOST as f64 {
            return Err(wrong("it has more than 100000 points"));
        }
        let whole = [from, to, step].iter().all(|text| text.trim().parse::<i64>().is_ok());
        let values = (0..=points as u64)
            .map(|at| {
                let value = first + at as f64 * by;
                if whole {
                    toml::Value::Integer(value as i64)
                } else {
                    // Nine decimals: 0.1 + 2 * 0.1 is 0.3 for a person.
                    toml::Value::Float((value * 1e9).round() / 1e9)
                }
            })
            .collect();
        Ok(Self { key: key.to_owned(), values })
    }
}

/// All combinations of the sweeps' values, the last one's the fastest; without sweeps: one, in which nothing is set.
///
/// # Errors
/// When there are too many.
pub fn points(sweeps: &[Sweep]) -> Result<Vec<Vec<Override>>, ScenarioError> {
    let all = sweeps.iter().try_fold(1_usize, |all, sweep| all.checked_mul(sweep.values.len()));
    if all.is_none_or(|all| all > MOST) {
        return Err(ScenarioError::Flag(format!("the sweeps have more than {MOST} combinations; take fewer values")));
    }
    let mut points = vec![Vec::new()];
    for Sweep { key, values } in sweeps {
        points = points
            .iter()
            .flat_map(|point: &Vec<Override>| {
                values.iter().map(move |value| {
                    let set = Override { key: key.clone(), value: value.clone() };
                    point.iter().cloned().chain([set]).collect()
                })
            })
            .collect();
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Vec<String> {
        Sweep::parse(text).expect("a sweep").values.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn ranges_contain_their_ends() {
        assert_eq!(values("a=1..4"), ["1", "2", "3", "4"]);
        assert_eq!(values("a=0..10:5"), ["0", "5", "10"]);
        assert_eq!(values("a=0..0.3:0.1"), ["0.0", "0.1", "0.2", "0.3"]);
        assert_eq!(values("a=2,5"), ["2", "5"]);
        assert_eq!(values("a.strategy=lazy,honest"), ["\"lazy\"", "\"honest\""]);
    }

    #[test]
    fn what_sweeps_nothing_is_refused() {
        for (text, word) in [
            ("a", "no `=`"),
            ("=1..2", "no key"),
            ("a=1..x", "must be numbers"),
            ("a=3..1", "upwards"),
            ("a=1..2:0", "upwards"),
            ("a=1..2:-1", "upwards"),
            ("a=0..1e9", "more than 100000"),
            ("a=1,,2", "missing"),
            ("a=", "missing"),
        ] {
            let error = Sweep::parse(text).expect_err(text).to_string();
            assert!(error.contains(word), "{error}");
        }
        let sweep = Sweep::parse("a=1..1000").expect("a sweep");
        assert!(points(&[sweep.clone(), sweep]).is_err());
    }

    #[test]
    fn sweeps_are_combined_and_the_last_goes_fastest() {
        let sweeps = ["a=1,2", "b=3,4"].map(|text| Sweep::parse(text).expect("a sweep"));
        let all: Vec<String> = points(&sweeps)
            .expect("few")
            .iter()
            .map(|point| point.iter().map(|set| set.value.to_string()).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(all, ["1 3", "1 4", "2 3", "2 4"]);
        assert_eq!(points(&[]).expect("one"), [vec![]]);
    }
}
