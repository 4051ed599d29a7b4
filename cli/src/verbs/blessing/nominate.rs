//! `lota blessing nominate`.

use anyhow::bail;
use clap::Args;
use lota_bridge::blessing::{BlessingSubmitError, BlessingTransport as _};
use lota_content::piece::PieceCid;
use lota_market::{
    Address, AttoFil, B256,
    blessing::{Command, Event, Rejection, Request},
    model::{self, JobId},
};
use serde::Serialize;

use super::{GranterAmount, KeyFlags, PlaceFlags, in_asset, job, parse_job};
use crate::{
    context::Context,
    failure::Usage,
    flags::Format,
    terminal::{self, Table},
    units::{Amount, ByteSize},
};

/// Nominate a settled job: notaries then vote on whether its provider is granted what you name.
///
/// The job must have been opened with --bless, and its provider must be registered for the granter. Its terms and its result are read from
/// the market's log. A deposit is taken from your account in the blessing; it is burned if the notaries refuse, and comes back otherwise.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota blessing nominate 0x1f... --granter 0xCf7E... --amount '32 GiB' --piece bafkzcib... --fund --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key trading
  lota blessing nominate 0x1f... --granter 0xCf7E... --amount '0.5 FIL' --piece baga6ea4sea... --piece-size '1 GiB' --bounty '0.1 FIL' --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key trading")]
pub(crate) struct Nominate {
    /// The job's id
    #[arg(value_parser = parse_job)]
    job: JobId,
    /// Who shall grant
    #[arg(long, value_name = "ADDRESS")]
    granter: Address,
    /// How much, in the granter's unit: a whole number, bytes of DataCap as `32 GiB`, or attoFIL as `1.5 FIL`
    #[arg(long, value_name = "AMOUNT")]
    amount: GranterAmount,
    /// Piece CID of the piece that holds the job's output or input (`lota content piece`)
    #[arg(long, value_name = "CID")]
    piece: PieceCid,
    /// The piece's padded size: a power of two [default: what a piece CID of version 2 says]
    #[arg(long, value_name = "SIZE")]
    piece_size: Option<ByteSize>,
    /// What you add to the client's share
    #[arg(long, value_name = "AMOUNT")]
    bounty: Option<Amount>,
    /// The least share for the client; the nomination is refused if the provider has lowered it before [default: what the provider
    /// has registered now]
    #[arg(long, value_name = "AMOUNT")]
    min_share: Option<Amount>,
    /// First bring what deposit and bounty need, and your account in the blessing does not have
    #[arg(long)]
    fund: bool,
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    key: KeyFlags,
    #[command(flatten)]
    format: Format,
}

#[derive(Serialize)]
struct Told {
    job: JobId,
    round: u32,
    transaction: B256,
    block: u64,
    provider: Address,
    client: Address,
    /// In the granter's unit.
    amount: String,
    /// In the asset's smallest unit, as all that follows.
    share: AttoFil,
    bounty: AttoFil,
    deposit: AttoFil,
    /// In Unix seconds.
    expires: u64,
}

impl Nominate {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let piece_size = self.piece_size()?;
        let signer = self.key.open(context).await?;
        let blessing = self.place.find().await?;
        let asset = blessing.blessing().asset();
        let bounty = self.bounty.as_ref().map_or(Ok(AttoFil::ZERO), |bounty| in_asset(bounty, asset))?;
        let (terms, receipt) = job::settled(&blessing, self.job).await?;
        let by = blessing.with_key(signer).await?;
        let deposit = blessing.blessing().settings().deposit;
        let min_share = match &self.min_share {
            Some(least) => in_asset(least, asset)?,
            None => by.registration(receipt.provider, self.granter).await?.share(self.amount.0),
        };
        let request = Request {
            granter: self.granter,
            amount: self.amount.0,
            piece: B256::from(self.piece.root().as_bytes()),
            piece_size,
            bounty,
            min_share,
        };
        let command = Command::Nominate { terms: terms.into(), receipt: receipt.into(), request };
        // What else stands against it is said before any money is brought.
        match by.try_out(by.party(), &command).await {
            Ok(()) => {}
            Err(BlessingSubmitError::Rejected(Rejection::Market(model::Rejection::InsufficientBalance {
                balance,
                needed,
                ..
            }))) if self.fund => {
                // It was told as too little.
                blessing.fund(&by, needed.checked_sub(balance).unwrap_or(needed)).await?;
            }
            Err(BlessingSubmitError::Rejected(Rejection::Market(model::Rejection::InsufficientBalance {
                balance,
                needed,
                ..
            }))) => bail!(
                "{} has {} in the blessing, and deposit and bounty need {}; bring it with --fund, or with `lota blessing fund`",
                by.party(),
                asset.show(balance),
                asset.show(needed)
            ),
            Err(error) => return Err(blessing.refusal(error)),
        }
        let landed = blessing.send(&by, "nominate", &command).await?;
        let Some(Event::JobNominated { nomination, .. }) = landed.events.first() else {
            bail!("the chain says nothing of a nomination in transaction {}", landed.transaction);
        };
        let told = Told {
            job: self.job,
            round: nomination.round,
            transaction: landed.transaction,
            block: landed.cursor.block,
            provider: nomination.provider,
            client: nomination.client,
            amount: nomination.amount.to_string(),
            share: nomination.share,
            bounty,
            deposit,
            expires: nomination.expires.0,
        };
        if self.format.json {
            return terminal::print_json(&told);
        }
        let mut table = Table::pairs();
        table.row(["nominated", &format!("{} (round {})", told.job, told.round)]);
        table.row(["transaction", &told.transaction.to_string()]);
        table.row(["provider", &told.provider.to_string()]);
        table.row(["to the client", &asset.show(nomination.to_client())]);
        table.row(["deposit", &asset.show(deposit)]);
        table.row(["voted on until", &super::show::moment(nomination.expires)]);
        terminal::print(&table.render())
    }

    fn piece_size(&self) -> Result<u64, Usage> {
        let said = match self.piece {
            PieceCid::V1(_) => None,
            PieceCid::V2(piece) => Some(piece.padded_size()),
        };
        match (said, self.piece_size.map(|size| size.0)) {
            (Some(said), Some(named)) if said != named => {
                Err(Usage(format!("--piece-size is {named} bytes, and the piece CID says {said}; leave it out")))
            }
            (Some(size), _) | (None, Some(size)) => Ok(size),
            (None, None) => Err(Usage(
                "a piece CID of version 1 does not say the piece's size; name it with --piece-size, or name the CID of version 2"
                    .to_owned(),
            )),
        }
    }
}
