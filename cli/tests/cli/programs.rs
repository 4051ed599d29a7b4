//! What a program is given: arguments, inputs, and no standard input.

use std::{
    io::{Read as _, Write as _},
    process::{Command, Stdio},
};

use crate::{modules, support::Home};

/// The page that newcomers follow.
const QUICKSTART: &str = include_str!("../../../docs/quickstart.md");
/// What somebody is told whose data nobody reads.
const UNREAD: &str = "a job's standard input is empty";

#[test]
fn arguments_need_no_dashes_before_them() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "1"]);
    let module = home.file("echo.wasm", modules::echo());
    let module = module.to_str().expect("UTF-8");
    for (args, expected) in [
        (&["world"][..], "job\0world\0"),
        (&["a", "b c", "--quiet"], "job\0a\0b c\0"),
        (&["--quiet", "--", "--top", "10"], "job\0--top\x0010\0"),
        (&["a", "--", "--quiet", "-x"], "job\0a\0--quiet\0-x\0"),
        (&["--"], "job\0"),
    ] {
        assert_eq!(home.stdout(&[&["wasm", "run", module][..], args].concat()), expected, "{args:?}");
    }
    let refused = home.lota(&["wasm", "run", module, "--top", "10"]).assert().code(2);
    let text = String::from_utf8_lossy(&refused.get_output().stderr).into_owned();
    assert!(text.contains("if --top is for the program, put `--` before"), "{text}");
}

#[test]
fn inputs_are_files_content_and_what_is_piped() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "1"]);
    home.stdout(&["demo", "--files", "demo"]);
    let words = |input: &str| {
        let mut command = home.lota(&["wasm", "run", "demo/wordcount.wasm", "--quiet", "-i", input]);
        if input.starts_with('-') {
            command.write_stdin("one two two\n");
        }
        let text = String::from_utf8(command.assert().success().get_output().stdout.clone()).expect("UTF-8");
        text.lines().find(|line| line.starts_with("words")).expect("a count").to_owned()
    };
    home.file("texts/deep/a.txt", "one two two\n");
    let cid = home.stdout(&["content", "add", "texts"]).trim().to_owned();
    for input in
        ["texts", &cid, &format!("ipfs://{cid}"), &format!("ipfs://{cid}/deep:/inputs/here"), "-", "-:/inputs/words"]
    {
        assert_eq!(words(input), "words\t3", "{input}");
    }
    let module = home.stdout(&["content", "add", "demo/wordcount.wasm"]).trim().to_owned();
    home.lota(&["wasm", "run", &format!("ipfs://{module}"), "-i", "texts"]).assert().success();
    let piped = std::fs::read(home.place("demo/wordcount.wasm")).expect("there");
    home.lota(&["wasm", "run", "-", "-i", "texts"]).write_stdin(piped).assert().success();
    let (code, line) = home.failure(&["wasm", "run", "demo/wordcount.wasm", "-i", &format!("{cid}/deep/b.txt")]);
    assert!(code == 1 && line.contains("there is no `b.txt`") && line.contains("/deep"), "{line}");
}

#[test]
fn a_file_at_a_url_is_fetched_by_whoever_runs_the_job() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "1"]);
    home.stdout(&["demo", "--files", "demo"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/words.txt", listener.local_addr().expect("bound"));
    let words = b"one two two\n";
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).expect("a request");
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", words.len());
            stream.write_all(&[head.as_bytes(), words].concat()).expect("an answer");
        }
    });
    let digest: String = lota_content::sha2_256(words).iter().map(|byte| format!("{byte:02x}")).collect();
    let input = format!("{url}#sha256={digest}");
    let text = home.stdout(&["wasm", "run", "demo/wordcount.wasm", "--quiet", "-i", &input]);
    assert!(text.lines().any(|line| line == "words\t3"), "{text}");
    let job = home.json(&["job", "list", "--json"])[0]["id"].as_str().expect("an id").to_owned();
    let spec = home.json(&["job", "describe", &job, "--spec"]);
    assert_eq!((&spec["inputs"][0]["url"], &spec["inputs"][0]["path"]), (&url.into(), &"/inputs/words.txt".into()));
    let (_, line) = home.failed_job(&["wasm", "run", "demo/wordcount.wasm", "-i", "directory:genomes"]);
    assert!(line.contains("offers no directory `genomes`"), "{line}");
}

#[test]
fn what_cannot_be_given_says_what_to_do_instead() {
    let home = Home::new();
    let module = home.file("hello.wasm", modules::hello());
    let module = module.to_str().expect("UTF-8");
    let file = |name: &str, text: &str| home.file(name, text).to_str().expect("UTF-8").to_owned();
    let yaml = file("job.yaml", "Name: A Simple Docker Job\nType: batch\nTasks:\n  - Name: My main task\n");
    let bacalhau = file("job.json", r#"{"Name": "x", "Type": "batch", "Tasks": []}"#);
    for (args, part) in [
        (&["wasm", "run", "https://example.org/a.wasm"][..], "curl -LO"),
        (&["wasm", "run", module, "-i", "https://example.org/data.csv:/inputs/data.csv"], "curl -LO"),
        (&["wasm", "run", module, "-i", "https://example.org/data.csv#sha256=12"], "64 hex digits"),
        (&["wasm", "run", "directory:modules"], "a module is a file or a CID"),
        (&["wasm", "run", module, "-i", "s3://bucket/key"], "copy it to this machine"),
        (&["wasm", "run", module, "-i", "src=ipfs://bafy,dst=/inputs"], "SOURCE:GUEST_PATH"),
        (&["wasm", "run", module, "-i", "-", "-i", "-"], "stdin can be read only once"),
        (&["wasm", "run", module, "--detach", "--output-dir", "counts"], "lota job get ID --path outputs -o counts"),
        (&["job", "submit", &yaml], "it looks like YAML"),
        (&["job", "submit", &bacalhau], "a job for Bacalhau"),
    ] {
        let (code, line) = home.failure(args);
        assert!(code == 2 && line.contains(part), "{args:?}: {line}");
    }
}

#[test]
fn what_is_piped_and_not_read_is_said_so() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "1"]);
    let module = home.file("hello.wasm", modules::hello());
    let module = module.to_str().expect("UTF-8");
    let stderr = |args: &[&str], stdin: &str| {
        let run = home.lota(&[&["wasm", "run", module][..], args].concat()).write_stdin(stdin).assert().success();
        String::from_utf8_lossy(&run.get_output().stderr).into_owned()
    };
    let told = stderr(&[], "some data");
    assert!(told.matches(UNREAD).count() == 1 && told.contains("`-i -`"), "{told}");
    assert!(stderr(&["--detach"], "some data").contains(UNREAD));
    for (args, stdin) in [(&[][..], ""), (&["--quiet"], "some data"), (&["-i", "-"], "some data")] {
        let told = stderr(args, stdin);
        assert!(!told.contains(UNREAD), "{args:?}: {told}");
    }

    // As scripts do: lines of a loop are not meant for the commands in it, and none of them is taken away.
    let lota = assert_cmd::cargo::cargo_bin("lota");
    let shell = |script: &str| {
        let output = Command::new("bash")
            .args(["-euo", "pipefail", "-c", script, "bash", module])
            .current_dir(home.place("."))
            .env("LOTA_HOME", home.path())
            .env("LOTA", &lota)
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{script}: {stderr}");
        (String::from_utf8_lossy(&output.stdout).into_owned(), stderr)
    };
    home.file("lines", "one\ntwo\n");
    for script in [
        r#"cat lines | while read -r line; do "$LOTA" wasm run "$1"; done"#,
        r#"while read -r line; do "$LOTA" wasm run "$1"; done < lines"#,
        r#""$LOTA" wasm run "$1"; "$LOTA" wasm run "$1" < /dev/null"#,
    ] {
        let (stdout, stderr) = shell(script);
        assert_eq!(stdout, "hello\nhello\n", "{script}");
        assert!(!stderr.contains(UNREAD), "{script}: {stderr}");
    }
    for script in [r#""$LOTA" wasm run "$1" < lines"#, r#"cat lines | "$LOTA" wasm run "$1""#] {
        let (_, stderr) = shell(script);
        assert_eq!(stderr.matches(UNREAD).count(), 1, "{script}: {stderr}");
    }
}

#[test]
fn a_submitted_job_can_be_waited_for_as_if_it_ran_here() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "1"]);
    let submit = |name: &str, module: Vec<u8>, more: &[&str]| {
        let module = home.file(&format!("{name}.wasm"), module);
        let cid = home.stdout(&["content", "add", module.to_str().expect("UTF-8")]).trim().to_owned();
        let spec = serde_json::json!({
            "version": 1,
            "engine": { "type": "wasm", "module": cid },
            "limits": { "fuel": 10_000_000, "memory": 1_048_576, "output": 1024, "entries": 10, "wall": 10 },
        });
        let file = home.file(&format!("{name}.json"), spec.to_string());
        home.lota(&[&["job", "submit", file.to_str().expect("UTF-8")][..], more].concat()).assert()
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let hello = submit("hello", modules::hello(), &["--wait", "--output-dir", "results"]).code(0);
    assert_eq!(text(&hello.get_output().stdout), "hello\n");
    assert!(text(&hello.get_output().stderr).contains("paid "), "{}", text(&hello.get_output().stderr));
    assert!(home.place("results").is_dir());
    let fails = submit("fails", modules::fails(), &["-w", "-q"]).code(7);
    assert_eq!((text(&fails.get_output().stdout), text(&fails.get_output().stderr)), (String::new(), "oh no\n".into()));
    let json = submit("json", modules::hello(), &["--wait", "--json"]).code(0);
    let json: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).expect("JSON");
    assert_eq!((json["stdout"].as_str(), json["status"].as_str()), (Some("hello\n"), Some("settled")));
    // Without --wait it is the id, as it always was.
    for more in [&[][..], &["--detach"]] {
        let id = text(&submit("id", modules::hello(), more).code(0).get_output().stdout);
        assert!(id.starts_with("0x") && id.lines().count() == 1, "{id}");
    }
    for more in [&["--wait", "--detach"][..], &["--quiet"], &["--output-dir", "x"]] {
        submit("refused", modules::hello(), more).code(2);
    }
}

#[test]
fn the_quick_starts_program_does_what_the_page_says() {
    let (_, after) = QUICKSTART.split_once("cat > hello.rs <<'END'\n").expect("the page gives the program");
    let (program, _) = after.split_once("END\n").expect("it ends");
    let home = Home::new();
    let source = home.file("hello.rs", program);
    let rustc = |more: &[&str]| {
        Command::new("rustc").arg(&source).args(more).current_dir(home.place(".")).output().expect("rustc runs")
    };
    let compiled = rustc(&["-o", "hello"]);
    assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
    let native = Command::new(home.place("hello")).arg("world").output().expect("it runs");
    assert_eq!(String::from_utf8_lossy(&native.stdout), "Hello, world!\n");
    if !rustc(&["--target", "wasm32-wasip1", "-O", "-o", "hello.wasm"]).status.success() {
        eprintln!("skipped the rest: there is no target wasm32-wasip1");
        return;
    }
    let _devnet = home.devnet(&["--providers", "1"]);
    assert_eq!(home.stdout(&["wasm", "run", "hello.wasm", "world"]), "Hello, world!\n");
}
