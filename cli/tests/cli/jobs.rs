//! Jobs on a devnet, good and bad.

use serde_json::json;

use crate::{
    fake::{self, Answer},
    modules,
    support::Home,
};

fn path(path: &std::path::Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[test]
fn a_word_count_runs_as_if_it_were_a_program_here() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "2"]);
    let folder = home.stdout(&["demo", "--files", "demo"]);
    assert_eq!(folder, "demo\n");
    assert_eq!(home.stdout(&["demo", "--files", "demo"]), "demo\n", "what is there is the same");
    let texts = home.file("texts/a.txt", "one two two\n");
    home.file("texts/b/c.txt", "two three\n");
    let texts = path(texts.parent().expect("a folder"));

    let run = home
        .lota(&[
            "wasm",
            "run",
            "demo/wordcount.wasm",
            "-i",
            texts,
            "-o",
            "counts",
            "--label",
            "kind=test",
            "--",
            "--top",
            "1",
        ])
        .assert()
        .code(0);
    let output = run.get_output();
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(stdout, "files\t2\nbytes\t22\nwords\t5\ndistinct\t3\n");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(" FIL to provider-") && stderr.contains("output bafy"), "{stderr}");
    assert_eq!(std::fs::read_to_string(home.place("counts/counts.tsv")).expect("saved"), "two\t3\n");
    let jobs = home.json(&["job", "list", "--json"]);
    let job = &jobs[0];
    let id = job["id"].as_str().expect("an id");
    assert_eq!((job["status"].as_str(), job["exit_code"].as_u64()), (Some("settled"), Some(0)));
    assert_eq!(job["labels"], json!({ "kind": "test" }));

    // The output, by every verb that shows it.
    assert_eq!(home.stdout(&["job", "cat", &id[..8], "outputs/counts.tsv"]), "two\t3\n");
    assert_eq!(home.stdout(&["job", "logs", id]), stdout);
    assert_eq!(home.stdout(&["job", "get", id, "-o", "all"]), "all\n");
    let cid = job["output"].as_str().expect("a CID");
    assert_eq!(home.stdout(&["content", "cat", &format!("{cid}/outputs/counts.tsv")]), "two\t3\n");
    let listed = home.stdout(&["content", "ls", cid]);
    for name in ["exitCode", "outputs/", "stderr", "stdout"] {
        assert!(listed.lines().any(|line| line.ends_with(name)), "{name} is not in\n{listed}");
    }
    let (code, line) = home.failure(&["job", "get", id, "-o", "all"]);
    assert_eq!(code, 1);
    assert!(line.contains("exists already"), "{line}");

    let text = home.stdout(&["job", "describe", id]);
    for part in [
        "settled: the result was submitted, and there is no arbiter to review it",
        "JobOpened",
        "JobLocked",
        "JobSettled",
        "paid to the provider",
        "provider-1",
        "provider-2",
    ] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    let money = &home.json(&["job", "describe", id, "--json"])["money"];
    assert_eq!(money["paid_to_provider"], job["price"]);

    // The same job again, from what describe prints.
    let spec = home.stdout(&["job", "describe", id, "--spec"]);
    let again = home.lota(&["job", "submit", "-"]).write_stdin(spec).assert().success();
    let again = String::from_utf8_lossy(&again.get_output().stdout).trim().to_owned();
    assert_ne!(again, id);
    home.lota(&["job", "wait", &again]).assert().success();
    assert_eq!(home.json(&["job", "describe", &again, "--json"])["output"], cid, "the same job has the same output");
    assert_eq!(home.stdout(&["job", "list", "-q", "--status", "settled"]).lines().count(), 2);
}

#[test]
fn what_a_program_does_wrong_is_its_result() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "1"]);
    for (name, module, code, stdout, told) in [
        ("hello", modules::hello(), 0, "hello\n", "paid 0.0"),
        ("fails", modules::fails(), 7, "", "the program exited with code 7"),
        ("traps", modules::traps(), 134, "", "the program trapped: wasm `unreachable` instruction executed"),
        ("loops", modules::loops(), 152, "", "the program used all its fuel (100 M); raise it with --fuel"),
        ("eats", modules::eats_memory(), 137, "", "more memory than its limit (16 MiB); raise it with --memory"),
        ("quits", modules::quits(152), 152, "", "the program exited with code 152"),
    ] {
        let module = home.file(&format!("{name}.wasm"), module);
        let run =
            home.lota(&["wasm", "run", path(&module), "--fuel", "100M", "--memory", "16 MiB"]).assert().code(code);
        let output = run.get_output();
        assert_eq!(String::from_utf8_lossy(&output.stdout), stdout, "{name}");
        let stderr = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = stderr.lines().collect();
        assert!(lines[0].starts_with("job 0x"), "the id comes first: {stderr}");
        assert!(lines.iter().any(|line| line.contains(told)), "{told} is not in\n{stderr}");
        let id = lines[0].trim_start_matches("job ");
        let text = home.stdout(&["job", "describe", id]);
        assert!(code == 0 || text.lines().any(|line| line.contains("exit code") && line.contains(told)), "{text}");
        let waited = home.lota(&["job", "wait", id]).assert().success();
        let waited = String::from_utf8_lossy(&waited.get_output().stderr).into_owned();
        assert!(if code == 0 { waited.is_empty() } else { waited.contains(told) }, "{waited}");
    }
    let list = home.stdout(&["job", "list"]);
    for word in ["ok", "exit 7", "trapped (134)", "out of fuel (152)", "out of memory (137)"] {
        assert!(list.contains(&format!("settled  {word} ")), "{word} is not in\n{list}");
    }
    let fails = home.file("fails.wasm", modules::fails());
    let run = home.lota(&["wasm", "run", path(&fails), "--quiet"]).assert().code(7);
    assert_eq!(String::from_utf8_lossy(&run.get_output().stderr), "oh no\n");
    let flood = home.file("floods.wasm", modules::floods());
    let run = home.lota(&["wasm", "run", path(&flood), "--output-size", "1 MiB"]).assert().code(153);
    let stderr = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(stderr.contains("more than 1048576 bytes of output; raise them with --output-size"), "{stderr}");
    // Bytes with the right beginning and nothing behind it: only the provider can tell.
    let broken = home.file("broken.wasm", b"\0asm\x01\0\0\0garbage");
    let (_, line) = home.failed_job(&["wasm", "run", path(&broken)]);
    for part in ["every provider refuses", "the module is not valid", "the escrow came back"] {
        assert!(line.contains(part), "{line} lacks {part}");
    }

    let ran = home.lota(&["wasm", "run", path(&home.file("f.wasm", modules::fails())), "--json"]).assert().code(7);
    let ran: serde_json::Value = serde_json::from_slice(&ran.get_output().stdout).expect("one JSON document");
    assert_eq!(
        (ran["stderr"].as_str(), ran["exit_code"].as_u64(), ran["truncated"].as_bool()),
        (Some("oh no\n"), Some(7), Some(false))
    );
}

#[test]
fn a_job_that_nobody_takes_says_why_and_can_be_cancelled() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "1"]);
    let hello = home.file("hello.wasm", modules::hello());
    let run = |more: &[&str]| {
        let args = [&["wasm", "run", path(&hello), "--detach"][..], more].concat();
        home.stdout(&args).trim().to_owned()
    };
    let before = home.json(&["wallet", "show", "--json"]);
    let poor = run(&["--max-price", "1 gwei"]);
    let text = home.wait_for(&["job", "describe", &poor], |text| text.contains("refused"));
    assert!(text.contains("0.000000001 FIL") && text.contains("asks"), "{text}");
    assert!(home.stdout(&["job", "cancel", &poor]).contains("cancelled"));
    assert_eq!(home.json(&["wallet", "show", "--json"]), before, "the escrow came back");
    let (code, line) = home.failure(&["job", "cancel", &poor]);
    assert_eq!(code, 1);
    assert!(line.contains("cancelled"), "{line}");
    home.lota(&["job", "wait", &poor]).assert().code(1);

    let greedy = run(&["--memory", "4 GiB"]);
    let text = home.wait_for(&["job", "describe", &greedy], |text| text.contains("refused"));
    assert!(text.contains("4294967296"), "{text}");
    home.lota(&["job", "wait", &greedy, "--timeout", "1s"]).assert().code(1);
    home.stdout(&["job", "cancel", &greedy]);

    // In time nobody takes it: the escrow comes back by itself.
    let short = run(&["--max-price", "1 gwei", "--lock-for", "1s"]);
    home.lota(&["job", "wait", &short]).assert().code(1);
    assert_eq!(home.json(&["job", "describe", &short, "--json"])["reason"], "not_locked");
    let (code, line) = home.failed_job(&["wasm", "run", path(&hello), "--max-price", "1 gwei", "--lock-for", "1s"]);
    assert_eq!(code, 1);
    assert!(line.contains("no provider took it in time") || line.contains("every provider refuses"), "{line}");
    assert_eq!(home.json(&["wallet", "show", "--json"]), before);

    // Whoever waits is told at once that nobody will run it.
    let (code, line) = home.failed_job(&["wasm", "run", path(&hello), "--max-price", "1 gwei"]);
    assert_eq!(code, 1);
    assert!(line.contains("every provider refuses") && line.contains("the escrow came back"), "{line}");
    assert_eq!(home.json(&["wallet", "show", "--json"]), before);

    let missing = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
    let (_, line) = home.failure(&["wasm", "run", path(&hello), "-i", missing]);
    assert!(line.contains("input 1") && line.contains(missing), "{line}");
    assert_eq!(home.json(&["wallet", "show", "--json"]), before);

    let rich = ["wasm", "run", path(&hello), "--max-price", "100000 FIL"];
    let (_, line) = home.failure(&[&rich[..], &["--ramp-period", "1m"]].concat());
    assert!(line.contains("900 FIL") && line.contains("99900 FIL"), "{line}");
    let (_, line) = home.failure(&["wasm", "run", path(&hello), "--min-price", "2 FIL", "--max-price", "1 FIL"]);
    assert!(line.contains("2 FIL") && line.contains("1 FIL"), "{line}");
}

#[test]
fn the_most_that_one_pays_is_a_limit_and_no_bid() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "2"]);
    let hello = home.file("hello.wasm", modules::hello());
    let atto = |value: &serde_json::Value| value.as_str().expect("an amount").parse::<u128>().expect("a number");
    let run = |more: &[&str]| {
        let args = [&["wasm", "run", path(&hello), "--detach", "--json"][..], more].concat();
        let run = home.lota(&args).assert().success();
        let opened: serde_json::Value = serde_json::from_slice(&run.get_output().stdout).expect("one JSON document");
        let stderr = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
        let id = opened["id"].as_str().expect("an id").to_owned();
        home.lota(&["job", "wait", &id, "--timeout", "5m"]).assert().success();
        let price = atto(&home.json(&["job", "describe", &id, "--json"])["price"]);
        (opened, price, stderr)
    };
    // More than there is.
    let (opened, price, stderr) = run(&["--max-price", "100000 FIL"]);
    let (ask, end) = (atto(&opened["offer"]["lowest_ask"]), atto(&opened["offer"]["max_price"]));
    assert_eq!(opened["offer"]["providers"], 2);
    assert!(ask <= price && price <= end && end == 8 * ask, "{price} of {end}");
    assert!(stderr.contains("warning: the highest price, 100000 FIL, is far above"), "{stderr}");
    assert!(!stderr.contains("moved from the account"), "{stderr}");
    // What the free balance does not cover comes from outside, and that is said.
    home.stdout(&["wallet", "withdraw", "99.98 FIL"]);
    let (opened, _, stderr) = run(&["--min-price", "0.02 FIL", "--max-price", "0.02 FIL"]);
    let moved = atto(&opened["offer"]["from_wallet"]);
    assert!(moved > 0 && moved < 20_000_000_000_000_000, "{opened:#}");
    assert!(stderr.contains("moved from the account into the market, which holds 0.02 FIL for the job"), "{stderr}");
}

#[test]
fn an_unknown_id_is_said_so() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "0"]);
    let (code, line) = home.failure(&["job", "describe", "0xdead"]);
    assert_eq!(code, 1);
    assert!(line.contains("0xdead") && line.contains("lota job list"), "{line}");
}

#[test]
fn what_was_not_published_is_published_again_when_somebody_asks_for_it() {
    let home = Home::new();
    let queued = json!([{ "publisher": "filecoin", "state": "queued", "reason": "0x50 has 3 free\u{1b}[2J" }]);
    let answer = queued.clone();
    fake::daemon(&home, move |request| match request {
        "POST /v1/jobs/0x3f21/publish" => Answer::Json(answer.clone()),
        _ => Answer::Error(409, json!({ "code": "conflict", "message": "nothing of job 0x4f21 is published" })),
    });
    let text = home.stdout(&["job", "publish", "0x3f21"]);
    assert!(text.contains("kept by") && text.contains("filecoin: queued (0x50 has 3 free"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    assert_eq!(home.json(&["job", "publish", "0x3f21", "--json"]), queued);
    let (code, line) = home.failure(&["job", "publish", "0x4f21"]);
    assert_eq!(code, 1);
    assert!(line.contains("nothing of job 0x4f21 is published"), "{line}");
    assert_eq!(home.failure(&["job", "publish", "not-an-id"]).0, 2);
}
