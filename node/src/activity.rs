//! What a node is busy with, for whoever drives the time of its market.

use lota_bridge::Head;
use lota_market::agent::Step;

/// What a node has taken in, and what it is busy with. A node that has taken in the market's newest block, does no local step and
/// has no command but those that the market has, does nothing more until the market changes (but for what people ask of it).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// The newest block up to which everything was taken in, and what followed from it begun.
    pub head: Option<Head>,
    /// Steps under way that are done on this machine: fetching, running, publishing, verifying.
    pub local_steps: usize,
    /// Commands of jobs that were given to the transport, and of which it has not said what they came to.
    pub commands: usize,
    /// Of a node that is told to end: how many jobs it finishes first.
    pub unfinished: Option<usize>,
    /// How many reorganisations were taken in since the node started.
    pub rewinds: u64,
}

impl Activity {
    const fn count(&mut self, step: Step) -> &mut usize {
        if step.is_command() { &mut self.commands } else { &mut self.local_steps }
    }

    /// A step is begun.
    pub(crate) const fn begun(&mut self, step: Step) {
        *self.count(step) += 1;
    }

    /// A step came to an end.
    pub(crate) const fn ended(&mut self, step: Step) {
        let count = self.count(step);
        *count = count.saturating_sub(1);
    }
}
