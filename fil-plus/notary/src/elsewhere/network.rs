//! All of it together.

use std::sync::Arc;

use async_trait::async_trait;
use lota_content::piece::{PieceCommitment, PieceRoot};
use lota_market::spec::{Engine, ValidatedSpec};

use super::{Piece, Sources, outputs::Outputs, re_execution::ReExecutor, registry::Registry};
use crate::{
    desk::{DeskError, OutputFile, OutputNode},
    history::Kept,
    review::{Evidence, InputEvidence, ReExecution, Retrieval, SettledJob},
};

/// Who knows whether a job's output is still stored (docs/publishing.md, proofs of possession).
#[async_trait]
pub trait Availability: Send + Sync + 'static {
    /// What proofs say of the piece that holds a job's output, each in a line; empty: nothing.
    async fn of(&self, piece: &PieceCommitment) -> Vec<Evidence>;
}

/// What a service finds out over the network and on its own engines. What it was not given stays unknown, and says so.
#[derive(Default)]
pub struct NetworkSources {
    /// Asked about inputs.
    pub registry: Option<Registry>,
    pub outputs: Option<Outputs>,
    pub re_executor: Option<ReExecutor>,
    pub availability: Vec<Arc<dyn Availability>>,
}

#[async_trait]
impl Sources for NetworkSources {
    async fn inputs(&self, mut inputs: Vec<InputEvidence>) -> Vec<InputEvidence> {
        match &self.registry {
            Some(registry) => registry.look_up(inputs).await,
            None => {
                for input in &mut inputs {
                    input.because.push("this service was given no registry to ask".to_owned());
                }
                inputs
            }
        }
    }

    async fn retrieval(&self, job: &SettledJob) -> (Retrieval, Option<Piece>) {
        match &self.outputs {
            Some(outputs) => outputs.retrieval(job).await,
            None => (Retrieval::Pending, None),
        }
    }

    async fn re_execution(&self, kept: &Kept, spec: &ValidatedSpec) -> ReExecution {
        match &self.re_executor {
            Some(re_executor) => re_executor.run_again(kept, spec).await,
            None if matches!(spec.engine(), Engine::Docker { .. }) => ReExecution::NotReproducible,
            None => ReExecution::Impossible { why: "this service runs no jobs".to_owned() },
        }
    }

    async fn output(&self, job: &SettledJob, path: &str, after: Option<&str>) -> Result<OutputNode, DeskError> {
        match &self.outputs {
            Some(outputs) => outputs.look(job, path, after).await,
            None => Err(none()),
        }
    }

    async fn file(&self, job: &SettledJob, path: &str, most: u64) -> Result<OutputFile, DeskError> {
        match &self.outputs {
            Some(outputs) => outputs.file(job, path, most).await,
            None => Err(none()),
        }
    }

    async fn availability(&self, piece: &Piece) -> Vec<Evidence> {
        let root = PieceRoot::new(piece.commitment.0);
        let Some(piece) = root.and_then(|root| PieceCommitment::new(root, piece.car)) else { return Vec::new() };
        let mut all = Vec::new();
        for availability in &self.availability {
            all.extend(availability.of(&piece).await);
        }
        all
    }
}

fn none() -> DeskError {
    DeskError::Unavailable("this service fetches no outputs".to_owned())
}
