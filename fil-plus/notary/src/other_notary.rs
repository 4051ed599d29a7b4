//! Another notary instead of us: a signed request goes to its server, its signed answer is polled for, or called back.
//!
//! What is sent is an in-toto statement in a DSSE envelope ([`crate::attestation`]); docs/notaries.md has the exchange. A request is named by
//! the sha2-256 of its statement, and an answer names that digest among its subjects: an answer is to one request, and cannot be used for
//! another, on another chain or in another round. Each request is on disk before it is sent, and an answer before anybody acts on it.

mod asking;
mod kept;
mod routes;

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use ed25519_dalek::{SigningKey, VerifyingKey};
use lota_bridge::BlessingRef;
use lota_market::{B256, Time, U256, blessing::Nomination, model::JobId};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, broadcast};
use url::Url;

pub use crate::desk::Decision;
use crate::{
    attestation::{self, AttestationError, Envelope, Statement, Subject, SubjectDigest},
    desk::{Asked, OtherAnswer},
    outgoing::{self, AskError, Secrecy, UrlError, place, shown},
    review::{Check, Risk, SettledJob},
};
pub use asking::{AskOnGrant, AskSettings, Dossiers};
use kept::{Folder, Kept};
pub use routes::ANSWERS_PATH;

/// What a request's statement is.
pub const REQUEST_TYPE: &str = "https://github.com/lota-market/lota/docs/notaries.md#request-v1";
/// What an answer's statement is.
pub const ANSWER_TYPE: &str = "https://github.com/lota-market/lota/docs/notaries.md#answer-v1";
/// The name of an answer's subject whose digest is that of the request.
const REQUEST_SUBJECT: &str = "request";
/// The largest answer, in bytes.
pub const MAX_ANSWER: usize = 256 << 10;
/// The most time for a request to its server.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest reason, in bytes.
const MAX_REASON: usize = 4_096;
/// How far clocks may be apart, in seconds.
const SKEW: u64 = 300;
/// Requests that are sent or polled for in one turn.
const TURN: usize = 64;
/// Answers that who listens slowly may lag behind by.
const BACKLOG: usize = 256;

/// What another notary is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    pub asked_at: Time,
    /// Answers that come later are not taken.
    pub answer_by: Time,
    /// The chain and the contract in which the job was nominated.
    pub blessing: BlessingRef,
    pub nomination: Nomination,
    pub job: SettledJob,
    /// What was found out about it, question by question.
    pub checks: Vec<Check>,
    pub risk: Risk,
    /// Where the answer may be sent to.
    pub callback: Option<String>,
}

/// What another notary answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The request's digest.
    pub request: B256,
    pub decision: Decision,
    /// What it granted, in its own unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<U256>,
    #[serde(default)]
    pub reason: String,
    /// Where it can be looked up: a transaction's hash or CID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<String>,
    pub at: Time,
}

/// An answer, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub job: JobId,
    pub round: u32,
    pub answer: Answer,
    /// The did:key that signed it; empty: it is no longer trusted.
    pub key: String,
}

/// Why another notary cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Url(#[from] UrlError),
    #[error("no key of the other notary's is trusted: name its did:key")]
    NoKeys,
    #[error("{0}")]
    Client(String),
    #[error("the requests to another notary in {folder} cannot be read")]
    Folder { folder: String, source: io::Error },
}

/// Why an answer is not taken.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    #[error(transparent)]
    NotBelieved(#[from] AttestationError),
    #[error("it is signed, and no answer: {0}")]
    NoAnswer(String),
    #[error("it answers the request {0}, which was not made here")]
    NotAsked(B256),
    #[error("it came at {now}, and the request was to be answered by {answer_by}")]
    TooLate { now: u64, answer_by: u64 },
    #[error("it says that it was given at {at}; the request is of {asked_at}, and now it is {now}")]
    Clock { at: u64, asked_at: u64, now: u64 },
    #[error("the request was answered otherwise before: that answer stays")]
    Contradicts,
    #[error("it cannot be kept: {0}")]
    Kept(io::Error),
}

/// Why a request could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    #[error("the request cannot be signed: {0}")]
    Sign(#[from] AttestationError),
    #[error("the request cannot be kept: {0}")]
    Kept(io::Error),
}

/// Another notary's server.
pub struct OtherNotary {
    url: Url,
    client: reqwest::Client,
    key: SigningKey,
    trusted: Vec<VerifyingKey>,
    folder: Folder,
    requests: Mutex<BTreeMap<B256, Kept>>,
    answers: broadcast::Sender<Answered>,
    clock: fn() -> Time,
}

impl std::fmt::Debug for OtherNotary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OtherNotary").field("at", &place(&self.url)).finish_non_exhaustive()
    }
}

impl OtherNotary {
    /// The notary whose server is at `url` and whose answers these keys sign. `key` signs our requests, which are kept in `folder`.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn open(
        url: &str,
        key: SigningKey,
        trusted: Vec<VerifyingKey>,
        folder: &Path,
        clock: fn() -> Time,
    ) -> Result<Self, SetupError> {
        let url = outgoing::parse(url, Secrecy::Encrypted)?;
        if trusted.is_empty() {
            return Err(SetupError::NoKeys);
        }
        let client = outgoing::client(PATIENCE).map_err(SetupError::Client)?;
        let failed = |source| SetupError::Folder { folder: folder.display().to_string(), source };
        let (folder, requests) = Folder::open(folder).map_err(failed)?;
        let (answers, _) = broadcast::channel(BACKLOG);
        Ok(Self { url, client, key, trusted, folder, requests: Mutex::new(requests), answers, clock })
    }

    /// Makes a request, unless there is one of the same round of the same job already, and tries to send it. What could not be sent
    /// is sent by [`OtherNotary::advance`]. Returns the request's digest.
    ///
    /// # Errors
    /// [`RequestError`]; then nothing was sent.
    pub async fn ask(&self, request: &Request) -> Result<B256, RequestError> {
        let mut requests = self.requests.lock().await;
        let same = |kept: &Kept| kept.is_of(&request.blessing, request.job.job, request.nomination.round);
        if let Some((id, _)) = requests.iter().find(|(_, kept)| same(kept)) {
            return Ok(*id);
        }
        let subject = |name: &str, digest: &B256| Subject {
            name: name.to_owned(),
            digest: SubjectDigest { sha256: hex::encode(digest) },
        };
        let subjects = vec![subject("spec", &request.job.spec), subject("output", &request.job.output)];
        let envelope = attestation::sign(&Statement::new(subjects, REQUEST_TYPE, request), &self.key)?;
        let id = B256::from(envelope.digest().ok_or(AttestationError::Base64 { what: "payload" })?);
        let kept = Kept {
            job: request.job.job,
            round: request.nomination.round,
            blessing: request.blessing,
            asked_at: request.asked_at,
            answer_by: request.answer_by,
            envelope,
            sent: false,
            answer: None,
        };
        self.folder.write(id, &kept).await.map_err(RequestError::Kept)?;
        requests.insert(id, kept);
        drop(requests);
        if let Err(error) = self.send(id).await {
            tracing::warn!(request = %id, error = %error, "another notary was not asked yet");
        }
        Ok(id)
    }

    /// Sends what was not sent, and asks for the answers that are due. Those that came, from here or by callback, are told to who
    /// [listens](OtherNotary::answers). Returns what went wrong, each in a line.
    pub async fn advance(&self) -> Vec<String> {
        let now = (self.clock)();
        let mut due: Vec<(Time, B256, bool)> = {
            let requests = self.requests.lock().await;
            let open = requests.iter().filter(|(_, kept)| kept.answer.is_none() && now <= kept.answer_by);
            open.map(|(id, kept)| (kept.asked_at, *id, kept.sent)).collect()
        };
        due.sort_unstable();
        // Of many, others the next time: by chance, so that some that stay unanswered do not keep the rest from being asked for.
        let start = if due.len() > TURN { rand::random_range(0..due.len()) } else { 0 };
        due.rotate_left(start);
        let mut problems = Vec::new();
        for (_, id, sent) in due.into_iter().take(TURN) {
            let done = if sent { self.poll(id).await } else { self.send(id).await };
            if let Err(problem) = done {
                let is_unreachable = problem.is_unreachable;
                problems.push(problem.to_string());
                if is_unreachable {
                    break;
                }
            }
        }
        problems
    }

    /// Where its server is.
    #[must_use]
    pub fn server(&self) -> String {
        place(&self.url)
    }

    /// What it was asked in a round of a job that was nominated in this blessing, and its answer.
    pub async fn asked(&self, blessing: &BlessingRef, job: JobId, round: u32) -> Option<Asked> {
        let requests = self.requests.lock().await;
        let kept = requests.values().find(|kept| kept.is_of(blessing, job, round))?;
        let answer = self.answered_in(kept).map(|Answered { answer, key, .. }| {
            let Answer { decision, amount, reason, transaction, at, .. } = answer;
            OtherAnswer { key, decision, amount, reason, transaction, at }
        });
        Some(Asked {
            round,
            server: self.server(),
            at: kept.asked_at,
            answer_by: kept.answer_by,
            is_sent: kept.sent,
            answer,
        })
    }

    /// All answers so far to what was asked of this blessing.
    pub async fn answered(&self, blessing: &BlessingRef) -> Vec<Answered> {
        let requests = self.requests.lock().await;
        let ours = requests.values().filter(|kept| kept.blessing == *blessing);
        ours.filter_map(|kept| self.answered_in(kept)).collect()
    }

    fn answered_in(&self, kept: &Kept) -> Option<Answered> {
        let (answer, envelope) = kept.answer.as_ref()?;
        let key = serde_json::to_vec(envelope).map(|bytes| self.signer(&bytes)).unwrap_or_default();
        Some(Answered { job: kept.job, round: kept.round, answer: answer.clone(), key })
    }

    /// Which of the trusted keys signed an envelope.
    fn signer(&self, bytes: &[u8]) -> String {
        let signed = |key: &&VerifyingKey| {
            attestation::verify::<serde::de::IgnoredAny>(bytes, std::slice::from_ref(*key)).is_ok()
        };
        self.trusted.iter().find(signed).map(attestation::did_key).unwrap_or_default()
    }

    /// Answers from now on. Who listens too slowly looks into [`OtherNotary::answered`].
    pub fn answers(&self) -> broadcast::Receiver<Answered> {
        self.answers.subscribe()
    }

    /// Takes an answer, if it is one of a trusted key to a request of ours. The same again changes nothing.
    ///
    /// # Errors
    /// [`AnswerError`]; nothing is kept of what is not taken.
    pub async fn accept(&self, bytes: &[u8]) -> Result<Answered, AnswerError> {
        if bytes.len() > MAX_ANSWER {
            return Err(AttestationError::TooLong { bytes: bytes.len() }.into());
        }
        let statement: Statement<Answer> = attestation::verify(bytes, &self.trusted)?;
        if statement.predicate_type != ANSWER_TYPE {
            return Err(AnswerError::NoAnswer(format!("its type is {}", shown(&statement.predicate_type))));
        }
        let answer = statement.predicate;
        let digest = hex::encode(answer.request);
        let is_about =
            |subject: &Subject| subject.name == REQUEST_SUBJECT && subject.digest.sha256.eq_ignore_ascii_case(&digest);
        if !statement.subject.iter().any(is_about) {
            return Err(AnswerError::NoAnswer(format!("the request {digest} is none of its subjects")));
        }
        if answer.reason.len() > MAX_REASON || answer.transaction.as_ref().is_some_and(|text| text.len() > MAX_REASON) {
            return Err(AnswerError::NoAnswer(format!("a text in it has more than {MAX_REASON} bytes")));
        }
        if answer.decision == Decision::Granted && answer.amount.is_none_or(|amount| amount == U256::ZERO) {
            return Err(AnswerError::NoAnswer("it grants, and names no amount".to_owned()));
        }
        let envelope: Envelope = serde_json::from_slice(bytes).map_err(AttestationError::Envelope)?;
        let mut requests = self.requests.lock().await;
        let kept = requests.get_mut(&answer.request).ok_or(AnswerError::NotAsked(answer.request))?;
        let key = self.signer(bytes);
        let answered = Answered { job: kept.job, round: kept.round, answer: answer.clone(), key };
        if let Some((before, _)) = &kept.answer {
            return if *before == answer { Ok(answered) } else { Err(AnswerError::Contradicts) };
        }
        let (now, at, asked_at) = ((self.clock)().0, answer.at.0, kept.asked_at.0);
        if now > kept.answer_by.0 {
            return Err(AnswerError::TooLate { now, answer_by: kept.answer_by.0 });
        }
        if at > now.saturating_add(SKEW) || at.saturating_add(SKEW) < asked_at {
            return Err(AnswerError::Clock { at, asked_at, now });
        }
        let with_answer = Kept { answer: Some((answer.clone(), envelope)), sent: true, ..kept.clone() };
        self.folder.write(answer.request, &with_answer).await.map_err(AnswerError::Kept)?;
        *kept = with_answer;
        // Nobody listens: it can be looked up.
        let _ = self.answers.send(answered.clone());
        Ok(answered)
    }

    async fn send(&self, id: B256) -> Result<(), Problem> {
        let Some(envelope) = self.requests.lock().await.get(&id).map(|kept| kept.envelope.clone()) else {
            return Ok(());
        };
        let request = self.client.post(self.url.clone()).json(&envelope);
        let answered = outgoing::ask(request, &self.url, MAX_ANSWER).await.map_err(Problem::from)?;
        if !(200..300).contains(&answered.status) {
            return Err(self.problem(id, format!("did not take it: HTTP {}", answered.status)));
        }
        self.set_sent(id, true).await
    }

    async fn poll(&self, id: B256) -> Result<(), Problem> {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{}", url.path().trim_end_matches('/'), hex::encode(id)));
        let answered = outgoing::ask(self.client.get(url.clone()), &url, MAX_ANSWER).await.map_err(Problem::from)?;
        match answered.status {
            200 => match self.accept(&answered.body).await {
                Ok(answer) if answer.answer.request == id => Ok(()),
                Ok(_) => Err(self.problem(id, "answered another request".to_owned())),
                Err(error) => {
                    Err(self.problem(id, format!("gave an answer that is not taken: {}", shown(&error.to_string()))))
                }
            },
            // Not decided yet.
            202 | 204 => Ok(()),
            // It has lost it, or never kept it.
            404 | 410 => self.set_sent(id, false).await,
            status => Err(self.problem(id, format!("answered HTTP {status}"))),
        }
    }

    async fn set_sent(&self, id: B256, sent: bool) -> Result<(), Problem> {
        let mut requests = self.requests.lock().await;
        let Some(kept) = requests.get_mut(&id) else { return Ok(()) };
        if kept.sent == sent || kept.answer.is_some() {
            return Ok(());
        }
        let changed = Kept { sent, ..kept.clone() };
        let written = self.folder.write(id, &changed).await;
        written.map_err(|error| self.problem(id, format!("was asked, and that cannot be kept: {error}")))?;
        *kept = changed;
        Ok(())
    }

    fn problem(&self, id: B256, what: String) -> Problem {
        Problem { text: format!("request {id}: {} {what}", place(&self.url)), is_unreachable: false }
    }
}

/// What went wrong with a request.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
struct Problem {
    text: String,
    /// Others would fare the same.
    is_unreachable: bool,
}

impl From<AskError> for Problem {
    fn from(error: AskError) -> Self {
        Self { is_unreachable: matches!(error, AskError::Unreachable { .. }), text: error.to_string() }
    }
}

/// Signs an answer, as another notary does.
///
/// # Errors
/// When it cannot be written as JSON.
pub fn sign_answer(answer: &Answer, key: &SigningKey) -> Result<Envelope, AttestationError> {
    let subject =
        Subject { name: REQUEST_SUBJECT.to_owned(), digest: SubjectDigest { sha256: hex::encode(answer.request) } };
    attestation::sign(&Statement::new(vec![subject], ANSWER_TYPE, answer), key)
}

#[cfg(test)]
mod tests;
