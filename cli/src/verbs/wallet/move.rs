//! `lota wallet deposit` and `lota wallet withdraw`.

use clap::Args;
use lota_api::MoveMoney;
use lota_market::{Address, AttoFil};

use super::show::balances;
use crate::{context::Context, flags::Format, terminal};

/// Move money of the daemon's account into the market.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota wallet deposit '2.5 FIL'")]
pub(crate) struct Deposit {
    /// How much: `2.5 FIL`, `20 gwei`, `7 attoFIL`
    amount: AttoFil,
    #[command(flatten)]
    format: Format,
}

/// Move money out of the market.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  lota wallet withdraw '1 FIL' --to 0x52908400098527886E0F7030069857D2E4169EE7")]
pub(crate) struct Withdraw {
    /// How much: `2.5 FIL`, `20 gwei`, `7 attoFIL`
    amount: AttoFil,
    /// To whom, if not to the account itself
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
    #[command(flatten)]
    format: Format,
}

impl Deposit {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let wallet = context.api()?.deposit(&MoveMoney { amount: self.amount, to: None }).await?;
        if self.format.json { terminal::print_json(&wallet) } else { terminal::print(&balances(&wallet)) }
    }
}

impl Withdraw {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let wallet = context.api()?.withdraw(&MoveMoney { amount: self.amount, to: self.to }).await?;
        if self.format.json { terminal::print_json(&wallet) } else { terminal::print(&balances(&wallet)) }
    }
}
