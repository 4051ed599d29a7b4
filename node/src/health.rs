//! How the node stands with its market: whether it can be reached, and whether there is money for gas.

use std::{
    collections::BTreeMap,
    fmt,
    mem::discriminant,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use lota_api::{Problem, ProblemCode, rfc3339};
use lota_bridge::{Head, TransportError};
use lota_market::{Address, AttoFil, B256, agent::Filling, model::JobId};
use serde::{Deserialize, Serialize};

use crate::observe;

/// For so long a block counts as the newest one without asking.
const HEAD_AGE: Duration = Duration::from_secs(2);
/// A round of the loop that takes longer than this will not end: it asks the chain two things at most, and then the database.
const LONGEST_ROUND: Duration = Duration::from_secs(300);

/// What an account has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Money {
    /// Outside the market.
    pub(crate) wallet: AttoFil,
    /// Free in it.
    pub(crate) market: AttoFil,
}

/// An account that cannot pay for its gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shortage {
    pub(crate) account: Address,
    pub(crate) wallet: AttoFil,
    pub(crate) needed: AttoFil,
}

/// A transaction that somebody else sent with the node's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SharedKey {
    pub(crate) account: Address,
    pub(crate) nonce: u64,
    pub(crate) transaction: B256,
}

impl fmt::Display for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { account, nonce, transaction } = self;
        write!(
            f,
            "somebody else sends to the market with the key of {account}: this node did not send transaction {transaction} (nonce {nonce}); it takes no more jobs, and finishes those that it has. Stop the other daemon, or give it a key of its own (`node.key`), and say `lota node resume`"
        )
    }
}

#[derive(Debug, Default)]
struct State {
    head: Option<(Head, Instant)>,
    money: Option<Money>,
    unreachable: Option<TransportError>,
    shortage: Option<Shortage>,
    suspended: Option<JobId>,
    key_shared: Option<SharedKey>,
    draining: Option<usize>,
    /// Engines that cannot be reached, and why.
    engines_away: BTreeMap<&'static str, String>,
    finalized: u64,
    callback_price: Option<AttoFil>,
    bid_money: Filling,
    /// Since when the loop has been in a round.
    round: Option<Instant>,
}

/// How the node stands with its market. What keeps it from its work is said when it begins and when it ends, not every time
/// that it is met.
#[derive(Debug)]
pub(crate) struct Health {
    node: String,
    state: Mutex<State>,
}

impl Health {
    pub(crate) fn new(node: &str) -> Self {
        Self { node: node.to_owned(), state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loop begins a round.
    pub(crate) fn round_begun(&self) {
        self.state().round = Some(Instant::now());
    }

    /// The loop waits for the next round.
    pub(crate) fn round_ended(&self) {
        self.state().round = None;
    }

    /// How long the loop has been in a round, if that is too long.
    pub(crate) fn stuck_for(&self) -> Option<Duration> {
        self.state().round.map(|began| began.elapsed()).filter(|since| *since > LONGEST_ROUND)
    }

    /// The market was heard of.
    pub(crate) fn reached(&self) {
        if self.state().unreachable.take().is_some() {
            observe::market_reached(&self.node);
        }
    }

    /// The market cannot be read.
    pub(crate) fn failed(&self, error: &TransportError) {
        let mut state = self.state();
        let is_news = state.unreachable.as_ref().is_none_or(|before| discriminant(before) != discriminant(error));
        state.unreachable = Some(error.clone());
        drop(state);
        if is_news {
            observe::market_failed(&self.node, error);
        }
    }

    /// The newest block that is known.
    pub(crate) fn head(&self) -> Option<Head> {
        self.state().head.map(|(head, _)| head)
    }

    /// The newest block, if the market told of it so recently that it need not be asked.
    pub(crate) fn recent_head(&self) -> Option<Head> {
        let state = self.state();
        let recent = state.head.filter(|(_, at)| at.elapsed() < HEAD_AGE && state.unreachable.is_none());
        recent.map(|(head, _)| head)
    }

    pub(crate) fn set_head(&self, head: Head) {
        self.state().head = Some((head, Instant::now()));
    }

    /// What the account had when it was last asked for.
    pub(crate) fn money(&self) -> Option<Money> {
        self.state().money
    }

    pub(crate) fn set_money(&self, money: Money) {
        self.state().money = Some(money);
    }

    /// A command waits because the account cannot pay for its gas.
    pub(crate) fn short_of_gas(&self, shortage: Shortage) {
        let Shortage { account, wallet, needed } = shortage;
        if self.state().shortage.replace(shortage).is_none() {
            observe::short_of_gas(&self.node, account, wallet, needed);
        }
    }

    /// Whether commands wait because the account cannot pay for their gas.
    pub(crate) fn is_short_of_gas(&self) -> bool {
        self.state().shortage.is_some()
    }

    /// The account has this much outside the market: perhaps enough.
    pub(crate) fn has_outside(&self, wallet: AttoFil) {
        let mut state = self.state();
        if let Some(money) = &mut state.money {
            money.wallet = wallet;
        }
        if state.shortage.is_some_and(|shortage| wallet >= shortage.needed) {
            state.shortage = None;
            drop(state);
            observe::gas_is_paid(&self.node);
        }
    }

    /// What the provider asks for 10^6 units of a callback's gas, if that follows what gas costs.
    pub(crate) fn callback_price(&self) -> Option<AttoFil> {
        self.state().callback_price
    }

    pub(crate) fn set_callback_price(&self, per_megagas: AttoFil) {
        self.state().callback_price = Some(per_megagas);
    }

    /// Whether money is brought for bids.
    pub(crate) fn bid_money(&self) -> Filling {
        self.state().bid_money
    }

    pub(crate) fn set_bid_money(&self, filling: Filling) {
        self.state().bid_money = filling;
    }

    /// The job that the provider was slashed for, and for which it locks no others.
    pub(crate) fn suspended(&self) -> Option<JobId> {
        self.state().suspended
    }

    pub(crate) fn set_suspended(&self, job: Option<JobId>) {
        self.state().suspended = job;
    }

    /// What somebody else sent with the node's key, while it takes no jobs for that.
    pub(crate) fn key_shared(&self) -> Option<SharedKey> {
        self.state().key_shared
    }

    pub(crate) fn set_key_shared(&self, by: Option<SharedKey>) {
        self.state().key_shared = by;
    }

    /// Whether the node is about to end, and takes no more jobs.
    pub(crate) fn is_draining(&self) -> bool {
        self.state().draining.is_some()
    }

    /// The node is about to end, and finishes so many jobs first.
    pub(crate) fn set_draining(&self, unfinished: usize) {
        self.state().draining = Some(unfinished);
    }

    /// Why an engine cannot be reached now, as far as is known.
    pub(crate) fn engine_away(&self, engine: &str) -> Option<String> {
        self.state().engines_away.get(engine).cloned()
    }

    /// An engine can be reached, or cannot for this reason.
    pub(crate) fn set_engine_away(&self, engine: &'static str, why: Option<String>) {
        let mut state = self.state();
        let before = match &why {
            Some(why) => state.engines_away.insert(engine, why.clone()),
            None => state.engines_away.remove(engine),
        };
        drop(state);
        match (before, why) {
            (None, Some(why)) => observe::engine_away(&self.node, engine, &why),
            (Some(_), None) => observe::engine_back(&self.node, engine),
            _ => {}
        }
    }

    /// Number of the newest block that will not be undone, as far as is known.
    pub(crate) fn finalized(&self) -> u64 {
        self.state().finalized
    }

    pub(crate) fn set_finalized(&self, block: u64) {
        self.state().finalized = block;
    }

    /// What keeps the node from its work now. `met` is what the asker met with, should nobody else have met it yet.
    pub(crate) fn problems(&self, met: Option<&TransportError>) -> Vec<Problem> {
        let state = self.state();
        let known =
            state.head.map_or_else(String::new, |(head, _)| format!("; what is known is of {}", rfc3339(head.time)));
        let unreachable = state.unreachable.as_ref().or(met);
        let unreachable =
            unreachable.map(|error| Problem { code: ProblemCode::Unreachable, message: format!("{error}{known}") });
        let shortage = state.shortage.map(|Shortage { account, wallet, needed }| Problem {
            code: ProblemCode::Gas,
            message: format!(
                "{account} holds {wallet} outside the market and needs {needed} for gas; nothing is sent and no job taken until it has that: send it more"
            ),
        });
        let suspended = state.suspended.map(|job| Problem {
            code: ProblemCode::Slashed,
            message: format!(
                "this provider lost its collateral for job {job}: no jobs are locked until its operator knows why, and says `lota node resume`"
            ),
        });
        let draining = state.draining.map(|unfinished| Problem {
            code: ProblemCode::Draining,
            message: format!(
                "draining: this node is about to end; it takes no more jobs, and finishes the {unfinished} that it has locked, or whose lock or bid is on its way"
            ),
        });
        let key_shared = state.key_shared.map(|by| Problem { code: ProblemCode::KeyShared, message: by.to_string() });
        let engines = state.engines_away.values().map(|why| Problem {
            code: ProblemCode::Engine,
            message: format!(
                "{why}; jobs that need it are not taken on, and those that are locked are run again when it is back: start it, the node goes on by itself"
            ),
        });
        unreachable
            .into_iter()
            .chain(shortage)
            .chain(suspended)
            .chain(key_shared)
            .chain(engines)
            .chain(draining)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_asker_met_with_is_told_when_nobody_met_it_before() {
        let health = Health::new("test");
        assert!(health.problems(None).is_empty());
        let (early, late) = (TransportError::Unavailable("early".into()), TransportError::Unavailable("late".into()));
        assert!(health.problems(Some(&late))[0].message.contains("late"));
        health.failed(&early);
        let problems = health.problems(Some(&late));
        assert_eq!((problems.len(), problems[0].code), (1, ProblemCode::Unreachable));
        assert!(problems[0].message.contains("early"), "{problems:?}");
        health.reached();
        assert!(health.problems(None).is_empty());
    }

    #[test]
    fn a_shortage_lasts_until_there_is_enough() {
        let health = Health::new("test");
        let shortage = Shortage { account: Address::repeat_byte(7), wallet: AttoFil(5), needed: AttoFil(9) };
        health.short_of_gas(shortage);
        health.has_outside(AttoFil(8));
        let problems = health.problems(None);
        assert_eq!(problems[0].code, ProblemCode::Gas);
        for part in
            ["0x0707070707070707070707070707070707070707", "0.000000000000000005 FIL", "0.000000000000000009 FIL"]
        {
            assert!(problems[0].message.contains(part), "{problems:?}");
        }
        health.has_outside(AttoFil(9));
        assert!(!health.is_short_of_gas() && health.problems(None).is_empty());
    }

    #[test]
    fn an_engine_that_is_away_is_a_problem_until_it_is_back() {
        let health = Health::new("test");
        health.set_engine_away("docker", Some("it does not answer".to_owned()));
        health.set_engine_away("docker", Some("it still does not".to_owned()));
        let problems = health.problems(None);
        assert_eq!((problems.len(), problems[0].code), (1, ProblemCode::Engine));
        assert!(problems[0].message.starts_with("it still does not; "), "{problems:?}");
        assert_eq!((health.engine_away("docker").is_some(), health.engine_away("wasm")), (true, None));
        health.set_engine_away("docker", None);
        assert!(health.problems(None).is_empty() && health.engine_away("docker").is_none());
    }
}
