//! Room in the databases, however much strangers cause.

use super::{Service, ServiceError, words};
use crate::history::{FollowError, Kind};
use lota_market::model::JobId;

/// How many settled jobs are looked at at once.
const PAGE: u32 = 500;
/// Of settled jobs an eighth goes at once.
const PART: u64 = 8;

impl Service {
    /// Lets go of what the history needs least, if there is little room.
    pub(super) async fn make_room_in_history(&self) -> Result<(), ServiceError> {
        if !self.history.is_crowded().await? {
            return Ok(());
        }
        while !self.history.is_roomy().await? {
            let mut gone = 0;
            for kind in self.history.kinds().await? {
                gone = match kind {
                    Kind::Jobs => self.let_jobs_go().await?,
                    Kind::Deals => self.history.forget_deals().await?,
                    Kind::Money => self.history.forget_money().await?,
                    Kind::Gateways => self.history.forget_gateways().await?,
                };
                if gone > 0 {
                    tracing::info!(?kind, gone, "the market's history has grown to its limit: something went");
                    break;
                }
            }
            if gone == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Specs that nothing names; if there are none, the oldest settled jobs of which nothing more is to be decided here.
    async fn let_jobs_go(&self) -> Result<u64, ServiceError> {
        let specs = self.history.forget_specs().await?;
        if specs > 0 {
            return Ok(specs);
        }
        let most = self.history.count_settled().await? / PART + 1;
        let (mut gone, mut after) = (0, 0);
        while gone < most {
            let page = self.history.settled_numbers(after, PAGE).await?;
            let Some((_, last)) = page.last() else { break };
            after = *last;
            let jobs: Vec<JobId> = page.into_iter().map(|(job, _)| job).collect();
            let may_go = self.store.may_go(&jobs).await?;
            // The other way round a crash would leave jobs in the queue of which nothing is known.
            let went = self.store.forget(&may_go).await?;
            self.history.forget_jobs(&went).await?;
            gone += went.len() as u64;
        }
        Ok(gone)
    }

    /// A job that was let go of is nominated: what the history still knows of it is taken over once more.
    pub(super) async fn take_back(&self, job: JobId) -> Result<(), ServiceError> {
        let Some(kept) = self.history.settled_job(job).await? else { return Ok(()) };
        if kept.number <= self.store.imported().await? && self.store.take_back(&kept, self.clock()).await? {
            self.assess(&kept).await?;
            self.wake(super::GATHER);
        }
        Ok(())
    }

    /// There is no room: what could not be kept is read again when there is some.
    pub(super) async fn wait_for_room(&self, about: &str, error: &ServiceError) {
        self.problem(about, Some(words(error)));
        tokio::time::sleep(self.parts.settings.tick.max(std::time::Duration::from_secs(1))).await;
    }
}

impl ServiceError {
    /// Whether a database had no room, so that it may work again when there is.
    pub(super) fn is_full(&self) -> bool {
        match self {
            Self::Store(error) => error.is_full(),
            Self::History(error) | Self::Follow(FollowError::History(error)) => error.is_full(),
            _ => false,
        }
    }
}
