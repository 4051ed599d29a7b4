//! What providers decide about jobs: what this one says to whoever asks, and what others say when they are asked.

use std::{sync::Arc, time::Duration};

use lota_api::{Decision, Verdict};
use lota_content::fetch::Fetcher;
use lota_market::{
    Address, AttoFil,
    agent::{Decision as Decided, Job, Step, StepState},
    asset::Asset,
    model::JobId,
};

use crate::{
    health::Health,
    offers::{MOST_ASKED, Offers},
};

/// The largest answer about a decision that is read, in bytes.
const MAX_ANSWER: usize = 16 << 10;
/// How long another party may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Tells what this provider decided, and asks others.
pub(crate) struct Decisions {
    pub(crate) party: Address,
    /// The node's name.
    pub(crate) name: String,
    pub(crate) health: Arc<Health>,
    /// Who is known to provide is asked first.
    pub(crate) offers: Arc<Offers>,
    pub(crate) fetcher: Fetcher,
    /// What the market's amounts are in.
    pub(crate) asset: Asset,
}

impl Decisions {
    /// What this provider decided, for whoever asks.
    pub(crate) fn of_this_provider(&self, job: &Job) -> Option<Decision> {
        let work = job.work.as_ref()?;
        let lock_problem = match job.steps.get(&Step::Lock) {
            Some(StepState::Waiting { failure, .. } | StepState::Failed { failure }) => {
                Some(failure.words(&self.asset))
            }
            _ => None,
        };
        let show = |amount| self.asset.show(amount);
        let (asking, price) = (show(work.asking), show(job.view.price));
        let (decision, reason) = match &work.decision {
            Decided::Considering => {
                let reason = job.problem().map_or_else(
                    || "fetching and checking spec, module and inputs".to_owned(),
                    |(step, problem)| format!("{step}: {}", problem.words(&self.asset)),
                );
                (Verdict::Considering, reason)
            }
            Decided::Wanted => {
                let reason = match (self.health.suspended(), lock_problem) {
                    (Some(job), _) => {
                        format!("asks {asking}; was slashed for job {job} and waits for its operator")
                    }
                    (None, Some(problem)) => problem,
                    (None, None) => format!("asks {asking}; waits for that price and a free slot"),
                };
                (Verdict::Waiting, reason)
            }
            Decided::Refused(refusal) => (Verdict::Refused, refusal.words(&self.asset)),
            Decided::Won => {
                let reason = work.report.as_ref().map_or_else(
                    || format!("asked {asking} and locked it at {price}"),
                    |report| {
                        format!(
                            "asked {asking}, locked it at {price}; the program {} after {} ms",
                            report.ended, report.wall_ms
                        )
                    },
                );
                (Verdict::Won, reason)
            }
            Decided::Lost if job.view.provider == Address::ZERO => {
                let reason = job.problem().map_or_else(
                    || format!("asked {asking}; the job ended before"),
                    |(step, problem)| {
                        format!("the job ended before it was ready ({step}: {})", problem.words(&self.asset))
                    },
                );
                (Verdict::Lost, reason)
            }
            Decided::Lost if work.asking == AttoFil::ZERO => (Verdict::Lost, "another provider was first".to_owned()),
            Decided::Lost => (Verdict::Lost, format!("asked {asking}; another provider took it at {price}")),
        };
        Some(Decision {
            provider: self.party,
            name: Some(self.name.clone()),
            decision,
            reason,
            ended: work.report.as_ref().map(|report| report.ended.clone()),
        })
    }

    /// Asks those who announced a gateway what they decided, known providers first; those who are no providers say that they know
    /// of nothing.
    pub(crate) async fn of_all(&self, job: &Job, parties: &[(Address, String)]) -> Vec<Decision> {
        let me = self.party;
        let mut others: Vec<_> =
            parties.iter().filter(|(who, _)| *who != me && *who != job.view.terms.client).collect();
        others.sort_by_key(|(who, _)| !self.offers.is_provider(who));
        let asked = others.into_iter().take(MOST_ASKED).map(|(who, url)| self.ask(*who, url, job.id()));
        let mut decisions: Vec<Decision> =
            self.of_this_provider(job).into_iter().filter(|_| job.view.terms.client != me).collect();
        decisions.extend(futures::future::join_all(asked).await.into_iter().flatten());
        decisions.sort_by_key(|decision| decision.provider);
        decisions
    }

    /// Asks another party what it decided about a job. `None`: it is no provider, or did not see the job.
    async fn ask(&self, who: Address, url: &str, job: JobId) -> Option<Decision> {
        let silent = |reason: String| {
            Some(Decision { provider: who, name: None, decision: Verdict::Silent, reason, ended: None })
        };
        let address = format!("{}/lota/v1/jobs/{job}/decision", url.trim_end_matches('/'));
        let address = match address.parse() {
            Ok(address) => address,
            Err(error) => return silent(format!("`{url}` is not a URL: {error}")),
        };
        let asked = tokio::time::timeout(PATIENCE, self.fetcher.document(&address, MAX_ANSWER)).await;
        let Ok(answer) = asked else {
            return silent(format!("its gateway {url} does not answer within {} s", PATIENCE.as_secs()));
        };
        match answer {
            Ok(None) => None,
            Ok(Some(body)) => match serde_json::from_slice::<Decision>(&body) {
                // Nobody speaks for somebody else.
                Ok(decision) => Some(Decision { provider: who, ..decision }),
                Err(error) => silent(format!("its answer makes no sense: {error}")),
            },
            Err(error) => silent(format!("its gateway {url} does not answer: {error}")),
        }
    }
}
