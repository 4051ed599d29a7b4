//! `lota config`.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    context::Context,
    flags::Format,
    settings::{self, KEYS, Origin, left_to_daemon},
    terminal::{self, Column, Table},
};

/// The settings and where they come from.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show every setting, its value and where it comes from
    Show(Show),
    /// Print the path of the settings file
    #[command(after_help = "Example:\n  $EDITOR \"$(lota config path)\"")]
    Path,
}

/// Show every setting.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  LOTA_JOB_MAX_PRICE='0.5 FIL' lota config show")]
pub(crate) struct Show {
    #[command(flatten)]
    format: Format,
}

/// One setting, for programs.
#[derive(Serialize)]
struct Setting {
    value: Option<String>,
    /// What the daemon does if nothing is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    daemon: Option<String>,
    origin: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    place: Option<String>,
    variable: String,
}

impl Config {
    pub(crate) fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Show(verb) => verb.run(context),
            Self::Path => terminal::print(&format!("{}\n", context.home.config_file().display())),
        }
    }
}

impl Show {
    fn run(&self, context: &Context) -> anyhow::Result<()> {
        context.settings()?;
        if self.format.json {
            let settings: BTreeMap<_, _> = KEYS
                .iter()
                .map(|key| {
                    let (origin, place) = match context.layers.origin(key.name) {
                        Origin::Default => ("default", None),
                        Origin::File(path) => ("file", Some(path.display().to_string())),
                        Origin::Variable(name) => ("variable", Some(name)),
                        Origin::Flag(name) => ("flag", Some(name)),
                    };
                    let (value, variable) = (shown(context, key.name), key.variable());
                    let daemon = if value.is_none() { left_to_daemon(key.name) } else { None };
                    (key.name, Setting { value, daemon, origin, place, variable })
                })
                .collect();
            return terminal::print_json(&settings);
        }
        let mut table = Table::new([Column::Left, Column::Left, Column::Left, Column::Left]).heading(&[
            "SETTING",
            "VALUE",
            "FROM",
            "WHAT IT IS",
        ]);
        for key in KEYS {
            let (value, origin) = match (shown(context, key.name), left_to_daemon(key.name)) {
                (Some(value), _) => (value, context.layers.origin(key.name).to_string()),
                (None, Some(value)) => (value, "daemon".to_owned()),
                (None, None) => ("-".to_owned(), context.layers.origin(key.name).to_string()),
            };
            table.row([key.name.to_owned(), value, origin, terminal::dim(key.about)]);
        }
        terminal::print(&table.render())
    }
}

/// A value as it may stay on a screen.
fn shown(context: &Context, key: &str) -> Option<String> {
    Some(terminal::printable(&settings::shown(key, &context.layers.value(key)?)))
}
