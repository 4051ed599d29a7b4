//! Faults that are put into the world on purpose: a check that finds none of them would find nothing.

use lota_market::{
    AttoFil, Time,
    model::{Command, Event},
    world::{Call, ContractCommand, Log, World},
};
use serde_json::Value;

use crate::scene::{CLIENTS, Callbacks, MARKET, STRANGER, Scene, Surroundings};

/// A fault that no contract of ours has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// Who is paid for a result can be paid for it again.
    PaidTwice,
    /// A deal that has ended is as it was, with its money, and ends once more.
    EndsTwice,
    /// What is burned of a collateral is nowhere.
    CollateralLost,
    /// An opening spends no salt.
    SaltForgotten,
    /// Whoever ends a job for others takes an attoFIL of the second client's.
    Robbery,
    /// Half of what a slash burns goes to the client.
    WrongShare,
    /// Nobody but the parties can end what is overdue.
    NoExit,
    /// A refused command leaves something behind.
    RefusalLeavesTraces,
}

impl Planted {
    /// Whether a call is refused that the contracts accept.
    #[must_use]
    pub fn refuses(self, call: &Call) -> bool {
        let overdue = matches!(call.command, ContractCommand::Market(Command::Expire { .. } | Command::Lapse { .. }));
        self == Self::NoExit && overdue && call.sender == STRANGER
    }

    /// What is wrong with the world after a call that was accepted.
    pub(crate) fn spoil(self, scene: &Scene, before: &World, after: &mut World, call: &Call, log: &[Log]) {
        let says = |wanted: fn(&Event) -> bool| log.iter().filter_map(|log| log.event.of_market()).any(wanted);
        match self {
            Self::PaidTwice if says(|event| matches!(event, Event::JobSettled { .. })) => {
                graft(before, after, &["/deals", "/books/totals/escrowed", "/books/totals/collateral"]);
            }
            Self::EndsTwice if says(|event| matches!(event, Event::JobSettled { .. } | Event::JobVoided { .. })) => {
                graft(before, after, &["/deals", "/books"]);
            }
            Self::CollateralLost if says(|event| matches!(event, Event::JobSlashed { .. })) => {
                graft(before, after, &["/books/totals/burned"]);
            }
            Self::SaltForgotten if says(|event| matches!(event, Event::JobOpened { .. })) => {
                change(after, |storage| {
                    let accounts = storage.pointer_mut("/books/accounts").and_then(Value::as_array_mut);
                    for salts in accounts.into_iter().flatten().filter_map(|pair| pair.pointer_mut("/1/salts")) {
                        *salts = serde_json::json!({ "next": 0, "spent": 0 });
                    }
                });
            }
            Self::Robbery if says(|event| matches!(event, Event::JobCancelled { .. } | Event::JobSlashed { .. })) => {
                let [_, account] = CLIENTS;
                let command = Command::Withdraw { to: STRANGER, amount: AttoFil(1) };
                let call = Call { sender: account, contract: MARKET, value: AttoFil::ZERO, command: command.into() };
                let mut env = Surroundings { scene, now: Time(0), callbacks: Callbacks::Fail };
                // Where there is nothing to take, nothing is taken.
                let _ = after.execute(&call, &mut env, &mut Vec::new());
            }
            Self::WrongShare => {
                let burned = |world: &World| world.market(MARKET).map_or(0, |market| market.burned().0);
                if burned(after) > burned(before) {
                    let client = call_client(call);
                    change(after, |storage| {
                        add(storage.pointer_mut("/books/totals/burned"), -1);
                        let accounts = storage.pointer_mut("/books/accounts").and_then(Value::as_array_mut);
                        let key = serde_json::to_value(client).unwrap_or_default();
                        let own = accounts.into_iter().flatten().find(|pair| pair.pointer("/0") == Some(&key));
                        add(own.and_then(|pair| pair.pointer_mut("/1/balance")), 1);
                    });
                }
            }
            _ => {}
        }
    }

    /// What a refused call has changed.
    pub(crate) fn leaves(self, world: &mut World, call: &Call) {
        let tried = matches!(call.command, ContractCommand::Market(Command::Dispute { .. }));
        if self == Self::RefusalLeavesTraces && tried && call.sender == STRANGER {
            let _ = world.mint(STRANGER, AttoFil(1));
        }
    }
}

fn call_client(call: &Call) -> lota_market::Address {
    match &call.command {
        ContractCommand::Market(
            Command::Expire { terms } | Command::GiveUp { terms } | Command::Rule { terms, .. },
        ) => terms.client,
        _ => CLIENTS[0],
    }
}

/// Amounts are decimal text.
fn add(amount: Option<&mut Value>, more: i128) {
    let Some(amount) = amount else { return };
    let number: i128 = serde_json::from_value::<AttoFil>(amount.clone()).map_or(0, |amount| amount.0 as i128);
    *amount = serde_json::to_value(AttoFil(u128::try_from(number + more).unwrap_or_default())).unwrap_or_default();
}

const STORAGE: &str = "/contracts/0/contract/market/storage";

/// Parts of the market's storage as they were before.
fn graft(before: &World, after: &mut World, parts: &[&str]) {
    let Ok(before) = serde_json::to_value(before) else { return };
    change(after, |storage| {
        for part in parts {
            let kept = before.pointer(&format!("{STORAGE}{part}")).cloned();
            if let (Some(now), Some(kept)) = (storage.pointer_mut(part), kept) {
                *now = kept;
            }
        }
    });
}

/// Changes the market's storage behind its back: a world has no door for that but its text.
#[expect(clippy::expect_used, reason = "a planted fault that is not there proves nothing")]
fn change(world: &mut World, change: impl FnOnce(&mut Value)) {
    let mut text = serde_json::to_value(&*world).expect("a world is data");
    change(text.pointer_mut(STORAGE).expect("the market is the first contract"));
    *world = serde_json::from_value(text).expect("it is a world still");
}
