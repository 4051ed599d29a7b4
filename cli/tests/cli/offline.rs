//! What works, or fails, without a daemon.

use std::process::Stdio;

use serde_json::json;

use crate::support::Home;

const CID: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";

fn spec() -> serde_json::Value {
    json!({
        "version": 1,
        "engine": { "type": "wasm", "module": CID },
        "limits": { "fuel": 1_000_000, "memory": 1_048_576, "output": 1024, "entries": 10, "wall": 10 },
    })
}

#[test]
fn without_a_daemon_every_verb_says_how_to_start_one() {
    let home = Home::new();
    let file = home.file("job.json", spec().to_string());
    let file = file.to_str().expect("UTF-8");
    for args in [
        &["job", "list"][..],
        &["job", "describe", "0x1234"],
        &["job", "cancel", "0x1234"],
        &["job", "wait", "0x1234"],
        &["job", "logs", "0x1234"],
        &["job", "submit", file],
        &["content", "cat", CID],
        &["content", "ls", CID],
        &["content", "get", CID],
        &["wallet", "show"],
        &["wallet", "deposit", "1 FIL"],
        &["node", "show"],
        &["wasm", "run", CID],
    ] {
        let (code, line) = home.failure(args);
        assert_eq!(code, 1, "{args:?}");
        assert!(line.starts_with("no daemon is running (no "), "{args:?}: {line}");
        assert!(line.ends_with("api.json); start one with `lota devnet`"), "{args:?}: {line}");
    }
}

#[test]
fn a_daemon_that_died_is_noticed() {
    let home = Home::new();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
    let api = json!({ "url": format!("http://127.0.0.1:{port}"), "token": "x", "pid": 4_000_000, "node": "client" });
    home.file("home/api.json", api.to_string());
    let (code, line) = home.failure(&["job", "list"]);
    assert_eq!(code, 1);
    for part in ["no daemon is running", "api.json", "4000000", "lota devnet"] {
        assert!(line.contains(part), "{line} lacks {part}");
    }
}

/// A home whose daemon gives these answers, one to each connection; the thread gives the requests' first lines.
fn home_with_answers(answers: Vec<String>) -> (Home, std::thread::JoinHandle<Vec<String>>) {
    let home = Home::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let server = std::thread::spawn(move || {
        let answer = |answer: String| {
            let (mut stream, _) = listener.accept().expect("a caller");
            let mut request = [0; 4096];
            let length = std::io::Read::read(&mut stream, &mut request).expect("a request");
            let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
            let request = String::from_utf8_lossy(&request[..length]).into_owned();
            request.lines().next().unwrap_or_default().to_owned()
        };
        answers.into_iter().map(answer).collect()
    });
    let api = json!({ "url": format!("http://127.0.0.1:{port}"), "token": "x", "pid": 1, "node": "client" });
    home.file("home/api.json", api.to_string());
    (home, server)
}

fn home_with_answer(answer: &str) -> (Home, std::thread::JoinHandle<Vec<String>>) {
    home_with_answers(vec![answer.to_owned()])
}

#[test]
fn a_large_folder_is_listed_page_by_page() {
    let page = |numbers: std::ops::Range<u32>| {
        let entry = |n| json!({ "name": format!("n{n}"), "cid": CID, "kind": "file", "size": n });
        let body = serde_json::Value::from(numbers.map(entry).collect::<Vec<_>>()).to_string();
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    let (home, server) = home_with_answers(vec![page(0..1000), page(1000..1003)]);
    let listed = home.stdout(&["content", "ls", CID]);
    assert_eq!(listed.lines().count(), 1003);
    assert!(listed.ends_with("n1002\n"), "{listed}");
    let requests = server.join().expect("served");
    assert!(!requests[0].contains("after=") && requests[1].contains("after=n999"), "{requests:?}");
}

#[test]
fn something_else_on_the_daemons_port_is_noticed() {
    let (home, server) = home_with_answer("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello");
    let (_, line) = home.failure(&["job", "list"]);
    assert!(line.contains("is it a Lota daemon"), "{line}");
    server.join().expect("served");
}

#[test]
fn an_ambiguous_id_lists_the_jobs_it_may_mean() {
    let (home, server) = home_with_answer(
        "HTTP/1.1 409 Conflict\r\nConnection: close\r\n\r\n\
         {\"code\":\"ambiguous\",\"message\":\"`0xabcd` is the beginning of 2 ids; write more digits\",\
         \"problems\":[\"0xabcd01\",\"0xabcd02\"]}",
    );
    let (code, line) = home.failure(&["job", "describe", "0xabcd"]);
    assert_eq!(code, 1);
    assert_eq!(line, "`0xabcd` is the beginning of 2 ids; write more digits: 0xabcd01; 0xabcd02");
    server.join().expect("served");
}

#[test]
fn a_daemon_that_ends_in_the_middle_is_noticed() {
    let (home, server) = home_with_answer("HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{\"jobs\":");
    let (code, line) = home.failure(&["job", "list"]);
    assert_eq!(code, 1);
    assert!(line.contains("stopped answering in the middle"), "{line}");
    server.join().expect("served");
}

#[test]
fn ids_are_checked_before_they_are_sent() {
    let home = Home::new();
    home.file("home/api.json", json!({ "url": "http://127.0.0.1:1", "token": "x", "pid": 1, "node": "c" }).to_string());
    for id in ["0x12", "../node", "0x12zz", "hello"] {
        let (code, line) = home.failure(&["job", "describe", id]);
        assert_eq!(code, 2, "{id}");
        assert!(line.contains("is not a job's id"), "{line}");
    }
}

#[test]
fn a_spec_is_validated_with_every_problem() {
    let home = Home::new();
    let good = home.file("good.json", spec().to_string());
    assert_eq!(home.stdout(&["job", "validate", good.to_str().expect("UTF-8")]), "valid\n");

    let mut bad = spec();
    bad["colour"] = json!("red");
    bad["version"] = json!(7);
    bad["limits"]["fuel"] = json!("much");
    bad["inputs"] = json!([{ "cid": CID, "path": "/outputs/x" }, { "cid": "nope" }]);
    let bad = home.file("bad.json", bad.to_string());
    let bad = bad.to_str().expect("UTF-8");
    let assert = home.lota(&["job", "validate", bad]).assert().code(1);
    let text = String::from_utf8(assert.get_output().stdout.clone()).expect("UTF-8");
    for part in ["colour", "version", "limits.fuel", "inputs[0]", "inputs[1]"] {
        assert!(text.lines().any(|line| line.contains(part)), "{part} is not named:\n{text}");
    }
    let assert = home.lota(&["job", "validate", bad, "--json"]).assert().code(1);
    let verdict: serde_json::Value = serde_json::from_slice(&assert.get_output().stdout).expect("JSON");
    assert_eq!(verdict["valid"], false);
    assert!(verdict["problems"].as_array().expect("a list").len() >= 5);

    // The same problems stop a submission, in one line, before any daemon is asked.
    let (code, line) = home.failure(&["job", "submit", bad]);
    assert_eq!(code, 2);
    assert!(line.contains("colour") && line.contains("inputs[1]"), "{line}");
    home.lota(&["job", "validate", "-"]).write_stdin(spec().to_string()).assert().success();
    assert!(home.json(&["job", "validate", "--schema"]).is_object());
}

#[test]
fn bad_files_and_flags_cost_nothing() {
    let home = Home::new();
    let text = home.file("hello.wasm", "hello, I am a text");
    let text = text.to_str().expect("UTF-8");
    for (args, code, parts) in [
        (&["wasm", "run", text][..], 2, &["hello.wasm", "not a WebAssembly module", "hello, I", "wasm32-wasip1"][..]),
        (&["wasm", "run", "missing.wasm"], 2, &["missing.wasm", "not a CID"]),
        (&["wasm", "run", CID, "-i", "missing"], 2, &["missing", "not a CID"]),
        (&["wasm", "run", CID, "-e", "A=1", "-e", "A=2"], 2, &["--env", "`A` twice"]),
        (&["wasm", "run", CID, "--output-dir", text], 1, &["hello.wasm exists already"]),
        (&["job", "validate", "missing.json"], 1, &["cannot read missing.json"]),
        (&["job", "submit", "missing.json"], 1, &["cannot read missing.json"]),
        (&["content", "add", "--only-cid", "missing"], 1, &["missing"]),
    ] {
        let (found, line) = home.failure(args);
        assert_eq!(found, code, "{args:?}: {line}");
        for part in parts {
            assert!(line.contains(part), "{args:?}: {line} lacks {part}");
        }
    }
    for args in [
        &["wasm", "run", CID, "--max-price", "five FIL"][..],
        &["wasm", "run", CID, "--memory", "lots"],
        &["wasm", "run", CID, "-e", "A"],
        &["wallet", "deposit", "much"],
        &["content", "cat", "not-a-cid"],
        &["content", "get", &format!("{CID}/../x")],
    ] {
        home.lota(args).assert().code(2);
    }
}

#[test]
fn cids_are_those_of_ipfs_add() {
    let home = Home::new();
    let file = home.file("hello.txt", "hello world\n");
    // ipfs add --cid-version=1
    let expected = "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4\n";
    assert_eq!(home.stdout(&["content", "add", "--only-cid", file.to_str().expect("UTF-8")]), expected);
    let piped = home.lota(&["content", "add", "--only-cid", "-"]).write_stdin("hello world\n").assert().success();
    assert_eq!(String::from_utf8_lossy(&piped.get_output().stdout), expected);
}

#[test]
fn settings_come_in_layers_and_say_from_where() {
    let home = Home::new();
    home.file("home/config.toml", "[job]\nmax_price = \"1 FIL\"\nmin_price = \"0.25 FIL\"\n");
    let output = home
        .lota(&["config", "show", "--json"])
        .env("LOTA_JOB_MAX_PRICE", "2 FIL")
        .env("LOTA_API_TOKEN", "geheim")
        .assert()
        .success()
        .get_output()
        .stdout
        .clone();
    let settings: serde_json::Value = serde_json::from_slice(&output).expect("JSON");
    assert_eq!(settings["job.max_price"]["value"], "2 FIL");
    assert_eq!(settings["job.max_price"]["place"], "LOTA_JOB_MAX_PRICE");
    assert_eq!(settings["job.min_price"]["origin"], "file");
    assert_eq!(settings["devnet.providers"]["value"], "3");
    assert_eq!(settings["devnet.providers"]["origin"], "default");
    assert!(!String::from_utf8_lossy(&output).contains("geheim"), "the token is shown");
    let misspelt = home.lota(&["config", "show"]).env("LOTA_JOB_MAXPRICE", "2 FIL").assert().success();
    assert!(String::from_utf8_lossy(&misspelt.get_output().stderr).contains("LOTA_JOB_MAXPRICE"));
    let text = home.stdout(&["config", "show"]);
    assert!(text.lines().any(|line| line.contains("job.min_price") && line.contains("config.toml")), "{text}");
}

#[test]
fn a_bad_setting_is_a_usage_error_that_names_its_place() {
    let home = Home::new();
    home.file("home/config.toml", "[job]\nmax_prise = \"1 FIL\"\n");
    let (code, line) = home.failure(&["job", "list"]);
    assert_eq!(code, 2);
    assert!(line.contains("job.max_prise") && line.contains("config.toml") && line.contains("max_price"), "{line}");
    let assert = Home::new().lota(&["config", "show"]).env("LOTA_DEVNET_PROVIDERS", "many").assert().code(2);
    let stderr = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(stderr.contains("LOTA_DEVNET_PROVIDERS") && stderr.contains("many"), "{stderr}");
}

#[test]
fn a_key_is_made_shown_and_refused_to_a_wrong_password() {
    let home = Home::new();
    let made = home.lota(&["wallet", "new", "trading"]).env("LOTA_PASSWORD", "long secret").assert().success();
    let address = String::from_utf8(made.get_output().stdout.clone()).expect("UTF-8").trim().to_owned();
    assert!(address.starts_with("0x") && address.len() == 42, "{address}");
    let text = home.stdout(&["wallet", "show"]);
    assert!(text.contains("trading") && text.contains(&address), "{text}");

    let wrong = home.lota(&["node", "run", "--key", "trading"]).env("LOTA_PASSWORD", "Secret").assert().code(1);
    let stderr = String::from_utf8_lossy(&wrong.get_output().stderr).into_owned();
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains("password of key `trading`") && stderr.trim_end().ends_with("is wrong"), "{stderr}");

    let again = home.lota(&["wallet", "new", "trading"]).env("LOTA_PASSWORD", "long secret").assert().code(1);
    assert!(String::from_utf8_lossy(&again.get_output().stderr).contains("already"));
    let file = home.file("password", "from a file\n");
    home.stdout(&["wallet", "new", "other", "--password-file", file.to_str().expect("UTF-8")]);
    home.lota(&["wallet", "new", "../x"]).env("LOTA_PASSWORD", "long secret").assert().code(2);
    for password in ["", "x", "1234567"] {
        let short = home.lota(&["wallet", "new", "x"]).env("LOTA_PASSWORD", password).assert().code(1);
        let line = String::from_utf8_lossy(&short.get_output().stderr).into_owned();
        assert!(line.contains("at least 8 characters") && line.lines().count() == 1, "{line}");
    }
    assert!(!home.path().join("keystore/x.json").exists());
}

#[test]
fn a_closed_pipe_ends_the_command_quietly() {
    let home = Home::new();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("lota"))
        .args(["config", "show"])
        .env("LOTA_HOME", home.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("ends");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}", output.status);
}

#[test]
fn a_node_on_a_chain_needs_to_know_the_market() {
    let (code, line) = Home::new().failure(&["node", "run", "--rpc", "http://127.0.0.1:8545"]);
    assert_eq!(code, 2);
    assert!(line.contains("--contract ADDRESS") && line.contains("lota chain deploy"), "{line}");
}

#[test]
fn a_pinning_services_token_is_asked_for_and_not_shown() {
    let home = Home::new();
    let failed = |variables: &[(&str, &str)]| {
        let mut command = home.lota(&["node", "run"]);
        let assert = command.envs(variables.iter().copied()).assert().code(2);
        String::from_utf8(assert.get_output().stderr.clone()).expect("UTF-8")
    };
    let service = ("LOTA_NODE_PINNING_SERVICE", "https://service.example/psa");
    assert!(failed(&[service]).contains("needs an access token: node.pinning_token"));
    let bad = failed(&[("LOTA_NODE_KUBO", "localhost:5001")]);
    assert!(bad.contains("setting `node.kubo`") && bad.contains("begins neither with http://"), "{bad}");
    let provider = ("LOTA_NODE_FILECOIN", "https://pdp.example");
    assert!(failed(&[provider]).contains("needs node.filecoin_session_key"));
    let key = ("LOTA_NODE_FILECOIN_SESSION_KEY", "0x5ec2e7");
    let bad = failed(&[provider, key]);
    assert!(bad.contains("not a private key") && !bad.contains("5ec2e7"), "{bad}");
    let curio = ("LOTA_NODE_CURIO", "https://curio.example");
    assert!(failed(&[curio]).contains("needs node.curio_key"));
    let secret = "5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2";
    let bad = failed(&[curio, ("LOTA_NODE_CURIO_KEY", secret), ("LOTA_NODE_CURIO_PROVIDER", "f2abc")]);
    assert!(bad.contains("`f2abc` is not a miner's address by id") && !bad.contains("5ec2"), "{bad}");
    let market = ("LOTA_NODE_CURIO_MARKET", "0x5FbDB2315678afecb367f032d93F642f64180aa3");
    let rest = [("LOTA_NODE_CURIO_PROVIDER", "f01234"), ("LOTA_NODE_CURIO_RPC", "https://rpc.example"), market];
    let bad = failed(&[&[curio, ("LOTA_NODE_CURIO_KEY", secret)][..], &rest].concat());
    assert!(bad.contains("nobody else can reach its gateway") && bad.lines().count() == 1, "{bad}");
    let bad = failed(&[("LOTA_NODE_DIRECTORIES", "/data")]);
    assert!(bad.contains("node.directories") && bad.contains("is not LABEL=PATH"), "{bad}");
    for format in [&[][..], &["--json"]] {
        let mut command = home.lota(&[&["config", "show"], format].concat());
        let assert = command.env("LOTA_NODE_PINNING_TOKEN", "let-me-in").assert().success();
        let shown = String::from_utf8(assert.get_output().stdout.clone()).expect("UTF-8");
        assert!(shown.contains("(set, not shown)") && !shown.contains("let-me-in"), "{shown}");
    }
}
