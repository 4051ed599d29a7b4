//! Finding out what there is to know of settled jobs.

use std::{collections::BTreeMap, convert::Infallible};

use futures::{StreamExt as _, stream::FuturesUnordered};
use lota_fil_plus::answer::Certainty;
use lota_market::{Address, AttoFil, Time, U256, blessing::Nomination, model::JobId};
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
pub(super) const MAX_ATTEMPTS: u32 = 20;
/// Seconds until the second try; each further one waits twice as long, at most [`LONGEST`].
const FIRST: u64 = 30;
const LONGEST: u64 = 6 * 60 * 60;
/// How many jobs that are due are looked at for some to take up.
const CANDIDATES: u32 = 512;
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

    /// It was here whole, so that its piece is known.
    pub(super) fn has_output(&self) -> bool {
        let verified = |dated: &Dated<Retrieval>| matches!(dated.found, Retrieval::Verified { .. });
        self.piece.is_some() && self.retrieval.as_ref().is_some_and(verified)
    }

    pub(super) fn has_run(&self) -> bool {
        let is_over =
            |dated: &Dated<ReExecution>| !matches!(dated.found, ReExecution::Pending | ReExecution::NotNow { .. });
        self.re_execution.as_ref().is_some_and(is_over)
    }

    fn is_whole(&self) -> bool {
        self.has_inputs() && self.has_output() && self.has_run()
    }
}

/// A job of which something is being found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Busy {
    pub(super) parties: [Address; 2],
    pub(super) is_retry: bool,
}

impl Service {
    /// Gathers for ever, of some jobs at once.
    pub(super) async fn keep_gathering(&self) -> Result<Infallible, ServiceError> {
        let mut running = FuturesUnordered::new();
        let mut busy = BTreeMap::new();
        loop {
            let due = async {
                self.import().await?;
                self.next_to_gather(&busy).await
            }
            .await;
            match due {
                Ok(due) => {
                    self.problem("the records", None);
                    for (job, taken) in due {
                        busy.insert(job, taken);
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

    /// Which jobs are taken up beside those that are `busy`: of a party one at a time, and no more than half of all (but one) that were
    /// tried before, so that nobody who gives slowly, or nothing, keeps others waiting.
    pub(super) async fn next_to_gather(
        &self,
        busy: &BTreeMap<JobId, Busy>,
    ) -> Result<Vec<(JobId, Busy)>, ServiceError> {
        let at_once = self.parts.settings.gather_at_once;
        let mut next: Vec<(JobId, Busy)> = Vec::new();
        if busy.len() >= at_once {
            return Ok(next);
        }
        for (job, attempts) in self.store.to_gather(self.clock(), CANDIDATES).await? {
            if busy.len() + next.len() >= at_once {
                break;
            }
            let taken = || busy.values().chain(next.iter().map(|(_, taken)| taken));
            let (is_retry, retries) = (attempts > 0, taken().filter(|taken| taken.is_retry).count());
            if busy.contains_key(&job) || is_retry && retries >= (at_once / 2).max(1) {
                continue;
            }
            let Some(kept) = self.history.settled_job(job).await? else { continue };
            let parties = [kept.job.client, kept.job.provider];
            if !taken().any(|taken| taken.parties.iter().any(|party| parties.contains(party))) {
                next.push((job, Busy { parties, is_retry }));
            }
        }
        Ok(next)
    }

    /// Takes over jobs that the history has learnt of.
    pub(super) async fn import(&self) -> Result<(), ServiceError> {
        loop {
            let settled = self.history.settled_after(self.store.imported().await?, PAGE).await?;
            if settled.is_empty() {
                return Ok(());
            }
            self.store.make_room().await?;
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
        let (gathered, attempts) = (known.gathered.unwrap_or_default(), known.attempts);
        let (sources, spec) = (&self.parts.sources, gather::spec_of(&kept));
        if !gathered.has_inputs()
            && let Some(spec) = &spec
        {
            let found = sources.inputs(gather::inputs_of(spec)).await;
            let dated = Dated { at: self.clock(), found };
            self.keep(&kept, |gathered| gathered.inputs = Some(dated)).await?;
        }
        if !gathered.has_output() {
            let (found, piece) = sources.retrieval(&kept.job).await;
            let at = self.clock();
            let change = |gathered: &mut Gathered| {
                gathered.retrieval = Some(Dated { at, found });
                gathered.piece = piece.map(|found| Dated { at, found }).or(gathered.piece.take());
            };
            self.keep(&kept, change).await?;
        }
        self.look_at_proofs(&kept).await?;
        if !gathered.has_run() {
            let found = match &spec {
                Some(spec) => sources.re_execution(&kept, spec).await,
                None => ReExecution::Pending,
            };
            let dated = Dated { at: self.clock(), found };
            self.keep(&kept, |gathered| gathered.re_execution = Some(dated)).await?;
        }
        let gathered = self.gathered(job).await?;
        let now = self.clock();
        let wait = FIRST.saturating_mul(1 << attempts.min(16)).min(LONGEST);
        let again = (!gathered.is_whole() && attempts + 1 < MAX_ATTEMPTS).then(|| now.after(wait));
        self.store.keep_attempt(job, now, again).await?;
        self.wake(super::NOMINATE);
        self.changed(Change::Job(job));
        Ok(())
    }

    /// Keeps something that was found out: each by itself, since others may have found out something else meanwhile.
    pub(super) async fn keep(&self, kept: &Kept, change: impl FnOnce(&mut Gathered)) -> Result<(), ServiceError> {
        self.store.change_gathered(kept.job.job, change).await?;
        self.assess(kept).await?;
        Ok(())
    }

    pub(super) async fn gathered(&self, job: JobId) -> Result<Gathered, ServiceError> {
        let known = self.store.gathered::<Gathered>(job).await?;
        Ok(known.and_then(|known| known.gathered).unwrap_or_default())
    }

    /// The answers as things are now; where they came to something else than before, the queue knows it.
    pub(super) async fn assess(&self, kept: &Kept) -> Result<(Risk, Vec<Check>), ServiceError> {
        let job = kept.job.job;
        let gathered = self.gathered(job).await?;
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
