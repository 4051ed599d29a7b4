//! What the doctor finds.

use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// As it should be.
    Good,
    /// It could not be found out, because something else is wrong, or because nothing here can tell.
    Unknown,
    /// It works, but one should know.
    Notable,
    /// It keeps a node from its work, or will soon.
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub(super) subject: &'static str,
    pub(super) verdict: Verdict,
    /// What was found.
    pub(super) found: String,
    /// What mends it: a command, where one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) remedy: Option<String>,
}

impl Finding {
    fn new(subject: &'static str, verdict: Verdict, found: impl Into<String>) -> Self {
        Self { subject, verdict, found: found.into(), remedy: None }
    }

    pub(super) fn good(subject: &'static str, found: impl Into<String>) -> Self {
        Self::new(subject, Verdict::Good, found)
    }

    pub(super) fn unknown(subject: &'static str, found: impl Into<String>) -> Self {
        Self::new(subject, Verdict::Unknown, found)
    }

    pub(super) fn notable(subject: &'static str, found: impl Into<String>) -> Self {
        Self::new(subject, Verdict::Notable, found)
    }

    pub(super) fn bad(subject: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(subject, Verdict::Bad, found).mended_by(remedy)
    }

    /// The same with what mends it.
    pub(super) fn mended_by(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}
