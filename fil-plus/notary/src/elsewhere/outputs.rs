//! Jobs' outputs: fetched whole, each block checked against its CID, and kept for a while to be looked into.
//!
//! ```text
//! <folder>/<job>/blocks, lock, usage   a block store of the output's own (lota-content)
//! <folder>/<job>/whole                 what a whole output came to, once it was fetched and checked
//! <folder>/<job>.gone                  one that is being removed
//! ```
//!
//! Each output has a store of its own: were blocks shared, an output that repeats another's, or an input, would count as retrievable
//! though nobody serves it. What is used least lately is removed first.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};

use async_trait::async_trait;
use lota_content::{
    BlockSource, Cid, DagScope, Store, StoreError, StoreOptions, SyncPolicy, car_stream, cid_from_digest, codec,
    fetch::{FetchError, FetchLimits, Fetcher, FetchingSource},
    piece::{PieceCommitment, piece_of_async_reader},
};
use lota_market::{Address, B256, model::JobId};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{Mutex, Semaphore},
    task::spawn_blocking,
};
use url::Url;

use super::{
    Piece,
    pace::{Pace, TooSlow, Waiting, at_pace},
    viewer,
};
use crate::{
    desk::{DeskError, OutputFile, OutputNode},
    history::History,
    outgoing::{causes, shown},
    review::{Retrieval, SettledJob},
};

/// The file of a folder that says what the whole output came to.
const WHOLE: &str = "whole";
/// How the names of folders end that are being removed.
const GONE: &str = ".gone";
/// The most time for one look into an output.
const LOOK: Duration = Duration::from_secs(30);
/// Bytes that a block takes on disk beyond its own, at most.
const PAGE: u64 = 4_096;

/// Where parties serve content.
#[async_trait]
pub trait Gateways: Send + Sync + 'static {
    /// The gateways of a party, as URLs that it wrote itself; none, if it announced none or that is not known now.
    async fn of(&self, party: Address) -> Vec<String>;
}

#[async_trait]
impl Gateways for History {
    async fn of(&self, party: Address) -> Vec<String> {
        match self.gateway(party).await {
            Ok(url) => url.into_iter().collect(),
            Err(error) => {
                tracing::warn!(%party, error = causes(&error), "where a party serves content cannot be looked up");
                Vec::new()
            }
        }
    }
}

/// How much is fetched and kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputLimits {
    /// The most bytes of one output's blocks.
    pub max_bytes: u64,
    /// The most blocks of one output.
    pub max_blocks: usize,
    /// The most bytes on disk of all that are kept, beside those that are being fetched.
    pub quota: u64,
    /// Outputs that are fetched at once.
    pub at_once: usize,
    /// The most time for fetching one; the next attempt goes on where this one ended.
    pub patience: Duration,
    /// What is fetched more slowly gives way to others.
    pub pace: Pace,
}

impl Default for OutputLimits {
    /// 8 GiB in 131,072 blocks each, 32 GiB kept, two at once, 30 minutes; see [`Pace::default`].
    fn default() -> Self {
        Self {
            max_bytes: 8 << 30,
            max_blocks: 1 << 17,
            quota: 32 << 30,
            at_once: 2,
            patience: Duration::from_secs(1_800),
            pace: Pace::default(),
        }
    }
}

/// What a whole output came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Whole {
    /// Of all its blocks.
    bytes: u64,
    blocks: u64,
    piece: Piece,
}

/// An output that is here, in part or whole.
struct Output {
    store: Store,
    dir: PathBuf,
    /// Held by who fetches it.
    fetching: Mutex<()>,
}

/// What is kept of an output.
#[derive(Default)]
struct Slot {
    /// While somebody uses it.
    open: std::sync::Weak<Output>,
    /// On disk, in bytes.
    charged: u64,
    /// Counts up with each use.
    used: u64,
}

#[derive(Default)]
struct Slots {
    slots: HashMap<JobId, Slot>,
    uses: u64,
}

/// The outputs in a folder.
pub struct Outputs {
    folder: PathBuf,
    fetcher: Fetcher,
    gateways: Arc<dyn Gateways>,
    limits: OutputLimits,
    slots: Mutex<Slots>,
    places: Semaphore,
    /// How many wait for a place.
    waiting: AtomicUsize,
}

impl std::fmt::Debug for Outputs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outputs").field("folder", &self.folder).field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Outputs {
    /// Opens a folder of this service's own, and makes it if it is missing. Outputs that it has from before are kept.
    ///
    /// # Errors
    /// When the folder cannot be read or written.
    pub async fn open(
        folder: PathBuf,
        fetcher: Fetcher,
        gateways: Arc<dyn Gateways>,
        limits: OutputLimits,
    ) -> io::Result<Self> {
        let (path, options) = (folder.clone(), store_options(&limits));
        let slots = spawn_blocking(move || found_in(&path, &options)).await.map_err(|_| ending())??;
        let places = Semaphore::new(limits.at_once.max(1));
        let (slots, waiting) = (Mutex::new(slots), AtomicUsize::default());
        let outputs = Self { folder, fetcher, gateways, limits, slots, places, waiting };
        outputs.make_room().await;
        Ok(outputs)
    }

    /// Fetches all of a job's output, unless it is here whole already, and checks it: each block against its CID, and that it is the
    /// result of a job with this exit code. With the commitment to its CAR (version 1): root, then all blocks in the order of a walk, each
    /// once, as `lota content save` writes and `lota content piece` names it.
    pub async fn retrieval(&self, job: &SettledJob) -> (Retrieval, Option<Piece>) {
        match self.whole(job).await {
            Ok(whole) => (Retrieval::Verified { bytes: whole.bytes }, Some(whole.piece)),
            Err(NotWhole::NotNow(why)) => {
                tracing::warn!(job = %job.job, why, "an output cannot be fetched now");
                (Retrieval::Pending, None)
            }
            Err(NotWhole::Unavailable(why)) => (Retrieval::Unavailable { why }, None),
        }
    }

    /// What lies at a path of a job's output. Of an output that is not here, only what is looked at is fetched.
    ///
    /// # Errors
    /// See [`DeskError`].
    pub async fn look(&self, job: &SettledJob, path: &str, after: Option<&str>) -> Result<OutputNode, DeskError> {
        let root = root(job);
        self.looking(job, |source, _| async move { viewer::look(&source, &root, path, after).await }).await
    }

    /// A file of a job's output, of at most so many bytes. All of it is fetched first; an attempt goes on where the last one ended.
    ///
    /// # Errors
    /// See [`DeskError`].
    pub async fn file(&self, job: &SettledJob, path: &str, most: u64) -> Result<OutputFile, DeskError> {
        let root = root(job);
        let look = |source, output: Arc<Output>| async move {
            let OutputFile { size, bytes } = viewer::whole(source, &root, path, most).await?;
            // It is not removed while it is handed out.
            let held = move |piece| {
                let _output = &output;
                piece
            };
            Ok(OutputFile { size, bytes: Box::pin(futures::StreamExt::map(bytes, held)) })
        };
        self.looking(job, look).await
    }

    /// Looks into an output, for a while.
    async fn looking<T, F: Future<Output = Result<T, DeskError>>>(
        &self,
        job: &SettledJob,
        look: impl FnOnce(FetchingSource, Arc<Output>) -> F,
    ) -> Result<T, DeskError> {
        let not_now = |why: String| DeskError::Unavailable(why);
        let output = self.output(job.job).await.map_err(|error| not_now(error.to_string()))?;
        let looking = async {
            // Of a whole output, too: what has become corrupt on the disk is fetched again.
            let sources = self.sources(job).await;
            look(FetchingSource::new(&output.store, self.fetcher.clone(), &sources), Arc::clone(&output)).await
        };
        let looked = tokio::time::timeout(LOOK, looking).await;
        self.settle(job.job, &output).await;
        drop(output);
        self.make_room().await;
        looked.unwrap_or_else(|_| Err(not_now(format!("it was not here after {} s; try again", LOOK.as_secs()))))
    }

    async fn whole(&self, job: &SettledJob) -> Result<Whole, NotWhole> {
        let output = self.output(job.job).await.map_err(|error| NotWhole::NotNow(causes(&error)))?;
        let outcome = self.fetch(job, &output).await;
        self.settle(job.job, &output).await;
        drop(output);
        self.make_room().await;
        outcome
    }

    async fn fetch(&self, job: &SettledJob, output: &Output) -> Result<Whole, NotWhole> {
        // Who asks for the same meanwhile finds it whole.
        let _alone = output.fetching.lock().await;
        if let Some(whole) = read_whole(&output.dir).await {
            return Ok(whole);
        }
        let place = Waiting::of(&self.waiting, self.places.acquire()).await;
        let _place = place.map_err(|error| NotWhole::NotNow(error.to_string()))?;
        let (root, sources) = (root(job), self.sources(job).await);
        let limits = FetchLimits {
            max_bytes: self.limits.max_bytes,
            max_blocks: self.limits.max_blocks,
            // What an earlier attempt left is checked as well.
            verify: true,
            ..FetchLimits::default()
        };
        let fetching = self.fetcher.fetch_dag(&output.store, &root, &sources, &limits);
        let fetching = at_pace(fetching, &self.limits.pace, &self.waiting, || output.store.usage().bytes);
        let fetched = match tokio::time::timeout(self.limits.patience, fetching).await {
            Ok(Err(TooSlow { words })) => return Err(NotWhole::Unavailable(words)),
            Ok(Ok(Ok(fetched))) => fetched,
            Ok(Ok(Err(error @ (FetchError::Store(StoreError::Io { .. }) | FetchError::Interrupted)))) => {
                return Err(NotWhole::NotNow(causes(&error)));
            }
            Ok(Ok(Err(error))) => return Err(NotWhole::Unavailable(causes(&error))),
            Err(_) => {
                let (bytes, seconds) = (output.store.usage().bytes, self.limits.patience.as_secs());
                let why = format!("it was not here whole after {seconds} s of fetching: {bytes} bytes are");
                return Err(NotWhole::Unavailable(why));
            }
        };
        is_result(&output.store, &root, job.exit_code).await.map_err(NotWhole::Unavailable)?;
        let piece = self.commitment(&output.store, &root).await?;
        let piece =
            Piece { commitment: B256::from(piece.root().as_bytes()), size: piece.padded_size(), car: piece.size() };
        let whole = Whole { bytes: fetched.bytes, blocks: fetched.blocks, piece };
        write_whole(output.dir.clone(), whole).await.map_err(|error| NotWhole::NotNow(error.to_string()))?;
        Ok(whole)
    }

    async fn commitment(&self, store: &Store, root: &Cid) -> Result<PieceCommitment, NotWhole> {
        let car = car_stream(store.clone(), &[], root, DagScope::All, self.limits.max_blocks);
        let car = futures::StreamExt::map(car, |piece| piece.map_err(io::Error::other));
        let reader = tokio_util::io::StreamReader::new(Box::pin(car));
        piece_of_async_reader(reader, 1).await.map_err(|error| NotWhole::NotNow(causes(&error)))
    }

    /// The gateways of provider and client, who both have it if they are honest.
    async fn sources(&self, job: &SettledJob) -> Vec<Url> {
        gateways_of(&*self.gateways, &[job.provider, job.client]).await
    }

    /// A job's output, as far as it is here.
    async fn output(&self, job: JobId) -> io::Result<Arc<Output>> {
        let mut slots = self.slots.lock().await;
        slots.uses += 1;
        let uses = slots.uses;
        let slot = slots.slots.entry(job).or_default();
        slot.used = uses;
        if let Some(output) = slot.open.upgrade() {
            return Ok(output);
        }
        let (dir, options) = (self.folder.join(name_of(job)), store_options(&self.limits));
        let opened = spawn_blocking(move || match Store::open(&dir, options) {
            Ok(store) => Ok(Output { store, dir, fetching: Mutex::default() }),
            Err(error) => Err(io::Error::other(causes(&error))),
        });
        let output = Arc::new(opened.await.map_err(|_| ending())??);
        slot.open = Arc::downgrade(&output);
        Ok(output)
    }

    /// Notes how much an output takes.
    async fn settle(&self, job: JobId, output: &Output) {
        if let Some(slot) = self.slots.lock().await.slots.get_mut(&job) {
            slot.charged = output.store.usage().charged;
        }
    }

    /// Removes what was used least lately, until the rest is within the quota.
    async fn make_room(&self) {
        let mut slots = self.slots.lock().await;
        let mut removed = Vec::new();
        loop {
            let total: u64 = slots.slots.values().map(|slot| slot.charged).sum();
            if total <= self.limits.quota {
                break;
            }
            let idle = slots.slots.iter().filter(|(_, slot)| slot.open.strong_count() == 0);
            let Some(job) = idle.min_by_key(|(_, slot)| slot.used).map(|(job, _)| *job) else { break };
            let dir = self.folder.join(name_of(job));
            let gone = dir.with_extension(&GONE[1..]);
            // Out of the way at once: whoever asks for it now begins anew.
            if let Err(error) = std::fs::rename(&dir, &gone) {
                tracing::warn!(%job, %error, "an output cannot be removed");
            }
            slots.slots.remove(&job);
            removed.push(gone);
        }
        drop(slots);
        if removed.is_empty() {
            return;
        }
        let removing = spawn_blocking(move || {
            for gone in removed {
                if let Err(error) = std::fs::remove_dir_all(&gone) {
                    tracing::warn!(folder = %gone.display(), %error, "an output cannot be removed");
                }
            }
        });
        // Whoever drops this meanwhile does not end the removing.
        let _ = removing.await;
    }
}

/// Why an output is not here whole.
enum NotWhole {
    /// It is nobody's fault but this machine's.
    NotNow(String),
    Unavailable(String),
}

/// The root of a job's output.
fn root(job: &SettledJob) -> Cid {
    cid_from_digest(codec::DAG_PB, job.output.0)
}

/// The gateways of parties, in their order. What is no URL is left out.
pub(super) async fn gateways_of(gateways: &dyn Gateways, parties: &[Address]) -> Vec<Url> {
    let mut urls = Vec::new();
    for party in parties {
        urls.extend(gateways.of(*party).await.iter().filter_map(|url| url.parse::<Url>().ok()));
    }
    urls
}

/// Whether an output is the result of a job with this exit code, as whoever runs jobs writes one (docs/execution.md).
async fn is_result<S: BlockSource + Clone>(source: S, root: &Cid, exit_code: u32) -> Result<(), String> {
    let no_result = |why: String| format!("all of it was fetched, and it is no result of a job: {}", shown(&why));
    let found = lota_content::resolve(&source, root, "exitCode").await.map_err(|error| no_result(causes(&error)))?;
    let text = lota_content::read_to_vec(source, &found.cid, 16).await.map_err(|error| no_result(causes(&error)))?;
    if text == exit_code.to_string().as_bytes() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&text).into_owned();
    Err(no_result(format!("its exitCode says `{text}`, and the receipt says {exit_code}")))
}

fn name_of(job: JobId) -> String {
    hex::encode(job.0)
}

fn store_options(limits: &OutputLimits) -> StoreOptions {
    let pages = (limits.max_blocks as u64).saturating_mul(PAGE);
    StoreOptions { capacity: limits.max_bytes.saturating_add(pages), sync: SyncPolicy::Never }
}

fn ending() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "the program is ending")
}

/// What an earlier process left: outputs with their sizes, the ones that were changed last as those that were used last.
fn found_in(folder: &Path, options: &StoreOptions) -> io::Result<Slots> {
    std::fs::create_dir_all(folder)?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        if name.ends_with(GONE) {
            std::fs::remove_dir_all(&path)?;
            continue;
        }
        let mut id = [0; 32];
        if hex::decode_to_slice(name, &mut id).is_err() {
            continue;
        }
        let changed = std::fs::metadata(&path)?.modified()?;
        match Store::open(&path, options.clone()) {
            Ok(store) => found.push((changed, JobId(B256::from(id)), store.usage().charged)),
            // It can be fetched again.
            Err(error) => {
                tracing::warn!(folder = %path.display(), error = causes(&error), "an output cannot be opened: it is removed");
                std::fs::remove_dir_all(&path)?;
            }
        }
    }
    found.sort_unstable();
    let mut slots = Slots::default();
    for (_, job, charged) in found {
        slots.uses += 1;
        slots.slots.insert(job, Slot { charged, used: slots.uses, ..Slot::default() });
    }
    Ok(slots)
}

/// `None`: it is not whole, or what says so cannot be read; then it is fetched again, what is here included.
async fn read_whole(dir: &Path) -> Option<Whole> {
    let bytes = tokio::fs::read(dir.join(WHOLE)).await.ok()?;
    serde_json::from_slice(&bytes).ok()
}

async fn write_whole(dir: PathBuf, whole: Whole) -> io::Result<()> {
    let write = move || {
        let path = dir.join(WHOLE);
        let beside = path.with_extension("tmp");
        std::fs::write(&beside, serde_json::to_vec(&whole)?)?;
        std::fs::rename(&beside, &path)
    };
    spawn_blocking(write).await.map_err(|_| ending())?
}

#[cfg(test)]
pub(super) mod tests;
