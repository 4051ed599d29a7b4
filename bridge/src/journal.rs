//! What a transport to a chain must remember between restarts.
//!
//! Nonces and signed bytes are written before anything is broadcast, so a crash at any point leaves either nothing or a
//! transaction that can be sent again unchanged. The node implements [`Journal`] in its own database; [`MemoryJournal`] is a
//! fake that forgets with the process; `conformance::journal` holds every implementation to what is written here.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use lota_market::{Address, B256, Bytes, agent::EffectKey};
use serde::{Deserialize, Serialize};

/// The most signed versions of one transaction: the first and its replacements with higher fees.
pub const MAX_ATTEMPTS: usize = 32;
/// The most checkpoints that are kept for a log.
pub const MAX_CHECKPOINTS: usize = 1_280;
/// The most transactions that [`Journal::since`] and [`Journal::pending_below`] return.
pub const MAX_PAGE: usize = 256;

/// What nonces are counted for: an account on a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountId {
    /// The chain's id.
    pub chain_id: u64,
    pub address: Address,
}

/// One signed version of a transaction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attempt {
    pub hash: B256,
    /// Its bytes, as they are broadcast.
    pub raw: Bytes,
    /// Highest fee per gas, in attoFIL.
    pub max_fee: u128,
    /// Of which at most this goes to the block's producer, in attoFIL.
    pub max_tip: u128,
}

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TransactionOutcome {
    /// It is in no block yet.
    Pending,
    /// It is in a block and succeeded. A reorganisation may make it pending again.
    Landed {
        /// The version that landed.
        transaction: B256,
        /// Number of the block.
        block: u64,
        block_hash: B256,
    },
    /// It is in a block and failed, or its nonce was used for something else: its key is free again.
    Failed,
}

/// A transaction of an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Sending {
    /// The effect it performs.
    pub key: EffectKey,
    /// Hash of what it does (contract, value, call): tells another command under the same key.
    pub content: B256,
    pub nonce: u64,
    /// Its signed versions, oldest first; at least one, at most [`MAX_ATTEMPTS`].
    pub attempts: Vec<Attempt>,
    /// What became of it.
    pub outcome: TransactionOutcome,
}

/// Whose checkpoints these are: a log's of some contracts of a chain.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogId {
    /// The chain's id.
    pub chain_id: u64,
    /// The log's name, of its owner's choice: a market's log has its contract's address.
    pub name: String,
}

/// A block that was canonical when it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Checkpoint {
    pub block: u64,
    pub hash: B256,
    /// How many logs of it were read.
    pub logs: u32,
    /// The position after the last of them: its index on the chain, plus one; 0 when there are none.
    pub index: u32,
}

/// Why the journal cannot do what it is asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The database cannot.
    #[error("the journal cannot be read or written: {0}")]
    Storage(String),
    /// Another transaction that is pending or landed has this key.
    #[error("the key `{0}` belongs to a transaction already")]
    KeyTaken(EffectKey),
    /// Another transaction has this nonce.
    #[error("nonce {0} belongs to a transaction already")]
    NonceTaken(u64),
    /// There is no transaction with this nonce.
    #[error("no transaction with nonce {0} is in the journal")]
    UnknownNonce(u64),
    /// There are too many versions, or none.
    #[error("a transaction has 1 to {MAX_ATTEMPTS} signed versions, not {0}")]
    AttemptCount(usize),
}

/// What a transport to a chain remembers. Every change is one atomic step. What is to be broadcast ([`begin_all`](Self::begin_all),
/// [`add_attempt`](Self::add_attempt)) is on the disk when the call returns; outcomes and checkpoints survive the process, and
/// a power cut may lose the last of them: the chain tells them again.
#[async_trait]
pub trait Journal: Send + Sync + 'static {
    /// One above the highest nonce that was ever begun for this account; `None` when none was.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    async fn next_nonce(&self, account: AccountId) -> Result<Option<u64>, JournalError>;

    /// The transaction of a key that is pending or landed; failed ones are not found.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    async fn find(&self, account: AccountId, key: &EffectKey) -> Result<Option<Sending>, JournalError>;

    /// The account's transactions from this nonce on, whatever became of them, in the order of their nonces; at most
    /// [`MAX_PAGE`].
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    async fn since(&self, account: AccountId, nonce: u64) -> Result<Vec<Sending>, JournalError>;

    /// The account's pending transactions below this nonce, in the order of their nonces; at most [`MAX_PAGE`].
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    async fn pending_below(&self, account: AccountId, nonce: u64) -> Result<Vec<Sending>, JournalError>;

    /// Writes transactions down, all or none, before they are broadcast for the first time.
    ///
    /// # Errors
    /// When a key belongs to one that is pending or landed, or a nonce to any; nothing is written then.
    async fn begin_all(&self, account: AccountId, sendings: &[Sending]) -> Result<(), JournalError>;

    /// Writes one transaction down before it is broadcast for the first time.
    ///
    /// # Errors
    /// As [`begin_all`](Self::begin_all).
    async fn begin(&self, account: AccountId, sending: &Sending) -> Result<(), JournalError> {
        self.begin_all(account, std::slice::from_ref(sending)).await
    }

    /// Adds a signed version before it is broadcast.
    ///
    /// # Errors
    /// When there is no such transaction, or it has [`MAX_ATTEMPTS`] versions.
    async fn add_attempt(&self, account: AccountId, nonce: u64, attempt: &Attempt) -> Result<(), JournalError>;

    /// Writes down what became of transactions, by their nonces: all or nothing.
    ///
    /// # Errors
    /// When there is no such transaction, or when a failed one comes to life whose key another one has by now.
    async fn settle_all(&self, account: AccountId, outcomes: &[(u64, TransactionOutcome)]) -> Result<(), JournalError>;

    /// Writes down what became of one transaction.
    ///
    /// # Errors
    /// As [`settle_all`](Self::settle_all).
    async fn settle(&self, account: AccountId, nonce: u64, outcome: TransactionOutcome) -> Result<(), JournalError> {
        self.settle_all(account, &[(nonce, outcome)]).await
    }

    /// The checkpoints of a log, in the order of their numbers.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    async fn checkpoints(&self, log: &LogId) -> Result<Vec<Checkpoint>, JournalError>;

    /// Replaces the checkpoints of a log; of more than [`MAX_CHECKPOINTS`], the last ones are kept.
    ///
    /// # Errors
    /// [`JournalError::Storage`].
    async fn put_checkpoints(&self, log: &LogId, checkpoints: &[Checkpoint]) -> Result<(), JournalError>;
}

#[derive(Clone, Debug, Default)]
struct Pages {
    sendings: BTreeMap<(AccountId, u64), Sending>,
    checkpoints: BTreeMap<LogId, Vec<Checkpoint>>,
}

/// A journal that lives as long as the process: for tests and for keys that are thrown away. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct MemoryJournal(Arc<Mutex<Pages>>);

impl MemoryJournal {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn of(&self, account: AccountId, from: u64) -> impl DoubleEndedIterator<Item = &Sending> {
        self.sendings.range((account, from)..=(account, u64::MAX)).map(|(_, sending)| sending)
    }

    fn live(&self, account: AccountId, key: &EffectKey) -> Option<&Sending> {
        self.of(account, 0).find(|sending| sending.key == *key && sending.outcome != TransactionOutcome::Failed)
    }
}

#[async_trait]
impl Journal for MemoryJournal {
    async fn next_nonce(&self, account: AccountId) -> Result<Option<u64>, JournalError> {
        Ok(self.pages().of(account, 0).next_back().map(|sending| sending.nonce + 1))
    }

    async fn find(&self, account: AccountId, key: &EffectKey) -> Result<Option<Sending>, JournalError> {
        Ok(self.pages().live(account, key).cloned())
    }

    async fn since(&self, account: AccountId, nonce: u64) -> Result<Vec<Sending>, JournalError> {
        Ok(self.pages().of(account, nonce).take(MAX_PAGE).cloned().collect())
    }

    async fn pending_below(&self, account: AccountId, nonce: u64) -> Result<Vec<Sending>, JournalError> {
        let pages = self.pages();
        let below = pages.of(account, 0).take_while(|sending| sending.nonce < nonce);
        let pending = below.filter(|sending| sending.outcome == TransactionOutcome::Pending);
        Ok(pending.take(MAX_PAGE).cloned().collect())
    }

    async fn begin_all(&self, account: AccountId, sendings: &[Sending]) -> Result<(), JournalError> {
        let mut pages = self.pages();
        for (index, sending) in sendings.iter().enumerate() {
            let before = &sendings[..index];
            if !(1..=MAX_ATTEMPTS).contains(&sending.attempts.len()) {
                return Err(JournalError::AttemptCount(sending.attempts.len()));
            }
            if pages.live(account, &sending.key).is_some() || before.iter().any(|other| other.key == sending.key) {
                return Err(JournalError::KeyTaken(sending.key.clone()));
            }
            if pages.sendings.contains_key(&(account, sending.nonce))
                || before.iter().any(|other| other.nonce == sending.nonce)
            {
                return Err(JournalError::NonceTaken(sending.nonce));
            }
        }
        pages.sendings.extend(sendings.iter().map(|sending| ((account, sending.nonce), sending.clone())));
        Ok(())
    }

    async fn add_attempt(&self, account: AccountId, nonce: u64, attempt: &Attempt) -> Result<(), JournalError> {
        let mut pages = self.pages();
        let sending = pages.sendings.get_mut(&(account, nonce)).ok_or(JournalError::UnknownNonce(nonce))?;
        if sending.attempts.len() >= MAX_ATTEMPTS {
            return Err(JournalError::AttemptCount(sending.attempts.len() + 1));
        }
        sending.attempts.push(attempt.clone());
        Ok(())
    }

    async fn settle_all(&self, account: AccountId, outcomes: &[(u64, TransactionOutcome)]) -> Result<(), JournalError> {
        let mut pages = self.pages();
        let mut changed = pages.clone();
        for (nonce, outcome) in outcomes {
            let sending = changed.sendings.get(&(account, *nonce)).ok_or(JournalError::UnknownNonce(*nonce))?;
            let key = sending.key.clone();
            if *outcome != TransactionOutcome::Failed
                && changed.live(account, &key).is_some_and(|live| live.nonce != *nonce)
            {
                return Err(JournalError::KeyTaken(key));
            }
            if let Some(sending) = changed.sendings.get_mut(&(account, *nonce)) {
                sending.outcome = *outcome;
            }
        }
        *pages = changed;
        Ok(())
    }

    async fn checkpoints(&self, log: &LogId) -> Result<Vec<Checkpoint>, JournalError> {
        Ok(self.pages().checkpoints.get(log).cloned().unwrap_or_default())
    }

    async fn put_checkpoints(&self, log: &LogId, checkpoints: &[Checkpoint]) -> Result<(), JournalError> {
        let last = checkpoints.len().saturating_sub(MAX_CHECKPOINTS);
        self.pages().checkpoints.insert(log.clone(), checkpoints[last..].to_vec());
        Ok(())
    }
}
