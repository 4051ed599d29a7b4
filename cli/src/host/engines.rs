//! What the nodes of this process run jobs with.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use lota_node::executor::{
    Executors, WasmRun,
    docker::{DockerExecutor, DockerSettings, NoDocker, default_host},
    wasm::{Compiler, DiskCache, WasmExecutor, WasmSettings},
};

use crate::{failure, settings};

/// The first argument of a process of this program that is a node's compiler.
pub(crate) const COMPILE: &str = "compile-module";
/// Bytes of compiled modules that are kept on disk.
const MODULE_CACHE: u64 = 1 << 30;

/// The engines of this process, one of each kind, however many nodes there are: a module is compiled once for all of them.
pub(crate) struct Engines {
    wasm: WasmExecutor,
}

impl Engines {
    /// Starts them. Compiled modules are kept in this folder.
    ///
    /// # Errors
    /// When the folder cannot be used, or an engine does not work on this machine.
    pub(crate) fn start(modules: &Path) -> anyhow::Result<Self> {
        let directory = std::path::absolute(modules).context("the folder for compiled modules cannot be found out")?;
        // A process of its own for each module: modules are made by strangers.
        let compiler = Compiler::this_program(COMPILE).context("the path of this program cannot be found out")?;
        let key = directory.with_extension("key");
        let disk_cache = Some(DiskCache { directory, key, bytes: MODULE_CACHE });
        let wasm = WasmExecutor::new(&WasmSettings { compiler, disk_cache, ..WasmSettings::default() })?;
        Ok(Self { wasm })
    }

    /// A node's executors, for so many jobs at once.
    pub(crate) fn executors(&self, slots: u32) -> Executors {
        Executors::none().with(WasmRun::ENGINE, Arc::new(self.wasm.sharing_modules(slots as usize)))
    }
}

/// Where in its folder a node keeps what the container engine needs.
const DOCKER: &str = "docker";

/// The container engine of this process' nodes.
pub(crate) struct Containers {
    settings: settings::Docker,
    found: Option<Result<DockerExecutor, NoDocker>>,
}

impl Containers {
    pub(crate) const fn new(settings: settings::Docker) -> Self {
        Self { settings, found: None }
    }

    /// The executor of a node with this folder, for so many jobs at once; none: containers are off, or there is no engine.
    pub(crate) async fn executor(&mut self, node: &Path, slots: u32) -> Option<DockerExecutor> {
        if !self.settings.on {
            return None;
        }
        let settings = self.of_node(node, slots);
        match &self.found {
            // It was tried once.
            Some(Ok(first)) => {
                first.of_node(settings).inspect_err(|problem| tracing::warn!(%problem, "no containers")).ok()
            }
            Some(Err(_)) => None,
            None => {
                let found = DockerExecutor::connect(settings).await;
                let executor = found.as_ref().ok().cloned();
                self.found = Some(found);
                executor
            }
        }
    }

    /// Why there is no engine.
    pub(crate) fn problem(&self) -> Option<String> {
        let problem = self.found.as_ref()?.as_ref().err()?;
        Some(format!(
            "{}; so this provider takes WASM jobs only (`node.docker.on = false` says so without looking)",
            failure::line(&anyhow::anyhow!("{problem}"))
        ))
    }

    /// Whether nothing answers at the engine's address.
    pub(crate) const fn is_missing(&self) -> bool {
        matches!(self.found, Some(Err(NoDocker::NoEngine { .. })))
    }

    fn of_node(&self, node: &Path, slots: u32) -> DockerSettings {
        let settings = &self.settings;
        let host = settings.host.clone().unwrap_or_else(default_host);
        let dir = std::path::absolute(node).unwrap_or_else(|_| node.to_owned());
        // Two nodes of one machine have an engine in common, and not a folder.
        let name = lota_content::sha2_256(dir.as_os_str().as_encoded_bytes());
        let name = name.iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>();
        DockerSettings {
            jobs: slots as usize,
            user: settings.user.as_str().to_owned(),
            runtime: settings.runtime.clone(),
            require_user_namespaces: settings.user_namespaces,
            pull: settings.pull,
            image_bytes: settings.image_size.0,
            cache_bytes: settings.cache_size.0,
            ..DockerSettings::new(host, name, dir.join(DOCKER))
        }
    }
}
