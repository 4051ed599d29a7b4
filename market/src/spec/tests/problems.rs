//! Bad specs, and what is said about them.

use serde_json::{Value, json};

use super::*;

/// Sets what is at a JSON pointer.
fn with(pointer: &str, value: Value) -> Value {
    let mut json = minimal();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    json.pointer_mut(parent).expect("the parent is there")[name] = value;
    json
}

fn without(pointer: &str) -> Value {
    let mut json = minimal();
    let (parent, name) = pointer.rsplit_once('/').expect("a pointer");
    json.pointer_mut(parent).and_then(Value::as_object_mut).expect("an object").remove(name).expect("was there");
    json
}

const RAW: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";

/// Specs with one thing wrong, where that is, and what the message says.
pub(super) fn bad() -> Vec<(Value, &'static str, &'static str)> {
    let other = |pointer: &str, value: Value| with(pointer, value);
    let inputs = |paths: &[&str]| {
        with("/inputs", paths.iter().map(|path| json!({ "cid": INPUT, "path": path })).collect::<Vec<_>>().into())
    };
    let at_url = |url: &str| with("/inputs", json!([{ "cid": RAW, "url": url }]));
    let image = |name: &str| with("/engine", json!({ "type": "docker", "image": name }));
    let docker = |field: &str, value: Value| {
        let mut json = container();
        json["engine"][field] = value;
        json
    };
    vec![
        (json!([]), "", "is a list; write an object"),
        (without("/version"), "version", "is missing; write 1"),
        (with("/version", json!(2)), "version", "2 is a version unknown here; write 1"),
        (with("/version", json!("1")), "version", "\"1\" is a version unknown here"),
        (without("/engine"), "engine", "is missing; name what runs the job"),
        (with("/engine", json!("wasm")), "engine", "\"wasm\" is a string; write an object"),
        (without("/engine/type"), "engine.type", "is missing"),
        (with("/engine/type", json!("wams")), "engine.type", "did you mean `wasm`?"),
        (with("/engine/type", json!("podman")), "engine.type", "the engines are: wasm, docker"),
        (with("/engine", json!({ "type": "docker" })), "engine.image", "is missing; name the image by its digest"),
        (
            image("busybox:1.36"),
            "engine.image",
            "without its digest, and so may name another one tomorrow; `docker inspect",
        ),
        (image("busybox@sha256:12"), "engine.image", "has something else than `sha256:`"),
        (image(&IMAGE.replace("tool@", "tool:1@")), "engine.image", "has a tag beside its digest"),
        (image(&IMAGE.replace("team", "Team")), "engine.image", "is not the name of an image"),
        (image(&IMAGE.replace("team", "")), "engine.image", "is not the name of an image"),
        (image(&format!("{}{IMAGE}", "x/".repeat(300))), "engine.image", "has more than 512 bytes"),
        (
            with("/engine", json!({ "type": "docker", "image": 7 })),
            "engine.image",
            "7 is a whole number; write the name of",
        ),
        (docker("entrypoint", json!("sh")), "engine.entrypoint", "write a list"),
        (docker("entrypoint", json!(["a\0"])), "engine.entrypoint[0]", "NUL"),
        (docker("workdir", json!("data")), "engine.workdir", "is not absolute"),
        (docker("workdir", json!(null)), "engine.workdir", "is null; write a string"),
        (docker("entry", json!("main")), "engine.entry", "is an unknown field"),
        (with("/limits/cpu", json!(9)), "limits.cpu", "from 10 to 1024000"),
        (with("/limits/cpu", json!(2_000)), "limits.cpu", "is of no use to a WASM job"),
        (with("/limits/pids", json!(1)), "limits.pids", "is of no use to a WASM job"),
        (with("/limits/gpus", json!(1)), "limits.gpus", "is of no use to a WASM job"),
        (with("/limits/gpus", json!(65)), "limits.gpus", "from 0 to 64"),
        (without("/engine/module"), "engine.module", "is missing"),
        (with("/engine/module", json!(7)), "engine.module", "7 is a whole number; write a CID as a string"),
        (with("/engine/module", json!("bafy")), "engine.module", "\"bafy\" is not a CID"),
        (
            with("/engine/module", json!("bafyreigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi")),
            "engine.module",
            "neither raw (0x55) nor dag-pb",
        ),
        (with("/engine/module", json!("bafkqabtimvwgy3yk")), "engine.module", "not hashed with sha2-256"),
        (with("/engine/entry", json!("")), "engine.entry", "empty name"),
        (with("/engine/entry", json!("a\0b")), "engine.entry", "NUL"),
        (with("/engine/entry", json!("_initialize")), "engine.entry", "initialises a module and runs nothing"),
        (with("/engine/entry", json!("x".repeat(257))), "engine.entry", "257 bytes"),
        (with("/args", json!("ls -l")), "args", "write a list"),
        (with("/args", json!(["a", 1])), "args[1]", "write a string"),
        (with("/args", json!(["a\0"])), "args[0]", "NUL"),
        (with("/args", json!(vec![""; 1_025])), "args", "has 1025 entries; at most 1024"),
        (with("/env", json!(["A=b"])), "env", "is a list; write an object of strings"),
        (with("/env", json!({ "A=B": "c" })), "env[\"A=B\"]", "name that contains `=`"),
        (with("/env", json!({ "": "c" })), "env[\"\"]", "empty name"),
        (with("/env", json!({ "A": null })), "env[\"A\"]", "is null; write a string"),
        (with("/env", json!({ "A": "x\0y" })), "env[\"A\"]", "NUL"),
        (with("/inputs", json!({})), "inputs", "write a list"),
        (with("/inputs", json!([INPUT])), "inputs[0]", "write an object"),
        (with("/inputs", json!([{}])), "inputs[0].cid", "is missing"),
        (with("/inputs", json!([{ "cid": INPUT, "paht": "/x" }])), "inputs[0].paht", "did you mean `path`?"),
        (
            with("/inputs", json!([{ "cid": INPUT, "directory": "x" }])),
            "inputs[0].cid",
            "is there together with `directory`",
        ),
        (
            with("/inputs", json!([{ "directory": "/etc" }])),
            "inputs[0].directory",
            "\"/etc\" is no label; write the label",
        ),
        (with("/inputs", json!([{ "directory": "" }])), "inputs[0].directory", "is no label"),
        (with("/inputs", json!([{ "directory": ".." }])), "inputs[0].directory", "is no label"),
        (with("/inputs", json!([{ "directory": "x".repeat(65) }])), "inputs[0].directory", "is no label"),
        (at_url("ftp://example.org/x"), "inputs[0].url", "begins neither with https:// nor with http://"),
        (at_url("https:///x"), "inputs[0].url", "has no host"),
        (at_url("https://:80/x"), "inputs[0].url", "has no host"),
        (at_url("https://a@example.org/x"), "inputs[0].url", "carries a user name or a password"),
        (at_url("https://example.org/x#y"), "inputs[0].url", "has a fragment"),
        (at_url("https://example.org/a b"), "inputs[0].url", "percent-encoded"),
        (at_url(&format!("https://example.org/{}", "x".repeat(2_048))), "inputs[0].url", "longer than 2048 bytes"),
        (with("/inputs", json!([{ "cid": RAW, "url": null }])), "inputs[0].url", "is null; write a string"),
        (
            with("/inputs", json!([{ "cid": INPUT, "url": "https://example.org/x" }])),
            "inputs[0].cid",
            "is not of codec raw, as that of a file at a URL is",
        ),
        (
            with("/inputs", json!([{ "directory": "x", "url": "https://example.org/x" }])),
            "inputs[0].url",
            "is there together with `directory`",
        ),
        (inputs(&["data"]), "inputs[0].path", "is not absolute"),
        (inputs(&["/"]), "inputs[0].path", "is the root"),
        (inputs(&["/a/../b"]), "inputs[0].path", "`..`"),
        (inputs(&["/a//b"]), "inputs[0].path", "empty part"),
        (inputs(&["/a/"]), "inputs[0].path", "ends with `/`"),
        (inputs(&["/a\0"]), "inputs[0].path", "NUL"),
        (inputs(&[&format!("/{}", "x".repeat(1_024))]), "inputs[0].path", "more than 1024 bytes"),
        (inputs(&["/a", "/a"]), "inputs[1].path", "is the same path as inputs[0].path (/a)"),
        (inputs(&["/a/b", "/a-b", "/a"]), "inputs[0].path", "lies within inputs[2].path (/a)"),
        (inputs(&["/outputs/a"]), "inputs[0].path", "lies within outputs (/outputs)"),
        (inputs(&["/outputs"]), "outputs", "is the same path as inputs[0].path"),
        (other("/outputs", json!("outputs")), "outputs", "is not absolute"),
        (other("/outputs", json!("/./outputs")), "outputs", "`.`"),
        (without("/limits"), "limits", "is missing; name every limit"),
        (without("/limits/fuel"), "limits.fuel", "is missing; name the most fuel"),
        (with("/limits/fuel", json!(0)), "limits.fuel", "0 is out of range; write a whole number from 1"),
        (with("/limits/fuel", json!(-1)), "limits.fuel", "-1 is out of range"),
        (with("/limits/fuel", json!(1.5)), "limits.fuel", "1.5 is out of range; write a whole number"),
        (with("/limits/fuel", json!("1")), "limits.fuel", "\"1\" is a string; write a whole number"),
        (with("/limits/memory", json!(65_535)), "limits.memory", "out of range"),
        (with("/limits/memory", json!(4_294_967_297_u64)), "limits.memory", "from 65536 to 4294967296"),
        (with("/limits/output", json!(0)), "limits.output", "out of range"),
        (with("/limits/entries", json!(0)), "limits.entries", "out of range"),
        (with("/limits/wall", json!(7_776_001)), "limits.wall", "from 1 to 7776000"),
        (with("/limits/memroy", json!(1)), "limits.memroy", "1 is an unknown field; did you mean `memory`?"),
        (with("/labels", json!({ "": "x" })), "labels[\"\"]", "empty name"),
        (with("/labels", json!({ "a": 1 })), "labels[\"a\"]", "write a string"),
        (with("/memory", json!(1)), "memory", "it belongs into `limits`"),
        (with("/module", json!(MODULE)), "module", "it belongs into `engine`"),
        (with("/engine/args", json!([])), "engine.args", "it belongs into the spec itself"),
        (with("/Version", json!(1)), "Version", "did you mean `version`?"),
        (
            with("/colour", json!("red")),
            "colour",
            "\"red\" is an unknown field; remove it; the fields here are: version,",
        ),
    ]
}

#[test]
fn each_problem_is_named_with_its_field_and_its_remedy() {
    for (json, field, message) in bad() {
        let problems = parse_value(&json).expect_err(message);
        let listed: Vec<_> = problems.iter().collect();
        assert_eq!(listed.len(), 1, "{json}: {problems}");
        assert_eq!(listed[0].field, field, "{json}: {problems}");
        assert!(listed[0].to_string().contains(message), "wanted {message:?}, found: {problems}");
    }
}

#[test]
fn all_problems_are_named_at_once() {
    let json = r#"{
        "version": 3, "engine": { "type": "wasm", "module": "nope", "fuel": 1 }, "args": [1, null], "env": { "A=": 7 },
        "inputs": [{ "path": "x" }, { "cid": "bafkqaaa", "path": "/outputs/y" }], "outputs": "/outputs",
        "limits": { "memory": 0 }, "lables": {}, "args": []
    }"#;
    let problems = parse_json(json.as_bytes()).expect_err("nothing is right");
    let fields: Vec<&str> = problems.iter().map(|problem| problem.field.as_str()).collect();
    let wanted = [
        "lables",
        "args",
        "version",
        "engine.fuel",
        "engine.module",
        "env[\"A=\"]",
        "env[\"A=\"]",
        "inputs[0].cid",
        "inputs[0].path",
        "inputs[1].cid",
        "limits.fuel",
        "limits.memory",
        "limits.output",
        "limits.entries",
        "limits.wall",
        "inputs[1].path",
    ];
    assert_eq!(fields, wanted, "{problems}");
    assert!(problems.to_string().starts_with("the job spec has 16 problems:\n  - lables: "), "{problems}");
}

#[test]
fn a_document_that_is_not_one_says_where_it_breaks() {
    let problems = parse_json(b"{ \"version\": 1, }").expect_err("a trailing comma");
    assert!(problems.to_string().contains("is not JSON: trailing comma at line 1 column 17"), "{problems}");
    let deep = "[".repeat(10_000);
    assert!(parse_json(deep.as_bytes()).expect_err("deep").to_string().contains("recursion limit"));
    let large = vec![b' '; MAX_BYTES + 1];
    assert!(parse_json(&large).expect_err("large").to_string().contains("65537 bytes; at most 65536"));
    assert!(parse_dag_cbor(&large).is_err());
}

#[test]
fn a_field_that_is_there_twice_is_refused() {
    let json = minimal().to_string().replacen("\"version\":1", "\"version\":1,\"version\":1", 1);
    let problems = parse_json(json.as_bytes()).expect_err("two versions");
    assert_eq!(problems.to_string(), "version: is there twice; keep one of them");
    let json = minimal().to_string().replacen("\"version\":1", "\"version\":1,\"env\":{\"A\":\"1\",\"A\":\"2\"}", 1);
    let problems = parse_json(json.as_bytes()).expect_err("two values of A");
    assert_eq!(problems.to_string(), "env[\"A\"]: is there twice; keep one of them");
}

#[test]
fn the_list_of_problems_has_an_end() {
    let json = with("/args", json!(vec![0; 1_000]));
    let problems = parse_value(&json).expect_err("a thousand numbers");
    assert_eq!((problems.iter().count(), problems.more()), (SpecProblems::MAX, 900));
    assert!(problems.to_string().ends_with("and 900 more"), "{problems}");
}

#[test]
fn a_spec_that_is_too_large_once_encoded_is_refused() {
    let spec = JobSpec::from(parse_value(&minimal()).expect("good"));
    let spec = JobSpec { args: vec!["x".repeat(MAX_BYTES)], ..spec };
    let problems = spec.validate().expect_err("too large");
    assert!(problems.to_string().contains("in DAG-CBOR; at most 65536 are allowed"), "{problems}");
}
