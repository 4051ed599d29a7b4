//! Signals: a command ends tidily, and says what goes on without it.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    fake::{self, Answer},
    modules,
    support::{Home, script_is_there},
};

const CID: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
/// How long a test waits for what must come, at most.
const PATIENCE: Duration = Duration::from_secs(120);

/// A command that can be told to end. Its temporary files are in a folder of the test's own.
struct Running {
    child: Child,
    temporary: PathBuf,
}

impl Running {
    fn start(home: &Home, args: &[&str]) -> Self {
        let temporary = home.place("tmp");
        std::fs::create_dir_all(&temporary).expect("made");
        let child = Command::new(assert_cmd::cargo::cargo_bin("lota"))
            .args(args)
            .current_dir(home.place(""))
            .env("LOTA_HOME", home.path())
            .env("TMPDIR", &temporary)
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        Self { child, temporary }
    }

    /// What is in the folder for temporary files.
    fn leftovers(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(&self.temporary).expect("there");
        entries.map(|entry| entry.expect("an entry").path()).collect()
    }

    /// Waits until it has a temporary store with something in it.
    fn wait_for_its_store(&mut self) {
        let begun = Instant::now();
        let is_there = |folder: &PathBuf| folder.join("store/blocks").is_dir();
        while !self.leftovers().iter().any(is_there) {
            let ended = self.child.try_wait().expect("a child");
            assert!(ended.is_none() && begun.elapsed() < PATIENCE, "there is no temporary store: {ended:?}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("kill runs");
        assert!(status.success());
    }

    fn end(self) -> Output {
        self.child.wait_with_output().expect("ends")
    }
}

/// The beginning of a CAR with one root: its header, and half a block.
fn half_a_car() -> Vec<u8> {
    let cid = lota_content::parse_cid(CID).expect("a CID").to_bytes();
    let mut header = b"\xa2\x65roots\x81\xd8\x2a\x58\x25\x00".to_vec();
    header.extend_from_slice(&cid);
    header.extend_from_slice(b"\x67version\x01");
    let mut car = vec![u8::try_from(header.len()).expect("short")];
    car.append(&mut header);
    car.extend_from_slice(b"\x80\x20");
    car.extend_from_slice(&cid);
    car.extend_from_slice(b"half");
    car
}

/// Whether SIGHUP is ignored here, which children inherit.
fn hangups_are_ignored() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).is_some_and(|bits| bits & 1 == 1)
}

#[test]
fn what_is_fetched_leaves_nothing_behind_whichever_signal_ends_it() {
    for (signal, code) in [("-TERM", 143), ("-INT", 130), ("-HUP", 129)] {
        if signal == "-HUP" && hangups_are_ignored() {
            eprintln!("skipped: these tests run under nohup, so the command goes on without its terminal");
            continue;
        }
        let home = Home::new();
        fake::daemon(&home, |_| Answer::Begin(half_a_car()));
        let mut get = Running::start(&home, &["content", "get", CID, "-o", "out"]);
        get.wait_for_its_store();
        get.signal(signal);
        let temporary = get.temporary.clone();
        let output = get.end();
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(std::fs::read_dir(temporary).expect("there").count(), 0, "{signal} leaves something behind");
        assert!(!home.place("out").exists());
    }
}

#[test]
fn what_is_sent_leaves_nothing_behind_and_a_killed_command_is_tidied_up_after() {
    let home = Home::new();
    let module = home.file("hello.wasm", modules::hello());
    let module = module.to_str().expect("UTF-8");
    fake::daemon(
        &home,
        |request| if request.starts_with("POST") { Answer::Silence } else { Answer::Json(fake::node()) },
    );
    let mut run = Running::start(&home, &["wasm", "run", module]);
    run.wait_for_its_store();
    run.signal("-TERM");
    let output = run.end();
    assert_eq!(output.status.code(), Some(143), "{}", String::from_utf8_lossy(&output.stderr));

    let mut killed = Running::start(&home, &["wasm", "run", module]);
    assert!(killed.leftovers().is_empty(), "{:?}", killed.leftovers());
    killed.wait_for_its_store();
    killed.signal("-KILL");
    let left = killed.leftovers();
    assert_eq!(killed.end().status.signal(), Some(9));
    assert_eq!(left.len(), 1, "it could not tidy up");

    // The next one does, and lets those be that are at work.
    let mut next = Running::start(&home, &["content", "add", module]);
    next.wait_for_its_store();
    let begun = Instant::now();
    while left[0].exists() {
        assert!(begun.elapsed() < PATIENCE, "{} stays", left[0].display());
        std::thread::sleep(Duration::from_millis(10));
    }
    let mut another = Running::start(&home, &["content", "add", module]);
    while another.leftovers().iter().filter(|folder| folder.join("store/blocks").is_dir()).count() < 2 {
        assert!(another.child.try_wait().expect("a child").is_none() && begun.elapsed() < PATIENCE);
        std::thread::sleep(Duration::from_millis(10));
    }
    for running in [&next, &another] {
        running.signal("-INT");
    }
    let temporary = next.temporary.clone();
    assert_eq!((next.end().status.code(), another.end().status.code()), (Some(130), Some(130)));
    assert_eq!(std::fs::read_dir(temporary).expect("there").count(), 0);
}

/// A daemon whose job is being run for ever.
fn busy_daemon(home: &Home, wait: fn() -> Answer) {
    fake::daemon(home, move |request| match request.split_once('?').map_or(request, |(path, _)| path) {
        "GET /v1/node" => Answer::Json(fake::node()),
        "POST /v1/jobs" => {
            let mut job = fake::running_job();
            (job["status"], job["phase"]) = (json!("open"), json!("open"));
            Answer::Json(job)
        }
        path if path.ends_with("/wait") => wait(),
        _ => Answer::Json(fake::running_job()),
    });
}

#[test]
fn who_stops_waiting_is_told_that_the_job_goes_on() {
    let id = fake::job()["id"].as_str().expect("an id").to_owned();
    for (args, signal, code) in [
        (&["wasm", "run", CID][..], "-INT", 130),
        (&["wasm", "run", CID], "-TERM", 143),
        (&["job", "wait", &id], "-INT", 130),
    ] {
        let home = Home::new();
        let (asked, waited) = std::sync::mpsc::channel();
        let asked = std::sync::Mutex::new(asked);
        fake::daemon(&home, move |request| {
            if request.contains("/wait") {
                let _ = asked.lock().expect("not poisoned").send(());
                return Answer::Silence;
            }
            match request {
                "GET /v1/node" => Answer::Json(fake::node()),
                _ => Answer::Json(fake::running_job()),
            }
        });
        let mut run = Running::start(&home, args);
        let mut lines = BufReader::new(run.child.stderr.take().expect("piped")).lines();
        if args[0] == "wasm" {
            // While nothing has come of it, and without a terminal.
            assert_eq!(lines.next().expect("a line").expect("UTF-8"), format!("job {id}"));
        }
        waited.recv_timeout(PATIENCE).expect("it waits");
        run.signal(signal);
        let told = lines.next().expect("a line").expect("UTF-8");
        assert!(told.contains("The job goes on") && told.contains(&format!("`lota job wait {id}`")), "{told}");
        assert!(told.contains("cannot be withdrawn") && !told.contains("cancel"), "{told}");
        assert_eq!(run.end().status.code(), Some(code));
    }
}

#[test]
fn a_daemon_that_ends_is_no_end_of_the_job() {
    let id = fake::job()["id"].as_str().expect("an id").to_owned();
    let ends: [fn() -> Answer; 2] =
        [|| Answer::End, || Answer::Error(503, json!({ "code": "unavailable", "message": "ending" }))];
    for wait in ends {
        for args in [&["wasm", "run", CID][..], &["job", "wait", &id]] {
            let home = Home::new();
            busy_daemon(&home, wait);
            let output = home.lota(args).assert().code(1).get_output().stderr.clone();
            let text = String::from_utf8(output).expect("UTF-8");
            let line = text.lines().last().unwrap_or_default();
            for part in ["error: the daemon does not answer any more", "goes on", &format!("`lota job wait {id}`")] {
                assert!(line.contains(part), "{part:?} is not in {text}");
            }
            assert!(!text.contains("http://"), "{text}");
        }
    }
}

#[test]
fn a_question_for_a_password_is_ended_by_ctrl_c() {
    if !script_is_there() {
        return;
    }
    let home = Home::new();
    let mut child =
        home.script(&["wallet", "new"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("starts");
    let mut shown = Vec::new();
    let mut stdout = child.stdout.take().expect("piped");
    while !String::from_utf8_lossy(&shown).contains("8 characters or more") {
        let mut byte = [0];
        assert_eq!(stdout.read(&mut byte).expect("readable"), 1, "{}", String::from_utf8_lossy(&shown));
        shown.push(byte[0]);
    }
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"\x03").expect("typed");
    assert_eq!(child.wait().expect("ends").code(), Some(130));
    assert!(!home.path().join("keystore").exists());
}

#[test]
fn without_its_terminal_a_command_goes_on_if_that_was_wanted() {
    let home = Home::new();
    fake::daemon(&home, |_| Answer::Begin(half_a_car()));
    std::fs::create_dir_all(home.place("tmp")).expect("made");
    let child = Command::new("nohup")
        .arg(assert_cmd::cargo::cargo_bin("lota"))
        .args(["content", "get", CID])
        .env("LOTA_HOME", home.path())
        .env("TMPDIR", home.place("tmp"))
        .current_dir(home.place(""))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("starts");
    let mut get = Running { child, temporary: home.place("tmp") };
    get.wait_for_its_store();
    get.signal("-HUP");
    std::thread::sleep(Duration::from_millis(300));
    assert!(get.child.try_wait().expect("a child").is_none(), "nohup means nothing");
    get.signal("-TERM");
    assert_eq!(get.end().status.code(), Some(143));
}
