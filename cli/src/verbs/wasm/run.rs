//! `lota wasm run`.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use clap::Args;
use futures::StreamExt as _;
use lota_content::Cid;
use lota_market::{
    model::Status,
    spec::{Engine, Input, JobSpec, Link},
};
use lota_node::api::types::{JobDetail, JobRequest};
use serde::Serialize;

use super::{
    limits::{LimitFlags, limits},
    pairs::{Pair, by_name},
    source::{Mount, Source},
    stdin,
};
use crate::{
    api::{Api, Part},
    arguments::{Format, Raw},
    context::Context,
    failure::{ExitWith, Usage},
    settings,
    terminal::{self, Progress, streams},
    verbs::{
        content::{name::Name, save, upload},
        job::{
            decisions::{self, all_refuse, refusals},
            describe, ending,
            follow::{Followed, follow, if_interrupted},
            terms::{TermFlags, terms_of},
        },
    },
};

/// The most bytes of stdout or stderr that `--json` shows.
const MAX_JSON_TEXT: usize = 16 << 20;

/// Run a module on the market, as if it were a program on this machine: waits, prints its stdout and stderr, and ends with
/// its exit code. The price, the provider and the output's CID go to stderr.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota wasm run hello.wasm world
  lota wasm run wc.wasm -i texts --max-price '0.02 FIL' -- --top 10
  lota wasm run resize.wasm -i cat.png:/cat.png -e WIDTH=64 --output-dir out
  git log | lota wasm run wc.wasm -i -
  lota wasm run bafybei... --detach

Exit codes: the job's own; 124 it exceeded its wall time, 126 the module cannot be run,
134 it trapped, 137 out of memory, 152 out of fuel, 153 it wrote too much;
1 the job did not come to a result; 130 interrupted (the job goes on).")]
pub(crate) struct Run {
    /// The module: a file, or a CID
    module: String,
    /// Give the program a file, folder or CID to read: SOURCE[:GUEST_PATH]
    ///
    /// A source is a path on this machine, a CID or a path below one (`CID/path`, `ipfs://CID/path`), or `-`: what is piped into
    /// this command, which the program sees as the file `/inputs/stdin`. (Its own standard input is empty.)
    ///
    /// Without a guest path, a single folder or CID is mounted at `/inputs`, and a file at `/inputs/NAME`. If there are several
    /// inputs, folders are mounted at `/inputs/NAME`, too, and CIDs at `/inputs/0`, `/inputs/1` and so on, by their place.
    #[arg(long = "input", short, value_name = "SOURCE")]
    inputs: Vec<Mount>,
    /// Set an environment variable: NAME=VALUE
    #[arg(long = "env", short, value_name = "PAIR")]
    env: Vec<Pair>,
    /// The exported function to call
    #[arg(long, default_value = lota_market::spec::DEFAULT_ENTRY, value_name = "NAME")]
    entry_point: String,
    /// The folder whose content is the job's output, as the program sees it
    #[arg(long, default_value = lota_market::spec::DEFAULT_OUTPUTS, value_name = "GUEST_PATH")]
    outputs: String,
    /// Label the job, to find it by: NAME=VALUE
    #[arg(long = "label", short, value_name = "PAIR")]
    labels: Vec<Pair>,
    /// Save the output files in this folder, which must not exist
    #[arg(long, short = 'o', value_name = "DIR")]
    output_dir: Option<PathBuf>,
    /// Print the job's id and do not wait for it
    #[arg(long, short)]
    detach: bool,
    /// Say nothing on stderr but what the job writes there
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    raw: Raw,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    limits: LimitFlags,
    #[command(flatten)]
    terms: TermFlags,
    /// The program's arguments; put `--` before them if one of them begins with `-`
    #[arg(value_name = "ARGS", help_heading = "Arguments")]
    args: Vec<String>,
}

/// How often providers are asked whether they all refuse an open job.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// What `--json` prints: the job, and what it wrote.
#[derive(Serialize)]
struct Ran<'a> {
    #[serde(flatten)]
    job: &'a JobDetail,
    stdout: String,
    stderr: String,
    /// Whether one of the two is cut off.
    truncated: bool,
}

impl Run {
    /// Whether stderr is for what the job writes there.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let settings = self
            .terms
            .over(context)
            .flag("--fuel", "job.fuel", self.limits.fuel.as_ref())
            .flag("--memory", "job.memory", self.limits.memory.as_ref())
            .flag("--output-size", "job.output_size", self.limits.output_size.as_ref())
            .flag("--entries", "job.entries", self.limits.entries.as_ref())
            .flag("--wall-time", "job.wall_time", self.limits.wall_time.as_ref())
            .settings()?;
        let prepared = self.prepare()?;
        if let Some(folder) = &self.output_dir {
            save::check_free(folder)?;
        }
        let api = context.api()?;
        let progress = Progress::start(self.quiet || self.format.json);
        let reads_stdin = prepared.reads_stdin();
        let request = self.request(&api, prepared, &settings.job, &progress).await?;
        let told = reads_stdin || self.quiet || self.warn_of_stdin(&progress).await;
        progress.say("asking for the job");
        context.last_words.set("The job may have been opened; `lota job list` shows it if it was.");
        let job = api.open(&request).await?;
        if self.detach {
            progress.finish();
            return if self.format.json {
                terminal::print_json(&job)
            } else {
                terminal::print(&format!("{}\n", job.id))
            };
        }
        let id = job.id.to_string();
        context.last_words.set(if_interrupted(&job));
        if !self.quiet {
            // At once: whoever waits must be able to look at the job from elsewhere.
            progress.aside(|| terminal::tell(&format!("job {id}")));
        }
        let followed = tokio::select! {
            followed = follow(&api, &id, &progress, None, |job| context.last_words.set(if_interrupted(&job.summary))) => followed?,
            refused = refused_by_all(&api, &id) => {
                let reasons = refused?;
                progress.finish();
                let withdrawn = match api.cancel(&id).await {
                    Ok(_) => "it was withdrawn, and the escrow came back".to_owned(),
                    Err(error) => format!("it could not be withdrawn ({error:#}); see `lota job describe {id}`"),
                };
                anyhow::bail!("every provider refuses job {id}: {reasons}; {withdrawn}");
            }
        };
        // Once more: it may have come later.
        if !told {
            self.warn_of_stdin(&progress).await;
        }
        progress.finish();
        let (Followed::Ended(job) | Followed::TimeOver(job)) = followed;
        self.finish(&api, &job).await
    }

    /// Warns of what is piped into this command and read by nobody; says whether it did.
    async fn warn_of_stdin(&self, progress: &Progress) -> bool {
        let given = stdin::is_given().await;
        if given {
            progress.aside(|| {
                terminal::tell(
                    "What is piped into this command is not read, because a job's standard input is empty; give it as an input with `-i -`, and the program sees it as the file /inputs/stdin.",
                );
            });
        }
        given
    }

    /// Everything that can be wrong with the command line, before anything is sent.
    fn prepare(&self) -> anyhow::Result<Prepared> {
        let usage = |error: &dyn core::fmt::Display| Usage(error.to_string());
        if let (Some(folder), true) = (&self.output_dir, self.detach) {
            return Err(Usage(format!(
                "with --detach there is no output yet that --output-dir could save; save it later with `lota job get ID --path outputs -o {}`",
                folder.display()
            ))
            .into());
        }
        let module = Source::find(&self.module).map_err(|error| usage(&error))?;
        if let Source::Path(path) = &module {
            check_module(path)?;
        }
        let alone = self.inputs.len() == 1;
        let inputs: Vec<(Source, Option<String>)> = self
            .inputs
            .iter()
            .map(|mount| {
                let source = mount.source().map_err(|error| usage(&error))?;
                let guest_path = mount.guest_path(&source, alone);
                Ok((source, guest_path))
            })
            .collect::<anyhow::Result<_>>()?;
        let sources = inputs.iter().map(|(source, _)| source).chain([&module]);
        if sources.filter(|source| **source == Source::Stdin).count() > 1 {
            return Err(Usage("`-` is there more than once, but stdin can be read only once".to_owned()).into());
        }
        Ok(Prepared { module, inputs, env: by_name("--env", &self.env)?, labels: by_name("--label", &self.labels)? })
    }

    /// Uploads what is on this machine and puts the spec together.
    async fn request(
        &self,
        api: &Api,
        prepared: Prepared,
        job: &settings::Job,
        progress: &Progress,
    ) -> anyhow::Result<JobRequest> {
        let module = cid_of(api, &prepared.module, progress).await?;
        let mut inputs = Vec::new();
        for (source, path) in prepared.inputs {
            inputs.push(Input { cid: Link(cid_of(api, &source, progress).await?), path });
        }
        let mut spec = JobSpec::wasm(Link(module), limits(job));
        spec.engine = Engine::Wasm { module: Link(module), entry: self.entry_point.clone() };
        spec.args = self.args.clone();
        spec.env = prepared.env;
        spec.inputs = inputs;
        spec.outputs = self.outputs.clone();
        spec.labels = prepared.labels;
        let validated = spec.clone().validate().map_err(|problems| Usage(problems.to_string()))?;
        let spec = serde_json::from_str(&validated.to_json()).context("the spec is not JSON")?;
        Ok(JobRequest { spec, terms: terms_of(job)?, key: None })
    }

    /// Shows what came of the job; ends with its exit code.
    async fn finish(&self, api: &Api, job: &JobDetail) -> anyhow::Result<()> {
        let summary = &job.summary;
        let id = summary.id.to_string();
        if summary.status != Status::Settled {
            let refusals = refusals(job).map(|refusals| format!(" ({refusals})")).unwrap_or_default();
            anyhow::bail!(
                "job {id} came to no result: it was {}, because {}{refusals}; `lota job describe {id}` tells more",
                terminal::status_name(summary.status),
                describe::reason(summary.reason)
            );
        }
        if !summary.output_verified {
            let problem = job.problem.as_deref().unwrap_or("it cannot be fetched yet");
            anyhow::bail!("job {id} was settled, but its output is not here: {problem}; try `lota job get {id}` later");
        }
        let stdout = api.output(&id, &["stdout"], Part::Bytes).await?;
        let stderr = api.output(&id, &["stderr"], Part::Bytes).await?;
        if self.format.json {
            let (stdout, stdout_cut) = text(api, stdout).await?;
            let (stderr, stderr_cut) = text(api, stderr).await?;
            terminal::print_json(&Ran { job, stdout, stderr, truncated: stdout_cut || stderr_cut })?;
        } else {
            streams::copy_to_stdout(api, stdout, self.raw).await?;
            streams::copy_to_stderr(api, stderr, self.raw).await?;
        }
        if let Some(folder) = &self.output_dir {
            save::output(api, &id, &["outputs"], folder).await?;
        }
        if !self.quiet && !self.format.json {
            if let Some(failure) = ending::failure(job) {
                terminal::tell(&terminal::bad(&failure));
            }
            terminal::tell(&outcome(job));
        }
        match summary.exit_code {
            None | Some(0) => Ok(()),
            // What does not fit into a process' exit code must at least not look like success.
            Some(code) => Err(ExitWith(u8::try_from(code).unwrap_or(u8::MAX)).into()),
        }
    }
}

/// Ends when every provider that is heard of has refused the job, with their reasons; otherwise never. A person who waits
/// for a program to run need not wait for the deadline to learn that nobody will run it.
async fn refused_by_all(api: &Api, id: &str) -> anyhow::Result<String> {
    let mut seen_before = false;
    loop {
        tokio::time::sleep(ASK_AGAIN).await;
        let job = match api.job(id).await {
            Ok(job) if job.summary.status == Status::Open => job,
            // Whoever follows the job learns of everything else.
            _ => return std::future::pending().await,
        };
        // Seen twice: a provider that has not answered yet gets its time.
        if all_refuse(&job) && seen_before {
            return Ok(refusals(&job).unwrap_or_default());
        }
        seen_before = all_refuse(&job);
    }
}

/// The command line, understood.
struct Prepared {
    module: Source,
    inputs: Vec<(Source, Option<String>)>,
    env: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
}

impl Prepared {
    /// Whether something is read from stdin.
    fn reads_stdin(&self) -> bool {
        self.inputs.iter().map(|(source, _)| source).chain([&self.module]).any(|source| *source == Source::Stdin)
    }
}

/// The CID of a source, which is uploaded if it is on this machine.
async fn cid_of(api: &Api, source: &Source, progress: &Progress) -> anyhow::Result<Cid> {
    let path = match source {
        Source::Content(name) => return below(api, name).await,
        Source::Path(path) => path.as_path(),
        Source::Stdin => Path::new("-"),
    };
    upload::path(api, path, upload::Links::Refuse, upload::Keep::ForJob, progress).await.map(|added| added.cid)
}

/// The CID of what is at a path below a CID.
async fn below(api: &Api, name: &Name) -> anyhow::Result<Cid> {
    let segments = name.segments();
    let Some((last, folder)) = segments.split_last() else { return Ok(name.cid) };
    let entries = api.content_entries(&name.cid.to_string(), folder).await?;
    let Some(entry) = entries.iter().find(|entry| entry.name == *last) else {
        let place = std::iter::once(name.cid.to_string()).chain(folder.iter().map(|part| (*part).to_owned()));
        anyhow::bail!("there is no `{last}` in {}", place.collect::<Vec<_>>().join("/"));
    };
    lota_content::parse_cid(&entry.cid).context("the daemon gives a CID that is none")
}

/// Refuses what is no module before it costs anything.
fn check_module(path: &std::path::Path) -> anyhow::Result<()> {
    let cannot = || format!("cannot read the module {}", path.display());
    let mut start = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(8).read_to_end(&mut start)).with_context(cannot)?;
    if start.starts_with(b"\0asm") {
        return Ok(());
    }
    let what = if start.is_empty() {
        "it is empty".to_owned()
    } else {
        format!("it begins with `{}` instead of `\\0asm`", start.escape_ascii())
    };
    Err(Usage(format!(
        "{} is not a WebAssembly module: {what}; compile your program with `--target wasm32-wasip1`",
        path.display()
    ))
    .into())
}

/// A line about price, provider and output.
fn outcome(job: &JobDetail) -> String {
    let summary = &job.summary;
    let mut parts = Vec::new();
    if let (Some(price), Some(provider)) = (summary.price, summary.provider) {
        let decision = job.decisions.iter().find(|decision| decision.provider == provider);
        let name = decision.map_or_else(|| provider.to_string(), decisions::name);
        parts.push(format!("paid {price} to {name}"));
    }
    if let Some(output) = &summary.output {
        parts.push(format!("output {}", terminal::printable(output)));
    }
    terminal::dim(&parts.join(", "))
}

/// A response's text, and whether it is cut off.
async fn text(api: &Api, response: reqwest::Response) -> anyhow::Result<(String, bool)> {
    let mut bytes = Vec::new();
    let mut pieces = std::pin::pin!(api.pieces(response));
    let mut cut = false;
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        let room = MAX_JSON_TEXT - bytes.len();
        bytes.extend_from_slice(&piece[..piece.len().min(room)]);
        if piece.len() > room {
            cut = true;
            break;
        }
    }
    Ok((String::from_utf8_lossy(&bytes).into_owned(), cut))
}
