//! `lota completions`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::{arguments::Arguments, terminal};

/// Print a script that completes this command in a shell.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota completions bash > ~/.local/share/bash-completion/completions/lota")]
pub(crate) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "lota", &mut script);
        terminal::print(&String::from_utf8_lossy(&script))
    }
}
