//! `lota filecoin-pay order`.

mod terms;

use std::{io::Read as _, path::Path};

use anyhow::{Context as _, bail};
use clap::Args;
use lota_api::{JobRequest, TermsRequest};
use lota_bridge::eip712;
use lota_content::sha2_256;
use lota_market::{
    Address, AttoFil, B256, Bytes, Time,
    asset::Asset,
    filecoin_pay_deals::{self, Command},
    model::{JobId, MAX_SPEC, Status, Terms},
    spec::{self, ValidatedSpec},
};
use serde::Serialize;

use self::terms::{OrderTerms, Prices, draft, refuse_others};
use super::{Common, outcome, ready, told};
use crate::{
    api::Api,
    chain::ChainPayDeals,
    context::Context,
    failure::{ExitWith, FAILED, Usage},
    settings,
    terminal::{self, Progress},
    verbs::{
        content::upload::Keep,
        job::{document, terms::over},
        node::pace_of,
        wasm::{
            job::{Described, Given},
            key_value::Pair,
            limits::LimitFlags,
            run::Module,
            source::Source,
        },
    },
};

/// Order a job that is paid from your Filecoin Pay account. Prints the job's id, or with --wait what came of it.
///
/// A job is a JSON file as for `lota job submit` (a spec, docs/spec.md, or a request with terms), or a WebAssembly module as for
/// `lota wasm run`, with what it is given. Prices are in what the contract is paid in; collateral is in the market's asset.
///
/// Before anything is sent it is checked that providers could take the job: that the contract is approved, for enough money and long
/// enough, and that your account holds the highest price. Nothing of that is set apart for the job until a provider takes it.
///
/// Providers fetch the module and the inputs from nodes on this market that have them. Files of this machine are put into the running
/// node's store and stay there (`lota content rm` lets go of them); for a job by CIDs alone no node is needed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota filecoin-pay order job.json --max-price '0.5 USDFC' --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --key trading
  lota filecoin-pay order wc.wasm -i texts --max-price 0.5 --wait --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --key trading -- --top 10

Exit codes: 0 done; with --wait the job's own, or 1 if it came to no result; 130 interrupted (the job goes on).")]
pub(crate) struct Order {
    /// The job: a JSON file (`-`: stdin), or a WebAssembly module (a file or a CID)
    job: String,
    #[command(flatten)]
    given: Given,
    /// The module's function to call
    #[arg(long, value_name = "NAME")]
    entry_point: Option<String>,
    /// The folder whose content is the job's output, as the module sees it
    #[arg(long, value_name = "GUEST_PATH")]
    outputs: Option<String>,
    /// Label the module's job, to find it by: NAME=VALUE
    #[arg(long = "label", short, value_name = "PAIR")]
    labels: Vec<Pair>,
    #[command(flatten)]
    limits: LimitFlags,
    #[command(flatten)]
    terms: OrderTerms,
    /// Wait until the job has ended, and show what came of it
    #[arg(long, short)]
    wait: bool,
    /// Open the order although no provider could take it now
    #[arg(long)]
    anyway: bool,
    #[command(flatten)]
    common: Common,
    /// The module's arguments; put `--` before them if one of them begins with `-`
    #[arg(value_name = "ARGS", help_heading = "Arguments")]
    args: Vec<String>,
}

/// What `--json` prints of an order that was opened.
#[derive(Serialize)]
struct Opened {
    job: JobId,
    transaction: B256,
    block: u64,
    payer: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<Address>,
    contract: Address,
    /// Of prices.
    unit: Asset,
    min_price: String,
    max_price: String,
    /// In seconds.
    ramp_period: u64,
    /// Until when it can be taken, in Unix seconds.
    lock_by: Time,
    run_for: u32,
    /// In the smallest unit of the market's asset.
    collateral: AttoFil,
    /// Why no provider could take it now.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    obstacles: Vec<String>,
}

impl Order {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let named = self.read()?;
        let settings = self.limits.over(context.layers.clone()).settings()?;
        let (deals, signer) = self.common.open(context).await?;
        let market_asset = deals.market().market().asset().clone();
        let [flags, usual] = self.terms.request(&settings.job, deals.asset(), &market_asset)?;
        let of_file = named.terms();
        let wanted = over(flags, over(of_file.clone(), usual));
        refuse_others(&of_file)?;
        let prices = Prices::of(&wanted, deals.asset())?;
        let progress = self.common.progress("looking at the account");
        let payer = signer.address();
        if wanted.provider == Some(payer) {
            let problem =
                format!("{payer} is yourself, and nobody takes an order of its own; name another provider, or none");
            return Err(Usage(problem).into());
        }
        let wall = match &named {
            Named::Json(request) => validated(request)?.limits().wall,
            Named::Module(_) => settings.job.wall_time.0,
        };
        let pace = pace_of(deals.endpoint().network(), None);
        let (_, now) = deals.head().await?;
        let terms = draft(&deals, &wanted, &prices, wall, &pace, now)?;
        if let Some(fault) = terms.fault(&deals.market().settings(), deals.contract()) {
            return Err(Usage(format!("the market does not take these terms: {fault}")).into());
        }
        let need = ready::Need {
            payer,
            provider: wanted.provider,
            max_price: prices.max,
            seconds: u64::from(terms.run_for) + u64::from(terms.review_for) + u64::from(terms.rule_for),
        };
        let obstacles = ready::obstacles(&deals, &need).await?;
        if !obstacles.is_empty() && !self.anyway {
            bail!("no provider could take this job now: {}; or open it anyway with --anyway", obstacles.join("; "));
        }
        let (request, names_content) = match named {
            Named::Json(request) => {
                let names_content = validated(&request)?.cids().next().is_some();
                (*request, names_content)
            }
            Named::Module(module) => self.upload(context, &deals, &module, &settings.job, &progress).await?,
        };
        let spec = validated(&request)?;
        let bytes = Bytes::from(spec.to_dag_cbor());
        if bytes.len() > MAX_SPEC {
            bail!(
                "the job's spec has {} bytes, and {MAX_SPEC} fit into an order; put what is large into an input",
                bytes.len()
            );
        }
        // It may have taken a while.
        let (_, now) = deals.head().await?;
        let terms = Terms {
            spec: B256::from(sha2_256(&bytes)),
            salt: deals.next_salt(payer).await?,
            ..draft(&deals, &wanted, &prices, wall, &pace, now)?
        };
        let order = filecoin_pay_deals::Order {
            terms,
            payer,
            provider: wanted.provider.unwrap_or_default(),
            min_price: prices.min,
            max_price: prices.max,
        };
        let job = eip712::job_id(&deals.market().market().reference(), &order.terms);
        progress.say("opening the order");
        context
            .last_words
            .set(format!("The order may have been opened as job {job}; `lota filecoin-pay wait {job}` says so."));
        let command = Command::Open { order: order.clone(), spec: bytes, signature: Bytes::new() };
        let landed = deals.send(&signer, &command, told(&progress)).await.context("no order was opened")?;
        context.last_words.set(outcome::goes_on(job));
        let opened = Opened {
            job,
            transaction: landed.transaction,
            block: landed.block,
            payer,
            provider: wanted.provider,
            contract: deals.contract(),
            unit: deals.asset().clone(),
            min_price: prices.min.to_string(),
            max_price: prices.max.to_string(),
            ramp_period: order.terms.ramp_period,
            lock_by: order.terms.lock_by,
            run_for: order.terms.run_for,
            collateral: order.terms.collateral,
            obstacles,
        };
        if names_content {
            progress.aside(|| {
                terminal::tell("Providers fetch what the job names by CID from nodes on this market; whether one has it was not looked at (`lota content add` puts files into yours).");
            });
        }
        for obstacle in &opened.obstacles {
            progress.aside(|| terminal::tell(&format!("{} {obstacle}", terminal::bad("warning:"))));
        }
        if !self.wait {
            progress.finish();
            return if self.common.format.json {
                terminal::print_json(&opened)
            } else {
                terminal::print(&format!("{job}\n"))
            };
        }
        progress.aside(|| terminal::tell(&format!("job {job}")));
        let state = outcome::follow(&mut deals.follow_opened(job, landed.block), None, &progress).await?;
        progress.finish();
        outcome::show(&deals, &state, self.common.format)?;
        match state.view.result.as_ref().filter(|_| state.view.status == Status::Settled) {
            Some(result) if result.exit_code == 0 => Ok(()),
            // What does not fit into a process' exit code must at least not look like success.
            Some(result) => Err(ExitWith(u8::try_from(result.exit_code).unwrap_or(u8::MAX)).into()),
            None => Err(ExitWith(FAILED).into()),
        }
    }

    /// Puts what is on this machine into the node's store; the spec, and whether it names other content.
    async fn upload(
        &self,
        context: &Context,
        deals: &ChainPayDeals,
        module: &Module<'_>,
        job: &settings::Job,
        progress: &Progress,
    ) -> anyhow::Result<(JobRequest, bool)> {
        let described = Described {
            program: module,
            given: &self.given,
            outputs: self.outputs.as_deref().unwrap_or(spec::DEFAULT_OUTPUTS),
            labels: &self.labels,
            args: &self.args,
            keep: Keep::Always,
        };
        let prepared = described.prepare()?;
        let names_content = described.names_content(&prepared);
        let api = match described.needs_daemon(&prepared) {
            true => Some(node_on(context, deals).await?),
            false => None,
        };
        let request = described.request(api.as_ref(), prepared, job, TermsRequest::default(), progress).await?;
        Ok((request, names_content))
    }

    /// Reads the job, as far as that needs nothing but this machine.
    fn read(&self) -> anyhow::Result<Named<'_>> {
        if is_module(&self.job)? {
            let entry = self.entry_point.as_deref().unwrap_or(spec::DEFAULT_ENTRY);
            return Ok(Named::Module(Box::new(Module::find(&self.job, entry)?)));
        }
        let only_for_modules = [
            ("--input or --env", !self.given.is_nothing()),
            ("--entry-point", self.entry_point.is_some()),
            ("--outputs", self.outputs.is_some()),
            ("--label", !self.labels.is_empty()),
            ("a limit", self.limits.is_any()),
            ("an argument", !self.args.is_empty()),
        ];
        if let Some((what, _)) = only_for_modules.into_iter().find(|(_, is_given)| *is_given) {
            return Err(Usage(format!("{what} goes with a module; write it into the job's file {}", self.job)).into());
        }
        let file = Path::new(&self.job);
        let text = document::read(file)?;
        let document = document::parse(&text).map_err(|faults| faults.into_usage(file))?;
        Ok(Named::Json(Box::new(document.request)))
    }
}

/// A job as it was named.
enum Named<'a> {
    Json(Box<JobRequest>),
    Module(Box<Module<'a>>),
}

impl Named<'_> {
    fn terms(&self) -> TermsRequest {
        match self {
            Self::Json(request) => request.terms.clone(),
            Self::Module(_) => TermsRequest::default(),
        }
    }
}

/// Whether it is a module, and not a description: a file that begins like one, or a CID.
fn is_module(text: &str) -> anyhow::Result<bool> {
    match Source::find(text) {
        Ok(Source::Path(path)) if path.is_file() => {
            let mut start = Vec::new();
            let cannot = || format!("cannot read {}", path.display());
            std::fs::File::open(&path).and_then(|file| file.take(4).read_to_end(&mut start)).with_context(cannot)?;
            Ok(start == b"\0asm")
        }
        Ok(Source::Content(_)) => Ok(true),
        Ok(_) => Ok(false),
        Err(error) => Err(Usage(error.to_string()).into()),
    }
}

fn validated(request: &JobRequest) -> anyhow::Result<ValidatedSpec> {
    let bytes = serde_json::to_vec(&request.spec).context("the spec is not JSON")?;
    Ok(spec::parse_json(&bytes).map_err(|problems| Usage(problems.to_string()))?)
}

/// The running node, if it is on this market: others would not find there what the job needs.
async fn node_on(context: &Context, deals: &ChainPayDeals) -> anyhow::Result<Api> {
    let api = context.api().context("files of this machine are given to providers by your node")?;
    let market = api.node().await?.market;
    let (wanted, chain_id) = (deals.market().contract(), deals.endpoint().network().chain_id);
    if (market.contract, market.chain_id) != (wanted, chain_id) {
        bail!(
            "the running node is on the market {} of chain {}, and this order is for {wanted} of chain {chain_id}, whose providers would not find your files; start a node there (`lota node run --contract {wanted}`)",
            market.contract,
            market.chain_id
        );
    }
    Ok(api)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_is_told_from_a_description() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("written");
            path.to_str().expect("UTF-8").to_owned()
        };
        assert!(is_module(&file("a.wasm", b"\0asm\x01\0\0\0")).expect("read"));
        assert!(!is_module(&file("job.json", b"{}")).expect("read"));
        assert!(!is_module("-").expect("stdin"));
        assert!(is_module("bafkreigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi").expect("a CID"));
        assert!(is_module("no/such/file").expect_err("nothing").to_string().contains("no file or folder"));
    }
}
