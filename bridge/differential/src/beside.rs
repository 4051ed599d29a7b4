//! What the tests of contracts beside a market have in common: random sequences on both sides, what they came to, and a short
//! sequence where they differ.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

pub(crate) use crate::comparison::Difference;
use crate::{Counterexample, chain::Currency, comparison, party::Parties};

/// No more attempts than this to make a sequence shorter.
const MAX_ATTEMPTS: usize = 3_000;

/// Contracts and their twins, each in one world.
pub(crate) trait Both {
    /// A command, and the circumstances of it.
    type Step: Clone;

    /// Executes a step on both and compares; says what it came to.
    fn perform(&mut self, step: &Self::Step) -> Result<Vec<String>, Difference>;
}

/// Refuses values that are not equal.
pub(crate) fn same<T: PartialEq + fmt::Debug>(
    what: impl Into<String>,
    contract: &T,
    twin: &T,
) -> Result<(), Difference> {
    comparison::same(|| what.into(), contract, twin)
}

/// What was run, without a difference.
#[derive(Clone, Debug, Default)]
pub struct ReportBeside {
    /// Commands that were executed on both sides.
    pub commands: u64,
    /// Those that were refused, by the error, and those that succeeded, by the command or what it came to.
    pub outcomes: BTreeMap<String, u64>,
    /// How long that took.
    pub elapsed: Duration,
    /// What a long run must have met.
    pub wanted: &'static [&'static str],
}

impl ReportBeside {
    /// What should have come up and did not.
    #[must_use]
    pub fn unmet(&self) -> Vec<&'static str> {
        self.wanted.iter().copied().filter(|outcome| !self.outcomes.contains_key(*outcome)).collect()
    }
}

impl fmt::Display for ReportBeside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.elapsed.as_secs_f64();
        write!(f, "{} commands agree in {seconds:.1} s: {:.0}/s", self.commands, self.commands as f64 / seconds)?;
        for (outcome, count) in &self.outcomes {
            write!(f, "\n  {outcome}: {count}")?;
        }
        Ok(())
    }
}

/// Sequences of steps that are drawn by chance.
pub(crate) struct Sequences<'a, New, Describe> {
    pub(crate) cast: &'a Parties,
    /// At least so many commands, in whole sequences.
    pub(crate) commands: u64,
    /// Commands of one sequence.
    pub(crate) length: u64,
    /// The seed of the first sequence; the next has the next number.
    pub(crate) seed: u64,
    /// What a long run must have met.
    pub(crate) wanted: &'static [&'static str],
    /// Both sides, at the beginning.
    pub(crate) new: New,
    /// A step in words.
    pub(crate) describe: Describe,
}

impl<B, New, Describe> Sequences<'_, New, Describe>
where
    B: Both,
    New: Fn(Currency) -> B,
    Describe: Fn(&B::Step) -> String,
{
    /// Runs them; `draw` says of a seed what draws the steps of its sequence.
    ///
    /// # Errors
    /// The first difference that was found.
    pub(crate) fn run<Draw: FnMut(&B) -> B::Step>(
        &self,
        draw: impl Fn(u64) -> Draw,
    ) -> Result<ReportBeside, Box<Counterexample>> {
        let begin = Instant::now();
        let mut report = ReportBeside { wanted: self.wanted, ..ReportBeside::default() };
        for number in 0..self.commands.div_ceil(self.length) {
            let seed = self.seed.wrapping_add(number);
            let mut next = draw(seed);
            let mut both = (self.new)(Currency::of(seed));
            let mut steps = Vec::new();
            for _ in 0..self.length {
                let step = next(&both);
                let outcome = both.perform(&step);
                steps.push(step);
                match outcome {
                    Ok(outcomes) => {
                        for outcome in outcomes {
                            *report.outcomes.entry(outcome).or_default() += 1;
                        }
                    }
                    Err(difference) => return Err(self.shrink(seed, steps, difference)),
                }
                report.commands += 1;
            }
        }
        report.elapsed = begin.elapsed();
        Ok(report)
    }

    /// Leaves out what is not needed to see a difference.
    fn shrink(&self, seed: u64, mut steps: Vec<B::Step>, mut difference: Difference) -> Box<Counterexample> {
        let found_after = steps.len();
        let (mut attempts, mut size) = (0, steps.len() / 2);
        while size > 0 {
            let mut index = steps.len();
            while index > 0 && attempts < MAX_ATTEMPTS {
                let from = index.saturating_sub(size);
                let mut fewer = steps.clone();
                fewer.drain(from..index);
                attempts += 1;
                let mut both = (self.new)(Currency::of(seed));
                let mut found = fewer.iter().enumerate();
                let found = found.find_map(|(n, step)| both.perform(step).err().map(|found| (n, found)));
                if let Some((last, found)) = found {
                    fewer.truncate(last + 1);
                    (steps, difference) = (fewer, found);
                    index = steps.len().min(from);
                } else {
                    index = from;
                }
            }
            size /= 2;
        }
        let Difference { what, contract, model } = difference;
        let what = format!("they differ in {what}:\n  contract: {contract}\n  model:    {model}");
        Box::new(Counterexample {
            seed,
            found_after,
            steps: steps.iter().map(&self.describe).collect(),
            difference: self.cast.put_names(what),
        })
    }
}
