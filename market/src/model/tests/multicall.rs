//! Several commands at once: all or nothing, without value, to any depth.

use alloy_primitives::Bytes;

use super::{plan::LOCKED, script::*};
use crate::{
    model::{Command, Event, Lane, Rejection, Status},
    world::CallError,
};

fn open(salt: u64) -> Command {
    Command::Open { terms: terms(salt), spec: Bytes::new() }
}

#[test]
fn a_failure_undoes_everything_before_it_and_is_the_multicalls_own() {
    let mut scene = Scene::new();
    scene.act(CLIENT, &open(0)).expect("opens");
    scene.news();
    let before = scene.market().clone();
    let last = Command::Lock { terms: terms(9) };
    let calls = vec![
        open(1),
        Command::Cancel { terms: terms(0) },
        Command::Revoke { lane: Lane::ZERO, up_to: 3 },
        Command::Withdraw { to: STRANGER, amount: scene.market().balance(CLIENT) },
        Command::Multicall { calls: vec![Command::Announce { url: "x".to_owned() }, last] },
    ];
    let outcome = scene.act(CLIENT, &Command::Multicall { calls });
    assert_eq!(outcome, Err(Rejection::UnknownJob(job_of(&terms(9)))));
    assert_eq!(*scene.market(), before);
    assert_eq!(scene.news(), []);
}

#[test]
fn a_multicall_brings_no_value_and_its_calls_see_none() {
    let mut scene = Scene::new();
    let calls = vec![Command::Deposit { account: PROVIDER }, open(0), open(1)];
    let several = Command::Multicall { calls };
    scene.world.mint(CLIENT, gwei(500)).expect("there is room");
    let refused = scene.world.execute_on_market(CLIENT, MARKET, gwei(500), &several, &mut scene.env, &mut Vec::new());
    assert_eq!(refused, Err(CallError::NotPayable { value: gwei(500) }));
    scene.act(CLIENT, &several).expect("runs");
    assert_eq!(scene.market().held(), gwei(4_000));
    let events = scene.news();
    assert_eq!(events[0], Event::Deposited { account: PROVIDER, payer: CLIENT, amount: gwei(0) });
    assert!(matches!(events[1..], [Event::JobOpened { .. }, Event::JobOpened { .. }]), "{events:?}");
}

#[test]
fn opening_and_locking_at_once_is_accepting_an_open_deal() {
    let mut scene = Scene::new();
    let signature = sign_terms(&terms(0));
    let opened = Command::OpenSigned { terms: terms(0), spec: Bytes::new(), signature };
    let calls = vec![opened, Command::Lock { terms: terms(0) }];
    scene.at(LOCKED).act(PROVIDER, &Command::Multicall { calls }).expect("runs");
    assert_eq!(scene.deal(&terms(0)).status, Status::Locked);
}

#[test]
fn nesting_has_no_depth_that_breaks_it() {
    let mut command = open(0);
    for _ in 0..2_000 {
        command = Command::Multicall { calls: vec![command] };
    }
    let mut scene = Scene::new();
    scene.act(CLIENT, &command).expect("runs");
    assert_eq!(scene.deal(&terms(0)).status, Status::Open);
}
