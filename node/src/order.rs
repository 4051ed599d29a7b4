//! Making an order: from a job's spec, and what a person names of its terms, to a job that is open on the market. Terms, salt,
//! price, what is held for the providers, and the key that makes the request idempotent are chosen here.

use std::{sync::Arc, time::Duration};

use lota_api::{JobOffer, TermsRequest};
use lota_bridge::{Transport, TransportError};
use lota_content::{Cid, codec, sha2_256};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    agent::{self, Failure, Offer, Pace, Ramp, Request, Step, Usage, Wish},
    model::{JobId, MAX_SPEC, SpecCodec, Status, Terms},
    spec::{Engine, Source, ValidatedSpec},
};
use tokio::sync::oneshot;

use crate::{
    auctioned::{AuctionError, Phases},
    config::defaults,
    fetch::{Downloader, Purpose},
    fuel,
    health::Health,
    inbox::{Inbox, Message, Refusal},
    offers::{Offers, Quotes},
    pins::{order_pin, release},
    price,
    salts::{SaltError, Salts, TakenSalt},
    store::{Claim, ListedJob, RequestKey, Store, StoreError},
};

/// The longest idempotency key, in characters.
const MAX_KEY: usize = 100;

/// Why there is no job.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OrderError {
    #[error("the key must have 1 to {MAX_KEY} printable characters without spaces")]
    Key,
    #[error("the key `{key}` was used for another request, which opened job {job}; use another key")]
    KeyReused { key: String, job: JobId },
    #[error("the lowest price, {lowest}, is above the highest, {highest}")]
    PricesSwapped { lowest: String, highest: String },
    #[error(
        "the job's escrow is {needed}, and the account has {free} free in the market; move more there (`lota wallet deposit`)"
    )]
    NotEnough { free: String, needed: String },
    #[error(
        "review_for is {0} s, but the job has no arbiter, and without one nobody could refuse its result; leave it out"
    )]
    Unreviewed(u32),
    #[error("the job's wall limit, {0} s, is longer than any run window")]
    WallTooLong(u64),
    #[error(
        "the job is directed to this node's own account, {0}, which does not run its own jobs; name another provider"
    )]
    OwnProvider(Address),
    #[error("{0} says how a price rises, but a job that is directed to one provider has one price; leave it out")]
    FixedPrice(&'static str),
    #[error("the provider {provider} would not take the job: {words}")]
    ProviderRefuses { provider: Address, refusal: Box<agent::Refusal>, words: String },
    #[error(
        "what the provider {0} asks is not known, as it does not answer; name max_price (--max-price): that much is paid"
    )]
    UnknownAsk(Address),
    #[error(
        "{what}, {cid}, cannot be had, so no provider could run the job: {failure}; add it with `lota content add`"
    )]
    Content { what: String, cid: Box<Cid>, failure: Box<Failure> },
    #[error(transparent)]
    Auction(#[from] AuctionError),
    /// The market, or the party's money, does not allow it.
    #[error("the job was not opened: {0}")]
    NotOpened(String),
    #[error("the market has not answered yet; the request stands: see `lota job describe {0}`")]
    Unanswered(JobId),
    #[error("job {0} is opened, but its event has not been seen yet")]
    Unseen(JobId),
    #[error("the daemon is ending")]
    Ending,
    #[error(transparent)]
    Salt(#[from] SaltError),
    #[error(transparent)]
    Market(#[from] TransportError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Blocks(#[from] lota_content::StoreError),
}

/// A job that is open on the market, and how its price was chosen; `None` if an earlier request with the same key opened it.
pub(crate) type Opened = (ListedJob, Option<JobOffer>);

/// Makes orders, and what it makes them with.
pub(crate) struct Orders {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) store: Store,
    pub(crate) content: lota_content::Store,
    pub(crate) downloader: Arc<Downloader>,
    pub(crate) health: Arc<Health>,
    /// What providers offer.
    pub(crate) offers: Arc<Offers>,
    pub(crate) inbox: Inbox,
    pub(crate) pace: Pace,
    /// What a request's terms are where it leaves them out.
    pub(crate) terms: TermsRequest,
    /// The most bytes of a job's module and inputs together.
    pub(crate) max_fetch_bytes: u64,
    /// Units of fuel that this machine burns in a second, if that was measured.
    pub(crate) fuel_per_second: Option<u64>,
    pub(crate) salts: Arc<Salts>,
}

impl Orders {
    /// Opens a job, and waits until its event was taken in. `key` makes the request idempotent.
    pub(crate) async fn place(
        &self,
        spec: &ValidatedSpec,
        terms: &TermsRequest,
        key: Option<String>,
    ) -> Result<Opened, OrderError> {
        let key = key.map(|name| request_key(name, spec, terms)).transpose()?;
        if let Some(key) = &key {
            match self.store.requested(key).await? {
                Some(Claim::Same(job)) => return Ok((self.opened(job).await?, None)),
                Some(Claim::Other(job)) => return Err(OrderError::KeyReused { key: key.name.clone(), job }),
                Some(Claim::New) | None => {}
            }
        }
        let (request, taken, offer) = self.make(spec, terms).await?;
        let id = request.id;
        self.hold(&request, spec).await?;
        let (reply, answer) = oneshot::channel();
        let message = Message::Request { request: Box::new(request), key: key.clone(), taken, reply };
        if !self.inbox.send(message).await {
            return Err(OrderError::Ending);
        }
        match tokio::time::timeout(self.patience(), answer).await {
            Ok(Ok(Ok(job))) => {
                if job != id {
                    // Another request with this key was there at the same moment.
                    release(&self.content, id);
                }
                let offer = (job == id).then_some(offer);
                Ok((self.opened(job).await?, offer))
            }
            // What it needs is let go of once no reorganisation can open it after all.
            Ok(Ok(Err(Refusal::Failed(problem)))) => Err(OrderError::NotOpened(problem)),
            Ok(Ok(Err(Refusal::KeyReused(job)))) => {
                release(&self.content, id);
                Err(OrderError::KeyReused { key: key.map(|key| key.name).unwrap_or_default(), job })
            }
            Ok(Err(_)) => Err(OrderError::Ending),
            Err(_) => Err(OrderError::Unanswered(id)),
        }
    }

    /// How long an order waits for the market, at most.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.pace.patience())
    }

    /// Makes sure that this node holds what the job needs, since this is where providers fetch it from, and pins it until the
    /// job is over.
    async fn hold(&self, request: &Request, spec: &ValidatedSpec) -> Result<(), OrderError> {
        let id = request.id;
        let inputs = spec.inputs().iter().enumerate().filter_map(|(number, mount)| match &mount.source {
            Source::Content(cid) => Some((format!("input {}", number + 1), cid.0)),
            // Providers fetch it themselves, or have it.
            Source::Url { .. } | Source::Directory(_) => None,
        });
        let program = match spec.engine() {
            Engine::Wasm { .. } => "the module",
            Engine::Docker { .. } => "the image",
        };
        let program = spec.program().map(|cid| (program.to_owned(), cid));
        for (number, (what, cid)) in program.into_iter().chain(inputs).enumerate() {
            let pin = order_pin(id, number);
            let held = self.downloader.fetch(Purpose::Own, &cid, None, self.max_fetch_bytes, Some(&pin)).await;
            if let Err(failure) = held {
                release(&self.content, id);
                return Err(OrderError::Content { what, cid: Box::new(cid), failure: Box::new(failure) });
            }
        }
        if request.spec.len() > MAX_SPEC {
            // It does not fit into the event.
            let cid = lota_content::cid_from_digest(codec::DAG_CBOR, request.terms.spec.0);
            self.content.put(&cid, &request.spec)?;
            self.content.pin(&cid, &order_pin(id, spec.cids().count()))?;
        }
        Ok(())
    }

    /// The opened job, as soon as its event was taken in.
    async fn opened(&self, id: JobId) -> Result<ListedJob, OrderError> {
        let mut changes = self.inbox.watch();
        let deadline = tokio::time::Instant::now() + self.patience();
        loop {
            if let Some(job) = self.store.listed(id).await? {
                if job.job.view.status != Status::None {
                    return Ok(job);
                }
                if let Some(failure) = job.job.failed(Step::Open) {
                    return Err(OrderError::NotOpened(failure.words(&self.transport.asset())));
                }
            }
            if tokio::time::timeout_at(deadline, changes.recv()).await.is_err() {
                return Err(OrderError::Unseen(id));
            }
        }
    }

    /// Terms and id of a new job, the salt that it takes, and how its price was chosen.
    async fn make(
        &self,
        spec: &ValidatedSpec,
        wanted: &TermsRequest,
    ) -> Result<(Request, TakenSalt, JobOffer), OrderError> {
        let transport = &self.transport;
        let set = &self.terms;
        let asset = transport.asset();
        let settings = transport.market().settings;
        let party = transport.party();
        let bytes = Bytes::from(spec.to_dag_cbor());
        let named = wanted.max_price.or(set.max_price);
        let pace = &self.pace;
        let directed_to = wanted.provider.or(set.provider);
        if let Some(provider) = directed_to {
            if provider == party {
                return Err(OrderError::OwnProvider(provider));
            }
            let named = [
                ("min_price", wanted.min_price.is_some()),
                ("ramp_period", wanted.ramp_period.is_some()),
                ("auction", wanted.auction == Some(true)),
            ];
            if let Some((what, _)) = named.into_iter().find(|(_, is_named)| *is_named) {
                return Err(OrderError::FixedPrice(what));
            }
        }
        let auction = match wanted.auction.or(set.auction).filter(|_| directed_to.is_none()) {
            Some(true) => Some(transport.auction().ok_or(AuctionError::None)?),
            _ => None,
        };
        let phases = auction.map(|auction| Phases::choose(pace, &auction, wanted.ramp_period, wanted.lock_for));
        let phases = phases.transpose()?;
        let is_ramped = directed_to.is_none() && phases.is_none();
        let wish = Wish {
            limit: named.unwrap_or_else(|| asset.scaled(defaults::MAX_PRICE, settings.quantum)),
            min_price: wanted.min_price.or(set.min_price).filter(|_| directed_to.is_none()),
            ramp_period: wanted.ramp_period.or(set.ramp_period).filter(|_| is_ramped),
            lock_for: wanted.lock_for.or(set.lock_for).unwrap_or_else(|| pace.lock_for(settings.min_window)),
        };
        if let Some(lowest) = wish.min_price.filter(|lowest| *lowest > wish.limit) {
            return Err(OrderError::PricesSwapped { lowest: asset.show(lowest), highest: asset.show(wish.limit) });
        }
        if let Some(review_for) = wanted.review_for.or(set.review_for).filter(|window| *window > 0) {
            return Err(OrderError::Unreviewed(review_for));
        }
        let run_for = match wanted.run_for.or(set.run_for) {
            Some(run_for) => run_for,
            None => u32::try_from(spec.limits().wall.saturating_add(pace.run_margin()))
                .map_err(|_| OrderError::WallTooLong(spec.limits().wall))?
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
            // Without an arbiter nobody reviews the result: it is paid for when it is submitted.
            review_for: 0,
            rule_for: 0,
            collateral: wanted
                .collateral
                .or(set.collateral)
                .unwrap_or_else(|| asset.scaled(defaults::COLLATERAL, settings.quantum)),
            // Who alone may award the job: the provider itself, if it is directed to one; the auction, if there are bids.
            matcher: directed_to.or(auction.map(|auction| auction.contract)).unwrap_or_default(),
            arbiter: Address::ZERO,
            callback_gas: 0,
            // Without a record nobody could show a blessing how the job ended.
            keep_record: wanted.bless.or(set.bless).unwrap_or(false),
        };
        let (quotes, mut ramp) = match directed_to {
            Some(provider) => self.fixed(provider, &wish, named.is_some(), &draft, spec).await?,
            None => {
                let quotes = self.offers.quotes(&draft, spec).await?;
                let usual = Offer::default().in_asset(&asset, settings.quantum).pricing;
                let usual = usual.asking(&settings, &Usage::of(spec, 0), draft.callback_gas);
                let ramp = Ramp::choose(&wish, quotes.believed(), usual, settings.quantum);
                (quotes, ramp)
            }
        };
        if let Some(phases) = &phases {
            ramp = phases.prices(&ramp, wish.min_price, &asset)?;
        }
        let head = match self.health.recent_head() {
            Some(head) => head,
            None => transport.head().await?,
        };
        let mut terms = Terms {
            min_price: ramp.min_price,
            max_price: ramp.max_price,
            ramp_start: head.time,
            ramp_period: ramp.period,
            lock_by: head.time.after(wish.lock_for),
            ..draft
        };
        if let Some(phases) = &phases {
            phases.set(&mut terms, head.time);
        }
        let free = transport.balance(party).await?;
        let id_of = |salt| transport.job_id(&Terms { salt, ..terms.clone() });
        let taken = self.salts.take(&self.store, &**transport, id_of).await?;
        terms.salt = taken.salt();
        let id = transport.job_id(&terms);
        self.offers.expect(id, &quotes, ramp.max_price);
        // Coins come along with the opening; of a token, what is missing must be there.
        let missing = ramp.max_price.saturating_sub(free);
        if settings.is_token() && missing > AttoFil::ZERO {
            return Err(OrderError::NotEnough { free: asset.show(free), needed: asset.show(ramp.max_price) });
        }
        let value = missing;
        let mut offer = price::told(&asset, &wish, named.is_some(), &ramp, &quotes, value);
        let counts = matches!(spec.engine(), Engine::Wasm { .. });
        let fuel_fits = || fuel::warning(spec.limits(), quotes.fuel_per_second.or(self.fuel_per_second));
        offer.warnings.extend(counts.then(fuel_fits).flatten());
        Ok((Request { id, terms, spec: bytes, value }, taken, offer))
    }

    /// The price of a job that is directed to one provider: what it asks, if that is known, else the limit, if the client named one.
    async fn fixed(
        &self,
        provider: Address,
        wish: &Wish,
        is_named: bool,
        draft: &Terms,
        spec: &ValidatedSpec,
    ) -> Result<(Quotes, Ramp), OrderError> {
        let at = |price| Ramp { min_price: price, max_price: price, period: 1 };
        match self.offers.quote_of(provider, draft, spec).await? {
            Some(Ok(quotes)) => {
                let asking = quotes.highest().unwrap_or(wish.limit);
                Ok((quotes, at(asking)))
            }
            Some(Err(refusal)) => {
                let words = refusal.words(&self.transport.asset());
                Err(OrderError::ProviderRefuses { provider, refusal: Box::new(refusal), words })
            }
            None if is_named => Ok((Quotes::default(), at(wish.limit))),
            None => Err(OrderError::UnknownAsk(provider)),
        }
    }
}

/// Checks the name that somebody gives a request, so that it takes effect once.
pub(crate) fn check_key(name: &str) -> Result<(), OrderError> {
    let is_good = (1..=MAX_KEY).contains(&name.len()) && name.chars().all(|c| c.is_ascii_graphic());
    is_good.then_some(()).ok_or(OrderError::Key)
}

/// The request's key, with the digest of what is asked for: the spec in its canonical form, and the terms that are named.
fn request_key(name: String, spec: &ValidatedSpec, terms: &TermsRequest) -> Result<RequestKey, OrderError> {
    check_key(&name)?;
    // Plain fields: they have a form in JSON.
    let terms = serde_json::to_vec(terms).unwrap_or_default();
    let digests = [sha2_256(&spec.to_dag_cbor()), sha2_256(&terms)].concat();
    Ok(RequestKey { name, body: sha2_256(&digests) })
}
