//! The market's state in the course of a run: what radCAD calls state variables, at regular timesteps.

use crate::{
    queue::VirtualTime,
    summary::Summary,
    table::{Column, Kind},
};

/// The market's state at a moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub time: VirtualTime,
    /// Jobs that have not ended.
    pub under_way: u64,
    /// The mean price of the jobs that were settled since the timestep before, in FIL; `None` when there were none.
    pub price: Option<f64>,
    /// What the run has come to so far.
    pub so_far: Summary,
}

/// The columns of a state's own.
const TIME: &str = "timestep";
const UNDER_WAY: &str = "under_way";
const PRICE: &str = "price_fil";

impl State {
    /// The columns of `timesteps`, behind `simulation`, `subset` and `run`. Those that are not a state's own are a summary's.
    pub const COLUMNS: [(&'static str, Kind); 18] = [
        (TIME, Kind::Number),
        ("tasks", Kind::Count),
        ("opened", Kind::Count),
        ("locked", Kind::Count),
        ("settled", Kind::Count),
        ("slashed", Kind::Count),
        ("cancelled", Kind::Count),
        ("voided", Kind::Count),
        (UNDER_WAY, Kind::Count),
        (PRICE, Kind::Number),
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
        let so_far = self.so_far.columns();
        Self::COLUMNS.map(|(name, _)| match name {
            TIME => self.time.secs().to_string(),
            UNDER_WAY => self.under_way.to_string(),
            PRICE => self.price.map(|price| price.to_string()).unwrap_or_default(),
            of_summary => {
                so_far.iter().find_map(|(known, cell)| (*known == of_summary).then(|| cell.clone())).unwrap_or_default()
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_states_own_is_a_column_of_summaries_and_of_the_same_kind() {
        let of_summaries = Summary::kinds();
        for column in State::COLUMNS.iter().filter(|(name, _)| ![TIME, UNDER_WAY, PRICE].contains(name)) {
            assert!(of_summaries.contains(column), "{column:?}");
        }
        let state = State { under_way: 7, so_far: Summary { caught: 3, ..Summary::default() }, ..State::default() };
        let cells = state.cells();
        assert_eq!((&*cells[8], &*cells[9], &*cells[15]), ("7", "", "3"));
        assert!(cells.iter().zip(State::COLUMNS).all(|(cell, (name, _))| !cell.is_empty() || name == PRICE));
    }
}
