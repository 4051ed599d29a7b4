//! What becomes of containers when the node is killed, and when the engine is.

use std::collections::HashSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lota_node::executor::docker::{DockerExecutor, DockerSettings};
use lota_node::executor::{Attached, Ended, Executor, ExecutorError, Run, RunId};

use crate::containers::{Docker, shell};
use crate::support::{Case, contents, text};

/// Where the process that is killed finds what to do; not set: this is another one.
const CHILD: &str = "LOTA_TEST_DOCKER_CHILD";
/// What it runs.
const SCRIPT: &str = "LOTA_TEST_DOCKER_SCRIPT";
/// How long something may take that is to happen soon.
const SOON: Duration = Duration::from_secs(60);

fn job(settings: &DockerSettings, script: &str) -> Case {
    let mut id = [7; 32];
    id[..8].copy_from_slice(&settings.node.as_bytes()[5..13]);
    shell(script).edit(|run| {
        run.job = RunId(id);
        run.work_dir = settings.dir.join("work");
    })
}

/// The node that is killed. (A test of its own only because tests can be started by name.)
#[tokio::test]
async fn the_process_that_is_killed() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let (dir, node) = dir.split_once('|').expect("a folder and a name");
    let settings = DockerSettings::new(lota_node::executor::docker::default_host(), node, dir);
    let executor = DockerExecutor::connect(settings.clone()).await.expect("the engine works");
    let run = job(&settings, &std::env::var(SCRIPT).expect("a script")).run.clone();
    let _ = executor.run(run).await;
    std::fs::write(Path::new(dir).join("ended"), "").unwrap();
    // Its end is that it is killed.
    std::future::pending::<()>().await;
}

fn child(docker: &Docker, script: &str) -> Child {
    let settings = &docker.settings;
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::the_process_that_is_killed"])
        .env(CHILD, format!("{}|{}", settings.dir.display(), settings.node))
        .env(SCRIPT, script)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

async fn soon(what: &str, mut done: impl FnMut() -> bool) {
    let waited = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, waited).await.unwrap_or_else(|_| panic!("{what} does not happen"));
}

/// What the job has printed so far, as the engine kept it.
fn printed(docker: &Docker) -> String {
    let label = format!("label=lota.node={}", docker.settings.node);
    let ids = docker.ask(&["ps", "-q", "--filter", &label]);
    ids.lines().map(|id| docker.ask(&["logs", id])).collect()
}

async fn taken_up(executor: &DockerExecutor, run: &Run) -> lota_node::executor::RunOutcome {
    match executor.attach(run).await.expect("the engine can be asked") {
        Attached::Running(end) => tokio::time::timeout(SOON, end).await.expect("it ends").expect("with a result"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_run_goes_on_when_its_node_is_killed() {
    let Some(docker) = Docker::start().await else { return };
    let script = "echo begun; echo loud >&2; while test ! -e /tmp/go && test $((n=n+1)) -lt 40; do sleep 0.1; done; echo over; echo made > /outputs/made; exit 5";
    let mut node = child(&docker, script);
    soon("the job begins", || printed(&docker).contains("begun")).await;
    node.kill().unwrap();
    node.wait().unwrap();
    // The next process of the node.
    let executor = docker.again().await;
    let run = job(&docker.settings, script).run.clone();
    executor.reap(&HashSet::from([run.job])).await.expect("it reaps");
    let outcome = taken_up(&executor, &run).await;
    assert_eq!((outcome.exit_code, &outcome.ended), (5, &Ended::Exit));
    assert_eq!((text(&outcome, "stdout"), text(&outcome, "stderr")), ("begun\nover\n".to_owned(), "loud\n".to_owned()));
    assert_eq!(contents(&outcome.result_dir)["outputs/made"], b"made\n");
    soon("everything is removed", || docker.left().is_empty()).await;
    let names: Vec<_> = std::fs::read_dir(&run.work_dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["result"], "what the killed process had begun is gone");
}

#[tokio::test]
async fn what_ended_while_no_node_was_there_waits_with_its_output() {
    let Some(docker) = Docker::start().await else { return };
    let script = "echo begun; sleep 1; echo over; echo made > /outputs/made; exit 3";
    let mut node = child(&docker, script);
    soon("the job begins", || printed(&docker).contains("begun")).await;
    node.kill().unwrap();
    node.wait().unwrap();
    soon("the job ends", || printed(&docker).contains("lota-end")).await;
    let executor = docker.again().await;
    let outcome = taken_up(&executor, &job(&docker.settings, script).run).await;
    assert_eq!((outcome.exit_code, text(&outcome, "stdout").as_str()), (3, "begun\nover\n"));
    assert_eq!(contents(&outcome.result_dir)["outputs/made"], b"made\n");
    soon("everything is removed", || docker.left().is_empty()).await;
}

#[tokio::test]
async fn what_belongs_to_no_job_any_more_is_removed() {
    let Some(docker) = Docker::start().await else { return };
    let mut node = child(&docker, "echo begun; sleep 1000");
    soon("the job begins", || printed(&docker).contains("begun")).await;
    node.kill().unwrap();
    node.wait().unwrap();
    let executor = docker.again().await;
    executor.reap(&HashSet::new()).await.expect("it reaps");
    assert_eq!(docker.left(), Vec::<String>::new());
    let run = job(&docker.settings, "true").run.clone();
    assert!(matches!(executor.attach(&run).await, Ok(Attached::Unknown)));
}

#[tokio::test]
async fn a_wall_limit_counts_from_the_beginning_of_the_run() {
    let Some(docker) = Docker::start().await else { return };
    let script = "echo begun; sleep 1000";
    let mut node = child(&docker, script);
    soon("the job begins", || printed(&docker).contains("begun")).await;
    node.kill().unwrap();
    node.wait().unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let executor = docker.again().await;
    let case = job(&docker.settings, script).limit(|limits| limits.wall = Duration::from_secs(1));
    let outcome = taken_up(&executor, &case.run).await;
    assert_eq!((&outcome.ended, text(&outcome, "stdout").as_str()), (&Ended::WallTime, "begun\n"));
    assert!(outcome.wall >= Duration::from_secs(2), "{:?}", outcome.wall);
}

/// An engine of a test's own.
struct OwnEngine {
    dir: PathBuf,
    process: Option<Child>,
}

impl OwnEngine {
    fn start(name: &str) -> Option<Self> {
        crate::containers::host()?;
        if !rustix::process::geteuid().is_root() {
            let why = "an engine can be started by root only";
            let _ = writeln!(std::io::stderr(), "skipped: the test of an engine that is stopped: {why}");
            return None;
        }
        let dir = PathBuf::from(format!("/var/lib/lota-test-engine-{}-{name}", std::process::id()));
        let mut engine = Self { dir, process: None };
        std::fs::create_dir_all(&engine.dir).unwrap();
        engine.resume();
        Some(engine)
    }

    fn host(&self) -> String {
        format!("unix://{}", self.dir.join("socket").display())
    }

    fn resume(&mut self) {
        let path = |name: &str| self.dir.join(name).display().to_string();
        let log = std::fs::File::create(self.dir.join("log")).unwrap();
        let process = Command::new("dockerd")
            .args(["--data-root", &path("data"), "--exec-root", &path("exec"), "--pidfile", &path("pid")])
            .args(["-H", &self.host(), "--iptables=false", "--bridge=none"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.process = Some(process);
        for _ in 0..600 {
            if std::os::unix::net::UnixStream::connect(self.dir.join("socket")).is_ok()
                && !crate::containers::ask(&self.host(), &["version", "-f", "{{.Server.Version}}"]).trim().is_empty()
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{}", std::fs::read_to_string(self.dir.join("log")).unwrap());
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let pid = rustix::process::Pid::from_child(&process);
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

#[tokio::test]
async fn an_engine_that_is_stopped_costs_the_job_nothing() {
    let Some(mut engine) = OwnEngine::start("stopped") else { return };
    let dir = tempfile::tempdir().unwrap();
    let settings = DockerSettings::new(engine.host(), "test-stopped-engine", dir.path());
    let executor = DockerExecutor::connect(settings.clone()).await.expect("the engine works");
    let case = job(&settings, "echo begun; sleep 3; echo over");
    let (logs, mut told) = tokio::sync::mpsc::channel(10);
    let running = tokio::spawn({
        let (executor, run) = (executor.clone(), Run { logs: Some(logs), ..case.run.clone() });
        async move { executor.run(run).await }
    });
    told.recv().await.expect("it begins");
    engine.stop();
    let failed = running.await.unwrap().expect_err("that is no result");
    assert!(matches!(failed, ExecutorError::Engine { .. } | ExecutorError::Container { .. }), "{failed}");
    // While it is away, nothing hangs and nothing is a result.
    let why = executor.away().await.expect("it is away");
    assert!(why.contains("does not answer") && why.contains(&engine.host()), "{why}");
    let away = executor.run(case.run.clone()).await.expect_err("there is no engine");
    assert!(away.to_string().contains("does not answer"), "{away}");
    executor.attach(&case.run).await.expect_err("nobody can be asked");
    executor.abort(case.run.job).await;
    engine.resume();
    assert_eq!(executor.away().await, None, "it is back");
    match executor.attach(&case.run).await.expect("it answers again") {
        Attached::Unknown => {}
        other => panic!("{other:?}"),
    }
    let outcome = executor.run(case.run.clone()).await.expect("it runs again");
    assert_eq!((outcome.exit_code, text(&outcome, "stdout").as_str()), (0, "begun\nover\n"));
    executor.reap(&HashSet::new()).await.expect("it reaps");
    assert_eq!(crate::containers::ask(&engine.host(), &["ps", "-aq"]), "");
    assert_eq!(crate::containers::ask(&engine.host(), &["volume", "ls", "-q"]), "");
}

#[tokio::test]
async fn what_could_not_be_removed_while_the_engine_was_away_is_when_it_is_back() {
    let Some(mut engine) = OwnEngine::start("leftovers") else { return };
    let dir = tempfile::tempdir().unwrap();
    let settings = DockerSettings::new(engine.host(), "test-leftovers", dir.path());
    let executor = DockerExecutor::connect(settings.clone()).await.expect("the engine works");
    let case = job(&settings, "echo begun; sleep 60");
    let (logs, mut told) = tokio::sync::mpsc::channel(10);
    let running = tokio::spawn({
        let (executor, run) = (executor.clone(), Run { logs: Some(logs), ..case.run.clone() });
        async move { executor.run(run).await }
    });
    told.recv().await.expect("it begins");
    engine.stop();
    running.await.unwrap().expect_err("that is no result");
    // Nobody wants it any more, and nobody starts the node again.
    executor.abort(case.run.job).await;
    assert!(executor.away().await.is_some());
    engine.resume();
    assert_ne!(crate::containers::ask(&engine.host(), &["ps", "-aq"]), "", "it is still there");
    assert_eq!(executor.away().await, None);
    assert_eq!(crate::containers::ask(&engine.host(), &["ps", "-aq"]), "");
    assert_eq!(crate::containers::ask(&engine.host(), &["volume", "ls", "-q"]), "");
}
