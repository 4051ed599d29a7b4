//! Whether an engine runs a container as jobs need it: found out when a node starts, not when a collateral depends on it.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures::StreamExt as _;

use super::{DockerExecutor, DockerRun, DockerSettings, ImageSource, NoDocker};
use crate::executor::{Ended, EngineRun, Executor as _, Limits, Run, RunId};

/// The keeper, for each family of processors.
const KEEPERS: [(&str, &[u8]); 2] =
    [("amd64", include_bytes!("keeper/keeper-x86_64")), ("arm64", include_bytes!("keeper/keeper-aarch64"))];
/// A program that is not there.
const NOTHING: &str = "/nothing";

/// Lays out the keeper, and removes what an earlier process left.
pub(super) fn prepare(settings: &DockerSettings, architecture: &str) -> io::Result<()> {
    fs::create_dir_all(&settings.dir)?;
    for entry in fs::read_dir(&settings.dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "tar") {
            fs::remove_file(path)?;
        }
    }
    let keeper = KEEPERS.iter().find(|(family, _)| *family == architecture).map_or(&[][..], |(_, keeper)| keeper);
    // A new file: one that runs cannot be written to.
    let (path, new) = (settings.keeper(), settings.dir.join("keeper.new"));
    fs::write(&new, keeper)?;
    fs::set_permissions(&new, Permissions::from_mode(0o755))?;
    fs::rename(new, path)
}

impl DockerExecutor {
    /// Runs the keeper in an empty image, with a program that is not there: it must say so.
    pub(super) async fn probe(&self) -> Result<(), NoDocker> {
        let broken = |problem: String| NoDocker::Broken { host: self.engine.host.clone(), problem };
        let name = format!("lota/probe:{}", hex::encode(rand::random::<[u8; 8]>()));
        let mut empty = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_mode(0o444);
        let packed = empty.append_data(&mut header, "empty", io::empty()).and_then(|()| empty.into_inner());
        let packed = packed.map_err(|error| broken(error.to_string()))?;
        let (repository, tag) = name.split_once(':').unwrap_or((&name, "probe"));
        let options = CreateImageOptionsBuilder::new().from_src("-").repo(repository).tag(tag).build();
        let body = bollard::body_full(packed.into());
        let mut made = self.engine.docker.create_image(Some(options), Some(body), None);
        while let Some(step) = made.next().await {
            step.map_err(|error| broken(error.to_string()))?;
        }
        let limits = Limits {
            fuel: Limits::MAX_FUEL,
            memory_bytes: 64 << 20,
            output_bytes: 1 << 20,
            output_entries: 10,
            wall: Duration::from_secs(60),
        };
        let mut docker = DockerRun::new(ImageSource::Named(name.clone()));
        docker.entrypoint = vec![NOTHING.to_owned()];
        let job = RunId(rand::random());
        let run = Run::new(job, EngineRun::Docker(docker), limits, self.settings.dir.join("probe"));
        let result = self.run(run).await;
        self.abort(job).await;
        let _ = fs::remove_dir_all(self.settings.dir.join("probe"));
        self.remove_image(&name).await;
        match result {
            Ok(outcome) => match outcome.ended {
                Ended::NotRunnable { reason } if reason.contains(NOTHING) => Ok(()),
                ended => Err(broken(format!("a container of nothing {ended}"))),
            },
            Err(error) => Err(broken(error.to_string())),
        }
    }

    /// Finds out what images that an earlier process was about to bring came to.
    pub(super) async fn measure_images(&self) {
        for reference in self.cache.unmeasured() {
            match self.engine.docker.inspect_image(&reference).await {
                Ok(found) => {
                    self.cache.measured(&reference, u64::try_from(found.size.unwrap_or(1)).unwrap_or(1).max(1))
                }
                Err(error) if super::engine::is_missing(&error) => self.cache.removed(&reference),
                Err(error) => tracing::debug!(reference, %error, "an image was not measured"),
            }
        }
    }
}
