//! Why what is due on a rail is not collected yet.

use std::{
    collections::BTreeMap,
    fmt,
    mem::discriminant,
    sync::{Mutex, MutexGuard, PoisonError},
};

use lota_market::{U256, agent::Gain};

/// Why it is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// More may come, which is collected for the same gas.
    ForMore,
    /// Its gas costs more than it brings.
    TooDear(Gain),
    /// It was refused, and will be tried again.
    Refused(String),
    /// The rail has ended: nothing is to be had there any more.
    Ended,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForMore => f.write_str("it waits for more, to be collected for the same gas"),
            Self::TooDear(Gain { worth, gas }) => {
                let times = gas.0 / worth.0.max(1);
                write!(
                    f,
                    "its gas costs more than it brings (at least {times} times as much); it is collected when more is due, or gas is cheaper"
                )
            }
            Self::Refused(why) => write!(f, "{why}; it is tried again"),
            Self::Ended => {
                f.write_str("the payer terminated the rail, and its time is over: what was due went back to the payer")
            }
        }
    }
}

/// The reasons of all rails on which something is due.
#[derive(Debug, Default)]
pub(crate) struct Reasons(Mutex<BTreeMap<U256, Reason>>);

impl Reasons {
    fn all(&self) -> MutexGuard<'_, BTreeMap<U256, Reason>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether it is another kind of reason than before.
    pub(super) fn set(&self, rail: U256, reason: Reason) -> bool {
        let kind = discriminant(&reason);
        self.all().insert(rail, reason).is_none_or(|before| discriminant(&before) != kind)
    }

    pub(super) fn retain(&self, is_due: impl Fn(U256) -> bool) {
        self.all().retain(|rail, _| is_due(*rail));
    }

    /// That of a rail, if there is one.
    pub(crate) fn of(&self, rail: U256) -> Option<Reason> {
        self.all().get(&rail).cloned()
    }
}
