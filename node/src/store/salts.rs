//! Which job has which of the salts that this node hands out.

use std::collections::BTreeSet;

use lota_market::{
    agent::{Job, Step},
    model::{JobId, Status},
};
use sqlx::{Row as _, SqliteConnection};

use super::{Store, StoreError, decode, job_id, signed, unsigned};

/// Whether a job that has a salt may still be opened, or was: its record, as it is stored. An order of which nothing is stored was
/// never sent: its process ended before.
fn holds(record: Option<&[u8]>) -> Result<bool, StoreError> {
    let Some(record) = record else { return Ok(false) };
    let job: Job = decode("a job", record)?;
    Ok(job.view.status != Status::None || job.failed(Step::Open).is_none())
}

impl Store {
    /// The numbers from `first` on whose jobs were opened, or may still be.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn held_salts(&self, first: u64) -> Result<BTreeSet<u64>, StoreError> {
        let rows = sqlx::query(
            "SELECT salts.number, jobs.record FROM salts JOIN jobs ON jobs.id = salts.job WHERE salts.number >= $1",
        )
        .bind(signed(first))
        .fetch_all(self.pool())
        .await
        .map_err(|source| self.failed(source))?;
        let mut held = BTreeSet::new();
        for row in &rows {
            if holds(row.get(1))? {
                held.insert(unsigned(row.get(0)));
            }
        }
        Ok(held)
    }

    /// Writes down that a number is this job's, unless it is that of a job that was opened, or may still be; says which.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn take_salt(&self, number: u64, job: JobId) -> Result<bool, StoreError> {
        let mut batch = self.begin().await?;
        let transaction: &mut SqliteConnection = &mut batch.transaction;
        let row = sqlx::query("SELECT jobs.record FROM salts JOIN jobs ON jobs.id = salts.job WHERE salts.number = $1")
            .bind(signed(number))
            .fetch_optional(&mut *transaction)
            .await
            .map_err(|source| self.failed(source))?;
        if holds(row.as_ref().map(|row| row.get(0)))? {
            return Ok(false);
        }
        sqlx::query(
            "INSERT INTO salts (number, job) VALUES ($1, $2) ON CONFLICT (number) DO UPDATE SET job = excluded.job",
        )
        .bind(signed(number))
        .bind(job.0.as_slice())
        .execute(&mut *transaction)
        .await
        .map_err(|source| self.failed(source))?;
        batch.commit().await?;
        Ok(true)
    }

    /// The job that has a number.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub(crate) async fn salt_holder(&self, number: u64) -> Result<Option<JobId>, StoreError> {
        let row = sqlx::query("SELECT job FROM salts WHERE number = $1")
            .bind(signed(number))
            .fetch_optional(self.pool())
            .await
            .map_err(|source| self.failed(source))?;
        row.map(|row| job_id(row.get(0))).transpose()
    }
}

#[cfg(test)]
mod tests {
    use lota_market::{
        Bytes, Time,
        agent::{Change, Failure, JobView, StepState},
    };
    use tempfile::TempDir;

    use super::*;
    use crate::store::tests::{id, terms};

    async fn store() -> (TempDir, Store) {
        let folder = TempDir::new().expect("a folder");
        let store = Store::open(&folder.path().join("node.db")).await.expect("opens");
        (folder, store)
    }

    /// Keeps the record of an order: in this state, and with its opening failed or not.
    async fn save(store: &Store, number: u64, status: Status, failed: bool) {
        let mut job = Job::new(JobView::new(id(number), terms(number), Bytes::new(), status, Time(1)));
        if failed {
            let failure = Failure::Permanent("no".to_owned());
            job.steps.insert(Step::Open, StepState::Failed { failure });
        }
        let mut batch = store.begin().await.expect("begins");
        batch.save(&Change { job, live: true }, true, Time(1)).await.expect("saved");
        batch.commit().await.expect("committed");
    }

    #[tokio::test]
    async fn a_salt_is_its_jobs_unless_that_was_never_opened() {
        let (_folder, store) = store().await;
        assert!(store.take_salt(5, id(1)).await.expect("written"));
        // Its process was killed before anything was stored of the order.
        assert!(store.take_salt(5, id(2)).await.expect("written"));
        assert_eq!(store.salt_holder(5).await.expect("read"), Some(id(2)));
        save(&store, 2, Status::None, false).await;
        assert!(!store.take_salt(5, id(3)).await.expect("read"), "it is being opened");
        save(&store, 2, Status::Open, false).await;
        assert!(!store.take_salt(5, id(3)).await.expect("read"), "it is open, and a reorganisation may make it none");
        assert_eq!(store.held_salts(0).await.expect("read"), BTreeSet::from([5]));
        assert_eq!(store.held_salts(6).await.expect("read"), BTreeSet::new());
        save(&store, 2, Status::None, true).await;
        assert_eq!(store.held_salts(0).await.expect("read"), BTreeSet::new());
        assert!(store.take_salt(5, id(3)).await.expect("written"));
        assert_eq!(store.salt_holder(5).await.expect("read"), Some(id(3)));
        assert_eq!(store.salt_holder(4).await.expect("read"), None);
    }

    #[tokio::test]
    async fn what_is_pruned_takes_its_salt_along() {
        let (_folder, store) = store().await;
        assert!(store.take_salt(1, id(1)).await.expect("written"));
        let job = Job::new(JobView::new(id(1), terms(1), Bytes::new(), Status::Settled, Time(1)));
        let mut batch = store.begin().await.expect("begins");
        batch.save(&Change { job, live: false }, true, Time(1)).await.expect("saved");
        assert_eq!(batch.prune(Time(2), 9).await.expect("pruned"), [id(1)]);
        batch.commit().await.expect("committed");
        assert_eq!(store.salt_holder(1).await.expect("read"), None);
    }
}
