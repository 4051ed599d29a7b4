//! The FIL+ registry as a person meets it: a chain's node of ours, a server that is killed, and what is answered.

use std::{
    io::{Read as _, Write as _},
    net::TcpListener,
    process::{Child, Command as Process, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::Home;

const PATIENCE: Duration = Duration::from_secs(300);
/// Pieces of the vectors in docs/fil-plus.md: 127 zero bytes, in both versions, and another one.
const PIECE: &str = "baga6ea4seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy";
const PIECE_V2: &str = "bafkzcibcaabdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy";
const OTHER: &str = "baga6ea4seaqhb46uour2wtpzlv7jevd3j7rhw2k6tk66igql5yb3wzxv7cvwaoq";
const PROVIDERS: u64 = 40;

/// A chain's node: its providers from 1000 on have a claim each, of the piece or of nothing that is asked about.
struct Node {
    url: String,
    claims_read: Arc<AtomicUsize>,
}

fn answer(method: &str, params: &Value, slow: Duration, claims_read: &AtomicUsize) -> Value {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs();
    let (genesis, epoch) = (now - 30_000, 1_000);
    let tipset = |height: u64| {
        json!({
            "Cids": [{ "/": format!("block-{height}") }],
            "Blocks": [{ "Timestamp": genesis + 30 * height }],
            "Height": height,
        })
    };
    match method {
        // One moment's clock is as good as the next one's: only the genesis' key must stay.
        "Filecoin.ChainGetGenesis" => tipset(0),
        "Filecoin.ChainHead" | "Filecoin.ChainGetFinalizedTipSet" => tipset(epoch),
        "Filecoin.ChainGetTipSetByHeight" => tipset(params[0].as_u64().expect("a height")),
        "Filecoin.StateListMiners" => (1_000..1_000 + PROVIDERS).map(|id| format!("f0{id}")).collect(),
        "Filecoin.StateGetClaims" => {
            thread::sleep(slow);
            claims_read.fetch_add(1, Ordering::Relaxed);
            let provider = params[0].as_str().and_then(|text| text.strip_prefix("f0")).expect("an id");
            let provider: u64 = provider.parse().expect("a number");
            let piece = if provider == 1_000 + PROVIDERS - 1 { PIECE } else { OTHER };
            json!({ provider.to_string(): {
                "Provider": provider, "Client": 2_000, "Data": { "/": piece }, "Size": 128,
                "TermMin": 1, "TermMax": if piece == PIECE { 5_000_000 } else { 5 }, "TermStart": 10, "Sector": 1,
            } })
        }
        "Filecoin.GetActorEventsRaw" => json!([]),
        _ => json!({}),
    }
}

impl Node {
    fn start(slow: Duration) -> Self {
        let claims_read = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&claims_read);
        let url = serve(move |call| {
            let result = answer(call["method"].as_str().expect("a method"), &call["params"], slow, &counter);
            json!({ "jsonrpc": "2.0", "id": 1, "result": result })
        });
        Self { url: format!("{url}/rpc/v1"), claims_read }
    }
}

/// A server that answers JSON with JSON; its URL.
fn serve(respond: impl Fn(&Value) -> Value + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let respond = Arc::new(respond);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, respond) = (stream.expect("a caller"), Arc::clone(&respond));
            thread::spawn(move || {
                let mut request = Vec::new();
                let mut part = [0; 4_096];
                loop {
                    let text = String::from_utf8_lossy(&request).to_lowercase();
                    let length =
                        text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
                    if let (Some(head), Some(length)) = (text.find("\r\n\r\n"), length)
                        && request.len() >= head + 4 + length
                    {
                        let asked: Value = serde_json::from_slice(&request[head + 4..]).expect("JSON");
                        let body = respond(&asked).to_string();
                        let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: application/json";
                        let _ = write!(stream, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                        return;
                    }
                    match stream.read(&mut part) {
                        Ok(length) if length > 0 => request.extend_from_slice(&part[..length]),
                        _ => return,
                    }
                }
            });
        }
    });
    url
}

/// A registry's server, which ends with the test.
struct Registry {
    process: Child,
    url: String,
}

impl Registry {
    fn start(home: &Home, args: &[&str]) -> Self {
        let said = home.file("said.txt", "");
        let mut process = Process::new(assert_cmd::cargo::cargo_bin("lota"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("LOTA_")) {
            process.env_remove(name);
        }
        let mut process = process
            .args([&["fil-plus", "serve", "--listen", "127.0.0.1:0"], args].concat())
            .env("LOTA_HOME", home.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(&said).expect("a file"))
            .stderr(Stdio::null())
            .spawn()
            .expect("the command starts");
        let begun = Instant::now();
        loop {
            let text = std::fs::read_to_string(&said).expect("a text");
            let url = text.lines().find_map(|line| line.strip_prefix("registry")).map(|url| url.trim().to_owned());
            if let Some(url) = url.filter(|_| text.contains("data")) {
                return Self { process, url };
            }
            assert!(process.try_wait().expect("a child").is_none(), "it ended: {text}");
            assert!(begun.elapsed() < PATIENCE, "it does not start");
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn kill(mut self) {
        self.process.kill().expect("killed");
        self.process.wait().expect("a child");
    }

    fn end(mut self) {
        let status = Process::new("kill").args(["-TERM", &self.process.id().to_string()]).status().expect("kill runs");
        assert!(status.success());
        assert!(self.process.wait().expect("a child").success(), "it ended badly");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Exit code and stdout of a check.
fn check(home: &Home, args: &[&str]) -> (i32, String) {
    let assert = home.lota(&[&["fil-plus", "check"], args].concat()).assert();
    let output = assert.get_output();
    (output.status.code().expect("no signal"), String::from_utf8(output.stdout.clone()).expect("UTF-8"))
}

#[test]
fn a_server_that_is_killed_goes_on_where_it_was_and_answers() {
    let home = Home::new();
    let node = Node::start(Duration::from_millis(20));
    let args = ["--rpc", node.url.as_str()];
    let mut kills = 0;
    loop {
        let registry = Registry::start(&home, &args);
        let before = node.claims_read.load(Ordering::Relaxed);
        let begun = Instant::now();
        while node.claims_read.load(Ordering::Relaxed) < before + 9
            && check(&home, &["--server", &registry.url, PIECE]).0 != 0
        {
            assert!(begun.elapsed() < PATIENCE, "nothing is read");
        }
        if check(&home, &["--server", &registry.url, PIECE]).0 == 0 {
            break;
        }
        kills += 1;
        registry.kill();
    }
    assert!(kills >= 1, "it was never killed");
    let read = node.claims_read.load(Ordering::Relaxed);
    // A step that was under way is taken again; nothing else is.
    assert!(read <= usize::try_from(PROVIDERS).expect("small") + kills, "{read} readings after {kills} kills");

    let registry = Registry::start(&home, &args);
    let server = ["--server", registry.url.as_str()];
    for cid in [PIECE, PIECE_V2] {
        let (code, text) = check(&home, &[&server[..], &[cid]].concat());
        assert_eq!(code, 0, "{text}");
        for part in
            ["verified: 1 claim on chain", "claim 1039: active until", "provider f01039", "128 B", "source claims of"]
        {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
    let (code, text) = check(&home, &[&server[..], &[PIECE, OTHER]].concat());
    assert_eq!(code, 3);
    assert!(text.contains("ended: ") && text.contains("expired since"), "{text}");
    let (code, text) = check(&home, &[&server[..], &[PIECE, "hello"]].concat());
    assert_eq!(code, 2);
    assert!(text.contains("no CID") && text.contains("verified: 1 claim"), "{text}");
    let (code, text) = check(&home, &[&server[..], &["--json", PIECE]].concat());
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, answer["answers"][0]["certainty"].as_str()), (0, Some("verified")));
    assert_eq!(answer["answers"][0]["claims"][0]["id"], 1_039);

    let mut many: Vec<u8> = format!("{PIECE}\n").repeat(6_000).into_bytes();
    many.extend_from_slice(b"\xff\xfe\n");
    many.extend_from_slice("x".repeat(1 << 20).as_bytes());
    many.extend_from_slice(format!("\n{PIECE}").repeat(6_000).as_bytes());
    let output = home.lota(&[&["fil-plus", "check"], &server[..]].concat()).write_stdin(many).assert();
    let text = String::from_utf8(output.get_output().stdout.clone()).expect("UTF-8");
    assert_eq!(text.lines().filter(|line| line.contains("verified: 1 claim")).count(), 12_000);
    assert_eq!(text.lines().filter(|line| line.contains("no CID")).count(), 2);
    assert_eq!(output.get_output().status.code(), Some(2), "two lines are no CIDs");

    // What the node says is final was so when it was read: by now it is older than no time at all.
    thread::sleep(Duration::from_secs(2));
    let (code, text) = check(&home, &[&server[..], &["--max-age", "0s", PIECE]].concat());
    assert_eq!(code, 5, "{text}");
    assert!(text.contains("verified: 1 claim") && text.contains("older than --max-age (0s)"), "{text}");
    let (code, text) = check(&home, &[&server[..], &["--max-age", "0s", "--json", PIECE]].concat());
    let answer: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!((code, &answer["answers"][0]["old"]), (5, &json!(true)));
    assert!(answer["answers"][0]["age"].as_u64().expect("seconds") < 600, "{text}");
    let (code, _) = check(&home, &[&server[..], &["--max-age", "0s", PIECE, OTHER]].concat());
    assert_eq!(code, 3, "not to be verified is worse");
    registry.end();
}

#[test]
fn a_registry_in_the_process_reads_its_sources_first() {
    let home = Home::new();
    let node = Node::start(Duration::ZERO);
    let embedded = ["--embedded", "--rpc", node.url.as_str()];
    let (code, text) = check(&home, &[&embedded[..], &["--providers", "f01039", PIECE]].concat());
    assert_eq!(code, 0, "{text}");
    assert_eq!(node.claims_read.load(Ordering::Relaxed), 1);
    // What is known is answered without any source.
    let (code, text) = check(&home, &["--embedded", PIECE]);
    assert_eq!(code, 0, "{text}");
    let (code, text) = check(&home, &["--embedded", OTHER]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("not all claims were read"), "{text}");
}

#[test]
fn a_server_is_believed_as_far_as_its_reply_bears_it_out() {
    let home = Home::new();
    let verified = |cid: &str| {
        json!({ "cid": cid, "certainty": "verified", "reason": "trust me", "pieces": [], "claims": [], "reports": [],
            "lists": [], "contradictions": [], "caveats": [] })
    };
    let lying = |lie: Value| serve(move |_| json!({ "answers": [lie], "sources": [] }));
    let (code, text) = check(&home, &["--server", &lying(verified(PIECE)), PIECE]);
    assert!(code == 3 && text.contains("unknown: trust me; it is said to be verified, and no claim"), "{text}");
    for (lie, wanted) in [
        (verified(OTHER), "and answered about baga6ea4seaqhb46"),
        (json!({ "cid": PIECE, "error": "no CID" }), "is no CID, and it is one"),
    ] {
        let (code, line) = home.failure(&["fil-plus", "check", "--server", &lying(lie), PIECE]);
        assert!(code == 1 && line.contains("is not believed") && line.contains(wanted), "{line}");
    }
    let behind = format!("{PIECE}a");
    let (code, text) = check(&home, &["--server", &lying(verified(&behind)), &behind]);
    assert!(code == 2 && text.contains("1 bytes follow the CID"), "{text}");
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    let home = Home::new();
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let server = format!("http://{closed}");
    for (args, code, parts) in [
        (
            &["check", "--server", server.as_str(), PIECE][..],
            1,
            &["cannot ask the registry", "lota fil-plus serve", "--embedded"][..],
        ),
        (&["check", "--server", "registry", PIECE], 2, &["no URL of a registry", "http://HOST:PORT"]),
        (&["check", "--embedded", "--rpc", "node.example", PIECE], 2, &["fil_plus.rpc", "https://HOST/PATH"]),
        (
            &["check", "--embedded", "--rpc", "http://a", "--providers", "1234", PIECE],
            2,
            &["fil_plus.providers", "f01234"],
        ),
        (&["check", "--embedded", "--lists", "a.csv", PIECE], 2, &["fil_plus.lists", "fil_plus.list_keys"]),
        (
            &["check", "--embedded", "--lists", "a.csv", "--list-keys", "x", PIECE],
            2,
            &["fil_plus.list_keys", "Ed25519"],
        ),
        (&["check", "--embedded", "--rpc", "http://a,http://a/b", PIECE], 2, &["named twice"]),
        (&["serve", "--listen", "here"], 2, &["`here` is not an address"]),
    ] {
        let (found, line) = home.failure(&[&["fil-plus"], args].concat());
        assert_eq!(found, code, "{args:?}: {line}");
        for part in parts {
            assert!(line.contains(part), "{args:?}: {line} lacks {part}");
        }
    }
    let (code, line) = home.failure(&["fil-plus", "check"]);
    assert!(code == 2 && line.contains("no CID to check"), "{line}");
}
