//! Orders that are paid over Filecoin Pay: which of them a provider takes, and when.

use super::*;
use crate::{
    filecoin_pay_deals::{self, Event as Said, Rejection, fee},
    model::{Lane, salt},
};

const DEALS: Address = Address::repeat_byte(0xFD);
const PAYER: Address = Address::repeat_byte(0xFA);

mod payers;

/// One unit of a token of 6 decimals is worth a quarter of the market's asset, of 18.
fn rate() -> Rate {
    Rate::parse("0.25", [6, 18]).expect("it is a rate")
}

fn venue() -> PayVenue {
    PayVenue { contract: DEALS, rate: rate(), order_gas: 0 }
}

/// Prices that are worth 0.05 to 0.15 FIL and a bit, over 100 seconds from ten seconds on; what is asked is 0.1 FIL.
const LOW: u64 = 200_000;
const HIGH: u64 = 603_016;

fn order_terms(number: u64) -> Terms {
    order_terms_of(PAYER, number)
}

fn order_terms_of(payer: Address, number: u64) -> Terms {
    let lane = Lane::from_be_slice(payer.as_slice());
    let free = Terms { salt: salt(lane, number), ..terms(0, &spec(1_000_000)) };
    let (min_price, max_price) = (AttoFil::ZERO, AttoFil::ZERO);
    let (ramp_start, ramp_period, lock_by) = (Time(START + 10), 100, Time(START + 200));
    Terms { client: DEALS, matcher: DEALS, min_price, max_price, ramp_start, ramp_period, lock_by, ..free }
}

fn opened(job: JobId, provider: Address, low: u64, high: u64) -> Said {
    Said::OrderOpened { job, payer: PAYER, provider, min_price: U256::from(low), max_price: U256::from(high) }
}

struct Provider {
    agent: Agent,
    /// Steps that were asked for, and not told the outcome of.
    asked: Vec<StepKey>,
    block: u64,
    now: Time,
}

impl Provider {
    fn new() -> Self {
        let offer = Offer { matchers: vec![DEALS], ..offer(FIL / 10) };
        Self::with(offer, Some(venue()))
    }

    fn with(offer: Offer, venue: Option<PayVenue>) -> Self {
        let agent = Agent::new(CHEAP, SETTINGS, Some(offer)).taking_orders_of(venue);
        Self { agent, asked: Vec::new(), block: 1, now: Time(START) }
    }

    fn tell(&mut self, input: Input<'_>) {
        let effects = self.agent.handle(input, self.now);
        self.asked.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Do(key) => Some(key),
            _ => None,
        }));
    }

    fn hear(&mut self, event: &Event) {
        let (block, time) = (self.block, self.now);
        self.tell(Input::Event { block, time, event });
    }

    fn hear_of_order(&mut self, event: &Said) {
        let (block, time) = (self.block, self.now);
        self.tell(Input::OrderEvent { block, time, event });
    }

    /// The job is opened, and then its order is told, as a node does; spec and inputs are found to be there.
    fn meet(&mut self, terms: &Terms, order: Option<&Said>) -> JobId {
        let job = self.see(terms, order);
        for step in [Step::TryOrder, Step::FetchInputs] {
            while let Some(key) = self.take_asked(step) {
                self.tell(Input::Done { key, outcome: StepOutcome::Ok });
            }
        }
        job
    }

    /// The same, without what the provider does about it.
    fn see(&mut self, terms: &Terms, order: Option<&Said>) -> JobId {
        let job = id_of(terms);
        self.hear(&Event::JobOpened { job, terms: terms.clone(), spec: spec(1_000_000) });
        if let Some(order) = order {
            self.hear_of_order(order);
        }
        job
    }

    fn take_asked(&mut self, step: Step) -> Option<StepKey> {
        let place = self.asked.iter().position(|key| key.step == step)?;
        Some(self.asked.remove(place))
    }

    /// It is so many seconds after the beginning.
    fn at(&mut self, seconds: u64) {
        self.block += 1;
        self.now = Time(START + seconds);
        let latest = At { block: self.block, time: self.now };
        self.tell(Input::Head { block: self.block, finalized: 0, latest });
    }

    fn lock(&mut self) -> Option<StepKey> {
        self.take_asked(Step::Lock)
    }

    fn decision(&self, job: JobId) -> Option<Decision> {
        self.agent.job(job).and_then(|job| job.work.as_ref()).map(|work| work.decision.clone())
    }

    fn refuses(&mut self, key: StepKey, rejection: Rejection) {
        let failure = Failure::RejectedByFilecoinPayDeals { rejection: Box::new(rejection), block: Some(self.block) };
        self.tell(Input::Done { key, outcome: StepOutcome::Err(failure) });
    }

    /// Taking it failed in a block, and cost gas.
    fn fails(&mut self, key: StepKey, payer: Address) {
        let rejection = Some(Box::new(Rejection::OperatorNotApproved(payer)));
        let failure = Failure::TakeFailed { payer, rejection, block: self.block };
        self.tell(Input::Done { key, outcome: StepOutcome::Err(failure) });
    }
}

#[test]
fn rates_are_exact_and_what_is_none_is_refused() {
    let worth = |rate: Rate, gross: u64| rate.worth(U256::from(gross)).0;
    // 1 of the token's million less 0.5 % is 995,000, of which each is worth 0.25 * 10^12.
    assert_eq!(worth(rate(), 1_000_000), 995_000 * 250_000_000_000);
    let same = Rate::parse("1", [18, 18]).expect("a rate");
    assert_eq!([0, 1, 2, 201].map(|gross| worth(same, gross)), [0, 0, 1, 199]);
    // Rounded down: 199 of 10^18 are nothing of 10^6.
    let coarse = Rate::parse("2.5", [18, 6]).expect("a rate");
    assert_eq!(worth(coarse, 200), 0);
    assert_eq!(worth(coarse, 2_000_000_000_000_000), 4_975);
    assert_eq!(rate().worth(U256::MAX), AttoFil(u128::MAX), "as much as there can be");
    assert_eq!(
        Rate::parse("0.250", [6, 18]).map(|rate| rate.worth(U256::from(1_000_000_u64))),
        Ok(AttoFil(995_000 * 250_000_000_000))
    );
    for text in ["", ".5", "1.", "-1", "1,5", "1e3", "1.0000000000000000001", "1000000000000000000000", " 1", "x"] {
        assert_eq!(Rate::parse(text, [18, 18]), Err(BadRate::NoNumber), "{text}");
    }
    assert_eq!(Rate::parse("0.0", [18, 18]), Err(BadRate::Zero));
    assert_eq!(Rate::parse("1", [39, 18]), Err(BadRate::Decimals));
    assert!(Rate::parse("999999999999999999.999999999999999999", [38, 38]).is_ok());
}

#[test]
fn the_first_second_that_is_worth_it_is_found() {
    let venue = venue();
    let mut seed = 7_u64;
    let mut random = |below: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % below
    };
    let mut reached = 0;
    for _ in 0..2_000 {
        let (low, period) = (1 + random(1_000), random(60));
        let high = low + random(1_000);
        let asking = venue.rate.worth(U256::from(random(2_500)));
        let order = filecoin_pay_deals::Order {
            terms: Terms { ramp_start: Time(100), ramp_period: period, ..order_terms(0) },
            payer: PAYER,
            provider: Address::ZERO,
            min_price: U256::from(low),
            max_price: U256::from(high),
        };
        let net = |time: u64| {
            let gross = order.price_at(Time(time));
            venue.rate.worth(gross).0 == (gross - fee(gross)).to::<u128>() * 250_000_000_000
        };
        let by_looking = (100..=101 + period).find(|time| venue.rate.worth(order.price_at(Time(*time))) >= asking);
        assert!((100..=101 + period).all(net));
        assert_eq!(venue.price_reached(&order, asking), by_looking.map(Time));
        reached += u32::from(by_looking.is_some_and(|time| time > 100));
    }
    assert!(reached > 200, "{reached} prices had to rise first");
}

#[test]
fn an_order_is_taken_when_its_price_less_the_fee_is_worth_what_is_asked() {
    let mut provider = Provider::new();
    let terms = order_terms(0);
    let job = provider.meet(&terms, Some(&opened(id_of(&terms), Address::ZERO, LOW, HIGH)));
    assert_eq!(provider.decision(job), Some(Decision::Wanted));
    // 0.1 FIL are 400,000 of the token, and 402,011 with the fee: 50.13 of the ramp's 100 seconds.
    let venue = venue();
    let order = provider.agent.job(job).and_then(|job| job.order_to_take(Step::Lock)).expect("it can be taken");
    assert!(venue.rate.worth(order.price_at(Time(START + 60))) < AttoFil(FIL / 10));
    assert!(venue.rate.worth(order.price_at(Time(START + 61))) >= AttoFil(FIL / 10));
    provider.at(60);
    assert_eq!(provider.lock(), None);
    provider.at(61);
    let key = provider.lock().expect("it is worth it");
    let record = provider.agent.job(job).expect("it holds it");
    assert_eq!(EffectKey::of(&key).binding(), Some((job, Step::Lock)), "a restart finds it by the key of a lock");
    assert_eq!((record.order_to_take(Step::Lock), record.order_to_take(Step::Run)), (Some(order), None));
    assert_eq!(record.submission(Step::Lock), None, "nothing is asked of the market itself");

    // It is the provider's own, though nobody but the matcher awarded it.
    provider.tell(Input::Done { key, outcome: StepOutcome::Ok });
    let (rail, price) = (U256::from(5), U256::from(404_016));
    provider.hear_of_order(&Said::OrderTaken { job, payer: PAYER, provider: CHEAP, rail, price });
    provider.hear(&Event::JobLocked { job, provider: CHEAP, payer: DEALS, price: AttoFil::ZERO });
    assert_eq!(provider.decision(job), Some(Decision::Won));
    assert!(provider.asked.iter().any(|key| key.step == Step::Run), "{:?}", provider.asked);
    provider.hear_of_order(&Said::PriceDue { job, rail, price });
    let taken = provider.agent.job(job).and_then(|job| job.view.filecoin_pay.clone()).and_then(|order| order.taken);
    assert_eq!(taken, Some(Taken { provider: CHEAP, rail, price, state: PriceState::Due }));
}

#[test]
fn an_order_that_is_not_worth_it_or_for_somebody_else_is_refused() {
    let offered = rate().worth(U256::from(402_000));
    let asking = AttoFil(FIL / 10);
    assert!(offered < asking);
    let late = Terms { lock_by: Time(START + 50), ..order_terms(1) };
    for (terms, provider, high, refusal) in [
        (order_terms(0), Address::ZERO, 402_000, Refusal::Price { offered, asking }),
        (late, Address::ZERO, HIGH, Refusal::Ramp { asking }),
        (order_terms(0), DEAR, HIGH, Refusal::Matcher(DEAR)),
        (Terms { collateral: AttoFil::ZERO, ..order_terms(0) }, Address::ZERO, HIGH, Refusal::NoCollateral),
        (Terms { client: PAYER, ..order_terms(0) }, Address::ZERO, HIGH, Refusal::Matcher(DEALS)),
    ] {
        let mut node = Provider::new();
        let job = node.meet(&terms, Some(&opened(id_of(&terms), provider, LOW, high)));
        assert_eq!(node.decision(job), Some(Decision::Refused(refusal)));
        node.at(150);
        assert_eq!(node.lock(), None);
    }
}

#[test]
fn the_payers_own_node_and_one_that_is_named_know_their_orders() {
    let mut own = Provider::new();
    let terms = order_terms(0);
    let order = Said::OrderOpened {
        job: id_of(&terms),
        payer: CHEAP,
        provider: Address::ZERO,
        min_price: U256::from(HIGH),
        max_price: U256::from(HIGH),
    };
    own.meet(&terms, Some(&order));
    own.at(100);
    assert_eq!(own.lock(), None, "nobody pays itself");
    let mut named = Provider::new();
    named.meet(&terms, Some(&opened(id_of(&terms), CHEAP, HIGH, HIGH)));
    named.at(10);
    assert!(named.lock().is_some());
}

#[test]
fn nothing_is_taken_without_an_order_or_without_a_rate() {
    let mut without_order = Provider::new();
    let job = without_order.meet(&order_terms(0), None);
    without_order.at(150);
    assert_eq!((without_order.decision(job), without_order.lock()), (Some(Decision::Considering), None));
    assert_eq!(without_order.asked, [], "not even its inputs are fetched");
    // An order that is told later.
    without_order.hear_of_order(&opened(job, Address::ZERO, HIGH, HIGH));
    assert!(without_order.take_asked(Step::TryOrder).is_some());

    for matchers in [vec![], vec![DEALS]] {
        let mut without_rate = Provider::with(Offer { matchers, ..offer(0) }, None);
        let terms = order_terms(0);
        without_rate.meet(&terms, Some(&opened(id_of(&terms), Address::ZERO, HIGH, HIGH)));
        without_rate.at(150);
        assert_eq!(without_rate.lock(), None);
    }
}

#[test]
fn a_race_that_is_lost_is_over_and_one_that_nobody_won_goes_on_for_a_while() {
    let mut provider = Provider::new();
    let terms = order_terms(0);
    let job = provider.meet(&terms, Some(&opened(id_of(&terms), Address::ZERO, HIGH, HIGH)));
    provider.at(10);
    let key = provider.lock().expect("it is worth it");
    provider.refuses(key, Rejection::NotOpen(job));
    provider.at(11);
    let (rail, price) = (U256::from(5), U256::from(HIGH));
    provider.hear_of_order(&Said::OrderTaken { job, payer: PAYER, provider: DEAR, rail, price });
    provider.hear(&Event::JobLocked { job, provider: DEAR, payer: DEALS, price: AttoFil::ZERO });
    assert_eq!(provider.decision(job), Some(Decision::Lost));
    let _ = provider.agent.take_changes();
    assert!(provider.agent.is_empty(), "it waits for nothing");

    // A payer who cannot pay any more when it is taken is asked a few times, and then no more.
    let mut provider = Provider::new();
    let terms = Terms { lock_by: Time(START + 100_000), ..order_terms(0) };
    let job = provider.meet(&terms, Some(&opened(id_of(&terms), Address::ZERO, HIGH, HIGH)));
    let mut attempts = 0;
    for round in 1..50 {
        provider.at(10 + round * 1_000);
        if let Some(key) = provider.lock() {
            attempts += 1;
            provider.refuses(key, without_money(PAYER));
        }
    }
    assert_eq!(attempts, 8);
    assert_eq!((provider.agent.bound(), provider.decision(job)), (0, Some(unpaid(PAYER))));
    let _ = provider.agent.take_changes();
    assert!(provider.agent.is_empty(), "it has no place any more");
    // Others are taken all the same.
    let other = order_terms(1);
    let other = Terms { lock_by: Time(START + 100_000), ..other };
    provider.meet(&other, Some(&opened(id_of(&other), Address::ZERO, HIGH, HIGH)));
    assert!(provider.lock().is_some());
}

fn without_money(payer: Address) -> Rejection {
    Rejection::NotEnoughFunds { payer, available: U256::ZERO, needed: U256::from(HIGH) }
}

fn unpaid(payer: Address) -> Decision {
    let rejection = Box::new(without_money(payer));
    Decision::Refused(Refusal::Unpaid(Failure::RejectedByFilecoinPayDeals { rejection, block: None }.to_string()))
}

#[test]
fn an_order_costs_its_gas_beside_what_the_job_costs() {
    let asks = |per_megagas: u64, order_gas| {
        let per_megagas = AttoFil(u128::from(per_megagas) * u128::from(GWEI));
        let pricing = Pricing { per_megagas, ..offer(FIL / 10).pricing };
        let offer = Offer { matchers: vec![DEALS], pricing, ..offer(FIL / 10) };
        let mut provider = Provider::with(offer, Some(PayVenue { order_gas, ..venue() }));
        let terms = order_terms(0);
        let job = provider.meet(&terms, Some(&opened(id_of(&terms), Address::ZERO, LOW, HIGH)));
        let work = provider.agent.job(job).and_then(|job| job.work.clone()).expect("it looked");
        (work.decision, work.asking, work.worth_from)
    };
    let from = |seconds| Some(Time(START + seconds));
    assert_eq!(asks(0, 400_000), (Decision::Wanted, AttoFil(FIL / 10), from(61)));
    // 0.4 of 10^6 units, at 0.1 FIL for as many: the price reaches what that comes to later.
    assert_eq!(asks(100_000_000, 400_000), (Decision::Wanted, AttoFil(FIL / 10 + FIL / 25), from(101)));
    let (offered, asking) = (rate().worth(U256::from(HIGH)), AttoFil(FIL / 10 + 2 * FIL / 25));
    let refusal = Decision::Refused(Refusal::Price { offered, asking });
    assert_eq!(asks(200_000_000, 400_000).0, refusal);
}

#[test]
fn a_restart_sends_the_same_command_again_and_a_reorganisation_forgets_who_took_it() {
    let mut provider = Provider::new();
    let terms = order_terms(0);
    let job = provider.meet(&terms, Some(&opened(id_of(&terms), Address::ZERO, HIGH, HIGH)));
    provider.at(10);
    let key = provider.lock().expect("it is worth it");
    let record = provider.agent.job(job).cloned().expect("it is held");
    let stored = serde_json::to_string(&record).expect("it is stored");
    let record: Job = serde_json::from_str(&stored).expect("and read");

    let mut again = Provider::new();
    let effects = again.agent.restore(record, Time(START + 10));
    assert_eq!(effects, [Effect::Do(key)], "under the same key, which the transport sends once");
    let order = again.agent.job(job).and_then(|job| job.order_to_take(Step::Lock));
    assert_eq!(order.map(|order| order.max_price), Some(U256::from(HIGH)));

    // Somebody else took it on a fork that is gone.
    let (rail, price) = (U256::from(5), U256::from(HIGH));
    provider.hear_of_order(&Said::OrderTaken { job, payer: PAYER, provider: DEAR, rail, price });
    let mut view = JobView::new(job, terms.clone(), spec(1_000_000), Status::Open, Time(START));
    let at = At::from(Time(START));
    view.filecoin_pay = OrderView::fold([(at, &opened(job, Address::ZERO, HIGH, HIGH))]);
    provider.tell(Input::Rewind { block: 1 });
    provider.tell(Input::Refold { job, view: Some(Box::new(view)) });
    assert!(provider.lock().is_some(), "it is open again");
}
