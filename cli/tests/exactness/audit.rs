//! What must hold when all is over: every job was paid for exactly once, all money is where it should be, and nothing is left behind.

use std::collections::BTreeMap;

use lota_bridge::{
    evm::bindings,
    journal::{AccountId, Journal as _},
};
use lota_market::{Address, AttoFil, B256, model::Event};
use lota_node::store::NodeJournal;
use serde_json::{Value, json};

use crate::{
    market::{Kind, Market, docker, images_of},
    party::{DEPOSIT, GIVEN, Party, files, patience, soon},
};

/// What the chain says happened to a job, in order.
type Story = Vec<Event>;

impl Market {
    fn quantity(&self, method: &str, params: Value) -> u128 {
        let told = self.anvil.call(method, params);
        u128::from_str_radix(told.as_str().expect("text").trim_start_matches("0x"), 16).expect("a number")
    }

    fn view<T>(&self, view: &bindings::View<T>) -> T {
        let told = self.anvil.call("eth_call", json!([{ "to": self.contract, "data": view.data }, "latest"]));
        let bytes: lota_market::Bytes = serde_json::from_value(told).expect("bytes");
        view.read(&bytes).expect("an answer")
    }

    /// The free balance of an account in the market.
    pub fn free(&self, party: &Party) -> u128 {
        self.view(&bindings::balance_of(address(party))).0
    }

    /// All events of the market on the chain as it is now, and how many blocks that has.
    fn events(&self) -> (u128, Vec<Event>) {
        let height = self.quantity("eth_blockNumber", json!([]));
        let filter = json!([{ "address": self.contract, "fromBlock": "0x0", "toBlock": format!("{height:#x}") }]);
        let logs = self.anvil.call("eth_getLogs", filter);
        let events = logs.as_array().expect("a list").iter().map(|log| {
            let topics: Vec<B256> = serde_json::from_value(log["topics"].clone()).expect("topics");
            let data: lota_market::Bytes = serde_json::from_value(log["data"].clone()).expect("bytes");
            bindings::decode(&topics, &data).expect("an event of the market's")
        });
        (height, events.collect())
    }

    /// What happened to each job.
    fn stories(&self) -> BTreeMap<String, Story> {
        let mut stories = BTreeMap::<String, Story>::new();
        for event in self.events().1 {
            if let Some(job) = event.job() {
                stories.entry(format!("{:#x}", job.0)).or_default().push(event);
            }
        }
        stories
    }

    /// Every job that was asked for was opened, locked, run and paid for once, and nothing else was.
    fn every_job_was_done_once(&mut self) -> u128 {
        let asked: Vec<String> = (0..self.asked.len()).map(|number| self.id(number)).collect();
        // The nodes may know it a moment before the chain does again, which was just reorganised.
        let whole = soon("the end of all jobs on the chain", || {
            let stories = self.stories();
            stories.values().all(|story| story.len() >= 4).then_some(stories)
        });
        let mut opened: Vec<&String> = whole.keys().collect();
        let mut wanted: Vec<&String> = asked.iter().collect();
        opened.sort();
        wanted.sort();
        assert_eq!(opened, wanted, "a job for each request, and no other");
        let provider = address(&self.provider);
        let mut paid = 0;
        for (id, story) in &whole {
            match &story[..] {
                [
                    Event::JobOpened { .. },
                    Event::JobLocked { provider: by, .. },
                    Event::ResultSubmitted { result, .. },
                    Event::JobSettled { provider: to, price, .. },
                ] if *by == provider && *to == provider => {
                    assert_eq!(result.exit_code, 0, "{id}");
                    paid += price.0;
                }
                other => panic!("{id} was not done once: {other:?}"),
            }
        }
        for (number, id) in asked.iter().enumerate() {
            let asked = &self.asked[number];
            let printed = self.client.home.stdout(&["job", "cat", id, "stdout"]);
            let name = if asked.kind == Kind::Container { "" } else { "job\0" };
            assert_eq!(printed, format!("{name}{}\0", asked.words), "{id}");
            if asked.kind == Kind::Container {
                assert_eq!(self.client.home.stdout(&["job", "cat", id, "outputs/made"]), "made\n", "{id}");
            }
        }
        paid
    }

    /// Who has what: nothing is stuck, nothing was paid twice, and what is missing was paid for gas.
    fn all_money_is_there(&self, paid: u128) -> usize {
        let parties = [&self.client, &self.provider];
        let (mut gas, mut failed) = (0, 0);
        for block in 0..=self.quantity("eth_blockNumber", json!([])) {
            let receipts = self.anvil.call("eth_getBlockReceipts", json!([format!("{block:#x}")]));
            for receipt in receipts.as_array().expect("a list") {
                let from = receipt["from"].as_str().expect("text").to_lowercase();
                if parties.iter().any(|party| party.address == from) {
                    let number = |name: &str| {
                        let text = receipt[name].as_str().expect("text");
                        u128::from_str_radix(text.trim_start_matches("0x"), 16).expect("a number")
                    };
                    gas += number("gasUsed") * number("effectiveGasPrice");
                    failed += usize::from(number("status") == 0);
                }
            }
        }
        let outside = parties.map(|party| self.quantity("eth_getBalance", json!([party.address, "latest"])));
        let held = self.quantity("eth_getBalance", json!([self.contract, "latest"]));
        assert_eq!(outside[0] + outside[1] + held + gas, 2 * GIVEN, "all money is there");
        let free = parties.map(|party| self.free(party));
        assert_eq!(self.view(&bindings::burned()), AttoFil(0), "nothing was burned");
        assert_eq!(free[0] + free[1], held, "no escrow and no collateral is left in the market");
        assert_eq!(free[1], DEPOSIT + paid, "the provider was paid once for each job");
        failed
    }

    /// Ends the nodes well: what waits to be removed is removed, and no transaction waits.
    fn nothing_is_pending(&mut self) {
        for party in [&self.client, &self.provider] {
            let api = party.api();
            // One that was refused, by a node that lied, has given its key to the next.
            let over = |job: &Value| {
                ["settled", "not_opened"].contains(&job["phase"].as_str().unwrap_or_default()) && job["final"] == true
            };
            let begun = std::time::Instant::now();
            let refused = soon("the end of all jobs in a node", || {
                let jobs = api.call("GET", "/v1/jobs?all=true&limit=1000", None)?.1;
                let jobs = jobs["jobs"].as_array()?;
                let mut open = jobs.iter().filter(|job| !over(job)).peekable();
                let late = begun.elapsed() * 2 > patience();
                assert!(!late || open.peek().is_none(), "{} still has {:?}", party.address, open.collect::<Vec<_>>());
                let refused = jobs.iter().filter(|job| job["phase"] == "not_opened").count() as u64;
                open.peek().is_none().then_some(refused)
            });
            if refused > 0 {
                *self.figures.others.entry("requests that were refused").or_default() += refused;
            }
            soon("a node without problems", || {
                let node = api.call("GET", "/v1/node", None)?.1;
                node["problems"].as_array().is_none_or(Vec::is_empty).then_some(())
            });
        }
        for (name, party) in [("client", &self.client), ("provider", &self.provider)] {
            let begun = std::time::Instant::now();
            soon("the end of the last transaction", || {
                let waiting = pending(party);
                let late = begun.elapsed() * 2 > patience();
                assert!(!late || waiting.is_empty(), "the {name} still waits for {waiting:?}");
                waiting.is_empty().then_some(())
            });
        }
    }

    /// What the provider has beside what it needs again.
    fn leftovers(&self) -> Vec<String> {
        let mut left = Vec::new();
        for party in [&self.client, &self.provider] {
            left.extend(files(&party.folder()).into_iter().filter(|file| !is_kept(file)));
        }
        if self.docker {
            let known = images_of(&self.provider.folder());
            left.extend(
                self.images_in_engine()
                    .iter()
                    .filter(|image| !known.contains(image))
                    .map(|image| format!("image {image}")),
            );
            if let Some(node) = self.node_in_engine() {
                let label = format!("label=lota.node={node}");
                left.extend(docker(&["ps", "-aq", "--filter", &label]).iter().map(|id| format!("container {id}")));
                left.extend(
                    docker(&["volume", "ls", "-q", "--filter", &label]).iter().map(|id| format!("volume {id}")),
                );
            }
            for asked in 0..self.asked.len() {
                let Some(id) = self.known_id(asked) else { continue };
                let label = format!("label=lota.job={}", id.trim_start_matches("0x"));
                left.extend(docker(&["ps", "-aq", "--filter", &label]).iter().map(|id| format!("container {id}")));
            }
        }
        left
    }

    /// All of it, at the end of a run; figures of it are kept.
    pub fn audit(&mut self) {
        self.wait_until_done(|_| {});
        let paid = self.every_job_was_done_once();
        self.nothing_is_pending();
        self.figures.failed_transactions = self.all_money_is_there(paid);
        self.figures.jobs = self.asked.len();
        self.count_faults();
        let mut left = Vec::new();
        let begun = std::time::Instant::now();
        while begun.elapsed() < std::time::Duration::from_secs(60) {
            left = self.leftovers();
            if left.is_empty() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        assert!(left.is_empty(), "left behind: {left:#?}");
    }
}

/// What a node keeps for good in its folder.
fn is_kept(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or_default();
    let ends = |end: &str| name.ends_with(end);
    match file.split_once('/') {
        None => ["lock", "node.db", "node.db-wal", "node.db-shm", "modules.key", "benchmark.json"].contains(&file),
        Some(("blocks", rest)) => {
            ["lock", "pins"].contains(&rest) || rest == "blocks/SHARDING" || (rest.starts_with("blocks/") && (ends(".data") || ends("/")))
                // A shard whose blocks were deleted.
                || rest.ends_with('/')
        }
        Some(("modules", _)) => ends(".code"),
        Some(("docker", rest)) => ["images.json", "keeper", "node"].contains(&rest),
        Some(("work", rest)) => rest.is_empty(),
        _ => false,
    }
}

fn address(party: &Party) -> Address {
    party.address.parse().expect("an address")
}

/// Nonces of transactions that a node believes to be on their way.
fn pending(party: &Party) -> Vec<u64> {
    let account = AccountId { chain_id: 31_337, address: address(party) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let journal = NodeJournal::open(&party.folder()).await.expect("the journal opens");
        let pending = journal.pending_below(account, u64::MAX).await.expect("the journal is read");
        pending.into_iter().map(|sending| sending.nonce).collect()
    })
}
