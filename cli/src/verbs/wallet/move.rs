//! `lota wallet deposit` and `lota wallet withdraw`.

use clap::Args;
use lota_api::MoveMoney;
use lota_market::Address;

use super::show::balances;
use crate::{context::Context, failure::Usage, flags::Format, terminal, units::Amount};

/// Move money of the daemon's account into the market.
///
/// In the market of a token it first allows the market to take so much of it, and no more.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota wallet deposit '2.5 FIL'")]
pub(crate) struct Deposit {
    /// How much: `2.5 FIL`, `20 gwei`, `7 attoFIL`; in the market of a token `2.5 USD`, or `2.5`
    amount: Amount,
    #[command(flatten)]
    format: Format,
}

/// Move money out of the market.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota wallet withdraw '1 FIL' --to 0x52908400098527886E0F7030069857D2E4169EE7")]
pub(crate) struct Withdraw {
    /// How much: `2.5 FIL`, `20 gwei`, `7 attoFIL`; in the market of a token `2.5 USD`, or `2.5`
    amount: Amount,
    /// To whom, if not to the account itself
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
    #[command(flatten)]
    format: Format,
}

impl Deposit {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let api = context.api()?;
        let asset = api.asset().await?;
        let amount = self.amount.in_asset(&asset).map_err(|error| Usage(error.to_string()))?;
        let wallet = api.deposit(&MoveMoney { amount, to: None }).await?;
        if self.format.json { terminal::print_json(&wallet) } else { terminal::print(&balances(&wallet, &asset)) }
    }
}

impl Withdraw {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let api = context.api()?;
        let asset = api.asset().await?;
        let amount = self.amount.in_asset(&asset).map_err(|error| Usage(error.to_string()))?;
        let wallet = api.withdraw(&MoveMoney { amount, to: self.to }).await?;
        if self.format.json { terminal::print_json(&wallet) } else { terminal::print(&balances(&wallet, &asset)) }
    }
}
