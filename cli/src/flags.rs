//! Flags that several verbs take.

use std::path::PathBuf;

use clap::Args;

/// What every verb takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Folder of settings, keys and data [default: ~/.lota]
    #[arg(
        long,
        global = true,
        env = "LOTA_HOME",
        hide_env_values = true,
        value_name = "DIR",
        help_heading = "Global options"
    )]
    pub(crate) home: Option<PathBuf>,
    /// What to log to stderr, as tracing filters [default: warn]
    #[arg(long, global = true, value_name = "FILTER", help_heading = "Global options")]
    pub(crate) log: Option<String>,
    /// URL of a daemon (a running node) other than this home's, with LOTA_API_TOKEN
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub(crate) api: Option<String>,
}

/// Whether the result is for a program.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Format {
    /// Print one JSON document instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

/// How somebody else's bytes come to the terminal.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Raw {
    /// On a terminal, too, print control characters as they are: they can steer it
    #[arg(long)]
    pub(crate) raw: bool,
}
