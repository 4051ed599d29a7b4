//! The market's contracts, everybody's commands and time, as a model that stateright explores.
//!
//! The steps are those of [`lota_market::world`] itself: nothing of the protocol is written down here a second time but what must
//! hold. A state is the world, the time, and what has been seen of each job: which end it took, and whether its money moved.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
};

use lota_market::{
    AttoFil, Time,
    auction::reveal_until,
    model::{Command, Deal, Event, Reason, Status},
    world::{Call, ContractCommand, Log, World},
};
use stateright::{Model, Property};

use crate::{
    commands::{Attempt, attempts},
    exits::Exits,
    ledger::{follows_the_table, is_conserved, robs_somebody},
    planted::Planted,
    scene::{AUCTION, Callbacks, MARKET, STRANGER, Scene, Surroundings, name_of},
};

/// What must hold in each state, by name.
pub const ALWAYS: [(&str, Violation); 6] = [
    ("money is conserved to the attoFIL", Violation::Money),
    ("everybody gets what the transition table says", Violation::Table),
    ("a job ends once, and a final deal changes by a callback's retry alone", Violation::SecondEnd),
    ("a salt moves money once", Violation::SaltTwice),
    ("nobody's money falls without his command or signature", Violation::Robbery),
    ("what is refused changes nothing", Violation::Trace),
];
/// The property that is not seen in a state alone: see [`crate::exits`].
pub const EXIT: &str = "time and strangers alone reach a final state";

/// What was broken on the way to a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Violation {
    Money = 1,
    Table = 2,
    SecondEnd = 4,
    SaltTwice = 8,
    Robbery = 16,
    Trace = 32,
}

/// Where everything stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct State {
    pub world: World,
    pub now: Time,
    /// Of each job: how it ended, if it has.
    ends: Vec<Reason>,
    /// Of each job: whether its opening, or a batch, moved money.
    moved: Vec<bool>,
    /// A sum of [`Violation`]s. From such a state nothing is tried any more.
    violations: u8,
}

impl State {
    fn violates(&self, violation: Violation) -> bool {
        self.violations & violation as u8 != 0
    }

    /// A number of this state's own.
    fn number(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hash(&mut hasher);
        hasher.finish()
    }
}

/// A step.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// A second passes.
    Wait,
    /// Somebody calls a contract.
    Call(Box<Attempt>),
}

/// The model.
#[derive(Debug, Default)]
pub struct Lifecycle {
    scene: Option<Scene>,
    planted: Option<Planted>,
    /// What was explored, for the question that no single state answers.
    exits: Exits,
    /// The states without a way out, once they are known.
    traps: HashSet<u64>,
}

impl Lifecycle {
    /// The model of a scene, with a fault in it or without.
    #[must_use]
    pub fn new(scene: Scene, planted: Option<Planted>) -> Self {
        Self { scene: Some(scene), planted, ..Self::default() }
    }

    /// The same, when it is known which states have no way out.
    #[must_use]
    pub fn knowing(&self, traps: HashSet<u64>) -> Self {
        Self { scene: self.scene.clone(), planted: self.planted, traps, exits: Exits::default() }
    }

    /// What was noted while it was explored.
    #[must_use]
    pub const fn exits(&self) -> &Exits {
        &self.exits
    }

    fn scene(&self) -> &Scene {
        static NOTHING: Scene = Scene {
            name: "nothing",
            about: "",
            jobs: Vec::new(),
            bids: Vec::new(),
            endowment: 0,
            purse: 0,
            signatures: false,
            withdrawals: false,
        };
        self.scene.as_ref().unwrap_or(&NOTHING)
    }

    /// Whether no job runs, and no collateral is at stake.
    fn is_final(state: &State) -> bool {
        let runs = |world: &World| {
            let market = world.market(MARKET)?;
            let staked = world.auction(AUCTION)?.staked() > AttoFil::ZERO;
            Some(staked || market.deals().any(|(_, deal)| !deal.status.is_final()))
        };
        !runs(&state.world).unwrap_or(true)
    }

    /// Until when something is still due, or could be begun.
    fn last_deadline(&self, state: &State) -> Option<Time> {
        let market = state.world.market(MARKET)?;
        let due = |(index, terms): (usize, &lota_market::model::Terms)| {
            let deal = market.deal(Scene::job(index));
            let spent = market.is_spent(terms.client, terms.salt);
            match deal.status {
                Status::None if spent => None,
                Status::None | Status::Open => Some(terms.lock_by),
                Status::Locked => Some(terms.run_by(deal.since)),
                Status::Submitted => Some(terms.review_by(deal.since)),
                Status::Disputed => Some(terms.rule_by(deal.since)),
                _ => None,
            }
            .max((state.world.auction(AUCTION)?.auction(Scene::job(index)).commits > 0).then(|| {
                debug_assert!(reveal_until(terms) <= terms.lock_by);
                terms.lock_by
            }))
        };
        self.scene().jobs.iter().enumerate().filter_map(due).max()
    }

    /// Executes a call; `None` when it is refused, or changes nothing.
    fn call(&self, before: &State, attempt: &Attempt) -> Option<State> {
        let Attempt { call, callbacks } = attempt;
        let mut after = before.clone();
        let mut log = Vec::new();
        let mut env = Surroundings { scene: self.scene(), now: before.now, callbacks: *callbacks };
        let accepted = after.world.execute(call, &mut env, &mut log).is_ok();
        if let Some(planted) = self.planted {
            if accepted {
                planted.spoil(self.scene(), &before.world, &mut after.world, call, &log);
            } else {
                planted.leaves(&mut after.world, call);
            }
        }
        if !accepted {
            if after.world == before.world && log.is_empty() {
                return None;
            }
            after.violations |= Violation::Trace as u8;
        }
        self.judge(before, &mut after, call, &log);
        (after != *before).then_some(after)
    }

    /// Notes what a call broke.
    fn judge(&self, before: &State, after: &mut State, call: &Call, log: &[Log]) {
        let scene = self.scene();
        let minted = AttoFil(self.minted());
        let mut broken = |violation: Violation| after.violations |= violation as u8;
        if !is_conserved(scene, &after.world, minted) {
            broken(Violation::Money);
        }
        if robs_somebody(&before.world, &after.world, call) {
            broken(Violation::Robbery);
        }
        let (Some(was), Some(is)) = (before.world.market(MARKET), after.world.market(MARKET)) else { return };
        if !follows_the_table(scene, was, is, log) {
            broken(Violation::Table);
        }
        let retries = matches!(call.command, ContractCommand::Market(Command::RetryCallback { .. }));
        for index in 0..scene.jobs.len() {
            let (was, is) = (was.deal(Scene::job(index)), is.deal(Scene::job(index)));
            let told = log.iter().filter_map(|log| log.event.of_market());
            let told = told.filter(|event| event.job() == Some(Scene::job(index)));
            let mut ends = told.clone().filter_map(end_of);
            let moves =
                told.filter(|event| matches!(event, Event::JobOpened { .. } | Event::BatchSettled { .. })).count();
            if let Some(reason) = ends.next() {
                let again = after.ends[index] != Reason::None || ends.next().is_some();
                let stays = is.status != Status::None && (is.status != reason.status() || is.reason != reason);
                if again || stays {
                    after.violations |= Violation::SecondEnd as u8;
                }
                after.ends[index] = reason;
            } else if before.ends[index] != Reason::None && changed_after_its_end(&was, &is, retries) {
                after.violations |= Violation::SecondEnd as u8;
            }
            if moves > 0 {
                let terms = &scene.jobs[index];
                let same = scene.jobs.iter().zip(&after.moved);
                let same = same.filter(|(other, _)| (other.client, other.salt) == (terms.client, terms.salt));
                if moves > 1 || same.into_iter().any(|(_, moved)| *moved) {
                    after.violations |= Violation::SaltTwice as u8;
                }
                after.moved[index] = true;
            }
        }
    }

    /// All money of the scene's beginning.
    fn minted(&self) -> u128 {
        let Scene { endowment, purse, .. } = self.scene();
        // Five accounts have money, two of them some at the auction, too.
        5 * (endowment + purse) + 2 * purse
    }

    fn note(&self, before: &State, after: &State, anybody: bool) {
        if !self.traps.is_empty() {
            return;
        }
        let node = |state: &State| (state.number(), Self::is_final(state));
        if anybody {
            self.exits.step(node(before), node(after));
        } else {
            self.exits.state(node(after));
        }
    }
}

/// How a job ended, if an event says so.
fn end_of(event: &Event) -> Option<Reason> {
    match event {
        Event::JobSettled { reason, .. }
        | Event::JobCancelled { reason, .. }
        | Event::JobSlashed { reason, .. }
        | Event::JobVoided { reason, .. } => Some(*reason),
        Event::BatchSettled { .. } => Some(Reason::Accepted),
        _ => None,
    }
}

/// Whether what is left of a deal that has ended is not what was left before: only a retry may take the callback away, or all.
fn changed_after_its_end(was: &Deal<'_>, is: &Deal<'_>, retries: bool) -> bool {
    if was == is {
        return false;
    }
    let delivered = Deal { callback_pending: false, ..*was };
    !(retries && was.callback_pending && (*is == delivered || *is == Deal::NONE))
}

impl Model for Lifecycle {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let scene = self.scene();
        let (ends, moved) = (vec![Reason::None; scene.jobs.len()], vec![false; scene.jobs.len()]);
        vec![State { world: scene.begin(), now: Time(0), ends, moved, violations: 0 }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.violations != 0 {
            return;
        }
        if self.last_deadline(state).is_some_and(|deadline| state.now <= deadline) {
            actions.push(Action::Wait);
        }
        // What is refused is no action; it is tried here, once for each state.
        let mut scratch = state.world.clone();
        let mut log = Vec::new();
        for attempt in attempts(self.scene(), &state.world) {
            if self.planted.is_some_and(|planted| planted.refuses(&attempt.call)) {
                continue;
            }
            let mut env = Surroundings { scene: self.scene(), now: state.now, callbacks: attempt.callbacks };
            let accepted = scratch.execute(&attempt.call, &mut env, &mut log).is_ok();
            if !accepted && let Some(planted) = self.planted {
                planted.leaves(&mut scratch, &attempt.call);
            }
            if accepted || !log.is_empty() || scratch != state.world {
                actions.push(Action::Call(Box::new(attempt)));
                scratch.clone_from(&state.world);
                log.clear();
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let (after, anybody) = match action {
            Action::Wait => (State { now: state.now.after(1), ..state.clone() }, true),
            Action::Call(attempt) => (self.call(state, &attempt)?, attempt.call.sender == STRANGER),
        };
        self.note(state, &after, anybody);
        Some(after)
    }

    fn format_action(&self, action: &Action) -> String {
        match action {
            Action::Wait => "a second passes".into(),
            Action::Call(attempt) => describe(self.scene(), attempt),
        }
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let [money, table, end, salt, robbery, trace] = ALWAYS.map(|(name, _)| name);
        let mut properties = vec![
            Property::always(money, |_, state: &State| !state.violates(Violation::Money)),
            Property::always(table, |_, state: &State| !state.violates(Violation::Table)),
            Property::always(end, |_, state: &State| !state.violates(Violation::SecondEnd)),
            Property::always(salt, |_, state: &State| !state.violates(Violation::SaltTwice)),
            Property::always(robbery, |_, state: &State| !state.violates(Violation::Robbery)),
            Property::always(trace, |_, state: &State| !state.violates(Violation::Trace)),
            Property::always(EXIT, |model: &Self, state| {
                model.traps.is_empty() || !model.traps.contains(&state.number())
            }),
        ];
        // That each end is met shows that the bounds leave room for it.
        macro_rules! sometimes {
            ($($reason:ident),*) => {[$((
                Reason::$reason,
                Property::sometimes(
                    concat!("a job ends: ", stringify!($reason)),
                    |_: &Self, state: &State| state.ends.contains(&Reason::$reason),
                ),
            )),*]};
        }
        let sometimes = sometimes!(
            Accepted,
            Unchallenged,
            Upheld,
            Unreviewed,
            Withdrawn,
            NotLocked,
            NotSubmitted,
            Overturned,
            Undecided,
            NotRuled
        );
        let jobs = &self.scene().jobs;
        let (reviewed, unreviewed) =
            (jobs.iter().any(|terms| terms.has_arbiter()), jobs.iter().any(|terms| !terms.has_arbiter()));
        properties.extend(sometimes.into_iter().filter_map(|(reason, property)| {
            let is_possible = match reason {
                Reason::Unreviewed => unreviewed,
                Reason::Withdrawn | Reason::NotLocked | Reason::NotSubmitted => true,
                _ => reviewed,
            };
            is_possible.then_some(property)
        }));
        properties
    }
}

/// A call in words.
fn describe(scene: &Scene, attempt: &Attempt) -> String {
    let Attempt { call, callbacks } = attempt;
    let (name, terms) = match &call.command {
        ContractCommand::Market(command) => (variant(command), None),
        ContractCommand::Auction(command) => (format!("auction: {}", variant(command)), command.terms()),
        ContractCommand::Blessing(command) => (format!("blessing: {}", variant(command)), None),
        ContractCommand::FilecoinPay(command) => (format!("Filecoin Pay: {}", variant(command)), None),
        ContractCommand::FilecoinPayDeals(command) => {
            (format!("FilecoinPayDeals: {}", variant(command)), command.terms())
        }
        ContractCommand::Granter(command) => (format!("granter: {}", variant(command)), None),
    };
    let terms = terms.cloned().or_else(|| terms_in(&call.command));
    let job = terms.and_then(|terms| scene.jobs.iter().position(|known| *known == terms));
    let job = job.map_or_else(String::new, |index| format!(" job {}", index + 1));
    let failing = if *callbacks == Callbacks::Fail { ", whose callback fails" } else { "" };
    format!("{}: {name}{job}{failing}", name_of(call.sender))
}

/// The name of a command.
fn variant(command: &impl std::fmt::Debug) -> String {
    format!("{command:?}").chars().take_while(|c| c.is_ascii_alphanumeric()).collect()
}

fn terms_in(command: &ContractCommand) -> Option<lota_market::model::Terms> {
    let text = serde_json::to_value(command).ok()?;
    let fields = text.as_object()?.values().next()?.as_object()?.values().next()?.clone();
    serde_json::from_value(fields.get("terms")?.clone()).ok()
}
