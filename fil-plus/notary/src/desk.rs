//! What a notary's page asks of the service, and what it may have it do: the seam between the two.
//!
//! Everything here can be serialized: the service serves it as JSON, too (`/api/v1/...`). Texts that strangers wrote (evidence, names of
//! files, reasons) are as they were: whoever shows them escapes them.

use std::io;

use async_trait::async_trait;
use futures::stream::BoxStream;
use lota_bridge::BlessingRef;
use lota_market::{
    Address, AttoFil, B256, Bytes, Time, U256,
    asset::Asset,
    blessing::{Choice, End, Limits, Nomination, Phase},
    model::JobId,
};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::{
    attestation::Envelope,
    audit_file::Export,
    audit_log,
    payments::Payment,
    review::{Check, Risk, SettledJob},
};

/// The longest written reason, in bytes.
pub const MAX_REASON: usize = 4_096;
/// The most bytes of an output's file that are shown at once.
pub const MAX_SHOWN: u64 = 256 * 1024;

/// The notaries, the granters, and where the service stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The chain and the blessing's contract: the domain of what is signed.
    pub blessing: BlessingRef,
    pub market: Address,
    /// What deposits, shares and bounties are in.
    pub asset: Asset,
    pub notaries: Vec<Address>,
    pub quorum: u32,
    /// The version of the set: votes are signed for it.
    pub version: u32,
    pub granters: Vec<Granter>,
    /// From this amount on (in the granter's unit) two notaries must approve before a vote is sent, whatever the quorum is; each
    /// granter's own is with it.
    pub two_approvals_from: Option<U256>,
    /// The did:key of what the service signs: attestations, and requests to another notary.
    pub signs_as: String,
    /// The market's time.
    pub now: Time,
    /// Number of the newest block, and of the newest that is final.
    pub block: u64,
    pub finalized: u64,
    /// What does not work now (a chain that cannot be reached, a registry that is stale), each in a line.
    pub problems: Vec<String>,
}

/// A granter that was admitted, and what its limits leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granter {
    pub granter: Address,
    /// What it is called (`Filecoin Pay`, `DataCap`), if the service was told.
    pub name: String,
    /// The unit of its amounts: `bytes`, or an asset's symbol.
    pub unit: String,
    /// So many decimals an amount of it has, in `unit`.
    pub decimals: u8,
    /// [`About::two_approvals_from`] of this granter's grants.
    pub two_approvals_from: Option<U256>,
    pub limits: Limits,
    /// What was granted in this period.
    pub granted: U256,
    /// When the period ends.
    pub period_ends: Time,
}

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// What there is to know of it is being gathered.
    Gathering,
    /// It may be nominated; the service has not, for the reason that the dossier names.
    NotNominated,
    /// Notaries vote.
    Voting,
    /// It was blessed, and may still be revoked.
    Blessed,
    /// It was blessed, and the grant is due.
    Due,
    Granted,
    /// It ended without a grant.
    Ended(End),
}

/// A job in the queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueEntry {
    pub job: JobId,
    pub client: Address,
    pub provider: Address,
    pub settled_at: Time,
    /// In the market's asset.
    pub price: AttoFil,
    /// What it runs; `None`: the spec's bytes are not known.
    pub runs: Option<Runs>,
    pub stage: Stage,
    pub risk: Risk,
    /// The questions that worry, in words (`3 warnings`); empty if none does.
    pub worries: String,
    /// What is asked for, if it was nominated: in the granter's unit.
    pub amount: Option<U256>,
    pub granter: Option<Address>,
    /// Of this round; when it is decided, those that decided it.
    pub approvals: u32,
    pub against: u32,
    /// Votes to revoke its blessing.
    pub revocations: u32,
    /// Until when it is voted on, or may be revoked, or granted.
    pub until: Option<Time>,
    /// Who has voted: while it is voted on, whose vote counts or is on its way; later, who voted in this round.
    pub voted: Vec<Address>,
}

/// What a job runs, as its client wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs {
    /// `wasm` or `docker`.
    pub engine: String,
    /// The module's CID, or the image.
    pub program: String,
    pub inputs: u32,
    /// Some of its labels, as `name=value`.
    pub labels: Vec<String>,
}

/// What open jobs wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Waiting {
    /// For [`QueueFilter::voter`]: it is voted on, or may be revoked, and this notary has not voted in this round.
    ToDecide,
    /// For others: this notary has voted.
    Voted,
    /// For a nomination.
    NotNominated,
    /// For this service to look into it.
    Gathering,
}

/// How many open jobs there are of each kind among those that were searched for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub to_decide: u64,
    pub voted: u64,
    pub not_nominated: u64,
    pub gathering: u64,
    /// Also those that wait for their grant.
    pub all: u64,
}

/// What the queue is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueFilter {
    /// Those that wait for somebody's decision (true), or those that are over (false).
    pub open: bool,
    /// Of those that are open, only these.
    #[serde(default)]
    pub waiting: Option<Waiting>,
    /// Whose votes are looked at.
    #[serde(default)]
    pub voter: Option<Address>,
    /// A part of the job's id, or of its client's or provider's address in hex; empty: all.
    #[serde(default)]
    pub search: String,
    /// Of these, after this job (the last of the page before).
    #[serde(default)]
    pub after: Option<JobId>,
    pub limit: u32,
}

/// A page of jobs: of those that are open the riskier and older ones first, of those that are over the newest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    pub entries: Vec<QueueEntry>,
    /// Whether there are more after the last.
    pub more: bool,
    /// How many there are altogether.
    pub total: u64,
    pub counts: Counts,
}

/// A vote that was cast, or is held until another notary has signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    pub round: u32,
    pub notary: Address,
    pub choice: Choice,
    /// Digest of the reasons.
    pub reasons: B256,
    /// The reasons, if this service has them.
    pub text: Option<String>,
    pub at: Time,
    pub state: VoteState,
}

/// How far a vote got.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum VoteState {
    /// Signed, and held until another notary has signed, too (see [`About::two_approvals_from`]).
    Held,
    /// It is being sent.
    Sending,
    /// It is in a block.
    Landed { transaction: Option<B256>, is_final: bool },
    /// The contract refuses it.
    Refused { why: String },
}

/// All that a notary is shown of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dossier {
    pub job: SettledJob,
    pub stage: Stage,
    pub risk: Risk,
    pub checks: Vec<Check>,
    /// The spec, as JSON; `None`: its bytes are not known.
    pub spec: Option<serde_json::Value>,
    /// The output's CID.
    pub output: String,
    /// The last nomination, whether it runs or not.
    pub nomination: Option<Nomination>,
    /// The CID (version 2) of its piece, if that is the one that this service computed from the output.
    pub piece: Option<String>,
    /// What this service's own policy asks for, if the running nomination asks for less.
    pub policy_amount: Option<U256>,
    /// Why the service has not nominated it.
    pub not_nominated: Option<String>,
    pub phase: Phase,
    /// Of this round; when it is decided, those that decided it.
    pub approvals: u32,
    pub against: u32,
    /// Votes to revoke its blessing.
    pub revocations: u32,
    /// Whose votes count for the next decision: they have voted.
    pub voters: Vec<Address>,
    pub votes: Vec<Vote>,
    /// What happened to it, the oldest first.
    pub happened: Vec<Happened>,
    /// What proofs of storage say of its piece, each in a line. They are looked at again while it is voted on, and when somebody looks.
    pub availability: Vec<crate::review::Evidence>,
    pub looked_at: LookedAt,
    /// Another notary that was asked for what was granted.
    pub asked: Option<Asked>,
    /// What the grant left to be paid over Filecoin Pay, once that is final and known.
    #[serde(default)]
    pub payment: Option<Payment>,
}

/// When what is shown of a job was found out; `None`: it was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookedAt {
    pub inputs: Option<Time>,
    pub output: Option<Time>,
    pub re_execution: Option<Time>,
    pub proofs: Option<Time>,
}

/// What another notary was asked, and its answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub round: u32,
    /// Where its server is.
    pub server: String,
    pub at: Time,
    /// Answers that come later are not taken.
    pub answer_by: Time,
    /// Whether its server has the request.
    pub is_sent: bool,
    pub answer: Option<OtherAnswer>,
}

/// What another notary answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherAnswer {
    /// The did:key that signed it; empty: it is no longer trusted.
    pub key: String,
    pub decision: Decision,
    /// What it granted, in its own unit.
    pub amount: Option<U256>,
    /// In its words.
    pub reason: String,
    /// Where it can be looked up, as it says.
    pub transaction: Option<String>,
    /// When it was given, as it says.
    pub at: Time,
}

/// How another notary decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    Granted,
    Refused,
}

/// Something that happened to a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Happened {
    pub at: Time,
    pub what: String,
    pub transaction: Option<B256>,
    pub is_final: bool,
}

/// What a notary is to sign: the typed data for its wallet, and the same decoded for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BallotPaper {
    pub choice: Choice,
    pub nomination: Nomination,
    /// sha2-256 of the written reason's bytes.
    pub reasons: B256,
    pub version: u32,
    /// EIP-712 typed data as `eth_signTypedData_v4` takes it (types, domain, primaryType, message).
    pub typed_data: serde_json::Value,
    /// The digest that the signature is over.
    pub digest: B256,
    /// The call that is sent with it, field by field, in words.
    pub decoded: Vec<crate::review::Evidence>,
}

/// A vote that a notary's wallet signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedVote {
    pub job: JobId,
    pub round: u32,
    pub choice: Choice,
    pub notary: Address,
    /// The written reason, whose digest was signed.
    pub text: String,
    /// The version of the set of notaries that it was signed for.
    pub version: u32,
    pub signature: Bytes,
}

/// What is in a directory of an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OutputNode {
    Directory {
        entries: Vec<OutputEntry>,
        /// Whether there are more behind the last.
        more: bool,
    },
    /// The first [`MAX_SHOWN`] bytes of a file.
    File { size: u64, begin: Bytes, cid: String },
}

/// A name in a directory of an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputEntry {
    pub name: String,
    pub kind: EntryKind,
    /// In bytes, of a file.
    pub size: Option<u64>,
}

/// What is behind a name in a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EntryKind {
    Directory,
    File,
    /// A symbolic link: it is not followed.
    Link,
    /// It cannot be read, or could not in time.
    Unknown,
}

/// A file of an output. All of it was here and checked before its first byte is handed out.
pub struct OutputFile {
    pub size: u64,
    pub bytes: BoxStream<'static, io::Result<axum::body::Bytes>>,
}

impl std::fmt::Debug for OutputFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OutputFile").field("size", &self.size).finish_non_exhaustive()
    }
}

/// Why the service does not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// There is no such job, or path.
    #[error("{0}")]
    NotFound(String),
    /// What was sent is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The contract, or a rule of this service, refuses it: a conflict of interest, a vote that was cast, a set that changed.
    #[error("{0}")]
    Refused(String),
    /// The file is not handed out whole.
    #[error("it has {size} bytes, and at most {most} are handed out here; fetch it by its CID: lota content get {cid}")]
    TooLarge { size: u64, most: u64, cid: String },
    /// It cannot be done now; the same may work later.
    #[error("{0}")]
    Unavailable(String),
}

/// Something changed that a page shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Of this job.
    Job(JobId),
    /// Of the notaries, the granters or the service itself.
    About,
}

/// A notary's service, as its page sees it.
#[async_trait]
pub trait Desk: Send + Sync + 'static {
    /// # Errors
    /// [`DeskError::Unavailable`] until the chain was read once.
    async fn about(&self) -> Result<About, DeskError>;

    /// # Errors
    /// See [`DeskError`].
    async fn queue(&self, filter: &QueueFilter) -> Result<Queue, DeskError>;

    /// # Errors
    /// See [`DeskError`].
    async fn dossier(&self, job: JobId) -> Result<Dossier, DeskError>;

    /// What lies at a path of a job's output (empty: its root), each block checked against its CID; of a directory, the names behind
    /// `after`.
    ///
    /// # Errors
    /// See [`DeskError`].
    async fn output(&self, job: JobId, path: &str, after: Option<&str>) -> Result<OutputNode, DeskError>;

    /// A whole file of a job's output, of at most so many bytes.
    ///
    /// # Errors
    /// See [`DeskError`]; once bytes are handed out, only what a disk has lost meanwhile.
    async fn file(&self, job: JobId, path: &str, most: u64) -> Result<OutputFile, DeskError>;

    /// What `notary` would sign. Nothing is sent or kept.
    ///
    /// # Errors
    /// [`DeskError::Refused`] when the contract would refuse the vote: not a notary, a party of the job, voted already, over.
    async fn ballot_paper(
        &self,
        job: JobId,
        choice: Choice,
        text: &str,
        notary: Address,
    ) -> Result<BallotPaper, DeskError>;

    /// Takes a signed vote, writes it into the audit log and sends it, or holds it until another notary has signed. Waits until it
    /// is in a block, or a while.
    ///
    /// # Errors
    /// See [`DeskError`]; nothing is kept of what is wrong.
    async fn vote(&self, vote: &SignedVote) -> Result<Vote, DeskError>;

    /// Notes a notary's sign-in, or its end, in the audit log.
    ///
    /// # Errors
    /// See [`DeskError`].
    async fn note(&self, actor: &str, action: &str, subject: &str) -> Result<(), DeskError>;

    /// Entries of the audit log from a number on (the first is 1), and its end.
    ///
    /// # Errors
    /// See [`DeskError`].
    async fn audit_log(&self, from: u64, limit: u32) -> Result<(Vec<audit_log::Entry>, audit_log::Head), DeskError>;

    /// The audit log's lines.
    ///
    /// # Errors
    /// See [`DeskError`].
    async fn export_audit_log(&self) -> Result<Export, DeskError>;

    /// The signed statement of how a job was decided, once that is final.
    ///
    /// # Errors
    /// See [`DeskError`].
    async fn attestation(&self, job: JobId) -> Result<Envelope, DeskError>;

    /// A notary looks at a job: what others said of it long ago is asked for again.
    fn opened(&self, _job: JobId) {}

    /// What changes from now on. Who reads slowly misses some, and is told so.
    fn changes(&self) -> broadcast::Receiver<Change>;
}
