//! What contracts do when the market calls them, where there are no contracts.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lota_market::{
    Address,
    world::{ExternalCall, Script},
};

/// Stands in for the code of contracts on a chain that runs none. It is asked while the market is locked: it must not call
/// the chain. The answers are kept in the log, so a replay does not ask again.
pub trait Contracts: Send + Sync + fmt::Debug + 'static {
    /// Whether an address is that of a contract; see [`lota_market::world::Env::has_code`].
    fn has_code(&self, account: Address) -> bool;

    /// What the code at an address does when the market calls it; see [`lota_market::world::Env::script`].
    fn script(&self, call: &ExternalCall<'_>) -> Script;
}

/// Everybody is an account: nobody is called back (there is no code to call), and every payout is taken.
#[derive(Clone, Copy, Debug, Default)]
pub struct Accounts;

impl Contracts for Accounts {
    fn has_code(&self, _: Address) -> bool {
        false
    }

    fn script(&self, _: &ExternalCall<'_>) -> Script {
        Script::default()
    }
}

/// Some addresses are contracts that do as they are told; everybody else is an account. Clones share the list.
#[derive(Clone, Debug, Default)]
pub struct Scripted(Arc<Mutex<BTreeMap<Address, Script>>>);

impl Scripted {
    fn scripts(&self) -> MutexGuard<'_, BTreeMap<Address, Script>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on `contract` does this whenever it is called.
    pub fn set(&self, contract: Address, script: Script) {
        self.scripts().insert(contract, script);
    }

    /// Makes `contract` refuse callbacks and payouts, or take them again.
    pub fn refuse(&self, contract: Address, refuses: bool) {
        self.set(contract, Script::accepting(!refuses));
    }
}

impl Contracts for Scripted {
    fn has_code(&self, account: Address) -> bool {
        self.scripts().contains_key(&account)
    }

    fn script(&self, call: &ExternalCall<'_>) -> Script {
        self.scripts().get(&call.callee).cloned().unwrap_or_default()
    }
}
