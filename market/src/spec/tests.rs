//! Tests of the specification.

mod encoding;
mod growth;
mod problems;
mod schema;
mod strategy;

use super::*;

const MODULE: &str = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
const INPUT: &str = "bafybeidskjjd4zmr7oh6ku6wp72vvbxyibcli2r6if3ocdcy7jjjusvl2u";

const IMAGE: &str =
    "registry.example:5000/team/tool@sha256:c3c4733ec8affd06cf9e9ff50ffc6bcd2ec85a6170004bb709669c31de94391a";

fn module() -> Link {
    MODULE.parse().expect("a CID")
}

/// The smallest spec, as JSON.
fn minimal() -> serde_json::Value {
    serde_json::json!({
        "version": 1,
        "engine": { "type": "wasm", "module": MODULE },
        "limits": { "fuel": 1, "memory": 65536, "output": 1, "entries": 1, "wall": 1 }
    })
}

fn parse_value(value: &serde_json::Value) -> Result<ValidatedSpec, SpecProblems> {
    parse_json(value.to_string().as_bytes())
}

#[test]
fn what_is_left_out_has_its_default() {
    let spec = parse_value(&minimal()).expect("good");
    let Engine::Wasm { module: found, entry } = spec.engine() else { panic!("a module") };
    assert_eq!((found, entry.as_str()), (&module(), "_start"));
    assert_eq!(spec.outputs().as_str(), "/outputs");
    assert!(spec.args().is_empty() && spec.env().is_empty() && spec.inputs().is_empty() && spec.labels().is_empty());
    assert_eq!(spec.limits(), &Limits::LEAST);
    assert_eq!(JobSpec::wasm(module(), *spec.limits()).validate(), Ok(spec));
}

/// The smallest spec of a container.
fn container() -> serde_json::Value {
    let mut json = minimal();
    json["engine"] = serde_json::json!({ "type": "docker", "image": IMAGE });
    json
}

#[test]
fn an_image_is_named_by_digest_or_is_an_archive() {
    let spec = parse_value(&container()).expect("good");
    assert_eq!(
        spec.engine(),
        &Engine::Docker { image: Image::Named(IMAGE.to_owned()), entrypoint: Vec::new(), workdir: None }
    );
    assert_eq!((spec.program(), spec.cids().count()), (None, 0));
    assert_eq!(JobSpec::docker(IMAGE.parse().expect("a name"), Limits::LEAST).validate(), Ok(spec));
    let mut json = container();
    json["engine"] =
        serde_json::json!({ "type": "docker", "image": MODULE, "entrypoint": ["sh", "-c"], "workdir": "/data" });
    json["limits"]["cpu"] = 2_500.into();
    let spec = parse_value(&json).expect("good");
    assert_eq!(spec.program(), Some(module().0));
    assert_eq!((spec.limits().cpu, spec.limits().pids, spec.limits().gpus), (2_500, 256, 0));
    let Engine::Docker { image: Image::Archive(link), entrypoint, workdir } = spec.engine() else {
        panic!("an archive")
    };
    assert_eq!((link, entrypoint.len(), workdir.as_deref()), (&module(), 2, Some("/data")));
    assert_eq!(parse_dag_cbor(&spec.to_dag_cbor()), Ok(spec));
}

#[test]
fn one_input_is_at_inputs_and_several_are_numbered() {
    let mut json = minimal();
    json["inputs"] = serde_json::json!([{ "cid": INPUT }]);
    let paths = |spec: &ValidatedSpec| spec.inputs().iter().map(|mount| mount.path.to_string()).collect::<Vec<_>>();
    assert_eq!(paths(&parse_value(&json).expect("good")), ["/inputs"]);
    json["inputs"] = serde_json::json!([{ "cid": INPUT }, { "cid": MODULE, "path": "/data" }, { "cid": INPUT }]);
    let spec = parse_value(&json).expect("good");
    assert_eq!(paths(&spec), ["/inputs/0", "/data", "/inputs/2"]);
    let cids: Vec<String> = spec.cids().map(|cid| cid.to_string()).collect();
    assert_eq!(cids, [MODULE, INPUT, MODULE, INPUT]);
}

#[test]
fn a_link_is_a_cid_as_a_whole() {
    assert!(INPUT.parse::<Link>().is_ok());
    for text in [format!("{INPUT}aa"), format!("/ipfs/{INPUT}"), format!("x/ipfs/{INPUT}"), format!("{INPUT}/a")] {
        assert!(text.parse::<Link>().is_err(), "{text}");
        let mut json = minimal();
        json["inputs"] = serde_json::json!([{ "cid": text }]);
        assert!(parse_value(&json).is_err(), "{text}");
    }
}

#[test]
fn inputs_come_from_three_places() {
    let raw: Link = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy".parse().expect("a CID");
    let url = "https://example.org/w.csv";
    let mut json = minimal();
    json["inputs"] =
        serde_json::json!([{ "cid": INPUT }, { "cid": raw.to_string(), "url": url }, { "directory": "x.1" }]);
    let spec = parse_value(&json).expect("good");
    let sources: Vec<&Source> = spec.inputs().iter().map(|mount| &mount.source).collect();
    let at_url = Source::Url { url: url.to_owned(), cid: raw };
    assert_eq!(
        sources,
        [&Source::Content(INPUT.parse().expect("a CID")), &at_url, &Source::Directory("x.1".to_owned())]
    );
    let cids: Vec<String> = spec.cids().map(|cid| cid.to_string()).collect();
    assert_eq!(cids, [MODULE, INPUT], "gateways are asked for no others");
}

#[test]
fn a_value_may_contain_equals_signs() {
    let mut json = minimal();
    json["env"] = serde_json::json!({ "KEY": "a=b", "EMPTY": "" });
    let spec = parse_value(&json).expect("good");
    assert_eq!(spec.env().get("KEY").map(String::as_str), Some("a=b"));
    assert_eq!(parse_dag_cbor(&spec.to_dag_cbor()).expect("canonical").env(), spec.env());
}

#[test]
fn a_cid_of_version_0_is_read_as_version_1() {
    let v0 = cid::Cid::new_v0(*module().0.hash()).expect("sha2-256").to_string();
    let mut json = minimal();
    json["engine"]["module"] = v0.into();
    assert_eq!(parse_value(&json), parse_value(&minimal()));
}

#[test]
fn the_page_about_specs_shows_the_example() {
    let page = include_str!("../../../docs/spec.md");
    let shown = page.split("```json\n").nth(1).and_then(|rest| rest.split("```").next()).expect("the page has JSON");
    assert_eq!(shown, EXAMPLE);
    let table = growth::table(&fields::SPEC);
    assert!(
        page.contains(&table),
        "the page's table of fields is not the one that the fields make; put this there:\n{table}"
    );
    let spec = parse_json(shown.as_bytes()).expect("the example is good");
    assert_eq!(spec.inputs().len(), 2);
    for limit in ["64 KiB", "1,024 arguments", "256 inputs", "64 labels"] {
        assert!(page.contains(limit), "the page does not mention {limit}");
    }
}
