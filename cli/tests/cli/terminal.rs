//! What strangers write, on a terminal: shown, and not obeyed.

use serde_json::{Value, json};

use crate::{
    fake::{self, Answer},
    modules,
    support::{Home, script_is_there},
};

const CID: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";

/// What attackers send: a title, a clipboard, a cleared screen, a moved cursor, CSI in one character, a bell, text in
/// another order, text that nobody sees, a line that looks like ours.
const HOSTILE: &str = "evil\x1b]0;title\x07\x1b]52;c;cHduZWQ=\x07\x1b[2J\x1b[3;1H\u{9b}8m\x1b[8m\u{202e}\u{2066}\u{200b}\rdone\nerror: forged";

/// Fails unless all that is in the text is to be read, or is one of the command's own sequences.
fn assert_readable(text: &str, what: &dyn std::fmt::Debug) {
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        let sequence: String = rest[at..].chars().take(12).collect();
        // Colours; and what the line of progress does to itself.
        let own = ["[0m", "[1m", "[2m", "[31m", "[32m", "[36m", "[2K", "[1A", "[1B", "[0K", "[K"];
        assert!(own.iter().any(|own| sequence[1..].starts_with(own)), "{what:?} sends {sequence:?}:\n{text:?}");
        rest = &rest[at + 1..];
    }
    for c in text.chars() {
        let hostile = c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\x1b')
            || matches!(c, '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!hostile, "{what:?} sends {c:?}:\n{text:?}");
    }
}

/// Puts the text into every field that a stranger, or a daemon of a stranger, may write as he likes.
fn poison(value: &mut Value) {
    const FREE: [&str; 14] = [
        "name", "text", "reason", "gateway", "problem", "message", "url", "version", "kind", "project", "ended",
        "salt", "spec", "code",
    ];
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                // The reason that a job ended for is one of a few words.
                let fixed = name == "reason" && (field == "accepted" || field == "none");
                match field {
                    Value::String(text) if FREE.contains(&name.as_str()) && !fixed => *text = HOSTILE.to_owned(),
                    field => poison(field),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(poison),
        _ => {}
    }
}

fn poisoned(mut value: Value) -> Answer {
    poison(&mut value);
    Answer::Json(value)
}

/// A daemon that knows a market of attackers.
fn hostile_daemon(home: &Home, failed: bool) {
    let problems = json!([{ "code": "x", "message": "x" }]);
    let job = move || {
        let mut job = fake::job();
        job["decisions"][0]["ended"] = json!("trapped: x");
        job["problem"] = json!("x");
        job["node_problems"] = problems.clone();
        if failed {
            (job["exit_code"], job["result"]["exit_code"]) = (json!(134), json!(134));
        }
        job
    };
    fake::daemon(home, move |request| {
        let problems = json!([{ "code": "x", "message": "x" }]);
        let path = request.split_once('?').map_or(request, |(path, _)| path);
        match path {
            "GET /v1/node" => {
                let mut node = fake::node();
                node["problems"] = problems;
                poisoned(node)
            }
            "GET /v1/market" => Answer::Json(json!({
                "chain_id": 1,
                "contract": fake::job()["client"],
                "min_window": 1,
                "asset": { "symbol": HOSTILE, "decimals": 18 },
            })),
            "GET /v1/parties" => poisoned(json!([{ "address": fake::job()["provider"], "url": "x" }])),
            "GET /v1/wallet" | "POST /v1/wallet/deposit" => poisoned(json!({
                "address": fake::job()["client"], "wallet": "1", "market": "2", "problems": problems,
            })),
            "GET /v1/jobs" => poisoned(json!({ "jobs": [job(), fake::running_job()] })),
            "POST /v1/jobs" => poisoned(job()),
            path if path.ends_with("/stdout") || path.ends_with("/stderr") => Answer::Bytes(HOSTILE.into()),
            path if path.starts_with("GET /v1/content/") && request.contains("list=true") => poisoned(json!([
                { "name": "x", "cid": CID, "kind": "file", "size": 1 },
            ])),
            path if path.starts_with("GET /v1/content/") && !request.contains("format=car") => {
                Answer::Bytes([HOSTILE.as_bytes(), b"\xff\x9b2J"].concat())
            }
            "POST /v1/content" => Answer::Json(json!({ "roots": [HOSTILE], "blocks": 1, "bytes": 1 })),
            path if path.starts_with("GET /v1/jobs/") && !path.contains("/output") => poisoned(job()),
            _ => {
                let error = json!({ "code": "x", "message": "x", "problems": [HOSTILE] });
                let mut error = error;
                poison(&mut error);
                Answer::Error(409, error)
            }
        }
    });
}

#[test]
fn no_verb_lets_a_stranger_write_to_the_terminal() {
    if !script_is_there() {
        return;
    }
    let home = Home::new();
    hostile_daemon(&home, true);
    home.file("a.txt", "hello");
    let id = fake::job()["id"].as_str().expect("an id").to_owned();
    for (args, code) in [
        (&["job", "list", "--all", "--wide"][..], 0),
        (&["job", "list", "--json"], 0),
        (&["job", "describe", &id], 0),
        (&["job", "describe", &id, "--json"], 0),
        (&["job", "describe", &id, "--spec"], 1),
        (&["job", "wait", &id], 0),
        (&["job", "logs", &id], 0),
        (&["job", "cat", &id, "stdout"], 0),
        (&["job", "get", &id], 1),
        (&["job", "cancel", &id], 1),
        (&["wasm", "run", CID], 134),
        (&["wasm", "run", CID, "--json"], 134),
        (&["content", "ls", CID], 0),
        (&["content", "ls", CID, "--json"], 0),
        (&["content", "cat", CID], 0),
        (&["content", "get", CID], 1),
        (&["content", "rm", CID], 1),
        (&["content", "add", "a.txt"], 1),
        (&["node", "show"], 0),
        (&["node", "show", "--json"], 0),
        (&["wallet", "show"], 0),
        (&["wallet", "deposit", "1"], 0),
    ] {
        let (found, text) = home.on_terminal(args);
        assert_eq!(found, code, "{args:?}: {text:?}");
        assert_readable(&text, &args);
        // And yet it is shown.
        let shown = ["\\u{1b}]52;c;cHduZWQ=\\u{7}", "\\u001b]52;c;cHduZWQ=\\u0007"];
        let is_shown = shown.iter().any(|shown| text.contains(shown));
        let has_none = args.contains(&"--spec") || args.contains(&"wait");
        assert!(is_shown || text.contains("no file or folder") || has_none, "{args:?}: {text:?}");
    }
    let lines = home.on_terminal(&["job", "describe", &id]).1;
    assert!(!lines.lines().any(|line| line.starts_with("error: ")), "a stranger makes no lines:\n{lines}");
}

#[test]
fn what_a_job_wrote_is_raw_in_a_pipe_and_where_it_is_wanted() {
    if !script_is_there() {
        return;
    }
    let home = Home::new();
    hostile_daemon(&home, false);
    let id = fake::job()["id"].as_str().expect("an id").to_owned();
    for args in
        [&["job", "logs", &id][..], &["job", "cat", &id, "stdout"], &["wasm", "run", CID], &["content", "cat", CID]]
    {
        let piped = home.lota(args).assert().success().get_output().stdout.clone();
        assert!(piped.starts_with(HOSTILE.as_bytes()), "{args:?}: {}", String::from_utf8_lossy(&piped));
        let (code, raw) = home.on_terminal(&[args, &["--raw"]].concat());
        assert!(code == 0 && raw.contains("\x1b]0;title\x07\x1b]52;c;cHduZWQ=\x07\x1b[2J"), "{args:?}: {raw:?}");
    }
    let piped = home.stdout(&["job", "describe", &id, "--json"]);
    assert_readable(&piped, &"JSON in a pipe");
    let job: Value = serde_json::from_str(&piped).expect("JSON");
    assert_eq!(job["problem"], HOSTILE, "escaped, it is the same text");
}

#[test]
fn a_job_cannot_steer_the_terminal_of_who_asked_for_it() {
    if !script_is_there() {
        return;
    }
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "1"]);
    let bytes = [HOSTILE.as_bytes(), b"\tcolumn\r\n\xff\xe2\x82"].concat();
    let module = home.file("hostile.wasm", modules::prints(&bytes));
    let module = module.to_str().expect("UTF-8");
    let (code, text) = home.on_terminal(&["wasm", "run", module]);
    assert_eq!(code, 0, "{text:?}");
    assert_readable(&text, &"wasm run");
    for part in [
        "evil\\u{1b}]0;title\\u{7}",
        "\\u{9b}8m",
        "\\u{202e}",
        "\\rdone\r\nerror: forged\tcolumn\r\n",
        "\\xff\\xe2\\x82\r\n",
    ] {
        assert!(text.contains(part), "{part:?} is not in {text:?}");
    }
    let piped = home.lota(&["wasm", "run", module]).assert().success().get_output().stdout.clone();
    assert_eq!(piped, bytes);
    let id = home.json(&["job", "list", "--json"])[0]["id"].as_str().expect("an id").to_owned();
    assert_readable(&home.on_terminal(&["job", "logs", &id]).1, &"job logs");
    assert_eq!(home.lota(&["job", "logs", &id]).assert().success().get_output().stdout, bytes);
}

#[test]
fn failures_are_told_in_red_and_jobs_while_they_run() {
    if !script_is_there() {
        return;
    }
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "1"]);
    let module = home.file("loops.wasm", modules::loops());
    let module = module.to_str().expect("UTF-8");
    let (code, text) = home.on_terminal(&["wasm", "run", module, "--fuel", "50M"]);
    assert_eq!(code, 152, "{text:?}");
    let told = "\x1b[31mthe program used all its fuel (50 M); raise it with --fuel\x1b[0m";
    assert!(text.contains(told) && text.contains("job 0x"), "{text:?}");
    let list = home.on_terminal(&["job", "list"]).1;
    assert!(list.contains("\x1b[31msettled\x1b[0m") && list.contains("\x1b[31mout of fuel (152)\x1b[0m"), "{list:?}");
    assert_readable(&list, &"job list");
}
