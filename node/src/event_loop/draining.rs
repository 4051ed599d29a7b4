//! What a node that is about to end must see through first.

use lota_bridge::Cursor;
use lota_market::{agent::EffectKey, model::JobId};

use super::EventLoop;
use crate::{observe, store::StoreError};

/// The newest block of which everything lies below a position.
pub(super) fn whole_blocks(position: Option<Cursor>) -> u64 {
    position.map_or(0, |cursor| cursor.block.saturating_sub(1))
}

impl EventLoop {
    /// How many jobs the node finishes before it ends: those that the party is bound to and, when there are none, those that it may yet
    /// be bound to. A lock or a sealed bid that the agent waits for no more, since a reorganisation undid it or nobody knew what
    /// became of it, may be in the pools of the chain's nodes, and then it lands whether this node is there or not. Nothing is done
    /// about it but to stay until it has landed, and the job is done, or until it cannot any more: a transaction that replaces it could
    /// come too late as well.
    pub(super) async fn unfinished(&self) -> Result<usize, StoreError> {
        let bound = self.agent.bound();
        if bound > 0 || self.binding > 0 {
            return Ok(bound.max(self.binding.min(1)));
        }
        let seen = self.taken_in.min(self.parts.health.finalized());
        let outstanding = match self.parts.transport.outstanding(seen).await {
            Ok(outstanding) => outstanding,
            Err(error) => {
                observe::outstanding_unknown(&self.parts.name, &error);
                return Ok(1);
            }
        };
        let mut jobs: Vec<JobId> = Vec::new();
        for (id, step) in outstanding.keys.iter().filter_map(EffectKey::binding) {
            let stored = match self.agent.job(id) {
                Some(_) => None,
                None => self.parts.store.job(id).await?,
            };
            let job = self.agent.job(id).or(stored.as_ref());
            if job.is_some_and(|job| self.agent.may_yet_be_bound(job, step, outstanding.final_time)) {
                jobs.push(id);
            }
        }
        jobs.sort_unstable();
        jobs.dedup();
        Ok(jobs.len())
    }
}
