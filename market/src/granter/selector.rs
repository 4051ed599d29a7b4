//! Refusals as the contracts encode them.

use super::Rejection;

impl Rejection {
    /// The selector of the Solidity error: see [`model::Rejection::selector`](crate::model::Rejection::selector). Of what is passed on, its
    /// first four bytes, or zeros when it has fewer, as a blessing reports it.
    #[must_use]
    pub fn selector(&self) -> [u8; 4] {
        let selector: u32 = match self {
            // NotTheBlessing(address)
            Self::NotTheBlessing(_) => 0x6d7a_1784,
            // BadRecipient(bytes)
            Self::BadRecipient(_) => 0x06d9_9c45,
            // NoAmount()
            Self::NoAmount => 0xf792_180a,
            // PoolClosed(uint256)
            Self::PoolClosed(_) => 0x925a_1975,
            // PoolOpen(uint256)
            Self::PoolOpen(_) => 0xef74_3e89,
            // NotEntitled(address)
            Self::NotEntitled(_) => 0x84b6_a66f,
            // OverLimit(uint8,uint256,uint256)
            Self::OverLimit { .. } => 0xa73e_3a95,
            // PoolEmpty(uint256,uint256)
            Self::PoolEmpty { .. } => 0xab70_ef32,
            // AmountTooSmall(uint256,uint256)
            Self::AmountTooSmall(_) => 0x02d2_d938,
            // AmountRefused(uint256)
            Self::AmountRefused(_) => 0x71db_1101,
            // NotAVerifier()
            Self::NotAVerifier => 0xcdfe_b336,
            // FilPlusEnded()
            Self::FilPlusEnded => 0x4a30_6d5d,
            // RegistryFailed(int256)
            Self::RegistryFailed(_) => 0x1e8b_2c4c,
            // AllowanceTooSmall(uint256,uint256)
            Self::AllowanceTooSmall { .. } => 0xffd5_0970,
            Self::AllowanceUnknown(data) => return data.first_chunk().copied().unwrap_or_default(),
            // AllocatorRefused(bytes)
            Self::AllocatorRefused(_) => 0xff91_4df2,
            // NotGranted(uint256,uint256)
            Self::NotGranted { .. } => 0x8fd5_113d,
            // BalanceUnknown(int256)
            Self::BalanceUnknown(_) => 0x3990_af36,
            // NoBuiltinActors()
            Self::NoBuiltinActors => 0x4ee9_8768,
            // BadReturn(bytes)
            Self::BadReturn(_) => 0xf1ed_44e6,
            Self::Rails(rejection) => return rejection.selector(),
            Self::Market(rejection) => return rejection.selector(),
        };
        selector.to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, Bytes, U256, keccak256};

    use super::*;
    use crate::{Time, blessing::Limit, filecoin_pay::rails, model};

    #[test]
    fn every_selector_is_the_hash_of_its_signature() {
        let (account, amount, data) = (Address::ZERO, U256::ZERO, Bytes::new());
        let all = [
            ("NotTheBlessing(address)", Rejection::NotTheBlessing(account)),
            ("BadRecipient(bytes)", Rejection::BadRecipient(data.clone())),
            ("NoAmount()", Rejection::NoAmount),
            ("PoolClosed(uint256)", Rejection::PoolClosed(Time(0))),
            ("PoolOpen(uint256)", Rejection::PoolOpen(Time(0))),
            ("NotEntitled(address)", Rejection::NotEntitled(account)),
            ("OverLimit(uint8,uint256,uint256)", Rejection::OverLimit { limit: Limit::PerJob, left: amount, amount }),
            ("PoolEmpty(uint256,uint256)", Rejection::PoolEmpty { held: amount, amount }),
            ("AmountTooSmall(uint256,uint256)", Rejection::AmountTooSmall(amount)),
            ("AmountRefused(uint256)", Rejection::AmountRefused(amount)),
            ("NotAVerifier()", Rejection::NotAVerifier),
            ("FilPlusEnded()", Rejection::FilPlusEnded),
            ("RegistryFailed(int256)", Rejection::RegistryFailed(1)),
            ("AllowanceTooSmall(uint256,uint256)", Rejection::AllowanceTooSmall { allowance: amount, amount }),
            ("AllocatorRefused(bytes)", Rejection::AllocatorRefused(data.clone())),
            ("NotGranted(uint256,uint256)", Rejection::NotGranted { granted: amount, amount }),
            ("BalanceUnknown(int256)", Rejection::BalanceUnknown(1)),
            ("NoBuiltinActors()", Rejection::NoBuiltinActors),
            ("BadReturn(bytes)", Rejection::BadReturn(data)),
            ("RailTerminated(uint256)", Rejection::Rails(rails::Rejection::RailTerminated(amount))),
            ("Reentered()", Rejection::Market(model::Rejection::Reentered)),
        ];
        for (signature, rejection) in all {
            assert_eq!(rejection.selector(), keccak256(signature)[..4], "{signature}");
        }
    }

    #[test]
    fn what_is_passed_on_keeps_its_selector() {
        for (data, selector) in [(&[1, 2, 3, 4, 5][..], [1, 2, 3, 4]), (&[1, 2, 3], [0; 4]), (&[], [0; 4])] {
            assert_eq!(Rejection::AllowanceUnknown(Bytes::copy_from_slice(data)).selector(), selector);
        }
    }
}
