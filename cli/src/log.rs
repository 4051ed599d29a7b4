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
    let filter = parse(filters)?;
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

/// Filters as a person writes them. The library takes what is left out for a level, too, and then little is logged and nobody told.
fn parse(filters: &str) -> Result<Targets, Usage> {
    let refused = |problem: &str| {
        Usage(format!(
            "setting `log`: `{}` is not a filter ({problem}); write for example `info` or `lota_node=debug`",
            filters.escape_debug()
        ))
    };
    let is_whole = |part: &str| !part.is_empty() && part.split('=').all(|side| !side.trim().is_empty());
    if !filters.is_empty() && !filters.split(',').all(is_whole) {
        return Err(refused("a part of it is empty"));
    }
    filters.parse().map_err(|error: tracing_subscriber::filter::ParseError| refused(&error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_with_empty_parts_are_refused_in_one_line() {
        for good in ["info", "lota_node=debug", USUAL, "warn,lota_node::api=trace", "off", ""] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for bad in
            ["=,=", "=", ",", "info,", "=debug", "lota_node=", "lota_node= ,info", "a=b=c", "lota_node=loud", "=\n="]
        {
            let Usage(told) = parse(bad).expect_err(bad);
            assert!(told.contains("setting `log`") && told.lines().count() == 1, "{told}");
        }
    }
}
