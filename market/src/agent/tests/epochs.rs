//! A chain like Filecoin, in virtual time: an epoch takes 30 seconds, some rounds are null, a block is executed only with the
//! next one, and every few blocks some are undone. What was in them goes back among the messages that wait, or is dropped.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const EPOCH: u64 = 30;
const PACE: Pace = Pace { careful_from: None, ..Pace::FILECOIN };
/// How many rounds in a row are null in `Pace::landing`.
const NULL_ROUNDS: u64 = 2;
/// A run window of these jobs, in epochs: the longest.
const WINDOW: u64 = 12;
/// How many blocks lie above one that is final.
const FINAL: usize = 8;

/// A command that a party sent, and those who wait to hear what came of it.
struct Sending {
    party: usize,
    key: EffectKey,
    submission: Submission,
    sent: u64,
    waiting: Vec<Asked>,
    in_pool: bool,
}

/// A step whose outcome somebody waits for.
#[derive(Clone, Copy)]
struct Asked {
    key: StepKey,
    /// How often a reorganisation had changed the job for this party before.
    refolds: usize,
}

/// An answer on its way.
struct Answer {
    party: usize,
    asked: Asked,
    outcome: StepOutcome,
    /// It arrives in this epoch.
    epoch: u64,
}

struct Block {
    /// Names it among all forks.
    name: u64,
    number: u64,
    time: Time,
    messages: Vec<usize>,
    refused: Vec<(usize, crate::model::Rejection)>,
    events: Vec<Event>,
    /// The market after it.
    market: MarketWorld,
}

/// What the weather is like.
#[derive(Clone, Copy, Debug)]
struct Weather {
    /// One round in so many is null.
    null: u64,
    /// After so many epochs some blocks are undone.
    reorganise: u64,
    /// At most so many.
    depth: u64,
    /// One in so many messages is dropped when its block is undone.
    drop: u64,
    /// One in so many answers is of a node that has not executed the newest block.
    behind: u64,
    /// One in so many answers to a command is on its way for some rounds.
    slow: u64,
    /// No more rounds are null, and none older is undone, than the network's pace allows for.
    is_in_pace: bool,
}

struct Filecoin {
    blocks: Vec<Block>,
    names: u64,
    sendings: Vec<Sending>,
    parties: Vec<Party>,
    /// The blocks that each party has read.
    read: Vec<Vec<u64>>,
    epoch: u64,
    weather: Weather,
    random: u64,
    answers: Vec<Answer>,
    refolds: BTreeMap<(usize, JobId), usize>,
    /// Answers from before a reorganisation that met the same step under way again.
    stale: usize,
}

impl Filecoin {
    fn new(parties: Vec<Party>, weather: Weather, seed: u64) -> Self {
        let mut market = MarketWorld::new();
        let mut env = Chain { now: Time(START), value: AttoFil(100 * FIL), callback_works: true };
        for party in &parties {
            let deposit = Command::Deposit { account: party.me };
            market.apply(party.me, &deposit, &mut env, &mut |_| {}).expect("a deposit");
        }
        let genesis = |number| Block {
            name: number,
            number,
            time: Time(START),
            messages: Vec::new(),
            refused: Vec::new(),
            events: Vec::new(),
            market: market.clone(),
        };
        let read = parties.iter().map(|_| Vec::new()).collect();
        let blocks = vec![genesis(0), genesis(1)];
        Self {
            blocks,
            names: 2,
            sendings: Vec::new(),
            parties,
            read,
            epoch: 1,
            weather,
            random: seed,
            answers: Vec::new(),
            refolds: BTreeMap::new(),
            stale: 0,
        }
    }

    /// SplitMix64.
    fn random(&mut self, below: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below.max(1)
    }

    /// Whether something happens that happens once in so many times; 0: never.
    fn is_one_in(&mut self, times: u64) -> bool {
        times > 0 && self.random(times) == 0
    }

    /// The newest block that was executed.
    fn head(&self) -> &Block {
        &self.blocks[self.blocks.len() - 2]
    }

    /// A round passes.
    fn round(&mut self) {
        self.epoch += 1;
        if self.weather.reorganise > 0 && self.epoch.is_multiple_of(self.weather.reorganise) {
            self.reorganise();
        }
        self.extend(self.epoch);
        self.act_all();
    }

    fn act_all(&mut self) {
        let mut busy = true;
        while busy {
            busy = false;
            for index in 0..self.parties.len() {
                busy |= self.act(index);
            }
        }
    }

    /// A block with the messages that were sent before its round; or none.
    fn extend(&mut self, epoch: u64) {
        let number = self.blocks.last().expect("there is a block").number;
        let may_be_null = !self.weather.is_in_pace || epoch - number <= NULL_ROUNDS;
        if self.is_one_in(self.weather.null) && may_be_null {
            return;
        }
        let last = self.blocks.last().expect("there is a block");
        let (number, time) = (epoch, Time(START + (epoch - 1) * EPOCH));
        let mut block = Block {
            name: self.names,
            number,
            time,
            messages: Vec::new(),
            refused: Vec::new(),
            events: Vec::new(),
            market: last.market.clone(),
        };
        self.names += 1;
        for index in 0..self.sendings.len() {
            let sending = &mut self.sendings[index];
            if !sending.in_pool || sending.sent >= epoch {
                continue;
            }
            sending.in_pool = false;
            block.messages.push(index);
            let Submission { command, value } = &sending.submission;
            let mut env = Chain { now: time, value: *value, callback_works: true };
            let (me, events) = (self.parties[sending.party].me, &mut block.events);
            if let Err(rejection) = block.market.apply(me, command, &mut env, &mut |event| events.push(event)) {
                block.refused.push((index, rejection));
            }
        }
        self.blocks.push(block);
    }

    /// Some blocks are undone; others take their place.
    fn reorganise(&mut self) {
        let depth = usize::try_from(1 + self.random(self.weather.depth)).expect("small");
        let mut keep = self.blocks.len().saturating_sub(depth).max(2);
        if self.weather.is_in_pace {
            let is_too_old = |block: &Block| block.number + PACE.undo_depth + 1 < self.epoch;
            keep = keep.max(self.blocks.iter().take_while(|block| is_too_old(block)).count());
        }
        let undone = self.blocks.split_off(keep);
        let first = self.blocks.last().expect("one stays").number + 1;
        for index in undone.iter().flat_map(|block| block.messages.clone()) {
            // While somebody waits for it, whoever sent it sends it again.
            let dropped = self.is_one_in(self.weather.drop) && self.sendings[index].waiting.is_empty();
            self.sendings[index].in_pool = !dropped;
        }
        for epoch in first..self.epoch {
            self.extend(epoch);
        }
    }

    /// One party reads what is new, then performs its effects. Says whether there was anything to do.
    fn act(&mut self, index: usize) -> bool {
        let mut busy = self.read(index);
        let now = self.head().time;
        self.answer(index, now);
        while let Some(effect) = self.parties[index].effects.pop_front() {
            busy = true;
            let Effect::Do(key) = effect else { continue };
            let job = key.job().expect("all steps are of jobs");
            let submission = self.parties[index].agent.job(job).and_then(|job| job.submission(key.step));
            match submission {
                Some(submission) => self.submit(index, key, submission, now),
                None => {
                    if let Some(outcome) = self.parties[index].do_step(job, key.step) {
                        self.parties[index].input(Input::Done { key, outcome }, now);
                    }
                }
            }
        }
        busy
    }

    /// Reads the blocks that are new, after what was undone.
    fn read(&mut self, index: usize) -> bool {
        let executed = &self.blocks[..self.blocks.len() - 1];
        let (party, read) = (&mut self.parties[index], &mut self.read[index]);
        let common = executed.iter().zip(read.iter()).take_while(|(block, name)| block.name == **name).count();
        if common == read.len() && common == executed.len() {
            return false;
        }
        let now = executed.last().expect("there is one").time;
        if common < read.len() {
            party.input(Input::Rewind { block: executed[common - 1].number }, now);
            let log: Vec<(u64, Time, Event)> = executed[..common]
                .iter()
                .flat_map(|block| block.events.iter().map(|event| (block.number, block.time, event.clone())))
                .collect();
            let jobs: Vec<JobId> = party.stored.keys().copied().collect();
            for job in jobs {
                let view = folded(&log, job);
                let before = &party.stored[&job].job.view;
                if view.as_ref().map_or(before.status != Status::None, |view| view != before) {
                    *self.refolds.entry((index, job)).or_default() += 1;
                    party.input(Input::Refold { job, view: view.map(Box::new) }, now);
                }
            }
            read.truncate(common);
        }
        for block in &executed[common..] {
            for event in &block.events {
                party.input(Input::Event { block: block.number, time: block.time, event }, now);
            }
            read.push(block.name);
        }
        let finalized = executed.len().checked_sub(FINAL).map_or(0, |at| executed[at].number);
        let head = executed.last().expect("there is one");
        party.input(Input::Balance(head.market.balance(party.me)), now);
        party.input(Input::Head { block: head.number, finalized, latest: At { block: head.number, time: now } }, now);
        true
    }

    /// Tells a party what came of its messages, as far as the executed blocks say, at once or some rounds later.
    fn answer(&mut self, index: usize, now: Time) {
        let executed = self.blocks.len() - 1;
        let mut known = Vec::new();
        for (number, sending) in self.sendings.iter_mut().enumerate().filter(|(_, sending)| sending.party == index) {
            if sending.waiting.is_empty() {
                continue;
            }
            let Some(block) = self.blocks[..executed].iter().find(|block| block.messages.contains(&number)) else {
                continue;
            };
            let outcome = match block.refused.iter().find(|(refused, _)| *refused == number) {
                None => StepOutcome::Ok,
                Some((_, rejection)) => StepOutcome::Err(Failure::rejected(rejection.clone(), Some(block.number))),
            };
            known.extend(std::mem::take(&mut sending.waiting).into_iter().map(|asked| (asked, outcome.clone())));
        }
        for (asked, outcome) in known {
            let rounds = if self.is_one_in(self.weather.slow) { 1 + self.random(3) } else { 0 };
            self.answers.push(Answer { party: index, asked, outcome, epoch: self.epoch + rounds });
        }
        let epoch = self.epoch;
        let arrived: Vec<_> =
            self.answers.extract_if(.., |answer| answer.party == index && answer.epoch <= epoch).collect();
        for Answer { asked, outcome, .. } in arrived {
            self.hear(index, asked, outcome, now);
        }
    }

    /// Tells a party what a step came to. What one came to before a reorganisation says nothing about the one that began after
    /// it, although both have the same key: a command that landed before is not there now.
    fn hear(&mut self, index: usize, asked: Asked, outcome: StepOutcome, now: Time) {
        let Asked { key, refolds } = asked;
        let job = key.job().expect("all steps are of jobs");
        let is_stale = self.refolds.get(&(index, job)).is_some_and(|now| *now > refolds);
        let party = &mut self.parties[index];
        let state = |party: &Party| party.stored.get(&job).and_then(|change| change.job.steps.get(&key.step).cloned());
        let before = state(party);
        party.input(Input::Done { key, outcome: outcome.clone() }, now);
        if is_stale && matches!(before, Some(StepState::InFlight { .. })) {
            self.stale += 1;
            assert_eq!(state(party), before, "{key} of an earlier round came to {outcome:?}");
        }
    }

    /// Sends a command, once for each key while it is neither dropped nor refused.
    fn submit(&mut self, index: usize, key: StepKey, submission: Submission, now: Time) {
        let name = EffectKey::of(&key);
        let job = key.job().expect("all steps are of jobs");
        let asked = Asked { key, refolds: self.refolds.get(&(index, job)).copied().unwrap_or_default() };
        let before = self.sendings.iter().position(|sending| sending.party == index && sending.key == name);
        let lives = |number: usize, sending: &Sending| {
            sending.in_pool
                || self.blocks.iter().any(|block| {
                    block.messages.contains(&number) && !block.refused.iter().any(|(refused, _)| *refused == number)
                })
        };
        if let Some(number) = before.filter(|number| lives(*number, &self.sendings[*number])) {
            self.sendings[number].waiting.push(asked);
            return;
        }
        let behind = usize::from(self.is_one_in(self.weather.behind));
        let block = &self.blocks[(self.blocks.len() - 2).saturating_sub(behind)];
        let mut env = Chain { now: block.time, value: submission.value, callback_works: true };
        let me = self.parties[index].me;
        if let Err(rejection) = block.market.clone().apply(me, &submission.command, &mut env, &mut |_| {}) {
            let outcome = StepOutcome::Err(Failure::rejected(rejection, Some(block.number)));
            self.parties[index].input(Input::Done { key, outcome }, now);
            return;
        }
        let sending =
            Sending { party: index, key: name, submission, sent: self.epoch, waiting: vec![asked], in_pool: true };
        match before {
            Some(number) => self.sendings[number] = sending,
            None => self.sendings.push(sending),
        }
    }

    fn request(&mut self, salt: u64, spec: &Bytes, is_reviewed: bool) -> JobId {
        let now = self.head().time;
        let price = AttoFil(FIL / 10);
        let run_for = u32::try_from(5 + PACE.run_margin()).expect("small");
        let terms = Terms {
            min_price: price,
            max_price: price,
            ramp_start: now,
            lock_by: now.after(PACE.lock_for(60)),
            run_for,
            ..terms(salt, spec)
        };
        let window = u32::try_from(PACE.landing_again()).expect("small");
        let terms = if is_reviewed { Terms { review_for: window, rule_for: window, ..reviewed(terms) } } else { terms };
        let (id, value) = (id_of(&terms), AttoFil::ZERO);
        self.parties[0].input(Input::Request(Box::new(Request { id, terms, spec: spec.clone(), value })), now);
        self.act_all();
        id
    }

    fn status(&self, job: JobId) -> Status {
        // The market forgets what has ended; its log does not.
        let events = self.blocks.iter().flat_map(|block| &block.events).filter(|event| event.job() == Some(job));
        JobView::fold(events.map(|event| (At::default(), event))).map_or(Status::None, |view| view.status)
    }
}

fn cluster(weather: Weather, seed: u64) -> Filecoin {
    let offer = |ask| Offer { min_window: PACE.min_window(), ..offer(ask) };
    let parties = vec![
        Party::new(CLIENT, None).at_pace(PACE),
        Party::new(CHEAP, Some(offer(FIL / 10))).at_pace(PACE),
        Party::new(DEAR, Some(offer(FIL / 10))).at_pace(PACE),
    ];
    Filecoin::new(parties, weather, seed)
}

/// What became of some jobs.
struct Settled {
    /// In which epoch after its request each was settled for the first time.
    epochs: Vec<u64>,
    /// How many answers from before a reorganisation met the same step under way again.
    stale: usize,
}

/// Whether a job of this number is reviewed.
type IsReviewed = fn(u64) -> bool;

/// Has some jobs done, one request an epoch, where everybody meets their deadlines.
fn settle(weather: Weather, seed: u64, jobs: u64, is_reviewed: IsReviewed) -> Settled {
    let ended = end(weather, seed, jobs, is_reviewed);
    for job in &ended.jobs {
        assert_eq!(ended.chain.status(*job), Status::Settled, "{job} with {weather:?} and seed {seed}");
    }
    // To the last attoFIL: the client paid each job's price once, nobody lost collateral.
    let market = &ended.chain.blocks.last().expect("there is one").market;
    let price = FIL / 10 * u128::from(jobs);
    assert_eq!(market.balance(CLIENT), AttoFil(100 * FIL - price));
    assert_eq!(market.balance(CHEAP).0 + market.balance(DEAR).0, 200 * FIL + price);
    assert_eq!((market.burned(), market.escrowed(), market.collateral()), Default::default());
    for party in &ended.chain.parties {
        assert_eq!(party.suspended, None);
    }
    let epochs = ended.settled.into_iter().map(|epochs| epochs.expect("it was settled")).collect();
    Settled { epochs, stale: ended.chain.stale }
}

/// Some jobs after which everything is final.
struct Ended {
    chain: Filecoin,
    jobs: Vec<JobId>,
    settled: Vec<Option<u64>>,
}

/// Has some jobs requested, one an epoch. However they end, each ends once, is paid at most once, and nobody keeps anything of it.
fn end(weather: Weather, seed: u64, jobs: u64, is_reviewed: IsReviewed) -> Ended {
    let mut chain = cluster(weather, seed);
    let spec = spec(1_000_000);
    let mut requested = Vec::new();
    let mut settled: Vec<Option<u64>> = Vec::new();
    for _ in 0..4 {
        chain.round();
    }
    let note = |chain: &Filecoin, requested: &[(JobId, u64)], settled: &mut [Option<u64>]| {
        for ((job, since), settled) in requested.iter().zip(settled) {
            if settled.is_none() && chain.status(*job) == Status::Settled {
                *settled = Some(chain.epoch - since);
            }
        }
    };
    for salt in 0..jobs {
        requested.push((chain.request(salt, &spec, is_reviewed(salt)), chain.epoch));
        settled.push(None);
        chain.round();
        note(&chain, &requested, &mut settled);
    }
    for _ in 0..60 {
        chain.round();
        note(&chain, &requested, &mut settled);
    }
    // The weather clears up, and everything becomes final.
    chain.weather = Weather { behind: weather.behind, ..CALM };
    for _ in 0..40 {
        chain.round();
    }
    let market = &chain.blocks.last().expect("there is one").market;
    for (job, _) in &requested {
        let status = chain.status(*job);
        // None: what opened it was undone, and came too late when it was sent again.
        let ends = [Status::Settled, Status::Slashed, Status::Cancelled, Status::None];
        assert!(ends.contains(&status), "{job} is {status:?} with {weather:?} and seed {seed}");
        let events: Vec<&Event> = chain.blocks.iter().flat_map(|block| &block.events).collect();
        let paid =
            events.iter().filter(|event| matches!(event, Event::JobSettled { job: id, .. } if id == job)).count();
        assert_eq!(paid, usize::from(status == Status::Settled), "{job} is paid once");
    }
    let balances: u128 = chain.parties.iter().map(|party| market.balance(party.me).0).sum();
    assert_eq!(balances + market.burned().0, 300 * FIL, "with {weather:?} and seed {seed}");
    assert_eq!((market.escrowed(), market.collateral()), Default::default());
    let keys: BTreeSet<(usize, &EffectKey)> =
        chain.sendings.iter().map(|sending| (sending.party, &sending.key)).collect();
    assert_eq!(keys.len(), chain.sendings.len(), "one message for each key");
    for party in &chain.parties {
        assert!(party.agent.is_empty() && party.pinned.is_empty(), "{} keeps something", party.me);
    }
    Ended { chain, jobs: requested.into_iter().map(|(job, _)| job).collect(), settled }
}

const CALM: Weather = Weather { null: 0, reorganise: 0, depth: 1, drop: 0, behind: 0, slow: 0, is_in_pace: true };

#[test]
fn a_job_is_settled_five_epochs_after_its_request_and_seven_if_it_is_reviewed() {
    assert_eq!(settle(CALM, 1, 5, |_| false).epochs, [5; 5]);
    assert_eq!(settle(CALM, 1, 5, |_| true).epochs, [7; 5]);
}

#[test]
fn with_null_rounds_and_reorganisations_a_job_is_settled_within_ten_epochs() {
    // One round in thirty is null (on Filecoin fewer are), every five epochs one or two blocks are undone, and one answer in
    // twenty comes from a node that is behind.
    let weather = Weather { null: 30, reorganise: 5, depth: 2, drop: 0, behind: 20, slow: 0, is_in_pace: true };
    let mut all = Vec::new();
    for seed in 0..20 {
        all.extend(settle(weather, seed, 8, |salt| salt.is_multiple_of(2)).epochs);
    }
    let late = all.iter().filter(|epochs| **epochs > 10).count();
    assert_eq!(late, 0, "of {} jobs: {all:?}", all.len());
}

#[test]
fn an_answer_from_before_a_reorganisation_is_no_answer_to_what_was_sent_after_it() {
    let weather = Weather { null: 0, reorganise: 7, depth: 3, drop: 2, behind: 0, slow: 2, is_in_pace: true };
    let stale: usize = (0..60).map(|seed| settle(weather, seed, 4, |salt| salt.is_multiple_of(2)).stale).sum();
    assert!(stale > 10, "only {stale} answers came late enough to mean something");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, source_file: Some(file!()), ..ProptestConfig::default() })]

    /// Whatever the weather, as long as no more is undone than the network's pace allows for.
    #[test]
    fn nobody_is_slashed_and_nothing_is_paid_twice(weather in weather(), seed: u64) {
        // What is dropped has to be sent again, for which a window leaves time once.
        let window = if weather.drop > 0 { WINDOW - 1 } else { 0 };
        let weather = Weather { reorganise: weather.reorganise + window, is_in_pace: true, ..weather };
        settle(weather, seed, 4, |salt| salt.is_multiple_of(2));
    }

    /// Also where more is undone than anybody can make up for: who is late loses collateral, and nothing else goes wrong.
    #[test]
    fn in_any_weather_each_job_ends_once_and_nothing_is_paid_twice(weather in weather(), seed: u64) {
        end(weather, seed, 4, |salt| salt.is_multiple_of(2));
    }
}

prop_compose! {
    fn weather()(
        null in prop_oneof![Just(0), 3u64..20], reorganise in 2u64..8, depth in 1u64..4,
        drop in prop_oneof![Just(0), 2u64..5], behind in prop_oneof![Just(0), 2u64..10],
        slow in prop_oneof![Just(0), 1u64..5],
    ) -> Weather {
        Weather { null, reorganise, depth, drop, behind, slow, is_in_pace: false }
    }
}
