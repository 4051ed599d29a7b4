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
    assert!(ledger.contains(",paid,0x"), "{ledger}");
    assert_eq!(std::fs::read_dir(results).expect("a folder").count(), 7, "no parts are left");
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
        (vec![good, "--seeds", "1000000000000"], "runs are more than 1000000"),
        (vec![good, "--sweep", "seed=1..1e9"], "more than 100000 points"),
        (vec![good, "--threads", "1000000000"], "--threads 1000000000 is not from 1 to 1024"),
        (vec![good, "--set", "clients.one.count=1000000000000"], "expected u32"),
        (vec![good, "--set", "clients.one.count=4000000000"], "at most 10000000 are simulated"),
        (vec![good, "--set", "clients.one.balance=1e30"], "too large"),
        (vec![good, "--set", "providers.one.cost=nan"], "the number is NaN"),
        (vec![good, "--set", "providers.\u{1b}[31m.count=1"], "no providers `\\u{1b}[31m`; it has one"),
        (vec!["/dev/zero"], "all that is read"),
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
fn what_no_experiment_and_no_search_can_do_is_a_usage_error_of_one_line() {
    let home = Home::new();
    for (arguments, words) in [
        (&["experiments", "poco", "--runs", "1"][..], "--runs 1 is not from 2 to 10000000"),
        (&["experiments", "--runs", "1000000000000000000"], "is not from 2 to 10000000"),
        (&["search", "cheats", "--seeds", "1000000", "--budget", "1000000"], "take less of either"),
        (&["search", "cheats", "--threads", "1000000000"], "is not from 1 to 1024"),
        (&["search", "--replay", "/dev/zero"], "all that is read"),
    ] {
        let output = home.lota(&[&["sim"], arguments].concat()).assert().code(2).get_output().clone();
        let told = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(told.contains(words), "{arguments:?}: {told}");
        assert_eq!((told.trim_end().lines().count(), output.stdout.len()), (1, 0), "{told}");
    }
}

/// A folder that somebody else has written.
#[test]
fn what_files_say_is_shown_and_obeyed_by_no_terminal_and_no_browser() {
    let home = Home::new();
    let (place, file) = (home.place("hostile"), home.file("tiny.toml", TINY));
    let folder = place.to_str().expect("UTF-8");
    home.stdout(&[
        "sim",
        "run",
        file.to_str().expect("UTF-8"),
        "--seeds",
        "2",
        "--sweep",
        "job.collateral=1,2",
        "--output",
        folder,
    ]);
    let change = |name: &str, from: &str, to: &str| {
        let text = std::fs::read_to_string(place.join(name)).expect("written");
        assert!(text.contains(from), "{from} in {text}");
        std::fs::write(place.join(name), text.replace(from, to)).expect("written");
    };
    change("manifest.json", "\"job.collateral\"", "\"<script>\\u001b[2J\\n\"");
    change("populations.csv", ",one,", ",<img src=x onerror=alert(1)>\u{1b}]0;title\u{7},");
    let told = home.stdout(&["sim", "compare", folder, folder]);
    assert!(told.contains("<script>\\u{1b}[2J\\n=1") && !told.contains('\u{1b}'), "{told}");
    home.stdout(&["sim", "report", folder]);
    let page = std::fs::read_to_string(place.join("report.html")).expect("written");
    assert!(
        !page.contains("<script") && !page.contains("<img") && !page.contains('\u{1b}') && page.contains("&lt;img")
    );
    // And one that is no folder of runs at all.
    change("runs.csv", "settled", "settled,settled");
    let output = home.lota(&["sim", "compare", folder, folder]).assert().code(1).get_output().clone();
    let told = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(told.trim_end().lines().count(), 1, "{told}");
}

#[test]
fn an_experiment_shows_what_was_published_and_what_was_found() {
    let told = Home::new().stdout(&["sim", "experiments", "poco"]);
    assert!(told.contains("20.0000 ± 0.0000") && told.contains("agrees") && !told.contains("differs"), "{told}");
    assert!(told.contains("nobody plays") && told.contains("computed"), "{told}");
}

#[test]
fn runs_that_were_killed_go_on_and_leave_what_they_would_have_left() {
    let home = Home::new();
    let file = home.file("tiny.toml", TINY);
    let (killed, whole) = (home.place("killed"), home.place("whole"));
    let run = |folder: &std::path::Path| {
        let folder = folder.to_str().expect("UTF-8").to_owned();
        ["sim", "run", file.to_str().expect("UTF-8"), "--seeds", "3000", "--threads", "1", "--json", "--output"]
            .map(str::to_owned)
            .into_iter()
            .chain([folder])
            .collect::<Vec<String>>()
    };
    let waiting = |folder: &std::path::Path| {
        let entries = std::fs::read_dir(folder.join(".finished")).map(Iterator::count);
        entries.unwrap_or_default()
    };
    // Killed when there is a folder, a manifest, a first run, more of them, and when tables are put together.
    let exists = |name: &str| killed.join(name).exists();
    let moments: [&dyn Fn() -> bool; 7] = [
        &|| killed.exists(),
        &|| exists("manifest.json"),
        &|| waiting(&killed) >= 1,
        &|| waiting(&killed) >= 20,
        &|| waiting(&killed) >= 1_500,
        &|| exists(".parties.csv.new"),
        &|| exists(".runs.csv.new") || exists("runs.csv"),
    ];
    for (at, has_come) in moments.iter().enumerate() {
        let mut process = std::process::Command::new(assert_cmd::cargo::cargo_bin("lota"))
            .args(run(&killed))
            .stdout(std::process::Stdio::null())
            .spawn()
            .expect("it starts");
        while !has_come() && process.try_wait().expect("a process").is_none() {
            std::thread::yield_now();
        }
        process.kill().expect("it is killed");
        process.wait().expect("it ends");
        if at == 3 {
            let left = waiting(&killed);
            assert!((19..3000).contains(&left), "it was killed in the midst: {left} runs were over");
        }
        assert!(at >= 6 || !killed.join("runs.csv").exists(), "after {at}");
    }
    for folder in [&killed, &whole] {
        let arguments = run(folder);
        let json = home.stdout(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let runs: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(runs.as_array().expect("runs").len(), 3000);
    }
    for table in ["runs", "populations", "parties", "timesteps", "ledger"] {
        let read = |folder: &std::path::Path| std::fs::read(folder.join(format!("{table}.csv"))).expect("a table");
        assert_eq!(read(&killed), read(&whole), "{table}");
    }
}

#[test]
fn folders_are_compared_and_become_a_page_and_another_scenario_is_refused() {
    let home = Home::new();
    let (a, b) = (home.place("a"), home.place("b"));
    let (a, b) = (a.to_str().expect("UTF-8"), b.to_str().expect("UTF-8"));
    home.stdout(&["sim", "run", "first-market", "--seeds", "12", "--output", a]);
    let dear = ["--set", "providers.cheap.cost=0.15", "--format", "parquet"];
    home.stdout(&[&["sim", "run", "first-market", "--seeds", "12", "--output", b][..], &dear].concat());
    let told = home.stdout(&["sim", "compare", a, b]);
    assert!(told.contains("welfare_fil") && told.contains("differs") && told.contains("12 pairs"), "{told}");
    let json: Value = serde_json::from_str(&home.stdout(&["sim", "compare", a, b, "--json"])).expect("JSON");
    assert_eq!((&json[0]["metric"], &json[0]["is_paired"]), (&"welfare_fil".into(), &true.into()));
    let page = home.place("page.html");
    home.stdout(&["sim", "report", b, "-o", page.to_str().expect("UTF-8")]);
    let page = std::fs::read_to_string(page).expect("written");
    assert!(page.starts_with("<!doctype html>") && page.contains("<svg") && page.contains("providers.cheap.cost=0.15"));
    let output = home.lota(&["sim", "run", "audits", "--output", a]).assert().code(1).get_output().clone();
    let told = String::from_utf8(output.stderr).expect("UTF-8");
    assert!(told.contains("it holds runs of first-market.toml") && told.contains("take another folder"), "{told}");
}
