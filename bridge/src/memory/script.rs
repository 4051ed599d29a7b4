//! What contracts do when the market calls them, where there are no contracts.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use lota_market::{
    Address, AttoFil,
    model::{JobId, JobResult, Reason},
};

/// Answers for the contracts of a chain that has none. It is asked while the market is locked: it must not call the chain.
/// The answers are kept in the log, so a replay does not ask again.
pub trait CallbackScript: Send + Sync + fmt::Debug + 'static {
    /// Whether the client's callback succeeds; see [`lota_market::model::Env::callback_succeeds`].
    fn callback_succeeds(&self, client: Address, job: JobId, gas: u32, outcome: Result<&JobResult, Reason>) -> bool;
    /// Whether `to` takes a payout.
    fn payout_accepted(&self, to: Address, amount: AttoFil) -> bool;
}

/// Everybody is an account: every callback succeeds (there is no code to fail) and every payout is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accounts;

impl CallbackScript for Accounts {
    fn callback_succeeds(&self, _: Address, _: JobId, _: u32, _: Result<&JobResult, Reason>) -> bool {
        true
    }

    fn payout_accepted(&self, _: Address, _: AttoFil) -> bool {
        true
    }
}

/// Some addresses are contracts that refuse; everybody else is an account. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Scripted(Arc<Mutex<BTreeSet<Address>>>);

impl Scripted {
    /// Makes `contract` refuse callbacks and payouts, or take them again.
    pub fn refuse(&self, contract: Address, refuses: bool) {
        let mut refusing = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if refuses {
            refusing.insert(contract);
        } else {
            refusing.remove(&contract);
        }
    }

    fn accepts(&self, contract: Address) -> bool {
        !self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&contract)
    }
}

impl CallbackScript for Scripted {
    fn callback_succeeds(&self, client: Address, _: JobId, _: u32, _: Result<&JobResult, Reason>) -> bool {
        self.accepts(client)
    }

    fn payout_accepted(&self, to: Address, _: AttoFil) -> bool {
        self.accepts(to)
    }
}
