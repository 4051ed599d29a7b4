//! What runs leave in a folder: the same in both formats, and the same whatever happened on the way.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use lota_simulator::{
    Document, Override, Plan, Sweep, run_all,
    runs::{Output, Run, Table},
    table::{FileFormat, Rows},
};

use super::builtin_document;

fn plan<'d>(document: &'d Document, sweep: &str, seeds: u64, output: Output) -> Plan<'d> {
    let sweeps = if sweep.is_empty() { vec![] } else { vec![Sweep::parse(sweep).expect("a sweep")] };
    Plan { document, overrides: vec![], sweeps, seeds: Some(seeds), threads: 2, output: Some(output) }
}

fn run(document: &Document, sweep: &str, seeds: u64, output: Output) -> Vec<Run> {
    run_all(&plan(document, sweep, seeds, output), &|_, _| {}).expect("it can be carried out")
}

fn refusal(document: &Document, sweep: &str, output: Output) -> String {
    run_all(&plan(document, sweep, 1, output), &|_, _| {}).expect_err("it is refused").to_string()
}

fn output(folder: &Path, format: FileFormat) -> Output {
    Output { folder: folder.to_owned(), format, every: 60 }
}

fn rows(folder: &Path, table: Table) -> (Vec<String>, Vec<Vec<String>>) {
    let rows = Rows::open(folder, table.name()).expect("a table");
    (rows.columns().to_vec(), rows.collect::<Result<_, _>>().expect("rows"))
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.map(|path| (path.file_name().unwrap().into(), fs::read(path).expect("a file"))).collect()
}

#[test]
fn parquet_says_what_csv_says() {
    let document = builtin_document("first-market");
    let (csv, parquet) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (folder, format) in [(&csv, FileFormat::Csv), (&parquet, FileFormat::Parquet)] {
        run(&document, "job.collateral=0.5,2", 2, output(folder.path(), format));
        // It grows: what is there is taken over as it is.
        run(&document, "job.collateral=0.5,2", 3, output(folder.path(), format));
    }
    for table in Table::ALL {
        let (columns, expected) = rows(csv.path(), table);
        assert_eq!(&columns[..3], ["simulation", "subset", "run"]);
        assert!(expected.len() >= 6, "{table:?} has {} rows", expected.len());
        let (in_parquet, mut found) = rows(parquet.path(), table);
        assert_eq!(in_parquet, columns);
        // CSV has times as the ledger writes them; the number is the same.
        let mut expected = expected;
        for row in expected.iter_mut().chain(&mut found) {
            for (cell, column) in row.iter_mut().zip(&columns) {
                if matches!(column.as_str(), "timestep" | "job.collateral") {
                    *cell = cell.parse::<f64>().expect("a number").to_string();
                }
            }
        }
        assert_eq!(found, expected, "{table:?}");
    }
}

#[test]
fn timesteps_are_regular_and_the_last_one_has_everything() {
    let document = builtin_document("first-market");
    let folder = tempfile::tempdir().unwrap();
    let runs = run(&document, "", 1, output(folder.path(), FileFormat::Csv));
    let summary = runs[0].result.as_ref().expect("it ends");
    let (columns, rows) = rows(folder.path(), Table::Timesteps);
    let at = |name: &str| columns.iter().position(|column| column == name).expect(name);
    let times: Vec<f64> = rows.iter().map(|row| row[at("timestep")].parse().expect("a time")).collect();
    assert!(times.len() > 10, "{times:?}");
    assert!(times.iter().zip(0..).all(|(time, step)| *time == f64::from(step) * 60.0), "{times:?}");
    let (first, last) = (&rows[0], rows.last().unwrap());
    assert_eq!(last[at("settled")], summary.settled.to_string());
    assert_eq!(last[at("paid")], summary.paid.0.to_string());
    assert_eq!(last[at("welfare_fil")], summary.welfare.to_string());
    assert!(times[times.len() - 1] >= summary.seconds && times[times.len() - 2] < summary.seconds);
    assert_eq!((&*first[at("settled")], &*first[at("price_fil")]), ("0", ""), "nothing is settled at once");
    let settled: Vec<u64> = rows.iter().map(|row| row[at("settled")].parse().unwrap()).collect();
    assert!(settled.windows(2).all(|pair| pair[0] <= pair[1]) && settled[5] < summary.settled);
}

#[test]
fn a_folder_grows_and_what_it_has_is_not_run_again() {
    let document = builtin_document("first-market");
    let (grown, once) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(&document, "", 2, output(grown.path(), FileFormat::Csv));
    let told = std::sync::Mutex::new(Vec::new());
    let second = plan(&document, "", 4, output(grown.path(), FileFormat::Csv));
    let runs = run_all(&second, &|done, all| told.lock().unwrap().push((done, all))).expect("it goes on");
    let mut told = told.into_inner().unwrap();
    told.sort_unstable();
    assert_eq!(told, [(2, 4), (3, 4), (4, 4)]);
    let whole = run(&document, "", 4, output(once.path(), FileFormat::Csv));
    assert_eq!(files(grown.path()), files(once.path()));
    for (grown, whole) in runs.iter().zip(&whole) {
        assert_eq!(
            grown.result.as_ref().unwrap(),
            whole.result.as_ref().unwrap(),
            "to the last digit, with populations"
        );
    }
    // Fewer: what is there stays.
    assert_eq!(run(&document, "", 1, output(grown.path(), FileFormat::Csv)).len(), 1);
    assert_eq!(files(grown.path()), files(once.path()));
}

#[test]
fn a_folder_of_something_else_is_refused_and_left_alone() {
    let (document, other) = (builtin_document("first-market"), builtin_document("audits"));
    let folder = tempfile::tempdir().unwrap();
    run(&document, "", 1, output(folder.path(), FileFormat::Csv));
    let before = files(folder.path());
    let here = || output(folder.path(), FileFormat::Csv);
    let error = refusal(&other, "", here());
    assert!(error.contains("runs of first-market (") && error.contains("not of audits ("), "{error}");
    let error = refusal(&document, "job.collateral=1..2", here());
    assert!(error.contains("sweep nothing, not job.collateral=1,2"), "{error}");
    let error = refusal(&document, "", output(folder.path(), FileFormat::Parquet));
    assert!(error.contains("its files are csv, not parquet"), "{error}");
    let error = refusal(&document, "", Output { every: 30, ..here() });
    assert!(error.contains("timesteps are 60 s, not 30 s"), "{error}");
    let mut set = plan(&document, "", 1, here());
    set.overrides = vec![Override::parse("job.max_price=2").unwrap()];
    let error = run_all(&set, &|_, _| {}).expect_err("other values").to_string();
    assert!(error.contains("with other values set"), "{error}");
    let _held = {
        let file = fs::File::open(folder.path()).unwrap();
        file.lock().unwrap();
        file
    };
    assert!(refusal(&document, "", here()).contains("another process"));
    assert_eq!(files(folder.path()), before);
    let foreign = tempfile::tempdir().unwrap();
    fs::write(foreign.path().join("runs.csv"), "mine\n").unwrap();
    let error = refusal(&document, "", output(foreign.path(), FileFormat::Csv));
    assert!(error.contains("a file runs.csv and no manifest.json"), "{error}");
}

#[test]
fn a_run_that_fails_keeps_what_the_others_gave_and_is_tried_again() {
    let document = builtin_document("first-market");
    let (folder, whole) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(&document, "", 1, output(folder.path(), FileFormat::Csv));
    // The place of the second run's files is taken while the runs go on.
    let second = plan(&document, "", 3, output(folder.path(), FileFormat::Csv));
    let obstacle = folder.path().join(".finished/0.2.part");
    let runs = run_all(&second, &|done, _| {
        if done == 1 {
            fs::create_dir(&obstacle).unwrap_or_default()
        }
    });
    let failed: Vec<bool> = runs.expect("the others").iter().map(|run| run.result.is_err()).collect();
    assert_eq!(failed, [false, true, false]);
    let (columns, found) = rows(folder.path(), Table::Runs);
    assert_eq!((found.len(), columns.last().map(String::as_str)), (3, Some("error")));
    assert!(found[1].last().unwrap().contains("exists") && found[2].last().unwrap().is_empty(), "{found:?}");
    let (_, parties) = rows(folder.path(), Table::Parties);
    assert_eq!(parties.iter().map(|row| &*row[2]).collect::<std::collections::BTreeSet<_>>(), ["1", "3"].into());
    let again = run(&document, "", 3, output(folder.path(), FileFormat::Csv));
    assert!(again.iter().all(|run| run.result.is_ok()));
    run(&document, "", 3, output(whole.path(), FileFormat::Csv));
    let (columns, mut found) = rows(folder.path(), Table::Ledger);
    let (expected_columns, mut expected) = rows(whole.path(), Table::Ledger);
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!((columns, found), (expected_columns, expected), "the same rows; the second run's are the last");
}

#[test]
fn a_process_that_ended_between_any_two_renamings_is_completed() {
    let document = builtin_document("first-market");
    let whole = tempfile::tempdir().unwrap();
    run(&document, "", 2, output(whole.path(), FileFormat::Csv));
    let expected = files(whole.path());
    let names: Vec<PathBuf> = Table::ALL.iter().map(|table| format!("{}.csv", table.name()).into()).collect();
    for renamed in 0..=names.len() {
        for name in &names[renamed..] {
            fs::rename(whole.path().join(name), whole.path().join(format!(".{}.new", name.display()))).unwrap();
        }
        fs::create_dir_all(whole.path().join(".finished/0.9")).unwrap();
        fs::write(whole.path().join(".committed"), "").unwrap();
        run(&document, "", 2, output(whole.path(), FileFormat::Csv));
        assert_eq!(files(whole.path()), expected, "after {renamed}");
    }
}

/// Nothing of somebody else's is written over, or removed through a link.
#[test]
fn what_this_program_has_not_written_is_left_alone() {
    let document = builtin_document("first-market");
    for (name, text) in [("scenario.toml", "mine\n"), ("notes.txt", "mine\n"), ("scenario.toml", "")] {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(name), text).unwrap();
        let error = refusal(&document, "", output(folder.path(), FileFormat::Csv));
        assert!(error.contains(&format!("a file {name} and no manifest.json")), "{error}");
        assert_eq!(files(folder.path()), BTreeMap::from([(name.into(), text.into())]));
    }
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    run(&document, "", 1, output(folder.path(), FileFormat::Csv));
    fs::create_dir(elsewhere.path().join("0.1")).unwrap();
    fs::write(elsewhere.path().join("0.1/mine"), "mine").unwrap();
    std::os::unix::fs::symlink(elsewhere.path(), folder.path().join(".finished")).unwrap();
    let more = || run_all(&plan(&document, "", 2, output(folder.path(), FileFormat::Csv)), &|_, _| {});
    let error = more().expect_err("a link").to_string();
    assert!(error.contains(".finished is no folder"), "{error}");
    fs::remove_file(folder.path().join(".finished")).unwrap();
    fs::create_dir_all(folder.path().join(".finished/mine")).unwrap();
    let error = more().expect_err("no run").to_string();
    assert!(error.contains(".finished/mine, which no run is called"), "{error}");
    fs::remove_dir(folder.path().join(".finished/mine")).unwrap();
    // A link in place of a file that is about to be written: the link goes.
    let mine = elsewhere.path().join("0.1/mine");
    std::os::unix::fs::symlink(&mine, folder.path().join(".runs.csv.new")).unwrap();
    assert!(more().expect("it goes on").iter().all(|run| run.result.is_ok()));
    assert_eq!(fs::read(mine).unwrap(), b"mine");
}

/// A process that ended before it had a manifest.
#[test]
fn a_folder_that_was_hardly_begun_is_taken() {
    let document = builtin_document("first-market");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("scenario.toml"), document.text()).unwrap();
    fs::write(folder.path().join(".scenario.toml.new"), "que").unwrap();
    fs::write(folder.path().join(".manifest.json.new"), "{").unwrap();
    run(&document, "", 1, output(folder.path(), FileFormat::Csv));
    let names: Vec<_> = files(folder.path()).into_keys().collect();
    assert_eq!(names.len(), 7, "{names:?}");
}
