//! What a page asks of the service.

use std::time::Duration;

use async_trait::async_trait;
use lota_bridge::{blessing::BlessingSubmitError, transport::TransportError};
use lota_content::{cid_from_digest, codec};
use lota_market::{
    Address, Time, U256,
    blessing::{Choice, Command, Nomination, Phase},
    model::JobId,
};
use serde_json::json;
use tokio::sync::broadcast;

use super::{
    KeptAbout, Matter, Problem, RETRY_AFTER, Service,
    gathering::{Dated, Gathered},
    unknown,
};
use crate::{
    attestation::{Envelope, did_key},
    audit_file::Export,
    audit_log,
    course::{Course, GRANTER_FAILED},
    desk::{
        About, BallotPaper, Change, Desk, DeskError, Dossier, Granter, Happened, LookedAt, OutputNode, Queue,
        QueueEntry, QueueFilter, SignedVote, Stage, Vote,
    },
    gather,
    review::SettledJob,
    store::GatheredJob,
};

/// The longest names of a note, in bytes.
const MAX_NOTED: usize = 256;
/// The longest path in an output, in bytes.
const MAX_PATH: usize = 4_096;

/// The CID of a job's output.
pub(super) fn output_cid(job: &SettledJob) -> String {
    cid_from_digest(codec::DAG_PB, job.output.0).to_string()
}

/// That the chain's node was asked in vain.
fn unanswered(patience: Duration) -> DeskError {
    DeskError::Unavailable(format!("the chain's node did not answer within {} s", patience.as_secs_f32()))
}

impl Service {
    /// What the chain says of the notaries and the granters; not what it said of an earlier block, and not for longer than `patience`.
    async fn read_about(&self, patience: Duration) -> Result<About, DeskError> {
        let latest = self.standing().latest;
        let cached = self.standing().about.as_ref().filter(|kept| kept.of == latest).map(|kept| kept.about.clone());
        if let Some(about) = cached {
            return Ok(about);
        }
        let limits = self.store.granters().await?;
        let blessing = &self.parts.blessing;
        let granted =
            futures::future::try_join_all(limits.keys().map(|granter| blessing.granted(*granter, Address::ZERO)));
        let (notaries, granted) =
            self.of_chain(patience, async { tokio::try_join!(blessing.notaries(), granted) }).await?;
        let period = u64::from(blessing.settings().limit_period).max(1);
        let now = latest.map_or(Time(0), |latest| latest.time);
        let period_ends = Time((now.0 / period).saturating_add(1).saturating_mul(period));
        let granters = limits.into_iter().zip(granted).map(|((granter, limits), (_, granted))| {
            let named = self.parts.settings.granters.get(&granter);
            Granter {
                granter,
                name: named.map_or_else(|| granter.to_string(), |named| named.name.clone()),
                unit: named.map_or_else(String::new, |named| named.unit.clone()),
                decimals: named.map_or(0, |named| named.decimals),
                two_approvals_from: self.parts.settings.two_approvals_from(granter),
                limits,
                granted,
                period_ends,
            }
        });
        let about = About {
            blessing: blessing.blessing(),
            market: blessing.market(),
            asset: self.parts.asset.clone(),
            notaries: notaries.list,
            quorum: notaries.quorum,
            version: notaries.version,
            granters: granters.collect(),
            two_approvals_from: self.parts.settings.two_approvals_from,
            signs_as: did_key(&self.parts.key.verifying_key()),
            now,
            block: latest.map_or(0, |latest| latest.block),
            finalized: 0,
            problems: Vec::new(),
        };
        self.standing().about = Some(KeptAbout { of: latest, at: self.clock(), about: about.clone() });
        Ok(about)
    }

    /// The same, or what was read before with a line that says so: a chain's node that is slow keeps nobody from reading.
    async fn about_or_older(&self) -> Result<About, DeskError> {
        let older = self.standing().about.clone();
        let Some(older) = older else { return self.read_about(self.parts.settings.chain_patience.decision).await };
        let failed = self.standing().about_failed.clone().filter(|(again, _)| self.clock() < *again);
        let why = match failed {
            Some((_, why)) => why,
            None => match self.read_about(self.parts.settings.chain_patience.page).await {
                Ok(about) => return Ok(about),
                // Not each page waits for a node that did not answer the one before.
                Err(error) => {
                    let why = error.to_string();
                    self.standing().about_failed = Some((self.clock().after(RETRY_AFTER), why.clone()));
                    why
                }
            },
        };
        let age = self.clock().since(older.at);
        let block = older.about.block;
        let problem = format!("the chain: {why}; what is shown of it was read {age} s ago, at block {block}");
        Ok(About { problems: vec![problem], ..older.about })
    }

    /// What the chain answers, if it does so within this time.
    pub(super) async fn of_chain<T>(
        &self,
        patience: Duration,
        answer: impl Future<Output = Result<T, TransportError>>,
    ) -> Result<T, DeskError> {
        match tokio::time::timeout(patience, answer).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(unanswered(patience)),
        }
    }

    /// Whether the contract would take a command of somebody's, if the chain says so in time.
    pub(super) async fn try_out(
        &self,
        sender: Address,
        command: &Command,
    ) -> Result<Result<(), BlessingSubmitError>, DeskError> {
        let patience = self.parts.settings.chain_patience.decision;
        let tried = tokio::time::timeout(patience, self.parts.blessing.try_out(sender, command)).await;
        tried.map_err(|_| unanswered(patience))
    }

    /// What this service's policy asks for, if that is more than this nomination of the same granter's does.
    fn more_by_policy(&self, nomination: &Nomination) -> Option<U256> {
        let policy = self.parts.settings.nominate.as_ref()?;
        let amount = policy.amount.of(nomination.piece_size);
        (policy.granter == nomination.granter && nomination.amount < amount).then_some(amount)
    }

    async fn entry(&self, job: JobId) -> Result<Option<QueueEntry>, DeskError> {
        let Some(kept) = self.history.settled_job(job).await? else { return Ok(None) };
        let Some(known) = self.store.gathered::<Gathered>(job).await? else { return Ok(None) };
        let course = self.store.course(job).await?;
        let nomination = course.nomination.as_ref();
        let now = self.now();
        Ok(Some(QueueEntry {
            job,
            client: kept.job.client,
            provider: kept.job.provider,
            settled_at: kept.job.settled_at,
            price: kept.job.price,
            stage: stage(&course, &known, now),
            risk: known.risk,
            worries: known.worries,
            amount: nomination.map(|nomination| nomination.amount),
            granter: nomination.map(|nomination| nomination.granter),
            approvals: course.approvals(),
            against: course.against(),
            until: course.until(now),
            voted: course.votes.iter().filter(|vote| vote.round == course.round).map(|vote| vote.notary).collect(),
        }))
    }
}

fn looked_at(gathered: &Gathered) -> LookedAt {
    fn at<T>(dated: &Option<Dated<T>>) -> Option<Time> {
        dated.as_ref().map(|dated| dated.at)
    }
    LookedAt {
        inputs: at(&gathered.inputs),
        output: at(&gathered.retrieval),
        re_execution: at(&gathered.re_execution),
        proofs: at(&gathered.availability),
    }
}

fn stage(course: &Course, known: &GatheredJob<Gathered>, now: Time) -> Stage {
    let otherwise = if known.attempts == 0 { Stage::Gathering } else { Stage::NotNominated };
    course.stage(now).unwrap_or(otherwise)
}

#[async_trait]
impl Desk for Service {
    async fn about(&self) -> Result<About, DeskError> {
        let (latest, finalized, problems) = {
            let standing = self.standing();
            let line = |(matter, problem): (&Matter, &Problem)| format!("{}: {}", matter.about, problem.text);
            let problems: Vec<String> = standing.problems.iter().map(line).collect();
            (standing.latest, standing.finalized, problems)
        };
        if latest.is_none() {
            return Err(DeskError::Unavailable("the chain was not read yet; try again in a moment".into()));
        }
        let mut about = self.about_or_older().await?;
        about.problems.splice(..0, problems);
        about.finalized = finalized;
        Ok(about)
    }

    async fn queue(&self, filter: &QueueFilter) -> Result<Queue, DeskError> {
        let page = self.store.queue(filter).await?;
        let mut entries = Vec::with_capacity(page.jobs.len());
        for job in page.jobs {
            entries.extend(self.entry(job).await?);
        }
        Ok(Queue { entries, more: page.more, total: page.total })
    }

    async fn dossier(&self, job: JobId) -> Result<Dossier, DeskError> {
        let Some(kept) = self.history.settled_job(job).await? else { return Err(unknown(job)) };
        let (risk, checks) = self.assess(&kept).await?;
        let Some(known) = self.store.gathered::<Gathered>(job).await? else { return Err(unknown(job)) };
        let course = self.store.course(job).await?;
        let stage = stage(&course, &known, self.now());
        let mut happened = vec![Happened {
            at: kept.job.settled_at,
            what: format!("settled: {} to the provider", self.parts.asset.show(kept.job.price)),
            transaction: None,
            is_final: true,
        }];
        happened.extend(course.happened.iter().cloned());
        if let (Some(granted), Some(nomination)) = (&course.granted, &course.nomination) {
            let what = format!(
                "granted: {}; {} to the client",
                self.amount(nomination.granter, granted.amount),
                self.parts.blessing.asset().show(granted.to_client)
            );
            // With the units, which the log has not.
            let last = happened.iter_mut().rev().find(|happened| happened.transaction == Some(granted.transaction));
            if let Some(happened) = last {
                happened.what = what;
            }
        }
        if let Some(why) = course.last_failure
            && let Some(failed) = happened.iter_mut().rfind(|it| it.what.starts_with(GRANTER_FAILED))
        {
            failed.what = format!("{GRANTER_FAILED}: {}", self.granter_said(job, why));
        }
        let votes = self.votes_of(job, &course).await?;
        let gathered = known.gathered.unwrap_or_default();
        let looked_at = looked_at(&gathered);
        self.viewed(job, looked_at.proofs);
        let asked = match &self.parts.other_notary {
            Some(notary) => notary.asked(&self.parts.blessing.blessing(), job, course.round).await,
            None => None,
        };
        Ok(Dossier {
            stage,
            risk,
            checks,
            spec: gather::spec_of(&kept).and_then(|spec| serde_json::from_str(&spec.to_json()).ok()),
            output: output_cid(&kept.job),
            nomination: course.running().cloned(),
            policy_amount: course.running().and_then(|nomination| self.more_by_policy(nomination)),
            not_nominated: known.not_nominated.filter(|_| course.phase() == Phase::None),
            phase: course.phase(),
            approvals: course.approvals(),
            against: course.against(),
            votes,
            happened,
            availability: gathered.availability.map(|dated| dated.found).unwrap_or_default(),
            looked_at,
            asked,
            job: kept.job,
        })
    }

    async fn output(&self, job: JobId, path: &str) -> Result<OutputNode, DeskError> {
        if path.len() > MAX_PATH {
            return Err(DeskError::Invalid(format!("the path has {} bytes; at most {MAX_PATH} are read", path.len())));
        }
        let Some(kept) = self.history.settled_job(job).await? else { return Err(unknown(job)) };
        self.parts.sources.output(&kept.job, path).await
    }

    async fn ballot_paper(
        &self,
        job: JobId,
        choice: Choice,
        text: &str,
        notary: Address,
    ) -> Result<BallotPaper, DeskError> {
        let paper = Service::ballot_paper(self, job, choice, text, notary).await?;
        self.opened(job);
        Ok(paper)
    }

    fn opened(&self, job: JobId) {
        self.ask_soon(job);
    }

    async fn vote(&self, vote: &SignedVote) -> Result<Vote, DeskError> {
        self.take_vote(vote).await
    }

    async fn note(&self, actor: &str, action: &str, subject: &str) -> Result<(), DeskError> {
        if [actor, action, subject].iter().any(|text| text.len() > MAX_NOTED) {
            return Err(DeskError::Invalid(format!("names in a note have at most {MAX_NOTED} bytes")));
        }
        self.store.note(self.note_of(actor, action, subject, json!({}))).await?;
        Ok(self.write_audit_log().await?)
    }

    async fn audit_log(&self, from: u64, limit: u32) -> Result<(Vec<audit_log::Entry>, audit_log::Head), DeskError> {
        let (page, head) = {
            let audit = self.audit.lock().await;
            (audit.page(from, limit), audit.head())
        };
        let read = tokio::task::spawn_blocking(move || page.read()).await;
        let entries = read.map_err(|error| DeskError::Unavailable(error.to_string()))?;
        Ok((entries?, head))
    }

    async fn export_audit_log(&self) -> Result<Export, DeskError> {
        Ok(self.audit.lock().await.export()?)
    }

    async fn attestation(&self, job: JobId) -> Result<Envelope, DeskError> {
        self.attest(job).await
    }

    fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}
