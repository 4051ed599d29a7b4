//! What providers offer, as far as this node has heard: a client asks them before it says what it pays.
//!
//! What they say is a stranger's word. An offer can make a client's price begin lower or higher, never above what the client
//! is ready to pay; and whoever does not take a job at the price that it says it asks is not believed for a while.

mod published;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lota_content::fetch::Fetcher;
use lota_market::{
    Address, AttoFil,
    agent::{Asks, Offer, Refusal},
    model::{JobId, Settings, Terms},
    spec::ValidatedSpec,
};
use tokio::{task::JoinSet, time::Instant};

pub(crate) use published::Published;

use crate::{
    fuel,
    store::{MAX_PARTIES, Store, StoreError},
};

/// How many parties are asked what they offer: those that have answered before, then those that announced themselves last.
pub(crate) const MOST_ASKED: usize = 32;
/// After how long a party is asked again.
const FRESH: Duration = Duration::from_secs(30);
/// After how long it is looked again who there is.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// How long a request for a job waits for answers. Those who did not answer the last time are not waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// The largest answer that is read, in bytes.
const MAX_ANSWER: usize = 16 << 10;
/// How long a provider is not believed that did not take a job at its own price.
const DISTRUST: Duration = Duration::from_secs(600);
/// Of how many jobs it is remembered who was to take them.
const MAX_EXPECTED: usize = 256;

/// What a party says about what it offers.
#[derive(Debug)]
enum Answer {
    /// This.
    Offer(Box<Offer>),
    /// It runs no jobs.
    NoProvider,
    /// Nothing, or nothing that makes sense.
    Silence,
}

/// What is known of a party.
#[derive(Clone, Debug)]
struct Entry {
    url: String,
    asked: Instant,
    /// Whether it answered the last time.
    answered: bool,
    offer: Option<Offer>,
    /// Until when it is not believed.
    distrusted: Option<Instant>,
}

#[derive(Debug, Default)]
struct Known {
    /// At most [`MOST_ASKED`].
    parties: HashMap<Address, Entry>,
    looked: Option<Instant>,
    /// Who was to take a job, and at what price; the newest is at the end.
    expected: VecDeque<(JobId, Vec<(Address, AttoFil)>)>,
}

impl Known {
    /// The parties to keep in mind, of all that announced a gateway (newest first), and those to be asked now. Says of each
    /// whether it is worth waiting for.
    fn turn_to(&mut self, announced: Vec<(Address, String)>, now: Instant) -> Vec<(Address, String, bool)> {
        let offers = |known: &Self, who: &Address| known.parties.get(who).is_some_and(|entry| entry.offer.is_some());
        let mut candidates = announced;
        // Stable: among the others the newest stay first.
        candidates.sort_by_key(|(who, _)| !offers(self, who));
        candidates.truncate(MOST_ASKED);
        self.parties.retain(|who, entry| candidates.iter().any(|(party, url)| party == who && *url == entry.url));
        let mut ask = Vec::new();
        for (who, url) in candidates {
            let worth_waiting = match self.parties.get_mut(&who) {
                Some(entry) if now.duration_since(entry.asked) < FRESH => continue,
                Some(entry) => {
                    entry.asked = now;
                    entry.answered
                }
                None => {
                    let entry = Entry { url: url.clone(), asked: now, answered: false, offer: None, distrusted: None };
                    self.parties.insert(who, entry);
                    true
                }
            };
            ask.push((who, url, worth_waiting));
        }
        ask
    }

    /// Takes an answer in.
    fn heard(&mut self, who: Address, url: &str, answer: Answer) {
        if let Some(entry) = self.parties.get_mut(&who)
            && entry.url == url
        {
            (entry.answered, entry.offer) = match answer {
                Answer::Offer(offer) => (true, Some(*offer)),
                Answer::NoProvider => (true, None),
                Answer::Silence => (false, None),
            };
        }
    }

    fn quotes(&self, settings: Settings, draft: &Terms, spec: &ValidatedSpec, now: Instant) -> Quotes {
        let mut quotes = Quotes::default();
        for (who, entry) in &self.parties {
            let Some(offer) = &entry.offer else { continue };
            if let Ok(asking) = offer.quote(*who, settings, draft, spec) {
                let believed = entry.distrusted.is_none_or(|until| until <= now);
                quotes.asks.push(Ask { provider: *who, asking, believed });
            }
        }
        let offers = self.parties.values().filter_map(|entry| entry.offer.as_ref());
        quotes.fuel_per_second = fuel::median(offers.map(|offer| offer.fuel_per_second));
        quotes.asks.sort_by_key(|ask| (ask.asking, ask.provider));
        quotes
    }

    /// What one provider asks, or why it refuses; `None` if it is not known what it offers.
    fn quote_of(
        &self,
        provider: Address,
        settings: Settings,
        draft: &Terms,
        spec: &ValidatedSpec,
    ) -> Option<Result<Quotes, Refusal>> {
        let offer = self.parties.get(&provider)?.offer.as_ref()?;
        // One that did not measure it takes every job's word: this one alone decides.
        let rate = if offer.fuel_per_second == 0 { u64::MAX } else { offer.fuel_per_second };
        Some(
            offer.quote(provider, settings, draft, spec).map(|asking| Quotes {
                asks: vec![Ask { provider, asking, believed: true }],
                fuel_per_second: Some(rate),
            }),
        )
    }
}

/// The offers that this node has heard of.
pub(crate) struct Offers {
    /// Who asks: it is not asked itself.
    me: Address,
    settings: Settings,
    store: Store,
    fetcher: Fetcher,
    known: Mutex<Known>,
    /// One at a time asks.
    turn: tokio::sync::Mutex<()>,
}

/// What a provider asks for a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    provider: Address,
    pub(crate) asking: AttoFil,
    believed: bool,
}

#[cfg(test)]
impl Ask {
    pub(crate) const fn of(provider: Address, asking: AttoFil) -> Self {
        Self { provider, asking, believed: true }
    }
}

/// What providers ask for a job, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Quotes {
    /// Of those who would take it, the cheapest first.
    pub(crate) asks: Vec<Ask>,
    /// Units of fuel that known providers burn in a second, whether they would take the job or not: see [`fuel::median`].
    pub(crate) fuel_per_second: Option<u64>,
}

impl Quotes {
    /// The asks that are believed. If none is, the highest counts alone: those below had their chance.
    pub(crate) fn believed(&self) -> Option<Asks> {
        let believed: Vec<AttoFil> = self.asks.iter().filter(|ask| ask.believed).map(|ask| ask.asking).collect();
        match (believed.first(), believed.get(believed.len() / 2)) {
            (Some(&lowest), Some(&median)) => Some(Asks { lowest, median }),
            _ => self.highest().map(|highest| Asks { lowest: highest, median: highest }),
        }
    }

    /// The highest ask of those who would take it.
    pub(crate) fn highest(&self) -> Option<AttoFil> {
        self.asks.last().map(|ask| ask.asking)
    }
}

impl Offers {
    pub(crate) fn new(me: Address, settings: Settings, store: Store, fetcher: Fetcher) -> Self {
        Self { me, settings, store, fetcher, known: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this party said that it runs jobs.
    pub(crate) fn is_provider(&self, who: &Address) -> bool {
        self.known().parties.get(who).is_some_and(|entry| entry.offer.is_some())
    }

    /// Remembers who was to take a job that rises to `highest`.
    pub(crate) fn expect(&self, job: JobId, quotes: &Quotes, highest: AttoFil) {
        let asks = quotes.asks.iter().filter(|ask| ask.asking <= highest);
        let providers = asks.map(|ask| (ask.provider, ask.asking)).collect();
        let mut known = self.known();
        if known.expected.len() >= MAX_EXPECTED {
            known.expected.pop_front();
        }
        known.expected.push_back((job, providers));
    }

    /// Nobody took a job in time: who was to take it is busy, gone or lying, and is not believed for a while.
    pub(crate) fn nobody_took(&self, job: JobId) {
        self.distrust(job, |_, _| true);
    }

    /// A job was taken: who was to take it at half the price or less did not, and is not believed for a while.
    pub(crate) fn was_taken(&self, job: JobId, provider: Address, price: AttoFil) {
        self.distrust(job, |who, asking| who != provider && asking.0.saturating_mul(2) <= price.0);
    }

    fn distrust(&self, job: JobId, whom: impl Fn(Address, AttoFil) -> bool) {
        let mut known = self.known();
        let Some(place) = known.expected.iter().position(|(expected, _)| *expected == job) else { return };
        let until = Instant::now() + DISTRUST;
        for (who, asking) in known.expected.remove(place).map(|(_, providers)| providers).unwrap_or_default() {
            if whom(who, asking)
                && let Some(entry) = known.parties.get_mut(&who)
            {
                entry.distrusted = Some(until);
            }
        }
    }
}

impl Offers {
    /// What providers ask for a job of these terms; the draft's prices are the most that is to be paid.
    pub(crate) async fn quotes(self: &Arc<Self>, draft: &Terms, spec: &ValidatedSpec) -> Result<Quotes, StoreError> {
        self.ask_for_offers().await?;
        Ok(self.known().quotes(self.settings, draft, spec, Instant::now()))
    }

    /// What the one provider that a job is directed to asks for it, or why it would refuse it; `None` if it did not say what it
    /// offers.
    pub(crate) async fn quote_of(
        self: &Arc<Self>,
        provider: Address,
        draft: &Terms,
        spec: &ValidatedSpec,
    ) -> Result<Option<Result<Quotes, Refusal>>, StoreError> {
        self.ask_for_offers().await?;
        Ok(self.known().quote_of(provider, self.settings, draft, spec))
    }

    /// Asks who has not been asked lately, and waits a little for the answers.
    async fn ask_for_offers(self: &Arc<Self>) -> Result<(), StoreError> {
        let _turn = self.turn.lock().await;
        let now = Instant::now();
        if self.known().looked.is_some_and(|looked| now.duration_since(looked) < LOOK_AGAIN) {
            return Ok(());
        }
        let mut announced = self.store.announcements(MAX_PARTIES).await?;
        announced.retain(|(who, _)| *who != self.me);
        let to_ask = {
            let mut known = self.known();
            known.looked = Some(now);
            known.turn_to(announced, now)
        };
        let mut waited_for = JoinSet::new();
        for (who, url, worth_waiting) in to_ask {
            let this = Arc::clone(self);
            // What comes later than it is waited for counts the next time.
            let asking = tokio::spawn(async move {
                let answer = tokio::time::timeout(ANSWER, ask(&this.fetcher, &url)).await;
                this.known().heard(who, &url, answer.unwrap_or(Answer::Silence));
            });
            if worth_waiting {
                waited_for.spawn(asking);
            }
        }
        // The rest is not waited for.
        let _ = tokio::time::timeout(PATIENCE, waited_for.join_all()).await;
        Ok(())
    }
}

/// Asks a party what it offers.
async fn ask(fetcher: &Fetcher, url: &str) -> Answer {
    let Ok(address) = format!("{}/lota/v1/offer", url.trim_end_matches('/')).parse() else { return Answer::Silence };
    match fetcher.document(&address, MAX_ANSWER).await {
        Ok(Some(body)) => serde_json::from_slice::<Published>(&body)
            .map_or(Answer::Silence, |published| Answer::Offer(Box::new(published.into()))),
        Ok(None) => Answer::NoProvider,
        Err(_) => Answer::Silence,
    }
}

#[cfg(test)]
mod tests {
    use lota_market::{
        B256, Time, U256,
        agent::Pricing,
        model::SpecCodec,
        money::FIL,
        spec::{JobSpec, Limits},
    };

    use super::*;

    async fn empty() -> (tempfile::TempDir, Offers) {
        let folder = tempfile::TempDir::new().expect("a folder");
        let store = Store::open(&folder.path().join("node.db")).await.expect("a database");
        let fetcher = Fetcher::new(lota_content::fetch::FetchOptions::default()).expect("a client");
        (folder, Offers::new(Address::ZERO, SETTINGS, store, fetcher))
    }

    const SETTINGS: Settings = Settings { min_window: 1, ..Settings::COIN };

    fn party(number: u8) -> (Address, String) {
        (Address::repeat_byte(number), format!("http://{number}.example"))
    }

    fn offer(base: u128) -> Offer {
        Offer { pricing: Pricing::flat(AttoFil(base)), ..Offer::default() }
    }

    fn spec() -> ValidatedSpec {
        let module = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e".parse().expect("a CID");
        let limits =
            Limits { fuel: 1_000_000, memory: 1 << 20, output: 1 << 20, entries: 10, wall: 5, ..Limits::LEAST };
        JobSpec::wasm(module, limits).validate().expect("a valid spec")
    }

    fn draft(limit: u128) -> Terms {
        Terms {
            client: Address::repeat_byte(0xc1),
            salt: U256::ZERO,
            spec: B256::ZERO,
            spec_codec: SpecCodec::DagCbor.code(),
            min_price: AttoFil(limit),
            max_price: AttoFil(limit),
            ramp_start: Time(0),
            ramp_period: 1,
            lock_by: Time(100),
            run_for: 60,
            review_for: 0,
            rule_for: 0,
            collateral: AttoFil(FIL / 100),
            matcher: Address::ZERO,
            arbiter: Address::ZERO,
            callback_gas: 0,
            keep_record: false,
        }
    }

    fn heard(known: &mut Known, number: u8, answer: Answer) {
        let (who, url) = party(number);
        known.heard(who, &url, answer);
    }

    #[test]
    fn providers_that_answer_keep_their_place_and_the_silent_are_not_waited_for() {
        let (mut known, now) = (Known::default(), Instant::now());
        let asked = known.turn_to((1..=3).map(party).collect(), now);
        assert_eq!(asked.iter().map(|(_, _, waited)| *waited).collect::<Vec<_>>(), [true; 3]);
        heard(&mut known, 1, Answer::Offer(Box::new(offer(FIL))));
        heard(&mut known, 2, Answer::NoProvider);
        heard(&mut known, 3, Answer::Silence);
        assert!(known.turn_to((1..=3).map(party).collect(), now + FRESH / 2).is_empty(), "they were just asked");
        // A crowd announces itself after them.
        let crowd: Vec<_> = (10..250).rev().chain([3, 2, 1]).map(party).collect();
        let later = now + FRESH;
        let asked = known.turn_to(crowd, later);
        assert_eq!((asked.len(), known.parties.len()), (MOST_ASKED, MOST_ASKED));
        let (who, url) = party(1);
        assert_eq!(asked[0], (who, url, true), "a provider is not crowded out");
        let again = known.turn_to((1..=3).map(party).collect(), later + FRESH);
        let waited: Vec<_> = again.iter().map(|(who, _, waited)| (*who, *waited)).collect();
        assert!(waited.contains(&(party(1).0, true)) && known.parties.len() == 3, "{waited:?}");
        // Silent once more: not waited for.
        heard(&mut known, 3, Answer::Silence);
        let again = known.turn_to(vec![party(3)], later + FRESH * 3);
        assert_eq!(again.iter().map(|(_, _, waited)| *waited).collect::<Vec<_>>(), [false]);
        // Another gateway is another party, as far as this goes.
        let moved = (party(3).0, "http://elsewhere.example".to_owned());
        assert!(known.turn_to(vec![moved], later + FRESH * 3)[0].2);
    }

    #[tokio::test]
    async fn who_does_not_take_a_job_at_its_own_price_is_not_believed() {
        let (_folder, offers) = empty().await;
        let now = Instant::now();
        let quotes = |limit, now| offers.known().quotes(SETTINGS, &draft(limit), &spec(), now);
        offers.known().turn_to((1..=3).map(party).collect(), now);
        assert_eq!(quotes(FIL, now), Quotes::default());
        for (number, base) in [(1, 1), (2, FIL / 1000), (3, FIL / 100)] {
            heard(&mut offers.known(), number, Answer::Offer(Box::new(offer(base))));
        }
        let lowest = |now| quotes(FIL, now).believed().map(|asks| asks.lowest);
        let (tiny, cheap, dear) = (AttoFil::from_gwei(1), AttoFil(FIL / 1000), AttoFil(FIL / 100));
        let found = quotes(FIL, now);
        assert_eq!((lowest(now), found.highest()), (Some(tiny), Some(dear)));
        assert_eq!(found.fuel_per_second, None, "nobody has measured it");
        let job = JobId(B256::repeat_byte(7));
        offers.expect(job, &found, AttoFil(8_000_000_000));
        offers.nobody_took(JobId(B256::repeat_byte(8)));
        assert_eq!(lowest(now), Some(tiny));
        offers.nobody_took(job);
        assert_eq!(lowest(now), Some(cheap), "it was lying");
        let later = now + DISTRUST * 2;
        assert_eq!(lowest(later), Some(tiny), "that is forgotten");
        offers.expect(job, &found, AttoFil(FIL));
        offers.nobody_took(job);
        assert_eq!(lowest(now), Some(dear), "the dearest, if nobody is believed");
        assert_eq!(
            quotes(FIL / 1000, now).highest(),
            Some(AttoFil(FIL / 1000)),
            "the other asks more than is to be paid"
        );
        for number in 0..=u8::MAX {
            offers.expect(JobId(B256::repeat_byte(number)), &found, AttoFil(FIL));
            offers.expect(JobId(B256::repeat_byte(number)), &found, AttoFil(FIL));
        }
        assert_eq!(offers.known().expected.len(), MAX_EXPECTED);
    }

    #[tokio::test]
    async fn whose_job_somebody_else_takes_at_twice_its_price_is_not_believed() {
        let (_folder, offers) = empty().await;
        let now = Instant::now();
        let quotes = |now| offers.known().quotes(SETTINGS, &draft(FIL), &spec(), now);
        offers.known().turn_to((1..=3).map(party).collect(), now);
        for (number, base) in [(1, 1), (2, FIL / 1000), (3, FIL / 600)] {
            heard(&mut offers.known(), number, Answer::Offer(Box::new(offer(base))));
        }
        let job = JobId(B256::repeat_byte(7));
        offers.expect(job, &quotes(now), AttoFil(FIL));
        offers.was_taken(job, party(3).0, AttoFil(FIL / 600));
        let believed: Vec<_> = quotes(now).asks.iter().map(|ask| (ask.provider, ask.believed)).collect();
        assert_eq!(believed, [(party(1).0, false), (party(2).0, true), (party(3).0, true)]);
    }
}
