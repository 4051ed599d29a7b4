//! `lota blessing ballot` and `lota blessing decide`.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use lota_bridge::blessing::BlessingTransport as _;
use lota_market::{
    Address, B256, Time,
    blessing::{Event, Limits, Notaries},
};
use serde::Serialize;

use super::{GranterAmount, KeyFlags, PlaceFlags, show::moment, vote::read};
use crate::{
    chain::{Change, SignedBallot},
    context::Context,
    failure::Usage,
    flags::Format,
    terminal::{self, Table},
    units::Seconds,
};

/// Sign a ballot on the notaries or on a granter's limits, as a file.
#[derive(Debug, Subcommand)]
pub(crate) enum Ballot {
    SetGranter(SetGranter),
    SetNotaries(SetNotaries),
    Like(Like),
}

/// As a notary, sign that a granter is admitted with limits, that its limits change, or (all 0) that it is sent away.
///
/// Prints the signed ballot as JSON. Nothing is sent: collect those of a quorum, and send them with lota blessing decide.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota blessing ballot set-granter --granter 0xCf7E... --per-job '32 GiB' --per-provider '320 GiB' --per-period '1 TiB' --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key notary > one.json
  lota blessing ballot like one.json --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key other > other.json
  lota blessing decide one.json other.json --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key trading")]
pub(crate) struct SetGranter {
    /// The granter whose limits these shall be; zeros shut it out
    #[arg(long, value_name = "ADDRESS")]
    granter: Address,
    /// The most for a job, in the granter's unit: a whole number, bytes as `32 GiB`, or attoFIL as `1.5 FIL`
    #[arg(long, value_name = "AMOUNT")]
    per_job: GranterAmount,
    /// The most to a provider in a period
    #[arg(long, value_name = "AMOUNT")]
    per_provider: GranterAmount,
    /// The most to all in a period
    #[arg(long, value_name = "AMOUNT")]
    per_period: GranterAmount,
    #[command(flatten)]
    common: Common,
}

/// As a notary, sign that there shall be other notaries, or another quorum.
///
/// Prints the signed ballot as JSON. Nothing is sent: collect those of a quorum, and send them with lota blessing decide.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lota blessing ballot set-notaries --notaries 0x7099...,0x3C44... --quorum 2 --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key notary > one.json"
)]
pub(crate) struct SetNotaries {
    /// The new notaries, with commas between; at most 32
    #[arg(long, value_name = "ADDRESSES", value_delimiter = ',', required = true)]
    notaries: Vec<Address>,
    /// How many of them decide
    #[arg(long, value_name = "K")]
    quorum: u32,
    #[command(flatten)]
    common: Common,
}

/// As a notary, sign what another notary's ballot says, after it was shown.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lota blessing ballot like one.json --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key other > other.json"
)]
pub(crate) struct Like {
    /// The other's ballot
    file: PathBuf,
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    key: KeyFlags,
}

/// Send a quorum's ballots, by which the notaries or a granter's limits are changed. Anybody may.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  lota blessing decide one.json other.json --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --key trading"
)]
pub(crate) struct Decide {
    /// The ballots
    #[arg(required = true, num_args = 1..=32)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    key: KeyFlags,
    #[command(flatten)]
    format: Format,
}

#[derive(Debug, Args)]
struct Common {
    /// For how long the ballot may be sent, from the chain's newest block on
    #[arg(long, value_name = "TIME", default_value = "7d")]
    valid_for: Seconds,
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    key: KeyFlags,
}

#[derive(Serialize)]
struct Told<'a> {
    transaction: B256,
    block: u64,
    decision: u64,
    change: &'a Change,
    /// Of the set of notaries.
    version: u32,
}

impl Ballot {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        match self {
            Self::SetGranter(verb) => verb.run(context).await,
            Self::SetNotaries(verb) => verb.run(context).await,
            Self::Like(verb) => verb.run(context).await,
        }
    }
}

impl SetGranter {
    async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let Self { granter, per_job, per_provider, per_period, .. } = self;
        let limits = Limits { per_job: per_job.0, per_provider: per_provider.0, per_period: per_period.0 };
        check_limits(&limits)?;
        let (place, key) = (&self.common.place, &self.common.key);
        let when = When::In(self.common.valid_for);
        sign(context, place, key, when, Change::SetGranter { granter: *granter, limits }).await
    }
}

impl SetNotaries {
    async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let (notaries, quorum) = (self.notaries.clone(), self.quorum);
        if let Some(fault) = Notaries::fault(&notaries, quorum) {
            return Err(Usage(format!("these notaries cannot be: {fault}")).into());
        }
        let (place, key) = (&self.common.place, &self.common.key);
        let when = When::In(self.common.valid_for);
        sign(context, place, key, when, Change::SetNotaries { notaries, quorum }).await
    }
}

impl Like {
    async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let other = open(&self.file)?;
        terminal::tell(&words(&other));
        let when = When::As(Box::new(other.clone()));
        sign(context, &self.place, &self.key, when, other.change).await
    }
}

/// Until when a ballot may be sent.
enum When {
    In(Seconds),
    As(Box<SignedBallot>),
}

async fn sign(context: &Context, place: &PlaceFlags, key: &KeyFlags, when: When, change: Change) -> anyhow::Result<()> {
    let signer = key.open(context).await?;
    let blessing = place.find().await?;
    let by = blessing.with_key(signer.clone()).await?;
    let notaries = by.notaries().await?;
    if !notaries.list.contains(&signer.address()) {
        bail!("{} is not a notary of this blessing; its ballot would not count", signer.address());
    }
    let until = match when {
        When::In(Seconds(seconds)) => {
            let head = blessing.endpoint().chain().newest().await.map_err(|error| blessing.endpoint().failed(error))?;
            head.time().after(seconds)
        }
        When::As(other) => {
            other.check(&by.blessing(), notaries.decisions)?;
            other.until
        }
    };
    terminal::print_json(&SignedBallot::sign(&by.blessing(), &signer, change, notaries.decisions, until)?)
}

impl Decide {
    pub(super) async fn run(&self, context: &Context) -> anyhow::Result<()> {
        let ballots = self.files.iter().map(|file| open(file)).collect::<anyhow::Result<Vec<_>>>()?;
        let command = SignedBallot::command(&ballots)?;
        let signer = self.key.open(context).await?;
        let blessing = self.place.find().await?;
        let by = blessing.with_key(signer).await?;
        let notaries = by.notaries().await?;
        for ballot in &ballots {
            ballot.check(&by.blessing(), notaries.decisions)?;
        }
        let landed = blessing.send(&by, "decide", &command).await?;
        let version = landed.events.iter().find_map(|event| match event {
            Event::NotariesSet { version, .. } => Some(*version),
            _ => None,
        });
        let first = ballots.first().context("there are no ballots")?;
        let told = Told {
            transaction: landed.transaction,
            block: landed.cursor.block,
            decision: first.decision,
            change: &first.change,
            version: version.unwrap_or(notaries.version),
        };
        if self.format.json {
            return terminal::print_json(&told);
        }
        let mut table = Table::pairs();
        table.row(["decided", &change_words(&first.change)]);
        table.row(["transaction", &told.transaction.to_string()]);
        terminal::print(&table.render())
    }
}

/// Limits that the contract would refuse, or could not be told.
fn check_limits(limits: &Limits) -> Result<(), Usage> {
    let Limits { per_job, per_provider, per_period } = limits;
    if per_job > per_provider || per_provider > per_period {
        return Err(Usage("the limits are not in order: --per-job <= --per-provider <= --per-period".to_owned()));
    }
    if u128::try_from(*per_period).is_err() {
        return Err(Usage("--per-period is 2^128 or more".to_owned()));
    }
    Ok(())
}

fn open(file: &std::path::Path) -> anyhow::Result<SignedBallot> {
    let ballot: SignedBallot =
        serde_json::from_slice(&read(file)?).with_context(|| format!("{} is no signed ballot", file.display()))?;
    if let Change::SetGranter { limits, .. } = &ballot.change {
        check_limits(limits).with_context(|| format!("the ballot in {}", file.display()))?;
    }
    Ok(ballot)
}

fn change_words(change: &Change) -> String {
    match change {
        Change::SetNotaries { notaries, quorum } => {
            let list: Vec<_> = notaries.iter().map(Address::to_string).collect();
            format!("{quorum} of {} notaries: {}", notaries.len(), list.join(", "))
        }
        Change::SetGranter { granter, limits } if *limits == Limits::default() => format!("{granter} is sent away"),
        Change::SetGranter { granter, limits: Limits { per_job, per_provider, per_period } } => format!(
            "{granter} grants at most {per_job} for a job, {per_provider} to a provider and {per_period} to all in a period"
        ),
    }
}

fn words(ballot: &SignedBallot) -> String {
    let until: Time = ballot.until;
    format!(
        "{} decides (no. {}, until {}): {}",
        ballot.notary,
        ballot.decision,
        moment(until),
        change_words(&ballot.change)
    )
}
