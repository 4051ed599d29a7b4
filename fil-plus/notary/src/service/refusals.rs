//! Why a granter does not grant, in words: the chain tells the first four bytes of its error.

use lota_bridge::evm::granters;
use lota_market::{
    FixedBytes,
    asset::Asset,
    blessing::{Nomination, Rejection},
    model::JobId,
};

use super::Service;

/// Of so many jobs it is kept what their granters said.
const MAX_KEPT: usize = 1_024;

/// Why the blessing refuses a command, in words.
pub(super) fn words(rejection: &Rejection, asset: &Asset) -> String {
    match rejection {
        Rejection::GrantRefused { granter, why } => {
            format!("the granter {granter} could not grant this: {}", granters::failure(*why))
        }
        other => other.words(asset),
    }
}

impl Service {
    /// Asks a granter that failed for all of its error, and keeps that while the job runs.
    pub(super) async fn ask_granter(&self, nomination: &Nomination, why: FixedBytes<4>) -> String {
        let patience = self.parts.settings.chain_patience.decision;
        let asked = self.of_chain(patience, self.parts.blessing.granter_refusal(nomination)).await;
        if let Ok(Some(rejection)) = asked {
            let told = granters::failure_with(why, &rejection);
            let mut standing = self.standing();
            if standing.granters_said.len() < MAX_KEPT || standing.granters_said.contains_key(&nomination.job) {
                standing.granters_said.insert(nomination.job, (why, told));
            }
        }
        self.granter_said(nomination.job, why)
    }

    /// What a granter said of a job that it failed for with this error.
    pub(super) fn granter_said(&self, job: JobId, why: FixedBytes<4>) -> String {
        let kept = self.standing().granters_said.get(&job).filter(|(of, _)| *of == why).map(|(_, told)| told.clone());
        kept.unwrap_or_else(|| granters::failure(why))
    }
}
