//! Faults of a connection, on demand.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

/// What happens to one submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection breaks before the market sees it.
    LoseRequest,
    /// It lands, but the answer is lost.
    LoseAnswer,
    /// It takes this long until the market sees it.
    Delay(Duration),
}

/// The most faults that can be lined up on one connection.
pub const MAX_FAULTS: usize = 1_024;

/// A party's connection, with what shall go wrong on it. Clones are the same connection.
#[derive(Clone, Debug)]
pub struct Link {
    faults: Arc<Mutex<VecDeque<Fault>>>,
    cuts: Arc<watch::Sender<u64>>,
}

impl Default for Link {
    fn default() -> Self {
        Self { faults: Arc::default(), cuts: Arc::new(watch::Sender::new(0)) }
    }
}

impl Link {
    /// Lines a fault up for the next submission that has none yet; beyond [`MAX_FAULTS`] it is dropped.
    pub fn next_submission(&self, fault: Fault) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if faults.len() < MAX_FAULTS {
            faults.push_back(fault);
        }
    }

    /// Cuts every stream of updates once; each reports it and goes on from where it was.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }

    pub(super) fn take(&self) -> Option<Fault> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    pub(super) fn cuts(&self) -> watch::Receiver<u64> {
        self.cuts.subscribe()
    }
}
