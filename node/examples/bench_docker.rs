//! Figures of the Docker executor, one JSON object per line: `{"name": .., "value": .., "unit": ..}`.
//!
//! `scripts/bench --only docker`, which starts an engine where there is none and makes the image: its archive is the first argument.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lota_node::executor::docker::{DockerExecutor, DockerSettings, default_host};
use lota_node::executor::{DockerRun, EngineRun, Executor, ImageSource, Limits, Run, RunId};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Runs of each kind, one of each in turn.
const ROUNDS: usize = 20;
/// Jobs of the second figure, and how many of them at once.
const JOBS: usize = 50;
const AT_ONCE: usize = 4;

fn figure(name: &str, value: f64, unit: &str) {
    println!("{{\"name\":\"{name}\",\"value\":{value:.1},\"unit\":\"{unit}\"}}");
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1_000.0
}

fn run(number: usize, image: &ImageSource, dir: &Path) -> Run {
    let mut job = [0; 32];
    job[..8].copy_from_slice(&(number as u64).to_le_bytes());
    let limits = Limits {
        fuel: Limits::MAX_FUEL,
        memory_bytes: 64 << 20,
        output_bytes: 1 << 20,
        output_entries: 100,
        wall: Duration::from_secs(600),
    };
    let mut run =
        Run::new(RunId(job), EngineRun::Docker(DockerRun::new(image.clone())), limits, dir.join(number.to_string()));
    run.args = ["sh", "-c", "echo hello > /outputs/hello"].map(str::to_owned).to_vec();
    run
}

async fn executor(dir: &Path) -> Result<DockerExecutor> {
    let settings = DockerSettings::new(default_host(), format!("bench-{}", std::process::id()), dir.join("docker"));
    Ok(DockerExecutor::connect(DockerSettings { jobs: AT_ONCE, ..settings }).await?)
}

/// `docker run` of the same program, with a directory in memory for its output.
fn docker(image: &str, more: &[&str]) -> Result<()> {
    let status = Command::new("docker")
        .args(["run", "--network", "none", "--tmpfs", "/outputs"])
        .args(more)
        .args([image, "sh", "-c", "echo hello > /outputs/hello"])
        .stdout(Stdio::null())
        .status()?;
    if status.success() { Ok(()) } else { Err(format!("docker run: {status}").into()) }
}

#[tokio::main]
async fn main() -> Result<()> {
    let archive: PathBuf = std::env::args().nth(1).ok_or("name the image's archive")?.into();
    let loaded = Command::new("docker").args(["load", "-q", "-i"]).arg(&archive).output()?;
    let loaded = String::from_utf8(loaded.stdout)?;
    let image =
        loaded.trim().rsplit_once("sha256:").map(|(_, id)| format!("sha256:{id}")).ok_or("docker load says no id")?;
    let bytes: Arc<Vec<u8>> = Arc::new(std::fs::read(&archive)?);
    let id = lota_content::sha2_256(&bytes);
    let lay_out = move |path: PathBuf| {
        let bytes = Arc::clone(&bytes);
        Box::pin(async move {
            std::fs::write(path, &*bytes).unwrap_or_default();
            Ok(())
        }) as futures::future::BoxFuture<'static, _>
    };
    let source = ImageSource::Archive { name: "busybox".to_owned(), id, lay_out: Arc::new(lay_out) };
    let dir = std::env::temp_dir().join(format!("lota-bench-docker-{}", std::process::id()));
    let executor = executor(&dir).await?;
    executor.check(&run(0, &source, &dir)).await?;
    let (mut ours, mut theirs, mut removed) = (Vec::new(), Vec::new(), Vec::new());
    for number in 0..ROUNDS {
        let begin = Instant::now();
        let outcome = executor.run(run(number, &source, &dir)).await?;
        ours.push(begin.elapsed());
        if outcome.exit_code != 0 || outcome.output_entries != 1 {
            return Err(format!("{outcome:?}").into());
        }
        executor.abort(RunId(run(number, &source, &dir).job.0)).await;
        let begin = Instant::now();
        docker(&image, &[])?;
        theirs.push(begin.elapsed());
        let begin = Instant::now();
        docker(&image, &["--rm"])?;
        removed.push(begin.elapsed());
    }
    let (ours, theirs) = (median(ours), median(theirs));
    figure("docker: start to exit with the output collected, median of 20", ours, "ms");
    figure("docker run of the same image and program, in turn, median of 20", theirs, "ms");
    figure("the first above the second", (ours / theirs - 1.0) * 100.0, "%");
    figure("docker run --rm, median of 20", median(removed), "ms");
    let begin = Instant::now();
    let runs = (0..JOBS).map(|number| {
        let (executor, run) = (executor.clone(), run(1_000 + number, &source, &dir));
        tokio::spawn(async move { executor.run(run).await })
    });
    for run in futures::future::join_all(runs).await {
        let outcome = run??;
        if outcome.exit_code != 0 {
            return Err(format!("{outcome:?}").into());
        }
    }
    figure("50 jobs, 4 at once", begin.elapsed().as_secs_f64() * 1_000.0, "ms");
    executor.reap(&std::collections::HashSet::new()).await?;
    Command::new("sh")
        .args(["-c", "docker ps -aq --filter ancestor=$0 | xargs -r docker rm -f; docker rmi -f $0"])
        .arg(&image)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}
