//! `lota filecoin-pay cancel`, `revoke`, `expire` and `claim`.

use anyhow::bail;
use clap::Args;
use lota_bridge::evm::{account::Landed, filecoin_pay_deals};
use lota_market::{
    Address, AttoFil, B256,
    filecoin_pay_deals::Command,
    model::{JobId, Status},
};
use serde::Serialize;

use super::{Common, parse_job, told};
use crate::{
    context::Context,
    flags::Format,
    terminal::{self, short_id},
};

/// Take an order back that no provider has taken.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lota filecoin-pay cancel 0x1f... --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --key trading"
)]
pub(crate) struct Cancel {
    /// The job's id
    #[arg(value_parser = parse_job)]
    job: JobId,
    #[command(flatten)]
    common: Common,
}

/// Make orders that you signed and that nobody has opened unusable: all with numbers below one.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lota filecoin-pay revoke 12 --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --key trading"
)]
pub(crate) struct Revoke {
    /// The lowest number of a salt that stays usable
    up_to: u64,
    #[command(flatten)]
    common: Common,
}

/// End a job whose time is over: one that nobody took, or whose provider gave no result; then the provider loses its collateral, half of
/// it to you. Anybody may.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lota filecoin-pay expire 0x1f... --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --key trading"
)]
pub(crate) struct Expire {
    /// The job's id
    #[arg(value_parser = parse_job)]
    job: JobId,
    #[command(flatten)]
    common: Common,
}

/// Get what you are owed of the collateral of providers that were slashed, in what the market is paid in.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota filecoin-pay claim --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --key trading
  lota filecoin-pay claim --to 0x5290... --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --key trading")]
pub(crate) struct Claim {
    /// To whom, if not to the key's own address
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
    #[command(flatten)]
    common: Common,
}

#[derive(Serialize)]
struct Told {
    transaction: B256,
    block: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<JobId>,
    /// In the smallest unit of the market's asset.
    #[serde(skip_serializing_if = "Option::is_none")]
    amount: Option<AttoFil>,
}

fn tell(
    landed: &Landed,
    job: Option<JobId>,
    amount: Option<AttoFil>,
    format: Format,
    words: &str,
) -> anyhow::Result<()> {
    if format.json {
        return terminal::print_json(&Told { transaction: landed.transaction, block: landed.block, job, amount });
    }
    terminal::print(&format!("{words}\n"))
}

impl Cancel {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let (deals, signer) = self.common.open(context).await?;
        let progress = self.common.progress("taking the order back");
        let (state, _) = deals.order(self.job).await?;
        if state.order.payer != signer.address() {
            bail!("{} ordered job {}, and only it may take it back", state.order.payer, self.job);
        }
        match state.view.status {
            Status::Open => {}
            status if status.is_final() => bail!("job {} has ended ({})", self.job, terminal::status_name(status)),
            _ => bail!(
                "{} has taken job {}, so it cannot be taken back any more; wait for it with `lota filecoin-pay wait`",
                state.view.provider,
                self.job
            ),
        }
        let landed = deals.send(&signer, &Command::Cancel { order: state.order }, told(&progress)).await?;
        progress.finish();
        let words = format!("{} taken back; it cost nothing but gas", self.job);
        tell(&landed, Some(self.job), None, self.common.format, &words)
    }
}

impl Revoke {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let (deals, signer) = self.common.open(context).await?;
        let progress = self.common.progress("revoking");
        let landed = deals.send(&signer, &Command::Revoke { up_to: self.up_to }, told(&progress)).await?;
        progress.finish();
        let words = format!("orders of {} with numbers below {} can be opened by nobody", signer.address(), self.up_to);
        tell(&landed, None, None, self.common.format, &words)
    }
}

impl Expire {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let (deals, signer) = self.common.open(context).await?;
        let progress = self.common.progress("ending the job");
        let (state, head) = deals.order(self.job).await?;
        let what = match state.view.status {
            Status::Open => "can be taken",
            Status::Locked => "can get its result",
            status if status.is_final() => bail!("job {} has ended ({})", self.job, terminal::status_name(status)),
            _ => bail!("job {} has a result, which is the arbiter's to judge", self.job),
        };
        if let Some(deadline) = state.view.deadline().filter(|deadline| head.time <= *deadline) {
            bail!("job {} {what} for {} s more; try again then", self.job, deadline.since(head.time) + 1);
        }
        let landed = deals.expire(&signer, &state.order, told(&progress)).await?;
        progress.finish();
        let words = match state.view.status {
            Status::Open => format!("{} ended: no provider took it in time", self.job),
            _ => format!(
                "{} ended: its provider {} lost its collateral; half of it is the payer's (lota filecoin-pay claim)",
                short_id(self.job),
                state.view.provider
            ),
        };
        tell(&landed, Some(self.job), None, self.common.format, &words)
    }
}

impl Claim {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let (deals, signer) = self.common.open(context).await?;
        let owed = deals.view(&filecoin_pay_deals::owed(signer.address())).await?;
        if owed == AttoFil::ZERO {
            bail!("{} is owed nothing there", signer.address());
        }
        let to = self.to.unwrap_or(signer.address());
        let progress = self.common.progress("claiming what is owed");
        let landed = deals.send(&signer, &Command::Withdraw { to }, told(&progress)).await?;
        progress.finish();
        let words = format!("{} to {to}", deals.market().market().asset().show(owed));
        tell(&landed, None, Some(owed), self.common.format, &words)
    }
}
