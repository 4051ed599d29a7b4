//! Running a job again: what it needs is fetched, laid out in a scratch folder, run by an engine that somebody else brings, and what
//! comes of it compared with the receipt.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use async_trait::async_trait;
use lota_content::{
    Cid, ExportLimits, ImportOptions, Store, StoreError, StoreOptions, SyncPolicy, cid_of_path, codec, export_to,
    fetch::{FetchError, FetchLimits, Fetcher, FileError, FileLimits},
    read_to_vec, sha2_256_digest,
};
use lota_market::{
    Bytes,
    model::{JobId, MAX_INLINE_DATA},
    spec::{Engine as SpecEngine, Source, ValidatedSpec},
};
use tokio::{sync::Semaphore, task::spawn_blocking};
use url::Url;

use super::{
    outputs::{Gateways, gateways_of},
    pace::{Pace, TooSlow, Waiting, at_pace},
};
use crate::{
    history::Kept,
    outgoing::{causes, shown},
    review::ReExecution,
};

/// The largest module, in bytes: as large as nodes take.
const MAX_MODULE: u64 = 64 << 20;
/// The most files and directories of all inputs together, as with nodes.
const MAX_ENTRIES: u64 = 100_000;
const MAX_DEPTH: usize = 64;
const MAX_PATH: usize = 2_048;
/// The most blocks of an input.
const MAX_BLOCKS: usize = 1 << 18;

/// A WASM job with all that it needs on this machine.
#[derive(Clone, Debug)]
pub struct WasmRun {
    /// Its id is the seed of everything random.
    pub job: JobId,
    /// When its clock begins, in Unix seconds.
    pub opened_at: u64,
    pub module: Bytes,
    pub entry_point: String,
    pub args: Vec<String>,
    pub env: Vec<(String, String)>,
    /// Path in the guest, and the file or directory of this machine that is there.
    pub inputs: Vec<(String, PathBuf)>,
    /// The directory of the guest that becomes `outputs` of the result.
    pub outputs: String,
    pub limits: RunLimits,
    /// A folder of its own, for the result and for scratch.
    pub work_dir: PathBuf,
}

/// A run's limits. All but the wall time are the job's own: with others it would be another run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunLimits {
    pub fuel: u64,
    /// In bytes.
    pub memory: u64,
    /// Of streams and files, in bytes.
    pub output: u64,
    /// Files and directories.
    pub entries: u64,
    pub wall: Duration,
}

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ran {
    pub exit_code: u32,
    pub fuel_used: u64,
    /// Why it ended, in words.
    pub ended: String,
    /// Whether every machine comes to this end.
    pub is_reproducible: bool,
    /// Where its result is.
    pub result_dir: PathBuf,
}

/// Runs WASM jobs as nodes do. A run whose future is dropped is not waited for any more.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// # Errors
    /// What this machine could not do; nothing is said of the job by that.
    async fn run(&self, run: WasmRun) -> Result<Ran, String>;
}

/// What this service spends on running a job again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReExecutionLimits {
    /// The most memory that a job's spec may allow, in bytes.
    pub memory: u64,
    /// The most output that it may allow, in bytes.
    pub output: u64,
    /// The most files and directories that it may allow.
    pub entries: u64,
    /// The most time on the clock.
    pub wall: Duration,
    /// The most bytes of module and inputs.
    pub inputs: u64,
    /// The most time for fetching them.
    pub patience: Duration,
    /// What is fetched more slowly gives way to others.
    pub pace: Pace,
    /// Runs at once.
    pub at_once: usize,
}

impl Default for ReExecutionLimits {
    /// 4 GiB of memory, 4 GiB of output in 100,000 files, 15 minutes; 8 GiB of inputs within 30 minutes; one at a time.
    fn default() -> Self {
        Self {
            memory: 4 << 30,
            output: 4 << 30,
            entries: 100_000,
            wall: Duration::from_secs(900),
            inputs: 8 << 30,
            patience: Duration::from_secs(1_800),
            pace: Pace::default(),
            at_once: 1,
        }
    }
}

/// Runs jobs again.
pub struct ReExecutor {
    engine: Arc<dyn Engine>,
    fetcher: Fetcher,
    gateways: Arc<dyn Gateways>,
    /// Emptied at the start.
    folder: PathBuf,
    limits: ReExecutionLimits,
    places: Semaphore,
    /// How many wait for a place.
    waiting: AtomicUsize,
}

impl std::fmt::Debug for ReExecutor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReExecutor").field("folder", &self.folder).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Why a job was not run again.
enum NotRun {
    /// It may work later: this machine's disk or engine, or who has what the job needs.
    NotNow(String),
    /// It never will.
    Impossible(String),
}

impl NotRun {
    fn because(what: &str, error: &dyn std::error::Error) -> Self {
        Self::Impossible(format!("{what}: {}", causes(error)))
    }

    fn of_fetching(what: &str, error: &FetchError) -> Self {
        match error {
            FetchError::NoSources { .. }
            | FetchError::Failed { .. }
            | FetchError::Store(StoreError::Io { .. })
            | FetchError::Interrupted => Self::NotNow(format!("{what}: {}", causes(error))),
            error => Self::because(what, error),
        }
    }

    fn of_file(what: &str, error: &FileError) -> Self {
        match error {
            FileError::Url { .. }
            | FileError::Digest { .. }
            | FileError::Store(StoreError::Io { .. })
            | FileError::Interrupted => Self::NotNow(format!("{what}: {}", causes(error))),
            error => Self::because(what, error),
        }
    }
}

/// A folder that is removed when this is dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let path = std::mem::take(&mut self.0);
        let remove = move || {
            if let Err(error) = std::fs::remove_dir_all(&path)
                && error.kind() != std::io::ErrorKind::NotFound
            {
                tracing::warn!(folder = %path.display(), %error, "what a run needed cannot be cleared away");
            }
        };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

impl ReExecutor {
    /// One that works in this folder, which it empties.
    ///
    /// # Errors
    /// When the folder cannot be emptied or made.
    pub fn new(
        engine: Arc<dyn Engine>,
        fetcher: Fetcher,
        gateways: Arc<dyn Gateways>,
        folder: PathBuf,
        limits: ReExecutionLimits,
    ) -> std::io::Result<Self> {
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir_all(&folder)?,
        }
        let places = Semaphore::new(limits.at_once.max(1));
        let waiting = AtomicUsize::default();
        Ok(Self { engine, fetcher, gateways, folder, limits, places, waiting })
    }

    /// Runs a settled job again, and compares.
    pub async fn run_again(&self, kept: &Kept, spec: &ValidatedSpec) -> ReExecution {
        match self.compare(kept, spec).await {
            Ok(outcome) => outcome,
            Err(NotRun::Impossible(why)) => ReExecution::Impossible { why },
            Err(NotRun::NotNow(why)) => {
                tracing::warn!(job = %kept.job.job, why, "a job cannot be run again now");
                ReExecution::NotNow { why }
            }
        }
    }

    async fn compare(&self, kept: &Kept, spec: &ValidatedSpec) -> Result<ReExecution, NotRun> {
        let SpecEngine::Wasm { module, entry } = spec.engine() else { return Ok(ReExecution::NotReproducible) };
        let limits = self.limits_of(spec)?;
        if let Some(label) = spec.inputs().iter().find_map(|mount| match &mount.source {
            Source::Directory(label) => Some(label),
            Source::Content(_) | Source::Url { .. } => None,
        }) {
            let label = shown(label);
            return Err(NotRun::Impossible(format!(
                "it reads the directory `{label}` of its provider, which nobody else has"
            )));
        }
        let place = Waiting::of(&self.waiting, self.places.acquire()).await;
        let _place = place.map_err(|error| NotRun::NotNow(error.to_string()))?;
        let name = format!("{}-{:016x}", hex::encode(kept.job.job.0), rand::random::<u64>());
        let scratch = Scratch(self.folder.join(name));
        // Of the disk only what came is counted, not what is laid out.
        let store = self.scratch_store(&scratch.0).await?;
        let preparing = self.prepare(kept, spec, module.0, &store, &scratch.0);
        let preparing = at_pace(preparing, &self.limits.pace, &self.waiting, || store.usage().bytes);
        let patience = self.limits.patience;
        let (module, inputs) = match tokio::time::timeout(patience, preparing).await {
            Ok(Ok(prepared)) => prepared?,
            Ok(Err(TooSlow { words })) => return Err(NotRun::NotNow(format!("what it needs: {words}"))),
            Err(_) => {
                let seconds = patience.as_secs();
                return Err(NotRun::NotNow(format!("what it needs was not here after {seconds} s of fetching")));
            }
        };
        let run = WasmRun {
            job: kept.job.job,
            opened_at: kept.terms.ramp_start.0,
            module,
            entry_point: entry.clone(),
            args: spec.args().to_vec(),
            env: spec.env().iter().map(|(name, value)| (name.clone(), value.clone())).collect(),
            inputs,
            outputs: spec.outputs().as_str().to_owned(),
            limits,
            work_dir: scratch.0.join("work"),
        };
        let ran = self.engine.run(run).await;
        let ran = ran.map_err(|why| NotRun::NotNow(format!("this service could not run it: {}", shown(&why))))?;
        judge(kept, &ran).await
    }

    /// The limits of the run, if this service has as much to give.
    fn limits_of(&self, spec: &ValidatedSpec) -> Result<RunLimits, NotRun> {
        let (allowed, own) = (spec.limits(), &self.limits);
        for (what, allowed, own) in [
            ("bytes of memory", allowed.memory, own.memory),
            ("bytes of output", allowed.output, own.output),
            ("files and directories", allowed.entries, own.entries),
        ] {
            if allowed > own {
                let why =
                    format!("its spec allows {allowed} {what}, and this service has {own} for running jobs again");
                return Err(NotRun::Impossible(why));
            }
        }
        let wall = Duration::from_secs(allowed.wall).min(own.wall);
        Ok(RunLimits {
            fuel: allowed.fuel,
            memory: allowed.memory,
            output: allowed.output,
            entries: allowed.entries,
            wall,
        })
    }

    /// Makes what [`ReExecutor::prepare`] needs in a scratch folder.
    async fn scratch_store(&self, scratch: &Path) -> Result<Store, NotRun> {
        let not_now = |error: &dyn std::error::Error| NotRun::NotNow(causes(error));
        let (blocks, laid_out) = (scratch.join("blocks"), scratch.join("inputs"));
        let capacity = self.limits.inputs.saturating_mul(2).saturating_add(1 << 30);
        let opening = spawn_blocking(move || -> Result<Store, StoreError> {
            let made = std::fs::create_dir_all(&laid_out);
            made.map_err(|source| StoreError::Io { action: "make", path: laid_out, source })?;
            Store::open(blocks, StoreOptions { capacity, sync: SyncPolicy::Never })
        });
        opening.await.map_err(|error| not_now(&error))?.map_err(|error| not_now(&error))
    }

    /// Fetches module and inputs, and lays the inputs out.
    async fn prepare(
        &self,
        kept: &Kept,
        spec: &ValidatedSpec,
        module: Cid,
        store: &Store,
        scratch: &Path,
    ) -> Result<(Bytes, Vec<(String, PathBuf)>), NotRun> {
        let laid_out = scratch.join("inputs");
        let sources = gateways_of(&*self.gateways, &[kept.job.client, kept.job.provider]).await;
        let mut left = self.limits.inputs;
        left = left.saturating_sub(self.fetch("the module", store, &module, &sources, left.min(2 * MAX_MODULE)).await?);
        let program = read_to_vec(store, &module, MAX_MODULE).await;
        let program = program.map_err(|error| NotRun::because("the module cannot be read", &error))?;
        let mut limits = ExportLimits {
            max_bytes: self.limits.inputs,
            max_entries: MAX_ENTRIES,
            max_depth: MAX_DEPTH,
            max_path: MAX_PATH,
            ..ExportLimits::default()
        };
        let mut inputs = Vec::new();
        for (number, mount) in (1..).zip(spec.inputs()) {
            let what = format!("input {number}");
            let root = match &mount.source {
                Source::Content(link) => {
                    left = left.saturating_sub(self.fetch(&what, store, &link.0, &sources, left).await?);
                    link.0
                }
                Source::Url { url, cid } => {
                    let (root, bytes) = self.fetch_file(&what, store, url, &cid.0, left).await?;
                    left = left.saturating_sub(bytes);
                    root
                }
                // Refused before.
                Source::Directory(_) => continue,
            };
            let path = laid_out.join(number.to_string());
            let exported = export_to(store.clone(), &root, &path, &limits).await;
            let exported = exported.map_err(|error| NotRun::because(&format!("{what} cannot be laid out"), &error))?;
            limits.max_bytes = limits.max_bytes.saturating_sub(exported.bytes);
            limits.max_entries = limits.max_entries.saturating_sub(exported.entries);
            inputs.push((mount.path.as_str().to_owned(), path));
        }
        Ok((Bytes::from(program), inputs))
    }

    /// Brings a DAG into the scratch store; returns its bytes.
    async fn fetch(&self, what: &str, store: &Store, cid: &Cid, sources: &[Url], limit: u64) -> Result<u64, NotRun> {
        let limits = FetchLimits { max_bytes: limit, max_blocks: MAX_BLOCKS, ..FetchLimits::default() };
        let fetched = self.fetcher.fetch_dag(store, cid, sources, &limits).await;
        fetched.map(|fetched| fetched.bytes).map_err(|error| NotRun::of_fetching(what, &error))
    }

    async fn fetch_file(
        &self,
        what: &str,
        store: &Store,
        url: &str,
        cid: &Cid,
        limit: u64,
    ) -> Result<(Cid, u64), NotRun> {
        let digest = sha2_256_digest(cid).map_err(|error| NotRun::because(what, &error))?;
        let url: Url = url.parse().map_err(|error: url::ParseError| NotRun::because(what, &error))?;
        let limits = FileLimits { max_bytes: limit, pin: None };
        let fetched = self.fetcher.fetch_file(store, &url, digest, &limits).await;
        fetched.map(|file| (file.cid, file.size)).map_err(|error| NotRun::of_file(what, &error))
    }
}

/// Compares what a run came to with the receipt.
async fn judge(kept: &Kept, ran: &Ran) -> Result<ReExecution, NotRun> {
    let result_dir = ran.result_dir.clone();
    let hashing = spawn_blocking(move || {
        let found = cid_of_path(&result_dir, &ImportOptions { threads: 1, ..ImportOptions::default() });
        let stdout = result_dir.join("stdout");
        let stdout = std::fs::metadata(&stdout).and_then(|metadata| {
            if metadata.len() <= MAX_INLINE_DATA as u64 { std::fs::read(&stdout) } else { Ok(Vec::new()) }
        });
        (found, stdout)
    });
    let (found, stdout) = hashing.await.map_err(|error| NotRun::NotNow(error.to_string()))?;
    let found = found.map_err(|error| NotRun::because("its result cannot be read", &error))?.cid;
    let receipt = &kept.result;
    let stated = lota_content::cid_from_digest(codec::DAG_PB, receipt.output.0);
    let mut differs = Vec::new();
    if found != stated {
        differs.push(format!("the output is {found}, and the receipt says {stated}"));
    }
    if ran.exit_code != receipt.exit_code {
        differs.push(format!("the exit code is {}, and the receipt says {}", ran.exit_code, receipt.exit_code));
    }
    if ran.fuel_used != receipt.fuel_used {
        differs.push(format!("it used {} of fuel, and the receipt says {}", ran.fuel_used, receipt.fuel_used));
    }
    // What travels on chain is standard output, for jobs with a callback.
    let inline = if kept.terms.callback_gas > 0 { stdout.unwrap_or_default() } else { Vec::new() };
    if inline != receipt.inline_data[..] {
        differs.push("the data in the receipt is not its standard output".to_owned());
    }
    if differs.is_empty() && ran.is_reproducible {
        return Ok(ReExecution::Agrees { fuel: ran.fuel_used });
    }
    if !ran.is_reproducible {
        return Err(NotRun::Impossible(format!(
            "here it ended in a way that is not the same on every machine, so nothing follows from it: it {}",
            shown(&ran.ended)
        )));
    }
    Ok(ReExecution::Differs { what: format!("{} (it {})", differs.join("; "), shown(&ran.ended)) })
}

#[cfg(test)]
mod tests;
