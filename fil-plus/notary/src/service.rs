//! A notary's service: it follows a market and its blessing, gathers what there is to know of settled jobs, nominates them, holds and
//! relays what notaries sign, has granted what was blessed and paid what was granted, and tells whoever asked to be told.
//!
//! Everything that it does by itself it may do again after a crash: commands have keys, what is told has ids. What leaves the market
//! (grants, payments, alerts, attestations) waits until what it rests on is final.

mod asking;
mod attesting;
mod desk;
mod following;
mod gathering;
mod granting;
mod letting_go;
mod nominating;
mod opened;
mod paying;
mod refusals;
mod relaying;
mod settings;
mod telling;
#[cfg(test)]
mod tests;
mod voting;
mod watching;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use ed25519_dalek::SigningKey;
use futures::FutureExt as _;
use lota_bridge::{
    Transport,
    blessing::{BlessingSubmitError, BlessingTransport},
    transport::{Head, TransportError},
};
use lota_market::{Time, asset::Asset, model::JobId};
use tokio::sync::{Notify, broadcast};

pub use attesting::{Decided, PREDICATE_TYPE, Verdict};
pub use settings::{Amount, ChainPatience, GranterName, MAX_SIZE, NominationPolicy, Settings, SettingsError};

use crate::{
    alerts::Deliver,
    audit_file::{AuditFile, AuditFileError},
    desk::{About, Change, DeskError},
    elsewhere::Sources,
    history::{FollowError, History, HistoryError},
    other_notary::OtherNotary,
    payments::{Landed, Payer},
    store::{AuditNote, Store, StoreError},
};

/// How many changes are kept for a page that reads slowly.
const CHANGES: usize = 1_024;
/// The databases that share a service's room.
const DATABASES: u64 = 2;
const HISTORY: &str = "the market's history";
/// Seconds until something is tried again.
const RETRY_AFTER: u64 = 15;

/// The time of day, in Unix seconds.
pub type Clock = Arc<dyn Fn() -> Time + Send + Sync>;

/// Why a service cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    Audit(#[from] AuditFileError),
    #[error(
        "the audit log has {found} entries, and {noted} were noted: lines at its end are missing; put the file back as it was"
    )]
    AuditCut { found: u64, noted: u64 },
    #[error(transparent)]
    Follow(#[from] FollowError),
    #[error("the blessing can no longer be read")]
    Blessing(#[from] TransportError),
    #[error("the blessing's log ended")]
    Ended,
    #[error("the blessing at {blessing} is of the market {its}, and {market} is configured")]
    OtherMarket { blessing: lota_market::Address, its: lota_market::Address, market: lota_market::Address },
}

/// What a service is made of.
pub struct Parts {
    pub market: lota_bridge::MarketRef,
    /// What the market's amounts are in.
    pub asset: Asset,
    pub blessing: Arc<dyn BlessingTransport>,
    pub sources: Arc<dyn Sources>,
    /// Who is asked for what was granted by granters that only ask.
    pub other_notary: Option<Arc<OtherNotary>>,
    /// Calls for the payments that grants left; `None`: others do.
    pub payer: Option<Arc<dyn Payer>>,
    /// To whom alerts go.
    pub deliveries: Vec<Arc<dyn Deliver>>,
    /// Signs attestations.
    pub key: SigningKey,
    pub clock: Clock,
    pub settings: Settings,
}

/// A notary's service. See [`crate::desk::Desk`] for what its page asks of it.
pub struct Service {
    history: History,
    store: Store,
    audit: tokio::sync::Mutex<AuditFile>,
    parts: Parts,
    destinations: Vec<String>,
    standing: Mutex<Standing>,
    changes: broadcast::Sender<Change>,
    /// Of each kind of work, that there is some.
    wake: [Notify; 7],
    /// Votes are taken one after the other.
    voting: tokio::sync::Mutex<()>,
    /// Places for signatures that only the chain can judge.
    doubtful: tokio::sync::Semaphore,
}

const GATHER: usize = 0;
const NOMINATE: usize = 1;
const VOTE: usize = 2;
const GRANT: usize = 3;
const TELL: usize = 4;
const WATCH: usize = 5;
const PAY: usize = 6;

/// Where the service stands.
#[derive(Debug, Default)]
struct Standing {
    latest: Option<Head>,
    finalized: u64,
    about: Option<KeptAbout>,
    /// Until when, after it could not be read, it is not asked for again; and why it could not.
    about_failed: Option<(Time, String)>,
    /// The notaries when the chain was last asked.
    notaries: Vec<lota_market::Address>,
    /// What does not work now.
    problems: BTreeMap<Matter, Problem>,
    /// What is not tried again before a time.
    not_before: BTreeMap<String, Time>,
    /// Rounds whose notaries were reminded.
    reminded: BTreeSet<(JobId, u32)>,
    /// Batches of payments that are in a block which is not final.
    landed: BTreeMap<u64, Landed>,
    /// Errors of granters that failed, in words.
    granters_said: BTreeMap<JobId, (lota_market::FixedBytes<4>, String)>,
    /// Jobs that notaries look at.
    opened: BTreeSet<JobId>,
    /// Jobs that somebody looks at, whose proofs of storage are old.
    viewed: BTreeSet<JobId>,
}

/// What the chain said of notaries and granters.
#[derive(Clone, Debug)]
struct KeptAbout {
    /// At which block; `None`: at one that something changed after.
    of: Option<Head>,
    /// When it was read.
    at: Time,
    about: About,
}

/// What something that does not work is about: what is about no job comes first, so that many jobs do not hide it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Matter {
    job: Option<JobId>,
    about: String,
}

/// What does not work.
#[derive(Clone, Debug)]
struct Problem {
    text: String,
    since: Time,
    /// An alert tells of it.
    is_told: bool,
}

impl Service {
    /// Opens the history of a market in a folder; [`Sources`] may need it, too. `max_size` is that of the [settings](Settings).
    ///
    /// # Errors
    /// See [`HistoryError`].
    pub async fn open_history(
        folder: &Path,
        market: &lota_bridge::MarketRef,
        max_size: u64,
    ) -> Result<History, HistoryError> {
        let market = format!("{} on chain {}", market.contract, market.chain_id);
        History::open(folder, &market, Some(max_size / DATABASES)).await
    }

    /// Opens what is kept in a folder, and goes on where it was.
    ///
    /// # Errors
    /// See [`ServiceError`].
    pub async fn open(folder: &Path, history: History, parts: Parts) -> Result<Arc<Self>, ServiceError> {
        parts.settings.validate()?;
        let its = parts.blessing.market();
        let blessing = parts.blessing.blessing();
        if its != parts.market.contract {
            return Err(ServiceError::OtherMarket { blessing: blessing.contract, its, market: parts.market.contract });
        }
        let its = format!("{} on chain {}", blessing.contract, blessing.chain_id);
        let store = Store::open(folder, &its, parts.settings.max_size / DATABASES).await?;
        let audit = AuditFile::open(folder)?;
        let destinations = parts.deliveries.iter().map(|delivery| delivery.name().to_owned()).collect();
        let standing = Standing { finalized: store.finalized().await?, ..Standing::default() };
        let service = Self {
            history,
            store,
            audit: tokio::sync::Mutex::new(audit),
            parts,
            destinations,
            standing: Mutex::new(standing),
            changes: broadcast::Sender::new(CHANGES),
            wake: Default::default(),
            voting: tokio::sync::Mutex::default(),
            doubtful: tokio::sync::Semaphore::new(voting::DOUBTFUL),
        };
        service.write_audit_log().await?;
        Ok(Arc::new(service))
    }

    /// Does its work, for ever.
    ///
    /// # Errors
    /// When it cannot go on: what passes is waited for.
    pub async fn run(&self, market: &dyn Transport) -> Result<std::convert::Infallible, ServiceError> {
        let following = async {
            loop {
                let (make_room, wake) = (|| self.make_room_in_history().boxed(), || self.folded());
                match crate::history::follow(market, &self.history, make_room, wake).await {
                    Err(error) if error.is_full() => self.wait_for_room(HISTORY, &error).await,
                    ended => return ended,
                }
            }
        };
        let endless: [futures::future::BoxFuture<'_, Result<std::convert::Infallible, ServiceError>>; 10] = [
            following.boxed(),
            self.follow_blessing().boxed(),
            self.keep_gathering().boxed(),
            self.keep_nominating().boxed(),
            self.keep_voting().boxed(),
            self.keep_granting().boxed(),
            self.keep_paying().boxed(),
            self.keep_telling().boxed(),
            self.keep_watching().boxed(),
            self.keep_asking().boxed(),
        ];
        let (ended, ..) = futures::future::select_all(endless).await;
        ended
    }

    fn folded(&self) {
        self.problem(HISTORY, None);
        self.wake(GATHER);
    }

    /// Closes what it keeps.
    pub async fn close(&self) {
        self.history.close().await;
        self.store.close().await;
    }

    /// The market's time: that of the newest block, or of day where blocks are rare.
    fn now(&self) -> Time {
        let latest = self.standing().latest.map_or(Time(0), |latest| latest.time);
        latest.max(self.clock())
    }

    fn clock(&self) -> Time {
        (self.parts.clock)()
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self, what: usize) {
        self.wake[what].notify_one();
    }

    fn changed(&self, change: Change) {
        // An error: nobody looks.
        let _ = self.changes.send(change);
    }

    /// Something does not work, or does again.
    fn problem(&self, about: &str, problem: Option<String>) {
        self.problem_of(None, about, problem);
    }

    /// The same of what is done for a job.
    fn problem_of(&self, job: Option<JobId>, about: &str, problem: Option<String>) {
        let (matter, now) = (Matter { job, about: about.to_owned() }, self.clock());
        let mut standing = self.standing();
        let news = match problem {
            Some(text) => {
                let before = standing.problems.get(&matter);
                let news = before.is_none_or(|before| before.text != text);
                if news {
                    tracing::warn!("{about}: {text}");
                }
                let (since, is_told) = before.map_or((now, false), |before| (before.since, before.is_told));
                standing.problems.insert(matter, Problem { text, since, is_told });
                news
            }
            None => standing.problems.remove(&matter).is_some(),
        };
        drop(standing);
        if news {
            self.changed(Change::About);
        }
    }

    /// Whether something may be tried now; then not again for a while, unless [`Self::try_at`] says otherwise.
    fn may_try(&self, what: &str) -> bool {
        let now = self.clock();
        let mut standing = self.standing();
        standing.not_before.retain(|_, time| *time > now);
        if standing.not_before.contains_key(what) {
            return false;
        }
        standing.not_before.insert(what.to_owned(), now.after(RETRY_AFTER));
        true
    }

    fn try_at(&self, what: &str, at: Time) {
        self.standing().not_before.insert(what.to_owned(), at);
    }

    /// Waits until there is something to do, or a while has passed.
    async fn wait(&self, what: usize) {
        let _ = tokio::time::timeout(self.parts.settings.tick, self.wake[what].notified()).await;
    }

    /// Puts what was noted into the audit log's file: each entry once, whatever happened before.
    async fn write_audit_log(&self) -> Result<(), ServiceError> {
        let mut audit = self.audit.lock().await;
        let noted = self.store.noted().await?;
        loop {
            let unwritten = self.store.unwritten().await?;
            let first = unwritten.first().map_or(noted + 1, |(number, _)| *number);
            let found = audit.head().entries;
            if found + 1 < first {
                return Err(ServiceError::AuditCut { found, noted });
            }
            let Some((last, _)) = unwritten.last() else { return Ok(()) };
            let last = *last;
            for (number, line) in unwritten {
                if number > audit.head().entries {
                    audit.append(line.at, &line.actor, &line.action, &line.subject, line.details)?;
                }
            }
            self.store.written(last).await?;
        }
    }

    fn note_of(
        &self,
        actor: impl Into<String>,
        action: &str,
        subject: impl ToString,
        details: serde_json::Value,
    ) -> AuditNote {
        AuditNote {
            at: self.clock(),
            actor: actor.into(),
            action: action.to_owned(),
            subject: subject.to_string(),
            details,
        }
    }

    /// Waits for a loop's next turn, after one that failed for a while longer.
    async fn after_turn(&self, about: &'static str, what: usize, turn: Result<(), ServiceError>) {
        match turn {
            Ok(()) => {
                self.problem(about, None);
                self.wait(what).await;
            }
            Err(error) => {
                self.problem(about, Some(words(&error)));
                tokio::time::sleep(self.parts.settings.tick.max(Duration::from_secs(1))).await;
            }
        }
    }
}

/// An error with its causes, in a line.
fn words(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}

impl From<ServiceError> for DeskError {
    fn from(error: ServiceError) -> Self {
        // Where files lie is nothing for a page.
        tracing::error!("{}", words(&error));
        Self::Unavailable("the service cannot read or keep its records now; its log says why".into())
    }
}

impl From<StoreError> for DeskError {
    fn from(error: StoreError) -> Self {
        ServiceError::from(error).into()
    }
}

impl From<HistoryError> for DeskError {
    fn from(error: HistoryError) -> Self {
        ServiceError::from(error).into()
    }
}

impl From<AuditFileError> for DeskError {
    fn from(error: AuditFileError) -> Self {
        ServiceError::from(error).into()
    }
}

impl From<TransportError> for DeskError {
    fn from(error: TransportError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// What a command's failure means for a page.
fn refusal(error: &BlessingSubmitError, asset: &Asset) -> DeskError {
    match error {
        BlessingSubmitError::Rejected(rejection) => DeskError::Refused(refusals::words(rejection, asset)),
        other => DeskError::Unavailable(other.to_string()),
    }
}

/// No such job, in words.
fn unknown(job: JobId) -> DeskError {
    DeskError::NotFound(format!(
        "no settled job {job} is known of which the market keeps a record; it may not be final yet, or was let go of when there was no room (notary.max_size)"
    ))
}
