//! What an agent wants done.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::Step;
use crate::{
    AttoFil,
    model::{Command, JobId},
};

/// The deterministic name of an effect: performing an effect again under the same key is harmless. Printable ASCII, at most
/// [`EffectKey::MAX_LEN`] bytes, such as `0x5c…/lock`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectKey(String);

impl EffectKey {
    /// The longest key, in bytes.
    pub const MAX_LEN: usize = 128;

    /// The key of a step of a job.
    #[must_use]
    pub fn of_job(job: JobId, step: &str) -> Self {
        Self::named(&format!("{job}/{step}"))
    }

    /// A key by name; what is not printable ASCII becomes `-`, and the end is cut off after [`EffectKey::MAX_LEN`] bytes.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(name.chars().take(Self::MAX_LEN).map(|c| if c.is_ascii_graphic() { c } else { '-' }).collect())
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Something that the shell is to do. Each effect belongs to a step of a job; doing it twice is harmless, and its outcome goes
/// back to the agent as [`Input::Done`](super::Input::Done).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Do this step of this job now.
    Do {
        /// The job.
        job: JobId,
        /// The step; what it needs is in the job's record.
        step: Step,
    },
    /// Get this command to the market, under this key.
    Submit {
        /// The job.
        job: JobId,
        /// The step it is for.
        step: Step,
        /// Its key.
        key: EffectKey,
        /// The command.
        command: Box<Command>,
        /// Money from outside the market to send along.
        value: AttoFil,
    },
    /// The job is over for this party: nothing of it needs to be kept ready any more.
    Retire {
        /// The job.
        job: JobId,
    },
}
