//! Why a contract with rails refuses a promise, or what is asked about a rail.

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

/// A refusal: one for each error of `Rails.sol` that can come up without rates, with the same fields, and those of Filecoin Pay.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Rejection {
    /// A report of somebody else's.
    #[error("{0} is not Filecoin Pay, which alone says what happened to a rail")]
    NotFilecoinPay(Address),
    /// 0, or too much.
    #[error("{0} cannot be promised: it is 0, or above 2^128 - 1 together with what is promised already")]
    AmountOutOfRange(U256),
    /// No rail can be between these two.
    #[error("no rail can go from {payer} to {payee}: they are the same, or one is zero or a masked id (0xff00…)")]
    BadPair { payer: Address, payee: Address },
    /// The payer ended it.
    #[error("the payer terminated rail {0}, and has not asked for a new one (renewRail)")]
    RailTerminated(U256),
    /// There is nothing to renew.
    #[error("rail {0} runs: there is nothing to renew")]
    RailRuns(U256),
    /// There never was one.
    #[error("{payer} has no rail to {payee}")]
    NoRail { payer: Address, payee: Address },
    /// No approval.
    #[error("{0} has not approved this contract as an operator at Filecoin Pay (setOperatorApproval)")]
    OperatorNotApproved(Address),
    /// The approval is for too short a time.
    #[error("{payer} lets this contract lock money for at most {allowed} epochs, and {needed} are needed")]
    LockupPeriodTooLong { payer: Address, allowed: U256, needed: U256 },
    /// The approval is for too little.
    #[error("{payer} lets this contract lock {left} more of the token's smallest unit, and {needed} are needed")]
    AllowanceTooSmall { payer: Address, left: U256, needed: U256 },
    /// The account is too small.
    #[error(
        "the Filecoin Pay account of {payer} has {available} of the token's smallest unit that are not locked, and {needed} are needed; somebody must deposit"
    )]
    NotEnoughFunds { payer: Address, available: U256, needed: U256 },
    /// What Filecoin Pay answered.
    #[error(transparent)]
    FilecoinPay(super::super::Rejection),
}

impl Rejection {
    /// The selector of the Solidity error: see [`model::Rejection::selector`](crate::model::Rejection::selector).
    #[must_use]
    pub const fn selector(&self) -> [u8; 4] {
        let selector: u32 = match self {
            // NotFilecoinPay(address)
            Self::NotFilecoinPay(_) => 0x3ea6_3a22,
            // AmountOutOfRange(uint256)
            Self::AmountOutOfRange(_) => 0x66c2_8b18,
            // BadPair(address,address)
            Self::BadPair { .. } => 0xd737_06b3,
            // RailTerminated(uint256)
            Self::RailTerminated(_) => 0x5b82_6ea1,
            // RailRuns(uint256)
            Self::RailRuns(_) => 0xfc9e_baf0,
            // NoRail(address,address)
            Self::NoRail { .. } => 0x50ca_29eb,
            // OperatorNotApproved(address)
            Self::OperatorNotApproved(_) => 0xcd87_607e,
            // LockupPeriodTooLong(address,uint256,uint256)
            Self::LockupPeriodTooLong { .. } => 0xef98_7092,
            // AllowanceTooSmall(address,uint256,uint256)
            Self::AllowanceTooSmall { .. } => 0x870d_a8d1,
            // NotEnoughFunds(address,uint256,uint256)
            Self::NotEnoughFunds { .. } => 0x1afe_ea2e,
            Self::FilecoinPay(rejection) => return rejection.selector(),
        };
        selector.to_be_bytes()
    }
}

impl From<super::super::Rejection> for Rejection {
    fn from(rejection: super::super::Rejection) -> Self {
        Self::FilecoinPay(rejection)
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;
    use crate::filecoin_pay;

    #[test]
    fn every_selector_is_the_hash_of_its_signature() {
        let (payer, n) = (Address::ZERO, U256::ZERO);
        let all = [
            ("NotFilecoinPay(address)", Rejection::NotFilecoinPay(payer)),
            ("AmountOutOfRange(uint256)", Rejection::AmountOutOfRange(n)),
            ("BadPair(address,address)", Rejection::BadPair { payer, payee: payer }),
            ("RailTerminated(uint256)", Rejection::RailTerminated(n)),
            ("RailRuns(uint256)", Rejection::RailRuns(n)),
            ("NoRail(address,address)", Rejection::NoRail { payer, payee: payer }),
            ("OperatorNotApproved(address)", Rejection::OperatorNotApproved(payer)),
            (
                "LockupPeriodTooLong(address,uint256,uint256)",
                Rejection::LockupPeriodTooLong { payer, allowed: n, needed: n },
            ),
            ("AllowanceTooSmall(address,uint256,uint256)", Rejection::AllowanceTooSmall { payer, left: n, needed: n }),
            ("NotEnoughFunds(address,uint256,uint256)", Rejection::NotEnoughFunds { payer, available: n, needed: n }),
            ("Reentrant()", Rejection::FilecoinPay(filecoin_pay::Rejection::Reentrant)),
        ];
        for (signature, rejection) in all {
            assert_eq!(rejection.selector(), keccak256(signature)[..4], "{signature}");
        }
    }
}
