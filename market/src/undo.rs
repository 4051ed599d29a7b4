//! Savepoints over a state that changes in place: what to undo, noted only while a savepoint is open.

/// The changes since the oldest open savepoint. While none is open nothing is noted, and noting costs one comparison.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UndoLog<C> {
    changes: Vec<C>,
    /// Where in `changes` each open savepoint begins, the outermost first.
    savepoints: Vec<usize>,
}

impl<C> Default for UndoLog<C> {
    fn default() -> Self {
        Self { changes: Vec::new(), savepoints: Vec::new() }
    }
}

impl<C> UndoLog<C> {
    /// Notes a change: how to undo it.
    pub(crate) fn note(&mut self, undo: impl FnOnce() -> C) {
        if !self.savepoints.is_empty() {
            self.changes.push(undo());
        }
    }

    /// How many savepoints are open.
    pub(crate) const fn depth(&self) -> usize {
        self.savepoints.len()
    }

    pub(crate) fn open_savepoint(&mut self) {
        self.savepoints.push(self.changes.len());
    }

    /// Closes the innermost savepoint; what changed since then can be undone by the next one outwards only.
    pub(crate) fn keep(&mut self) {
        self.savepoints.pop();
        if self.savepoints.is_empty() {
            self.changes.clear();
        }
    }

    /// Closes the innermost savepoint; the changes since then, to be undone in this order: the newest first.
    pub(crate) fn take_back(&mut self) -> impl Iterator<Item = C> + '_ {
        let from = self.savepoints.pop().unwrap_or(self.changes.len());
        self.changes.drain(from..).rev()
    }
}
