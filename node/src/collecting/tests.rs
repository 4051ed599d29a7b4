//! What is due is collected once, whatever fails.

mod till;

use std::collections::BTreeMap;

use lota_bridge::{Cursor, TransportError};
use lota_market::{Address, B256, filecoin_pay_deals::Event, model::JobId};
use tempfile::TempDir;

use self::till::Till;
use super::*;

const HOUR: u64 = 3_600;

struct World {
    till: Arc<Till>,
    collector: Collector,
    store: Store,
    health: Arc<Health>,
    block: u64,
    time: u64,
    _folder: TempDir,
}

fn cursor(block: u64, index: u32) -> Cursor {
    Cursor { block, block_hash: B256::ZERO, index }
}

fn rails(numbers: &[u64]) -> Vec<U256> {
    numbers.iter().map(|number| U256::from(*number)).collect()
}

impl World {
    /// Rails 1 and so on, of as many payers.
    async fn begin(number_of_rails: u64) -> Self {
        let folder = TempDir::new().expect("a folder");
        let store = Store::open(&folder.path().join("node.sqlite")).await.expect("it opens");
        let (till, health) = (Arc::new(Till::default()), Arc::new(Health::new("test")));
        let mut batch = store.begin().await.expect("begins");
        for rail in 1..=number_of_rails {
            let number = U256::from(rail);
            batch.add_rail(&cursor(1, 0), number, Address::repeat_byte(1), true).await.expect("kept");
        }
        batch.commit().await.expect("kept");
        let collector = collector(&till, &store, &health).await;
        Self { till, collector, store, health, block: 10, time: 1_000_000, _folder: folder }
    }

    /// So much more is due on a rail, in the newest block.
    async fn owe(&self, rail: u64, price: u64) {
        let (rail, price) = (U256::from(rail), U256::from(price));
        let event = Event::PriceDue { job: JobId::default(), rail, price };
        self.till.set(|state| state.rails.entry(rail).or_default().due += price);
        let at = cursor(self.block, self.till.next_index());
        let mut batch = self.store.begin().await.expect("begins");
        assert!(batch.add_rail_event(&at, Time(self.time), rail, &event).await.expect("kept"));
        batch.commit().await.expect("kept");
    }

    /// The loop reads what was paid.
    async fn read(&self) {
        let mut batch = self.store.begin().await.expect("begins");
        for (rail, amount) in self.till.take_paid() {
            let event = Event::RailPaid { rail, amount };
            let at = cursor(self.block, self.till.next_index());
            batch.add_rail_event(&at, Time(self.time), rail, &event).await.expect("kept");
        }
        batch.commit().await.expect("kept");
    }

    /// A block after so many seconds, in which all before is final.
    async fn pass(&mut self, seconds: u64) {
        (self.block, self.time) = (self.block + 1, self.time + seconds);
        self.till.set(|state| state.block = self.block);
        self.health.set_finalized(self.block - 1);
        self.look(false).await;
    }

    async fn look(&mut self, is_undone: bool) {
        let latest = Head { block: self.block, hash: B256::ZERO, time: Time(self.time) };
        self.collector.look(latest, is_undone).await.expect("the store works");
    }

    /// Another process begins, with what this one kept.
    async fn restart(&mut self) {
        self.collector = collector(&self.till, &self.store, &self.health).await;
    }

    fn sent(&self) -> Vec<Vec<U256>> {
        self.till.sent().into_iter().map(|(_, rails)| rails).collect()
    }

    fn why_not(&self, rail: u64) -> Option<Reason> {
        self.collector.parts.reasons.of(U256::from(rail))
    }
}

async fn collector(till: &Arc<Till>, store: &Store, health: &Arc<Health>) -> Collector {
    let parts = Parts {
        name: "test".to_owned(),
        transport: Arc::clone(till) as Arc<dyn Transport>,
        store: store.clone(),
        health: Arc::clone(health),
        reserve: Arc::default(),
        rate: Rate::parse("1", [18, 18]).expect("a rate"),
        gas_in: GasIn::Paid,
        within: 24 * HOUR,
        reasons: Arc::default(),
    };
    Collector::of(parts).await.expect("it reads")
}

#[tokio::test]
async fn what_is_due_is_collected_when_it_is_final_and_once() {
    let mut world = World::begin(1).await;
    world.owe(1, 1_000_000).await;
    world.health.set_finalized(9);
    world.look(true).await;
    assert!(world.sent().is_empty(), "it may still be undone");
    world.pass(30).await;
    assert_eq!(world.sent(), [rails(&[1])]);
    world.pass(30).await;
    world.restart().await;
    world.look(true).await;
    assert_eq!(world.sent().len(), 1, "the loop is behind");
    world.read().await;
    world.pass(30).await;
    assert!(world.collector.watched().await.expect("read").is_empty(), "its block is final");
    world.owe(1, 1_000_000).await;
    world.pass(30).await;
    assert_eq!(world.sent().len(), 2, "further prices are collected under further keys");
    let keys: BTreeMap<EffectKey, Vec<U256>> = world.till.sent().into_iter().collect();
    assert_eq!(keys.len(), 2);
}

#[tokio::test]
async fn a_process_that_ended_before_it_sent_and_one_that_ended_after_it_collect_once() {
    for began in [false, true] {
        let mut world = World::begin(1).await;
        world.owe(1, 1_000_000).await;
        // As if it were killed there: the future is dropped, and nothing after it happens.
        world.till.set(|state| (state.hangs, state.hangs_signed) = (true, began));
        let till = Arc::clone(&world.till);
        tokio::select! {
            () = world.pass(30) => panic!("it hangs"),
            () = till.is_hanging() => {}
        }
        assert_eq!(world.collector.watched().await.expect("read").len(), 1, "it was written down before");
        world.till.set(|state| state.hangs = false);
        world.restart().await;
        world.look(true).await;
        assert_eq!(world.sent(), [rails(&[1])], "begun: {began}");
        world.read().await;
        world.pass(30).await;
        assert_eq!(world.till.paid(), U256::from(1_000_000));
        assert_eq!(world.sent().len(), 1);
    }
}

#[tokio::test]
async fn what_a_reorganisation_undoes_is_sent_again_under_its_key() {
    let mut world = World::begin(1).await;
    world.owe(1, 1_000_000).await;
    world.pass(30).await;
    let before = world.till.sent();
    world.till.undo();
    world.look(true).await;
    let after = world.till.sent();
    assert_eq!((after.len(), &after[1]), (2, &before[0]));
    assert_eq!(world.collector.watched().await.expect("read").len(), 1);
}

#[tokio::test]
async fn what_would_be_refused_is_not_sent_and_tried_less_and_less_often() {
    let mut world = World::begin(2).await;
    world.owe(1, 1_000_000).await;
    world.owe(2, 1_000_000).await;
    world.till.set(|state| {
        state.rails.entry(U256::from(1)).or_default().is_refused = true;
    });
    world.pass(30).await;
    assert_eq!(world.sent(), [rails(&[2])], "it hinders no others");
    assert!(matches!(world.why_not(1), Some(Reason::Refused(_))));
    world.read().await;
    let tried = |world: &World| world.till.tried(U256::from(1));
    let mut tries = vec![tried(&world)];
    for _ in 0..6 {
        for _ in 0..20 {
            world.pass(60).await;
        }
        tries.push(tried(&world));
    }
    assert!(tries[1] - tries[0] <= 5 && tries[6] - tries[5] <= 1, "{tries:?}");
    world.till.set(|state| state.rails.entry(U256::from(1)).or_default().is_refused = false);
    world.pass(24 * HOUR).await;
    assert_eq!(world.sent(), [rails(&[2]), rails(&[1])]);
    world.read().await;
    world.pass(30).await;
    assert_eq!(world.why_not(1), None);
}

#[tokio::test]
async fn what_was_reverted_in_a_block_is_tried_again_alone() {
    let mut world = World::begin(3).await;
    for rail in 1..=3 {
        world.owe(rail, 1_000_000).await;
    }
    world.till.set(|state| state.reverts = 1);
    world.pass(30).await;
    assert_eq!(world.sent(), [rails(&[1, 2, 3])]);
    assert!(world.collector.watched().await.expect("read").is_empty(), "it has come to nothing");
    world.pass(30).await;
    assert_eq!(world.sent().len(), 1, "after a pause");
    world.pass(60).await;
    assert_eq!(world.sent()[1..], [rails(&[1]), rails(&[2]), rails(&[3])]);
    assert_eq!(world.till.paid(), U256::from(3_000_000));
}

#[tokio::test]
async fn no_more_gas_is_paid_than_it_brings_and_little_is_gathered() {
    let mut world = World::begin(2).await;
    // Gas costs 100.
    world.owe(1, 100).await;
    world.pass(30).await;
    assert!(matches!(world.why_not(1), Some(Reason::TooDear(_))), "{:?}", world.why_not(1));
    world.owe(1, 5_000).await;
    world.pass(30).await;
    assert_eq!((world.sent().len(), world.why_not(1)), (0, Some(Reason::ForMore)), "it would take two percent");
    let asked = world.till.tried(U256::from(1));
    world.pass(30).await;
    assert_eq!(world.till.tried(U256::from(1)), asked, "nobody is asked again with each block");
    // What goes goes together.
    world.owe(2, 50_000).await;
    world.pass(30).await;
    assert_eq!(world.sent(), [rails(&[2, 1])]);
    world.read().await;
    world.pass(30).await;
    world.owe(1, 5_000).await;
    for _ in 0..23 {
        world.pass(HOUR).await;
    }
    assert_eq!(world.sent().len(), 1);
    world.pass(HOUR).await;
    assert_eq!(world.sent()[1..], [rails(&[1])], "it waited for a day");
}

#[tokio::test]
async fn a_rail_that_has_ended_is_given_up_with_a_word() {
    let mut world = World::begin(2).await;
    world.owe(1, 1_000_000).await;
    world.owe(2, 1_000_000).await;
    world.till.set(|state| {
        state.rails.entry(U256::from(1)).or_default().is_wound_up = true;
        state.rails.entry(U256::from(2)).or_default().end = Some(11);
    });
    world.pass(30).await;
    assert_eq!([1, 2].map(|rail| world.why_not(rail)), [Some(Reason::Ended), Some(Reason::Ended)]);
    assert!(world.sent().is_empty());
    assert!(Reason::Ended.to_string().contains("went back to the payer"));
}

#[tokio::test]
async fn a_node_of_the_chain_that_is_silent_is_asked_again() {
    let mut world = World::begin(1).await;
    world.owe(1, 1_000_000).await;
    world.till.set(|state| state.is_away = true);
    world.pass(30).await;
    world.pass(30).await;
    assert!(world.sent().is_empty());
    world.till.set(|state| state.is_away = false);
    world.pass(60).await;
    assert_eq!(world.sent(), [rails(&[1])]);
    assert!(!world.collector.goes_on(&EffectKey::named("other"), &away().into()).await);
}

fn away() -> TransportError {
    TransportError::Unavailable("it is away".to_owned())
}
