//! What failures of a chain's node mean for who speaks to a market.

use lota_market::model::Rejection;

use super::bindings::{self, Revert};
use crate::{
    evm::{account::SendError, chain::Refusal, log::LogError},
    transport::{SubmitError, TransportError},
};

impl From<LogError> for TransportError {
    fn from(error: LogError) -> Self {
        match error {
            LogError::Rpc(error) => error.into(),
            LogError::Journal(error) => Self::Storage(error.to_string()),
        }
    }
}

impl From<SendError> for SubmitError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Refused { refusal, block } => refused(refusal, block),
            SendError::Reverted { transaction, block, refusal } => match refused(refusal, Some(block)) {
                Self::Rejected { rejection: Rejection::CallbackReverted(_), .. } => {
                    Self::CallbackFailed { transaction, block }
                }
                other => other,
            },
            SendError::TooMuchGas { needed, most } => Self::TooMuchGas { needed, most },
            SendError::KeyReused { account, key } => Self::KeyReused { party: account, key },
            SendError::Unaffordable { account, wallet, needed } => Self::Unaffordable { account, wallet, needed },
            SendError::Failed(problem) => Self::Failed(problem),
            SendError::Signer { account, problem } => TransportError::Signer { party: account, problem }.into(),
            SendError::Journal(error) => TransportError::Storage(error.to_string()).into(),
            SendError::Rpc(error) => TransportError::from(error).into(),
        }
    }
}

/// What a node's refusal means; `block`: in whose state it was given, if that is known.
pub(super) fn refused(Refusal { message, data, .. }: Refusal, block: Option<u64>) -> SubmitError {
    refused_with(message, data.as_ref().map(|data| bindings::revert(data)), block)
}

pub(super) fn refused_with(message: String, revert: Option<Revert>, block: Option<u64>) -> SubmitError {
    match revert {
        Some(Revert::Rejected(rejection)) => SubmitError::Rejected { rejection, block },
        Some(Revert::InsufficientGas { left, needed }) => SubmitError::Failed(format!(
            "the node tried it with too little gas: {left} was left, {needed} was promised to a callback or a wallet"
        )),
        Some(Revert::BadSettings(fault)) => SubmitError::Failed(format!("the settings cannot be used: {fault}")),
        Some(Revert::Unknown(text)) if message.is_empty() => SubmitError::Failed(text),
        _ => SubmitError::Failed(format!("the node says: {message}")),
    }
}
