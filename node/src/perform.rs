//! Performing what the agent asks for. Each effect becomes a task; its outcome goes back to the loop. Performing an effect
//! again, after a crash for example, is harmless.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use lota_bridge::{Reserve, SubmitError};
use lota_content::{Cid, ReadError, codec};
use lota_market::{
    B256, Bytes,
    agent::{Commitments, EffectKey, Fact, Failure, Job, Outcome, RunReport, Step, StepKey, Submission},
    model::{JobId, JobResult, MAX_INLINE_DATA, SpecCodec},
    spec::{self, Engine, ValidatedSpec},
};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::{
    executor::{self, CheckError, ExecutorError, Run},
    inputs::{content_pin, is_damage},
    node::Shared,
    observe,
    publisher::Publisher as _,
    shell::{Inbox, Message},
    standing::Shortage,
};

/// Commands on their way at once; further ones wait.
const SUBMISSIONS: usize = 64;
/// The largest spec that is fetched, in bytes.
const MAX_FETCHED_SPEC: u64 = 64 << 10;

/// What is to be done for a step.
enum Task {
    /// Get this to the market.
    Submit(Box<Submission>),
    /// Do it here, on this record.
    Do(Box<Job>),
}

/// Turns effects into tasks.
#[derive(Clone)]
pub(crate) struct Performer {
    shared: Arc<Shared>,
    inbox: Inbox,
    submissions: Arc<Semaphore>,
    /// What the party is bound to send, with the locks that are begun now.
    reserve: Arc<Mutex<Reserve>>,
}

impl Performer {
    pub(crate) fn new(shared: Arc<Shared>, inbox: Inbox) -> Self {
        let submissions = Arc::new(Semaphore::new(SUBMISSIONS));
        Self { shared, inbox, submissions, reserve: Arc::default() }
    }

    /// Locks are sent from now on only if the account can pay for these commands too.
    pub(crate) fn reserve(&self, Commitments { commands, callback_gas }: Commitments) {
        *self.reserve.lock().unwrap_or_else(PoisonError::into_inner) = Reserve { commands, callback_gas };
    }

    /// Begins a step of a job, of which this is the record.
    pub(crate) fn perform(&self, key: StepKey, record: &Job) {
        let this = self.clone();
        let stop = self.shared.stop.clone();
        let task = match record.submission(key.step) {
            Some(submission) => Task::Submit(Box::new(submission)),
            None => Task::Do(Box::new(record.clone())),
        };
        tokio::spawn(async move {
            tokio::select! {
                () = this.perform_to_end(key, task) => {}
                () = stop.cancelled() => {}
            }
        });
    }

    async fn perform_to_end(&self, key: StepKey, task: Task) {
        let outcome = match task {
            Task::Submit(submission) => self.submit(&key, &submission).await,
            Task::Do(record) => self.do_step(&record, key.step).await.unwrap_or_else(Outcome::Err),
        };
        let outcome = match outcome {
            Outcome::Err(failure) => Outcome::Err(self.public(&key, failure)),
            outcome => outcome,
        };
        self.inbox.send(Message::Done { key, outcome }).await;
    }

    async fn submit(&self, key: &StepKey, submission: &Submission) -> Outcome {
        let Ok(_place) = self.submissions.acquire().await else {
            return Outcome::Err(Failure::Temporary("the node is ending".to_owned()));
        };
        let step = key.step;
        let reserve = match step {
            Step::Lock => *self.reserve.lock().unwrap_or_else(PoisonError::into_inner),
            _ => Reserve::default(),
        };
        let Submission { command, value } = submission;
        match self.shared.transport.submit_with_reserve(&EffectKey::of(key), command, *value, reserve).await {
            Ok(_) => Outcome::Ok,
            // In which block's state, the transport does not say.
            Err(SubmitError::Rejected(rejection)) => Outcome::Err(Failure::rejected(rejection, None)),
            Err(SubmitError::Unaffordable { account, wallet, needed }) => {
                // Of a job that a person opens, they are told at once.
                if step != Step::Open {
                    self.shared.standing.short_of_gas(Shortage { account, wallet, needed });
                }
                Outcome::Err(Failure::Unaffordable { account, wallet, needed })
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
    fn public(&self, key: &StepKey, failure: Failure) -> Failure {
        let public = match &failure {
            Failure::Temporary(problem) => Failure::Temporary(conceal(problem, &self.shared.config.dir)),
            Failure::Permanent(problem) => Failure::Permanent(conceal(problem, &self.shared.config.dir)),
            Failure::Rejected { .. } | Failure::Unaffordable { .. } | Failure::Mismatch { .. } => return failure,
        };
        if public != failure {
            observe::concealed(&self.shared.config.name, key, &failure);
        }
        public
    }

    async fn do_step(&self, job: &Job, step: Step) -> Result<Outcome, Failure> {
        match step {
            Step::FetchSpec => self.fetch_spec(job).await,
            Step::FetchInputs => self.fetch_inputs(job).await,
            Step::Run => self.run(job).await.map(Outcome::Ran),
            Step::Publish => self.publish(job).await.map(Outcome::Published),
            Step::Verify => self.verify(job).await,
            _ => Err(Failure::Permanent(format!("{step} is not done on this node"))),
        }
    }

    async fn fetch_spec(&self, job: &Job) -> Result<Outcome, Failure> {
        let terms = &job.view.terms;
        if let Some(published) = self.shared.store.spec(terms.spec).await.map_err(temporary)? {
            return Ok(Outcome::Spec(published));
        }
        let codec = spec_codec(terms.spec_codec)?;
        let cid = lota_content::cid_from_digest(codec.0, terms.spec.0);
        self.shared.fetch(&cid, Some(terms.client), MAX_FETCHED_SPEC, Some(&spec_pin(job.id()))).await?;
        let bytes = self.shared.content.get(&cid).map_err(temporary)?;
        let bytes = bytes.ok_or_else(|| Failure::Temporary(format!("the spec {cid} is gone again")))?;
        Ok(Outcome::Spec(Bytes::from(bytes)))
    }

    async fn fetch_inputs(&self, job: &Job) -> Result<Outcome, Failure> {
        let spec = spec_of(job)?;
        self.shared.fetch_inputs(job, &spec).await?;
        match self.shared.executor.check(&self.prepare(job, &spec, Vec::new())).await {
            Ok(()) => Ok(Outcome::Ok),
            Err(CheckError::Fault(fault)) => Err(Failure::Permanent(fault.to_string())),
            // Nor would it be otherwise the next time.
            Err(CheckError::Executor(error)) if error.of_compiling().is_some() => {
                Err(Failure::Permanent(error.to_string()))
            }
            Err(CheckError::Executor(error)) => Err(temporary(error)),
        }
    }

    async fn run(&self, job: &Job) -> Result<RunReport, Failure> {
        if let Some(provider) = &self.shared.config.provider {
            tokio::time::sleep(provider.dawdle()).await;
        }
        let spec = spec_of(job)?;
        let work_dir = self.work_dir(job.id());
        remove(&work_dir).await?;
        create_dirs(&work_dir).await?;
        let inputs_dir = work_dir.join("inputs");
        create_dirs(&inputs_dir).await?;
        let paths = self.shared.lay_out(job, &spec, &inputs_dir).await?;
        let mounts = spec.inputs().iter().zip(paths);
        let inputs = mounts
            .map(|(mount, host_path)| executor::Input { guest_path: mount.path.as_str().to_owned(), host_path })
            .collect();
        let run = self.prepare(job, &spec, inputs);
        let begun = Instant::now();
        let outcome = self.shared.executor.run(run, None).await.map_err(|error| match error {
            ExecutorError::Cancelled => Failure::Temporary(error.to_string()),
            error => temporary(error),
        })?;
        remove(&inputs_dir).await?;
        Ok(RunReport {
            exit_code: outcome.exit_code,
            fuel_used: outcome.fuel_used,
            ended: outcome.ended.to_string(),
            reproducible: outcome.ended.is_reproducible(),
            wall_ms: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    async fn publish(&self, job: &Job) -> Result<JobResult, Failure> {
        let result_dir = self.work_dir(job.id()).join("result");
        let mut report = job.work.as_ref().and_then(|work| work.report.clone());
        if report.is_none() || !result_dir.is_dir() {
            // The files were lost with a crash: the same run gives the same files.
            report = Some(self.run(job).await?);
        }
        let Some(report) = report else { return Err(Failure::Temporary("the run left no report".to_owned())) };
        let cid = self.shared.publisher.publish(&output_pin(job.id()), &result_dir).await.map_err(temporary)?;
        let inline_data = if job.view.terms.callback_gas > 0 { inline_data(&result_dir).await? } else { Bytes::new() };
        let output = lota_content::sha2_256_digest(&cid).map_err(temporary)?;
        Ok(JobResult {
            output: B256::from(output),
            exit_code: report.exit_code,
            fuel_used: report.fuel_used,
            inline_data,
        })
    }

    async fn verify(&self, job: &Job) -> Result<Outcome, Failure> {
        let Some(result) = &job.view.result else {
            return Err(Failure::Permanent("there is no result to verify".to_owned()));
        };
        let cid = output_cid(result);
        let allowed = spec_of(job).map_or(0, |spec| spec.limits().output);
        let limit = allowed.saturating_add(self.shared.config.max_fetch_bytes);
        self.shared.fetch(&cid, Some(job.view.provider), limit, Some(&output_pin(job.id()))).await?;
        let stated = lota_content::resolve(&self.shared.content, &cid, "exitCode").await;
        let stated = stated.map_err(|error| Failure::Permanent(format!("the output {cid} is no result: {error}")))?;
        let text =
            lota_content::read_to_vec(&self.shared.content, &stated.cid, 16).await.map_err(|error| match error {
                // The next attempt fetches it again.
                ReadError::Dag(error) if is_damage(&error) => temporary(error),
                error => Failure::Permanent(format!("the output {cid} is no result: {error}")),
            })?;
        if text != result.exit_code.to_string().as_bytes() {
            return Err(Failure::Mismatch {
                what: Fact::ExitCode,
                stated: result.exit_code.to_string(),
                found: String::from_utf8_lossy(&text).into_owned(),
            });
        }
        Ok(Outcome::Ok)
    }

    /// The run of a job.
    fn prepare(&self, job: &Job, spec: &ValidatedSpec, inputs: Vec<executor::Input>) -> Run {
        let Engine::Wasm { entry, .. } = spec.engine();
        let limits = spec.limits();
        Run {
            seed: job.id().0.0,
            module: self.shared.module(job, spec),
            entry_point: entry.clone(),
            args: spec.args().to_vec(),
            env: spec.env().iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            inputs,
            outputs: vec![executor::Output {
                name: "outputs".to_owned(),
                guest_path: spec.outputs().as_str().to_owned(),
            }],
            limits: executor::Limits {
                fuel: limits.fuel,
                memory_bytes: limits.memory,
                output_bytes: limits.output,
                output_entries: limits.entries,
                wall: Duration::from_secs(limits.wall),
            },
            work_dir: self.work_dir(job.id()),
            // Of the terms, not of the block: a job is the same on every fork, and so is its run.
            epoch_seconds: job.view.terms.ramp_start.0,
            stop_at_fuel: None,
            asked_by: Some(job.view.terms.client.into_array()),
            cancel: CancellationToken::new(),
        }
    }

    fn work_dir(&self, job: JobId) -> PathBuf {
        self.shared.config.dir.join("work").join(hex::encode(job.0))
    }

    /// The job is over here: what it needed and its work go; the output stays until the record is forgotten.
    pub(crate) fn retire(&self, job: JobId) {
        release(&self.shared, job);
        let dir = self.work_dir(job);
        tokio::spawn(async move {
            if let Err(error) = remove(&dir).await {
                tracing::warn!(%job, %error, "the job's work could not be cleared away");
            }
        });
    }

    /// The record of the job is gone: so goes its output.
    pub(crate) fn forget(&self, job: JobId) {
        self.retire(job);
        unpin(&self.shared, &output_pin(job));
    }
}

/// Lets go of what a job needed.
pub(crate) fn release(shared: &Shared, job: JobId) {
    unpin(shared, &spec_pin(job));
    for pin in [content_pin, order_pin] {
        let mut number = 0;
        while unpin(shared, &pin(job, number)) {
            number += 1;
        }
    }
}

/// Takes a pin off; says whether there was one.
fn unpin(shared: &Shared, name: &str) -> bool {
    shared.content.unpin(name).map(|cid| cid.is_some()).unwrap_or_else(|error| {
        tracing::warn!(name, %error, "a pin could not be taken off");
        false
    })
}

/// The CID of a result's output.
#[must_use]
pub(crate) fn output_cid(result: &JobResult) -> Cid {
    lota_content::cid_from_digest(codec::DAG_PB, result.output.0)
}

/// The multicodec of a spec's block.
pub(crate) fn spec_codec(code: u16) -> Result<(u64, SpecCodec), Failure> {
    match SpecCodec::from_code(code) {
        Some(SpecCodec::DagCbor) => Ok((codec::DAG_CBOR, SpecCodec::DagCbor)),
        Some(SpecCodec::Json) => Ok((codec::RAW, SpecCodec::Json)),
        None => Err(Failure::Permanent(format!("the spec's codec 0x{code:x} is unknown"))),
    }
}

fn spec_of(job: &Job) -> Result<ValidatedSpec, Failure> {
    let (_, codec) = spec_codec(job.view.terms.spec_codec)?;
    let bytes = job.spec_bytes().ok_or_else(|| Failure::Permanent("the job's spec is not known here".to_owned()))?;
    spec::parse(codec, bytes).map_err(|problems| Failure::Permanent(problems.to_string()))
}

fn output_pin(job: JobId) -> String {
    format!("output/{job}")
}

/// What the client holds for the providers: module, inputs, and a spec that does not fit into the event.
pub(crate) fn order_pin(job: JobId, number: usize) -> String {
    format!("order/{job}/{number}")
}

fn spec_pin(job: JobId) -> String {
    format!("spec/{job}")
}

/// Standard output, if it is small enough to travel on chain. Depends on the result alone, so that all who run the job
/// come to the same.
async fn inline_data(result_dir: &Path) -> Result<Bytes, Failure> {
    let path = result_dir.join("stdout");
    let size = tokio::fs::metadata(&path).await.map_err(temporary)?.len();
    if usize::try_from(size).is_ok_and(|size| size <= MAX_INLINE_DATA) {
        tokio::fs::read(&path).await.map(Bytes::from).map_err(temporary)
    } else {
        Ok(Bytes::new())
    }
}

async fn remove(dir: &Path) -> Result<(), Failure> {
    match tokio::fs::remove_dir_all(dir).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Failure::Temporary(format!("{} could not be removed: {error}", dir.display())))
        }
        _ => Ok(()),
    }
}

async fn create_dirs(dir: &Path) -> Result<(), Failure> {
    tokio::fs::create_dir_all(dir)
        .await
        .map_err(|error| Failure::Temporary(format!("{} could not be made: {error}", dir.display())))
}

pub(crate) fn temporary(error: impl std::error::Error) -> Failure {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    Failure::Temporary(text)
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
