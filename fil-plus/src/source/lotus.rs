//! Claims and allocations as a chain node's state has them: `Filecoin.StateGetClaims`, provider by provider, and
//! `Filecoin.StateGetAllocations`, client by client (or all of them, `StateGetAllAllocations`).

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};

use super::{
    Limits, Rpc, Source,
    bounded::{Element, Entries, List},
    rpc::Tipset,
};
use crate::{
    fact::{Fact, Kind, Lie, Said},
    step::{AsOf, Genesis, Refused, Snapshot, SourceError, Step},
};
use lota_content::piece::PieceCid;

/// The most claims of one answer; more do not fit the longest answer anyway.
const MAX_ENTRIES: usize = 2_000_000;
/// The most providers of a network that are believed in, and the longest answer with all of them, in bytes.
const MAX_PARTIES: usize = 2_000_000;
const MAX_PARTIES_ANSWER: u64 = 64 << 20;
/// How often one is asked about again who could not be read, although the node answers other questions.
const TRIES: u32 = 3;
/// So many in a row who cannot be read are the node's fault and not theirs: they are not left out at the first try.
const IN_A_ROW: u32 = 16;

/// Whose claims are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parties {
    /// Everybody's.
    All,
    /// Of actors with these ids.
    These(Vec<u64>),
}

/// A chain node's claims and allocations.
#[derive(Debug)]
pub struct LotusState {
    rpc: Rpc,
    name: String,
    providers: Parties,
    clients: Parties,
    refresh: Duration,
    genesis: OnceCell<Genesis>,
    /// All providers, in the round that began at this epoch.
    all: Mutex<Option<(u64, Arc<[u64]>)>>,
    /// Who could not be read last, and how often in a row.
    failed: Mutex<Option<(Kind, Option<u64>, u32)>>,
}

/// Where it is in its round.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Cursor {
    /// The final epoch when the round began.
    began: u64,
    /// Whether the providers are done, and the clients are read.
    clients: bool,
    /// The last one that was read, or left out.
    after: Option<u64>,
    /// Somebody was left out.
    partial: bool,
    /// How many were, since the last one who was read.
    in_a_row: u32,
    /// Unix seconds at which the last whole round ended.
    ended: Option<u64>,
}

impl Element for Said {
    const MOST: usize = MAX_ENTRIES;

    fn read(value: &Value) -> Self {
        said(value)
    }
}

/// A provider's id, or what was there instead.
struct Miner(Result<u64, String>);

impl Element for Miner {
    const MOST: usize = MAX_PARTIES;

    fn read(value: &Value) -> Self {
        let id = value.as_str().and_then(actor_id);
        Self(id.ok_or_else(|| {
            let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            shown.chars().take(40).flat_map(char::escape_debug).collect()
        }))
    }
}

/// A number, which big ones are as texts.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| digits(value.as_str()?))
}

/// A number as it is written; `+7` and `007` are none.
fn digits(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

fn said(value: &Value) -> Said {
    let piece = value["Data"]["/"].as_str().and_then(|text| lota_cid::parse(text).ok());
    let piece = piece.and_then(|cid| PieceCid::try_from(&cid).ok());
    Said {
        id: None,
        piece: piece.map(|piece| piece.root()),
        provider: number(&value["Provider"]),
        client: number(&value["Client"]),
        size: number(&value["Size"]),
        term_min: number(&value["TermMin"]),
        term_max: number(&value["TermMax"]),
        start: number(&value["TermStart"]).or_else(|| number(&value["Expiration"])),
        sector: number(&value["Sector"]),
    }
}

fn whose(kind: Kind, id: u64) -> String {
    match kind {
        Kind::Claim => format!("claims of provider f0{id}"),
        Kind::Allocation => format!("allocations of client f0{id}"),
    }
}

/// An actor's id from an address of type 0.
pub(crate) fn actor_id(address: &str) -> Option<u64> {
    let digits = address.strip_prefix("f0").or_else(|| address.strip_prefix("t0"))?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

impl LotusState {
    /// Reads the claims of these providers and the allocations of these clients from a node, again after each `refresh`.
    #[must_use]
    pub fn new(rpc: Rpc, providers: Parties, clients: Parties, refresh: Duration) -> Self {
        let name = format!("claims of {}", rpc.place());
        Self {
            rpc,
            name,
            providers,
            clients,
            refresh,
            genesis: OnceCell::new(),
            all: Mutex::default(),
            failed: Mutex::default(),
        }
    }

    /// What is read after this party: the next one's number, and how many are left with it; none: the round is over.
    async fn party_after(&self, parties: &Parties, cursor: &Cursor) -> Result<Option<(u64, usize)>, SourceError> {
        let ids = match parties {
            Parties::These(ids) => {
                let mut ids = ids.clone();
                ids.sort_unstable();
                ids.into()
            }
            Parties::All => self.all_providers(cursor.began).await?,
        };
        let read = ids.partition_point(|id| cursor.after.is_some_and(|after| *id <= after));
        Ok(ids.get(read).map(|id| (*id, ids.len() - read)))
    }

    /// Everybody who ever was a provider, once for each round.
    async fn all_providers(&self, round: u64) -> Result<Arc<[u64]>, SourceError> {
        let mut all = self.all.lock().await;
        if let Some((of, ids)) = &*all
            && *of == round
        {
            return Ok(Arc::clone(ids));
        }
        let method = "Filecoin.StateListMiners";
        let miners: List<Miner> =
            self.rpc.call_within(method, json!([null]), MAX_PARTIES_ANSWER).await?.unwrap_or_default();
        if miners.is_cut {
            return Err(self.contradiction(format!("{method} gave more than {MAX_PARTIES} providers")));
        }
        let id = |Miner(id)| id.map_err(|shown| self.contradiction(format!("{method} gave `{shown}`")));
        let mut ids = miners.kept.into_iter().map(id).collect::<Result<Vec<u64>, _>>()?;
        ids.sort_unstable();
        let ids: Arc<[u64]> = ids.into();
        *all = Some((round, Arc::clone(&ids)));
        Ok(ids)
    }

    fn contradiction(&self, problem: String) -> SourceError {
        SourceError::Contradiction { place: self.rpc.place().to_owned(), problem }
    }

    /// All facts of one party, or (allocations of everybody) of all of them. What keeps one from being read, and no other, is noted: one
    /// party that has too much, or at which a node breaks down, ends no round. Tells whether it was read.
    async fn read(
        &self,
        kind: Kind,
        party: Option<u64>,
        cursor: &mut Cursor,
        step: &mut Step,
    ) -> Result<bool, SourceError> {
        let tipset = self.rpc.final_tipset().await?;
        // What it says of an earlier state would count as what there was when the round began.
        if tipset.height < cursor.began {
            return Err(self.contradiction(format!(
                "its final epoch is {}, and was {} when this round began; it goes on when the node has caught up",
                tipset.height, cursor.began
            )));
        }
        let Err(error) = self.read_at(&tipset, kind, party, step).await else {
            cursor.in_a_row = 0;
            *self.failed.lock().await = None;
            return Ok(true);
        };
        let is_answer =
            matches!(error, SourceError::TooLarge { .. } | SourceError::Refused { .. } | SourceError::Shape { .. });
        if !is_answer || cursor.in_a_row >= IN_A_ROW {
            let mut failed = self.failed.lock().await;
            let before = failed.filter(|(of, who, _)| (*of, *who) == (kind, party)).map_or(0, |(.., tries)| tries);
            if before + 1 < TRIES {
                *failed = Some((kind, party, before + 1));
                return Err(error);
            }
            *failed = None;
        }
        cursor.in_a_row = cursor.in_a_row.saturating_add(1);
        cursor.partial = true;
        let whose = party.map_or_else(|| "everybody's allocations".to_owned(), |id| whose(kind, id));
        step.refused.add(format!("{whose} cannot be read and are left out of this round: {error}"));
        Ok(false)
    }

    async fn read_at(
        &self,
        tipset: &Tipset,
        kind: Kind,
        party: Option<u64>,
        step: &mut Step,
    ) -> Result<(), SourceError> {
        let (method, params) = match (kind, party) {
            (Kind::Claim, Some(id)) => ("Filecoin.StateGetClaims", json!([format!("f0{id}"), tipset.key()])),
            (Kind::Allocation, Some(id)) => ("Filecoin.StateGetAllocations", json!([format!("f0{id}"), tipset.key()])),
            (_, None) => ("Filecoin.StateGetAllAllocations", json!([tipset.key()])),
        };
        // Somebody who has none is answered with null.
        let Entries(entries) = self.rpc.call::<Entries<Said>>(method, params).await?.unwrap_or_default();
        step.facts.reserve(entries.len());
        for (id, said) in entries {
            match Fact::check(kind, &Said { id: digits(&id), ..said }, tipset.height, false) {
                Ok(fact) if party.is_none_or(|asked| asked == fact.party()) => step.facts.push(fact),
                Ok(fact) => {
                    step.refused.add(Lie::Party { id: fact.id, asked: party.unwrap_or_default(), found: fact.party() });
                }
                Err(lie) => step.refused.add(lie),
            }
        }
        step.snapshot = party.map(|party| Snapshot { kind, party, epoch: tipset.height });
        step.as_of = Some(AsOf { epoch: Some(tipset.height), time: tipset.time });
        Ok(())
    }
}

#[async_trait]
impl Source for LotusState {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "claims"
    }

    fn origin(&self) -> &str {
        self.rpc.place()
    }

    fn stale_after(&self) -> u64 {
        // A round may take as long as the rest between two, and what is final lags behind.
        self.refresh.as_secs().saturating_mul(2).saturating_add(8 * 3_600)
    }

    async fn next(&self, cursor: Option<&str>, now: u64) -> Result<Option<Step>, SourceError> {
        let mut cursor: Cursor = cursor.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        if let Some(ended) = cursor.ended {
            let due = ended.saturating_add(self.refresh.as_secs());
            // Before its end: the clock was ahead then, and nobody knows how long ago that is.
            if (ended..due).contains(&now) {
                return Ok(Some(Step { rest: Some(Duration::from_secs(due - now)), ..Step::default() }));
            }
            cursor = Cursor::default();
        }
        let genesis = self.genesis.get_or_try_init(|| self.rpc.genesis()).await?.clone();
        let mut step = Step { genesis: Some(genesis), refused: Refused::default(), ..Step::default() };
        if cursor.after.is_none() && !cursor.clients {
            cursor.began = self.rpc.final_tipset().await?.height;
        }
        let all_clients = self.clients == Parties::All;
        let kind = if cursor.clients { Kind::Allocation } else { Kind::Claim };
        let parties = if cursor.clients { &self.clients } else { &self.providers };
        let next = match (kind, all_clients) {
            (Kind::Allocation, true) => None,
            _ => self.party_after(parties, &cursor).await?,
        };
        match (next, kind) {
            (Some((id, left)), _) => {
                let is_read = self.read(kind, Some(id), &mut cursor, &mut step).await?;
                cursor.after = Some(id);
                let facts = if is_read { step.facts.len().to_string() } else { "left out".to_owned() };
                step.progress = format!("{}: {facts} ({left} to go)", whose(kind, id));
            }
            (None, Kind::Claim) => cursor = Cursor { clients: true, after: None, ..cursor },
            (None, Kind::Allocation) => {
                if all_clients {
                    self.read(kind, None, &mut cursor, &mut step).await?;
                    step.progress = format!("allocations: {}", step.facts.len());
                }
                step.complete = (self.providers == Parties::All && !cursor.partial).then_some(cursor.began);
                cursor = Cursor { ended: Some(now), ..Cursor::default() };
                step.rest = Some(self.refresh);
            }
        }
        step.cursor = serde_json::to_string(&cursor).ok();
        Ok(Some(step))
    }
}

impl LotusState {
    /// A source of the node at a URL.
    ///
    /// # Errors
    /// A text for a person when it is no URL of HTTP.
    pub fn at(
        url: &str,
        final_epochs: Option<u64>,
        providers: Parties,
        clients: Parties,
        refresh: Duration,
    ) -> Result<Self, String> {
        Ok(Self::new(Rpc::new(url, final_epochs, Limits::CHAIN)?, providers, clients, refresh))
    }
}
