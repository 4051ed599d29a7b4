//! The market's state in the course of a run: what radCAD calls state variables, at regular timesteps.

use lota_market::AttoFil;

use crate::{
    queue::VirtualTime,
    table::{Column, Kind},
};

/// The market's state at a moment. Counts and amounts are those since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct State {
    pub time: VirtualTime,
    pub tasks: u64,
    pub opened: u64,
    pub locked: u64,
    pub settled: u64,
    pub slashed: u64,
    pub cancelled: u64,
    pub voided: u64,
    /// Jobs that have not ended.
    pub under_way: u64,
    /// The mean price of the jobs that were settled since the timestep before, in FIL; `None` when there were none.
    pub price: Option<f64>,
    pub paid: AttoFil,
    pub burned: AttoFil,
    /// What correct results were worth to clients, less what providers spent, in FIL.
    pub welfare: f64,
    /// What running jobs has cost the providers, in FIL.
    pub cost: f64,
    pub wrong: u64,
    pub caught: u64,
    pub missed: u64,
    pub wronged: u64,
}

impl State {
    /// The columns of `timesteps`, behind `simulation`, `subset` and `run`.
    pub const COLUMNS: [(&'static str, Kind); 18] = [
        ("timestep", Kind::Number),
        ("tasks", Kind::Count),
        ("opened", Kind::Count),
        ("locked", Kind::Count),
        ("settled", Kind::Count),
        ("slashed", Kind::Count),
        ("cancelled", Kind::Count),
        ("voided", Kind::Count),
        ("under_way", Kind::Count),
        ("price_fil", Kind::Number),
        ("paid", Kind::Amount),
        ("burned", Kind::Amount),
        ("welfare_fil", Kind::Number),
        ("cost_fil", Kind::Number),
        ("wrong", Kind::Count),
        ("caught", Kind::Count),
        ("missed", Kind::Count),
        ("wronged", Kind::Count),
    ];

    /// All columns of `timesteps`.
    #[must_use]
    pub fn columns() -> Vec<Column> {
        let place = [("simulation", Kind::Count), ("subset", Kind::Count), ("run", Kind::Count)];
        Column::all(&[&place[..], &Self::COLUMNS].concat())
    }

    /// Its cells, in the order of [`Self::COLUMNS`].
    #[must_use]
    pub fn cells(&self) -> [String; 18] {
        [
            self.time.secs().to_string(),
            self.tasks.to_string(),
            self.opened.to_string(),
            self.locked.to_string(),
            self.settled.to_string(),
            self.slashed.to_string(),
            self.cancelled.to_string(),
            self.voided.to_string(),
            self.under_way.to_string(),
            self.price.map(|price| price.to_string()).unwrap_or_default(),
            self.paid.0.to_string(),
            self.burned.0.to_string(),
            self.welfare.to_string(),
            self.cost.to_string(),
            self.wrong.to_string(),
            self.caught.to_string(),
            self.missed.to_string(),
            self.wronged.to_string(),
        ]
    }
}
