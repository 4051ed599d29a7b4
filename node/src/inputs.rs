//! A job's module (or its image's archive) and inputs: fetched, measured, read, and laid out on disk. Blocks that turn out to be corrupt are fetched
//! again.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use lota_content::{Cid, DagError, ExportError, ExportLimits, ReadError, SourceError, Store, StoreError};
use lota_market::{
    Address,
    agent::{Failure, Job},
    spec::ValidatedSpec,
};

use crate::{
    executor::{CheckError, ExecutorError, ImageSource, ModuleSource, RunFault},
    failure::temporary,
    fetch::Downloader,
    pins::content_pin,
};

/// The largest module, in bytes.
const MAX_MODULE: u64 = 64 << 20;
/// The deepest directory of an input.
const MAX_DEPTH: usize = 64;
/// The most files and directories of all inputs of a job together.
const MAX_ENTRIES: u64 = 100_000;

/// Where modules and inputs come from.
#[derive(Clone)]
pub(crate) struct Inputs {
    pub(crate) content: Store,
    pub(crate) downloader: Arc<Downloader>,
    /// The most bytes of a job's module and inputs together.
    pub(crate) max_bytes: u64,
}

impl Inputs {
    /// Fetches a job's module and inputs, and makes sure that the inputs can be laid out: what is found out later costs the
    /// collateral.
    pub(crate) async fn fetch(&self, job: &Job, spec: &ValidatedSpec) -> Result<(), Failure> {
        let client = job.view.terms.client;
        let mut left = self.max_bytes;
        for (number, cid) in contents(spec) {
            let pin = content_pin(job.id(), number);
            let fetched = self.downloader.fetch(&cid, Some(client), left, Some(&pin)).await;
            left = left.saturating_sub(fetched.map_err(|failure| name(number, failure))?);
        }
        let mut limits = self.limits();
        for (number, cid) in contents(spec).filter(|(number, _)| *number > 0) {
            let measured = self.measure(&cid, client, &content_pin(job.id(), number), &limits).await;
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
            ..ExportLimits::default()
        }
    }

    async fn measure(
        &self,
        cid: &Cid,
        client: Address,
        pin: &str,
        limits: &ExportLimits,
    ) -> Result<lota_content::Measure, Failure> {
        let measured = match lota_content::measure(&self.content, cid, limits).await {
            Err(ExportError::Dag(error)) if is_damage(&error) => {
                self.downloader.fetch_again(cid, Some(client), Some(pin)).await?;
                lota_content::measure(&self.content, cid, limits).await
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
        for (number, mount) in spec.inputs().iter().enumerate() {
            let (cid, path) = (mount.cid.0, dir.join(number.to_string()));
            let exported = match lota_content::export_to(&self.content, &cid, &path, &limits).await {
                Err(ExportError::Dag(error)) if is_damage(&error) => {
                    let pin = content_pin(job.id(), number + 1);
                    let again = self.downloader.fetch_again(&cid, Some(job.view.terms.client), Some(&pin)).await;
                    again.map_err(|failure| name(number + 1, failure))?;
                    lota_content::export_to(&self.content, &cid, &path, &limits).await
                }
                exported => exported,
            };
            exported
                .map_err(|error| Failure::Temporary(format!("input {} could not be laid out: {error}", number + 1)))?;
            paths.push(path);
        }
        Ok(paths)
    }

    /// A job's module, read when it is needed.
    pub(crate) fn module(&self, job: &Job, cid: Cid) -> ModuleSource {
        let (this, client, pin) = (self.clone(), job.view.terms.client, content_pin(job.id(), 0));
        let read = move || {
            let (this, pin) = (this.clone(), pin.clone());
            Box::pin(async move { this.read_module(&cid, client, &pin).await })
                as futures::future::BoxFuture<'static, _>
        };
        ModuleSource::Deferred { id: lota_content::sha2_256(&cid.to_bytes()), read: Arc::new(read) }
    }

    /// An image's archive, laid out when it is needed.
    pub(crate) fn archive(&self, job: &Job, cid: Cid) -> ImageSource {
        let (this, client, pin) = (self.clone(), job.view.terms.client, content_pin(job.id(), 0));
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
                let again = self.downloader.fetch_again(cid, Some(client), Some(pin)).await;
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
                let again = self.downloader.fetch_again(cid, Some(client), Some(pin)).await;
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

/// All content that a job needs, by its number: 0 is what it runs, if that is content, and inputs begin with 1.
fn contents(spec: &ValidatedSpec) -> impl Iterator<Item = (usize, Cid)> + '_ {
    let first = usize::from(spec.program().is_none());
    spec.cids().enumerate().map(move |(number, cid)| (first + number, cid))
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
