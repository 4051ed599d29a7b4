//! Records that earlier versions stored in another form.

use ciborium::Value;

use super::{Batch, Store, StoreError};

/// The form of records that this version stores. 1: failures are texts.
pub(super) const FORM: i64 = 2;
/// How many jobs are brought to this version's form in one transaction.
const AT_ONCE: i64 = 500;
/// What a failure for want of money began with.
const UNAFFORDABLE: &str = "too little money: ";

/// Id and record of a job.
pub(super) type OldJob = (Vec<u8>, Vec<u8>);

impl Store {
    /// The next jobs of an earlier version, by id and record, and the transaction in which they are brought to this version's form;
    /// `None` when none is left. `select` takes how many as $1.
    pub(super) async fn outdated(&self, select: &'static str) -> Result<Option<(Batch<'_>, Vec<OldJob>)>, StoreError> {
        let mut batch = self.begin().await?;
        let rows = sqlx::query_as(select)
            .bind(AT_ONCE)
            .fetch_all(&mut *batch.transaction)
            .await
            .map_err(|source| self.failed(source))?;
        Ok(if rows.is_empty() { None } else { Some((batch, rows)) })
    }

    /// Brings the records of earlier versions to this version's form.
    pub(super) async fn rewrite_old_records(&self) -> Result<(), StoreError> {
        while let Some((mut batch, jobs)) = self.outdated("SELECT id, record FROM jobs WHERE form = 1 LIMIT $1").await?
        {
            for (id, record) in jobs {
                // A record that cannot be read is reported when somebody asks for it.
                sqlx::query("UPDATE jobs SET record = $1, form = $2 WHERE id = $3")
                    .bind(rewrite(&record).unwrap_or(record))
                    .bind(FORM)
                    .bind(id)
                    .execute(&mut *batch.transaction)
                    .await
                    .map_err(|source| self.failed(source))?;
            }
            batch.commit().await?;
        }
        Ok(())
    }
}

/// A record of form 1 in form 2: the problems of steps become failures.
fn rewrite(record: &[u8]) -> Option<Vec<u8>> {
    let mut record: Value = ciborium::from_reader(record).ok()?;
    for (_, state) in field(&mut record, "steps")?.as_map_mut()? {
        for (name, kind) in [("waiting", "temporary"), ("failed", "permanent")] {
            let Some(fields) = field(state, name).and_then(Value::as_map_mut) else { continue };
            for (name, value) in fields {
                if name.as_text() == Some("problem")
                    && let Some(problem) = value.as_text()
                {
                    let problem = problem.strip_prefix(UNAFFORDABLE).unwrap_or(problem).to_owned();
                    *name = Value::from("failure");
                    *value = Value::Map(vec![(Value::from(kind), Value::from(problem))]);
                }
            }
        }
    }
    let mut bytes = Vec::new();
    ciborium::into_writer(&record, &mut bytes).ok()?;
    Some(bytes)
}

fn field<'a>(value: &'a mut Value, name: &str) -> Option<&'a mut Value> {
    value.as_map_mut()?.iter_mut().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use lota_market::{
        AttoFil, Time,
        agent::{Failure, Job, JobView, Step, StepState, Work},
        model::{JobId, Status},
    };
    use tempfile::TempDir;

    use super::*;
    use crate::store::{FILE, decode, encode, tests::terms};

    /// A record as version 1 stored it: what is new is missing, failures are texts.
    fn old_record() -> Vec<u8> {
        let id = JobId(lota_market::B256::repeat_byte(3));
        let mut job = Job::new(JobView::new(id, terms(1), lota_market::Bytes::new(), Status::Open, Time(5)));
        job.work = Some(Work { asking: AttoFil(7), ..Work::default() });
        job.steps.insert(Step::FetchInputs, StepState::Done);
        let mut record: Value = ciborium::from_reader(&*encode(&job).expect("encodes")).expect("a value");
        for (of, new) in
            [("", "round"), ("view", "block"), ("work", "bid"), ("work", "reruns"), ("work", "slash_noted")]
        {
            let part = if of.is_empty() { &mut record } else { field(&mut record, of).expect("it is there") };
            part.as_map_mut().expect("a map").retain(|(key, _)| key.as_text() != Some(new));
        }
        let text = |text: &str| Value::from(text);
        let waiting = Value::Map(vec![
            (text("attempts"), Value::from(2)),
            (text("until"), Value::from(9)),
            (text("problem"), text("too little money: 0x07 holds nothing")),
        ]);
        let failed = Value::Map(vec![(text("problem"), text("the market refuses: no"))]);
        let in_flight = Value::Map(vec![(text("attempt"), Value::from(4))]);
        let steps = field(&mut record, "steps").and_then(Value::as_map_mut).expect("steps");
        steps.push((text("lock"), Value::Map(vec![(text("waiting"), waiting)])));
        steps.push((text("settle"), Value::Map(vec![(text("failed"), failed)])));
        steps.push((text("run"), Value::Map(vec![(text("in_flight"), in_flight)])));
        let mut bytes = Vec::new();
        ciborium::into_writer(&record, &mut bytes).expect("encodes");
        bytes
    }

    #[tokio::test]
    async fn a_database_of_the_old_form_is_read() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join(FILE);
        drop(Store::open(&path).await.expect("opens"));
        // As the version before left it: without the column, and without its migration.
        let store = Store::open(&path).await.expect("opens");
        let old = old_record();
        assert!(decode::<Job>("a job", &old).is_err(), "it would not be read as it is");
        for statement in [
            "DROP INDEX jobs_of_old_form",
            "ALTER TABLE jobs DROP COLUMN form",
            "DELETE FROM _sqlx_migrations WHERE version >= 9",
        ] {
            sqlx::query(statement).execute(&store.pool).await.expect("as it was");
        }
        sqlx::query(
            "INSERT INTO jobs (id, status, client, provider, opened, updated, mine, live, record, failed) \
             VALUES ($1, 1, x'01', x'02', 5, 5, FALSE, TRUE, $2, FALSE)",
        )
        .bind(lota_market::B256::repeat_byte(3).as_slice())
        .bind(old)
        .execute(&store.pool)
        .await
        .expect("inserted");
        store.close().await;
        let store = Store::open(&path).await.expect("it is brought to this version's form");
        let jobs = store.live_jobs().await.expect("read");
        let [job] = jobs.as_slice() else { panic!("one job instead of {jobs:?}") };
        let failure = Failure::Temporary("0x07 holds nothing".to_owned());
        assert_eq!(
            job.steps[&Step::Lock],
            StepState::Waiting { attempts: 2, until: Time(9), failure },
            "without the prefix"
        );
        let failure = Failure::Permanent("the market refuses: no".to_owned());
        assert_eq!(job.steps[&Step::Settle], StepState::Failed { failure });
        assert_eq!(job.steps[&Step::Run], StepState::InFlight { attempt: 4, round: 0 });
        assert_eq!((job.round, job.view.block), (0, 0));
        let work = job.work.as_ref().expect("it has work");
        assert_eq!((work.asking, work.bid, work.reruns, work.slash_noted), (AttoFil(7), None, 0, true));
    }
}
