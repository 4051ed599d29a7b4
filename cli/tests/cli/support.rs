//! What the tests of the command share: a home of their own, the command in it, and a devnet that ends with the test.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command as Process, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use assert_cmd::Command;
use serde_json::Value;

use crate::anvil;

/// How long a test waits for what must come, at most; no test fails for being slow.
const PATIENCE: Duration = Duration::from_secs(300);

/// What a devnet writes to stdout.
const SAID: &str = "devnet.txt";

/// A home of a test's own.
pub struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    /// An empty one.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    /// Its folder, which does not exist yet.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// A place for a test's files.
    pub fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, content).expect("written");
        path
    }

    /// A place where commands run.
    pub fn place(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs a command again and again until its stdout is as wanted.
    pub fn wait_for(&self, args: &[&str], wanted: impl Fn(&str) -> bool) -> String {
        let begun = Instant::now();
        loop {
            let text = self.stdout(args);
            if wanted(&text) {
                return text;
            }
            assert!(begun.elapsed() < PATIENCE, "{args:?} stays\n{text}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Starts a devnet after another was killed, whose file is still there.
    pub fn restarted(&self, args: &[&str]) -> Devnet<'_> {
        std::fs::remove_file(self.path().join("api.json")).expect("the killed devnet left its file");
        self.devnet(args)
    }

    /// The same with these tools.
    pub fn restarted_with(&self, args: &[&str], tools: &Path) -> Devnet<'_> {
        std::fs::remove_file(self.path().join("api.json")).expect("the killed devnet left its file");
        self.devnet_with(args, tools)
    }

    /// The command in this home.
    pub fn lota(&self, args: &[&str]) -> Command {
        let mut command = Command::cargo_bin("lota").expect("the command is built");
        command.args(args).current_dir(self.folder.path()).timeout(PATIENCE);
        for (name, _) in std::env::vars() {
            if name.starts_with("LOTA_") {
                command.env_remove(name);
            }
        }
        command.env_remove("COLUMNS").env("LOTA_HOME", self.path()).env("NO_COLOR", "1");
        command
    }

    /// The stdout of a command that must succeed.
    pub fn stdout(&self, args: &[&str]) -> String {
        let output = self.lota(args).assert().success().get_output().stdout.clone();
        String::from_utf8(output).expect("UTF-8")
    }

    /// The JSON document of a command that must succeed.
    pub fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.stdout(args)).expect("one JSON document")
    }

    /// What a command that must fail says: its exit code, and its one line on stderr.
    pub fn failure(&self, args: &[&str]) -> (i32, String) {
        let assert = self.lota(args).assert().failure();
        let output = assert.get_output();
        let stderr = String::from_utf8(output.stderr.clone()).expect("UTF-8");
        assert!(output.stdout.is_empty(), "stdout is for results: {}", String::from_utf8_lossy(&output.stdout));
        assert_eq!(stderr.lines().count(), 1, "not one line: {stderr}");
        let line = stderr.trim_end().strip_prefix("error: ").unwrap_or_else(|| panic!("no error: {stderr}")).to_owned();
        (output.status.code().expect("no signal"), line)
    }

    /// What a job that must fail says, after its id.
    pub fn failed_job(&self, args: &[&str]) -> (i32, String) {
        let assert = self.lota(args).assert().failure();
        let output = assert.get_output();
        let stderr = String::from_utf8(output.stderr.clone()).expect("UTF-8");
        assert!(output.stdout.is_empty(), "stdout is for results: {}", String::from_utf8_lossy(&output.stdout));
        // That nobody looks at the result is said of every job.
        let lines: Vec<&str> = stderr.lines().filter(|line| !line.starts_with("unverified: any provider")).collect();
        let [id, line] = lines[..] else { panic!("not an id and one line: {stderr}") };
        assert!(id.strip_prefix("job 0x").is_some_and(|digits| digits.len() == 64), "no id: {stderr}");
        let line = line.strip_prefix("error: ").unwrap_or_else(|| panic!("no error: {stderr}")).to_owned();
        (output.status.code().expect("no signal"), line)
    }

    /// The command in this home, on a terminal.
    pub fn script(&self, args: &[&str]) -> Process {
        let lota = assert_cmd::cargo::cargo_bin("lota");
        let quote = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
        let words: Vec<String> = [lota.to_str().expect("UTF-8")].iter().chain(args).map(|word| quote(word)).collect();
        let mut script = Process::new("script");
        // Quietly, with the command's exit code; what the terminal is sent goes to stdout.
        script.args(["--quiet", "--return", "--flush", "--command", &words.join(" "), "/dev/null"]);
        script.current_dir(self.folder.path());
        for (name, _) in std::env::vars() {
            if name.starts_with("LOTA_") {
                script.env_remove(name);
            }
        }
        script
            .env_remove("NO_COLOR")
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .env("LOTA_HOME", self.path());
        script
    }

    /// The exit code of a command on a terminal, and all that the terminal is sent.
    pub fn on_terminal(&self, args: &[&str]) -> (i32, String) {
        let output = self.script(args).stdin(Stdio::null()).output().expect("it runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code().expect("no signal"), text)
    }

    /// Starts a devnet and waits until it is ready.
    pub fn devnet(&self, args: &[&str]) -> Devnet<'_> {
        self.ready(self.start_devnet(args))
    }

    /// Starts a devnet that finds these tools, and waits until it is ready.
    pub fn devnet_with(&self, args: &[&str], tools: &Path) -> Devnet<'_> {
        self.ready(self.devnet_command(args).env("PATH", anvil::path_with(tools)).spawn().expect("the command starts"))
    }

    /// Starts a devnet that may have so many descriptors, and waits until it is ready.
    pub fn devnet_within(&self, descriptors: u32, args: &[&str]) -> Devnet<'_> {
        let whole = self.devnet_command(args);
        let mut limited = Process::new("bash");
        limited
            .args(["-c", &format!("ulimit -n {descriptors} && exec \"$0\" \"$@\"")])
            .arg(whole.get_program())
            .args(whole.get_args())
            .envs(whole.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(self.place(SAID)).expect("a file"))
            .stderr(Stdio::piped());
        self.ready(limited.spawn().expect("bash starts"))
    }

    fn ready(&self, mut child: Child) -> Devnet<'_> {
        let begun = Instant::now();
        while !self.path().join("api.json").exists() {
            if let Some(status) = child.try_wait().expect("a child") {
                let mut text = String::new();
                child.stderr.take().expect("piped").read_to_string(&mut text).expect("UTF-8");
                panic!("the devnet ended with {status}: {text}");
            }
            assert!(begun.elapsed() < PATIENCE, "the devnet does not start");
            std::thread::sleep(Duration::from_millis(20));
        }
        Devnet { home: self, child: Some(child) }
    }

    /// Starts a devnet.
    pub fn start_devnet(&self, args: &[&str]) -> Child {
        self.devnet_command(args).spawn().expect("the command starts")
    }

    /// Starts a devnet whose providers have the container engine, and waits until it is ready.
    pub fn devnet_with_containers(&self, args: &[&str]) -> Devnet<'_> {
        let mut command = self.devnet_command(args);
        self.ready(command.env_remove("LOTA_NODE_DOCKER_ON").spawn().expect("the command starts"))
    }

    fn devnet_command(&self, args: &[&str]) -> Process {
        let mut command = Process::new(assert_cmd::cargo::cargo_bin("lota"));
        command
            .arg("devnet")
            .args(args)
            .env("LOTA_HOME", self.path())
            .env("NO_COLOR", "1")
            // Tests that need containers ask for them.
            .env("LOTA_NODE_DOCKER_ON", "false")
            .stdin(Stdio::null())
            .stdout(std::fs::File::create(self.place(SAID)).expect("a file"))
            .stderr(Stdio::piped());
        command
    }
}

/// A running devnet. It is killed with the test, unless the test ends it.
pub struct Devnet<'a> {
    home: &'a Home,
    child: Option<Child>,
}

impl Devnet<'_> {
    /// The line that begins like this, of what it says about itself.
    pub fn said(&self, beginning: &str) -> String {
        let begun = Instant::now();
        loop {
            let text = std::fs::read_to_string(self.home.place(SAID)).expect("a text");
            // The last line is there: so is this one, and whole.
            if text.contains("Ctrl-C ends it") {
                let line = text.lines().find(|line| line.starts_with(beginning));
                return line.unwrap_or_else(|| panic!("no line begins with {beginning:?} in\n{text}")).to_owned();
            }
            assert!(begun.elapsed() < PATIENCE, "the devnet does not say where it is: {text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Tells it to end, and waits until it has; it must end well.
    pub fn end(mut self) {
        let mut child = self.child.take().expect("running");
        let status = Process::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
        assert!(status.success());
        assert!(child.wait().expect("a child").success(), "the devnet ended badly");
        assert!(!self.home.path().join("api.json").exists(), "api.json is left");
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.as_ref().expect("running").id()
    }

    /// Waits until it ends by itself, badly, and returns what it said on stderr.
    pub fn fails(mut self) -> String {
        let mut child = self.child.take().expect("running");
        let mut text = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut text).expect("UTF-8");
        assert!(!child.wait().expect("a child").success(), "the devnet ended well: {text}");
        text
    }

    /// Kills it without warning.
    pub fn kill(mut self) {
        let mut child = self.child.take().expect("running");
        child.kill().expect("killed");
        child.wait().expect("a child");
    }
}

impl Drop for Devnet<'_> {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
            if std::thread::panicking() {
                let mut text = String::new();
                let _ = child.stderr.take().map(|mut stderr| stderr.read_to_string(&mut text));
                eprintln!("the devnet said:\n{text}");
            }
        }
    }
}

/// Status and body of what a server at this address answers.
pub fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: lota\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.split(' ').nth(1).expect("a status").parse().expect("a number"), body.to_owned())
}

/// Every name of a metric that expressions of PromQL speak of.
pub fn metric_names(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').filter(|word| word.starts_with("lota_"))
}

/// Whether commands can be run on a terminal: with script(1) of util-linux. Where it is missing it is said.
pub fn script_is_there() -> bool {
    static THERE: OnceLock<bool> = OnceLock::new();
    *THERE.get_or_init(|| {
        let version = Process::new("script").arg("--version").output();
        let there = version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("util-linux"));
        if !there {
            // Not with `eprintln!`, which says nothing when a test passes.
            let _ =
                writeln!(std::io::stderr(), "skipped: what needs a terminal, for script(1) of util-linux is missing");
        }
        there
    })
}
