//! The Docker executor: programs of images in containers that have nothing but what the job names.
//!
//! An engine outlives the node: a container that a killed node left goes on, and the next one takes it up. What a container writes
//! is no function of the run: nothing here is reproducible, and nothing claims to be. `docs/docker.md` is the user's side.

mod allowance;
mod archive;
mod cache;
mod collect;
mod container;
mod disk;
mod engine;
mod image;
mod leftovers;
mod life;
mod probe;
mod result;
mod streams;
mod unpacked;
mod verdict;

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;

pub use engine::{NoDocker, default_host};
pub use image::{ImageSource, LayOut};

use crate::executor::runs::Runs;
use crate::executor::{Attached, CheckError, EngineRun, Executor, ExecutorError, Run, RunId, RunOutcome};
use cache::Cache;
use engine::{Engine, JOB};
use image::{Purpose, Turns};
use leftovers::Leftovers;

/// A program of an image that is to be run in a container.
#[derive(Debug, Clone)]
pub struct DockerRun {
    pub image: ImageSource,
    /// The program and its first arguments; empty: the image's own.
    pub entrypoint: Vec<String>,
    /// The directory that it begins in; `None`: the image's own.
    pub workdir: Option<String>,
    /// Thousandths of a processor.
    pub cpu_millis: u64,
    /// Processes and threads at a time.
    pub pids: u64,
    /// Whole graphics processors.
    pub gpus: u32,
}

impl DockerRun {
    /// The engine's name.
    pub const ENGINE: &'static str = "docker";

    /// The image's own program, with one processor and 256 processes.
    #[must_use]
    pub fn new(image: ImageSource) -> Self {
        Self { image, entrypoint: Vec::new(), workdir: None, cpu_millis: 1_000, pids: 256, gpus: 0 }
    }
}

/// Settings of a [`DockerExecutor`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerSettings {
    /// The engine's socket: `unix://…`.
    pub host: String,
    /// Names the node to the engine: what it left there is found again by it.
    pub node: String,
    /// A folder of its own, which the engine sees under the same path.
    pub dir: PathBuf,
    /// Jobs that run at once; further ones wait.
    pub jobs: usize,
    /// Whom programs run as: numbers of a user and a group, none of them 0.
    pub user: String,
    /// The runtime, such as gVisor's `runsc`; `None`: the engine's default.
    pub runtime: Option<String>,
    /// Whether the engine must have user namespaces.
    pub require_user_namespaces: bool,
    /// Whether images are pulled from registries.
    pub pull: bool,
    /// The most bytes of one image.
    pub image_bytes: u64,
    /// The most bytes of images that are kept for later jobs, about.
    pub cache_bytes: u64,
}

impl DockerSettings {
    /// For a node of this name at this engine, with defaults.
    #[must_use]
    pub fn new(host: impl Into<String>, node: impl Into<String>, dir: impl Into<PathBuf>) -> Self {
        Self {
            host: host.into(),
            node: node.into(),
            dir: dir.into(),
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
            user: "65534:65534".to_owned(),
            runtime: None,
            require_user_namespaces: false,
            pull: true,
            image_bytes: 8 << 30,
            cache_bytes: 20 << 30,
        }
    }

    /// Where the keeper is on this machine.
    fn keeper(&self) -> PathBuf {
        self.dir.join("keeper")
    }
}

/// Runs programs in containers.
#[derive(Clone)]
pub struct DockerExecutor {
    engine: Engine,
    settings: Arc<DockerSettings>,
    places: Arc<Semaphore>,
    turns: Arc<Turns>,
    cache: Arc<Cache>,
    leftovers: Arc<Leftovers>,
    runs: Runs,
}

impl fmt::Debug for DockerExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DockerExecutor").field("host", &self.engine.host).finish_non_exhaustive()
    }
}

impl DockerExecutor {
    /// An executor on the engine that these settings name; makes sure that it can run a container as jobs need it.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn connect(settings: DockerSettings) -> Result<Self, NoDocker> {
        let unfit = |problem: String| NoDocker::Unfit { host: settings.host.clone(), problem };
        let is_number = |part: &str| part.parse::<u32>().is_ok_and(|number| number > 0);
        if settings.user.split(':').count() != 2 || !settings.user.split(':').all(is_number) {
            return Err(unfit(format!(
                "is to run jobs as `{}`; name the numbers of a user and a group that are not root, such as 65534:65534",
                settings.user
            )));
        }
        let engine = Engine::connect(&settings).await?;
        let executor = Self::at(engine, settings)?;
        executor.probe().await?;
        Ok(executor)
    }

    /// Another node's executor at the same engine, which was found to work.
    ///
    /// # Errors
    /// When its folder cannot be used.
    pub fn of_node(&self, settings: DockerSettings) -> Result<Self, NoDocker> {
        let engine = Engine { node: settings.node.clone(), ..self.engine.clone() };
        Self::at(engine, settings)
    }

    fn at(engine: Engine, settings: DockerSettings) -> Result<Self, NoDocker> {
        let broken = |problem: String| NoDocker::Broken { host: settings.host.clone(), problem };
        let dir = std::path::absolute(&settings.dir).map_err(|error| broken(error.to_string()))?;
        let settings = DockerSettings { dir, ..settings.clone() };
        probe::prepare(&settings, &engine.architecture).map_err(|error| broken(error.to_string()))?;
        let cache = Cache::open(&settings.dir).map_err(|error| broken(error.to_string()))?;
        Ok(Self {
            engine,
            places: Arc::new(Semaphore::new(settings.jobs.max(1))),
            settings: Arc::new(settings),
            turns: Arc::default(),
            cache: Arc::new(cache),
            leftovers: Arc::default(),
            runs: Runs::default(),
        })
    }

    /// The container engine's part of a run.
    fn docker(run: &Run) -> Result<&DockerRun, ExecutorError> {
        match &run.engine {
            EngineRun::Docker(docker) => Ok(docker),
            other => {
                Err(ExecutorError::Engine { message: format!("it runs no jobs for the engine `{}`", other.name()) })
            }
        }
    }

    /// Removes what the engine has for a job.
    async fn remove_job(&self, job: RunId) -> Result<(), bollard::errors::Error> {
        for (container, _) in self.engine.containers(Some(job)).await? {
            self.engine.remove(&container).await?;
        }
        Ok(())
    }

    async fn clear(&self, live: &HashSet<RunId>) -> Result<(), bollard::errors::Error> {
        for (container, labels) in self.engine.containers(None).await? {
            let job = labels.get(JOB).and_then(|job| <[u8; 32]>::try_from(hex::decode(job).ok()?).ok());
            if !job.is_some_and(|job| live.contains(&RunId(job))) {
                self.engine.remove(&container).await?;
            }
        }
        self.engine.remove_volumes().await
    }
}

#[async_trait]
impl Executor for DockerExecutor {
    async fn check(&self, run: &Run) -> Result<(), CheckError> {
        let activity = self.runs.begin_check(run.job);
        let docker = Self::docker(run)?;
        container::check(run, docker)?;
        let image = tokio::select! {
            image = self.image(&docker.image, Purpose::Check, run.asked_by) => image?,
            () = activity.stop().cancelled() => return Err(ExecutorError::Aborted.into()),
        };
        container::Command::of(run, docker, &image.config)?;
        Ok(())
    }

    async fn run(&self, run: Run) -> Result<RunOutcome, ExecutorError> {
        let activity = self.runs.begin_run(run.job).await?;
        let this = self.clone();
        // Goes on if nobody waits for it: it can be attached to.
        let life = tokio::spawn(async move { this.live(run, activity, None).await });
        life.await.map_err(|error| ExecutorError::Engine { message: error.to_string() })?
    }

    async fn attach(&self, run: &Run) -> Result<Attached, ExecutorError> {
        match self.runs.attach(run.job) {
            Attached::Unknown => self.adopt(run).await,
            known => Ok(known),
        }
    }

    async fn abort(&self, job: RunId) {
        self.runs.abort(job).await;
        if let Err(error) = self.remove_job(job).await {
            tracing::warn!(%job, %error, "the job's container could not be removed; it is when the engine answers");
            self.leftovers.note_job(job);
        }
    }

    async fn reap(&self, live: &HashSet<RunId>) -> Result<(), ExecutorError> {
        for job in self.runs.jobs().into_iter().filter(|job| !live.contains(job)) {
            self.runs.abort(job).await;
        }
        self.clear(live)
            .await
            .map_err(|error| self.engine.failed("clear away what an earlier process left", &error))?;
        self.measure_images().await;
        self.make_room().await;
        Ok(())
    }

    async fn away(&self) -> Option<String> {
        let away = self.engine.away().await;
        if away.is_none() {
            self.remove_leftovers().await;
        }
        away
    }
}
