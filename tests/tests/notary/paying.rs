//! What was granted over Filecoin Pay is paid: with the contract, the stand-in of Filecoin Pay and the service.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use lota_bridge::evm::{
    Chain, Granter,
    chain::At,
    filecoin_pay::{self, Approval},
    granters::rails::RailGranter,
};
use lota_market::{Address, AttoFil, B256, Bytes, U256, filecoin_pay::fee};
use lota_notary::{
    desk::{Desk, Stage},
    payments::{Payment, PaymentState},
};
use lota_tests::{anvil::Anvil, world};
use serde_json::json;
use tokio::time::Instant;

use crate::{
    Well,
    scene::{AMOUNT, PROVIDER, SETTINGS, Scene, Served, figure},
};

const SPONSOR: u8 = 21;
/// For so many seconds, and blocks, what was granted can be paid if the sponsor ends the rail.
const GRACE: u64 = 10;

/// A scene whose granter pays over Filecoin Pay, and where that is.
async fn set(anvil: Anvil) -> (Scene, Address) {
    let filecoin_pay = anvil.filecoin_pay().await;
    let sponsor = world::key(SPONSOR).address();
    anvil.set_balance(sponsor, AttoFil(10 * lota_market::money::FIL)).await;
    let granter = Granter::FilecoinPay { filecoin_pay, token: Address::ZERO, sponsor, epoch_seconds: 1, grace: GRACE };
    let recipient = Bytes::copy_from_slice(world::key(PROVIDER).address().as_slice());
    let scene = Scene::with(anvil, &granter, recipient).await;
    let approval = Approval {
        is_approved: true,
        lockup_allowance: U256::MAX,
        max_lockup_period: U256::from(GRACE + 1),
        ..Approval::default()
    };
    let approve = filecoin_pay::set_operator_approval(Address::ZERO, scene.granter, &approval);
    scene.anvil.execute(Some(sponsor), filecoin_pay, approve, AttoFil::ZERO).await;
    let amount = u128::from(AMOUNT);
    let deposit = filecoin_pay::deposit(Address::ZERO, sponsor, U256::from(amount));
    scene.anvil.execute(Some(sponsor), filecoin_pay, deposit, AttoFil(amount)).await;
    (scene, filecoin_pay)
}

async fn funds(scene: &Scene, filecoin_pay: Address, number: u8) -> U256 {
    let chain = Chain::connect(scene.anvil.config()).await.expect("the chain answers");
    let view = filecoin_pay::account(Address::ZERO, world::key(number).address());
    let data = chain.view(filecoin_pay, &view.data, At::Latest).await.expect("it answers");
    view.read(&data).expect("an account").funds
}

async fn payment(served: &mut Served, job: lota_market::model::JobId, is_so: fn(&PaymentState) -> bool) -> Payment {
    served
        .until(async |service| {
            let payment = service.dossier(job).await.expect("known").payment;
            payment.filter(|payment| is_so(&payment.state))
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_last_vote_to_the_providers_account_at_filecoin_pay() {
    let Some(anvil) = Anvil::spawn_or_skip().await else { return };
    let (scene, filecoin_pay) = set(anvil).await;
    let mut served = scene.serve(Arc::new(Well), None, vec![], Arc::new(lota_notary::outgoing::clock)).await;
    let job = scene.settle(B256::repeat_byte(6)).await;
    served.stage(job, true, &[Stage::Voting]).await;
    let last_vote = served.approve(job).await;
    served.stage(job, true, &[Stage::Blessed, Stage::Due]).await;
    scene.anvil.advance(u64::from(SETTINGS.revoke_for) + 1).await;
    served.stage(job, false, &[Stage::Granted]).await;
    let granted = last_vote.elapsed();
    // As soon as the chain says so.
    let net = U256::from(AMOUNT) - fee(U256::from(AMOUNT));
    let begun = Instant::now();
    while funds(&scene, filecoin_pay, PROVIDER).await != net {
        assert!(begun.elapsed() < crate::scene::PATIENCE, "it is not paid");
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    let paid = last_vote.elapsed();
    assert_eq!(funds(&scene, filecoin_pay, SPONSOR).await, U256::ZERO);
    let payment = payment(&mut served, job, |state| matches!(state, PaymentState::Paid { .. })).await;
    assert_eq!((payment.amount, payment.granter), (U256::from(AMOUNT), scene.granter));
    let PaymentState::Paid { transaction: Some(_) } = payment.state else { panic!("{payment:?}") };
    let chain = Chain::connect(scene.anvil.config()).await.expect("the chain answers");
    let rails = RailGranter::find(&chain, scene.granter, scene.contract).await.expect("it is one");
    let due = rails.rail(payment.rail, At::Latest).await.expect("told").due;
    assert_eq!((due, rails.filecoin_pay()), (U256::ZERO, filecoin_pay));
    assert!(RailGranter::find(&chain, scene.granter, filecoin_pay).await.is_err(), "it obeys its own blessing");
    assert!(served.log().await.iter().any(|entry| entry.action == "paid"));
    figure("over Filecoin Pay: last vote to the grant, revoking skipped", granted);
    figure("over Filecoin Pay: last vote to the provider's account there, revoking skipped", paid);
    served.running.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rail_that_ended_before_it_was_paid_is_told_and_nothing_is_sent() {
    let Some(anvil) = Anvil::spawn_or_skip().await else { return };
    let (mut scene, filecoin_pay) = set(anvil).await;
    scene.pay_after = 3_600;
    let later = Arc::new(AtomicU64::new(0));
    let clock = {
        let later = Arc::clone(&later);
        Arc::new(move || lota_notary::outgoing::clock().after(later.load(Ordering::Relaxed)))
    };
    let mut served = scene.serve(Arc::new(Well), None, vec![], clock).await;
    let job = scene.settle(B256::repeat_byte(6)).await;
    served.stage(job, true, &[Stage::Voting]).await;
    served.approve(job).await;
    served.stage(job, true, &[Stage::Blessed, Stage::Due]).await;
    scene.anvil.advance(u64::from(SETTINGS.revoke_for) + 1).await;
    served.stage(job, false, &[Stage::Granted]).await;
    let due = payment(&mut served, job, |state| matches!(state, PaymentState::Due { why: None })).await;
    let sponsor = world::key(SPONSOR).address();
    scene.anvil.execute(Some(sponsor), filecoin_pay, filecoin_pay::terminate_rail(due.rail), AttoFil::ZERO).await;
    scene.anvil.call("anvil_mine", json!(["0x20"])).await;
    later.store(4_000, Ordering::Relaxed);
    let lost = payment(&mut served, job, |state| matches!(state, PaymentState::Lost { .. })).await;
    let PaymentState::Lost { why } = lost.state else { panic!("{why:?}", why = lost.state) };
    assert!(why.contains("terminated") && why.contains("went back to the payer"), "{why}");
    assert_eq!(funds(&scene, filecoin_pay, PROVIDER).await, U256::ZERO);
    assert!(served.log().await.iter().any(|entry| entry.action == "not paid"));
    served.running.abort();
}
