//! `lota sim replay`.

use std::{
    fs::File,
    io::{BufReader, BufWriter, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;
use lota_bridge::{
    evm::{self, Network, auction as evm_auction, bindings, chain::At},
    memory::{self, LedgerError},
    recording::{self, Hashes, Header, Recording, RecordingError},
};
use lota_market::{
    Address,
    asset::Asset,
    replay::{Recorded, Replay as Fold},
};

use super::audit::{Audit, Difference};
use crate::{
    chain::{ChainMarket, Endpoint, parse_network},
    context::Context,
    failure::{ExitWith, FAILED, Usage},
    flags::Format,
    terminal,
};

/// Audit a market after the fact: fold what it has recorded through the model.
///
/// Every event must be what the model says at that place, and the balances at the end must be the contracts' own. The first event that
/// is not is named, and the exit code is 1. A log may be the file of a market without a chain (`market.log` of a devnet), or
/// recorded events, as `--export` writes them; without a log, a chain is read.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota sim replay ~/.lota/devnet/market.log
  lota sim replay --rpc https://node.example/rpc/v1 --contract 0x... --from-block 4200000 --export events.jsonl
  lota sim replay events.jsonl --json | jq .divergence")]
pub(crate) struct Replay {
    /// A market's log, or recorded events
    // Not `log`, which is a flag of all verbs.
    #[arg(value_name = "LOG", required_unless_present = "rpc", conflicts_with = "rpc")]
    recorded: Option<PathBuf>,
    /// URL of a node's JSON-RPC: http, https, ws or wss; of several, with commas between, the first that works is asked
    #[arg(long, value_name = "URL", requires = "contract")]
    rpc: Option<String>,
    /// The market's address
    #[arg(long, value_name = "ADDRESS", requires = "rpc")]
    contract: Option<Address>,
    /// The address of the auction beside it, without which awards of its jobs are taken as they come
    #[arg(long, value_name = "ADDRESS", requires = "rpc")]
    auction_contract: Option<Address>,
    /// filecoin, calibration, filecoin-local or development (anvil) [default: what the chain's id says]
    #[arg(long, value_name = "NAME", value_parser = parse_network, requires = "rpc")]
    network: Option<Network>,
    /// The block of the market's deployment, or an earlier one
    #[arg(long, value_name = "N", default_value_t = 0, requires = "rpc")]
    from_block: u64,
    /// The last block to look at [default: the newest]
    #[arg(long, value_name = "M", requires = "rpc")]
    to_block: Option<u64>,
    /// Also write the events to this file, as JSON lines
    #[arg(long, value_name = "FILE")]
    export: Option<PathBuf>,
    #[command(flatten)]
    format: Format,
}

impl Replay {
    pub(crate) async fn run(&self, _context: &Context) -> anyhow::Result<()> {
        if let Some((export, recorded)) = self.export.as_ref().zip(self.recorded.as_ref())
            && is_same_file(export, recorded)
        {
            let problem = format!("`--export` would write over {}, which is what is read", recorded.display());
            return Err(Usage(problem).into());
        }
        let (audit, asset) = match (&self.recorded, &self.rpc) {
            (Some(log), _) => (self.of_file(log)?, None),
            (None, Some(rpc)) => self.of_chain(rpc).await?,
            (None, None) => return Err(Usage("name a log, or a chain with `--rpc` and `--contract`".to_owned()).into()),
        };
        let sound = audit.is_sound();
        if self.format.json {
            terminal::print_json(&audit)?;
        } else {
            let of_token = if audit.is_of_token() { Asset::unknown() } else { Asset::coin() };
            terminal::print(&audit.render(&asset.unwrap_or(of_token)))?;
        }
        if sound { Ok(()) } else { Err(ExitWith(FAILED).into()) }
    }

    fn of_file(&self, path: &Path) -> anyhow::Result<Audit> {
        let name = path.display();
        let mut file = File::open(path).with_context(|| format!("opening {name} failed"))?;
        let mut magic = [0; memory::MAGIC.len()];
        let is_ledger = file.read_exact(&mut magic).is_ok() && magic == memory::MAGIC;
        drop(file);
        if is_ledger {
            return self.of_ledger(path);
        }
        let file = File::open(path).with_context(|| format!("opening {name} failed"))?;
        let unreadable = |error: RecordingError| {
            let error = anyhow::Error::new(error);
            error.context(format!("{name} is neither the log of a market nor recorded events"))
        };
        let recording = Recording::open(BufReader::new(file)).map_err(unreadable)?;
        let header = recording.header;
        let record = recording.collect::<Result<Vec<_>, _>>().with_context(|| format!("reading {name} failed"))?;
        let (audit, _) = self.fold(&header, &record, name.to_string())?;
        Ok(audit)
    }

    fn of_ledger(&self, path: &Path) -> anyhow::Result<Audit> {
        let source = path.display().to_string();
        let found = match memory::audit(path) {
            Ok(found) => found,
            // The chain's own rules name the block.
            Err(LedgerError::Inconsistent { block, problem }) => return Ok(Audit::broken(source, block, problem)),
            Err(error) => return Err(error.into()),
        };
        let (mut audit, fold) = self.fold(&found.header, &found.record, source)?;
        audit.compare(Difference::between(fold.market(), &found.market, fold.auction().zip(found.auction.as_ref())));
        Ok(audit)
    }

    async fn of_chain(&self, rpc: &str) -> anyhow::Result<(Audit, Option<Asset>)> {
        let contract = self.contract.ok_or_else(|| Usage("`--rpc` needs `--contract`".to_owned()))?;
        let endpoint = Endpoint::connect(rpc, self.network).await?;
        let source = format!("{contract} on {} by {}", endpoint.network().name, endpoint.node());
        let market = ChainMarket::find(endpoint, contract, self.from_block).await?;
        let market = market.with_auction_at(self.auction_contract).await?;
        let read = evm::recording::read(market.market(), market.auction(), self.to_block).await?;
        let (mut audit, fold) = self.fold(&read.header, &read.record, source)?;
        if audit.is_sound() {
            audit.compare(differences(&market, &fold, read.block).await?);
        }
        Ok((audit, Some(market.market().asset().clone())))
    }

    /// Folds a record, which is written down as well if that is asked for.
    fn fold(&self, header: &Header, record: &[Recorded], source: String) -> anyhow::Result<(Audit, Fold<Hashes>)> {
        if let Some(path) = &self.export {
            let written =
                File::create(path).and_then(|file| recording::write(&mut BufWriter::new(file), header, record));
            written.with_context(|| format!("writing {} failed", path.display()))?;
        }
        let mut fold = Fold::new(header.deployment(), Hashes(header.market))?;
        let outcome = record.iter().try_for_each(|event| fold.apply(event)).and_then(|()| fold.finish());
        Ok((Audit::of(source, &fold, outcome.err()), fold))
    }
}

/// Whether both are there and one file, by whatever names.
fn is_same_file(one: &Path, other: &Path) -> bool {
    let of = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
    of(one).is_some_and(|found| Some(found) == of(other))
}

/// Where the contracts on the chain, as of a block, are not what came out.
async fn differences(market: &ChainMarket, fold: &Fold<Hashes>, block: u64) -> anyhow::Result<Vec<Difference>> {
    let (endpoint, contract, at) = (market.endpoint(), market.contract(), At::Block(block));
    let mut differences = Vec::new();
    let accounts = fold.tally().parties.keys().copied();
    let accounts = accounts.chain(fold.market().balances().map(|(account, _)| account));
    for account in accounts.collect::<std::collections::BTreeSet<_>>() {
        let found = endpoint.view(contract, &bindings::balance_of(account), at).await?;
        differences.extend(Difference::of_amount(
            &format!("balance of {account} at the market"),
            fold.market().balance(account),
            found,
        ));
        if let (Some(auction), Some(replayed)) = (market.auction(), fold.auction()) {
            let found = endpoint.view(auction.contract(), &evm_auction::balance_of(account), at).await?;
            let what = format!("balance of {account} at the auction");
            differences.extend(Difference::of_amount(&what, replayed.balance(account), found));
        }
    }
    let burned = endpoint.view(contract, &bindings::burned(), at).await?;
    differences.extend(Difference::of_amount("burned at the market", fold.market().burned(), burned));
    if let (Some(auction), Some(replayed)) = (market.auction(), fold.auction()) {
        let found = endpoint.view(auction.contract(), &evm_auction::burned(), at).await?;
        differences.extend(Difference::of_amount("burned at the auction", replayed.burned(), found));
    }
    for (job, deal) in fold.market().deals() {
        let found = endpoint.view(contract, &bindings::deal_of(job), at).await?;
        differences.extend(Difference::of_deal(job, &deal, &found));
    }
    if !fold.market().settings().is_token() {
        let held = endpoint.money(contract, at).await?;
        // Anybody can force coins on a contract; none may lack.
        if held < fold.market().held() {
            differences.extend(Difference::of_amount("money of the market", fold.market().held(), held));
        }
    }
    Ok(differences)
}
