//! Nominating what the policy says.

use std::convert::Infallible;

use super::{GATHER, NOMINATE, NominationPolicy, Service, ServiceError, gathering::MAX_ATTEMPTS, refusals};
use crate::{course::Course, desk::Change, history::Kept, review::Risk, store::Decision};
use lota_bridge::blessing::BlessingSubmitError;
use lota_market::{
    AttoFil, Time,
    agent::EffectKey,
    blessing::{Command, End, Rejection, Request},
    model::{JobId, Receipt},
};

/// How many jobs are considered in one turn.
const AT_ONCE: u32 = 16;
const DAY: u64 = 24 * 60 * 60;
/// When a job is considered again whose facts may change.
const LATER: u64 = 10 * 60;
/// When something is tried again that may work then.
const SOON: u64 = 30;

/// Why a job is not nominated, and after how many seconds that may have changed.
struct Not(String, Option<u64>);

impl Service {
    /// Nominates, for ever.
    pub(super) async fn keep_nominating(&self) -> Result<Infallible, ServiceError> {
        loop {
            let turn = self.nominate_due().await.map(drop);
            self.after_turn("nominating", NOMINATE, turn).await;
        }
    }

    /// Nominates what is due. Tells how many jobs were considered.
    pub(super) async fn nominate_due(&self) -> Result<usize, ServiceError> {
        let jobs = self.store.to_nominate(self.clock(), AT_ONCE).await?;
        for job in &jobs {
            let Some(kept) = self.history.settled_job(*job).await? else { continue };
            let decision = match self.nominate(&kept).await? {
                Ok(decision) => decision,
                Err(Not(why, again)) => Decision::Not { why, again: again.map(|seconds| self.clock().after(seconds)) },
            };
            self.store.keep_decision(*job, &decision).await?;
            self.changed(Change::Job(*job));
        }
        Ok(jobs.len())
    }

    async fn nominate(&self, kept: &Kept) -> Result<Result<Decision, Not>, ServiceError> {
        let job = kept.job.job;
        let Some(policy) = &self.parts.settings.nominate else {
            return Ok(Err(Not("this service nominates nothing by itself; anybody may".into(), None)));
        };
        let course = self.store.course(job).await?;
        if course.round > 0 && !self.is_open_again(&course) {
            // Somebody has, or it was nominated and that ended: then a person decides.
            return Ok(Err(Not(format!("it was nominated before (round {})", course.round), None)));
        }
        let (risk, _) = self.assess(kept).await?;
        if risk > policy.most_risk {
            let (risk, most) = (name(risk), name(policy.most_risk));
            let why = format!("its risk is {risk}; by itself this service nominates up to a {most} risk");
            return Ok(Err(Not(why, Some(LATER))));
        }
        let today = self.store.nominated_since(Time(self.clock().0.saturating_sub(DAY))).await?;
        if today >= policy.per_day {
            let why = format!("{today} jobs were nominated in the last 24 hours, which is the most");
            return Ok(Err(Not(why, Some(LATER))));
        }
        self.nominate_now(kept, policy, course.round + 1).await
    }

    /// Whether a job may be nominated by the policy though it was nominated before: somebody else's nomination, of whatever they liked,
    /// which nobody decided on, takes nothing from its provider.
    pub(super) fn is_open_again(&self, course: &Course) -> bool {
        let is_ours = |nominator| nominator == self.parts.blessing.party();
        course.ended == Some((End::Expired, true))
            && course.nomination.as_ref().is_some_and(|nomination| !is_ours(nomination.nominator))
    }

    async fn nominate_now(
        &self,
        kept: &Kept,
        policy: &NominationPolicy,
        round: u32,
    ) -> Result<Result<Decision, Not>, ServiceError> {
        let (job, blessing) = (kept.job.job, &self.parts.blessing);
        let (provider, granter) = (kept.job.provider, policy.granter);
        let unreachable = |error: &dyn std::fmt::Display| Not(error.to_string(), Some(SOON));
        let registration = match blessing.registration(provider, granter).await {
            Err(error) => return Ok(Err(unreachable(&error))),
            Ok(registration) if registration.recipient.is_empty() => {
                let why = Rejection::NotRegistered { provider, granter }.to_string();
                return Ok(Err(Not(why, Some(LATER))));
            }
            Ok(registration) => registration,
        };
        let needed = AttoFil(blessing.settings().deposit.0.saturating_add(policy.bounty.0));
        match blessing.balance(blessing.party()).await {
            Err(error) => return Ok(Err(unreachable(&error))),
            Ok(balance) if balance < needed => {
                let asset = blessing.asset();
                let why = format!(
                    "this service's account {} holds {} in the blessing, and deposit and bounty take {}; fund it",
                    blessing.party(),
                    asset.show(balance),
                    asset.show(needed)
                );
                self.problem("the account in the blessing", Some(why.clone()));
                return Ok(Err(Not(why, Some(SOON))));
            }
            Ok(_) => self.problem("the account in the blessing", None),
        }
        // Nothing is fetched here: others wait.
        let Some(piece) = self.gathered(job).await?.piece.map(|dated| dated.found) else {
            self.store.gather_again(job, self.clock(), MAX_ATTEMPTS).await?;
            self.wake(GATHER);
            let why = "its output was not fetched whole, so the piece that holds it is not known";
            return Ok(Err(Not(why.into(), Some(LATER))));
        };
        let amount = policy.amount.of(piece.size);
        let request = Request {
            granter,
            amount,
            piece: piece.commitment,
            piece_size: piece.size,
            bounty: policy.bounty,
            // What the provider promises now: it cannot take it back before this lands.
            min_share: registration.share(amount),
        };
        let receipt = Receipt { provider, price: kept.job.price, result: kept.result.clone() };
        let command = Command::Nominate { terms: Box::new(kept.terms.clone()), receipt: Box::new(receipt), request };
        match blessing.submit(&key(job, round, &request), &command, AttoFil::ZERO).await {
            Ok(_) => Ok(Ok(Decision::Nominated { round, at: self.clock() })),
            Err(BlessingSubmitError::Rejected(rejection)) => {
                let again = match rejection {
                    Rejection::NotKept(_) | Rejection::AlreadyGranted(_) => None,
                    _ => Some(LATER),
                };
                Ok(Err(Not(format!("the blessing refuses: {}", refusals::words(&rejection, blessing.asset())), again)))
            }
            Err(error) => Ok(Err(unreachable(&error))),
        }
    }
}

/// One nomination of a job by this service, for one thing.
fn key(job: JobId, round: u32, request: &Request) -> EffectKey {
    let Request { granter, amount, piece, .. } = request;
    let amount = format!("{amount:x}");
    let again = if round > 1 { format!("/{round}") } else { String::new() };
    EffectKey::named(&format!("{job}/nominate/{}/{amount}/{}{again}", short(granter), short(piece)))
}

/// The first bytes of something, in hex.
fn short(bytes: &impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

const fn name(risk: Risk) -> &'static str {
    match risk {
        Risk::Low => "low",
        Risk::Medium => "medium",
        Risk::High => "high",
    }
}
