//! Another notary: what it answers is noted, told, and shown with the job.

use std::{convert::Infallible, time::Duration};

use serde_json::json;
use tokio::sync::broadcast::error::RecvError;

use super::{Service, ServiceError, TELL, words};
use crate::{
    alerts::AlertKind,
    desk::{Change, Decision},
    other_notary::{Answered, OtherNotary},
    outgoing::shown,
};

const ABOUT: &str = "another notary";
/// The most problems with requests that are told in a line.
const MAX_TOLD: usize = 3;

impl Service {
    /// Sends what is to be asked, polls for answers, and takes those that come, for ever.
    pub(super) async fn keep_asking(&self) -> Result<Infallible, ServiceError> {
        let Some(notary) = &self.parts.other_notary else { return std::future::pending().await };
        let asking = async {
            loop {
                self.ask(notary).await;
                tokio::time::sleep(self.parts.settings.ask_every).await;
            }
        };
        tokio::select! {
            never = asking => never,
            never = self.keep_taking(notary) => match never {},
        }
    }

    pub(super) async fn ask(&self, notary: &OtherNotary) {
        let problems = notary.advance().await;
        let more = problems.len().saturating_sub(MAX_TOLD);
        let mut told = problems.into_iter().take(MAX_TOLD).collect::<Vec<_>>().join("; ");
        if more > 0 {
            told = format!("{told}; and {more} more");
        }
        self.problem(ABOUT, (!told.is_empty()).then_some(told));
    }

    async fn keep_taking(&self, notary: &OtherNotary) -> Infallible {
        let mut answers = notary.answers();
        loop {
            // Those that came before, or too fast.
            let mut turn = self.take_answers(notary).await;
            while turn.is_ok() {
                self.problem("answers of another notary", None);
                turn = match answers.recv().await {
                    Ok(answered) => self.take_answer(notary, &answered).await,
                    Err(RecvError::Lagged(_)) => self.take_answers(notary).await,
                    Err(RecvError::Closed) => std::future::pending().await,
                };
            }
            if let Err(error) = turn {
                self.problem("answers of another notary", Some(words(&error)));
            }
            tokio::time::sleep(self.parts.settings.tick.max(Duration::from_secs(1))).await;
        }
    }

    pub(super) async fn take_answers(&self, notary: &OtherNotary) -> Result<(), ServiceError> {
        for answered in notary.answered(&self.parts.blessing.blessing()).await {
            self.take_answer(notary, &answered).await?;
        }
        Ok(())
    }

    /// Notes an answer, and tells of it, once.
    async fn take_answer(&self, notary: &OtherNotary, answered: &Answered) -> Result<(), ServiceError> {
        let Answered { job, round, answer, key } = answered;
        let (server, is_granted) = (notary.server(), answer.decision == Decision::Granted);
        let verb = if is_granted { "granted" } else { "refused" };
        let what = match &answer.amount {
            Some(amount) if is_granted => format!("{amount} of its own unit "),
            _ => String::new(),
        };
        let mut text = format!("The notary at {server} {verb} {what}for job {job}.");
        if !answer.reason.is_empty() {
            text = format!("{text} It says: {}", shown(&answer.reason));
        }
        let details = json!({
            "round": round, "server": server, "key": key, "request": answer.request, "decision": answer.decision,
            "amount": answer.amount, "transaction": answer.transaction.as_deref().map(shown), "at": answer.at,
        });
        let alert = self.alert(
            format!("{job}/{round}/answer"),
            self.clock(),
            AlertKind::Answered,
            Some(*job),
            text,
            details.clone(),
        );
        let mut noted = details;
        noted["transaction"] = json!(answer.transaction);
        noted["reason"] = json!(answer.reason);
        let note =
            self.note_of(if key.is_empty() { server } else { key.clone() }, "another notary answered", job, noted);
        if self.store.keep_answer(answer.request, note, (&alert, &self.destinations)).await? {
            self.write_audit_log().await?;
            self.wake(TELL);
            self.changed(Change::Job(*job));
        }
        Ok(())
    }
}
