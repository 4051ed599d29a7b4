//! The whole demo on a chain like Filecoin, in virtual time: epochs of 30 seconds, of which some are null, blocks that are executed an
//! epoch late, a reorganisation every few blocks, and finality far below the head. The nodes are real: loop, database, executors,
//! publishers, HTTP. Only the chain and the time are not.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "this is test code")]

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use lota_api::{JobDetail, JobPage, NodeInfo, ProblemCode, Verdict};
use lota_bridge::{Transport as _, memory::Weather};
use lota_content::Cid;
use lota_market::{
    Address, AttoFil, B256, Bytes, U256,
    agent::{EffectKey, LookAfter, Offer, Pace, Pricing, Resources},
    model::{Command, Event, JobId, Reason, Status, Terms},
    money::FIL,
};
use lota_tests::{
    filecoin::{Asked, CONTRACT, FINALITY, Filecoin, MAX_PRICE, ROUGH, Settlements},
    world::{FUNDS, Party, key},
};
use serde_json::{Value, json};

/// The epoch in which the jobs are asked for.
const START: u64 = 50;

/// From request to settled, where nobody asks for more time.
const MOST_EPOCHS: u64 = 10;

const WORD_COUNT: &[u8] = include_bytes!("../../examples/wordcount/wordcount.wasm");
const TEXTS: [(&str, &str); 4] = [
    ("bill-of-rights.txt", include_str!("../../examples/wordcount/texts/bill-of-rights.txt")),
    ("constitution.txt", include_str!("../../examples/wordcount/texts/constitution.txt")),
    ("declaration.txt", include_str!("../../examples/wordcount/texts/declaration.txt")),
    ("gettysburg.txt", include_str!("../../examples/wordcount/texts/gettysburg.txt")),
];
const DECLARATION: (&str, &str) = TEXTS[2];

const COLLATERAL: AttoFil = AttoFil(FIL / 20);
/// The memory that only erika offers, in bytes.
const LARGE_MEMORY: u64 = 2 << 30;

/// Two clients, three providers, and somebody who asks through a contract.
struct Demo {
    world: Filecoin,
    alice: Arc<Party>,
    bob: Arc<Party>,
    carla: Arc<Party>,
    dario: Arc<Party>,
    erika: Arc<Party>,
}

const CARLA: (u8, u64, u64, u64) = (3, 4_000_000, 100_000, 1 << 30);
const DARIO: (u8, u64, u64, u64) = (4, 2_000_000, 400_000, 1 << 30);
const ERIKA: (u8, u64, u64, u64) = (5, 12_000_000, 100_000, LARGE_MEMORY);

fn offer((_, base, per_gigafuel, max_memory): (u8, u64, u64, u64)) -> Offer {
    let pricing = Pricing { per_gigafuel: AttoFil::from_gwei(per_gigafuel), ..Pricing::flat(AttoFil::from_gwei(base)) };
    let resources = Resources { memory_bytes: 2 * max_memory, ..Resources::UNLIMITED };
    Offer { pricing, max_memory, resources, ..Offer::default() }
}

/// Who asks through a contract: without a node, and without a gateway.
fn frida() -> Address {
    key(CONTRACT).address()
}

impl Demo {
    /// Starts everybody in calm weather. Erika's runs begin so many epochs late.
    async fn begin(seed: u64, late: u64) -> Self {
        let world = Filecoin::begin(seed);
        // Nobody looks after a contract's job that was never locked, unless they are told to.
        let alice = world.client("alice", 1, LookAfter::These([frida()].into())).await;
        let bob = world.client("bob", 2, LookAfter::Nobody).await;
        let carla = world.provider("carla", CARLA.0, offer(CARLA), 0).await;
        let dario = world.provider("dario", DARIO.0, offer(DARIO), 0).await;
        let erika = world.provider("erika", ERIKA.0, offer(ERIKA), late).await;
        let this = Self { world, alice, bob, carla, dario, erika };
        for party in this.everybody() {
            this.world.deposit(party, AttoFil(10 * FIL)).await;
        }
        this.world
            .until("everybody knows everybody", 20, async || {
                for party in this.everybody() {
                    if party.get::<Vec<Value>>("/v1/parties").await.expect("the parties").len() < 5 {
                        return false;
                    }
                }
                true
            })
            .await;
        // Nobody would repeat what is undone of that. The weather goes by epochs: it is to be the same in every run.
        this.world.pass_many(START - this.world.chain.epoch()).await;
        this
    }

    fn everybody(&self) -> [&Arc<Party>; 5] {
        [&self.alice, &self.bob, &self.carla, &self.dario, &self.erika]
    }

    /// Alice has the words of all texts counted.
    async fn ask_alice(&self) -> Asked {
        let module = self.alice.add(WORD_COUNT).await;
        let spec = spec(&self.alice, &module, &TEXTS, None, 1_000_000_000, 64 << 20, 60).await;
        self.world.ask(&self.alice, spec, terms()).await
    }

    /// Bob wants the ten commonest words of one text.
    async fn ask_bob(&self) -> Asked {
        let module = self.bob.add(WORD_COUNT).await;
        let spec = spec(&self.bob, &module, &[DECLARATION], Some("10"), 1_000_000_000, 64 << 20, 60).await;
        self.world.ask(&self.bob, spec, terms()).await
    }

    /// Bob wants the same with much memory, which only erika offers.
    async fn ask_for_memory(&self) -> Asked {
        let module = self.bob.add(WORD_COUNT).await;
        let spec = spec(&self.bob, &module, &[DECLARATION], Some("10"), 1_000_000_000, LARGE_MEMORY, 60).await;
        self.world.ask(&self.bob, spec, terms()).await
    }

    /// Frida's contract asks how often a word occurs, and wants to be called back with the answer.
    async fn ask_frida(&self) -> JobId {
        let module = self.bob.add(WORD_COUNT).await;
        let mut spec = spec(&self.bob, &module, &[DECLARATION], None, 400_000_000, 64 << 20, 30).await;
        spec["args"] = json!(["--find", "people"]);
        let spec = Bytes::from(spec.to_string().into_bytes());
        let contract = self.world.chain.connect(key(CONTRACT));
        let now = contract.head().await.expect("there is one").time;
        let price = AttoFil(FIL / 100);
        let run_for = u32::try_from(30 + Pace::FILECOIN.run_margin()).expect("small");
        let terms = Terms {
            client: contract.party(),
            salt: U256::ZERO,
            spec: B256::from(lota_content::sha2_256(&spec)),
            spec_codec: 0x55,
            min_price: price,
            max_price: price,
            ramp_start: now,
            ramp_period: 1,
            lock_by: now.after(Pace::FILECOIN.lock_for(60)),
            run_for,
            review_for: 0,
            rule_for: 0,
            collateral: price,
            matcher: Address::ZERO,
            arbiter: Address::ZERO,
            callback_gas: 100_000,
            keep_record: false,
        };
        let job = contract.job_id(&terms);
        let (key, command) = (EffectKey::named("ask"), Command::Open { terms, spec });
        // A contract's owner looks after the transaction until it is final.
        tokio::spawn(async move {
            loop {
                contract.submit(&key, &command, price).await.expect("the job is opened");
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
        });
        while self.world.chain.messages().iter().all(|sent| sent.sender != frida()) {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
        job
    }

    /// Epochs pass until these jobs are over; in how many each was settled for the first time that is noted.
    async fn see_through(&self, jobs: &[JobId], settlements: &mut Settlements) {
        self.world
            .until("all jobs are over", 80, async || {
                settlements.note(&self.world.chain);
                jobs.iter().all(|job| self.world.is_over(*job))
            })
            .await;
    }

    /// The weather clears up, and everything becomes final.
    async fn finish(&self) {
        self.world.chain.set_weather(Weather::CALM);
        self.world.pass_many(FINALITY + 40).await;
    }

    /// The job as its client's node has it, which calls its end final.
    async fn detail(&self, seen_by: &Party, job: JobId) -> JobDetail {
        let detail: JobDetail = seen_by.get(&format!("/v1/jobs/{job}")).await.expect("the job is known");
        assert!(detail.summary.is_final, "{detail:#?}");
        detail
    }

    /// Asserts that a job ended as it should: it was locked, settled and paid for once, and its client has the output.
    async fn assert_settled(&self, client: &Party, job: JobId) -> JobDetail {
        let detail = self.detail(client, job).await;
        let summary = &detail.summary;
        assert_eq!((summary.status, summary.reason), (Status::Settled, Reason::Unreviewed), "{detail:#?}");
        assert_eq!((summary.exit_code, summary.output_verified), (Some(0), true), "{detail:#?}");
        self.assert_once(job);
        detail
    }

    fn assert_once(&self, job: JobId) {
        let count = |is_it: fn(&Event) -> bool| self.world.count(job, is_it);
        assert_eq!(count(|event| matches!(event, Event::JobOpened { .. })), 1);
        assert_eq!(count(|event| matches!(event, Event::JobLocked { .. })), 1);
        assert_eq!(count(|event| matches!(event, Event::ResultSubmitted { .. })), 1);
        assert_eq!(count(|event| matches!(event, Event::JobSettled { .. })), 1);
    }

    /// Asserts that everybody's money is what the ends of these jobs say, to the last attoFIL, and nobody was slashed. Says how
    /// many were paid for.
    async fn assert_paid(&self, jobs: &[JobId]) -> usize {
        let chain = &self.world.chain;
        let (mut clients, mut deals) = (HashMap::new(), Vec::new());
        for (_, event) in chain.events() {
            match event {
                Event::JobOpened { job, terms, .. } => {
                    assert!(clients.insert(job, terms.client).is_none(), "{job} was opened twice");
                }
                Event::JobSettled { job, provider, price, .. } => deals.push((job, clients[&job], provider, price)),
                Event::JobSlashed { job, .. } => panic!("{job}: somebody was slashed"),
                _ => {}
            }
        }
        let paid: HashSet<JobId> = deals.iter().map(|(job, ..)| *job).collect();
        assert_eq!(paid.len(), deals.len(), "each is paid for once: {deals:?}");
        assert!(paid.iter().all(|job| jobs.contains(job)));
        for (job, _, provider, price) in &deals {
            let detail = self.detail(&self.carla, *job).await;
            assert_eq!((detail.summary.provider, detail.money.paid_to_provider), (Some(*provider), *price));
        }
        let mut sum = 0;
        for party in self.everybody().iter().map(|party| party.address).chain([frida()]) {
            let flow = |is_its: &dyn Fn(Address, Address) -> bool| -> u128 {
                deals
                    .iter()
                    .filter(|(_, client, provider, _)| is_its(*client, *provider))
                    .map(|(.., price)| price.0)
                    .sum()
            };
            let (spent, earned) = (flow(&|client, _| client == party), flow(&|_, provider| provider == party));
            let money = self.world.money(party);
            assert_eq!(money.0, FUNDS.0 + earned - spent, "{party} earned {earned} and spent {spent}");
            sum += money.0;
        }
        assert_eq!(sum, 6 * FUNDS.0, "no money was made or lost");
        let market = chain.snapshot();
        assert_eq!((market.escrowed(), market.collateral(), market.burned()), Default::default());
        for party in self.everybody() {
            assert_eq!(party.money().await, self.world.money(party.address), "nodes say what the chain says");
            let node: NodeInfo = party.get("/v1/node").await.expect("the node is shown");
            assert!(node.problems.is_empty(), "{:?}", node.problems);
        }
        self.world.assert_nothing_was_done_twice();
        deals.len()
    }
}

/// The spec of a word count, whose program and texts its client holds.
async fn spec(
    client: &Party,
    module: &Cid,
    texts: &[(&str, &str)],
    top: Option<&str>,
    fuel: u64,
    memory: u64,
    wall: u64,
) -> Value {
    let mut inputs = Vec::new();
    for (name, text) in texts {
        let cid = client.add(text.as_bytes()).await;
        inputs.push(json!({ "cid": cid.to_string(), "path": format!("/inputs/{name}") }));
    }
    let args: Vec<&str> = top.map(|top| vec!["--top", top]).unwrap_or_default();
    json!({
        "version": 1,
        "engine": { "type": "wasm", "module": module.to_string() },
        "inputs": inputs,
        "args": args,
        "limits": { "fuel": fuel, "memory": memory, "output": 1 << 20, "entries": 10, "wall": wall }
    })
}

fn terms() -> Value {
    json!({ "max_price": MAX_PRICE, "collateral": COLLATERAL })
}

/// The first line of a job's counts, as its client has them.
async fn commonest(client: &Party, job: JobId) -> String {
    let counts = client.bytes(&format!("/v1/jobs/{job}/output/outputs/counts.tsv")).await;
    String::from_utf8(counts).expect("text").lines().next().expect("a line").to_owned()
}

/// The demo's story, when it is over and final.
struct Story {
    demo: Demo,
    /// Alice's job, bob's, bob's that erika does, and that of frida's contract.
    jobs: Vec<JobId>,
    /// In how many epochs after the request alice's and bob's were settled for the first time.
    epochs: Vec<u64>,
}

async fn story(seed: u64, weather: Weather) -> Story {
    let demo = Demo::begin(seed, 2).await;
    demo.world.chain.set_weather(weather);
    let (alice, bob) = (demo.ask_alice().await, demo.ask_bob().await);
    let (asked, memory, contracts) = (alice.epoch, demo.ask_for_memory().await, demo.ask_frida().await);
    assert_eq!((bob.epoch, memory.epoch), (asked, asked), "all is asked for in one epoch");
    let mut jobs = Vec::new();
    for asked in [alice, bob, memory] {
        jobs.push(demo.world.opened(asked).await.id);
    }
    let mut settlements = Settlements::default();
    jobs.iter().for_each(|job| settlements.of(*job, asked));
    jobs.push(contracts);
    demo.see_through(&jobs, &mut settlements).await;
    demo.finish().await;
    let epochs = jobs.iter().take(2).filter_map(|job| settlements.epochs(*job)).collect();
    Story { demo, jobs, epochs }
}

/// The story in weather that a chain has every day: everything ends as it should. In how many epochs the simple jobs were settled.
async fn good_story(seed: u64, weather: Weather) -> Vec<u64> {
    let Story { demo, jobs, epochs } = story(seed, weather).await;
    assert!(weather == Weather::CALM || demo.world.chain.undone() > 0, "blocks were undone");
    demo.assert_settled(&demo.alice, jobs[0]).await;
    assert_eq!(commonest(&demo.alice, jobs[0]).await, "the\t531");
    demo.assert_settled(&demo.bob, jobs[1]).await;
    let memory = demo.assert_settled(&demo.bob, jobs[2]).await;
    assert_eq!(memory.summary.provider, Some(demo.erika.address), "nobody else has so much memory");
    demo.assert_once(jobs[3]);
    let answered = demo.detail(&demo.carla, jobs[3]).await;
    assert_eq!(answered.summary.reason, Reason::Unreviewed, "there is no arbiter");
    assert_eq!(demo.world.count(jobs[3], |event| matches!(event, Event::CallbackDelivered { .. })), 1);
    assert_eq!(demo.assert_paid(&jobs).await, 4);
    assert_eq!(epochs.len(), 2);
    epochs
}

#[tokio::test(flavor = "multi_thread")]
async fn in_calm_weather_a_job_is_settled_five_epochs_after_its_request() {
    assert_eq!(good_story(1, Weather::CALM).await, [5, 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn in_rough_weather_a_job_is_settled_within_ten_epochs_and_paid_once() {
    let mut all = Vec::new();
    for seed in 2..6 {
        all.extend(good_story(seed, ROUGH).await);
    }
    assert!(all.iter().all(|epochs| *epochs <= MOST_EPOCHS), "{all:?}");
    println!("epochs from request to settled: {all:?}");
}

/// As bad as everybody is prepared for: no more than five epochs are undone at once, there is time to land again what was in them, and
/// half of that is dropped, so that whoever sent it has to send it again.
const STORM: Weather = Weather { null: 6, reorganise: 10, depth: 3, drop: 2, behind: 4 };

#[tokio::test(flavor = "multi_thread")]
async fn in_a_storm_the_work_gets_done_and_nobody_is_slashed_or_paid_twice() {
    let (mut asked, mut paid, mut undone) = (0, 0, 0);
    for seed in 10..17 {
        let Story { demo, jobs, .. } = story(seed, STORM).await;
        for job in &jobs {
            let detail = demo.detail(&demo.carla, *job).await;
            assert_eq!(
                (detail.summary.status, detail.summary.reason),
                (Status::Settled, Reason::Unreviewed),
                "{detail:#?}"
            );
            demo.assert_once(*job);
        }
        for client in [&demo.alice, &demo.bob] {
            let page: JobPage = client.get("/v1/jobs").await.expect("the jobs");
            for job in page.jobs {
                let detail = demo.detail(client, job.id).await;
                assert_eq!(detail.problem, None, "{detail:#?}");
            }
        }
        asked += jobs.len();
        undone += demo.world.chain.undone();
        paid += demo.assert_paid(&jobs).await;
    }
    assert_eq!(paid, asked, "all jobs are done");
    assert!(undone > 2, "only {undone} blocks were undone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_that_was_paid_and_undone_is_paid_again_at_another_price() {
    let demo = Demo::begin(20, 0).await;
    let module = demo.bob.add(WORD_COUNT).await;
    let spec = spec(&demo.bob, &module, &[DECLARATION], None, 1_000_000_000, LARGE_MEMORY, 60).await;
    // Erika's price is reached in the middle of the ramp.
    let terms = json!({ "max_price": MAX_PRICE, "ramp_period": 600, "min_price": AttoFil(MAX_PRICE.0 / 2), "collateral": COLLATERAL });
    let asked = demo.world.ask(&demo.bob, spec, terms).await;
    let job = demo.world.opened(asked).await.id;
    demo.see_through(&[job], &mut Settlements::default()).await;
    // A node hears of it an epoch later.
    demo.world.pass_many(1).await;
    let before: JobDetail = demo.bob.get(&format!("/v1/jobs/{job}")).await.expect("the job is known");
    assert_eq!(before.summary.reason, Reason::Unreviewed);

    // All is undone from the lock on, and nobody's node keeps the messages.
    let events = demo.world.chain.events();
    let locked = events.iter().find(|(_, event)| matches!(event, Event::JobLocked { .. })).expect("it was locked").0;
    demo.world.chain.set_weather(Weather { drop: 1, ..Weather::CALM });
    demo.world.quiet().await;
    demo.world.chain.fork_above(locked - 1);
    demo.world.pass_many(3).await;
    demo.see_through(&[job], &mut Settlements::default()).await;
    demo.finish().await;
    let after = demo.assert_settled(&demo.bob, job).await;
    assert!(after.summary.price > before.summary.price, "it was locked later, for more");
    assert_eq!(demo.assert_paid(&[job]).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_was_too_late_on_blocks_that_are_undone_is_taken_and_paid() {
    let demo = Demo::begin(60, 0).await;
    let module = demo.bob.add(WORD_COUNT).await;
    let spec = spec(&demo.bob, &module, &[DECLARATION], None, 1_000_000_000, LARGE_MEMORY, 60).await;
    // Erika's price is reached in the middle of the ramp.
    let terms = json!({ "max_price": MAX_PRICE, "ramp_period": 600, "min_price": AttoFil(MAX_PRICE.0 / 2), "collateral": COLLATERAL });
    let asked = demo.world.ask(&demo.bob, spec, terms).await;
    let job = demo.world.opened(asked).await.id;
    let is_at = async |verdict: Verdict| {
        let detail: JobDetail = demo.erika.get(&format!("/v1/jobs/{job}")).await.expect("the job is known");
        detail.decisions.iter().any(|told| told.provider == demo.erika.address && told.decision == verdict)
    };
    demo.world.until("erika waits for her price", 10, async || is_at(Verdict::Waiting).await).await;
    let before = demo.world.chain.epoch();
    demo.world.chain.jump(6 * 3_600);
    demo.world.until("it is too late for erika", 10, async || is_at(Verdict::Lost).await).await;

    demo.world.chain.set_weather(Weather { drop: 1, ..Weather::CALM });
    demo.world.quiet().await;
    demo.world.chain.fork_above(before);
    demo.see_through(&[job], &mut Settlements::default()).await;
    demo.finish().await;
    demo.assert_settled(&demo.bob, job).await;
    assert_eq!(demo.assert_paid(&[job]).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_too_late_is_slashed_once_and_stops_when_that_is_final() {
    let mut undone = 0;
    for seed in 30..32 {
        let demo = Demo::begin(seed, 100).await;
        demo.world.chain.set_weather(ROUGH);
        let asked = demo.ask_for_memory().await;
        let job = demo.world.opened(asked).await.id;
        demo.see_through(&[job], &mut Settlements::default()).await;
        // It locks other jobs until the chain cannot undo its slash.
        assert!(problems(&demo.erika).await.is_empty());
        demo.finish().await;
        undone += demo.world.chain.undone();
        let detail = demo.detail(&demo.bob, job).await;
        assert_eq!((detail.summary.status, detail.summary.reason), (Status::Slashed, Reason::NotSubmitted));
        assert_eq!(demo.world.count(job, |event| matches!(event, Event::JobSlashed { .. })), 1);
        assert_eq!(problems(&demo.erika).await, [ProblemCode::Slashed]);
        let half = COLLATERAL.0 / 2;
        assert_eq!(demo.world.money(demo.erika.address).0, FUNDS.0 - COLLATERAL.0);
        assert_eq!(demo.world.money(demo.bob.address).0, FUNDS.0 + half);
        let market = demo.world.chain.snapshot();
        assert_eq!((market.burned().0, market.escrowed().0, market.collateral().0), (COLLATERAL.0 - half, 0, 0));
        for party in [&demo.alice, &demo.carla, &demo.dario] {
            assert_eq!(demo.world.money(party.address), FUNDS);
        }
        demo.world.assert_nothing_was_done_twice();
    }
    assert!(undone > 2, "blocks were undone");
}

/// What keeps a node from its work.
async fn problems(party: &Party) -> Vec<ProblemCode> {
    let node: NodeInfo = party.get("/v1/node").await.expect("the node is shown");
    node.problems.into_iter().map(|problem| problem.code).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_node_announced_is_announced_again_once_it_is_undone() {
    let world = Filecoin::begin(40);
    let alice = world.client("alice", 1, LookAfter::Nobody).await;
    let known = async || alice.get::<Vec<Value>>("/v1/parties").await.expect("the parties").len() == 1;
    world.until("it is announced", 10, known).await;
    world.quiet().await;
    world.chain.set_weather(Weather { drop: 1, ..Weather::CALM });
    world.chain.fork_above(0);
    assert!(world.chain.events().is_empty(), "it is undone");
    // As soon as the chain allows, whatever the clock on the wall says.
    world.until("it is announced again", 10, async || !world.chain.events().is_empty()).await;
    assert_eq!(world.chain.messages().len(), 1, "under the same key");
}

#[tokio::test(flavor = "multi_thread")]
async fn deposits_and_withdrawals_that_are_undone_are_made_again_also_after_a_restart() {
    let world = Filecoin::begin(41);
    let mut alice = world.client("alice", 1, LookAfter::Nobody).await;
    world.until("it is announced", 10, async || !world.chain.events().is_empty()).await;
    let before = world.chain.epoch();
    world.deposit(&alice, AttoFil(10 * FIL)).await;
    let withdrawing = Arc::clone(&alice);
    let withdrawn = tokio::spawn(async move {
        let order = json!({ "amount": (3 * FIL).to_string() });
        withdrawing.post::<Value>("/v1/wallet/withdraw", &order).await
    });
    world.until("it is withdrawn", 10, async || withdrawn.is_finished()).await;
    withdrawn.await.expect("no panic").expect("it is taken");
    let balance = || world.chain.balance(alice.address);
    assert_eq!(balance(), AttoFil(7 * FIL));
    world.chain.set_weather(Weather { drop: 1, ..Weather::CALM });
    world.chain.fork_above(before);
    assert_eq!(balance(), AttoFil::ZERO, "it is undone");
    world.until("it is in the market again", 60, async || balance() == AttoFil(7 * FIL)).await;

    // It does not see that they are undone again.
    world.stop("alice", alice).await;
    world.chain.fork_above(before);
    alice = world.client("alice", 1, LookAfter::Nobody).await;
    let balance = || world.chain.balance(alice.address);
    assert_eq!(balance(), AttoFil::ZERO, "it is undone");
    world.until("it is in the market again", 60, async || balance() == AttoFil(7 * FIL)).await;
    world.pass_many(FINALITY + 10).await;
    assert_eq!(balance(), AttoFil(7 * FIL));
    world.assert_nothing_was_done_twice();
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_are_stopped_while_their_jobs_are_undone_finish_them_and_are_paid_once() {
    let mut demo = Demo::begin(50, 3).await;
    demo.world.chain.set_weather(ROUGH);
    let asked = demo.ask_for_memory().await;
    let job = demo.world.opened(asked).await.id;
    let status = |demo: &Demo| demo.world.chain.deal(job).status;
    demo.world.until("erika runs it", 20, async || status(&demo) == Status::Locked).await;

    // Neither sees that the lock is undone, and that the message is gone.
    let events = demo.world.chain.events();
    let opened = events.iter().find(|(_, event)| matches!(event, Event::JobOpened { .. })).expect("it was opened").0;
    demo.world.stop("erika", demo.erika).await;
    demo.world.stop("bob", demo.bob).await;
    demo.world.chain.set_weather(Weather { drop: 1, ..Weather::CALM });
    demo.world.chain.fork_above(opened);
    demo.world.pass_many(2).await;
    assert_eq!(demo.world.chain.deal(job).status, Status::Open);
    demo.erika = demo.world.provider("erika", ERIKA.0, offer(ERIKA), 0).await;
    demo.bob = demo.world.client("bob", 2, LookAfter::Nobody).await;
    demo.world.chain.set_weather(ROUGH);
    demo.world.until("erika runs it again", 20, async || status(&demo) == Status::Locked).await;
    demo.world.stop("bob", demo.bob).await;
    demo.world.pass_many(2).await;
    demo.bob = demo.world.client("bob", 2, LookAfter::Nobody).await;
    demo.see_through(&[job], &mut Settlements::default()).await;
    demo.finish().await;
    demo.assert_settled(&demo.bob, job).await;
    assert_eq!(demo.assert_paid(&[job]).await, 1);
}
