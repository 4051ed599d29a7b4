//! What clients and payees do when they are called.

use super::*;
use crate::model::Rejection;

#[test]
fn a_client_opens_its_next_job_from_within_its_callback() {
    let mut town = Town::new();
    let first = town.submitted(HERE, 0);
    let deposit = Command::Deposit { account: PROVIDER };
    let calls =
        [call(CLIENT, HERE, gwei(5), deposit), call(CLIENT, HERE, ZERO, open(1)), call(CLIENT, THERE, ZERO, open(1))];
    town.accept(HERE, &first, [script(calls)]);
    let names = ["JobSettled", "Deposited", "JobOpened", "JobOpened", "CallbackDelivered"];
    let contracts = [HERE, HERE, HERE, THERE, HERE];
    let wanted: Vec<_> = contracts.into_iter().zip(names.map(str::to_owned)).collect();
    assert_eq!(town.news(), wanted);
    let next = Terms { callback_gas: 100_000, ..terms(1) };
    assert_eq!((town.status(HERE, &next), town.status(THERE, &next)), (Status::Open, Status::Open));
    assert_eq!(town.world.wallet(CLIENT), gwei(995));
}

#[test]
fn a_script_that_fails_has_not_happened() {
    let too_much = || call(CLIENT, HERE, gwei(1_001), Command::Deposit { account: CLIENT });
    for (calls, end) in [
        (vec![call(CLIENT, HERE, ZERO, open(1)), too_much()], End::Return),
        (vec![call(CLIENT, THERE, gwei(9), open(1))], End::Revert),
        (vec![call(CLIENT, HERE, gwei(9), open(1)), call(CLIENT, THERE, ZERO, open(1))], End::OutOfGas),
        (vec![], End::Revert),
        (vec![], End::OutOfGas),
    ] {
        let mut town = Town::new();
        let first = town.submitted(HERE, 0);
        town.accept(HERE, &first, [Script { calls, end }]);
        let failed = town.news();
        assert_eq!(failed, ["JobSettled", "CallbackFailed"].map(|name| (HERE, name.to_owned())));
        assert!(town.market(HERE).deal(job_at(HERE, &first.0)).callback_pending);
        // Nothing else than if the client's code had failed at once.
        let mut other = Town::new();
        let same = other.submitted(HERE, 0);
        other.accept(HERE, &same, [Script::ending(End::Revert)]);
        assert_eq!(town.world, other.world);
        // Once it succeeds, it is delivered.
        town.env.scripts = [script([call(CLIENT, HERE, ZERO, open(1))])].into();
        let (terms, receipt) = first;
        town.act(STRANGER, HERE, ZERO, Command::RetryCallback { terms: terms.clone(), receipt }).expect("a retry");
        assert_eq!(town.news(), ["JobOpened", "CallbackDelivered"].map(|name| (HERE, name.to_owned())));
        assert!(!town.market(HERE).deal(job_at(HERE, &terms)).callback_pending);
    }
}

#[test]
fn a_call_that_may_fail_does_not_stop_the_script() {
    let mut town = Town::new();
    let first = town.submitted(HERE, 0);
    let mut failing = call(CLIENT, HERE, gwei(1), open(0));
    failing.may_fail = true;
    town.accept(HERE, &first, [script([failing, call(CLIENT, HERE, gwei(1), open(1))])]);
    let names = ["JobSettled", "Deposited", "JobOpened", "CallbackDelivered"];
    assert_eq!(town.news(), names.map(|name| (HERE, name.to_owned())));
    assert_eq!(town.world.wallet(CLIENT), gwei(999), "what was sent along with the refused call is back");
}

#[test]
fn a_payee_spends_what_it_is_paid() {
    let mut town = Town::new();
    let withdraw = || Command::Withdraw { to: STRANGER, amount: gwei(700) };
    let spend = |amount| script([call(STRANGER, THERE, gwei(amount), Command::Deposit { account: CLIENT })]);
    town.env.scripts = [spend(600)].into();
    town.act(CLIENT, HERE, ZERO, withdraw()).expect("is paid");
    let names = [(HERE, "Withdrawn".to_owned()), (THERE, "Deposited".to_owned())];
    assert_eq!(town.news(), names);
    assert_eq!((town.world.wallet(STRANGER), town.market(THERE).balance(CLIENT)), (gwei(100), gwei(1_600)));
    // One that fails was not paid.
    let before = town.world.clone();
    for refusal in [spend(5_000), Script { end: End::Revert, ..spend(1) }, Script::ending(End::OutOfGas)] {
        town.env.scripts = [refusal].into();
        let amount = Command::Withdraw { to: STRANGER, amount: gwei(1) };
        let outcome = town.act(CLIENT, HERE, ZERO, amount);
        assert_eq!(outcome, Err(CallError::Rejected(Rejection::TransferFailed(STRANGER))));
        assert_eq!(town.world, before);
        assert_eq!(town.news(), []);
    }
}

#[test]
fn what_scripts_did_within_a_refused_multicall_has_not_happened() {
    let mut town = Town::new();
    let (terms, receipt) = town.submitted(HERE, 0);
    let before = town.world.clone();
    let calls = vec![
        Command::Accept { terms, receipt },
        Command::Withdraw { to: STRANGER, amount: gwei(3) },
        Command::Withdraw { to: CLIENT, amount: gwei(5_000) },
    ];
    town.env.scripts = [
        script([call(CLIENT, THERE, gwei(100), open(1)), call(CLIENT, HERE, ZERO, open(1))]),
        script([call(STRANGER, THERE, gwei(3), Command::Deposit { account: STRANGER })]),
    ]
    .into();
    let outcome = town.act(CLIENT, HERE, ZERO, Command::Multicall { calls });
    assert!(matches!(outcome, Err(CallError::Rejected(Rejection::InsufficientBalance { .. }))), "{outcome:?}");
    assert_eq!(town.env.called.len(), 2, "both scripts ran");
    assert_eq!(town.world, before);
    assert_eq!(town.news(), []);
}

#[test]
fn callbacks_nest_through_other_contracts() {
    let mut town = Town::new();
    let here = town.submitted(HERE, 0);
    let there = town.submitted(THERE, 0);
    let accept =
        |(terms, receipt): &(Terms, Receipt)| Command::Accept { terms: terms.clone(), receipt: receipt.clone() };
    let outer = script([call(CLIENT, THERE, ZERO, accept(&there)), call(CLIENT, HERE, ZERO, open(2))]);
    // The inner one is undone by itself.
    let inner = Script { end: End::OutOfGas, ..script([call(CLIENT, HERE, ZERO, open(1))]) };
    town.accept(HERE, &here, [outer, inner]);
    let wanted = [
        (HERE, "JobSettled"),
        (THERE, "JobSettled"),
        (THERE, "CallbackFailed"),
        (HERE, "JobOpened"),
        (HERE, "CallbackDelivered"),
    ];
    assert_eq!(town.news(), wanted.map(|(contract, name)| (contract, name.to_owned())));
    assert_eq!(town.env.called, [(HERE, CLIENT), (THERE, CLIENT)]);
}

#[test]
fn a_client_without_code_is_not_called_and_nothing_is_kept_for_it() {
    let mut town = Town::new();
    let (terms, receipt) = town.submitted(HERE, 0);
    town.env.plain = vec![CLIENT];
    town.env.scripts = [Script::ending(End::Revert)].into();
    town.act(CLIENT, HERE, ZERO, Command::Accept { terms: terms.clone(), receipt }).expect("accepts");
    assert_eq!(town.news(), [(HERE, "JobSettled".to_owned())]);
    assert_eq!((town.env.called.len(), town.market(HERE).deal(job_at(HERE, &terms)).callback_pending), (0, false));
    // Payees are asked all the same: an account that takes money needs no code.
    town.act(CLIENT, HERE, ZERO, Command::Withdraw { to: CLIENT, amount: gwei(1) }).expect_err("it refuses");
}

#[test]
fn while_a_callback_runs_the_end_is_stored_and_afterwards_it_is_not() {
    // What the client's code sees in the market while it runs, as far as the world can tell: it cannot open the same job again.
    for (keep_record, end) in [(false, End::Return), (false, End::Revert), (true, End::Return)] {
        let mut town = Town::new();
        let terms = Terms { callback_gas: 100_000, keep_record, ..terms(0) };
        let open = Command::Open { terms: terms.clone(), spec: Bytes::new() };
        town.act(CLIENT, HERE, ZERO, open.clone()).expect("opens");
        let again = ScriptedCall { may_fail: true, ..call(CLIENT, HERE, ZERO, open) };
        town.env.scripts = [Script { calls: vec![again], end }].into();
        town.act(CLIENT, HERE, ZERO, Command::Cancel { terms: terms.clone() }).expect("cancels");
        let deal = town.market(HERE).deal(job_at(HERE, &terms));
        let wanted = if keep_record || end == End::Revert { Status::Cancelled } else { Status::None };
        assert_eq!((deal.status, deal.callback_pending), (wanted, end == End::Revert));
        assert_eq!(town.market(HERE).escrowed(), ZERO, "the same job was not opened again");
    }
}

#[test]
fn a_retry_that_fails_has_not_happened() {
    let mut town = Town::new();
    let done = town.submitted(HERE, 0);
    town.accept(HERE, &done, [Script::ending(End::OutOfGas)]);
    town.news();
    let (before, (terms, receipt)) = (town.world.clone(), done);
    let retry = || Command::RetryCallback { terms: terms.clone(), receipt: receipt.clone() };
    let failing = Script { end: End::Revert, ..script([call(CLIENT, HERE, ZERO, open(1))]) };
    town.env.scripts = [failing.clone(), failing].into();
    let job = job_at(HERE, &terms);
    let reverted = || Err(CallError::Rejected(Rejection::CallbackReverted(job)));
    assert_eq!(town.act(STRANGER, HERE, ZERO, retry()), reverted());
    // In a multicall it takes everything else with it.
    let calls = vec![Command::Announce { url: "x".into() }, retry()];
    assert_eq!(town.act(STRANGER, HERE, ZERO, Command::Multicall { calls }), reverted());
    assert_eq!((town.news(), &town.world), (vec![], &before));
    town.act(STRANGER, HERE, ZERO, retry()).expect("it succeeds at last");
}
