//! What runs that failed left with the daemon.

use std::collections::VecDeque;

use lota_api::{JobQuery, LabelFilter};
use lota_market::model::Status;

use super::job::LABEL;
use crate::{
    api::{Api, ApiFailure},
    context::Context,
};

/// The most that are remembered: who does without a daemon for longer has lost the others to the market, which gives back what is
/// in escrow when the time to take them is over.
const MOST: usize = 100;
/// How often one is looked for that the daemon does not know: its opening may have been on its way.
const ATTEMPTS: u32 = 5;

/// Jobs of runs that failed, by the values of their labels, and how often each was looked for in vain.
#[derive(Debug, Default)]
pub(super) struct Leftovers(VecDeque<(String, u32)>);

impl Leftovers {
    /// Another.
    pub(super) fn add(&mut self, nonce: String) {
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((nonce, 0));
    }

    /// Withdraws what is still open, and lets go of outputs that came too late. The rest stays for the next time.
    pub(super) async fn tidy(&mut self, context: &Context) -> anyhow::Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let api = context.api()?;
        for _ in 0..self.0.len() {
            let Some((nonce, attempts)) = self.0.front() else { break };
            // At the front until it is done: whoever interrupts this loses none.
            let state = look_at(&api, nonce).await?;
            let again = match state {
                State::Done => None,
                State::UnderWay => Some(0),
                State::Unknown => Some(attempts + 1).filter(|attempts| *attempts < ATTEMPTS),
            };
            let entry = self.0.pop_front();
            if let (Some((nonce, _)), Some(attempts)) = (entry, again) {
                self.0.push_back((nonce, attempts));
            }
        }
        Ok(())
    }
}

/// What is with a job now.
enum State {
    /// It is over, and nothing of it is kept.
    Done,
    /// It is not over.
    UnderWay,
    /// The daemon knows no such job.
    Unknown,
}

async fn look_at(api: &Api, nonce: &str) -> anyhow::Result<State> {
    let label = LabelFilter { name: LABEL.to_owned(), value: Some(nonce.to_owned()) };
    let page = api.jobs(&JobQuery { labels: vec![label], limit: Some(1), ..JobQuery::default() }).await?;
    let Some(job) = page.jobs.first() else { return Ok(State::Unknown) };
    let id = job.id.to_string();
    match job.status {
        // If a provider is faster, it is looked at again.
        Status::Open => Ok(if api.cancel(&id).await.is_ok() { State::Done } else { State::UnderWay }),
        Status::Settled if job.output_verified => match api.release_output(&id).await {
            Err(error) if !ApiFailure::is_not_found(&error) => Err(error),
            _ => Ok(State::Done),
        },
        status if status.is_final() => Ok(State::Done),
        _ => Ok(State::UnderWay),
    }
}
