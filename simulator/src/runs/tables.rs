//! The tables of a folder of runs, and the parts that they are made of.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use super::manifest::text;
use crate::{
    scenario::Override,
    state::State,
    summary::{PartyOutcome, Population, Summary},
    table::{Column, FileFormat, Kind, Rows},
};

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// What each run came to.
    Runs,
    /// What each population of each run came to.
    Populations,
    /// What each party of each run came to.
    Parties,
    /// The market's state at regular timesteps of each run.
    Timesteps,
    /// Every movement of money.
    Ledger,
}

/// The tables of which each run writes a part.
pub(super) const PARTS: [Table; 3] = [Table::Parties, Table::Timesteps, Table::Ledger];
/// What a run's part has beside them: what it came to.
const FINISHED: &str = "run";

const PLACE: [(&str, Kind); 3] = [("simulation", Kind::Count), ("subset", Kind::Count), ("run", Kind::Count)];

const POPULATIONS: [(&str, Kind); 6] = [
    ("population", Kind::Text),
    ("strategy", Kind::Text),
    ("parties", Kind::Count),
    ("jobs", Kind::Count),
    ("mean_profit_fil", Kind::Number),
    ("slashed", Kind::Amount),
];

const PARTIES: [(&str, Kind); 15] = [
    ("party", Kind::Text),
    ("began", Kind::Amount),
    ("wallet", Kind::Amount),
    ("market", Kind::Amount),
    ("escrow", Kind::Amount),
    ("collateral", Kind::Amount),
    ("auction", Kind::Amount),
    ("bids", Kind::Amount),
    ("burned", Kind::Amount),
    ("cost_fil", Kind::Number),
    ("profit_fil", Kind::Number),
    ("escrows", Kind::Count),
    ("settled", Kind::Count),
    ("slashes", Kind::Count),
    ("blocked", Kind::Flag),
];

const LEDGER: [(&str, Kind); 8] = [
    ("timestep", Kind::Number),
    ("reason", Kind::Text),
    ("job", Kind::Text),
    ("from", Kind::Text),
    ("from_account", Kind::Text),
    ("to", Kind::Text),
    ("to_account", Kind::Text),
    ("amount", Kind::Amount),
];

impl Table {
    pub const ALL: [Self; 5] = [Self::Runs, Self::Populations, Self::Parties, Self::Timesteps, Self::Ledger];

    /// Its file's name, without what it ends with.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Runs => "runs",
            Self::Populations => "populations",
            Self::Parties => "parties",
            Self::Timesteps => "timesteps",
            Self::Ledger => "ledger",
        }
    }

    pub(super) fn file(self, format: FileFormat) -> String {
        format!("{}.{}", self.name(), format.extension())
    }

    /// Its columns, when these were swept.
    #[must_use]
    pub fn columns(self, swept: &[Column]) -> Vec<Column> {
        let behind_place = |columns: &[(&str, Kind)]| Column::all(&[&PLACE[..], columns].concat());
        match self {
            Self::Runs => {
                let mut columns = behind_place(&[("seed", Kind::Count)]);
                columns.extend_from_slice(swept);
                columns.extend(Column::all(&Summary::kinds()));
                columns.extend(Column::all(&[("error", Kind::Text)]));
                columns
            }
            Self::Populations => behind_place(&POPULATIONS),
            Self::Parties => behind_place(&PARTIES),
            Self::Timesteps => State::columns(),
            Self::Ledger => behind_place(&LEDGER),
        }
    }
}

/// A run's row: which it is, its seed, what was set, and, if it did not fail, what it came to.
pub(crate) type RunRow = ((u64, u64), u64, Vec<String>, Option<Summary>);

fn malformed(table: Table) -> io::Error {
    let message = format!("a row of `{}` is none that this program writes; take another folder", table.name());
    io::Error::new(io::ErrorKind::InvalidData, message)
}

fn place(row: &[String]) -> Option<(u64, u64)> {
    Some((row.get(1)?.parse().ok()?, row.get(2)?.parse().ok()?))
}

/// Reads the rows of `runs`, of which so many keys were swept.
pub(crate) fn runs(rows: Rows, swept: usize) -> io::Result<impl Iterator<Item = io::Result<RunRow>>> {
    if rows.columns().len() != 5 + swept + Summary::kinds().len() {
        return Err(malformed(Table::Runs));
    }
    Ok(rows.map(move |row| {
        let row = row?;
        let read = || {
            let set = row.get(4..4 + swept)?.to_vec();
            let cells = row.get(4 + swept..row.len() - 1)?;
            let failed = row.last().is_some_and(|error| !error.is_empty());
            let summary = if failed { None } else { Some(Summary::of_cells(cells)?) };
            Some((place(&row)?, row.get(3)?.parse().ok()?, set, summary))
        };
        read().ok_or_else(|| malformed(Table::Runs))
    }))
}

/// Reads the rows of `populations`.
pub(crate) fn populations(rows: Rows) -> io::Result<impl Iterator<Item = io::Result<((u64, u64), Population)>>> {
    if rows.columns().len() != PLACE.len() + POPULATIONS.len() {
        return Err(malformed(Table::Populations));
    }
    Ok(rows.map(|row| {
        let row = row?;
        let read = || Some((place(&row)?, population(row.get(PLACE.len()..)?)?));
        read().ok_or_else(|| malformed(Table::Populations))
    }))
}

fn population(cells: &[String]) -> Option<Population> {
    let [name, strategy, parties, jobs, mean_profit, slashed] = cells else { return None };
    Some(Population {
        name: name.clone(),
        strategy: strategy.clone(),
        parties: parties.parse().ok()?,
        jobs: jobs.parse().ok()?,
        mean_profit: mean_profit.parse().ok().filter(|number: &f64| number.is_finite())?,
        slashed: lota_market::AttoFil(slashed.parse().ok()?),
    })
}

pub(super) fn population_cells(population: &Population) -> [String; 6] {
    let Population { name, strategy, parties, jobs, mean_profit, slashed } = population;
    [
        name.clone(),
        strategy.clone(),
        parties.to_string(),
        jobs.to_string(),
        mean_profit.to_string(),
        slashed.0.to_string(),
    ]
}

pub(super) fn write_parties(to: File, place: [u64; 3], parties: &[PartyOutcome]) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(to);
    let place = place.map(|number| number.to_string());
    for party in parties {
        let holdings = &party.holdings;
        let amounts = [
            party.began,
            holdings.wallet,
            holdings.market,
            holdings.escrow,
            holdings.collateral,
            holdings.auction,
            holdings.bids,
            holdings.burned,
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

/// The lengths of a part's files.
fn lengths(part: &Path) -> io::Result<Vec<String>> {
    PARTS.iter().map(|table| Ok(fs::metadata(part.join(table.name()))?.len().to_string())).collect()
}

/// Writes what a run came to into its part, with the lengths of the other files.
pub(super) fn write_finished(part: &Path, seed: u64, set: &[Override], summary: &Summary) -> io::Result<()> {
    let mut rows = csv::WriterBuilder::new().flexible(true).from_path(part.join(FINISHED))?;
    rows.write_record(lengths(part)?)?;
    rows.write_record([seed.to_string()].into_iter().chain(set.iter().map(|set| text(&set.value))))?;
    rows.write_record(summary.columns().into_iter().map(|(_, value)| value))?;
    for population in &summary.populations {
        rows.write_record(population_cells(population))?;
    }
    rows.flush()
}

/// Reads what a run came to; `None` when its part is not as it was written.
pub(super) fn finished(part: &Path, swept: &[Column]) -> Option<(u64, Vec<String>, Summary)> {
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_path(part.join(FINISHED)).ok()?;
    let mut rows = reader.deserialize::<Vec<String>>();
    if rows.next()?.ok()? != lengths(part).ok()? {
        return None;
    }
    let (mut set, cells) = (rows.next()?.ok()?, rows.next()?.ok()?);
    let seed = set.first()?.parse().ok()?;
    set.remove(0);
    let mut summary = Summary::of_cells(&cells)?;
    for row in rows {
        summary.populations.push(population(&row.ok()?)?);
    }
    (set.len() == swept.len()).then_some((seed, set, summary))
}
