//! A job is requested.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use lota_content::{codec, sha2_256};
use lota_market::{
    Address, AttoFil, B256, Bytes, U256,
    agent::Request,
    model::{JobId, MAX_SPEC, SpecCodec, Status, Terms},
    spec::{self, ValidatedSpec},
};
use tokio::sync::oneshot;

use super::{
    Api,
    describe::summary,
    error::Failed,
    types::{JobRequest, JobSummary, TermsRequest},
};
use crate::{
    config::defaults,
    perform::{order_pin, release},
    shell::Message,
};

/// How long the answer waits for the market, at most.
const PATIENCE: Duration = Duration::from_secs(120);
const NEXT_SALT: &str = "next_salt";
/// The longest idempotency key, in characters.
const MAX_KEY: usize = 100;

pub(super) async fn create(
    State(api): State<Api>,
    Json(body): Json<JobRequest>,
) -> Result<(StatusCode, Json<JobSummary>), Failed> {
    let json = serde_json::to_vec(&body.spec).map_err(|error| Failed::internal(&error))?;
    let spec = spec::parse_json(&json).map_err(|problems| {
        Failed::invalid_all("the job's spec is not valid", problems.iter().map(ToString::to_string).collect())
    })?;
    if let Some(key) = &body.key {
        if key.is_empty() || key.len() > MAX_KEY || !key.chars().all(|c| c.is_ascii_graphic()) {
            return Err(Failed::invalid(format!(
                "the idempotency key must have 1 to {MAX_KEY} printable characters without spaces"
            )));
        }
        if let Some(job) = api.shared.store.requested(key).await? {
            return opened(&api, job).await;
        }
    }
    let request = make(&api, &spec, &body.terms).await?;
    let id = request.id;
    hold(&api, &request, &spec).await?;
    let (reply, answer) = oneshot::channel();
    let message = Message::Request { request: Box::new(request), key: body.key, reply };
    if !api.inbox.send(message).await {
        return Err(Failed::unavailable("the daemon is ending"));
    }
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(Ok(()))) => opened(&api, id).await,
        Ok(Ok(Err(problem))) => {
            release(&api.shared, id);
            Err(Failed::refused(format!("the job was not opened: {problem}")))
        }
        Ok(Err(_)) => Err(Failed::unavailable("the daemon is ending")),
        Err(_) => Err(Failed::unavailable(format!(
            "the market has not answered yet; the request stands: see `lota job describe {id}`"
        ))),
    }
}

/// Makes sure that this node holds what the job needs, since this is where providers fetch it from, and pins it until the
/// job is over.
async fn hold(api: &Api, request: &Request, spec: &ValidatedSpec) -> Result<(), Failed> {
    let (shared, id) = (&api.shared, request.id);
    for (number, cid) in spec.cids().enumerate() {
        let held = shared.fetch(&cid, None, shared.config.max_fetch_bytes, Some(&order_pin(id, number))).await;
        if let Err(failure) = held {
            release(shared, id);
            let what = if number == 0 { "the module".to_owned() } else { format!("input {number}") };
            return Err(Failed::invalid(format!(
                "{what}, {cid}, cannot be had, so no provider could run the job: {failure}; add it with `lota content add`"
            )));
        }
    }
    if request.spec.len() > MAX_SPEC {
        // It does not fit into the event.
        let cid = lota_content::cid_from_digest(codec::DAG_CBOR, request.terms.spec.0);
        shared.content.put(&cid, &request.spec)?;
        shared.content.pin(&cid, &order_pin(id, spec.cids().count()))?;
    }
    Ok(())
}

/// The opened job, as soon as its event was taken in.
async fn opened(api: &Api, id: JobId) -> Result<(StatusCode, Json<JobSummary>), Failed> {
    let mut changes = api.inbox.watch();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(job) = api.shared.store.listed(id).await?
            && job.job.view.status != Status::None
        {
            return Ok((StatusCode::CREATED, Json(summary(&job))));
        }
        if tokio::time::timeout_at(deadline, changes.recv()).await.is_err() {
            return Err(Failed::unavailable(format!("job {id} is opened, but its event has not been seen yet")));
        }
    }
}

/// Terms and id of a new job.
async fn make(api: &Api, spec: &ValidatedSpec, wanted: &TermsRequest) -> Result<Request, Failed> {
    let transport = &api.shared.transport;
    let set = &api.shared.config.terms;
    let settings = transport.market().settings;
    let head = match api.shared.standing.recent_head() {
        Some(head) => head,
        None => transport.head().await.map_err(Failed::market)?,
    };
    let party = transport.party();
    let bytes = Bytes::from(spec.to_dag_cbor());
    let max_price = wanted.max_price.or(set.max_price).unwrap_or(defaults::MAX_PRICE);
    let min_price = wanted.min_price.or(set.min_price).unwrap_or(AttoFil::ZERO);
    if min_price > max_price {
        return Err(Failed::invalid(format!("the lowest price, {min_price}, is above the highest, {max_price}")));
    }
    let run_for = match wanted.run_for.or(set.run_for) {
        Some(run_for) => run_for,
        None => u32::try_from(spec.limits().wall.saturating_add(defaults::RUN_MARGIN))
            .map_err(|_| Failed::invalid("the job's wall limit is longer than any run window"))?
            .max(settings.min_window),
    };
    let salt = next_salt(api, party).await?;
    let terms = Terms {
        client: party,
        salt,
        spec: B256::from(sha2_256(&bytes)),
        spec_codec: SpecCodec::DagCbor.code(),
        min_price,
        max_price,
        ramp_start: head.time,
        ramp_period: wanted.ramp_period.or(set.ramp_period).unwrap_or(defaults::RAMP_PERIOD),
        lock_by: head.time.after(wanted.lock_for.or(set.lock_for).unwrap_or(defaults::LOCK_FOR)),
        run_for,
        review_for: wanted
            .review_for
            .or(set.review_for)
            .unwrap_or_else(|| defaults::REVIEW_FOR.max(settings.min_window)),
        rule_for: 0,
        collateral: wanted.collateral.or(set.collateral).unwrap_or(defaults::COLLATERAL),
        matcher: Address::ZERO,
        arbiter: Address::ZERO,
        callback_gas: 0,
    };
    let free = transport.balance(party).await.map_err(Failed::market)?;
    let id = transport.job_id(&terms);
    Ok(Request { id, terms, spec: bytes, value: max_price.saturating_sub(free) })
}

/// Counts up, so that salts share storage words; one that another process spent is passed over.
async fn next_salt(api: &Api, party: Address) -> Result<U256, Failed> {
    let _turn = api.shared.salts.lock().await;
    let mut next: u64 = api.shared.store.meta(NEXT_SALT).await?.unwrap_or(0);
    while api.shared.transport.is_spent(party, U256::from(next)).await.map_err(Failed::market)? {
        next += 1;
    }
    api.shared.store.set_meta(NEXT_SALT, &(next + 1)).await?;
    Ok(U256::from(next))
}
