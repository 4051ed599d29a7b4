//! Several gateways at once: who fetches what, who goes on after a cut, who is overtaken.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt as _};
use url::Url;

use super::client::{Client, Failure};
use super::session::{CarEnd, Session, SessionEnd};
use super::work::{Claim, Manner, Work};
use super::{FetchError, FetchOptions, SourceFailure};
use crate::car::CarError;

/// The first pause before a gateway whose connection was cut is asked again; the next ones are twice as long each.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// A gateway, and the client that may ask it.
pub(super) type Source<'a> = (&'a Client, &'a Url);

/// The gateways of one fetch.
pub(super) struct Crew<'a> {
    session: &'a Session,
    options: &'a FetchOptions,
    sources: &'a [Source<'a>],
    /// The number of the gateway that is asked next.
    next: Mutex<usize>,
    failures: Mutex<Vec<(usize, Failure)>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the same gateway may do better on another connection.
const fn is_cut(failure: &Failure) -> bool {
    matches!(failure, Failure::Connection { .. } | Failure::Car(CarError::Truncated { .. }))
}

impl<'a> Crew<'a> {
    pub(super) const fn new(session: &'a Session, options: &'a FetchOptions, sources: &'a [Source<'a>]) -> Self {
        Self { session, options, sources, next: Mutex::new(0), failures: Mutex::new(Vec::new()) }
    }

    /// Fetches until nothing is wanted, or all gateways are left; asks `most` of them at once. Returns those that were left, in the
    /// order of the sources.
    pub(super) async fn work(self, most: usize) -> Result<Vec<SourceFailure>, FetchError> {
        let at_once = self.options.gateways_at_once.min(most).clamp(1, self.sources.len().max(1));
        let mut members: FuturesUnordered<_> = (0..at_once).map(|_| self.member(at_once == 1)).collect();
        let mut ended = Ok(());
        while !self.session.is_over()
            && ended.is_ok()
            && let Some(member) = members.next().await
        {
            ended = member;
        }
        drop(members);
        self.session.settle().await?;
        ended?;
        let mut failures = self.failures.into_inner().unwrap_or_else(PoisonError::into_inner);
        failures.extend(self.session.overtaken(self.options.patience));
        failures.sort_by_key(|(source, _)| *source);
        let named = |(source, failure): (usize, Failure)| {
            self.sources.get(source).map(|(_, url)| SourceFailure { source: (*url).clone(), failure })
        };
        Ok(failures.into_iter().filter_map(named).collect())
    }

    /// Asks one gateway after the other.
    async fn member(&self, alone: bool) -> Result<(), FetchError> {
        loop {
            let number = {
                let mut next = lock(&self.next);
                let number = *next;
                *next += 1;
                number
            };
            let Some(source) = self.sources.get(number) else { return Ok(()) };
            if self.session.is_over() {
                return Ok(());
            }
            match self.ask(number, *source, alone).await {
                Ok(()) => return Ok(()),
                Err(SessionEnd::Fetch(error)) => return Err(error),
                Err(SessionEnd::Source(failure)) => {
                    tracing::info!(source = %source.1, %failure, "left a gateway");
                    lock(&self.failures).push((number, failure));
                }
            }
        }
    }

    /// Fetches from one gateway, and goes on where a connection was cut, as long as blocks keep coming.
    async fn ask(&self, number: usize, source: Source<'_>, alone: bool) -> Result<(), SessionEnd> {
        let deadline = Instant::now() + self.options.total_timeout;
        let (mut taken, mut left, mut pause) = (0, 0, FIRST_PAUSE);
        loop {
            let ended = self.drain(number, source, deadline, alone).await;
            self.session.give_back(number);
            let failure = match ended {
                Err(SessionEnd::Source(failure)) if is_cut(&failure) => failure,
                ended => return ended,
            };
            let now = self.session.taken(number);
            if now > taken {
                (taken, left, pause) = (now, self.options.resumes, FIRST_PAUSE);
            }
            if left == 0 || Instant::now() + pause >= deadline {
                return Err(SessionEnd::Source(failure));
            }
            tracing::debug!(source = %source.1, %failure, "going on after a cut");
            left -= 1;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    /// Fetches what is wanted from one gateway: until nothing is, or the gateway is left.
    async fn drain(
        &self,
        number: usize,
        (client, source): Source<'_>,
        deadline: Instant,
        alone: bool,
    ) -> Result<(), SessionEnd> {
        let session = self.session;
        let mut manner = Manner { cars: true, alone };
        let mut running = FuturesUnordered::new();
        loop {
            let changed = session.changed();
            if session.is_over() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(SessionEnd::Source(Failure::Timeout { limit: self.options.total_timeout }));
            }
            while running.len() < self.options.concurrency.max(1) {
                let Some((claim, work)) = session.next(number, manner, running.is_empty()) else { break };
                running.push(perform(session, client, source, claim, work, deadline));
            }
            tokio::select! {
                Some((claim, work, done)) = running.next() => {
                    let end = done?;
                    if end == CarEnd::Useless {
                        manner.cars = false;
                    }
                    session.done(claim, &work, end)?;
                }
                () = changed => {}
                // Nobody else has come to it: what others were given, and have not brought, is fetched from here as well.
                () = tokio::time::sleep(self.options.patience) => {
                    while !alone
                        && running.len() < self.options.concurrency
                        && let Some((claim, work)) = session.overtake(number, self.options.patience)
                    {
                        running.push(perform(session, client, source, claim, work, deadline));
                    }
                }
            }
        }
    }
}

/// Brings what a piece of work is about.
async fn perform(
    session: &Session,
    client: &Client,
    source: &Url,
    claim: Claim,
    work: Work,
    deadline: Instant,
) -> (Claim, Work, Result<CarEnd, SessionEnd>) {
    let done = async {
        let cid = match &work {
            Work::Block(cid) => {
                let data = client.block(source, cid, deadline).await.map_err(SessionEnd::Source)?;
                session.take(claim, *cid, data).await?;
                return Ok(CarEnd::Complete);
            }
            Work::Tree(cid) | Work::Children(cid, _) => cid,
        };
        match client.car(source, cid, deadline).await.map_err(SessionEnd::Source)? {
            Some(reading) => session.take_car(claim, reading).await,
            None => Ok(CarEnd::Useless),
        }
    };
    let done = done.await;
    (claim, work, done)
}
