//! A provider's node that is killed while what it sent is in no block.

use std::time::{Duration, Instant};

use lota_bridge::evm::filecoin_pay_deals;
use lota_market::{Bytes, filecoin_pay_deals::Command};
use serde_json::{Value, json};

use super::{FIL, Node, World, text};
use crate::{anvil::Anvil, support::Home};

/// How long a test waits for what must come, at most.
const PATIENCE: Duration = Duration::from_secs(300);

impl World {
    /// No block comes any more unless it is asked for.
    fn stop_blocks(&self) {
        self.anvil.call("evm_setAutomine", json!([false]));
        self.anvil.call("evm_setIntervalMining", json!([0]));
    }

    /// One comes each second.
    fn resume_blocks(&self) {
        self.anvil.call("evm_setIntervalMining", json!([1]));
    }

    /// Waits until an account's call of this function is in the pool; its hash.
    fn wait_until_sent(&self, from: &str, selector: &[u8], described: impl Fn() -> String) -> String {
        let (from, selector) = (from.to_lowercase(), format!("{}", Bytes::copy_from_slice(selector)));
        let begun = Instant::now();
        loop {
            let pool = self.anvil.call("txpool_content", json!([]));
            let all = pool["pending"]
                .as_object()
                .into_iter()
                .flatten()
                .chain(pool["queued"].as_object().into_iter().flatten());
            let own = all.filter(|(sender, _)| sender.to_lowercase() == from);
            let found = own.flat_map(|(_, by_nonce)| by_nonce.as_object().into_iter().flatten().map(|(_, call)| call));
            let mut found = found.filter(|call| text(call, "input").starts_with(&selector));
            if let Some(call) = found.next() {
                return text(call, "hash").to_owned();
            }
            assert!(begun.elapsed() < PATIENCE, "it is not sent: {pool:#}\n{}", described());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// How often the contract has said this.
    fn said(&self, event: &str) -> usize {
        let topic = self.anvil.call("web3_sha3", json!([Bytes::copy_from_slice(event.as_bytes())]));
        let filter = json!([{ "address": self.deals, "fromBlock": "0x0", "topics": [topic] }]);
        self.anvil.call("eth_getLogs", filter).as_array().expect("a list").len()
    }

    /// How many calls of this function by an account are in blocks.
    fn landed(&self, from: &str, selector: &[u8]) -> usize {
        let (from, selector) = (from.to_lowercase(), format!("{}", Bytes::copy_from_slice(selector)));
        let newest = self.anvil.call("eth_blockNumber", json!([]));
        let newest =
            u64::from_str_radix(newest.as_str().expect("text").trim_start_matches("0x"), 16).expect("a number");
        let block = |number: u64| self.anvil.call("eth_getBlockByNumber", json!([format!("{number:#x}"), true]));
        let of = |block: Value| {
            let all = block["transactions"].as_array().cloned().unwrap_or_default();
            let own =
                |call: &&Value| text(call, "from").to_lowercase() == from && text(call, "input").starts_with(&selector);
            all.iter().filter(own).count()
        };
        (0..=newest).map(|number| of(block(number))).sum()
    }
}

#[test]
fn a_node_that_is_killed_before_the_block_of_what_it_sent_does_the_job_and_is_paid_once() {
    let Some(anvil) = Anvil::with_blocks(31_337) else { return };
    let mut world = World::begin(anvil, None);
    text(&world.deploy(&[]).ok(), "contract").clone_into(&mut world.deals);
    world.pay(&["approve", "2 FIL"]).ok();
    world.pay(&["deposit", "1 FIL"]).ok();
    let client = Node::start(&world.home, &world, "", &["--client-only"]);
    let provider_home = Home::new();
    let settings = format!("[node.filecoin_pay]\ncontract = \"{}\"\n", world.deals);
    let provider = Node::start(&provider_home, &world, &settings, &[]);
    let account = text(&provider_home.json(&["node", "show", "--json"])["node"], "party").to_owned();
    let both = |text: &str| {
        let shown: Value = serde_json::from_str(text).expect("JSON");
        shown["parties"].as_array().map(Vec::len) == Some(2)
    };
    provider_home.wait_for(&["node", "show", "--json"], both);
    drop(provider);
    let module = world.home.file("hello.wasm", crate::modules::hello());
    let module = module.to_str().expect("UTF-8");
    let pay = filecoin_pay_deals::call_data(&Command::Pay { rails: Vec::new() });
    // Little fuel: a machine that was measured while others kept it busy takes it, too.
    let limits = ["--fuel", "100M", "--lock-for", "10h", "--run-for", "10h"];
    let mut rounds = 0;
    // The chain's node keeps what is sent, or forgets it.
    for is_forgotten in [false, true] {
        let opened = world.pay(&[&["order", module, "--max-price", "0.2 FIL"], &limits[..]].concat()).ok();
        let job = text(&opened, "job").to_owned();
        let take = filecoin_pay_deals::call_data(&Command::Take { order: world.order(&job) });
        let kill = |provider: Node, selector: &[u8]| {
            let described = || provider_home.stdout(&["job", "describe", &job]);
            let sent = world.wait_until_sent(&account, selector, described);
            provider.kill();
            if is_forgotten {
                world.anvil.call("anvil_dropTransaction", json!([sent]));
            }
        };
        world.stop_blocks();
        kill(Node::again(&provider_home, &world, &[]), &take[..4]);
        let provider = Node::again(&provider_home, &world, &[]);
        let begun = Instant::now();
        while world.said("PriceDue(bytes32,uint256,uint256)") == rounds {
            assert!(begun.elapsed() < PATIENCE, "the job is not settled");
            world.anvil.call("anvil_mine", json!(["0x1"]));
            std::thread::sleep(Duration::from_millis(200));
        }
        kill(provider, &pay[..4]);
        world.resume_blocks();
        let provider = Node::again(&provider_home, &world, &[]);
        let is_collected = |text: &str| {
            let told: Value = serde_json::from_str(text).expect("JSON");
            told["order"]["stage"] == json!("collected")
        };
        provider_home.wait_for(&["job", "describe", &job, "--json"], is_collected);
        rounds += 1;
        assert_eq!(world.said("OrderTaken(bytes32,address,address,uint256,uint256)"), rounds);
        assert_eq!(world.said("RailPaid(uint256,uint256)"), rounds);
        assert_eq!([world.landed(&account, &take[..4]), world.landed(&account, &pay[..4])], [rounds, rounds]);
        provider.kill();
    }
    let net = 2 * (FIL / 5 - FIL / 1_000);
    assert_eq!(text(&world.status_of(&account), "funds"), net.to_string());
    let provider = Node::again(&provider_home, &world, &[]);
    let collected = provider_home.json(&["node", "show", "--json"])["node"]["orders"]["collected"].clone();
    assert_eq!((text(&collected, "gross"), text(&collected, "net")), (&*(2 * FIL / 5).to_string(), &*net.to_string()));
    drop((provider, client));
}
