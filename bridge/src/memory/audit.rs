//! What a log says, for an audit: read without a change, every command's signature and every block's hash checked.

use std::path::Path;

use lota_market::{
    auction::SealedBidAuction,
    model::Market,
    replay::Recorded,
    world::{ContractEvent, Log},
};

use super::{Entry, LedgerError, chain::replay, file::read_file, state::State};
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

/// Reads the log at `path`, which stays as it is, also when a process writes to it: what is not whole yet is left out.
///
/// # Errors
/// See [`LedgerError`]; [`LedgerError::Inconsistent`] names the first block that does not follow.
pub fn audit(path: &Path) -> Result<Audited, LedgerError> {
    let mut state: Option<State> = None;
    read_file(path, &mut |entry| {
        if let (Some(state), Entry::Command { signed, .. }) = (&state, &entry) {
            let signer = signed.signer(&state.genesis.market);
            if signer != Some(signed.sender) {
                let by = signer.map_or_else(|| "nobody".to_owned(), |signer| signer.to_string());
                let problem = format!("its command is said to be of {}, and is signed by {by}", signed.sender);
                return Err(LedgerError::Inconsistent { block: state.height() + 1, problem });
            }
        }
        replay(&mut state, entry)
    })?;
    let nothing = || LedgerError::Inconsistent { block: 0, problem: "it does not begin".into() };
    let state = state.ok_or_else(nothing)?;
    let header = Header { market: state.genesis.market, auction: state.genesis.auction };
    let auction_at = header.auction.map(|auction| auction.contract).unwrap_or_default();
    let mut record = Vec::new();
    for (number, block) in (0..).zip(state.blocks()) {
        for (index, event) in (0..).zip(&block.events) {
            let contract = match event {
                ContractEvent::Market(_) => header.market.contract,
                ContractEvent::Auction(_) => auction_at,
            };
            let (time, transaction) = (block.time, block.transaction);
            let log = Log { contract, event: event.clone() };
            record.push(Recorded { block: number, index, time, transaction, log });
        }
    }
    Ok(Audited { header, record, market: state.market().clone(), auction: state.auction().cloned() })
}
