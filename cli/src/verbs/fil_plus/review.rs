//! `lota fil-plus review`.

use std::{
    fs::File,
    io::{BufReader, Read as _},
    path::PathBuf,
};

use anyhow::{Context as _, bail};
use clap::Args;
use lota_bridge::{
    evm::{self, Network},
    memory,
    recording::{Header, Recording},
};
use lota_market::{Address, AttoFil, Time, asset::Asset, model::JobId, replay};
use lota_notary::{
    gather::{self, Elsewhere},
    history::{History, Kept},
    review::{Check, Outcome, Policy, Risk, checks},
};
use serde::Serialize;

use super::elsewhere::ElsewhereFlags;
use crate::{
    chain::{ChainMarket, Endpoint, parse_network},
    failure::{ExitWith, Usage},
    flags::Format,
    scratch::{Purpose, Scratch},
    terminal::{self, Progress, bad, bold, dim, good, printable},
    units::Count,
};

/// The exit code of a job with this risk.
const MEDIUM: u8 = 3;
const HIGH: u8 = 4;

/// Show what a notary should know of a settled job, from what the market recorded.
///
/// Who deals with whom, whose money comes back, what repeats an earlier job: it follows from the market's events, so everybody
/// comes to the same. The rest is found out if it is asked for: what a registry says of the job's inputs (--server), whether its output can be
/// fetched (--fetch), whether another run agrees (--run-again); otherwise these questions stay unknown. Without a job, the settled jobs of
/// which the market keeps a record are listed (`keepRecord` in the terms), the newest first: those that can be nominated.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota fil-plus review ~/.lota/devnet/market.log
  lota fil-plus review ~/.lota/devnet/market.log --job 0x1f... --fetch --run-again
  lota fil-plus review --rpc https://node.example/rpc/v1 --contract 0x... --from-block 4200000 --job 0x1f... --server http://127.0.0.1:8647

Exit codes: 0 the risk is low, 3 medium (something is unknown, or to be looked at), 4 high (something speaks against the job), 1 it could not be reviewed.")]
pub(crate) struct Review {
    /// A market's log (`market.log` of a devnet), or recorded events (`lota sim replay --export`)
    // Not `log`, which is a flag of all verbs.
    #[arg(value_name = "LOG", required_unless_present = "rpc", conflicts_with = "rpc")]
    recorded: Option<PathBuf>,
    /// The job's id, or its beginning [default: all are listed]
    #[arg(long, value_name = "ID")]
    job: Option<String>,
    /// URL of a node's JSON-RPC, whose chain is read from --from-block on
    #[arg(long, value_name = "URL", requires = "contract")]
    rpc: Option<String>,
    /// The market's address
    #[arg(long, value_name = "ADDRESS", requires = "rpc")]
    contract: Option<Address>,
    /// filecoin, calibration, filecoin-local or development (anvil) [default: what the chain's id says]
    #[arg(long, value_name = "NAME", value_parser = parse_network, requires = "rpc")]
    network: Option<Network>,
    /// The block of the market's deployment, or an earlier one
    #[arg(long, value_name = "N", default_value_t = 0, requires = "rpc")]
    from_block: u64,
    #[command(flatten)]
    elsewhere: ElsewhereFlags,
    /// List so many jobs at most
    #[arg(long, value_name = "N", default_value = "100")]
    limit: Count,
    #[command(flatten)]
    format: Format,
}

/// A job with what was found about it.
#[derive(Serialize)]
struct Reviewed {
    job: JobId,
    client: Address,
    provider: Address,
    /// In the asset's smallest unit (attoFIL), as text.
    price: AttoFil,
    /// When it was settled, in Unix seconds.
    settled_at: Time,
    exit_code: u32,
    risk: Risk,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<Check>,
}

/// What a market recorded.
struct Recorded {
    header: Header,
    asset: Asset,
    record: Vec<replay::Recorded>,
    is_here: bool,
}

/// A market as it was at the end of what was recorded.
struct Past {
    history: History,
    /// What its amounts are in.
    asset: Asset,
    now: Time,
    /// Whether it is a market of this machine's own.
    is_here: bool,
    scratch: Scratch,
}

impl Review {
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        if self.limit.0 == 0 {
            return Err(Usage("--limit 0 lists nothing; name at least 1".to_owned()).into());
        }
        let Recorded { header, asset, record, is_here } = self.record().await?;
        let scratch = Scratch::new(Purpose::Review)?;
        let market = format!("{} on chain {}", header.market.contract, header.market.chain_id);
        let history = History::open(scratch.path(), &market, None).await?;
        gather::take_recorded(&history, &record).await?;
        let past = Past { history, asset, now: gather::end_of(&record), is_here, scratch };
        let outcome = match &self.job {
            Some(id) => self.one(&past, id).await,
            None => self.all(&past).await,
        };
        past.history.close().await;
        outcome
    }

    async fn one(&self, past: &Past, id: &str) -> anyhow::Result<()> {
        let kept = find(&past.history, id).await?;
        let progress = Progress::start(self.format.json);
        let elsewhere = self.elsewhere.gather(&past.history, &kept, &past.scratch, past.is_here, &progress).await;
        progress.finish();
        let reviewed = review(past, &kept, elsewhere?).await?;
        if self.format.json {
            terminal::print_json(&reviewed)?;
        } else {
            terminal::print(&words(&reviewed, &past.asset))?;
        }
        match reviewed.risk {
            Risk::Low => Ok(()),
            Risk::Medium => Err(ExitWith(MEDIUM).into()),
            Risk::High => Err(ExitWith(HIGH).into()),
        }
    }

    async fn all(&self, past: &Past) -> anyhow::Result<()> {
        let limit = usize::try_from(self.limit.0).unwrap_or(usize::MAX);
        let mut newest = std::collections::VecDeque::new();
        let mut last = 0;
        loop {
            let page = past.history.settled_after(last, 1_000).await?;
            let Some(end) = page.last() else { break };
            last = end.number;
            newest.extend(page);
            while newest.len() > limit {
                newest.pop_front();
            }
        }
        let mut all = Vec::with_capacity(newest.len());
        for kept in newest.iter().rev() {
            let inputs = gather::spec_of(kept).map(|spec| gather::inputs_of(&spec));
            let elsewhere = Elsewhere { inputs, ..Elsewhere::default() };
            all.push(Reviewed { checks: Vec::new(), ..review(past, kept, elsewhere).await? });
        }
        if self.format.json {
            return terminal::print_json(&all);
        }
        if all.is_empty() {
            terminal::tell(
                "no job was settled of which the market keeps a record (terms with keepRecord): none can be nominated",
            );
        }
        let mut text = String::new();
        for Reviewed { job, client, provider, price, risk, .. } in &all {
            text.push_str(&format!(
                "{job}  {}  {} from {client} to {provider}\n",
                risk_words(*risk),
                past.asset.show(*price)
            ));
        }
        terminal::print(&text)
    }

    /// What was recorded, and where.
    async fn record(&self) -> anyhow::Result<Recorded> {
        let asset_of =
            |header: &Header| if header.market.settings.is_token() { Asset::unknown() } else { Asset::coin() };
        let path = match (&self.recorded, &self.rpc, self.contract) {
            (Some(path), _, _) => path,
            (None, Some(rpc), Some(contract)) => {
                let endpoint = Endpoint::connect(rpc, self.network).await?;
                let is_here = !endpoint.network().is_public();
                let market = ChainMarket::find(endpoint, contract, self.from_block).await?;
                let read = evm::recording::read(market.market(), None, None).await?;
                let asset = market.market().asset().clone();
                return Ok(Recorded { header: read.header, asset, record: read.record, is_here });
            }
            _ => return Err(Usage("name a log, or a chain with `--rpc` and `--contract`".to_owned()).into()),
        };
        let name = path.display();
        let mut file = File::open(path).with_context(|| format!("opening {name} failed"))?;
        let mut magic = [0; memory::MAGIC.len()];
        if file.read_exact(&mut magic).is_ok() && magic == memory::MAGIC {
            let found = memory::audit(path)?;
            let asset = asset_of(&found.header);
            return Ok(Recorded { header: found.header, asset, record: found.record, is_here: true });
        }
        let file = File::open(path).with_context(|| format!("opening {name} failed"))?;
        let recording = Recording::open(BufReader::new(file))
            .with_context(|| format!("{name} is neither the log of a market nor recorded events"))?;
        let header = recording.header;
        let record = recording.collect::<Result<Vec<_>, _>>().with_context(|| format!("reading {name} failed"))?;
        Ok(Recorded { asset: asset_of(&header), header, record, is_here: false })
    }
}

/// The settled job whose id begins so.
async fn find(history: &History, id: &str) -> anyhow::Result<Kept> {
    let wanted = id.to_ascii_lowercase();
    let is_id = wanted.strip_prefix("0x").is_some_and(|digits| {
        (4..=64).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    });
    if !is_id {
        let id = printable(id);
        return Err(Usage(format!("`{id}` is no job's id; write 0x and 64 hex digits, or at least the first 4")).into());
    }
    let mut found: Option<Kept> = None;
    let mut last = 0;
    loop {
        let page = history.settled_after(last, 1_000).await?;
        let Some(end) = page.last() else { break };
        last = end.number;
        for kept in page {
            if kept.job.job.to_string().starts_with(&wanted) {
                if let Some(other) = found {
                    bail!("both {} and {} begin with {wanted}; write more digits", other.job.job, kept.job.job);
                }
                found = Some(kept);
            }
        }
    }
    found.with_context(|| {
        format!(
            "no settled job of which the market keeps a record begins with {wanted}; without --job, those that there are are listed"
        )
    })
}

/// What is found about a job.
async fn review(past: &Past, kept: &Kept, elsewhere: Elsewhere) -> anyhow::Result<Reviewed> {
    let facts = gather::facts(&past.history, kept, elsewhere).await?;
    let checks = checks(&facts, &Policy::default(), &past.asset, past.now);
    let risk = Risk::of(&checks);
    let job = facts.job;
    Ok(Reviewed {
        job: job.job,
        client: job.client,
        provider: job.provider,
        price: job.price,
        settled_at: job.settled_at,
        exit_code: job.exit_code,
        risk,
        checks,
    })
}

fn risk_words(risk: Risk) -> String {
    match risk {
        Risk::Low => good("low risk"),
        Risk::Medium => "medium risk".to_owned(),
        Risk::High => bad("high risk"),
    }
}

fn words(reviewed: &Reviewed, asset: &Asset) -> String {
    let Reviewed { job, client, provider, price, exit_code, risk, checks, .. } = reviewed;
    let mut text = format!(
        "{}  {}\n  {} from {client} to {provider}, exit code {exit_code}\n",
        bold(&job.to_string()),
        risk_words(*risk),
        asset.show(*price)
    );
    for Check { question, outcome, answer, evidence } in checks {
        let outcome = match outcome {
            Outcome::Passed => good("passed "),
            Outcome::Noted => "noted  ".to_owned(),
            Outcome::Unknown => "unknown".to_owned(),
            Outcome::Warning => bad("warning"),
            Outcome::Failed => bad("failed "),
        };
        text.push_str(&format!("{outcome}  {} {}\n", question.text(), printable(answer)));
        for fact in evidence {
            text.push_str(&dim(&format!("           {}: {}", printable(&fact.label), printable(&fact.value))));
            text.push('\n');
        }
    }
    text
}
