use std::{collections::BTreeMap, fs};

use lota_simulator::{Plan, Sweep, builtins, run_all, runs::Run};

use super::{builtin_document, run};

fn digests(runs: &[Run]) -> Vec<(u64, u64, String)> {
    runs.iter().map(|run| (run.subset, run.run, run.result.as_ref().expect("it ends").digest.clone())).collect()
}

#[test]
fn a_seed_gives_the_same_log_and_the_same_files_on_any_number_of_threads() {
    let document = builtin_document("first-market");
    let mut all = Vec::new();
    for threads in [1, 2, 8] {
        let folder = tempfile::tempdir().expect("a folder");
        let sweeps = vec![Sweep::parse("job.collateral=0.5,2").expect("a sweep")];
        let output = Some(folder.path().to_owned());
        let plan = Plan { document: &document, overrides: Vec::new(), sweeps, seeds: Some(4), threads, output };
        let runs = run_all(&plan, &|_, _| {}).expect("it can be carried out");
        let files: BTreeMap<String, String> = fs::read_dir(folder.path())
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap()))
            .collect();
        assert_eq!(files.keys().map(String::as_str).collect::<Vec<_>>(), ["ledger.csv", "parties.csv", "runs.csv"]);
        assert_eq!(files["runs.csv"].lines().count(), 1 + 8);
        assert!(files["ledger.csv"].lines().count() > 1_000, "movements are written");
        all.push((digests(&runs), files));
    }
    assert_eq!(all[0], all[1]);
    assert_eq!(all[0], all[2]);
    let distinct: std::collections::BTreeSet<&String> = all[0].0.iter().map(|(_, _, digest)| digest).collect();
    assert_eq!(distinct.len(), 8, "another seed or value gives another log");
}

#[test]
fn every_scenario_that_comes_along_can_be_read_and_ends() {
    for scenario in builtins() {
        let document = builtin_document(scenario.name);
        assert!(document.scenario().question.ends_with('?'), "{} asks nothing", scenario.name);
        let outcome = run(&document, &[], 7);
        assert!(outcome.summary.opened > 0, "in {} nothing happens", scenario.name);
        assert_eq!(outcome.summary.digest, run(&document, &[], 7).summary.digest);
    }
}
