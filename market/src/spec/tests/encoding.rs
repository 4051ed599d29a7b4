//! The canonical encoding: golden vectors, round trips, and everything that is almost canonical.

use ipld_core::ipld::Ipld;
use proptest::prelude::*;
use serde_json::json;

use super::{strategy::specs, *};

/// Encoded by an independent program (a DAG-CBOR encoder in Python) from the same documents.
fn vector(text: &str) -> Vec<u8> {
    let digits: String = text.split_whitespace().collect();
    (0..digits.len()).step_by(2).map(|n| u8::from_str_radix(&digits[n..n + 2], 16).expect("hex")).collect()
}

#[test]
fn the_canonical_encoding_is_that_of_the_golden_vectors() {
    let mut one_input = minimal();
    one_input["args"] = json!(["ü"]);
    one_input["env"] = json!({ "B": "a=b", "AA": "" });
    one_input["inputs"] = json!([{ "cid": INPUT }]);
    one_input["labels"] = json!({ "z": "1", "aa": "2", "b": "3" });
    let mut elsewhere = minimal();
    elsewhere["inputs"] = json!([
        { "cid": "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy", "url": "https://example.org/w.csv" },
        { "directory": "genomes" },
    ]);
    let mut archive = container();
    archive["engine"] = json!({ "type": "docker", "image": MODULE, "entrypoint": ["sh", "-c"], "workdir": "/data" });
    (archive["limits"]["cpu"], archive["limits"]["pids"], archive["limits"]["gpus"]) =
        (json!(2_500), json!(10), json!(1));
    for (json, bytes) in [
        (elsewhere.to_string(), include_str!("../vectors/elsewhere.hex")),
        (minimal().to_string(), include_str!("../vectors/minimal.hex")),
        (one_input.to_string(), include_str!("../vectors/one-input.hex")),
        (EXAMPLE.to_owned(), include_str!("../vectors/example.hex")),
        (container().to_string(), include_str!("../vectors/container.hex")),
        (archive.to_string(), include_str!("../vectors/archive.hex")),
    ] {
        let (spec, bytes) = (parse_json(json.as_bytes()).expect("good"), vector(bytes));
        assert_eq!(spec.to_dag_cbor(), bytes, "{json}");
        assert_eq!(parse(SpecCodec::DagCbor, &bytes), Ok(spec));
    }
}

fn tree() -> Ipld {
    serde_ipld_dagcbor::from_slice(&vector(include_str!("../vectors/one-input.hex"))).expect("DAG-CBOR")
}

fn at<'a>(tree: &'a mut Ipld, name: &str) -> &'a mut Ipld {
    let Ipld::Map(map) = tree else { panic!("a map") };
    map.get_mut(name).expect("is there")
}

fn refused(tree: &Ipld) -> SpecProblems {
    parse_dag_cbor(&serde_ipld_dagcbor::to_vec(tree).expect("encodes")).expect_err("not canonical")
}

#[test]
fn the_canonical_form_leaves_nothing_out() {
    for name in ["args", "env", "inputs", "outputs", "labels", "version", "engine", "limits"] {
        let mut tree = tree();
        let Ipld::Map(map) = &mut tree else { panic!("a map") };
        map.remove(name).expect("was there");
        assert!(refused(&tree).to_string().starts_with(&format!("{name}: is missing")), "{name}");
    }
    let mut tree = tree();
    let Ipld::Map(engine) = at(&mut tree, "engine") else { panic!("a map") };
    engine.remove("entry").expect("was there");
    assert!(refused(&tree).to_string().starts_with("engine.entry: is missing; the canonical form has this field"));
}

#[test]
fn a_canonical_cid_is_a_link_of_version_1() {
    let (mut text, mut v0) = (tree(), tree());
    *at(at(&mut text, "engine"), "module") = Ipld::String(MODULE.to_owned());
    assert!(refused(&text).to_string().contains("is a string; write a link"), "{}", refused(&text));
    *at(at(&mut v0, "engine"), "module") = Ipld::Link(cid::Cid::new_v0(*module().0.hash()).expect("sha2-256"));
    assert!(refused(&v0).to_string().contains("is of CID version 0"), "{}", refused(&v0));
}

#[test]
fn what_is_almost_canonical_is_refused() {
    let good = vector(include_str!("../vectors/minimal.hex"));
    parse_dag_cbor(&good).expect("good");
    let replaced = |from: &[u8], to: &[u8]| {
        let start = good.windows(from.len()).position(|window| window == from).expect("is there");
        [&good[..start], to, &good[start + from.len()..]].concat()
    };
    let trailing = [good.as_slice(), b"\0"].concat();
    let cases: [(&str, Vec<u8>); 12] = [
        ("empty", Vec::new()),
        ("cut off", good[..good.len() - 1].to_vec()),
        ("trailing bytes", trailing),
        ("version as a longer integer", replaced(b"\x67version\x01", b"\x67version\x18\x01")),
        ("version as a float", replaced(b"\x67version\x01", b"\x67version\xfb\x3f\xf0\0\0\0\0\0\0")),
        ("a list of indefinite length", replaced(b"\x64args\x80", b"\x64args\x9f\xff")),
        ("a string of indefinite length", replaced(b"\x68/outputs", b"\x7f\x68/outputs\xff")),
        ("keys in another order", replaced(b"\x63env\xa0\x64args\x80", b"\x64args\x80\x63env\xa0")),
        ("a key twice", [&[0xa9], &replaced(b"\x64args\x80", b"\x64args\x80\x64args\x80")[1..]].concat()),
        ("another tag", replaced(b"\xd8\x2a", b"\xd8\x2b")),
        ("undefined", replaced(b"\x64args\x80", b"\x64args\xf7")),
        ("a depth bomb", vec![0x81; MAX_BYTES]),
    ];
    for (name, bytes) in cases {
        let problems = parse_dag_cbor(&bytes).expect_err(name);
        assert!(problems.iter().any(|problem| !problem.remedy.is_empty()), "{name}: {problems}");
    }
}

proptest! {
    #[test]
    fn json_to_dag_cbor_to_json_changes_nothing(spec in specs()) {
        let validated = spec.validate().expect("the strategy makes good specs");
        let bytes = validated.to_dag_cbor();
        prop_assert_eq!(&parse_dag_cbor(&bytes).expect("canonical"), &validated);
        let json = validated.to_json();
        prop_assert_eq!(&parse_json(json.as_bytes()).expect("good"), &validated);
        // The plain type reads what the validated one writes.
        let plain: JobSpec = serde_json::from_str(&json).expect("reads back");
        prop_assert_eq!(&plain, &JobSpec::from(validated.clone()));
        prop_assert_eq!(plain.validate().expect("good").to_dag_cbor(), bytes);
        // An independent view: what was written is the same tree as the JSON, apart from the links.
        let tree: Ipld = serde_ipld_dagcbor::from_slice(&validated.to_dag_cbor()).expect("DAG-CBOR");
        prop_assert_eq!(without_links(tree), serde_json::from_str::<serde_json::Value>(&json).expect("JSON"));
    }

    #[test]
    fn no_bytes_make_the_parsers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse_json(&bytes).is_err());
        prop_assert!(parse_dag_cbor(&bytes).is_err());
    }

    /// A spec with bytes changed is refused, or is another spec: never the same one in another spelling.
    #[test]
    fn one_spec_has_one_encoding(spec in specs(), changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        let good = spec.validate().expect("good");
        let bytes = good.to_dag_cbor();
        let mut changed = bytes.clone();
        for (index, byte) in changes {
            let index = index.index(changed.len());
            changed[index] = byte;
        }
        if let Ok(other) = parse_dag_cbor(&changed) {
            prop_assert_eq!(&other.to_dag_cbor(), &changed);
            prop_assert_eq!(other == good, changed == bytes);
        }
    }
}

fn without_links(tree: Ipld) -> serde_json::Value {
    match tree {
        Ipld::Link(cid) => cid.to_string().into(),
        Ipld::Integer(number) => u64::try_from(number).expect("specs have no others").into(),
        Ipld::String(text) => text.into(),
        Ipld::List(items) => items.into_iter().map(without_links).collect(),
        Ipld::Map(fields) => fields.into_iter().map(|(name, value)| (name, without_links(value))).collect(),
        other => panic!("a spec has no {other:?}"),
    }
}
