//! A party's record of one job.

use std::collections::BTreeMap;

use alloy_primitives::Bytes;
use serde::{Deserialize, Serialize};

use super::{Bid, Failure, JobView, Pace, Refusal, Resources, RunReport, Step, StepState, provider};
use crate::{
    AttoFil, Time,
    model::{JobId, JobResult},
};

/// Everything a party knows about a job: what is stored. `view` comes from the market and can be folded again, the rest was
/// found out locally and stays true whatever becomes of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What the market's events say.
    pub view: JobView,
    /// This party's order, if it is the client and asked for it here.
    pub order: Option<Order>,
    /// This party's work, if it is a provider.
    pub work: Option<Work>,
    /// This party's bid, if the job is auctioned and it bids.
    #[serde(default)]
    pub bid: Option<Bid>,
    /// Where each step stands that was begun.
    pub steps: BTreeMap<Step, StepState>,
    /// How often the events were folded anew.
    #[serde(default)]
    pub round: u32,
}

impl Job {
    /// A job of which nothing but its events is known.
    #[must_use]
    pub const fn new(view: JobView) -> Self {
        Self { view, order: None, work: None, bid: None, steps: BTreeMap::new(), round: 0 }
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

    /// Why a step failed for good, if it did.
    #[must_use]
    pub fn failed(&self, step: Step) -> Option<&Failure> {
        match self.steps.get(&step) {
            Some(StepState::Failed { failure }) => Some(failure),
            _ => None,
        }
    }

    /// The last thing that went wrong and has not been put right, with its step.
    #[must_use]
    pub fn problem(&self) -> Option<(Step, &Failure)> {
        self.steps.iter().rev().find_map(|(step, state)| match state {
            StepState::Failed { failure } | StepState::Waiting { failure, .. } => Some((*step, failure)),
            StepState::InFlight { .. } | StepState::Landed { .. } | StepState::Done => None,
        })
    }

    /// It is `now`, and may have been later before: a reorganisation can put earlier blocks in the place of those that it undoes. Nothing
    /// waits longer than if it had begun to wait now, and what was too late and is not any more is open again. Says whether the
    /// record is another now.
    pub(super) fn turn_back(&mut self, now: Time, pace: &Pace) -> bool {
        let mut is_changed = false;
        for state in self.steps.values_mut() {
            let (until, longest) = match state {
                StepState::Waiting { attempts, until, .. } => (until, pace.backoff(*attempts)),
                StepState::Landed { until, .. } => (until, pace.recheck()),
                StepState::InFlight { .. } | StepState::Done | StepState::Failed { .. } => continue,
            };
            let latest = now.after(longest);
            is_changed |= *until > latest;
            *until = latest.min(*until);
        }
        let before = self.steps.len();
        self.steps.retain(|step, state| {
            let StepState::Failed { failure } = state else { return true };
            // Who asked for a job was told that it could not be opened: that stays true.
            *step == Step::Open || failure.too_late_after().is_none_or(|until| until < now)
        });
        is_changed |= self.steps.len() != before;
        if let Some(work) = &mut self.work
            && provider::may_be_in_time(&self.view, work, now)
        {
            work.decision = Decision::Considering;
            // What it needs may have been let go of.
            if self.steps.get(&Step::FetchInputs) == Some(&StepState::Done) {
                self.steps.remove(&Step::FetchInputs);
            }
            is_changed = true;
        }
        is_changed
    }

    /// Whether a step is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.steps.values().any(|state| matches!(state, StepState::InFlight { .. }))
    }

    /// Whether it is an order that waits for its payer to bring money.
    pub(super) fn is_aside(&self) -> bool {
        [Step::TryOrder, Step::Lock]
            .iter()
            .any(|step| matches!(self.steps.get(step), Some(StepState::Waiting { failure, .. }) if failure.is_payers()))
    }

    /// Whether the client was called back, or called often enough.
    pub(super) fn is_called_back(&self) -> bool {
        !self.view.callback_pending || self.failed(Step::RetryCallback).is_some()
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
    /// Of an order: when its price first is worth that, once it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worth_from: Option<Time>,
    /// What it keeps free for the job while that runs, once that is known.
    #[serde(default)]
    pub needs: Resources,
    /// What it bid with the job's matcher: an award is its work then.
    #[serde(default)]
    pub bid: Option<AttoFil>,
    /// What the run came to.
    pub report: Option<RunReport>,
    /// How often it was run again because nobody could have confirmed how it ended.
    #[serde(default)]
    pub reruns: u32,
    /// What was published.
    pub result: Option<JobResult>,
    /// It was slashed for the job, for good, and took note of that.
    #[serde(default = "noted")]
    pub slash_noted: bool,
}

/// Records of earlier versions are of jobs before it mattered.
const fn noted() -> bool {
    true
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
