//! The blessing's log, as it comes.

use std::convert::Infallible;

use futures::StreamExt as _;
use lota_bridge::blessing::BlessingUpdate;

use super::{GRANT, NOMINATE, PAY, Service, ServiceError, TELL, VOTE};
use crate::{
    desk::Change,
    store::{StoreError, Told, Touched},
};

/// How many updates are taken in at once.
const AT_ONCE: usize = 1_000;
const KEPT: &str = "the blessing's events";

impl Service {
    pub(super) async fn follow_blessing(&self) -> Result<Infallible, ServiceError> {
        loop {
            match self.follow_while_there_is_room().await {
                Err(error) if error.is_full() => self.wait_for_room(KEPT, &error).await,
                ended => return ended,
            }
        }
    }

    async fn follow_while_there_is_room(&self) -> Result<Infallible, ServiceError> {
        let mut updates = self.parts.blessing.updates(self.store.cursor().await?).ready_chunks(AT_ONCE);
        while let Some(chunk) = updates.next().await {
            let mut news = Vec::with_capacity(chunk.len());
            for update in chunk {
                match update {
                    Ok(update) => news.push(update),
                    Err(error) if error.is_temporary() => self.problem("the chain", Some(error.to_string())),
                    Err(error) => return Err(error.into()),
                }
            }
            if !news.is_empty() {
                self.take(news).await?;
                self.problem(KEPT, None);
            }
        }
        Err(ServiceError::Ended)
    }

    /// Takes in what the blessing's log told, and does what follows from what is final now.
    pub(super) async fn take(&self, news: Vec<BlessingUpdate>) -> Result<(), ServiceError> {
        let mut told = Vec::with_capacity(news.len());
        let mut head = None;
        for update in news {
            told.push(match update {
                BlessingUpdate::Event { cursor, time, transaction, event } => {
                    Told::Event { cursor, time, transaction, event }
                }
                BlessingUpdate::Rewind { to } => Told::Rewind { to },
                BlessingUpdate::Head { cursor, latest, finalized } => {
                    head = Some((latest, finalized));
                    Told::Head { cursor }
                }
            });
        }
        // There is room of its own for what notaries and the chain decide: it makes room in its turn.
        match self.store.make_room().await {
            Ok(()) | Err(StoreError::Crowded { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let touched = self.store.take(&told).await?;
        for job in &touched.jobs {
            self.take_back(*job).await?;
        }
        if touched.rewound {
            for job in &touched.jobs {
                self.store.consider_again(*job, self.clock()).await?;
            }
        }
        let mut last = Touched::default();
        if let Some((latest, finalized)) = head {
            {
                let mut standing = self.standing();
                standing.latest = Some(latest);
                standing.about_failed = None;
                standing.finalized = standing.finalized.max(finalized);
            }
            self.problem("the chain", None);
            last = self.store.finalize(finalized, &self.destinations, &|news| self.tell_of(&news)).await?;
            self.write_audit_log().await?;
        }
        for job in touched.jobs.union(&last.jobs) {
            self.changed(Change::Job(*job));
        }
        if touched.general || last.general {
            // An older one is better than none where the chain cannot be read.
            if let Some(kept) = &mut self.standing().about {
                kept.of = None;
            }
            self.changed(Change::About);
        }
        for work in [NOMINATE, VOTE, GRANT, PAY, TELL] {
            self.wake(work);
        }
        Ok(())
    }
}
