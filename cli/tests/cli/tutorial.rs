//! The tutorial of docs/solidity.md: every command on the page, as a reader would run them.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use crate::{
    anvil,
    support::{Devnet, Home},
};

const PAGE: &str = include_str!("../../../docs/solidity.md");
/// A question that tries to be more than a string.
const EVIL: &str = "x\"],\"args\":[\"x\\\n\tü\u{1f980}";

/// What the reader is to type, block by block.
fn blocks() -> Vec<String> {
    let mut blocks = Vec::new();
    let mut block: Option<String> = None;
    for line in PAGE.lines() {
        match (&mut block, line) {
            (None, "```sh") => block = Some(String::new()),
            (Some(_), "```") => blocks.extend(block.take()),
            (Some(text), line) => text.extend([line, "\n"]),
            (None, _) => {}
        }
    }
    blocks
}

/// Runs a script where the reader would be, and returns what it prints.
fn shell(home: &Home, script: &str) -> String {
    let command = assert_cmd::cargo::cargo_bin("lota");
    let programs = command.parent().expect("a folder").display();
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(home.place("."))
        .env("LOTA_HOME", home.path())
        .env("NO_COLOR", "1")
        .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()))
        .stdin(Stdio::null())
        .output()
        .expect("bash runs");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}\n{stdout}\n{stderr}");
    stdout.into_owned()
}

#[test]
fn the_tutorial_works_as_it_is_written() {
    let Some(tools) = anvil::tools() else { return };
    let mut blocks = blocks().into_iter();
    assert_eq!(blocks.next().as_deref(), Some("lota devnet --chain anvil\n"));
    let home = Home::new();
    let devnet: Devnet<'_> = home.devnet_with(&["--chain", "anvil"], tools);
    // "take the line that the devnet printed"
    let printed = devnet.said("  export ETH_RPC_URL=");
    let mut script = blocks.collect::<String>();
    let example = script.lines().find(|line| line.starts_with("export ETH_RPC_URL=")).expect("a line").to_owned();
    script = script.replace(&example, printed.trim());
    // The checkout is where the reader is; what the commands write must not go there.
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::os::unix::fs::symlink(checkout.join("contracts"), home.place("contracts")).expect("linked");
    let told = shell(&home, &format!("{script}\necho \"$COMPUTER\""));
    let (told, computer) = told.trim_end().rsplit_once('\n').expect("lines");
    assert!(told.contains("0x31300a)\n10"), "the answer is not ten:\n{told}");
    assert!(
        told.contains("settled: the result was submitted, and there is no arbiter to review it")
            && told.contains("CallbackDelivered"),
        "{told}"
    );

    // What a contract makes of any question is a spec that providers can read, with the question in it.
    let more = r#"
        ME=$(cast rpc eth_accounts | grep -o '0x[0-9a-f]*')
        BEFORE=$(lota job list --all --quiet --limit 1)
        cast send "$COMPUTER" 'ask(string)' "$QUESTION" --value 0.01ether --unlocked --from "$ME" >/dev/null
        until JOB=$(lota job list --all --quiet --limit 1) && [ "$JOB" != "$BEFORE" ]; do sleep 0.1; done
        lota job wait "$JOB" >/dev/null
        lota job describe "$JOB" --spec
    "#;
    let spec = shell(
        &home,
        &format!("{printed}\nexport COMPUTER={computer} QUESTION='{EVIL}' PATH={}:$PATH\n{more}", tools.display()),
    );
    let spec: serde_json::Value = serde_json::from_str(&spec).expect("JSON");
    assert_eq!(spec["args"], serde_json::json!(["--find", EVIL]));
    devnet.end();
}
