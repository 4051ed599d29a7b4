//! A provider that does what its program says.

use super::{Attempt, Market, ProviderStrategy, Run, Sealed, Task, copier, honest, lazy};
use crate::{
    chance::Chance,
    program::{Observable, Program, Reveal, Won},
};

/// How many seconds before its time is up one that is late begins.
const MARGIN: f64 = 5.0;

impl ProviderStrategy for Program {
    fn ask(&self, cost: f64, _: &Market) -> f64 {
        if self.ask.is_finite() { cost * self.ask } else { self.ask }
    }

    fn run(&self, task: &Task<'_>, chance: &mut Chance) -> Run {
        let sees = |observable| match observable {
            Observable::Rival => !task.submitted.is_empty(),
            Observable::Cheap => task.price < task.cost,
            Observable::Hurry => task.left < 2.0 * task.seconds,
        };
        let spare = task.left - task.seconds - MARGIN;
        match self.won.decide(sees) {
            Won::Late if spare > MARGIN => Run { effort: 0.0, attempt: Attempt::Waits(spare) },
            Won::Run | Won::Late => honest::run(task, chance),
            Won::Guess => lazy::Lazy { guess: 0.0, effort: 0.0 }.run(task, chance),
            Won::Copy => copier::Copier.run(task, chance),
            Won::Silent => Run { effort: 0.0, attempt: Attempt::Never },
        }
    }

    fn opens(&self, bid: &Sealed) -> bool {
        let sees = |observable| match observable {
            Observable::Rival => bid.has_rival,
            Observable::Cheap => bid.price < bid.cost,
            Observable::Hurry => false,
        };
        self.reveal.decide(sees) == Reveal::Open
    }
}
