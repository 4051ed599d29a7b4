//! Performing what the agent asks for. Each effect becomes a task; its outcome goes back to the loop. Performing an effect
//! again, after a crash for example, is harmless.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use lota_bridge::{Reserve, SubmitError};
use lota_market::{
    AttoFil,
    agent::{Commitments, Effect, EffectKey, Failure, Job, Outcome, Step},
    model::{Command, JobId},
};
use tokio::sync::Semaphore;

use crate::{
    local_steps::LocalSteps,
    node::Shared,
    observe,
    shell::{Inbox, Message},
    standing::Shortage,
};

/// Commands on their way at once; further ones wait.
const SUBMISSIONS: usize = 64;
/// What a temporary failure begins with when the party's money is what is missing.
pub(crate) const UNAFFORDABLE: &str = "too little money: ";

/// Turns effects into tasks.
#[derive(Clone)]
pub(crate) struct Performer {
    shared: Arc<Shared>,
    steps: LocalSteps,
    inbox: Inbox,
    submissions: Arc<Semaphore>,
    /// What the party is bound to send, with the locks that are begun now.
    reserve: Arc<Mutex<Reserve>>,
}

impl Performer {
    pub(crate) fn new(shared: Arc<Shared>, steps: LocalSteps, inbox: Inbox) -> Self {
        let submissions = Arc::new(Semaphore::new(SUBMISSIONS));
        Self { shared, steps, inbox, submissions, reserve: Arc::default() }
    }

    /// Locks are sent from now on only if the account can pay for these commands too.
    pub(crate) fn reserve(&self, Commitments { commands, callback_gas }: Commitments) {
        *self.reserve.lock().unwrap_or_else(PoisonError::into_inner) = Reserve { commands, callback_gas };
    }

    /// Begins an effect; `record` is the job's record for effects that need it.
    pub(crate) fn perform(&self, effect: Effect, record: Option<Job>) {
        let this = self.clone();
        let stop = self.shared.stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = this.perform_to_end(effect, record) => {}
                () = stop.cancelled() => {}
            }
        });
    }

    async fn perform_to_end(&self, effect: Effect, record: Option<Job>) {
        let (job, step, outcome) = match effect {
            Effect::Submit { job, step, key, command, value } => {
                (job, step, self.submit(step, &key, &command, value).await)
            }
            Effect::Do { job, step } => {
                let Some(record) = record else { return };
                (job, step, self.steps.perform(&record, step).await.unwrap_or_else(Outcome::Err))
            }
            Effect::Retire { job } => {
                self.steps.retire(job);
                return;
            }
        };
        let outcome = match outcome {
            Outcome::Err(failure) => Outcome::Err(self.public(job, step, failure)),
            outcome => outcome,
        };
        self.inbox.send(Message::Done { job, step, outcome }).await;
    }

    async fn submit(&self, step: Step, key: &EffectKey, command: &Command, value: AttoFil) -> Outcome {
        let Ok(_place) = self.submissions.acquire().await else {
            return Outcome::Err(Failure::Temporary("the node is ending".to_owned()));
        };
        let reserve = match step {
            Step::Lock => *self.reserve.lock().unwrap_or_else(PoisonError::into_inner),
            _ => Reserve::default(),
        };
        match self.shared.transport.submit_with_reserve(key, command, value, reserve).await {
            Ok(_) => Outcome::Ok,
            Err(SubmitError::Rejected(rejection)) => Outcome::Err(Failure::Rejected(rejection)),
            Err(error @ SubmitError::Unaffordable { account, wallet, needed }) => {
                // Of a job that a person opens, they are told at once.
                if step != Step::Open {
                    self.shared.standing.short_of_gas(Shortage { account, wallet, needed });
                }
                Outcome::Err(Failure::Temporary(format!("{UNAFFORDABLE}{error}")))
            }
            // A node that is confused, or a transaction that failed and would not now: to give up could cost the collateral.
            // A person who opens a job is told at once.
            Err(error @ SubmitError::Failed(_)) if step != Step::Open => {
                Outcome::Err(Failure::Temporary(error.to_string()))
            }
            // Whatever is wrong with the market's node or with what is kept here, it is not this job that is wrong.
            Err(SubmitError::Transport(error)) => Outcome::Err(Failure::Temporary(error.to_string())),
            Err(error) => Outcome::Err(Failure::Permanent(error.to_string())),
        }
    }

    /// A failure as everybody may read it: with no path of this machine.
    fn public(&self, job: JobId, step: Step, failure: Failure) -> Failure {
        let public = match &failure {
            Failure::Temporary(problem) => Failure::Temporary(conceal(problem, &self.shared.config.dir)),
            Failure::Permanent(problem) => Failure::Permanent(conceal(problem, &self.shared.config.dir)),
            Failure::Rejected(_) => return failure,
        };
        if public != failure {
            observe::concealed(&self.shared.config.name, job, step, &failure);
        }
        public
    }

    /// What a job's record says now.
    pub(crate) fn changed(&self, job: &Job) {
        self.steps.abort_if_lost(job);
    }

    /// The record of the job is gone.
    pub(crate) fn forget(&self, job: JobId) {
        self.steps.forget(job);
    }
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
