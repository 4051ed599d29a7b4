//! Finding out what there is to know of settled jobs.

use std::{collections::BTreeSet, convert::Infallible};

use futures::{StreamExt as _, stream::FuturesUnordered};
use lota_fil_plus::answer::Certainty;
use lota_market::{AttoFil, Time, U256, blessing::Nomination, model::JobId};
use serde::{Deserialize, Serialize};

use super::{GATHER, Service, ServiceError};
use crate::{
    desk::Change,
    elsewhere::Piece,
    gather::{self, Elsewhere},
    history::Kept,
    review::{Blessed, Check, Evidence, InputEvidence, Outcome, ReExecution, Retrieval, Risk, checks},
};

/// After so many tries it is left at what is known.
const MAX_ATTEMPTS: u32 = 20;
/// Seconds until the second try; each further one waits twice as long, at most [`LONGEST`].
const FIRST: u64 = 30;
const LONGEST: u64 = 6 * 60 * 60;
/// How many settled jobs are taken over at once.
const PAGE: u32 = 200;

/// Something that was found out, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Dated<T> {
    pub(super) at: Time,
    pub(super) found: T,
}

/// What was gathered of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gathered {
    pub(super) inputs: Option<Dated<Vec<InputEvidence>>>,
    pub(super) retrieval: Option<Dated<Retrieval>>,
    pub(super) re_execution: Option<Dated<ReExecution>>,
    pub(super) availability: Option<Dated<Vec<Evidence>>>,
    pub(super) piece: Option<Dated<Piece>>,
}

impl Gathered {
    fn has_inputs(&self) -> bool {
        let verified = |input: &InputEvidence| input.certainty == Some(Certainty::Verified) || input.cid.is_empty();
        self.inputs.as_ref().is_some_and(|inputs| inputs.found.iter().all(verified))
    }

    fn has_output(&self) -> bool {
        self.retrieval.as_ref().is_some_and(|dated| matches!(dated.found, Retrieval::Verified { .. }))
    }

    fn has_run(&self) -> bool {
        self.re_execution.as_ref().is_some_and(|dated| dated.found != ReExecution::Pending)
    }

    fn is_whole(&self) -> bool {
        self.has_inputs() && self.has_output() && self.has_run()
    }
}

impl Service {
    /// Gathers for ever, of some jobs at once.
    pub(super) async fn keep_gathering(&self) -> Result<Infallible, ServiceError> {
        let mut running = FuturesUnordered::new();
        let mut busy = BTreeSet::new();
        loop {
            let room = self.parts.settings.gather_at_once.saturating_sub(running.len());
            let due = async {
                self.import().await?;
                // Those that run are due still.
                let many = u32::try_from(room + busy.len()).unwrap_or(u32::MAX);
                Ok::<_, ServiceError>(self.store.to_gather(self.clock(), many).await?)
            }
            .await;
            match due {
                Ok(due) => {
                    self.problem("the records", None);
                    for job in due.into_iter().filter(|job| !busy.contains(job)).take(room).collect::<Vec<_>>() {
                        busy.insert(job);
                        running.push(async move { (job, self.gather(job).await) });
                    }
                }
                Err(error) => self.problem("the records", Some(super::words(&error))),
            }
            let ended = async {
                match running.next().await {
                    Some(ended) => Some(ended),
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                ended = ended => {
                    if let Some((job, outcome)) = ended {
                        busy.remove(&job);
                        if let Err(error) = outcome {
                            self.problem("the records", Some(super::words(&error)));
                            tokio::time::sleep(self.parts.settings.tick).await;
                        }
                    }
                }
                () = self.wait(GATHER) => {}
            }
        }
    }

    /// Takes over jobs that the history has learnt of.
    pub(super) async fn import(&self) -> Result<(), ServiceError> {
        loop {
            let settled = self.history.settled_after(self.store.imported().await?, PAGE).await?;
            if settled.is_empty() {
                return Ok(());
            }
            self.store.import(&settled, self.clock()).await?;
            for kept in &settled {
                self.assess(kept).await?;
                self.changed(Change::Job(kept.job.job));
            }
        }
    }

    /// Tries to find out what is not known of a job yet. What was found out is kept at once.
    pub(super) async fn gather(&self, job: JobId) -> Result<(), ServiceError> {
        let Some(kept) = self.history.settled_job(job).await? else { return Ok(()) };
        let Some(known) = self.store.gathered::<Gathered>(job).await? else { return Ok(()) };
        let (mut gathered, attempts) = (known.gathered.unwrap_or_default(), known.attempts);
        let (sources, spec) = (&self.parts.sources, gather::spec_of(&kept));
        if !gathered.has_inputs()
            && let Some(spec) = &spec
        {
            let found = sources.inputs(gather::inputs_of(spec)).await;
            gathered.inputs = Some(Dated { at: self.clock(), found });
            self.keep(&kept, &gathered).await?;
        }
        if !gathered.has_output() {
            let found = sources.retrieval(&kept.job).await;
            gathered.retrieval = Some(Dated { at: self.clock(), found });
            self.keep(&kept, &gathered).await?;
        }
        let found = sources.availability(&kept.job).await;
        gathered.availability = Some(Dated { at: self.clock(), found });
        if !gathered.has_run() {
            let found = match &spec {
                Some(spec) => sources.re_execution(&kept, spec).await,
                None => ReExecution::Pending,
            };
            gathered.re_execution = Some(Dated { at: self.clock(), found });
        }
        self.keep(&kept, &gathered).await?;
        let now = self.clock();
        let wait = FIRST.saturating_mul(1 << attempts.min(16)).min(LONGEST);
        let again = (!gathered.is_whole() && attempts + 1 < MAX_ATTEMPTS).then(|| now.after(wait));
        self.store.keep_attempt(job, now, again).await?;
        self.wake(super::NOMINATE);
        self.changed(Change::Job(job));
        Ok(())
    }

    async fn keep(&self, kept: &Kept, gathered: &Gathered) -> Result<(), ServiceError> {
        self.store.keep_gathered(kept.job.job, gathered).await?;
        self.assess(kept).await?;
        Ok(())
    }

    /// The answers as things are now; where they came to something else than before, the queue knows it.
    pub(super) async fn assess(&self, kept: &Kept) -> Result<(Risk, Vec<Check>), ServiceError> {
        let job = kept.job.job;
        let known = self.store.gathered::<Gathered>(job).await?;
        let gathered = known.and_then(|known| known.gathered).unwrap_or_default();
        let course = self.store.course(job).await?;
        let found = self.elsewhere(kept, gathered, course.nomination.as_ref()).await?;
        let facts = gather::facts(&self.history, kept, found).await?;
        let checks = checks(&facts, &self.parts.settings.review, &self.parts.asset, self.now());
        let risk = Risk::of(&checks);
        if self.store.keep_risk(job, risk, &worries(&checks)).await? {
            self.changed(Change::Job(job));
        }
        Ok((risk, checks))
    }

    async fn elsewhere(
        &self,
        kept: &Kept,
        gathered: Gathered,
        nomination: Option<&Nomination>,
    ) -> Result<Elsewhere, ServiceError> {
        let alike: Vec<JobId> = self.history.alike(kept).await?.into_iter().map(|(job, _)| job).collect();
        let blessed_jobs = self.store.blessed_of(&alike).await?;
        let granter = match (nomination, &self.parts.settings.nominate) {
            (Some(nomination), _) => Some(nomination.granter),
            (None, policy) => policy.as_ref().map(|policy| policy.granter),
        };
        let mut blessed = Blessed::default();
        if let Some(granter) = granter {
            let period = u64::from(self.parts.blessing.settings().limit_period);
            let since = Time(self.now().0.saturating_sub(period));
            for job in self.store.blessed_after(granter, since).await? {
                let amount = AttoFil(narrow(job.amount));
                blessed.count += 1;
                blessed.amount = sum(blessed.amount, amount);
                if job.provider == kept.job.provider {
                    blessed.to_provider = sum(blessed.to_provider, amount);
                }
                if job.client == kept.job.client {
                    blessed.for_client = sum(blessed.for_client, amount);
                }
            }
        }
        let inputs = match gathered.inputs {
            Some(inputs) => Some(inputs.found),
            None => gather::spec_of(kept).map(|spec| gather::inputs_of(&spec)),
        };
        Ok(Elsewhere {
            inputs,
            retrieval: gathered.retrieval.map_or(Retrieval::Pending, |dated| dated.found),
            re_execution: gathered.re_execution.map_or(ReExecution::Pending, |dated| dated.found),
            blessed,
            blessed_jobs,
        })
    }

    /// The piece that a job is nominated with, computed once.
    pub(super) async fn piece(&self, kept: &Kept) -> Result<Result<Piece, String>, ServiceError> {
        let job = kept.job.job;
        let known = self.store.gathered::<Gathered>(job).await?;
        let mut gathered = known.and_then(|known| known.gathered).unwrap_or_default();
        if let Some(piece) = &gathered.piece {
            return Ok(Ok(piece.found));
        }
        let found = match self.parts.sources.piece(&kept.job).await {
            Ok(found) => found,
            Err(problem) => return Ok(Err(problem)),
        };
        gathered.piece = Some(Dated { at: self.clock(), found });
        self.store.keep_gathered(job, &gathered).await?;
        Ok(Ok(found))
    }
}

/// A number of 128 bits; a greater one is the greatest.
fn narrow(amount: U256) -> u128 {
    u128::try_from(amount).unwrap_or(u128::MAX)
}

const fn sum(one: AttoFil, other: AttoFil) -> AttoFil {
    AttoFil(one.0.saturating_add(other.0))
}

/// How many questions worry, in words.
fn worries(checks: &[Check]) -> String {
    let count = |outcome| checks.iter().filter(|check| check.outcome == outcome).count();
    let named = |outcome, one: &str, many: &str| match count(outcome) {
        0 => None,
        1 => Some(format!("1 {one}")),
        n => Some(format!("{n} {many}")),
    };
    let parts = [
        named(Outcome::Failed, "failed", "failed"),
        named(Outcome::Warning, "warning", "warnings"),
        named(Outcome::Unknown, "unknown", "unknown"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
