//! A folder of runs is read.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use crate::{
    runs::{MOST_RUNS, Manifest, Table, tables},
    summary::Summary,
    table::Rows,
};

/// The most populations of all runs that are held.
const MOST_POPULATIONS: u64 = 10_000_000;

fn too_many(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {what}, which is all that is read"))
}

/// Why a folder says nothing.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// It cannot be read.
    #[error("cannot read the runs in {}: {problem}", .folder.display())]
    Read { folder: PathBuf, problem: io::Error },
    /// No run of it came to an end.
    #[error("in {} is no run that came to an end", .0.display())]
    Empty(PathBuf),
    /// Two folders have nothing in common.
    #[error("{} and {} cannot be compared: the first sweeps {}, the second {}", .a.display(), .b.display(), .swept_a, .swept_b)]
    Sweeps { a: PathBuf, b: PathBuf, swept_a: String, swept_b: String },
}

/// A run that came to an end.
#[derive(Clone, Debug)]
pub struct Ran {
    pub subset: u64,
    pub run: u64,
    pub seed: u64,
    /// The values of what was swept, in the manifest's order.
    pub set: Vec<String>,
    pub summary: Summary,
}

/// A folder of runs: its manifest, and what its runs came to.
#[derive(Clone, Debug)]
pub struct Folder {
    pub path: PathBuf,
    pub manifest: Manifest,
    pub runs: Vec<Ran>,
    /// How many runs failed.
    pub failed: u64,
}

impl Folder {
    /// Reads a folder.
    ///
    /// # Errors
    /// When it is none, or no run of it came to an end.
    pub fn read(path: &Path) -> Result<Self, AnalysisError> {
        let folder =
            Self::read_all(path).map_err(|problem| AnalysisError::Read { folder: path.to_owned(), problem })?;
        if folder.runs.is_empty() { Err(AnalysisError::Empty(path.to_owned())) } else { Ok(folder) }
    }

    fn read_all(path: &Path) -> io::Result<Self> {
        let manifest = Manifest::read(path)?;
        let (mut runs, mut failed, mut held) = (BTreeMap::new(), 0, 0_u64);
        for row in tables::runs(Rows::open(path, Table::Runs.name())?, manifest.sweeps.len())? {
            let ((subset, run), seed, set, summary) = row?;
            match summary {
                Some(summary) => drop(runs.insert((subset, run), Ran { subset, run, seed, set, summary })),
                None => failed += 1,
            }
            if runs.len() as u64 + failed > MOST_RUNS {
                return Err(too_many(&format!("{MOST_RUNS} runs")));
            }
        }
        for row in tables::populations(Rows::open(path, Table::Populations.name())?)? {
            let (place, population) = row?;
            if let Some(run) = runs.get_mut(&place) {
                run.summary.populations.push(population);
                held += 1;
            }
            if held > MOST_POPULATIONS {
                return Err(too_many(&format!("{MOST_POPULATIONS} populations in all")));
            }
        }
        Ok(Self { path: path.to_owned(), manifest, runs: runs.into_values().collect(), failed })
    }

    /// What was set in a subset, for people; empty when nothing was swept.
    #[must_use]
    pub fn label(&self, set: &[String]) -> String {
        let keys = self.manifest.sweeps.iter().map(|sweep| &sweep.key);
        keys.zip(set).map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
    }

    pub(super) fn swept(&self) -> String {
        let sweeps = self.manifest.sweeps.iter().map(|sweep| format!("{}={}", sweep.key, sweep.values.join(",")));
        let all: Vec<String> = sweeps.collect();
        if all.is_empty() { "nothing".to_owned() } else { all.join(" ") }
    }
}
