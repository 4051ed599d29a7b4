//! What advertisers say: the InterPlanetary Network Indexer, `GET /cid/{cid}`.
//!
//! Who advertises a payload for retrieval by graphsync says in which piece it is, and whether that is a verified deal. Nobody
//! checks it: it is the advertiser's word.

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ciborium::Value as Cbor;
use cid::Cid;
use serde_json::Value;

use super::{Limits, Source, events::piece, rpc::Http};
use crate::{
    step::{Report, SourceError, Step},
    varint,
};

/// `transport-bitswap`, which has no more to say.
const BITSWAP: u64 = 0x0900;
/// `transport-graphsync-filecoinv1`: CBOR with PieceCID, VerifiedDeal and FastRetrieval.
const GRAPHSYNC: u64 = 0x0910;
/// `transport-ipfs-gateway-http`, with a length and so many bytes.
const GATEWAY: u64 = 0x0920;
/// The most advertisements of one answer, and the most that are kept.
const MAX_ENTRIES: usize = 4_096;
const MAX_REPORTS: usize = 64;
/// The longest name of a peer, in bytes.
const MAX_PEER: usize = 128;
/// An index is asked when somebody asks: what it said last week is old.
const STALE_AFTER: u64 = 7 * 86_400;

/// An index.
#[derive(Debug)]
pub struct Ipni {
    http: Http,
    name: String,
}

impl Ipni {
    /// The index at a URL.
    ///
    /// # Errors
    /// A text for a person when it is no URL of HTTP.
    pub fn at(url: &str) -> Result<Self, String> {
        Self::within(url, Limits::QUESTION)
    }

    /// The same within other limits.
    ///
    /// # Errors
    /// As [`Ipni::at`].
    pub fn within(url: &str, limits: Limits) -> Result<Self, String> {
        let http = Http::new(url, limits)?;
        let name = format!("index {}", http.place());
        Ok(Self { http, name })
    }
}

/// What a piece of metadata says about a deal; `None`: nothing that can be read.
fn deal(mut metadata: &[u8]) -> Option<(lota_content::piece::PieceRoot, bool)> {
    for _ in 0..8 {
        match varint::take(&mut metadata)? {
            BITSWAP => {}
            GATEWAY => {
                let length = usize::try_from(varint::take(&mut metadata)?).ok()?;
                metadata = metadata.get(length..)?;
            }
            GRAPHSYNC => {
                let value: Cbor = ciborium::de::from_reader_with_recursion_limit(&mut metadata, 8).ok()?;
                let fields = value.into_map().ok()?;
                let field =
                    |name: &str| fields.iter().find(|(key, _)| key.as_text() == Some(name)).map(|(_, value)| value);
                return Some((piece(field("PieceCID")?)?, field("VerifiedDeal")?.as_bool()?));
            }
            _ => return None,
        }
    }
    None
}

/// The reports of an answer about this multihash; an error: it has another form, or is about something else.
fn reports(answer: &Value, multihash: &[u8]) -> Result<Vec<Report>, &'static str> {
    let mut found: Vec<Report> = Vec::new();
    let results = answer.get("MultihashResults").and_then(Value::as_array).ok_or("no MultihashResults")?;
    let multihash = BASE64.encode(multihash);
    let of_it = || results.iter().filter(|result| result["Multihash"].as_str() == Some(&multihash));
    if of_it().next().is_none() && !results.is_empty() {
        return Err("it is about another multihash than was asked about");
    }
    let entries = of_it().filter_map(|result| result["ProviderResults"].as_array()).flatten();
    for entry in entries.take(MAX_ENTRIES) {
        let metadata = entry["Metadata"].as_str().and_then(|text| BASE64.decode(text).ok());
        let Some((piece, verified_deal)) = metadata.and_then(|metadata| deal(&metadata)) else { continue };
        let peer = entry["Provider"]["ID"].as_str().unwrap_or_default();
        let is_name = !peer.is_empty() && peer.len() <= MAX_PEER && peer.bytes().all(|c| c.is_ascii_alphanumeric());
        let report = Report { piece, verified_deal, peer: if is_name { peer.to_owned() } else { "?".to_owned() } };
        if !found.contains(&report) {
            found.push(report);
        }
        if found.len() >= MAX_REPORTS {
            break;
        }
    }
    Ok(found)
}

#[async_trait]
impl Source for Ipni {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "index"
    }

    fn origin(&self) -> &str {
        &self.name
    }

    fn stale_after(&self) -> u64 {
        STALE_AFTER
    }

    async fn next(&self, _cursor: Option<&str>, _now: u64) -> Result<Option<Step>, SourceError> {
        Ok(None)
    }

    async fn ask(&self, payload: &Cid) -> Result<Option<Vec<Report>>, SourceError> {
        let mut url = self.http.url().clone();
        let path = format!("{}/cid/{payload}", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let answered = self.http.get(url).await?;
        match answered.status {
            // It knows nobody who has it.
            404 => return Ok(Some(Vec::new())),
            200 => {}
            _ => return Err(self.http.status_error(&answered)),
        }
        let value: Value =
            serde_json::from_slice(&answered.body).map_err(|error| self.http.shape_error(error, &answered.body))?;
        let reports = reports(&value, &payload.hash().to_bytes());
        reports.map(Some).map_err(|problem| self.http.shape_error(problem, &answered.body))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use lota_content::piece::PieceRoot;

    /// Metadata as an advertiser writes it.
    fn metadata(piece: PieceRoot, verified: bool) -> Vec<u8> {
        let cid = [&[0], piece.v1().to_bytes().as_slice()].concat();
        let fields = [
            ("PieceCID", Cbor::Tag(42, Box::new(Cbor::Bytes(cid)))),
            ("VerifiedDeal", Cbor::Bool(verified)),
            ("FastRetrieval", Cbor::Bool(true)),
        ];
        let fields = fields.map(|(name, value)| (Cbor::Text(name.to_owned()), value));
        let mut bytes = vec![0x90, 0x12];
        ciborium::into_writer(&Cbor::Map(fields.to_vec()), &mut bytes).expect("written");
        bytes
    }

    #[test]
    fn a_deal_is_found_behind_other_protocols() {
        let piece = PieceRoot::new([9; 32]).expect("a piece");
        let deal_of = metadata(piece, true);
        for before in [&[][..], &[0x80, 0x12], &[0xa0, 0x12, 0], &[0x80, 0x12, 0xa0, 0x12, 2, 1, 1]] {
            assert_eq!(deal(&[before, &deal_of].concat()), Some((piece, true)));
        }
        for bad in [&[][..], &[0x80, 0x12], &[0x90, 0x12], &[0x90, 0x12, 0xff], &[0xa0, 0x12, 0x7f], &[1, 2, 3]] {
            assert_eq!(deal(bad), None);
        }
        assert_eq!(deal(&deal_of[..deal_of.len() - 1]), None);
    }

    #[test]
    fn an_answer_gives_each_deal_once_and_no_names_that_steer() {
        let piece = PieceRoot::new([9; 32]).expect("a piece");
        let entry = |peer: &str, metadata: &[u8]| json!({ "ContextID": "AA==", "Metadata": BASE64.encode(metadata), "Provider": { "ID": peer, "Addrs": [] } });
        let deal = metadata(piece, true);
        let multihash = [0x12, 1, 7];
        let answer = json!({ "MultihashResults": [{ "Multihash": "EgEH", "ProviderResults": [
            entry("12D3Koo", &deal), entry("12D3Koo", &deal), entry("\u{1b}[2J", &deal), entry("12D3Koo", &[0x80, 0x12]),
        ] }] });
        let peers: Vec<String> =
            reports(&answer, &multihash).expect("an answer").into_iter().map(|report| report.peer).collect();
        assert_eq!(peers, ["12D3Koo", "?"]);
        assert_eq!(reports(&json!({ "MultihashResults": [] }), &multihash), Ok(vec![]));
        assert!(reports(&json!({ "error": "no" }), &multihash).is_err());
        assert!(reports(&json!([]), &multihash).is_err());
        assert!(reports(&answer, &[0x12, 1, 8]).is_err(), "it is about another one");
    }

    #[test]
    fn metadata_that_promises_much_costs_nothing() {
        let huge = [0xff; 8];
        let mut bombs: Vec<Vec<u8>> = [0x5b, 0x7b, 0x9b, 0xbb, 0xdb]
            .into_iter()
            .map(|kind| [&[0x90, 0x12, kind][..], &huge].concat())
            .chain([0x5f, 0x7f, 0x9f, 0xbf].into_iter().map(|kind| vec![0x90, 0x12, kind]))
            .collect();
        // Nested a million times; the length of a gateway's part, and the protocol, in ten bytes.
        bombs.push([&[0x90, 0x12][..], &vec![0x81; 1 << 20]].concat());
        bombs.push([&[0xa0, 0x12][..], &[0xff; 9], &[1]].concat());
        bombs.push([&[0xff; 9][..], &[1]].concat());
        // A length in more bytes than it needs.
        bombs.push(vec![0xa0, 0x12, 0x80, 0, 0x90, 0x12]);
        bombs.push([0x80, 0x12].repeat(1 << 19));
        for bomb in bombs {
            assert_eq!(deal(&bomb), None, "{:?}", &bomb[..bomb.len().min(16)]);
        }
    }
}
