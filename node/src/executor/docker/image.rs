//! Images: named by digest and pulled, or given as an archive and loaded.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bollard::models::{ImageConfig, ImageInspect};
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use tokio::sync::Mutex;

use super::DockerExecutor;
use super::allowance::{Allowance, UNPAID};
use super::archive;
use super::engine::{answer, is_missing, printable};
use crate::executor::{CheckError, ExecutorError, RunFault};

/// The most directories that an image may declare as volumes.
const MAX_VOLUMES: usize = 64;

/// Where an image comes from.
#[derive(Clone)]
pub enum ImageSource {
    /// From a registry: `name@sha256:…`.
    Named(String),
    /// An archive: an OCI layout, or what `docker save` writes, as a tar file.
    Archive {
        /// Its name, for people.
        name: String,
        /// Names these very bytes: no other archive has it.
        id: [u8; 32],
        /// Writes them to a file, which does not exist.
        lay_out: LayOut,
    },
}

/// Writes an archive to a file.
pub type LayOut = Arc<dyn Fn(PathBuf) -> BoxFuture<'static, Result<(), CheckError>> + Send + Sync>;

impl fmt::Display for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) | Self::Archive { name, .. } => f.write_str(name),
        }
    }
}

impl fmt::Debug for ImageSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.debug_tuple("Named").field(name).finish(),
            Self::Archive { id, .. } => write!(f, "Archive({})", hex::encode(id)),
        }
    }
}

/// Who brings an image to the engine.
#[derive(Debug, Default)]
pub(super) struct Turns {
    checks: Mutex<()>,
    runs: Mutex<()>,
    /// Work that nobody has paid for.
    unpaid: Allowance,
}

/// An image that the engine has.
#[derive(Debug, Clone)]
pub(super) struct Image {
    pub(super) id: String,
    pub(super) config: ImageConfig,
}

/// What an image is looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Whether the job can be taken on.
    Check,
    /// A job that was taken on: that a registry has the image no more is no result of it.
    Run,
}

impl DockerExecutor {
    /// The image, which is pulled or loaded if the engine does not have it.
    pub(super) async fn image(
        &self,
        source: &ImageSource,
        purpose: Purpose,
        asked_by: Option<[u8; 20]>,
    ) -> Result<Image, CheckError> {
        let reference = self.reference(source);
        if let Some(found) = self.inspect(&reference).await? {
            self.cache.used(&reference);
            return self.fit(source, found);
        }
        // One image after the other: each may take much of the disk. A job that was taken on waits for no stranger's.
        let turns = match purpose {
            Purpose::Check => &self.turns.checks,
            Purpose::Run => &self.turns.runs,
        };
        let _turn = turns.lock().await;
        let bring = self.bring(source, &reference, purpose);
        let (Purpose::Check, Some(client)) = (purpose, asked_by) else {
            if let Some(client) = asked_by {
                self.turns.unpaid.paid(client);
            }
            return bring.await;
        };
        let late = |why: String| CheckError::from(ExecutorError::Image { image: source.to_string(), why });
        let begun = Instant::now();
        let left = self.turns.unpaid.left(client, begun).ok_or_else(|| {
            let allowed = UNPAID.as_secs();
            late(format!(
                "this client's images took {allowed} s within the last hour, and no job came of it; ask again later"
            ))
        })?;
        let failure = tokio::select! {
            image = bring => {
                self.turns.unpaid.spent(client, begun, begun.elapsed());
                return image;
            }
            why = self.disk_is_filled() => RunFault::Image { image: source.to_string(), why }.into(),
            () = tokio::time::sleep(left) => {
                late(format!("it takes longer than the {} s that this provider gives to it", left.as_secs()))
            }
        };
        self.turns.unpaid.spent(client, begun, begun.elapsed());
        // The engine was hung up on; what came of it goes.
        self.remove_image(&reference).await;
        Err(failure)
    }

    /// Pulls or loads an image, unless it came meanwhile.
    async fn bring(&self, source: &ImageSource, reference: &str, purpose: Purpose) -> Result<Image, CheckError> {
        let found = match self.inspect(reference).await? {
            Some(found) => found,
            None => {
                self.make_room().await;
                // Before it is there: what a crash leaves is known, too.
                self.cache.added(reference)?;
                let brought = match source {
                    ImageSource::Named(name) => self.pull(name, purpose).await,
                    ImageSource::Archive { lay_out, .. } => self.load(source, lay_out).await,
                };
                if let Err(error) = brought {
                    self.remove_image(reference).await;
                    return Err(error);
                }
                let found = self.inspect(reference).await?;
                found.ok_or_else(|| ExecutorError::Engine {
                    message: format!("Docker has no image {reference} after it said that it had loaded it"),
                })?
            }
        };
        let size = u64::try_from(found.size.unwrap_or(0)).unwrap_or(0);
        self.cache.measured(reference, size);
        if size > self.settings.image_bytes {
            self.remove_image(reference).await;
            let why =
                format!("it has {size} bytes unpacked; this provider takes at most {}", self.settings.image_bytes);
            return Err(RunFault::Image { image: source.to_string(), why }.into());
        }
        self.make_room().await;
        let fit = self.fit(source, found);
        if fit.is_err() {
            self.remove_image(reference).await;
        }
        fit
    }

    /// What the engine knows an image by.
    fn reference(&self, source: &ImageSource) -> String {
        match source {
            ImageSource::Named(name) => name.clone(),
            // The node's own name for it: another node at this engine may have the same image, and lose it at another time.
            ImageSource::Archive { id, .. } => {
                let in_name = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
                let node: String = self.engine.node.to_lowercase().chars().map(in_name).collect();
                format!("lota/{node}:{}", hex::encode(id))
            }
        }
    }

    async fn inspect(&self, reference: &str) -> Result<Option<ImageInspect>, ExecutorError> {
        match self.engine.docker.inspect_image(reference).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.engine.failed("look for the image", &error)),
        }
    }

    /// Whether it can be run here.
    fn fit(&self, source: &ImageSource, found: ImageInspect) -> Result<Image, CheckError> {
        let (os, architecture) = (found.os.unwrap_or_default(), found.architecture.unwrap_or_default());
        let here = &self.engine.architecture;
        // What was imported by hand may not say.
        if os != "linux" || !(architecture == *here || architecture.is_empty()) {
            let why = format!("it is for {os}/{architecture}; this provider runs linux/{here}");
            return Err(RunFault::Image { image: source.to_string(), why }.into());
        }
        let config = found.config.unwrap_or_default();
        // Each is a file system that the engine makes for each container: thousands would keep it busy when the job is locked.
        let volumes = config.volumes.as_ref().map_or(0, |volumes| volumes.len());
        if volumes > MAX_VOLUMES {
            let why = format!("it declares {volumes} volumes; this provider takes at most {MAX_VOLUMES}");
            return Err(RunFault::Image { image: source.to_string(), why }.into());
        }
        Ok(Image { id: found.id.unwrap_or_default(), config })
    }

    async fn pull(&self, name: &str, purpose: Purpose) -> Result<(), CheckError> {
        let fault = |why: String| RunFault::Image { image: name.to_owned(), why };
        if !self.settings.pull {
            return Err(fault(
                "this provider pulls no images (`node.docker.pull`); give the image as an archive".to_owned(),
            )
            .into());
        }
        let options = CreateImageOptionsBuilder::new().from_image(name).build();
        let mut progress = self.engine.images.create_image(Some(options), None, None);
        let mut layers = std::collections::HashMap::new();
        while let Some(step) = progress.next().await {
            let step = match step {
                Ok(step) => step,
                Err(error) => {
                    let Some(said) = answer(&error) else {
                        return Err(self.engine.failed("pull the image", &error).into());
                    };
                    let why = format!("Docker cannot pull it: {}", printable(said));
                    return Err(match purpose {
                        Purpose::Check if is_final(&error) => fault(why).into(),
                        _ => ExecutorError::Image { image: name.to_owned(), why }.into(),
                    });
                }
            };
            if let (Some(id), Some(total)) = (step.id, step.progress_detail.and_then(|detail| detail.total)) {
                layers.insert(id, u64::try_from(total).unwrap_or(0));
                let bytes: u64 = layers.values().fold(0, |sum: u64, bytes| sum.saturating_add(*bytes));
                if bytes > self.settings.image_bytes {
                    let why = format!(
                        "it has more than {bytes} bytes to pull; this provider takes at most {}",
                        self.settings.image_bytes
                    );
                    return Err(fault(why).into());
                }
            }
        }
        Ok(())
    }

    async fn load(&self, source: &ImageSource, lay_out: &LayOut) -> Result<(), CheckError> {
        let path = self.settings.dir.join(format!("{}.tar", hex::encode(rand::random::<[u8; 16]>())));
        let _removed = RemovedFile(path.clone());
        lay_out(path.clone()).await?;
        let name = self.reference(source);
        let fault = |why: String| CheckError::from(RunFault::Image { image: source.to_string(), why });
        let (limit, architecture) = (self.settings.image_bytes, self.engine.architecture.clone());
        let read = tokio::task::spawn_blocking(move || archive::read(&path, &architecture, limit)).await;
        let read = read.map_err(|error| ExecutorError::Engine { message: error.to_string() })?;
        let contents = read.map_err(|error| match error {
            archive::ArchiveError::Unfit(why) => fault(why),
            archive::ArchiveError::Io(source) => {
                ExecutorError::WorkDir { path: self.settings.dir.clone(), doing: "reading the image's archive", source }
                    .into()
            }
        })?;
        let layers = contents.layers.clone();
        let configuration = contents.configuration.clone();
        let mut loading = archive::load(&self.engine, contents, &name);
        while let Some(step) = loading.next().await {
            if let Err(error) = step {
                return Err(match answer(&error) {
                    Some(said) => fault(format!("Docker cannot load it: {}", printable(said))),
                    None => self.engine.failed("load the image", &error).into(),
                });
            }
        }
        let Some(found) = self.inspect(&name).await? else {
            return Err(fault("Docker loads no image from it".to_owned()));
        };
        let loaded = found.root_fs.as_ref().and_then(|files| files.layers.clone()).unwrap_or_default();
        let is_same =
            loaded == layers && (!self.engine.ids_are_configurations || found.id.as_deref() == Some(&*configuration));
        if !is_same {
            return Err(fault(format!(
                "what Docker loads from it is {}, not {configuration}",
                found.id.unwrap_or_default()
            )));
        }
        Ok(())
    }
}

/// Whether it is the image that is wrong, and not the network or the registry for now.
fn is_final(error: &bollard::errors::Error) -> bool {
    let said = answer(error).unwrap_or_default().to_lowercase();
    is_missing(error)
        || [
            "not found",
            "manifest unknown",
            "does not exist",
            "does not match",
            "digest",
            "denied",
            "unauthorized",
            "invalid reference",
        ]
        .iter()
        .any(|part| said.contains(part))
}

/// Removed on drop.
struct RemovedFile(PathBuf);

impl Drop for RemovedFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0)
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.0.display(), %error, "an image's archive was not removed");
        }
    }
}
