//! A notary's service on a chain: from a settled job to the grant, with real contracts.

#![allow(clippy::expect_used, clippy::panic, reason = "this is test code")]

mod evidence;
mod paying;
mod scene;

use std::sync::Arc;

use async_trait::async_trait;
use lota_bridge::blessing::BlessingTransport as _;
use lota_market::{B256, U256, blessing::Phase, spec::ValidatedSpec};
use lota_notary::{
    attestation,
    desk::{Desk, DeskError, OutputNode, Stage},
    elsewhere::{Piece, Sources},
    history::Kept,
    review::{Evidence, InputEvidence, ReExecution, Retrieval, SettledJob},
    service::{Decided, Verdict},
};
use lota_tests::anvil::Anvil;
use scene::{AMOUNT, OURS, SETTINGS, Scene, figure};
use tokio::time::Instant;

/// What others know: that all is well.
struct Well;

#[async_trait]
impl Sources for Well {
    async fn inputs(&self, inputs: Vec<InputEvidence>) -> Vec<InputEvidence> {
        inputs
    }

    async fn retrieval(&self, _: &SettledJob) -> (Retrieval, Option<Piece>) {
        let piece = Piece { commitment: B256::repeat_byte(7), size: 1 << 20, car: 1 << 19 };
        (Retrieval::Verified { bytes: 5 }, Some(piece))
    }

    async fn re_execution(&self, _: &Kept, _: &ValidatedSpec) -> ReExecution {
        ReExecution::Agrees { fuel: 7 }
    }

    async fn output(&self, _: &SettledJob, _: &str, _: Option<&str>) -> Result<OutputNode, DeskError> {
        Err(DeskError::Unavailable("not in this test".into()))
    }

    async fn availability(&self, _: &Piece) -> Vec<Evidence> {
        vec![]
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settled_job_is_nominated_blessed_by_two_wallets_and_granted() {
    let Some(anvil) = Anvil::spawn_or_skip().await else { return };
    let scene = Scene::set(anvil).await;
    let mut served = scene.serve(Arc::new(Well), None, vec![], Arc::new(lota_notary::outgoing::clock)).await;
    let job = scene.settle(B256::repeat_byte(6)).await;
    let settled = Instant::now();
    served.stage(job, true, &[]).await;
    let in_queue = settled.elapsed();
    let entry = served.stage(job, true, &[Stage::Voting]).await;
    let nominated = settled.elapsed();
    assert_eq!(entry.amount, Some(U256::from(AMOUNT)));

    let last_vote = served.approve(job).await;
    let voted = last_vote.elapsed();
    served.stage(job, true, &[Stage::Blessed, Stage::Due]).await;
    let blessed = last_vote.elapsed();
    scene.anvil.advance(u64::from(SETTINGS.revoke_for) + 1).await;
    served.stage(job, false, &[Stage::Granted]).await;
    let granted = last_vote.elapsed();
    let decided = served
        .until(async |service| {
            let envelope = service.attestation(job).await.ok()?;
            let bytes = serde_json::to_vec(&envelope).expect("JSON");
            let statement = attestation::verify::<Decided>(&bytes, &[attestation::key_of(&OURS).verifying_key()])
                .expect("it is believed");
            (statement.predicate.verdict == Verdict::Granted).then_some(statement.predicate)
        })
        .await;
    assert_eq!((decided.amount, decided.votes.len()), (U256::from(AMOUNT), 2));
    let record = scene.of_provider.record(job).await.expect("it is told");
    assert_eq!(record.phase, Phase::Granted);
    assert!(!served.log().await.is_empty());
    figure("settlement to the queue", in_queue);
    figure("settlement to the nomination", nominated);
    figure("last vote to its block", voted);
    figure("last vote to the blessing", blessed);
    figure("last vote to the grant, revoking skipped", granted);
    served.running.abort();
}
