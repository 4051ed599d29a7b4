//! What a market on a chain has said, for an [audit](lota_market::replay).

use std::sync::Arc;

use lota_market::{
    replay::Recorded,
    world::{ContractEvent, Log as Said},
};

use super::{Auction, EventLog, LogUpdate, Market, Source, auction, bindings};
use crate::{
    journal::MemoryJournal,
    recording::Header,
    transport::{AuctionRef, Cursor, TransportError},
};

/// What was recorded of a market, up to a block.
#[derive(Clone, Debug)]
pub struct Read {
    pub header: Header,
    pub record: Vec<Recorded>,
    /// The block up to which it was read.
    pub block: u64,
}

/// Reads what a market, and the auction beside it, have said from the market's first block on, up to `to_block` or the newest block.
///
/// # Errors
/// [`TransportError`]; what a contract said that this version does not understand is [`TransportError::Malformed`].
pub async fn read(market: &Market, auction: Option<&Auction>, to_block: Option<u64>) -> Result<Read, TransportError> {
    let header = Header { market: market.reference(), auction: auction.map(Auction::reference) };
    let auction_at = header.auction.map(|AuctionRef { contract, .. }| contract);
    let mut log = EventLog::decoding(market.chain(), Arc::new(MemoryJournal::default()), "audit", move |log| {
        if Some(log.address) == auction_at {
            auction::decode(&log.topics, &log.data).map(ContractEvent::Auction)
        } else {
            bindings::decode(&log.topics, &log.data).map(ContractEvent::Market)
        }
    });
    let source = market.source();
    let first_block = source.first_block;
    log.follow(source, None);
    if let Some(contract) = auction_at {
        log.follow(Source::new(contract, first_block), None);
    }
    let is_wanted = |block: u64| to_block.is_none_or(|last| block <= last);
    let mut record: Vec<Recorded> = Vec::new();
    loop {
        let Some(update) = log.next().await else {
            return Err(TransportError::Unavailable("the log ended before it had caught up".into()));
        };
        match update {
            Ok(LogUpdate::Log { cursor, .. }) if !is_wanted(cursor.block) => {
                return Ok(Read { header, record, block: to_block.unwrap_or(cursor.block) });
            }
            Ok(LogUpdate::Log { time, log, value, .. }) => {
                let event = value.map_err(|error| {
                    TransportError::Malformed(format!("block {}, log {}: {error}", log.block(), log.index()))
                })?;
                let (block, index, transaction) = (log.block(), log.index(), log.transaction_hash);
                record.push(Recorded { block, index, time, transaction, log: Said { contract: log.address, event } });
            }
            Ok(LogUpdate::Rewind { to }) => record.retain(|event| to.is_some_and(|to| stands(event, &to))),
            Ok(LogUpdate::Head { latest, .. }) => {
                return Ok(Read { header, record, block: to_block.unwrap_or(latest.block).min(latest.block) });
            }
            Ok(LogUpdate::CaughtUp { .. }) => {}
            Err(error) if error.is_temporary() => tracing::warn!(%error, "the log cannot be read now; trying again"),
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether an event lies at or below a position, which is right after one.
const fn stands(event: &Recorded, to: &Cursor) -> bool {
    event.block < to.block || (event.block == to.block && event.index < to.index)
}
