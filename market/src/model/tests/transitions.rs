//! Every row of the transition table: from, command, money, to.

use super::script::*;
use alloy_primitives::Bytes;

use crate::model::{BatchEntry, Command, Event, Reason, Receipt, Rejection, Status, Terms};

#[test]
fn a_job_that_is_locked_submitted_and_accepted_pays_the_provider() {
    let mut scene = Scene::new();
    let terms = terms(0);
    let job = job_of(&terms);
    scene.act(CLIENT, &Command::Open { terms: terms.clone(), spec: spec() }).expect("opens");
    assert_eq!(scene.news(), [Event::JobOpened { job, terms: terms.clone(), spec: spec() }]);
    assert_eq!((scene.market.balance(CLIENT), scene.market.escrowed()), (gwei(800), gwei(200)));

    scene.at(START.after(50)).act(PROVIDER, &Command::Lock { terms: terms.clone() }).expect("locks");
    assert_eq!(scene.news(), [Event::JobLocked { job, provider: PROVIDER, price: gwei(150) }]);
    assert_eq!((scene.market.balance(CLIENT), scene.market.balance(PROVIDER)), (gwei(850), gwei(949)));
    assert_eq!((scene.market.escrowed(), scene.market.collateral()), (gwei(150), gwei(51)));

    scene.act(PROVIDER, &Command::SubmitResult { terms: terms.clone(), result: result() }).expect("submits");
    assert_eq!(scene.news(), [Event::ResultSubmitted { job, provider: PROVIDER, result: result() }]);
    let receipt = Receipt { provider: PROVIDER, price: gwei(150), result: result() };
    assert_eq!(scene.deal(&terms).receipt, Some(&receipt));

    scene.act(CLIENT, &Command::Accept { terms: terms.clone(), receipt: receipt.clone() }).expect("accepts");
    let settled = Event::JobSettled { job, provider: PROVIDER, price: gwei(150), reason: Reason::Accepted };
    assert_eq!(scene.news(), [settled, Event::CallbackDelivered { job }]);
    assert_eq!(scene.env.calls, [(CLIENT, job, 500_000, Ok(result()))]);
    assert_eq!((scene.market.balance(CLIENT), scene.market.balance(PROVIDER)), (gwei(850), gwei(1_150)));
    assert_eq!((scene.market.escrowed(), scene.market.collateral()), (gwei(0), gwei(0)));
    let deal = scene.deal(&terms);
    assert_eq!((deal.status, deal.reason, deal.receipt), (Status::Settled, Reason::Accepted, Some(&receipt)));
}

#[test]
fn signed_terms_and_signed_acceptances_move_the_clients_money() {
    let mut scene = Scene::new();
    let (opened, settled) = (terms(0), Terms { callback_gas: 0, ..terms(1) });
    let job = job_of(&opened);
    let open = Command::OpenSigned { terms: opened.clone(), spec: Bytes::new(), signature: sign_terms(&opened) };
    scene.act(STRANGER, &open).expect("opens");
    assert_eq!(scene.news(), [Event::JobOpened { job, terms: opened, spec: Bytes::new() }]);

    let receipt = Receipt { provider: PROVIDER, price: gwei(120), result: result() };
    let signature = sign_acceptance(&settled, &receipt);
    let entry = BatchEntry { terms: settled.clone(), receipt, signature };
    scene.act(STRANGER, &Command::SettleBatch { entries: vec![entry.clone(), entry] }).expect("settles");
    let job = job_of(&settled);
    let paid =
        Event::BatchSettled { job, client: CLIENT, provider: PROVIDER, price: gwei(120), output: result().output };
    let spent = Rejection::SaltSpent { client: CLIENT, salt: settled.salt };
    assert_eq!(scene.news(), [paid, Event::BatchSkipped { job, why: spent.selector() }]);
    assert_eq!((scene.market.balance(CLIENT), scene.market.balance(PROVIDER)), (gwei(680), gwei(1_120)));
}
