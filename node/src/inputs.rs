//! A job's module (or its image's archive) and inputs: fetched, measured, read, and laid out on disk. Blocks that turn out to be corrupt are fetched
//! again.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use lota_content::{Cid, DagError, ExportError, ExportLimits, ReadError, SourceError, Store, StoreError};
use lota_market::{
    Address,
    agent::{Failure, Job},
    spec::{Source, ValidatedSpec},
};

use crate::{
    directories::{Directories, MAX_DEPTH, MAX_ENTRIES},
    executor::{CheckError, ExecutorError, ImageSource, ModuleSource, RunFault},
    failure::temporary,
    fetch::{Downloader, Purpose},
    pins::content_pin,
};

/// The longest path in an input, in bytes: with the folder that it is laid out in, less than Linux takes.
const MAX_PATH: usize = 2_048;
/// The largest module, in bytes.
const MAX_MODULE: u64 = 64 << 20;
/// The file of a result that says what was in the provider's directories.
const DIRECTORIES: &str = "directories";

/// Where modules and inputs come from.
#[derive(Clone)]
pub(crate) struct Inputs {
    pub(crate) content: Store,
    pub(crate) downloader: Arc<Downloader>,
    /// The most bytes of a job's module and inputs together.
    pub(crate) max_bytes: u64,
    /// Directories of this machine that jobs may name, by their labels.
    pub(crate) directories: Arc<Directories>,
}

impl Inputs {
    /// Fetches a job's module and inputs, and makes sure that the inputs can be laid out: what is found out later costs the
    /// collateral.
    pub(crate) async fn fetch(&self, job: &Job, spec: &ValidatedSpec) -> Result<(), Failure> {
        let client = job.view.asked_by();
        let mut left = self.max_bytes;
        if let Some(cid) = spec.program() {
            let pin = content_pin(job.id(), 0);
            let fetched = self.downloader.fetch(Purpose::Considered, &cid, Some(client), left, Some(&pin)).await;
            left = left.saturating_sub(fetched.map_err(|failure| name(0, failure))?);
        }
        let mut roots = Vec::new();
        for (number, mount) in (1..).zip(spec.inputs()) {
            let brought = self.bring(job, number, &mount.source, left).await;
            let (root, bytes) = brought.map_err(|failure| name(number, failure))?;
            left = left.saturating_sub(bytes);
            roots.push(root);
        }
        let mut limits = self.limits();
        for (number, (root, mount)) in (1..).zip(roots.iter().zip(spec.inputs())) {
            let measured = self.measure(job, number, root, &mount.source, &limits).await;
            let measured = measured.map_err(|failure| name(number, failure))?;
            limits.max_bytes = limits.max_bytes.saturating_sub(measured.bytes);
            limits.max_entries = limits.max_entries.saturating_sub(measured.entries);
        }
        Ok(())
    }

    fn limits(&self) -> ExportLimits {
        ExportLimits {
            max_bytes: self.max_bytes,
            max_entries: MAX_ENTRIES,
            max_depth: MAX_DEPTH,
            max_path: MAX_PATH,
            ..ExportLimits::default()
        }
    }

    /// Brings an input into the store; returns its root, and how many bytes it took of the limit.
    async fn bring(&self, job: &Job, number: usize, source: &Source, limit: u64) -> Result<(Cid, u64), Failure> {
        let (pin, client) = (content_pin(job.id(), number), job.view.asked_by());
        match source {
            Source::Content(cid) => {
                let bytes = self.downloader.fetch(Purpose::Considered, &cid.0, Some(client), limit, Some(&pin)).await?;
                Ok((cid.0, bytes))
            }
            // What was brought before stays what it is: a directory may have changed since. It counts again, since each attempt has
            // the whole limit.
            Source::Url { .. } | Source::Directory(_) if self.content.pinned(&pin).is_some() => {
                let root = self.root(job, number, source)?;
                let limits = ExportLimits { max_bytes: limit, ..self.limits() };
                Ok((root, self.measure(job, number, &root, source, &limits).await?.bytes))
            }
            Source::Url { url, cid } => {
                self.downloader.fetch_file(Purpose::Considered, url, &cid.0, client, limit, &pin).await
            }
            Source::Directory(label) => self.directories.import(&self.content, label, limit, pin).await,
        }
    }

    /// As [`Inputs::bring`], after a block of it turned out to be corrupt or gone.
    async fn bring_again(&self, purpose: Purpose, job: &Job, number: usize, source: &Source) -> Result<(), Failure> {
        let (pin, client) = (content_pin(job.id(), number), job.view.asked_by());
        let before = match source {
            Source::Content(cid) => {
                return self.downloader.fetch_again(purpose, &cid.0, Some(client), Some(&pin)).await.map(drop);
            }
            Source::Url { .. } | Source::Directory(_) => self.root(job, number, source)?,
        };
        let (root, _) = match source {
            Source::Directory(label) => self.directories.import(&self.content, label, self.max_bytes, pin).await?,
            Source::Url { url, cid } => {
                self.downloader.fetch_file(purpose, url, &cid.0, client, self.max_bytes, &pin).await?
            }
            Source::Content(_) => return Ok(()),
        };
        if root == before {
            return Ok(());
        }
        Err(Failure::Temporary(format!("it was {before}, of which something is gone, and now it is {root}")))
    }

    /// The root of an input that was brought.
    fn root(&self, job: &Job, number: usize, source: &Source) -> Result<Cid, Failure> {
        match source {
            Source::Content(cid) => Ok(cid.0),
            Source::Url { .. } | Source::Directory(_) => self
                .content
                .pinned(&content_pin(job.id(), number))
                .ok_or_else(|| Failure::Temporary("it is no longer there".to_owned())),
        }
    }

    async fn measure(
        &self,
        job: &Job,
        number: usize,
        root: &Cid,
        source: &Source,
        limits: &ExportLimits,
    ) -> Result<lota_content::Measure, Failure> {
        let measured = match lota_content::measure(&self.content, root, limits).await {
            Err(ExportError::Dag(error)) if is_damage(&error) => {
                self.bring_again(Purpose::Considered, job, number, source).await?;
                lota_content::measure(&self.content, root, limits).await
            }
            measured => measured,
        };
        measured.map_err(|error| match error {
            ExportError::Dag(DagError::Source(_) | DagError::Missing { .. }) => temporary(error),
            error => Failure::Permanent(error.to_string()),
        })
    }

    /// Lays a job's inputs out in a directory; returns where each is, in the order of the spec.
    pub(crate) async fn lay_out(&self, job: &Job, spec: &ValidatedSpec, dir: &Path) -> Result<Vec<PathBuf>, Failure> {
        let limits = self.limits();
        let mut paths = Vec::new();
        for (number, mount) in (1..).zip(spec.inputs()) {
            let path = dir.join((number - 1).to_string());
            let root = self.root(job, number, &mount.source).map_err(|failure| name(number, failure))?;
            let exported = match lota_content::export_to(&self.content, &root, &path, &limits).await {
                Err(ExportError::Dag(error)) if is_damage(&error) => {
                    let again = self.bring_again(Purpose::Own, job, number, &mount.source).await;
                    again.map_err(|failure| name(number, failure))?;
                    lota_content::export_to(&self.content, &root, &path, &limits).await
                }
                exported => exported,
            };
            exported.map_err(|error| Failure::Temporary(format!("input {number} could not be laid out: {error}")))?;
            paths.push(path);
        }
        Ok(paths)
    }

    /// Says in a job's result what was in the directories of this machine that it named: number of the input, label, CID.
    pub(crate) async fn tell_directories(&self, job: &Job, spec: &ValidatedSpec, result: &Path) -> Result<(), Failure> {
        let mut told = String::new();
        for (number, mount) in (1..).zip(spec.inputs()) {
            if let Source::Directory(label) = &mount.source {
                let root = self.root(job, number, &mount.source)?;
                let _ = writeln!(told, "{} {label} {root}", number - 1);
            }
        }
        if told.is_empty() {
            return Ok(());
        }
        tokio::fs::write(result.join(DIRECTORIES), told).await.map_err(temporary)
    }

    /// A job's module, read when it is needed.
    pub(crate) fn module(&self, job: &Job, cid: Cid) -> ModuleSource {
        let (this, client, pin) = (self.clone(), job.view.asked_by(), content_pin(job.id(), 0));
        let read = move || {
            let (this, pin) = (this.clone(), pin.clone());
            Box::pin(async move { this.read_module(&cid, client, &pin).await })
                as futures::future::BoxFuture<'static, _>
        };
        ModuleSource::Deferred { id: lota_content::sha2_256(&cid.to_bytes()), read: Arc::new(read) }
    }

    /// An image's archive, laid out when it is needed.
    pub(crate) fn archive(&self, job: &Job, cid: Cid) -> ImageSource {
        let (this, client, pin) = (self.clone(), job.view.asked_by(), content_pin(job.id(), 0));
        let lay_out = move |path: PathBuf| {
            let (this, pin) = (this.clone(), pin.clone());
            Box::pin(async move { this.write_archive(&cid, client, &pin, &path).await })
                as futures::future::BoxFuture<'static, _>
        };
        let id = lota_content::sha2_256(&cid.to_bytes());
        ImageSource::Archive { name: cid.to_string(), id, lay_out: Arc::new(lay_out) }
    }

    async fn write_archive(&self, cid: &Cid, client: Address, pin: &str, path: &Path) -> Result<(), CheckError> {
        let limits = ExportLimits { max_entries: 1, ..self.limits() };
        let written = match lota_content::export_to(&self.content, cid, path, &limits).await {
            Err(ExportError::Dag(error)) if is_damage(&error) => {
                let again = self.downloader.fetch_again(Purpose::Own, cid, Some(client), Some(pin)).await;
                again.map_err(|failure| ExecutorError::ModuleSource { message: name(0, failure).to_string() })?;
                lota_content::export_to(&self.content, cid, path, &limits).await
            }
            written => written,
        };
        let unfit = |why: String| CheckError::from(RunFault::Image { image: cid.to_string(), why });
        match written {
            Ok(_) if path.is_file() => Ok(()),
            Ok(_) | Err(ExportError::TooManyEntries { .. }) => {
                Err(unfit("it is a directory; pack the OCI layout into a tar file, and import that".to_owned()))
            }
            Err(ExportError::Dag(error @ DagError::Malformed { .. })) => Err(unfit(error.to_string())),
            Err(error) => Err(ExecutorError::ModuleSource { message: format!("the image's archive: {error}") }.into()),
        }
    }

    async fn read_module(&self, cid: &Cid, client: Address, pin: &str) -> Result<bytes::Bytes, CheckError> {
        let read = match lota_content::read_to_vec(&self.content, cid, MAX_MODULE).await {
            Err(ReadError::Dag(error)) if is_damage(&error) => {
                let again = self.downloader.fetch_again(Purpose::Own, cid, Some(client), Some(pin)).await;
                again.map_err(|failure| ExecutorError::ModuleSource { message: name(0, failure).to_string() })?;
                lota_content::read_to_vec(&self.content, cid, MAX_MODULE).await
            }
            read => read,
        };
        match read {
            Ok(bytes) => Ok(bytes.into()),
            Err(ReadError::TooLarge { size, limit, .. }) => Err(RunFault::ModuleTooLarge { bytes: size, limit }.into()),
            Err(error @ (ReadError::NotAFile { .. } | ReadError::Dag(DagError::Malformed { .. }))) => {
                Err(RunFault::Unreadable { message: error.to_string() }.into())
            }
            Err(ReadError::Dag(error)) => {
                Err(ExecutorError::ModuleSource { message: format!("the module: {}", temporary(error)) }.into())
            }
        }
    }
}

/// Whether what was read must be fetched again.
pub(crate) const fn is_damage(error: &DagError) -> bool {
    matches!(error, DagError::Missing { .. } | DagError::Source(SourceError::Store(StoreError::Corrupt { .. })))
}

/// Says which content failed: 0 is what it runs.
fn name(number: usize, failure: Failure) -> Failure {
    let what = if number == 0 { "the program".to_owned() } else { format!("input {number}") };
    match failure {
        Failure::Temporary(problem) => Failure::Temporary(format!("{what}: {problem}")),
        Failure::Permanent(problem) => Failure::Permanent(format!("{what}: {problem}")),
        failure => failure,
    }
}

#[cfg(test)]
mod tests;
