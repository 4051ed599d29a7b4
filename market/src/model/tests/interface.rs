//! The vocabulary agrees with `ILotaMarket.sol`, name by name: neither side can drift alone.

use std::collections::BTreeSet;

use alloy_primitives::keccak256;

use super::script::{result, terms};
use crate::model::{
    BAD_SETTINGS, INSUFFICIENT_GAS, MAX_AMOUNT_QUANTA, MAX_BATCH, MAX_INLINE_DATA, MAX_LOCK_AHEAD, MAX_SPEC, MAX_URL,
    MAX_WINDOW, MIN_CALLBACK_RESERVE, Reason, Receipt, SALT_WINDOW, Settings, SettingsFault, Status, TRANSFER_GAS,
    TermsFault, Verdict, selector::tests::all_rejections,
};

const INTERFACE: &str = include_str!("../../../../contracts/src/interfaces/ILotaMarket.sol");

/// The text between `open` and the next `close`.
fn between<'a>(open: &str, close: &str) -> &'a str {
    let start = INTERFACE.find(open).unwrap_or_else(|| panic!("the interface has no `{open}`")) + open.len();
    let end = INTERFACE[start..].find(close).expect("is closed");
    &INTERFACE[start..start + end]
}

fn variants(name: &str) -> Vec<&'static str> {
    between(&format!("enum {name} {{"), "}").split(',').map(str::trim).collect()
}

#[test]
fn enums_have_the_same_variants_in_the_same_order() {
    let debug = |all: &[&dyn core::fmt::Debug]| all.iter().map(|variant| format!("{variant:?}")).collect::<Vec<_>>();
    let of = |all: Vec<&dyn core::fmt::Debug>| debug(&all);
    assert_eq!(variants("Status"), of(Status::ALL.iter().map(|v| v as _).collect()));
    assert_eq!(variants("Reason"), of(Reason::ALL.iter().map(|v| v as _).collect()));
    assert_eq!(variants("Verdict"), of(Verdict::ALL.iter().map(|v| v as _).collect()));
    assert_eq!(variants("TermsFault"), of(TermsFault::ALL.iter().map(|v| v as _).collect()));
    assert_eq!(variants("SettingsFault"), of(SettingsFault::ALL.iter().map(|v| v as _).collect()));
}

/// The types and names of a declaration's parameters or fields.
fn parameters(list: &'static str, separator: char) -> Vec<(&'static str, &'static str)> {
    let words = |field: &'static str| field.split_whitespace().filter(|word| *word != "indexed").collect::<Vec<_>>();
    list.split(separator)
        .map(words)
        .filter(|words| !words.is_empty())
        .map(|words| (words[0], words.get(1).copied().unwrap_or_default()))
        .collect()
}

#[test]
fn errors_have_the_same_selectors() {
    let mut declared = BTreeSet::new();
    for line in INTERFACE.lines().filter_map(|line| line.trim().strip_prefix("error ")) {
        let (name, rest) = line.split_once('(').expect("parameters");
        let types: Vec<_> = parameters(rest.trim_end_matches(");"), ',')
            .into_iter()
            .map(|(kind, _)| if matches!(kind, "Status" | "TermsFault" | "SettingsFault") { "uint8" } else { kind })
            .collect();
        declared.insert(keccak256(format!("{name}({})", types.join(",")))[..4].to_vec());
    }
    let ours = all_rejections().map(|(_, rejection)| rejection.selector().to_vec()).into_iter();
    assert_eq!(ours.chain([INSUFFICIENT_GAS.to_vec(), BAD_SETTINGS.to_vec()]).collect::<BTreeSet<_>>(), declared);
}

fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |name, part| name + &part[..1].to_uppercase() + &part[1..])
}

#[test]
fn structs_have_the_same_fields_in_the_same_order() {
    fn fields(json: &str) -> Vec<String> {
        // Our own types, without nested objects: names are what stands before a colon.
        json.split(['{', ',']).filter_map(|part| part.split_once("\":")).map(|(name, _)| camel(&name[1..])).collect()
    }
    let names = |name: &str| {
        let list = between(&format!("struct {name} {{"), "}");
        parameters(list, ';').into_iter().map(|(_, name)| name.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(fields(&serde_json::to_string(&terms(0)).expect("JSON")), names("Terms"));
    assert_eq!(fields(&serde_json::to_string(&Settings::COIN).expect("JSON")), names("Settings"));
    assert_eq!(fields(&serde_json::to_string(&result()).expect("JSON")), names("Result"));
    let receipt = fields(&serde_json::to_string(&Receipt::default()).expect("JSON"));
    assert_eq!(receipt[..3], names("Receipt"));
}

#[test]
fn constants_are_the_same() {
    let text = between("Constants:", "Callbacks:").replace("///", " ");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for (name, value) in [
        ("MAX_LOCK_AHEAD", format!("{} days", MAX_LOCK_AHEAD / 86_400)),
        ("MAX_WINDOW", format!("{} days", MAX_WINDOW / 86_400)),
        ("MAX_SPEC", format!("{MAX_SPEC} bytes")),
        ("MAX_INLINE_DATA", format!("{MAX_INLINE_DATA} bytes")),
        ("MAX_URL", format!("{MAX_URL} bytes")),
        ("MAX_BATCH", MAX_BATCH.to_string()),
    ] {
        assert!(text.contains(&format!("{name} = {value}")), "{name} = {value} is not in: {text}");
    }
    let prose = INTERFACE.replace("///", " ").split_whitespace().collect::<Vec<_>>().join(" ");
    for said in [
        format!("below 2^{} quanta", MAX_AMOUNT_QUANTA.ilog2()),
        format!("a window of {SALT_WINDOW} numbers"),
        format!("not {TRANSFER_GAS}, which FVM takes for a transfer"),
        "MIN_CALLBACK_RESERVE = 20,000".to_owned(),
    ] {
        assert!(prose.contains(&said), "`{said}` is not said");
    }
    assert_eq!((MAX_AMOUNT_QUANTA.count_ones(), MIN_CALLBACK_RESERVE), (1, 20_000));
}
