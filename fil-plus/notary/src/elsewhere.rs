//! What the service asks others than the chain: a registry, those who serve outputs, its own engines.

pub mod network;
pub mod outputs;
mod pace;
pub mod re_execution;
pub mod registry;
mod viewer;

pub use pace::Pace;
pub use viewer::MAX_LISTED;

use async_trait::async_trait;
use lota_market::{B256, spec::ValidatedSpec};

use crate::{
    desk::{DeskError, OutputFile, OutputNode},
    history::Kept,
    review::{Evidence, InputEvidence, ReExecution, Retrieval, SettledJob},
};

/// The piece that holds a job's output: its CAR, padded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Piece {
    /// The 32 bytes of its commitment (FIP-0069's digest without the prefix: the root of the sha2-256-trunc254 tree).
    pub commitment: B256,
    /// Its padded size in bytes: a power of two, at least 128.
    pub size: u64,
    /// Bytes of the CAR: with the commitment, all that a piece CID tells.
    pub car: u64,
}

/// Where a service finds out what no log tells. Each call is bounded in time and memory by who implements it, and may be dropped.
#[async_trait]
pub trait Sources: Send + Sync + 'static {
    /// What a registry says of a job's inputs, in the same order. One that could not be asked about has no certainty, and a reason.
    async fn inputs(&self, inputs: Vec<InputEvidence>) -> Vec<InputEvidence>;

    /// Fetches all of a job's output, and checks each block; with its piece, if all of it was there. [`Retrieval::Pending`] when it cannot
    /// be tried now.
    async fn retrieval(&self, job: &SettledJob) -> (Retrieval, Option<Piece>);

    /// Runs a job again. [`ReExecution::NotNow`] or [`ReExecution::Pending`] when it cannot be done now.
    async fn re_execution(&self, kept: &Kept, spec: &ValidatedSpec) -> ReExecution;

    /// What lies at a path of a job's output (empty: its root); of a directory, the names behind `after`.
    ///
    /// # Errors
    /// See [`DeskError`].
    async fn output(&self, job: &SettledJob, path: &str, after: Option<&str>) -> Result<OutputNode, DeskError>;

    /// A whole file of a job's output, of at most so many bytes.
    ///
    /// # Errors
    /// See [`DeskError`].
    async fn file(&self, job: &SettledJob, path: &str, most: u64) -> Result<OutputFile, DeskError> {
        let _ = (job, path, most);
        Err(DeskError::Unavailable("this service hands out no files".to_owned()))
    }

    /// What proofs of storage say of the piece of a job's output; empty: nobody is asked.
    async fn availability(&self, piece: &Piece) -> Vec<Evidence>;
}
