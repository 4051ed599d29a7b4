//! Publishing in the background: a job's output is written down for its publishers, and paying waits for none of them.

use std::{
    collections::HashSet,
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
    publisher::{Content, Progress, PublishError, Publisher},
    store::{Publication, PublicationState, Store, StoreError},
};

/// What a publisher is asked at once; one that hangs keeps no other waiting.
const AT_ONCE: usize = 2;
/// How often in a row a publication may fail: with the pauses between, some four hours.
const ATTEMPTS: u32 = 30;
/// How much later a withdrawal is tried again that was refused, or has failed so often; as often again, and then no more.
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
    /// Before a withdrawal that was refused is tried again, in seconds.
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

    /// Runs until the node is stopped.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut running: JoinSet<(JobId, String)> = JoinSet::new();
        let mut busy: HashSet<(JobId, String)> = HashSet::new();
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
    async fn begin_due(
        &self,
        running: &mut JoinSet<(JobId, String)>,
        busy: &mut HashSet<(JobId, String)>,
    ) -> Result<Duration, StoreError> {
        if self.publishers.is_empty() {
            return Ok(LOOK_AGAIN);
        }
        let now = unix_time();
        let mut pause = LOOK_AGAIN;
        for publisher in self.publishers.iter() {
            let its = busy.iter().filter(|(_, name)| name == publisher.name()).count();
            // Those that are being worked on are among the first.
            let pending = self.store.pending_publications(publisher.name(), its + AT_ONCE + 1).await?;
            let mut room = AT_ONCE.saturating_sub(its);
            for publication in pending {
                let key = (publication.job, publication.publisher.clone());
                if busy.contains(&key) {
                    continue;
                }
                if publication.due > now {
                    pause = pause.min(Duration::from_secs(publication.due - now));
                    break;
                }
                if room == 0 {
                    break;
                }
                room -= 1;
                busy.insert(key.clone());
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
        }
        Ok(pause)
    }

    /// Does for one publication what is to be done now.
    async fn advance(&self, publisher: &dyn Publisher, before: Publication) -> Result<(), StoreError> {
        if before.state == PublicationState::Withdrawing {
            return self.take_back(publisher, before).await;
        }
        let Some(gateway) = self.gateway.clone() else {
            let reason = Some("this node's gateway has no URL".to_owned());
            let failed = Publication { state: PublicationState::Failed, reason, ..before.clone() };
            return self.store.advance_publication(&before, &failed).await.map(drop);
        };
        let (store, cid) = (self.content.clone(), before.cid);
        let content = Content { store, cid, name: format!("lota/{}", before.job), gateway };
        let mut now = before.clone();
        match publisher.publish(&content, before.receipt.as_deref()).await {
            Ok(published) => {
                let is_new = published.receipt != before.receipt;
                now.receipt = published.receipt;
                now.reason = None;
                (now.state, now.attempts) = match published.progress {
                    Progress::Pinned => (PublicationState::Pinned, 0),
                    Progress::Queued => {
                        (PublicationState::Queued, if is_new { 0 } else { before.attempts.saturating_add(1) })
                    }
                    Progress::Pinning => {
                        (PublicationState::Pinning, if is_new { 0 } else { before.attempts.saturating_add(1) })
                    }
                };
                now.due = unix_time().saturating_add(self.pauses.after(now.attempts));
            }
            Err(error) => {
                now.reason = Some(error.to_string());
                // A receipt's looks were no failures.
                let failures = if before.reason.is_some() { before.attempts.saturating_add(1) } else { 1 };
                now.attempts = failures;
                if matches!(error, PublishError::GivenUp(_)) {
                    now.receipt = None;
                }
                let is_over = matches!(error, PublishError::Refused(_)) || failures >= ATTEMPTS;
                now.state = if is_over { PublicationState::Failed } else { PublicationState::Queued };
                now.due = unix_time().saturating_add(self.pauses.after(failures.saturating_sub(1)));
            }
        }
        observe::published(&self.node, &now);
        if !self.store.advance_publication(&before, &now).await? {
            // It is to be withdrawn by now.
            self.store.keep_receipt(&now).await?;
        }
        Ok(())
    }

    async fn take_back(&self, publisher: &dyn Publisher, before: Publication) -> Result<(), StoreError> {
        if self.store.is_published_for_others(&before).await? {
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

/// Seconds since 1970 by this machine's clock: for pauses only.
fn unix_time() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs())
}

#[cfg(test)]
mod tests;
