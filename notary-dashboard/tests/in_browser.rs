//! The page in a browser: a notary signs in with a wallet, reads, votes, and everything is accessible; what strangers wrote runs nowhere.

#![allow(missing_docs, clippy::expect_used, clippy::panic, clippy::print_stdout, reason = "this is test code")]

#[path = "fake/mod.rs"]
mod fake;

use std::{
    io::Write as _,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
};

use lota_market::blessing::Choice;
use lota_notary_dashboard::{Readers, Settings, router};
use serde_json::Value;

use fake::FakeDesk;

/// The folder of what drives the browser, and the browser; `None`, and said so, where tests are to do without tools.
fn tools() -> Option<(PathBuf, PathBuf)> {
    if std::env::var_os("LOTA_TEST_TOOLS").is_none_or(|value| value != "1") {
        // Not with `eprintln!`, which says nothing when a test passes.
        let _ = writeln!(std::io::stderr(), "skipped: LOTA_TEST_TOOLS is not 1, and this needs Chromium");
        return None;
    }
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("dashboard-js");
    let there = folder.join("node_modules/puppeteer-core").is_dir();
    assert!(there, "puppeteer-core is not in {}; notary-dashboard/tests/js/install.sh puts it there", folder.display());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = |name: &str| std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    let chromium = ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(on_path);
    Some((folder, chromium.expect("there is no Chromium; scripts/install-tools installs it")))
}

async fn serve(desk: Arc<FakeDesk>) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    let mut settings = Settings::new(&origin).expect("an origin");
    settings.readers = Readers::Everybody;
    // One machine is all clients of this test.
    (settings.reads_per_second, settings.reads_at_once) = (1_000, 10_000);
    let service = router(desk, settings).into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    origin
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notary_works_in_a_browser() {
    let Some((folder, chromium)) = tools() else { return };
    let desk = Arc::new(FakeDesk::new());
    let (origin, hostile) = (serve(desk.clone()).await, serve(Arc::new(FakeDesk::hostile())).await);
    // The scripts as they are now, beside the modules that they import.
    std::fs::write(folder.join("wallet.mjs"), include_str!("js/wallet.mjs")).expect("a script");
    let script = folder.join("browser.mjs");
    std::fs::write(&script, include_str!("js/browser.mjs")).expect("a script");
    let shots = std::env::var("LOTA_SCREENSHOTS").unwrap_or_default();
    let mut node = Command::new("node");
    node.arg(&script).args([&origin, &hostile, &shots]).arg(&chromium).stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || node.output()).await.expect("it ends").expect("node can be run");
    let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}\n{said}");
    let result: Value = serde_json::from_str(told.lines().last().unwrap_or_default()).expect("JSON");
    let figure = |name: &str, value: &Value, unit: &str| {
        println!("{}", serde_json::json!({ "name": name, "value": value, "unit": unit }));
    };
    for page in result["load"].as_array().expect("pages") {
        let name = page["name"].as_str().expect("a name");
        figure(&format!("the notary's page, {name}: what a first visit transfers"), &page["bytes"], "bytes");
        figure(&format!("the notary's page, {name}: its HTML"), &page["html"], "bytes");
        figure(&format!("the notary's page, {name}: until it is loaded"), &page["load"], "ms");
    }
    figure("the notary's page: looks of axe-core", &result["looks"], "");
    figure("the notary's page: findings of axe-core", &serde_json::json!(result["axe"].as_array().map(Vec::len)), "");
    let none = |name: &str| assert_eq!(result[name], serde_json::json!([]), "{name}");
    none("problems");
    none("axe");
    none("requests");
    none("dialogs");
    assert!(result["looks"].as_u64().is_some_and(|looks| looks >= 100), "{}", result["looks"]);
    let votes = desk.state().votes.clone();
    let [vote] = &votes[..] else { panic!("{votes:?}") };
    assert_eq!((vote.choice, vote.notary), (Choice::Approve, fake::key(1).address()));
    assert_eq!(vote.text, "Claims checked.\nThe re-run agrees; <b>fine</b>.");
}
