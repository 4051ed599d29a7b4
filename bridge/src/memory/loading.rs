//! How a chain comes to be what its log says.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{
    Entry, EntryReader, Ledger, LedgerError,
    history::{History, Orphan},
    state::State,
};

/// What a snapshot holds beside its index.
#[derive(Serialize, Deserialize)]
pub(super) struct Saved {
    #[serde(with = "serde_bytes_vec")]
    pub(super) state: Vec<u8>,
    pub(super) orphans: Vec<Orphan>,
}

/// Bytes as bytes, not as a list of numbers.
mod serde_bytes_vec {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        Ok(lota_market::Bytes::deserialize(deserializer)?.to_vec())
    }
}

/// A chain that is being read from its log.
pub(super) struct Loading {
    pub(super) state: Option<State>,
    pub(super) history: Option<History>,
    /// The block of the snapshot that it began with.
    pub(super) saved: u64,
}

impl Loading {
    /// As far as the snapshot goes, if there is one that is good; and where to read on.
    pub(super) fn begin(ledger: &mut impl Ledger) -> Result<(Self, u64), LedgerError> {
        let nothing = Self { state: None, history: None, saved: 0 };
        let Some(snapshot) = ledger.snapshot() else { return Ok((nothing, 0)) };
        let restored = serde_ipld_dagcbor::from_slice(&snapshot.state).map_err(|error| error.to_string()).and_then(
            |Saved { state, orphans }| {
                let state = State::saved(&state, snapshot.blocks.iter().map(|(command, _)| *command))?;
                let begin = *State::new(state.genesis.clone()).map_err(|error| error.to_string())?.tip();
                let history = History::new(ledger.reader(), begin);
                let places = snapshot.blocks.iter().map(|(_, place)| *place).collect();
                history.restore(places, *state.tip(), state.fork(), orphans);
                let newest = history.block(state.tip().number).map_err(|error| error.to_string())?;
                if newest.is_some_and(|(block, _)| block.hash != state.tip().hash) {
                    return Err("it is that of another log".to_owned());
                }
                Ok((state, history))
            },
        );
        match restored {
            Ok((state, history)) => {
                let saved = state.tip().number;
                Ok((Self { state: Some(state), history: Some(history), saved }, snapshot.end))
            }
            Err(problem) => {
                tracing::warn!(problem, "the snapshot cannot be used; everything is replayed");
                ledger.forget_snapshot()?;
                Ok((nothing, 0))
            }
        }
    }

    /// Brings the state to where an entry says it is.
    pub(super) fn take(&mut self, ledger: &Arc<dyn EntryReader>, place: u64, entry: Entry) -> Result<(), LedgerError> {
        let block = self.state.as_ref().map_or(0, |state| state.tip().number + 1);
        let inconsistent = |problem: String| LedgerError::Inconsistent { block, problem };
        match (self.state.as_mut().zip(self.history.as_ref()), entry) {
            (None, Entry::Genesis(genesis)) => {
                let state = State::new(genesis).map_err(|error| inconsistent(error.to_string()))?;
                self.history = Some(History::new(Arc::clone(ledger), *state.tip()));
                self.state = Some(state);
            }
            (Some((state, history)), Entry::Rewind { to }) => {
                // What was told to be final before is forgotten with the process.
                *state = rewound(state, history, to, u64::MAX)?;
                self.saved = self.saved.min(to);
            }
            (Some((state, history)), Entry::Block(block)) => {
                state.again(block).map_err(inconsistent)?;
                history.extend([place], *state.tip());
            }
            (None, _) => return Err(inconsistent("it does not start with the beginning".into())),
            (Some(_), Entry::Genesis(_)) => return Err(inconsistent("there is a second beginning".into())),
        }
        Ok(())
    }
}

/// The state without the blocks above `to`, found by executing everything up to there again; the history is without them, too.
pub(super) fn rewound(state: &State, history: &History, to: u64, depth: u64) -> Result<State, LedgerError> {
    let begin = State::new(state.genesis.clone())
        .map_err(|error| LedgerError::Inconsistent { block: 0, problem: error.to_string() })?;
    let mut before = begin;
    let to = to.min(state.tip().number);
    for number in 1..=to {
        let Some((block, _)) = history.block(number)? else { break };
        before.again(block).map_err(|problem| LedgerError::Inconsistent { block: number, problem })?;
    }
    before.fork_after(state.fork());
    history.rewind(to, *before.tip(), before.fork(), depth)?;
    Ok(before)
}
