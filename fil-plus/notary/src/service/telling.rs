//! Telling people and programs what is final.

use std::convert::Infallible;

use futures::StreamExt as _;
use lota_bridge::evm::granters;
use lota_market::{
    Time,
    blessing::{Choice, End, Event},
    model::JobId,
};
use serde_json::json;

use super::{Matter, Problem, Service, ServiceError, TELL};
use crate::{
    alerts::{Alert, AlertKind, DeliverError},
    store::{AuditNote, Final, Follows, Outgoing},
};

/// So many alerts are under way at once.
const AT_ONCE: usize = 8;
/// How many are looked at in one turn.
const PAGE: u32 = 100;
/// What has not worked for so many seconds is told of.
const LASTING: u64 = 300;
/// Seconds until the second try; each further one waits twice as long, at most [`LONGEST`].
const FIRST: u64 = 5;
const LONGEST: u64 = 60 * 60;
/// After so many tries (some three days) an alert is given up.
const MAX_ATTEMPTS: u32 = 80;

impl Service {
    /// What is to be told, noted and done about something that is final now.
    pub(super) fn tell_of(&self, news: &Final<'_>) -> Follows {
        let (said, course) = (news.said, news.course);
        let asset = &self.parts.asset;
        let by_blessing = || "blessing".to_owned();
        let (kind, actor, action, text, mut details) = match &said.event {
            Event::JobNominated { job, nominator, nomination } => {
                let amount = self.amount(nomination.granter, nomination.amount);
                (
                    Some(AlertKind::Nominated),
                    nominator.to_string(),
                    "nominated",
                    format!("Job {job} was nominated for {amount}; it is voted on until {}.", date(nomination.expires)),
                    json!({ "round": nomination.round, "nomination": nomination }),
                )
            }
            Event::VoteCast { job, round, notary, choice, reasons } => {
                let (action, verb) = match choice {
                    Choice::Approve => ("approved", "approved"),
                    Choice::Reject => ("rejected", "rejected"),
                    Choice::Revoke => ("revoked", "voted to revoke"),
                };
                let text = format!("{notary} {verb} job {job}.");
                (
                    None,
                    notary.to_string(),
                    action,
                    text,
                    json!({ "round": round, "choice": choice, "reasons": reasons }),
                )
            }
            Event::JobBlessed { job, round, revoke_until, grant_until } => (
                Some(AlertKind::Blessed),
                by_blessing(),
                "blessed",
                format!("Job {job} was blessed; it is granted after {}.", date(*revoke_until)),
                json!({ "round": round, "revoke_until": revoke_until, "grant_until": grant_until }),
            ),
            Event::NominationEnded { job, round, end } => {
                let how = match end {
                    End::Refused => "it was refused",
                    End::Expired => "it was not decided in time",
                    End::Revoked => "its blessing was revoked",
                    End::Lapsed => "it was blessed, and not granted in time",
                };
                (
                    Some(AlertKind::Ended),
                    by_blessing(),
                    "ended",
                    format!("The nomination of job {job} ended: {how}."),
                    json!({ "round": round, "end": end }),
                )
            }
            Event::GrantFailed { job, round, why } => (
                // Anybody may let it fail as often as they like: every other is told less than half of the time.
                course.failures.is_power_of_two().then_some(AlertKind::GrantFailed),
                by_blessing(),
                "grant failed",
                format!(
                    "The granter failed for job {job}, {} times so far: {}.",
                    course.failures,
                    self.granter_said(*job, *why)
                ),
                json!({
                    "round": round, "why": why, "error": granters::error_name(*why), "failures": course.failures,
                }),
            ),
            Event::JobGranted { job, provider, granter, amount, to_client } => (
                Some(AlertKind::Granted),
                by_blessing(),
                "granted",
                format!(
                    "Job {job} was granted: {} to {provider}, {} to its client.",
                    self.amount(*granter, *amount),
                    asset.show(*to_client)
                ),
                json!({
                    "provider": provider,
                    "granter": granter,
                    "amount": amount,
                    "to_client": to_client,
                    "nomination": course.nomination,
                }),
            ),
            Event::NotariesSet { version, notaries, quorum } => (
                None,
                by_blessing(),
                "notaries set",
                String::new(),
                json!({ "version": version, "notaries": notaries, "quorum": quorum }),
            ),
            Event::GranterSet { granter, limits } => {
                (None, by_blessing(), "granter set", String::new(), json!({ "granter": granter, "limits": limits }))
            }
            _ => return Default::default(),
        };
        details["transaction"] = json!(said.transaction);
        let job = said.event.job();
        let subject = job.map_or_else(|| self.parts.blessing.blessing().contract.to_string(), |job| job.to_string());
        let note = AuditNote { at: self.clock(), actor, action: action.to_owned(), subject, details: details.clone() };
        let id = format!("{}/{}", said.block, said.index);
        let alert = kind.map(|kind| self.alert(id, said.time, kind, job, text, details));
        let consider_at = self.is_open_again(course).then(|| self.clock());
        Follows { alerts: alert.into_iter().collect(), notes: vec![note], consider_at }
    }

    /// An alert; `id` names what it is about among all that this blessing does.
    pub(super) fn alert(
        &self,
        id: String,
        at: Time,
        kind: AlertKind,
        job: Option<JobId>,
        mut text: String,
        mut details: serde_json::Value,
    ) -> Alert {
        let blessing = self.parts.blessing.blessing();
        if let (Some(page), Some(job)) = (&self.parts.settings.page, job) {
            let page = format!("{page}/jobs/{job}");
            text = format!("{text} {page}");
            details["page"] = json!(page);
        }
        Alert { id: format!("{}/{}/{id}", blessing.chain_id, blessing.contract), at, kind, job, text, details }
    }

    /// An amount of a granter's unit, in words.
    pub(super) fn amount(&self, granter: lota_market::Address, amount: lota_market::U256) -> String {
        match self.parts.settings.granters.get(&granter) {
            Some(named) => {
                format!("{} {} of {}", decimal(amount, named.decimals), named.unit, named.name)
            }
            None => format!("{amount} of the unit of granter {granter}"),
        }
    }

    pub(super) async fn keep_telling(&self) -> Result<Infallible, ServiceError> {
        loop {
            let turn = self.tell_due().await.map(drop);
            self.after_turn("alerts", TELL, turn).await;
        }
    }

    /// Delivers what is due. Tells how much was tried.
    pub(super) async fn tell_due(&self) -> Result<usize, ServiceError> {
        self.tell_of_problems().await?;
        let due = self.store.to_send(self.clock(), PAGE).await?;
        let count = due.len();
        let outcomes: Vec<_> = futures::stream::iter(due.into_iter().map(|outgoing| self.tell(outgoing)))
            .buffer_unordered(AT_ONCE)
            .collect()
            .await;
        outcomes.into_iter().collect::<Result<(), ServiceError>>()?;
        if count > 0 {
            let undelivered: Vec<String> = self
                .store
                .undelivered()
                .await?
                .into_iter()
                .map(|(to, count, why)| format!("{count} to {to} ({why})"))
                .collect();
            let problem = format!("not delivered: {}", undelivered.join("; "));
            self.problem("alerts to others", (!undelivered.is_empty()).then_some(problem));
        }
        Ok(count)
    }

    /// Tells of what has not worked for a while, once until it works again.
    async fn tell_of_problems(&self) -> Result<(), ServiceError> {
        let now = self.clock();
        let lasting: Vec<(Matter, Problem)> = {
            let standing = self.standing();
            let of = |(_, problem): &(&Matter, &Problem)| !problem.is_told && problem.since.after(LASTING) <= now;
            standing
                .problems
                .iter()
                .filter(of)
                .take(AT_ONCE)
                .map(|(of, problem)| (of.clone(), problem.clone()))
                .collect()
        };
        for (matter, Problem { text, since, .. }) in lasting {
            let id = format!("problem/{}/{}", matter.about.replace(' ', "-"), since.0);
            let text = format!("{}: {text}", matter.about);
            let alert = self.alert(id, now, AlertKind::Problem, matter.job, text, json!({ "since": since }));
            self.store.put_alert(&alert, &self.destinations).await?;
            if let Some(problem) = self.standing().problems.get_mut(&matter) {
                problem.is_told = true;
            }
        }
        Ok(())
    }

    async fn tell(&self, outgoing: Outgoing) -> Result<(), ServiceError> {
        let delivery = self.parts.deliveries.iter().find(|delivery| delivery.name() == outgoing.destination);
        let outcome = match delivery {
            Some(delivery) => delivery.deliver(&outgoing.alert).await,
            None => Err(DeliverError::Permanent("it is no longer configured".into())),
        };
        match outcome {
            Ok(()) => self.store.delivered(&outgoing).await?,
            Err(error) => {
                let wait = FIRST.saturating_mul(1 << outgoing.attempts.min(16)).min(LONGEST);
                let lasts = matches!(error, DeliverError::Permanent(_)) || outgoing.attempts + 1 >= MAX_ATTEMPTS;
                let again = (!lasts).then(|| self.clock().after(wait));
                self.store.not_delivered(&outgoing, &error.to_string(), again).await?;
            }
        }
        Ok(())
    }
}

fn date(time: Time) -> String {
    lota_api::rfc3339(time).to_string()
}

/// A number with so many decimals, without zeros at its end.
pub(super) fn decimal(amount: lota_market::U256, decimals: u8) -> String {
    let digits = format!("{amount:0>width$}", width = usize::from(decimals) + 1);
    let (whole, part) = digits.split_at(digits.len() - usize::from(decimals));
    let part = part.trim_end_matches('0');
    if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") }
}
