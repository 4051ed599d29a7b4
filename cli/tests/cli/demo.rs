//! The demo.

use crate::support::Home;

#[test]
fn the_demo_keeps_its_word() {
    let home = Home::new();
    let report = home.json(&["demo", "--json"]);
    assert_eq!(report["ok"], true, "{report:#}");
    let jobs = report["jobs"].as_array().expect("a list");
    let statuses: Vec<_> = jobs.iter().map(|job| job["job"]["status"].as_str().expect("a status")).collect();
    assert_eq!(statuses, ["settled", "settled", "slashed"]);
    assert_eq!(report["money"]["accounted"], true);
    assert_eq!(report["money"]["burned"], "25000000000000000");
    let checks = report["checks"].as_array().expect("a list");
    assert!(checks.len() >= 13 && checks.iter().all(|check| check["ok"] == true), "{checks:#?}");
    assert!(!home.path().exists(), "the demo leaves the home alone");
}

#[test]
fn the_demo_is_told_in_plain_text_in_a_pipe() {
    let home = Home::new();
    let run = home.lota(&["demo"]).assert().success();
    let text = String::from_utf8_lossy(&run.get_output().stdout).into_owned();
    assert!(!text.contains('\u{1b}'), "colours in a pipe");
    for part in [
        "1. Who takes part",
        "alice",
        "erika",
        "was paid",
        "lost its collateral",
        "All money is accounted for",
        "checks hold",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(run.get_output().stderr.is_empty(), "{}", String::from_utf8_lossy(&run.get_output().stderr));
}
