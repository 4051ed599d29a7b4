//! What strangers do to a daemon that has few descriptors.

use std::net::TcpStream;

use crate::{modules, support::Home};

#[test]
fn silent_connections_do_not_keep_a_daemon_from_its_work() {
    let home = Home::new();
    let devnet = home.devnet_within(256, &["--providers", "1"]);
    let hello = home.file("hello.wasm", modules::hello());
    let hello = hello.to_str().expect("UTF-8");
    let api: serde_json::Value =
        serde_json::from_slice(&std::fs::read(home.path().join("api.json")).expect("there")).expect("JSON");
    let node = home.json(&["node", "show", "--json"]);
    let host =
        |url: &serde_json::Value| url.as_str().and_then(|url| url.strip_prefix("http://")).expect("a URL").to_owned();
    let (gateway, api) = (host(&node["node"]["gateway"]), host(&api["url"]));
    let mut silent = Vec::new();
    for _ in 0..3 {
        // More than the process has descriptors; the system takes connections for it until then.
        silent.extend((0..150).map(|_| TcpStream::connect(&gateway).expect("the gateway listens")));
        silent.extend((0..50).map(|_| TcpStream::connect(&api).expect("the API listens")));
        home.json(&["wallet", "show", "--json"]);
        assert_eq!(home.stdout(&["wasm", "run", hello]), "hello\n");
        home.stdout(&["wallet", "deposit", "1 FIL"]);
    }
    assert_eq!(silent.len(), 600);
    devnet.end();
}
