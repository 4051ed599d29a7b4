//! Verifying what a notary's service hands out, without the service: attestations, and exported audit logs.

use std::io::{BufReader, Cursor, Read};

use ed25519_dalek::VerifyingKey;
use lota_market::B256;
use serde::Serialize;
use serde_json::Value;

use crate::{
    attestation::{self, AttestationError, Envelope, MAX_ENVELOPE, Statement, did_key, parse_did_key},
    audit_log::{self, BrokenLog, Head},
};

/// What was found in order.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Verified {
    Attestation {
        /// The key that signed it, as did:key.
        signed_by: String,
        /// Whether it is one of those that were named; otherwise it is the one that the envelope names, and could be anybody's.
        is_trusted: bool,
        statement: Statement<Value>,
    },
    AuditLog {
        #[serde(flatten)]
        head: Head,
    },
}

/// Why something is not what it should be.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    #[error("it cannot be read")]
    Read(#[source] std::io::Error),
    #[error("it is empty")]
    Empty,
    #[error("it is neither an attestation (a DSSE envelope) nor an audit log: {0}")]
    Neither(#[source] BrokenLog),
    #[error(transparent)]
    Attestation(#[from] AttestationError),
    #[error(transparent)]
    AuditLog(#[from] BrokenLog),
    #[error("an audit log is signed by nobody: name no key, and compare its last digest with that of an attestation")]
    KeyForLog,
    #[error("no line of the audit log has the digest {0}: it is another log, or was cut off or changed before that")]
    NotHeld(B256),
    #[error("an attestation is no log: the digest of a line is looked for in an audit log")]
    DigestForAttestation,
}

/// Verifies an attestation, by one of these keys if any is named; or an audit log, which must hold the line with the digest `holds`.
///
/// # Errors
/// Why it is not believed.
pub fn verify(mut from: impl Read, keys: &[VerifyingKey], holds: Option<B256>) -> Result<Verified, VerifyError> {
    let mut beginning = Vec::new();
    let most = u64::try_from(MAX_ENVELOPE).unwrap_or(u64::MAX) + 1;
    from.by_ref().take(most).read_to_end(&mut beginning).map_err(VerifyError::Read)?;
    if beginning.iter().all(u8::is_ascii_whitespace) {
        return Err(VerifyError::Empty);
    }
    if is_envelope(&beginning) {
        if holds.is_some() {
            return Err(VerifyError::DigestForAttestation);
        }
        return attestation_in(&beginning, keys);
    }
    let mut found = holds.is_none();
    // The first line names none before it.
    let log = BufReader::new(Cursor::new(beginning).chain(from));
    let head = audit_log::verify(log, |entry| found |= entry.number > 1 && Some(entry.previous) == holds).map_err(
        |broken| match broken {
            BrokenLog::Entry { line: 1, .. } | BrokenLog::TooLong { line: 1 } => VerifyError::Neither(broken),
            broken => VerifyError::AuditLog(broken),
        },
    )?;
    if !keys.is_empty() {
        return Err(VerifyError::KeyForLog);
    }
    match holds {
        Some(digest) if !found && digest != head.digest => Err(VerifyError::NotHeld(digest)),
        _ => Ok(Verified::AuditLog { head }),
    }
}

/// Whether these bytes are to be an envelope, well-formed or not.
fn is_envelope(bytes: &[u8]) -> bool {
    let fields = ["payload", "payloadType", "signatures"];
    match serde_json::from_slice::<Value>(bytes) {
        Ok(value) => fields.iter().any(|field| value.get(field).is_some()),
        // Of several lines, or cut off: then its first line tells.
        Err(_) => {
            let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let first = String::from_utf8_lossy(first.get(..first.len().min(256)).unwrap_or_default()).into_owned();
            fields.iter().any(|field| first.contains(&format!("\"{field}\"")))
        }
    }
}

fn attestation_in(bytes: &[u8], keys: &[VerifyingKey]) -> Result<Verified, VerifyError> {
    let named = || -> Result<Vec<VerifyingKey>, VerifyError> {
        if bytes.len() > MAX_ENVELOPE {
            return Err(AttestationError::TooLong { bytes: bytes.len() }.into());
        }
        let envelope: Envelope = serde_json::from_slice(bytes).map_err(AttestationError::Envelope)?;
        Ok(envelope.named_keys().filter_map(|name| parse_did_key(name).ok()).collect())
    };
    let is_trusted = !keys.is_empty();
    let keys = if is_trusted { keys.to_vec() } else { named()? };
    let statement = attestation::verify(bytes, &keys)?;
    // Which of them: the first that is enough.
    let by = keys.iter().find(|key| attestation::verify::<Value>(bytes, &[**key]).is_ok());
    Ok(Verified::Attestation { signed_by: by.map(did_key).unwrap_or_default(), is_trusted, statement })
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use lota_market::Time;
    use serde_json::json;

    use super::*;
    use crate::attestation::{Subject, SubjectDigest, sign};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn attested() -> Vec<u8> {
        let subject = Subject { name: "job".into(), digest: SubjectDigest { sha256: "00".repeat(32) } };
        let statement = Statement::new(vec![subject], "https://example.org/v1", json!({ "verdict": "granted" }));
        serde_json::to_vec_pretty(&sign(&statement, &key(1)).expect("signed")).expect("JSON")
    }

    fn log(entries: u64) -> (String, Vec<B256>) {
        let (mut head, mut text, mut digests) = (Head::EMPTY, String::new(), Vec::new());
        for number in 0..entries {
            let (line, next) =
                audit_log::append(head, Time(number), "service", "noted", "0x01", json!({})).expect("short");
            text.push_str(&line);
            text.push('\n');
            digests.push(next.digest);
            head = next;
        }
        (text, digests)
    }

    fn problem(bytes: &[u8], keys: &[VerifyingKey], holds: Option<B256>) -> String {
        verify(bytes, keys, holds).expect_err("not believed").to_string()
    }

    #[test]
    fn an_attestation_is_verified_with_a_trusted_key_or_with_the_one_it_names() {
        let (bytes, mine, others) = (attested(), key(1).verifying_key(), key(2).verifying_key());
        for (keys, trusted) in [(vec![], false), (vec![mine], true), (vec![others, mine], true)] {
            let Verified::Attestation { signed_by, is_trusted, statement } =
                verify(&bytes[..], &keys, None).expect("good")
            else {
                panic!("a log")
            };
            assert_eq!((signed_by, is_trusted), (did_key(&mine), trusted));
            assert_eq!(statement.predicate["verdict"], "granted");
        }
        assert!(problem(&bytes, &[others], None).contains("none of the trusted keys"));
        assert!(problem(&bytes, &[], Some(B256::ZERO)).contains("no log"));
        let forged = String::from_utf8(bytes).expect("text").replace("\"sig\": \"", "\"sig\": \"AAAA");
        assert!(!problem(forged.as_bytes(), &[], None).is_empty());
    }

    #[test]
    fn a_log_is_verified_to_its_end_and_holds_each_of_its_lines() {
        let (text, digests) = log(3);
        let head = Head { entries: 3, digest: digests[2], at: Time(2) };
        for digest in digests.iter().copied().map(Some).chain([None]) {
            assert_eq!(verify(text.as_bytes(), &[], digest).expect("good"), Verified::AuditLog { head });
        }
        let one = log(1).0;
        assert!(
            matches!(verify(one.as_bytes(), &[], None), Ok(Verified::AuditLog { .. })),
            "one line is JSON by itself"
        );
        assert!(problem(text.as_bytes(), &[], Some(B256::repeat_byte(7))).contains("no line"));
        assert!(problem(text.as_bytes(), &[key(1).verifying_key()], None).contains("signed by nobody"));
        let cut: String = text.lines().skip(1).map(|line| format!("{line}\n")).collect();
        assert!(problem(cut.as_bytes(), &[], None).contains("entries are missing"));
        let changed = text.replacen("noted", "voted", 1);
        assert!(problem(changed.as_bytes(), &[], None).contains("a line was changed"));
        let (long, digests) = log(10_000);
        assert!(long.len() > MAX_ENVELOPE);
        let head = Head { entries: 10_000, digest: digests[9_999], at: Time(9_999) };
        assert_eq!(verify(long.as_bytes(), &[], Some(digests[5])).expect("good"), Verified::AuditLog { head });
    }

    #[test]
    fn whatever_else_is_given_is_refused_in_a_line() {
        let envelope = attested();
        let huge = [&b"{\"payloadType\":\""[..], &vec![b'x'; MAX_ENVELOPE]].concat();
        let deep = "[".repeat(200_000);
        let binary: Vec<u8> = (0..=255).cycle().take(5_000_000).collect();
        let inputs: [&[u8]; 11] = [
            b"",
            b" \n\n",
            b"hello\n",
            b"{}",
            b"[]",
            b"null",
            b"{\"payload\":7}",
            &envelope[..envelope.len() / 2],
            &huge,
            deep.as_bytes(),
            &binary,
        ];
        for (number, bytes) in inputs.iter().enumerate() {
            let problem = problem(bytes, &[], None);
            assert!(!problem.is_empty() && !problem.contains('\n') && problem.len() < 1_000, "{number}: {problem}");
        }
        assert!(problem(&huge, &[], None).contains("at most"), "an attestation that is too long");
    }
}
