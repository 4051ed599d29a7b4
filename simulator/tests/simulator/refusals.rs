//! What no scenario is.

use lota_simulator::{Document, Override, ScenarioError};

const GOOD: &str = "\
question = \"?\"

[job]
max_price = 1

[clients.one]
count = 1
balance = 10
jobs = 1

[providers.some]
count = 1
balance = 10
cost = 0.1
";

#[track_caller]
fn refused(text: &str) -> String {
    let error = Document::parse("mine.toml", text).expect_err("it is none").to_string();
    assert!(!error.contains('\n'), "{error}");
    error
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_line_and_key() {
    assert!(Document::parse("mine.toml", GOOD).is_ok());
    for (from, to, line, word) in [
        ("max_price = 1", "max_prize = 1", 4, "unknown field `max_prize`"),
        ("max_price = 1", "max_price = 300000", 4, "`job.max_price`"),
        ("max_price = 1", "max_price = \"1 wei\"", 4, "finer than a gwei"),
        ("max_price = 1", "max_price = 1\nmin_price = 2", 5, "above the highest price"),
        ("count = 1\nbalance = 10\njobs", "count = 0\nbalance = 10\njobs", 7, "the population is empty"),
        ("count = 1\nbalance = 10\njobs", "balance = 10\njobs", 6, "missing field `count`"),
        ("jobs = 1", "jobs = -1", 9, "expected u64"),
        ("jobs = 1", "jobs = 1\nshills = 3", 10, "only the strategy `shill`"),
        ("cost = 0.1", "cost = { uniform = [2, 1] }", 14, "`providers.some.cost`"),
        ("cost = 0.1", "cost = -1", 14, "from 0 to"),
        ("cost = 0.1", "cost = { gauss = 1 }", 14, "unknown field `gauss`"),
        ("cost = 0.1", "cost = 0.1\nfailure = 1.5", 15, "from 0 to 1"),
        ("cost = 0.1", "cost = 0.1\nstrategy = \"evil\"", 15, "unknown variant `evil`"),
        ("cost = 0.1", "cost = 0.1\nspeed = 0", 15, "never finish"),
        ("balance = 10\njobs", "balance = 1e20\njobs", 8, "more money than can be counted"),
        ("[clients.one]", "[clients.one", 6, "table"),
        ("question", "seeds = 0\nquestion", 1, "no run was asked for"),
        ("max_price = 1", "max_price = 1\nrun_for = 1", 5, "providers refuse less than 2 s"),
        (
            "max_price = 1",
            "max_price = 1\nrun_for = 100\n[chain]\nblock_time = 30",
            5,
            "providers refuse less than 122 s",
        ),
    ] {
        let error = refused(&GOOD.replacen(from, to, 1));
        assert!(error.starts_with(&format!("mine.toml:{line}: ")), "{to}: {error}");
        assert!(error.contains(word), "{to}: {error}");
    }
    assert!(refused("question = \"?\"\nclients = {}\n").contains("there are no clients"));
    assert!(refused(&"#".repeat(2 << 20)).contains("at most"));
}

#[test]
fn what_is_wrong_with_a_flag_is_said_with_the_flag() {
    let document = Document::parse("mine.toml", GOOD).expect("a scenario");
    for (set, word) in [
        ("job.max_prize=1", "unknown field `max_prize`"),
        ("providers.sone.count=1", "no providers `sone`; it has some"),
        ("job.max_price.x=1", "a value, not a table"),
        ("providers.some.count=0", "the population is empty"),
        ("providers.some.count=x", "--set providers.some.count"),
        ("providers.some.cost={ uniform = [2, 1] }", "swap them"),
        ("nothing=1", "unknown field `nothing`"),
    ] {
        let set = Override::parse(set).expect("KEY=VALUE");
        let error = document.with(std::slice::from_ref(&set)).expect_err(&set.key).to_string();
        assert!(error.contains(word) && error.contains(&format!("--set {}=", set.key)), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    for text in ["x", "=1"] {
        assert!(matches!(Override::parse(text), Err(ScenarioError::Flag(_))), "{text}");
    }
    let changed = document.with(&[Override::parse("providers.some.count=7").expect("KEY=VALUE")]).expect("possible");
    assert_eq!(changed.providers["some"].count, 7);
}
