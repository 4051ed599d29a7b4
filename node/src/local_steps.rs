//! The steps of a job's way that are done on this machine: what a provider fetches, runs and publishes, and what a client
//! verifies. Each may be done again, after a crash for example.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use lota_bridge::failure::causes;
use lota_content::{Cid, ImportOptions, ReadError, codec};
use lota_market::{
    Address, B256, Bytes,
    agent::{Fact, Failure, Job, OwnFault, Resources, RunReport, Step, StepOutcome, StepState},
    model::{JobId, JobResult, MAX_INLINE_DATA, SpecCodec, Status},
    spec::{self, Engine, Image, ValidatedSpec},
};

use crate::{
    directories::{Directories, MAX_ENTRIES},
    executor::{
        self, Attached, CheckError, DockerRun, EngineRun, Executor, Executors, ImageSource, Run, RunId, WasmRun,
    },
    failure::temporary,
    fetch::{Downloader, Purpose},
    health::Health,
    inputs::{Inputs, is_damage},
    pins::{self, output_pin, spec_pin},
    publishing::Publishing,
    resources::Capacity,
    store::Store,
};

/// The largest spec that is fetched, in bytes.
const MAX_FETCHED_SPEC: u64 = 64 << 10;

/// What does a job's local steps.
#[derive(Clone)]
pub(crate) struct LocalSteps(Arc<Parts>);

/// What the steps need.
pub(crate) struct Parts {
    pub(crate) health: Arc<Health>,
    pub(crate) party: Address,
    pub(crate) store: Store,
    pub(crate) content: lota_content::Store,
    pub(crate) downloader: Arc<Downloader>,
    pub(crate) executors: Executors,
    pub(crate) publishing: Publishing,
    /// Directories that jobs may name, by their labels.
    pub(crate) directories: Arc<Directories>,
    /// What jobs that run keep for themselves.
    pub(crate) capacity: Capacity,
    /// Where each job's work has a folder of its own.
    pub(crate) work_dir: PathBuf,
    /// The most bytes of a job's module and inputs together, and of an output beyond what its spec allows.
    pub(crate) max_fetch_bytes: u64,
}

impl LocalSteps {
    pub(crate) fn new(parts: Parts) -> Self {
        Self(Arc::new(parts))
    }

    /// Does a step; which ones are local, [`Step::is_command`] says.
    pub(crate) async fn perform(&self, job: &Job, step: Step) -> Result<StepOutcome, Failure> {
        match step {
            Step::FetchSpec => self.fetch_spec(job).await,
            Step::FetchInputs => self.fetch_inputs(job).await,
            Step::Run => self.run(job).await.map(StepOutcome::Ran),
            Step::Publish => self.publish(job).await.map(StepOutcome::Published),
            Step::Verify => self.verify(job).await,
            _ => Err(Failure::Permanent(format!("{step} is not done on this node"))),
        }
    }

    async fn fetch_spec(&self, job: &Job) -> Result<StepOutcome, Failure> {
        let terms = &job.view.terms;
        if let Some(published) = self.0.store.spec(terms.spec).await.map_err(temporary)? {
            return Ok(StepOutcome::Spec(published));
        }
        let codec = spec_codec(terms.spec_codec)?;
        let cid = lota_content::cid_from_digest(codec.0, terms.spec.0);
        let pin = spec_pin(job.id());
        let fetched =
            self.0.downloader.fetch(Purpose::Considered, &cid, Some(job.view.asked_by()), MAX_FETCHED_SPEC, Some(&pin));
        fetched.await?;
        let bytes = self.0.content.get(&cid).map_err(temporary)?;
        let bytes = bytes.ok_or_else(|| Failure::Temporary(format!("the spec {cid} is gone again")))?;
        Ok(StepOutcome::Spec(Bytes::from(bytes)))
    }

    /// Fetches what a job needs, and has the executor look at it.
    async fn fetch_inputs(&self, job: &Job) -> Result<StepOutcome, Failure> {
        let spec = spec_of(job)?;
        check_entries(&spec)?;
        self.inputs().fetch(job, &spec).await?;
        let run = self.describe(job, &spec);
        match self.executor(&run)?.check(&run).await {
            Ok(()) => Ok(StepOutcome::Ok),
            Err(CheckError::Fault(fault)) => Err(Failure::Permanent(fault.to_string())),
            // Nor would it be otherwise the next time.
            Err(CheckError::Executor(error)) if error.of_compiling().is_some() => {
                Err(Failure::Permanent(error.to_string()))
            }
            Err(CheckError::Executor(error)) => Err(temporary(error)),
        }
    }

    async fn run(&self, job: &Job) -> Result<RunReport, Failure> {
        // From here on it is this machine's part: the job is locked.
        let spec = spec_of(job).map_err(own(OwnFault::Inputs))?;
        let mut run = self.describe(job, &spec);
        let executor = Arc::clone(self.executor(&run).map_err(own(OwnFault::Executor))?);
        let _reserved = self.0.capacity.reserve(Resources::of(&spec)).await;
        let begun = Instant::now();
        let inputs_dir = run.work_dir.join("inputs");
        let is_rerun = job.work.as_ref().is_some_and(|work| work.reruns > 0);
        let outcome = match executor.attach(&run).await.map_err(broken)? {
            // Run again because nobody could confirm how it ended: then that end is not what is asked for.
            Attached::Finished(outcome) if !is_rerun || outcome.ended.is_reproducible() => outcome,
            Attached::Running(end) => end.await.map_err(broken)?,
            Attached::Finished(_) | Attached::Unknown => {
                executor.abort(run.job).await;
                remove(&run.work_dir).await.map_err(own(OwnFault::Storage))?;
                create_dirs(&inputs_dir).await.map_err(own(OwnFault::Storage))?;
                let paths = self.inputs().lay_out(job, &spec, &inputs_dir).await.map_err(own(OwnFault::Inputs))?;
                let mounts = spec.inputs().iter().zip(paths);
                run.inputs = mounts
                    .map(|(mount, host_path)| executor::Input { guest_path: mount.path.as_str().to_owned(), host_path })
                    .collect();
                executor.run(run).await.map_err(broken)?
            }
        };
        remove(&inputs_dir).await.map_err(own(OwnFault::Storage))?;
        let result_dir = self.work_dir(job.id()).join("result");
        self.inputs().tell_directories(job, &spec, &result_dir).await.map_err(own(OwnFault::Storage))?;
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
        let cid = self.import(job.id(), result_dir.clone()).await.map_err(own(OwnFault::Publisher))?;
        self.0.publishing.publish(job.id(), &cid).await.map_err(temporary).map_err(own(OwnFault::Publisher))?;
        let inline_data = if job.view.terms.callback_gas > 0 { inline_data(&result_dir).await? } else { Bytes::new() };
        let output = lota_content::sha2_256_digest(&cid).map_err(temporary)?;
        Ok(JobResult {
            output: B256::from(output),
            exit_code: report.exit_code,
            fuel_used: report.fuel_used,
            inline_data,
        })
    }

    /// Brings a result into the block store, from which the node's own gateway serves it for as long as its pin stays.
    async fn import(&self, job: JobId, dir: PathBuf) -> Result<Cid, Failure> {
        let store = self.0.content.clone();
        let imported = tokio::task::spawn_blocking(move || {
            let options = ImportOptions { pin: Some(output_pin(job)), ..ImportOptions::default() };
            lota_content::import_path(&store, &dir, &options)
        });
        match imported.await {
            Ok(imported) => imported.map(|imported| imported.cid).map_err(temporary),
            Err(_) => Err(Failure::Temporary("the node is ending".to_owned())),
        }
    }

    async fn verify(&self, job: &Job) -> Result<StepOutcome, Failure> {
        let Some(result) = &job.view.result else {
            return Err(Failure::Permanent("there is no result to verify".to_owned()));
        };
        let (cid, content) = (output_cid(result), &self.0.content);
        let allowed = spec_of(job).map_or(0, |spec| spec.limits().output);
        let limit = allowed.saturating_add(self.0.max_fetch_bytes);
        let pin = output_pin(job.id());
        self.0.downloader.fetch(Purpose::Own, &cid, Some(job.view.provider), limit, Some(&pin)).await?;
        let stated = lota_content::resolve(content, &cid, "exitCode").await;
        let stated = stated.map_err(|error| Failure::Permanent(format!("the output {cid} is no result: {error}")))?;
        let text = lota_content::read_to_vec(content, &stated.cid, 16).await.map_err(|error| match error {
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
        Ok(StepOutcome::Ok)
    }

    fn inputs(&self) -> Inputs {
        let Parts { content, downloader, max_fetch_bytes, directories, .. } = &*self.0;
        Inputs {
            content: content.clone(),
            downloader: Arc::clone(downloader),
            max_bytes: *max_fetch_bytes,
            directories: Arc::clone(directories),
        }
    }

    fn executor(&self, run: &Run) -> Result<&Arc<dyn Executor>, Failure> {
        let engine = run.engine.name();
        let missing = || Failure::Permanent(format!("this node has no executor for the engine `{engine}`"));
        self.0.executors.get(engine).ok_or_else(missing)
    }

    /// Why the engine that a job needs cannot be reached now.
    pub(crate) fn engine_away(&self, job: &Job) -> Option<String> {
        let spec = spec_of(job).ok()?;
        let engine = match spec.engine() {
            Engine::Wasm { .. } => WasmRun::ENGINE,
            Engine::Docker { .. } => DockerRun::ENGINE,
        };
        self.0.health.engine_away(engine)
    }

    /// The run of a job, without its inputs.
    fn describe(&self, job: &Job, spec: &ValidatedSpec) -> Run {
        let limits = spec.limits();
        let engine = match spec.engine() {
            Engine::Wasm { module, entry } => EngineRun::Wasm(WasmRun {
                module: self.inputs().module(job, module.0),
                entry_point: entry.clone(),
                seed: job.id().0.0,
                stop_at_fuel: None,
            }),
            Engine::Docker { image, entrypoint, workdir } => EngineRun::Docker(DockerRun {
                image: match image {
                    Image::Named(name) => ImageSource::Named(name.clone()),
                    Image::Archive(link) => self.inputs().archive(job, link.0),
                },
                entrypoint: entrypoint.clone(),
                workdir: workdir.clone(),
                cpu_millis: limits.cpu,
                pids: limits.pids,
                gpus: u32::try_from(limits.gpus).unwrap_or(u32::MAX),
            }),
        };
        Run {
            job: run_id(job.id()),
            engine,
            args: spec.args().to_vec(),
            env: spec.env().iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            inputs: Vec::new(),
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
            opened_at: job.view.terms.ramp_start.0,
            asked_by: Some(job.view.terms.client.into_array()),
            progress: None,
            logs: None,
        }
    }

    fn work_dir(&self, job: JobId) -> PathBuf {
        self.0.work_dir.join(hex::encode(job.0))
    }

    /// Aborts the run of a job that others have now, or that has ended: nobody would pay for it.
    pub(crate) fn abort_if_lost(&self, job: &Job) {
        let is_running = |step| matches!(job.steps.get(&step), Some(StepState::InFlight { .. }));
        if !(is_running(Step::Run) || is_running(Step::Publish))
            || !is_lost(job.view.status, job.view.provider, self.0.party)
        {
            return;
        }
        tracing::info!(job = %job.id(), "the job is lost: its run is aborted");
        let (this, id) = (self.clone(), job.id());
        tokio::spawn(async move { this.0.executors.abort(run_id(id)).await });
    }

    /// The job is over here: what it needed and its work go; the output stays until the record is forgotten.
    pub(crate) fn retire(&self, job: JobId) {
        pins::release(&self.0.content, job);
        let this = self.clone();
        tokio::spawn(async move {
            this.0.executors.abort(run_id(job)).await;
            if let Err(error) = remove(&this.work_dir(job)).await {
                tracing::warn!(%job, %error, "the job's work could not be cleared away");
            }
        });
    }

    /// The record of the job is gone: so goes its output.
    pub(crate) fn forget(&self, job: JobId) {
        self.retire(job);
        self.0.publishing.withdraw(job);
        pins::unpin(&self.0.content, &output_pin(job));
    }

    /// Clears away what an earlier process left of jobs other than these: at the start, before any job is run. What cannot be
    /// cleared is told of, and stays.
    pub(crate) async fn reap(&self, live: impl Iterator<Item = JobId>) {
        let live: HashSet<RunId> = live.map(run_id).collect();
        if let Err(error) = self.0.executors.reap(&live).await {
            tracing::warn!(error = causes(&error), "what an earlier process ran could not be cleared away");
        }
        let (root, names) = (self.0.work_dir.clone(), live.iter().map(|id| hex::encode(id.0)).collect());
        let cleared = tokio::task::spawn_blocking(move || clear_others(&root, &names)).await;
        if let Ok(Err(error)) = cleared {
            tracing::warn!(%error, "the work of an earlier process could not be cleared away");
        }
    }
}

/// What a program writes must be brought into the store, in the time that the market gives: more than this is not taken on.
fn check_entries(spec: &ValidatedSpec) -> Result<(), Failure> {
    match spec.limits().entries {
        entries if entries > MAX_ENTRIES => Err(Failure::Permanent(format!(
            "its output may have {entries} files and directories, and this provider takes jobs with at most {MAX_ENTRIES}"
        ))),
        _ => Ok(()),
    }
}

/// A failure as that of a part of this machine.
fn own(fault: OwnFault) -> impl Fn(Failure) -> Failure {
    move |failure| match failure {
        Failure::OwnFault { .. } => failure,
        failure => Failure::OwnFault { fault, problem: failure.to_string() },
    }
}

/// What an executor could not do.
fn broken(error: executor::ExecutorError) -> Failure {
    own(OwnFault::Executor)(temporary(error))
}

const fn run_id(job: JobId) -> RunId {
    RunId(job.0.0)
}

/// Whether `me` can no longer be paid for running a job.
fn is_lost(status: Status, provider: Address, me: Address) -> bool {
    match status {
        Status::Locked | Status::Submitted | Status::Disputed => provider != me,
        status => status.is_final(),
    }
}

/// Removes all folders but those of these names.
fn clear_others(root: &Path, names: &HashSet<String>) -> io::Result<()> {
    let entries = match std::fs::read_dir(root) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if !entry.file_name().to_str().is_some_and(|name| names.contains(name)) {
            std::fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// The CID of a result's output.
#[must_use]
pub(crate) fn output_cid(result: &JobResult) -> Cid {
    lota_content::cid_from_digest(codec::DAG_PB, result.output.0)
}

/// The multicodec of a spec's block.
fn spec_codec(code: u16) -> Result<(u64, SpecCodec), Failure> {
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
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_is_open_again_may_come_back() {
        let (me, other) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let lost = |status, provider| is_lost(status, provider, me);
        assert!(!lost(Status::Locked, me) && !lost(Status::Open, Address::ZERO) && !lost(Status::None, Address::ZERO));
        assert!(lost(Status::Locked, other) && lost(Status::Submitted, other) && lost(Status::Disputed, other));
        assert!(lost(Status::Slashed, me) && lost(Status::Cancelled, Address::ZERO) && lost(Status::Settled, other));
    }

    #[test]
    fn only_the_work_of_live_jobs_survives_a_restart() {
        let home = tempfile::tempdir().unwrap();
        clear_others(&home.path().join("none yet"), &HashSet::new()).unwrap();
        for name in ["ab", "cd", "ef"] {
            std::fs::create_dir_all(home.path().join(name).join("result")).unwrap();
        }
        clear_others(home.path(), &HashSet::from(["cd".to_owned()])).unwrap();
        let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["cd"]);
        assert!(home.path().join("cd/result").is_dir());
    }
}
