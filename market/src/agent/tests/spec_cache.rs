//! Specs are parsed once for all agents of a process.

use super::*;

#[test]
fn a_spec_is_parsed_once_for_all_who_share() {
    let (specs, bytes) = (Specs::default(), spec(7));
    let terms = terms(0, &bytes);
    let first = specs.parse(&terms, &bytes).expect("valid");
    // Who asks again need not even have the bytes.
    let again = specs.clone().parse(&terms, &[]).expect("known");
    assert!(std::sync::Arc::ptr_eq(&first, &again));
    let bad = Terms { spec: keccak256("bad"), ..terms.clone() };
    assert!(matches!(specs.parse(&bad, b"bad"), Err(Refusal::Spec(_))));
    assert_eq!(specs.parse(&Terms { spec_codec: 1, ..terms }, &bytes), Err(Refusal::Codec(1)), "read as another codec");
}
