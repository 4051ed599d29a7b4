//! What a run came to.

use lota_market::{AttoFil, movements::Holdings};
use serde::Serialize;

use crate::{scenario::Scenario, table::Kind};

/// What a run came to, in numbers. Money is exact; means are for statistics.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Summary {
    /// Tasks that clients asked for.
    pub tasks: u64,
    /// Jobs that were opened: each task's replicas.
    pub opened: u64,
    pub locked: u64,
    pub settled: u64,
    pub slashed: u64,
    pub cancelled: u64,
    pub voided: u64,
    /// Jobs that had not ended when the simulation did.
    pub unfinished: u64,
    /// The mean price of settled jobs, in FIL.
    pub mean_price: f64,
    /// The mean time from the request to the settlement of settled jobs, in seconds.
    pub mean_wait: f64,
    /// What all settled jobs were paid.
    pub paid: AttoFil,
    /// What was burned.
    pub burned: AttoFil,
    /// What correct results were worth to clients, less what providers spent, in FIL. A task is worth its value once.
    pub welfare: f64,
    /// What running jobs has cost the providers, in FIL.
    pub cost: f64,
    /// Wrong results that were submitted.
    pub wrong: u64,
    /// Those of them that were overturned.
    pub caught: u64,
    /// Those of them that were paid.
    pub missed: u64,
    /// Correct results that were overturned.
    pub wronged: u64,
    /// Tasks whose results have a majority for a wrong output, or none.
    pub failed_tasks: u64,
    /// Clients that had to stop since they must keep something back.
    pub blocked: u64,
    /// Inequality of what providers earned, from 0 (all the same) to 1.
    pub gini: f64,
    /// What each population came to, by name.
    pub populations: Vec<Population>,
    /// Commands to the contracts, refused ones included.
    pub commands: u64,
    pub refused: u64,
    /// Events of the contracts.
    pub events: u64,
    /// What the simulator did: commands, steps of agents, wakes.
    pub happenings: u64,
    /// Seconds of virtual time.
    pub seconds: f64,
    /// sha2-256 over the log of all events, in hex: the same for the same scenario and seed.
    pub digest: String,
}

impl Summary {
    /// Its numbers as columns of a file; amounts in attoFIL. What populations came to is not among them.
    #[must_use]
    pub fn columns(&self) -> Vec<(&'static str, String)> {
        let count = |name, number: u64| (name, number.to_string());
        let number = |name, number: f64| (name, number.to_string());
        vec![
            count("tasks", self.tasks),
            count("opened", self.opened),
            count("locked", self.locked),
            count("settled", self.settled),
            count("slashed", self.slashed),
            count("cancelled", self.cancelled),
            count("voided", self.voided),
            count("unfinished", self.unfinished),
            number("mean_price_fil", self.mean_price),
            number("mean_wait_s", self.mean_wait),
            ("paid", self.paid.0.to_string()),
            ("burned", self.burned.0.to_string()),
            number("welfare_fil", self.welfare),
            number("cost_fil", self.cost),
            count("wrong", self.wrong),
            count("caught", self.caught),
            count("missed", self.missed),
            count("wronged", self.wronged),
            count("failed_tasks", self.failed_tasks),
            count("blocked", self.blocked),
            number("gini", self.gini),
            count("commands", self.commands),
            count("refused", self.refused),
            count("events", self.events),
            count("happenings", self.happenings),
            number("timestep", self.seconds),
            ("digest", self.digest.clone()),
        ]
    }
}

/// Which kind each column of [`Summary::columns`] is of; those that are not named count something.
const KINDS: [(&str, Kind); 9] = [
    ("mean_price_fil", Kind::Number),
    ("mean_wait_s", Kind::Number),
    ("paid", Kind::Amount),
    ("burned", Kind::Amount),
    ("welfare_fil", Kind::Number),
    ("cost_fil", Kind::Number),
    ("gini", Kind::Number),
    ("timestep", Kind::Number),
    ("digest", Kind::Text),
];

impl Summary {
    /// Says of each population what its members do.
    #[must_use]
    pub fn with_strategies(mut self, scenario: &Scenario) -> Self {
        for population in &mut self.populations {
            let client = scenario.clients.get(&population.name).map(|clients| serde_json::to_value(clients.strategy));
            let provider = || scenario.providers.get(&population.name).map(|them| serde_json::to_value(them.strategy));
            let word = client.or_else(provider).and_then(Result::ok);
            population.strategy = word.and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default();
        }
        self
    }

    /// What [`Self::columns`] are called, and what they hold.
    #[must_use]
    pub fn kinds() -> Vec<(&'static str, Kind)> {
        let kind = |name| KINDS.iter().find(|(known, _)| *known == name).map_or(Kind::Count, |(_, kind)| *kind);
        Self::default().columns().into_iter().map(|(name, _)| (name, kind(name))).collect()
    }

    /// From the cells of [`Self::columns`], in that order; `None` when one is none of its kind. Populations are not among them.
    #[must_use]
    pub fn of_cells(cells: &[String]) -> Option<Self> {
        fn next<T: std::str::FromStr>(cells: &mut std::slice::Iter<'_, String>) -> Option<T> {
            cells.next()?.parse().ok()
        }
        // No run comes to anything else.
        fn finite(cells: &mut std::slice::Iter<'_, String>) -> Option<f64> {
            next(cells).filter(|number: &f64| number.is_finite())
        }
        let cells = &mut cells.iter();
        // The fields' order is the columns'.
        Some(Self {
            tasks: next(cells)?,
            opened: next(cells)?,
            locked: next(cells)?,
            settled: next(cells)?,
            slashed: next(cells)?,
            cancelled: next(cells)?,
            voided: next(cells)?,
            unfinished: next(cells)?,
            mean_price: finite(cells)?,
            mean_wait: finite(cells)?,
            paid: AttoFil(next(cells)?),
            burned: AttoFil(next(cells)?),
            welfare: finite(cells)?,
            cost: finite(cells)?,
            wrong: next(cells)?,
            caught: next(cells)?,
            missed: next(cells)?,
            wronged: next(cells)?,
            failed_tasks: next(cells)?,
            blocked: next(cells)?,
            gini: finite(cells)?,
            commands: next(cells)?,
            refused: next(cells)?,
            events: next(cells)?,
            happenings: next(cells)?,
            seconds: finite(cells)?,
            digest: next(cells)?,
            populations: Vec::new(),
        })
    }
}

/// What a population came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Population {
    pub name: String,
    /// What its members do, such as `lazy`.
    pub strategy: String,
    pub parties: u64,
    /// Jobs: of clients, opened; of providers, settled.
    pub jobs: u64,
    /// The mean of what its members have more than at the beginning, less what running jobs cost them, in FIL.
    pub mean_profit: f64,
    /// What its members lost by slashes, all together.
    pub slashed: AttoFil,
}

/// What a party came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartyOutcome {
    /// Its name, such as `honest/3`.
    pub name: String,
    /// What it began with.
    pub began: AttoFil,
    /// What it has.
    pub holdings: Holdings,
    /// What running jobs has cost it, in FIL.
    pub cost: f64,
    /// What right results were worth to it, in FIL.
    pub value: f64,
    /// Escrows that it paid in.
    pub escrows: u64,
    /// How often it was slashed.
    pub slashes: u64,
    /// Jobs that it was paid for, or, of clients, that it paid for.
    pub settled: u64,
    /// A client that could not go on without touching its reserve.
    pub is_blocked: bool,
}

impl PartyOutcome {
    /// What it has more than at the beginning, less what running jobs cost it, in FIL.
    #[must_use]
    pub fn profit(&self) -> f64 {
        let (began, now) = (self.began.0, kept(&self.holdings).0);
        let sign = if now >= began { 1.0 } else { -1.0 };
        sign * now.abs_diff(began) as f64 / 1e18 - self.cost
    }
}

/// All that is not lost.
#[must_use]
pub fn kept(holdings: &Holdings) -> AttoFil {
    let Holdings { wallet, market, escrow, collateral, auction, bids, burned: _ } = *holdings;
    [wallet, market, escrow, collateral, auction, bids].into_iter().sum()
}

/// Gini's coefficient of amounts that are not negative.
#[must_use]
pub fn gini(amounts: &mut [f64]) -> f64 {
    amounts.sort_by(f64::total_cmp);
    let (count, sum) = (amounts.len() as f64, amounts.iter().sum::<f64>());
    if sum <= 0.0 {
        return 0.0;
    }
    let weighted: f64 = amounts.iter().zip(1..).map(|(amount, rank)| amount * f64::from(rank)).sum();
    (2.0 * weighted / (count * sum) - (count + 1.0) / count).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_what_its_cells_say() {
        let summary = Summary {
            tasks: 1,
            opened: u64::MAX,
            unfinished: 3,
            mean_price: 0.1 + 0.2,
            mean_wait: 1e300,
            paid: AttoFil(u128::from(u64::MAX) * 7),
            welfare: -1.0 / 3.0,
            blocked: 5,
            seconds: 6.5,
            digest: "ab".to_owned(),
            ..Summary::default()
        };
        let cells: Vec<String> = summary.columns().into_iter().map(|(_, value)| value).collect();
        assert_eq!(Summary::of_cells(&cells), Some(summary));
        assert_eq!(Summary::of_cells(&cells[1..]), None);
        let known: Vec<&str> = Summary::kinds().iter().map(|(name, _)| *name).collect();
        assert!(KINDS.iter().all(|(name, _)| known.contains(name)));
    }

    #[test]
    fn gini_is_0_among_equals_and_near_1_when_one_has_all() {
        assert_eq!(gini(&mut [2.0; 5]), 0.0);
        assert!((gini(&mut [0.0, 0.0, 0.0, 4.0]) - 0.75).abs() < 1e-12);
        assert!((gini(&mut [1.0, 3.0]) - 0.25).abs() < 1e-12);
        assert_eq!((gini(&mut []), gini(&mut [0.0])), (0.0, 0.0));
    }
}
