//! Claims as they come and go: the verified registry's events `claim`, `claim-updated` and `claim-removed` (FIP-0083), read by
//! epochs with `Filecoin.GetActorEventsRaw`.
//!
//! Only what is final is read, so that no reorganisation undoes what is kept. The cursor holds the tipset that reading ended at; if
//! the chain has another one there, what was final was not, and everything of this node is read anew.

use std::{sync::atomic::AtomicU64, sync::atomic::Ordering, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ciborium::Value as Cbor;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{
    Limits, Rpc, Source,
    bounded::{Element, List},
    lotus::actor_id,
};
use crate::{
    fact::{Fact, Kind, Said},
    step::{AsOf, Genesis, SourceError, Step},
};
use lota_content::piece::PieceCid;

/// The most epochs of one question, and the most events of one answer (Lotus' `MaxFilterHeightRange` and `MaxFilterResults`).
const MAX_EPOCHS: u64 = 2_880;
const MAX_EVENTS: usize = 10_000;
/// The verified registry.
const VERIFREG: u64 = 6;
/// DAG-CBOR without links as such: what events' values are written in (FIP-0083).
const CBOR: u64 = 0x51;
/// The tag of a CID in CBOR.
const CID_TAG: u64 = 42;
/// The events that are read, and whether the claim is removed with one.
const TYPES: [(&str, bool); 3] = [("claim", false), ("claim-updated", false), ("claim-removed", true)];
/// How long to wait for more to become final: some epochs.
const REST: Duration = Duration::from_secs(120);
/// Events that are final come at most so late: the classic finality, and the rests.
const STALE_AFTER: u64 = 10 * 3_600;

/// A chain node's events.
#[derive(Debug)]
pub struct LotusEvents {
    rpc: Rpc,
    name: String,
    /// None: a day before what is final when it begins.
    from_epoch: Option<u64>,
    /// How many epochs are asked for at once: fewer where they hold too many events.
    epochs: AtomicU64,
    genesis: OnceCell<Genesis>,
}

/// Up to where it was read.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Cursor {
    /// The first epoch that was not read.
    next: u64,
    /// The newest tipset below.
    height: u64,
    tipset: String,
    /// The first epoch that was read; none in cursors from before it was kept.
    #[serde(default)]
    since: Option<u64>,
}

/// An event, and the epoch it happened in.
struct Event {
    epoch: u64,
    removed: bool,
    said: Said,
}

impl LotusEvents {
    /// Reads a node's events from an epoch on; none: from a day before what is final when it begins, for the claims before are
    /// in the state.
    #[must_use]
    pub fn new(rpc: Rpc, from_epoch: Option<u64>) -> Self {
        let name = format!("events of {}", rpc.place());
        Self { rpc, name, from_epoch, epochs: AtomicU64::new(MAX_EPOCHS), genesis: OnceCell::new() }
    }

    /// A source of the node at a URL.
    ///
    /// # Errors
    /// A text for a person when it is no URL of HTTP.
    pub fn at(url: &str, final_epochs: Option<u64>, from_epoch: Option<u64>) -> Result<Self, String> {
        Ok(Self::new(Rpc::new(url, final_epochs, Limits { answer: 128 << 20, ..Limits::CHAIN })?, from_epoch))
    }

    fn contradiction(&self, problem: String) -> SourceError {
        SourceError::Contradiction { place: self.rpc.place().to_owned(), problem }
    }

    /// The events of these epochs; `None`: there are more than one answer holds.
    async fn events(&self, from: u64, to: u64) -> Result<Option<Vec<RawEvent>>, SourceError> {
        let types = TYPES.map(|(name, _)| {
            let mut value = Vec::new();
            // A short text is always written.
            let _ = ciborium::into_writer(&name, &mut value);
            json!({ "codec": CBOR, "value": BASE64.encode(value) })
        });
        let filter = json!({
            "addresses": [format!("f0{VERIFREG}")],
            "fields": { "$type": types },
            "fromHeight": from,
            "toHeight": to,
        });
        match self.rpc.call::<List<RawEvent>>("Filecoin.GetActorEventsRaw", json!([filter])).await {
            // Older nodes cut the answer off without a word.
            Ok(events) => Ok(Some(events.unwrap_or_default().kept).filter(|events| events.len() < MAX_EVENTS)),
            Err(SourceError::Refused { message, .. }) if is_too_much(&message) => Ok(None),
            Err(SourceError::TooLarge { .. }) if to > from => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// An event of this chain and these epochs; `None`: it is not of this chain any more, or of no interest.
    fn event(&self, event: &RawEvent, (from, to): (u64, u64)) -> Result<Option<Event>, SourceError> {
        if event.reverted {
            return Ok(None);
        }
        let epoch = event.height.filter(|height| (from..=to).contains(height)).ok_or_else(|| {
            let found = event.height.map_or_else(|| "none".to_owned(), |height| height.to_string());
            self.contradiction(format!("asked for events of epochs {from} to {to}, it gave one of {found}"))
        })?;
        if let Some(emitter) = &event.other_emitter {
            return Err(self.contradiction(format!("asked for events of f06, it gave one of {emitter}")));
        }
        Ok(event.removed.map(|removed| Event { epoch, removed, said: event.said.clone() }))
    }
}

/// An event as a node gives it.
struct RawEvent {
    reverted: bool,
    height: Option<u64>,
    /// Whose it is, if it is not the verified registry's.
    other_emitter: Option<String>,
    /// Whether the claim is removed; `None`: it is another event.
    removed: Option<bool>,
    said: Said,
}

impl Element for RawEvent {
    const MOST: usize = MAX_EVENTS;

    fn read(event: &Value) -> Self {
        let is_other = event["emitter"].as_str().and_then(actor_id) != Some(VERIFREG);
        let (mut said, mut removed) = (Said::default(), None);
        for entry in event["entries"].as_array().map_or(&[][..], Vec::as_slice).iter().take(64) {
            let bytes = entry["Value"].as_str().and_then(|text| BASE64.decode(text).ok()).unwrap_or_default();
            let value = decode(&bytes);
            let number = value.as_ref().and_then(Cbor::as_integer).and_then(|number| u64::try_from(number).ok());
            match entry["Key"].as_str().unwrap_or_default() {
                "$type" => {
                    let name = value.as_ref().and_then(Cbor::as_text);
                    removed = TYPES.iter().find(|(known, _)| Some(*known) == name).map(|(_, removed)| *removed);
                }
                "id" => said.id = number,
                "client" => said.client = number,
                "provider" => said.provider = number,
                "piece-cid" => said.piece = value.as_ref().and_then(piece),
                "piece-size" => said.size = number,
                "term-min" => said.term_min = number,
                "term-max" => said.term_max = number,
                "term-start" => said.start = number,
                "sector" => said.sector = number,
                _ => {}
            }
        }
        Self {
            reverted: event["reverted"].as_bool() == Some(true),
            height: event["height"].as_u64(),
            other_emitter: is_other.then(|| event["emitter"].to_string().chars().take(40).collect()),
            removed,
            said,
        }
    }
}

/// Whether a node refuses a question for the number of its results or epochs.
fn is_too_much(message: &str) -> bool {
    let message = message.to_ascii_lowercase();
    ["too many", "too large", "max filter", "maximum number", "exceed"].iter().any(|words| message.contains(words))
}

/// A value of an event, all of it.
fn decode(bytes: &[u8]) -> Option<Cbor> {
    let mut rest = bytes;
    let value = ciborium::de::from_reader_with_recursion_limit(&mut rest, 8).ok()?;
    rest.is_empty().then_some(value)
}

/// The piece that a CID in CBOR names.
pub(crate) fn piece(value: &Cbor) -> Option<lota_content::piece::PieceRoot> {
    let Cbor::Tag(CID_TAG, inner) = value else { return None };
    let cid = lota_cid::from_bytes(inner.as_bytes()?.strip_prefix(&[0])?).ok()?;
    PieceCid::try_from(&cid).ok().map(|piece| piece.root())
}

#[async_trait]
impl Source for LotusEvents {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "events"
    }

    fn origin(&self) -> &str {
        self.rpc.place()
    }

    fn stale_after(&self) -> u64 {
        STALE_AFTER
    }

    async fn next(&self, cursor: Option<&str>, _now: u64) -> Result<Option<Step>, SourceError> {
        let cursor: Option<Cursor> = cursor.and_then(|text| serde_json::from_str(text).ok());
        let genesis = self.genesis.get_or_try_init(|| self.rpc.genesis()).await?.clone();
        let end = self.rpc.final_tipset().await?;
        if let Some(cursor) = &cursor {
            // A node that is behind, such as one of several at one URL, has rewritten nothing. If it stays there, its word gets old.
            if end.height < cursor.height {
                let progress = format!("its final epoch is {}, and was {} before", end.height, cursor.height);
                return Ok(Some(Step { genesis: Some(genesis), rest: Some(REST), progress, ..Step::default() }));
            }
            let there = self.rpc.tipset_at(cursor.height).await?;
            if there.name() != cursor.tipset {
                return Err(SourceError::Rewritten { place: self.rpc.place().to_owned(), epoch: cursor.height });
            }
        }
        let begin = || self.from_epoch.unwrap_or_else(|| (end.height + 1).saturating_sub(MAX_EPOCHS));
        let since = cursor.as_ref().and_then(|cursor| cursor.since);
        let from = cursor.map_or_else(begin, |cursor| cursor.next);
        let since = since.unwrap_or(from);
        let mut step = Step { genesis: Some(genesis), ..Step::default() };
        // The events of a tipset are known once the next one is there: the final one's are.
        if from > end.height {
            step.rest = Some(REST);
            step.as_of = Some(AsOf { epoch: Some(end.height), time: end.time });
            return Ok(Some(step));
        }
        let (to, events) = loop {
            let to = (from + self.epochs.load(Ordering::Relaxed) - 1).min(end.height);
            if let Some(events) = self.events(from, to).await? {
                break (to, events);
            }
            let fewer = (to - from).div_ceil(2);
            if fewer == 0 {
                return Err(self.contradiction(format!(
                    "epoch {from} alone has {MAX_EVENTS} claims or more, which it does not give; raise its MaxFilterResults"
                )));
            }
            self.epochs.store(fewer, Ordering::Relaxed);
        };
        for event in &events {
            let Some(Event { epoch, removed, said }) = self.event(event, (from, to))? else { continue };
            match Fact::check(Kind::Claim, &said, epoch, removed) {
                Ok(fact) => step.facts.push(fact),
                Err(lie) => step.refused.add(format!("event at epoch {epoch}: {lie}")),
            }
        }
        if events.len() < MAX_EVENTS / 4 {
            let epochs = self.epochs.load(Ordering::Relaxed);
            self.epochs.store((epochs * 2).min(MAX_EPOCHS), Ordering::Relaxed);
        }
        let reached = if to == end.height { end.clone() } else { self.rpc.tipset_at(to).await? };
        step.progress = format!("events up to epoch {to} of {}: {}", end.height, step.facts.len());
        step.as_of = Some(AsOf { epoch: Some(to), time: reached.time });
        step.since = Some(since);
        let cursor = Cursor { next: to + 1, height: reached.height, tipset: reached.name(), since: Some(since) };
        step.cursor = serde_json::to_string(&cursor).ok();
        step.rest = (to == end.height).then_some(REST);
        Ok(Some(step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_the_chain_is_read() {
        // Filecoin mainnet, epoch 4622129.
        let entry = |key: &str, value: &str| json!({ "Codec": 81, "Flags": 3, "Key": key, "Value": value });
        let event = json!({
            "emitter": "f06",
            "height": 4_622_129,
            "reverted": false,
            "entries": [
                entry("$type", "ZWNsYWlt"),
                entry("id", "GgU9Azg="),
                entry("client", "GgAyW9U="),
                entry("provider", "GgAXXTQ="),
                entry("piece-cid", "2CpYKAABgeIDkiAgR4YG+O8RvPGtJY29gurIsQs2sjrcDHTDje72xmhxxCY="),
                entry("piece-size", "GwAAAAgAAAAA"),
                entry("term-min", "GgAQIMA="),
                entry("term-max", "GgAUFUA="),
                entry("term-start", "GgBGhzE="),
                entry("sector", "GgABk58="),
            ],
        });
        let source = LotusEvents::at("http://127.0.0.1:1/rpc/v1", None, None).expect("a URL");
        let read = |event: &Value| source.event(&RawEvent::read(event), (4_622_000, 4_622_200));
        let Event { epoch, removed, said } = read(&event).expect("good").expect("a claim");
        let fact = Fact::check(Kind::Claim, &said, epoch, removed).expect("good");
        assert_eq!((fact.id, fact.client, fact.provider), (87_884_600, 3_300_309, 1_531_188));
        assert_eq!((fact.size_log2, fact.term_min, fact.term_max), (35, 1_056_960, 1_316_160));
        assert_eq!((fact.start, fact.sector, fact.removed), (4_622_129, 103_327, false));
        assert_eq!(fact.piece.to_string(), "baga6ea4seaqepbqg7dxrdphrvusy3pmc5lelcczwwi5nydduyog655wgnby4ijq");

        let with = |key: &str, value: Value| {
            let mut event = event.clone();
            event[key] = value;
            event
        };
        assert!(read(&with("reverted", json!(true))).expect("good").is_none());
        assert!(matches!(read(&with("height", json!(1))), Err(SourceError::Contradiction { .. })));
        assert!(matches!(read(&with("height", json!("x"))), Err(SourceError::Contradiction { .. })));
        assert!(matches!(read(&with("emitter", json!("f05"))), Err(SourceError::Contradiction { .. })));
        assert!(read(&with("entries", json!(7))).expect("good").is_none());
        let Event { said, .. } = read(&with("entries", json!([entry("$type", "ZWNsYWlt"), entry("id", "/w==")])))
            .expect("good")
            .expect("a claim without anything");
        assert!(Fact::check(Kind::Claim, &said, epoch, false).is_err());
    }
}
