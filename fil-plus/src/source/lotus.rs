//! Claims and allocations as a chain node's state has them: `Filecoin.StateGetClaims`, provider by provider, and
//! `Filecoin.StateGetAllocations`, client by client (or all of them, `StateGetAllAllocations`).

use std::{fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::{Value, json};
use tokio::sync::{Mutex, OnceCell};

use super::{Limits, Rpc, Source};
use crate::{
    fact::{Fact, Kind, Lie, Said},
    step::{AsOf, Genesis, Refused, Snapshot, SourceError, Step},
};
use lota_content::piece::PieceCid;

/// The most claims of one answer; more do not fit the longest answer anyway.
const MAX_ENTRIES: usize = 2_000_000;
/// The most providers of a network that are believed in.
const MAX_PARTIES: usize = 2_000_000;

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
}

/// Where it is in its round.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Cursor {
    /// The final epoch when the round began.
    began: u64,
    /// Whether the providers are done, and the clients are read.
    clients: bool,
    /// The last one that was read.
    after: Option<u64>,
    /// Unix seconds at which the last whole round ended.
    ended: Option<u64>,
}

/// An answer's entries, each as far as it can be read.
struct Entries(Vec<(Option<u64>, Said)>);

impl<'de> Deserialize<'de> for Entries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reading;
        impl<'de> Visitor<'de> for Reading {
            type Value = Entries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of claims by their ids")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries, A::Error> {
                let mut entries = Vec::new();
                while let Some(id) = map.next_key::<String>()? {
                    if entries.len() >= MAX_ENTRIES {
                        map.next_value::<IgnoredAny>()?;
                        return Err(serde::de::Error::custom(format!("more than {MAX_ENTRIES} entries")));
                    }
                    // One at a time, so that an entry that makes no sense costs nothing but itself.
                    let value: Value = map.next_value()?;
                    entries.push((id.parse().ok(), said(&value)));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Reading)
    }
}

/// A number, which big ones are as texts.
fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn said(value: &Value) -> Said {
    let piece = value["Data"]["/"].as_str().and_then(|text| cid::Cid::try_from(text).ok());
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
        Self { rpc, name, providers, clients, refresh, genesis: OnceCell::new(), all: Mutex::default() }
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
        let miners: Vec<String> = self.rpc.call(method, json!([null])).await?.unwrap_or_default();
        if miners.len() > MAX_PARTIES {
            return Err(self.contradiction(format!("{method} gave {} providers", miners.len())));
        }
        let id = |address: &String| {
            let shown: String = address.chars().take(40).collect();
            actor_id(address).ok_or_else(|| self.contradiction(format!("{method} gave `{}`", shown.escape_debug())))
        };
        let mut ids = miners.iter().map(id).collect::<Result<Vec<u64>, _>>()?;
        ids.sort_unstable();
        let ids: Arc<[u64]> = ids.into();
        *all = Some((round, Arc::clone(&ids)));
        Ok(ids)
    }

    fn contradiction(&self, problem: String) -> SourceError {
        SourceError::Contradiction { place: self.rpc.place().to_owned(), problem }
    }

    /// All facts of one party, or (allocations of everybody) of all of them.
    async fn read(&self, kind: Kind, party: Option<u64>, step: &mut Step) -> Result<(), SourceError> {
        let tipset = self.rpc.final_tipset().await?;
        let (method, params) = match (kind, party) {
            (Kind::Claim, Some(id)) => ("Filecoin.StateGetClaims", json!([format!("f0{id}"), tipset.key()])),
            (Kind::Allocation, Some(id)) => ("Filecoin.StateGetAllocations", json!([format!("f0{id}"), tipset.key()])),
            (_, None) => ("Filecoin.StateGetAllAllocations", json!([tipset.key()])),
        };
        // Somebody who has none is answered with null.
        let Entries(entries) = self.rpc.call(method, params).await?.unwrap_or(Entries(Vec::new()));
        step.facts.reserve(entries.len());
        for (id, said) in entries {
            match Fact::check(kind, &Said { id, ..said }, tipset.height, false) {
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
            if now < due {
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
                self.read(kind, Some(id), &mut step).await?;
                cursor.after = Some(id);
                let whose = if kind == Kind::Claim { "claims of provider" } else { "allocations of client" };
                step.progress = format!("{whose} f0{id}: {} ({left} to go)", step.facts.len());
            }
            (None, Kind::Claim) => cursor = Cursor { clients: true, after: None, ..cursor },
            (None, Kind::Allocation) => {
                if all_clients {
                    self.read(kind, None, &mut step).await?;
                    step.progress = format!("allocations: {}", step.facts.len());
                }
                step.complete = (self.providers == Parties::All).then_some(cursor.began);
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
