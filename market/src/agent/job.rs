//! A party's record of one job.

use std::collections::BTreeMap;

use alloy_primitives::Bytes;
use serde::{Deserialize, Serialize};

use super::{JobView, Refusal, Resources, RunReport, Step, StepState};
use crate::{
    AttoFil,
    model::{JobId, JobResult},
};

/// Everything a party knows about a job; what the shell stores. `view` comes from the market and can be folded again, the
/// rest was found out locally and stays true whatever becomes of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What the market's events say.
    pub view: JobView,
    /// This party's order, if it is the client and asked for it here.
    pub order: Option<Order>,
    /// This party's work, if it is a provider.
    pub work: Option<Work>,
    /// Where each step stands that was begun.
    pub steps: BTreeMap<Step, StepState>,
}

impl Job {
    pub(super) fn new(view: JobView) -> Self {
        Self { view, order: None, work: None, steps: BTreeMap::new() }
    }

    /// Its id.
    #[must_use]
    pub const fn id(&self) -> JobId {
        self.view.id
    }

    /// The spec's bytes, if they are known.
    #[must_use]
    pub fn spec_bytes(&self) -> Option<&Bytes> {
        if !self.view.spec.is_empty() {
            return Some(&self.view.spec);
        }
        let from_order = self.order.as_ref().map(|order| &order.spec);
        let from_work = self.work.as_ref().map(|work| &work.spec);
        from_order.into_iter().chain(from_work).find(|bytes| !bytes.is_empty())
    }

    /// Whether a step is done.
    #[must_use]
    pub fn is_done(&self, step: Step) -> bool {
        matches!(self.steps.get(&step), Some(StepState::Done))
    }

    /// The last thing that went wrong and has not been put right, with its step.
    #[must_use]
    pub fn problem(&self) -> Option<(Step, &str)> {
        self.steps.iter().rev().find_map(|(step, state)| match state {
            StepState::Failed { problem } | StepState::Waiting { problem, .. } => Some((*step, problem.as_str())),
            StepState::InFlight { .. } | StepState::Landed { .. } | StepState::Done => None,
        })
    }
}

/// A client's order for a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Order {
    /// The spec's bytes.
    pub spec: Bytes,
    /// Money from outside the market that is sent along with the opening.
    pub value: AttoFil,
    /// The client wants it cancelled.
    pub cancel: bool,
}

/// A provider's work on a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Work {
    /// The spec's bytes, if they had to be fetched.
    pub spec: Bytes,
    /// What this provider decided.
    pub decision: Decision,
    /// What this provider asks for running it, once that is known.
    pub asking: AttoFil,
    /// What it keeps free for the job while that runs, once that is known.
    #[serde(default)]
    pub needs: Resources,
    /// What the run came to.
    pub report: Option<RunReport>,
    /// What was published.
    pub result: Option<JobResult>,
}

/// What a provider decided about a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// It is still looking: spec, module and inputs are being fetched and checked.
    #[default]
    Considering,
    /// It wants the job, and waits for the price to rise, a slot or money.
    Wanted,
    /// It does not want the job.
    Refused(Refusal),
    /// It got the job.
    Won,
    /// Somebody else got it, or it ended before.
    Lost,
}
