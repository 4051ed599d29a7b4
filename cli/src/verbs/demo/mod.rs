//! `lota demo`: a whole market for some six seconds, and whether everything it shows is true.

mod accounts;
mod auction;
mod checks;
mod files;
mod material;
mod notaries;
mod output;
mod parties;
mod plan;
mod question;
mod report;
mod story;

use std::{path::PathBuf, time::Instant};

use anyhow::bail;
use clap::Args;
use futures::future::try_join_all;

use crate::{
    chain::GranterKind,
    context::Context,
    failure::{ExitWith, FAILED, Usage},
    flags::Format,
    host::{Ground, ended_by_user},
    scratch::{Purpose, Scratch},
    terminal::{self, Progress},
};
pub(crate) use files::write as write_files;
use parties::Parties;
use report::Report;

/// See jobs go from request to payment: a whole market for some six seconds.
///
/// Two people ask for jobs and three providers compete for them, in a temporary folder, on a market in this process or (with
/// --chain anvil) on a development chain with the contract, where another contract asks for a job, too, and is called back with
/// the answer. A word count, compiled from Rust to WebAssembly, runs on real texts; the outputs are published, fetched over HTTP
/// from the providers' gateways, verified and paid for. One provider is slow and loses its collateral. The demo also counts the
/// words itself, and accounts for all money. The exit code is 0 only if everything is as it should be.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota demo
  lota demo --chain mock          # nodes reach the market by a websocket
  lota demo --chain anvil         # on a real chain: needs Foundry's anvil
  lota demo --auction             # three sealed bids for one job; also with --chain anvil
  lota demo --fil-plus            # notaries bless a job on FIL+ data: needs Foundry's anvil
  lota demo --fil-plus --granter bonus
  lota demo --json | jq .money
  lota demo --files lota-demo     # only its program and its texts, to play with on a devnet")]
pub(crate) struct Demo {
    /// Only write the demo's program and texts to this folder; files that are there must be the same
    #[arg(long, value_name = "DIR", conflicts_with = "json")]
    files: Option<PathBuf>,
    /// What the market runs on [default: memory; with --fil-plus anvil]
    #[arg(long, value_name = "CHAIN", value_enum, conflicts_with = "files")]
    chain: Option<Ground>,
    /// Have the providers bid for the first job, in sealed bids
    #[arg(long, conflicts_with = "files")]
    auction: bool,
    /// Have notaries bless the first job, which reads FIL+ data: its provider gets a reward, and its client a share
    #[arg(long, conflicts_with = "files")]
    fil_plus: bool,
    /// How the notaries reward the provider
    #[arg(long, value_name = "GRANTER", value_enum, default_value_t, requires = "fil_plus")]
    granter: GranterKind,
    #[command(flatten)]
    format: Format,
}

impl Demo {
    pub(crate) async fn run(&self, _context: &Context) -> anyhow::Result<()> {
        if let Some(folder) = &self.files {
            files::write(folder)?;
            return terminal::print(&format!("{}\n", folder.display()));
        }
        let ground = match (self.chain, self.fil_plus) {
            (Some(Ground::Memory | Ground::Mock), true) => {
                return Err(Usage(
                    "notaries need a chain with contracts: say `--fil-plus --chain anvil`, or leave --chain out"
                        .to_owned(),
                )
                .into());
            }
            (ground, true) => ground.unwrap_or(Ground::Anvil),
            (ground, false) => ground.unwrap_or_default(),
        };
        let report = tokio::select! {
            report = self.play(ground) => report?,
            signal = ended_by_user() => {
                signal?;
                return Err(ExitWith(crate::failure::INTERRUPTED).into());
            }
        };
        if self.format.json {
            terminal::print_json(&report)?;
        }
        if report.ok {
            return Ok(());
        }
        if self.format.json {
            return Err(ExitWith(FAILED).into());
        }
        let failed: Vec<&str> =
            report.checks.iter().filter(|check| !check.ok).map(|check| check.what.as_str()).collect();
        bail!("the demo is not as it should be: {}", failed.join("; "));
    }

    async fn play(&self, ground: Ground) -> anyhow::Result<Report> {
        let begun = Instant::now();
        let progress = Progress::start(self.format.json);
        let tell = |text: String| {
            if self.format.json { Ok(()) } else { progress.aside(|| terminal::print(&text)) }
        };
        progress.say("starting a market, two clients and three providers");
        let scratch = Scratch::new(Purpose::Demo)?;
        let parties =
            Parties::start(ground, self.auction, self.fil_plus.then_some(self.granter), scratch.path()).await?;
        let before = parties.wealth().await?;
        tell(story::parties(&parties, &before))?;

        progress.say("sending the program and the texts to the clients' block stores");
        let mut orders = plan::orders(&parties, self.auction, self.fil_plus, scratch.path(), &progress).await?;
        if let (Some(asker), Some(like)) = (&parties.asker, orders.get(1)) {
            progress.say("deploying a contract, and asking it");
            let order = question::order(&parties, asker, like).await?;
            orders.push(order);
        }
        tell(story::requests(&orders))?;

        progress.say("the jobs are on the market");
        let jobs = try_join_all(orders.iter().map(|order| plan::see_through(&parties, order, &progress))).await?;
        tell(story::jobs(&parties, &jobs))?;

        if self.auction {
            tell(auction::told(&parties, &jobs))?;
            progress.say("the bidders take their money back");
            auction::until_taken_back(&parties).await?;
        }

        let blessed = match (&parties.notaries, orders.first(), jobs.first()) {
            (Some(notaries), Some(order), Some(job)) => {
                let blessed = notaries.bless(&parties, order, job, scratch.path(), &progress).await?;
                tell(blessed.told(&parties))?;
                Some(blessed)
            }
            _ => None,
        };

        progress.say("fetching the outputs from the providers' gateways");
        let mut outputs = Vec::new();
        for job in &jobs {
            outputs.push(output::fetch(job, scratch.path()).await?);
        }
        let asked = match &parties.asker {
            Some(asker) => Some(question::asked(asker, &jobs).await?),
            None => None,
        };
        let after = parties.wealth().await?;
        let extras = blessed.as_ref().map(notaries::Blessed::extras).unwrap_or_default();
        let burned_beside = blessed.as_ref().map(notaries::Blessed::burned).unwrap_or_default();
        let money = accounts::account(&parties, &jobs, &extras, burned_beside, &before, &after).await?;
        let mut checks = checks::all(&jobs, &outputs, asked.as_ref(), &money);
        if self.auction {
            checks.extend(auction::check(&jobs)?);
        }
        checks.extend(blessed.iter().flat_map(notaries::Blessed::checks));
        tell(story::outputs(&jobs, &outputs, asked.as_ref()))?;
        tell(story::money(&money))?;
        let report = Report { blessed, ..Report::new(&parties, jobs, outputs, asked, money, checks, begun.elapsed()) };
        tell(story::end(&report))?;
        progress.say("ending");
        parties.end().await?;
        Ok(report)
    }
}
