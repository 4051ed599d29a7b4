//! What a review finds out elsewhere than in the market's record.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use lota_content::fetch::{FetchOptions, Fetcher};
use lota_notary::{
    elsewhere::{
        Sources as _,
        network::NetworkSources,
        outputs::{OutputLimits, Outputs},
        re_execution::{ReExecutionLimits, ReExecutor},
        registry::Registry,
    },
    gather::{self, Elsewhere},
    history::{History, Kept},
};
use reqwest::Url;

use crate::{
    failure::Usage,
    host::{Engines, RunAgain},
    scratch::Scratch,
    terminal::{Progress, printable},
};

/// What is asked of others.
#[derive(Debug, Args)]
pub(super) struct ElsewhereFlags {
    /// URL of a registry that is asked about what the job reads
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Fetch the job's output from its provider and its client, and check it
    #[arg(long, requires = "job")]
    fetch: bool,
    /// Run the job again, if it is a WASM job, and compare
    #[arg(long, requires = "job")]
    run_again: bool,
    /// Gateways that are asked beside those of the parties: URLs, commas between
    #[arg(long, value_name = "URLS", value_delimiter = ',', requires = "job")]
    gateways: Vec<String>,
}

impl ElsewhereFlags {
    /// Asks the registry, and does the rest if it was asked for. Parties may have private addresses if `is_here`: their market is on
    /// this machine.
    pub(super) async fn gather(
        &self,
        history: &History,
        kept: &Kept,
        scratch: &Scratch,
        is_here: bool,
        progress: &Progress,
    ) -> anyhow::Result<Elsewhere> {
        let spec = gather::spec_of(kept);
        let mut elsewhere = Elsewhere { inputs: spec.as_ref().map(gather::inputs_of), ..Elsewhere::default() };
        let sources = self.sources(history, scratch, is_here).await?;
        if sources.registry.is_some()
            && let Some(inputs) = elsewhere.inputs.take()
        {
            progress.say("asking the registry about what the job reads");
            let inputs = sources.inputs(inputs).await;
            // Of a person who named it by hand, it is a mistake or an outage to know of, and no fact about the job.
            let is_down = |because: &String| because.starts_with("the registry at ");
            let down = inputs.iter().filter(|input| input.certainty.is_none());
            if let Some(why) = down.flat_map(|input| &input.because).find(|because| is_down(because)) {
                bail!("{}", printable(why));
            }
            elsewhere.inputs = Some(inputs);
        }
        if self.fetch {
            progress.say("fetching the output");
            (elsewhere.retrieval, _) = sources.retrieval(&kept.job).await;
        }
        if self.run_again
            && let Some(spec) = &spec
        {
            progress.say("running the job again");
            elsewhere.re_execution = sources.re_execution(kept, spec).await;
        }
        Ok(elsewhere)
    }

    async fn sources(&self, history: &History, scratch: &Scratch, is_here: bool) -> anyhow::Result<NetworkSources> {
        let registry = self.server.as_deref().map(Registry::at).transpose();
        let registry = registry.map_err(|error| Usage(format!("--server: {error}")))?;
        let mut sources = NetworkSources { registry, ..NetworkSources::default() };
        if !self.fetch && !self.run_again {
            return Ok(sources);
        }
        let fetcher = self.fetcher(is_here)?;
        let parties = Arc::new(history.clone());
        if self.fetch {
            let folder = scratch.join("outputs");
            let outputs = Outputs::open(folder, fetcher.clone(), parties.clone(), OutputLimits::default()).await;
            sources.outputs = Some(outputs.context("the folder for outputs cannot be used")?);
        }
        if self.run_again {
            let engines = Engines::start(&scratch.join("modules"))?;
            let engine = RunAgain::new(&engines, 1).context("this program runs no WASM jobs")?;
            let limits = ReExecutionLimits::default();
            let again = ReExecutor::new(Arc::new(engine), fetcher, parties, scratch.join("again"), limits);
            sources.re_executor = Some(again.context("the folder for running jobs again cannot be used")?);
        }
        Ok(sources)
    }

    fn fetcher(&self, is_here: bool) -> anyhow::Result<Fetcher> {
        let parse = |text: &String| {
            let text = text.trim();
            text.parse::<Url>().map_err(|error| Usage(format!("--gateways: `{}` is no URL: {error}", printable(text))))
        };
        let gateways = self.gateways.iter().map(parse).collect::<Result<_, _>>()?;
        let options =
            FetchOptions { gateways, allow_private_addresses: is_here, allow_http: is_here, ..FetchOptions::default() };
        Ok(Fetcher::new(options)?)
    }
}
