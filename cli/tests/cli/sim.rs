//! `lota sim`, as a person meets it.

use serde_json::Value;

use crate::support::Home;

const TINY: &str =
    "clients.one = { count = 1, balance = 10, jobs = 3 }\nproviders.one = { count = 1, balance = 10, cost = 0.1 }\n";

#[test]
fn a_scenario_is_run_from_a_file_and_by_name_and_what_it_came_to_is_told() {
    let home = Home::new();
    let file = home.file("tiny.toml", TINY);
    let told = home.stdout(&["sim", "run", file.to_str().expect("UTF-8")]);
    assert!(told.contains("3 opened: 3 settled"), "{told}");
    let told = home.stdout(&["sim", "run", "wallets-2022-client"]);
    assert!(told.contains("1 client could not ask for more"), "{told}");
    let all = home.stdout(&["sim", "list"]);
    assert!(all.contains("wallets-2022-client") && all.contains("second-price"), "{all}");
    let text = home.stdout(&["sim", "list", "first-market"]);
    let copy = home.file("copy.toml", &text);
    let digest = |scenario: &str| {
        let json: Value = serde_json::from_str(&home.stdout(&["sim", "run", scenario, "--json"])).expect("JSON");
        json[0]["summary"]["digest"].as_str().expect("a digest").to_owned()
    };
    assert_eq!(digest("first-market"), digest(copy.to_str().expect("UTF-8")));
}

#[test]
fn sweeps_and_seeds_become_rows_and_files() {
    let home = Home::new();
    let (file, results) = (home.file("tiny.toml", TINY), home.place("results"));
    let (file, folder) = (file.to_str().expect("UTF-8"), results.to_str().expect("UTF-8"));
    let sweep = ["sim", "run", file, "--seeds", "2", "--sweep", "job.collateral=1..3", "--output", folder, "--json"];
    let json: Value = serde_json::from_str(&home.stdout(&sweep)).expect("JSON");
    assert_eq!(json.as_array().expect("runs").len(), 6);
    assert_eq!(
        (&json[5]["subset"], &json[5]["run"], &json[5]["set"]["job.collateral"]),
        (&2.into(), &2.into(), &3.into())
    );
    let runs = std::fs::read_to_string(results.join("runs.csv")).expect("written");
    assert!(runs.starts_with("simulation,subset,run,seed,job.collateral,tasks,"), "{runs}");
    let ledger = std::fs::read_to_string(results.join("ledger.csv")).expect("written");
    assert!(ledger.starts_with("simulation,subset,run,timestep,reason,job,from,"), "{ledger}");
    assert!(ledger.contains(",price,0x"), "{ledger}");
    assert_eq!(std::fs::read_dir(results).expect("a folder").count(), 3, "no parts are left");
}

#[test]
fn what_is_no_scenario_is_a_usage_error_of_one_line_with_the_place() {
    let home = Home::new();
    let bad = home.file("bad.toml", TINY.replace("count = 1, balance = 10, jobs", "count = 0, balance = 10, jobs"));
    let (bad, good) = (bad.to_str().expect("UTF-8").to_owned(), home.file("good.toml", TINY));
    let good = good.to_str().expect("UTF-8");
    for (arguments, words) in [
        (vec![bad.as_str()], "bad.toml:1: `clients.one.count`: the population is empty"),
        (vec![good, "--set", "job.prize=1"], "--set job.prize=1: unknown field `prize`"),
        (vec![good, "--sweep", "job.prize=1..2"], "unknown field `prize`"),
        (vec![good, "--sweep", "job.max_price=2..1"], "upwards"),
        (vec![good, "--set", "nothing"], "write KEY=VALUE"),
        (vec![good, "--seeds", "0"], "--seeds 0 runs nothing"),
        (vec!["frist-market"], "did you mean first-market?"),
        (vec!["none/such.toml"], "cannot read the scenario"),
    ] {
        let output = home.lota(&[&["sim", "run"], &arguments[..]].concat()).assert().code(2).get_output().clone();
        let told = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(told.contains(words), "{arguments:?}: {told}");
        assert_eq!((told.trim_end().lines().count(), output.stdout.len()), (1, 0), "{told}");
    }
}

#[test]
fn an_experiment_shows_what_was_published_and_what_was_found() {
    let told = Home::new().stdout(&["sim", "experiments", "poco"]);
    assert!(told.contains("20.0000 ± 0.0000") && told.contains("agrees") && !told.contains("differs"), "{told}");
}
