//! Variables of the environment that look like settings and are none: misspelt, most likely.

use super::{KEYS, Key};
use crate::terminal;

/// How they begin.
const BEGINNING: &str = "LOTA_";
/// No settings, and no mistakes either. The last ones are for scripts and tests of a checkout.
const OTHERS: [&str; 5] = ["LOTA_HOME", "LOTA_PASSWORD", "LOTA_TOOLS", "LOTA_DIFFERENTIAL", "LOTA_SEED"];
/// How the variables of tests begin.
const TESTS: [&str; 2] = ["LOTA_TEST_", "LOTA_KILL_TEST_"];
/// How alike two names must be for one to be meant by the other, from 0 to 1.
const ALIKE: f64 = 0.75;

/// A line about each variable of these that means nothing.
pub(crate) fn unknown(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let known: Vec<String> =
        KEYS.iter().map(Key::variable).chain(OTHERS.iter().map(|name| (*name).to_owned())).collect();
    let mut unknown: Vec<String> = names
        .into_iter()
        .filter(|name| name.starts_with(BEGINNING) && !known.contains(name))
        .filter(|name| !TESTS.iter().any(|tests| name.starts_with(tests)))
        .collect();
    unknown.sort();
    unknown.iter().map(|name| line(name, nearest(name, &known))).collect()
}

fn line(name: &str, nearest: Option<&String>) -> String {
    let hint = match nearest {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => "`lota config show` lists what can be set".to_owned(),
    };
    format!("{} is set, but there is no such setting; {hint}", terminal::printable(name))
}

/// The known name that is most like this one.
fn nearest<'a>(name: &str, known: &'a [String]) -> Option<&'a String> {
    let alike = |known: &String| {
        let rest = |name: &str| name.trim_start_matches(BEGINNING).to_owned();
        strsim::normalized_damerau_levenshtein(&rest(name), &rest(known))
    };
    known
        .iter()
        .map(|known| (alike(known), known))
        .filter(|(alike, _)| *alike >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(names: &[&str]) -> Vec<String> {
        unknown(names.iter().map(|name| (*name).to_owned()))
    }

    #[test]
    fn a_misspelt_variable_is_told_with_the_right_one() {
        for (wrong, right) in [
            ("LOTA_JOB_MAXPRICE", "LOTA_JOB_MAX_PRICE"),
            ("LOTA_JOBS_MAX_PRICE", "LOTA_JOB_MAX_PRICE"),
            ("LOTA_PASWORD", "LOTA_PASSWORD"),
            ("LOTA_API_URI", "LOTA_API_URL"),
            ("LOTA_NODE_SLOT", "LOTA_NODE_SLOTS"),
        ] {
            let lines = told(&[wrong]);
            assert!(lines.len() == 1 && lines[0].contains(&format!("did you mean {right}?")), "{lines:?}");
        }
        let lines = told(&["LOTA_COLOUR\u{1b}"]);
        assert!(lines[0].contains("lota config show") && !lines[0].contains('\u{1b}'), "{lines:?}");
    }

    #[test]
    fn what_means_something_is_not_told() {
        let known: Vec<String> = KEYS.iter().map(Key::variable).collect();
        assert!(unknown(known).is_empty());
        assert!(told(&["LOTA_HOME", "LOTA_TEST_TOOLS", "LOTA_TEST_SEED", "LOTARIA", "PATH"]).is_empty());
    }
}
