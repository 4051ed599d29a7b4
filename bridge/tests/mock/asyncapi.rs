//! The AsyncAPI document, the page and real traffic say the same.

use std::{
    collections::{BTreeSet, HashMap},
    io::Write as _,
    path::PathBuf,
    sync::LazyLock,
};

use futures::{SinkExt, StreamExt};
use jsonschema::Validator;
use lota_bridge::{
    Transport,
    eip712::SignedCommand,
    encoding,
    mock::{
        Limits,
        protocol::{method, notification},
    },
};
use lota_market::{AttoFil, agent::EffectKey, model::Command, money::FIL};
use serde_json::{Value, json};
use tokio_tungstenite::{connect_async, tungstenite::Message};

use crate::harness::{Running, announce, signer};

pub(crate) fn document() -> Value {
    serde_json::from_str(include_str!("../../../docs/mock.asyncapi.json")).expect("JSON")
}

/// A validator for each schema of the document.
static SCHEMAS: LazyLock<HashMap<String, Validator>> = LazyLock::new(|| {
    let document = document();
    let components = &document["components"];
    let of = |name: &String| json!({ "$ref": format!("#/components/schemas/{name}"), "components": components });
    let names = components["schemas"].as_object().expect("schemas").keys();
    names.map(|name| (name.clone(), jsonschema::validator_for(&of(name)).expect("a valid schema"))).collect()
});

/// Why a value is not what one of the document's schemas says; `None` when it is.
pub(crate) fn misfit(schema: &str, value: &Value) -> Option<String> {
    SCHEMAS[schema].validate(value).err().map(|error| error.to_string())
}

/// Where `tests/mock/js/install.sh` puts AsyncAPI's own schema; `None`, and said so, if it has not been run.
fn meta_schema() -> Option<Value> {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("asyncapi/node_modules/@asyncapi/specs/schemas");
    match std::fs::read_to_string(folder.join("3.0.0-without-$id.json")) {
        Ok(text) => Some(serde_json::from_str(&text).expect("JSON")),
        Err(error) => {
            let reason = format!(
                "npm @asyncapi/specs is not in {} ({error}); bridge/tests/mock/js/install.sh puts it there",
                folder.display()
            );
            assert!(std::env::var_os("LOTA_TEST_TOOLS").is_none(), "{reason}");
            // Not with `eprintln!`, which says nothing when a test passes.
            let _ = writeln!(std::io::stderr(), "skipped: {reason}");
            None
        }
    }
}

#[test]
fn the_document_is_one_of_asyncapi() {
    let Some(schema) = meta_schema() else { return };
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let document = document();
    let errors: Vec<String> =
        validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let mut wrong = document.clone();
    wrong["operations"]["market.info"]["action"] = json!("shout");
    assert!(!validator.is_valid(&wrong), "it takes anything");
}

/// Holds a message against what the document says of one of this name.
fn check(document: &Value, name: &str, message: &Value) {
    let payload = &document["components"]["messages"][name]["payload"];
    assert!(payload.is_object(), "the document has no message {name}");
    let mut schema = payload.clone();
    schema["components"] = document["components"].clone();
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let errors: Vec<String> = validator.iter_errors(message).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{name}: {errors:?} in {message}");
}

#[test]
fn every_method_and_notification_is_in_the_document_with_an_example_that_fits() {
    let document = document();
    assert_eq!(document["asyncapi"], "3.0.0");
    let operations: BTreeSet<&str> =
        document["operations"].as_object().expect("operations").keys().map(String::as_str).collect();
    let wanted: BTreeSet<&str> = method::ALL.into_iter().chain(notification::ALL).collect();
    assert_eq!(operations, wanted);
    for (name, operation) in document["operations"].as_object().expect("operations") {
        let replies = operation["reply"]["messages"].as_array().cloned().unwrap_or_default();
        let messages = operation["messages"].as_array().expect("messages").iter().chain(&replies);
        for message in messages {
            let pointer = message["$ref"].as_str().expect("a reference").trim_start_matches('#').to_owned();
            assert!(document.pointer(&pointer).is_some(), "{name}: {pointer}");
        }
    }
    for (name, message) in document["components"]["messages"].as_object().expect("messages") {
        let examples = message["examples"].as_array().expect("examples");
        assert!(!examples.is_empty(), "{name}");
        examples.iter().for_each(|example| check(&document, name, &example["payload"]));
    }
    // A schema that takes anything would let everything pass.
    let mut wrong = document["components"]["messages"]["market.head.result"]["examples"][0]["payload"].clone();
    wrong["result"]["block"] = json!("12");
    let refused = std::panic::catch_unwind(|| check(&document, "market.head.result", &wrong));
    assert!(refused.is_err());
}

/// The examples of the page: of every method, each as the document has it.
#[test]
fn the_page_has_an_example_of_every_method() {
    let document = document();
    let page = include_str!("../../../docs/mock.md");
    let mut seen = BTreeSet::new();
    for block in page.split("```json\n").skip(1) {
        let text = block.split("```").next().unwrap_or_default();
        for line in text.lines() {
            let message: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            let Some(name) = message["method"].as_str() else {
                if !message["error"].is_null() {
                    check(&document, "error", &message);
                }
                continue;
            };
            seen.insert(name.to_owned());
            let of = if method::ALL.contains(&name) { format!("{name}.request") } else { name.to_owned() };
            check(&document, &of, &message);
        }
    }
    let wanted: BTreeSet<String> = method::ALL
        .into_iter()
        .chain(notification::ALL)
        .filter(|name| *name != notification::ENDED)
        .map(str::to_owned)
        .collect();
    assert_eq!(seen.intersection(&wanted).count(), wanted.len(), "missing: {:?}", wanted.difference(&seen));
}

#[tokio::test]
async fn real_traffic_is_what_the_document_says() {
    let document = document();
    let dir = tempfile::tempdir().expect("a folder");
    let running = Running::start(dir.path(), Limits::default()).await;
    let party = running.party("party").await;
    let me = party.party();
    let market = party.market();
    let signed = |key: &str, command: &Command, value: AttoFil| {
        let bytes = encoding::encode(command, value).expect("within limits");
        let signed =
            SignedCommand::sign(&signer("party"), &market, EffectKey::named(key), value, bytes).expect("signs");
        serde_json::to_value(signed).expect("JSON")
    };
    let mut forged = signed("f", &announce("https://x.example"), AttoFil::ZERO);
    forged["signature"] = json!("0x00");
    let job = format!("0x{}", "3f".repeat(32));
    let head = party.head().await.expect("read");
    let begin = json!({ "block": 0, "block_hash": party.client().info().beginning, "index": 0 });
    let exchanges = [
        (method::INFO, json!({})),
        (method::SUBMIT, signed("1", &announce("https://one.example"), AttoFil::ZERO)),
        (method::SUBMIT, signed("2", &Command::Deposit { account: me }, AttoFil(7 * FIL))),
        (method::SUBMIT, signed("3", &Command::Withdraw { to: me, amount: AttoFil(2 * FIL) }, AttoFil::ZERO)),
        (method::SUBMIT, signed("3", &Command::Withdraw { to: me, amount: AttoFil(3 * FIL) }, AttoFil::ZERO)),
        (method::SUBMIT, signed("4", &Command::Withdraw { to: me, amount: AttoFil(900 * FIL) }, AttoFil::ZERO)),
        (method::SUBMIT, signed("5", &Command::Deposit { account: me }, AttoFil(9_000 * FIL))),
        (method::SUBMIT, forged),
        (method::LANDED, json!({ "party": me, "key": "1" })),
        (method::HEAD, json!({})),
        (method::BALANCE, json!({ "account": me })),
        (method::WALLET, json!({ "account": me })),
        (method::DEAL, json!({ "job": job })),
        (method::IS_SPENT, json!({ "client": me, "salt": "0x0" })),
        (method::NEXT_SALT, json!({ "client": me, "lane": lota_market::model::Lane::ZERO })),
        (method::AUCTION_BALANCE, json!({ "account": me })),
        (method::AUCTION_OF, json!({ "job": job })),
        (method::SEALED_ORDER, json!({ "job": job, "bidder": me })),
        (method::EVENTS, json!({ "from": begin })),
        (method::EVENTS, json!({})),
        (method::FOLLOW_MOVEMENTS, json!({ "from": [0, 0], "account": null })),
        (method::HOLDINGS, json!({})),
        (method::HOLDINGS, json!({ "account": me })),
        (method::MOVEMENTS, json!({ "from": [head.block, 0] })),
        (method::FAUCET, json!({ "account": me, "amount": "5" })),
        (method::FAUCET, json!({ "account": me, "amount": u128::MAX.to_string() })),
        (method::ADVANCE, json!({ "seconds": 60 })),
        (method::UNSUBSCRIBE, json!({ "subscription": 1 })),
        (method::UNSUBSCRIBE, json!({ "subscription": 77 })),
    ];
    let (mut socket, _) = connect_async(running.server.url()).await.expect("connects");
    let (mut told, mut failed, mut asked) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    let mut notified = |message: &Value| {
        let name = message["method"].as_str().expect("a notification").to_owned();
        check(&document, &name, message);
        told.insert(name);
    };
    for (id, (method, params)) in exchanges.into_iter().enumerate() {
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        check(&document, &format!("{method}.request"), &request);
        socket.send(Message::text(request.to_string())).await.expect("sent");
        loop {
            let Some(Ok(Message::Text(text))) = socket.next().await else { panic!("closed after {method}") };
            let message: Value = serde_json::from_str(text.as_str()).expect("JSON");
            if message["id"] != id {
                notified(&message);
                continue;
            }
            if message["error"].is_null() {
                check(&document, &format!("{method}.result"), &message);
                asked.insert(method);
            } else {
                check(&document, "error", &message);
                failed.insert(message["error"]["data"]["kind"].as_str().unwrap_or("none").to_owned());
            }
            break;
        }
    }
    assert_eq!(asked, method::ALL.into_iter().collect(), "every method gave a result once");
    let kinds = ["key_reused", "not_allowed", "rejected", "unaffordable", "wrong_signer"];
    assert_eq!(failed.iter().map(String::as_str).collect::<Vec<_>>(), kinds);
    let all = [notification::MOVEMENT, notification::UPDATE];
    while told_all(&told, &all) {
        let Some(Ok(Message::Text(text))) = socket.next().await else { panic!("closed") };
        let message: Value = serde_json::from_str(text.as_str()).expect("JSON");
        let name = message["method"].as_str().expect("a notification").to_owned();
        check(&document, &name, &message);
        told.insert(name);
    }
}

/// Whether something is missing.
fn told_all(told: &BTreeSet<String>, all: &[&str]) -> bool {
    !all.iter().all(|name| told.contains(*name))
}
