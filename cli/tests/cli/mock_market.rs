//! The mock of the contracts as a process of its own, nodes beside it, and what it is asked.

use std::{
    collections::BTreeMap,
    net::TcpListener,
    process::{Child, Command as Process, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt as _, future::join_all};
use lota_bridge::{
    Landed, PrivateKeySigner, SubmitError, Transport as _, Update,
    ws::{MockClient, WsTransport},
};
use lota_market::{
    AttoFil, B256,
    agent::EffectKey,
    model::{Command, Event},
};
use serde_json::Value;

use crate::{modules, support::Home};

/// How long a process may take to be ready; no test fails for being slow.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long the mock lives on after a job was asked for, in milliseconds.
const MOMENTS: [u64; 4] = [0, 100, 300, 1_000];
const FIL: u128 = 1_000_000_000_000_000_000;

/// A process that ends with the test.
struct Running(Child);

impl Running {
    /// Starts the command in a home, and waits until it says this on stdout.
    fn start(home: &Home, args: &[&str], ready: &str) -> Self {
        let said = home.file("said.txt", "");
        let mut child = Process::new(assert_cmd::cargo::cargo_bin("lota"))
            .args(args)
            .env("LOTA_HOME", home.path())
            .env("LOTA_NODE_DOCKER_ON", "false")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&said).expect("a file"))
            .stderr(std::fs::File::create(home.place("stderr.txt")).expect("a file"))
            .spawn()
            .expect("the command starts");
        let begun = Instant::now();
        while !std::fs::read_to_string(&said).expect("a text").contains(ready) {
            let ended = child.try_wait().expect("a child");
            let stderr = || std::fs::read_to_string(home.place("stderr.txt")).unwrap_or_default();
            assert!(ended.is_none(), "{args:?} ended: {}", stderr());
            assert!(begun.elapsed() < PATIENCE, "{args:?} does not start: {}", stderr());
            std::thread::sleep(Duration::from_millis(20));
        }
        Self(child)
    }

    /// Without warning.
    fn kill(mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("a child");
    }

    /// Tells it to end; it must end well.
    fn end(mut self) {
        let status = Process::new("kill").args(["-TERM", &self.0.id().to_string()]).status().expect("kill runs");
        assert!(status.success());
        assert!(self.0.wait().expect("a child").success(), "it ended badly");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that nobody uses now.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

fn atto(value: &Value) -> u128 {
    value.as_str().expect("an amount").parse().expect("a number")
}

/// Every job is done and paid once, although the market is killed again and again; its books say so, to the last attoFIL.
#[test]
fn nodes_in_processes_of_their_own_survive_a_mock_that_is_killed() {
    let (market, provider, client) = (Home::new(), Home::new(), Home::new());
    let address = format!("127.0.0.1:{}", free_port());
    let url = format!("ws://{address}");
    let serve = ["mock-market", "--listen", &address, "--faucet"];
    let mut mock = Running::start(&market, &serve, "faucet");
    let provides = Running::start(&provider, &["node", "run", "--name", "p", "--mock", &url], "market");
    let asks = Running::start(&client, &["node", "run", "--client-only", "--mock", &url], "market");
    let hello = client.file("hello.wasm", modules::hello());
    let hello = hello.to_str().expect("UTF-8");
    let mut ids = Vec::new();
    for moment in MOMENTS {
        // At a price that is taken at once, and with time for however slow a machine.
        let terms = ["--min-price", "0.01 FIL", "--lock-for", "10h", "--run-for", "10h"];
        let id = client.stdout(&[&["wasm", "run", hello, "--detach"], &terms[..]].concat());
        ids.push(id.trim().to_owned());
        std::thread::sleep(Duration::from_millis(moment));
        mock.kill();
        mock = Running::start(&market, &serve, "faucet");
    }
    let mut paid = 0;
    for id in &ids {
        client.lota(&["job", "wait", id, "--timeout", "4m"]).assert().success();
        let job = client.json(&["job", "describe", id, "--json"]);
        assert_eq!((job["status"].as_str(), job["output_verified"].as_bool()), (Some("settled"), Some(true)), "{id}");
        let count =
            |name: &str| job["events"].as_array().expect("events").iter().filter(|event| event["name"] == name).count();
        assert_eq!(["JobOpened", "JobLocked", "ResultSubmitted", "JobSettled"].map(count), [1; 4], "{id}");
        paid += atto(&job["money"]["paid_to_provider"]);
    }
    let balances = client.json(&["mock-market", "balances", "--mock", &url, "--json"]);
    let balances = balances.as_array().expect("a list");
    let sum = |pocket: &str| balances.iter().map(|account| atto(&account[pocket])).sum::<u128>();
    let all = ["wallet", "market", "escrow", "collateral", "auction", "bids", "burned"].map(sum);
    assert_eq!(all.iter().sum::<u128>(), 2 * 1_000 * FIL, "{all:?}");
    assert_eq!(all[2..], [0; 5], "nothing is held, and nothing is lost: {all:?}");
    // The movements, as a spreadsheet would add them up.
    let csv = client.stdout(&["mock-market", "movements", "--mock", &url, "--csv"]);
    let (mut pockets, mut paid_jobs) = (BTreeMap::<(String, String), i128>::new(), Vec::new());
    for line in csv.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [.., cause, job, from, out_of, to, into, amount] = fields[..] else { panic!("{line}") };
        let amount: i128 = amount.parse().expect("an amount");
        if !from.is_empty() {
            *pockets.entry((from.to_owned(), out_of.to_owned())).or_default() -= amount;
        }
        *pockets.entry((to.to_owned(), into.to_owned())).or_default() += amount;
        if cause == "paid" {
            paid_jobs.push((job.to_owned(), amount as u128));
        }
    }
    for account in balances {
        for pocket in ["wallet", "market", "escrow", "collateral"] {
            let name = account["account"].as_str().expect("an address");
            let found = pockets.iter().find(|((who, what), _)| who.eq_ignore_ascii_case(name) && what == pocket);
            assert_eq!(found.map_or(0, |(_, amount)| *amount as u128), atto(&account[pocket]), "{name} {pocket}");
        }
    }
    assert_eq!(paid_jobs.len(), ids.len(), "each job was paid once: {paid_jobs:?}");
    assert_eq!(paid_jobs.iter().map(|(_, amount)| amount).sum::<u128>(), paid);
    assert!(ids.iter().all(|id| paid_jobs.iter().any(|(job, _)| job == id)), "{ids:?}: {paid_jobs:?}");
    asks.end();
    provides.end();
    mock.end();
    // The log of all this replays, and its books are those of the events.
    let log = market.path().join("mock-market/market.log");
    let report = client.json(&["sim", "replay", log.to_str().expect("UTF-8"), "--json"]);
    assert_eq!((&report["consistent"], &report["compared"]), (&true.into(), &true.into()), "{report:#}");
    assert_eq!(report["jobs"].as_u64(), Some(ids.len() as u64), "{report:#}");
    // What it ended with is there again.
    let mock = Running::start(&market, &serve, "faucet");
    assert_eq!(client.json(&["mock-market", "balances", "--mock", &url, "--json"]).as_array(), Some(balances));
    mock.end();
}

/// Clients of the mock that is killed.
const CLIENTS: usize = 100;
/// After how many acknowledged commands it is killed.
const KILLS: [usize; 3] = [300, 700, 1_300];
/// How many commands each client sends at least.
const LEAST: usize = 20;

/// What a client was told of its commands, in their order.
struct Sent {
    party: WsTransport,
    landed: Vec<Landed>,
    /// How often the connection broke.
    breaks: usize,
}

/// A party with money, and with a connection of its own.
async fn party(url: &str, number: usize) -> WsTransport {
    let key = B256::left_padding_from(&(number as u64 + 1).to_be_bytes());
    let signer = PrivateKeySigner::from_bytes(&key).expect("a valid key");
    let client = MockClient::connect(url).await.expect("it runs");
    let party = client.party(signer);
    client.give(party.party(), AttoFil(1_000_000)).await.expect("the faucet gives");
    party
}

/// Sends deposits of 1 attoFIL one after the other until `done`, each until it is acknowledged.
async fn deposit_on(party: WsTransport, acknowledged: &AtomicUsize, done: &AtomicBool) -> Sent {
    let command = Command::Deposit { account: party.party() };
    let (mut landed, mut breaks) = (Vec::new(), 0);
    while landed.len() < LEAST || !done.load(Ordering::SeqCst) {
        let key = EffectKey::named(&landed.len().to_string());
        match party.submit(&key, &command, AttoFil(1)).await {
            Ok(what) => {
                landed.push(what);
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            Err(SubmitError::Transport(error)) if error.is_temporary() => {
                breaks += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            Err(error) => panic!("{error}"),
        }
    }
    Sent { party, landed, breaks }
}

/// The mock is killed (-9) again and again while a hundred clients send: what was acknowledged is there, as it was told, and what was sent
/// again, since nobody had said what became of it, is there once.
#[test]
fn a_mock_that_is_killed_under_load_loses_nothing_and_does_nothing_twice() {
    let home = Home::new();
    let address = format!("127.0.0.1:{}", free_port());
    let url = format!("ws://{address}");
    let serve = ["mock-market", "--listen", &address, "--faucet"];
    let mut mock = Running::start(&home, &serve, "faucet");
    let (acknowledged, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let parties = runtime.block_on(join_all((0..CLIENTS).map(|number| party(&url, number))));
    let clients: Vec<_> = parties
        .into_iter()
        .map(|party| {
            let (acknowledged, done) = (Arc::clone(&acknowledged), Arc::clone(&done));
            runtime.spawn(async move { deposit_on(party, &acknowledged, &done).await })
        })
        .collect();
    for wanted in KILLS {
        let begun = Instant::now();
        while acknowledged.load(Ordering::SeqCst) < wanted {
            assert!(begun.elapsed() < PATIENCE, "only {} were acknowledged", acknowledged.load(Ordering::SeqCst));
            std::thread::sleep(Duration::from_millis(5));
        }
        mock.kill();
        mock = Running::start(&home, &serve, "faucet");
    }
    done.store(true, Ordering::SeqCst);
    runtime.block_on(async {
        let mut all = Vec::new();
        for client in clients {
            all.push(client.await.expect("a client ends well"));
        }
        assert!(all.iter().map(|sent| sent.breaks).sum::<usize>() >= KILLS.len(), "nobody noticed that it was killed");
        let market = MockClient::connect(&url).await.expect("it runs");
        let mut told = BTreeMap::new();
        let mut updates = all.first().expect("clients").party.updates(None);
        loop {
            match updates.next().await.expect("goes on").expect("read") {
                Update::Event { event: Event::Deposited { account, amount, .. }, cursor, transaction, .. } => {
                    assert_eq!(amount, AttoFil(1));
                    told.entry(account).or_insert_with(Vec::new).push((cursor, transaction));
                }
                Update::Head { .. } => break,
                other => panic!("{other:?}"),
            }
        }
        for Sent { party, landed, .. } in &all {
            let me = party.party();
            assert_eq!(
                party.balance(me).await.expect("read"),
                AttoFil(landed.len() as u128),
                "each once, and no other"
            );
            let sent: Vec<_> = landed.iter().map(|landed| (landed.cursor, landed.transaction)).collect();
            assert_eq!(told.get(&me), Some(&sent), "the log has them as they were acknowledged");
            // Sent once more they come to the same, and to nothing else.
            for index in [0, landed.len() / 2, landed.len() - 1] {
                let key = EffectKey::named(&index.to_string());
                let command = Command::Deposit { account: me };
                let again = party.submit(&key, &command, AttoFil(1)).await.expect("known");
                assert_eq!(Some(&again), landed.get(index));
            }
            let holdings = market.holdings(Some(me), None).await.expect("read").accounts;
            assert_eq!(holdings.first().map(|held| held.holdings.market), Some(AttoFil(landed.len() as u128)));
        }
    });
    mock.end();
    let log = home.path().join("mock-market/market.log");
    let report = home.json(&["sim", "replay", log.to_str().expect("UTF-8"), "--json"]);
    assert_eq!((&report["consistent"], &report["compared"]), (&true.into(), &true.into()), "{report:#}");
}

/// How many descriptors a process has, and its resident memory in bytes.
fn taken(process: &Child) -> (usize, usize) {
    let of = |what: &str| format!("/proc/{}/{what}", process.id());
    let descriptors = std::fs::read_dir(of("fd")).expect("Linux").count();
    let pages = std::fs::read_to_string(of("statm")).expect("Linux");
    let pages = pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).expect("a number");
    (descriptors, pages * 4_096)
}

/// Thousands of connections from one address, most of them broken in some way, take a bounded number of descriptors and little memory;
/// who was there before goes on, and who comes later finds a place.
#[test]
fn a_mock_outlives_thousands_of_bad_connections() {
    use std::io::Write as _;
    let home = Home::new();
    let address = format!("127.0.0.1:{}", free_port());
    let url = format!("ws://{address}");
    let mock = Running::start(&home, &["mock-market", "--listen", &address, "--faucet"], "faucet");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let honest = runtime.block_on(MockClient::connect(&url)).expect("it runs");
    let (descriptors, memory) = taken(&mock.0);
    let beginnings: [&[u8]; 4] = [
        b"",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgr",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a hello of TLS",
        b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
    ];
    let mut held = std::collections::VecDeque::new();
    for number in 0..3_000 {
        let mut stream = std::net::TcpStream::connect(&address).expect("it listens");
        // Who is closed at once cannot write.
        let _ = stream.write_all(beginnings[number % beginnings.len()]);
        held.push_back(stream);
        if held.len() > 400 {
            held.pop_front();
        }
        if number % 500 == 499 {
            runtime.block_on(honest.head()).expect("who was there before goes on");
            let (now, _) = taken(&mock.0);
            assert!(now <= descriptors + 256 + 32, "{now} descriptors, {descriptors} before");
        }
    }
    let (_, grown) = taken(&mock.0);
    assert!(grown < memory + (64 << 20), "{} MiB more", grown.saturating_sub(memory) >> 20);
    // They are not waited for, and so there is room.
    let begun = Instant::now();
    while let Err(error) = runtime.block_on(MockClient::connect(&url)) {
        assert!(begun.elapsed() < PATIENCE, "there is no place again: {error}");
    }
    drop(held);
    runtime.block_on(honest.head()).expect("who was there before goes on");
    mock.end();
}

/// Virtual time passes when it is told to, and a restart knows it; the faucet gives.
#[test]
fn a_mock_is_asked_from_the_command_line() {
    let home = Home::new();
    let address = format!("127.0.0.1:{}", free_port());
    let url = format!("ws://{address}");
    let data = home.place("data");
    let serve =
        ["mock-market", "--listen", &address, "--faucet", "--virtual-time", "--data", data.to_str().expect("UTF-8")];
    let mock = Running::start(&home, &serve, "faucet");
    // One market is served by one process.
    let (code, line) =
        home.failure(&["mock-market", "--listen", "127.0.0.1:0", "--data", data.to_str().expect("UTF-8")]);
    assert!(code == 1 && line.contains("in use by another process"), "{code}: {line}");
    let now = |time: &str| home.stdout(&["mock-market", "advance", time, "--mock", &url]).trim().parse::<u64>();
    let before = now("0s").expect("a time");
    assert_eq!(now("1h").expect("a time"), before + 3_600);
    let account = "0x70997970c51812dc3a010c7d01b50e0d17dc79c8";
    home.stdout(&["mock-market", "give", account, "2 FIL", "--mock", &url]);
    let csv = home.stdout(&["mock-market", "balances", "--account", account, "--csv", "--mock", &url]);
    let line = csv.lines().nth(1).expect("a line");
    assert_eq!(line.split(',').nth(1), Some("2000000000000000000"), "{csv}");
    assert!(
        home.stdout(&["mock-market", "movements", "--mock", &url])
            .contains("2 FIL minted: nowhere -> wallet of 0x7099")
    );
    mock.kill();
    let mock = Running::start(&home, &serve, "faucet");
    assert_eq!(now("0s").expect("a time"), before + 3_600);
    mock.end();
    let (code, line) = home.failure(&["mock-market", "balances", "--mock", &url]);
    assert_eq!(code, 1);
    assert!(line.contains(&url), "{line}");
    let (code, line) = home.failure(&["mock-market", "--listen", "here"]);
    assert_eq!(code, 2, "{line}");
    home.lota(&["node", "run", "--mock", &url, "--rpc", "http://127.0.0.1:1"]).assert().code(2);
}

#[test]
fn the_demo_keeps_its_word_on_the_mock() {
    let home = Home::new();
    let report = home.json(&["demo", "--chain", "mock", "--json"]);
    assert_eq!((&report["ok"], &report["money"]["accounted"]), (&true.into(), &true.into()), "{report:#}");
}

#[test]
fn a_devnet_on_the_mock_is_joined_by_others_and_goes_on_after_a_kill() {
    let (home, other) = (Home::new(), Home::new());
    let devnet = home.devnet(&["--chain", "mock", "--providers", "1"]);
    let said = devnet.said("The mock of the contracts at ws://");
    let url = said.trim_start_matches("The mock of the contracts at ").to_owned();
    let hello = home.file("hello.wasm", modules::hello());
    let hello = hello.to_str().expect("UTF-8");
    assert_eq!(home.stdout(&["wasm", "run", hello]), "hello\n");
    let joined = Running::start(&other, &["node", "run", "--client-only", "--mock", &url], "market");
    assert_eq!(other.stdout(&["wasm", "run", hello]), "hello\n");
    joined.end();
    devnet.kill();
    let devnet = home.restarted(&["--chain", "mock", "--providers", "1"]);
    assert_eq!(home.stdout(&["wasm", "run", hello]), "hello\n");
    devnet.end();
}
