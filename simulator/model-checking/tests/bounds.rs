//! Within the small bounds everything holds; and each planted fault is found.
#![expect(clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::Write;

use lota_model_checking::{
    Bounds, Grid, Planted, Report, Rule, Scene, check, check_truth,
    lifecycle::{ALWAYS, EXIT, Violation},
};

/// What was explored is part of the result: it is printed also where the tests' output is not.
fn show(text: &impl std::fmt::Display) {
    writeln!(std::io::stderr(), "{text}").expect("standard error takes text");
}

fn explored(name: &str, at_least: usize) {
    let scene = Scene::all(Bounds::Small).into_iter().find(|scene| scene.name == name);
    let report = check(&scene.unwrap_or_else(|| panic!("there is no scene {name}")), None, 1);
    show(&report);
    let broken: Vec<_> = report.broken().collect();
    assert!(broken.is_empty(), "{broken:#?}");
    assert!(report.states >= at_least, "only {} states were explored", report.states);
}

#[test]
fn one_job_with_everybody_withdrawing() {
    explored("one life", 10_000);
}

#[test]
fn two_jobs_side_by_side() {
    explored("two lives", 8_000);
}

#[test]
fn one_salt_by_all_ways_of_opening() {
    explored("one salt", 10_000);
}

#[test]
fn one_auction_with_two_bidders() {
    explored("one auction", 1_000);
}

#[test]
fn nobody_gains_by_bidding_anything_but_the_true_cost() {
    for grid in Grid::all(Bounds::Small) {
        let truth = check_truth(&grid, Rule::SecondPrice);
        show(&truth);
        assert_eq!(truth.deviation, None);
        assert_eq!(truth.order_matters, None);
    }
}

#[test]
fn a_rule_by_which_lying_pays_is_found() {
    let grid = Grid::all(Bounds::Small)[1];
    for rule in [Rule::FirstPrice, Rule::LoneBidItsOwn] {
        let truth = check_truth(&grid, rule);
        show(&truth);
        let found = truth.deviation.unwrap_or_else(|| panic!("{rule:?}: nobody gains by lying"));
        assert!(found.contains("instead of"), "{found}");
    }
}

/// What is found with a fault in the contracts.
fn found(planted: Planted, scene: &str) -> Report {
    let scene = Scene::all(Bounds::Small).into_iter().find(|known| known.name == scene);
    let report = check(&scene.unwrap_or_else(|| panic!("there is no such scene")), Some(planted), 1);
    for finding in report.broken().filter(|finding| finding.in_all) {
        show(&format!("planted {planted:?}: not {}, after\n    {}", finding.property, finding.steps.join("\n    ")));
    }
    report
}

#[test]
fn planted_faults_are_found_by_the_property_that_is_about_them() {
    for (planted, scene, violation) in [
        (Planted::PaidTwice, "two lives", Violation::Money),
        (Planted::EndsTwice, "two lives", Violation::SecondEnd),
        (Planted::CollateralLost, "two lives", Violation::Money),
        (Planted::SaltForgotten, "one salt", Violation::SaltTwice),
        (Planted::Robbery, "two lives", Violation::Robbery),
        (Planted::WrongShare, "two lives", Violation::Table),
        (Planted::RefusalLeavesTraces, "two lives", Violation::Trace),
    ] {
        let (property, _) = ALWAYS.into_iter().find(|(_, about)| *about == violation).expect("each has a name");
        let report = found(planted, scene);
        let finding = report.broken().find(|finding| finding.property == property);
        let finding = finding.unwrap_or_else(|| panic!("{planted:?} is not found: {report}"));
        assert!(!finding.steps.is_empty(), "{planted:?}: the steps to it are told");
    }
}

#[test]
fn a_state_that_nobody_gets_out_of_is_found() {
    let report = found(Planted::NoExit, "one life");
    let broken: Vec<_> = report.broken().filter(|finding| finding.in_all).map(|finding| finding.property).collect();
    assert_eq!(broken, [EXIT]);
}
