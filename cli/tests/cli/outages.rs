//! Nodes on a chain whose own node is away, slow, busy or another's, and nodes without money for gas.

use std::{
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::{
    anvil::Anvil,
    mean::{Mean, Mood},
    modules,
    support::Home,
};

pub const FIL: u128 = 1_000_000_000_000_000_000;
/// How long a test waits for what must come, at most.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A node of `lota node run`; it is killed with the test.
pub struct Node {
    pub home: Home,
    pub address: String,
    pub process: Option<Child>,
}

impl Node {
    /// A home with a key that has 20 FIL on the chain.
    pub fn new(anvil: &Anvil) -> Self {
        let home = Home::new();
        let made = home.lota(&["wallet", "new", "main"]).env("LOTA_PASSWORD", "long secret").assert().success();
        let address = String::from_utf8(made.get_output().stdout.clone()).expect("UTF-8").trim().to_owned();
        anvil.give(&address, 20 * FIL);
        Self { home, address, process: None }
    }

    /// Another home with the same key.
    pub fn twin(&self) -> Self {
        let home = Home::new();
        let folder = home.path().join("keystore");
        std::fs::create_dir_all(&folder).expect("a folder");
        for key in std::fs::read_dir(self.home.path().join("keystore")).expect("a keystore") {
            let key = key.expect("a key");
            std::fs::copy(key.path(), folder.join(key.file_name())).expect("copied");
        }
        Self { home, address: self.address.clone(), process: None }
    }

    pub fn deploy(&self, url: &str) -> String {
        let args = ["chain", "deploy", "--rpc", url, "--key", "main", "--json"];
        let run = self.home.lota(&args).env("LOTA_PASSWORD", "long secret").assert().success();
        let deployed: Value = serde_json::from_slice(&run.get_output().stdout).expect("JSON");
        deployed["contract"].as_str().expect("text").to_owned()
    }

    pub fn start(&mut self, url: &str, contract: &str, more: &[&str]) {
        let log = std::fs::File::create(self.home.place("stderr.txt")).expect("a file");
        let process = Command::new(assert_cmd::cargo::cargo_bin("lota"))
            .args(["node", "run", "--key", "main", "--rpc", url, "--contract", contract])
            .args(more)
            .env("LOTA_HOME", self.home.path())
            .env("LOTA_PASSWORD", "long secret")
            .env("NO_COLOR", "1")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("starts");
        self.process = Some(process);
    }

    /// What it says on stderr.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.home.place("stderr.txt")).expect("a text")
    }

    pub fn wait_until_it_runs(&mut self) {
        let begun = Instant::now();
        while !self.home.path().join("api.json").exists() {
            let ended = self.process.as_mut().expect("started").try_wait().expect("a child");
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "the node does not start: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it said this that often; not more often.
    pub fn wait_until_it_said(&self, words: &str, times: usize) {
        let begun = Instant::now();
        loop {
            let said = self.said();
            let count = said.lines().filter(|line| line.contains(words)).count();
            assert!(count <= times && begun.elapsed() < PATIENCE, "{words:?} {count} times, not {times}: {said}");
            if count == times {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The codes of what keeps it from its work.
    pub fn problems(&self) -> Vec<String> {
        let shown = self.home.json(&["node", "show", "--json"]);
        let problems = shown["node"]["problems"].as_array().cloned().unwrap_or_default();
        problems.iter().map(|problem| problem["code"].as_str().expect("a code").to_owned()).collect()
    }

    pub fn wait_for_problems(&self, wanted: &[&str]) {
        let begun = Instant::now();
        while self.problems() != wanted {
            assert!(begun.elapsed() < PATIENCE, "{:?} instead of {wanted:?}: {}", self.problems(), self.said());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    pub fn ask(&self, module: &str, more: &[&str]) -> String {
        let args = [&["wasm", "run", module, "--detach", "--min-price", "0.01 FIL"], more].concat();
        self.home.stdout(&args).trim().to_owned()
    }

    pub fn money(&self) -> (u128, u128) {
        let wallet = self.home.json(&["wallet", "show", "--json"]);
        let amount = |name: &str| wallet["account"][name].as_str().expect("text").parse().expect("a number");
        (amount("wallet"), amount("market"))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// A client and a provider who reach the chain through proxies of their own, with 5 FIL each in the market.
fn market(anvil: &Anvil) -> ([Mean; 2], Node, Node) {
    let means = [Mean::in_front_of(&anvil.url), Mean::in_front_of(&anvil.url)];
    let (mut client, mut provider) = (Node::new(anvil), Node::new(anvil));
    let contract = client.deploy(&anvil.url);
    client.start(&means[0].url(), &contract, &["--client-only"]);
    provider.start(&means[1].url(), &contract, &[]);
    for node in [&mut client, &mut provider] {
        node.wait_until_it_runs();
        node.home.json(&["wallet", "deposit", "5 FIL", "--json"]);
    }
    (means, client, provider)
}

pub fn hello(home: &Home) -> String {
    home.file("hello.wasm", modules::hello()).to_str().expect("UTF-8").to_owned()
}

#[test]
fn jobs_survive_whatever_the_chains_node_does() {
    let Some(anvil) = Anvil::with_blocks(31_337) else { return };
    let Some(other) = Anvil::with_blocks(31_338) else { return };
    let (means, client, provider) = market(&anvil);
    let be = |mood: &Mood| means.iter().for_each(|mean| mean.be(mood.clone()));
    let hello = hello(&client.home);
    let mut ids = Vec::new();
    let outages = [
        Mood::Away,
        Mood::Page,
        Mood::Truncated,
        Mood::TooMany(Some(3)),
        Mood::TooMany(None),
        Mood::Limited,
        Mood::Elsewhere(other.url.clone()),
    ];
    for (number, mood) in outages.iter().enumerate() {
        let id = client.ask(&hello, &[]);
        be(mood);
        for node in [&client, &provider] {
            node.wait_for_problems(&["unreachable"]);
            // Not only who asked, but the node itself has noticed.
            node.wait_until_it_said("the market cannot be read;", number + 1);
        }
        // Everything else is still told, with what keeps it from being new.
        let wallet = client.home.stdout(&["wallet", "show"]);
        assert!(wallet.contains("in the market") && wallet.contains("problem"), "{mood:?}: {wallet}");
        let job = client.home.stdout(&["job", "describe", &id]);
        assert!(job.contains("Events") && job.contains("problem"), "{mood:?}: {job}");
        if let Mood::Elsewhere(_) = mood {
            assert!(job.contains("serves chain 31338"), "{job}");
        }
        be(&Mood::Well);
        client.home.lota(&["job", "wait", &id, "--timeout", "4m"]).assert().success();
        for node in [&client, &provider] {
            node.wait_for_problems(&[]);
        }
        ids.push(id);
    }
    for node in [&client, &provider] {
        let said = node.said();
        for words in ["the market cannot be read;", "the market can be read again"] {
            let count = said.lines().filter(|line| line.contains(words)).count();
            assert_eq!(count, outages.len(), "{words:?} is said once for each time: {said}");
        }
        // A transaction may be on its way when another chain answers.
        let others = said.lines().filter(|line| !line.contains("invalid chain id for signer")).count();
        assert_eq!(others, 2 * outages.len(), "nothing else is said: {said}");
    }
    // Those who are silent or slow need no time-out to be survived.
    for (mood, time) in &[(Mood::Silent, 3), (Mood::Slow(Duration::from_millis(400)), 20)] {
        let id = client.ask(&hello, &[]);
        be(mood);
        let begun = Instant::now();
        let shown = client.home.stdout(&["node", "show"]);
        assert!(shown.contains("newest block"), "{mood:?}: {shown}");
        std::thread::sleep(Duration::from_secs(*time).saturating_sub(begun.elapsed()));
        be(&Mood::Well);
        client.home.lota(&["job", "wait", &id, "--timeout", "4m"]).assert().success();
        ids.push(id);
    }
    let mut paid = 0;
    for id in &ids {
        let job = client.home.json(&["job", "describe", id, "--json"]);
        let names: Vec<_> = job["events"].as_array().expect("events").iter().map(|event| &event["name"]).collect();
        assert_eq!(names, ["JobOpened", "JobLocked", "ResultSubmitted", "JobSettled"], "{id}");
        paid += job["money"]["paid_to_provider"].as_str().expect("text").parse::<u128>().expect("a number");
    }
    assert_eq!(provider.money().1, 5 * FIL + paid, "each job is paid once");
    // Whatever was sent landed once: an announcement, a deposit, and for each job two commands.
    let count = anvil.call("eth_getTransactionCount", json!([provider.address, "latest"]));
    assert_eq!(count, format!("{:#x}", 2 + 2 * ids.len()));
}

#[test]
fn websockets_are_opened_again_after_the_chains_node_was_away() {
    let folder = Home::new();
    let state = folder.file("state/none", "").with_file_name("anvil.json");
    let more = ["--block-time", "1", "--mixed-mining", "--state", state.to_str().expect("UTF-8")];
    let Some(anvil) = Anvil::start_with(31_337, &more) else { return };
    let (mut client, mut provider) = (Node::new(&anvil), Node::new(&anvil));
    let contract = client.deploy(&anvil.url);
    let url = anvil.url.replace("http", "ws");
    client.start(&url, &contract, &["--client-only"]);
    provider.start(&url, &contract, &[]);
    for node in [&mut client, &mut provider] {
        node.wait_until_it_runs();
        node.home.json(&["wallet", "deposit", "5 FIL", "--json"]);
    }
    let hello = hello(&client.home);
    let id = client.ask(&hello, &[]);
    let port = anvil.stop();
    for node in [&client, &provider] {
        node.wait_for_problems(&["unreachable"]);
        node.wait_until_it_said("the market cannot be read;", 1);
    }
    let _anvil = Anvil::start_with(31_337, &[&more[..], &["--port", &port]].concat()).expect("it was here before");
    client.home.lota(&["job", "wait", &id, "--timeout", "4m"]).assert().success();
    let next = client.ask(&hello, &[]);
    client.home.lota(&["job", "wait", &next, "--timeout", "4m"]).assert().success();
    for node in [&client, &provider] {
        node.wait_for_problems(&[]);
        let said = node.said();
        assert_eq!(said.lines().count(), 2, "away, and back: {said}");
    }
}

#[test]
fn a_provider_gives_no_job_up_for_its_chains_nodes_confusion() {
    let Some(anvil) = Anvil::with_blocks(31_337) else { return };
    let ([_, mean], client, provider) = market(&anvil);
    mean.be(Mood::Confused);
    let id = client.ask(&hello(&client.home), &["--lock-for", "10m"]);
    let told = client.home.wait_for(&["job", "describe", &id], |text| text.contains("internal error"));
    assert!(told.contains("waiting"), "{told}");
    mean.be(Mood::Well);
    client.home.lota(&["job", "wait", &id, "--timeout", "4m"]).assert().success();
    drop(provider);
}

#[test]
fn a_node_waits_for_a_chain_that_does_not_answer_yet() {
    let Some(anvil) = Anvil::with_blocks(31_337) else { return };
    let mut node = Node::new(&anvil);
    let contract = node.deploy(&anvil.url);
    let mean = Mean::in_front_of(&anvil.url);
    for mood in [Mood::Away, Mood::TooMany(Some(1)), Mood::Limited, Mood::Refusing, Mood::Page] {
        mean.be(mood.clone());
        let home = node.home.path();
        node.start(&mean.url(), &contract, &[]);
        let begun = Instant::now();
        while !node.said().contains("trying again until it answers") {
            assert!(begun.elapsed() < PATIENCE, "{mood:?}: {}", node.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(node.said().lines().count(), 1, "it is said once: {}", node.said());
        let expected = if matches!(mood, Mood::Refusing) { "refuses" } else { "does not answer" };
        assert!(node.said().contains(expected), "{mood:?}: {}", node.said());
        mean.be(Mood::Well);
        node.wait_until_it_runs();
        node.wait_for_problems(&[]);
        let mut process = node.process.take().expect("it runs");
        process.kill().expect("killed");
        process.wait().expect("ended");
        std::fs::remove_file(home.join("api.json")).expect("the killed node left its file");
    }

    // What is wrong for good is said at once.
    let Some(other) = Anvil::start(314) else { return };
    mean.be(Mood::Elsewhere(other.url.clone()));
    let args = ["node", "run", "--key", "main", "--rpc", &mean.url(), "--contract", &contract];
    let run = |more: &[&str]| {
        let ended = node.home.lota(&[&args, more].concat()).env("LOTA_PASSWORD", "long secret").assert().code(1);
        String::from_utf8(ended.get_output().stderr.clone()).expect("UTF-8")
    };
    let line = run(&["--network", "anvil"]);
    assert!(line.lines().count() == 1 && line.contains("serves chain 314 (filecoin), not development"), "{line}");
    let line = run(&[]);
    assert!(line.lines().count() == 1 && line.contains("there is no contract at"), "{line}");
    mean.be(Mood::Well);
    let second = node.deploy(&anvil.url);
    let line = {
        let args = ["node", "run", "--key", "main", "--rpc", &anvil.url, "--contract", &second];
        let ended = node.home.lota(&args).env("LOTA_PASSWORD", "long secret").assert().code(1);
        String::from_utf8(ended.get_output().stderr.clone()).expect("UTF-8")
    };
    // The log says that the contract was deployed with the node's key while the node was away; the error is one line.
    let errors: Vec<_> = line.lines().filter(|line| !line.contains(" WARN ")).collect();
    assert!(matches!(errors[..], [error] if error.contains("holds the records of a node on the market")), "{line}");
}

#[test]
fn a_provider_without_money_for_gas_takes_no_jobs_and_goes_on_when_it_has_some() {
    let Some(anvil) = Anvil::with_blocks(31_337) else { return };
    let (_means, client, provider) = market(&anvil);
    let hello = hello(&client.home);
    anvil.give(&provider.address, 1_000);
    let id = client.ask(&hello, &["--lock-for", "10m"]);
    provider.wait_for_problems(&["gas"]);
    let shown = provider.home.stdout(&["node", "show"]);
    for part in [provider.address.as_str(), "holds 0.000000000000001 FIL outside the market and needs", "problem"] {
        assert!(shown.to_lowercase().contains(&part.to_lowercase()), "{part} is not in\n{shown}");
    }
    let job = client.home.wait_for(&["job", "describe", &id], |text| text.contains("outside the market and needs"));
    assert!(job.contains("waiting"), "{job}");
    std::thread::sleep(Duration::from_secs(4));
    let said = provider.said();
    assert_eq!(said.lines().filter(|line| line.contains("too little money for gas")).count(), 1, "{said}");

    anvil.give(&provider.address, 20 * FIL);
    client.home.lota(&["job", "wait", &id, "--timeout", "4m"]).assert().success();
    provider.wait_for_problems(&[]);
    assert!(provider.said().contains("there is enough money for gas again"), "{}", provider.said());
}
