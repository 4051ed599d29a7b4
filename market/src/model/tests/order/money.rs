//! Errors of deposits and withdrawals.

use alloy_primitives::{Address, Bytes};

use super::{
    super::{plan::Plan, script::*},
    check, fault,
};
use crate::{
    model::{Command, Rejection, Status},
    money::AttoFil,
};

#[test]
fn deposit_and_withdraw() {
    let invalid = || fault("zero address", |plan| plan.to = Address::ZERO, |_| Rejection::InvalidRecipient);
    let plan = Plan { value: gwei(5), ..Plan::new(Status::None, STRANGER, START) };
    check("deposit", &plan, |plan| Command::Deposit { account: plan.to }, &[invalid()]);
    let plan = Plan::new(Status::None, PROVIDER, START);
    let faults = [
        invalid(),
        fault(
            "poor sender",
            |plan| plan.poor.push(PROVIDER),
            |_| Rejection::InsufficientBalance { account: PROVIDER, balance: gwei(0), needed: gwei(150) },
        ),
        fault("refused payout", |plan| plan.payouts = false, |_| Rejection::TransferFailed(PROVIDER)),
    ];
    check("withdraw", &plan, |plan| Command::Withdraw { to: plan.to, amount: plan.amount }, &faults);
}

#[test]
fn more_money_than_exists_is_not_taken() {
    let mut scene = Scene::new();
    let (held, value) = (scene.market.held(), AttoFil(u128::MAX - 5));
    let room = AttoFil(u128::MAX - held.0);
    let error = Rejection::InsufficientBalance { account: STRANGER, balance: room, needed: value };
    assert_eq!(scene.pay(STRANGER, value, &Command::Deposit { account: CLIENT }), Err(error));
    let error = Rejection::InsufficientBalance { account: CLIENT, balance: room, needed: value };
    assert_eq!(scene.pay(CLIENT, value, &Command::Open { terms: terms(0), spec: Bytes::new() }), Err(error));
    scene.pay(STRANGER, room, &Command::Deposit { account: CLIENT }).expect("exactly as much as there can be");
    assert_eq!(scene.market.held(), AttoFil(u128::MAX));
    scene.act(CLIENT, &Command::Open { terms: terms(0), spec: Bytes::new() }).expect("opens");
}
