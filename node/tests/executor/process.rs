//! Arguments, environment, streams, clocks, random numbers.

use lota_node::executor::{Ended, Run};

use crate::support::{Case, behave, text};

#[test]
fn a_module_that_only_returns_exits_with_zero() {
    let outcome = Case::wat(r#"(module (memory (export "memory") 1) (func (export "_start")))"#).execute();
    assert_eq!((outcome.exit_code, outcome.ended.clone()), (0, Ended::Exit));
    assert_eq!(text(&outcome, "exitCode"), "0");
    assert!(outcome.result_dir.join("outputs").is_dir());
    assert!(outcome.fuel_used > 0);
}

#[test]
fn arguments_arrive_as_they_are() {
    let case = behave(["args", "", "two words", "ünï¢ode \u{1f41f}", "-x=--", "'\"\\", "line\nbreak"]);
    let expected = [Run::PROGRAM_NAME, "args", "", "two words", "ünï¢ode \u{1f41f}", "-x=--", "'\"\\", "line\nbreak"];
    assert_eq!(case.succeed(), format!("{expected:?}\n"));
}

#[test]
fn a_value_of_the_environment_may_hold_an_equals_sign() {
    let case = behave(["env"]);
    let env = [("KEY", "a=b"), ("EMPTY", ""), ("Z", "=="), ("A", "ü")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let printed = case.edit(|run| run.env = env.to_vec()).succeed();
    assert_eq!(printed, format!("{env:?}\n"));
}

#[test]
fn nothing_of_the_hosts_environment_is_seen() {
    let case = behave(["env"]);
    assert_eq!(case.succeed(), "[]\n");
}

#[test]
fn standard_input_is_empty() {
    let case = behave(["stdin"]);
    case.succeed();
}

#[test]
fn streams_are_files_of_the_result() {
    let case = behave(["streams"]);
    let outcome = case.execute();
    assert_eq!(text(&outcome, "stdout"), "to standard output\n");
    assert_eq!(text(&outcome, "stderr"), "to standard error\n");
    assert_eq!((outcome.stdout_bytes, outcome.stderr_bytes), (19, 18));
}

#[test]
fn a_program_chooses_its_exit_code() {
    for code in [0, 1, 2, 42, 134, 255] {
        let case = behave(["exit", &code.to_string()]);
        let outcome = case.execute();
        assert_eq!((outcome.exit_code, outcome.ended.clone()), (code, Ended::Exit));
        assert_eq!(text(&outcome, "exitCode"), code.to_string());
    }
}

#[test]
fn the_clock_starts_where_the_run_says() {
    let case = behave(["time"]);
    assert_eq!(case.edit(|run| run.opened_at = 1_800_000_000).succeed(), "1800000000\n");
}

#[test]
fn sleeping_takes_virtual_time_only() {
    let case = behave(["sleep", "31536000"]);
    let outcome = case.execute();
    assert_eq!(outcome.exit_code, 0);
    assert_eq!(text(&outcome, "stdout"), "31536000\n");
}

#[test]
fn polling_moves_to_the_earliest_clock() {
    let case = behave(["poll"]);
    case.succeed();
}

#[test]
fn random_numbers_follow_from_the_seed() {
    let (one, two) = (behave(["random"]), behave(["random"]));
    let (one, two) = (one.wasm(|run| run.seed = [1; 32]), two.wasm(|run| run.seed = [2; 32]));
    assert_eq!(one.succeed(), one.succeed());
    assert_ne!(one.succeed(), two.succeed());
}

#[test]
fn there_are_no_sockets() {
    let case = behave(["sockets"]);
    case.succeed();
}
