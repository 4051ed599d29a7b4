//! What the loop takes in, round by round: the market's updates, and messages.

use std::{sync::Arc, time::Duration};

use futures::StreamExt as _;
use lota_bridge::{Cursor, Transport, TransportError, Update, UpdateStream};
use lota_market::model::JobId;
use tokio::{
    sync::mpsc::{self, error::TryRecvError},
    task::JoinSet,
    time::Instant,
};

use crate::{health::Health, inbox::Message};

/// How many inputs one transaction takes at most.
const ROUND: usize = 1_024;
/// How many updates are read before the loop takes them, at most: reading goes on while it stores.
const READ_AHEAD: usize = 1_024;
/// After how long a log that ended for a reason that somebody must mend is opened again.
const REOPEN: Duration = Duration::from_secs(10);

pub(super) enum Incoming {
    Update(Box<Update>),
    Message(Message),
}

impl Incoming {
    /// The job that an event is about.
    pub(super) fn job(&self) -> Option<JobId> {
        match self {
            Self::Update(update) => match &**update {
                Update::Event { event, .. } => event.job(),
                Update::Auction { event, .. } => event.job(),
                Update::FilecoinPayDeals { event, .. } => event.job(),
                Update::Head { .. } | Update::Rewind { .. } => None,
            },
            Self::Message(_) => None,
        }
    }
}

/// The market's updates, read by a task of their own, which ends with this value.
struct Updates {
    queue: mpsc::Receiver<Result<Update, TransportError>>,
    _reader: JoinSet<()>,
}

impl Updates {
    fn of(mut stream: UpdateStream) -> Self {
        let (sender, queue) = mpsc::channel(READ_AHEAD);
        let mut reader = JoinSet::new();
        reader.spawn(async move {
            while let Some(update) = stream.next().await {
                if sender.send(update).await.is_err() {
                    return;
                }
            }
        });
        Self { queue, _reader: reader }
    }
}

/// Reads both, and opens a log that ended again.
pub(super) struct Intake {
    transport: Arc<dyn Transport>,
    health: Arc<Health>,
    inbox: mpsc::Receiver<Message>,
    updates: Updates,
    /// When a log that ended is opened again.
    again: Option<Instant>,
}

impl Intake {
    /// Reads the log from right after `from`.
    pub(super) fn new(
        transport: Arc<dyn Transport>,
        health: Arc<Health>,
        inbox: mpsc::Receiver<Message>,
        from: Option<Cursor>,
    ) -> Self {
        let updates = Updates::of(transport.updates(from));
        Self { transport, health, inbox, updates, again: None }
    }

    /// The next inputs, at least one. `taken`: up to where the log was taken in.
    pub(super) async fn round(&mut self, taken: Option<Cursor>) -> Vec<Incoming> {
        let mut round = vec![self.next(taken).await];
        while round.len() < ROUND {
            if let Ok(message) = self.inbox.try_recv() {
                round.push(Incoming::Message(message));
                continue;
            }
            if self.again.is_some() {
                break;
            }
            match self.updates.queue.try_recv() {
                Ok(Ok(update)) => round.push(Incoming::Update(Box::new(update))),
                Ok(Err(error)) => {
                    self.health.failed(&error);
                    break;
                }
                Err(TryRecvError::Disconnected) => {
                    self.again = Some(Instant::now() + REOPEN);
                    break;
                }
                Err(TryRecvError::Empty) => break,
            }
        }
        round
    }

    async fn next(&mut self, taken: Option<Cursor>) -> Incoming {
        loop {
            tokio::select! {
                update = self.updates.queue.recv(), if self.again.is_none() => match update {
                    Some(Ok(update)) => {
                        self.health.reached();
                        return Incoming::Update(Box::new(update));
                    }
                    Some(Err(error)) => self.health.failed(&error),
                    None => self.again = Some(Instant::now() + REOPEN),
                },
                () = tokio::time::sleep_until(self.again.unwrap_or_else(Instant::now)), if self.again.is_some() => {
                    self.again = None;
                    self.updates = Updates::of(self.transport.updates(taken));
                }
                Some(message) = self.inbox.recv() => return Incoming::Message(message),
            }
        }
    }
}
