//! Where the registry knows things from: one trait, one file for each source.

mod bounded;
pub mod events;
pub mod ipni;
pub mod list;
pub mod lotus;
mod rpc;

use async_trait::async_trait;
use cid::Cid;

pub use rpc::{Limits, Rpc};

use crate::step::{Report, SourceError, Step};

/// Something that knows about FIL+.
///
/// A source that can be read from end to end is taken step by step with [`Source::next`]; one that can only be asked answers
/// [`Source::ask`].
#[async_trait]
pub trait Source: Send + Sync {
    /// Its name, which stays the same: under it the registry keeps how far it is.
    fn name(&self) -> &str;

    /// Of what kind it is, in a word.
    fn kind(&self) -> &'static str;

    /// Who says what it gives. Sources of one chain node have one origin, and their facts are one state.
    fn origin(&self) -> &str;

    /// After how many seconds its word is old.
    fn stale_after(&self) -> u64;

    /// Whose signature it takes, if what it gives is signed: what another has signed does not count, also if it was read before.
    fn signers(&self) -> Option<Vec<[u8; 32]>> {
        None
    }

    /// The next step from a cursor on (`None`: from the beginning); `now` in Unix seconds. `None`: it can only be asked.
    ///
    /// # Errors
    /// See [`SourceError`]. The cursor stays where it was.
    async fn next(&self, cursor: Option<&str>, now: u64) -> Result<Option<Step>, SourceError>;

    /// In which pieces a payload is; `None`: it cannot be asked.
    ///
    /// # Errors
    /// See [`SourceError`].
    async fn ask(&self, _payload: &Cid) -> Result<Option<Vec<Report>>, SourceError> {
        Ok(None)
    }
}
