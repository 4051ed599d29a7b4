//! Signed lists: somebody whose key the operator named says which CIDs are FIL+ data.
//!
//! A list is JSON or CSV at a path or URL; `LIST.sig` beside it is the Ed25519 signature (RFC 8032) of its bytes: 64 bytes as they
//! are, in hex or in base64. What is not signed by a named key is refused, and so is a list that is older than the one before.

use std::{fmt, io, path::PathBuf, time::Duration};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{Signature, VerifyingKey};
use jiff::Timestamp;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, SeqAccess, Visitor},
};
use url::Url;

use super::{Limits, Source, rpc::Http};
use crate::{
    step::{AsOf, List, ListEntry, Refused, SourceError, Step},
    subject::Subject,
};

/// The most entries of a list.
const MAX_ENTRIES: usize = 1_000_000;
const TOO_MANY: &str = "it has more than 1000000 entries, which is the most that is taken";
/// The longest name of a list and the longest note, in characters.
const MAX_NAME: usize = 100;
const MAX_NOTE: usize = 200;
/// The longest signature file, in bytes.
const MAX_SIGNATURE: usize = 1_024;
/// How far a list may have been issued in the future: clocks differ, in seconds.
const CLOCKS: u64 = 600;

/// A public key that signs lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListKey(VerifyingKey);

impl std::str::FromStr for ListKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let bytes = hex::decode(text.strip_prefix("0x").unwrap_or(text)).ok().or_else(|| BASE64.decode(text).ok());
        let key = bytes.and_then(|bytes| VerifyingKey::try_from(bytes.as_slice()).ok());
        // A key of small order verifies signatures that nobody made.
        key.filter(|key| !key.is_weak()).map(Self).ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            format!("`{}` is no Ed25519 public key; write its 32 bytes in hex or base64", shown.escape_debug())
        })
    }
}

/// Where a list is.
#[derive(Debug)]
enum Place {
    File(PathBuf),
    Http(Box<Http>),
}

/// A signed list.
#[derive(Debug)]
pub struct SignedList {
    place: Place,
    name: String,
    keys: Vec<ListKey>,
    refresh: Duration,
}

#[derive(Debug, Serialize, Deserialize)]
struct Cursor {
    issued: u64,
    read: u64,
}

/// A list in JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    issued: Timestamp,
    #[serde(deserialize_with = "entries")]
    entries: Vec<DocumentEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentEntry {
    cid: String,
    #[serde(default)]
    note: String,
}

/// Entries, of which no more are kept than are taken.
fn entries<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<DocumentEntry>, D::Error> {
    struct Reading;
    impl<'de> Visitor<'de> for Reading {
        type Value = Vec<DocumentEntry>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of entries")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Vec<DocumentEntry>, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = from.next_element()? {
                if entries.len() >= MAX_ENTRIES {
                    return Err(A::Error::custom(TOO_MANY));
                }
                entries.push(entry);
            }
            Ok(entries)
        }
    }
    from.deserialize_seq(Reading)
}

impl SignedList {
    /// The list at a path or URL, signed by one of these keys, read again after each `refresh`.
    ///
    /// # Errors
    /// A text for a person when the URL is none, or no key is named.
    pub fn at(place: &str, keys: Vec<ListKey>, refresh: Duration) -> Result<Self, String> {
        if keys.is_empty() {
            return Err("no key is named that signs lists; name its issuer's with fil_plus.list_keys".to_owned());
        }
        let place = if place.contains("://") {
            Place::Http(Box::new(Http::new(place, Limits::LIST)?))
        } else {
            Place::File(PathBuf::from(place))
        };
        let name = match &place {
            Place::File(path) => format!("list {}", path.display()),
            Place::Http(http) => format!("list {}{}", http.place(), http.url().path()),
        };
        Ok(Self { place, name, keys, refresh })
    }

    async fn bytes(&self, suffix: &str) -> Result<Vec<u8>, SourceError> {
        match &self.place {
            Place::File(path) => {
                let mut name = path.clone().into_os_string();
                name.push(suffix);
                let path = PathBuf::from(name);
                let read = tokio::task::spawn_blocking(move || {
                    if std::fs::metadata(&path)?.len() > Limits::LIST.answer {
                        return Err(io::Error::other(format!("it has more than {} bytes", Limits::LIST.answer)));
                    }
                    std::fs::read(&path)
                });
                let read = read.await.unwrap_or_else(|_| Err(io::Error::other("reading was interrupted")));
                read.map_err(|error| self.refusal(format!("{}{suffix} cannot be read: {error}", self.name)))
            }
            Place::Http(http) => {
                let mut url: Url = http.url().clone();
                url.set_path(&format!("{}{suffix}", http.url().path()));
                let answered = http.get(url).await?;
                if answered.status == 200 { Ok(answered.body) } else { Err(http.status_error(&answered)) }
            }
        }
    }

    fn refusal(&self, problem: String) -> SourceError {
        SourceError::List { place: self.name.trim_start_matches("list ").to_owned(), problem }
    }
}

/// What a list says, which of its entries name nothing, and whose it is.
fn read(bytes: &[u8], signature: &[u8], keys: &[ListKey]) -> Result<(List, Refused), String> {
    let signature = read_signature(signature).ok_or("its .sig holds no Ed25519 signature of 64 bytes")?;
    let is_by = |key: &&ListKey| key.0.verify_strict(bytes, &Signature::from_bytes(&signature)).is_ok();
    let signer = keys
        .iter()
        .find(is_by)
        .ok_or("its signature is by none of the keys that are named (fil_plus.list_keys), or the list was changed")?;
    parse(bytes, signer.0.to_bytes())
}

fn read_signature(bytes: &[u8]) -> Option<[u8; 64]> {
    if let Ok(signature) = bytes.try_into() {
        return Some(signature);
    }
    let text = std::str::from_utf8(bytes.get(..bytes.len().min(MAX_SIGNATURE))?).ok()?.trim();
    let decoded = hex::decode(text).ok().or_else(|| BASE64.decode(text).ok())?;
    decoded.try_into().ok()
}

fn parse(bytes: &[u8], signed_by: [u8; 32]) -> Result<(List, Refused), String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    let document = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).map_err(|error| format!("it is no list in JSON: {error}"))?
    } else {
        csv(text)?
    };
    if document.entries.len() > MAX_ENTRIES {
        return Err(TOO_MANY.to_owned());
    }
    let issued = u64::try_from(document.issued.as_second()).map_err(|_| "it was issued before 1970".to_owned())?;
    let mut refused = Refused::default();
    let mut entries = Vec::with_capacity(document.entries.len());
    for DocumentEntry { cid, note } in &document.entries {
        match Subject::parse(cid) {
            Ok(subject) => entries.push(ListEntry { subject: subject.key(), note: clipped(note, MAX_NOTE) }),
            Err(error) => refused.add(error),
        }
    }
    Ok((List { name: clipped(&document.name, MAX_NAME), issued, signed_by, entries }, refused))
}

/// A list in CSV: `# NAME, TIME`, then `cid,note`, then a line for each entry; notes may hold commas and no quotes.
fn csv(text: &str) -> Result<Document, String> {
    let mut lines = text.lines();
    let head = lines.next().and_then(|line| line.strip_prefix('#')).and_then(|line| line.rsplit_once(','));
    let (name, issued) =
        head.ok_or("its first line is not `# NAME, TIME`, such as `# Archive, 2026-01-31T00:00:00Z`")?;
    let issued = issued.trim().parse().map_err(|error| format!("its first line has no time of RFC 3339: {error}"))?;
    if !lines.next().is_some_and(|line| matches!(line.trim(), "cid" | "cid,note")) {
        return Err("its second line is not `cid,note`".to_owned());
    }
    let entry = |line: &str| {
        let (cid, note) = line.split_once(',').unwrap_or((line, ""));
        DocumentEntry { cid: cid.trim().to_owned(), note: note.trim().to_owned() }
    };
    let entries = lines.filter(|line| !line.trim().is_empty()).take(MAX_ENTRIES + 1).map(entry).collect();
    Ok(Document { name: name.trim().to_owned(), issued, entries })
}

fn clipped(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

#[async_trait]
impl Source for SignedList {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> &'static str {
        "list"
    }

    fn origin(&self) -> &str {
        &self.name
    }

    fn signers(&self) -> Option<Vec<[u8; 32]>> {
        Some(self.keys.iter().map(|key| key.0.to_bytes()).collect())
    }

    fn stale_after(&self) -> u64 {
        self.refresh.as_secs().saturating_mul(3)
    }

    async fn next(&self, cursor: Option<&str>, now: u64) -> Result<Option<Step>, SourceError> {
        let before: Option<Cursor> = cursor.and_then(|text| serde_json::from_str(text).ok());
        if let Some(before) = &before {
            let due = before.read.saturating_add(self.refresh.as_secs());
            // Before it was read: the clock was ahead then, and nobody knows how long ago that is.
            if (before.read..due).contains(&now) {
                return Ok(Some(Step { rest: Some(Duration::from_secs(due - now)), ..Step::default() }));
            }
        }
        let (bytes, signature) = (self.bytes("").await?, self.bytes(".sig").await?);
        let keys = self.keys.clone();
        // A million CIDs are nothing to read between two other tasks.
        let reading = tokio::task::spawn_blocking(move || read(&bytes, &signature, &keys));
        let read = reading.await.unwrap_or_else(|_| Err("reading was interrupted".to_owned()));
        let (list, refused) = read.map_err(|problem| self.refusal(problem))?;
        if list.issued > now.saturating_add(CLOCKS) {
            return Err(self.refusal("it was issued in the future; look at this machine's clock".to_owned()));
        }
        if let Some(before) = before.filter(|before| before.issued > list.issued) {
            return Err(self.refusal(format!(
                "it is older than the one before ({} s, in Unix time {} after {})",
                before.issued - list.issued,
                list.issued,
                before.issued
            )));
        }
        let cursor = Cursor { issued: list.issued, read: now };
        Ok(Some(Step {
            cursor: serde_json::to_string(&cursor).ok(),
            // What was refused of the same list before is counted again otherwise.
            refused,
            as_of: Some(AsOf { epoch: None, time: now }),
            progress: format!("{}: {} entries", list.name, list.entries.len()),
            list: Some(list),
            rest: Some(self.refresh),
            ..Step::default()
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIECE: &str = "baga6ea4seaqdomn3tgwgrh3g532zopskstnbrd2n3sxfqbze7rxt7vqn7veigmy";

    #[test]
    fn both_forms_of_a_list_say_the_same() {
        let json = format!(
            r#"{{"name":"A","issued":"2026-01-31T00:00:00Z","entries":[{{"cid":"{PIECE}","note":"b, c"}},{{"cid":"x"}}]}}"#
        );
        let csv = format!("# A, 2026-01-31T00:00:00Z\ncid,note\n{PIECE},b, c\nx,\n\n");
        let (list, refused) = parse(json.as_bytes(), [1; 32]).expect("a list");
        assert_eq!(parse(csv.as_bytes(), [1; 32]).expect("a list"), (list.clone(), refused.clone()));
        assert_eq!((list.name.as_str(), list.issued, list.entries.len()), ("A", 1_769_817_600, 1));
        assert_eq!(list.entries[0].note, "b, c");
        assert_eq!(refused.count, 1);
    }

    #[test]
    fn what_is_no_list_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", "first line"),
            ("<html>", "first line"),
            ("# A, yesterday\ncid,note\n", "RFC 3339"),
            ("# A, 2026-01-31T00:00:00Z\nname\n", "second line"),
            ("{}", "no list in JSON"),
            ("\u{0}", "first line"),
        ] {
            let error = parse(text.as_bytes(), [1; 32]).expect_err(text);
            assert!(error.contains(reason), "{text}: {error}");
        }
        assert!(parse(&[0xff], [1; 32]).expect_err("bytes").contains("UTF-8"));
    }

    #[test]
    fn of_a_list_that_is_too_long_nothing_is_taken() {
        let entries = |count: usize, entry: &str, between: &str| vec![entry; count].join(between);
        let json = |count| {
            format!(
                r#"{{"name":"A","issued":"2026-01-31T00:00:00Z","entries":[{}]}}"#,
                entries(count, r#"{"cid":"x"}"#, ",")
            )
        };
        let csv = |count| format!("# A, 2026-01-31T00:00:00Z\ncid\n{}", entries(count, "x", "\n"));
        let (list, refused) = parse(json(MAX_ENTRIES).as_bytes(), [1; 32]).expect("a list");
        assert_eq!((list.entries.len(), refused.count), (0, MAX_ENTRIES as u64));
        for text in [json(MAX_ENTRIES + 1), csv(MAX_ENTRIES + 1)] {
            let error = parse(text.as_bytes(), [1; 32]).expect_err("too long");
            assert!(error.contains("more than 1000000 entries"), "{error}");
        }
    }

    #[test]
    fn an_entry_is_a_cid_and_nothing_beside_it() {
        let entries = [PIECE.to_owned(), format!("{PIECE}a"), format!("x/ipfs/{PIECE}"), format!("{PIECE}/a")];
        let text = format!("# A, 2026-01-31T00:00:00Z\ncid\n{}", entries.join("\n"));
        let (list, refused) = parse(text.as_bytes(), [1; 32]).expect("a list");
        assert_eq!((list.entries.len(), refused.count), (1, 3));
    }

    #[test]
    fn keys_and_signatures_may_be_written_in_hex_and_base64() {
        let key = ed25519_dalek::SigningKey::from_bytes(&[7; 32]).verifying_key();
        let bytes = key.as_bytes();
        for text in [hex::encode(bytes), format!("0x{}", hex::encode(bytes)), BASE64.encode(bytes)] {
            assert_eq!(text.parse(), Ok(ListKey(key)));
        }
        let (identity, no_point) = (format!("01{}", "00".repeat(31)), format!("02{}", "00".repeat(31)));
        for bad in ["", "abcd", &identity, &no_point] {
            assert!(bad.parse::<ListKey>().is_err(), "{bad}");
        }
        let signature = [9; 64];
        for bytes in [
            signature.to_vec(),
            hex::encode(signature).into_bytes(),
            format!("{}\n", BASE64.encode(signature)).into_bytes(),
        ] {
            assert_eq!(read_signature(&bytes), Some(signature));
        }
        assert_eq!(read_signature(b""), None);
        assert_eq!(read_signature(&[9; 63]), None);
    }
}
