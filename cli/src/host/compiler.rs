//! Where the nodes of this process compile modules.

use anyhow::Context as _;
use lota_node::executor::wasm::Compiler;

/// The first argument of a process of this program that is a node's compiler.
pub(crate) const COMPILE: &str = "compile-module";

/// A process of its own for each module: modules are made by strangers.
pub(crate) fn compiler() -> anyhow::Result<Compiler> {
    Compiler::this_program(COMPILE).context("the path of this program cannot be found out")
}
