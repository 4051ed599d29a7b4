//! What a log says, for an audit: read without a change, every block executed again, its command's signature checked.

use std::path::Path;

use lota_market::{
    auction::SealedBidAuction,
    model::Market,
    replay::Recorded,
    world::{ContractEvent, Log},
};

use super::{Block, Entry, EntryReader as _, Genesis, LedgerError, Origin, file::LogFile, state::State};
use crate::recording::Header;

/// A log of which every block follows from the one before it.
#[derive(Debug)]
pub struct Audited {
    pub header: Header,
    /// What the contracts said, on the fork that the log ends with.
    pub record: Vec<Recorded>,
    /// The market as the log's own execution leaves it.
    pub market: Market,
    /// The auction, if there is one.
    pub auction: Option<SealedBidAuction>,
}

/// Reads the log at `path` from its beginning; no snapshot is trusted. It stays as it is, also when a process writes to it: what is not
/// whole yet is left out.
///
/// # Errors
/// See [`LedgerError`]; [`LedgerError::Inconsistent`] names the first block that does not follow.
pub fn audit(path: &Path) -> Result<Audited, LedgerError> {
    let log = LogFile::open_to_read(path)?;
    let mut reading: Option<Reading> = None;
    log.visit_all(&mut |place, entry| match (reading.as_mut(), entry) {
        (None, Entry::Genesis(genesis)) => {
            let state = begin(genesis)?;
            reading = Some(Reading { state, places: Vec::new(), record: Vec::new() });
            Ok(())
        }
        (Some(reading), Entry::Block(block)) => reading.take(place, block),
        (Some(reading), Entry::Rewind { to }) => reading.rewind(&log, to),
        (None, _) => Err(inconsistent(0, "it does not start with the beginning")),
        (Some(reading), Entry::Genesis(_)) => Err(inconsistent(reading.next(), "there is a second beginning")),
    })?;
    let Reading { state, record, .. } = reading.ok_or_else(|| inconsistent(0, "it does not begin"))?;
    let header = Header { market: state.genesis.market, auction: state.genesis.auction };
    Ok(Audited { header, record, market: state.market().clone(), auction: state.auction().cloned() })
}

fn inconsistent(block: u64, problem: impl Into<String>) -> LedgerError {
    LedgerError::Inconsistent { block, problem: problem.into() }
}

fn begin(genesis: Genesis) -> Result<State, LedgerError> {
    State::new(genesis).map_err(|error| inconsistent(0, error.to_string()))
}

/// What has been read so far.
struct Reading {
    state: State,
    /// Where each block of this fork stands, from block 1 on.
    places: Vec<u64>,
    record: Vec<Recorded>,
}

impl Reading {
    /// The number of the next block.
    const fn next(&self) -> u64 {
        self.state.tip().number + 1
    }

    fn take(&mut self, place: u64, block: Block) -> Result<(), LedgerError> {
        let number = self.next();
        self.check_sender(&block).map_err(|problem| inconsistent(number, problem))?;
        let made = self.state.again(block.clone()).map_err(|problem| inconsistent(number, problem))?;
        // The hash is that of what came out; what readers are told is what is written.
        for (what, is_same) in [
            ("time", made.time == block.time),
            ("transaction", made.transaction == block.transaction),
            ("events", made.events == block.events),
            ("movements", made.movements == block.movements),
            ("origin", made.origin == block.origin),
        ] {
            if !is_same {
                return Err(inconsistent(number, format!("its {what} are not what its command comes to")));
            }
        }
        self.places.push(place);
        let (market, auction) = (self.state.genesis.market.contract, self.state.genesis.auction);
        let auction = auction.map(|auction| auction.contract).unwrap_or_default();
        let Block { time, transaction, .. } = made;
        self.record.extend((0..).zip(made.events).map(|(index, event)| {
            let contract = match event {
                ContractEvent::Market(_) => market,
                ContractEvent::Auction(_) => auction,
                // A market without a chain has none.
                ContractEvent::Blessing(_)
                | ContractEvent::FilecoinPay(_)
                | ContractEvent::Granter(_)
                | ContractEvent::FilecoinPayDeals(_) => Default::default(),
            };
            Recorded { block: number, index, time, transaction, log: Log { contract, event } }
        }));
        Ok(())
    }

    /// Whether a block's command is its sender's, and new.
    fn check_sender(&self, block: &Block) -> Result<(), String> {
        let Origin::Command { signed, .. } = &block.origin else { return Ok(()) };
        let signer = signed.signer(&self.state.genesis.market);
        if signer != Some(signed.sender) {
            let by = signer.map_or_else(|| "nobody".to_owned(), |signer| signer.to_string());
            return Err(format!("its command is said to be of {}, and is signed by {by}", signed.sender));
        }
        match self.state.landed(signed.sender, &signed.key) {
            Some(before) => Err(format!("its command is that of block {before}: each is taken once")),
            None => Ok(()),
        }
    }

    /// Drops the blocks above `to`: what stays is executed again.
    fn rewind(&mut self, log: &LogFile, to: u64) -> Result<(), LedgerError> {
        let stays = usize::try_from(to).unwrap_or(usize::MAX);
        self.places.truncate(stays);
        self.record.truncate(self.record.partition_point(|event| event.block <= to));
        let mut state = begin(self.state.genesis.clone())?;
        for place in &self.places {
            let number = state.tip().number + 1;
            let (Entry::Block(block), _) = log.read(*place)? else {
                return Err(inconsistent(number, "the log has changed while it was read"));
            };
            state.again(block).map_err(|problem| inconsistent(number, problem))?;
        }
        state.fork_after(self.state.fork());
        self.state = state;
        Ok(())
    }
}
