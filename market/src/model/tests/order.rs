//! Every error of every command, and their order: a command that is wrong in two ways fails with the first.

mod bulk;
mod life;
mod money;
mod opening;

use super::{
    plan::{Build, Plan},
    script::*,
};
use crate::model::Rejection;

/// One way to be wrong, and what is said about it.
#[derive(Clone, Copy)]
struct Fault {
    name: &'static str,
    spoil: fn(&mut Plan),
    error: fn(&Plan) -> Rejection,
    /// Faults of the same group (not 0) cannot be together.
    group: u8,
}

const fn fault(name: &'static str, spoil: fn(&mut Plan), error: fn(&Plan) -> Rejection) -> Fault {
    Fault { name, spoil, error, group: 0 }
}

/// Tries a command as it is, with every fault, and with every two faults. `faults` is in the order of checks.
fn check(name: &str, plan: &Plan, build: Build, faults: &[Fault]) {
    let mut scene = plan.scene();
    scene.act(plan.sender, &build(plan)).unwrap_or_else(|rejection| panic!("{name} without fault: {rejection}"));
    for (i, first) in faults.iter().enumerate() {
        let mut spoiled = plan.clone();
        (first.spoil)(&mut spoiled);
        refused(&format!("{name}: {}", first.name), &spoiled, build, first.error);
        for second in &faults[i + 1..] {
            if first.group != 0 && first.group == second.group {
                continue;
            }
            let mut twice = plan.clone();
            (first.spoil)(&mut twice);
            (second.spoil)(&mut twice);
            refused(&format!("{name}: {} and {}", first.name, second.name), &twice, build, first.error);
        }
    }
}

fn refused(name: &str, plan: &Plan, build: Build, error: fn(&Plan) -> Rejection) {
    let mut scene = plan.scene();
    let before = scene.market().clone();
    let outcome = scene.act(plan.sender, &build(plan));
    assert_eq!(outcome, Err(error(plan)), "{name}");
    assert_eq!(*scene.market(), before, "{name}: a refused command changed something");
    assert_eq!(scene.news(), [], "{name}: a refused command said something");
    assert_eq!(scene.env.calls, [], "{name}: a refused command called back");
}

// Faults that several commands share ------------------------------------------------------------------------------------

const UNKNOWN: Fault =
    fault("unknown job", |plan| plan.unknown = true, |plan| Rejection::UnknownJob(job_of(&plan.asked())));
const STRANGE_SENDER: fn(&mut Plan) = |plan| plan.sender = STRANGER;
const RECEIPT: Fault = fault(
    "another receipt",
    |plan| plan.receipt.result.fuel_used += 1,
    |plan| Rejection::ReceiptMismatch(job_of(&plan.asked())),
);

fn wrong_state(plan: &Plan) -> Rejection {
    Rejection::WrongState { job: job_of(&plan.asked()), found: plan.reach }
}
