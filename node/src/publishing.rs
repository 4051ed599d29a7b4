//! Publishing in the background: a job's output is written down for its publishers, and paying waits for none of them.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use lota_content::Cid;
use lota_market::model::JobId;
use reqwest::Url;
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    observe,
    publisher::{Content, Progress, PublishError, Published, Publisher},
    store::{NEVER, Occasion, Publication, PublicationState, Store, StoreError},
};

/// What a publisher is asked at once; one that hangs keeps no other waiting.
const AT_ONCE: usize = 2;
/// The same, about what is there or has failed, so that however much that is keeps nothing else waiting.
const AGAIN_AT_ONCE: usize = 1;
/// How often in a row a publication may fail, and how often its publisher may give it up: with the pauses between, some four hours.
const ATTEMPTS: u32 = 30;
/// How much later what is there is looked at again, and what failed for a cause that may pass is tried again. So is a withdrawal that
/// was refused, or has failed so often; as often again, and then no more.
const MUCH_LATER: u64 = 24 * 60 * 60;
/// It is looked at least this often what is due: clocks jump.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// How long is waited between two tries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pauses {
    /// After the first; the next ones are twice as long each.
    pub(crate) first: u64,
    /// In seconds.
    pub(crate) longest: u64,
    /// Before what is over for now is looked at again, in seconds.
    pub(crate) much_later: u64,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { first: 2, longest: 600, much_later: MUCH_LATER }
    }
}

impl Pauses {
    const fn after(self, attempts: u32) -> u64 {
        let doubled = if attempts > 16 { 1 << 16 } else { 1 << attempts };
        let pause = self.first.saturating_mul(doubled);
        if pause < self.longest { pause } else { self.longest }
    }
}

/// Has outputs published.
#[derive(Clone)]
pub(crate) struct Publishing {
    /// The node's name, for its log.
    node: String,
    publishers: Arc<[Arc<dyn Publisher>]>,
    store: Store,
    content: lota_content::Store,
    /// Where this node serves content.
    gateway: Option<Url>,
    pauses: Pauses,
    news: Arc<Notify>,
}

impl Publishing {
    pub(crate) fn new(
        node: &str,
        publishers: Vec<Arc<dyn Publisher>>,
        store: Store,
        content: lota_content::Store,
        gateway: &str,
    ) -> Self {
        Self {
            node: node.to_owned(),
            publishers: publishers.into(),
            store,
            content,
            gateway: gateway.parse().ok(),
            pauses: Pauses::default(),
            news: Arc::default(),
        }
    }

    fn names(&self) -> Vec<String> {
        self.publishers.iter().map(|publisher| publisher.name().to_owned()).collect()
    }

    /// Writes down that a job's output is to be published.
    pub(crate) async fn publish(&self, job: JobId, cid: &Cid) -> Result<(), StoreError> {
        if self.publishers.is_empty() {
            return Ok(());
        }
        self.store.add_publications(job, cid, &self.names()).await?;
        self.news.notify_one();
        Ok(())
    }

    /// Has publishers told that a job's output need not be kept any longer.
    pub(crate) fn withdraw(&self, job: JobId) {
        if self.publishers.is_empty() {
            return;
        }
        let this = self.clone();
        tokio::spawn(async move {
            match this.store.withdraw_publications(job).await {
                Ok(()) => this.news.notify_one(),
                // The next start finds that the job is gone.
                Err(error) => tracing::warn!(%job, %error, "it could not be noted that its output is to be withdrawn"),
            }
        });
    }

    /// Takes up what an earlier process left: before any job is, since jobs that are not known yet count as forgotten.
    pub(crate) async fn resume(&self) -> Result<(), StoreError> {
        self.store.resume_publications(&self.names()).await
    }

    /// Has tried again at once what failed of a job's output, and looked at what did not; says whether there is any of it.
    pub(crate) async fn again(&self, job: JobId) -> Result<bool, StoreError> {
        let mut is_any = false;
        for before in self.store.publications_of(job).await? {
            let Some(publisher) = self.publishers.iter().find(|publisher| publisher.name() == before.publisher) else {
                continue;
            };
            if before.state == PublicationState::Withdrawing {
                continue;
            }
            is_any = true;
            let mut now = Publication { attempts: 0, given_up: 0, looks: 0, due: 0, ..before.clone() };
            match before.state {
                PublicationState::Failed => {
                    now.state = PublicationState::Queued;
                    now.receipt = now.receipt.map(|receipt| publisher.again(receipt));
                }
                PublicationState::Pinned => now.due = if now.receipt.is_some() { 0 } else { NEVER },
                _ => {}
            }
            self.store.advance_publication(&before, &now).await?;
        }
        self.news.notify_one();
        Ok(is_any)
    }

    /// Runs until the node is stopped.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut running: JoinSet<(JobId, String)> = JoinSet::new();
        let mut busy = Busy::new();
        loop {
            let pause = match self.begin_due(&mut running, &mut busy).await {
                Ok(pause) => pause,
                Err(error) => {
                    tracing::warn!(%error, "what is to be published cannot be read");
                    LOOK_AGAIN
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.news.notified() => {}
                () = tokio::time::sleep(pause) => {}
                Some(done) = running.join_next() => match done {
                    Ok(key) => {
                        busy.remove(&key);
                    }
                    // A publisher that panics is not asked about this again before the next start.
                    Err(error) => tracing::error!(%error, "a publisher failed"),
                }
            }
        }
    }

    /// Begins what is due, as far as there is room; says when to look again.
    async fn begin_due(&self, running: &mut JoinSet<(JobId, String)>, busy: &mut Busy) -> Result<Duration, StoreError> {
        let mut pause = LOOK_AGAIN;
        for publisher in self.publishers.iter() {
            for (occasion, most) in [(Occasion::Next, AT_ONCE), (Occasion::Again, AGAIN_AT_ONCE)] {
                pause = pause.min(self.begin(publisher, occasion, most, running, busy).await?);
            }
        }
        Ok(pause)
    }

    async fn begin(
        &self,
        publisher: &Arc<dyn Publisher>,
        occasion: Occasion,
        most: usize,
        running: &mut JoinSet<(JobId, String)>,
        busy: &mut Busy,
    ) -> Result<Duration, StoreError> {
        let now = unix_time();
        let its = |occasions: &[Occasion]| {
            busy.iter().filter(|((_, name), occasion)| name == publisher.name() && occasions.contains(occasion)).count()
        };
        let mut room = most.saturating_sub(its(&[occasion]));
        // Those that are being worked on are among the first.
        let asked = its(&[Occasion::Next, Occasion::Again]) + most + 1;
        for publication in self.store.next_publications(publisher.name(), occasion, asked).await? {
            let key = (publication.job, publication.publisher.clone());
            if busy.contains_key(&key) {
                continue;
            }
            if publication.due > now {
                return Ok(Duration::from_secs(publication.due - now));
            }
            if room == 0 {
                break;
            }
            room -= 1;
            busy.insert(key.clone(), occasion);
            let (this, publisher) = (self.clone(), Arc::clone(publisher));
            running.spawn(async move {
                if let Err(error) = this.advance(&*publisher, publication).await {
                    tracing::warn!(%error, "it could not be noted how far a publication is");
                    // Not again at once.
                    tokio::time::sleep(Duration::from_secs(10)).await;
                }
                key
            });
        }
        Ok(LOOK_AGAIN)
    }

    /// Does for one publication what is to be done now.
    async fn advance(&self, publisher: &dyn Publisher, before: Publication) -> Result<(), StoreError> {
        if before.state == PublicationState::Withdrawing {
            return self.take_back(publisher, before).await;
        }
        let Some(gateway) = self.gateway.clone() else {
            let reason = Some("this node's gateway has no URL".to_owned());
            let failed = Publication { state: PublicationState::Failed, reason, due: NEVER, ..before.clone() };
            return self.store.advance_publication(&before, &failed).await.map(drop);
        };
        let (store, cid) = (self.content.clone(), before.cid);
        let content = Content { store, cid, name: format!("lota/{}", before.job), gateway };
        let now = match publisher.publish(&content, before.receipt.as_deref()).await {
            Ok(published) => {
                let now = self.after_answer(&before, published);
                if now.state != before.state || now.receipt != before.receipt {
                    observe::published(&self.node, &now, None);
                }
                now
            }
            Err(error) => {
                let now = self.after_failure(&before, &error);
                observe::published(&self.node, &now, now.reason.as_deref());
                now
            }
        };
        if !self.store.advance_publication(&before, &now).await? {
            // It is to be withdrawn by now.
            self.store.keep_receipt(&now).await?;
        }
        Ok(())
    }

    fn after_answer(&self, before: &Publication, published: Published) -> Publication {
        let looks = if published.receipt == before.receipt { before.looks.saturating_add(1) } else { 0 };
        let due = unix_time().saturating_add(self.pauses.after(looks));
        let receipt = published.receipt;
        let state = match published.progress {
            Progress::Queued => PublicationState::Queued,
            Progress::Pinning => PublicationState::Pinning,
            Progress::Pinned => {
                // Without a receipt nothing can be looked at without sending it again.
                let due = if receipt.is_some() { self.much_later() } else { NEVER };
                let (state, reason) = (PublicationState::Pinned, None);
                return Publication {
                    state,
                    receipt,
                    reason,
                    attempts: 0,
                    given_up: 0,
                    looks: 0,
                    due,
                    ..before.clone()
                };
            }
        };
        let reason = before.reason.clone().filter(|_| before.given_up > 0);
        Publication { state, receipt, reason, attempts: 0, looks, due, ..before.clone() }
    }

    fn after_failure(&self, before: &Publication, error: &PublishError) -> Publication {
        let mut now = Publication { reason: Some(error.to_string()), looks: 0, ..before.clone() };
        if matches!(error, PublishError::GivenUp(_)) {
            now.receipt = None;
            (now.attempts, now.given_up) = (0, before.given_up.saturating_add(1));
        } else {
            now.attempts = before.attempts.saturating_add(1);
        }
        let failures = now.attempts.max(now.given_up);
        now.state = match error {
            // Nobody said that it is gone.
            PublishError::Temporary(_) | PublishError::Refused(_) if before.state == PublicationState::Pinned => {
                now.due = match error {
                    PublishError::Refused(_) => self.much_later(),
                    _ => unix_time().saturating_add(self.pauses.longest),
                };
                return now;
            }
            PublishError::Refused(_) => PublicationState::Failed,
            _ if failures >= ATTEMPTS => PublicationState::Failed,
            _ => PublicationState::Queued,
        };
        now.due = match (now.state, error) {
            (PublicationState::Queued, _) => unix_time().saturating_add(self.pauses.after(failures.saturating_sub(1))),
            (_, PublishError::Temporary(_)) => self.much_later(),
            _ => NEVER,
        };
        now
    }

    fn much_later(&self) -> u64 {
        unix_time().saturating_add(self.pauses.much_later)
    }

    async fn take_back(&self, publisher: &dyn Publisher, before: Publication) -> Result<(), StoreError> {
        let is_same = |one: Option<&str>, other: Option<&str>| publisher.is_same(one, other);
        if self.store.is_published_for_others(&before, is_same).await? {
            return self.store.remove_publication(&before).await;
        }
        let Err(error) = publisher.withdraw(&before.cid, before.receipt.as_deref()).await else {
            return self.store.remove_publication(&before).await;
        };
        // A token that is out of date may be a good one tomorrow, and what is kept may cost money each day.
        let failures =
            if matches!(error, PublishError::Refused(_)) { before.attempts.max(ATTEMPTS) } else { before.attempts };
        let attempts = failures.saturating_add(1);
        if attempts > ATTEMPTS {
            tracing::warn!(publisher = publisher.name(), cid = %before.cid, %error, "an output could not be withdrawn");
        }
        if attempts > 2 * ATTEMPTS {
            return self.store.remove_publication(&before).await;
        }
        let pause = if attempts > ATTEMPTS { self.pauses.much_later } else { self.pauses.after(failures) };
        let due = unix_time().saturating_add(pause);
        let now = Publication { reason: Some(error.to_string()), attempts, due, ..before.clone() };
        self.store.advance_publication(&before, &now).await.map(drop)
    }
}

/// What publishers are being asked about, and why.
type Busy = HashMap<(JobId, String), Occasion>;

/// Seconds since 1970 by this machine's clock: for pauses only.
fn unix_time() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests;
