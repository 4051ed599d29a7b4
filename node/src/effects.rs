//! Performing what the agent asks for. Each effect becomes a task; its outcome goes back to the loop. Performing an effect
//! again, after a crash for example, is harmless.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use lota_bridge::{Reserve, SubmitError, Transport, eip712::receipt_digest};
use lota_market::{
    U256,
    agent::{AuctionSubmission, Commitments, EffectKey, Failure, Job, Seal, Step, StepKey, StepOutcome, Submission},
    auction, filecoin_pay_deals,
    model::{Command, JobId},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    health::{Health, Shortage},
    inbox::{Inbox, Message},
    local_steps::LocalSteps,
    observe,
    salts::Salts,
    store::Store,
};

/// Commands on their way at once; further ones wait.
const SUBMISSIONS: usize = 64;
/// The same of orders that are tried: strangers have a node do that, and what it sends does not wait for it.
const TRIALS: usize = 8;

/// What is to be done for a step.
enum Task {
    /// Get this to the market.
    Submit(Box<Submission>),
    /// Get this to the auction.
    Bid(Box<AuctionSubmission>),
    /// The same, if it was begun before.
    BidIfBegun(Box<AuctionSubmission>),
    /// Take this order.
    Take(Box<filecoin_pay_deals::Order>),
    /// See whether this order could be taken at this price.
    Try(Box<filecoin_pay_deals::Order>, U256),
    /// Do it here, on this record.
    Do(Box<Job>),
    /// Do nothing, for this reason.
    Refuse(String),
}

/// What commands, and what is told of failures, need.
pub(crate) struct Parts {
    /// The node's name, for its log.
    pub(crate) name: String,
    /// The node's folder, whose paths nobody is told.
    pub(crate) dir: PathBuf,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) store: Store,
    pub(crate) health: Arc<Health>,
    pub(crate) salts: Arc<Salts>,
    pub(crate) stop: CancellationToken,
}

/// Whether a step binds the party to send more: it is done only if the account can pay for that, too.
pub(crate) const fn is_reserved_for(step: Step) -> bool {
    matches!(step, Step::Lock | Step::FundBid | Step::CommitBid)
}

/// Turns effects into tasks.
#[derive(Clone)]
pub(crate) struct Performer {
    parts: Arc<Parts>,
    steps: LocalSteps,
    inbox: Inbox,
    submissions: Arc<Semaphore>,
    trials: Arc<Semaphore>,
    /// What the party is bound to send, with the locks that are begun now.
    reserve: Arc<Mutex<Reserve>>,
}

impl Performer {
    pub(crate) fn new(parts: Parts, steps: LocalSteps, inbox: Inbox) -> Self {
        let [submissions, trials] = [SUBMISSIONS, TRIALS].map(|most| Arc::new(Semaphore::new(most)));
        Self { parts: Arc::new(parts), steps, inbox, submissions, trials, reserve: Arc::default() }
    }

    /// The way to the loop.
    pub(crate) fn inbox(&self) -> Inbox {
        self.inbox.clone()
    }

    /// What the party is bound to send, as it is known from time to time.
    pub(crate) fn reserved(&self) -> Arc<Mutex<Reserve>> {
        Arc::clone(&self.reserve)
    }

    /// Locks, and what bids are begun with, are sent from now on only if the account can pay for these commands too.
    pub(crate) fn reserve(&self, Commitments { commands, callback_gas }: Commitments) {
        *self.reserve.lock().unwrap_or_else(PoisonError::into_inner) = Reserve { commands, callback_gas };
    }

    /// Begins a step of a job, of which this is the record.
    pub(crate) fn perform(&self, key: StepKey, record: &Job) {
        let task = if let Some(submission) = self.auction_submission(key.step, record) {
            Task::Bid(Box::new(submission))
        } else if let Some(order) = record.order_to_take(key.step) {
            Task::Take(Box::new(order))
        } else if let Some((order, price)) = record.order_to_try(key.step) {
            Task::Try(Box::new(order), price)
        } else if let Some(submission) = record.submission(key.step) {
            Task::Submit(Box::new(submission))
        } else {
            Task::Do(Box::new(record.clone()))
        };
        // What binds the party is not begun for a job that could not be run now.
        let away = is_reserved_for(key.step).then(|| self.steps.engine_away(record)).flatten();
        self.spawn(key, task, away);
    }

    /// Begins a step of the party's own, which moves money between it and its account in the auction.
    pub(crate) fn transfer(&self, key: StepKey, submission: AuctionSubmission, is_needed: bool) {
        let submission = Box::new(submission);
        self.spawn(key, if is_needed { Task::Bid(submission) } else { Task::BidIfBegun(submission) }, None);
    }

    /// `away`: why the step is not to be begun now; what was begun before goes on.
    fn spawn(&self, key: StepKey, task: Task, away: Option<String>) {
        let this = self.clone();
        let stop = self.parts.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = this.perform_to_end(key, task, away) => {}
                () = stop.cancelled() => {}
            }
        });
    }

    async fn perform_to_end(&self, key: StepKey, task: Task, away: Option<String>) {
        let away = match away {
            Some(why) if self.parts.transport.was_begun(&EffectKey::of(&key)).await == Ok(false) => Some(why),
            _ => None,
        };
        let task = away.map_or(task, Task::Refuse);
        let outcome = match task {
            Task::Refuse(why) => StepOutcome::Err(Failure::Temporary(why)),
            Task::Submit(submission) => self.submit(&key, &submission).await,
            Task::Bid(submission) => self.submit_to_auction(&key, &submission).await,
            Task::BidIfBegun(submission) => match self.parts.transport.was_begun(&EffectKey::of(&key)).await {
                Ok(true) => self.submit_to_auction(&key, &submission).await,
                Ok(false) => StepOutcome::Err(Failure::NeverSent),
                Err(error) => StepOutcome::Err(Failure::Temporary(error.to_string())),
            },
            Task::Take(order) => self.take_order(&key, &order).await,
            Task::Try(order, price) => self.try_order(&key, &order, price).await,
            Task::Do(record) => self.steps.perform(&record, key.step).await.unwrap_or_else(StepOutcome::Err),
        };
        let outcome = match outcome {
            StepOutcome::Err(failure) => StepOutcome::Err(self.public(&key, failure)),
            outcome => outcome,
        };
        self.inbox.send(Message::Done { key, outcome }).await;
    }

    /// The command to the auction of a step of a job that is auctioned there.
    fn auction_submission(&self, step: Step, record: &Job) -> Option<AuctionSubmission> {
        let transport = &self.parts.transport;
        let auction = transport.auction().filter(|auction| auction.contract == record.view.terms.matcher);
        auction.and_then(|_| {
            record.auction_submission(step, |job, price| {
                transport.seal(job, price).map(|sealed| Seal { nonce: sealed.nonce, commitment: sealed.commitment })
            })
        })
    }

    async fn submit_to_auction(&self, key: &StepKey, submission: &AuctionSubmission) -> StepOutcome {
        let Ok(_place) = self.submissions.acquire().await else {
            return StepOutcome::Err(Failure::Temporary("the node is ending".to_owned()));
        };
        let AuctionSubmission { command, value } = submission;
        let (transport, step, reserve) = (&self.parts.transport, key.step, self.reserve_for(key.step));
        let key = EffectKey::of(key);
        let result = match command {
            // In whatever the market is paid in.
            auction::Command::Fund => transport.fund_auction(&key, *value, reserve).await,
            _ => transport.submit_to_auction_with_reserve(&key, command, *value, reserve).await,
        };
        self.outcome(step, result.map(|_| ()))
    }

    async fn take_order(&self, key: &StepKey, order: &filecoin_pay_deals::Order) -> StepOutcome {
        let Ok(_place) = self.submissions.acquire().await else {
            return StepOutcome::Err(Failure::Temporary("the node is ending".to_owned()));
        };
        let result = self.parts.transport.take_order(&EffectKey::of(key), order, self.reserve_for(key.step)).await;
        if let Err(SubmitError::TakeFailed { rejection, block, .. }) = result {
            return StepOutcome::Err(Failure::TakeFailed { payer: order.payer, rejection, block });
        }
        self.outcome(key.step, result.map(|_| ()))
    }

    async fn try_order(&self, key: &StepKey, order: &filecoin_pay_deals::Order, price: U256) -> StepOutcome {
        let Ok(_place) = self.trials.acquire().await else {
            return StepOutcome::Err(Failure::Temporary("the node is ending".to_owned()));
        };
        self.outcome(key.step, self.parts.transport.try_order(order, price).await)
    }

    fn reserve_for(&self, step: Step) -> Reserve {
        match is_reserved_for(step) {
            true => *self.reserve.lock().unwrap_or_else(PoisonError::into_inner),
            false => Reserve::default(),
        }
    }

    async fn submit(&self, key: &StepKey, submission: &Submission) -> StepOutcome {
        let Ok(_place) = self.submissions.acquire().await else {
            return StepOutcome::Err(Failure::Temporary("the node is ending".to_owned()));
        };
        let step = key.step;
        if let (Step::Open, Command::Open { terms, .. }, Some(job)) = (step, &submission.command, key.job()) {
            match self.parts.salts.is_lost(&self.parts.store, job, terms.salt).await {
                Ok(false) => {}
                Ok(true) => {
                    let problem = "its salt was left to a later request when it could not be opened; ask for it again";
                    return StepOutcome::Err(Failure::Permanent(problem.to_owned()));
                }
                Err(error) => return StepOutcome::Err(Failure::Temporary(error.to_string())),
            }
        }
        let reserve = self.reserve_for(step);
        let Submission { command, value } = submission;
        let send =
            async |key: &EffectKey| self.parts.transport.submit_with_reserve(key, command, *value, reserve).await;
        let mut result = send(&EffectKey::of(key)).await;
        if matches!(result, Err(SubmitError::KeyReused { .. }))
            && let Some(key) = key_with_receipt(key, command)
        {
            result = send(&key).await;
        }
        if let (Err(SubmitError::CallbackFailed { block, .. }), Command::RetryCallback { terms, .. }) =
            (&result, command)
        {
            return StepOutcome::Err(Failure::CallbackFailed { client: terms.client, block: *block });
        }
        self.outcome(step, result.map(|_| ()))
    }

    /// What came of a command.
    fn outcome(&self, step: Step, result: Result<(), SubmitError>) -> StepOutcome {
        match result {
            Ok(()) => StepOutcome::Ok,
            Err(SubmitError::RejectedByAuction { rejection, block }) => {
                StepOutcome::Err(Failure::RejectedByAuction { rejection: Box::new(rejection), block })
            }
            Err(SubmitError::RejectedByFilecoinPayDeals { rejection, block }) => {
                StepOutcome::Err(Failure::RejectedByFilecoinPayDeals { rejection, block })
            }
            Err(SubmitError::Rejected { rejection, block }) => StepOutcome::Err(Failure::rejected(rejection, block)),
            Err(SubmitError::Unaffordable { account, wallet, needed }) => {
                // Of a job that a person opens, they are told at once.
                if step != Step::Open {
                    self.parts.health.short_of_gas(Shortage { account, wallet, needed });
                }
                StepOutcome::Err(Failure::Unaffordable { account, wallet, needed })
            }
            // A node that is confused, or a transaction that failed and would not now: to give up could cost the collateral.
            // A person who opens a job is told at once.
            Err(error @ SubmitError::Failed(_)) if step != Step::Open => {
                StepOutcome::Err(Failure::Temporary(error.to_string()))
            }
            // Whatever is wrong with the market's node or with what is kept here, it is not this job that is wrong.
            Err(SubmitError::Transport(error)) => StepOutcome::Err(Failure::Temporary(error.to_string())),
            Err(error) => StepOutcome::Err(Failure::Permanent(error.to_string())),
        }
    }

    /// A failure as everybody may read it: with no path of this machine.
    fn public(&self, key: &StepKey, failure: Failure) -> Failure {
        let public = match &failure {
            Failure::Temporary(problem) => Failure::Temporary(conceal(problem, &self.parts.dir)),
            Failure::Permanent(problem) => Failure::Permanent(conceal(problem, &self.parts.dir)),
            Failure::OwnFault { fault, problem } => {
                Failure::OwnFault { fault: *fault, problem: conceal(problem, &self.parts.dir) }
            }
            Failure::Rejected { .. }
            | Failure::RejectedByAuction { .. }
            | Failure::RejectedByFilecoinPayDeals { .. }
            | Failure::Unaffordable { .. }
            | Failure::TooLittleFree { .. }
            | Failure::Mismatch { .. }
            | Failure::CallbackFailed { .. }
            | Failure::ClientDropped { .. }
            | Failure::TakeFailed { .. }
            | Failure::NeverSent => return failure,
        };
        if public != failure {
            observe::concealed(&self.parts.name, key, &failure);
        }
        public
    }

    /// What a job's record says now.
    pub(crate) fn changed(&self, job: &Job) {
        self.steps.abort_if_lost(job);
    }

    /// The job is over here for good: what it needed and its work go; the output stays until the record is forgotten.
    pub(crate) fn retire(&self, job: JobId) {
        self.steps.retire(job);
    }

    /// The record of the job is gone.
    pub(crate) fn forget(&self, job: JobId) {
        self.steps.forget(job);
    }
}

/// The key of a command that is about a receipt, and whose step's key belongs to the same command about another receipt: that of
/// another fork, where another provider ran the job, or at another price. At most one of the two can take effect.
fn key_with_receipt(key: &StepKey, command: &Command) -> Option<EffectKey> {
    let (Command::Accept { receipt, .. }
    | Command::Settle { receipt, .. }
    | Command::Lapse { receipt, .. }
    | Command::RetryCallback { receipt, .. }) = command
    else {
        return None;
    };
    Some(EffectKey::named(&format!("{}/{}", EffectKey::of(key), hex::encode(receipt_digest(key.job()?, receipt)))))
}

/// Takes the paths below a directory out of a text.
fn conceal(text: &str, dir: &Path) -> String {
    let mut text = text.to_owned();
    let absolute = std::path::absolute(dir).unwrap_or_default();
    for dir in [absolute.as_path(), dir] {
        let prefix = format!("{}/", dir.display());
        while let Some(start) = text.find(&prefix) {
            let rest = &text[start + prefix.len()..];
            let ends = |c: char| c.is_whitespace() || matches!(c, ':' | ';' | ',' | '"' | '\'' | '`' | ')');
            let end = start + prefix.len() + rest.find(ends).unwrap_or(rest.len());
            text.replace_range(start..end, "a file of this provider");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_of_the_node_is_told() {
        let dir = Path::new("/home/carla/.lota/nodes/main");
        for (text, told) in [
            ("nothing to hide of the node main", "nothing to hide of the node main"),
            (
                "cannot read /home/carla/.lota/nodes/main/blocks/VM/CIQ.data: no, /home/carla/.lota/nodes/main/work",
                "cannot read a file of this provider: no, a file of this provider",
            ),
            ("(`/home/carla/.lota/nodes/main/work/inputs/0` exists)", "(`a file of this provider` exists)"),
        ] {
            assert_eq!(conceal(text, dir), told);
        }
        assert_eq!(conceal("node/work/1: full", Path::new("node")), "a file of this provider: full");
        assert_eq!(conceal("the node is full", Path::new("node")), "the node is full");
    }
}
