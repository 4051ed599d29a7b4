//! A question, and what was found.

use serde::{Deserialize, Serialize};

/// What a notary asks of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Is what the job reads FIL+ data?
    FilPlusData,
    /// Did the program end with exit code 0?
    ExitCode,
    /// Can the output be fetched, and is it what its CID says?
    OutputRetrievable,
    /// Does running the job again give the same result?
    ReExecution,
    /// Was the same work, or the same data, blessed before?
    Duplicate,
    /// Are the client and the provider one party?
    SameParty,
    /// Does the provider's money come back to the client?
    Circle,
    /// How large a part of all that was blessed went to this provider?
    ProviderShare,
    /// How large a part of all that was blessed was for this client's jobs?
    ClientShare,
    /// What did this client pay this provider so far?
    PairVolume,
    /// Since when are the two known to the market?
    Age,
}

impl Question {
    /// All, in the order in which a notary reads them.
    pub const ALL: [Self; 11] = [
        Self::FilPlusData,
        Self::ExitCode,
        Self::OutputRetrievable,
        Self::ReExecution,
        Self::Duplicate,
        Self::SameParty,
        Self::Circle,
        Self::ProviderShare,
        Self::ClientShare,
        Self::PairVolume,
        Self::Age,
    ];

    /// As a person asks it.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::FilPlusData => "Is what the job reads FIL+ data?",
            Self::ExitCode => "Did the program end well?",
            Self::OutputRetrievable => "Can the output be fetched, and is it what its CID says?",
            Self::ReExecution => "Does running the job again give the same result?",
            Self::Duplicate => "Was the same work blessed before?",
            Self::SameParty => "Are client and provider two parties?",
            Self::Circle => "Does the provider's money come back to the client?",
            Self::ProviderShare => "How much of all that was blessed went to this provider?",
            Self::ClientShare => "How much of all that was blessed was for this client?",
            Self::PairVolume => "What did this client pay this provider so far?",
            Self::Age => "Since when does the market know the two?",
        }
    }
}

/// What a check came to. The order is that of how much they worry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing speaks against the job.
    Passed,
    /// A fact that is neither good nor bad.
    Noted,
    /// It could not be found out, or not yet.
    Unknown,
    /// A notary should look.
    Warning,
    /// It speaks against the job.
    Failed,
}

/// A fact that an outcome rests on. Both texts may hold what strangers wrote: whoever shows them escapes them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    pub label: String,
    pub value: String,
}

impl Evidence {
    pub(super) fn new(label: impl Into<String>, value: impl ToString) -> Self {
        Self { label: label.into(), value: value.to_string() }
    }
}

/// A question with its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    pub question: Question,
    pub outcome: Outcome,
    /// The answer, in one sentence.
    pub answer: String,
    pub evidence: Vec<Evidence>,
}

/// How closely a job should be looked at: what its queue is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Risk {
    /// All that could be asked was answered well.
    Low,
    /// Something is unknown, or one thing is to be looked at.
    Medium,
    /// Something speaks against it, or three things are to be looked at.
    High,
}

impl Risk {
    /// What these checks amount to.
    #[must_use]
    pub fn of(checks: &[Check]) -> Self {
        let count = |outcome| checks.iter().filter(|check| check.outcome == outcome).count();
        if count(Outcome::Failed) > 0 || count(Outcome::Warning) >= 3 {
            Self::High
        } else if count(Outcome::Warning) + count(Outcome::Unknown) > 0 {
            Self::Medium
        } else {
            Self::Low
        }
    }
}
