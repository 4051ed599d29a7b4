//! What providers decide about jobs.

use lota_market::Address;
use serde::{Deserialize, Serialize};

use crate::Verdict;

/// What a provider decided about a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Decision {
    pub provider: Address,
    /// A name for it, if it gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    pub decision: Verdict,
    /// Why, in words.
    pub reason: String,
    /// How the program ended, if this provider ran it: what follows on "the program", as `exited` or `used all its fuel`. An
    /// exit code alone does not tell: a program may exit with those that stand for other ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
}
