//! What lists of jobs are filtered by: whether a job failed, and its labels.

use std::collections::BTreeMap;

use lota_market::{
    agent::{Job, JobView},
    model::{Reason, SpecCodec, Status},
    spec,
};

use super::{Batch, StoreError, signed};

/// How canonical DAG-CBOR says that a spec has no labels: the key, and an empty map. No other map of a spec is empty behind such
/// a text, and no text can hold it, since it is no UTF-8.
const NO_LABELS: &[u8] = b"\x66labels\xa0";

/// Whether a job came to no good end: nobody took it, nobody was paid for it, or its program says that it failed.
pub(super) fn is_failed(view: &JobView) -> bool {
    match view.status {
        Status::Slashed | Status::Void => true,
        Status::Cancelled => view.reason == Reason::NotLocked,
        _ => view.result.as_ref().is_some_and(|result| result.exit_code != 0),
    }
}

/// The labels of a job whose spec is known. Nodes store the jobs of a whole market, and most have none: that is seen without
/// reading the spec.
fn labels(job: &Job) -> BTreeMap<String, String> {
    let spec = || {
        let codec = SpecCodec::from_code(job.view.terms.spec_codec)?;
        let bytes = job.spec_bytes()?;
        if codec == SpecCodec::DagCbor && bytes.windows(NO_LABELS.len()).any(|window| window == NO_LABELS) {
            return None;
        }
        spec::parse(codec, bytes).ok()
    };
    spec().map(|spec| spec.labels().clone()).unwrap_or_default()
}

impl Batch<'_> {
    /// Keeps a job's labels. A spec is named by its digest, so only the time of its opening can change, in a reorganisation.
    pub(super) async fn file_labels(&mut self, job: &Job) -> Result<(), StoreError> {
        for (name, value) in labels(job) {
            sqlx::query(
                "INSERT INTO labels (job, name, value, opened) VALUES ($1, $2, $3, $4) \
                 ON CONFLICT (job, name) DO UPDATE SET opened = excluded.opened",
            )
            .bind(job.id().0.as_slice())
            .bind(name)
            .bind(value)
            .bind(signed(job.view.opened.0))
            .execute(&mut *self.transaction)
            .await
            .map_err(|source| self.store.failed(source))?;
        }
        Ok(())
    }
}
