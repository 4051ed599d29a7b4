//! What all commands that run one job have in common: their flags, and the way from them to the job's end.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use lota_api::{JobRequest, TermsRequest};
use lota_content::Cid;
use lota_market::{
    asset::Asset,
    spec::{Input, JobSpec, Link},
};

use super::{
    key_value::{Pair, by_name},
    source::{Mount, Source},
    stdin,
};
use crate::{
    api::Api,
    context::Context,
    failure::Usage,
    flags::{Format, Raw},
    settings::{self, Layers},
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

/// What a program is given.
#[derive(Debug, Args)]
pub(crate) struct Given {
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
}

/// What becomes of a job.
#[derive(Debug, Args)]
pub(crate) struct Wanted {
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
}

/// The terms, and what the program is called with.
#[derive(Debug, Args)]
pub(crate) struct Called {
    #[command(flatten)]
    pub(crate) terms: TermFlags,
    /// The program's arguments; put `--` before them if one of them begins with `-`
    #[arg(value_name = "ARGS", help_heading = "Arguments")]
    args: Vec<String>,
}

/// What one engine is to run.
pub(crate) trait Program {
    /// What of it is on this machine, or content; none: neither.
    fn source(&self) -> Option<&Source>;

    /// The spec, as far as it is the program's; `cid`: that of the source.
    fn spec(&self, cid: Option<Cid>, job: &settings::Job) -> anyhow::Result<JobSpec>;

    /// What a person should know who asks for such a job.
    fn note(&self) -> Option<&'static str> {
        None
    }
}

impl<P: Program> Program for &P {
    fn source(&self) -> Option<&Source> {
        (**self).source()
    }

    fn spec(&self, cid: Option<Cid>, job: &settings::Job) -> anyhow::Result<JobSpec> {
        (**self).spec(cid, job)
    }
}

impl Wanted {
    /// Whether stderr is for what the job writes there.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet
    }
}

impl Given {
    /// Whether it is nothing.
    pub(crate) const fn is_nothing(&self) -> bool {
        self.inputs.is_empty() && self.env.is_empty()
    }
}

/// A program with everything that it is given: what a spec is made of.
pub(crate) struct Described<'a, P> {
    pub(crate) program: P,
    pub(crate) given: &'a Given,
    /// The folder of the outputs, as the program sees it.
    pub(crate) outputs: &'a str,
    pub(crate) labels: &'a [Pair],
    pub(crate) args: &'a [String],
    /// How long the daemon keeps what is uploaded.
    pub(crate) keep: upload::Keep,
}

/// A command line that asks for a job.
pub(crate) struct Asked<'a, P> {
    pub(crate) program: P,
    pub(crate) given: &'a Given,
    pub(crate) wanted: &'a Wanted,
    pub(crate) called: &'a Called,
    /// Settings with the flags for limits on top.
    pub(crate) layers: Layers,
}

impl<P: Program> Asked<'_, P> {
    /// Asks for the job, waits for its end and shows what came of it.
    ///
    /// # Errors
    /// When it came to no result; or with the program's exit code.
    pub(crate) async fn run(self, context: &Context) -> anyhow::Result<()> {
        let Self { wanted, called, .. } = &self;
        let settings = self.layers.clone().flag("--silence", "job.silence", wanted.silence.as_ref()).settings()?;
        if let (Some(folder), true) = (&wanted.output_dir, wanted.detach) {
            return Err(Usage(format!(
                "with --detach there is no output yet that --output-dir could save; save it later with `lota job get ID --path outputs -o {}`",
                folder.display()
            ))
            .into());
        }
        let described = Described {
            program: &self.program,
            given: self.given,
            outputs: &wanted.outputs,
            labels: &wanted.labels,
            args: &called.args,
            keep: upload::Keep::ForJob,
        };
        let prepared = described.prepare()?;
        if let Some(folder) = &wanted.output_dir {
            save::check_free(folder)?;
        }
        let api = context.api()?;
        let asset = asset_of_amounts(&api, &settings.job).await?;
        let terms = called.terms.directed(terms_of(&settings.job, asset.as_ref().unwrap_or(&Asset::coin()))?);
        let progress = Progress::start(wanted.quiet || wanted.format.json);
        let reads_stdin = described.reads_stdin(&prepared);
        let request = described.request(Some(&api), prepared, &settings.job, terms, &progress).await?;
        let told = reads_stdin || wanted.quiet || warn_of_stdin(&progress);
        progress.say("asking for the job");
        context.last_words.set("The job may have been opened; `lota job list` shows it if it was.");
        let opened = api.open(&request).await?;
        let asset = match asset {
            Some(asset) => asset,
            None => api.asset_for_showing().await,
        };
        if let (Some(note), false) = (self.program.note(), wanted.quiet || wanted.format.json) {
            progress.aside(|| terminal::tell(note));
        }
        if wanted.detach && !wanted.quiet {
            progress.aside(|| offer::tell(&opened, &asset, wanted.format));
        }
        if wanted.detach {
            progress.finish();
            return if wanted.format.json {
                terminal::print_json(&opened)
            } else {
                terminal::print(&format!("{}\n", opened.job.id))
            };
        }
        let shown = Awaited {
            quiet: wanted.quiet,
            format: wanted.format,
            raw: wanted.raw,
            output_dir: wanted.output_dir.as_deref(),
            silence: settings.job.silence.duration(),
            asset: &asset,
        };
        let job = shown.until_end(context, &api, &opened, &progress).await?;
        // Once more: it may have come later.
        if !told {
            warn_of_stdin(&progress);
        }
        progress.finish();
        shown.show(&api, &job).await
    }
}

impl<P: Program> Described<'_, P> {
    /// Whether something is read from stdin.
    pub(crate) fn reads_stdin(&self, prepared: &Prepared) -> bool {
        self.sources(prepared).any(|source| *source == Source::Stdin)
    }

    /// Everything that can be wrong with the command line, before anything is sent.
    ///
    /// # Errors
    /// [`Usage`].
    pub(crate) fn prepare(&self) -> anyhow::Result<Prepared> {
        let usage = |error: &dyn core::fmt::Display| Usage(error.to_string());
        let alone = self.given.inputs.len() == 1;
        let inputs: Vec<(Source, Option<String>)> = self
            .given
            .inputs
            .iter()
            .map(|mount| {
                let source = mount.source().map_err(|error| usage(&error))?;
                let guest_path = mount.guest_path(&source, alone);
                Ok((source, guest_path))
            })
            .collect::<anyhow::Result<_>>()?;
        let sources = inputs.iter().map(|(source, _)| source).chain(self.program.source());
        if sources.filter(|source| **source == Source::Stdin).count() > 1 {
            return Err(Usage("`-` is there more than once, but stdin can be read only once".to_owned()).into());
        }
        let (env, labels) = (by_name("--env", &self.given.env)?, by_name("--label", self.labels)?);
        Ok(Prepared { inputs, env, labels })
    }

    /// Whether some of it is on this machine, or below a CID, which takes a daemon.
    pub(crate) fn needs_daemon(&self, prepared: &Prepared) -> bool {
        self.sources(prepared).any(|source| match source {
            Source::Path(_) | Source::Stdin => true,
            Source::Content(name) => !name.segments().is_empty(),
            Source::Url { .. } | Source::Directory(_) => false,
        })
    }

    /// Whether some of it is named by CID, so that it need not be on this machine.
    pub(crate) fn names_content(&self, prepared: &Prepared) -> bool {
        self.sources(prepared).any(|source| matches!(source, Source::Content(_)))
    }

    fn sources<'p>(&'p self, prepared: &'p Prepared) -> impl Iterator<Item = &'p Source> {
        prepared.inputs.iter().map(|(source, _)| source).chain(self.program.source())
    }

    /// Uploads what is on this machine and puts the spec together. Without a daemon nothing [needs one](Self::needs_daemon).
    ///
    /// # Errors
    /// When the daemon does not take it, or there is no such spec.
    pub(crate) async fn request(
        &self,
        api: Option<&Api>,
        prepared: Prepared,
        job: &settings::Job,
        terms: TermsRequest,
        progress: &Progress,
    ) -> anyhow::Result<JobRequest> {
        let program = match self.program.source() {
            Some(source) => Some(cid_of(api, source, self.keep, progress).await?),
            None => None,
        };
        let mut inputs = Vec::new();
        for (source, path) in prepared.inputs {
            inputs.push(match source {
                Source::Url { url, cid } => Input { cid: Some(Link(cid)), url: Some(url), directory: None, path },
                Source::Directory(label) => Input { cid: None, url: None, directory: Some(label), path },
                source => Input::content(Link(cid_of(api, &source, self.keep, progress).await?), path),
            });
        }
        let mut spec = self.program.spec(program, job)?;
        spec.args = self.args.to_vec();
        spec.env = prepared.env;
        spec.inputs = inputs;
        spec.outputs = self.outputs.to_owned();
        spec.labels = prepared.labels;
        let validated = spec.validate().map_err(|problems| Usage(problems.to_string()))?;
        let spec = serde_json::from_str(&validated.to_json()).context("the spec is not JSON")?;
        Ok(JobRequest { spec, terms, key: None })
    }
}

/// Warns of what is piped into this command and read by nobody; says whether it did.
fn warn_of_stdin(progress: &Progress) -> bool {
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

/// The command line, understood.
pub(crate) struct Prepared {
    inputs: Vec<(Source, Option<String>)>,
    env: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
}

/// The CID of a source, which is uploaded if it is on this machine.
async fn cid_of(api: Option<&Api>, source: &Source, keep: upload::Keep, progress: &Progress) -> anyhow::Result<Cid> {
    let daemon = || api.context("files of this machine, and what lies below a CID, need a daemon");
    let path = match source {
        Source::Content(name) if name.segments().is_empty() => return Ok(name.cid),
        Source::Content(name) => return below(daemon()?, name).await,
        Source::Url { .. } | Source::Directory(_) => anyhow::bail!("only inputs are fetched by providers themselves"),
        Source::Path(path) => path.as_path(),
        Source::Stdin => Path::new("-"),
    };
    upload::path(daemon()?, path, upload::Links::Refuse, keep, progress).await.map(|added| added.cid)
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
