//! Signing in with a wallet: messages of EIP-4361 (ERC-4361, "Sign-In with Ethereum"), signed as EIP-191 has it.
//!
//! Accounts that are contracts (ERC-1271) cannot sign in: their signatures are asked of a chain. They vote without this page.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
};

use alloy::primitives::eip191_hash_message;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use lota_bridge::eip712::recover;
use lota_market::Address;
use sha2::Sha256;

/// The longest message that is read, in bytes.
pub(crate) const MAX_MESSAGE: usize = 2_048;
/// So many sign-ins may succeed in the time in which a message can be signed.
const MAX_USED: usize = 4_096;
/// How far a message may have been issued ahead of our clock, in seconds.
const AHEAD: i64 = 60;
const FIRST_LINE: &str = " wants you to sign in with your Ethereum account:";

/// A message of EIP-4361.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) domain: String,
    pub(crate) address: Address,
    pub(crate) statement: Option<String>,
    pub(crate) uri: String,
    pub(crate) chain_id: u64,
    pub(crate) nonce: String,
    pub(crate) issued_at: Timestamp,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) not_before: Option<Timestamp>,
    pub(crate) request_id: Option<String>,
    pub(crate) resources: Vec<String>,
}

/// Why nobody is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SignInError {
    /// The message is not one of EIP-4361.
    Form(&'static str),
    /// A field is not what this page asked for.
    Field {
        field: &'static str,
        is: String,
        expected: String,
    },
    Expired,
    /// It was signed by another account, or not at all.
    Signature,
    Nonce(&'static str),
    /// Too many signed in.
    Crowded,
}

impl fmt::Display for SignInError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Form(what) => write!(f, "the message is not one to sign in with (EIP-4361): {what}"),
            Self::Field { field, is, expected } => {
                write!(
                    f,
                    "the message's {field} is {is:?}; expected {expected:?}: sign the message of this page, unchanged"
                )
            }
            Self::Expired => write!(f, "the message's time is over; ask for a new one"),
            Self::Signature => write!(f, "the signature is not the named account's over this message"),
            Self::Nonce(what) => write!(f, "the message's nonce {what}; ask for a new message"),
            Self::Crowded => write!(f, "too many signed in within a few minutes; try again later"),
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{FIRST_LINE}\n{}\n\n", self.domain, self.address)?;
        if let Some(statement) = &self.statement {
            writeln!(f, "{statement}")?;
        }
        write!(f, "\nURI: {}\nVersion: 1\nChain ID: {}\nNonce: {}", self.uri, self.chain_id, self.nonce)?;
        write!(f, "\nIssued At: {}", self.issued_at)?;
        if let Some(expires) = self.expires {
            write!(f, "\nExpiration Time: {expires}")?;
        }
        if let Some(not_before) = self.not_before {
            write!(f, "\nNot Before: {not_before}")?;
        }
        if let Some(id) = &self.request_id {
            write!(f, "\nRequest ID: {id}")?;
        }
        if !self.resources.is_empty() {
            write!(f, "\nResources:")?;
            for resource in &self.resources {
                write!(f, "\n- {resource}")?;
            }
        }
        Ok(())
    }
}

fn time(text: &str) -> Result<Timestamp, SignInError> {
    // RFC 3339 as it stands there: jiff reads more.
    let is_strict = text.is_ascii() && text.len() >= 20 && text.as_bytes()[10] == b'T';
    text.parse().ok().filter(|_| is_strict).ok_or(SignInError::Form("a time is not RFC 3339"))
}

fn uri(text: &str) -> Result<String, SignInError> {
    match url::Url::parse(text) {
        Ok(_) if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(text.to_owned()),
        _ => Err(SignInError::Form("a URI is not RFC 3986")),
    }
}

impl Message {
    /// Reads a message by EIP-4361's grammar, and nothing that is only like it.
    pub(crate) fn parse(text: &str) -> Result<Self, SignInError> {
        use SignInError::Form;
        if text.len() > MAX_MESSAGE {
            return Err(Form("it is too long"));
        }
        if text.chars().any(|c| c.is_control() && c != '\n') {
            return Err(Form("it holds control characters"));
        }
        let mut lines = text.split('\n').peekable();
        let domain = lines.next().and_then(|line| line.strip_suffix(FIRST_LINE)).ok_or(Form("its first line"))?;
        if domain.is_empty() || !domain.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Form("its domain"));
        }
        let address = lines.next().ok_or(Form("its address is missing"))?;
        let address = Address::parse_checksummed(address, None)
            .map_err(|_| Form("its address has no right checksum (EIP-55)"))?;
        if lines.next() != Some("") {
            return Err(Form("no empty line follows the address"));
        }
        let statement = match lines.next() {
            Some("") => None,
            Some(line) if lines.next() == Some("") => Some(line.to_owned()),
            _ => return Err(Form("no empty line follows the statement")),
        };
        let mut field = |name: &'static str| {
            lines
                .next()
                .and_then(|line| line.strip_prefix(name))
                .and_then(|rest| rest.strip_prefix(": "))
                .ok_or(Form(name))
        };
        let uri_field = uri(field("URI")?)?;
        if field("Version")? != "1" {
            return Err(Form("its version is not 1"));
        }
        let chain_id = field("Chain ID")?;
        let is_number = chain_id.bytes().all(|byte| byte.is_ascii_digit());
        let chain_id = chain_id.parse().ok().filter(|_| is_number).ok_or(Form("its chain id is no number"))?;
        let nonce = field("Nonce")?.to_owned();
        if nonce.len() < 8 || !nonce.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Form("its nonce is not of 8 or more letters and digits"));
        }
        let issued_at = time(field("Issued At")?)?;
        let mut optional = |name: &'static str| -> Option<&str> {
            let rest = lines.peek()?.strip_prefix(name)?.strip_prefix(": ")?;
            lines.next();
            Some(rest)
        };
        let expires = optional("Expiration Time").map(time).transpose()?;
        let not_before = optional("Not Before").map(time).transpose()?;
        let request_id = optional("Request ID").map(str::to_owned);
        let mut resources = Vec::new();
        if lines.peek() == Some(&"Resources:") {
            lines.next();
            while let Some(resource) = lines.next_if(|line| line.starts_with("- ")) {
                resources.push(uri(&resource[2..])?);
            }
        }
        if lines.next().is_some() {
            return Err(Form("something follows its last field"));
        }
        let uri = uri_field;
        let domain = domain.to_owned();
        Ok(Self {
            domain,
            address,
            statement,
            uri,
            chain_id,
            nonce,
            issued_at,
            expires,
            not_before,
            request_id,
            resources,
        })
    }
}

/// What a page asks to be signed, and checks that it was.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) domain: &'a str,
    pub(crate) uri: &'a str,
    pub(crate) chain_id: u64,
    /// The secret of the browser that asked.
    pub(crate) browser: &'a str,
    pub(crate) now: Timestamp,
}

/// A message that an account signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Signed {
    pub(crate) account: Address,
    nonce: String,
    expires: i64,
}

/// What is said above the fields.
const STATEMENT: &str =
    "Sign in to read this notary's desk. This signature casts no vote and sends nothing to a chain.";

/// Nonces: each says until when it may be used, and is authenticated with whose browser and account it is for. So none needs to be kept
/// before it was used, and nobody can make us forget one.
pub(crate) struct Nonces {
    key: [u8; 32],
    lifetime: i64,
    used: Mutex<HashMap<String, i64>>,
}

impl fmt::Debug for Nonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nonces").field("lifetime", &self.lifetime).finish_non_exhaustive()
    }
}

impl Nonces {
    pub(crate) fn new(lifetime: u64) -> Self {
        Self { key: rand::random(), lifetime: i64::try_from(lifetime).unwrap_or(i64::MAX / 4), used: Mutex::default() }
    }

    fn mac(&self, head: &[u8], account: Address, browser: &str) -> Hmac<Sha256> {
        #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.key).expect("a key");
        mac.update(head);
        mac.update(account.as_slice());
        mac.update(browser.as_bytes());
        mac
    }

    fn issue(&self, account: Address, browser: &str, expires: i64) -> String {
        let mut nonce = expires.to_be_bytes().to_vec();
        nonce.extend(rand::random::<[u8; 12]>());
        let mac = self.mac(&nonce, account, browser).finalize().into_bytes();
        nonce.extend(&mac[..16]);
        hex::encode(nonce)
    }

    /// Whether a nonce is ours, for this browser and account, and still good; until when.
    fn check(&self, nonce: &str, account: Address, browser: &str, now: Timestamp) -> Result<i64, SignInError> {
        let foreign = SignInError::Nonce("is not one that this page gave to this browser for this account");
        // Only as we write it, lest one nonce could be used in two spellings.
        let is_ours = nonce.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let bytes: [u8; 36] = match hex::decode(nonce).ok().and_then(|bytes| bytes.try_into().ok()) {
            Some(bytes) if is_ours => bytes,
            _ => return Err(foreign),
        };
        let (head, mac) = bytes.split_at(20);
        self.mac(head, account, browser).verify_truncated_left(mac).map_err(|_| foreign)?;
        let expires = head.first_chunk().map_or(0, |bytes| i64::from_be_bytes(*bytes));
        if now.as_second() >= expires { Err(SignInError::Expired) } else { Ok(expires) }
    }

    /// Whose sign-in this is, once: nobody's message is believed twice. What is used up is kept for a while, so only of those who may sign
    /// in: strangers take no place from notaries.
    pub(crate) fn use_up(&self, signed: Signed, now: Timestamp) -> Result<Address, SignInError> {
        let Signed { account, nonce, expires } = signed;
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        used.retain(|_, expires| *expires > now.as_second());
        if used.len() >= MAX_USED {
            return Err(SignInError::Crowded);
        }
        match used.insert(nonce, expires) {
            Some(_) => Err(SignInError::Nonce("was used")),
            None => Ok(account),
        }
    }

    /// The message that an account is to sign.
    pub(crate) fn message(&self, account: Address, asked: &Asked<'_>) -> Message {
        let issued = asked.now.as_second();
        let expires = issued.saturating_add(self.lifetime);
        let at = |second| Timestamp::from_second(second).unwrap_or(Timestamp::MAX);
        Message {
            domain: asked.domain.into(),
            address: account,
            statement: Some(STATEMENT.into()),
            uri: asked.uri.into(),
            chain_id: asked.chain_id,
            nonce: self.issue(account, asked.browser, expires),
            issued_at: at(issued),
            expires: Some(at(expires)),
            not_before: None,
            request_id: None,
            resources: vec![],
        }
    }

    /// Who signed this message of ours, which may have been [used up](Self::use_up).
    pub(crate) fn verify(&self, text: &str, signature: &[u8], asked: &Asked<'_>) -> Result<Signed, SignInError> {
        let message = Message::parse(text)?;
        let field = |field, is: &dyn fmt::Display, expected: &dyn fmt::Display| {
            let (is, expected) = (is.to_string(), expected.to_string());
            if is == expected { Ok(()) } else { Err(SignInError::Field { field, is, expected }) }
        };
        field("domain", &message.domain, &asked.domain)?;
        field("URI", &message.uri, &asked.uri)?;
        field("chain id", &message.chain_id, &asked.chain_id)?;
        field("statement", &message.statement.as_deref().unwrap_or_default(), &STATEMENT)?;
        if message.not_before.is_some() || message.request_id.is_some() || !message.resources.is_empty() {
            return Err(SignInError::Form("it holds fields that this page does not ask for"));
        }
        let expires = self.check(&message.nonce, message.address, asked.browser, asked.now)?;
        let told = message.expires.map_or(0, Timestamp::as_second);
        field("expiration time", &told, &expires)?;
        let now = asked.now.as_second();
        let issued = message.issued_at.as_second();
        if issued > now + AHEAD || issued < expires.saturating_sub(self.lifetime) {
            return Err(SignInError::Form("it was issued at another time than it says"));
        }
        let signer = recover(&eip191_hash_message(text.as_bytes()), signature).ok_or(SignInError::Signature)?;
        if signer != message.address {
            return Err(SignInError::Signature);
        }
        Ok(Signed { account: signer, nonce: message.nonce, expires })
    }
}

#[cfg(test)]
mod tests;
