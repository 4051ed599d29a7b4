//! Jobs found again: by label, state and time.

use std::collections::BTreeSet;

use serde_json::json;

use crate::{modules, support::Home};

#[test]
fn jobs_are_found_by_label_state_and_time() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "1"]);
    let file = |name: &str, module: Vec<u8>| home.file(name, module).to_str().expect("UTF-8").to_owned();
    let (hello, fails) = (file("hello.wasm", modules::hello()), file("fails.wasm", modules::fails()));
    let run = |module: &str, labels: &[&str], more: &[&str]| {
        let labels = labels.iter().flat_map(|label| ["-l", label]).collect::<Vec<_>>();
        let args = [&["wasm", "run", module, "--detach"][..], &labels[..], more].concat();
        home.stdout(&args).trim().to_owned()
    };
    let good = run(&hello, &["kind=a", "urgent="], &[]);
    let bad = run(&fails, &["kind=b"], &[]);
    let plain = run(&hello, &[], &[]);
    for job in [&good, &bad, &plain] {
        home.lota(&["job", "wait", job]).assert().success();
    }
    // Nobody takes it: it stays open.
    let open = run(&hello, &["kind=a"], &["--max-price", "0.000000001 FIL", "--lock-for", "1h"]);

    let listed = |args: &[&str]| -> BTreeSet<String> {
        home.stdout(&[&["job", "list", "-q"][..], args].concat()).lines().map(str::to_owned).collect()
    };
    let all = BTreeSet::from([good.clone(), bad.clone(), plain.clone(), open.clone()]);
    let only = |jobs: &[&String]| jobs.iter().map(|job| (*job).clone()).collect::<BTreeSet<_>>();
    for (args, expected) in [
        (&["--limit", "50"][..], all.clone()),
        (&["--label", "kind"], only(&[&good, &bad, &open])),
        (&["-l", "kind=a"], only(&[&good, &open])),
        (&["-l", "kind=a", "-l", "urgent"], only(&[&good])),
        (&["-l", "kind=c"], only(&[])),
        (&["--all", "-l", "kind=b"], only(&[&bad])),
        (&["--status", "failed"], only(&[&bad])),
        (&["--status", "open,failed"], only(&[&open, &bad])),
        (&["-s", "settled", "-s", "open", "-l", "kind=a"], only(&[&good, &open])),
        (&["--status", "running"], only(&[])),
        (&["--since", "1h"], all.clone()),
        (&["--since", "2026-01-01"], all),
        (&["--since", "9999-01-01T00:00:00Z"], only(&[])),
    ] {
        assert_eq!(listed(args), expected, "{args:?}");
    }
    // The beginning of a filtered list, and the list backwards. (Jobs of one second are in the order of their ids.)
    let ids = |more: &[&str]| -> Vec<String> {
        home.stdout(&[&["job", "list", "-q", "-l", "kind"][..], more].concat()).lines().map(str::to_owned).collect()
    };
    let newest = ids(&[]);
    assert_eq!(ids(&["-n", "2"]), newest[..2]);
    assert_eq!(ids(&["--oldest-first"]), newest.iter().rev().cloned().collect::<Vec<_>>());

    for (args, part) in [
        (&["--status", "done"][..], "[possible values: open"),
        (&["--since", "yesterday"], "write how long ago"),
        (&["--label", "=x"], "names no label"),
    ] {
        let assert = home.lota(&[&["job", "list"][..], args].concat()).assert().code(2);
        let text = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(text.contains(part), "{args:?}: {text}");
    }
    let labels: Vec<&str> = std::iter::repeat_n(["-l", "x"], 17).flatten().collect();
    let (_, line) = home.failure(&[&["job", "list"][..], &labels[..]].concat());
    assert!(line.contains("more than 16 labels"), "{line}");
    home.stdout(&["job", "cancel", &open]);
}

#[test]
fn the_same_idempotency_key_opens_no_second_job() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "0"]);
    let module = home.file("hello.wasm", modules::hello());
    let cid = home.stdout(&["content", "add", module.to_str().expect("UTF-8")]).trim().to_owned();
    let spec = json!({
        "version": 1,
        "engine": { "type": "wasm", "module": cid },
        "limits": { "fuel": 1_000_000, "memory": 1_048_576, "output": 1024, "entries": 10, "wall": 10 },
    });
    let file = home.file("job.json", spec.to_string());
    let submit = |more: &[&str]| {
        home.stdout(&[&["job", "submit", file.to_str().expect("UTF-8")][..], more].concat()).trim().to_owned()
    };
    let first = submit(&["--idempotency-key", "invoice-7"]);
    assert_eq!(submit(&["--idempotency-key", "invoice-7", "--detach"]), first);
    assert_ne!(submit(&[]), first);
    // In the file, by either of its names.
    for field in ["idempotency_key", "key"] {
        let mut request = json!({ "spec": spec });
        request[field] = json!("invoice-7");
        let file = home.file("request.json", request.to_string());
        let id = home.stdout(&["job", "submit", file.to_str().expect("UTF-8")]).trim().to_owned();
        assert_eq!(id, first, "{field}");
    }
}
