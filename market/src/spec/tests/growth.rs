//! A field is written in one place, and one that is added changes no digest of the specs that do without it.

use serde_json::{Value, json};

use super::*;
use crate::spec::{
    fields::{Default, Field, Kind, Object, Presence, SPEC},
    schema::schema_of,
};

/// The rows of the table in `docs/spec.md`.
pub(super) fn table(root: &Object) -> String {
    let mut rows = String::from("| field | required | meaning |\n| --- | --- | --- |\n");
    add_rows(&mut rows, "", root.fields);
    rows
}

fn add_rows(rows: &mut String, prefix: &str, fields: &[Field]) {
    for field in fields {
        let name = format!("{prefix}{}", field.name);
        match &field.kind {
            Kind::Object(object) => add_rows(rows, &format!("{name}."), object.fields),
            Kind::OneOf { variants, .. } => {
                let names: Vec<String> =
                    variants.iter().map(|variant| format!("`\"{}\"`: {}", variant.name, variant.about)).collect();
                *rows += &format!("| `{name}.type` | yes | {} |\n", names.join("; "));
                variants.iter().for_each(|variant| add_rows(rows, &format!("{name}."), variant.fields));
            }
            Kind::List { item, .. } => add_rows(rows, &format!("{name}[]."), item.fields),
            kind => {
                let required = match field.default() {
                    None => match field.presence {
                        Presence::Either { other, .. } => format!("yes, or `{other}`"),
                        _ => "yes".to_owned(),
                    },
                    Some(Default::Always(default)) if default() == Value::Null => "no".to_owned(),
                    Some(Default::InList(_)) => "no".to_owned(),
                    Some(Default::Always(default)) if default().is_null() => "no".to_owned(),
                    Some(Default::Always(default)) => format!("no: `{}`", default()),
                };
                let bounds = match kind {
                    Kind::Count { least, most: u64::MAX } => format!("; at least {least}"),
                    Kind::Count { least, most } => format!("; from {} to {}", grouped(*least), grouped(*most)),
                    _ => String::new(),
                };
                *rows += &format!("| `{name}` | {required} | {}{bounds} |\n", field.about);
            }
        }
    }
}

/// 65,536
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let group = |(place, digit): (usize, char)| {
        let comma = place > 0 && (digits.len() - place).is_multiple_of(3);
        comma.then_some(',').into_iter().chain([digit])
    };
    digits.chars().enumerate().flat_map(group).collect()
}

/// What the next edition of this version could be: the fields of today, and one line more in each object.
static GROWN: Object = Object { name: "spec", about: "Lota job specification", fields: &grown() };
static GROWN_LIMITS: Object = Object { name: "limits", about: "limits", fields: &grown_limits() };

/// The line. (What stands around it copies today's fields, which statics cannot do otherwise.)
const PROCESSES: Field = Field {
    name: "processes",
    kind: Kind::Count { least: 1, most: 1_000 },
    presence: Presence::OmittedWhenDefault(Default::Always(|| json!(1))),
    about: "the most processes at a time",
};
/// And one in the spec itself.
const WORKDIR: Field = Field {
    name: "workdir",
    kind: Kind::Path,
    presence: Presence::OmittedWhenDefault(Default::Always(|| json!("/work"))),
    about: "the directory in which the program starts",
};

const fn grown_limits() -> [Field; 9] {
    let [fuel, memory, output, entries, wall, cpu, pids, gpus] = fields::limits();
    [fuel, memory, output, entries, wall, cpu, pids, gpus, PROCESSES]
}

const fn grown() -> [Field; 9] {
    let [version, engine, args, env, inputs, outputs, limits, labels] = fields::spec();
    let limits = Field { kind: Kind::Object(&GROWN_LIMITS), ..limits };
    [version, engine, args, env, inputs, outputs, limits, labels, WORKDIR]
}

/// Reads a document and encodes it.
fn encoded(root: &'static Object, form: read::Form, document: &node::Node) -> Result<(Value, Vec<u8>), SpecProblems> {
    let mut reader = read::Reader::new(form, root);
    let value = Value::Object(reader.document(document));
    reader.finish()?;
    let bytes = serde_ipld_dagcbor::to_vec(&canonical::canonical(&value, root)).expect("encodes");
    Ok((value, bytes))
}

fn from_json(root: &'static Object, json: &Value) -> Result<(Value, Vec<u8>), SpecProblems> {
    encoded(root, read::Form::Free, &node::Node::of(json))
}

fn from_cbor(root: &'static Object, bytes: &[u8]) -> Result<(Value, Vec<u8>), SpecProblems> {
    let tree: ipld_core::ipld::Ipld = serde_ipld_dagcbor::from_slice(bytes).expect("DAG-CBOR");
    encoded(root, read::Form::Canonical, &tree.into())
}

#[test]
fn a_field_that_is_added_changes_no_digest_of_todays_specs() {
    let example: Value = serde_json::from_str(EXAMPLE).expect("JSON");
    for json in [minimal(), example] {
        let (_, today) = from_json(&SPEC, &json).expect("good");
        let (value, tomorrow) = from_json(&GROWN, &json).expect("good");
        assert_eq!(today, tomorrow, "{json}");
        assert_eq!((&value["workdir"], &value["limits"]["processes"]), (&json!("/work"), &json!(1)));
        // The other way round, too: what is written today is read tomorrow, and the same again.
        assert_eq!(from_cbor(&GROWN, &today).expect("canonical"), (value, today));
    }
}

#[test]
fn an_added_field_is_written_when_it_says_something() {
    let mut json = minimal();
    json["workdir"] = json!("/data");
    json["limits"]["processes"] = json!(3);
    let (value, bytes) = from_json(&GROWN, &json).expect("good");
    assert_eq!(from_cbor(&GROWN, &bytes).expect("canonical"), (value, bytes.clone()));
    assert_ne!(bytes, from_json(&GROWN, &minimal()).expect("good").1);
    // A node that does not know the fields does not run the job.
    let problems = from_cbor(&SPEC, &bytes).expect_err("fields of tomorrow").to_string();
    assert!(problems.contains("limits.processes: 3 is an unknown field"), "{problems}");
    assert!(problems.contains("workdir: \"/data\" is an unknown field"), "{problems}");
}

#[test]
fn a_default_has_one_spelling() {
    let mut json = minimal();
    json["workdir"] = json!("/work");
    assert_eq!(from_json(&GROWN, &json).expect("good"), from_json(&GROWN, &minimal()).expect("good"));
    let (_, bytes) = from_json(&GROWN, &json).expect("good");
    let mut tree: ipld_core::ipld::Ipld = serde_ipld_dagcbor::from_slice(&bytes).expect("DAG-CBOR");
    let ipld_core::ipld::Ipld::Map(map) = &mut tree else { panic!("a map") };
    map.insert("workdir".to_owned(), ipld_core::ipld::Ipld::String("/work".to_owned()));
    let written_out = serde_ipld_dagcbor::to_vec(&tree).expect("encodes");
    let problems = from_cbor(&GROWN, &written_out).expect_err("another spelling").to_string();
    assert!(
        problems.starts_with("workdir: \"/work\" is the default, which the canonical form leaves out"),
        "{problems}"
    );
}

#[test]
fn an_added_field_is_in_the_schema_the_page_and_the_problems() {
    let schema = schema_of(&GROWN);
    jsonschema::meta::validate(&schema).expect("a valid schema");
    assert_eq!(schema["$defs"]["limits"]["properties"]["processes"]["default"], json!(1));
    assert_eq!(schema["properties"]["workdir"]["default"], json!("/work"));
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let mut json = minimal();
    assert!(validator.is_valid(&json));
    json["limits"]["processes"] = json!(1_001);
    assert!(!validator.is_valid(&json));
    let problems = from_json(&GROWN, &json).expect_err("too many").to_string();
    assert_eq!(problems, "limits.processes: 1001 is out of range; write a whole number from 1 to 1000");
    let mut json = minimal();
    json["proceses"] = json!(2);
    json["processes"] = json!(2);
    json["wrkdir"] = json!("/x");
    let problems = from_json(&GROWN, &json).expect_err("misspelt").to_string();
    for wanted in ["processes: 2 is an unknown field; it belongs into `limits`", "did you mean `workdir`?"] {
        assert!(problems.contains(wanted), "{wanted}: {problems}");
    }
    let row = "| `limits.processes` | no: `1` | the most processes at a time; from 1 to 1,000 |\n";
    assert!(table(&GROWN).contains(row), "{}", table(&GROWN));
}
