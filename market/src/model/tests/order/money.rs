//! Errors of deposits and withdrawals.

use alloy_primitives::{Address, Bytes};

use super::{
    super::{plan::Plan, script::*},
    Fault, check, fault,
};
use crate::{
    model::{Command, Market, Rejection, Status},
    money::AttoFil,
};

#[test]
fn deposit_and_withdraw() {
    let invalid = || {
        let group = 1;
        [
            Fault { group, ..fault("zero address", |plan| plan.to = Address::ZERO, |_| Rejection::InvalidRecipient) },
            Fault { group, ..fault("masked id", |plan| plan.to = MASKED, |_| Rejection::InvalidRecipient) },
        ]
    };
    let plan = Plan { value: gwei(5), ..Plan::new(Status::None, STRANGER, START) };
    check("deposit", &plan, |plan| Command::Deposit { account: plan.to }, &invalid());
    let plan = Plan::new(Status::None, PROVIDER, START);
    let [zero, masked] = invalid();
    let faults = [
        zero,
        masked,
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
fn a_masked_id_may_act_for_itself() {
    let mut scene = Scene::new();
    scene.pay(MASKED, gwei(5), &Command::Deposit { account: MASKED }).expect("its own account");
    scene.act(MASKED, &Command::Withdraw { to: MASKED, amount: gwei(5) }).expect("its own money");
}

#[test]
fn more_money_than_exists_is_not_taken() {
    // In a world nobody owns that much: the market does not rely on it.
    let mut market = Market::new(SETTINGS);
    let mut pay = |sender, value, command: Command| {
        market.execute(sender, value, &command, &Nothing, &mut |_| ()).map(|_| market.held())
    };
    let deposit = || Command::Deposit { account: CLIENT };
    let open = || Command::Open { terms: terms(0), spec: Bytes::new() };
    assert_eq!(pay(STRANGER, gwei(4_000), deposit()), Ok(gwei(4_000)));
    let (balance, value) = (AttoFil(u128::MAX - gwei(4_000).0), AttoFil(u128::MAX - 5));
    assert_eq!(pay(STRANGER, value, deposit()), Err(Rejection::TransferFailed(MARKET)));
    assert_eq!(pay(CLIENT, value, open()), Err(Rejection::TransferFailed(MARKET)));
    assert_eq!(pay(STRANGER, balance, deposit()), Ok(AttoFil(u128::MAX)), "exactly as much as there can be");
    assert_eq!(pay(CLIENT, AttoFil::ZERO, open()), Ok(AttoFil(u128::MAX)));
}
