//! Nodes that are killed (-9) and started again.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use rand::{SeedableRng as _, rngs::StdRng};

use crate::{
    load::Happens,
    market::{Kind, Market},
    party::Party,
    wire::{self, Moment, Trap},
};

/// How many kills a run has; a third of them at steps, the others at random.
pub fn kills() -> u64 {
    std::env::var("LOTA_KILLS").map_or(30, |text| text.parse().expect("LOTA_KILLS is a number"))
}

/// What a run's randomness begins with.
pub fn seed() -> u64 {
    let seed = std::env::var("LOTA_SEED").map_or(1, |text| text.parse().expect("LOTA_SEED is a number"));
    eprintln!("LOTA_SEED={seed}");
    seed
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Client,
    Provider,
}

impl Market {
    pub fn party(&mut self, who: Who) -> &mut Party {
        match who {
            Who::Client => &mut self.client,
            Who::Provider => &mut self.provider,
        }
    }
}

/// The calls at which nodes are killed: those by which something is decided, sent, or learned.
const CALLS: [(&str, Moment); 6] = [
    ("eth_sendRawTransaction", Moment::Before),
    ("eth_sendRawTransaction", Moment::After),
    ("eth_estimateGas", Moment::After),
    ("eth_getLogs", Moment::After),
    ("eth_getTransactionReceipt", Moment::After),
    ("eth_getTransactionCount", Moment::After),
];

/// One job, during which a node is killed at its nth call of a kind, unless it makes fewer; whether it was killed.
fn killed_at(market: &mut Market, who: Who, kind: Kind, (method, moment): (&'static str, Moment), nth: u64) -> bool {
    let victim = market.party(who).id();
    market.party(who).wire.set(Trap { method, moment, nth, victim });
    eprintln!("kill {}: {who:?} at {method} {moment:?} {nth}, {kind:?}", market.figures.kills + 1);
    let number = market.ask(kind);
    let mut killed = false;
    let begun = Instant::now();
    while !market.is_done(number) {
        if !killed && market.party(who).wire.has_sprung() {
            market.party(who).restart();
            killed = true;
        }
        market.give_up_after(begun, number);
        thread::sleep(Duration::from_millis(20));
    }
    if market.party(who).wire.take() && !killed {
        // It sprang in the last moment.
        market.party(who).restart();
        killed = true;
    }
    market.party(who).wait();
    market.figures.kills += u64::from(killed);
    killed
}

/// At each of its calls of each kind, one job after the other, each party is killed; at most so often in all.
fn at_each_call(market: &mut Market, most: u64) {
    let begun = market.figures.kills;
    let kinds = |market: &Market| {
        if market.docker { vec![Kind::Echo, Kind::Fetch, Kind::Container] } else { vec![Kind::Echo, Kind::Fetch] }
    };
    for kind in kinds(market) {
        for call in CALLS {
            for who in [Who::Provider, Who::Client] {
                for nth in 1.. {
                    if market.figures.kills - begun >= most {
                        return;
                    }
                    if !killed_at(market, who, kind, call, nth) {
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn a_node_that_is_killed_at_each_of_its_calls_does_every_job_once() {
    let Some(mut market) = Market::open(true) else { return };
    at_each_call(&mut market, kills() / 2);
    market.audit();
    market.figures.print("killed at each call");
}

/// Kills a process as soon as its database was written so often.
struct Watch {
    over: Arc<AtomicBool>,
    killed: Arc<AtomicBool>,
    watching: Option<thread::JoinHandle<()>>,
}

impl Watch {
    fn database(folder: &Path, nth: u64, victim: u32) -> Self {
        let file: PathBuf = folder.join("node.db-wal");
        let (over, killed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (ends, kills) = (Arc::clone(&over), Arc::clone(&killed));
        let state =
            move || file.metadata().ok().map(|found| (found.len(), found.modified().unwrap_or(SystemTime::UNIX_EPOCH)));
        let watching = thread::spawn(move || {
            let (mut last, mut writes) = (state(), 0);
            while !ends.load(Ordering::SeqCst) {
                let now = state();
                if now != last {
                    last = now;
                    writes += 1;
                    if writes == nth {
                        wire::kill(victim);
                        kills.store(true, Ordering::SeqCst);
                        return;
                    }
                }
                thread::sleep(Duration::from_micros(200));
            }
        });
        Self { over, killed, watching: Some(watching) }
    }

    fn has_killed(&self) -> bool {
        self.killed.load(Ordering::SeqCst)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        if let Some(watching) = self.watching.take() {
            let _ = watching.join();
        }
    }
}

/// At each write of its database during a job, each party is killed; at most so often in all.
fn at_each_write(market: &mut Market, most: u64) {
    let begun = market.figures.kills;
    for who in [Who::Provider, Who::Client] {
        for nth in 1.. {
            if market.figures.kills - begun >= most {
                return;
            }
            let (folder, victim) = (market.party(who).folder(), market.party(who).id());
            let watch = Watch::database(&folder, nth, victim);
            let number = market.ask(Kind::Fetch);
            let mut killed = false;
            let waiting = Instant::now();
            while !market.is_done(number) {
                if !killed && watch.has_killed() {
                    market.party(who).restart();
                    killed = true;
                }
                market.give_up_after(waiting, number);
                thread::sleep(Duration::from_millis(5));
            }
            if !killed && watch.has_killed() {
                market.party(who).restart();
                killed = true;
            }
            drop(watch);
            market.party(who).wait();
            market.figures.kills += u64::from(killed);
            if !killed {
                break;
            }
        }
    }
}

#[test]
fn nodes_that_are_killed_at_writes_and_at_random_do_every_job_once() {
    let Some(mut market) = Market::open(true) else { return };
    let mut random = StdRng::seed_from_u64(seed());
    let kills = kills() - kills() / 2;
    at_each_write(&mut market, kills / 3);
    market.under_load(Happens { kills: kills - kills / 3, ..Happens::default() }, &mut random);
    market.audit();
    market.figures.print("killed at each write and at random");
}
