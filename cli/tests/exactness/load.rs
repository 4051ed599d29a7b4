//! Jobs of all kinds at once, and meanwhile whatever can happen to nodes and their chain.

use std::{
    thread,
    time::{Duration, Instant},
};

use rand::{Rng as _, rngs::StdRng, seq::SliceRandom as _};
use serde_json::json;

use crate::{
    kills::Who,
    market::{DEEPEST, Kind, Market},
};

/// What happens.
#[derive(Clone, Copy, Debug, Default)]
pub struct Happens {
    /// So many nodes are killed.
    pub kills: u64,
    /// So many times the chain is reorganised.
    pub reorganisations: u64,
    /// So many of a thousand requests to the chain's node go wrong.
    pub faults: u32,
    /// So many times the chain's clock jumps, ahead by up to an hour.
    pub jumps: u64,
    /// So many times more it does, and a reorganisation turns it back.
    pub undone: u64,
    /// For so long at least, in seconds.
    pub seconds: u64,
}

/// How many jobs are under way at a time.
const AT_ONCE: usize = 6;

enum One {
    Kill,
    Reorganisation,
    Jump,
    UndoneJump,
    Nothing,
}

impl Market {
    /// Lets it all happen, while there is work all the time; then it is calm again.
    pub fn under_load(&mut self, happens: Happens, random: &mut StdRng) {
        let kinds: &[Kind] = if self.docker {
            &[Kind::Echo, Kind::Echo, Kind::Busy, Kind::Fetch, Kind::Container]
        } else {
            &[Kind::Echo, Kind::Echo, Kind::Busy, Kind::Fetch]
        };
        for party in [&self.client, &self.provider] {
            party.wire.weather(happens.faults, random.random());
        }
        let mut list = Vec::new();
        list.extend((0..happens.kills).map(|_| One::Kill));
        list.extend((0..happens.reorganisations).map(|_| One::Reorganisation));
        list.extend((0..happens.jumps).map(|_| One::Jump));
        list.extend((0..happens.undone).map(|_| One::UndoneJump));
        // A second and a quarter each.
        while (list.len() as u64) < happens.seconds * 4 / 5 {
            list.push(One::Nothing);
        }
        list.shuffle(random);
        let mut done: Vec<usize> = Vec::new();
        for one in list {
            done.extend(
                (0..self.asked.len())
                    .filter(|number| !done.contains(number) && self.is_done(*number))
                    .collect::<Vec<_>>(),
            );
            while self.asked.len() < done.len() + AT_ONCE {
                self.ask(kinds[random.random_range(0..kinds.len())]);
            }
            thread::sleep(Duration::from_millis(random.random_range(0..2_500)));
            match one {
                One::Kill => self.kill_one(random),
                One::Reorganisation => self.reorganise(random),
                One::Jump => self.jump(random),
                One::UndoneJump => self.jump_and_back(random),
                One::Nothing => {}
            }
        }
        for who in [Who::Client, Who::Provider] {
            self.party(who).wire.weather(0, 0);
            self.party(who).wait();
        }
        // A reorganisation may have undone a jump. What was asked for at the later time begins when that comes again, as it does with
        // any clock in the end.
        self.forward_to(self.latest);
    }

    /// The chain's clock goes to this time, if it is earlier.
    fn forward_to(&mut self, time: u64) {
        let now = self.time();
        if now < time {
            self.anvil.call("evm_increaseTime", json!([time - now]));
            self.anvil.call("anvil_mine", json!(["0x1"]));
        }
        self.latest = self.latest.max(self.time());
    }

    fn kill_one(&mut self, random: &mut StdRng) {
        let who = if random.random_ratio(2, 3) { Who::Provider } else { Who::Client };
        // Both at once, now and then.
        let both = random.random_ratio(1, 8);
        for killed in [Who::Client, Who::Provider] {
            if both || killed == who {
                self.party(killed).restart();
                self.figures.kills += 1;
            }
        }
    }

    pub fn height(&self) -> u64 {
        let told = self.anvil.call("eth_blockNumber", json!([]));
        u64::from_str_radix(told.as_str().expect("text").trim_start_matches("0x"), 16).expect("a number")
    }

    /// The timestamp of the newest block.
    fn time(&self) -> u64 {
        let block = self.anvil.call("eth_getBlockByNumber", json!(["latest", false]));
        u64::from_str_radix(block["timestamp"].as_str().expect("text").trim_start_matches("0x"), 16).expect("a number")
    }

    /// The clock of the chain jumps ahead by up to an hour.
    fn jump(&mut self, random: &mut StdRng) {
        self.forward_to(self.time() + random.random_range(1..3_600));
        *self.figures.others.entry("jumps of the clock").or_default() += 1;
    }

    /// The same, and after a while a reorganisation drops the blocks with the later times: it is as late as before. What is asked for then
    /// is done at that time; jobs that were asked for at the later one begin when it comes again.
    fn jump_and_back(&mut self, random: &mut StdRng) {
        let (before, time, ahead) = (self.height(), self.time(), random.random_range(600..3_600));
        self.forward_to(time + ahead);
        thread::sleep(Duration::from_millis(random.random_range(1_000..6_000)));
        let above = self.height() - before;
        // Blocks may come meanwhile.
        let depth = (above + random.random_range(3..8)).min(self.height() - self.base);
        self.reorganise_by(depth, random);
        assert!(self.time() < time + 600, "the chain's clock was turned back");
        *self.figures.others.entry("jumps of the clock that were undone").or_default() += 1;
        let begun = Instant::now();
        // A client that has not heard of it asks for something later.
        while !self.is_asked_for_and_done(Duration::from_secs(20)) {
            self.give_up_after(begun, self.asked.len() - 1);
        }
        self.forward_to(self.latest);
    }

    /// Whether a job that is asked for now is done within some time.
    fn is_asked_for_and_done(&mut self, within: Duration) -> bool {
        let (number, begun) = (self.ask(Kind::Echo), Instant::now());
        while begun.elapsed() < within {
            if self.is_done(number) {
                return true;
            }
            thread::sleep(Duration::from_millis(50));
        }
        false
    }

    /// Drops up to 20 blocks.
    fn reorganise(&mut self, random: &mut StdRng) {
        let depth = random.random_range(1..=DEEPEST).min(self.height() - self.base);
        if depth > 0 {
            self.reorganise_by(depth, random);
        }
    }

    /// Drops so many blocks, and puts others in their place: as many, more or fewer; without what was in them, or with it in another order.
    fn reorganise_by(&mut self, depth: u64, random: &mut StdRng) {
        // Otherwise an empty block in the place of an empty one could be the same.
        let miner: [u8; 20] = random.random();
        let miner: String = miner.iter().map(|byte| format!("{byte:02x}")).collect();
        self.anvil.call("anvil_setCoinbase", json!([format!("0x{miner}")]));
        let mut transactions: Vec<String> = [&self.client, &self.provider]
            .iter()
            .flat_map(|party| {
                let sent = party.wire.transactions();
                sent[sent.len().saturating_sub(30)..].to_vec()
            })
            .collect();
        transactions.shuffle(random);
        transactions.truncate(random.random_range(0..=transactions.len()));
        match random.random_range(0..4_u8) {
            0 => {
                self.anvil.call("anvil_reorg", json!([depth, []]));
            }
            1 => {
                self.anvil.call("anvil_rollback", json!([depth]));
                self.anvil.call("anvil_mine", json!([format!("{:#x}", depth + random.random_range(1..4))]));
            }
            2 => {
                self.anvil.call("anvil_rollback", json!([depth]));
            }
            _ => {
                self.anvil.call("anvil_rollback", json!([depth]));
                // Whatever was signed, also what was replaced or undone long ago, comes again, in any order.
                for transaction in &transactions {
                    self.anvil.try_call("eth_sendRawTransaction", json!([transaction]));
                }
                self.anvil.call("anvil_mine", json!([format!("{:#x}", random.random_range(1..=depth + 1))]));
            }
        }
        self.figures.reorganisations += 1;
    }
}
