//! The query of `GET /v1/jobs`, as it travels in a URL.

use core::{fmt, str::FromStr};

use jiff::Timestamp;
use lota_market::model::Status;
use serde::{Deserialize as _, de::value::StrDeserializer};

/// The most labels that one query may name.
pub const MAX_LABELS: usize = 16;
/// The most states that one query may name: each is looked up by itself.
const MAX_STATES: usize = 16;
/// The states that a job on the market can be in, as they are written.
const STATES: &str = "open, locked, submitted, disputed, settled, cancelled, slashed, void, running and failed";

/// A state to list jobs by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFilter {
    /// This one.
    Is(Status),
    /// A provider has it and it is not over: locked, submitted or disputed.
    Running,
    /// Slashed, void, taken by nobody in time, or with an exit code other than 0.
    Failed,
}

/// A label that jobs must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelFilter {
    pub name: String,
    /// Its value; none: any.
    pub value: Option<String>,
}

/// Query of `GET /v1/jobs`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobQuery {
    /// Everybody's jobs that this daemon has seen, not only its own.
    pub all: bool,
    /// Only jobs in one of these states; none: in any.
    pub states: Vec<StateFilter>,
    /// Only jobs that have all of these labels.
    pub labels: Vec<LabelFilter>,
    /// Only jobs that were opened then or later.
    pub since: Option<Timestamp>,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
    /// At most this many (default 50, at most 1000).
    pub limit: Option<u32>,
    /// Where the page before this one ended.
    pub after: Option<String>,
}

/// Why a query cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct QueryError(String);

impl FromStr for StateFilter {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "running" => Ok(Self::Running),
            "failed" => Ok(Self::Failed),
            _ => Status::deserialize(StrDeserializer::<serde::de::value::Error>::new(text))
                .ok()
                .filter(|status| *status != Status::None)
                .map(Self::Is)
                .ok_or_else(|| QueryError(format!("`{text}` is no state of a job; there are {STATES}"))),
        }
    }
}

impl fmt::Display for StateFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(status) => f.write_str(&format!("{status:?}").to_ascii_lowercase()),
            Self::Running => f.write_str("running"),
            Self::Failed => f.write_str("failed"),
        }
    }
}

impl FromStr for LabelFilter {
    type Err = QueryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        if name.is_empty() {
            return Err(QueryError(format!("`{text}` names no label; write NAME or NAME=VALUE")));
        }
        Ok(Self { name: name.to_owned(), value: value.map(str::to_owned) })
    }
}

impl fmt::Display for LabelFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{}={value}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

impl JobQuery {
    /// The names and values of the URL; what is left out is the default.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        let mut flag = |name, set: bool| {
            if set {
                pairs.push((name, "true".to_owned()));
            }
        };
        flag("all", self.all);
        flag("oldest_first", self.oldest_first);
        if !self.states.is_empty() {
            let states: Vec<String> = self.states.iter().map(ToString::to_string).collect();
            pairs.push(("status", states.join(",")));
        }
        pairs.extend(self.labels.iter().map(|label| ("label", label.to_string())));
        pairs.extend(self.since.map(|since| ("since", since.to_string())));
        pairs.extend(self.limit.map(|limit| ("limit", limit.to_string())));
        pairs.extend(self.after.clone().map(|after| ("after", after)));
        pairs
    }

    /// Understands the names and values of a URL. A name that is not known is refused: a filter that is misspelt would list too
    /// much.
    ///
    /// # Errors
    /// [`QueryError`], with the name and the value.
    pub fn from_pairs(pairs: &[(String, String)]) -> Result<Self, QueryError> {
        let mut query = Self::default();
        for (name, value) in pairs {
            let bad = |wanted: &str| QueryError(format!("`{name}` is `{value}`; {wanted}"));
            let truth = || value.parse::<bool>().map_err(|_| bad("write `true` or `false`"));
            match name.as_str() {
                "all" => query.all = truth()?,
                "oldest_first" => query.oldest_first = truth()?,
                "status" => {
                    for state in value.split(',') {
                        let state = state.parse()?;
                        if !query.states.contains(&state) {
                            query.states.push(state);
                        }
                    }
                    if query.states.len() > MAX_STATES {
                        return Err(QueryError(format!("there are more than {MAX_STATES} states")));
                    }
                }
                "label" => {
                    if query.labels.len() == MAX_LABELS {
                        return Err(QueryError(format!("there are more than {MAX_LABELS} labels")));
                    }
                    query.labels.push(value.parse()?);
                }
                "since" => {
                    let time = value.parse().map_err(|_| bad("write an RFC 3339 time such as 2026-01-31T12:00:00Z"))?;
                    query.since = Some(time);
                }
                "limit" => query.limit = Some(value.parse().map_err(|_| bad("write a number"))?),
                "after" => query.after = Some(value.clone()),
                _ => {
                    return Err(QueryError(format!(
                        "`{name}` is nothing to list jobs by; there are all, status, label, since, oldest_first, limit and after"
                    )));
                }
            }
        }
        Ok(query)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_query_comes_back_from_its_url() {
        let query = JobQuery {
            all: true,
            states: vec![StateFilter::Is(Status::Settled), StateFilter::Running, StateFilter::Failed],
            labels: vec!["kind=a=b,c".parse().expect("a label"), "urgent".parse().expect("a label")],
            since: Some("2026-01-31T12:00:00Z".parse().expect("a time")),
            oldest_first: true,
            limit: Some(7),
            after: Some("1-0x12".to_owned()),
        };
        let pairs: Vec<_> = query.pairs().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(JobQuery::from_pairs(&pairs), Ok(query));
        assert_eq!(JobQuery::from_pairs(&[]), Ok(JobQuery::default()));
        assert!(JobQuery::default().pairs().is_empty());
    }

    #[test]
    fn what_cannot_be_understood_is_named() {
        for (name, value, part) in [
            ("status", "open,opne", "`opne`"),
            ("status", "none", "`none`"),
            ("label", "=x", "names no label"),
            ("since", "yesterday", "RFC 3339"),
            ("all", "yes", "`true` or `false`"),
            ("limit", "-1", "a number"),
            ("lable", "x", "`lable`"),
        ] {
            let error = JobQuery::from_pairs(&owned(&[(name, value)])).expect_err(name).to_string();
            assert!(error.contains(part), "{error} lacks {part}");
        }
        let many = vec![("label".to_owned(), "a".to_owned()); MAX_LABELS + 1];
        assert!(JobQuery::from_pairs(&many).expect_err("too many").to_string().contains("labels"));
    }
}
