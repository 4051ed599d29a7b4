//! The log of what runs in this process, on stderr.

use serde::{Deserialize, Serialize};
use tracing_subscriber::{Layer as _, filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _};

use crate::{failure::Usage, terminal::LogLines};

/// What is logged when nobody says: what a person should know. That a websocket broke, the node itself says, once.
pub(crate) const USUAL: &str = "warn,alloy_pubsub=off,alloy_transport_ws=off";

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    /// For a person.
    #[default]
    Text,
    /// One JSON object for each line: `timestamp`, `level`, `target`, `fields`.
    Json,
}

/// Starts the log with these `tracing` filters.
///
/// # Errors
/// [`Usage`] when they are none.
pub(crate) fn start(filters: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter: Targets = filters.parse().map_err(|error| {
        Usage(format!(
            "setting `log`: `{filters}` is not a filter ({error}); write for example `info` or `lota_node=debug`"
        ))
    })?;
    let lines = tracing_subscriber::fmt::layer().with_target(true).with_writer(|| LogLines(std::io::stderr()));
    let lines = match format {
        LogFormat::Text => lines.with_ansi(console::colors_enabled_stderr()).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry()
        .with(lines)
        .with(filter)
        .try_init()
        .map_err(|error| anyhow::anyhow!("cannot start the log: {error}"))
}
