//! `lota blessing register` and `lota blessing unregister`.

use clap::Args;
use lota_bridge::filecoin_address;
use lota_market::{Address, AttoFil, B256, Bytes, U256, blessing::Command};
use serde::Serialize;

use super::{KeyFlags, PlaceFlags, in_asset};
use crate::{
    context::Context,
    failure::Usage,
    flags::Format,
    terminal::{self, printable},
    units::Amount,
};

/// As a provider, say to whom a granter shall grant, and what your clients get of it.
///
/// A client's share of a job is RATE × the granted amount / 10^18, rounded down, and at most --max-share. It comes out of what you have
/// set aside (lota blessing set-aside); without enough of that your jobs cannot be nominated. It holds for nominations to come.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota blessing register --granter 0xCf7E... --recipient f1abjx... --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key trading
  lota blessing register --granter 0xCf7E... --recipient 0x7099... --share-rate 100000000000000000 --max-share '0.5 FIL' --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key trading")]
pub(crate) struct Register {
    /// The granter that this is for (lota blessing show lists those that the notaries admitted)
    #[arg(long, value_name = "ADDRESS")]
    granter: Address,
    /// To whom it grants: a Filecoin address (f0, f1, f2, f3, f410) or an EVM address
    #[arg(long, value_name = "ADDRESS")]
    recipient: String,
    /// The client's share: so many of the asset's smallest unit for 10^18 of the granter's (a tenth, where both are attoFIL: 10^17)
    #[arg(long, value_name = "RATE", default_value_t = 0)]
    share_rate: u128,
    /// The most that one job costs you
    #[arg(long, value_name = "AMOUNT", default_value = "0")]
    max_share: Amount,
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    key: KeyFlags,
    #[command(flatten)]
    format: Format,
}

/// As a provider, end a registration: your jobs cannot be nominated for that granter any more.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lota blessing unregister --granter 0xCf7E... --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key trading"
)]
pub(crate) struct Unregister {
    /// The granter that grants you nothing more
    #[arg(long, value_name = "ADDRESS")]
    granter: Address,
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    key: KeyFlags,
    #[command(flatten)]
    format: Format,
}

#[derive(Serialize)]
struct Told {
    transaction: B256,
    block: u64,
    provider: Address,
    granter: Address,
    recipient: Bytes,
    share_rate: String,
    max_share: AttoFil,
}

impl Register {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let recipient = filecoin_address::parse(&self.recipient)
            .map_err(|error| Usage(format!("--recipient {} is no address: {error}", printable(&self.recipient))))?;
        if self.share_rate > 0 && self.max_share.to_string() == "0" {
            return Err(Usage("--share-rate gives clients nothing without --max-share".to_owned()).into());
        }
        let (rate, most) = (U256::from(self.share_rate), Some(&self.max_share));
        send(context, (&self.place, &self.key, self.format), self.granter, recipient, rate, most).await
    }
}

impl Unregister {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let common = (&self.place, &self.key, self.format);
        send(context, common, self.granter, Bytes::new(), U256::ZERO, None).await
    }
}

async fn send(
    context: &Context,
    (place, key, format): (&PlaceFlags, &KeyFlags, Format),
    granter: Address,
    recipient: Bytes,
    share_rate: U256,
    max_share: Option<&Amount>,
) -> anyhow::Result<()> {
    let signer = key.open(context).await?;
    let provider = signer.address();
    let blessing = place.find().await?;
    let asset = blessing.blessing().asset();
    let max_share = match max_share {
        Some(most) if most.to_string() != "0" => in_asset(most, asset)?,
        _ => AttoFil::ZERO,
    };
    let by = blessing.with_key(signer).await?;
    let command = Command::Register { granter, recipient: recipient.clone(), share_rate, max_share };
    let landed = blessing.send(&by, "once", &command).await?;
    if format.json {
        return terminal::print_json(&Told {
            transaction: landed.transaction,
            block: landed.cursor.block,
            provider,
            granter,
            recipient,
            share_rate: share_rate.to_string(),
            max_share,
        });
    }
    let to = filecoin_address::show(&recipient);
    terminal::print(&match to {
        Some(to) => format!("{provider} is registered: {granter} grants to {to}\n"),
        None => format!("{provider} is not registered for {granter} any more\n"),
    })
}
