//! The vocabulary agrees with `ISealedBidAuction.sol`, name by name.

use lota_market::auction::AuctionFault;

const INTERFACE: &str = include_str!("../../../contracts/src/interfaces/ISealedBidAuction.sol");
const ERRORS: &str = include_str!("../../src/auction/rejection.rs");
const EVENTS: &str = include_str!("../../src/auction/event.rs");
const COMMANDS: &str = include_str!("../../src/auction/command.rs");

/// The names that are declared so.
fn declared(keyword: &str) -> Vec<&'static str> {
    let names = INTERFACE.lines().filter_map(|line| line.trim().strip_prefix(keyword));
    names.map(|rest| rest.split('(').next().unwrap_or_default()).collect()
}

/// The variants of an enum in one of our sources.
fn variants(source: &'static str, name: &str) -> Vec<&'static str> {
    let body = source.split(&format!("pub enum {name} {{")).nth(1).expect("it is there");
    let body = body.split("\n}").next().expect("it ends");
    let lines = body.lines().filter(|line| line.starts_with("    ") && !line.starts_with("     "));
    let words = lines.filter_map(|line| line.trim().split([' ', '(', '{', ',']).next());
    words.filter(|word| word.starts_with(|first: char| first.is_ascii_uppercase())).collect()
}

#[test]
fn errors_events_and_commands_have_the_same_names_in_the_same_order() {
    let mut errors = declared("error ");
    errors.retain(|name| *name != "BadSettings"); // of the deployment
    let mut ours = variants(ERRORS, "Rejection");
    assert_eq!(ours.pop(), Some("Market"));
    assert_eq!(ours, errors);
    assert_eq!(variants(EVENTS, "Event"), declared("event "));
    let functions: Vec<_> = INTERFACE
        .lines()
        .filter(|line| line.contains("external") && !line.contains("view"))
        .filter_map(|line| line.trim().strip_prefix("function ")?.split('(').next())
        .collect();
    let lower = |name: &&str| name[..1].to_lowercase() + &name[1..];
    assert_eq!(variants(COMMANDS, "Command").iter().map(lower).collect::<Vec<_>>(), functions);
}

#[test]
fn faults_are_numbered_as_in_the_contract() {
    let body = INTERFACE.split("enum AuctionFault {").nth(1).and_then(|rest| rest.split('}').next());
    let names: Vec<_> = body.expect("it is there").split(',').map(str::trim).collect();
    assert_eq!(names, AuctionFault::ALL.map(|fault| format!("{fault:?}")));
    for (number, fault) in AuctionFault::ALL.into_iter().enumerate() {
        assert_eq!(AuctionFault::from_number(number as u8), Some(fault));
        assert_eq!(usize::from(fault as u8), number);
    }
    assert_eq!(AuctionFault::from_number(3), None);
}
