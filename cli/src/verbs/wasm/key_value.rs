//! `KEY=VALUE` arguments.

use core::str::FromStr;
use std::collections::BTreeMap;

use crate::failure::Usage;

/// A name and a value; the value may hold `=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pair {
    name: String,
    value: String,
}

impl FromStr for Pair {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some(("", _)) => Err(format!("`{text}` has no name before `=`")),
            Some((name, value)) => Ok(Self { name: name.to_owned(), value: value.to_owned() }),
            None => Err(format!("`{text}` has no value; write NAME=VALUE")),
        }
    }
}

/// The pairs by name.
///
/// # Errors
/// [`Usage`] when a name occurs twice.
pub(crate) fn by_name(flag: &str, pairs: &[Pair]) -> Result<BTreeMap<String, String>, Usage> {
    let mut map = BTreeMap::new();
    for Pair { name, value } in pairs {
        if let Some(before) = map.insert(name.clone(), value.clone())
            && before != *value
        {
            return Err(Usage(format!("{flag} gives `{name}` twice, as `{before}` and as `{value}`")));
        }
    }
    Ok(map)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(texts: &[&str]) -> Vec<Pair> {
        texts.iter().map(|text| text.parse().expect("a pair")).collect()
    }

    #[test]
    fn the_first_equals_sign_separates_and_the_others_stay() {
        let map = by_name("-e", &pairs(&["KEY=a=b", "EMPTY="])).expect("no clash");
        assert_eq!(map, BTreeMap::from([("KEY".into(), "a=b".into()), ("EMPTY".into(), String::new())]));
    }

    #[test]
    fn what_is_no_pair_is_refused() {
        assert!("KEY".parse::<Pair>().expect_err("no value").contains("NAME=VALUE"));
        assert!("=x".parse::<Pair>().expect_err("no name").contains("no name"));
        assert!(by_name("-e", &pairs(&["A=1", "A=2"])).expect_err("clash").to_string().contains("twice"));
        assert!(by_name("-e", &pairs(&["A=1", "A=1"])).is_ok());
    }
}
