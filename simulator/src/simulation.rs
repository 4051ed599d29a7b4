//! The simulation: a loop that takes the next event, and parties that react to it.

mod jobs;
mod local;
mod mediation;
mod moments;
mod observe;
mod party;
mod requests;
mod setup;
mod shills;
mod steps;

use lota_market::{
    AttoFil,
    agent::StepKey,
    model::JobId,
    world::{ContractCommand, DeployError, Log, TooMuchMoney},
};

pub use self::setup::party_names;
use self::{jobs::Jobs, moments::States, party::Party};
use crate::{
    chain::Chain,
    chance::{Chance, Seed},
    ledger::{Ledger, Sink},
    queue::{EventQueue, VirtualTime},
    scenario::Scenario,
    summary::{PartyOutcome, Summary},
};

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub summary: Summary,
    /// What each party came to, by number.
    pub parties: Vec<PartyOutcome>,
}

/// Why a run ended without an outcome.
#[derive(Debug, thiserror::Error)]
pub enum SimulationError {
    /// The scenario's market cannot be.
    #[error("the market cannot be deployed: {0}")]
    Deploy(#[from] DeployError),
    /// More money than can be counted.
    #[error(transparent)]
    Money(#[from] TooMuchMoney),
    /// The scenario's jobs have terms or specs that no market takes.
    #[error("no market takes a job of this scenario: {0}")]
    Job(String),
    /// A movement could not be written.
    #[error("a movement of money cannot be written: {0}")]
    Sink(#[from] std::io::Error),
    /// More jobs than are held.
    #[error("more than {MOST_JOBS} jobs are open or running at {} s of virtual time; lengthen `interval`, or set `concurrency`", .0.secs())]
    TooManyJobs(VirtualTime),
    /// More wishes than are held.
    #[error("clients want more than {MOST_WAITING} tasks at {} s of virtual time that they cannot ask for; lengthen `interval`, or give them more `balance` or `concurrency`", .0.secs())]
    TooManyWaiting(VirtualTime),
    /// Ledger and contracts disagree: a fault of this program.
    #[error("the ledger and the contracts disagree, which is a fault of this program: {0}")]
    Ledger(String),
    /// Somebody wants something again and again without time passing: a fault of this program.
    #[error("more than {MOST_AT_ONCE} things happened at {} s of virtual time, which is a fault of this program", .0.secs())]
    Livelock(VirtualTime),
}

/// The most jobs that are open or running at once, and the most tasks that clients want and cannot ask for yet.
const MOST_JOBS: usize = 1_000_000;
const MOST_WAITING: u64 = 20_000_000;

/// How much may happen at one moment.
const MOST_AT_ONCE: u64 = 100_000_000;

/// What is to happen.
#[derive(Clone, Copy, Debug)]
enum Happening {
    /// A client wants another task done.
    Request { party: u32 },
    /// A command reaches the chain.
    Lands { sending: u32 },
    /// Something that a party does on its own machine has ended.
    Ends { local: u32 },
    /// An agent wanted to be called.
    Wake { party: u32 },
    /// The arbiter disputes a result.
    Disputes { note: u32 },
    /// The arbiter rules.
    Rules { note: u32 },
    /// A client bids against its own providers: it seals its bids, or opens one of them.
    Shills { note: u32, opens: bool },
    /// A provider's operator has it take jobs again.
    Resumes { party: u32 },
}

/// A command on its way.
#[derive(Debug)]
struct Sending {
    party: u32,
    key: StepKey,
    command: ContractCommand,
    value: AttoFil,
}

/// A run.
struct Simulation<'s> {
    scenario: &'s Scenario,
    chain: Chain,
    queue: EventQueue<Happening>,
    parties: Vec<Party>,
    /// The numbers of the parties that hear of every job.
    providers: Vec<u32>,
    /// The names of the populations, clients before providers.
    populations: Vec<String>,
    sendings: slab::Slab<Sending>,
    locals: slab::Slab<local::Local>,
    /// Jobs that the arbiter, or a client that shills, has something to do with.
    notes: slab::Slab<JobId>,
    jobs: Jobs,
    specs: setup::SpecBook,
    ledger: Ledger,
    sink: &'s mut dyn Sink,
    mediators: Chance,
    summary: Summary,
    sums: observe::Sums,
    happenings: u64,
    /// Tasks that clients want and cannot ask for yet.
    waiting: u64,
    /// What contracts said of the command that is being executed; kept for its memory.
    log: Vec<Log>,
}

/// Runs a scenario, which was checked when it was read, from a seed. Every movement of money goes to `sink`.
///
/// # Errors
/// See [`SimulationError`].
pub fn simulate(scenario: &Scenario, seed: Seed, sink: &mut dyn Sink) -> Result<Outcome, SimulationError> {
    let mut simulation = Simulation::new(scenario, seed, sink)?;
    simulation.run()?;
    simulation.outcome()
}

impl Simulation<'_> {
    fn run(&mut self) -> Result<(), SimulationError> {
        let end = VirtualTime(self.scenario.until.saturating_mul(1_000));
        let (mut before, mut at_once) = (VirtualTime::default(), 0);
        let mut states = States::new(self.sink.every());
        while let Some((now, happening)) = self.queue.pop() {
            if now > end {
                return self.tell_states(&mut states, end.after(VirtualTime(1)));
            }
            self.tell_states(&mut states, now)?;
            self.happenings += 1;
            at_once = if now == before { at_once + 1 } else { 0 };
            before = now;
            if at_once > MOST_AT_ONCE {
                return Err(SimulationError::Livelock(now));
            }
            self.chain.advance(now);
            self.happen(happening)?;
        }
        // The last one has everything in it.
        let last = self.now().after(states.every());
        self.tell_states(&mut states, last)
    }

    fn happen(&mut self, happening: Happening) -> Result<(), SimulationError> {
        match happening {
            Happening::Request { party } => self.on_request(party),
            Happening::Lands { sending } => self.on_landing(sending),
            Happening::Ends { local } => self.on_end(local),
            Happening::Wake { party } => self.on_wake(party),
            Happening::Disputes { note } => self.on_dispute(note),
            Happening::Rules { note } => self.on_ruling(note),
            Happening::Shills { note, opens } => self.on_shilling(note, opens),
            Happening::Resumes { party } => self.on_resume(party),
        }
    }

    fn now(&self) -> VirtualTime {
        self.queue.now()
    }
}
