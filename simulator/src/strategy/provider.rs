//! What providers do.

mod copier;
mod flaky;
mod honest;
mod lazy;
mod no_show;
mod program;
mod ring;
mod shading;
mod underbidder;

use lota_market::B256;

use crate::{
    chance::Chance,
    scenario::{ProviderKind, Providers},
};

/// A job that a provider has won and is to run.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// The output that everybody comes to who runs it.
    pub truth: B256,
    /// An output that this provider could make up.
    pub made_up: B256,
    /// What other providers have submitted for the same task, in that order.
    pub submitted: &'a [B256],
    /// How likely a run fails on this provider's machine.
    pub failure: f64,
    /// Seconds until the result is due.
    pub left: f64,
    /// What it is paid for, in FIL.
    pub price: f64,
    /// What an honest run costs, in FIL, and how many seconds it takes.
    pub cost: f64,
    pub seconds: f64,
}

/// A bid that a provider has sealed and could open.
#[derive(Clone, Copy, Debug)]
pub struct Sealed {
    /// In FIL.
    pub price: f64,
    /// What a run costs, in FIL.
    pub cost: f64,
    /// Whether another one has opened a bid.
    pub has_rival: bool,
}

/// What a provider knows when it says what it asks.
#[derive(Clone, Copy, Debug)]
pub struct Market {
    /// How many other providers there are.
    pub rivals: u64,
    /// What a job costs the other member of its population with the least cost.
    pub lowest_of_others: f64,
    /// The highest price of a job.
    pub highest: f64,
}

/// What a provider makes of its agent's wish to run a job.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Run {
    /// The share of an honest run's time and cost that it takes.
    pub effort: f64,
    pub attempt: Attempt,
}

/// How that ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Attempt {
    /// With an output.
    Output(B256),
    /// With a fault of its machine.
    Fails,
    /// It looks again after so many seconds.
    Waits(f64),
    /// Not at all.
    Never,
}

/// What a provider does.
pub trait ProviderStrategy: Send {
    /// What it asks for a job that costs it `cost`.
    fn ask(&self, cost: f64, market: &Market) -> f64 {
        let _ = market;
        cost
    }

    /// It has won a job.
    fn run(&self, task: &Task<'_>, chance: &mut Chance) -> Run {
        honest::run(task, chance)
    }

    /// Whether it opens a bid that it has sealed.
    fn opens(&self, bid: &Sealed) -> bool {
        let _ = bid;
        true
    }
}

/// The strategy of a population.
#[must_use]
pub fn provider(population: &Providers) -> Box<dyn ProviderStrategy> {
    match population.strategy {
        ProviderKind::Honest => Box::new(honest::Honest),
        ProviderKind::Lazy => {
            Box::new(lazy::Lazy { guess: population.guess.unwrap_or(0.0), effort: population.effort.unwrap_or(0.0) })
        }
        ProviderKind::Copier => Box::new(copier::Copier),
        ProviderKind::NoShow => Box::new(no_show::NoShow),
        ProviderKind::Underbidder => {
            Box::new(underbidder::Underbidder { share: population.undercut.unwrap_or(underbidder::SHARE) })
        }
        ProviderKind::Ring => Box::new(ring::Ring),
        ProviderKind::Shading => Box::new(shading::Shading),
        ProviderKind::Flaky => Box::new(flaky::Flaky),
        ProviderKind::Program => Box::new(population.program.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::{Purpose, Seed};

    const TRUTH: B256 = B256::repeat_byte(1);
    const WRONG: B256 = B256::repeat_byte(2);
    const SEEN: B256 = B256::repeat_byte(3);

    fn task(submitted: &[B256]) -> Task<'_> {
        Task {
            truth: TRUTH,
            made_up: WRONG,
            submitted,
            failure: 0.0,
            left: 100.0,
            price: 1.0,
            cost: 0.5,
            seconds: 10.0,
        }
    }

    fn runs(kind: &str, task: &Task<'_>) -> Vec<Run> {
        let population: Providers = toml::from_str(&format!("count = 1\nbalance = 1\n{kind}")).expect("a population");
        let (strategy, mut chance) = (provider(&population), Seed(1).stream(Purpose::Life, 1));
        (0..1_000).map(|_| strategy.run(task, &mut chance)).collect()
    }

    #[test]
    fn the_lazy_guess_as_rightly_as_they_are_said_to() {
        let runs = runs("strategy = \"lazy\"\nguess = 0.3\neffort = 0.2", &task(&[]));
        let right = runs.iter().filter(|run| run.attempt == Attempt::Output(TRUTH)).count();
        assert!((240..360).contains(&right), "{right}");
        assert!(runs.iter().all(|run| run.effort == 0.2));
        assert!(runs.iter().all(|run| [Attempt::Output(TRUTH), Attempt::Output(WRONG)].contains(&run.attempt)));
    }

    #[test]
    fn copiers_copy_what_they_see_wait_while_there_is_time_and_run_it_otherwise() {
        let kind = "strategy = \"copier\"";
        assert_eq!(runs(kind, &task(&[SEEN, WRONG]))[0], Run { effort: 0.0, attempt: Attempt::Output(SEEN) });
        assert!(matches!(runs(kind, &task(&[]))[0].attempt, Attempt::Waits(_)));
        let late = Task { left: 1.0, ..task(&[]) };
        assert_eq!(runs(kind, &late)[0], Run { effort: 1.0, attempt: Attempt::Output(TRUTH) });
    }

    #[test]
    fn flaky_machines_fail_as_often_as_they_are_said_to_and_no_shows_never_end() {
        let flaky = Task { failure: 0.4, ..task(&[]) };
        let failed = runs("strategy = \"flaky\"\nfailure = 0.4", &flaky)
            .iter()
            .filter(|run| run.attempt == Attempt::Fails)
            .count();
        assert!((340..460).contains(&failed), "{failed}");
        assert!(runs("strategy = \"no_show\"", &task(&[])).iter().all(|run| run.attempt == Attempt::Never));
    }

    #[test]
    fn programs_decide_by_what_they_see() {
        let attempt =
            |program: &str, task: &Task<'_>| runs(&format!("strategy = \"program\"\nprogram = \"{program}\""), task)[0];
        let (alone, seen) = (task(&[]), task(&[SEEN]));
        assert_eq!(attempt("honest", &alone), Run { effort: 1.0, attempt: Attempt::Output(TRUTH) });
        let copies = "won=rival?copy:guess";
        assert_eq!(attempt(copies, &seen), Run { effort: 0.0, attempt: Attempt::Output(SEEN) });
        assert_eq!(attempt(copies, &alone), Run { effort: 0.0, attempt: Attempt::Output(WRONG) });
        let cheap = Task { price: 0.4, ..alone };
        assert_eq!(attempt("won=cheap?silent:run", &cheap).attempt, Attempt::Never);
        assert_eq!(attempt("won=cheap?silent:run", &alone).attempt, Attempt::Output(TRUTH));
        assert_eq!(attempt("won=late", &alone).attempt, Attempt::Waits(85.0));
        let late = Task { left: 15.0, ..alone };
        assert_eq!(attempt("won=late", &late).attempt, Attempt::Output(TRUTH));
        assert_eq!(attempt("won=hurry?guess:run", &late).attempt, Attempt::Output(WRONG));
    }

    #[test]
    fn in_a_ring_the_cheapest_alone_competes() {
        let ask = |strategy: &dyn ProviderStrategy, cost, others: &[f64]| {
            let lowest_of_others = others.iter().copied().fold(f64::INFINITY, f64::min);
            strategy.ask(cost, &Market { rivals: others.len() as u64, lowest_of_others, highest: 1.0 })
        };
        assert_eq!(ask(&ring::Ring, 0.1, &[0.2, 0.3]), 0.1);
        assert_eq!(ask(&ring::Ring, 0.2, &[0.1, 0.3]), f64::INFINITY);
        assert_eq!(ask(&underbidder::Underbidder { share: 0.5 }, 0.4, &[]), 0.2);
        assert_eq!(ask(&shading::Shading, 0.5, &[0.9]), 0.75);
    }
}
