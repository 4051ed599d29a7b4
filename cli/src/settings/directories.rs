//! Directories that jobs may name, as a person writes them.

use core::{fmt, str::FromStr};
use std::{collections::BTreeMap, path::PathBuf};

use lota_market::spec::MAX_LABEL;
use serde::{Deserialize, Serialize};

/// `LABEL=PATH`, several with commas between.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Directories(pub(crate) BTreeMap<String, PathBuf>);

/// Why a text names no directories.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ParseDirectoriesError {
    #[error("`{0}` is not LABEL=PATH, such as genomes=/data/genomes")]
    Form(String),
    #[error("`{0}` is no label; take 1 to {MAX_LABEL} of a-z, 0-9, `.`, `_` and `-`, a letter or digit first")]
    Label(String),
    #[error("`{0}` is not an absolute path")]
    Relative(String),
    #[error("the label `{0}` is there twice")]
    Twice(String),
}

impl FromStr for Directories {
    type Err = ParseDirectoriesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut directories = BTreeMap::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (label, path) = part.split_once('=').ok_or_else(|| ParseDirectoriesError::Form(part.to_owned()))?;
            let begins = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            let goes_on = |c: char| begins(c) || matches!(c, '.' | '_' | '-');
            if !label.starts_with(begins) || !label.chars().all(goes_on) || label.len() > MAX_LABEL {
                return Err(ParseDirectoriesError::Label(label.to_owned()));
            }
            if !path.starts_with('/') {
                return Err(ParseDirectoriesError::Relative(path.to_owned()));
            }
            if directories.insert(label.to_owned(), PathBuf::from(path)).is_some() {
                return Err(ParseDirectoriesError::Twice(label.to_owned()));
            }
        }
        Ok(Self(directories))
    }
}

impl TryFrom<String> for Directories {
    type Error = ParseDirectoriesError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Directories> for String {
    fn from(directories: Directories) -> Self {
        directories.to_string()
    }
}

impl fmt::Display for Directories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (label, path)) in self.0.iter().enumerate() {
            write!(f, "{}{label}={}", if number == 0 { "" } else { "," }, path.display())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_read_back_as_they_are_written() {
        let text = "genomes=/data/genomes, words.1=/srv/a=b";
        let directories: Directories = text.parse().expect(text);
        assert_eq!(directories.0["genomes"], PathBuf::from("/data/genomes"));
        assert_eq!(directories.0["words.1"], PathBuf::from("/srv/a=b"));
        assert_eq!(directories.to_string().parse(), Ok(directories));
        assert_eq!("".parse(), Ok(Directories::default()));
        for (text, part) in [
            ("genomes", "is not LABEL=PATH"),
            ("/data=/data", "is no label"),
            ("Data=/data", "is no label"),
            ("=/data", "is no label"),
            ("data=srv/data", "is not an absolute path"),
            ("a=/b,a=/c", "is there twice"),
        ] {
            let error = text.parse::<Directories>().expect_err(text).to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
