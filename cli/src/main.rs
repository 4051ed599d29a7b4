//! The `lota` command: a compute marketplace that settles on chain, from the command line.
//!
//! Every verb is a small file under `verbs`; they speak HTTP to a daemon (`api`), or start one in this process
//! (`lota demo`, `lota devnet`, `lota node run`). stdout is the result, stderr is prose. docs/cli.md is the reference.

mod api;
mod aside;
mod chain;
mod context;
mod failure;
mod flags;
mod home;
mod host;
mod keystore;
mod log;
mod process;
mod scratch;
mod settings;
mod streams;
mod terminal;
mod units;
mod verbs;

use std::process::ExitCode;

use clap::Parser as _;
use lota_node::executor::wasm::compile_command;

use context::Context;
use verbs::arguments::Arguments;

fn main() -> ExitCode {
    // Before anything else: this process is the compiler of a node's, and reads no settings.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == host::COMPILE) {
        return compile_command();
    }
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let typed = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
            let error = verbs::elsewhere::with_tip(error, typed);
            // Nobody is left to tell when this fails.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(failure::USAGE) } else { ExitCode::SUCCESS };
        }
    };
    if arguments.command.is_asked_by_a_shell() {
        verbs::completions::offer_ids(&arguments.global);
        return ExitCode::SUCCESS;
    }
    if !arguments.command.is_quiet() {
        let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
        for line in settings::variables::unknown(names) {
            terminal::tell(&line);
        }
    }
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => ExitCode::from(failure::report(&error)),
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let context = Context::load(&arguments.global, arguments.command.tells_of_slashes())?;
    process::run(arguments.command, context)
}
