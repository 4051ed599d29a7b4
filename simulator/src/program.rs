//! Strategies as small programs: a decision at each point of a provider's way, conditional on one thing that it can see. `lota sim search` makes
//! them up; a scenario can name one, too: `program = "ask=0 won=rival?copy:guess"`.

use core::fmt;
use std::str::FromStr;

use rand::{Rng as _, seq::IndexedRandom as _};
use serde::{Deserialize, Serialize};

use crate::chance::Chance;

/// The most that a program may ask, as a multiple of its cost.
const MOST: f64 = 1_000.0;
/// What searches try as multiples of the cost; infinite: it wants no job.
const ASKS: [f64; 11] = [0.0, 0.25, 0.5, 0.8, 0.95, 1.05, 1.25, 1.5, 2.0, 4.0, f64::INFINITY];

/// Something that a provider can see when it decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Observable {
    /// Another one has submitted a result of the task, or has opened a bid.
    Rival,
    /// The price does not cover the cost of a run.
    Cheap,
    /// A run takes more than half of the time that is left.
    Hurry,
}

/// What it does about a job that it has won.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Won {
    /// Runs it.
    Run,
    /// Makes an output up.
    Guess,
    /// Submits what another one submitted; waits for that while there is time, and runs the job then.
    Copy,
    /// Lets it lie.
    Silent,
    /// Runs it at the last moment.
    Late,
}

/// What it does about a bid that it has sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reveal {
    Open,
    Withhold,
}

/// What may be done at a point; the first is what the node does.
pub trait Action: Copy + PartialEq + 'static {
    const ALL: &'static [(&'static str, Self)];
}

impl Action for Won {
    const ALL: &'static [(&'static str, Self)] = &[
        ("run", Self::Run),
        ("guess", Self::Guess),
        ("copy", Self::Copy),
        ("silent", Self::Silent),
        ("late", Self::Late),
    ];
}

impl Action for Reveal {
    const ALL: &'static [(&'static str, Self)] = &[("open", Self::Open), ("withhold", Self::Withhold)];
}

impl Action for Observable {
    const ALL: &'static [(&'static str, Self)] =
        &[("rival", Self::Rival), ("cheap", Self::Cheap), ("hurry", Self::Hurry)];
}

/// A row of the table: `then`, or `OBSERVABLE?then:otherwise`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rule<A> {
    when: Option<(Observable, A)>,
    otherwise: A,
}

impl<A: Action> Rule<A> {
    const fn always(action: A) -> Self {
        Self { when: None, otherwise: action }
    }

    pub(crate) fn decide(&self, sees: impl Fn(Observable) -> bool) -> A {
        match self.when {
            Some((observable, then)) if sees(observable) => then,
            _ => self.otherwise,
        }
    }

    fn is_honest(&self) -> bool {
        self.when.is_none() && A::ALL.first().is_some_and(|(_, honest)| *honest == self.otherwise)
    }

    /// 0 for what the node does, 1 for another action, 2 with a condition.
    fn size(&self) -> u32 {
        u32::from(!self.is_honest()) + u32::from(self.when.is_some())
    }

    /// All of them; what a condition would not change is left out.
    fn all() -> Vec<Self> {
        let mut all: Vec<Self> = A::ALL.iter().map(|(_, action)| Self::always(*action)).collect();
        for (_, observable) in Observable::ALL {
            for (_, then) in A::ALL {
                for (_, otherwise) in A::ALL.iter().filter(|(_, other)| other != then) {
                    all.push(Self { when: Some((*observable, *then)), otherwise: *otherwise });
                }
            }
        }
        all
    }

    fn read(text: &str) -> Result<Self, String> {
        let Some((observable, actions)) = text.split_once('?') else { return Ok(Self::always(named(text)?)) };
        let (then, otherwise) =
            actions.split_once(':').ok_or_else(|| format!("`{text}` lacks its `:`; write OBSERVABLE?ACTION:ACTION"))?;
        Ok(Self { when: Some((named(observable)?, named(then)?)), otherwise: named(otherwise)? })
    }
}

fn named<A: Action>(text: &str) -> Result<A, String> {
    A::ALL.iter().find(|(name, _)| *name == text).map(|(_, action)| *action).ok_or_else(|| {
        let known: Vec<&str> = A::ALL.iter().map(|(name, _)| *name).collect();
        format!("`{text}` is none of {}", known.join(", "))
    })
}

fn name_of<A: Action>(action: A) -> &'static str {
    A::ALL.iter().find(|(_, known)| *known == action).map_or("?", |(name, _)| name)
}

impl<A: Action> fmt::Display for Rule<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((observable, then)) = self.when {
            write!(f, "{}?{}:", name_of(observable), name_of(then))?;
        }
        f.write_str(name_of(self.otherwise))
    }
}

/// A provider's decisions. Its text has those that are not the node's: `ask=0.5 won=rival?copy:run reveal=withhold`, or `honest`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Program {
    /// What it asks or seals, as a multiple of what a job costs it; infinite: it wants none.
    pub ask: f64,
    pub won: Rule<Won>,
    pub reveal: Rule<Reveal>,
}

impl Default for Program {
    fn default() -> Self {
        Self { ask: 1.0, won: Rule::always(Won::Run), reveal: Rule::always(Reveal::Open) }
    }
}

/// Where a program decides something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Which price it asks.
    Ask,
    /// What it does about a job that it has won.
    Won,
    /// What it does about a bid that it has sealed.
    Reveal,
}

impl Point {
    pub const ALL: [Self; 3] = [Self::Ask, Self::Won, Self::Reveal];

    /// Its name in a program.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ask => "ask",
            Self::Won => "won",
            Self::Reveal => "reveal",
        }
    }
}

impl Program {
    /// How many of its decisions are not the node's, and how many of them are conditional.
    #[must_use]
    pub fn size(&self) -> u32 {
        u32::from(self.ask != 1.0) + self.won.size() + self.reveal.size()
    }

    /// All programs that differ from the node at these points and are no larger than `size`, small ones first.
    #[must_use]
    pub fn enumerate(points: &[Point], size: u32) -> Vec<Self> {
        let honest = Self::default();
        let decides = |point| points.contains(&point);
        let asks = ASKS.iter().copied().filter(|_| decides(Point::Ask));
        let won = Rule::<Won>::all().into_iter().filter(|rule| decides(Point::Won) && !rule.is_honest());
        let reveal = Rule::<Reveal>::all().into_iter().filter(|rule| decides(Point::Reveal) && !rule.is_honest());
        let reveal: Vec<_> = [honest.reveal].into_iter().chain(reveal).collect();
        let won: Vec<_> = [honest.won].into_iter().chain(won).collect();
        let mut all = Vec::new();
        for ask in [honest.ask].into_iter().chain(asks) {
            for won in &won {
                all.extend(reveal.iter().map(|reveal| Self { ask, won: *won, reveal: *reveal }));
            }
        }
        all.retain(|program| (1..=size).contains(&program.size()));
        all.sort_by_key(Self::size);
        all
    }

    /// One that differs from this one at one of these points.
    #[must_use]
    pub fn mutated(mut self, points: &[Point], chance: &mut Chance) -> Self {
        match points.choose(chance) {
            Some(Point::Ask) if self.ask.is_finite() && self.ask > 0.0 && chance.random::<bool>() => {
                self.ask = (self.ask * chance.random_range(0.8..1.25) * 1e3).round() / 1e3;
                self.ask = self.ask.min(MOST);
            }
            Some(Point::Ask) => self.ask = ASKS.choose(chance).copied().unwrap_or(1.0),
            Some(Point::Won) => self.won = Rule::all().choose(chance).copied().unwrap_or(self.won),
            Some(Point::Reveal) => self.reveal = Rule::all().choose(chance).copied().unwrap_or(self.reveal),
            None => {}
        }
        self
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.ask == f64::INFINITY {
            parts.push("ask=never".to_owned());
        } else if self.ask != 1.0 {
            parts.push(format!("ask={}", self.ask));
        }
        if !self.won.is_honest() {
            parts.push(format!("won={}", self.won));
        }
        if !self.reveal.is_honest() {
            parts.push(format!("reveal={}", self.reveal));
        }
        f.write_str(&if parts.is_empty() { "honest".to_owned() } else { parts.join(" ") })
    }
}

impl FromStr for Program {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut program = Self::default();
        for part in text.split_whitespace().filter(|part| *part != "honest") {
            match part.split_once('=') {
                Some(("ask", "never")) => program.ask = f64::INFINITY,
                Some(("ask", share)) => {
                    program.ask = share.parse().ok().filter(|share| (0.0..=MOST).contains(share)).ok_or_else(|| {
                        format!("`{share}` is no multiple of a cost; write a number from 0 to {MOST}, or never")
                    })?;
                }
                Some(("won", rule)) => program.won = Rule::read(rule)?,
                Some(("reveal", rule)) => program.reveal = Rule::read(rule)?,
                _ => return Err(format!("`{part}` decides nothing; write ask=…, won=… or reveal=…, or honest")),
            }
        }
        Ok(program)
    }
}

impl TryFrom<String> for Program {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Program> for String {
    fn from(program: Program) -> Self {
        program.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::{Purpose, Seed};

    #[test]
    fn programs_are_read_as_they_are_written() {
        let all = Program::enumerate(&Point::ALL, 3);
        assert!(all.len() > 500, "{}", all.len());
        for program in &all {
            assert_eq!(program.to_string().parse::<Program>().as_ref(), Ok(program));
        }
        let texts: std::collections::BTreeSet<String> = all.iter().map(Program::to_string).collect();
        assert_eq!(texts.len(), all.len(), "each is there once");
        assert_eq!("honest".parse(), Ok(Program::default()));
        for (text, word) in [
            ("won=sleep", "none of run, guess"),
            ("won=rival?copy", "lacks its `:`"),
            ("won=moon?copy:run", "none of rival"),
            ("ask=-1", "no multiple"),
            ("ask=nan", "no multiple"),
            ("cheat", "decides nothing"),
        ] {
            let problem = text.parse::<Program>().expect_err(text);
            assert!(problem.contains(word), "{problem}");
        }
    }

    #[test]
    fn enumerations_decide_where_they_may_and_small_programs_come_first() {
        let asks = Program::enumerate(&[Point::Ask], 2);
        assert_eq!(asks.len(), ASKS.len());
        let won = Program::enumerate(&[Point::Won], 1);
        assert_eq!(
            won.iter().map(Program::to_string).collect::<Vec<_>>().join(" "),
            "won=guess won=copy won=silent won=late"
        );
        let sizes: Vec<u32> = Program::enumerate(&Point::ALL, 2).iter().map(Program::size).collect();
        assert!(sizes.is_sorted() && sizes.contains(&1) && sizes.contains(&2));
        let mut chance = Seed(1).stream(Purpose::Experiment, 0);
        for _ in 0..100 {
            let mutant = Program::default().mutated(&[Point::Reveal], &mut chance);
            assert_eq!((mutant.ask, mutant.won), (1.0, Program::default().won));
        }
    }
}
