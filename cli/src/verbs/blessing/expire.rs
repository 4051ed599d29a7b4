//! `lota blessing grant` and `lota blessing expire`.

use anyhow::bail;
use clap::Args;
use lota_bridge::{blessing::BlessingTransport as _, evm::granters};
use lota_market::{
    Address, AttoFil, B256,
    blessing::{Command, End, Event},
    model::JobId,
};
use serde::Serialize;

use super::{KeyFlags, PlaceFlags, job, parse_job};
use crate::{
    context::Context,
    flags::Format,
    terminal::{self, Table},
};

/// Have a blessed job's provider granted what was nominated, once nobody can revoke the blessing any more.
///
/// Anybody may; the client's share and the nominator's deposit become free with it. If the granter fails nothing has changed, and it can be
/// tried again until its time is over: the exit code is 1, and its error is told.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lota blessing grant 0x1f... --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key trading"
)]
pub(crate) struct Grant {
    #[command(flatten)]
    common: Common,
}

/// End a nomination that was not decided in time, or a blessing that was not granted in time; everybody gets back what they paid.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lota blessing expire 0x1f... --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key trading"
)]
pub(crate) struct Expire {
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    /// The job's id
    #[arg(value_parser = parse_job)]
    job: JobId,
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    key: KeyFlags,
    #[command(flatten)]
    format: Format,
}

#[derive(Serialize)]
struct Granted {
    job: JobId,
    transaction: B256,
    block: u64,
    provider: Address,
    granter: Address,
    /// In the granter's unit.
    amount: String,
    /// In the asset's smallest unit.
    to_client: AttoFil,
}

#[derive(Serialize)]
struct Ended {
    job: JobId,
    transaction: B256,
    block: u64,
    end: End,
}

impl Grant {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let Common { job, place, key, format } = &self.common;
        let signer = key.open(context).await?;
        let blessing = place.find().await?;
        let (nomination, _) = job::running(&blessing, *job).await?;
        let by = blessing.with_key(signer).await?;
        let landed = blessing.send(&by, "grant", &Command::Grant { nomination: nomination.into() }).await?;
        let (transaction, block) = (landed.transaction, landed.cursor.block);
        match landed.events.last() {
            Some(Event::JobGranted { provider, granter, amount, to_client, .. }) => {
                let asset = by.asset();
                if format.json {
                    return terminal::print_json(&Granted {
                        job: *job,
                        transaction,
                        block,
                        provider: *provider,
                        granter: *granter,
                        amount: amount.to_string(),
                        to_client: *to_client,
                    });
                }
                let mut table = Table::pairs();
                table.row(["granted", &format!("{amount} of {granter}")]);
                table.row(["provider", &provider.to_string()]);
                table.row(["to the client", &asset.show(*to_client)]);
                table.row(["transaction", &transaction.to_string()]);
                terminal::print(&table.render())
            }
            Some(Event::GrantFailed { why, .. }) => bail!(
                "the granter failed ({}); nothing has changed, and it can be tried again (docs/granters.md says what to do)",
                granters::error_name(*why).map_or_else(|| format!("error {why}"), str::to_owned)
            ),
            _ => bail!("the chain says nothing of a grant in transaction {transaction}"),
        }
    }
}

impl Expire {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let Common { job, place, key, format } = &self.common;
        let signer = key.open(context).await?;
        let blessing = place.find().await?;
        let (nomination, _) = job::running(&blessing, *job).await?;
        let by = blessing.with_key(signer).await?;
        let landed = blessing.send(&by, "expire", &Command::Expire { nomination: nomination.into() }).await?;
        let (transaction, block) = (landed.transaction, landed.cursor.block);
        let Some(Event::NominationEnded { end, .. }) = landed.events.last() else {
            bail!("the chain says nothing of an end in transaction {transaction}");
        };
        if format.json {
            return terminal::print_json(&Ended { job: *job, transaction, block, end: *end });
        }
        let how = match end {
            End::Lapsed => "was not granted in time",
            _ => "was not decided in time",
        };
        terminal::print(&format!("job {job} {how}: its nomination has ended, and everybody got back what they paid\n"))
    }
}
