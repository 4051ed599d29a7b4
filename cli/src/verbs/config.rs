//! `lota config`.

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    arguments::Format,
    context::Context,
    settings::{KEYS, Origin},
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
                    (key.name, Setting { value: shown(context, key.name), origin, place, variable: key.variable() })
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
            table.row([
                key.name.to_owned(),
                shown(context, key.name).unwrap_or_else(|| "-".to_owned()),
                context.layers.origin(key.name).to_string(),
                terminal::dim(key.about),
            ]);
        }
        terminal::print(&table.render())
    }
}

/// A value as it is shown; the token is not.
fn shown(context: &Context, key: &str) -> Option<String> {
    let value = context.layers.value(key)?;
    Some(if key == "api.token" { "(set, not shown)".to_owned() } else { terminal::printable(&value) })
}
