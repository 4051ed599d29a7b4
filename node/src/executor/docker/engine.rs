//! The engine that runs containers: how it is reached, what it is, and what its answers mean.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::SystemInfo;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RemoveVolumeOptions,
};
use bollard::{API_DEFAULT_VERSION, Docker};

use super::DockerSettings;
use crate::executor::{ExecutorError, RunId};

/// Label of everything that belongs to a node: who it is.
pub(super) const NODE: &str = "lota.node";
/// Label of a container: the job that it is for.
pub(super) const JOB: &str = "lota.job";
/// Label of a container: what its first process marks the end with.
pub(super) const MARKER: &str = "lota.marker";
/// How long the engine may take to answer.
const ANSWER: Duration = Duration::from_secs(120);
/// How long it may take to say that it is there.
const PING: Duration = Duration::from_secs(5);
/// How long it may take with an image.
const IMAGE: Duration = Duration::from_secs(3_600);

/// Why a node has no Docker.
#[derive(Debug, thiserror::Error)]
pub enum NoDocker {
    /// There is nothing at its address.
    #[error("no Docker engine answers at {host}")]
    NoEngine { host: String, source: Error },
    /// Its address is not one of this machine.
    #[error(
        "{host} is not an engine of this machine; inputs are mounted from the node's folder, so only an engine that sees it \
         can run jobs: name its socket, such as unix:///var/run/docker.sock"
    )]
    Remote { host: String },
    /// It cannot do what the settings ask for.
    #[error("the Docker engine at {host} {problem}")]
    Unfit { host: String, problem: String },
    /// A container of it did not do what it should.
    #[error("the Docker engine at {host} does not run jobs: {problem}")]
    Broken { host: String, problem: String },
    /// This node has no keeper for the processors that the engine runs on.
    #[error(
        "the Docker engine at {host} runs on {family} processors, for which there is no keeper; there is one for x86_64 and aarch64"
    )]
    Processor { host: String, family: String },
}

/// A connection to an engine, and what it said of itself.
#[derive(Debug, Clone)]
pub(super) struct Engine {
    pub(super) docker: Docker,
    /// The same, for images, which may take long.
    pub(super) images: Docker,
    pub(super) host: String,
    /// Whose containers these are.
    pub(super) node: String,
    /// Its processors, as images name them: `amd64`.
    pub(super) architecture: String,
    /// Whether an image's id is the digest of its configuration.
    pub(super) ids_are_configurations: bool,
    /// Where it keeps images, as it says.
    pub(super) root: Option<PathBuf>,
}

/// What was asked for is not there.
pub(super) fn is_missing(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

/// The engine answered, and what it said.
pub(super) fn answer(error: &Error) -> Option<&str> {
    match error {
        Error::DockerResponseServerError { message, .. } => Some(message),
        Error::DockerStreamError { error } => Some(error),
        _ => None,
    }
}

impl Engine {
    pub(super) async fn connect(settings: &DockerSettings) -> Result<Self, NoDocker> {
        let host = settings.host.clone();
        let Some(path) = host.strip_prefix("unix://") else { return Err(NoDocker::Remote { host }) };
        let none = |source| NoDocker::NoEngine { host: host.clone(), source };
        let docker = Docker::connect_with_unix(path, ANSWER.as_secs(), API_DEFAULT_VERSION).map_err(none)?;
        let docker = docker.negotiate_version().await.map_err(none)?;
        let info = docker.info().await.map_err(none)?;
        let unfit = |problem: String| Err(NoDocker::Unfit { host: host.clone(), problem });
        if info.os_type.as_deref() != Some("linux") {
            return unfit("runs no Linux containers".to_owned());
        }
        for (has, what) in
            [(info.memory_limit, "memory"), (info.cpu_cfs_quota, "processor time"), (info.pids_limit, "processes")]
        {
            if has == Some(false) {
                return unfit(format!("cannot limit {what}; its control groups are not set up for that"));
            }
        }
        let said = info.security_options.clone().unwrap_or_default();
        let says = |what: &str| said.iter().any(|option| option.split(',').any(|part| part == format!("name={what}")));
        let is_unconfined = |option: &String| option.contains("name=seccomp") && option.contains("profile=unconfined");
        if !says("seccomp") || said.iter().any(is_unconfined) {
            return unfit("has no seccomp filter, which keeps programs from most system calls".to_owned());
        }
        if settings.require_user_namespaces && !says("userns") && !says("rootless") {
            return unfit(
                "has no user namespaces, which `node.docker.user_namespaces` asks for; set `userns-remap`".to_owned(),
            );
        }
        if let Some(runtime) = &settings.runtime {
            let known = info.runtimes.clone().unwrap_or_default();
            if !known.contains_key(runtime) {
                let mut known: Vec<_> = known.into_keys().collect();
                known.sort();
                return unfit(format!("has no runtime `{runtime}`; it has {}", known.join(", ")));
            }
        }
        let family = info.architecture.clone().unwrap_or_default();
        let Some(architecture) = architecture(&family) else { return Err(NoDocker::Processor { host, family }) };
        Ok(Self {
            images: docker.clone().with_timeout(IMAGE),
            docker,
            host: host.clone(),
            node: settings.node.clone(),
            architecture: architecture.to_owned(),
            ids_are_configurations: !keeps_images_in_containerd(&info),
            root: info.docker_root_dir.map(PathBuf::from),
        })
    }

    /// What a failure of the engine's is for a run.
    pub(super) fn failed(&self, doing: &str, error: &Error) -> ExecutorError {
        let message = match answer(error) {
            Some(said) => format!("Docker could not {doing}: {}", printable(said)),
            None => format!("the Docker engine at {} does not answer (to {doing}): {}", self.host, causes(error)),
        };
        ExecutorError::Engine { message }
    }

    /// Why it does not answer now.
    pub(super) async fn away(&self) -> Option<String> {
        let host = &self.host;
        match tokio::time::timeout(PING, self.docker.ping()).await {
            Ok(Ok(_)) => None,
            // It is there, and says that it is not well.
            Ok(Err(error)) if answer(&error).is_some() => None,
            Ok(Err(error)) => Some(format!("the Docker engine at {host} does not answer: {}", causes(&error))),
            Err(_) => Some(format!("the Docker engine at {host} does not answer within {} s", PING.as_secs())),
        }
    }

    /// The containers of this node, and their labels; those of one job, if it is named.
    pub(super) async fn containers(&self, job: Option<RunId>) -> Result<Vec<(String, HashMap<String, String>)>, Error> {
        let mut labels = vec![format!("{NODE}={}", self.node)];
        labels.extend(job.map(|job| format!("{JOB}={}", hex::encode(job.0))));
        let options =
            ListContainersOptionsBuilder::new().all(true).filters(&HashMap::from([("label", labels)])).build();
        let found = self.docker.list_containers(Some(options)).await?;
        Ok(found.into_iter().filter_map(|found| Some((found.id?, found.labels.unwrap_or_default()))).collect())
    }

    /// Ends and removes a container with its volumes; it may be gone already.
    pub(super) async fn remove(&self, container: &str) -> Result<(), Error> {
        let mut tries = 0;
        loop {
            let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
            match self.docker.remove_container(container, Some(options)).await {
                Err(error) if is_missing(&error) => return Ok(()),
                // It is being removed, or has just begun to end.
                Err(Error::DockerResponseServerError { status_code: 409 | 500, .. }) if tries < 20 => {
                    tries += 1;
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                other => return other,
            }
        }
    }

    /// Removes volumes of this node that no container has.
    pub(super) async fn remove_volumes(&self) -> Result<(), Error> {
        let filters =
            HashMap::from([("label", vec![format!("{NODE}={}", self.node)]), ("dangling", vec!["true".to_owned()])]);
        let options = ListVolumesOptionsBuilder::new().filters(&filters).build();
        for volume in self.docker.list_volumes(Some(options)).await?.volumes.unwrap_or_default() {
            match self.docker.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await {
                Err(error) if !is_missing(&error) => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// What images call a family of processors.
fn architecture(machine: &str) -> Option<&'static str> {
    match machine {
        "x86_64" | "amd64" => Some("amd64"),
        "aarch64" | "arm64" => Some("arm64"),
        _ => None,
    }
}

/// Newer engines may keep images in containerd, where an image's id is that of its manifest.
fn keeps_images_in_containerd(info: &SystemInfo) -> bool {
    let status = info.driver_status.as_deref().unwrap_or_default();
    status.iter().flatten().any(|part| part.contains("io.containerd.snapshotter"))
}

/// Where the engine is that `DOCKER_HOST` names, or the usual one.
#[must_use]
pub fn default_host() -> String {
    let named = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty());
    named.unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned())
}

/// An absolute path as the engine is told it.
pub(super) fn text(path: &Path) -> Result<String, ExecutorError> {
    path.to_str().map(str::to_owned).ok_or_else(|| ExecutorError::Engine {
        message: format!("{} is not UTF-8, and Docker cannot be told of it", path.display()),
    })
}

/// What somebody else wrote, on one line, not too long, and without addresses: whose job it is reads it, and learns neither this
/// machine's address nor its name server's. The engine says both when a registry cannot be reached.
pub(super) fn printable(text: &str) -> String {
    const LONGEST: usize = 500;
    let line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST).collect();
    line.split(' ').map(without_addresses).collect::<Vec<_>>().join(" ")
}

/// A word, or, if it is an address or two (`10.0.0.4:39183->10.0.0.53:53:`), what it is.
fn without_addresses(word: &str) -> &str {
    let is_address = |part: &str| {
        // Of a zone, the standard library reads numbers only.
        let unzoned = part.split_once('%').and_then(|(before, after)| Some((before, after.split_once(']')?.1)));
        let part = unzoned.map_or_else(|| part.to_owned(), |(before, port)| format!("{before}]{port}"));
        part.parse::<SocketAddr>().is_ok() || part.parse::<IpAddr>().is_ok()
    };
    let bare = word.trim_start_matches(['(', '"']).trim_end_matches([':', ',', ';', ')', '"']);
    match word.strip_suffix(':') {
        _ if bare.is_empty() || !bare.split("->").all(is_address) => word,
        Some(_) => "(an address):",
        None => "(an address)",
    }
}

fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    printable(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_engine_says_of_a_registry_names_no_address_of_this_machine() {
        for (said, told) in [
            (
                "Get \"https://nowhere.invalid/v2/\": dial tcp: lookup nowhere.invalid on 10.255.255.53:53: no such host",
                "Get \"https://nowhere.invalid/v2/\": dial tcp: lookup nowhere.invalid on (an address): no such host",
            ),
            (
                "lookup nowhere.invalid: read udp 10.0.2.4:39183->[fe80::1%eth0]:53: i/o timeout",
                "lookup nowhere.invalid: read udp (an address): i/o timeout",
            ),
            ("on [fd00::53]:53: server misbehaving", "on (an address): server misbehaving"),
            ("at 10.1.2.3, and (::1)", "at (an address) and (an address)"),
            // What the client wrote, and what only looks like one.
            ("Get \"http://127.0.0.1:5000/v2/\": EOF", "Get \"http://127.0.0.1:5000/v2/\": EOF"),
            ("exit 137: 12:30: a->b : 3", "exit 137: 12:30: a->b : 3"),
        ] {
            assert_eq!(printable(said), told);
        }
        assert_eq!(printable("a\nb\t"), "a b");
    }
}
