//! During a callback anyone may deposit and open, during a payout nobody may do anything; other contracts do not care.

use alloy_primitives::U256;

use super::*;
use crate::model::{Callee, Lane, Rejection, Verdict, tests::script::Nothing};

/// One command of each kind that would do something if it were let in.
fn commands(other: &(Terms, Receipt)) -> Vec<(bool, Command)> {
    let (terms, receipt) = other.clone();
    let (spec, signature) = (Bytes::new(), Bytes::new());
    let signed = Terms { salt: U256::from(8), ..terms.clone() };
    let locked = Terms { salt: U256::from(9), ..terms.clone() };
    vec![
        (true, Command::Deposit { account: CLIENT }),
        (true, open(7)),
        (false, Command::Withdraw { to: CLIENT, amount: gwei(1) }),
        (false, Command::OpenSigned { terms: signed, spec: spec.clone(), signature: signature.clone() }),
        (false, Command::OpenSignedAndLock { terms: locked, spec: spec.clone(), signature }),
        (false, Command::Revoke { lane: Lane::ZERO, up_to: 99 }),
        (false, Command::Lock { terms: terms.clone() }),
        (false, Command::Award { terms: terms.clone(), provider: PROVIDER, price: gwei(100) }),
        (false, Command::Cancel { terms: terms.clone() }),
        (false, Command::Expire { terms: terms.clone() }),
        (false, Command::GiveUp { terms: terms.clone() }),
        (false, Command::SubmitResult { terms: terms.clone(), result: result() }),
        (false, Command::Accept { terms: terms.clone(), receipt: receipt.clone() }),
        (false, Command::Settle { terms: terms.clone(), receipt: receipt.clone() }),
        (false, Command::Dispute { terms: terms.clone() }),
        (false, Command::Rule { terms: terms.clone(), receipt: receipt.clone(), verdict: Verdict::Void }),
        (false, Command::Lapse { terms: terms.clone(), receipt: receipt.clone() }),
        (false, Command::RetryCallback { terms, receipt }),
        (false, Command::SettleBatch { entries: Vec::new() }),
        (false, Command::Multicall { calls: vec![open(7)] }),
        (false, Command::PublishSpec { spec }),
        (false, Command::Announce { url: "https://x.example".into() }),
    ]
}

/// Whether a call from within a callback (or a payout) succeeded. That it is the guard and nothing else that keeps it out is
/// seen in the market itself.
fn succeeds(town: &mut Town, callback: bool, inner: &Command, contract: Address) -> bool {
    let done = town.submitted(HERE, 50);
    let script = script([call(CLIENT, contract, ZERO, inner.clone())]);
    if callback {
        town.accept(HERE, &done, [script]);
        town.news().last().expect("an end").1 == "CallbackDelivered"
    } else {
        town.env.scripts = [script].into();
        town.act(CLIENT, HERE, ZERO, Command::Withdraw { to: CLIENT, amount: gwei(1) }).is_ok()
    }
}

#[test]
fn the_guard_lets_in_what_the_contract_lets_in() {
    let count = commands(&Town::new().submitted(HERE, 1)).len();
    assert_eq!(count, 22, "one of each command, but for deposits of tokens");
    for index in 0..count {
        for callback in [true, false] {
            let mut town = Town::new();
            let other = town.submitted(HERE, 1);
            let (allowed, command) = commands(&other).swap_remove(index);
            assert_eq!(succeeds(&mut town, callback, &command, HERE), allowed && callback, "{command:?}");
        }
        // The refusal is the guard's, and comes before all others.
        let (allowed, command) = commands(&(terms(0), Receipt::default())).swap_remove(index);
        let mut market = Market::new(Settings::COIN);
        for (calling, refused) in [(Callee::Nobody, false), (Callee::Client, !allowed), (Callee::Payee, true)] {
            market.calling = calling;
            let outcome = market.execute(CLIENT, ZERO, &command, &Nothing, &mut |_| ());
            assert_eq!(outcome.is_err_and(|error| error == Rejection::Reentered), refused, "{command:?}");
        }
    }
}

#[test]
fn another_contract_is_not_concerned() {
    let mut town = Town::new();
    let there = town.submitted(THERE, 1);
    let (terms, receipt) = there;
    for (callback, command) in [
        (true, Command::Accept { terms, receipt }),
        (false, Command::Withdraw { to: CLIENT, amount: gwei(1) }),
        (false, Command::Announce { url: "https://x.example".into() }),
    ] {
        town.log.clear();
        let mut fresh = Town { world: town.world.clone(), env: town.env.clone(), log: Vec::new() };
        assert!(succeeds(&mut fresh, callback, &command, THERE), "{command:?}");
    }
}

#[test]
fn the_guard_opens_again_behind_each_call() {
    let mut town = Town::new();
    let (first, second) = (town.submitted(HERE, 1), town.submitted(HERE, 2));
    let accept = |(terms, receipt): (Terms, Receipt)| Command::Accept { terms, receipt };
    let withdraw = Command::Withdraw { to: CLIENT, amount: gwei(1) };
    let calls = vec![accept(first), withdraw.clone(), accept(second), withdraw];
    town.env.scripts = [script([call(CLIENT, HERE, ZERO, open(3))]), script([]), script([]), script([])].into();
    town.act(CLIENT, HERE, ZERO, Command::Multicall { calls }).expect("each call is let in");
    assert_eq!(town.env.called.len(), 4);
}
