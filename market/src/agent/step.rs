//! The steps of a job's way, and what they come to.

use core::fmt;

use alloy_primitives::Bytes;
use serde::{Deserialize, Serialize};

use crate::{
    model::{JobResult, Rejection},
    time::Time,
};

/// One step of a job's way, done by one party. Its name is the end of its effect key, so it never changes its meaning.
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
    /// Provider: fetch module and inputs, verify them, and check that the module can run.
    FetchInputs,
    /// Provider: lock it.
    Lock,
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
}

impl Step {
    /// The step's name in effect keys and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Cancel => "cancel",
            Self::Expire => "expire",
            Self::FetchSpec => "fetch-spec",
            Self::FetchInputs => "fetch-inputs",
            Self::Lock => "lock",
            Self::Run => "run",
            Self::Publish => "publish",
            Self::SubmitResult => "submit-result",
            Self::Verify => "verify",
            Self::Accept => "accept",
            Self::Settle => "settle",
            Self::Lapse => "lapse",
            Self::RetryCallback => "retry-callback",
        }
    }

    /// Whether the step is a command to the market, which a reorganisation can undo.
    #[must_use]
    pub const fn is_command(self) -> bool {
        !matches!(self, Self::FetchSpec | Self::FetchInputs | Self::Run | Self::Publish | Self::Verify)
    }

    /// How often it is tried before the agent gives up; `None`: as long as it makes sense.
    #[must_use]
    pub const fn max_attempts(self) -> Option<u32> {
        match self {
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

/// Where a step stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// The shell was asked to do it and has not answered.
    InFlight {
        /// Which attempt this is, from 1.
        attempt: u32,
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
        problem: String,
    },
    /// It failed for good.
    Failed {
        /// Why.
        problem: String,
    },
}

/// What a run came to, as far as the market is concerned. Its files are the shell's affair.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RunReport {
    /// Exit code.
    pub exit_code: u32,
    /// Fuel used.
    pub fuel_used: u64,
    /// How it ended, for a person.
    pub ended: String,
    /// Wall time, in milliseconds.
    pub wall_ms: u64,
}

/// What a step came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
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

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The market refuses the command.
    #[error("the market refuses: {0}")]
    Rejected(Rejection),
    /// It may work later.
    #[error("{0}")]
    Temporary(String),
    /// It will never work for this job.
    #[error("{0}")]
    Permanent(String),
}

impl Failure {
    /// Whether trying again later can help. A refusal for the state, the sender or a deadline stands: if the state on the
    /// market changes, the job's events say so and the agent decides anew.
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        match self {
            Self::Temporary(_) => true,
            Self::Permanent(_) => false,
            Self::Rejected(rejection) => {
                matches!(
                    rejection,
                    Rejection::TooEarly { .. } | Rejection::InsufficientBalance { .. } | Rejection::Reentered
                )
            }
        }
    }
}
