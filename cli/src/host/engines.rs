//! What the nodes of this process run jobs with.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use lota_node::executor::{
    Executors, WasmRun,
    wasm::{Compiler, DiskCache, WasmExecutor, WasmSettings},
};

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
        let wasm = self.wasm.sharing_modules(slots as usize);
        Executors::none().with(WasmRun::ENGINE, Arc::new(wasm))
    }
}
