//! Words that stand for one of a few things.

use core::fmt;

use serde::{Deserialize, Serialize};

/// What a job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Its opening is on its way to the market.
    Opening,
    /// The market, or the client's money, did not allow it.
    NotOpened,
    /// It waits for a provider.
    Open,
    /// A provider runs it.
    Running,
    /// This daemon ran it and publishes the output.
    Publishing,
    /// Its result was submitted, and this daemon fetches and verifies the output.
    Verifying,
    /// Its result was submitted and may be disputed.
    Review,
    /// An arbiter disputes the result.
    Disputed,
    /// The provider was paid.
    Settled,
    /// Nobody took it in time.
    Expired,
    /// The client, or its matcher, withdrew it.
    Cancelled,
    /// The provider lost its collateral.
    Slashed,
    /// The dispute ended without a ruling.
    Void,
    /// A word of a newer daemon.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for Phase {
    /// In words for a person, which follow on "the job is".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Opening => "being opened",
            Self::NotOpened => "not opened: the market or your money did not allow it",
            Self::Open => "waiting for a provider",
            Self::Running => "being run",
            Self::Publishing => "being published",
            Self::Verifying => "done; its output is being fetched and verified",
            Self::Review => "done; its result is under review",
            Self::Disputed => "disputed",
            Self::Settled => "settled",
            Self::Expired => "expired: no provider took it",
            Self::Cancelled => "cancelled",
            Self::Slashed => "slashed",
            Self::Void => "void",
            Self::Unknown => "in a state that this version does not know",
        })
    }
}

impl Phase {
    /// The word in JSON and in URLs.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Opening => "opening",
            Self::NotOpened => "not_opened",
            Self::Open => "open",
            Self::Running => "running",
            Self::Publishing => "publishing",
            Self::Verifying => "verifying",
            Self::Review => "review",
            Self::Disputed => "disputed",
            Self::Settled => "settled",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Slashed => "slashed",
            Self::Void => "void",
            Self::Unknown => "unknown",
        }
    }
}

/// Who looks at a job's result before it is paid for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verification {
    /// Nobody: whatever is submitted is paid for at once.
    Unverified,
    /// An arbiter may dispute it.
    Arbiter,
    /// An older daemon does not say, or a newer one says something else.
    #[default]
    #[serde(other)]
    Unknown,
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unverified => "unverified: any provider is trusted",
            Self::Arbiter => "an arbiter may dispute the result before it is paid for",
            Self::Unknown => "unknown",
        })
    }
}

/// What a provider decided about a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It fetches and checks what the job needs.
    Considering,
    /// It wants the job, and waits for its price, a free place or money.
    Waiting,
    /// It does not want the job.
    Refused,
    /// It got the job.
    Won,
    /// Somebody else got it, or it ended before.
    Lost,
    /// It does not answer.
    Silent,
    /// A word of a newer provider, or none that makes sense.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Considering => "considering",
            Self::Waiting => "waiting",
            Self::Refused => "refused",
            Self::Won => "won",
            Self::Lost => "lost",
            Self::Silent => "silent",
            Self::Unknown => "unknown",
        })
    }
}

/// What keeps a daemon from its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// The market cannot be read; what is told of it is what was last known.
    Unreachable,
    /// The account cannot pay for gas.
    Gas,
    /// The provider lost its collateral for a job and locks no others until its operator resumes.
    Slashed,
    /// The daemon is about to end: it takes no more jobs.
    Draining,
    /// Somebody else sends with the daemon's key; it takes no more jobs until its operator resumes.
    KeyShared,
    /// An engine cannot be reached: jobs that need it wait.
    Engine,
    /// A word of a newer daemon.
    #[serde(other)]
    Unknown,
}

/// Why the API refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The token is missing or wrong (401).
    Unauthorized,
    /// There is no such job, content or path (404).
    NotFound,
    /// The path takes other methods (405).
    MethodNotAllowed,
    /// The beginning of several ids (409).
    Ambiguous,
    /// The job's state does not allow it (409).
    Conflict,
    /// The body is too large (413).
    TooLarge,
    /// The body is not JSON (415).
    UnsupportedMediaType,
    /// What was sent is wrong (422).
    Invalid,
    /// The account's money does not suffice (422).
    InsufficientBalance,
    /// The idempotency key belongs to another request (422).
    KeyReused,
    /// The market refuses (422).
    Refused,
    /// The daemon failed (500).
    Internal,
    /// Not now (503).
    Unavailable,
    /// The store is full (507).
    Full,
    /// A word of a newer daemon.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use serde_json::{from_value, json, to_value};

    use super::*;

    #[test]
    fn the_word_of_a_phase_is_the_one_in_json_and_reads_back() {
        for phase in [
            Phase::Opening,
            Phase::NotOpened,
            Phase::Open,
            Phase::Running,
            Phase::Publishing,
            Phase::Verifying,
            Phase::Review,
            Phase::Disputed,
            Phase::Settled,
            Phase::Expired,
            Phase::Cancelled,
            Phase::Slashed,
            Phase::Void,
            Phase::Unknown,
        ] {
            let value = to_value(phase).expect("a word");
            assert_eq!(value, json!(phase.word()));
            assert_eq!(from_value::<Phase>(value).expect("reads back"), phase);
        }
    }

    #[test]
    fn a_word_of_the_future_is_no_error() {
        assert_eq!(from_value::<Phase>(json!("teleporting")).expect("read"), Phase::Unknown);
        assert_eq!(from_value::<Verdict>(json!("\u{1b}[2J")).expect("read"), Verdict::Unknown);
        assert_eq!(from_value::<ErrorCode>(json!("teapot")).expect("read"), ErrorCode::Unknown);
        assert_eq!(from_value::<ProblemCode>(json!("tired")).expect("read"), ProblemCode::Unknown);
        assert_eq!(from_value::<Verification>(json!("oracle")).expect("read"), Verification::Unknown);
        assert!(from_value::<Verdict>(json!(7)).is_err());
    }
}
