//! What the contracts say and refuse, as the twins do.

use alloy::primitives::Log;
use lota_bridge::evm::{
    bindings::{self, Revert},
    filecoin_pay_deals as contract, granters,
};
use lota_market::{
    Address, AttoFil, Bytes, filecoin_pay,
    filecoin_pay_deals::Rejection,
    model::{self, Reason},
    world::{ContractEvent, Log as WorldLog},
};

use super::{DEALS, GRANTER, PAY, granter};
use crate::{beside::Difference, filecoin_pay as stand_in, party::MARKET};

/// Why the deal of an event has ended.
pub(super) const fn end_of(event: &model::Event) -> Option<Reason> {
    match event {
        model::Event::JobSettled { reason, .. }
        | model::Event::JobCancelled { reason, .. }
        | model::Event::JobSlashed { reason, .. }
        | model::Event::JobVoided { reason, .. } => Some(*reason),
        _ => None,
    }
}

/// A log of one of the contracts.
pub(super) fn read(log: &Log) -> Option<Result<WorldLog, Difference>> {
    let unreadable = |error: bindings::Unreadable| Difference::new("a log", error.to_string(), "");
    let (topics, data) = (log.data.topics(), &log.data.data);
    let event = match log.address {
        MARKET => bindings::event(&log.data).map(ContractEvent::Market).map_err(unreadable),
        DEALS => contract::decode(topics, data).map(ContractEvent::FilecoinPayDeals).map_err(unreadable),
        GRANTER => granters::bindings::decode(topics, data).map(ContractEvent::Granter).map_err(unreadable),
        PAY => stand_in::decode(topics, data).map(ContractEvent::FilecoinPay),
        _ => return None,
    };
    Some(event.map(|event| WorldLog { contract: log.address, event }))
}

/// What the contract at an address refuses, as the twin says it.
pub(super) fn refusal(at: Address, value: AttoFil, data: &[u8]) -> String {
    if data.is_empty() {
        // Without value nothing else says nothing: the token reverts, or answers nothing.
        let token = at == PAY && value == AttoFil::ZERO;
        let failed = || format!("{:?}", Rejection::FilecoinPay(filecoin_pay::Rejection::TokenFailed));
        return if token { failed() } else { String::new() };
    }
    let of_pay = || stand_in::revert(data).map(|rejection| format!("{:?}", Rejection::FilecoinPay(rejection)));
    let of_market = || match bindings::revert(data) {
        Revert::Rejected(rejection) => Some(format!("{:?}", Rejection::Market(rejection))),
        _ => None,
    };
    let of_deals = || contract::revert(data).ok().map(|rejection| format!("{rejection:?}"));
    let found = match at {
        PAY => of_pay(),
        DEALS => of_deals().or_else(of_pay),
        GRANTER => granter::refusal(data),
        _ => of_market(),
    };
    found.unwrap_or_else(|| Bytes::copy_from_slice(data).to_string())
}

/// The error's name.
pub(super) fn kind(refusal: &str) -> String {
    if refusal.is_empty() {
        return "refused: not payable".into();
    }
    if let Some(of_granter) = granter::kind(refusal) {
        return of_granter;
    }
    if refusal.starts_with("BadOrder") {
        return format!("refused: {refusal}");
    }
    for of in ["Market(", "FilecoinPay("] {
        if let Some(rest) = refusal.strip_prefix(of) {
            let name = rest.split(['(', ' ', ')']).next().unwrap_or_default();
            return format!("refused: {of}{name}");
        }
    }
    format!("refused: {}", refusal.split(['(', ' ', '{']).next().unwrap_or_default())
}
