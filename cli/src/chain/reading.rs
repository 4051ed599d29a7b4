//! What contracts said: once, up to the newest block, or as it goes on.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use lota_bridge::{
    TransportError,
    evm::{LogUpdate, Source, bindings::Unreadable, chain::Log, log::EventLog},
    journal::MemoryJournal,
    transport::{Cursor, Head},
};
use lota_market::Time;

use super::Endpoint;

/// What contracts said, followed with reorganisations: an event of a block that is undone is gone again.
pub(super) struct Reading<T> {
    log: EventLog<Result<T, Unreadable>>,
    said: Vec<(Cursor, Time, T)>,
}

impl<T: Send + 'static> Reading<T> {
    /// A reading of these contracts, from their first blocks on.
    pub(super) fn begin(
        endpoint: &Endpoint,
        sources: impl IntoIterator<Item = Source>,
        decode: impl Fn(&Log) -> Result<T, Unreadable> + Send + Sync + 'static,
    ) -> Self {
        let mut log = EventLog::decoding(endpoint.chain(), Arc::new(MemoryJournal::default()), "read", decode);
        for source in sources {
            log.follow(source, None);
        }
        Self { log, said: Vec::new() }
    }

    /// Reads up to the newest block, or, if that was read, to the next one; that block.
    ///
    /// # Errors
    /// When the node does not answer, or what a contract said cannot be understood.
    pub(super) async fn advance(&mut self) -> anyhow::Result<Head> {
        loop {
            match self.log.next().await.context("the log ended before it had caught up")? {
                Ok(LogUpdate::Log { cursor, time, value, .. }) => self.said.push((cursor, time, value?)),
                Ok(LogUpdate::Rewind { to }) => self.said.retain(|(cursor, ..)| !cursor.is_above(to.as_ref())),
                Ok(LogUpdate::Head { latest, .. }) => return Ok(latest),
                Ok(LogUpdate::CaughtUp { .. }) => {}
                Err(error) if error.is_temporary() => {
                    tracing::warn!(%error, "the log cannot be read now; trying again")
                }
                Err(error) => return Err(TransportError::from(error).into()),
            }
        }
    }

    /// As [`advance`](Self::advance), until `until` at the longest; `None`: that has passed.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub(super) async fn advance_until(&mut self, until: Option<Instant>) -> anyhow::Result<Option<Head>> {
        match until {
            None => self.advance().await.map(Some),
            Some(until) => {
                let left = until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
                // Nothing is lost when it is dropped.
                tokio::time::timeout(left, self.advance()).await.ok().transpose()
            }
        }
    }

    /// What was said so far, in the chain's order, with the times of the blocks.
    pub(super) fn said(&self) -> impl Iterator<Item = (Time, &T)> {
        self.said.iter().map(|(_, time, value)| (*time, value))
    }
}

/// What a contract said up to the newest block, in the chain's order.
///
/// # Errors
/// When the node does not answer, or what a contract said cannot be understood.
pub(super) async fn read_log<T: Send + 'static>(
    endpoint: &Endpoint,
    source: Source,
    decode: impl Fn(&Log) -> Result<T, Unreadable> + Send + Sync + 'static,
) -> anyhow::Result<Vec<(Time, T)>> {
    let mut reading = Reading::begin(endpoint, [source], decode);
    reading.advance().await?;
    Ok(reading.said.into_iter().map(|(_, time, value)| (time, value)).collect())
}
