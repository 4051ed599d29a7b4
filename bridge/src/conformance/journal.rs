//! What every [`Journal`] must do.

use futures::future::join_all;
use lota_market::{Address, B256, Bytes, agent::EffectKey};

use crate::journal::{
    AccountId, Attempt, Checkpoint, Journal, JournalError, LogId, MAX_ATTEMPTS, MAX_CHECKPOINTS, MAX_PAGE, Sending,
    TransactionOutcome,
};

const ME: AccountId = AccountId { chain_id: 314, address: Address::repeat_byte(1) };

fn attempt(byte: u8) -> Attempt {
    Attempt {
        hash: B256::repeat_byte(byte),
        raw: Bytes::copy_from_slice(&[byte; 300]),
        max_fee: u128::MAX - u128::from(byte),
        max_tip: u128::from(byte),
    }
}

fn sending(name: &str, nonce: u64) -> Sending {
    Sending {
        key: EffectKey::named(name),
        content: B256::repeat_byte(0xcc),
        nonce,
        attempts: vec![attempt(1)],
        outcome: TransactionOutcome::Pending,
    }
}

fn landed(byte: u8) -> TransactionOutcome {
    TransactionOutcome::Landed {
        transaction: B256::repeat_byte(byte),
        block: u64::MAX >> 1,
        block_hash: B256::repeat_byte(byte),
    }
}

/// Runs the suite. `open` opens the same journal again, as after a restart; it is empty at first.
///
/// # Panics
/// When the journal does something else.
pub async fn suite<J: Journal>(open: impl AsyncFn() -> J) {
    nothing_is_found_in_an_empty_one(&open().await).await;
    what_is_begun_is_there_after_a_restart(&open).await;
    a_key_and_a_nonce_belong_to_one_transaction(&open().await).await;
    a_failed_transaction_frees_its_key_and_not_its_nonce(&open().await).await;
    accounts_and_chains_are_kept_apart(&open().await).await;
    versions_are_limited(&open().await).await;
    of_many_at_once_one_begins(&open().await).await;
    several_begin_and_end_together_or_not_at_all(&open).await;
    pages_are_bounded(&open().await).await;
    what_is_pending_is_found_until_it_ends(&open).await;
    checkpoints_are_replaced_and_bounded(&open).await;
}

async fn nothing_is_found_in_an_empty_one(journal: &impl Journal) {
    assert_eq!(journal.next_nonce(ME).await, Ok(None));
    assert_eq!(journal.find(ME, &EffectKey::named("a")).await, Ok(None));
    assert_eq!(journal.since(ME, 0).await, Ok(vec![]));
    assert_eq!(journal.pending_below(ME, 1_000).await, Ok(vec![]));
    assert_eq!(journal.add_attempt(ME, 0, &attempt(1)).await, Err(JournalError::UnknownNonce(0)));
    assert_eq!(journal.settle(ME, 0, TransactionOutcome::Failed).await, Err(JournalError::UnknownNonce(0)));
}

async fn what_is_begun_is_there_after_a_restart<J: Journal>(open: &impl AsyncFn() -> J) {
    let mut first = sending("a", 5);
    open().await.begin(ME, &first).await.expect("begins");
    assert_eq!(open().await.next_nonce(ME).await, Ok(Some(6)));
    assert_eq!(open().await.find(ME, &first.key).await, Ok(Some(first.clone())));
    open().await.add_attempt(ME, 5, &attempt(2)).await.expect("is added");
    first.attempts.push(attempt(2));
    for outcome in [landed(2), TransactionOutcome::Pending, landed(1)] {
        open().await.settle(ME, 5, outcome).await.expect("settles");
        first.outcome = outcome;
        assert_eq!(open().await.find(ME, &first.key).await, Ok(Some(first.clone())));
        assert_eq!(open().await.since(ME, 5).await, Ok(vec![first.clone()]));
    }
    assert_eq!(open().await.since(ME, 6).await, Ok(vec![]));
}

async fn a_key_and_a_nonce_belong_to_one_transaction(journal: &impl Journal) {
    let first = sending("a", 5);
    assert_eq!(journal.begin(ME, &sending("a", 6)).await, Err(JournalError::KeyTaken(first.key.clone())));
    assert_eq!(journal.begin(ME, &sending("b", 5)).await, Err(JournalError::NonceTaken(5)));
    assert_eq!(journal.next_nonce(ME).await, Ok(Some(6)), "nothing was written");
    assert_eq!(journal.find(ME, &EffectKey::named("b")).await, Ok(None), "nothing was written");
    // A gap is the caller's business (nonces that were used elsewhere).
    journal.begin(ME, &sending("b", 8)).await.expect("begins");
    journal.begin(ME, &sending("c", 7)).await.expect("begins");
    assert_eq!(journal.next_nonce(ME).await, Ok(Some(9)));
    let nonces: Vec<_> = journal.since(ME, 0).await.expect("reads").iter().map(|sending| sending.nonce).collect();
    assert_eq!(nonces, [5, 7, 8]);
}

async fn a_failed_transaction_frees_its_key_and_not_its_nonce(journal: &impl Journal) {
    journal.settle(ME, 8, TransactionOutcome::Failed).await.expect("settles");
    let key = EffectKey::named("b");
    assert_eq!(journal.find(ME, &key).await, Ok(None));
    assert_eq!(journal.begin(ME, &sending("d", 8)).await, Err(JournalError::NonceTaken(8)));
    assert_eq!(journal.next_nonce(ME).await, Ok(Some(9)));
    let again = Sending { content: B256::repeat_byte(0xdd), ..sending("b", 9) };
    journal.begin(ME, &again).await.expect("the key is free");
    assert_eq!(journal.find(ME, &key).await, Ok(Some(again)));
    // A reorganisation may bring the failed one back; its key has a new owner.
    assert_eq!(journal.settle(ME, 8, TransactionOutcome::Pending).await, Err(JournalError::KeyTaken(key)));
    let outcomes: Vec<_> = journal.since(ME, 8).await.expect("reads").iter().map(|sending| sending.outcome).collect();
    assert_eq!(outcomes, [TransactionOutcome::Failed, TransactionOutcome::Pending]);
}

async fn accounts_and_chains_are_kept_apart(journal: &impl Journal) {
    for other in [AccountId { chain_id: 315, ..ME }, AccountId { address: Address::repeat_byte(2), ..ME }] {
        assert_eq!(journal.next_nonce(other).await, Ok(None));
        journal.begin(other, &sending("a", 5)).await.expect("begins");
        assert_eq!(journal.next_nonce(other).await, Ok(Some(6)));
        assert_eq!(journal.since(other, 0).await.expect("reads").len(), 1);
    }
}

async fn versions_are_limited(journal: &impl Journal) {
    let none = Sending { attempts: vec![], ..sending("e", 20) };
    assert_eq!(journal.begin(ME, &none).await, Err(JournalError::AttemptCount(0)));
    journal.begin(ME, &sending("e", 20)).await.expect("begins");
    for byte in 2..=MAX_ATTEMPTS as u8 {
        journal.add_attempt(ME, 20, &attempt(byte)).await.expect("is added");
    }
    let one_more = journal.add_attempt(ME, 20, &attempt(0xff)).await;
    assert_eq!(one_more, Err(JournalError::AttemptCount(MAX_ATTEMPTS + 1)));
    let found = journal.find(ME, &EffectKey::named("e")).await.expect("reads").expect("is there");
    let bytes: Vec<_> = found.attempts.iter().map(|attempt| attempt.max_tip).collect();
    assert_eq!(bytes, (1..=MAX_ATTEMPTS as u128).collect::<Vec<_>>());
}

async fn of_many_at_once_one_begins(journal: &impl Journal) {
    let same_key: Vec<_> = (30..40).map(|nonce| sending("f", nonce)).collect();
    let begun = join_all(same_key.iter().map(|sending| journal.begin(ME, sending))).await;
    assert_eq!(begun.iter().filter(|result| result.is_ok()).count(), 1, "{begun:?}");
    let same_nonce: Vec<_> = (0..10).map(|number| sending(&format!("g{number}"), 50)).collect();
    let begun = join_all(same_nonce.iter().map(|sending| journal.begin(ME, sending))).await;
    assert_eq!(begun.iter().filter(|result| result.is_ok()).count(), 1, "{begun:?}");
}

async fn several_begin_and_end_together_or_not_at_all<J: Journal>(open: &impl AsyncFn() -> J) {
    let us = AccountId { chain_id: 2, ..ME };
    let [first, second, third] = [sending("i", 1), sending("j", 2), sending("k", 3)];
    open().await.begin_all(us, &[]).await.expect("nothing to do");
    open().await.begin_all(us, &[first.clone(), second.clone()]).await.expect("both begin");
    assert_eq!(open().await.since(us, 0).await, Ok(vec![first.clone(), second.clone()]));
    for (others, problem) in [
        ([third.clone(), sending("i", 4)], JournalError::KeyTaken(first.key.clone())),
        ([third.clone(), sending("l", 1)], JournalError::NonceTaken(1)),
        ([third.clone(), sending("k", 4)], JournalError::KeyTaken(third.key.clone())),
        ([third.clone(), sending("l", 3)], JournalError::NonceTaken(3)),
        ([third.clone(), Sending { attempts: vec![], ..sending("l", 4) }], JournalError::AttemptCount(0)),
    ] {
        assert_eq!(open().await.begin_all(us, &others).await, Err(problem));
        assert_eq!(open().await.next_nonce(us).await, Ok(Some(3)), "nothing was written");
    }
    let outcomes = async || -> Vec<_> {
        let all = open().await.since(us, 0).await.expect("reads");
        all.iter().map(|sending| sending.outcome).collect()
    };
    let unknown = open().await.settle_all(us, &[(1, landed(1)), (7, landed(1))]).await;
    assert_eq!(unknown, Err(JournalError::UnknownNonce(7)));
    assert_eq!(outcomes().await, [TransactionOutcome::Pending; 2], "nothing was written");
    open().await.settle_all(us, &[(1, landed(1)), (2, TransactionOutcome::Failed)]).await.expect("both are settled");
    assert_eq!(outcomes().await, [landed(1), TransactionOutcome::Failed]);
    open().await.begin(us, &sending("j", 3)).await.expect("the key is free");
    let taken =
        open().await.settle_all(us, &[(1, TransactionOutcome::Pending), (2, TransactionOutcome::Pending)]).await;
    assert_eq!(taken, Err(JournalError::KeyTaken(second.key)));
    assert_eq!(outcomes().await, [landed(1), TransactionOutcome::Failed, TransactionOutcome::Pending]);
}

async fn pages_are_bounded(journal: &impl Journal) {
    let many = AccountId { chain_id: 1, ..ME };
    for nonce in 0..MAX_PAGE as u64 + 3 {
        journal.begin(many, &sending(&format!("h{nonce}"), nonce)).await.expect("begins");
    }
    let page = journal.since(many, 1).await.expect("reads");
    let nonces: Vec<_> = page.iter().map(|sending| sending.nonce).collect();
    assert_eq!(nonces, (1..=MAX_PAGE as u64).collect::<Vec<_>>());
    assert_eq!(journal.pending_below(many, u64::from(u32::MAX)).await.expect("reads").len(), MAX_PAGE);
}

async fn what_is_pending_is_found_until_it_ends<J: Journal>(open: &impl AsyncFn() -> J) {
    let us = AccountId { chain_id: 3, ..ME };
    let all: Vec<_> = [1, 2, 3, 5].map(|nonce| sending(&format!("m{nonce}"), nonce)).into();
    open().await.begin_all(us, &all).await.expect("all begin");
    let failed = Sending { outcome: TransactionOutcome::Failed, ..sending("m4", 4) };
    open().await.begin(us, &failed).await.expect("begins");
    let pending = async |below| -> Vec<_> {
        let found = open().await.pending_below(us, below).await.expect("reads");
        found.iter().map(|sending| sending.nonce).collect()
    };
    assert_eq!(open().await.pending_below(us, 9).await, Ok(all.clone()));
    assert_eq!((pending(0).await, pending(1).await, pending(5).await), (vec![], vec![], vec![1, 2, 3]));
    open().await.settle_all(us, &[(1, landed(1)), (3, TransactionOutcome::Failed)]).await.expect("both are settled");
    assert_eq!(pending(9).await, [2, 5]);
    open().await.add_attempt(us, 2, &attempt(2)).await.expect("is added");
    open().await.settle(us, 1, TransactionOutcome::Pending).await.expect("a reorganisation undid it");
    assert_eq!(pending(9).await, [1, 2, 5]);
    open().await.settle_all(us, &[(1, landed(1)), (2, landed(2)), (5, landed(1))]).await.expect("all are settled");
    assert_eq!(pending(9).await, [0; 0]);
    assert_eq!(open().await.pending_below(AccountId { chain_id: 4, ..us }, 9).await, Ok(vec![]));
}

async fn checkpoints_are_replaced_and_bounded<J: Journal>(open: &impl AsyncFn() -> J) {
    let log = &LogId { chain_id: 314, name: "one".into() };
    let other = &LogId { chain_id: 314, name: "other".into() };
    let points: Vec<_> = (0..MAX_CHECKPOINTS as u64 + 5)
        .map(|block| Checkpoint { block, hash: B256::with_last_byte(block as u8), logs: 1, index: block as u32 })
        .collect();
    assert_eq!(open().await.checkpoints(log).await, Ok(vec![]));
    open().await.put_checkpoints(log, &points[..3]).await.expect("is written");
    assert_eq!(open().await.checkpoints(log).await, Ok(points[..3].to_vec()));
    assert_eq!(open().await.checkpoints(other).await, Ok(vec![]));
    open().await.put_checkpoints(log, &points).await.expect("is written");
    assert_eq!(open().await.checkpoints(log).await, Ok(points[5..].to_vec()));
    open().await.put_checkpoints(log, &points[..1]).await.expect("is written");
    assert_eq!(open().await.checkpoints(log).await, Ok(points[..1].to_vec()));
}
