//! What contracts say, and what they refuse, as the twins say it.

use alloy::primitives::Log;
use lota_bridge::evm::{
    bindings::{self, Revert},
    blessing as contract, granters as deployed,
};
use lota_market::{
    Address,
    blessing::{Event, Rejection},
    world::{ContractEvent, Log as WorldLog},
};

use super::{BLESSING, Comparison, granters};
use crate::{beside::Difference, oracle::check_grant_selector, party::MARKET};

impl Comparison<'_> {
    /// A log of one of the contracts.
    pub(super) fn read(&self, log: &Log) -> Option<Result<WorldLog, Difference>> {
        let (topics, data) = (log.data.topics(), &log.data.data);
        let event = match log.address {
            MARKET => bindings::event(&log.data).map(ContractEvent::Market),
            BLESSING => contract::decode(topics, data).map(ContractEvent::Blessing),
            other if self.member(other).is_some() && !topics.is_empty() => {
                deployed::bindings::decode(topics, data).map(ContractEvent::Granter)
            }
            _ => return None,
        };
        let unreadable = |error: bindings::Unreadable| Difference::new("a log", error.to_string(), "");
        Some(event.map(|event| WorldLog { contract: log.address, event }).map_err(unreadable))
    }

    /// What is worth counting beside the command.
    pub(super) fn notable(&self, log: &WorldLog) -> Vec<String> {
        match &log.event {
            ContractEvent::Blessing(Event::NominationEnded { end, .. }) => vec![format!("ended: {end:?}")],
            ContractEvent::Blessing(Event::GrantFailed { why, .. }) => {
                granters::failure(why.0).into_iter().chain(["GrantFailed".into()]).collect()
            }
            ContractEvent::Blessing(Event::JobGranted { granter, .. }) => self
                .member(*granter)
                .map(|member| format!("granted by {}", member.deployed.name()))
                .into_iter()
                .collect(),
            ContractEvent::Granter(event) => granters::notable(event).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// What the contract at an address refuses, as the twin says it.
    pub(super) fn refusal(&self, at: Address, data: &[u8]) -> String {
        if self.member(at).is_some() {
            return granters::refusal(data);
        }
        if at == BLESSING {
            return match contract::revert(data) {
                Ok(rejection) => format!("{rejection:?}"),
                Err(_) if data.is_empty() => String::new(),
                Err(other) => format!("{other:?}"),
            };
        }
        match bindings::revert(data) {
            Revert::Rejected(rejection) => format!("{:?}", Rejection::Market(rejection)),
            _ if data.is_empty() => String::new(),
            other => format!("{other:?}"),
        }
    }
}

/// A granter that logs the data it is called with, unless it is only asked: that is a static call, in which nothing can be logged.
pub(super) fn recording_granter() -> Vec<u8> {
    let [a, b, c, d] = check_grant_selector();
    // Is the selector checkGrant's? Then on to the last but one; else calldatacopy(0, 0, size), log0(0, size), stop.
    let mut code = vec![0x5f, 0x35, 0x60, 0xe0, 0x1c, 0x63, a, b, c, d, 0x14, 0x60, 0, 0x57];
    code.extend([0x36, 0x5f, 0x5f, 0x37, 0x36, 0x5f, 0xa0, 0x00, 0x5b, 0x00]);
    // The last but one: JUMPDEST.
    code[12] = code.len() as u8 - 2;
    code
}

/// The error's name.
pub(super) fn kind(refusal: &str) -> String {
    if let Some(of_granter) = granters::kind(refusal) {
        return of_granter;
    }
    if refusal.is_empty() {
        return "refused: not payable".into();
    }
    if let Some(of_market) = refusal.strip_prefix("Market(") {
        let name = of_market.split(['(', ' ', ')']).next().unwrap_or_default();
        return format!("refused: Market({name}");
    }
    if let Some(limit) = refusal.strip_prefix("OverLimit").and_then(|rest| rest.split("limit: ").nth(1)) {
        return format!("refused: OverLimit({}", limit.split(',').next().unwrap_or_default());
    }
    format!("refused: {}", refusal.split(['(', ' ', '{']).next().unwrap_or_default())
}
