//! What a party signs, others can use, and nobody else's signature does.

use alloy::primitives::keccak256;
use lota_market::{
    AttoFil, Bytes, Time, U256,
    model::{BatchEntry, Command, Event, Receipt, Rejection, Status, Terms},
};

use super::{
    Harness, Party,
    party::{PRICE, result},
};
use crate::SubmitError;

async fn signed(client: &Party, terms: &Terms) -> Bytes {
    client.transport.sign_terms(terms).await.expect("the key signs")
}

/// A client who has no native money has a job opened by a stranger.
pub async fn a_signed_job_is_opened_by_anybody(harness: &impl Harness) {
    let client = Party::with_deposit(harness, "client").await;
    let stranger = Party::connect(harness, "stranger").await;
    let terms = client.terms(0).await;
    let signature = signed(&client, &terms).await;
    let job = client.transport.job_id(&terms);
    let landed = stranger.send(Command::OpenSigned { terms: terms.clone(), spec: Bytes::new(), signature }).await;
    assert_eq!(landed.events, [Event::JobOpened { job, terms, spec: Bytes::new() }]);
    let spent = client.transport.is_spent(client.address(), U256::ZERO).await;
    assert_eq!(spent, Ok(true));
    assert_eq!(client.transport.is_spent(client.address(), U256::from(1)).await, Ok(false));
}

/// A provider opens and locks in one step; if somebody else opened it, it is locked all the same.
pub async fn a_signed_job_is_opened_and_locked(harness: &impl Harness) {
    let client = Party::with_deposit(harness, "client").await;
    let provider = Party::with_deposit(harness, "provider").await;
    for salt in [0, 1] {
        let terms = client.terms(salt).await;
        let signature = signed(&client, &terms).await;
        let job = client.transport.job_id(&terms);
        let locked = Event::JobLocked { job, provider: provider.address(), payer: provider.address(), price: PRICE };
        let opened = Event::JobOpened { job, terms: terms.clone(), spec: Bytes::new() };
        let wanted = if salt == 0 { vec![opened, locked] } else { vec![locked] };
        if salt == 1 {
            client.open(&terms).await;
        }
        let landed = provider.send(Command::OpenSignedAndLock { terms, spec: Bytes::new(), signature }).await;
        assert_eq!(landed.events, wanted);
        let deal = provider.transport.deal(job).await.expect("the market can be reached");
        assert_eq!((deal.status, deal.provider, deal.price), (Status::Locked, provider.address(), PRICE));
        assert_eq!(deal.since, landed.time);
    }
}

/// A batch pays what clients signed, in order; the rest is skipped with the reason's selector.
pub async fn a_batch_settles_what_was_signed_and_skips_the_rest(harness: &impl Harness) {
    let client = Party::with_deposit(harness, "client").await;
    let provider = Party::connect(harness, "provider").await;
    let stranger = Party::connect(harness, "stranger").await;
    let mut entries = Vec::new();
    let now = client.now().await;
    for salt in 0..4 {
        let terms = client.terms(salt).await;
        let receipt = Receipt { provider: provider.address(), price: PRICE, result: result() };
        let job = client.transport.job_id(&terms);
        let signer = if salt == 1 { &stranger } else { &client };
        let until = if salt == 3 { Time(now.0 - 1) } else { now.after(3_600) };
        let signature = signer.transport.sign_acceptance(job, &receipt, until).await.expect("the key signs");
        entries.push(BatchEntry { terms, receipt, until, signature });
    }
    entries.push(entries[0].clone());
    // Who signed until then did not sign for ever.
    entries.push(BatchEntry { until: Time(u64::MAX), ..entries[3].clone() });
    let before = client.balance().await;
    let landed = stranger.send(Command::SettleBatch { entries: entries.clone() }).await;

    let job = |index: usize| client.transport.job_id(&entries[index].terms);
    let settled = |index: usize| Event::BatchSettled {
        job: job(index),
        client: client.address(),
        provider: provider.address(),
        salt: entries[index].terms.salt,
        price: PRICE,
        output: result().output,
        exit_code: result().exit_code,
    };
    let selector = |signature: &str| {
        let hash = keccak256(signature);
        [hash[0], hash[1], hash[2], hash[3]]
    };
    let skipped = |index, why: &str| Event::BatchSkipped { job: job(index), why: selector(why) };
    let wanted = [
        settled(0),
        skipped(1, "BadSignature(address)"),
        settled(2),
        skipped(3, "TooLate(uint256,uint256)"),
        skipped(4, "SaltSpent(address,uint256)"),
        skipped(5, "BadSignature(address)"),
    ];
    assert_eq!(landed.events, wanted);
    assert_eq!(provider.balance().await, AttoFil(2 * PRICE.0));
    assert_eq!(before.checked_sub(client.balance().await), Some(AttoFil(2 * PRICE.0)));
}

/// Terms that one signed are not another's, and a signature does not move to other terms.
pub async fn another_partys_signature_is_refused(harness: &impl Harness) {
    let client = Party::with_deposit(harness, "client").await;
    let stranger = Party::with_deposit(harness, "stranger").await;
    let terms = client.terms(0).await;
    let by_stranger = signed(&stranger, &terms).await;
    let dearer = Terms { max_price: AttoFil(2 * PRICE.0), ..terms.clone() };
    let by_client = signed(&client, &terms).await;
    for (terms, signature) in [(terms, by_stranger), (dearer, by_client)] {
        let open = Command::OpenSigned { terms, spec: Bytes::new(), signature };
        let error = stranger.send_in_vain(open).await;
        assert_eq!(error, SubmitError::Rejected(Rejection::BadSignature(client.address())));
    }
}
