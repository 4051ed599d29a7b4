//! Words that newcomers type: those of other programs, misspelt variables, and half an id.

use std::{io::Read as _, net::TcpListener, process::Command};

use serde_json::json;

use crate::{modules, support::Home};

#[test]
fn commands_of_other_programs_end_with_a_tip() {
    let home = Home::new();
    for (args, tip) in [
        (&["docker", "run", "--gpu", "1", "ubuntu"][..], "`--gpus COUNT`"),
        (&["exec", "python"], "`lota docker run IMAGE`"),
        (&["job", "run", "job.yaml"], "`lota job submit FILE`"),
        (&["node", "list"], "`lota node show`"),
        (&["get", "j-1234"], "`lota job get ID`"),
        (&["run", "cowsay:v0.0.4", "-i", "Message=moo"], "`lota wasm run MODULE`"),
        (&["node", "run", "--chain", "http://127.0.0.1:8545"], "`--rpc URL`"),
    ] {
        let assert = home.lota(args).assert().code(2);
        let text = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(text.contains("tip: ") && text.contains(tip), "{args:?}: {text}");
    }
}

#[test]
fn a_variable_that_is_no_setting_is_told_with_the_nearest_one() {
    let home = Home::new();
    let stderr = |args: &[&str]| {
        let run = home.lota(args).env("LOTA_JOB_MAXPRICE", "2 FIL").env("LOTA_TEST_TOOLS", "x").assert();
        String::from_utf8_lossy(&run.get_output().stderr).into_owned()
    };
    let line = "LOTA_JOB_MAXPRICE is set, but there is no such setting; did you mean LOTA_JOB_MAX_PRICE?\n";
    assert_eq!(stderr(&["config", "show"]), line);
    assert!(stderr(&["job", "list"]).starts_with(line));
    // stderr is the job's there, and a shell wants candidates.
    assert!(!stderr(&["wasm", "run", "--quiet", "missing.wasm"]).contains("LOTA_JOB"));
    assert_eq!(stderr(&["completions", "--job-ids"]), "");
}

#[test]
fn completion_offers_the_ids_of_jobs() {
    let home = Home::new();
    let devnet = home.devnet(&["--providers", "0"]);
    let module = home.file("hello.wasm", modules::hello());
    let module = module.to_str().expect("UTF-8");
    let jobs: Vec<String> =
        (0..2).map(|_| home.stdout(&["wasm", "run", module, "--detach"]).trim()[..12].to_owned()).collect();
    let offered = home.stdout(&["completions", "--job-ids"]);
    assert!(offered.lines().count() == 2 && jobs.iter().all(|job| offered.contains(job)), "{offered}");

    let lota = assert_cmd::cargo::cargo_bin("lota");
    let programs = lota.parent().expect("a folder").display();
    let complete = |words: &str, word: &str| {
        let count = words.split(' ').count();
        let script = format!(
            "source <(lota completions bash)\nCOMP_WORDS=({words} '{word}') COMP_CWORD={count}\n\
             _lota lota '{word}' '{}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.rsplit(' ').next().expect("a word")
        );
        let output = Command::new("bash")
            .args(["-c", &script])
            .env("LOTA_HOME", home.path())
            .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()))
            .output()
            .expect("bash runs");
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let both = complete("lota job describe", "0x");
    assert!(both.len() == 2 && jobs.iter().all(|job| both.contains(job)), "{both:?}");
    assert_eq!(complete("lota job get", &jobs[0][..8]), [jobs[0].clone()]);
    assert!(complete("lota job li", "").iter().all(|word| !word.starts_with("0x")));
    devnet.end();
    assert_eq!(complete("lota job describe", "0x"), [""], "silent without a daemon");
}

#[test]
fn completion_is_silent_when_the_daemon_does_not_answer() {
    let home = Home::new();
    let silent = |home: &Home| {
        let run = home.lota(&["completions", "--job-ids"]).assert().success();
        assert!(run.get_output().stdout.is_empty() && run.get_output().stderr.is_empty());
    };
    silent(&home);
    home.file("home/config.toml", "this is not TOML");
    silent(&home);

    let home = Home::new();
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    home.file("home/api.json", json!({ "url": url, "token": "x", "pid": 1, "node": "client" }).to_string());
    // It takes the request and says nothing until the other side has gone.
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a caller");
        let mut request = Vec::new();
        let _ = stream.read_to_end(&mut request);
        request
    });
    silent(&home);
    assert!(server.join().expect("served").starts_with(b"GET /v1/jobs?"), "it was asked");
}
