//! What the command says about itself.

use crate::support::Home;

#[test]
fn the_help_is_as_it_was_agreed() {
    insta::assert_snapshot!(Home::new().stdout(&["--help"]));
}

#[test]
fn every_verb_has_an_example() {
    let home = Home::new();
    for verb in [
        &["demo"][..],
        &["devnet"],
        &["wasm", "run"],
        &["job", "submit"],
        &["job", "validate"],
        &["job", "list"],
        &["job", "describe"],
        &["job", "get"],
        &["job", "cat"],
        &["job", "logs"],
        &["job", "cancel"],
        &["job", "wait"],
        &["content", "add"],
        &["content", "get"],
        &["content", "cat"],
        &["content", "ls"],
        &["content", "piece"],
        &["wallet", "new"],
        &["wallet", "show"],
        &["wallet", "deposit"],
        &["wallet", "withdraw"],
        &["node", "benchmark"],
        &["node", "resume"],
        &["node", "run"],
        &["node", "show"],
        &["canary"],
        &["chain", "deploy"],
        &["chain", "deploy-blessing"],
        &["chain", "deploy-granter"],
        &["chain", "deploy-filecoin-pay-deals"],
        &["chain", "status"],
        &["blessing", "show"],
        &["blessing", "register"],
        &["blessing", "unregister"],
        &["blessing", "fund"],
        &["blessing", "set-aside"],
        &["blessing", "take-back"],
        &["blessing", "withdraw"],
        &["blessing", "nominate"],
        &["blessing", "vote"],
        &["blessing", "relay"],
        &["blessing", "grant"],
        &["blessing", "pay"],
        &["blessing", "expire"],
        &["blessing", "ballot", "set-granter"],
        &["blessing", "ballot", "set-notaries"],
        &["blessing", "ballot", "like"],
        &["blessing", "decide"],
        &["notary", "serve"],
        &["notary", "verify"],
        &["filecoin-pay", "status"],
        &["filecoin-pay", "approve"],
        &["filecoin-pay", "deposit"],
        &["filecoin-pay", "withdraw"],
        &["filecoin-pay", "order"],
        &["filecoin-pay", "wait"],
        &["filecoin-pay", "cancel"],
        &["filecoin-pay", "revoke"],
        &["filecoin-pay", "expire"],
        &["filecoin-pay", "pay"],
        &["filecoin-pay", "release"],
        &["filecoin-pay", "renew"],
        &["filecoin-pay", "claim"],
        &["sim", "run"],
        &["sim", "list"],
        &["sim", "compare"],
        &["sim", "report"],
        &["sim", "experiments"],
        &["mock-market"],
        &["mock-market", "balances"],
        &["mock-market", "movements"],
        &["mock-market", "advance"],
        &["mock-market", "give"],
        &["sim", "replay"],
        &["fil-plus", "serve"],
        &["fil-plus", "check"],
        &["fil-plus", "review"],
        &["notary", "serve"],
        &["config", "show"],
        &["config", "path"],
        &["completions"],
    ] {
        let help = home.stdout(&[verb, &["--help"]].concat());
        let example = help.split_once("Example").map(|(_, example)| example).unwrap_or_default();
        assert!(example.contains("lota"), "{verb:?} has no example:\n{help}");
    }
}

#[test]
fn a_misspelt_flag_is_a_usage_error() {
    let home = Home::new();
    home.lota(&["job", "list", "--al"]).assert().code(2).stderr(predicates::str::contains("--all"));
    home.lota(&["jbo"]).assert().code(2);
    home.lota(&[]).assert().code(2);
}

#[test]
fn completions_are_printed() {
    let script = Home::new().stdout(&["completions", "bash"]);
    assert!(script.contains("devnet") && script.contains("describe"));
}
