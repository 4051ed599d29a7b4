//! Statements of a notary's service that a third party can verify without it: in-toto statements in DSSE envelopes, signed with Ed25519.
//!
//! Sources: in-toto Attestation Framework, Statement v1; DSSE v1.0.2 (secure-systems-lab/dsse, protocol.md and envelope.md); RFC 8032.
//! The key is named by its did:key (W3C CCG, did:key v0.9: `z` and base58btc of 0xed01 and the 32 bytes).

use base64::{Engine as _, engine::general_purpose::STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest as _, Sha256};

/// What the payload is, as DSSE has it.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";
/// `_type` of an in-toto statement.
const STATEMENT_TYPE: &str = "https://in-toto.io/Statement/v1";
/// The largest envelope that is read, in bytes.
pub const MAX_ENVELOPE: usize = 1024 * 1024;

/// What a statement speaks of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    pub name: String,
    pub digest: SubjectDigest,
}

/// Its sha2-256, as 64 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubjectDigest {
    pub sha256: String,
}

/// An in-toto statement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement<P> {
    #[serde(rename = "_type")]
    kind: String,
    pub subject: Vec<Subject>,
    /// Which form the predicate has.
    pub predicate_type: String,
    pub predicate: P,
}

impl<P> Statement<P> {
    /// A statement about these subjects.
    pub fn new(subject: Vec<Subject>, predicate_type: impl Into<String>, predicate: P) -> Self {
        Self { kind: STATEMENT_TYPE.into(), subject, predicate_type: predicate_type.into(), predicate }
    }
}

/// A signed statement, as it is stored and handed out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Envelope {
    payload_type: String,
    /// The statement's bytes, in base64.
    payload: String,
    signatures: Vec<EnvelopeSignature>,
}

impl Envelope {
    /// Which keys it says that signed it: a hint, and nothing more.
    pub fn named_keys(&self) -> impl Iterator<Item = &str> {
        self.signatures.iter().take(16).map(|signature| signature.keyid.as_str())
    }

    /// sha2-256 of what was signed, the statement's bytes: names this very statement, whoever signs it again. `None`: the payload is no
    /// base64, so it is no statement.
    #[must_use]
    pub fn digest(&self) -> Option<[u8; 32]> {
        Some(Sha256::digest(STANDARD.decode(&self.payload).ok()?).into())
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct EnvelopeSignature {
    keyid: String,
    /// In base64.
    sig: String,
}

/// Why a statement is not believed.
#[derive(Debug, thiserror::Error)]
pub enum AttestationError {
    #[error("the attestation has {bytes} bytes; at most {MAX_ENVELOPE} are read")]
    TooLong { bytes: usize },
    #[error("the attestation is no DSSE envelope: {0}")]
    Envelope(serde_json::Error),
    #[error("the attestation's payload is {0:?}; expected {PAYLOAD_TYPE:?}")]
    PayloadType(String),
    #[error("the attestation's {what} is no base64")]
    Base64 { what: &'static str },
    #[error(
        "none of the trusted keys signed the attestation as it is: others did, or it was changed (it names {named}); trusted: {trusted}"
    )]
    NotSigned { named: String, trusted: String },
    #[error("the attestation is signed, but holds no in-toto statement of this kind: {0}")]
    Statement(String),
    #[error("{text:?} is no did:key of an Ed25519 key (did:key:z6Mk…)")]
    Key { text: String },
    #[error("the statement cannot be written as JSON: {0}")]
    Write(serde_json::Error),
}

/// What is signed: DSSE's pre-authentication encoding.
fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut bytes = format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// The key of 32 bytes that were kept secret (RFC 8032).
#[must_use]
pub fn key_of(secret: &[u8; 32]) -> SigningKey {
    SigningKey::from_bytes(secret)
}

/// A key's name: its did:key.
#[must_use]
pub fn did_key(key: &VerifyingKey) -> String {
    let mut bytes = vec![0xed, 0x01];
    bytes.extend_from_slice(key.as_bytes());
    format!("did:key:z{}", bs58::encode(bytes).into_string())
}

/// The key of a did:key.
///
/// # Errors
/// If the text is no did:key of an Ed25519 key.
pub fn parse_did_key(text: &str) -> Result<VerifyingKey, AttestationError> {
    let refused = || AttestationError::Key { text: text.chars().take(100).collect() };
    let encoded = text.strip_prefix("did:key:z").filter(|encoded| encoded.len() < 100).ok_or_else(refused)?;
    let bytes = bs58::decode(encoded).into_vec().map_err(|_| refused())?;
    let key: &[u8; 32] = bytes.strip_prefix(&[0xed, 0x01]).and_then(|key| key.try_into().ok()).ok_or_else(refused)?;
    VerifyingKey::from_bytes(key).map_err(|_| refused())
}

/// Signs a statement.
///
/// # Errors
/// If the predicate cannot be written as JSON.
pub fn sign<P: Serialize>(statement: &Statement<P>, key: &SigningKey) -> Result<Envelope, AttestationError> {
    let payload = serde_json::to_vec(statement).map_err(AttestationError::Write)?;
    let signature = key.sign(&pre_authentication(PAYLOAD_TYPE, &payload));
    Ok(Envelope {
        payload_type: PAYLOAD_TYPE.into(),
        payload: STANDARD.encode(payload),
        signatures: vec![EnvelopeSignature {
            keyid: did_key(&key.verifying_key()),
            sig: STANDARD.encode(signature.to_bytes()),
        }],
    })
}

/// Reads an envelope, and the statement in it, if one of the trusted keys signed it. Which key an envelope names is a hint, as DSSE
/// has it: each trusted key is tried.
///
/// # Errors
/// Why it is not believed.
pub fn verify<P: DeserializeOwned>(bytes: &[u8], trusted: &[VerifyingKey]) -> Result<Statement<P>, AttestationError> {
    if bytes.len() > MAX_ENVELOPE {
        return Err(AttestationError::TooLong { bytes: bytes.len() });
    }
    let envelope: Envelope = serde_json::from_slice(bytes).map_err(AttestationError::Envelope)?;
    if envelope.payload_type != PAYLOAD_TYPE {
        return Err(AttestationError::PayloadType(envelope.payload_type.chars().take(100).collect()));
    }
    let payload = STANDARD.decode(&envelope.payload).map_err(|_| AttestationError::Base64 { what: "payload" })?;
    let signed = pre_authentication(&envelope.payload_type, &payload);
    let mut believed = false;
    // More signatures than keys tell nothing.
    for signature in envelope.signatures.iter().take(16) {
        let sig = STANDARD.decode(&signature.sig).map_err(|_| AttestationError::Base64 { what: "signature" })?;
        if let Ok(sig) = Signature::from_slice(&sig) {
            believed |= trusted.iter().any(|key| key.verify_strict(&signed, &sig).is_ok());
        }
    }
    if !believed {
        let named: Vec<String> =
            envelope.signatures.iter().take(16).map(|signature| signature.keyid.chars().take(100).collect()).collect();
        let named = if named.is_empty() { "nobody".to_owned() } else { named.join(", ") };
        let trusted: Vec<String> = trusted.iter().map(did_key).collect();
        return Err(AttestationError::NotSigned { named, trusted: trusted.join(", ") });
    }
    let statement: Statement<P> =
        serde_json::from_slice(&payload).map_err(|error| AttestationError::Statement(error.to_string()))?;
    if statement.kind != STATEMENT_TYPE {
        return Err(AttestationError::Statement(format!("its _type is {:?}", statement.kind)));
    }
    Ok(statement)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn statement() -> Statement<Value> {
        let subject = Subject { name: "job".into(), digest: SubjectDigest { sha256: "00".repeat(32) } };
        Statement::new(vec![subject], "https://example.org/blessing/v1", json!({ "blessed": true }))
    }

    #[test]
    fn what_was_signed_is_read_by_who_trusts_the_key_and_by_nobody_else() {
        let envelope = serde_json::to_vec(&sign(&statement(), &key(1)).expect("JSON")).expect("JSON");
        let trusted = [key(2).verifying_key(), key(1).verifying_key()];
        assert_eq!(verify::<Value>(&envelope, &trusted).expect("believed"), statement());
        let error = verify::<Value>(&envelope, &trusted[..1]).expect_err("another's key").to_string();
        assert!(error.contains(&did_key(&key(1).verifying_key())), "{error}");
        assert!(matches!(verify::<Value>(&envelope, &[]), Err(AttestationError::NotSigned { .. })));
    }

    #[test]
    fn a_changed_payload_or_type_is_not_believed() {
        let trusted = [key(1).verifying_key()];
        let envelope = sign(&statement(), &key(1)).expect("JSON");
        let other = STANDARD.encode(serde_json::to_vec(&json!({ "_type": STATEMENT_TYPE })).expect("JSON"));
        let changed = serde_json::to_vec(&Envelope { payload: other, ..envelope.clone() }).expect("JSON");
        assert!(matches!(verify::<Value>(&changed, &trusted), Err(AttestationError::NotSigned { .. })));
        let retyped = serde_json::to_vec(&Envelope { payload_type: "text/html".into(), ..envelope }).expect("JSON");
        assert!(matches!(verify::<Value>(&retyped, &trusted), Err(AttestationError::PayloadType(_))));
    }

    #[test]
    fn the_encoding_is_that_of_the_dsse_specification() {
        // protocol.md of secure-systems-lab/dsse, "Test vectors".
        let encoded = pre_authentication("http://example.com/HelloWorld", b"hello world");
        assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn a_key_s_name_is_that_of_rfc_8032_s_first_vector() {
        // RFC 8032, 7.1, TEST 1.
        let secret = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").expect("hex");
        let key = SigningKey::from_bytes(&secret.try_into().expect("32 bytes"));
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(hex::encode(key.verifying_key().as_bytes()), public);
        let name = did_key(&key.verifying_key());
        assert!(name.starts_with("did:key:z6Mk"), "{name}");
        assert_eq!(parse_did_key(&name).expect("its own name"), key.verifying_key());
        for wrong in ["", "did:key:z6Mk", "did:web:example.org", "did:key:zQ3sh", &name[..name.len() - 1]] {
            assert!(parse_did_key(wrong).is_err(), "{wrong}");
        }
    }
}
