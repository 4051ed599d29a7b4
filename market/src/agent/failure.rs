//! Why a step failed.

use core::fmt;

use alloy_primitives::Address;
use serde::{Deserialize, Serialize};

use crate::{AttoFil, Time, asset::Asset, auction, filecoin_pay_deals, model::Rejection};

/// Why a step failed, with the evidence.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Failure {
    /// The market refuses the command.
    #[error("the market refuses: {rejection}")]
    Rejected {
        rejection: Rejection,
        /// Number of the block in whose state it was refused, if that is known.
        block: Option<u64>,
    },
    /// The auction refuses the command, or the market that it asks.
    #[error("the auction refuses: {rejection}")]
    RejectedByAuction {
        rejection: Box<auction::Rejection>,
        /// As of [`Self::Rejected`].
        block: Option<u64>,
    },
    /// `FilecoinPayDeals` refuses the command, or who it asks: the market, Filecoin Pay.
    #[error("FilecoinPayDeals refuses: {rejection}")]
    RejectedByFilecoinPayDeals {
        rejection: Box<filecoin_pay_deals::Rejection>,
        /// As of [`Self::Rejected`].
        block: Option<u64>,
    },
    /// The party's account outside the market holds too little for the value and the fees.
    #[error("{account} holds {wallet} outside the market and needs {needed} for the value and the fees; send it more")]
    Unaffordable {
        account: Address,
        wallet: AttoFil,
        /// What is needed.
        needed: AttoFil,
    },
    /// The party has too little free in the market for a job's collateral.
    #[error("{}", too_little_free(*.free, *.collateral, &Asset::unknown()))]
    TooLittleFree { free: AttoFil, collateral: AttoFil },
    /// The output is not what the result says of it.
    #[error("the output says {what} {found}, the result says {stated}")]
    Mismatch {
        what: Fact,
        /// What the result says.
        stated: String,
        /// What is in the output.
        found: String,
    },
    /// This machine cannot do its part, whoever's job it is.
    #[error("{fault}: {problem}")]
    OwnFault { fault: OwnFault, problem: String },
    /// The client's callback failed in a block, at this party's cost, though it had worked when it was tried out.
    #[error("the callback of {client} failed in block {block}, though it had worked when it was tried out")]
    CallbackFailed { client: Address, block: u64 },
    /// Callbacks of this client have failed at this party's cost too often: it retries none any more.
    #[error(
        "callbacks of {client} failed {failures} times in blocks, at this account's cost; it retries none of them any more"
    )]
    ClientDropped { client: Address, failures: u32 },
    /// Taking an order failed in a block, at this party's cost, though it had worked when it was tried out: its payer had taken back what
    /// the order rests on.
    #[error("taking an order of {payer} failed in block {block}, though it had worked when it was tried out{}", why(.rejection.as_deref()))]
    TakeFailed {
        payer: Address,
        /// What keeps it from being taken after that block; `None`: nothing does any more.
        rejection: Option<Box<filecoin_pay_deals::Rejection>>,
        block: u64,
    },
    /// It was to be sent only if that had been begun, and it had not.
    #[error("it was never sent, and is not needed any more")]
    NeverSent,
    /// It may work later.
    #[error("{0}")]
    Temporary(String),
    /// It will never work for this job.
    #[error("{0}")]
    Permanent(String),
}

/// Which part of a provider's own machine fails it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OwnFault {
    /// What runs the programs.
    Executor,
    /// What was there when the job was locked cannot be had any more.
    Inputs,
    /// The disk, for the job's work.
    Storage,
    /// What makes the output available.
    Publisher,
}

impl fmt::Display for OwnFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Executor => "this provider's executor failed",
            Self::Inputs => "this provider has lost the job's spec, module or inputs",
            Self::Storage => "this provider's disk failed",
            Self::Publisher => "this provider could not make the output available",
        })
    }
}

/// What a result says that an output shows, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The program's exit code.
    ExitCode,
}

impl fmt::Display for Fact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExitCode => f.write_str("exit code"),
        }
    }
}

fn too_little_free(free: AttoFil, collateral: AttoFil, asset: &Asset) -> String {
    let (free, collateral) = (asset.show(free), asset.show(collateral));
    format!("the free balance of {free} does not cover the collateral of {collateral}")
}

fn why(rejection: Option<&filecoin_pay_deals::Rejection>) -> String {
    rejection.map_or_else(String::new, |rejection| format!(": {rejection}"))
}

/// How long a refusal of the market's holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The command itself is wrong.
    Always,
    /// As long as the deal is in this state: another block, or another fork, may have it in another.
    State,
    /// Time, or money, puts it right.
    Passing,
}

impl Standing {
    fn may_pass(self, block: Option<u64>, seen: u64) -> bool {
        match self {
            Self::Always => false,
            Self::State => block != Some(seen),
            Self::Passing => true,
        }
    }
}

const fn standing(rejection: &Rejection) -> Standing {
    match rejection {
        Rejection::TooEarly { .. }
        | Rejection::InsufficientBalance { .. }
        | Rejection::Reentered
        | Rejection::TransferFailed(_)
        | Rejection::TransferMismatch { .. }
        | Rejection::CallbackReverted(_) => Standing::Passing,
        Rejection::UnknownJob(_)
        | Rejection::SaltSpent { .. }
        | Rejection::SaltTooFar { .. }
        | Rejection::WrongState { .. }
        | Rejection::WrongSender { .. }
        | Rejection::TooLate { .. }
        | Rejection::ReceiptMismatch(_) => Standing::State,
        _ => Standing::Always,
    }
}

const fn standing_of_auction(rejection: &auction::Rejection) -> Standing {
    match rejection {
        auction::Rejection::Market(rejection) => standing(rejection),
        auction::Rejection::NotOpen { .. }
        | auction::Rejection::AlreadyCommitted { .. }
        | auction::Rejection::NoCommitment { .. }
        | auction::Rejection::NothingToAward(_)
        | auction::Rejection::HasBids(_)
        | auction::Rejection::NoAuction(_) => Standing::State,
        auction::Rejection::NotTheMatcher(_)
        | auction::Rejection::BadAuction(_)
        | auction::Rejection::InvalidBidder(_)
        | auction::Rejection::WrongReveal { .. } => Standing::Always,
    }
}

const fn standing_of_filecoin_pay_deals(rejection: &filecoin_pay_deals::Rejection) -> Standing {
    use filecoin_pay_deals::Rejection as Refused;
    match rejection {
        Refused::Market(rejection) => standing(rejection),
        Refused::NotOpen(_) | Refused::NotTaken(_) => Standing::State,
        payers if payers.is_payers() => Standing::Passing,
        _ => Standing::Always,
    }
}

impl Failure {
    /// A refusal of the market's in the state of this block.
    #[must_use]
    pub const fn rejected(rejection: Rejection, block: Option<u64>) -> Self {
        Self::Rejected { rejection, block }
    }

    /// In words, with amounts of the market as its asset has them; what is outside it for gas is in the chain's coin.
    #[must_use]
    pub fn words(&self, asset: &Asset) -> String {
        match self {
            Self::Rejected { rejection, .. } => format!("the market refuses: {}", rejection.words(asset)),
            Self::RejectedByAuction { rejection, .. } => format!("the auction refuses: {}", rejection.words(asset)),
            Self::RejectedByFilecoinPayDeals { rejection, .. } => {
                format!("FilecoinPayDeals refuses: {}", rejection.words(asset))
            }
            Self::TooLittleFree { free, collateral } => too_little_free(*free, *collateral, asset),
            other => other.to_string(),
        }
    }

    /// Whether it is the fault of this machine alone.
    #[must_use]
    pub const fn is_own(&self) -> bool {
        matches!(self, Self::OwnFault { .. })
    }

    /// Whether it is for the payer of an order to put right.
    #[must_use]
    pub fn is_payers(&self) -> bool {
        match self {
            Self::TakeFailed { .. } => true,
            Self::RejectedByFilecoinPayDeals { rejection, .. } => rejection.is_payers(),
            _ => false,
        }
    }

    /// Until when it would have been in time, if it was refused for being too late.
    pub(super) fn too_late_after(&self) -> Option<Time> {
        let rejection = match self {
            Self::Rejected { rejection, .. } => rejection,
            Self::RejectedByAuction { rejection, .. } => match &**rejection {
                auction::Rejection::Market(rejection) => rejection,
                _ => return None,
            },
            Self::RejectedByFilecoinPayDeals { rejection, .. } => match &**rejection {
                filecoin_pay_deals::Rejection::Market(rejection) => rejection,
                _ => return None,
            },
            _ => return None,
        };
        match rejection {
            Rejection::TooLate { until, .. } => Some(*until),
            _ => None,
        }
    }

    /// Whether trying again later can help. `seen`: the block up to which the party has taken the market's log in.
    ///
    /// A refusal for a deal's state holds if it was given in the very state that the party knows. If the market's node was
    /// behind, it knows less than the party; if it was ahead, the events to come say what changed, or were undone before they
    /// came.
    pub(super) fn may_pass(&self, seen: u64) -> bool {
        match self {
            Self::Temporary(_)
            | Self::Unaffordable { .. }
            | Self::TooLittleFree { .. }
            | Self::OwnFault { .. }
            | Self::CallbackFailed { .. }
            | Self::TakeFailed { .. } => true,
            Self::Permanent(_) | Self::Mismatch { .. } | Self::ClientDropped { .. } | Self::NeverSent => false,
            Self::Rejected { rejection, block } => standing(rejection).may_pass(*block, seen),
            Self::RejectedByAuction { rejection, block } => standing_of_auction(rejection).may_pass(*block, seen),
            Self::RejectedByFilecoinPayDeals { rejection, block } => {
                standing_of_filecoin_pay_deals(rejection).may_pass(*block, seen)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;

    use super::*;
    use crate::model::JobId;

    #[test]
    fn amounts_of_the_market_are_in_its_asset_and_those_for_gas_in_the_coin() {
        let usd = Asset::token("USD", 6);
        let account = Address::repeat_byte(7);
        let (balance, needed) = (AttoFil(1_500_000), AttoFil(2_000_000));
        let too_little = Rejection::InsufficientBalance { account, balance, needed };
        for (failure, text) in [
            (
                Failure::rejected(too_little.clone(), None),
                format!("the market refuses: {account} has 1.5 USD free in the market and needs 2 USD; deposit more"),
            ),
            (
                Failure::RejectedByAuction { rejection: Box::new(too_little.into()), block: None },
                format!("the auction refuses: {account} has 1.5 USD free in the market and needs 2 USD; deposit more"),
            ),
            (
                Failure::TooLittleFree { free: balance, collateral: needed },
                "the free balance of 1.5 USD does not cover the collateral of 2 USD".to_owned(),
            ),
        ] {
            assert_eq!(failure.words(&usd), text);
            assert!(!failure.to_string().contains("FIL"), "{failure}");
        }
        let gas = Failure::Unaffordable { account, wallet: AttoFil::ZERO, needed: AttoFil(crate::money::FIL) };
        assert!(gas.words(&usd).contains("holds 0 FIL outside the market and needs 1 FIL"), "{gas}");
    }

    #[test]
    fn a_refusal_for_the_state_holds_in_the_state_that_the_party_knows() {
        let unknown = |block| Failure::rejected(Rejection::UnknownJob(JobId(B256::ZERO)), block);
        assert!(unknown(Some(6)).may_pass(7), "the market's node is behind");
        assert!(!unknown(Some(7)).may_pass(7));
        assert!(unknown(Some(8)).may_pass(7), "events will say more");
        assert!(unknown(None).may_pass(7));
        assert!(!Failure::rejected(Rejection::InvalidProvider, None).may_pass(7), "no block makes it right");
        assert!(Failure::rejected(Rejection::Reentered, Some(7)).may_pass(7));
    }
}
