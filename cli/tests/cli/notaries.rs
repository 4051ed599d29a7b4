//! `--fil-plus`: notaries beside the market, with everything that they need.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::{Duration, Instant},
};

use crate::{anvil, modules, support::Home};

/// How long a job may take to be in the notaries' queue.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn notaries_bless_the_demos_first_job() {
    let Some(tools) = anvil::tools() else { return };
    let home = Home::new();
    let run = home.lota(&["demo", "--fil-plus", "--json"]).env("PATH", anvil::path_with(tools)).assert().success();
    let report: serde_json::Value = serde_json::from_slice(&run.get_output().stdout).expect("JSON");
    assert_eq!(report["ok"], true, "{report:#}");
    let (blessed, job) = (&report["blessed"], &report["jobs"][0]["job"]);
    assert_eq!((&blessed["job"], &blessed["client"]), (&job["id"], &job["client"]), "{report:#}");
    assert_eq!(blessed["provider"], job["provider"]);
    assert_eq!((&blessed["granted"], &blessed["share"]), (&"500000000000000000".into(), &"50000000000000000".into()));
    assert_eq!(blessed["votes"].as_array().map(Vec::len), Some(2));
    assert_eq!(blessed["is_attested"], true);
    assert_eq!(report["money"]["accounted"], true);
    assert!(!home.path().exists(), "the demo leaves the home alone");
}

#[test]
fn notaries_need_a_chain() {
    let home = Home::new();
    for verb in ["demo", "devnet"] {
        for ground in ["memory", "mock"] {
            let run = home.lota(&[verb, "--fil-plus", "--chain", ground]).assert().code(2);
            let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
            assert!(said.contains("--chain anvil") && said.lines().count() == 1, "{said}");
        }
    }
    assert!(!home.path().exists());
}

/// What a page of the notaries' service holds.
fn page(url: &str) -> String {
    let address = url.strip_prefix("http://").expect("a URL");
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("UTF-8");
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    text
}

/// Waits until a job is voted on.
fn until_voted_on(url: &str, job: &str) {
    let begun = Instant::now();
    loop {
        let text = page(url);
        if text.contains(job) && text.contains("notaries vote") {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "the job is not voted on: {text}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
fn a_devnet_with_notaries_has_their_page_and_keeps_what_they_have() {
    let Some(tools) = anvil::tools() else { return };
    let home = Home::new();
    let args = ["--fil-plus", "--providers", "1"];
    let url = |line: String| line.split_whitespace().last().expect("a URL").to_owned();
    let devnet = home.devnet_with(&args, tools);
    let at = url(devnet.said("  The notaries' page:"));
    let hello = home.file("hello.wasm", modules::hello());
    let job = home.stdout(&["wasm", "run", hello.to_str().expect("UTF-8"), "--bless", "--detach"]).trim().to_owned();
    home.lota(&["job", "wait", &job]).assert().success();
    until_voted_on(&at, &job);
    devnet.end();

    let devnet = home.devnet_with(&args, tools);
    until_voted_on(&url(devnet.said("  The notaries' page:")), &job);
    devnet.end();
}
