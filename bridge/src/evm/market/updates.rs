//! What a market's log says, as its transport tells it.

use lota_market::world::ContractEvent;

use super::bindings::Unreadable;
use crate::{
    evm::log,
    transport::{TransportError, Update},
};

/// An update of the market's log; `None` for what only logs of several contracts have.
pub(super) fn update(update: log::Update<Result<ContractEvent, Unreadable>>) -> Option<Result<Update, TransportError>> {
    Some(match update {
        log::Update::Log { cursor, time, log, value } => match value {
            Ok(event) => {
                let transaction = log.transaction_hash;
                Ok(match event {
                    ContractEvent::Market(event) => Update::Event { cursor, time, transaction, event },
                    ContractEvent::Auction(event) => Update::Auction { cursor, time, transaction, event },
                    ContractEvent::FilecoinPayDeals(event) => {
                        Update::FilecoinPayDeals { cursor, time, transaction, event }
                    }
                    // This log follows none of them.
                    ContractEvent::Blessing(_) | ContractEvent::FilecoinPay(_) | ContractEvent::Granter(_) => {
                        return None;
                    }
                })
            }
            Err(error) => Err(TransportError::Malformed(error.to_string())),
        },
        log::Update::Head { cursor, latest, finalized } => Ok(Update::Head { cursor, latest, finalized }),
        log::Update::Rewind { to } => Ok(Update::Rewind { to }),
        log::Update::CaughtUp { .. } => return None,
    })
}
