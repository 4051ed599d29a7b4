//! `lota filecoin-pay approve`, `deposit` and `withdraw`.

use anyhow::bail;
use clap::Args;
use lota_bridge::evm::{account::Landed, filecoin_pay};
use lota_market::{Address, AttoFil, B256, U256, asset::Asset};
use serde::Serialize;

use super::{Common, in_asset, status::period, told};
use crate::{
    chain::ChainPayDeals,
    context::Context,
    failure::Usage,
    terminal::{self, Table},
    units::{Amount, Seconds},
};

/// Let the contract lock money of your Filecoin Pay account for jobs that you order, up to an amount.
///
/// The amount is the most that may be locked at a time and not yet paid; what is paid is taken off it. Approving again sets it anew:
/// to 0, nothing more can be locked, and what is locked for jobs under way stays so.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota filecoin-pay approve '100 USDFC' --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --key trading
  lota filecoin-pay approve '100 USDFC' --jobs-up-to 30d --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --key trading")]
pub(crate) struct Approve {
    /// How much: `2.5 FIL`; of a token `2.5 USDFC`, or `2.5`
    amount: Amount,
    /// The longest that a job may take, from when it is taken to its last deadline; money is locked for so long and the contract's
    /// grace
    #[arg(long, value_name = "TIME", default_value = "7d")]
    jobs_up_to: Seconds,
    /// For how many blocks it may lock money, instead of what follows from --jobs-up-to
    #[arg(long, value_name = "BLOCKS", conflicts_with = "jobs_up_to")]
    period: Option<u64>,
    #[command(flatten)]
    common: Common,
}

/// Put money into an account at Filecoin Pay.
///
/// Of a token, Filecoin Pay is first allowed to take so much of it, and no more.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota filecoin-pay deposit '100 USDFC' --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --key trading
  lota filecoin-pay deposit '5 FIL' --to 0x7099... --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --key trading")]
pub(crate) struct Deposit {
    /// How much: `2.5 FIL`; of a token `2.5 USDFC`, or `2.5`
    amount: Amount,
    /// Into whose account, if not the key's own
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
    #[command(flatten)]
    common: Common,
}

/// Take money out of your account at Filecoin Pay, to the key's own address: what clients do with the rest, and providers with what they
/// were paid.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lota filecoin-pay withdraw '2.5 USDFC' --rpc http://127.0.0.1:8545 --filecoin-pay-deals 0x5FC8... --key trading"
)]
pub(crate) struct Withdraw {
    /// How much: `2.5 FIL`; of a token `2.5 USDFC`, or `2.5`
    amount: Amount,
    #[command(flatten)]
    common: Common,
}

/// What is there afterwards, in the smallest unit of `unit`.
#[derive(Serialize)]
struct Moved {
    transaction: B256,
    block: u64,
    account: Address,
    unit: Asset,
    funds: String,
    available: String,
}

#[derive(Serialize)]
struct Approved {
    transaction: B256,
    block: u64,
    account: Address,
    operator: Address,
    unit: Asset,
    allowance: String,
    used: String,
    max_lockup_period: String,
}

impl Approve {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let (deals, signer) = self.common.open(context).await?;
        let amount = in_asset(&self.amount, deals.asset())?;
        let account = signer.address();
        let before = deals.approval(account).await?;
        let period = self.period.map_or_else(|| deals.lockup_period(self.jobs_up_to.0), U256::from);
        let wanted = filecoin_pay::Approval {
            is_approved: amount > AttoFil::ZERO,
            lockup_allowance: U256::from(amount.0),
            max_lockup_period: period,
            // It asks for none.
            rate_allowance: U256::ZERO,
            ..before
        };
        let data = filecoin_pay::set_operator_approval(deals.token(), deals.contract(), &wanted);
        let progress = self.common.progress("approving the contract");
        let landed = deals.send_to_filecoin_pay(&signer, data, AttoFil::ZERO, told(&progress)).await?;
        progress.finish();
        let after = deals.approval(account).await?;
        if self.common.format.json {
            return terminal::print_json(&Approved {
                transaction: landed.transaction,
                block: landed.block,
                account,
                operator: deals.contract(),
                unit: deals.asset().clone(),
                allowance: after.lockup_allowance.to_string(),
                used: after.lockup_usage.to_string(),
                max_lockup_period: after.max_lockup_period.to_string(),
            });
        }
        let mut table = Table::pairs();
        table.row(["transaction", &landed.transaction.to_string()]);
        table.row(["account", &account.to_string()]);
        table.row(["may lock", &deals.show(after.lockup_allowance)]);
        table.row(["in use", &deals.show(after.lockup_usage)]);
        table.row(["for at most", &self::period(&deals, after.max_lockup_period)]);
        terminal::print(&table.render())
    }
}

impl Deposit {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let (deals, signer) = self.common.open(context).await?;
        let amount = some(in_asset(&self.amount, deals.asset())?, "deposited")?;
        let account = self.to.unwrap_or(signer.address());
        if account.is_zero() {
            return Err(Usage("nobody has the account of the zero address; name another with --to".to_owned()).into());
        }
        let wallet = deals.wallet(signer.address()).await?;
        if wallet < amount {
            bail!(
                "{} has {}, and {} were to be deposited; send it more, or deposit less",
                signer.address(),
                deals.asset().show(wallet),
                deals.asset().show(amount)
            );
        }
        let progress = self.common.progress("depositing");
        let value = if deals.token().is_zero() {
            amount
        } else {
            deals.allow(&signer, amount).await?;
            AttoFil::ZERO
        };
        let data = filecoin_pay::deposit(deals.token(), account, U256::from(amount.0));
        let landed = deals.send_to_filecoin_pay(&signer, data, value, told(&progress)).await?;
        progress.finish();
        moved(&deals, &self.common, account, &landed).await
    }
}

impl Withdraw {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let (deals, signer) = self.common.open(context).await?;
        let amount = some(in_asset(&self.amount, deals.asset())?, "withdrawn")?;
        let account = signer.address();
        let available = deals.account(account).await?.available;
        if available < U256::from(amount.0) {
            bail!(
                "the account of {account} has {} that are not locked, and {} were to be withdrawn (`lota filecoin-pay status` shows what is locked)",
                deals.show(available),
                deals.asset().show(amount)
            );
        }
        let data = filecoin_pay::withdraw(deals.token(), U256::from(amount.0));
        let progress = self.common.progress("withdrawing");
        let landed = deals.send_to_filecoin_pay(&signer, data, AttoFil::ZERO, told(&progress)).await?;
        progress.finish();
        moved(&deals, &self.common, account, &landed).await
    }
}

fn some(amount: AttoFil, what: &str) -> Result<AttoFil, Usage> {
    if amount == AttoFil::ZERO {
        return Err(Usage(format!("nothing would be {what}; name an amount above 0")));
    }
    Ok(amount)
}

async fn moved(deals: &ChainPayDeals, common: &Common, account: Address, landed: &Landed) -> anyhow::Result<()> {
    let found = deals.account(account).await?;
    if common.format.json {
        return terminal::print_json(&Moved {
            transaction: landed.transaction,
            block: landed.block,
            account,
            unit: deals.asset().clone(),
            funds: found.funds.to_string(),
            available: found.available.to_string(),
        });
    }
    let mut table = Table::pairs();
    table.row(["transaction", &landed.transaction.to_string()]);
    table.row(["account", &account.to_string()]);
    table.row(["funds", &deals.show(found.funds)]);
    table.row(["available", &deals.show(found.available)]);
    terminal::print(&table.render())
}
