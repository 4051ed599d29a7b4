//! What a plan's runs leave in a folder: tables (`runs`, `populations`, `parties`, `timesteps`, `ledger`), the scenario, and a manifest.
//!
//! A run writes into a folder of its own, which gets its name when the run is over: whatever has that name is whole. When no run
//! is under way any more, what they gave is put behind what the tables had, into new files; a mark that all of them are there makes
//! it so, and from then on the renaming is completed by whoever comes next. A process may be killed at any moment.

use std::{
    collections::{BTreeMap, HashSet},
    fs::{self, File},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use lota_market::movements::Movement;

use super::{
    Output, Run,
    manifest::{self, MANIFEST, Manifest, created, text},
    tables::{self, PARTS, Table},
};
use crate::{
    chance::Seed,
    ledger::{CsvSink, Sink},
    queue::VirtualTime,
    scenario::{Override, Scenario},
    simulation::{SimulationError, party_names, simulate},
    state::State,
    summary::Summary,
    table::{Column, FileFormat, Kind, Rows, TableWriter},
};

/// A run's row: its seed, what was set, and what came of it.
type Row<'a> = (u64, Vec<String>, Result<&'a Summary, String>);

/// What the first columns say of a run: the scenario's number. There is one.
const SIMULATION: u64 = 0;
/// Where runs that are over wait to be put together.
const FINISHED: &str = ".finished";
/// Says that all new tables are there.
const COMMITTED: &str = ".committed";

/// The scenario as it was written.
const SCENARIO: &str = "scenario.toml";
const NEW_SCENARIO: &str = ".scenario.toml.new";

/// Which run of which point.
type Place = (u64, u64);

pub(super) struct Files {
    folder: PathBuf,
    format: FileFormat,
    every: VirtualTime,
    swept: Vec<Column>,
    /// Runs that the tables have, and runs that wait.
    known: BTreeMap<Place, Known>,
    waiting: HashSet<Place>,
    /// Nobody else writes here.
    lock: File,
}

/// A run that was over before.
struct Known {
    seed: u64,
    set: Vec<String>,
    summary: Summary,
}

/// Takes what a run has to tell, and writes it.
struct RunSink {
    ledger: CsvSink<File>,
    states: csv::Writer<File>,
    place: [String; 3],
    every: VirtualTime,
}

impl Sink for RunSink {
    fn movement(&mut self, time: VirtualTime, movement: &Movement) -> io::Result<()> {
        self.ledger.movement(time, movement)
    }

    fn every(&self) -> Option<VirtualTime> {
        Some(self.every)
    }

    fn state(&mut self, state: &State) -> io::Result<()> {
        Ok(self.states.write_record(self.place.iter().chain(&state.cells()))?)
    }
}

impl Files {
    /// Refuses a folder without a manifest that holds anything but what a process left that was ended here: nothing of somebody's
    /// else is written over.
    fn check_unused(folder: &Path, scenario: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let is_ours = match entry.file_name().to_str() {
                Some(SCENARIO) => is_file_of(&entry.path(), scenario)?,
                Some(name) => name == NEW_SCENARIO || name == manifest::NEW,
                None => false,
            };
            if !is_ours {
                let (kind, name) = (if entry.path().is_dir() { "folder" } else { "file" }, entry.file_name());
                let name = name.to_string_lossy();
                return Err(io::Error::other(format!("it has a {kind} {name} and no {MANIFEST}; take another folder")));
            }
        }
        Ok(())
    }

    /// Opens a folder for runs of what the manifest says; what an earlier process left is put in order.
    pub(super) fn begin(output: &Output, manifest: &Manifest, scenario: &str) -> io::Result<Self> {
        let folder = output.folder.clone();
        fs::create_dir_all(&folder)?;
        let lock = File::open(&folder)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(io::Error::other("another process writes there; wait for its end, or take another folder"));
            }
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        match Manifest::read(&folder) {
            Ok(found) => {
                if let Some(difference) = found.difference(manifest) {
                    return Err(io::Error::other(format!("{difference}; take another folder")));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Self::check_unused(&folder, scenario)?;
                let new = folder.join(NEW_SCENARIO);
                created(&new)?.write_all(scenario.as_bytes())?;
                fs::rename(new, folder.join(SCENARIO))?;
                manifest.write(&folder)?;
            }
            Err(error) => return Err(error),
        }
        let swept = manifest.sweeps.iter().map(|sweep| Column {
            // The one key that a column of ours has, too.
            name: if sweep.key == "seed" { "scenario.seed".to_owned() } else { sweep.key.clone() },
            kind: if sweep.is_number { Kind::Number } else { Kind::Text },
        });
        let mut files = Self {
            folder,
            format: output.format,
            every: VirtualTime(output.every.saturating_mul(1_000)),
            swept: swept.collect(),
            known: BTreeMap::new(),
            waiting: HashSet::new(),
            lock,
        };
        // Through a link, things elsewhere would be removed.
        if fs::symlink_metadata(files.folder.join(FINISHED)).is_ok_and(|it| !it.is_dir()) {
            return Err(io::Error::other(format!("its {FINISHED} is no folder, so none of this program's; remove it")));
        }
        if files.folder.join(COMMITTED).exists() {
            files.complete()?;
        }
        fs::create_dir_all(files.folder.join(FINISHED))?;
        files.read_known()?;
        files.read_waiting()?;
        Ok(files)
    }

    /// Whether a run was over before.
    pub(super) fn has(&self, place: Place) -> bool {
        self.known.contains_key(&place)
    }

    /// What a run came to that was over before.
    pub(super) fn known(&self, place: Place) -> Option<Summary> {
        self.known.get(&place).map(|known| known.summary.clone())
    }

    fn read_known(&mut self) -> io::Result<()> {
        let runs = match Rows::open(&self.folder, Table::Runs.name()) {
            Ok(rows) => rows,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for found in tables::runs(runs, self.swept.len())? {
            let (place, seed, set, summary) = found?;
            // A run that failed is tried again.
            if let Some(summary) = summary {
                self.known.insert(place, Known { seed, set, summary });
            }
        }
        for found in tables::populations(Rows::open(&self.folder, Table::Populations.name())?)? {
            let (place, population) = found?;
            if let Some(known) = self.known.get_mut(&place) {
                known.summary.populations.push(population);
            }
        }
        Ok(())
    }

    fn read_waiting(&mut self) -> io::Result<()> {
        let place = |name: &str| -> Option<Place> {
            let (subset, run) = name.split_once('.')?;
            Some((subset.parse().ok()?, run.parse().ok()?))
        };
        for entry in fs::read_dir(self.folder.join(FINISHED))? {
            let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
            let name = name.to_string_lossy();
            let is_part = name.strip_suffix(".part").is_some_and(|name| place(name).is_some());
            if !is_part && place(&name).is_none() {
                let message = format!("it has {FINISHED}/{name}, which no run is called; move that elsewhere");
                return Err(io::Error::other(message));
            }
            let found = place(&name).and_then(|place| Some((place, tables::finished(&path, &self.swept)?)));
            match found {
                Some((place, (seed, set, summary))) if !self.known.contains_key(&place) => {
                    self.known.insert(place, Known { seed, set, summary });
                    self.waiting.insert(place);
                }
                // It was not over, or its files are not what they were: a machine that lost power.
                _ => fs::remove_dir_all(&path)?,
            }
        }
        Ok(())
    }

    /// Runs, and leaves what comes out for [`Self::finish`].
    pub(super) fn simulate(
        &self,
        scenario: &Scenario,
        seed: Seed,
        place: Place,
        set: &[Override],
    ) -> Result<Summary, SimulationError> {
        let name = format!("{}.{}", place.0, place.1);
        let (whole, part) = (self.finished(&name), self.finished(&format!("{name}.part")));
        fs::create_dir(&part)?;
        let result = self.simulate_into(&part, scenario, seed, place, set);
        match result {
            Ok(summary) => {
                fs::rename(&part, whole)?;
                Ok(summary)
            }
            Err(error) => {
                // What went wrong before is what matters.
                drop(fs::remove_dir_all(&part));
                Err(error)
            }
        }
    }

    fn simulate_into(
        &self,
        part: &Path,
        scenario: &Scenario,
        seed: Seed,
        (subset, run): Place,
        set: &[Override],
    ) -> Result<Summary, SimulationError> {
        let place = [SIMULATION, subset, run];
        let file = |table: Table| File::create(part.join(table.name()));
        let mut sink = RunSink {
            ledger: CsvSink::new(file(Table::Ledger)?, place, party_names(scenario), false)?,
            states: csv::Writer::from_writer(file(Table::Timesteps)?),
            place: place.map(|number| number.to_string()),
            every: self.every,
        };
        let outcome = simulate(scenario, seed, &mut sink)?;
        sink.ledger.finish()?;
        sink.states.flush()?;
        tables::write_parties(file(Table::Parties)?, place, &outcome.parties)?;
        let summary = outcome.summary.with_strategies(scenario);
        tables::write_finished(part, seed.0, set, &summary)?;
        Ok(summary)
    }

    fn finished(&self, name: &str) -> PathBuf {
        self.folder.join(FINISHED).join(name)
    }

    fn new_file(&self, table: Table) -> PathBuf {
        self.folder.join(format!(".{}.new", table.file(self.format)))
    }

    /// Puts what runs gave behind what the tables had, and writes the row of each run.
    pub(super) fn finish(mut self, runs: &[Run]) -> io::Result<()> {
        let mut added: Vec<Place> = runs
            .iter()
            .filter(|run| run.result.is_ok())
            .map(|run| (run.subset, run.run))
            .filter(|place| !self.known.contains_key(place))
            .chain(self.waiting.iter().copied())
            .collect();
        added.sort_unstable();
        for table in PARTS {
            let whole = self.folder.join(table.file(self.format));
            if added.is_empty() && whole.exists() {
                continue;
            }
            let mut rows =
                TableWriter::begin(created(&self.new_file(table))?, self.format, &table.columns(&self.swept))?;
            if whole.exists() {
                rows.copy(File::open(whole)?)?;
            }
            for (subset, run) in &added {
                let part = self.finished(&format!("{subset}.{run}")).join(table.name());
                rows.append(File::open(part)?)?;
            }
            rows.finish()?;
        }
        for run in runs {
            self.known.remove(&(run.subset, run.run));
        }
        self.write_runs(runs)?;
        created(&self.folder.join(COMMITTED))?.sync_all()?;
        self.lock.sync_all()?;
        self.complete()
    }

    /// New tables take the place of the old ones. It may be done again at any point.
    fn complete(&self) -> io::Result<()> {
        for table in Table::ALL {
            match fs::rename(self.new_file(table), self.folder.join(table.file(self.format))) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        match fs::remove_dir_all(self.folder.join(FINISHED)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::remove_file(self.folder.join(COMMITTED))
    }

    fn write_runs(&self, runs: &[Run]) -> io::Result<()> {
        let begin = |table: Table| {
            TableWriter::begin(created(&self.new_file(table))?, self.format, &table.columns(&self.swept))
        };
        let (mut rows, mut populations) = (begin(Table::Runs)?, begin(Table::Populations)?);
        let mut all: BTreeMap<Place, Row<'_>> = BTreeMap::new();
        for (place, known) in &self.known {
            all.insert(*place, (known.seed, known.set.clone(), Ok(&known.summary)));
        }
        for run in runs {
            let set = run.set.iter().map(|set| text(&set.value)).collect();
            let result = run.result.as_ref().map_err(ToString::to_string);
            all.insert((run.subset, run.run), (run.seed, set, result));
        }
        for ((subset, run), (seed, set, result)) in all {
            let place = [SIMULATION, subset, run].map(|number| number.to_string());
            let mut cells: Vec<String> = place.to_vec();
            cells.push(seed.to_string());
            cells.extend(set);
            match result {
                Ok(summary) => {
                    cells.extend(summary.columns().into_iter().map(|(_, value)| value));
                    cells.push(String::new());
                    for population in &summary.populations {
                        let row = tables::population_cells(population);
                        populations.row(place.iter().chain(&row).map(String::as_str))?;
                    }
                }
                Err(error) => {
                    cells.extend(Summary::default().columns().iter().map(|_| String::new()));
                    cells.push(error);
                }
            }
            rows.row(cells.iter().map(String::as_str))?;
        }
        rows.finish()?;
        populations.finish()
    }
}

/// Whether a file has exactly this text.
fn is_file_of(path: &Path, text: &str) -> io::Result<bool> {
    let mut found = Vec::new();
    if fs::symlink_metadata(path)?.is_file() {
        File::open(path)?.take(text.len() as u64 + 1).read_to_end(&mut found)?;
    }
    Ok(found == text.as_bytes())
}

impl TableWriter {
    /// Writes the rows of a run's part, which is CSV without names.
    fn append(&mut self, mut part: File) -> io::Result<()> {
        if let Self::Csv(rows) = self {
            rows.flush()?;
            io::copy(&mut part, &mut rows.get_ref().get_ref())?;
            return Ok(());
        }
        let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(part);
        let mut row = csv::StringRecord::new();
        while reader.read_record(&mut row)? {
            self.row(row.iter())?;
        }
        Ok(())
    }
}
