//! Jobs in containers on a devnet.

use std::{io::Write as _, os::unix::net::UnixStream, path::Path, process::Command};

use crate::support::Home;

/// Whether there is a container engine; said where there is none.
fn has_engine() -> bool {
    let host = std::env::var("DOCKER_HOST").unwrap_or_else(|_| "unix:///var/run/docker.sock".to_owned());
    let reached = host.strip_prefix("unix://").is_some_and(|path| UnixStream::connect(path).is_ok());
    if !reached {
        let impossible = std::env::var("LOTA_TEST_NO_DOCKER");
        let is_needed = std::env::var_os("LOTA_TEST_TOOLS").is_some() && impossible.is_err();
        assert!(!is_needed, "no container engine answers at {host}, and LOTA_TEST_TOOLS is set");
        let why = impossible.unwrap_or_else(|_| format!("no container engine answers at {host} (DOCKER_HOST)"));
        // Not with `eprintln!`, which says nothing when a test passes.
        let _ = writeln!(std::io::stderr(), "skipped: a test of `lota docker run`: {why}");
    }
    reached
}

/// Removes the images that a devnet's providers brought to the engine.
struct Images<'a>(&'a Home);

impl Drop for Images<'_> {
    fn drop(&mut self) {
        for provider in ["provider-1", "provider-2"] {
            let known = self.0.path().join("devnet/nodes").join(provider).join("docker/images.json");
            let Ok(known) = std::fs::read(known) else { continue };
            let known: serde_json::Value = serde_json::from_slice(&known).expect("JSON");
            for name in known["images"].as_object().expect("images").keys() {
                let _ = Command::new("docker").args(["rmi", name]).output();
            }
        }
    }
}

fn image(home: &Home) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/test-image");
    let file = home.place("busybox.tar");
    let made = Command::new(script).arg(&file).status().expect("the script runs");
    assert!(made.success());
    file.to_str().expect("UTF-8").to_owned()
}

#[test]
fn an_image_runs_as_if_it_were_a_program_here() {
    if !has_engine() {
        return;
    }
    let home = Home::new();
    let archive = image(&home);
    let devnet = home.devnet_with_containers(&["--providers", "2"]);
    let _images = Images(&home);
    let greeting = home.file("greeting", "hello, container\n");
    let script = "cat /inputs/greeting; echo loud >&2; echo $COLOUR > /outputs/colour; ln -s x /outputs/link; exit 3";
    let run = [
        "docker",
        "run",
        &archive,
        "-i",
        greeting.to_str().expect("UTF-8"),
        "-e",
        "COLOUR=red",
        "-o",
        "out",
        "--",
        "sh",
        "-c",
        script,
    ];
    let run = home.lota(&run).assert().code(3);
    let output = run.get_output();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello, container\n", "{stderr}");
    for part in [
        "A container's output is not reproducible, so nobody can verify it",
        "unverified: any provider is trusted",
        "loud\n",
        "exited with code 3, and not all of its output is in the result: link (a symbolic link)",
        "output bafy",
    ] {
        assert!(stderr.contains(part), "{part} is not in\n{stderr}");
    }
    assert_eq!(std::fs::read_to_string(home.place("out/colour")).expect("saved"), "red\n");
    let jobs = home.json(&["job", "list", "--json"]);
    let id = jobs[0]["id"].as_str().expect("an id");
    let described = home.stdout(&["job", "describe", id]);
    assert!(described.contains("its output is not reproducible: running it again proves nothing"), "{described}");
    assert!(described.contains("(held here)") && !described.contains("(verified"), "{described}");
    // What `describe` shows can be asked for again; the image is there already.
    let spec = home.stdout(&["job", "describe", id, "--spec"]);
    home.file("spec.json", spec.replace("exit 3", "exit 0"));
    let again = home.stdout(&["job", "submit", "spec.json", "--wait"]);
    assert_eq!(again, "hello, container\n");
    devnet.end();
}

#[test]
fn what_cannot_run_is_told_before_it_costs_anything() {
    let home = Home::new();
    let _devnet = home.devnet(&["--providers", "1"]);
    let (code, said) = home.failure(&["docker", "run", "busybox:1.36", "true"]);
    assert_eq!(code, 2);
    for part in
        ["there is no file `busybox:1.36`", "without its digest", "docker inspect -f '{{index .RepoDigests 0}}' NAME"]
    {
        assert!(said.contains(part), "{part} is not in\n{said}");
    }
    // Providers without an engine do not take it.
    let named = format!("tool@sha256:{}", "0".repeat(64));
    let run = home.lota(&["docker", "run", &named, "--silence", "2s", "--", "true"]).assert().failure();
    let said = String::from_utf8_lossy(&run.get_output().stderr).into_owned();
    assert!(said.contains("every provider refuses job") && said.contains("docker"), "{said}");
}

#[test]
fn a_container_outlives_its_node_and_is_paid_for_once() {
    if !has_engine() {
        return;
    }
    let home = Home::new();
    let archive = image(&home);
    let devnet = home.devnet_with_containers(&["--providers", "2"]);
    let _images = Images(&home);
    let script = "echo begun; sleep 4; echo over; echo made > /outputs/made";
    let id = home.stdout(&["docker", "run", &archive, "--detach", "--quiet", "--", "sh", "-c", script]);
    let id = id.trim();
    let label = format!("label=lota.job={}", id.trim_start_matches("0x"));
    let containers = || {
        let asked = Command::new("docker").args(["ps", "-aq", "--filter", &label]).output().expect("docker runs");
        String::from_utf8_lossy(&asked.stdout).into_owned()
    };
    let soon = |what: &str, done: &dyn Fn() -> bool| {
        for _ in 0..600 {
            if done() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("{what} does not happen");
    };
    let prints = |container: &str| {
        let logs = Command::new("docker").args(["logs", container.trim()]).output().expect("docker runs");
        String::from_utf8_lossy(&logs.stdout).contains("begun")
    };
    soon("the job begins", &|| !containers().is_empty() && prints(&containers()));
    let container = containers();
    devnet.kill();
    assert_eq!(containers(), container, "it goes on");
    std::fs::remove_file(home.path().join("api.json")).expect("the killed devnet left its file");
    let devnet = home.devnet_with_containers(&["--providers", "2"]);
    home.lota(&["job", "wait", id]).assert().success();
    assert_eq!(home.stdout(&["job", "logs", id]), "begun\nover\n", "it was run once");
    assert_eq!(home.stdout(&["job", "cat", id, "outputs/made"]), "made\n");
    let jobs = home.json(&["job", "list", "--json"]);
    assert_eq!((jobs[0]["status"].as_str(), jobs.as_array().map(Vec::len)), (Some("settled"), Some(1)));
    soon("its container is removed", &|| containers().is_empty());
    devnet.end();
}
