//! The verbs, one file for each.

pub(crate) mod arguments;
pub(crate) mod blessing;
pub(crate) mod canary;
pub(crate) mod chain;
pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod content;
pub(crate) mod demo;
pub(crate) mod devnet;
pub(crate) mod docker;
pub(crate) mod elsewhere;
pub(crate) mod fil_plus;
pub(crate) mod filecoin_pay;
pub(crate) mod job;
pub(crate) mod mock_market;
pub(crate) mod node;
pub(crate) mod notary;
pub(crate) mod sim;
pub(crate) mod wallet;
pub(crate) mod wasm;

use self::arguments::Command;
use crate::context::Context;

/// Runs one verb to its end.
///
/// # Errors
/// Whatever went wrong, for `failure::report`.
pub(crate) async fn run(command: Command, context: Context) -> anyhow::Result<()> {
    match command {
        Command::Demo(verb) => verb.run(&context).await,
        Command::Devnet(verb) => verb.run(&context).await,
        Command::Wasm(verb) => verb.run(&context).await,
        Command::Docker(verb) => verb.run(&context).await,
        Command::Job(verb) => verb.run(&context).await,
        Command::Content(verb) => verb.run(&context).await,
        Command::Wallet(verb) => verb.run(&context).await,
        Command::Node(verb) => verb.run(&context).await,
        Command::Canary(verb) => verb.run(&context).await,
        Command::Chain(verb) => verb.run(&context).await,
        Command::Sim(verb) => verb.run(&context).await,
        Command::MockMarket(verb) => verb.run(&context).await,
        Command::FilPlus(verb) => verb.run(&context).await,
        Command::Notary(verb) => verb.run(&context).await,
        Command::Blessing(verb) => verb.run(&context).await,
        Command::FilecoinPay(verb) => verb.run(&context).await,
        Command::Config(verb) => verb.run(&context),
        Command::Completions(verb) => verb.run(),
    }
}
