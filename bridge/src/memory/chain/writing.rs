//! How a chain goes on: commands are executed, written, and only then seen.

use lota_market::{Address, AttoFil, B256, Time, agent::EffectKey};

use super::{Chain, Kept};
use crate::{
    eip712::SignedCommand,
    encoding::{self, Directed},
    failure,
    memory::{
        Block, Entry, LedgerError, Origin,
        loading::{Saved, rewound},
        state::{Answers, Mark, State, landing},
    },
    transport::{Landed, SubmitError, TransportError},
};

/// A command that may be executed: its sender signed it.
#[derive(Clone, Debug)]
pub struct CheckedCommand {
    signed: SignedCommand,
    command: Directed,
}

/// What became of a command.
enum Outcome {
    /// It landed before.
    Known(Result<Landed, SubmitError>),
    /// It is in a new block, or was judged by a state with new blocks.
    New(Result<Landed, SubmitError>),
}

impl Chain {
    /// Whether a command may be executed: it can be read, its key is one, and its sender signed it.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub fn check(&self, signed: SignedCommand) -> Result<CheckedCommand, SubmitError> {
        let command = encoding::decode_directed(&signed.command, signed.value)?;
        if signed.key != EffectKey::named(signed.key.as_str()) || signed.key.as_str().is_empty() {
            return Err(SubmitError::Failed(format!(
                "the effect's key is empty, longer than {} bytes, or not printable ASCII",
                EffectKey::MAX_LEN
            )));
        }
        match signed.signer(&self.0.market) {
            Some(signer) if signer == signed.sender => Ok(CheckedCommand { signed, command }),
            found => {
                let problem = found.map_or_else(|| "it is no signature".into(), |found| format!("by {found}"));
                Err(SubmitError::WrongSigner { sender: signed.sender, problem })
            }
        }
    }

    /// Executes a signed command: one block when it is accepted, nothing otherwise. Blocks while the log is written.
    ///
    /// # Errors
    /// See [`SubmitError`].
    pub fn execute(&self, signed: &SignedCommand) -> Result<Landed, SubmitError> {
        let checked = self.check(signed.clone())?;
        let nothing = || Err(SubmitError::Failed("nothing came of the command".into()));
        self.execute_all(vec![checked]).pop().unwrap_or_else(nothing)
    }

    /// Executes commands in this order, each a block of its own when it is accepted, and writes them at once. What became of them, in
    /// the same order: whatever it says is in the log for good, and if that cannot be written, nothing has happened. Blocks while the
    /// log is written.
    #[must_use]
    pub fn execute_all(&self, commands: Vec<CheckedCommand>) -> Vec<Result<Landed, SubmitError>> {
        let several = commands.len() > 1;
        let again = if several { commands.clone() } else { Vec::new() };
        match self.try_execute_all(commands) {
            Ok(outcomes) => outcomes,
            // One of them comes to more than fits: the others do not suffer from it.
            Err(LedgerError::TooLarge { .. }) if several => {
                again.into_iter().flat_map(|command| self.execute_all(vec![command])).collect()
            }
            Err(LedgerError::TooLarge { size, .. }) => {
                let problem = format!("what it comes to has {size} bytes");
                vec![Err(SubmitError::TooLarge(problem))]
            }
            Err(error) => {
                let error = TransportError::Storage(failure::causes(&error));
                vec![Err(error.into()); again.len().max(1)]
            }
        }
    }

    fn try_execute_all(&self, commands: Vec<CheckedCommand>) -> Result<Vec<Result<Landed, SubmitError>>, LedgerError> {
        let mut kept = self.kept();
        let now = self.0.options.clock.now();
        let mark = kept.state.mark();
        let mut fresh = Vec::new();
        let outcomes: Vec<Outcome> =
            commands.into_iter().map(|command| self.execute_one(&mut kept.state, &mut fresh, now, command)).collect();
        let is_known = |outcome: &Outcome| matches!(outcome, Outcome::Known(_));
        let written = self.commit(&mut kept, mark, fresh);
        drop(kept);
        if let Err(error) = written {
            if matches!(error, LedgerError::TooLarge { .. }) || !outcomes.iter().any(is_known) {
                return Err(error);
            }
            let problem = SubmitError::from(TransportError::Storage(failure::causes(&error)));
            let told = |outcome| match outcome {
                Outcome::Known(known) => known,
                Outcome::New(_) => Err(problem.clone()),
            };
            return Ok(outcomes.into_iter().map(told).collect());
        }
        Ok(outcomes.into_iter().map(|(Outcome::Known(outcome) | Outcome::New(outcome))| outcome).collect())
    }

    fn execute_one(
        &self,
        state: &mut State,
        fresh: &mut Vec<Entry>,
        now: Time,
        CheckedCommand { signed, command }: CheckedCommand,
    ) -> Outcome {
        if let Some(number) = state.landed(signed.sender, &signed.key) {
            return match number.checked_sub(self.0.history.height() + 1) {
                None => Outcome::Known(self.landed_in(number, &signed)),
                Some(index) => match usize::try_from(index).ok().and_then(|index| fresh.get(index)) {
                    Some(Entry::Block(block)) => Outcome::New(landed_as(number, block, &signed)),
                    _ => Outcome::New(Err(SubmitError::Failed("its block is missing".into()))),
                },
            };
        }
        let limit = self.0.options.max_blocks.min(u32::MAX.into());
        if state.tip().number >= limit {
            return Outcome::New(Err(log_is_full(limit)));
        }
        let answers = Answers::Ask(&*self.0.options.contracts);
        let made = state.execute(now, signed, &command, answers);
        Outcome::New(made.map(|block| {
            let landed = landing(state.tip().number, &block);
            fresh.push(Entry::Block(block));
            landed
        }))
    }

    /// What a command came to that landed before under the same key.
    fn landed_in(&self, number: u64, signed: &SignedCommand) -> Result<Landed, SubmitError> {
        let block = self.0.history.block(number);
        let block = block.map_err(|error| TransportError::Storage(failure::causes(&error)))?;
        let missing = || SubmitError::Failed(format!("block {number} is missing"));
        block.ok_or_else(missing).and_then(|(block, _)| landed_as(number, &block, signed))
    }

    /// Gives an account native money from nowhere: a faucet. Blocks while the log is written.
    ///
    /// # Errors
    /// When that much money cannot exist, and when the log is full or cannot be written.
    pub fn fund(&self, account: Address, amount: AttoFil) -> Result<Landed, SubmitError> {
        self.make(|state, now| state.fund(now, account, amount).map_err(|error| SubmitError::Failed(error.to_string())))
    }

    /// Makes an empty block of this time, before which no later one is: virtual time that has passed lasts. Blocks while the log is
    /// written.
    ///
    /// # Errors
    /// When the log is full or cannot be written.
    pub fn mark_time(&self, time: Time) -> Result<Landed, SubmitError> {
        self.make(|state, now| Ok(state.wait(now.max(time))))
    }

    /// The hash of block 0: which market this is, and when it began.
    #[must_use]
    pub fn beginning(&self) -> B256 {
        self.0.history.beginning()
    }

    fn make(&self, make: impl FnOnce(&mut State, Time) -> Result<Block, SubmitError>) -> Result<Landed, SubmitError> {
        let now = self.0.options.clock.now();
        let mut kept = self.kept();
        let limit = self.0.options.max_blocks.min(u32::MAX.into());
        if kept.state.tip().number >= limit {
            return Err(log_is_full(limit));
        }
        let mark = kept.state.mark();
        let block = match make(&mut kept.state, now) {
            Ok(block) => block,
            Err(error) => {
                kept.state.roll_back(mark);
                return Err(error);
            }
        };
        let landed = landing(kept.state.tip().number, &block);
        let written = self.commit(&mut kept, mark, vec![Entry::Block(block)]);
        written.map_err(|error| TransportError::Storage(failure::causes(&error)))?;
        Ok(landed)
    }

    /// Writes new blocks to the log. If that fails, nobody has seen them, and nothing is built upon them.
    fn commit(&self, kept: &mut Kept, mark: Mark, fresh: Vec<Entry>) -> Result<(), LedgerError> {
        if fresh.is_empty() {
            kept.state.keep(mark);
            return Ok(());
        }
        match kept.ledger.append(&fresh) {
            Ok(places) => {
                kept.state.keep(mark);
                self.0.history.extend(places, *kept.state.tip());
                self.save_if_due(kept);
                self.0.changes.send_modify(|change| *change += 1);
                Ok(())
            }
            Err(error) => {
                kept.state.roll_back(mark);
                Err(error)
            }
        }
    }

    pub(super) fn save_if_due(&self, kept: &mut Kept) {
        if !kept.ledger.keeps_snapshots() {
            kept.state.was_saved();
        } else if kept.state.tip().number - kept.saved >= self.0.options.snapshot_every
            && let Err(problem) = self.save(kept)
        {
            // The next start takes longer; nothing else is wrong.
            tracing::warn!(problem, "no snapshot could be kept");
            kept.saved = kept.state.tip().number;
        }
    }

    fn save(&self, kept: &mut Kept) -> Result<(), String> {
        let Kept { state, ledger, saved } = kept;
        let number = state.tip().number;
        let first = number - state.unsaved().len() as u64;
        let blocks: Vec<_> = state.unsaved().iter().copied().zip(self.0.history.places_after(first)).collect();
        let whole = Saved { state: state.save()?, orphans: self.0.history.orphans() };
        let bytes = serde_ipld_dagcbor::to_vec(&whole).map_err(|error| error.to_string())?;
        ledger.keep_snapshot(&bytes, &blocks).map_err(|error| failure::causes(&error))?;
        state.was_saved();
        *saved = number;
        Ok(())
    }

    /// Keeps a snapshot now, where the log has such things: the next start takes up from here. Blocks while it is written.
    ///
    /// # Errors
    /// When it cannot be written; the log is not affected.
    pub fn keep_snapshot(&self) -> Result<(), TransportError> {
        let mut kept = self.kept();
        if !kept.ledger.keeps_snapshots() || kept.state.unsaved().is_empty() {
            return Ok(());
        }
        self.save(&mut kept).map_err(TransportError::Storage)
    }

    /// A reorganisation: drops the newest `blocks` blocks (all but the beginning, if there are fewer). What they held may be
    /// submitted again. Blocks while everything is executed again and the log is written.
    ///
    /// # Errors
    /// When the log cannot be read or written.
    pub fn rewind(&self, blocks: u64) -> Result<(), SubmitError> {
        let failed = |error: LedgerError| TransportError::Storage(failure::causes(&error));
        let mut kept = self.kept();
        let to = kept.state.tip().number.saturating_sub(blocks);
        // A snapshot of the other fork must not be found by a start that comes before the next one is written.
        kept.ledger.forget_snapshot().map_err(failed)?;
        kept.saved = 0;
        kept.ledger.append(&[Entry::Rewind { to }]).map_err(failed)?;
        kept.state = rewound(&kept.state, &self.0.history, to, self.0.options.finality_depth).map_err(failed)?;
        self.0.changes.send_modify(|change| *change += 1);
        Ok(())
    }
}

fn log_is_full(limit: u64) -> SubmitError {
    SubmitError::Failed(format!("the log is full ({limit} blocks); begin a new one"))
}

/// What a command came to that landed in this block under the same key.
fn landed_as(number: u64, block: &Block, signed: &SignedCommand) -> Result<Landed, SubmitError> {
    match &block.origin {
        Origin::Command { signed: before, .. } if before.command == signed.command && before.value == signed.value => {
            Ok(landing(number, block))
        }
        _ => Err(SubmitError::KeyReused { party: signed.sender, key: signed.key.clone() }),
    }
}
