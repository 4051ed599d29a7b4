//! A provider's process that is told to end while it has a job.

use std::process::Command;

use crate::{anvil::Anvil, modules, outages::Node};

/// A job that takes some seconds wherever it runs, and that every machine is fast enough for.
const LONG: [&str; 6] = ["--fuel", "10G", "--wall-time", "590s", "--lock-for", "10m"];

/// A client's and a provider's node on a market, and what starts the latter again.
struct Market {
    anvil: Anvil,
    contract: String,
    client: Node,
    provider: Node,
}

impl Market {
    /// None: there is no anvil here.
    fn start() -> Option<Self> {
        let anvil = Anvil::with_blocks(31_337)?;
        let (client, provider) = (Node::new(&anvil), Node::new(&anvil));
        let contract = client.deploy(&anvil.url);
        let mut market = Self { anvil, contract, client, provider };
        market.client.start(&market.anvil.url, &market.contract, &["--client-only"]);
        market.start_provider();
        market.client.wait_until_it_runs();
        for node in [&market.client, &market.provider] {
            node.home.json(&["wallet", "deposit", "5 FIL", "--json"]);
        }
        Some(market)
    }

    fn start_provider(&mut self) {
        self.provider.start(&self.anvil.url, &self.contract, &["--slots", "1"]);
        self.provider.wait_until_it_runs();
    }

    fn ask(&self, name: &str, module: Vec<u8>) -> String {
        let module = self.client.home.file(name, module);
        self.client.ask(module.to_str().expect("UTF-8"), &LONG)
    }

    fn wait_until(&self, job: &str, status: &str) {
        let wanted = format!("\"status\": \"{status}\"");
        self.client.home.wait_for(&["job", "describe", job, "--json"], |text| text.contains(&wanted));
    }

    fn signal(&self) {
        let process = self.provider.process.as_ref().expect("it runs").id();
        let told = Command::new("kill").args(["-TERM", &process.to_string()]).status().expect("kill runs");
        assert!(told.success());
    }

    fn wait_until_it_ends(&mut self) {
        let status = self.provider.process.take().expect("it runs").wait().expect("a child");
        assert!(status.success(), "{status}: {}", self.provider.said());
    }

    fn status(&self, job: &str) -> String {
        let job = self.client.home.json(&["job", "describe", job, "--json"]);
        job["status"].as_str().expect("a status").to_owned()
    }
}

#[test]
fn a_provider_that_is_told_to_end_finishes_what_it_has_locked_and_takes_nothing_else() {
    let Some(mut market) = Market::start() else { return };
    let long = market.ask("loops.wasm", modules::loops());
    market.wait_until(&long, "locked");
    market.signal();
    market.provider.wait_until_it_said("Finishing 1 job that is locked, for 10m at most", 1);
    assert_eq!(market.provider.problems(), ["draining"]);
    let next = market.ask("hello.wasm", modules::hello());
    market.wait_until_it_ends();
    market.wait_until(&long, "settled");
    let job = market.client.home.json(&["job", "describe", &long, "--json"]);
    assert_ne!(job["money"]["paid_to_provider"], "0", "it is paid: {job:#}");
    assert_eq!(market.status(&next), "open", "nobody took it");

    market.start_provider();
    market.wait_until(&next, "settled");
}

#[test]
fn told_twice_it_ends_at_once_and_goes_on_with_the_job_at_its_next_start() {
    let Some(mut market) = Market::start() else { return };
    let long = market.ask("loops.wasm", modules::loops());
    market.wait_until(&long, "locked");
    market.signal();
    market.provider.wait_until_it_said("Finishing 1 job", 1);
    market.signal();
    market.wait_until_it_ends();
    assert_eq!(market.status(&long), "locked");

    market.start_provider();
    market.wait_until(&long, "settled");
}
