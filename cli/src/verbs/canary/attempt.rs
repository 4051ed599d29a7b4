//! One run: a job from its opening to its output.

use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail};
use lota_api::{JobDetail, JobRequest, JobSummary, Phase as JobPhase};
use lota_market::{asset::Asset, model::Status};

use super::{
    job::{Material, spec},
    phases::{Phase, Reached},
};
use crate::{
    api::Api,
    context::Context,
    settings,
    terminal::{self, Progress, brief},
    units::Seconds,
    verbs::job::{
        decisions::refusals,
        describe,
        terms::{asset_of_amounts, terms_of},
    },
};

/// How long one call waits for the job to come further.
const POLL: Duration = Duration::from_secs(25);
/// How long it may take to find out why a job is late.
const ASKING: Duration = Duration::from_secs(5);
/// The longest reason that is told, in characters.
const MAX_REASON: usize = 500;

/// One run.
pub(super) struct Attempt<'a> {
    context: &'a Context,
    job: &'a settings::Job,
    material: &'a Material,
    progress: &'a Progress,
    nonce: String,
    reached: Reached,
    /// The daemon, once there is one.
    api: Option<Api>,
}

impl<'a> Attempt<'a> {
    pub(super) fn new(
        context: &'a Context,
        job: &'a settings::Job,
        material: &'a Material,
        progress: &'a Progress,
    ) -> Self {
        let nonce = hex::encode(rand::random::<[u8; 16]>());
        Self { context, job, material, progress, nonce, reached: Reached::new(), api: None }
    }

    /// What no other run has: the job's argument, and the value of its label.
    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }

    /// How far it came.
    pub(super) fn into_reached(self) -> Reached {
        self.reached
    }

    /// Why a run that takes too long does: what its job is doing.
    pub(super) async fn late(&self, limit: Duration) -> anyhow::Error {
        let limit = Seconds(limit.as_secs());
        let job = match (&self.api, &self.reached.job) {
            (Some(api), Some(id)) => tokio::time::timeout(ASKING, api.job(id)).await.ok().and_then(Result::ok),
            _ => None,
        };
        match job {
            Some(job) => anyhow!("it took longer than {limit}: the job is {}", standing(&job)),
            None => anyhow!("it took longer than {limit}, and the daemon does not say why"),
        }
    }

    /// The whole way.
    ///
    /// # Errors
    /// Why it does not get further than it is; [`crate::failure::Usage`] when no other run would.
    pub(super) async fn run(&mut self) -> anyhow::Result<()> {
        // Anew for each run: it may have been started again, elsewhere.
        let api = self.api.insert(self.context.api()?).clone();
        let asset = asset_of_amounts(&api, self.job).await?;
        let terms = terms_of(self.job, asset.as_ref().unwrap_or(&Asset::coin()))?;
        let module = self.material.upload(&api).await?;
        let request = JobRequest { spec: spec(module, &self.nonce)?, terms, key: None };
        let opened = api.open(&request).await?;
        let id = opened.job.id.to_string();
        self.reached.job = Some(id.clone());
        self.reached.reach(Phase::Opened);
        let job = self.until_verified(&api, opened.job).await?;
        let output = job.output.as_deref().context("the job is settled, and has no result")?;
        self.material.check(&api, output, &self.nonce).await?;
        self.reached.reach(Phase::Fetched);
        // So that nothing of it stays. A daemon that is gone meanwhile has lost nothing by it.
        api.release_output(&id).await.context("the output cannot be let go of")
    }

    /// Follows the job until its output is verified.
    async fn until_verified(&mut self, api: &Api, mut job: JobSummary) -> anyhow::Result<JobSummary> {
        let id = job.id.to_string();
        loop {
            self.progress.say(format!("job {}: {}", terminal::short_id(job.id), job.phase));
            match job.status {
                Status::None if job.phase == JobPhase::NotOpened => bail!("the job was {}", JobPhase::NotOpened),
                Status::None | Status::Open => {}
                Status::Locked => self.reached.reach(Phase::Locked),
                Status::Submitted | Status::Disputed | Status::Settled => {
                    self.reached.reach(Phase::Locked);
                    match job.exit_code {
                        None | Some(0) => self.reached.reach(Phase::Result),
                        Some(code) => bail!("the program ended with exit code {code} instead of 0"),
                    }
                }
                Status::Cancelled | Status::Slashed | Status::Void => {
                    let detail = api.job(&id).await?;
                    bail!(
                        "the job was {}, because {}{}",
                        terminal::status_name(job.status),
                        describe::reason(job.reason),
                        refusals(&detail)
                            .map(|refusals| format!(" ({})", brief(&refusals, MAX_REASON)))
                            .unwrap_or_default()
                    );
                }
            }
            if job.status == Status::Settled {
                self.reached.reach(Phase::Settled);
                if job.output_verified {
                    self.reached.reach(Phase::Verified);
                    return Ok(job);
                }
            }
            let (asked, before) = (Instant::now(), job.phase);
            job = api.wait_in_brief(&id, before, POLL).await?;
            // Nothing else ends the wait so early: nobody tries to get the output any more.
            let is_over = job.phase == before && asked.elapsed() < POLL / 2;
            if is_over && job.status == Status::Settled && !job.output_verified {
                let detail = api.job(&id).await?;
                bail!("the job is {}", standing(&detail));
            }
        }
    }
}

/// What a job is doing, and what keeps it from doing more.
fn standing(job: &JobDetail) -> String {
    let mut text = job.summary.phase.to_string();
    let problems = job.problem.iter().cloned().chain(refusals(job));
    for problem in problems.chain(job.node_problems.iter().map(|problem| problem.message.clone())) {
        text.push_str("; ");
        text.push_str(&brief(&problem, MAX_REASON));
    }
    text
}
