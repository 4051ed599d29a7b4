use lota_node::executor::{Ended, TrapKind, exit};

use crate::support::{Case, text};

#[test]
fn a_module_that_only_returns_exits_with_zero() {
    let case = Case::wat(r#"(module (memory (export "memory") 1) (func (export "_start")))"#);
    let outcome = case.execute();
    assert_eq!((outcome.exit_code, outcome.ended.clone()), (0, Ended::Exit));
    assert_eq!(text(&outcome, "exitCode"), "0");
    assert!(outcome.result_dir.join("outputs").is_dir());
    assert!(outcome.fuel_used > 0);
}

#[test]
fn an_endless_loop_uses_all_its_fuel() {
    let case = Case::wat(r#"(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))"#)
        .limit(|limits| limits.fuel = 1_000_000);
    let outcome = case.execute();
    assert_eq!((outcome.exit_code, outcome.ended.clone()), (exit::OUT_OF_FUEL, Ended::OutOfFuel));
    assert_eq!(outcome.fuel_used, 1_000_000);
    assert_eq!(text(&outcome, "exitCode"), "152");
}

#[test]
fn unreachable_is_a_trap() {
    let case = Case::wat(
        r#"(module (memory (export "memory") 1) (func $boom (unreachable)) (func (export "_start") (call $boom)))"#,
    );
    let outcome = case.execute();
    assert_eq!(outcome.exit_code, exit::TRAP);
    let Ended::Trap { kind: TrapKind::Unreachable, message } = &outcome.ended else { panic!("{:?}", outcome.ended) };
    assert_eq!(message, "wasm `unreachable` instruction executed in boom < #1");
}
