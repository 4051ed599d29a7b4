//! Jobs as people and programs want to see them.

use lota_api::{
    Decision, JobDetail, JobEvent, JobSummary, MoneyInfo, Phase, PublicationInfo, PublicationProgress, ResultInfo,
    TermsInfo, Verification, rfc3339,
};
use lota_content::{Cid, cid_from_digest, codec};
use lota_market::{
    Address, AttoFil,
    agent::{Job, Step, StepState},
    asset::Asset,
    model::{Event, Reason, SpecCodec, Status},
    spec,
};

use super::{Api, paid};
use crate::{
    auctioned,
    http_error::HttpError,
    local_steps::output_cid,
    observe::event_name,
    pins::output_pin,
    publisher::{curio, filecoin},
    store::{ListedJob, MAX_PARTIES, PublicationState, StoredEvent},
};

/// A job in a list.
pub(crate) async fn summary(api: &Api, listed: &ListedJob) -> Result<JobSummary, HttpError> {
    let job = &listed.job;
    let view = &job.view;
    let locked = view.provider != Address::ZERO;
    Ok(JobSummary {
        id: job.id(),
        status: view.status,
        is_final: is_final(job, api.health.finalized()),
        reason: view.reason,
        phase: phase(job),
        verification: if view.terms.has_arbiter() { Verification::Arbiter } else { Verification::Unverified },
        directed_to: Some(view.terms.matcher).filter(|matcher| {
            let auction = api.transport.auction().map(|auction| auction.contract);
            *matcher != Address::ZERO && Some(*matcher) != auction
        }),
        client: view.terms.client,
        provider: locked.then_some(view.provider),
        price: locked.then_some(view.price),
        max_price: view.terms.max_price,
        order: paid::order(api, job).await?,
        opened: rfc3339(view.opened),
        updated: rfc3339(listed.updated),
        output: view.result.as_ref().map(|result| output_cid(result).to_string()),
        exit_code: view.result.as_ref().map(|result| result.exit_code),
        output_verified: job.is_done(Step::Verify),
        labels: parsed_spec(job).map(|spec| spec.labels().clone()).unwrap_or_default(),
    })
}

/// Whether the chain will not undo its end. One that could not be opened has ended, too.
fn is_final(job: &Job, finalized: u64) -> bool {
    job.view.is_final(finalized) || phase(job) == Phase::NotOpened && job.view.block <= finalized
}

fn parsed_spec(job: &Job) -> Option<spec::ValidatedSpec> {
    let codec = SpecCodec::from_code(job.view.terms.spec_codec)?;
    spec::parse(codec, job.spec_bytes()?).ok()
}

/// What a job is doing.
pub(crate) fn phase(job: &Job) -> Phase {
    let in_flight = |step| matches!(job.steps.get(&step), Some(StepState::InFlight { .. }));
    match job.view.status {
        Status::None => match job.steps.get(&Step::Open) {
            Some(StepState::Failed { .. }) => Phase::NotOpened,
            _ => Phase::Opening,
        },
        Status::Open => Phase::Open,
        Status::Locked if in_flight(Step::Publish) => Phase::Publishing,
        Status::Locked => Phase::Running,
        Status::Submitted | Status::Settled if in_flight(Step::Verify) => Phase::Verifying,
        Status::Submitted => Phase::Review,
        Status::Disputed => Phase::Disputed,
        Status::Settled => Phase::Settled,
        Status::Cancelled if job.view.reason == Reason::NotLocked => Phase::Expired,
        Status::Cancelled => Phase::Cancelled,
        Status::Slashed => Phase::Slashed,
        Status::Void => Phase::Void,
    }
}

fn event_text(event: &Event, asset: &Asset) -> String {
    let show = |amount: &AttoFil| asset.show(*amount);
    match event {
        Event::JobOpened { terms, .. } => format!("opened with {} in escrow", show(&terms.max_price)),
        Event::JobLocked { provider, price, .. } => format!("locked by {provider} at {}", show(price)),
        Event::ResultSubmitted { provider, result, .. } => {
            format!("{provider} submitted {} with exit code {}", output_cid(result), result.exit_code)
        }
        Event::JobDisputed { .. } => "the arbiter disputes the result".to_owned(),
        Event::JobSettled { provider, price, reason, .. } => {
            let why = match reason {
                Reason::Accepted => "the client accepted the result",
                Reason::Unchallenged => "nobody disputed the result in time",
                Reason::Unreviewed => "the result is there, and there is no arbiter",
                _ => "the arbiter upheld the result",
            };
            format!("{provider} was paid {}: {why}", show(price))
        }
        Event::JobCancelled { reason: Reason::NotLocked, .. } => {
            "nobody locked it in time; the escrow went back".to_owned()
        }
        Event::JobCancelled { .. } => "cancelled; the escrow went back".to_owned(),
        Event::JobSlashed { provider, to_client, to_arbiter, to_burn, reason, .. } => {
            let why = match reason {
                Reason::NotSubmitted => "no result in time, or it gave up",
                _ => "the arbiter overturned the result",
            };
            let arbiter = if *to_arbiter == AttoFil::ZERO {
                String::new()
            } else {
                format!(", {} to the arbiter", show(to_arbiter))
            };
            let (to_client, to_burn) = (show(to_client), show(to_burn));
            format!("{provider} lost the collateral ({why}): {to_client} to the client{arbiter}, {to_burn} burned")
        }
        Event::JobVoided { price, .. } => {
            format!("void: {} back to the client, the collateral to the provider", show(price))
        }
        Event::CallbackDelivered { .. } => "the client was called back".to_owned(),
        Event::CallbackFailed { .. } => "the client's callback failed".to_owned(),
        other => event_name(other).to_owned(),
    }
}

/// All there is to say about a job.
pub(crate) async fn detail(api: &Api, listed: &ListedJob) -> Result<JobDetail, HttpError> {
    let parties = api.store.announcements(MAX_PARTIES).await?;
    let decisions = api.decisions.of_all(&listed.job, &parties).await;
    detail_with(api, listed, decisions).await
}

/// The same, with what providers are known to have decided.
pub(super) async fn detail_with(
    api: &Api,
    listed: &ListedJob,
    decisions: Vec<Decision>,
) -> Result<JobDetail, HttpError> {
    let job = &listed.job;
    let view = &job.view;
    let terms = &view.terms;
    let events = api.store.events_of(job.id()).await?;
    let parties = api.store.announcements(MAX_PARTIES).await?;
    let asset = api.transport.asset();
    let auction = match api.transport.auction() {
        Some(auction) if auction.contract == terms.matcher => {
            Some(auctioned::told(terms, &api.store.auction_events_of(job.id()).await?))
        }
        _ => None,
    };
    let some = |address: Address| (address != Address::ZERO).then_some(address);
    Ok(JobDetail {
        summary: summary(api, listed).await?,
        terms: TermsInfo {
            salt: terms.salt.to_string(),
            spec: spec_cid(job).to_string(),
            min_price: terms.min_price,
            max_price: terms.max_price,
            ramp_start: rfc3339(terms.ramp_start),
            ramp_period: terms.ramp_period,
            lock_by: rfc3339(terms.lock_by),
            run_for: terms.run_for,
            review_for: terms.review_for,
            rule_for: terms.rule_for,
            collateral: terms.collateral,
            matcher: some(terms.matcher),
            arbiter: some(terms.arbiter),
            callback_gas: terms.callback_gas,
        },
        auction,
        published: published(api, job).await?,
        spec: parsed_spec(job).and_then(|spec| serde_json::to_value(spec).ok()),
        money: money(job),
        decisions,
        refused_by_all: false,
        result: view.result.as_ref().map(|result| ResultInfo {
            output: output_cid(result).to_string(),
            exit_code: result.exit_code,
            fuel_used: result.fuel_used,
            inline_data: result.inline_data.to_string(),
            provider: view.provider,
            gateway: parties.iter().find(|(who, _)| *who == view.provider).map(|(_, url)| url.clone()),
        }),
        problem: job.problem().map(|(step, failure)| format!("{step}: {}", failure.words(&asset))),
        events: events.iter().map(|event| job_event(event, &asset)).collect(),
        node_problems: api.health.problems(None),
    })
}

/// Where this node has a job's output available.
pub(super) async fn published(api: &Api, job: &Job) -> Result<Vec<PublicationInfo>, HttpError> {
    let mut published = Vec::new();
    if let Some(cid) = api.content.pinned(&output_pin(job.id())) {
        let url = Some(format!("{}/ipfs/{cid}", api.gateway.trim_end_matches('/')));
        let (publisher, state) = ("gateway".to_owned(), PublicationProgress::Pinned);
        published.push(PublicationInfo { publisher, state, detail: None, reason: None, url });
    }
    for publication in api.store.publications_of(job.id()).await? {
        let state = match publication.state {
            PublicationState::Queued => PublicationProgress::Queued,
            PublicationState::Pinning => PublicationProgress::Pinning,
            PublicationState::Pinned => PublicationProgress::Pinned,
            PublicationState::Failed => PublicationProgress::Failed,
            PublicationState::Withdrawing => continue,
        };
        let detail = match (publication.publisher.as_str(), &publication.receipt) {
            (curio::NAME, Some(receipt)) => curio::detail(receipt),
            (filecoin::NAME, Some(receipt)) => filecoin::detail(receipt),
            _ => None,
        };
        let (publisher, reason) = (publication.publisher, publication.reason);
        published.push(PublicationInfo { publisher, state, detail, reason, url: None });
    }
    Ok(published)
}

fn job_event(stored: &StoredEvent, asset: &Asset) -> JobEvent {
    JobEvent {
        time: rfc3339(stored.time),
        block: stored.block,
        name: event_name(&stored.event).to_owned(),
        text: event_text(&stored.event, asset),
    }
}

fn spec_cid(job: &Job) -> Cid {
    let codec = match SpecCodec::from_code(job.view.terms.spec_codec) {
        Some(SpecCodec::Json) => codec::RAW,
        _ => codec::DAG_CBOR,
    };
    cid_from_digest(codec, job.view.terms.spec.0)
}

/// Where the money of a job is or went.
fn money(job: &Job) -> MoneyInfo {
    let view = &job.view;
    let (max, price, collateral) = (view.terms.max_price, view.price, view.terms.collateral);
    let rest = max.saturating_sub(price);
    let none = MoneyInfo::default();
    match view.status {
        Status::None => none,
        Status::Open => MoneyInfo { in_escrow: max, ..none },
        Status::Locked | Status::Submitted | Status::Disputed => {
            MoneyInfo { in_escrow: price, collateral_held: collateral, returned_to_client: rest, ..none }
        }
        Status::Settled => MoneyInfo { paid_to_provider: price, returned_to_client: rest, ..none },
        Status::Cancelled | Status::Void => MoneyInfo { returned_to_client: max, ..none },
        Status::Slashed => {
            let (to_client, to_arbiter, burned) = view.slashed.unwrap_or_default();
            MoneyInfo {
                returned_to_client: max,
                compensation: to_client.saturating_sub(price),
                to_arbiter,
                burned,
                ..none
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lota_market::{
        Bytes,
        agent::{At, Failure, JobView},
        model::JobId,
    };

    use super::*;
    use crate::store::tests::terms;

    #[test]
    fn a_job_that_could_not_be_opened_is_final_when_nothing_can_open_it_any_more() {
        let at = At { block: 7, time: Default::default() };
        let mut job = Job::new(JobView::new(JobId::default(), terms(1), Bytes::new(), Status::None, at));
        assert!(!is_final(&job, 9), "it is not tried yet");
        job.steps.insert(Step::Open, StepState::InFlight { attempt: 1, round: 0 });
        assert!(!is_final(&job, 9), "it is being opened");
        let failure = Failure::Permanent("the node says: no".to_owned());
        job.steps.insert(Step::Open, StepState::Failed { failure });
        assert_eq!(phase(&job), Phase::NotOpened);
        assert_eq!([6, 7].map(|finalized| is_final(&job, finalized)), [false, true]);
    }
}
