//! The transport's journal in the node's database.

use std::path::Path;

use async_trait::async_trait;
use lota_bridge::failure::causes;
use lota_bridge::journal::{
    AccountId, Attempt, Checkpoint, Journal, JournalError, LogId, MAX_ATTEMPTS, MAX_CHECKPOINTS, MAX_PAGE, Sending,
    TransactionOutcome,
};
use lota_market::agent::EffectKey;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row as _, SqliteConnection, SqliteExecutor, sqlite::SqliteSynchronous};

use super::{Store, StoreError, Writing, decode, encode, signed};

/// What a transport to a chain remembers, in the node's database. What is to be broadcast goes over connections of its own, which
/// write through to the disk (`synchronous = FULL`): a transaction must not be broadcast before its bytes are safe. The rest
/// (`NORMAL`) follows: what a power cut takes of it, the chain tells again, and the cursor that rests on it was written later.
#[derive(Clone, Debug)]
pub struct NodeJournal {
    safe: Store,
    quick: Store,
}

impl NodeJournal {
    /// Opens the journal in a node's folder.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn open(dir: &Path) -> Result<Self, StoreError> {
        let file = dir.join(super::FILE);
        let safe = Store::open_with(&file, SqliteSynchronous::Full, 1).await?;
        Ok(Self { safe, quick: Store::open_with(&file, SqliteSynchronous::Normal, 2).await? })
    }
}

async fn begin(store: &Store) -> Result<Writing, JournalError> {
    store.write().await.map_err(storage)
}

/// With its causes, which say whether the disk is full.
fn storage(error: impl std::error::Error) -> JournalError {
    JournalError::Storage(causes(&error))
}

fn write<T: Serialize>(value: &T) -> Result<Vec<u8>, JournalError> {
    encode(value).map_err(storage)
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JournalError> {
    decode("a transaction", bytes).map_err(storage)
}

fn chain(account: &AccountId) -> i64 {
    signed(account.chain_id)
}

async fn by_nonce(writing: &mut SqliteConnection, account: AccountId, nonce: u64) -> Result<Sending, JournalError> {
    let row = sqlx::query("SELECT record FROM sendings WHERE chain = $1 AND account = $2 AND nonce = $3")
        .bind(chain(&account))
        .bind(account.address.as_slice())
        .bind(signed(nonce))
        .fetch_optional(writing)
        .await
        .map_err(storage)?;
    row.map_or(Err(JournalError::UnknownNonce(nonce)), |row| read(row.get(0)))
}

async fn live(
    database: impl SqliteExecutor<'_>,
    account: AccountId,
    key: &EffectKey,
) -> Result<Option<Sending>, JournalError> {
    let row = sqlx::query("SELECT record FROM sendings WHERE chain = $1 AND account = $2 AND key = $3 AND live")
        .bind(chain(&account))
        .bind(account.address.as_slice())
        .bind(key.as_str())
        .fetch_optional(database)
        .await
        .map_err(storage)?;
    row.map(|row| read(row.get(0))).transpose()
}

async fn replace(writing: &mut SqliteConnection, account: AccountId, sending: &Sending) -> Result<(), JournalError> {
    sqlx::query(
        "UPDATE sendings SET live = $4, pending = $5, record = $6 WHERE chain = $1 AND account = $2 AND nonce = $3",
    )
    .bind(chain(&account))
    .bind(account.address.as_slice())
    .bind(signed(sending.nonce))
    .bind(sending.outcome != TransactionOutcome::Failed)
    .bind(sending.outcome == TransactionOutcome::Pending)
    .bind(write(sending)?)
    .execute(writing)
    .await
    .map_err(storage)?;
    Ok(())
}

fn checkpoints_key(log: &LogId) -> String {
    format!("checkpoints/{}/{}", log.chain_id, log.name)
}

#[async_trait]
impl Journal for NodeJournal {
    async fn next_nonce(&self, account: AccountId) -> Result<Option<u64>, JournalError> {
        let row = sqlx::query("SELECT MAX(nonce) FROM sendings WHERE chain = $1 AND account = $2")
            .bind(chain(&account))
            .bind(account.address.as_slice())
            .fetch_one(self.quick.pool())
            .await
            .map_err(storage)?;
        Ok(row.get::<Option<i64>, _>(0).map(|nonce| super::unsigned(nonce) + 1))
    }

    async fn find(&self, account: AccountId, key: &EffectKey) -> Result<Option<Sending>, JournalError> {
        live(self.quick.pool(), account, key).await
    }

    async fn since(&self, account: AccountId, nonce: u64) -> Result<Vec<Sending>, JournalError> {
        let rows = sqlx::query(
            "SELECT record FROM sendings WHERE chain = $1 AND account = $2 AND nonce >= $3 ORDER BY nonce LIMIT $4",
        )
        .bind(chain(&account))
        .bind(account.address.as_slice())
        .bind(signed(nonce))
        .bind(i64::try_from(MAX_PAGE).unwrap_or(i64::MAX))
        .fetch_all(self.quick.pool())
        .await
        .map_err(storage)?;
        rows.iter().map(|row| read(row.get(0))).collect()
    }

    async fn pending_below(&self, account: AccountId, nonce: u64) -> Result<Vec<Sending>, JournalError> {
        let rows = sqlx::query(
            "SELECT record FROM sendings WHERE chain = $1 AND account = $2 AND nonce < $3 AND pending ORDER BY nonce LIMIT $4",
        )
        .bind(chain(&account))
        .bind(account.address.as_slice())
        .bind(signed(nonce))
        .bind(i64::try_from(MAX_PAGE).unwrap_or(i64::MAX))
        .fetch_all(self.quick.pool())
        .await
        .map_err(storage)?;
        rows.iter().map(|row| read(row.get(0))).collect()
    }

    async fn begin_all(&self, account: AccountId, sendings: &[Sending]) -> Result<(), JournalError> {
        let mut writing = begin(&self.safe).await?;
        for sending in sendings {
            if !(1..=MAX_ATTEMPTS).contains(&sending.attempts.len()) {
                return Err(JournalError::AttemptCount(sending.attempts.len()));
            }
            if live(&mut *writing, account, &sending.key).await?.is_some() {
                return Err(JournalError::KeyTaken(sending.key.clone()));
            }
            match by_nonce(&mut writing, account, sending.nonce).await {
                Err(JournalError::UnknownNonce(_)) => {}
                Ok(_) => return Err(JournalError::NonceTaken(sending.nonce)),
                Err(error) => return Err(error),
            }
            sqlx::query(
                "INSERT INTO sendings (chain, account, nonce, key, live, pending, record) VALUES ($1, $2, $3, $4, $5, $6, $7)",
            )
            .bind(chain(&account))
            .bind(account.address.as_slice())
            .bind(signed(sending.nonce))
            .bind(sending.key.as_str())
            .bind(sending.outcome != TransactionOutcome::Failed)
            .bind(sending.outcome == TransactionOutcome::Pending)
            .bind(write(sending)?)
            .execute(&mut *writing)
            .await
            .map_err(storage)?;
        }
        writing.commit().await.map_err(storage)
    }

    async fn add_attempt(&self, account: AccountId, nonce: u64, attempt: &Attempt) -> Result<(), JournalError> {
        let mut writing = begin(&self.safe).await?;
        let mut sending = by_nonce(&mut writing, account, nonce).await?;
        if sending.attempts.len() >= MAX_ATTEMPTS {
            return Err(JournalError::AttemptCount(sending.attempts.len() + 1));
        }
        sending.attempts.push(attempt.clone());
        replace(&mut writing, account, &sending).await?;
        writing.commit().await.map_err(storage)
    }

    async fn settle_all(&self, account: AccountId, outcomes: &[(u64, TransactionOutcome)]) -> Result<(), JournalError> {
        let mut writing = begin(&self.quick).await?;
        for (nonce, outcome) in outcomes {
            let mut sending = by_nonce(&mut writing, account, *nonce).await?;
            if *outcome != TransactionOutcome::Failed
                && live(&mut *writing, account, &sending.key).await?.is_some_and(|live| live.nonce != *nonce)
            {
                return Err(JournalError::KeyTaken(sending.key));
            }
            sending.outcome = *outcome;
            replace(&mut writing, account, &sending).await?;
        }
        writing.commit().await.map_err(storage)
    }

    async fn checkpoints(&self, log: &LogId) -> Result<Vec<Checkpoint>, JournalError> {
        Ok(self.quick.meta(&checkpoints_key(log)).await.map_err(storage)?.unwrap_or_default())
    }

    async fn put_checkpoints(&self, log: &LogId, checkpoints: &[Checkpoint]) -> Result<(), JournalError> {
        let first = checkpoints.len().saturating_sub(MAX_CHECKPOINTS);
        let kept = checkpoints.get(first..).unwrap_or_default().to_vec();
        // In a task of its own: this is called within the stream of updates, which only the node's loop polls. A write that
        // is half done when the loop turns to its own would never end, and the loop would wait for it in vain.
        let (store, key) = (self.quick.clone(), checkpoints_key(log));
        tokio::spawn(async move { store.set_meta(&key, &kept).await }).await.map_err(storage)?.map_err(storage)
    }
}

#[cfg(test)]
mod tests {
    use lota_market::{
        Address, B256, Bytes,
        agent::{Step, StepKey, Subject},
        model::JobId,
    };
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn a_write_of_checkpoints_that_nobody_polls_any_more_does_not_keep_the_node_out() {
        let folder = TempDir::new().expect("a folder");
        let journal = NodeJournal::open(folder.path()).await.expect("it opens");
        let store = Store::open(&folder.path().join(super::super::FILE)).await.expect("it opens");
        let log = LogId { chain_id: 1, name: "market".into() };
        for _ in 0..50 {
            // Polled once, and then left health.
            let mut write = Box::pin(journal.put_checkpoints(&log, &[]));
            assert!(futures::poll!(&mut write).is_pending(), "it waits for the disk");
            store.begin().await.expect("the node's own write").commit().await.expect("written");
            write.await.expect("written");
        }
    }

    #[tokio::test]
    async fn what_an_earlier_version_wrote_down_for_a_step_is_found() {
        let folder = TempDir::new().expect("a folder");
        let account = AccountId { chain_id: 1, address: Address::repeat_byte(7) };
        let sending = |key: &EffectKey, nonce| Sending {
            key: key.clone(),
            content: B256::repeat_byte(1),
            nonce,
            attempts: vec![Attempt { hash: B256::ZERO, raw: Bytes::new(), max_fee: 2, max_tip: 1 }],
            outcome: TransactionOutcome::Pending,
        };
        let of = |subject| EffectKey::of(&StepKey { subject, step: Step::Lock, round: 2, attempt: 1 });
        // As versions wrote it in which all steps were a job's.
        let old = EffectKey::named("0xabababababababababababababababababababababababababababababababab/lock");
        let job = of(Subject::Job(JobId(B256::repeat_byte(0xab))));
        let party = of(Subject::Party(account.address));
        let journal = NodeJournal::open(folder.path()).await.expect("it opens");
        journal.begin(account, &sending(&old, 0)).await.expect("written");
        journal.begin(account, &sending(&party, 1)).await.expect("written");
        drop(journal);
        let journal = NodeJournal::open(folder.path()).await.expect("it opens again");
        assert_eq!(journal.find(account, &job).await, Ok(Some(sending(&old, 0))));
        assert_eq!(journal.find(account, &party).await, Ok(Some(sending(&party, 1))));
    }

    #[tokio::test]
    async fn what_an_earlier_version_left_pending_is_found() {
        let folder = TempDir::new().expect("a folder");
        let account = AccountId { chain_id: 1, address: Address::repeat_byte(7) };
        let landed = TransactionOutcome::Landed { transaction: B256::ZERO, block: 9, block_hash: B256::repeat_byte(3) };
        let outcomes = [TransactionOutcome::Pending, landed, TransactionOutcome::Failed, TransactionOutcome::Pending];
        let journal = NodeJournal::open(folder.path()).await.expect("it opens");
        for (nonce, outcome) in (0..).zip(outcomes) {
            let attempts = vec![Attempt { hash: B256::ZERO, raw: vec![7; 300].into(), max_fee: 2, max_tip: 1 }];
            let key = EffectKey::named(&format!("step/{nonce}"));
            let sending = Sending { key, content: B256::ZERO, nonce, attempts, outcome };
            journal.begin(account, &sending).await.expect("written");
        }
        // As it was before the step, and those that came after it.
        for statement in [
            "DROP TABLE rails",
            "DROP TABLE rail_events",
            "DROP INDEX publications_due_again",
            "ALTER TABLE publications DROP COLUMN looks",
            "ALTER TABLE publications DROP COLUMN given_up",
            "DROP TABLE order_events",
            "DROP INDEX pending_sendings",
            "ALTER TABLE sendings DROP COLUMN pending",
            "DELETE FROM _sqlx_migrations WHERE version >= 16",
        ] {
            sqlx::query(statement).execute(journal.safe.pool()).await.expect("undone");
        }
        drop(journal);
        let journal = NodeJournal::open(folder.path()).await.expect("it opens again");
        let pending = journal.pending_below(account, 9).await.expect("it reads");
        assert_eq!(pending.iter().map(|sending| sending.nonce).collect::<Vec<_>>(), [0, 3]);
    }

    #[tokio::test]
    async fn a_full_disk_is_called_full() {
        let folder = TempDir::new().expect("a folder");
        let account = AccountId { chain_id: 1, address: Address::repeat_byte(7) };
        let sending = Sending {
            key: EffectKey::named("once"),
            content: B256::repeat_byte(1),
            nonce: 0,
            attempts: vec![Attempt { hash: B256::ZERO, raw: vec![7; 1 << 20].into(), max_fee: 2, max_tip: 1 }],
            outcome: TransactionOutcome::Pending,
        };
        let journal = NodeJournal::open(folder.path()).await.expect("it opens");
        // No page more than there are: SQLite says the same as on a full disk.
        sqlx::query("PRAGMA max_page_count = 1").execute(journal.safe.pool()).await.expect("set");
        let error = journal.begin(account, &sending).await.expect_err("there is no room");
        assert!(error.to_string().contains("database or disk is full"), "{error}");
        assert_eq!(journal.since(account, 0).await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn the_node_s_journal_keeps_what_journals_promise() {
        let folder = TempDir::new().expect("a folder");
        lota_bridge::conformance::journal::suite(async || NodeJournal::open(folder.path()).await.expect("it opens"))
            .await;
    }
}
