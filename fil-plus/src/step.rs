//! What a source hands over at once, and how it says that it cannot.

use std::time::Duration;

use crate::fact::{Fact, Kind};
use lota_content::piece::PieceRoot;

/// The first block of a chain, which tells it from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Genesis {
    /// Its CIDs, joined.
    pub key: String,
    /// Unix seconds of epoch 0.
    pub time: u64,
}

/// All claims of a provider, or all allocations of a client, were read at this epoch: what is older and was not among them is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub kind: Kind,
    pub party: u64,
    pub epoch: u64,
}

/// A list that takes the place of the source's earlier one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    pub name: String,
    /// Unix seconds.
    pub issued: u64,
    /// The Ed25519 public key whose signature it bears.
    pub signed_by: [u8; 32],
    pub entries: Vec<ListEntry>,
}

/// What a list says about one CID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListEntry {
    /// As [`Subject::key`](crate::subject::Subject::key) gives it.
    pub subject: Vec<u8>,
    pub note: String,
}

/// What an index says: this peer has the payload in that piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub piece: PieceRoot,
    pub verified_deal: bool,
    /// The libp2p id of who advertised it.
    pub peer: String,
}

/// How far a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOf {
    /// The chain's epoch; none: it is no chain.
    pub epoch: Option<u64>,
    /// Unix seconds.
    pub time: u64,
}

/// What was not believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    pub count: u64,
    /// The first one, in words.
    pub example: Option<String>,
}

impl Refused {
    /// One more.
    pub fn add(&mut self, why: impl ToString) {
        self.count += 1;
        self.example.get_or_insert_with(|| why.to_string());
    }
}

/// Everything of a step, to be kept in one transaction with the cursor behind it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    pub facts: Vec<Fact>,
    pub snapshot: Option<Snapshot>,
    pub list: Option<List>,
    pub genesis: Option<Genesis>,
    /// What the next step goes on from; none: as before.
    pub cursor: Option<String>,
    pub as_of: Option<AsOf>,
    /// With this step, everything that there was at this epoch was read.
    pub complete: Option<u64>,
    /// Of events: all from this epoch on were read.
    pub since: Option<u64>,
    pub refused: Refused,
    /// When to take the next step; none: at once.
    pub rest: Option<Duration>,
    /// What a person who watches is told.
    pub progress: String,
}

/// Why a source gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    #[error("{place} does not answer: {problem}")]
    Unreachable { place: String, problem: String },
    #[error("{place} answered nothing for {seconds} s")]
    Hung { place: String, seconds: u64 },
    #[error("{place} answered HTTP {status}: {body}")]
    Status { place: String, status: u16, body: String },
    #[error("{place} answered more than {limit} bytes; what is longer is not read")]
    TooLarge { place: String, limit: u64 },
    #[error("{place} did not answer as documented ({problem}); is this the right URL? It begins with: {begins}")]
    Shape { place: String, problem: String, begins: String },
    #[error("{place} refused {method}: {message}")]
    Refused { place: String, method: String, message: String },
    #[error("{place} contradicts itself: {problem}")]
    Contradiction { place: String, problem: String },
    #[error(
        "{place} is of another chain (genesis {found}) than what is kept of it (genesis {known}); name another data folder, or the right URL"
    )]
    OtherChain { place: String, found: String, known: String },
    /// What was final is not so any more: all that came from there is to be read anew.
    #[error("{place} has another block at epoch {epoch} than when that was final; what came from it is read anew")]
    Rewritten { place: String, epoch: u64 },
    #[error("the list {place} is not taken: {problem}")]
    List { place: String, problem: String },
}
