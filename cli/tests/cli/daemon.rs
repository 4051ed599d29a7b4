//! The devnet as a daemon: its file, its lock, its end, its state.

use std::{io::Read as _, os::unix::fs::PermissionsExt as _, process::Stdio};

use crate::{modules, support::Home};

#[test]
fn a_devnet_serves_the_other_verbs_and_keeps_its_state() {
    let home = Home::new();
    let devnet = home.devnet(&["--providers", "1"]);

    let mode = std::fs::metadata(home.path().join("api.json")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let node = home.json(&["node", "show", "--json"]);
    assert_eq!(node["node"]["name"], "client");
    let account = node["node"]["party"].clone();

    // From elsewhere, with URL and token.
    let api: serde_json::Value =
        serde_json::from_slice(&std::fs::read(home.path().join("api.json")).expect("there")).expect("JSON");
    let (url, token) = (api["url"].as_str().expect("a URL"), api["token"].as_str().expect("a token"));
    let elsewhere = Home::new();
    elsewhere.lota(&["job", "list", "--api", url]).env("LOTA_API_TOKEN", token).assert().success();
    let wrong = elsewhere.lota(&["job", "list", "--api", url]).env("LOTA_API_TOKEN", "x").assert().code(1);
    assert!(String::from_utf8_lossy(&wrong.get_output().stderr).contains("does not accept the token"));
    let (code, line) = elsewhere.failure(&["job", "list", "--api", url]);
    assert_eq!(code, 2);
    assert!(line.contains("api.token"), "{line}");

    // A second daemon on the same home.
    let mut second = home.start_devnet(&[]);
    let mut text = String::new();
    second.stderr.take().expect("piped").read_to_string(&mut text).expect("UTF-8");
    assert_eq!(second.wait().expect("ends").code(), Some(1), "{text}");
    assert!(text.contains("already") && text.lines().count() == 1, "{text}");
    let (_, line) = home.failure(&["node", "run"]);
    assert!(line.contains("already"), "{line}");

    let hello = home.file("hello.wasm", modules::hello());
    let id = home.stdout(&["wasm", "run", hello.to_str().expect("UTF-8"), "--detach"]).trim().to_owned();
    home.lota(&["job", "wait", &id]).assert().success();
    let before = home.json(&["wallet", "show", "--json"]);
    let job = home.json(&["job", "describe", &id, "--json"]);
    devnet.end();

    let (_, line) = home.failure(&["job", "list"]);
    assert!(line.contains("no daemon is running"), "{line}");

    let devnet = home.devnet(&["--providers", "1"]);
    assert_eq!(home.json(&["node", "show", "--json"])["node"]["party"], account);
    assert_eq!(home.json(&["wallet", "show", "--json"]), before);
    let again = home.json(&["job", "describe", &id, "--json"]);
    for part in ["status", "price", "output", "events", "money"] {
        assert_eq!(again[part], job[part], "{part}");
    }
    assert_eq!(home.stdout(&["job", "cat", &id, "stdout"]), "hello\n");
    devnet.end();

    let devnet = home.devnet(&["--providers", "1", "--reset"]);
    assert_eq!(home.json(&["job", "list", "--json"]), serde_json::json!([]));
    devnet.end();
}

#[test]
fn money_moves_in_and_out_and_too_much_is_refused() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "0"]);
    let amounts = |wallet: &serde_json::Value| {
        let read = |name: &str| wallet[name].as_str().expect("a string").parse::<u128>().expect("a number");
        (read("wallet"), read("market"))
    };
    let fil = 1_000_000_000_000_000_000;
    assert_eq!(amounts(&home.json(&["wallet", "show", "--json"])["account"]), (900 * fil, 100 * fil));
    assert_eq!(
        amounts(&home.json(&["wallet", "deposit", "1.5 FIL", "--json"])),
        (900 * fil - fil * 3 / 2, 100 * fil + fil * 3 / 2)
    );
    assert_eq!(amounts(&home.json(&["wallet", "withdraw", "1500 milliFIL", "--json"])), (900 * fil, 100 * fil));
    let (code, line) = home.failure(&["wallet", "withdraw", "101 FIL"]);
    assert_eq!(code, 1);
    assert!(line.contains("100 FIL") && line.contains("101 FIL"), "{line}");
    let (_, line) = home.failure(&["wallet", "deposit", "901 FIL"]);
    assert!(line.contains("900 FIL") && line.contains("901 FIL"), "{line}");
}

#[test]
fn a_node_runs_alone_with_a_key_of_the_keystore() {
    let home = Home::new();
    let made = home.lota(&["wallet", "new", "main"]).env("LOTA_PASSWORD", "long secret").assert().success();
    let address = String::from_utf8(made.get_output().stdout.clone()).expect("UTF-8").trim().to_lowercase();
    let mut child = std::process::Command::new(assert_cmd::cargo::cargo_bin("lota"))
        .args(["node", "run", "--key", "main", "--name", "laptop"])
        .env("LOTA_HOME", home.path())
        .env("LOTA_PASSWORD", "long secret")
        .env("DOCKER_HOST", "unix:///nowhere/docker.sock")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    let begun = std::time::Instant::now();
    while !home.path().join("api.json").exists() {
        assert!(
            begun.elapsed().as_secs() < 300 && child.try_wait().expect("a child").is_none(),
            "the node does not start"
        );
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let node = home.json(&["node", "show", "--json"]);
    assert_eq!(node["node"]["name"], "laptop");
    assert_eq!(node["node"]["party"].as_str().expect("an address").to_lowercase(), address);
    assert!(home.path().join("nodes/laptop").is_dir());
    let killed =
        std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(killed.success() && child.wait().expect("ends").success());
    let mut told = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut told).expect("UTF-8");
    for part in ["alone in a market of its own", "lota devnet", "--rpc URL"] {
        assert!(told.contains(part), "{part} is not in\n{told}");
    }
    let line = "no Docker engine answers at unix:///nowhere/docker.sock; so this provider takes WASM jobs only";
    assert_eq!(told.matches(line).count(), 1, "{told}");
}
