//! The ledger as CSV.

use std::io::Write;

use lota_market::{
    Address,
    movements::{Holder, Movement},
};

use super::Sink;
use crate::{
    chain::{ARBITER, AUCTION},
    identity,
    queue::VirtualTime,
};

/// Writes each movement as a row. The first columns are named as radCAD names them; `timestep` is in seconds of virtual time.
pub struct CsvSink<W: Write> {
    rows: csv::Writer<W>,
    /// `simulation`, `subset`, `run`.
    place: [String; 3],
    /// The names of the parties, by their numbers.
    names: Vec<String>,
}

/// The columns.
const HEADING: [&str; 11] =
    ["simulation", "subset", "run", "timestep", "reason", "job", "from", "from_account", "to", "to_account", "amount"];

impl<W: Write> CsvSink<W> {
    /// Begins a run's rows. `heading`: whether the columns' names come first.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(to: W, place: [u64; 3], names: Vec<String>, heading: bool) -> std::io::Result<Self> {
        let mut rows = csv::WriterBuilder::new().buffer_capacity(1 << 16).from_writer(to);
        if heading {
            rows.write_record(HEADING)?;
        }
        Ok(Self { rows, place: place.map(|number| number.to_string()), names })
    }

    /// Writes what is left.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> std::io::Result<()> {
        self.rows.flush()
    }
}

fn name(names: &[String], account: Address) -> &str {
    match account {
        ARBITER => "arbiter",
        AUCTION => "auction",
        party => identity::number(party).and_then(|number| names.get(number as usize)).map_or("?", String::as_str),
    }
}

impl<W: Write> Sink for CsvSink<W> {
    fn movement(&mut self, time: VirtualTime, movement: &Movement) -> std::io::Result<()> {
        let Movement { cause, job, from, to, amount } = movement;
        let (time, amount) = (format!("{}.{:03}", time.0 / 1_000, time.0 % 1_000), amount.0.to_string());
        let job = job.map(|job| job.to_string()).unwrap_or_default();
        let Self { rows, place: [simulation, subset, run], names } = self;
        let place = |holder: &Holder| (name(names, holder.account), holder.pocket.name());
        // From nowhere: two empty cells.
        let ((from, from_pocket), (to, to_pocket)) = (from.as_ref().map(place).unwrap_or_default(), place(to));
        let row: [&str; 11] =
            [simulation, subset, run, &time, cause.name(), &job, from, from_pocket, to, to_pocket, &amount];
        Ok(rows.write_record(row)?)
    }
}
