//! Databases that strangers fill.

use lota_bridge::Cursor;
use lota_market::{
    Bytes,
    model::{Event, JobResult, Reason, Terms},
};

use super::*;
use crate::{
    history::Told,
    service::gathering::{Dated, Gathered},
};

const LIMIT: u64 = 16 << 20;
/// As many strangers' jobs as fill their half of it three times.
const JOBS: u32 = 3_000;
const AT_ONCE: usize = 60;

fn stranger(number: u32, role: u8) -> Address {
    let mut bytes = [role; 20];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Address::from(bytes)
}

fn id(number: u32) -> JobId {
    let mut bytes = [0xf1; 32];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    JobId(B256::from(bytes))
}

/// A stranger's job from its opening to its end, with as much in it as there may be.
fn life(number: u32) -> [Event; 3] {
    let (job, provider, price) = (id(number), stranger(number, 2), AttoFil(1));
    let terms = Terms {
        client: stranger(number, 1),
        salt: U256::ZERO,
        spec: job.0,
        spec_codec: 0x71,
        min_price: price,
        max_price: price,
        ramp_start: Time(0),
        ramp_period: 1,
        lock_by: Time(1_000),
        run_for: 60,
        review_for: 0,
        rule_for: 0,
        collateral: AttoFil::ZERO,
        matcher: Address::ZERO,
        arbiter: Address::ZERO,
        callback_gas: 0,
        keep_record: true,
    };
    [
        Event::JobOpened { job, terms, spec: Bytes::from(vec![7; 7_168]) },
        Event::ResultSubmitted { job, provider, result: JobResult { output: job.0, ..JobResult::default() } },
        Event::JobSettled { job, provider, price, reason: Reason::Accepted },
    ]
}

impl Bench {
    /// Such events are final in the newest block.
    async fn flood(&self, events: impl IntoIterator<Item = Event>) {
        let (block, time) = (self.twin.block(), self.twin.now());
        let events: Vec<_> = (1_000..)
            .zip(events)
            .map(|(index, event)| {
                let cursor = Cursor { block, block_hash: B256::ZERO, index };
                Told::Event { cursor, time, event: Box::new(event) }
            })
            .collect();
        for chunk in events.chunks(AT_ONCE) {
            self.service.make_room_in_history().await.expect("something may go");
            self.service.history.take(chunk).await.expect("there is room");
            self.service.history.finalize(block).await.expect("folded");
        }
    }

    async fn sizes(&self) -> Vec<u64> {
        let size = |name: &str| std::fs::metadata(self.folder.path().join(name)).expect("a file").len();
        vec![size(crate::history::FILE), size(crate::store::FILE)]
    }
}

#[tokio::test]
async fn strangers_fill_no_disk_and_stop_no_votes() {
    let bench = Bench::new(Settings { max_size: LIMIT, ..settings() }).await;
    let [granted, refused, open] = std::array::from_fn(|_| bench.twin.settle());
    bench.turn().await;
    for (job, choice) in [(granted, Choice::Approve), (refused, Choice::Reject)] {
        for number in [1, 2] {
            bench.vote(job, choice, number).await.expect("taken");
        }
    }
    bench.vote(open, Choice::Approve, 1).await.expect("taken");
    bench.turn().await;
    assert_eq!(bench.stage(refused).await, Stage::Ended(End::Refused));
    assert_eq!(bench.stage(granted).await, Stage::Blessed);

    bench.flood((0..JOBS).flat_map(life)).await;
    bench.service.import().await.expect("taken over");
    let because = vec!["a claim".repeat(2_000)];
    let input = InputEvidence { path: "/a".into(), cid: "bafy".into(), certainty: None, because };
    for number in 0..JOBS {
        let dated = Dated { at: bench.twin.now(), found: vec![input.clone()] };
        let change = |gathered: &mut Gathered| gathered.inputs = Some(dated);
        bench.service.store.change_gathered(id(number), change).await.expect("there is room");
        if number % 20 == 0 {
            bench.service.store.make_room().await.expect("something may go");
        }
    }
    bench.service.store.make_room().await.expect("something may go");
    assert!(bench.sizes().await.iter().all(|size| *size <= LIMIT / 2), "{:?}", bench.sizes().await);

    let known = async |job| bench.service.history.settled_job(job).await.expect("read").is_some();
    assert!(known(id(JOBS - 1)).await && known(open).await && known(granted).await);
    assert!(!known(id(0)).await && !known(refused).await, "the oldest without a blessing went");
    let Err(DeskError::NotFound(why)) = bench.service.dossier(refused).await else { panic!("it went") };
    assert!(why.contains("notary.max_size"), "{why}");
    let queue = bench.service.queue(&all()).await.expect("a page");
    assert!(queue.total < u64::from(JOBS) / 2, "{}", queue.total);

    bench.vote(open, Choice::Approve, 2).await.expect("taken");
    bench.turn().await;
    assert_eq!(bench.stage(open).await, Stage::Blessed);
    bench.twin.pass(101);
    bench.turn().await;
    assert_eq!(bench.stage(granted).await, Stage::Granted);
    assert_eq!(bench.service.about().await.expect("read").problems, Vec::<String>::new());
}

#[tokio::test]
async fn dust_goes_before_what_was_paid_and_its_sum_is_known() {
    let bench = Bench::new(Settings { max_size: LIMIT, ..settings() }).await;
    let job = bench.twin.settle();
    bench.turn().await;
    let kept = bench.service.history.settled_job(job).await.expect("read").expect("it was settled");
    let (client, provider, price) = (kept.job.client, kept.job.provider, kept.job.price);
    let dust = (0..60_000).map(|number| Event::Deposited {
        account: stranger(number, 3),
        payer: provider,
        amount: AttoFil(1),
    });
    bench.flood(dust).await;
    bench.service.make_room_in_history().await.expect("something may go");
    assert!(bench.sizes().await[0] <= LIMIT / 2, "{:?}", bench.sizes().await);
    let lost = bench.service.history.lost().await.expect("read");
    assert!(lost > AttoFil::ZERO && lost <= AttoFil(60_000), "{lost:?}");
    let (flows, _) = bench.service.history.flows_from(client).await.expect("read");
    assert_eq!(flows.direct(client, provider), price);
    assert_eq!(bench.service.history.pair(client, provider).await.expect("read").volume, price);
}

#[tokio::test]
async fn a_job_that_was_let_go_of_and_is_nominated_is_looked_at_again() {
    let bench = Bench::new(Settings { nominate: None, ..settings() }).await;
    let job = bench.twin.settle();
    bench.turn().await;
    assert_eq!(bench.service.store.forget(&[job]).await.expect("forgotten"), [job]);
    assert!(matches!(bench.service.dossier(job).await, Err(DeskError::NotFound(_))));
    chain::nominate(&bench, twin::CLIENT, job, 100).await;
    bench.turn().await;
    assert_eq!(bench.stage(job).await, Stage::Voting);
    assert_eq!(bench.service.store.gathered::<Gathered>(job).await.expect("read").expect("known").attempts, 1);
    bench.vote(job, Choice::Approve, 1).await.expect("taken");
    // Whoever judged before that it may go judged too early.
    assert_eq!(bench.service.store.forget(&[job]).await.expect("nothing went"), []);
    assert_eq!(bench.stage(job).await, Stage::Voting);
}
