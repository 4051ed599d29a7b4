//! Jobs and tasks that are under way. A task is one piece of work, run by as many providers as it has replicas, in a job each.

use std::collections::HashMap;

use lota_market::{
    AttoFil, B256,
    model::{JobId, JobResult, Terms},
};

use crate::{identity::ById, queue::VirtualTime};

/// A job that has not ended.
#[derive(Clone, Debug)]
pub(super) struct JobRecord {
    pub(super) task: u64,
    /// The party that asked for it.
    pub(super) client: u32,
    pub(super) terms: Terms,
    /// In 10^9 units of fuel.
    pub(super) gigafuel: f64,
    /// When its client came to want it.
    pub(super) requested: VirtualTime,
    /// Who runs it.
    pub(super) provider: Option<u32>,
    pub(super) price: AttoFil,
    /// When its result is due.
    pub(super) due: VirtualTime,
    pub(super) result: Option<JobResult>,
    /// Parties that may still have something to do with it.
    pub(super) followers: Vec<u32>,
}

/// A task of which not all jobs have ended.
#[derive(Clone, Debug)]
pub(super) struct TaskRecord {
    /// The output that everybody comes to who runs it.
    pub(super) truth: B256,
    /// What a correct result is worth to the client, in FIL.
    pub(super) value: f64,
    /// Jobs that have not ended.
    pub(super) left: u32,
    /// Outputs that were submitted, in that order.
    pub(super) submitted: Vec<B256>,
    /// Outputs that were paid.
    pub(super) paid: Vec<B256>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    pub(super) jobs: HashMap<JobId, JobRecord, ById>,
    pub(super) tasks: HashMap<u64, TaskRecord>,
    pub(super) next_task: u64,
}

impl TaskRecord {
    /// Whether more than half of the outputs that were paid are right.
    pub(super) fn is_right(&self) -> bool {
        let right = self.paid.iter().filter(|output| **output == self.truth).count();
        2 * right > self.paid.len()
    }
}
