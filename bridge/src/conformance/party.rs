//! A party of the suite: a transport, and the commands that the suite needs.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    agent::EffectKey,
    model::{Command, JobId, JobResult, Receipt, Terms},
    money::FIL,
};

use super::{Harness, Log, log::Line};
use crate::{Cursor, Landed, SubmitError, Transport, TransportError};

/// What jobs of the suite cost.
pub(super) const PRICE: AttoFil = AttoFil(2 * FIL);
/// What providers of the suite stake.
pub(super) const COLLATERAL: AttoFil = AttoFil(FIL + 1_000_000_000);
/// The windows of jobs of the suite, in seconds.
pub(super) const WINDOW: u32 = 600;

/// Reads until the connection holds.
async fn persistently<T, F: Future<Output = Result<T, TransportError>>>(read: impl Fn() -> F) -> T {
    loop {
        match read().await {
            Ok(value) => return value,
            Err(error) if error.is_temporary() => {}
            Err(error) => panic!("the market cannot be read: {error}"),
        }
    }
}

/// A party.
pub struct Party {
    pub transport: Arc<dyn Transport>,
    keys: AtomicU64,
    name: String,
}

impl Party {
    /// Connects a party.
    pub async fn connect(harness: &impl Harness, name: &str) -> Self {
        Self { transport: harness.connect(name).await, keys: AtomicU64::new(0), name: name.to_owned() }
    }

    /// Connects a party that has money in the market.
    pub async fn with_deposit(harness: &impl Harness, name: &str) -> Self {
        let party = Self::connect(harness, name).await;
        party.pay(Command::Deposit { account: party.address() }, AttoFil(100 * FIL)).await;
        party
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> Address {
        self.transport.party()
    }

    /// A key that this party has not used.
    pub fn fresh_key(&self) -> EffectKey {
        EffectKey::named(&format!("{}/{}", self.name, self.keys.fetch_add(1, Ordering::Relaxed)))
    }

    /// Sends a command under a key of its own.
    pub async fn send(&self, command: Command) -> Landed {
        self.pay(command, AttoFil::ZERO).await
    }

    /// The same with value.
    pub async fn pay(&self, command: Command, value: AttoFil) -> Landed {
        let key = self.fresh_key();
        loop {
            match self.transport.submit(&key, &command, value).await {
                Ok(landed) => return landed,
                // A broken connection: submitting again under the same key is harmless.
                Err(SubmitError::Transport(error)) if error.is_temporary() => {}
                Err(error) => panic!("{command:?} was not taken: {error}"),
            }
        }
    }

    /// Sends a command that is not taken.
    pub async fn send_in_vain(&self, command: Command) -> SubmitError {
        let landed = self.transport.submit(&self.fresh_key(), &command, AttoFil::ZERO).await;
        landed.err().unwrap_or_else(|| panic!("{command:?} was taken"))
    }

    /// Announces a URL under a key.
    pub async fn announce(&self, key: &EffectKey, url: &str) -> Result<Landed, SubmitError> {
        self.transport.submit(key, &announcement(url), AttoFil::ZERO).await
    }

    /// Its log from a position on.
    #[must_use]
    pub fn log(&self, from: Option<Cursor>, known: Vec<Line>) -> Log {
        Log::open(&*self.transport, from, known)
    }

    /// Its log from the beginning.
    #[must_use]
    pub fn whole_log(&self) -> Log {
        self.log(None, Vec::new())
    }

    /// Its balance in the market.
    pub async fn balance(&self) -> AttoFil {
        persistently(|| self.transport.balance(self.address())).await
    }

    /// Its money outside the market.
    pub async fn wallet(&self) -> AttoFil {
        persistently(|| self.transport.wallet(self.address())).await
    }

    /// The market's time.
    pub async fn now(&self) -> Time {
        persistently(|| self.transport.head()).await.time
    }

    /// Terms of a job of this client that can be locked at once, for exactly [`PRICE`], and whose result nobody can dispute.
    pub async fn terms(&self, salt: u64) -> Terms {
        let now = self.now().await;
        Terms {
            client: self.address(),
            salt: U256::from(salt),
            spec: B256::repeat_byte(5),
            spec_codec: 0x71,
            min_price: PRICE,
            max_price: PRICE,
            ramp_start: now,
            ramp_period: 1,
            lock_by: now.after(3_600),
            run_for: WINDOW,
            review_for: 0,
            rule_for: 0,
            collateral: COLLATERAL,
            matcher: Address::ZERO,
            arbiter: Address::ZERO,
            callback_gas: 0,
            keep_record: false,
        }
    }

    /// The same, and this arbiter may dispute the result.
    pub async fn disputable_terms(&self, salt: u64, arbiter: Address) -> Terms {
        Terms { arbiter, review_for: WINDOW, rule_for: WINDOW, ..self.terms(salt).await }
    }

    /// Opens a job of this client.
    pub async fn open(&self, terms: &Terms) -> JobId {
        self.send(Command::Open { terms: terms.clone(), spec: Bytes::new() }).await;
        self.transport.job_id(terms)
    }

    /// Runs a job as its provider, up to its result.
    pub async fn run(&self, terms: &Terms) -> Receipt {
        self.send(Command::Lock { terms: terms.clone() }).await;
        let result = result();
        self.send(Command::SubmitResult { terms: terms.clone(), result: result.clone() }).await;
        Receipt { provider: self.address(), price: terms.max_price, result }
    }
}

/// A result.
pub(super) fn result() -> JobResult {
    JobResult {
        output: B256::repeat_byte(6),
        exit_code: 3,
        fuel_used: u64::MAX,
        inline_data: b"forty-two".to_vec().into(),
    }
}

/// A command that anybody may send at any time.
pub(super) fn announcement(url: &str) -> Command {
    Command::Announce { url: url.into() }
}
