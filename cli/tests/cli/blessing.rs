//! Notaries, nominators and providers without a page: `lota blessing` on a chain.

use lota_bridge::{
    MarketRef, eip712,
    evm::{
        bindings,
        filecoin_pay::{self, Approval},
    },
};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    model::{Command, JobResult, Settings, Terms},
};
use serde_json::{Value, json};

use crate::{
    anvil::Anvil,
    chain::{deploy, rich_key},
    support::Home,
};

const FIL: u128 = 1_000_000_000_000_000_000;
const GIB_32: &str = "34359738368";
/// A piece CID of version 1: it says no size.
const PIECE: &str = "baga6ea4seaqao7s73y24kcutaosvacpdjgfe5pw76ooefnyqw4ynr3d2y6x2mpq";

struct World {
    home: Home,
    anvil: Anvil,
    market: Address,
    blessing: String,
    granter: String,
    notaries: Vec<String>,
    provider: String,
}

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
    assert!(output.stdout.is_empty(), "stdout is for results");
    let errors: Vec<_> = told.lines().filter_map(|line| line.strip_prefix("error: ")).collect();
    let [line] = errors[..] else { panic!("not one line: {told}") };
    Said(Err((output.status.code().expect("no signal"), line.to_owned())))
}

/// A light key with money.
fn key(home: &Home, anvil: &Anvil, name: &str) -> String {
    let made = home.lota(&["wallet", "new", name, "--light"]).env("LOTA_PASSWORD", "long secret").assert().success();
    let address = String::from_utf8(made.get_output().stdout.clone()).expect("UTF-8").trim().to_owned();
    anvil.give(&address, 100 * FIL);
    address
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of[name].as_str().unwrap_or_else(|| panic!("no {name} in {of:#}"))
}

impl World {
    /// A market, a blessing of three notaries of whom two decide, and a granter that nobody has admitted.
    fn begin() -> Option<Self> {
        let anvil = Anvil::start(31_337)?;
        let home = Home::new();
        rich_key(&home, &anvil);
        let market = text(&deploy(&home, &anvil, &["--no-auction"]), "contract").to_owned();
        let notaries: Vec<_> = ["one", "two", "three"].map(|name| key(&home, &anvil, name)).to_vec();
        let provider = key(&home, &anvil, "provider");
        let list = notaries.join(",");
        let common = ["--rpc", &anvil.url, "--key", "trading", "--json"];
        let args = ["chain", "deploy-blessing", "--beside", &market, "--notaries", &list, "--revoke-for", "20s"];
        run(&home, &[&args[..], &common, &["--quorum", "4"]].concat()).fails(1, &["quorum must be from 1"]);
        let too_long = [&args[..], &common, &["--quorum", "2", "--vote-for", "366d"]].concat();
        run(&home, &too_long).fails(1, &["365 days"]);
        let deployed = run(&home, &[&args[..], &common, &["--quorum", "2"]].concat()).ok();
        assert_eq!(deployed["settings"]["revoke_for"], 20);
        assert_eq!(deployed["settings"]["deposit"], FIL.to_string());
        let blessing = text(&deployed, "contract").to_owned();
        let beside = ["chain", "deploy-granter", "request-only", "--blessing"];
        run(&home, &[&beside[..], &[&market], &common].concat()).fails(1, &["is another", "not Blessing's"]);
        let deployed = run(&home, &[&beside[..], &[&blessing], &common].concat()).ok();
        assert_eq!(deployed["kind"], "RequestOnlyGranter");
        let granter = text(&deployed, "contract").to_owned();
        let bonus = ["chain", "deploy-granter", "bonus", "--blessing", &blessing, "--per-job", "1 FIL"];
        run(&home, &[&bonus[..], &common].concat()).fails(2, &["bonus needs --per-provider"]);
        let market = market.parse().expect("an address");
        Some(Self { home, anvil, market, blessing, granter, notaries, provider })
    }

    /// A verb of `lota blessing` with this key.
    fn bless(&self, key: &str, args: &[&str]) -> Said {
        let place = ["--rpc", &self.anvil.url, "--blessing", &self.blessing, "--key", key];
        let format: &[&str] = if args[0] == "ballot" { &[] } else { &["--json"] };
        run(&self.home, &[&["blessing"], args, &place, format].concat())
    }

    fn show(&self, args: &[&str]) -> Value {
        let place = ["--rpc", &self.anvil.url, "--blessing", &self.blessing, "--json"];
        run(&self.home, &[&["blessing", "show"], args, &place].concat()).ok()
    }

    /// Writes what a command printed to a file.
    fn keep(&self, name: &str, printed: &Value) -> String {
        self.home.file(name, printed.to_string()).to_str().expect("UTF-8").to_owned()
    }

    /// Sends a command to the market from an account whose key nobody needs to have.
    fn send(&self, from: Address, command: &Command, value: u128) {
        self.anvil.call("anvil_impersonateAccount", json!([from]));
        let data = bindings::call_data(command);
        // Without an amount of gas Anvil estimates one for this second, and the next may take more.
        let value = format!("{value:#x}");
        let call = json!([{ "from": from, "to": self.market, "data": data, "value": value, "gas": "0xf4240" }]);
        let hash = self.anvil.call("eth_sendTransaction", call);
        let receipt = self.anvil.call("eth_getTransactionReceipt", json!([hash]));
        assert_eq!(receipt["status"], "0x1", "{command:?}");
    }

    /// A job that the provider ran and was paid for; its id.
    fn settled_job(&self, keep_record: bool) -> String {
        let (client, provider) = (Address::repeat_byte(0x11), self.provider.parse().expect("an address"));
        self.anvil.give(&client.to_string(), 10 * FIL);
        let block = self.anvil.call("eth_getBlockByNumber", json!(["latest", false]));
        let now = u64::from_str_radix(&text(&block, "timestamp")[2..], 16).expect("a number");
        let terms = Terms {
            client,
            salt: U256::from(u8::from(keep_record)),
            spec: B256::repeat_byte(5),
            spec_codec: 0x71,
            min_price: AttoFil(FIL),
            max_price: AttoFil(FIL),
            ramp_start: Time(now),
            ramp_period: 1,
            lock_by: Time(now + 3_600),
            run_for: 600,
            review_for: 0,
            rule_for: 0,
            collateral: AttoFil(FIL),
            matcher: Address::ZERO,
            arbiter: Address::ZERO,
            callback_gas: 0,
            keep_record,
        };
        let result = JobResult { output: B256::repeat_byte(6), ..JobResult::default() };
        self.send(client, &Command::Deposit { account: client }, FIL);
        self.send(client, &Command::Open { terms: terms.clone(), spec: Bytes::new() }, 0);
        self.send(provider, &Command::Deposit { account: provider }, FIL);
        self.send(provider, &Command::Lock { terms: terms.clone() }, 0);
        self.send(provider, &Command::SubmitResult { terms: terms.clone(), result }, 0);
        let market = MarketRef { chain_id: 31_337, contract: self.market, settings: Settings::COIN };
        eip712::job_id(&market, &terms).to_string()
    }

    /// Two notaries sign, and somebody sends their ballots.
    fn admit(&self) {
        let most = ["--per-job", "32 GiB", "--per-provider", "64 GiB", "--per-period", "64 GiB"];
        let set = [&["ballot", "set-granter", "--granter", &self.granter], &most[..]].concat();
        self.bless("trading", &set).fails(1, &["is not a notary"]);
        let wrong = [&set[..3], &[&self.granter], &["--per-job", "2", "--per-provider", "1", "--per-period", "3"]];
        self.bless("one", &wrong.concat()).fails(2, &["not in order"]);
        let one = self.keep("one.json", &self.bless("one", &set).ok());
        self.bless("trading", &["decide", &one]).fails(1, &["fewer than the quorum of 2"]);
        self.bless("trading", &["decide", &one, &one]).fails(1, &["two ballots are"]);
        // Another who signs for another time signs something else.
        let later = [&set[..], &["--valid-for", "30d"]].concat();
        let other = self.keep("other.json", &self.bless("two", &later).ok());
        self.bless("trading", &["decide", &one, &other]).fails(1, &["different things", "ballot like"]);
        let like = self.keep("like.json", &self.bless("two", &["ballot", "like", &one]).ok());
        let decided = self.bless("trading", &["decide", &one, &like]).ok();
        assert_eq!((&decided["decision"], &decided["version"]), (&json!(0), &json!(1)));
        self.bless("trading", &["decide", &one, &like]).fails(1, &["is for decision 0, and the next one is 1"]);
    }

    fn pass(&self, seconds: u64) {
        self.anvil.call("evm_increaseTime", json!([seconds]));
        self.anvil.call("anvil_mine", json!(["0x1"]));
    }
}

#[test]
fn a_job_is_nominated_voted_on_and_granted_from_the_command_line() {
    let Some(world) = World::begin() else { return };
    world.admit();
    let shown = world.show(&["--provider", &world.provider]);
    assert_eq!((&shown["quorum"], &shown["decision"]), (&json!(2), &json!(1)));
    let granter = &shown["granters"][0];
    assert_eq!(text(granter, "kind"), "RequestOnlyGranter");
    assert_eq!((text(granter, "per_job"), text(granter, "left")), (GIB_32, "68719476736"));
    assert!(granter["registration"].is_null());

    // The provider says to whom is granted, and what its clients get.
    let register = ["register", "--granter", &world.granter, "--recipient"];
    world.bless("provider", &[&register[..], &["f1aaaa"]].concat()).fails(2, &["--recipient f1aaaa is no address"]);
    // 10^-2 FIL for a GiB; at most a quarter.
    let share = ["--share-rate", "9313225746154785156250000", "--max-share", "0.25 FIL"];
    world.bless("provider", &[&register[..], &["f0127"], &share].concat()).ok();
    world.bless("provider", &["fund", "1 FIL"]).ok();
    let set = world.bless("provider", &["set-aside", "0.75 FIL"]).ok();
    assert_eq!((text(&set, "balance"), text(&set, "set_aside")), ("250000000000000000", "750000000000000000"));
    world.bless("provider", &["set-aside", "0.75 FIL"]).fails(1, &["0.25 FIL", "0.75 FIL"]);
    let back = world.bless("provider", &["take-back", "0.25 FIL"]).ok();
    assert_eq!(text(&back, "set_aside"), "500000000000000000");

    let forgotten = world.settled_job(false);
    let job = world.settled_job(true);
    let nominate = |job: &str, more: &[&str]| {
        let args = ["nominate", job, "--granter", &world.granter, "--amount", "32 GiB", "--piece", PIECE];
        world.bless("trading", &[&args[..], more].concat())
    };
    nominate(&job, &[]).fails(2, &["--piece-size"]);
    let sized = ["--piece-size", "1GiB", "--bounty", "0.5 FIL"];
    nominate(&job, &sized).fails(1, &["0 FIL", "1.5 FIL", "--fund"]);
    nominate(&forgotten, &sized).fails(2, &["opened without keepRecord", "--bless"]);
    nominate(&B256::repeat_byte(1).to_string(), &sized).fails(1, &["no such job", "--from-block"]);
    let nominated = nominate(&job, &[&sized[..], &["--fund"]].concat()).ok();
    assert_eq!((&nominated["round"], text(&nominated, "amount")), (&json!(1), GIB_32));
    assert_eq!(text(&nominated, "share"), "250000000000000000", "the most that the provider gives");
    nominate(&job, &[&sized[..], &["--fund"]].concat()).fails(1, &["round 1 of job"]);

    // One notary sends its vote, another only signs it.
    let vote = ["vote", &job, "approve", "--reasons", "it is what it says"];
    world.bless("trading", &vote).fails(1, &["is not a notary"]);
    world.bless("one", &["vote", &job, "approve", "--reasons", " "]).fails(2, &["the reasons are empty"]);
    let cast = world.bless("one", &vote).ok();
    assert!(cast["decided"].is_null());
    // Of sha256sum.
    assert_eq!(text(&cast, "reasons"), "0x55b6f2cb8128a16e5567b9b2177896c531e7ccc63c52e66e1d06973302dda5e1");
    world.bless("one", &vote).fails(1, &["has voted"]);
    let signed = world.bless("two", &[&vote[..], &["--sign-only"]].concat()).ok();
    assert_eq!(text(&signed, "reasons"), text(&cast, "reasons"), "the same text, the same digest");
    let mut forged = signed.clone();
    forged["choice"] = json!("reject");
    let forged = world.keep("forged.json", &forged);
    world.bless("trading", &["relay", &forged]).fails(1, &["signature"]);
    let file = world.keep("vote.json", &signed);
    let relayed = world.bless("trading", &["relay", &file]).ok();
    assert_eq!(text(&relayed, "decided"), "blessed");

    world.bless("trading", &["grant", &job]).fails(1, &["the blessing refuses"]);
    world.bless("trading", &["expire", &job]).fails(1, &["the blessing refuses"]);
    world.pass(30);
    let granted = world.bless("trading", &["grant", &job]).ok();
    assert_eq!((text(&granted, "amount"), text(&granted, "to_client")), (GIB_32, "750000000000000000"));
    world.bless("trading", &["expire", &job]).fails(1, &["was granted"]);

    let shown = world.show(&["--job", &job]);
    assert_eq!(text(&shown, "phase"), "granted");
    let votes = shown["votes"].as_array().expect("a list");
    let voters: Vec<_> = votes.iter().map(|vote| text(vote, "notary").to_lowercase()).collect();
    assert_eq!(voters, [world.notaries[0].to_lowercase(), world.notaries[1].to_lowercase()]);
    let shown = world.show(&["--provider", &world.provider]);
    let granter = &shown["granters"][0];
    assert_eq!((text(granter, "left"), text(granter, "left_for_provider")), (GIB_32, GIB_32));
    assert_eq!(text(&granter["registration"], "recipient_text"), "f0127");
    assert_eq!(text(&shown["provider"], "set_aside"), "250000000000000000");
    let people = world.home.stdout(&["blessing", "show", "--rpc", &world.anvil.url, "--blessing", &world.blessing]);
    for part in ["2 of 3", "RequestOnlyGranter", GIB_32, "1 FIL"] {
        assert!(people.contains(part), "{part} is not in\n{people}");
    }

    // The deposit came back.
    let withdrawn = world.bless("trading", &["withdraw", "1 FIL", "--to", &world.notaries[2]]).ok();
    assert_eq!(text(&withdrawn, "balance"), "0");
    world.bless("provider", &["unregister", "--granter", &world.granter]).ok();
    assert!(world.show(&["--provider", &world.provider])["granters"][0]["registration"].is_null());
}

#[test]
fn notaries_change_themselves_by_ballots_and_what_is_wrong_is_said_in_one_line() {
    let Some(world) = World::begin() else { return };
    let [_, two, three] = &world.notaries[..] else { panic!("three") };
    let list = [two.as_str(), three].join(",");
    let set = ["ballot", "set-notaries", "--notaries", &list, "--quorum"];
    world.bless("one", &[&set[..], &["3"]].concat()).fails(2, &["quorum"]);
    let first = world.keep("first.json", &world.bless("one", &[&set[..], &["1"]].concat()).ok());
    let second = world.keep("second.json", &world.bless("three", &["ballot", "like", &first]).ok());
    let decided = world.bless("provider", &["decide", &first, &second]).ok();
    assert_eq!(decided["version"], 2);
    let shown = world.show(&[]);
    assert_eq!((&shown["quorum"], &shown["decision"]), (&json!(1), &json!(1)));
    assert_eq!(shown["notaries"].as_array().expect("a list").len(), 2);
    // The first one was voted out.
    world.bless("one", &[&set[..], &["1"]].concat()).fails(1, &["is not a notary"]);

    let nothing = world.keep("nothing.json", &json!({ "chain_id": 1 }));
    world.bless("trading", &["decide", &nothing]).fails(1, &["nothing.json is no signed ballot"]);
    world.bless("trading", &["decide", "absent.json"]).fails(1, &["cannot read absent.json"]);
    world
        .bless("trading", &["vote", &B256::ZERO.to_string(), "approve", "--reasons", "x"])
        .fails(1, &["was never nominated"]);
    world.bless("trading", &["withdraw", "1 FIL"]).fails(1, &["the blessing refuses"]);
    world.bless("trading", &["fund", "1 USD"]).fails(2, &["USD"]);
    let nowhere = Address::repeat_byte(0xaa).to_string();
    let place = ["--rpc", &world.anvil.url, "--blessing"];
    run(&world.home, &[&["blessing", "show"], &place[..], &[&nowhere]].concat()).fails(1, &["there is no contract"]);
}

#[test]
fn a_job_is_named_in_full() {
    let home = Home::new();
    let args = ["blessing", "grant", "0x1f", "--rpc", "http://127.0.0.1:1", "--blessing"];
    let nowhere = Address::repeat_byte(0xaa).to_string();
    let run = home.lota(&[&args[..], &[&nowhere, "--key", "k"]].concat()).assert().code(2);
    let told = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(told.contains("64 hex digits"), "{told}");
}

impl World {
    fn transact(&self, from: Address, to: Option<Address>, data: &Bytes, value: u128) -> Value {
        self.anvil.call("anvil_impersonateAccount", json!([from]));
        let mut call = json!({ "from": from, "data": data, "value": format!("{value:#x}"), "gas": "0x4c4b40" });
        if let Some(to) = to {
            call["to"] = json!(to);
        }
        let hash = self.anvil.call("eth_sendTransaction", json!([call]));
        let receipt = self.anvil.call("eth_getTransactionReceipt", json!([hash]));
        assert_eq!(receipt["status"], "0x1", "{receipt:#}");
        receipt
    }

    /// What an account has at Filecoin Pay, in attoFIL.
    fn at_filecoin_pay(&self, filecoin_pay: Address, account: &str) -> U256 {
        let view = filecoin_pay::account(Address::ZERO, account.parse().expect("an address"));
        let data = self.anvil.call("eth_call", json!([{ "to": filecoin_pay, "data": view.data }, "latest"]));
        let data: Bytes = serde_json::from_value(data).expect("bytes");
        view.read(&data).expect("an account").funds
    }

    /// A granter over Filecoin Pay that was admitted, and for which the provider is registered.
    fn with_filecoin_pay(&mut self, filecoin_pay: Address, sponsor: Address) {
        let (at, payer) = (filecoin_pay.to_string(), sponsor.to_string());
        let args = ["chain", "deploy-granter", "--rpc", &self.anvil.url, "--key", "trading", "--json", "--blessing"];
        let args = [&args[..], &[&self.blessing]].concat();
        // Which one it is need not be said; where Filecoin Pay is, where nobody knows.
        run(&self.home, &args).fails(2, &["--sponsor"]);
        let sponsored = [&args[..], &["--sponsor", &payer]].concat();
        run(&self.home, &sponsored).fails(2, &["--filecoin-pay", "development", "bonus"]);
        let nowhere = Address::repeat_byte(0xaa).to_string();
        run(&self.home, &[&sponsored[..], &["--filecoin-pay", &nowhere]].concat()).fails(1, &["there is no contract"]);
        run(&self.home, &[&sponsored[..], &["--filecoin-pay", &self.blessing]].concat())
            .fails(1, &["does not answer as Filecoin Pay"]);
        let deployed = run(&self.home, &[&sponsored[..], &["--filecoin-pay", &at]].concat()).ok();
        assert_eq!(deployed["kind"], "FilecoinPayGranter");
        self.granter = text(&deployed, "contract").to_owned();
        let approval = Approval {
            is_approved: true,
            lockup_allowance: U256::MAX,
            max_lockup_period: text(&deployed, "lockup_period").parse().expect("a number"),
            ..Approval::default()
        };
        let granter = self.granter.parse().expect("an address");
        let approve = filecoin_pay::set_operator_approval(Address::ZERO, granter, &approval);
        self.transact(sponsor, Some(filecoin_pay), &approve, 0);
        let deposit = filecoin_pay::deposit(Address::ZERO, sponsor, U256::from(FIL));
        self.transact(sponsor, Some(filecoin_pay), &deposit, FIL);
        let most = ["--per-job", "1 FIL", "--per-provider", "1 FIL", "--per-period", "1 FIL"];
        let set = [&["ballot", "set-granter", "--granter", &self.granter], &most[..]].concat();
        let one = self.keep("rails-one.json", &self.bless("one", &set).ok());
        let two = self.keep("rails-two.json", &self.bless("two", &["ballot", "like", &one]).ok());
        self.bless("trading", &["decide", &one, &two]).ok();
        self.bless("provider", &["register", "--granter", &self.granter, "--recipient", &self.provider]).ok();
    }
}

#[test]
fn what_was_granted_over_filecoin_pay_is_paid_from_the_command_line() {
    let Some(mut world) = World::begin() else { return };
    let only_asks = world.granter.clone();
    let sponsor = Address::repeat_byte(0x51);
    world.anvil.give(&sponsor.to_string(), 10 * FIL);
    let artifact = include_str!("../../../contracts/test/artifacts/FilecoinPayStandIn.json");
    let artifact: Value = serde_json::from_str(artifact).expect("JSON");
    let code: Bytes = text(&artifact, "bytecode").parse().expect("bytecode");
    let filecoin_pay: Address =
        text(&world.transact(sponsor, None, &code, 0), "contractAddress").parse().expect("an address");
    world.with_filecoin_pay(filecoin_pay, sponsor);
    let job = world.settled_job(true);
    let nominate = ["nominate", &job, "--granter", &world.granter, "--amount", "0.4 FIL", "--piece", PIECE];
    world.bless("trading", &[&nominate[..], &["--piece-size", "1GiB", "--fund"]].concat()).ok();
    for notary in ["one", "two"] {
        world.bless(notary, &["vote", &job, "approve", "--reasons", "it is what it says"]).ok();
    }
    let pay = |granter: &str, more: &[&str]| world.bless("trading", &[&["pay", "--granter", granter], more].concat());
    let nothing = pay(&world.granter, &[]).ok();
    assert_eq!((&nothing["paid"], &nothing["transactions"]), (&json!([]), &json!([])));
    world.pass(30);
    world.bless("trading", &["grant", &job]).ok();
    assert_eq!(world.at_filecoin_pay(filecoin_pay, &world.provider), U256::ZERO, "it is locked, and not paid");

    pay(&only_asks, &[]).fails(1, &["RequestOnlyGranter"]);
    pay(&world.blessing, &[]).fails(1, &["is no FilecoinPayGranter"]);
    pay(&world.granter, &["77"]).fails(2, &["rail 77 is none of this granter's"]);
    pay(&world.granter, &["seven"]).fails(2, &["seven"]);
    let rails = ["filecoin-pay", "pay", "--rpc", &world.anvil.url, "--key", "trading", "--filecoin-pay-deals"];
    run(&world.home, &[&rails[..], &[&world.granter, "--json"]].concat()).fails(1, &["`lota blessing pay --granter"]);

    let paid = pay(&world.granter, &[]).ok();
    assert_eq!(paid["transactions"].as_array().map(Vec::len), Some(1));
    let of = &paid["paid"][0];
    assert_eq!((text(of, "gross"), text(of, "fee")), ("400000000000000000", "2000000000000000"));
    assert_eq!(text(of, "payee").to_lowercase(), world.provider.to_lowercase());
    assert_eq!(world.at_filecoin_pay(filecoin_pay, &world.provider).to_string(), text(of, "net"));
    assert_eq!(pay(&world.granter, &[text(of, "rail")]).ok()["paid"], json!([]), "once");
}
