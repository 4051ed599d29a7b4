//! What a notary opens: a registry is asked again about what the job reads when its answer is old, and what was given up is tried once
//! more. Of each job once in a while, so that it does not matter who says that he is a notary.

use futures::StreamExt as _;
use lota_market::model::JobId;

use super::{GATHER, Service, ServiceError, WATCH, gathering::Dated};
use crate::{desk::Change, gather, review::InputEvidence};

/// Seconds after which an answer is asked for again.
pub(super) const AGE: u64 = 60 * 60;
/// So many jobs wait for it, at most; so many are asked about in a turn, so that a registry that hangs keeps proofs waiting for two minutes
/// at most; and so many at once.
const MAX_OPENED: usize = 64;
const IN_A_TURN: usize = 4;
const AT_ONCE: usize = 2;

impl Service {
    /// Has it asked again about a job, if that is due.
    pub(super) fn ask_soon(&self, job: JobId) {
        let mut standing = self.standing();
        if standing.opened.len() < MAX_OPENED {
            standing.opened.insert(job);
        }
        drop(standing);
        self.wake(WATCH);
    }

    /// Asks again about what was opened.
    pub(super) async fn ask_about_opened(&self) -> Result<(), ServiceError> {
        let opened: Vec<JobId> = {
            let mut standing = self.standing();
            (0..IN_A_TURN).map_while(|_| standing.opened.pop_first()).collect()
        };
        let turns = opened.into_iter().filter(|job| self.may_try(&name(*job))).map(|job| self.ask_again(job));
        let outcomes: Vec<Result<(), ServiceError>> =
            futures::stream::iter(turns).buffer_unordered(AT_ONCE).collect().await;
        outcomes.into_iter().collect()
    }

    async fn ask_again(&self, job: JobId) -> Result<(), ServiceError> {
        let Some(kept) = self.history.settled_job(job).await? else { return Ok(()) };
        let known = self.gathered(job).await?.inputs;
        let due = known.as_ref().map(|known| known.at.after(AGE)).filter(|due| *due > self.clock());
        if let Some(due) = due {
            self.try_at(&name(job), due);
            return Ok(());
        }
        if let (Some(known), Some(spec)) = (known, gather::spec_of(&kept)) {
            let found = self.parts.sources.inputs(gather::inputs_of(&spec)).await;
            // What was answered is not unsaid by a registry that does not answer now; how old it is, is shown.
            if is_answered(&found) || !is_answered(&known.found) {
                let dated = Dated { at: self.clock(), found };
                self.keep(&kept, |gathered| gathered.inputs = Some(dated)).await?;
            }
        }
        // Tried as often as it is by itself, or not: notaries look at it now. What is tried anyway stays as it is.
        let gathered = self.gathered(job).await?;
        if !(gathered.has_output() && gathered.has_run()) {
            self.store.gather_again(job, self.clock(), u32::MAX).await?;
            self.wake(GATHER);
        }
        self.try_at(&name(job), self.clock().after(AGE));
        self.changed(Change::Job(job));
        Ok(())
    }
}

/// Whether a registry said something of each input that it can know.
fn is_answered(inputs: &[InputEvidence]) -> bool {
    inputs.iter().all(|input| input.certainty.is_some() || input.cid.is_empty())
}

fn name(job: JobId) -> String {
    format!("what others say of {job}")
}
