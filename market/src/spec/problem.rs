//! What is wrong with a spec: all of it.

use core::fmt;

use serde::{Deserialize, Serialize};

/// One thing that is wrong with a spec.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpecProblem {
    /// Which field, such as `limits.memory` or `inputs[2].path`; empty for the document as a whole.
    pub field: String,
    /// What stands there, shortened; `None` when nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is wrong with it, such as `is missing`.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

/// Everything that is wrong with a spec; at least one problem, at most [`SpecProblems::MAX`] and the number of the others.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpecProblems {
    problems: Vec<SpecProblem>,
    /// How many more there are than are listed.
    #[serde(default)]
    more: usize,
}

impl SpecProblems {
    /// The most problems that are listed.
    pub const MAX: usize = 100;

    pub(super) fn new(mut problems: Vec<SpecProblem>) -> Self {
        let more = problems.len().saturating_sub(Self::MAX);
        problems.truncate(Self::MAX);
        Self { problems, more }
    }

    pub(super) fn of_document(problem: String, remedy: &str) -> Self {
        Self::new(vec![SpecProblem { field: String::new(), value: None, problem, remedy: remedy.to_owned() }])
    }

    /// The problems, in the order of the document's fields.
    pub fn iter(&self) -> core::slice::Iter<'_, SpecProblem> {
        self.problems.iter()
    }

    /// How many more problems there are than [`SpecProblems::iter`] gives.
    #[must_use]
    pub const fn more(&self) -> usize {
        self.more
    }
}

impl<'a> IntoIterator for &'a SpecProblems {
    type Item = &'a SpecProblem;
    type IntoIter = core::slice::Iter<'a, SpecProblem>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for SpecProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            f.write_str("the spec ")?;
        } else {
            write!(f, "{}: ", self.field)?;
        }
        if let Some(value) = &self.value {
            write!(f, "{value} ")?;
        }
        write!(f, "{}; {}", self.problem, self.remedy)
    }
}

impl fmt::Display for SpecProblems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.as_slice() {
            [only] => write!(f, "{only}"),
            all => {
                write!(f, "the job spec has {} problems:", all.len() + self.more)?;
                for problem in all {
                    write!(f, "\n  - {problem}")?;
                }
                if self.more > 0 {
                    write!(f, "\n  and {} more", self.more)?;
                }
                Ok(())
            }
        }
    }
}

impl core::error::Error for SpecProblems {}
