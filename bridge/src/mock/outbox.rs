//! What lies ready for one reader: few messages, and few bytes of them.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// How many messages may lie ready: more are not made before the reader took these.
const MESSAGES: usize = 8;
/// The most bytes of them, unless it is one alone.
const BYTES: usize = 256 << 10;

/// A message that lies ready, and its place.
pub(super) struct Ready {
    pub(super) text: String,
    /// Free when the reader has taken it.
    pub(super) place: OwnedSemaphorePermit,
}

/// Where a connection's messages go. Whoever writes waits for the reader, so a slow one takes no memory.
#[derive(Clone)]
pub(super) struct Outbox {
    ready: mpsc::Sender<Ready>,
    room: Arc<Semaphore>,
}

/// The reader is gone.
pub(super) struct Gone;

impl Outbox {
    pub(super) fn new() -> (Self, mpsc::Receiver<Ready>) {
        let (ready, taken) = mpsc::channel(MESSAGES);
        (Self { ready, room: Arc::new(Semaphore::new(BYTES)) }, taken)
    }

    pub(super) async fn send(&self, text: String) -> Result<(), Gone> {
        let size = u32::try_from(text.len().min(BYTES)).unwrap_or(u32::MAX);
        let place = tokio::select! {
            place = Arc::clone(&self.room).acquire_many_owned(size) => place.map_err(|_| Gone)?,
            () = self.ready.closed() => return Err(Gone),
        };
        self.ready.send(Ready { text, place }).await.map_err(|_| Gone)
    }

    /// Ready when the reader is gone.
    pub(super) async fn closed(&self) {
        self.ready.closed().await;
    }
}
