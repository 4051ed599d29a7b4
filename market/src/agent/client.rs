//! What a client does about its job.

use super::{Agent, Effect, Job, Step};
use crate::model::Status;

impl Agent {
    /// Takes a client's next step, if there is one.
    pub(super) fn advance_order(&mut self, job: &mut Job, effects: &mut Vec<Effect>) {
        let Some(order) = &job.order else { return };
        let cancel = order.cancel;
        match job.view.status {
            Status::None => self.begin(job, Step::Open, effects),
            Status::Open if cancel => self.begin(job, Step::Cancel, effects),
            Status::Open | Status::Locked => self.end_when_overdue(job, Step::Expire, effects),
            // Accepted once the output is here and verified. If it cannot be had, the client lets the review window lapse: it
            // cannot refuse a result without an arbiter.
            Status::Submitted => {
                if job.is_done(Step::Verify) {
                    self.begin(job, Step::Accept, effects);
                } else {
                    self.begin(job, Step::Verify, effects);
                }
            }
            Status::Disputed => self.end_when_overdue(job, Step::Lapse, effects),
            Status::Settled => self.begin(job, Step::Verify, effects),
            Status::Cancelled | Status::Slashed | Status::Void => {}
        }
        if job.view.callback_pending {
            self.begin(job, Step::RetryCallback, effects);
        }
    }

    fn end_when_overdue(&mut self, job: &mut Job, step: Step, effects: &mut Vec<Effect>) {
        if let Some(deadline) = job.view.deadline()
            && self.reached(job, deadline.after(1))
        {
            self.begin(job, step, effects);
        }
    }
}
