//! Refusals as the contract encodes them.

use super::Rejection;

impl Rejection {
    /// The selector of the Solidity error: see [`model::Rejection::selector`](crate::model::Rejection::selector).
    #[must_use]
    pub const fn selector(&self) -> [u8; 4] {
        let selector: u32 = match self {
            // Reentrant()
            Self::Reentrant => 0xed3b_a6a6,
            // RailInactiveOrSettled(uint256)
            Self::RailInactiveOrSettled(_) => 0xd87d_f04d,
            // RailAlreadyTerminated(uint256)
            Self::RailAlreadyTerminated(_) => 0x4947_b7af,
            // OnlyRailOperatorAllowed(address,address)
            Self::OnlyRailOperatorAllowed { .. } => 0xf4d2_d70a,
            // NotAuthorizedToTerminateRail(uint256,address,address,address)
            Self::NotAuthorizedToTerminateRail { .. } => 0x766e_1d31,
            // ZeroAddressNotAllowed(string)
            Self::ZeroAddressNotAllowed(_) => 0x4403_4241,
            // OperatorNotApproved(address,address)
            Self::OperatorNotApproved { .. } => 0xeef2_3db6,
            // MustSendExactNativeAmount(uint256,uint256)
            Self::MustSendExactNativeAmount { .. } => 0x753a_1281,
            // NativeTransferFailed(address,uint256)
            Self::NativeTransferFailed { .. } => 0xa5b0_5eec,
            // InsufficientUnlockedFunds(uint256,uint256)
            Self::InsufficientUnlockedFunds { .. } => 0xe610_210c,
            // OneTimePaymentExceedsLockup(uint256,uint256,uint256)
            Self::OneTimePaymentExceedsLockup { .. } => 0xc58d_5cbc,
            // InvalidTerminatedRailModification(uint256,uint256,uint256,uint256)
            Self::InvalidTerminatedRailModification { .. } => 0xf72a_2118,
            // LockupPeriodExceedsOperatorMaximum(address,address,uint256,uint256)
            Self::LockupPeriodExceedsOperatorMaximum { .. } => 0xb8af_a055,
            // OperatorLockupAllowanceExceeded(uint256,uint256)
            Self::OperatorLockupAllowanceExceeded { .. } => 0x8dcd_0606,
            // CannotModifyTerminatedRailBeyondEndEpoch(uint256,uint256,uint256)
            Self::CannotModifyTerminatedRailBeyondEndEpoch { .. } => 0x323d_3c67,
            // CannotSettleFutureEpochs(uint256,uint256,uint256)
            Self::CannotSettleFutureEpochs { .. } => 0x1d93_2033,
            // Error(string)
            Self::LockupExceedsFunds | Self::TokenFailed => 0x08c3_79a0,
            // Panic(uint256)
            Self::Overflow => 0x4e48_7b71,
        };
        selector.to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, U256, keccak256};

    use super::*;
    use crate::filecoin_pay::Lockup;

    #[test]
    fn every_selector_is_the_hash_of_its_signature() {
        let (account, n) = (Address::ZERO, U256::ZERO);
        let all = [
            ("Reentrant()", Rejection::Reentrant),
            ("RailInactiveOrSettled(uint256)", Rejection::RailInactiveOrSettled(n)),
            ("RailAlreadyTerminated(uint256)", Rejection::RailAlreadyTerminated(n)),
            (
                "OnlyRailOperatorAllowed(address,address)",
                Rejection::OnlyRailOperatorAllowed { expected: account, caller: account },
            ),
            (
                "NotAuthorizedToTerminateRail(uint256,address,address,address)",
                Rejection::NotAuthorizedToTerminateRail {
                    rail: n,
                    client: account,
                    operator: account,
                    caller: account,
                },
            ),
            ("ZeroAddressNotAllowed(string)", Rejection::ZeroAddressNotAllowed(String::new())),
            (
                "OperatorNotApproved(address,address)",
                Rejection::OperatorNotApproved { from: account, operator: account },
            ),
            (
                "MustSendExactNativeAmount(uint256,uint256)",
                Rejection::MustSendExactNativeAmount { required: n, sent: n },
            ),
            ("NativeTransferFailed(address,uint256)", Rejection::NativeTransferFailed { to: account, amount: n }),
            (
                "InsufficientUnlockedFunds(uint256,uint256)",
                Rejection::InsufficientUnlockedFunds { available: n, requested: n },
            ),
            (
                "OneTimePaymentExceedsLockup(uint256,uint256,uint256)",
                Rejection::OneTimePaymentExceedsLockup { rail: n, available: n, required: n },
            ),
            (
                "InvalidTerminatedRailModification(uint256,uint256,uint256,uint256)",
                Rejection::InvalidTerminatedRailModification {
                    now: Box::new(Lockup { period: n, fixed: n }),
                    asked: Box::new(Lockup { period: n, fixed: n }),
                },
            ),
            (
                "LockupPeriodExceedsOperatorMaximum(address,address,uint256,uint256)",
                Rejection::LockupPeriodExceedsOperatorMaximum {
                    token: account,
                    operator: account,
                    most: Box::new(n),
                    asked: Box::new(n),
                },
            ),
            (
                "OperatorLockupAllowanceExceeded(uint256,uint256)",
                Rejection::OperatorLockupAllowanceExceeded { allowed: n, attempted: n },
            ),
            (
                "CannotModifyTerminatedRailBeyondEndEpoch(uint256,uint256,uint256)",
                Rejection::CannotModifyTerminatedRailBeyondEndEpoch { rail: n, end_epoch: n, epoch: n },
            ),
            (
                "CannotSettleFutureEpochs(uint256,uint256,uint256)",
                Rejection::CannotSettleFutureEpochs { rail: n, most: n, asked: n },
            ),
            ("Error(string)", Rejection::LockupExceedsFunds),
            ("Panic(uint256)", Rejection::Overflow),
        ];
        for (signature, rejection) in all {
            assert_eq!(rejection.selector(), keccak256(signature)[..4], "{signature}");
        }
    }
}
