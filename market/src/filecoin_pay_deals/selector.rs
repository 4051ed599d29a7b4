//! Refusals as the contract encodes them.

use super::Rejection;

impl Rejection {
    /// The selector of the Solidity error: see [`model::Rejection::selector`](crate::model::Rejection::selector).
    #[must_use]
    pub const fn selector(&self) -> [u8; 4] {
        let selector: u32 = match self {
            // BadOrder(uint8)
            Self::BadOrder(_) => 0x7263_052e,
            // NotOpen(bytes32)
            Self::NotOpen(_) => 0x068e_1080,
            // NotTaken(bytes32)
            Self::NotTaken(_) => 0x2ce1_aa2b,
            // WrongValue(uint256,uint256)
            Self::WrongValue { .. } => 0x195a_3ca1,
            // NotTheMarket(address)
            Self::NotTheMarket(_) => 0xdcec_26d5,
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
            // PayerInDebt(address,uint256)
            Self::PayerInDebt { .. } => 0x45e1_a344,
            // NotEnoughFunds(address,uint256,uint256)
            Self::NotEnoughFunds { .. } => 0x1afe_ea2e,
            // RailInactiveOrSettled(uint256)
            Self::RailInactiveOrSettled(_) => 0xd87d_f04d,
            // CannotModifyTerminatedRailBeyondEndEpoch(uint256,uint256,uint256)
            Self::CannotModifyTerminatedRailBeyondEndEpoch { .. } => 0x323d_3c67,
            Self::FilecoinPay(rejection) => return rejection.selector(),
            Self::Market(rejection) => return rejection.selector(),
        };
        selector.to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, U256, keccak256};

    use super::*;
    use crate::{
        AttoFil,
        filecoin_pay_deals::OrderFault,
        model::{self, JobId},
    };

    #[test]
    fn every_selector_is_the_hash_of_its_signature() {
        let (job, payer, rail) = (JobId::default(), Address::ZERO, U256::ZERO);
        let (zero, none) = (U256::ZERO, AttoFil::ZERO);
        let all = [
            ("BadOrder(uint8)", Rejection::BadOrder(OrderFault::Client)),
            ("NotOpen(bytes32)", Rejection::NotOpen(job)),
            ("NotTaken(bytes32)", Rejection::NotTaken(job)),
            ("WrongValue(uint256,uint256)", Rejection::WrongValue { sent: none, wanted: none }),
            ("NotTheMarket(address)", Rejection::NotTheMarket(payer)),
            ("NotFilecoinPay(address)", Rejection::NotFilecoinPay(payer)),
            ("AmountOutOfRange(uint256)", Rejection::AmountOutOfRange(zero)),
            ("BadPair(address,address)", Rejection::BadPair { payer, payee: payer }),
            ("RailTerminated(uint256)", Rejection::RailTerminated(rail)),
            ("RailRuns(uint256)", Rejection::RailRuns(rail)),
            ("NoRail(address,address)", Rejection::NoRail { payer, payee: payer }),
            ("OperatorNotApproved(address)", Rejection::OperatorNotApproved(payer)),
            (
                "LockupPeriodTooLong(address,uint256,uint256)",
                Rejection::LockupPeriodTooLong { payer, allowed: zero, needed: zero },
            ),
            (
                "AllowanceTooSmall(address,uint256,uint256)",
                Rejection::AllowanceTooSmall { payer, left: zero, needed: zero },
            ),
            ("PayerInDebt(address,uint256)", Rejection::PayerInDebt { payer, epoch: zero }),
            (
                "NotEnoughFunds(address,uint256,uint256)",
                Rejection::NotEnoughFunds { payer, available: zero, needed: zero },
            ),
            ("RailInactiveOrSettled(uint256)", Rejection::RailInactiveOrSettled(rail)),
            (
                "CannotModifyTerminatedRailBeyondEndEpoch(uint256,uint256,uint256)",
                Rejection::CannotModifyTerminatedRailBeyondEndEpoch { rail, end_epoch: zero, epoch: zero },
            ),
            ("Reentered()", Rejection::Market(model::Rejection::Reentered)),
        ];
        for (signature, rejection) in all {
            assert_eq!(rejection.selector(), keccak256(signature)[..4], "{signature}");
        }
    }
}
