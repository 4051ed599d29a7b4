//! Reading scenarios, and setting single values of them.

use toml::Table;

use super::{Scenario, ScenarioError, check::check};

/// The longest scenario, in bytes.
pub const MAX_SCENARIO: usize = 1 << 20;
/// The most tables around a value that is set: more than any key of a scenario has.
const MAX_DEPTH: usize = 8;
/// How much of somebody's text a message repeats, in characters.
const MAX_QUOTE: usize = 400;

/// A scenario's text, from which scenarios with other values are made.
#[derive(Clone, Debug)]
pub struct Document {
    /// What it is called in messages.
    file: String,
    text: String,
    table: Table,
    scenario: Scenario,
}

/// A value that replaces a scenario's own: `--set KEY=VALUE`.
#[derive(Clone, Debug, PartialEq)]
pub struct Override {
    /// Where it goes, such as `providers.honest.count`.
    pub key: String,
    /// A TOML value; what is none is a text.
    pub value: toml::Value,
}

impl Override {
    /// Reads `KEY=VALUE`.
    ///
    /// # Errors
    /// When there is no `=`, or no key.
    pub fn parse(text: &str) -> Result<Self, ScenarioError> {
        let wrong = || ScenarioError::Flag(format!("`{text}` sets nothing; write KEY=VALUE, such as job.max_price=2"));
        let (key, value) = text.split_once('=').ok_or_else(wrong)?;
        let key = key.trim();
        if key.is_empty() {
            return Err(wrong());
        }
        Ok(Self { key: key.to_owned(), value: value_of(value.trim()) })
    }

    /// What to call it in messages.
    fn shown(&self) -> String {
        brief(&format!("--set {}={}", self.key, self.value))
    }
}

/// A TOML value, or, if it is none, a text.
pub(super) fn value_of(text: &str) -> toml::Value {
    let parsed = toml::from_str::<Table>(&format!("it = {text}"));
    let value = parsed.ok().filter(|table| table.len() == 1).and_then(|mut table| table.remove("it"));
    value.unwrap_or_else(|| toml::Value::String(text.to_owned()))
}

impl Document {
    /// Reads and checks a scenario. `file`: what it is called in messages.
    ///
    /// # Errors
    /// The first thing that is wrong with it, with its line.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScenarioError> {
        if text.len() > MAX_SCENARIO {
            let message = format!("the scenario has more than {MAX_SCENARIO} bytes, which is all that is read");
            return Err(ScenarioError::Form { file: file.to_owned(), line: 1, message });
        }
        let form = |error: toml::de::Error| {
            let line = error.span().map_or(1, |span| line_of(text, span.start));
            let message = one_line(error.message());
            ScenarioError::Form { file: file.to_owned(), line, message }
        };
        let table: Table = toml::from_str(text).map_err(form)?;
        let scenario: Scenario = toml::from_str(text).map_err(form)?;
        let document = Self { file: file.to_owned(), text: text.to_owned(), table, scenario };
        document.checked(&document.scenario, &[])?;
        Ok(document)
    }

    /// The scenario as it is written.
    #[must_use]
    pub const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// What it is called in messages.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The scenario with other values.
    ///
    /// # Errors
    /// When a key is none of a scenario's, or a value is impossible.
    pub fn with(&self, overrides: &[Override]) -> Result<Scenario, ScenarioError> {
        if overrides.is_empty() {
            return Ok(self.scenario.clone());
        }
        let mut table = self.table.clone();
        let mut scenario = None;
        // One after the other, so that whatever is wrong is the newest one's doing.
        for set in overrides {
            put(&mut table, set)?;
            let read = Scenario::deserialize_from(&table);
            scenario = Some(read.map_err(|message| ScenarioError::Flag(format!("{}: {message}", set.shown())))?);
        }
        let scenario = scenario.unwrap_or_else(|| self.scenario.clone());
        self.checked(&scenario, overrides)?;
        Ok(scenario)
    }

    fn checked(&self, scenario: &Scenario, overrides: &[Override]) -> Result<(), ScenarioError> {
        let Err((key, problem)) = check(scenario) else { return Ok(()) };
        let set = overrides.iter().rev().find(|set| key == set.key || key.starts_with(&format!("{}.", set.key)));
        let place = match set {
            Some(set) => set.shown(),
            None => format!("{}:{}", self.file, self.line_of_key(&key)),
        };
        Err(ScenarioError::Value { place, key, problem })
    }

    /// The line of a key, or, if it is not written, of the table that it would be in.
    fn line_of_key(&self, key: &str) -> usize {
        let Ok(document) = toml_edit::ImDocument::parse(self.text.as_str()) else { return 1 };
        let mut item = document.as_item();
        let mut at = 0;
        for part in key.split('.') {
            let Some(table) = item.as_table_like() else { break };
            let Some((name, next)) = table.get_key_value(part) else { break };
            at = name.span().or_else(|| next.span()).map_or(at, |span| span.start);
            item = next;
        }
        line_of(&self.text, at)
    }
}

impl Scenario {
    fn deserialize_from(table: &Table) -> Result<Self, String> {
        table.clone().try_into().map_err(|error: toml::de::Error| one_line(error.message()))
    }
}

fn one_line(message: &str) -> String {
    brief(&message.replace('\n', "; "))
}

/// The beginning of a text that may be of any length.
fn brief(text: &str) -> String {
    let mut characters = text.chars();
    let beginning: String = characters.by_ref().take(MAX_QUOTE).collect();
    if characters.next().is_some() { beginning + "…" } else { beginning }
}

fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

/// Puts a value where its key says. Tables on the way must be there, or be a scenario's own.
fn put(table: &mut Table, set: &Override) -> Result<(), ScenarioError> {
    let mut parts: Vec<&str> = set.key.split('.').collect();
    if parts.len() > MAX_DEPTH {
        return Err(ScenarioError::Flag(format!("{}: no key of a scenario has {} parts", set.shown(), parts.len())));
    }
    let last = parts.pop().unwrap_or_default();
    let mut here = table;
    let mut way = String::new();
    for part in parts {
        if !way.is_empty() {
            way.push('.');
        }
        way.push_str(part);
        // A population is not made by a flag: its name would be a misspelled one.
        if (way.starts_with("clients.") || way.starts_with("providers.")) && !here.contains_key(part) {
            let kind = way.split('.').next().unwrap_or_default();
            let known: Vec<&str> = here.keys().map(String::as_str).collect();
            let known = brief(&known.join(", "));
            return Err(ScenarioError::Flag(format!(
                "{}: the scenario has no {kind} `{}`; it has {known}",
                set.shown(),
                brief(part)
            )));
        }
        let next = here.entry(part).or_insert_with(|| toml::Value::Table(Table::new()));
        here = next.as_table_mut().ok_or_else(|| {
            ScenarioError::Flag(format!(
                "{}: `{}` is a value, not a table; nothing can be set in it",
                set.shown(),
                brief(&way)
            ))
        })?;
    }
    here.insert(last.to_owned(), set.value.clone());
    Ok(())
}
