//! What a plan's runs leave in a folder: `runs.csv`, a row for each run; `parties.csv`, what each party came to; `ledger.csv`, every
//! movement of money. Each run writes parts of its own while it goes on, which are put together in the order of the runs.

use std::{
    fs::{self, File},
    io::{self, BufWriter},
    path::{Path, PathBuf},
};

use super::Run;
use crate::{
    chance::Seed,
    ledger::CsvSink,
    scenario::Scenario,
    simulation::{SimulationError, party_names, simulate},
    summary::{PartyOutcome, Summary},
};

/// What the first columns say of a run: the scenario's number. There is one.
const SIMULATION: u64 = 0;

pub(super) struct Files {
    folder: PathBuf,
}

/// The files that are put together from parts.
#[derive(Clone, Copy)]
enum Kind {
    Ledger,
    Parties,
}

impl Kind {
    const ALL: [Self; 2] = [Self::Ledger, Self::Parties];

    const fn name(self) -> &'static str {
        match self {
            Self::Ledger => "ledger",
            Self::Parties => "parties",
        }
    }
}

impl Files {
    pub(super) fn begin(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    fn part(&self, kind: Kind, subset: u64, run: u64) -> PathBuf {
        self.folder.join(format!(".{}.{subset}.{run}.part", kind.name()))
    }

    pub(super) fn simulate(
        &self,
        scenario: &Scenario,
        seed: Seed,
        subset: u64,
        run: u64,
    ) -> Result<Summary, SimulationError> {
        let place = [SIMULATION, subset, run];
        let heading = subset == 0 && run == 1;
        let part = File::create(self.part(Kind::Ledger, subset, run))?;
        let mut sink = CsvSink::new(part, place, party_names(scenario), heading)?;
        let outcome = simulate(scenario, seed, &mut sink)?;
        sink.finish()?;
        let part = File::create(self.part(Kind::Parties, subset, run))?;
        write_parties(part, place, &outcome.parties, heading)?;
        Ok(outcome.summary)
    }

    /// Puts the parts together, and writes the row of each run.
    pub(super) fn finish(&self, runs: &[Run]) -> io::Result<()> {
        for kind in Kind::ALL {
            let mut whole = BufWriter::new(File::create(self.folder.join(format!("{}.csv", kind.name())))?);
            for Run { subset, run, .. } in runs {
                let part = self.part(kind, *subset, *run);
                match File::open(&part) {
                    Ok(mut file) => drop(io::copy(&mut file, &mut whole)?),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    Err(error) => return Err(error),
                }
                fs::remove_file(&part)?;
            }
            io::Write::flush(&mut whole)?;
        }
        self.write_runs(runs)
    }

    fn write_runs(&self, runs: &[Run]) -> io::Result<()> {
        let mut rows = csv::Writer::from_path(self.folder.join("runs.csv"))?;
        let swept = runs.first().map(|run| run.set.iter().map(|set| set.key.clone()).collect()).unwrap_or_default();
        let heading: Vec<String> = ["simulation", "subset", "run", "seed"].map(str::to_owned).to_vec();
        let heading =
            [heading, swept, Summary::default().columns().into_iter().map(|(name, _)| name.to_owned()).collect()];
        rows.write_record(heading.concat().iter().chain([&"error".to_owned()]))?;
        for run in runs {
            let place = [SIMULATION, run.subset, run.run, run.seed].map(|number| number.to_string());
            let mut row: Vec<String> = place.to_vec();
            row.extend(run.set.iter().map(|set| match &set.value {
                toml::Value::String(text) => text.clone(),
                other => other.to_string(),
            }));
            match &run.result {
                Ok(summary) => {
                    row.extend(summary.columns().into_iter().map(|(_, value)| value));
                    row.push(String::new());
                }
                Err(error) => {
                    row.extend(Summary::default().columns().iter().map(|_| String::new()));
                    row.push(error.to_string());
                }
            }
            rows.write_record(&row)?;
        }
        rows.flush()
    }
}

fn write_parties(to: File, place: [u64; 3], parties: &[PartyOutcome], heading: bool) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(to);
    if heading {
        rows.write_record([
            "simulation",
            "subset",
            "run",
            "party",
            "began",
            "wallet",
            "balance",
            "escrow",
            "collateral",
            "auction",
            "stake",
            "cost_fil",
            "profit_fil",
            "escrows",
            "settled",
            "slashes",
            "blocked",
        ])?;
    }
    let place = place.map(|number| number.to_string());
    for party in parties {
        let holdings = &party.holdings;
        let amounts = [
            party.began,
            holdings.wallet,
            holdings.balance,
            holdings.escrow,
            holdings.collateral,
            holdings.auction,
            holdings.stake,
        ];
        let mut row: Vec<String> = place.to_vec();
        row.push(party.name.clone());
        row.extend(amounts.iter().map(|amount| amount.0.to_string()));
        row.extend([party.cost, party.profit()].map(|number| number.to_string()));
        row.extend([party.escrows, party.settled, party.slashes].map(|number| number.to_string()));
        row.push(party.is_blocked.to_string());
        rows.write_record(&row)?;
    }
    rows.flush()
}
