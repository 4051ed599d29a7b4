//! The way to the loop: what it is told besides the market's updates, and who watches what came of it.

use lota_api::Resumed;
use lota_bridge::TransportError;
use lota_market::{
    Address, AttoFil,
    agent::{BidMoney, EffectKey, Request, StepKey, StepOutcome},
    model::JobId,
};
use tokio::sync::{broadcast, mpsc, oneshot};

use crate::{health::SharedKey, salts::TakenSalt, store::RequestKey};

/// How many messages wait for the loop at most.
pub(crate) const INBOX: usize = 1_024;
/// How many changes of jobs a slow watcher may be behind before it has to look for itself.
const CHANGES: usize = 4_096;

/// What the loop is told besides the market's updates.
#[derive(Debug)]
pub(crate) enum Message {
    /// A step came to an end.
    Done { key: StepKey, outcome: StepOutcome },
    /// Somebody else sent a transaction with the node's key.
    KeyShared(SharedKey),
    /// The operator has a provider that had stopped lock jobs again; the answer says for what it had.
    Resume { reply: ResumeReply },
    /// The operator takes money out of the auction, or, if no amount is named, all that is free; the answer says how much that is, and
    /// from then on no bid counts on it. It is sent to this account, under this key.
    TakeBidMoney { amount: Option<AttoFil>, to: Address, key: EffectKey, reply: TakeReply },
    /// What the operator takes out of the auction has left it, or will not.
    BidMoneyMoved,
    /// The node is about to end: it begins no more jobs, and says how many it has to finish.
    Drain,
    /// A person wants a job done; the answer says which one was opened: with a key that was used before, that of then.
    Request { request: Box<Request>, key: Option<RequestKey>, taken: TakenSalt, reply: RequestReply },
    /// A person wants a job cancelled; the answer says whether this node could ask for it.
    Cancel { job: JobId, reply: oneshot::Sender<Result<(), String>> },
}

/// Where who asked for a job is told which one was opened.
pub(crate) type RequestReply = oneshot::Sender<Result<JobId, Refusal>>;

/// Where an operator is told how much of the money for bids they take out.
pub(crate) type TakeReply = oneshot::Sender<Result<AttoFil, NotTaken>>;

/// Why money is not taken out of the auction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// Bids may need it.
    Bound(BidMoney),
    /// It is not known what is there.
    Unknown(TransportError),
}

/// Where an operator is told for what the provider had stopped.
pub(crate) type ResumeReply = oneshot::Sender<Resumed>;

/// Why a job that a person wants is not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The market, or the party's money, does not allow it.
    Failed(String),
    /// The key belongs to another request, which opened this job.
    KeyReused(JobId),
}

/// The way to the loop.
#[derive(Clone, Debug)]
pub(crate) struct Inbox {
    sender: mpsc::Sender<Message>,
    changes: broadcast::Sender<JobId>,
}

impl Inbox {
    pub(crate) fn new(sender: mpsc::Sender<Message>) -> Self {
        Self { sender, changes: broadcast::channel(CHANGES).0 }
    }

    pub(crate) fn changes(&self) -> broadcast::Sender<JobId> {
        self.changes.clone()
    }

    /// Ids of jobs, each time its record changed.
    pub(crate) fn watch(&self) -> broadcast::Receiver<JobId> {
        self.changes.subscribe()
    }

    /// Gives the loop a message; `false` when the node is ending.
    pub(crate) async fn send(&self, message: Message) -> bool {
        self.sender.send(message).await.is_ok()
    }
}
