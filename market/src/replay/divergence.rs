//! Where a record and the model part.

use alloy_primitives::Address;
use core::fmt;

use super::Recorded;
use crate::{
    Time,
    model::{JobId, Reason},
    world::{CallError, ContractEvent, Log, TooMuchMoney},
};

/// The first event that the model cannot have said there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Divergence {
    /// The event; `None`: the end of the record.
    pub at: Option<Box<Recorded>>,
    pub problem: Box<Problem>,
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at.as_deref() {
            Some(Recorded { block, index, time, log, .. }) => {
                write!(f, "block {block}, log {index} (at {time}), {}: {}", in_words(log), self.problem)
            }
            None => write!(f, "at the end of the record: {}", self.problem),
        }
    }
}

impl core::error::Error for Divergence {}

/// What is wrong with an event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// It does not come after the one before it.
    #[error("it comes after block {block}, log {index}")]
    OutOfOrder { block: u64, index: u32 },
    /// The block is older than one before it, or its events have several times.
    #[error("its time is {time}, after events of {before}")]
    TimeRunsBack { time: Time, before: Time },
    /// Neither the market nor the auction said it.
    #[error("{0} is neither the market nor its auction")]
    Foreign(Address),
    /// It is about a job that was not opened before, or that has ended.
    #[error("no job {0} runs: it was never opened, or has ended")]
    UnknownJob(JobId),
    /// The command that causes it is refused.
    #[error("the model refuses the only command that causes this: {0}")]
    Refused(CallError),
    /// The command that causes such an event causes another one.
    #[error("the model says instead: {}", in_words(.0))]
    SaysInstead(Box<Log>),
    /// The command that causes such an event causes none here.
    #[error("the model says nothing here")]
    SaysNothing,
    /// A transaction is over, and something that belongs to it was not told.
    #[error("before it, the same transaction must have said: {}", in_words(.0))]
    Missing(Box<Log>),
    /// There was no callback that could fail.
    #[error("no callback of job {0} was due, and a retry that fails leaves nothing behind")]
    NoCallbackDue(JobId),
    /// No such event has this reason.
    #[error("no job ends so for the reason {0:?} by itself")]
    WrongReason(Reason),
    /// More money than there can be.
    #[error(transparent)]
    TooMuchMoney(#[from] TooMuchMoney),
}

/// An event's name, its job, and whose it is, for a line of text.
fn in_words(log: &Log) -> String {
    let contract = log.contract;
    match &log.event {
        ContractEvent::Market(event) => format!("{event:?} of the market {contract}"),
        ContractEvent::Auction(event) => format!("{event:?} of the auction {contract}"),
        ContractEvent::Blessing(event) => format!("{event:?} of the blessing {contract}"),
        ContractEvent::FilecoinPay(event) => format!("{event:?} of Filecoin Pay at {contract}"),
        ContractEvent::FilecoinPayDeals(event) => format!("{event:?} of the FilecoinPayDeals {contract}"),
        ContractEvent::Granter(event) => format!("{event:?} of the granter {contract}"),
    }
}
