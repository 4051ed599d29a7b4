//! What somebody could do otherwise, and the scenario in which one party does.

use core::fmt;

use rand::{Rng as _, seq::IndexedRandom as _};
use serde::Serialize;

use super::SearchError;
use crate::{
    chance::Chance,
    program::{Point, Program},
    scenario::{ClientKind, Clients, ProviderKind, Providers, Scenario},
};

/// Who deviates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Provider,
    Client,
}

impl Side {
    /// What a scenario calls its populations.
    #[must_use]
    pub const fn populations(self) -> &'static str {
        match self {
            Self::Provider => "providers",
            Self::Client => "clients",
        }
    }
}

/// What a deviant population is called: the name of the one that it is of, and this.
const SUFFIX: &str = "-deviant";
/// The largest programs that are all tried; larger ones are found by changing those.
const SIZE: u32 = 2;
/// The most further accounts of a client.
const MOST_ACCOUNTS: u32 = 20;

/// A deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Candidate {
    Program(Program),
    Lazy { effort: f64 },
    NeverAccepts,
    Shill { bids: u32 },
    Sybil { accounts: u32 },
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(program) => write!(f, "program {program}"),
            Self::Lazy { effort } => write!(f, "lazy, effort={effort}"),
            Self::NeverAccepts => f.write_str("never_accepts"),
            Self::Shill { bids } => write!(f, "shill, shills={bids}"),
            Self::Sybil { accounts } => write!(f, "sybil, identities={accounts}"),
        }
    }
}

/// The points of these at which something is to be decided in a scenario: bids are opened in auctions only.
pub(super) fn points_in(scenario: &Scenario, points: &[Point]) -> Vec<Point> {
    let is_auctioned = scenario.job.auction.is_some();
    points.iter().copied().filter(|point| is_auctioned || *point != Point::Reveal).collect()
}

impl Candidate {
    /// A grid over the parameters of strategies, and all small programs.
    pub(super) fn first(side: Side, scenario: &Scenario, points: &[Point]) -> Vec<Self> {
        let is_auctioned = scenario.job.auction.is_some();
        if side == Side::Client {
            let sybils = [2, 3, 5, 10, MOST_ACCOUNTS].map(|accounts| Self::Sybil { accounts });
            let bids = if is_auctioned { &[1, 2, 3, 5, 9, MOST_ACCOUNTS - 1][..] } else { &[] };
            let shills = bids.iter().map(|bids| Self::Shill { bids: *bids });
            return [Self::NeverAccepts].into_iter().chain(sybils).chain(shills).collect();
        }
        let lazy = [0.1, 0.5].map(|effort| Self::Lazy { effort });
        let lazy = lazy.into_iter().filter(|_| points.contains(&Point::Won));
        lazy.chain(Program::enumerate(points, SIZE).into_iter().map(Self::Program)).collect()
    }

    /// One near this.
    pub(super) fn mutated(self, points: &[Point], chance: &mut Chance) -> Self {
        let near = |number: u32, chance: &mut Chance| {
            let step = [-2_i32, -1, 1, 2].choose(chance).copied().unwrap_or(1);
            number.saturating_add_signed(step).clamp(1, MOST_ACCOUNTS)
        };
        match self {
            Self::Program(program) => Self::Program(program.mutated(points, chance)),
            Self::Lazy { effort } => {
                let effort: f64 = effort * chance.random_range(0.1..1.5);
                Self::Lazy { effort: (effort.min(1.0) * 1e3).round() / 1e3 }
            }
            Self::NeverAccepts => self,
            Self::Shill { bids } => Self::Shill { bids: near(bids, chance) },
            Self::Sybil { accounts } => Self::Sybil { accounts: near(accounts, chance) },
        }
    }
}

/// The party that may deviate: alone in a population of its own, all others are as they were.
#[derive(Clone, Debug)]
pub(super) struct Deviant {
    /// With the deviant doing what its population does.
    pub(super) honest: Scenario,
    side: Side,
    /// The population that it is of.
    pub(super) of: String,
    /// Its own.
    pub(super) name: String,
}

impl Deviant {
    /// Takes one member out of a population: of the named one, or of the largest.
    pub(super) fn of(scenario: &Scenario, side: Side, population: Option<&str>) -> Result<Self, SearchError> {
        let counts: Vec<(&String, u32)> = match side {
            Side::Provider => scenario.providers.iter().map(|(name, it)| (name, it.count)).collect(),
            Side::Client => scenario.clients.iter().map(|(name, it)| (name, it.count)).collect(),
        };
        let found = match population {
            Some(wanted) => counts.iter().find(|(name, _)| *name == wanted),
            // The first of the largest.
            None => counts.iter().rev().max_by_key(|(_, count)| *count),
        };
        let Some((of, count)) = found.map(|(name, count)| ((*name).clone(), *count)) else {
            let known: Vec<&str> = counts.iter().map(|(name, _)| name.as_str()).collect();
            return Err(SearchError::NoPopulation {
                side,
                wanted: population.unwrap_or_default().to_owned(),
                known: known.join(", "),
            });
        };
        let mut honest = scenario.clone();
        let mut name = of.clone();
        if count > 1 {
            while honest.providers.contains_key(&name) || honest.clients.contains_key(&name) {
                name.push_str(SUFFIX);
            }
        }
        match side {
            Side::Provider => {
                if let Some(rest) = honest.providers.get_mut(&of) {
                    // It goes on after a slash: its operator knows why it was slashed.
                    let one =
                        Providers { count: 1, resume_after: Some(rest.resume_after.unwrap_or(0.0)), ..rest.clone() };
                    rest.count -= 1;
                    honest.providers.insert(name.clone(), one);
                }
            }
            Side::Client => {
                if let Some(rest) = honest.clients.get_mut(&of) {
                    let one = Clients { count: 1, ..rest.clone() };
                    rest.count -= 1;
                    honest.clients.insert(name.clone(), one);
                }
            }
        }
        Ok(Self { honest, side, of, name })
    }

    /// The scenario in which it does something else.
    pub(super) fn doing(&self, candidate: Candidate) -> Scenario {
        let mut scenario = self.honest.clone();
        if let (Side::Provider, Some(one)) = (self.side, scenario.providers.get_mut(&self.name)) {
            (one.guess, one.effort, one.undercut, one.program) = (None, None, None, None);
            match candidate {
                Candidate::Program(program) => {
                    (one.strategy, one.program) = (ProviderKind::Program, Some(program));
                }
                Candidate::Lazy { effort } => (one.strategy, one.effort) = (ProviderKind::Lazy, Some(effort)),
                Candidate::NeverAccepts | Candidate::Shill { .. } | Candidate::Sybil { .. } => {}
            }
        }
        if let (Side::Client, Some(one)) = (self.side, scenario.clients.get_mut(&self.name)) {
            (one.identities, one.shills) = (None, None);
            match candidate {
                Candidate::NeverAccepts => one.strategy = ClientKind::NeverAccepts,
                Candidate::Shill { bids } => (one.strategy, one.shills) = (ClientKind::Shill, Some(bids)),
                Candidate::Sybil { accounts } => (one.strategy, one.identities) = (ClientKind::Sybil, Some(accounts)),
                Candidate::Program(_) | Candidate::Lazy { .. } => {}
            }
        }
        scenario
    }
}
