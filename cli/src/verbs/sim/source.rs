//! Where a scenario comes from.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use lota_simulator::{Document, builtin, builtins, scenario::MAX_SCENARIO};

use crate::failure::Usage;

/// The text of a scenario that comes with this program.
///
/// # Errors
/// When there is none of that name; the nearest one is suggested.
pub(super) fn builtin_text(name: &str) -> anyhow::Result<&'static str> {
    if let Some(scenario) = builtin(name) {
        return Ok(scenario.text);
    }
    let nearest = builtins().iter().map(|scenario| scenario.name).min_by_key(|known| strsim::levenshtein(known, name));
    let hint = nearest.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
    Err(Usage(format!("no scenario is called `{name}`{hint} `lota sim list` shows them")).into())
}

/// Reads a file, as far as a scenario may be long.
fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MAX_SCENARIO as u64 + 1).read_to_string(&mut text)?;
    Ok(text)
}

/// Reads a scenario: a file, or one that comes with this program.
///
/// # Errors
/// When there is neither, or it is none.
pub(super) fn document(source: &str) -> anyhow::Result<Document> {
    let is_path = source.ends_with(".toml") || source.contains('/');
    let document = if is_path {
        let text =
            read(Path::new(source)).map_err(|error| Usage(format!("cannot read the scenario {source}: {error}")))?;
        Document::parse(source, &text)
    } else {
        Document::parse(&format!("{source}.toml"), builtin_text(source)?)
    };
    document.map_err(|error| Usage(error.to_string()).into())
}
