//! What a folder's runs are runs of: `manifest.json`.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{
    scenario::{Document, Override, Scenario, Sweep},
    table::FileFormat,
};

/// The manifest's name.
pub const MANIFEST: &str = "manifest.json";
/// What it is called until it is written.
pub(super) const NEW: &str = ".manifest.json.new";
/// How folders look that this program writes.
const VERSION: u32 = 1;
/// The longest manifest that is read, in bytes.
const MOST: u64 = 1 << 26;

/// What a folder's runs are runs of. How many there are is not part of it: a folder may grow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub version: u32,
    /// The program that wrote it: another version may simulate otherwise.
    pub program: String,
    /// The scenario's file.
    pub scenario: String,
    pub question: String,
    /// sha2-256 over what the scenario says with the values that were set, in hex; neither comments nor `seeds` change it.
    pub digest: String,
    /// What was set for all runs.
    pub set: Vec<Setting>,
    /// What was swept, a subset for each combination.
    pub sweeps: Vec<Swept>,
    pub format: FileFormat,
    /// Seconds of virtual time from one timestep to the next.
    pub every: u64,
}

/// A key and its value, as it is written in TOML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    pub key: String,
    pub value: String,
}

/// A key and the values that it takes in turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Swept {
    pub key: String,
    pub values: Vec<String>,
    /// Whether all of them are numbers.
    pub is_number: bool,
}

impl Manifest {
    pub(super) fn of(
        document: &Document,
        scenario: &Scenario,
        set: &[Override],
        sweeps: &[Sweep],
        format: FileFormat,
        every: u64,
    ) -> Self {
        let canonical = Scenario { seeds: 1, question: String::new(), ..scenario.clone() };
        let bytes = serde_json::to_vec(&canonical).unwrap_or_default();
        let sweeps = sweeps.iter().map(|sweep| Swept {
            key: sweep.key.clone(),
            values: sweep.values.iter().map(text).collect(),
            is_number: sweep.values.iter().all(|value| value.is_integer() || value.is_float()),
        });
        Self {
            version: VERSION,
            program: concat!("lota ", env!("CARGO_PKG_VERSION")).to_owned(),
            scenario: document.file().to_owned(),
            question: scenario.question.clone(),
            digest: hex::encode(Sha256::digest(&bytes)),
            set: set.iter().map(|set| Setting { key: set.key.clone(), value: text(&set.value) }).collect(),
            sweeps: sweeps.collect(),
            format,
            every,
        }
    }

    /// Reads a folder's manifest.
    ///
    /// # Errors
    /// When there is none, or it is none of this program's.
    pub fn read(folder: &Path) -> io::Result<Self> {
        use io::Read as _;
        let mut bytes = Vec::new();
        fs::File::open(folder.join(MANIFEST))?.take(MOST).read_to_end(&mut bytes)?;
        serde_json::from_slice(&bytes).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{MANIFEST} is none of this program's: {error}"))
        })
    }

    pub(super) fn write(&self, folder: &Path) -> io::Result<()> {
        let new = folder.join(NEW);
        let mut file = created(&new)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        fs::rename(new, folder.join(MANIFEST))
    }

    /// What is different in `other`, of which runs are wanted; `None`: nothing that matters.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let short = |digest: &str| digest.chars().take(12).collect::<String>();
        if self.version != other.version || self.program != other.program {
            return Some(format!("it was written by {}, and this is {}", self.program, other.program));
        }
        if self.digest != other.digest {
            let of = |it: &Self| format!("{} ({})", it.scenario, short(&it.digest));
            let set = if self.set == other.set { "" } else { " with other values set" };
            return Some(format!("it holds runs of {}, not of {}{set}", of(self), of(other)));
        }
        if self.sweeps != other.sweeps {
            return Some(format!("its runs sweep {}, not {}", shown(&self.sweeps), shown(&other.sweeps)));
        }
        if self.format != other.format {
            return Some(format!("its files are {}, not {}", self.format.extension(), other.format.extension()));
        }
        (self.every != other.every).then(|| format!("its timesteps are {} s, not {} s apart", self.every, other.every))
    }
}

/// A new file in place of whatever has this name: what a link leads to is left alone.
pub(super) fn created(path: &Path) -> io::Result<fs::File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => fs::File::options().write(true).create_new(true).open(path),
    }
}

fn shown(sweeps: &[Swept]) -> String {
    if sweeps.is_empty() {
        return "nothing".to_owned();
    }
    sweeps.iter().map(|sweep| format!("{}={}", sweep.key, sweep.values.join(","))).collect::<Vec<_>>().join(" and ")
}

/// A value as a cell: a text without quotes.
pub(super) fn text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
