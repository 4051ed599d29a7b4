//! Specs that were published on the market (`SpecPublished`), for the jobs that name them by their digest alone.
//!
//! A reorganisation takes nothing back here: bytes under their own digest are true on every fork.

use lota_bridge::Cursor;
use lota_market::{B256, Bytes};
use sqlx::Row as _;

use super::{Batch, Store, StoreError, signed};

/// Most specs that are kept, of at most [`MAX_SPEC`](lota_market::model::MAX_SPEC) bytes each; the ones that were published longest ago go first.
pub(crate) const MAX_SPECS: u32 = 4_096;

impl Batch<'_> {
    /// Keeps the bytes of a spec under their sha2-256 digest.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn add_spec(&mut self, cursor: &Cursor, data: &Bytes) -> Result<(), StoreError> {
        sqlx::query(
            "INSERT INTO published_specs (digest, block, idx, data) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (digest) DO UPDATE SET block = excluded.block, idx = excluded.idx",
        )
        .bind(lota_content::sha2_256(data).as_slice())
        .bind(signed(cursor.block))
        .bind(i64::from(cursor.index))
        .bind(data.as_ref())
        .execute(&mut *self.transaction)
        .await
        .map_err(|source| self.store.failed(source))?;
        sqlx::query(
            "DELETE FROM published_specs WHERE (block, idx) <= \
             (SELECT block, idx FROM published_specs ORDER BY block DESC, idx DESC LIMIT 1 OFFSET $1)",
        )
        .bind(i64::from(MAX_SPECS))
        .execute(&mut *self.transaction)
        .await
        .map_err(|source| self.store.failed(source))?;
        Ok(())
    }
}

impl Store {
    /// The published spec with this digest.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn spec(&self, digest: B256) -> Result<Option<Bytes>, StoreError> {
        let row = sqlx::query("SELECT data FROM published_specs WHERE digest = $1")
            .bind(digest.as_slice())
            .fetch_optional(self.pool())
            .await
            .map_err(|source| self.failed(source))?;
        Ok(row.map(|row| Bytes::copy_from_slice(row.get(0))))
    }
}
