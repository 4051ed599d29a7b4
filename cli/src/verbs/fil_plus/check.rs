//! `lota fil-plus check`.

use std::{
    io::{self, BufRead as _},
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::Args;
use lota_api::ApiError;
use lota_fil_plus::{
    answer::{Certainty, CheckAnswer, CheckRequest, Checked},
    api::{MAX_CIDS, shown},
    keeper,
    registry::Manner,
};
use reqwest::Url;

use super::{
    registry::{RegistryFlags, open},
    words,
};
use crate::{
    context::Context,
    failure::{ExitWith, USAGE, Usage},
    flags::Format,
    settings::FilPlus,
    terminal::{self, Progress},
};

/// The exit code when something is not verified, and when evidence contradicts itself.
const NOT_VERIFIED: u8 = 3;
const CONTRADICTED: u8 = 4;
/// The longest line that is asked about as it is, in bytes: longer ones are no CIDs.
const MAX_LINE: usize = 300;
/// How much is asked at once, in bytes.
const MAX_REQUEST: usize = 500_000;
/// The longest answer, in bytes, and the longest time for it.
const MAX_ANSWER: usize = 256 << 20;
const PATIENCE: Duration = Duration::from_secs(120);
/// Indexes are asked about payloads when so few CIDs are checked; of more, only what is known is told.
const FEW: usize = 64;

/// Ask whether CIDs are FIL+ data, and by what evidence.
///
/// A CID may be a piece's (baga6ea4sea..., bafkzcib...) or any content's. A registry's server is asked (`lota fil-plus serve`), or,
/// with --embedded, a registry in this process, which first reads its sources as far as they are due.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota fil-plus check baga6ea4seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy
  lota fil-plus check --server https://registry.example bafybeieiy62xj7i62t57wzf2eusjj6ff3je5pihd2nbpu27fwtj4h4v2by
  lota fil-plus check --embedded --rpc https://node.example/rpc/v1 --providers f01234 baga6ea4seaq...
  lota fil-plus check --json < cids.txt

Exit codes: 0 all are verified, 3 some are not, 4 the evidence about some contradicts itself, 2 some are no CIDs (or the command
line is wrong), 1 they could not be checked.")]
pub(crate) struct Check {
    /// The CIDs; none, or -: those on the lines of stdin
    #[arg(value_name = "CID")]
    cids: Vec<String>,
    /// URL of the registry [default: the one at fil_plus.listen]
    #[arg(long, value_name = "URL", conflicts_with = "embedded")]
    server: Option<String>,
    /// Ask a registry in this process
    #[arg(long)]
    embedded: bool,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    registry: RegistryFlags,
}

impl Check {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let layers = context.layers.clone().flag("--server", "fil_plus.server", self.server.as_ref());
        let settings = self.registry.over(&layers)?;
        let cids = self.cids()?;
        if cids.is_empty() {
            return Err(
                Usage("there is no CID to check; name some, or give one on each line of stdin".to_owned()).into()
            );
        }
        let answer = if self.embedded {
            self.embedded(context, &settings, &cids).await?
        } else {
            ask_server(&server(&settings), &cids).await?
        };
        if self.format.json {
            terminal::print_json(&answer)?;
        } else {
            terminal::print(&words::answer(&answer))?;
        }
        match exit_code(&answer.answers) {
            0 => Ok(()),
            code => Err(ExitWith(code).into()),
        }
    }

    fn cids(&self) -> anyhow::Result<Vec<String>> {
        let mut cids: Vec<String> = self.cids.iter().filter(|cid| *cid != "-").cloned().collect();
        if self.cids.is_empty() || cids.len() < self.cids.len() {
            for line in io::stdin().lock().lines() {
                let line = line.context("cannot read CIDs from stdin")?;
                if !line.trim().is_empty() {
                    cids.push(line.trim().to_owned());
                }
            }
        }
        for cid in &mut cids {
            let end = (0..=MAX_LINE.min(cid.len())).rev().find(|end| cid.is_char_boundary(*end)).unwrap_or(0);
            cid.truncate(end);
        }
        Ok(cids)
    }

    async fn embedded(&self, context: &Context, settings: &FilPlus, cids: &[String]) -> anyhow::Result<CheckAnswer> {
        let (registry, _) = open(context, settings).await?;
        let progress = Progress::start(self.format.json);
        let say = {
            let progress = progress.clone();
            move |source: &str, what: &str| progress.say(format!("{source}: {what}"))
        };
        let failed = keeper::read_once(&registry, &say).await;
        progress.finish();
        // What they said before still counts, and its age is told.
        for (source, error) in failed {
            terminal::tell(&format!("{}: {}", terminal::printable(&source), terminal::printable(&error.to_string())));
        }
        let now = keeper::now();
        let mut answers = Vec::with_capacity(cids.len());
        for chunk in cids.chunks(MAX_CIDS) {
            let manner = Manner { ask: cids.len() <= FEW, shown: shown(cids.len()) };
            answers.extend(registry.check(chunk, manner, now).await?);
        }
        let sources = registry.source_states(now).await?;
        registry.store().close().await;
        Ok(CheckAnswer { answers, sources })
    }
}

/// The registry's URL.
fn server(settings: &FilPlus) -> String {
    settings.server.clone().unwrap_or_else(|| format!("http://{}", settings.listen))
}

/// Asks a server, in as many parts as it takes.
///
/// # Errors
/// When it cannot be asked, or does not answer as a registry does.
pub(super) async fn ask_server(base: &str, cids: &[String]) -> anyhow::Result<CheckAnswer> {
    let parsed = Url::parse(&format!("{}/v1/check", base.trim_end_matches('/')));
    let url = parsed.map_err(|error| {
        Usage(format!("`{}` is no URL of a registry ({error}); write http://HOST:PORT", terminal::printable(base)))
    })?;
    let client = lota_http::builder().timeout(PATIENCE).build().context("no HTTP client can be made")?;
    let mut whole = CheckAnswer { answers: Vec::with_capacity(cids.len()), sources: Vec::new() };
    let mut rest = cids;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |cid: &&String| {
            bytes += 2 * cid.len() + 3;
            bytes <= MAX_REQUEST
        };
        let count = rest.iter().take_while(fits).take(MAX_CIDS).count().max(1);
        let (part, others) = rest.split_at(count);
        let request = CheckRequest { cids: part.to_vec(), ask: cids.len() <= FEW };
        let answer = ask_part(&client, &url, &request).await?;
        if answer.answers.len() != count {
            bail!(
                "the registry answered about {} of {count} CIDs; is {base} a registry of this version?",
                answer.answers.len()
            );
        }
        whole.answers.extend(answer.answers);
        whole.sources = answer.sources;
        rest = others;
    }
    Ok(whole)
}

async fn ask_part(client: &reqwest::Client, url: &Url, request: &CheckRequest) -> anyhow::Result<CheckAnswer> {
    let host = url.host_str().unwrap_or_default();
    let place = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    let unreachable =
        || format!("cannot ask the registry at {place}; start one with `lota fil-plus serve`, or add --embedded");
    let sent = client.post(url.clone()).json(request).send().await;
    let mut response = sent.map_err(reqwest::Error::without_url).with_context(unreachable)?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url).with_context(unreachable)? {
        if body.len() + chunk.len() > MAX_ANSWER {
            bail!("the registry at {place} answered more than {MAX_ANSWER} bytes; what is longer is not read");
        }
        body.extend_from_slice(&chunk);
    }
    if !response.status().is_success() {
        let status = response.status().as_u16();
        let message =
            serde_json::from_slice(&body).map_or_else(|_| format!("HTTP {status}"), |error: ApiError| error.message);
        bail!("the registry at {place} refused: {message}");
    }
    serde_json::from_slice(&body)
        .with_context(|| format!("{place} does not answer as a registry does; look at the URL"))
}

fn exit_code(answers: &[Checked]) -> u8 {
    let code = |checked: &Checked| match checked {
        // A person's own mistake comes first.
        Checked::Malformed { .. } => (3, USAGE),
        Checked::Answer(answer) => match answer.certainty {
            Certainty::Verified => (0, 0),
            Certainty::Contradicted => (2, CONTRADICTED),
            _ => (1, NOT_VERIFIED),
        },
    };
    answers.iter().map(code).max().map_or(0, |(_, code)| code)
}
