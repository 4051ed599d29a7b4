//! The steps of a job's way, and what they come to.

use core::{fmt, str::FromStr};

use alloy_primitives::{Address, B256, Bytes};
use serde::{Deserialize, Serialize};

use super::Failure;
use crate::{
    model::{JobId, JobResult},
    time::Time,
};

/// One step, done by one party. Its name is the end of its effect key, so it never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Client: open the job.
    Open,
    /// Client: cancel it while it is open.
    Cancel,
    /// Anyone concerned: end it because a deadline passed.
    Expire,
    /// Provider: fetch the spec, which did not come with the event.
    FetchSpec,
    /// Provider: see whether an order of a `FilecoinPayDeals` could be taken there, as far as that is for its payer to see to.
    TryOrder,
    /// Provider: fetch module and inputs, verify them, and check that the module can run.
    FetchInputs,
    /// Provider: lock it; one that is directed to it, it awards to itself; an order of a `FilecoinPayDeals` it takes there.
    Lock,
    /// Bidder: bring what its bids need into its account in the auction.
    FundBid,
    /// Bidder: seal its bid.
    CommitBid,
    /// Bidder: open it.
    RevealBid,
    /// Bidder: have the job awarded.
    Award,
    /// Bidder: end an auction that nobody awarded.
    ReleaseAuction,
    /// Bidder: take out of that account what it does not need there.
    WithdrawBid,
    /// Provider: run it.
    Run,
    /// Provider: import the output and keep it available.
    Publish,
    /// Provider: submit the result.
    SubmitResult,
    /// Client: fetch the output and verify it.
    Verify,
    /// Client: accept the result.
    Accept,
    /// Anyone concerned: settle a result that nobody disputed.
    Settle,
    /// Anyone concerned: end a dispute without ruling.
    Lapse,
    /// Client, or who looks after it: try the callback again.
    RetryCallback,
    /// Provider: give up a job that it has locked and cannot run.
    GiveUp,
}

/// How often an order is tried whose payer cannot pay: whoever opens orders without money behind them must not keep nodes asking. With
/// [`Pace::unpaid`](super::Pace::unpaid) between, that is an hour, or two.
const UNPAID_ATTEMPTS: u32 = 8;
/// How often a run is tried again that this machine itself kept from coming to an end: whatever is wrong has minutes to pass.
const OWN_FAULT_ATTEMPTS: u32 = 8;

impl Step {
    /// The step's name in effect keys and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Cancel => "cancel",
            Self::Expire => "expire",
            Self::FetchSpec => "fetch-spec",
            Self::TryOrder => "try-order",
            Self::FetchInputs => "fetch-inputs",
            Self::Lock => "lock",
            Self::FundBid => "fund-bid",
            Self::CommitBid => "commit-bid",
            Self::RevealBid => "reveal-bid",
            Self::Award => "award",
            Self::ReleaseAuction => "release-auction",
            Self::WithdrawBid => "withdraw-bid",
            Self::Run => "run",
            Self::Publish => "publish",
            Self::SubmitResult => "submit-result",
            Self::Verify => "verify",
            Self::Accept => "accept",
            Self::Settle => "settle",
            Self::Lapse => "lapse",
            Self::RetryCallback => "retry-callback",
            Self::GiveUp => "give-up",
        }
    }

    /// Whether the step is a command to the market or the auction, which a reorganisation can undo.
    #[must_use]
    pub const fn is_command(self) -> bool {
        !matches!(self, Self::FetchSpec | Self::TryOrder | Self::FetchInputs | Self::Run | Self::Publish | Self::Verify)
    }

    /// The steps whose commands bind a provider to a job that is open: whoever has sent one and goes away loses money by it, if it lands.
    pub const BINDING: [Self; 2] = [Self::Lock, Self::CommitBid];

    /// Whether the step is a command to the auction that may change what a bidder has in its account there.
    pub(super) const fn moves_bid_money(self) -> bool {
        matches!(self, Self::CommitBid | Self::RevealBid | Self::Award | Self::ReleaseAuction)
    }

    /// How often it is tried, after such a failure, before it has failed for good; `None`: as long as it makes sense.
    #[must_use]
    pub fn max_attempts(self, failure: &Failure) -> Option<u32> {
        match self {
            Self::Run if failure.is_own() => Some(OWN_FAULT_ATTEMPTS),
            Self::TryOrder | Self::Lock if failure.is_payers() => Some(UNPAID_ATTEMPTS),
            Self::FetchSpec | Self::FetchInputs => Some(6),
            Self::Run => Some(3),
            Self::Verify => Some(24),
            // Each costs its sender the gas of the callback.
            Self::RetryCallback => Some(10),
            _ => None,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What a step is about. As text, and so wherever it is stored, a job is its id (`0x` and 64 hex digits), and a party is `party/`
/// and its address in lower case: keys of steps begin with it, so it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Subject {
    Job(JobId),
    /// The party itself, whichever jobs it has.
    Party(Address),
}

/// What a party's text begins with.
const PARTY: &str = "party/";

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(job) => job.fmt(f),
            Self::Party(party) => write!(f, "{PARTY}{party:#x}"),
        }
    }
}

/// A text that names no [`Subject`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a job's id (0x and 64 hex digits) nor a party (`party/`, 0x and 40 hex digits)")]
pub struct UnknownSubject(String);

impl FromStr for Subject {
    type Err = UnknownSubject;

    fn from_str(text: &str) -> Result<Self, UnknownSubject> {
        let subject = match text.strip_prefix(PARTY) {
            Some(party) => party.parse().map(Self::Party).ok(),
            None => text.parse::<B256>().map(|job| Self::Job(JobId(job))).ok(),
        };
        // One text for each: no other case, and no digits without 0x.
        subject.filter(|subject| subject.to_string() == text).ok_or_else(|| UnknownSubject(text.to_owned()))
    }
}

impl TryFrom<String> for Subject {
    type Error = UnknownSubject;

    fn try_from(text: String) -> Result<Self, UnknownSubject> {
        text.parse()
    }
}

impl From<Subject> for String {
    fn from(subject: Subject) -> Self {
        subject.to_string()
    }
}

/// One attempt at a step, for the party whose agent it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepKey {
    pub subject: Subject,
    pub step: Step,
    /// How often the subject's events were folded anew when it began: what a step came to before a reorganisation says nothing
    /// about the one that begins after it.
    pub round: u32,
    /// Which attempt it is, from 1.
    pub attempt: u32,
}

impl StepKey {
    /// The job, if the step is about one.
    #[must_use]
    pub const fn job(&self) -> Option<JobId> {
        match self.subject {
            Subject::Job(job) => Some(job),
            Subject::Party(_) => None,
        }
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.subject {
            Subject::Job(job) => write!(f, "{} of job {job}", self.step),
            Subject::Party(party) => write!(f, "{} of party {party}", self.step),
        }
    }
}

/// Where a step stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// It was asked for, and there is no answer yet.
    InFlight {
        /// Which attempt this is, from 1.
        attempt: u32,
        /// The round it began in: see [`StepKey::round`].
        #[serde(default)]
        round: u32,
    },
    /// It is done.
    Done,
    /// The command landed; its event has not been read yet. Should it stay away, a reorganisation may have undone the command:
    /// it is submitted again under the same key, which does nothing if it is still there.
    Landed {
        /// Attempts so far.
        attempts: u32,
        /// When it is submitted again.
        until: Time,
    },
    /// It failed and is tried again at a time.
    Waiting {
        /// Attempts so far.
        attempts: u32,
        /// When it is tried again.
        until: Time,
        /// Why it failed.
        failure: Failure,
    },
    /// It failed for good.
    Failed { failure: Failure },
}

/// What a run came to, as far as the market is concerned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunReport {
    /// Exit code.
    pub exit_code: u32,
    /// Fuel used.
    pub fuel_used: u64,
    /// How it ended, for a person.
    pub ended: String,
    /// Whether everybody who runs the job comes to the same end. Not so for a run that the clock ended.
    #[serde(default = "yes")]
    pub reproducible: bool,
    /// Wall time, in milliseconds.
    pub wall_ms: u64,
}

const fn yes() -> bool {
    true
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepOutcome {
    /// A command landed, or a local step without a product is done.
    Ok,
    /// The spec's bytes ([`Step::FetchSpec`]), verified against the terms' digest.
    Spec(Bytes),
    /// The program ran ([`Step::Run`]).
    Ran(RunReport),
    /// The output is published ([`Step::Publish`]).
    Published(JobResult),
    /// It failed.
    Err(Failure),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_has_one_text_and_a_jobs_is_what_journals_hold() {
        let job = Subject::Job(JobId(B256::repeat_byte(0xab)));
        let party = Subject::Party(Address::repeat_byte(0xcd));
        for (subject, text) in
            [(job, format!("0x{}", "ab".repeat(32))), (party, format!("party/0x{}", "cd".repeat(20)))]
        {
            assert_eq!(subject.to_string(), text);
            assert_eq!(text.parse(), Ok(subject));
            let stored = serde_json::to_string(&subject).expect("encodes");
            assert_eq!(stored, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<Subject>(&stored).expect("reads back"), subject);
        }
        // The beginning of a key that a journal of an earlier version holds.
        let (begin, step) = "0x00000000000000000000000000000000000000000000000000000000000000ff/submit-result"
            .split_once('/')
            .expect("it has a step");
        let mut id = B256::ZERO;
        id.0[31] = 0xff;
        assert_eq!((begin.parse(), step), (Ok(Subject::Job(JobId(id))), Step::SubmitResult.name()));
        for wrong in ["", "party/", "0x", &"ab".repeat(32), &format!("0x{}", "AB".repeat(32)), &"cd".repeat(20)] {
            assert_eq!(wrong.parse::<Subject>(), Err(UnknownSubject(wrong.to_owned())));
        }
    }
}
