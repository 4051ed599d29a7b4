//! `--fil-plus`: notaries beside the market, with everything that they need.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use crate::{anvil, modules, support::Home};

/// How long a job may take to be in the notaries' queue.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn notaries_bless_the_demos_first_job_and_its_provider_is_paid_over_filecoin_pay() {
    let Some(tools) = anvil::tools() else { return };
    let report = blessed_in_a_demo(tools, &[]);
    let paid = &report["blessed"]["paid"];
    assert_eq!((&paid["is_stand_in"], &paid["fee"]), (&true.into(), &"2500000000000000".into()), "{report:#}");
    assert_eq!((&paid["net"], &paid["in_account"]), (&"497500000000000000".into(), &"497500000000000000".into()));
    // What the slow provider lost, and the fee.
    assert_eq!(report["money"]["burned"], "27500000000000000");
    for name in ["granted_after_ms", "paid_after_ms"] {
        let value = if name == "paid_after_ms" { &paid[name] } else { &report["blessed"][name] };
        println!("{}", serde_json::json!({ "name": name, "value": value, "unit": "ms" }));
    }
}

#[test]
fn notaries_bless_the_demos_first_job_and_its_provider_gets_a_bonus() {
    let Some(tools) = anvil::tools() else { return };
    let report = blessed_in_a_demo(tools, &["--granter", "bonus"]);
    assert!(report["blessed"]["paid"].is_null(), "{report:#}");
    assert_eq!(report["money"]["burned"], "25000000000000000");
}

/// What the demo with notaries reports.
fn blessed_in_a_demo(tools: &Path, more: &[&str]) -> serde_json::Value {
    let home = Home::new();
    let args = [&["demo", "--fil-plus", "--json"], more].concat();
    let run = home.lota(&args).env("PATH", anvil::path_with(tools)).assert().success();
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
    report
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
    let run = home.lota(&["demo", "--granter", "bonus"]).assert().code(2);
    let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(said.contains("--fil-plus"), "{said}");
    assert!(!home.path().exists());
}

#[test]
fn what_a_service_hands_out_is_verified_without_it() {
    use lota_notary::{
        attestation::{Statement, Subject, SubjectDigest, did_key, key_of, sign},
        audit_log::{Head, append},
    };
    let home = Home::new();
    let (key, other) = (key_of(&[1; 32]), did_key(&key_of(&[2; 32]).verifying_key()));
    let subject = Subject { name: "\u{1b}[2Jjob".to_owned(), digest: SubjectDigest { sha256: "00".repeat(32) } };
    let statement = Statement::new(vec![subject], "https://example.org/v1", serde_json::json!({}));
    let envelope = serde_json::to_vec(&sign(&statement, &key).expect("signed")).expect("JSON");
    let attestation = home.file("attestation.json", &envelope);
    let (attestation, name) = (attestation.to_str().expect("UTF-8"), did_key(&key.verifying_key()));
    let json = home.json(&["notary", "verify", attestation, "--key", &name, "--json"]);
    assert_eq!((&json["kind"], &json["signed_by"]), (&"attestation".into(), &name.as_str().into()));
    home.lota(&["notary", "verify", attestation]).assert().code(3);
    let (line, head) =
        append(Head::EMPTY, lota_market::Time(1), "service", "noted", "0x", serde_json::json!({})).expect("short");
    let log = home.file("audit.log", format!("{line}\n").as_bytes());
    let log = log.to_str().expect("UTF-8");
    let digest = head.digest.to_string();
    let json = home.json(&["notary", "verify", log, "--holds", &digest, "--json"]);
    assert_eq!((&json["kind"], &json["entries"], &json["digest"]), (&"audit_log".into(), &1.into(), &digest.into()));
    let broken = home.file("broken", b"\x00\xff\n{");
    let broken = broken.to_str().expect("UTF-8");
    let zeros = "0".repeat(64);
    for (arguments, code) in [
        (&["notary", "verify", attestation, "--key", &other][..], 1),
        (&["notary", "verify", log, "--holds", &zeros], 1),
        (&["notary", "verify", broken], 1),
        (&["notary", "verify", "/nothing/here"], 1),
        (&["notary", "verify", "/"], 1),
        (&["notary", "verify", attestation, "--key", "did:web:x"], 2),
        (&["notary", "verify", log, "--holds", "0x12"], 2),
    ] {
        let run = home.lota(arguments).assert().code(code);
        let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        assert!(said.starts_with("error: ") && said.lines().count() == 1, "{arguments:?}: {said}");
    }
}

/// What a page of the notaries' service holds.
fn page(url: &str) -> String {
    let address = url.strip_prefix("http://").expect("a URL");
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("UTF-8");
    // Until it has read the chain it says so.
    let is_early = text.starts_with("HTTP/1.1 503") && text.contains("the chain was not read yet");
    assert!(is_early || text.starts_with("HTTP/1.1 200"), "{text}");
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

/// The folder of what drives a browser, and the browser.
fn browser() -> (PathBuf, PathBuf) {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("dashboard-js");
    let there = folder.join("node_modules/puppeteer-core").is_dir();
    assert!(there, "puppeteer-core is not in {}; notary-dashboard/tests/js/install.sh puts it there", folder.display());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let chromium = std::env::split_paths(&path).map(|dir| dir.join("chromium")).find(|file| file.is_file());
    (folder, chromium.expect("there is no Chromium; scripts/install-tools installs it"))
}

/// Two notaries of a devnet bless a job in a browser, on the page of the service at work, and its provider is paid.
#[test]
fn notaries_bless_a_job_in_a_browser() {
    let Some(tools) = anvil::tools() else { return };
    let (folder, chromium) = browser();
    let home = Home::new();
    let devnet = home.devnet_with(&["--fil-plus", "--providers", "1"], tools);
    let said = devnet.said("  The notaries' page:");
    let at = said.split_whitespace().last().expect("a URL");
    let hello = home.file("hello.wasm", modules::hello());
    let job = home.stdout(&["wasm", "run", hello.to_str().expect("UTF-8"), "--bless", "--detach"]).trim().to_owned();
    home.lota(&["job", "wait", &job]).assert().success();
    let job = home.json(&["job", "describe", &job, "--json"])["id"].as_str().expect("an id").to_owned();
    until_voted_on(at, &job);
    std::fs::write(folder.join("wallet.mjs"), include_str!("../../../notary-dashboard/tests/js/wallet.mjs"))
        .expect("a script");
    let script = folder.join("vote.mjs");
    std::fs::write(&script, include_str!("../../../notary-dashboard/tests/js/vote.mjs")).expect("a script");
    let keys = [1, 2].map(|number| {
        let file = home.path().join(format!("devnet-anvil/notaries/notary-{number}.key"));
        format!("0x{}", std::fs::read_to_string(file).expect("a key").trim())
    });
    let shots = std::env::var("LOTA_SCREENSHOTS").unwrap_or_default();
    let run = Command::new("node").arg(&script).args([at, &job]).arg(&chromium).arg(&shots).args(&keys).output();
    let run = run.expect("node can be run");
    let told = String::from_utf8_lossy(&run.stdout).into_owned();
    assert!(run.status.success(), "{told}\n{}", String::from_utf8_lossy(&run.stderr));
    let result: serde_json::Value = serde_json::from_str(told.lines().last().unwrap_or_default()).expect("JSON");
    println!(
        "{}",
        serde_json::json!({ "name": "from the last press to sign until the page tells of the grant, 3 s of which are for revoking", "value": result["granted_after_ms"], "unit": "ms" })
    );
    assert_eq!(result["problems"], serde_json::json!([]));
    assert_eq!(result["axe"], serde_json::json!([]));
    assert_eq!(result["votes"], 2);
    assert!(result["outputs"].to_string().contains("stdout"), "{result:#}");
    devnet.end();
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

    let other = home.lota(&[&["devnet"], &args[..], &["--granter", "bonus"]].concat());
    let run = { other }.env("PATH", anvil::path_with(tools)).assert().code(1);
    let told = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(told.contains("`--granter filecoin-pay`, not bonus") && told.contains("--reset"), "{told}");
    let devnet = home.devnet_with(&args, tools);
    until_voted_on(&url(devnet.said("  The notaries' page:")), &job);
    devnet.end();
}
