//! The JSON schema agrees with the parser.

use proptest::prelude::*;

use super::{problems::bad, strategy::specs, *};

/// What the schema cannot say, by a part of the parser's message: whether paths lie within each other, and what is inside a
/// CID.
const BEYOND_SCHEMA: [&str; 8] = [
    "lies within",
    "is the same path",
    "neither raw (0x55) nor dag-pb",
    "not hashed with sha2-256",
    "is not of codec raw",
    "is there together with `directory`",
    "from 65536 to 4294967296",
    "of no use to a WASM job",
];

#[test]
fn the_schema_is_one_and_refuses_what_the_parser_refuses() {
    jsonschema::meta::validate(&json_schema()).expect("a valid schema");
    let schema = jsonschema::validator_for(&json_schema()).expect("a valid schema");
    assert!(schema.is_valid(&minimal()));
    assert!(schema.is_valid(&serde_json::from_str(EXAMPLE).expect("JSON")));
    let mut said = 0;
    for (json, _, message) in bad() {
        if BEYOND_SCHEMA.iter().any(|beyond| message.contains(beyond)) {
            continue;
        }
        assert!(!schema.is_valid(&json), "the schema accepts {json}, of which the parser says: {message}");
        said += 1;
    }
    assert!(said > 50, "only {said} cases were compared");
}

#[test]
fn the_defaults_of_the_schema_are_those_of_the_parser() {
    let (schema, spec) = (json_schema(), parse_value(&minimal()).expect("good"));
    let spec: serde_json::Value = serde_json::from_str(&spec.to_json()).expect("JSON");
    for name in ["args", "env", "inputs", "outputs", "labels"] {
        assert_eq!(schema["properties"][name]["default"], spec[name], "{name}");
    }
    assert_eq!(schema["$defs"]["wasm"]["properties"]["entry"]["default"], spec["engine"]["entry"]);
}

proptest! {
    #[test]
    fn the_schema_accepts_what_the_parser_accepts(spec in specs()) {
        let schema = jsonschema::validator_for(&json_schema()).expect("a valid schema");
        let json = serde_json::to_value(&spec).expect("serialises");
        prop_assert!(parse_value(&json).is_ok());
        prop_assert!(schema.is_valid(&json), "{}", schema.iter_errors(&json).map(|e| e.to_string()).collect::<String>());
    }
}
