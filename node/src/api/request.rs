//! A job is requested.

use std::time::Duration;

use axum::{Json, extract::State, http::StatusCode};
use lota_api::{JobOffer, JobRequest, JobSummary, OpenedJob, TermsRequest};
use lota_content::{codec, sha2_256};
use lota_market::{
    Address, B256, Bytes, Time, U256,
    agent::{Pricing, Ramp, Request, Step, Wish},
    model::{JobId, MAX_SPEC, SpecCodec, Status, Terms},
    spec::{self, ValidatedSpec},
};
use tokio::sync::oneshot;

use super::{Api, describe::summary, error::Failed, price};
use crate::{
    config::defaults,
    pins::{order_pin, release},
    shell::{Message, Refusal},
    store::{Claim, RequestKey},
};

const NEXT_SALT: &str = "next_salt";
/// The longest idempotency key, in characters.
const MAX_KEY: usize = 100;

pub(super) async fn create(
    State(api): State<Api>,
    Json(body): Json<JobRequest>,
) -> Result<(StatusCode, Json<OpenedJob>), Failed> {
    let json = serde_json::to_vec(&body.spec).map_err(|error| Failed::internal(&error))?;
    let spec = spec::parse_json(&json).map_err(|problems| {
        Failed::invalid_all("the job's spec is not valid", problems.iter().map(ToString::to_string).collect())
    })?;
    let key = body.key.map(|name| key(name, &spec, &body.terms)).transpose()?;
    if let Some(key) = &key {
        match api.shared.store.requested(key).await? {
            Some(Claim::Same(job)) => return opened(&api, job).await.map(|job| created(job, None)),
            Some(Claim::Other(job)) => return Err(Failed::key_reused(&key.name, job)),
            Some(Claim::New) | None => {}
        }
    }
    let (request, offer) = make(&api, &spec, &body.terms).await?;
    let id = request.id;
    hold(&api, &request, &spec).await?;
    let (reply, answer) = oneshot::channel();
    let message = Message::Request { request: Box::new(request), key: key.clone(), reply };
    if !api.inbox.send(message).await {
        return Err(Failed::unavailable("the daemon is ending"));
    }
    match tokio::time::timeout(patience(&api), answer).await {
        Ok(Ok(Ok(job))) => {
            if job != id {
                // Another request with this key was there at the same moment.
                release(&api.shared.content, id);
            }
            let offer = (job == id).then_some(offer);
            opened(&api, job).await.map(|job| created(job, offer))
        }
        // What it needs is let go of once no reorganisation can open it after all.
        Ok(Ok(Err(Refusal::Failed(problem)))) => Err(not_opened(&problem)),
        Ok(Ok(Err(Refusal::KeyReused(job)))) => {
            release(&api.shared.content, id);
            Err(Failed::key_reused(&key.map(|key| key.name).unwrap_or_default(), job))
        }
        Ok(Err(_)) => Err(Failed::unavailable("the daemon is ending")),
        Err(_) => Err(Failed::unavailable(format!(
            "the market has not answered yet; the request stands: see `lota job describe {id}`"
        ))),
    }
}

/// How long the answer waits for the market, at most.
fn patience(api: &Api) -> Duration {
    Duration::from_secs(api.shared.pace.patience())
}

fn not_opened(problem: &str) -> Failed {
    Failed::refused(format!("the job was not opened: {problem}"))
}

/// The request's key, with the digest of what is asked for: the spec in its canonical form, and the terms that are named.
fn key(name: String, spec: &ValidatedSpec, terms: &TermsRequest) -> Result<RequestKey, Failed> {
    if name.is_empty() || name.len() > MAX_KEY || !name.chars().all(|c| c.is_ascii_graphic()) {
        return Err(Failed::invalid(format!("the key must have 1 to {MAX_KEY} printable characters without spaces")));
    }
    let terms = serde_json::to_vec(terms).map_err(|error| Failed::internal(&error))?;
    let digests = [sha2_256(&spec.to_dag_cbor()), sha2_256(&terms)].concat();
    Ok(RequestKey { name, body: sha2_256(&digests) })
}

/// Makes sure that this node holds what the job needs, since this is where providers fetch it from, and pins it until the
/// job is over.
async fn hold(api: &Api, request: &Request, spec: &ValidatedSpec) -> Result<(), Failed> {
    let (shared, id) = (&api.shared, request.id);
    for (number, cid) in spec.cids().enumerate() {
        let held =
            shared.downloader.fetch(&cid, None, shared.config.max_fetch_bytes, Some(&order_pin(id, number))).await;
        if let Err(failure) = held {
            release(&shared.content, id);
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

fn created(job: JobSummary, offer: Option<JobOffer>) -> (StatusCode, Json<OpenedJob>) {
    (StatusCode::CREATED, Json(OpenedJob { job, offer }))
}

/// The opened job, as soon as its event was taken in.
async fn opened(api: &Api, id: JobId) -> Result<JobSummary, Failed> {
    let mut changes = api.inbox.watch();
    let deadline = tokio::time::Instant::now() + patience(api);
    loop {
        if let Some(job) = api.shared.store.listed(id).await? {
            if job.job.view.status != Status::None {
                return Ok(summary(&api.shared, &job));
            }
            if let Some(failure) = job.job.failed(Step::Open) {
                return Err(not_opened(&failure.to_string()));
            }
        }
        if tokio::time::timeout_at(deadline, changes.recv()).await.is_err() {
            return Err(Failed::unavailable(format!("job {id} is opened, but its event has not been seen yet")));
        }
    }
}

/// Terms and id of a new job, and how its price was chosen.
async fn make(api: &Api, spec: &ValidatedSpec, wanted: &TermsRequest) -> Result<(Request, JobOffer), Failed> {
    let transport = &api.shared.transport;
    let set = &api.shared.config.terms;
    let settings = transport.market().settings;
    let party = transport.party();
    let bytes = Bytes::from(spec.to_dag_cbor());
    let named = wanted.max_price.or(set.max_price);
    let pace = &api.shared.pace;
    let wish = Wish {
        limit: named.unwrap_or(defaults::MAX_PRICE),
        min_price: wanted.min_price.or(set.min_price),
        ramp_period: wanted.ramp_period.or(set.ramp_period),
        lock_for: wanted.lock_for.or(set.lock_for).unwrap_or_else(|| pace.lock_for(settings.min_window)),
    };
    if let Some(lowest) = wish.min_price.filter(|lowest| *lowest > wish.limit) {
        return Err(Failed::invalid(format!("the lowest price, {lowest}, is above the highest, {}", wish.limit)));
    }
    let run_for = match wanted.run_for.or(set.run_for) {
        Some(run_for) => run_for,
        None => u32::try_from(spec.limits().wall.saturating_add(pace.run_margin()))
            .map_err(|_| Failed::invalid("the job's wall limit is longer than any run window"))?
            .max(settings.min_window),
    };
    // The terms as far as they are known before the price is.
    let draft = Terms {
        client: party,
        salt: U256::ZERO,
        spec: B256::from(sha2_256(&bytes)),
        spec_codec: SpecCodec::DagCbor.code(),
        min_price: wish.limit,
        max_price: wish.limit,
        ramp_start: Time(0),
        ramp_period: 1,
        lock_by: Time(wish.lock_for),
        run_for,
        review_for: wanted.review_for.or(set.review_for).unwrap_or_else(|| pace.review_for(settings.min_window)),
        rule_for: 0,
        collateral: wanted.collateral.or(set.collateral).unwrap_or(defaults::COLLATERAL),
        matcher: Address::ZERO,
        arbiter: Address::ZERO,
        callback_gas: 0,
    };
    let quotes = api.shared.quotes(&draft, spec).await?;
    let ramp = Ramp::choose(&wish, quotes.believed(), Pricing::default().asking(spec));
    let head = match api.shared.standing.recent_head() {
        Some(head) => head,
        None => transport.head().await.map_err(Failed::market)?,
    };
    let terms = Terms {
        salt: next_salt(api, party).await?,
        min_price: ramp.min_price,
        max_price: ramp.max_price,
        ramp_start: head.time,
        ramp_period: ramp.period,
        lock_by: head.time.after(wish.lock_for),
        ..draft
    };
    let free = transport.balance(party).await.map_err(Failed::market)?;
    let id = transport.job_id(&terms);
    api.shared.offers.expect(id, &quotes, ramp.max_price);
    let value = ramp.max_price.saturating_sub(free);
    let offer = price::told(&wish, named.is_some(), &ramp, &quotes, value);
    Ok((Request { id, terms, spec: bytes, value }, offer))
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
