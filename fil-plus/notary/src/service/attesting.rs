//! Statements of how a job was decided, for third parties.

use lota_bridge::BlessingRef;
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    blessing::{Choice, End, Event},
    model::JobId,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Service, unknown};
use crate::{
    attestation::{Envelope, Statement, Subject, SubjectDigest, did_key, sign},
    audit_log,
    course::Course,
    desk::DeskError,
    review::{Outcome, Question, Risk},
};

/// The form of [`Decided`].
pub const PREDICATE_TYPE: &str = "https://github.com/lota-market/lota/docs/notaries.md#blessing-v1";

/// How a job was decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    Blessed,
    Granted,
    Refused,
    Expired,
    Revoked,
    Lapsed,
}

impl Verdict {
    fn of(course: &Course) -> Option<Self> {
        Some(match (course.granted, course.ended, course.blessed) {
            (Some(_), ..) => Self::Granted,
            (None, Some((end, _)), _) => match end {
                End::Refused => Self::Refused,
                End::Expired => Self::Expired,
                End::Revoked => Self::Revoked,
                End::Lapsed => Self::Lapsed,
            },
            (None, None, Some(_)) => Self::Blessed,
            (None, None, None) => return None,
        })
    }

    /// As it is written in statements.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blessed => "blessed",
            Self::Granted => "granted",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Lapsed => "lapsed",
        }
    }
}

/// A vote that counted, as an attestation tells of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestedVote {
    pub notary: Address,
    pub choice: Choice,
    /// sha2-256 of the written reasons.
    pub reasons: B256,
    pub transaction: B256,
}

/// A question and how it was answered when the attestation was issued.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttestedCheck {
    pub question: Question,
    pub outcome: Outcome,
}

/// The predicate: how a job was decided. Amounts are in the granter's unit, money in the asset's smallest unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Decided {
    pub blessing: BlessingRef,
    pub market: Address,
    pub job: JobId,
    pub round: u32,
    pub verdict: Verdict,
    /// When: the time of the block.
    pub at: Time,
    /// The transaction that decided it, which is final.
    pub transaction: B256,
    pub client: Address,
    pub provider: Address,
    pub granter: Address,
    pub recipient: Bytes,
    pub amount: U256,
    pub piece: B256,
    pub piece_size: u64,
    pub share: AttoFil,
    pub votes: Vec<AttestedVote>,
    pub risk: Risk,
    pub checks: Vec<AttestedCheck>,
    /// The end of the service's audit log when this was issued: who holds this holds all that lies before.
    pub audit_log: audit_log::Head,
}

impl Service {
    /// The signed statement of how a job was decided. The same one each time, until it is decided further.
    pub(super) async fn attest(&self, job: JobId) -> Result<Envelope, DeskError> {
        let Some(kept) = self.history.settled_job(job).await? else { return Err(unknown(job)) };
        let said = self.store.said(job).await?;
        let course = Course::of(said.iter().filter(|said| said.is_final));
        let (Some(verdict), Some(nomination)) = (Verdict::of(&course), course.nomination.as_ref()) else {
            return Err(DeskError::Refused(format!(
                "job {job} is not decided yet, or that is not final: nothing can be attested"
            )));
        };
        if let Some(issued) = self.store.attestation(job, course.round, verdict.name()).await? {
            return Ok(issued);
        }
        let decided = said.iter().rev().find(|said| {
            let decides = matches!(
                said.event,
                Event::JobBlessed { .. } | Event::NominationEnded { .. } | Event::JobGranted { .. }
            );
            said.is_final && decides
        });
        let Some(decided) = decided else {
            return Err(DeskError::Unavailable("the event that decided it is not known".into()));
        };
        let (risk, checks) = self.assess(&kept).await?;
        let predicate = Decided {
            blessing: self.parts.blessing.blessing(),
            market: self.parts.market.contract,
            job,
            round: course.round,
            verdict,
            at: decided.time,
            transaction: decided.transaction,
            client: nomination.client,
            provider: nomination.provider,
            granter: nomination.granter,
            recipient: nomination.recipient.clone(),
            amount: nomination.amount,
            piece: nomination.piece,
            piece_size: nomination.piece_size,
            share: nomination.share,
            votes: course
                .votes
                .iter()
                .filter(|vote| vote.round == course.round)
                .map(|vote| AttestedVote {
                    notary: vote.notary,
                    choice: vote.choice,
                    reasons: vote.reasons,
                    transaction: vote.transaction,
                })
                .collect(),
            risk,
            checks: checks
                .iter()
                .map(|check| AttestedCheck { question: check.question, outcome: check.outcome })
                .collect(),
            audit_log: self.audit.lock().await.head(),
        };
        let subject = |name: String, digest: B256| Subject {
            name,
            digest: SubjectDigest { sha256: digest.iter().map(|byte| format!("{byte:02x}")).collect() },
        };
        let subjects = vec![
            subject(super::desk::output_cid(&kept.job), kept.job.output),
            subject(format!("spec of job {job}"), kept.job.spec),
        ];
        let statement = Statement::new(subjects, PREDICATE_TYPE, predicate);
        let envelope = sign(&statement, &self.parts.key)
            .map_err(|error| DeskError::Unavailable(format!("the attestation cannot be written: {error}")))?;
        let details = json!({
            "round": course.round, "verdict": verdict, "key": did_key(&self.parts.key.verifying_key()),
        });
        let note = self.note_of("service", "attested", job, details);
        self.store.keep_attestation(job, course.round, verdict.name(), &envelope, note).await?;
        self.write_audit_log().await?;
        let issued = self.store.attestation(job, course.round, verdict.name()).await?;
        issued.ok_or_else(|| DeskError::Unavailable("the attestation was not kept".into()))
    }
}
