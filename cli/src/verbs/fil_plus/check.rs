//! `lota fil-plus check`.

use std::{
    io::{self, BufRead, Read as _},
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
    reply,
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
    units::Seconds,
};

/// The exit code when something is not verified, when evidence contradicts itself, and when the chain's word is too old.
const NOT_VERIFIED: u8 = 3;
const CONTRADICTED: u8 = 4;
const OLD: u8 = 5;
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

Exit codes: 0 all are verified, 3 some are not, 4 the evidence about some contradicts itself, 5 some are verified by a chain's word
that is older than --max-age, 2 some are no CIDs (or the command line is wrong), 1 they could not be checked.")]
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
    /// How old the chain's word may be that something is verified by [default: 7d]
    #[arg(long, value_name = "TIME")]
    max_age: Option<Seconds>,
    #[command(flatten)]
    format: Format,
    #[command(flatten)]
    registry: RegistryFlags,
}

impl Check {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let layers = context.layers.clone().flag("--server", "fil_plus.server", self.server.as_ref());
        let layers = layers.flag("--max-age", "fil_plus.max_age", self.max_age.as_ref());
        let settings = self.registry.over(&layers)?;
        let cids = self.cids()?;
        if cids.is_empty() {
            return Err(
                Usage("there is no CID to check; name some, or give one on each line of stdin".to_owned()).into()
            );
        }
        let mut answer = if self.embedded {
            self.embedded(context, &settings, &cids).await?
        } else {
            ask_server(&server(&settings), &cids).await?
        };
        mark_old(&mut answer.answers, settings.max_age.0, keeper::now());
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
            read_lines(&mut io::stdin().lock(), &mut cids).context("cannot read CIDs from stdin")?;
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

/// The lines that hold something, each as far as a CID may reach. What is no UTF-8 becomes what no CID has in it.
fn read_lines(from: &mut impl BufRead, cids: &mut Vec<String>) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        // One byte more than is asked about, so that what is cut stays too long.
        let read = from.by_ref().take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(());
        }
        if line.last() != Some(&b'\n') {
            skip_line(from)?;
        }
        let text = String::from_utf8_lossy(&line);
        if !text.trim().is_empty() {
            cids.push(text.trim().to_owned());
        }
    }
}

/// Reads over the rest of a line without keeping it.
fn skip_line(from: &mut impl BufRead) -> io::Result<()> {
    loop {
        let part = from.fill_buf()?;
        let (length, ends) = match part.iter().position(|byte| *byte == b'\n') {
            Some(place) => (place + 1, true),
            None => (part.len(), part.is_empty()),
        };
        from.consume(length);
        if ends {
            return Ok(());
        }
    }
}

/// Marks what is verified by a word of the chain's that is older than so many seconds, and says so.
fn mark_old(answers: &mut [Checked], max_age: u64, now: u64) {
    for checked in answers {
        let Checked::Answer(answer) = checked else { continue };
        answer.old = answer.rests_on_old_word(max_age, now);
        if answer.old {
            let as_of = answer.as_of.map_or_else(|| "of nobody knows when".to_owned(), |as_of| format!("of {as_of}"));
            let most = terminal::span(max_age);
            answer.caveats.push(format!("the chain's word is {as_of}, which is older than --max-age ({most})"));
        }
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
        let answer = reply::check(part, answer, keeper::now()).map_err(|error| {
            let base = terminal::printable(base);
            anyhow::anyhow!("the registry is not believed: {error}; is {base} a registry of this version?")
        })?;
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
        Checked::Malformed { .. } => (4, USAGE),
        Checked::Answer(answer) => match answer.certainty {
            Certainty::Verified if answer.old => (1, OLD),
            Certainty::Verified => (0, 0),
            Certainty::Contradicted => (3, CONTRADICTED),
            _ => (2, NOT_VERIFIED),
        },
    };
    answers.iter().map(code).max().map_or(0, |(_, code)| code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_one_by_one_whatever_is_in_them() {
        let long = "x".repeat(3 * MAX_LINE);
        let accents = "é".repeat(MAX_LINE);
        let text = [b"  one \r\n\n\t\n\xff\xfe\n", long.as_bytes(), b"\ntwo\n", accents.as_bytes(), b"\n\0\nlast"];
        let mut cids = Vec::new();
        // However it comes.
        for size in [1, 7, 1 << 16] {
            cids.clear();
            read_lines(&mut io::BufReader::with_capacity(size, &text.concat()[..]), &mut cids).expect("read");
            let lengths: Vec<usize> = cids.iter().map(String::len).collect();
            assert_eq!((cids[0].as_str(), cids[3].as_str(), cids[6].as_str()), ("one", "two", "last"), "{lengths:?}");
            assert_eq!((cids.len(), cids[1].as_str(), cids[2].len()), (7, "\u{fffd}\u{fffd}", MAX_LINE + 1));
            assert!(cids[4].len() <= MAX_LINE + 3 && cids[4].len() > MAX_LINE - 2, "{lengths:?}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_not_kept() {
        let mut endless = io::BufReader::new(io::repeat(b'x').take(64 << 20));
        let mut cids = Vec::new();
        read_lines(&mut endless, &mut cids).expect("read");
        assert_eq!((cids.len(), cids[0].len()), (1, MAX_LINE + 1));
        assert!(cids[0].capacity() < 10 * MAX_LINE);
    }
}
