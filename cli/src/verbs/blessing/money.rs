//! `lota blessing fund`, `set-aside`, `take-back` and `withdraw`.

use clap::Args;
use lota_bridge::blessing::BlessingTransport as _;
use lota_market::{Address, AttoFil, B256, blessing::Command};
use serde::Serialize;

use super::{KeyFlags, PlaceFlags, in_asset};
use crate::{
    chain::ChainBlessing,
    context::Context,
    flags::Format,
    terminal::{self, Table},
    units::Amount,
};

/// Credit money to the key's account in a blessing: what deposits, bounties and clients' shares are taken from.
///
/// Where the market is paid in a token, the blessing is first allowed to take so much of it, and no more.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lota blessing fund '2 FIL' --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key trading"
)]
pub(crate) struct Fund {
    /// How much: `2.5 FIL`; in the market of a token `2.5 USD`, or `2.5`
    amount: Amount,
    #[command(flatten)]
    common: Common,
}

/// As a provider, set money of the account aside: clients' shares of granted jobs come out of it.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lota blessing set-aside '1 FIL' --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key trading"
)]
pub(crate) struct SetAside {
    /// How much: `2.5 FIL`; in the market of a token `2.5 USD`, or `2.5`
    amount: Amount,
    #[command(flatten)]
    common: Common,
}

/// Take what was set aside back into the account.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lota blessing take-back '1 FIL' --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key trading"
)]
pub(crate) struct TakeBack {
    /// How much: `2.5 FIL`; in the market of a token `2.5 USD`, or `2.5`
    amount: Amount,
    #[command(flatten)]
    common: Common,
}

/// Pay money of the account out.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota blessing withdraw '1 FIL' --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key trading
  lota blessing withdraw '1 FIL' --to 0x5290... --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key trading")]
pub(crate) struct Withdraw {
    /// How much: `2.5 FIL`; in the market of a token `2.5 USD`, or `2.5`
    amount: Amount,
    /// To whom, if not to the key's own address
    #[arg(long, value_name = "ADDRESS")]
    to: Option<Address>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, Args)]
struct Common {
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    key: KeyFlags,
    #[command(flatten)]
    format: Format,
}

/// What is there afterwards.
#[derive(Serialize)]
struct Told {
    transaction: B256,
    block: u64,
    account: Address,
    /// Free, in the asset's smallest unit.
    balance: AttoFil,
    set_aside: AttoFil,
}

impl Common {
    async fn send(
        &self,
        context: &Context,
        amount: &Amount,
        command: impl FnOnce(AttoFil, Address) -> Option<Command>,
    ) -> anyhow::Result<()> {
        let signer = self.key.open(context).await?;
        let blessing: ChainBlessing = self.place.find().await?;
        let asset = blessing.blessing().asset();
        let amount = in_asset(amount, asset)?;
        let by = blessing.with_key(signer).await?;
        let landed = match command(amount, by.party()) {
            Some(command) => blessing.send(&by, "once", &command).await?,
            None => blessing.fund(&by, amount).await?,
        };
        let account = by.party();
        let told = Told {
            transaction: landed.transaction,
            block: landed.cursor.block,
            account,
            balance: by.balance(account).await?,
            set_aside: by.pool(account).await?,
        };
        if self.format.json {
            return terminal::print_json(&told);
        }
        let mut table = Table::pairs();
        table.row(["transaction", &told.transaction.to_string()]);
        table.row(["account", &account.to_string()]);
        table.row(["free", &asset.show(told.balance)]);
        table.row(["set aside", &asset.show(told.set_aside)]);
        terminal::print(&table.render())
    }
}

impl Fund {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        self.common.send(context, &self.amount, |_, _| None).await
    }
}

impl SetAside {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        self.common.send(context, &self.amount, |amount, _| Some(Command::SetAside { amount })).await
    }
}

impl TakeBack {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        self.common.send(context, &self.amount, |amount, _| Some(Command::TakeBack { amount })).await
    }
}

impl Withdraw {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let command = |amount, me| Some(Command::Withdraw { to: self.to.unwrap_or(me), amount });
        self.common.send(context, &self.amount, command).await
    }
}
