//! What a client does about a job that it ordered.

use super::{Job, Order, Step, context::Context};
use crate::{Address, model::Status};

/// Takes a client's next step, if there is one.
pub(super) fn advance(order: &Order, cx: &mut Context<'_>) {
    match cx.view.status {
        Status::None => cx.begin(Step::Open),
        // What is directed to somebody, only they can cancel; an auction does it for its client.
        Status::Open if order.cancel && may_cancel(cx) => cx.begin(Step::Cancel),
        Status::Open | Status::Locked => cx.begin_when_overdue(Step::Expire, 0),
        // It is paid as soon as it is submitted: the next event says so.
        Status::Submitted if !cx.view.terms.has_arbiter() => {}
        // Accepted once the output is here and verified. If it cannot be had, the client lets the review window lapse: the
        // arbiter refuses results, not the client.
        Status::Submitted => cx.begin(if cx.is_done(Step::Verify) { Step::Accept } else { Step::Verify }),
        Status::Disputed => cx.begin_when_overdue(Step::Lapse, 0),
        Status::Settled => cx.begin(Step::Verify),
        Status::Cancelled | Status::Slashed | Status::Void => {}
    }
    if cx.view.callback_pending {
        cx.retry_callback();
    }
}

fn may_cancel(cx: &Context<'_>) -> bool {
    let matcher = cx.view.terms.matcher;
    let is_auction = cx.situation.auction.is_some_and(|auction| auction.contract == matcher);
    is_auction || [Address::ZERO, cx.situation.me].contains(&matcher)
}

/// Whether the client needs nothing more of its job, unless something happens to it.
pub(super) fn is_quiet(job: &Job) -> bool {
    match job.view.status {
        Status::None => job.failed(Step::Open).is_some(),
        Status::Settled => job.is_called_back() && (job.is_done(Step::Verify) || job.failed(Step::Verify).is_some()),
        status => status.is_final() && job.is_called_back(),
    }
}
