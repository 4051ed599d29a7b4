//! `lota notary`.

mod running;
mod serve;
mod service;
mod verify;

use anyhow::Context as _;
use clap::Subcommand;
use lota_bridge::blessing::BlessingTransport as _;
use lota_market::{AttoFil, Bytes, U256, agent::EffectKey, blessing::Command, money::FIL};

pub(crate) use running::RunningNotary;

use crate::{
    chain::{BONUS, DevelopmentBlessing, GranterKind},
    context::Context,
    host::Account,
    settings,
    units::{Count, Seconds},
};

/// A notary's service: what it knows of settled jobs, nominations, votes and grants; and what it hands out.
#[derive(Debug, Subcommand)]
// Each verb says itself what it does.
pub(crate) enum Notary {
    Serve(serve::Serve),
    Verify(verify::Verify),
}

impl Notary {
    pub(crate) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::Serve(verb) => verb.run(context).await,
            Self::Verify(verb) => verb.run(),
        }
    }
}

/// The settings of a service for a blessing on a development chain: it nominates every job for [`BONUS`], has it paid at once, and asks this registry.
pub(crate) fn on_development_chain(blessing: &DevelopmentBlessing, registry: &str) -> settings::Notary {
    let granter = blessing.granter.to_string();
    let name = match blessing.kind() {
        GranterKind::FilecoinPay => "Filecoin Pay",
        GranterKind::Bonus => "bonus",
    };
    settings::Notary {
        blessing: Some(blessing.blessing.blessing().contract().to_string()),
        from_block: Count(blessing.first_block),
        registry: Some(registry.to_owned()),
        granters: Some(format!("{granter}={name}/FIL/18")),
        granter: Some(granter),
        amount: Some(BONUS.0.to_string()),
        pay_after: Seconds(0),
        ..settings::Notary::default()
    }
}

/// What a provider of play money gives its client of what it is granted: a tenth, at most 0.1 FIL for a job.
const SHARE_RATE: u128 = FIL / 10;
const MAX_SHARE: AttoFil = AttoFil(FIL / 10);
/// What it sets aside for that.
const SET_ASIDE: AttoFil = AttoFil(FIL / 5);

/// Has a provider say where it is granted to, and set money aside for its clients' shares; once, however often this is called.
///
/// # Errors
/// When the chain refuses, or the provider is on none.
pub(crate) async fn register_on_development_chain(
    blessing: &DevelopmentBlessing,
    provider: &Account,
) -> anyhow::Result<()> {
    let contract = blessing.blessing.blessing();
    let transport = provider.at_blessing(contract).context("a provider without a chain")?;
    let quantum = blessing.blessing.market().settings().quantum;
    let in_asset = |amount| contract.asset().scaled(amount, quantum);
    transport.fund(&EffectKey::named("blessing/fund"), in_asset(SET_ASIDE)).await?;
    for (key, command) in [
        ("blessing/set-aside", Command::SetAside { amount: in_asset(SET_ASIDE) }),
        (
            "blessing/register",
            Command::Register {
                granter: blessing.granter,
                recipient: Bytes::copy_from_slice(provider.address().as_slice()),
                // Of an amount in the chain's coin, in the market's asset.
                share_rate: U256::from(in_asset(AttoFil(SHARE_RATE)).0),
                max_share: in_asset(MAX_SHARE),
            },
        ),
    ] {
        transport.submit(&EffectKey::named(key), &command, AttoFil::ZERO).await?;
    }
    Ok(())
}
