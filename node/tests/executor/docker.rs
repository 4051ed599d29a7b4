//! The Docker executor: what a program in a container is given, what it is kept from, and how it ends.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use lota_node::executor::docker::{DockerExecutor, DockerSettings};
use lota_node::executor::{DockerRun, Ended, EngineRun, Executor, Phase, Progress, Run, exit};
use serde_json::json;

use crate::conformance::{Program, Subject, all};
use crate::containers::{Docker, Packed, docker_of, image, runs, runs_in, shell, source};
use crate::support::{Case, Done, contents, text};

/// The Docker executor, for the suite.
struct Containers(DockerExecutor);

#[async_trait]
impl Subject for Containers {
    fn executor(&self) -> Arc<dyn Executor> {
        Arc::new(self.0.clone())
    }

    fn program(&self, what: Program) -> (EngineRun, Vec<String>) {
        let runs = |args: &[&str]| {
            (EngineRun::Docker(DockerRun::new(image())), args.iter().map(|arg| (*arg).to_owned()).collect())
        };
        match what {
            Program::Nothing => runs(&["true"]),
            Program::Exits => runs(&["sh", "-c", "exit 7"]),
            Program::Speaks => runs(&["sh", "-c", "echo to standard output; echo to standard error >&2"]),
            Program::Reads => runs(&["cat", "/inputs/greeting"]),
            Program::Writes => runs(&["sh", "-c", "printf 12345 > /outputs/five"]),
            Program::Endless => runs(&["sleep", "1000000"]),
            Program::Damaged => (EngineRun::Docker(DockerRun::new(source(b"no archive".to_vec()))), Vec::new()),
        }
    }
}

#[tokio::test]
async fn the_docker_executor_is_as_all_are() {
    let Some(docker) = Docker::start().await else { return };
    all(&Containers(docker.executor.clone())).await;
    settled(&docker).await;
}

/// Nothing of the node's is left in the engine, soon.
async fn settled(docker: &Docker) {
    for _ in 0..100 {
        if docker.left().is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{:?} stay", docker.left());
}

/// Runs it to its end.
async fn outcome(docker: &Docker, case: &Case) -> Done {
    Done::new(case, docker.executor.run(case.run.clone()).await.expect("it runs"))
}

/// What it printed; it is expected to exit with 0.
async fn printed(docker: &Docker, case: &Case) -> String {
    let outcome = outcome(docker, case).await;
    let (stdout, stderr) = (text(&outcome, "stdout"), text(&outcome, "stderr"));
    assert_eq!((outcome.exit_code, &outcome.ended), (0, &Ended::Exit), "{stdout}{stderr}");
    stdout
}

#[tokio::test]
async fn a_program_has_no_rights() {
    let Some(docker) = Docker::start().await else { return };
    let status = printed(&docker, &shell("cat /proc/self/status")).await;
    let field = |name: &str| {
        let line =
            status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {status}"));
        line.trim_start_matches(':').trim().to_owned()
    };
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(field(set), "0000000000000000", "{set}");
    }
    // Nor has it any over the process that tells how it ends.
    let script = "kill -9 1; kill -STOP 1; (echo 1000 > /proc/1/oom_score_adj) && echo wrote
        for f in environ mem maps fd/1; do cat /proc/1/$f > /dev/null && echo read $f; done; echo still here; exit 4";
    let tried = outcome(&docker, &shell(script)).await;
    assert_eq!((tried.exit_code, text(&tried, "stdout").as_str()), (4, "still here\n"));
    let limits = printed(&docker, &shell("cat /proc/self/limits")).await;
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
    assert_eq!(field("NoNewPrivs"), "1");
    assert_eq!(field("Seccomp"), "2", "the engine's own filter");
    assert_eq!(field("Uid"), "65534\t65534\t65534\t65534");
    assert_eq!(field("Gid"), "65534\t65534\t65534\t65534");
    let groups = field("Groups");
    assert!(groups.is_empty() || groups == "65534", "{groups}");
}

#[tokio::test]
async fn a_program_has_no_network() {
    let Some(docker) = Docker::start().await else { return };
    assert_eq!(printed(&docker, &shell("ls /sys/class/net")).await, "lo\n");
    let tried = outcome(&docker, &shell("nc -w 1 127.0.0.1 1; nc -w 1 198.51.100.1 80; echo left")).await;
    assert_eq!(text(&tried, "stdout"), "left\n");
    assert!(text(&tried, "stderr").contains("unreachable"), "{}", text(&tried, "stderr"));
}

#[tokio::test]
async fn a_program_writes_where_it_may_and_nowhere_else() {
    let Some(docker) = Docker::start().await else { return };
    // A directory that the image wants on the engine's disk is in memory, and begins empty.
    let packed = Packed { config: serde_json::json!({ "Volumes": { "/data": {} } }), ..Packed::new() };
    let script = "for f in /x /bin/x /inputs/x /etc/x /sys/x /proc/x /dev/x; do
            (echo x > $f) 2> /dev/null && echo wrote $f; done
        for f in /tmp/x /outputs/x /dev/shm/x /data/x; do (echo x > $f) || echo cannot write $f; done
        mknod /tmp/disk b 8 0 2> /dev/null && echo made a device
        grep -E ' (/|/data|/inputs|/.lota-keeper) ' /proc/mounts; ls /dev; ls /data";
    let case = runs_in(source(packed.saved()), ["sh", "-c", script]).input("/inputs", &[("greeting", b"hello")]);
    let shown = printed(&docker, &case).await;
    assert!(!shown.contains("wrote") && !shown.contains("cannot write") && !shown.contains("made"), "{shown}");
    for place in ["/", "/inputs", "/.lota-keeper"] {
        let line = shown.lines().find(|line| line.split(' ').nth(1) == Some(place)).expect(place);
        let options = line.split(' ').nth(3).expect("options");
        assert!(options.split(',').any(|option| option == "ro"), "{line}");
    }
    assert!(shown.contains("tmpfs /data tmpfs rw") && shown.ends_with("\nx\n"), "{shown}");
    for device in ["sda", "vda", "mem", "kmsg", "kvm"] {
        assert!(!shown.lines().any(|line| line == device), "{device}: {shown}");
    }
}

#[tokio::test]
async fn a_program_is_given_what_the_job_names_and_no_more() {
    let Some(docker) = Docker::start().await else { return };
    let case = shell("env; echo --; pwd; test -e /.lota-keeper && ls /inputs /data")
        .input("/inputs", &[("a b", b""), ("d/e", b"")]);
    let case = case.edit(|run| {
        run.env = vec![("KEY".to_owned(), "a=b c".to_owned())];
        docker_of(run).workdir = Some("/data".to_owned());
    });
    let shown = printed(&docker, &case).await;
    let (variables, rest) = shown.split_once("--\n/data\n").expect("the working directory");
    let names: Vec<_> = variables.lines().filter_map(|line| line.split('=').next()).collect();
    assert!(variables.contains("KEY=a=b c\n"), "{variables}");
    for name in names {
        assert!(["KEY", "PATH", "HOSTNAME", "HOME", "SHLVL", "PWD"].contains(&name), "{name} is of the host");
    }
    assert_eq!(rest, "/data:\nshipped\n\n/inputs:\na b\nd\n");
    // Arguments arrive as they are.
    let args = runs(["sh", "-c", "for a; do echo \"<$a>\"; done", "sh", "", "two words", "ü'\"\\", "-x=--"]);
    assert_eq!(printed(&docker, &args).await, "<>\n<two words>\n<ü'\"\\>\n<-x=-->\n");
}

#[tokio::test]
async fn the_program_is_chosen_as_engines_do() {
    let Some(docker) = Docker::start().await else { return };
    let config = serde_json::json!({ "Entrypoint": ["echo", "entry"], "Cmd": ["usual"], "Env": ["PATH=/nowhere:/bin", "OWN=1"] });
    let own = || source(Packed { config: config.clone(), ..Packed::new() }.saved());
    assert_eq!(printed(&docker, &runs_in(own(), [])).await, "entry usual\n");
    assert_eq!(printed(&docker, &runs_in(own(), ["mine"])).await, "entry mine\n");
    let other =
        runs_in(own(), ["$OWN"]).edit(|run| docker_of(run).entrypoint = vec!["/bin/echo".to_owned(), "x".to_owned()]);
    assert_eq!(printed(&docker, &other).await, "x $OWN\n");
    let nothing = runs([]);
    let checked = docker.executor.check(&nothing.run).await.expect_err("no program").to_string();
    assert!(checked.contains("names no program"), "{checked}");
    let missing = outcome(&docker, &runs(["no-such-program"])).await;
    assert_eq!(missing.exit_code, exit::NOT_RUNNABLE);
    assert!(
        missing.ended.to_string().contains("`no-such-program` cannot be run: it is not in the image"),
        "{}",
        missing.ended
    );
    let data = outcome(&docker, &runs(["/data/shipped"])).await;
    assert!(data.ended.to_string().contains("may not be executed"), "{}", data.ended);
}

#[tokio::test]
async fn memory_processes_and_processors_are_limited() {
    let Some(docker) = Docker::start().await else { return };
    let eats = shell("x=a; while true; do x=$x$x; done").limit(|limits| limits.memory_bytes = 32 << 20);
    let starved = outcome(&docker, &eats).await;
    assert_eq!((starved.exit_code, &starved.ended), (exit::OUT_OF_MEMORY, &Ended::OutOfMemory));
    // Killed by itself is something else.
    let killed = outcome(&docker, &shell("kill -9 $$")).await;
    assert_eq!((killed.exit_code, &killed.ended), (137, &Ended::Exit));
    let forks = shell("f() { f | f & }; f; sleep 1; true").edit(|run| docker_of(run).pids = 20);
    let bomb = outcome(&docker, &forks).await;
    assert!(text(&bomb, "stderr").contains("fork"), "{}", text(&bomb, "stderr"));
    let quota = "cat /sys/fs/cgroup/cpu.max 2> /dev/null || echo $(cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us) $(cat /sys/fs/cgroup/cpu/cpu.cfs_period_us)";
    let limited = shell(quota).edit(|run| docker_of(run).cpu_millis = 500);
    assert_eq!(printed(&docker, &limited).await, "50000 100000\n");
    let burns = shell("while true; do :; done").limit(|limits| limits.fuel = 1_500_000_000);
    let burnt = outcome(&docker, &burns).await;
    assert_eq!((burnt.exit_code, &burnt.ended, burnt.fuel_used), (exit::OUT_OF_FUEL, &Ended::OutOfFuel, 1_500_000_000));
    let measured = outcome(&docker, &shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done")).await;
    assert!(measured.fuel_used > 10_000_000, "{}", measured.fuel_used);
}

#[tokio::test]
async fn output_is_limited_wherever_it_goes() {
    let Some(docker) = Docker::start().await else { return };
    let full = |case: Case| case.limit(|limits| (limits.output_bytes, limits.output_entries) = (100_000, 50));
    // The file system itself is full, long before the engine's memory is.
    let fills = full(shell("dd if=/dev/zero of=/outputs/f bs=64k count=1000; ls -l /outputs/f | wc -l"));
    let filled = outcome(&docker, &fills).await;
    assert_eq!(
        (filled.exit_code, filled.output_bytes),
        (exit::OUTPUT_FULL, 100_000 - filled.stdout_bytes - filled.stderr_bytes),
        "{}",
        filled.ended
    );
    assert!(text(&filled, "stderr").contains("No space left"), "{}", text(&filled, "stderr"));
    let scratch = outcome(&docker, &full(shell("dd if=/dev/zero of=/tmp/f bs=64k count=1000"))).await;
    assert!(scratch.exit_code != 0 && text(&scratch, "stderr").contains("No space left"), "{}", scratch.ended);
    let holes = outcome(&docker, &full(shell("dd if=/dev/zero of=/outputs/f bs=1 seek=1000000000000 count=1"))).await;
    assert_eq!(holes.ended, Ended::OutputFull { what: "more than 100000 bytes of output".to_owned() });
    assert_eq!(contents(&holes.result_dir)["outputs/f"].len() as u64 + holes.stderr_bytes, 100_000);
    let many = outcome(&docker, &full(shell("for n in $(seq 1000000); do touch /outputs/$n || break; done"))).await;
    assert_eq!(many.ended, Ended::OutputFull { what: "more than 50 files and directories".to_owned() });
    assert_eq!(many.output_entries, 50);
    let flood = outcome(&docker, &full(runs(["yes"]))).await;
    assert_eq!((flood.exit_code, flood.stdout_bytes), (exit::OUTPUT_FULL, 100_000));
    assert_eq!(text(&flood, "stdout").len(), 100_000);
    let exact = full(shell(
        "head -c 99000 /dev/zero > /outputs/f; for n in $(seq 49); do touch /outputs/$n; done; head -c 1000 /dev/zero",
    ));
    let exact = outcome(&docker, &exact).await;
    assert_eq!((exact.exit_code, exact.output_bytes, exact.output_entries), (0, 99_000, 50), "{}", exact.ended);
    settled(&docker).await;
}

#[tokio::test]
async fn what_no_result_can_have_is_left_out_and_named() {
    let Some(docker) = Docker::start().await else { return };
    let script =
        "cd /outputs; echo kept > kept; ln kept also; ln -s /etc/passwd link; ln -s . loop; mkfifo pipe; mkdir -p d/e
        touch $(printf 'd/n\\377ame'); mkdir $(printf 'bad\\377'); touch $(printf 'bad\\377/in'); touch 'new
line'; chmod 0 kept; exit 3";
    let case = outcome(&docker, &shell(script)).await;
    let Ended::ExitWithout { what } = &case.ended else { panic!("{}", case.ended) };
    for part in ["a symbolic link", "and 3 more"] {
        assert!(what.contains(part), "{what}");
    }
    assert_eq!(case.exit_code, 3);
    let found = contents(&case.result_dir.join("outputs"));
    assert_eq!(found.keys().collect::<Vec<_>>(), ["also", "d/", "d/e/", "kept", "new\nline"]);
    assert_eq!((&*found["kept"], &*found["also"]), (&b"kept\n"[..], &b"kept\n"[..]));
    let deep = shell("cd /outputs; for n in $(seq 200); do mkdir d; cd d; done");
    assert!(matches!(outcome(&docker, &deep).await.ended, Ended::ExitWithout { .. }));
    // Below the longest path that Linux takes, with the folder of the result above it.
    let long = shell("cd /outputs; n=$(printf 'n%.0s' $(seq 200)); for i in $(seq 30); do mkdir $n; cd $n; done");
    let case = outcome(&docker, &long).await;
    let Ended::ExitWithout { what } = &case.ended else { panic!("{}", case.ended) };
    assert!(what.contains("too long for a result"), "{what}");
}

#[tokio::test]
async fn time_ends_what_does_not_end_by_itself() {
    let Some(docker) = Docker::start().await else { return };
    let script = "trap '' TERM INT HUP; echo begun; echo half > /outputs/half; while true; do sleep 1; done";
    let case = shell(script).limit(|limits| limits.wall = Duration::from_secs(2));
    let late = outcome(&docker, &case).await;
    assert_eq!((late.exit_code, &late.ended), (exit::WALL_TIME, &Ended::WallTime));
    assert_eq!(text(&late, "stdout"), "begun\n");
    assert_eq!(contents(&late.result_dir)["outputs/half"], b"half\n");
    // What it leaves behind ends with it.
    let orphan = shell("(sleep 1000; echo late > /outputs/late) & echo gone");
    assert_eq!(printed(&docker, &orphan).await, "gone\n");
    settled(&docker).await;
}

#[tokio::test]
async fn impossible_paths_are_the_jobs_fault() {
    let Some(docker) = Docker::start().await else { return };
    for (path, why) in [("/proc/x", "for itself"), ("/sys", "for itself"), ("/a:b", "something else")] {
        let case = shell("true").edit(|run| run.outputs[0].guest_path = path.to_owned());
        let fault = docker.executor.check(&case.run).await.expect_err(path).to_string();
        assert!(fault.contains(why), "{fault}");
        assert_eq!(outcome(&docker, &case).await.exit_code, exit::NOT_RUNNABLE);
    }
    // What only the engine finds out.
    let case = shell("true").edit(|run| run.outputs[0].guest_path = "/bin/busybox/outputs".to_owned());
    let ended = outcome(&docker, &case).await;
    assert_eq!(ended.exit_code, exit::NOT_RUNNABLE, "{}", ended.ended);
    // An image that has more variables than a program can be given.
    let huge = (0..40).map(|n| format!("V{n}={}", "x".repeat(100_000))).collect::<Vec<_>>();
    let packed = Packed { config: json!({ "Env": huge }), ..Packed::new() };
    let ended = outcome(&docker, &runs_in(source(packed.saved()), ["true"])).await;
    assert_eq!(ended.exit_code, exit::NOT_RUNNABLE, "{}", ended.ended);
    assert!(ended.ended.to_string().contains("a program can be given 1048576"), "{}", ended.ended);
    let most = (0..8).map(|n| format!("V{n}={}", "x".repeat(100_000))).collect::<Vec<_>>();
    let packed = Packed { config: json!({ "Env": most }), ..Packed::new() };
    let ended = outcome(&docker, &runs_in(source(packed.saved()), ["true"])).await;
    assert_eq!((ended.exit_code, &ended.ended), (0, &Ended::Exit));
    let small = shell("true").limit(|limits| limits.memory_bytes = 65_536);
    let fault = docker.executor.check(&small.run).await.expect_err("too small").to_string();
    assert!(fault.contains("6291456 bytes of memory"), "{fault}");
}

#[tokio::test]
async fn what_an_engine_lacks_is_told_when_it_is_looked_for() {
    let Some(docker) = Docker::start().await else { return };
    let has_user_namespaces = docker.ask(&["info", "-f", "{{.SecurityOptions}}"]).contains("name=userns");
    let set = |set: &dyn Fn(&mut DockerSettings)| {
        let mut settings = docker.settings.clone();
        set(&mut settings);
        settings
    };
    for (settings, why) in [
        (
            set(&|settings| settings.runtime = Some("no-such-runtime".to_owned())),
            "has no runtime `no-such-runtime`; it has ",
        ),
        (set(&|settings| settings.user = "0:0".to_owned()), "are not root"),
        (set(&|settings| settings.user = "nobody".to_owned()), "name the numbers of a user and a group"),
        (set(&|settings| settings.host = "tcp://127.0.0.1:2375".to_owned()), "is not an engine of this machine"),
        (
            set(&|settings| settings.host = "unix:///nowhere/socket".to_owned()),
            "no Docker engine answers at unix:///nowhere/socket",
        ),
        (set(&|settings| settings.require_user_namespaces = true), "has no user namespaces"),
    ] {
        if has_user_namespaces && settings.require_user_namespaces {
            continue;
        }
        let problem = DockerExecutor::connect(settings).await.expect_err(why).to_string();
        assert!(problem.contains(why), "{problem} lacks {why}");
    }
}

/// What a program cannot see of its container: some of it would be the same on this engine if it were left out.
#[tokio::test]
async fn the_engine_is_told_of_every_restriction() {
    let Some(docker) = Docker::start().await else { return };
    let case = runs(["sleep", "1000"]).input("/inputs", &[("greeting", b"hello")]).edit(|run| {
        let limits = docker_of(run);
        (limits.cpu_millis, limits.pids) = (1_500, 30);
    });
    let (progress, mut seen) = tokio::sync::watch::channel(Progress::default());
    let running = tokio::spawn({
        let (executor, run) = (docker.executor.clone(), Run { progress: Some(progress), ..case.run.clone() });
        async move { executor.run(run).await }
    });
    seen.wait_for(|progress| progress.phase == Phase::Running).await.expect("it begins");
    let container = docker.left().into_iter().next().expect("a container");
    let told: serde_json::Value = serde_json::from_str(&docker.ask(&["inspect", &container])).expect("JSON");
    docker.executor.abort(case.run.job).await;
    running.await.expect("no panic").expect_err("it was aborted");
    let host = &told[0]["HostConfig"];
    for (field, value) in [
        ("NetworkMode", json!("none")),
        ("ReadonlyRootfs", json!(true)),
        ("CapDrop", json!(["ALL"])),
        ("CapAdd", json!(null)),
        ("SecurityOpt", json!(["no-new-privileges"])),
        ("Privileged", json!(false)),
        ("IpcMode", json!("private")),
        ("PidMode", json!("")),
        ("PidsLimit", json!(31)),
        ("Memory", json!(64 << 20)),
        ("MemorySwap", json!(64 << 20)),
        ("NanoCpus", json!(1_500_000_000_u64)),
        ("Devices", json!([])),
    ] {
        let found = &host[field];
        let is_empty = |value: &serde_json::Value| value.is_null() || *value == json!([]);
        assert!(*found == value || (is_empty(found) && is_empty(&value)), "{field}: {found}, not {value}");
    }
    let log = &host["LogConfig"];
    assert_eq!((log["Type"].as_str(), log["Config"]["max-file"].as_str()), (Some("json-file"), Some("2")));
    assert_eq!(told[0]["Config"]["User"], "65534:65534");
    assert_eq!(told[0]["Config"]["Healthcheck"]["Test"], json!(["NONE"]));
    for mount in told[0]["Mounts"].as_array().expect("mounts") {
        let (kind, writable) = (mount["Type"].as_str().expect("a type"), mount["RW"].as_bool().expect("a truth value"));
        assert_eq!(writable, kind == "volume", "{mount}");
    }
}
