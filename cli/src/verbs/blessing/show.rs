//! `lota blessing show`.

use std::collections::BTreeSet;

use clap::Args;
use jiff::Timestamp;
use lota_bridge::{
    blessing::StoredRecord,
    evm::{
        bindings::View,
        blessing::{self, balance_of, burned, decisions, granted_of, limits_of, notaries, pool_of, registration_of},
    },
    filecoin_address,
};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    asset::Asset,
    blessing::{Choice, End, Event, Limits, Nomination, Phase, Settings},
    model::JobId,
};
use serde::Serialize;

use super::{PlaceFlags, job, parse_job};
use crate::{
    chain::{ChainBlessing, left},
    flags::Format,
    terminal::{self, Table},
};

/// Show a blessing: its notaries, its granters with what is left of their limits, a provider, or a job's nomination.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lota blessing show --rpc http://127.0.0.1:8545 --blessing 0x9fE4...
  lota blessing show --job 0x1f... --rpc http://127.0.0.1:8545 --blessing 0x9fE4...
  lota blessing show --provider 0x7099... --rpc http://127.0.0.1:8545 --blessing 0x9fE4... --json")]
pub(crate) struct Show {
    /// What became of this job
    #[arg(long, value_name = "ID", value_parser = parse_job, conflicts_with = "provider")]
    job: Option<JobId>,
    /// What this provider (or anybody with an account) has there
    #[arg(long, value_name = "ADDRESS")]
    provider: Option<Address>,
    #[command(flatten)]
    place: PlaceFlags,
    #[command(flatten)]
    format: Format,
}

#[derive(Serialize)]
struct Shown {
    contract: Address,
    market: Address,
    network: &'static str,
    chain_id: u64,
    /// What amounts are in.
    unit: Asset,
    settings: Settings,
    notaries: Vec<Address>,
    quorum: u32,
    /// Of this set.
    version: u32,
    /// Number of the next decision.
    decision: u64,
    burned: AttoFil,
    granters: Vec<GranterShown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<ProviderShown>,
}

/// Amounts in the granter's unit, as text.
#[derive(Serialize)]
struct GranterShown {
    contract: Address,
    /// Which of ours it is; none: another.
    kind: Option<&'static str>,
    per_job: String,
    per_provider: String,
    per_period: String,
    /// What may still be granted to all in this period.
    left: String,
    /// To the provider that was asked about.
    #[serde(skip_serializing_if = "Option::is_none")]
    left_for_provider: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration: Option<RegistrationShown>,
}

#[derive(Serialize)]
struct RegistrationShown {
    recipient: Bytes,
    /// The same as people write it.
    recipient_text: Option<String>,
    share_rate: String,
    max_share: AttoFil,
}

#[derive(Serialize)]
struct ProviderShown {
    address: Address,
    balance: AttoFil,
    set_aside: AttoFil,
}

#[derive(Serialize)]
struct JobShown {
    job: JobId,
    phase: Phase,
    round: u32,
    approvals: u32,
    against: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    nomination: Option<Nomination>,
    /// Of the last round.
    votes: Vec<VoteShown>,
    /// When the nomination was blessed, from when and until when it may be granted, in Unix seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    blessed: Option<BlessedShown>,
    /// How the last round ended without a grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<End>,
}

#[derive(Serialize)]
struct VoteShown {
    notary: Address,
    choice: Choice,
    /// Digest of its reasons.
    reasons: B256,
    /// In Unix seconds.
    time: Time,
}

#[derive(Clone, Copy, Serialize)]
struct BlessedShown {
    at: Time,
    revoke_until: Time,
    grant_until: Time,
}

impl Show {
    pub(super) async fn run(&self) -> anyhow::Result<()> {
        let blessing = self.place.find().await?;
        match self.job {
            Some(job) => self.job(&blessing, job).await,
            None => self.all(&blessing).await,
        }
    }

    async fn all(&self, blessing: &ChainBlessing) -> anyhow::Result<()> {
        let there = blessing.blessing();
        let network = blessing.endpoint().network();
        let (list, quorum, version) = ask(blessing, &notaries()).await?;
        let mut shown = Shown {
            contract: there.contract(),
            market: there.market(),
            network: network.name,
            chain_id: network.chain_id,
            unit: there.asset().clone(),
            settings: there.settings(),
            notaries: list,
            quorum,
            version,
            decision: ask(blessing, &decisions()).await?,
            burned: ask(blessing, &burned()).await?,
            granters: Vec::new(),
            provider: None,
        };
        if let Some(address) = self.provider {
            let (balance, set_aside) =
                (ask(blessing, &balance_of(address)).await?, ask(blessing, &pool_of(address)).await?);
            shown.provider = Some(ProviderShown { address, balance, set_aside });
        }
        for granter in granters_of(blessing).await? {
            let found = self.granter(blessing, granter).await?;
            shown.granters.extend(found);
        }
        if self.format.json { terminal::print_json(&shown) } else { terminal::print(&words(&shown)) }
    }

    /// A granter, unless it was sent away.
    async fn granter(&self, blessing: &ChainBlessing, contract: Address) -> anyhow::Result<Option<GranterShown>> {
        let limits = ask(blessing, &limits_of(contract)).await?;
        if limits == Limits::default() {
            return Ok(None);
        }
        let provider = self.provider.unwrap_or_default();
        let (to_provider, in_all): (U256, U256) = ask(blessing, &granted_of(contract, provider)).await?;
        let in_period = left(limits.per_period, in_all);
        let mut shown = GranterShown {
            contract,
            kind: blessing.granter_at(contract).await?,
            per_job: limits.per_job.to_string(),
            per_provider: limits.per_provider.to_string(),
            per_period: limits.per_period.to_string(),
            left: in_period.to_string(),
            left_for_provider: None,
            registration: None,
        };
        if let Some(provider) = self.provider {
            shown.left_for_provider = Some(left(limits.per_provider, to_provider).min(in_period).to_string());
            let found = ask(blessing, &registration_of(provider, contract)).await?;
            shown.registration = (!found.recipient.is_empty()).then(|| RegistrationShown {
                recipient_text: filecoin_address::show(&found.recipient),
                recipient: found.recipient,
                share_rate: found.share_rate.to_string(),
                max_share: found.max_share,
            });
        }
        Ok(Some(shown))
    }

    async fn job(&self, blessing: &ChainBlessing, job: JobId) -> anyhow::Result<()> {
        let record: StoredRecord = ask(blessing, &blessing::record_of(job)).await?;
        let StoredRecord { phase, round, approvals, against, .. } = record;
        let mut shown = JobShown {
            job,
            phase,
            round,
            approvals,
            against,
            nomination: None,
            votes: Vec::new(),
            blessed: None,
            end: None,
        };
        let said = if round == 0 { Vec::new() } else { job::history(blessing, job).await? };
        for (time, event) in said {
            match event {
                Event::JobNominated { nomination, .. } if nomination.round == round => {
                    shown.nomination = Some(*nomination);
                }
                Event::VoteCast { round: of, notary, choice, reasons, .. } if of == round => {
                    shown.votes.push(VoteShown { notary, choice, reasons, time });
                }
                Event::JobBlessed { round: of, revoke_until, grant_until, .. } if of == round => {
                    shown.blessed = Some(BlessedShown { at: time, revoke_until, grant_until });
                }
                Event::NominationEnded { round: of, end, .. } if of == round => shown.end = Some(end),
                _ => {}
            }
        }
        if self.format.json {
            return terminal::print_json(&shown);
        }
        terminal::print(&job_words(&shown, blessing.blessing().asset()))
    }
}

/// What a view of the blessing answers.
async fn ask<T>(blessing: &ChainBlessing, view: &View<T>) -> anyhow::Result<T> {
    Ok(blessing.endpoint().view(blessing.blessing().contract(), view, Default::default()).await?)
}

/// The granters that were ever admitted.
async fn granters_of(blessing: &ChainBlessing) -> anyhow::Result<BTreeSet<Address>> {
    let said = blessing.said(blessing.blessing().source(), |log| blessing::decode(&log.topics, &log.data)).await?;
    let granter = |(_, event)| match event {
        Event::GranterSet { granter, .. } => Some(granter),
        _ => None,
    };
    Ok(said.into_iter().filter_map(granter).collect())
}

/// A time as people write it.
pub(super) fn moment(time: Time) -> String {
    let second = i64::try_from(time.0).ok().and_then(|second| Timestamp::from_second(second).ok());
    second.map_or_else(|| format!("{} (Unix seconds)", time.0), |moment| moment.to_string())
}

fn words(shown: &Shown) -> String {
    let mut table = Table::pairs();
    table.row(["blessing", &shown.contract.to_string()]);
    table.row(["market", &shown.market.to_string()]);
    table.row(["network", &format!("{} (chain {})", shown.network, shown.chain_id)]);
    for notary in &shown.notaries {
        table.row(["notary", &notary.to_string()]);
    }
    table.row(["quorum", &format!("{} of {}", shown.quorum, shown.notaries.len())]);
    table.row(["version", &format!("{}; the next decision is no. {}", shown.version, shown.decision)]);
    super::settings(&mut table, &shown.settings, &shown.unit);
    table.row(["burned", &shown.unit.show(shown.burned)]);
    if let Some(ProviderShown { address, balance, set_aside }) = &shown.provider {
        table.row(["provider", &address.to_string()]);
        table.row(["free", &shown.unit.show(*balance)]);
        table.row(["set aside", &shown.unit.show(*set_aside)]);
    }
    for granter in &shown.granters {
        let kind = granter.kind.unwrap_or("a contract that this version does not know");
        table.row(["granter", &format!("{} ({kind})", granter.contract)]);
        let GranterShown { per_job, per_provider, per_period, left, .. } = granter;
        table.row(["its limits", &format!("{per_job} for a job, {per_provider} to a provider, {per_period} in all")]);
        table.row(["left now", left]);
        if let Some(left) = &granter.left_for_provider {
            table.row(["left for it", left]);
            let registered = match &granter.registration {
                None => "not registered".to_owned(),
                Some(RegistrationShown { recipient, recipient_text, share_rate, max_share }) => format!(
                    "to {}, clients get {share_rate} for 10^18, at most {}",
                    recipient_text.clone().unwrap_or_else(|| recipient.to_string()),
                    shown.unit.show(*max_share)
                ),
            };
            table.row(["registered", &registered]);
        }
    }
    if shown.granters.is_empty() {
        table.row(["granters", "none is admitted (`lota blessing ballot set-granter`)"]);
    }
    table.render()
}

fn job_words(shown: &JobShown, asset: &Asset) -> String {
    let mut table = Table::pairs();
    table.row(["job", &shown.job.to_string()]);
    let phase = match (shown.phase, shown.end) {
        (Phase::None, None) => "was never nominated",
        (Phase::None, Some(End::Refused)) => "was refused; it can be nominated again",
        (Phase::None, Some(End::Expired)) => "was not decided in time; it can be nominated again",
        (Phase::None, Some(End::Revoked)) => "was blessed, and revoked; it can be nominated again",
        (Phase::None, Some(End::Lapsed)) => "was blessed, and not granted in time; it can be nominated again",
        (Phase::Nominated, _) => "is nominated",
        (Phase::Blessed, _) => "is blessed",
        (Phase::Granted, _) => "was granted",
    };
    table.row(["it", phase]);
    if shown.round > 0 {
        table.row(["round", &shown.round.to_string()]);
    }
    if let Some(nomination) = &shown.nomination {
        let Nomination { client, provider, nominator, granter, recipient, amount, piece, piece_size, .. } = nomination;
        table.row(["client", &client.to_string()]);
        table.row(["provider", &provider.to_string()]);
        table.row(["nominator", &nominator.to_string()]);
        table.row(["granter", &granter.to_string()]);
        table.row(["recipient", &filecoin_address::show(recipient).unwrap_or_else(|| recipient.to_string())]);
        table.row(["amount", &format!("{amount} in the granter's unit")]);
        table.row(["piece", &format!("{piece}, {piece_size} bytes")]);
        table.row(["to the client", &asset.show(nomination.to_client())]);
        table.row(["voted on until", &moment(nomination.expires)]);
    }
    for VoteShown { notary, choice, reasons, time } in &shown.votes {
        let choice = match choice {
            Choice::Approve => "approves",
            Choice::Reject => "rejects",
            Choice::Revoke => "revokes",
        };
        table.row(["vote", &format!("{notary} {choice} at {} (reasons {reasons})", moment(*time))]);
    }
    if let Some(BlessedShown { at, revoke_until, grant_until }) = shown.blessed {
        table.row(["blessed at", &moment(at)]);
        table.row(["granted", &format!("after {}, until {}", moment(revoke_until), moment(grant_until))]);
    }
    table.render()
}
