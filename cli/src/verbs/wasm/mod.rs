//! `lota wasm`.

pub(crate) mod job;
pub(crate) mod key_value;
pub(crate) mod limits;
pub(crate) mod run;
pub(crate) mod source;
mod stdin;

use clap::Subcommand;

use crate::context::Context;

/// WebAssembly jobs.
#[derive(Debug, Subcommand)]
pub(crate) enum Wasm {
    /// Run a module on the market, as if it were a program on this machine
    Run(Box<run::Run>),
}

impl Wasm {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Run(verb) => verb.run(context).await,
        }
    }
}
