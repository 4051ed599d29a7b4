//! What was recorded of a random world replays; what was tampered with is named, or is not in the books.
//!
//! The worlds are the scenes of the model checker: auctions, callbacks, batches and multicalls are in them.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use lota_market::{
    Address, B256, Bytes, Time, U256,
    auction::Event as Bidding,
    model::{Event, JobId, Terms},
    replay::{Deployment, Divergence, Oracle, Recorded, Replay},
    world::{ContractEvent, World},
};
use lota_model_checking::{
    Bounds, Scene,
    commands::attempts,
    scene::{AUCTION, EVERYBODY, MARKET, SETTINGS, Surroundings},
};
use serde_json::Value;

/// Random worlds of each scene.
const WORLDS: u64 = 12;
/// Commands tried in each.
const STEPS: usize = 60;

/// SplitMix64: a stream of numbers from a seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

/// The ids of a scene's jobs; of other terms: nobody's.
struct Ids<'a>(&'a Scene);

impl Oracle for Ids<'_> {
    fn job_id(&self, _: Address, terms: &Terms) -> JobId {
        self.0.jobs.iter().position(|known| known == terms).map_or(JobId::default(), Scene::job)
    }

    fn spec_digest(&self, _: &Bytes) -> B256 {
        B256::ZERO
    }
}

/// A random world of a scene: what was said in it, several transactions in a block, and what it has come to.
fn happened(scene: &Scene, seed: u64) -> (Vec<Recorded>, World) {
    let mut dice = Dice(seed);
    let mut record: Vec<Recorded> = Vec::new();
    let mut log = Vec::new();
    let mut world = scene.begin_saying(&mut log);
    let (mut now, mut block, mut transaction) = (Time(0), 0, 0_u64);
    let mut keep = |log: &mut Vec<_>, block: u64, now: Time, transaction: u64| {
        for log in log.drain(..) {
            let index = record.last().filter(|last| last.block == block).map_or(3, |last| last.index + 2);
            let transaction = B256::from(U256::from(transaction));
            record.push(Recorded { block, index, time: now, transaction, log });
        }
    };
    keep(&mut log, block, now, transaction);
    for _ in 0..STEPS {
        if dice.below(8) == 0 {
            now = now.after(1);
            block += 1;
        }
        // What can be done now, openings less often than what follows from them.
        let mut possible = Vec::new();
        for attempt in attempts(scene, &world) {
            let mut after = world.clone();
            let mut env = Surroundings { scene, now, callbacks: attempt.callbacks };
            let mut log = Vec::new();
            if after.execute(&attempt.call, &mut env, &mut log).is_ok() && !log.is_empty() {
                possible.push((after, log));
            }
        }
        if possible.is_empty() {
            now = now.after(1);
            block += 1;
            continue;
        }
        let (after, mut log) = possible.swap_remove(dice.below(possible.len()));
        world = after;
        transaction += 1;
        keep(&mut log, block, now, transaction);
    }
    (record, world)
}

fn replay<'a>(scene: &'a Scene, record: &[Recorded]) -> (Replay<Ids<'a>>, Result<(), (usize, Divergence)>) {
    let deployment = Deployment { market: MARKET, settings: SETTINGS, auction: Some((AUCTION, 1)) };
    let mut replay = Replay::new(deployment, Ids(scene)).expect("it can be deployed");
    for (at, event) in record.iter().enumerate() {
        if let Err(divergence) = replay.apply(event) {
            return (replay, Err((at, divergence)));
        }
    }
    let end = replay.finish().map_err(|divergence| (record.len(), divergence));
    (replay, end)
}

fn agree(replay: &Replay<Ids<'_>>, world: &World) -> bool {
    Some(replay.market()) == world.market(MARKET) && replay.auction() == world.auction(AUCTION)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tampering {
    Amount,
    Sender,
    Drop,
    Duplicate,
    Swap,
    /// The last two, with the positions that the events had.
    DuplicateInPlace,
    SwapInPlace,
}

/// Each way to change an amount, or a party, in an event; with the name of the field.
fn changed(event: &ContractEvent, tampering: Tampering) -> Vec<(String, ContractEvent)> {
    const AMOUNTS: [&str; 8] =
        ["price", "amount", "to_client", "to_arbiter", "to_burn", "min_price", "max_price", "collateral"];
    const SENDERS: [&str; 7] = ["provider", "payer", "account", "bidder", "winner", "client", "party"];
    fn walk(value: &mut Value, path: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
        if let Value::Object(fields) = value {
            for (name, field) in fields {
                path.push(name.clone());
                found.push(path.clone());
                walk(field, path, found);
                path.pop();
            }
        }
    }
    let text = serde_json::to_value(event).expect("events are data");
    let mut paths = Vec::new();
    walk(&mut text.clone(), &mut Vec::new(), &mut paths);
    let names: &[&str] = if tampering == Tampering::Amount { &AMOUNTS } else { &SENDERS };
    let mut events = Vec::new();
    for path in paths {
        let name = path.last().cloned().unwrap_or_default();
        if !names.contains(&name.as_str()) {
            continue;
        }
        let mut text = text.clone();
        let Some(field) = text.pointer_mut(&format!("/{}", path.join("/"))) else { continue };
        if tampering == Tampering::Amount {
            let amount: lota_market::AttoFil = serde_json::from_value(field.clone()).expect("an amount");
            *field = serde_json::to_value(lota_market::AttoFil(amount.0 + 1)).expect("an amount");
        } else {
            let account: Address = serde_json::from_value(field.clone()).expect("an account");
            let other = EVERYBODY.into_iter().find(|other| *other != account).expect("there are several");
            *field = serde_json::to_value(other).expect("an account");
        }
        events.push((name, serde_json::from_value(text).expect("an event")));
    }
    events
}

/// Every record that comes of tampering with one place in one way; and what was tampered with.
fn tampered(record: &[Recorded], at: usize, tampering: Tampering) -> Vec<(String, Vec<Recorded>)> {
    let renumbered = |mut record: Vec<Recorded>| {
        for (index, event) in (0..).zip(&mut record) {
            event.index = index;
        }
        record
    };
    match tampering {
        Tampering::Amount | Tampering::Sender => changed(&record[at].log.event, tampering)
            .into_iter()
            .map(|(name, event)| {
                let mut record = record.to_vec();
                record[at].log.event = event;
                (name, record)
            })
            .collect(),
        Tampering::Drop => {
            let mut record = record.to_vec();
            record.remove(at);
            vec![(String::new(), record)]
        }
        Tampering::Duplicate | Tampering::DuplicateInPlace => {
            let mut record = record.to_vec();
            record.insert(at + 1, record[at].clone());
            vec![(String::new(), if tampering == Tampering::Duplicate { renumbered(record) } else { record })]
        }
        Tampering::Swap | Tampering::SwapInPlace => {
            let mut record = record.to_vec();
            if at + 1 == record.len() || record[at].log == record[at + 1].log {
                return Vec::new();
            }
            if tampering == Tampering::Swap {
                let (first, second) = (record[at].log.clone(), record[at + 1].log.clone());
                (record[at].log, record[at + 1].log) = (second, first);
            } else {
                record.swap(at, at + 1);
            }
            vec![(String::new(), record)]
        }
    }
}

/// Whether an event leaves no choice: changing this field of it, or telling it twice, contradicts what is known already.
fn leaves_no_choice(event: &ContractEvent, tampering: Tampering, field: &str) -> bool {
    let follows = match event {
        ContractEvent::Market(event) => matches!(
            event,
            Event::JobOpened { .. }
                | Event::JobLocked { .. }
                | Event::ResultSubmitted { .. }
                | Event::JobDisputed { .. }
                | Event::JobSettled { .. }
                | Event::JobCancelled { .. }
                | Event::JobSlashed { .. }
                | Event::JobVoided { .. }
                | Event::CallbackDelivered { .. }
        ),
        ContractEvent::Auction(event) => match event {
            Bidding::AuctionAwarded { .. } | Bidding::AuctionCancelled { .. } | Bidding::AuctionReleased { .. } => true,
            Bidding::BidCommitted { .. } | Bidding::BidRevealed { .. } => tampering == Tampering::Duplicate,
            _ => false,
        },
        ContractEvent::Blessing(_)
        | ContractEvent::FilecoinPay(_)
        | ContractEvent::Granter(_)
        | ContractEvent::FilecoinPayDeals(_) => false,
    };
    match tampering {
        Tampering::Amount | Tampering::Duplicate => follows,
        // Who locks a job for himself may be anybody who can afford it, if both fields say so; here one says so.
        Tampering::Sender => follows && field != "party",
        Tampering::DuplicateInPlace | Tampering::SwapInPlace => true,
        Tampering::Drop | Tampering::Swap => false,
    }
}

/// What the books cannot show, and docs/replay.md says so.
fn is_harmless(record: &[Recorded], at: usize, tampering: Tampering, field: &str) -> bool {
    let event = &record[at].log.event;
    match (event, tampering) {
        // Nothing follows from these.
        (
            ContractEvent::Market(Event::Announced { .. } | Event::SpecPublished { .. } | Event::BatchSkipped { .. }),
            _,
        ) => true,
        // Of two orders that come to the same one is as good as the other.
        (_, Tampering::Swap) => true,
        // Once revoked, a salt stays so.
        (ContractEvent::Market(Event::SaltsRevoked { .. }), _) => true,
        // What a lone bidder bid decides nothing, nor does any bid of an auction that is not awarded.
        (ContractEvent::Auction(Bidding::BidRevealed { .. }), Tampering::Amount) => true,
        // Whose money it was before it was credited is not in the books.
        (ContractEvent::Market(Event::Deposited { .. }), Tampering::Sender) => field == "payer",
        // A client of whose callback nothing is told may have no code.
        (ContractEvent::Market(Event::CallbackDelivered { .. }), Tampering::Drop) => true,
        _ => false,
    }
}

#[test]
fn what_happened_replays_and_what_did_not_is_named() {
    let all = [
        Tampering::Amount,
        Tampering::Sender,
        Tampering::Drop,
        Tampering::Duplicate,
        Tampering::Swap,
        Tampering::DuplicateInPlace,
        Tampering::SwapInPlace,
    ];
    // Of each kind: named at its event, at a later one, seen in the books, harmless.
    let mut counts: BTreeMap<Tampering, [u32; 4]> = BTreeMap::new();
    for scene in Scene::all(Bounds::Medium) {
        for seed in 0..WORLDS {
            let (record, world) = happened(&scene, seed);
            let (honest, outcome) = replay(&scene, &record);
            outcome.unwrap_or_else(|(_, divergence)| panic!("{}, seed {seed}: {divergence}", scene.name));
            assert!(agree(&honest, &world), "{}, seed {seed}: the books differ", scene.name);
            for at in 0..record.len() {
                for tampering in all {
                    for (field, tampered) in tampered(&record, at, tampering) {
                        let which =
                            || format!("{}, seed {seed}: {tampering:?} {field} of {at}: {:?}", scene.name, record[at]);
                        let found = match replay(&scene, &tampered) {
                            (_, Err((named, divergence))) => {
                                assert!(named >= at, "{}: the innocent event {named} is named: {divergence}", which());
                                let names_it = match tampering {
                                    Tampering::Duplicate | Tampering::DuplicateInPlace => named == at + 1,
                                    // Either of the two.
                                    Tampering::SwapInPlace => named <= at + 1,
                                    _ => named == at,
                                };
                                usize::from(!names_it)
                            }
                            (replay, Ok(())) if !agree(&replay, &world) => 2,
                            (_, Ok(())) => {
                                assert!(is_harmless(&record, at, tampering, &field), "{} is not found", which());
                                3
                            }
                        };
                        if leaves_no_choice(&record[at].log.event, tampering, &field) {
                            assert_eq!(found, 0, "{} is not named at its event", which());
                        }
                        counts.entry(tampering).or_default()[found] += 1;
                    }
                }
            }
        }
    }
    eprintln!("named at its event, at a later one, seen in the books, harmless: {counts:#?}");
    for tampering in all {
        let [at_once, later, books, _] = counts.get(&tampering).copied().unwrap_or_default();
        assert!(at_once + later + books > 100, "{tampering:?}: {counts:?}");
    }
    assert_eq!(counts[&Tampering::SwapInPlace][1..], [0, 0, 0]);
    assert_eq!(counts[&Tampering::DuplicateInPlace][1..], [0, 0, 0]);
}
