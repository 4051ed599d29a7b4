//! One run, from its container's beginning to its result.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptions, DownloadFromContainerOptionsBuilder,
    InspectContainerOptions, LogsOptionsBuilder, StartContainerOptions, StatsOptionsBuilder,
};
use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::collect::{Collected, Pieces, Room, collect};
use super::container::{self, ContainerFault};
use super::engine::{MARKER, answer, is_missing, printable};
use super::image::Purpose;
use super::result::Growing;
use super::streams::Stream;
use super::verdict::{Stop, report, verdict, without_running};
use super::{DockerExecutor, DockerRun};
use crate::executor::runs::Activity;
use crate::executor::{
    Attached, CheckError, Ended, ExecutorError, Input, Phase, Progress, Run, RunFault, RunOutcome, StandardStream,
};

/// How often it is looked how much processor time was used.
const SAMPLE: Duration = Duration::from_secs(1);
/// How long a container that is taken up may go on at least: so that what it has printed can be read.
const CATCH_UP: Duration = Duration::from_secs(2);
/// A container whose program runs, or has ended.
pub(super) struct Session {
    container: String,
    marker: String,
    begun: Instant,
    /// How long it had run before this process took it up.
    before: Duration,
    source: BoxStream<'static, Result<LogOutput, Error>>,
}

/// A run that did not begin.
enum NotBegun {
    Fault(RunFault),
    Executor(ExecutorError),
}

impl From<ExecutorError> for NotBegun {
    fn from(error: ExecutorError) -> Self {
        Self::Executor(error)
    }
}

impl From<CheckError> for NotBegun {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Fault(fault) => Self::Fault(fault),
            CheckError::Executor(error) => Self::Executor(error),
        }
    }
}

impl From<ContainerFault> for NotBegun {
    fn from(error: ContainerFault) -> Self {
        match error {
            ContainerFault::Fault(fault) => Self::Fault(fault),
            ContainerFault::Executor(error) => Self::Executor(error),
        }
    }
}

impl DockerExecutor {
    /// A whole run; `found`: its container is there already.
    pub(super) async fn live(
        self,
        run: Run,
        activity: Activity,
        found: Option<Session>,
    ) -> Result<RunOutcome, ExecutorError> {
        let stop = activity.stop().clone();
        let known = found.as_ref().map(|session| session.container.clone());
        let (container, result) = self.live_to_end(&run, &stop, found).await;
        let container = container.or(known);
        // Of an engine that is away, or a disk that is full: the container may go on or wait, and is found again.
        let keeps = matches!(&result, Err(ExecutorError::Engine { .. } | ExecutorError::WorkDir { .. }));
        match (container, &result) {
            // Nobody waits for this.
            (Some(container), Ok(_)) => {
                let this = self.clone();
                tokio::spawn(async move { this.remove(&container).await });
            }
            (Some(container), Err(_)) if !keeps => self.remove(&container).await,
            _ => {}
        }
        activity.finish(&result);
        result
    }

    async fn remove(&self, container: &str) {
        if let Err(error) = self.engine.remove(container).await {
            tracing::warn!(container, %error, "a container could not be removed; it is when the engine answers");
            self.leftovers.note(container);
        }
    }

    async fn live_to_end(
        &self,
        run: &Run,
        stop: &CancellationToken,
        found: Option<Session>,
    ) -> (Option<String>, Result<RunOutcome, ExecutorError>) {
        let _place = tokio::select! {
            place = self.places.clone().acquire_owned() => place,
            () = stop.cancelled() => return (None, Err(ExecutorError::Aborted)),
        };
        let growing = match Growing::begin(&run.work_dir) {
            Ok(growing) => growing,
            Err(error) => return (None, Err(error)),
        };
        let session = match found {
            Some(session) => session,
            None => {
                report(run, Progress { phase: Phase::Preparing, ..Progress::default() });
                let mut created = None;
                let begun = tokio::select! {
                    begun = self.begin(run, &mut created) => begun,
                    () = stop.cancelled() => Err(ExecutorError::Aborted.into()),
                };
                match begun {
                    Ok(session) => session,
                    Err(NotBegun::Fault(fault)) => {
                        let ended = Ended::NotRunnable { reason: fault.to_string() };
                        return (created, without_running(run, growing, ended));
                    }
                    Err(NotBegun::Executor(error)) => {
                        // It never ran: there is nothing to find again.
                        if let Some(container) = created {
                            self.remove(&container).await;
                        }
                        return (None, Err(error));
                    }
                }
            }
        };
        let container = session.container.clone();
        let result = self.follow(run, stop, session, growing).await;
        (Some(container), result)
    }

    /// Makes the container and starts it. It is removed by the caller if that fails.
    async fn begin(&self, run: &Run, created: &mut Option<String>) -> Result<Session, NotBegun> {
        let docker: &DockerRun = Self::docker(run)?;
        container::check(run, docker).map_err(NotBegun::Fault)?;
        open_inputs(&run.inputs).await?;
        let image = self.image(&docker.image, Purpose::Run, run.asked_by).await?;
        let marker = format!("\u{1}lota-end:{}", hex::encode(rand::random::<[u8; 16]>()));
        let body = container::describe(&self.engine, &self.settings, run, docker, &image, &marker)?;
        let engine = &self.engine.docker;
        let unfit = |said: &str| {
            let why = format!("Docker cannot make or start its container: {}", printable(said));
            NotBegun::Fault(RunFault::Image { image: docker.image.to_string(), why })
        };
        let container = match engine.create_container(None::<CreateContainerOptions>, body).await {
            Ok(made) => made.id,
            // The node's own part of the request is the same for all jobs, and was tried when the node started.
            Err(Error::DockerResponseServerError { status_code: 400, message }) if !message.contains("bind source") => {
                return Err(unfit(&message));
            }
            Err(error) => return Err(self.engine.failed("make the job's container", &error).into()),
        };
        *created = Some(container.clone());
        let options = AttachContainerOptionsBuilder::new().stream(true).stdout(true).stderr(true).build();
        let attached = engine.attach_container(&container, Some(options)).await;
        let source = attached.map_err(|error| self.engine.failed("attach to the job's container", &error))?.output;
        let begun = Instant::now();
        if let Err(error) = engine.start_container(&container, None::<StartContainerOptions>).await {
            return Err(match answer(&error).filter(|said| is_of_the_job(said)) {
                Some(said) => unfit(said),
                None => self.engine.failed("start the job's container", &error).into(),
            });
        }
        Ok(Session { container, marker, begun, before: Duration::ZERO, source })
    }

    /// Waits for the program's end and collects what it left.
    async fn follow(
        &self,
        run: &Run,
        stop: &CancellationToken,
        mut session: Session,
        growing: Growing,
    ) -> Result<RunOutcome, ExecutorError> {
        let limits = &run.limits;
        let stream = |which, name| -> Result<Stream, ExecutorError> {
            Ok(Stream::new(which, &session.marker, growing.file(name)?, run.logs.clone()))
        };
        let mut stdout = stream(StandardStream::Stdout, "stdout")?;
        let mut stderr = stream(StandardStream::Stderr, "stderr")?;
        let mut sample = Progress { phase: Phase::Running, ..Progress::default() };
        report(run, sample);
        let stopped = tokio::select! {
            stopped = self.watch(run, &mut session, &mut stdout, &mut stderr, &mut sample, &growing) => stopped?,
            () = stop.cancelled() => return Err(ExecutorError::Aborted),
        };
        let wall = session.begun.elapsed() + session.before;
        let Some(stopped) = stopped else { return self.left_alone(run, session, growing, sample, wall).await };
        if !matches!(stopped, Stop::Ended(_)) {
            sample.fuel_used = self.processor_time(&session.container).await.unwrap_or(sample.fuel_used);
        }
        // The output would be gone with the processes: they are stopped where they are. Also if the keeper says that there are none:
        // a program may print what the keeper does, and must not write while its output is read.
        if let Err(error) = self.engine.docker.pause_container(&session.container).await {
            tracing::warn!(container = session.container, %error, "a container could not be paused");
        }
        let written = |source| growing.failed("writing a standard stream", source);
        stdout.finish().await.map_err(written)?;
        stderr.finish().await.map_err(written)?;
        let (stdout_bytes, stderr_bytes) = (stdout.written, stderr.written);
        sample.phase = Phase::Collecting;
        report(run, sample);
        let room = Room {
            bytes: limits.output_bytes.saturating_sub(stdout_bytes + stderr_bytes),
            entries: limits.output_entries,
        };
        let collected = tokio::select! {
            collected = self.collect(run, &session.container, &growing, room) => collected?,
            () = stop.cancelled() => return Err(ExecutorError::Aborted),
        };
        let (ended, exit_code) = verdict(&stopped, &collected, limits, run);
        if let Stop::Ended(end) = &stopped {
            sample.fuel_used = end.processor_micros.saturating_mul(1_000);
        }
        let fuel_used = sample.fuel_used.min(limits.fuel);
        let result_dir = growing.finish(exit_code)?;
        let done = Progress { phase: Phase::Done, fuel_used, output_entries: collected.entries, ..sample };
        report(run, Progress { output_bytes: stdout_bytes + stderr_bytes + collected.bytes, ..done });
        Ok(RunOutcome {
            exit_code,
            ended,
            fuel_used,
            memory_digest: None,
            result_dir,
            stdout_bytes,
            stderr_bytes,
            output_bytes: collected.bytes,
            output_entries: collected.entries,
            wall,
        })
    }

    /// Reads what the program prints until it has ended or must end; `None`: the container has ended by itself.
    async fn watch(
        &self,
        run: &Run,
        session: &mut Session,
        stdout: &mut Stream,
        stderr: &mut Stream,
        sample: &mut Progress,
        growing: &Growing,
    ) -> Result<Option<Stop>, ExecutorError> {
        let limits = &run.limits;
        let mut left = limits.wall.saturating_sub(session.before + session.begun.elapsed());
        if !session.before.is_zero() {
            // What it has printed so far is yet to be read.
            left = left.max(CATCH_UP);
        }
        let mut deadline = std::pin::pin!(tokio::time::sleep(left));
        let mut samples = tokio::time::interval_at(tokio::time::Instant::now() + SAMPLE, SAMPLE);
        samples.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let piece = tokio::select! {
                biased;
                () = &mut deadline => return Ok(Some(Stop::WallTime)),
                // Before what it prints: of that there may always be more.
                _ = samples.tick() => {
                    if let Some(used) = self.processor_time(&session.container).await {
                        sample.fuel_used = used;
                        if used > limits.fuel {
                            return Ok(Some(Stop::OutOfFuel));
                        }
                    }
                    report(run, *sample);
                    continue;
                }
                piece = session.source.next() => piece,
            };
            let (stream, bytes) = match piece {
                Some(Ok(LogOutput::StdOut { message } | LogOutput::Console { message })) => (&mut *stdout, message),
                Some(Ok(LogOutput::StdErr { message })) => (&mut *stderr, message),
                Some(Ok(LogOutput::StdIn { .. })) => continue,
                Some(Err(error)) => return Err(self.engine.failed("read what the job prints", &error)),
                None => return Ok(None),
            };
            let room = limits.output_bytes.saturating_sub(sample.stdout_bytes + sample.stderr_bytes);
            let fits = stream.take(&bytes, room).await;
            let fits = fits.map_err(|source| growing.failed("writing a standard stream", source))?;
            if !fits {
                return Ok(Some(Stop::OutputFull));
            }
            (sample.stdout_bytes, sample.stderr_bytes) = (stdout.written, stderr.written);
            sample.output_bytes = sample.stdout_bytes + sample.stderr_bytes;
            if let (Some(end), Some(_)) = (stdout.end, stderr.end) {
                return Ok(Some(Stop::Ended(end)));
            }
        }
    }

    /// What became of a container that ended without the keeper's word.
    async fn left_alone(
        &self,
        run: &Run,
        session: Session,
        growing: Growing,
        sample: Progress,
        wall: Duration,
    ) -> Result<RunOutcome, ExecutorError> {
        let inspected = self.engine.docker.inspect_container(&session.container, None::<InspectContainerOptions>).await;
        let state = match inspected {
            Ok(found) => found.state.unwrap_or_default(),
            Err(error) if is_missing(&error) => {
                return Err(ExecutorError::Container { problem: "somebody has removed it".to_owned() });
            }
            Err(error) => return Err(self.engine.failed("say what became of the job's container", &error)),
        };
        if state.running == Some(true) {
            let message = format!("the Docker engine at {} broke off what the job prints", self.engine.host);
            return Err(ExecutorError::Engine { message });
        }
        if state.oom_killed == Some(true) {
            let outcome = without_running(run, growing, Ended::OutOfMemory)?;
            return Ok(RunOutcome { wall, fuel_used: sample.fuel_used.min(run.limits.fuel), ..outcome });
        }
        let code = state.exit_code.unwrap_or_default();
        let problem = format!("it was ended from outside, with exit code {code}; the engine may have been stopped");
        Err(ExecutorError::Container { problem })
    }

    async fn collect(
        &self,
        run: &Run,
        container: &str,
        growing: &Growing,
        room: Room,
    ) -> Result<Collected, ExecutorError> {
        let mut sum = Collected::default();
        for output in &run.outputs {
            let options = DownloadFromContainerOptionsBuilder::new().path(&output.guest_path).build();
            let mut packed = Box::pin(self.engine.docker.download_from_container(container, Some(options)));
            let (pieces, received) = mpsc::channel::<io::Result<Bytes>>(4);
            let (to, mut so_far) = (growing.path.join(&output.name), std::mem::take(&mut sum));
            let collecting = tokio::task::spawn_blocking(move || {
                let packed = Pieces { pieces: received, piece: Bytes::new() };
                collect(packed, &to, room, &mut so_far).map(|()| so_far)
            });
            let mut failed = None;
            while let Some(piece) = packed.next().await {
                let piece = piece.map_err(|error| {
                    let text = error.to_string();
                    failed = Some(self.engine.failed("give the job's output", &error));
                    io::Error::other(text)
                });
                // Who collects has had enough.
                if pieces.send(piece).await.is_err() {
                    break;
                }
            }
            drop(pieces);
            let collected = collecting.await.map_err(|error| ExecutorError::Engine { message: error.to_string() })?;
            sum = match (collected, failed) {
                (_, Some(failed)) => return Err(failed),
                (Err(source), None) => return Err(growing.failed("writing the output", source)),
                (Ok(sum), None) => sum,
            };
        }
        Ok(sum)
    }

    /// Nanoseconds of processor time that a container has used, as far as the engine says.
    async fn processor_time(&self, container: &str) -> Option<u64> {
        let options = StatsOptionsBuilder::new().stream(false).one_shot(true).build();
        let mut stats = Box::pin(self.engine.docker.stats(container, Some(options)));
        stats.next().await?.ok()?.cpu_stats?.cpu_usage?.total_usage
    }

    /// Takes up a container that an earlier process, or an engine that was away, has left.
    pub(super) async fn adopt(&self, run: &Run) -> Result<Attached, ExecutorError> {
        let failed = |error: Error| self.engine.failed("look for the job's container", &error);
        // First: nobody begins it meanwhile.
        let activity = match self.runs.begin_run(run.job).await {
            Ok(activity) => activity,
            Err(_) => return Ok(self.runs.attach(run.job)),
        };
        let mut alive = None;
        for (container, labels) in self.engine.containers(Some(run.job)).await.map_err(failed)? {
            let inspected = self.engine.docker.inspect_container(&container, None::<InspectContainerOptions>).await;
            let state = match inspected {
                Ok(found) => found.state.unwrap_or_default(),
                Err(error) if is_missing(&error) => continue,
                Err(error) => return Err(failed(error)),
            };
            match (labels.get(MARKER), state.running) {
                (Some(marker), Some(true)) if alive.is_none() => alive = Some((container, marker.clone(), state)),
                // It never began, or its output is gone with it.
                _ => self.engine.remove(&container).await.map_err(failed)?,
            }
        }
        let Some((container, marker, state)) = alive else { return Ok(Attached::Unknown) };
        if state.paused == Some(true) {
            // Its output was about to be collected, and will be.
            self.engine.docker.unpause_container(&container).await.map_err(failed)?;
        }
        let before = state.started_at.and_then(|at| at.parse::<jiff::Timestamp>().ok());
        let before = before.and_then(|at| Duration::try_from(jiff::Timestamp::now().duration_since(at)).ok());
        let options = LogsOptionsBuilder::new().follow(true).stdout(true).stderr(true).build();
        let source = self.engine.docker.logs(&container, Some(options)).boxed();
        tracing::info!(job = %run.job, container, "a container of an earlier process is taken up");
        let session = Session { container, marker, begun: Instant::now(), before: before.unwrap_or_default(), source };
        let life = tokio::spawn(self.clone().live(run.clone(), activity, Some(session)));
        Ok(Attached::Running(Box::pin(async move {
            life.await.map_err(|error| ExecutorError::Engine { message: error.to_string() })?
        })))
    }
}

/// Whether it is the job's paths or arguments that keep a container from starting: that is a result, and must cost no collateral.
fn is_of_the_job(said: &str) -> bool {
    const SIGNS: [&str; 10] = [
        "mount",
        "cwd",
        "a directory",
        "no such file",
        "file exists",
        "permission denied",
        "argument list too long",
        "file name too long",
        "too many levels of symbolic links",
        "invalid argument",
    ];
    SIGNS.iter().any(|sign| said.contains(sign))
}

/// Makes sure that inputs are there, and that a program that is not their owner can read them.
async fn open_inputs(inputs: &[Input]) -> Result<(), ExecutorError> {
    let inputs = inputs.to_vec();
    let opened = tokio::task::spawn_blocking(move || {
        inputs.into_iter().try_for_each(|Input { guest_path, host_path }| {
            open(&host_path).map_err(|source| ExecutorError::Input { guest_path, host_path, source })
        })
    });
    opened.await.map_err(|error| ExecutorError::Engine { message: error.to_string() })?
}

fn open(path: &Path) -> io::Result<()> {
    const READABLE: u32 = 0o444;
    const SEARCHABLE: u32 = 0o555;
    let mut left = vec![path.to_owned()];
    while let Some(path) = left.pop() {
        let meta = path.symlink_metadata()?;
        let needed = if meta.is_dir() { SEARCHABLE } else { READABLE };
        if meta.is_symlink() {
            continue;
        }
        if meta.permissions().mode() & needed != needed {
            std::fs::set_permissions(&path, Permissions::from_mode(meta.permissions().mode() | needed))?;
        }
        if meta.is_dir() {
            for entry in path.read_dir()? {
                left.push(entry?.path());
            }
        }
    }
    Ok(())
}
