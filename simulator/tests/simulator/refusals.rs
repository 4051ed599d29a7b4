//! What no scenario is.

use lota_simulator::{Document, Override, Plan, ScenarioError, Seed, Sweep, run_all, simulate};

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
        ("count = 1\nbalance = 10\njobs", "count = 1000000000000\nbalance = 10\njobs", 7, "expected u32"),
        ("count = 1\nbalance = 10\njobs", "count = -1\nbalance = 10\njobs", 7, "expected u32"),
        ("count = 1\nbalance = 10\njobs", "count = nan\nbalance = 10\njobs", 7, "expected u32"),
        (
            "count = 1\nbalance = 10\ncost",
            "count = 4294967295\nbalance = 0\ncost",
            12,
            "at most 10000000 are simulated",
        ),
        (
            "count = 1\nbalance = 10\njobs",
            "count = 5000000\nstrategy = \"sybil\"\nidentities = 1000\nbalance = 0\njobs",
            7,
            "with it there are 5000000000 accounts",
        ),
        ("jobs = 1", "jobs = 1000000000001", 9, "more than 10^12 jobs"),
        ("balance = 10\njobs", "balance = nan\njobs", 8, "not an amount"),
        ("balance = 10\njobs", "balance = -inf\njobs", 8, "not an amount"),
        ("balance = 10\njobs", "balance = 1e300\njobs", 8, "too large"),
        ("cost = 0.1", "cost = nan", 14, "the number is NaN"),
        ("cost = 0.1", "cost = inf", 14, "the number is inf"),
        ("cost = 0.1", "cost = { normal = { mean = nan, sd = 1 } }", 14, "`mean` is NaN"),
        ("cost = 0.1", "cost = { normal = { mean = 1, sd = inf } }", 14, "`sd` is inf"),
        ("cost = 0.1", "cost = { normal = { mean = 1, sd = 0.1, min = 2, max = nan } }", 14, "above `max` NaN"),
        ("cost = 0.1", "cost = { uniform = [nan, 1] }", 14, "the lower end is NaN"),
        ("cost = 0.1", "cost = { lognormal = { median = 0, sigma = 1 } }", 14, "must be above 0"),
        ("cost = 0.1", "cost = { exponential = { mean = -inf } }", 14, "must be above 0"),
        ("cost = 0.1", "cost = { pareto = { scale = 1, shape = nan } }", 14, "must be above 0"),
        ("cost = 0.1", "cost = { empirical = [] }", 14, "it has no numbers"),
        ("cost = 0.1", "cost = { empirical = [1, nan] }", 14, "one of the numbers is NaN"),
        ("cost = 0.1", "cost = 0.1\nlatency = -1", 15, "from 0 to"),
        ("[clients.one]", "[clients.\"a\\u001B[31m\"]", 6, "letters, digits"),
        ("[clients.one]", "[clients.\"<b>\"]", 6, "letters, digits"),
        ("[clients.one]", "[clients.\"\"]", 6, "letters, digits"),
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
    assert!(refused(&"#".repeat(2 << 20)).contains("all that is read"));
    // What is said of a long word is short, and nesting ends before the stack does.
    let long = refused(&format!("{} = 1\n{GOOD}", "x".repeat(1 << 19)));
    assert!(long.contains("unknown field") && long.len() < 800, "{} bytes", long.len());
    for nested in
        [format!("a = {}", "[".repeat(500_000)), format!("{}a = 1", "a.".repeat(400_000)), "[".repeat(500_000)]
    {
        let error = refused(&nested);
        assert!(error.len() < 800, "{} bytes", error.len());
    }
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
    let deep = Override::parse(&format!("{}=1", vec!["a"; 60_000].join("."))).expect("KEY=VALUE");
    let error = document.with(&[deep]).expect_err("too deep").to_string();
    assert!(error.contains("60000 parts") && error.len() < 800, "{error}");
    for text in ["x", "=1"] {
        assert!(matches!(Override::parse(text), Err(ScenarioError::Flag(_))), "{text}");
    }
    let changed = document.with(&[Override::parse("providers.some.count=7").expect("KEY=VALUE")]).expect("possible");
    assert_eq!(changed.providers["some"].count, 7);
}

/// What would not fit into memory ends a run, and is said.
#[test]
fn what_clients_want_without_end_ends_the_run() {
    let all_at_once = "job.collateral = 0\njob.max_price = 0\njob.min_price = 0\n\
                       clients.one = { count = 1, balance = 1, jobs = 1000000000000, interval = 0, concurrency = 1 }\n";
    let document = Document::parse("mine.toml", all_at_once).expect("a scenario");
    let error = simulate(document.scenario(), Seed(1), &mut ()).expect_err("too many").to_string();
    assert!(error.contains("clients want more than") && error.contains("lengthen `interval`"), "{error}");
}

#[test]
fn more_runs_and_threads_than_anybody_has_are_refused_before_anything_runs() {
    let document = Document::parse("mine.toml", GOOD).expect("a scenario");
    let plan = |seeds, threads, sweep: &[&str]| {
        let sweeps = sweep.iter().map(|text| Sweep::parse(text).expect("a sweep")).collect();
        let plan = Plan { document: &document, overrides: vec![], sweeps, seeds: Some(seeds), threads, output: None };
        run_all(&plan, &|_, _| panic!("nothing runs")).expect_err("refused").to_string()
    };
    assert!(plan(1_000_001, 1, &[]).contains("1000001 runs are more than 1000000"));
    assert!(plan(u64::MAX, 1, &["job.max_price=1..2"]).contains("runs are more than"));
    assert!(plan(1, 1_000_000, &[]).contains("--threads 1000000 is not from 1 to 1024"));
    assert!(plan(1, 1, &["seed=1..1000", "job.max_price=1..1000"]).contains("more than 100000 combinations"));
    assert!(Sweep::parse("seed=0..1e9").is_err() && Sweep::parse("seed=0..nan").is_err());
}
