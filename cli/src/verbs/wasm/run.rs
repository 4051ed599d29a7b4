//! `lota wasm run`.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use lota_api::{JobRequest, TermsRequest};
use lota_content::Cid;
use lota_market::{
    asset::Asset,
    spec::{Engine, Input, JobSpec, Link},
};

use super::{
    key_value::{Pair, by_name},
    limits::{LimitFlags, limits},
    source::{Mount, Source},
    stdin,
};
use crate::{
    api::Api,
    context::Context,
    failure::Usage,
    flags::{Format, Raw},
    settings,
    terminal::{self, Progress},
    units::Seconds,
    verbs::{
        content::{name::Name, save, upload},
        job::{
            awaited::Awaited,
            offer,
            terms::{TermFlags, asset_of_amounts, terms_of},
        },
    },
};

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
    /// this command, which the program sees as the file `/inputs/stdin`. (Its own standard input is empty.) Providers themselves
    /// fetch `https://HOST/FILE#sha256=DIGEST`, and read `directory:LABEL`, a directory that they offer.
    ///
    /// Without a guest path, a single folder or CID is mounted at `/inputs`, and a file at `/inputs/NAME`. If there are several
    /// inputs, folders are mounted at `/inputs/NAME`, too, and CIDs at `/inputs/0`, `/inputs/1` and so on, by their place.
    #[arg(long = "input", short, value_name = "SOURCE", allow_hyphen_values = true)]
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
    /// How long a provider may say nothing before the job is withdrawn because all others refuse it [default: 10s]
    #[arg(long, value_name = "TIME")]
    silence: Option<Seconds>,
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
            .flag("--silence", "job.silence", self.silence.as_ref())
            .settings()?;
        let prepared = self.prepare()?;
        if let Some(folder) = &self.output_dir {
            save::check_free(folder)?;
        }
        let api = context.api()?;
        let asset = asset_of_amounts(&api, &settings.job).await?;
        let terms = self.terms.directed(terms_of(&settings.job, asset.as_ref().unwrap_or(&Asset::coin()))?);
        let progress = Progress::start(self.quiet || self.format.json);
        let reads_stdin = prepared.reads_stdin();
        let request = self.request(&api, prepared, &settings.job, terms, &progress).await?;
        let told = reads_stdin || self.quiet || self.warn_of_stdin(&progress);
        progress.say("asking for the job");
        context.last_words.set("The job may have been opened; `lota job list` shows it if it was.");
        let opened = api.open(&request).await?;
        let asset = match asset {
            Some(asset) => asset,
            None => api.asset_for_showing().await,
        };
        if self.detach && !self.quiet {
            progress.aside(|| offer::tell(&opened, &asset, self.format));
        }
        if self.detach {
            progress.finish();
            return if self.format.json {
                terminal::print_json(&opened)
            } else {
                terminal::print(&format!("{}\n", opened.job.id))
            };
        }
        let shown = Awaited {
            quiet: self.quiet,
            format: self.format,
            raw: self.raw,
            output_dir: self.output_dir.as_deref(),
            silence: settings.job.silence.duration(),
            asset: &asset,
        };
        let job = shown.until_end(context, &api, &opened, &progress).await?;
        // Once more: it may have come later.
        if !told {
            self.warn_of_stdin(&progress);
        }
        progress.finish();
        shown.show(&api, &job).await
    }

    /// Warns of what is piped into this command and read by nobody; says whether it did.
    fn warn_of_stdin(&self, progress: &Progress) -> bool {
        let given = stdin::is_given();
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
        if matches!(module, Source::Url { .. } | Source::Directory(_)) {
            let problem = "a module is a file or a CID; only inputs are at a URL or in a provider's directory";
            return Err(Usage(problem.to_owned()).into());
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
        terms: TermsRequest,
        progress: &Progress,
    ) -> anyhow::Result<JobRequest> {
        let module = cid_of(api, &prepared.module, progress).await?;
        let mut inputs = Vec::new();
        for (source, path) in prepared.inputs {
            inputs.push(match source {
                Source::Url { url, cid } => Input { cid: Some(Link(cid)), url: Some(url), directory: None, path },
                Source::Directory(label) => Input { cid: None, url: None, directory: Some(label), path },
                source => Input::content(Link(cid_of(api, &source, progress).await?), path),
            });
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
        Ok(JobRequest { spec, terms, key: None })
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
        Source::Url { .. } | Source::Directory(_) => anyhow::bail!("only inputs are fetched by providers themselves"),
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
