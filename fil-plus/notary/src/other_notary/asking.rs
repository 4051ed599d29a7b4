//! What granters that only ask (docs/granters.md, `RequestOnlyGranter`) give to another notary: each of their grants becomes a request.

use std::{
    collections::BTreeSet,
    sync::{Arc, OnceLock, Weak},
};

use async_trait::async_trait;
use lota_bridge::BlessingRef;
use lota_market::{Address, Time, blessing::Nomination, model::JobId};

use super::{OtherNotary, Request};
use crate::{
    alerts::{Alert, AlertKind, Deliver, DeliverError},
    desk::{Desk, DeskError, Dossier},
    outgoing::shown,
};

/// Who knows what was found out about a job.
#[async_trait]
pub trait Dossiers: Send + Sync + 'static {
    /// # Errors
    /// See [`DeskError`].
    async fn dossier_of(&self, job: JobId) -> Result<Dossier, DeskError>;
}

#[async_trait]
impl<D: Desk> Dossiers for D {
    async fn dossier_of(&self, job: JobId) -> Result<Dossier, DeskError> {
        self.dossier(job).await
    }
}

/// What is asked, and when.
#[derive(Clone, Debug)]
pub struct AskSettings {
    /// Whose grants are requests.
    pub granters: BTreeSet<Address>,
    /// The blessing that they obey.
    pub blessing: BlessingRef,
    /// The most seconds that the other notary has for its answer.
    pub answer_within: u64,
    /// Where it may bring it: this service's URL and [`super::ANSWERS_PATH`].
    pub callback: Option<String>,
}

/// A way for alerts that asks another notary: grants are told of once they are final, and at least once, and so are they asked for.
pub struct AskOnGrant {
    name: String,
    notary: Arc<OtherNotary>,
    settings: AskSettings,
    /// The service that tells it; unknown until that has begun.
    dossiers: OnceLock<Weak<dyn Dossiers>>,
}

impl AskOnGrant {
    /// One that asks this notary.
    pub fn new(name: impl Into<String>, notary: Arc<OtherNotary>, settings: AskSettings) -> Self {
        Self { name: name.into(), notary, settings, dossiers: OnceLock::new() }
    }

    /// Says who knows the jobs; only the first counts.
    pub fn attach(&self, dossiers: Weak<dyn Dossiers>) {
        // An error means that somebody was attached before.
        let _ = self.dossiers.set(dossiers);
    }

    async fn request(&self, alert: &Alert) -> Result<Option<Request>, DeliverError> {
        let permanent = |what: &str| DeliverError::Permanent(format!("another notary is not asked: {what}"));
        let Some(job) = alert.job.filter(|_| alert.kind == AlertKind::Granted) else { return Ok(None) };
        let granter = serde_json::from_value::<Address>(alert.details["granter"].clone());
        if !granter.is_ok_and(|granter| self.settings.granters.contains(&granter)) {
            return Ok(None);
        }
        let nomination: Nomination = serde_json::from_value(alert.details["nomination"].clone())
            .map_err(|error| permanent(&format!("the alert names no nomination: {error}")))?;
        let dossiers = self.dossiers.get().and_then(Weak::upgrade);
        let dossiers = dossiers.ok_or_else(|| DeliverError::Temporary("the service has not begun".to_owned()))?;
        // That there is no such job may mean that the market's history is behind the blessing's.
        let dossier = dossiers.dossier_of(job).await.map_err(|error| DeliverError::Temporary(error.to_string()))?;
        let asked_at = (self.notary.clock)();
        Ok(Some(Request {
            asked_at,
            answer_by: Time(asked_at.0.saturating_add(self.settings.answer_within)),
            blessing: self.settings.blessing,
            nomination,
            job: dossier.job,
            checks: dossier.checks,
            risk: dossier.risk,
            callback: self.settings.callback.clone(),
        }))
    }
}

#[async_trait]
impl Deliver for AskOnGrant {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, alert: &Alert) -> Result<(), DeliverError> {
        let Some(request) = self.request(alert).await? else { return Ok(()) };
        // Once it is on disk, it is the other notary's turn, and `advance` sees to it.
        self.notary.ask(&request).await.map(drop).map_err(|error| DeliverError::Temporary(shown(&error.to_string())))
    }
}
