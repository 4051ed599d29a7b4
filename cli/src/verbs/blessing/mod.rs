//! `lota blessing`.

mod ballot;
mod expire;
mod job;
mod money;
mod nominate;
mod pay;
mod register;
mod show;
mod vote;

use std::{path::PathBuf, str::FromStr};

use clap::{Args, Subcommand};
use lota_bridge::{PrivateKeySigner, evm::Network};
use lota_market::{Address, B256, U256, asset::Asset, blessing::Settings, model::JobId};

use crate::{
    chain::{ChainBlessing, Endpoint, parse_network},
    context::Context,
    failure::Usage,
    keystore::{Keystore, Password},
    terminal::{Table, printable},
    units::{ByteSize, Count, Seconds},
};

/// Nominate settled jobs, vote on them as a notary, and have their providers rewarded.
#[derive(Debug, Subcommand)]
// Each verb says itself what it does.
pub(crate) enum Blessing {
    Show(show::Show),
    Register(register::Register),
    Unregister(register::Unregister),
    Fund(money::Fund),
    SetAside(money::SetAside),
    TakeBack(money::TakeBack),
    Withdraw(money::Withdraw),
    Nominate(nominate::Nominate),
    Vote(vote::Vote),
    Relay(vote::Relay),
    Grant(expire::Grant),
    Pay(pay::Pay),
    Expire(expire::Expire),
    /// Sign a ballot on the notaries or on a granter's limits, as a file
    #[command(subcommand)]
    Ballot(ballot::Ballot),
    Decide(ballot::Decide),
}

impl Blessing {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Show(verb) => verb.run().await,
            Self::Register(verb) => verb.run(context).await,
            Self::Unregister(verb) => verb.run(context).await,
            Self::Fund(verb) => verb.run(context).await,
            Self::SetAside(verb) => verb.run(context).await,
            Self::TakeBack(verb) => verb.run(context).await,
            Self::Withdraw(verb) => verb.run(context).await,
            Self::Nominate(verb) => verb.run(context).await,
            Self::Vote(verb) => verb.run(context).await,
            Self::Relay(verb) => verb.run(context).await,
            Self::Grant(verb) => verb.run(context).await,
            Self::Pay(verb) => verb.run(context).await,
            Self::Expire(verb) => verb.run(context).await,
            Self::Ballot(verb) => verb.run(context).await,
            Self::Decide(verb) => verb.run(context).await,
        }
    }
}

/// Whose key signs.
#[derive(Debug, Args)]
pub(crate) struct KeyFlags {
    /// The key in the keystore that signs, and pays for gas
    #[arg(long, value_name = "NAME")]
    key: String,
    /// Take the key's password from the first line of this file instead of LOTA_PASSWORD or a prompt
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

impl KeyFlags {
    /// The key's name.
    pub(crate) fn name(&self) -> &str {
        &self.key
    }

    /// Opens the key.
    ///
    /// # Errors
    /// When there is none of the name, or the password is another.
    pub(crate) async fn open(&self, context: &Context) -> anyhow::Result<PrivateKeySigner> {
        let password = Password::from(self.password_file.clone()).ask(&self.key)?;
        let (keystore, name) = (Keystore::of(&context.home), self.key.clone());
        tokio::task::spawn_blocking(move || keystore.open(&name, &password)).await?
    }
}

/// Which blessing.
#[derive(Debug, Args)]
struct PlaceFlags {
    /// URL of a node's JSON-RPC: http, https, ws or wss; of several, with commas between, the first that works is asked
    #[arg(long, value_name = "URL")]
    rpc: String,
    /// filecoin, calibration, filecoin-local or development (anvil) [default: what the chain's id says]
    #[arg(long, value_name = "NAME", value_parser = parse_network)]
    network: Option<Network>,
    /// The blessing's address
    #[arg(long, value_name = "ADDRESS")]
    blessing: Address,
    /// What happened is read from this block on: that of the market's deployment, or an earlier one
    #[arg(long, value_name = "N", default_value_t = 0)]
    from_block: u64,
}

impl PlaceFlags {
    async fn find(&self) -> anyhow::Result<ChainBlessing> {
        let endpoint = Endpoint::connect(&self.rpc, self.network).await?;
        ChainBlessing::find(endpoint, self.blessing, self.from_block).await
    }
}

/// A job's id, in full.
pub(crate) fn parse_job(text: &str) -> Result<JobId, String> {
    let id: Result<B256, _> = text.parse();
    id.map(JobId).map_err(|_| "it is no job's id; write 0x and 64 hex digits (`lota job list` shows them)".to_owned())
}

/// An amount in a granter's unit, as a person writes it: a whole number, bytes of DataCap (`32 GiB`), or attoFIL (`1.5 FIL`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct GranterAmount(pub(crate) U256);

impl FromStr for GranterAmount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.trim();
        if !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return U256::from_str_radix(digits, 10).map(Self).map_err(|error| error.to_string());
        }
        if let Ok(ByteSize(bytes)) = text.parse::<ByteSize>()
            && digits.ends_with(['b', 'B'])
        {
            // What is not a whole number of bytes would be rounded.
            return exact_bytes(digits, bytes).map(Self);
        }
        // A fraction of what, is to be said: the unit of a granter need not be FIL.
        let in_coin = digits.ends_with(|last: char| last.is_alphabetic()).then(|| Asset::coin().parse(text).ok());
        in_coin.flatten().map(|amount| Self(U256::from(amount.0))).ok_or_else(|| {
            "it is no amount; write a whole number, bytes as `32 GiB`, or attoFIL as `1.5 FIL`".to_owned()
        })
    }
}

/// A size without fractions.
fn exact_bytes(text: &str, bytes: u64) -> Result<U256, String> {
    if text.contains('.') {
        return Err("bytes are written without fractions, such as `1536 MiB`".to_owned());
    }
    Ok(U256::from(bytes))
}

/// Adds a blessing's settings to a table.
pub(crate) fn settings(table: &mut Table, settings: &Settings, asset: &Asset) {
    table.row(["deposit", &asset.show(settings.deposit)]);
    table.row(["voted on for", &Seconds(settings.vote_for.into()).to_string()]);
    table.row(["revoked within", &Seconds(settings.revoke_for.into()).to_string()]);
    table.row(["granted within", &Seconds(settings.grant_for.into()).to_string()]);
    table.row(["limits are for", &Seconds(settings.limit_period.into()).to_string()]);
    table.row(["gas of a granter", &format!("{} at least", Count(settings.granter_gas.into()))]);
}

/// An amount of money in the blessing's asset.
fn in_asset(amount: &crate::units::Amount, asset: &Asset) -> Result<lota_market::AttoFil, Usage> {
    amount.in_asset(asset).map_err(|error| Usage(printable(&error.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_of_granters_are_exact() {
        let read = |text: &str| text.parse::<GranterAmount>().map(|amount| amount.0.to_string());
        assert_eq!(read("34359738368").as_deref(), Ok("34359738368"));
        assert_eq!(read("32 GiB").as_deref(), Ok("34359738368"));
        assert_eq!(read("1.5 FIL").as_deref(), Ok("1500000000000000000"));
        let most = U256::MAX.to_string();
        assert_eq!(read(&most).as_deref(), Ok(most.as_str()));
        for wrong in ["", "-1", "1.5 GiB", "1.5", "x", "1e3", &format!("{most}0")] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
