//! Jobs that are paid from a Filecoin Pay account: `lota filecoin-pay` on a chain, with the stand-in of Filecoin Pay.

mod killed;

use std::{
    process::{Child, Stdio},
    time::{Duration, Instant},
};

use lota_bridge::evm::{bindings, filecoin_pay, filecoin_pay_deals, token};
use lota_market::{
    Address, AttoFil, B256, Bytes, U256,
    filecoin_pay_deals::{Command, Event, Order},
    model::{self, JobResult},
    spec,
};
use serde_json::{Value, json};

use crate::{
    anvil::Anvil,
    chain::{deploy, rich_key},
    support::Home,
};

mod settings;

const FIL: u128 = 1_000_000_000_000_000_000;
const STAND_IN: &str = include_str!("../../../contracts/test/artifacts/FilecoinPayStandIn.json");
/// How long a process may take to see what happened.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a command prints, or says in one line and with which exit code.
struct Said(Result<Value, (i32, String)>);

impl Said {
    #[track_caller]
    fn ok(self) -> Value {
        self.0.unwrap_or_else(|(exit, line)| panic!("exit code {exit}: {line}"))
    }

    #[track_caller]
    fn fails(self, exit: i32, parts: &[&str]) {
        match self.0 {
            Ok(printed) => panic!("it succeeded: {printed:#}"),
            Err((found, line)) => {
                assert!(found == exit && parts.iter().all(|part| line.contains(part)), "exit code {found}: {line}");
            }
        }
    }
}

fn run(home: &Home, args: &[&str]) -> Said {
    let output = home.lota(args).env("LOTA_PASSWORD", "long secret").output().expect("it runs");
    if output.status.success() {
        return Said(Ok(serde_json::from_slice(&output.stdout).expect("JSON")));
    }
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let errors: Vec<_> = told.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    let [line] = errors[..] else { panic!("not one line: {told}") };
    assert!(output.stdout.is_empty(), "stdout is for results");
    Said(Err((output.status.code().expect("no signal"), line.to_owned())))
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().unwrap_or_else(|| panic!("no {name} in {of:#}"))
}

fn address(of: &Value, name: &str) -> Address {
    text(of, name).parse().expect("an address")
}

/// A light key with money for gas.
fn key(home: &Home, anvil: &Anvil, name: &str) -> String {
    let made = home.lota(&["wallet", "new", name, "--light"]).env("LOTA_PASSWORD", "long secret").assert().success();
    let address = String::from_utf8(made.get_output().stdout.clone()).expect("UTF-8").trim().to_owned();
    anvil.give(&address, 100 * FIL);
    address
}

struct World {
    home: Home,
    anvil: Anvil,
    market: Address,
    filecoin_pay: Address,
    /// Zero: the chain's coin.
    token: Address,
    deals: String,
    payer: String,
    provider: Address,
}

impl World {
    /// A market in coin, a stand-in of Filecoin Pay, and the contract; a payer with `wallet` of the token, if it is paid in one.
    fn begin(anvil: Anvil, wallet: Option<u128>) -> Self {
        let home = Home::new();
        rich_key(&home, &anvil);
        let payer = key(&home, &anvil, "payer");
        let provider = Address::repeat_byte(0x77);
        anvil.give(&provider.to_string(), 100 * FIL);
        let market = address(&deploy(&home, &anvil, &["--no-auction"]), "contract");
        let artifact: Value = serde_json::from_str(STAND_IN).expect("JSON");
        let code: Bytes = text(&artifact, "bytecode").parse().expect("bytecode");
        let mut world = Self {
            home,
            anvil,
            market,
            filecoin_pay: Address::ZERO,
            token: Address::ZERO,
            deals: String::new(),
            payer,
            provider,
        };
        world.filecoin_pay = world.create(&code);
        if let Some(wallet) = wallet {
            world.token = world.create(&token::test_dollar());
            world.send(world.provider, world.token, &token::mint(world.payer_address(), AttoFil(wallet)), 0);
        }
        world
    }

    fn payer_address(&self) -> Address {
        self.payer.parse().expect("an address")
    }

    /// Deploys the contract by the command line.
    fn deploy(&self, more: &[&str]) -> Said {
        let (market, filecoin_pay, token) =
            (self.market.to_string(), self.filecoin_pay.to_string(), self.token.to_string());
        let args = ["chain", "deploy-filecoin-pay-deals", "--rpc", &self.anvil.url, "--key", "trading", "--json"];
        let mut places = vec![("--beside", &*market), ("--filecoin-pay", &*filecoin_pay), ("--token", &*token)];
        places.retain(|(flag, _)| !more.contains(flag));
        let places: Vec<&str> = places.into_iter().flat_map(|(flag, place)| [flag, place]).collect();
        run(&self.home, &[&args[..], &places, more].concat())
    }

    /// A verb of `lota filecoin-pay` with this key.
    fn pay_by(&self, key: &str, args: &[&str]) -> Said {
        let place = ["--rpc", &self.anvil.url, "--filecoin-pay-deals", &self.deals, "--key", key, "--json"];
        run(&self.home, &[&["filecoin-pay"], args, &place].concat())
    }

    fn pay(&self, args: &[&str]) -> Said {
        self.pay_by("payer", args)
    }

    fn status_of(&self, account: &str) -> Value {
        let place = ["--rpc", &self.anvil.url, "--filecoin-pay-deals", &self.deals, "--json"];
        run(&self.home, &[&["filecoin-pay", "status", "--account", account], &place[..]].concat()).ok()
    }

    /// Funds, what is not locked, and what the contract may still lock.
    fn money(&self) -> [u128; 3] {
        let status = self.status_of(&self.payer);
        [&status["funds"], &status["available"], &status["approval"]["left"]]
            .map(|amount| amount.as_str().expect("text").parse().expect("a number"))
    }

    fn transact(&self, call: Value) -> Value {
        let hash = self.anvil.call("eth_sendTransaction", json!([call]));
        let receipt = self.anvil.call("eth_getTransactionReceipt", json!([hash]));
        assert_eq!(receipt["status"], "0x1", "{receipt:#}");
        receipt
    }

    /// Sends something from an account whose key nobody needs to have.
    fn send(&self, from: Address, to: Address, data: &Bytes, value: u128) -> Value {
        self.anvil.call("anvil_impersonateAccount", json!([from]));
        // Without an amount of gas Anvil estimates one for this second, and the next may take more.
        let value = format!("{value:#x}");
        self.transact(json!({ "from": from, "to": to, "data": data, "value": value, "gas": "0x1e8480" }))
    }

    fn create(&self, code: &Bytes) -> Address {
        self.anvil.call("anvil_impersonateAccount", json!([self.provider]));
        let receipt = self.transact(json!({ "from": self.provider, "data": code, "gas": "0x7a1200" }));
        address(&receipt, "contractAddress")
    }

    /// The order of a job, as the chain's log has it.
    fn order(&self, job: &str) -> Order {
        let logs = |contract: &str| {
            let filter = json!([{ "address": contract, "fromBlock": "0x0", "topics": [null, job] }]);
            let logs = self.anvil.call("eth_getLogs", filter);
            let topics = |log: &Value| -> Vec<B256> { serde_json::from_value(log["topics"].clone()).expect("topics") };
            let data = |log: &Value| -> Bytes { text(log, "data").parse().expect("data") };
            logs.as_array().expect("a list").iter().map(|log| (topics(log), data(log))).collect::<Vec<_>>()
        };
        let terms = logs(&self.market.to_string()).into_iter().find_map(|(topics, data)| {
            match bindings::decode(&topics, &data).expect("the market's") {
                model::Event::JobOpened { terms, .. } => Some(terms),
                _ => None,
            }
        });
        let opened = logs(&self.deals).into_iter().find_map(|(topics, data)| {
            match filecoin_pay_deals::decode(&topics, &data).expect("the contract's") {
                Event::OrderOpened { payer, provider, min_price, max_price, .. } => {
                    Some((payer, provider, min_price, max_price))
                }
                _ => None,
            }
        });
        let (payer, provider, min_price, max_price) = opened.expect("it was opened");
        Order { terms: terms.expect("it was opened"), payer, provider, min_price, max_price }
    }

    /// The provider takes an order, with its collateral.
    fn take(&self, job: &str) -> Order {
        let order = self.order(job);
        let data = filecoin_pay_deals::call_data(&Command::Take { order: order.clone() });
        self.send(self.provider, self.deals.parse().expect("an address"), &data, order.terms.collateral.0);
        order
    }

    fn submit(&self, order: &Order, exit_code: u32) {
        let result = JobResult { output: B256::repeat_byte(6), exit_code, ..JobResult::default() };
        let command = model::Command::SubmitResult { terms: order.terms.clone(), result };
        self.send(self.provider, self.market, &bindings::call_data(&command), 0);
    }

    fn pass(&self, seconds: u64) {
        self.anvil.call("evm_increaseTime", json!([seconds]));
        self.anvil.call("anvil_mine", json!(["0x1"]));
    }

    fn job_file(&self) -> String {
        self.home.file("job.json", spec::EXAMPLE).to_str().expect("UTF-8").to_owned()
    }
}

/// A running node; it ends with the test.
struct Node(Child);

impl Node {
    /// Starts one in a home, with what its settings say, and waits until it answers.
    fn start(home: &Home, world: &World, settings: &str, args: &[&str]) -> Self {
        std::fs::create_dir_all(home.path()).expect("a folder");
        std::fs::write(home.path().join("config.toml"), settings).expect("written");
        key(home, &world.anvil, "node");
        Self::again(home, world, args)
    }

    /// Starts one that ended, or was killed.
    fn again(home: &Home, world: &World, args: &[&str]) -> Self {
        let api = home.path().join("api.json");
        // A node that was killed leaves it.
        let _ = std::fs::remove_file(&api);
        let market = world.market.to_string();
        let place = ["node", "run", "--key", "node", "--rpc", &world.anvil.url, "--contract", &market];
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin("lota"));
        command.args([&place[..], args].concat()).env("LOTA_HOME", home.path()).env("LOTA_PASSWORD", "long secret");
        command.env("LOTA_NODE_LISTEN", "127.0.0.1:0").env("LOTA_NODE_GATEWAY", "127.0.0.1:0");
        let path = home.path().join("node.log");
        let log = std::fs::File::options().create(true).append(true).open(&path).expect("a file");
        let mut node = Self(command.stdout(Stdio::null()).stderr(log).spawn().expect("it starts"));
        let begun = Instant::now();
        while !api.exists() {
            let log = || std::fs::read_to_string(&path).unwrap_or_default();
            if let Some(status) = node.0.try_wait().expect("a child") {
                panic!("the node ended with {status}: {}", log());
            }
            assert!(begun.elapsed() < PATIENCE, "the node does not start: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
        node
    }

    /// As `kill -9` does.
    fn kill(mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it ends");
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_node_takes_an_order_for_a_file_of_this_machine_and_is_paid() {
    let Some(anvil) = Anvil::with_blocks(31_337) else { return };
    let mut world = World::begin(anvil, None);
    let deployed = world.deploy(&[]).ok();
    text(&deployed, "contract").clone_into(&mut world.deals);
    world.pay(&["approve", "2 FIL"]).ok();
    world.pay(&["deposit", "1 FIL"]).ok();
    let provider_home = Home::new();
    let settings = format!("[node.filecoin_pay]\ncontract = \"{}\"\n", world.deals);
    let provider = Node::start(&provider_home, &world, &settings, &[]);
    let client = Node::start(&world.home, &world, "", &["--client-only"]);
    let parties = |text: &str| {
        let shown: Value = serde_json::from_str(text).expect("JSON");
        shown["parties"].as_array().map(Vec::len) == Some(2)
    };
    // Both have said where they serve content.
    world.home.wait_for(&["node", "show", "--json"], parties);
    let module = world.home.file("hello.wasm", crate::modules::hello());
    let module = module.to_str().expect("UTF-8");
    // Taken and done in time on however slow a machine, also one that was measured while others kept it busy.
    let limits = ["--fuel", "100M", "--lock-for", "10h", "--run-for", "10h"];
    let shown = world.pay(&[&["order", module, "--max-price", "0.2 FIL", "--wait"], &limits[..]].concat()).ok();
    assert_eq!((&shown["status"], &shown["exit_code"]), (&json!("settled"), &json!(0)), "{shown:#}");
    assert_eq!(text(&shown, "price"), (FIL / 5).to_string(), "its price was fixed");
    let stdout = format!("{}/stdout", text(&shown, "output"));
    assert_eq!(world.home.stdout(&["content", "cat", &stdout]), "hello\n");

    let account = text(&provider_home.json(&["node", "show", "--json"])["node"], "party").to_owned();
    // The provider collects what is due by itself, and takes it out of Filecoin Pay.
    let job = text(&shown, "job");
    let net = (FIL / 5 - FIL / 1_000).to_string();
    let order = |text: &str| serde_json::from_str::<Value>(text).expect("JSON")["order"].clone();
    let told =
        provider_home.wait_for(&["job", "describe", job, "--json"], |text| order(text)["stage"] == json!("collected"));
    let told = order(&told);
    assert_eq!((text(&told, "gross"), text(&told, "net"), text(&told, "rail")), (&*(FIL / 5).to_string(), &*net, "1"));
    let described = provider_home.stdout(&["job", "describe", job]);
    for part in ["0.2 FIL over Filecoin Pay", "collected on rail 1 at ", "0.199 FIL"] {
        assert!(described.contains(part), "{part} is not in {described}");
    }
    let listed = provider_home.stdout(&["job", "list", "--all"]);
    assert!(listed.contains("0.2 FIL"), "{listed}");
    let shown = provider_home.stdout(&["node", "show"]);
    assert!(shown.contains("Orders paid over Filecoin Pay") && shown.contains("0.199 FIL"), "{shown}");
    assert!(provider_home.stdout(&["wallet", "show"]).contains("at Filecoin Pay"));
    assert_eq!(world.pay(&["pay", "--account", &account]).ok()["paid"], json!([]), "nothing is left for others");
    drop(provider);
    // The contract is the one that its node's settings name.
    let place = ["--rpc", &world.anvil.url, "--key", "node", "--json"];
    let by_provider = |args: &[&str]| run(&provider_home, &[&["filecoin-pay"], args, &place].concat());
    let left = by_provider(&["withdraw", "0.199 FIL"]).ok();
    assert_eq!(text(&left, "funds"), "0");
    assert_eq!(world.money(), [FIL * 4 / 5, FIL * 4 / 5, FIL * 9 / 5]);
    drop(client);
}

/// A token's amount, in millionths.
const USD: u128 = 1_000_000;

#[test]
fn jobs_are_paid_from_a_filecoin_pay_account() {
    let Some(anvil) = Anvil::start(31_337) else { return };
    let mut world = World::begin(anvil, Some(20 * USD));
    let nobody = "0x00000000000000000000000000000000000000aa";
    let market = world.market.to_string();
    for (more, part) in [
        (&["--callback-gas", "0"][..], "0 gas, and this market promises callbacks from 1 to 5000000"),
        (&["--callback-gas", "5000001"], "5000001 gas"),
        (&["--grace", "366d"], "longer than a year"),
        (&["--epoch-seconds", "0"], "an epoch of 0 s"),
        (&["--filecoin-pay", nobody], "where Filecoin Pay should be"),
        (&["--filecoin-pay", &market], "does not answer as Filecoin Pay"),
        (&["--token", nobody], "where the token should be"),
        (&["--token", &market], "does not say how many decimals"),
        (&["--beside", nobody], "there is no contract at"),
    ] {
        world.deploy(more).fails(1, &[part]);
    }
    let deployed = world.deploy(&[]).ok();
    assert_eq!((&deployed["unit"]["symbol"], &deployed["callback_gas"]), (&json!("tUSD"), &json!(100_000)));
    assert_eq!((&deployed["grace"], &deployed["epoch_seconds"]), (&json!(30 * 86_400), &json!(1)));
    text(&deployed, "contract").clone_into(&mut world.deals);
    let file = world.job_file();

    // What stands in the way is said before anything is sent.
    let order = ["order", &file, "--max-price", "0.3 tUSD", "--run-for", "600"];
    world.pay(&order).fails(1, &["not approved", "has 0 tUSD that are not locked", "--anyway"]);
    world.pay(&["order", &file]).fails(2, &["--max-price"]);
    world.pay(&["order", &file, "--max-price", "1 FIL"]).fails(2, &["is not an amount of tUSD"]);
    world.pay(&["order", &file, "--max-price", "1", "--min-price", "2"]).fails(2, &["swap"]);
    world.pay(&["order", &file, "--max-price", "1", "--memory", "1 GiB"]).fails(2, &["a limit goes with a module"]);
    world.pay(&["order", "no-such.json", "--max-price", "1"]).fails(2, &["no file or folder"]);
    world.pay(&["order", &file, "--max-price", "1", "--provider", &world.payer]).fails(2, &["is yourself"]);
    world.pay(&["deposit", "0"]).fails(2, &["nothing would be deposited"]);
    world.pay(&["deposit", "21 tUSD"]).fails(1, &["has 20 tUSD", "21 tUSD"]);
    world.pay(&["withdraw", "1 tUSD"]).fails(1, &["has 0 tUSD that are not locked"]);
    world.pay(&["claim"]).fails(1, &["is owed nothing"]);
    let bare = ["filecoin-pay", "claim", "--key", "payer", "--json"];
    run(&world.home, &bare).fails(2, &["--rpc, or with the setting node.rpc"]);
    run(&world.home, &[&bare[..], &["--rpc", &world.anvil.url]].concat()).fails(2, &["node.filecoin_pay.contract"]);
    assert_eq!(world.pay(&["pay"]).ok()["paid"], json!([]), "nothing is due");
    world.pay(&["pay", "7"]).fails(2, &["rail 7 is none of this contract's"]);

    world.pay(&["approve", "2 tUSD", "--period", "1000"]).ok();
    world.pay(&["deposit", "5 tUSD"]).ok();
    let short = ["--period", "2592601"];
    world.pay(&order).fails(1, &["for 1000 blocks, and this job needs 2592601", &short.join(" ")]);
    world.pay(&[&["approve", "0.2 tUSD"], &short[..]].concat()).ok();
    world.pay(&order).fails(1, &["may lock 0.2 tUSD more", "at least '0.3 tUSD'"]);
    let approved = world.pay(&["approve", "10 tUSD"]).ok();
    assert_eq!(text(&approved, "allowance"), (10 * USD).to_string());
    assert_eq!(text(&approved, "max_lockup_period"), (37 * 86_400 + 1).to_string());
    world.pay(&["withdraw", "1 tUSD"]).ok();
    assert_eq!(world.money(), [4 * USD, 4 * USD, 10 * USD]);
    assert_eq!(text(&world.status_of(&world.payer), "wallet"), (16 * USD).to_string());

    // An order is taken, done and paid for.
    let opened = world.pay(&order).ok();
    assert_eq!((text(&opened, "max_price"), text(&opened, "min_price")), ("300000", "300000"));
    let job = text(&opened, "job").to_owned();
    assert_eq!(world.money(), [4 * USD, 4 * USD, 10 * USD], "an open order binds no money");
    world.pay_by("trading", &["cancel", &job]).fails(1, &["only it may take it back"]);
    world.pay(&["expire", &job]).fails(1, &["can be taken for"]);
    let taken = world.take(&job);
    assert_eq!(taken.terms.salt >> 64, U256::from_be_slice(world.payer_address().as_slice()));
    assert_eq!(world.money(), [4 * USD, 3_700_000, 9_700_000]);
    world.pay(&["cancel", &job]).fails(1, &["has taken job", "filecoin-pay wait"]);
    world.pay(&["withdraw", "3.8 tUSD"]).fails(1, &["has 3.7 tUSD that are not locked"]);
    world.submit(&taken, 3);
    let ended = world.pay_by_nobody(&["wait", &job]).ok();
    assert_eq!((&ended["status"], &ended["exit_code"]), (&json!("settled"), &json!(3)));
    assert_eq!((&ended["price"], &ended["rail"], &ended["is_due"]), (&json!("300000"), &json!("1"), &json!(true)));
    assert!(text(&ended, "output").starts_with("bafy"), "{ended:#}");
    let rail = world.status_of(&world.provider.to_string())["rails"][0].clone();
    assert_eq!((text(&rail, "promised"), text(&rail, "due"), text(&rail, "locked")), ("300000", "300000", "300000"));
    assert_eq!(world.status_of(nobody)["rails"], json!([]), "it is on no rail");
    let paid = world.pay(&["pay"]).ok();
    assert_eq!(paid["paid"], json!([{ "rail": "1", "gross": "300000", "fee": "1500", "net": "298500" }]));
    assert_eq!(world.pay(&["pay"]).ok()["paid"], json!([]));
    assert_eq!(text(&world.status_of(&world.provider.to_string()), "funds"), "298500");
    assert_eq!(world.money(), [3_700_000, 3_700_000, 9_700_000]);

    // One that nobody takes is taken back, once.
    let job = text(&world.pay(&order).ok(), "job").to_owned();
    world.pay(&["cancel", &job]).ok();
    world.pay(&["cancel", &job]).fails(1, &["has ended (cancelled)"]);
    let ended = world.pay_by_nobody(&["wait", &job]);
    ended.fails_after_printing("cancelled");

    // A provider that gives no result loses its collateral, and the payer gets its money back.
    let job = text(&world.pay(&[&order[..], &["--collateral", "2 FIL"]].concat()).ok(), "job").to_owned();
    world.take(&job);
    assert_eq!(world.money(), [3_700_000, 3_400_000, 9_400_000]);
    world.pay(&["expire", &job]).fails(1, &["can get its result for"]);
    world.pass(601);
    world.pay_by_nobody(&["wait", &job]).fails(1, &["got no result in time", "filecoin-pay expire"]);
    world.pay_by("trading", &["expire", &job]).ok();
    let status = world.status_of(&world.payer);
    assert_eq!((text(&status, "owed"), text(&status["rails"][0], "promised")), (&*FIL.to_string(), "0"));
    assert_eq!(text(&status["rails"][0], "locked"), "300000", "it is idle until somebody releases it");
    assert_eq!(text(&world.pay(&["release", "1"]).ok(), "released"), "300000");
    world.pay(&["release", "1"]).fails(1, &["nothing to release"]);
    assert_eq!(world.money(), [3_700_000, 3_700_000, 9_700_000]);
    let heir = "0x00000000000000000000000000000000000000bb";
    assert_eq!(text(&world.pay(&["claim", "--to", heir]).ok(), "amount"), FIL.to_string());
    assert_eq!(world.anvil.call("eth_getBalance", json!([heir, "latest"])), format!("{FIL:#x}"));

    // A rail that its payer terminated is made anew when it says so.
    let terminate = filecoin_pay::terminate_rail(U256::ONE);
    world.send(world.payer_address(), world.filecoin_pay, &terminate, 0);
    let provider = world.provider.to_string();
    let directed = [&order[..], &["--provider", &provider]].concat();
    world.pay(&directed).fails(1, &["you terminated rail 1", "filecoin-pay renew"]);
    world.pay(&["renew", &provider]).ok();
    let job = text(&world.pay(&directed).ok(), "job").to_owned();
    let taken = world.take(&job);
    world.submit(&taken, 0);
    // By anybody, by number.
    let paid = world.pay_by("trading", &["pay", "2", "2"]).ok();
    assert_eq!(paid["paid"], json!([{ "rail": "2", "gross": "300000", "fee": "1500", "net": "298500" }]));
    assert_eq!(text(&world.status_of(&provider), "funds"), "597000");
    assert_eq!(world.money(), [3_400_000, 3_400_000, 9_400_000]);
    world.pay(&["approve", "0"]).ok();
    world.pay(&order).fails(1, &["not approved"]);
    world.pay(&[&order[..], &["--anyway"]].concat()).ok();
}

impl World {
    /// A verb that needs no key.
    fn pay_by_nobody(&self, args: &[&str]) -> Ended {
        let place = ["--rpc", &self.anvil.url, "--filecoin-pay-deals", &self.deals, "--json"];
        let output = self.home.lota(&[&["filecoin-pay"], args, &place].concat()).output().expect("it runs");
        Ended {
            exit: output.status.code().expect("no signal"),
            printed: serde_json::from_slice(&output.stdout).ok(),
            told: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// What a verb that waits came to: it prints how a job ended, whichever way.
struct Ended {
    exit: i32,
    printed: Option<Value>,
    told: String,
}

impl Ended {
    #[track_caller]
    fn ok(self) -> Value {
        assert_eq!(self.exit, 0, "{}", self.told);
        self.printed.expect("JSON")
    }

    #[track_caller]
    fn fails(self, exit: i32, parts: &[&str]) {
        assert!(self.exit == exit && self.printed.is_none(), "exit code {}: {:?}", self.exit, self.printed);
        assert!(parts.iter().all(|part| self.told.contains(part)), "{}", self.told);
        assert_eq!(self.told.lines().filter(|line| line.starts_with("error: ")).count(), 1, "{}", self.told);
    }

    #[track_caller]
    fn fails_after_printing(self, status: &str) {
        assert_eq!(self.exit, 1, "{}", self.told);
        assert_eq!(self.printed.expect("JSON")["status"], status);
    }
}

/// Waits until a process that runs has said a line.
fn job_of(child: &mut Child) -> String {
    use std::io::{BufRead as _, BufReader};
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    let line =
        lines.by_ref().map(|line| line.expect("text")).find_map(|line| line.strip_prefix("job ").map(str::to_owned));
    std::thread::spawn(move || lines.for_each(drop));
    line.expect("it says which job it opened")
}

#[test]
fn an_order_in_coin_is_waited_for() {
    let Some(anvil) = Anvil::with_blocks(31_337) else { return };
    let mut world = World::begin(anvil, None);
    let deployed = world.deploy(&["--grace", "1h"]).ok();
    assert_eq!(deployed["unit"]["symbol"], "FIL");
    text(&deployed, "contract").clone_into(&mut world.deals);
    world.pay(&["approve", "2 FIL"]).ok();
    world.pay(&["deposit", "1 FIL"]).ok();
    let file = world.job_file();
    let args = ["filecoin-pay", "order", &file, "--max-price", "0.5 FIL", "--min-price", "0.1 FIL", "--wait"];
    let place = ["--rpc", &world.anvil.url, "--filecoin-pay-deals", &world.deals, "--key", "payer", "--json"];
    let mut order = std::process::Command::new(assert_cmd::cargo::cargo_bin("lota"));
    order.args([&args[..], &place].concat()).env("LOTA_HOME", world.home.path()).env("LOTA_PASSWORD", "long secret");
    let mut order = order.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    let job = job_of(&mut order);
    let taken = world.take(&job);
    world.submit(&taken, 7);
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = order.try_wait().expect("it runs") {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            let _ = order.kill();
            panic!("it waits although the job has ended");
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(status.code(), Some(7), "the job's own exit code");
    let shown: Value = serde_json::from_reader(order.stdout.take().expect("piped")).expect("JSON");
    let price: u128 = text(&shown, "price").parse().expect("a number");
    assert!((FIL / 10..FIL / 2).contains(&price), "it was taken while the price rose: {price}");
    let paid = world.pay(&["pay"]).ok();
    let fee = price.div_ceil(200);
    assert_eq!(paid["paid"][0]["net"], (price - fee).to_string());
    assert_eq!(world.money(), [FIL - price, FIL - price, 2 * FIL - price]);

    // Files of this machine need a node on this market.
    let module = world.home.file("hello.wasm", crate::modules::hello());
    let module = module.to_str().expect("UTF-8");
    world.pay(&["order", module, "--max-price", "0.1 FIL"]).fails(1, &["given to providers by your node"]);
}
