//! How full a database is. What strangers cause must not fill it: from [`CROWDED`] on something goes, until it is [`ROOMY`].

use lota_database::{Database, DatabaseError};

/// Sixteenths of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fullness(u64);

/// Down to here something goes.
pub(crate) const ROOMY: Fullness = Fullness(12);
/// From here on.
pub(crate) const CROWDED: Fullness = Fullness(14);
/// From here on nothing more is taken of strangers: the rest is for what notaries do.
pub(crate) const RESERVED: Fullness = Fullness(15);

/// Whether so much of its limit is used.
pub(crate) async fn is_above(database: &Database, fullness: Fullness) -> Result<bool, DatabaseError> {
    let Some(limit) = database.max_size() else { return Ok(false) };
    Ok(database.used().await? > limit / 16 * fullness.0)
}
