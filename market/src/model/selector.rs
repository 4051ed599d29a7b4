//! Refusals as the contract encodes them.

use super::Rejection;

/// The selector of `InsufficientGas(uint256,uint256)`: the one error that no [`Rejection`] stands for, being the chain's.
pub const INSUFFICIENT_GAS: [u8; 4] = 0x23e2_28cb_u32.to_be_bytes();
/// The selector of `BadSettings(uint8)`, with which deploying a market fails: see [`SettingsFault`](super::SettingsFault).
pub const BAD_SETTINGS: [u8; 4] = 0x5fd0_6413_u32.to_be_bytes();

impl Rejection {
    /// The selector of the Solidity error: the first four bytes of the keccak-256 of its signature (Solidity ABI
    /// specification). Written out, since this crate does no hashing; a test compares them.
    #[must_use]
    pub const fn selector(&self) -> [u8; 4] {
        let selector: u32 = match self {
            // Reentered()
            Self::Reentered => 0xb5df_d9e5,
            // WrongAsset(address)
            Self::WrongAsset(_) => 0xc85b_58f8,
            // BadTerms(uint8)
            Self::BadTerms(_) => 0x18d5_89cc,
            // UnknownJob(bytes32)
            Self::UnknownJob(_) => 0xe498_a481,
            // SaltSpent(address,uint256)
            Self::SaltSpent { .. } => 0x6862_8eae,
            // SaltTooFar(address,uint256,uint256)
            Self::SaltTooFar { .. } => 0xbdcb_aed5,
            // WrongState(bytes32,uint8)
            Self::WrongState { .. } => 0x2b32_63b3,
            // WrongSender(address,address)
            Self::WrongSender { .. } => 0x08cc_a56b,
            // TooEarly(uint256,uint256)
            Self::TooEarly { .. } => 0xe583_69d1,
            // TooLate(uint256,uint256)
            Self::TooLate { .. } => 0x388b_0173,
            // SpecTooLarge(uint256)
            Self::SpecTooLarge(_) => 0xdff2_a927,
            // SpecMismatch(bytes32,bytes32)
            Self::SpecMismatch { .. } => 0x1a09_17c3,
            // InvalidProvider()
            Self::InvalidProvider => 0x7626_db82,
            // PriceOutOfRange(uint256,uint256,uint256)
            Self::PriceOutOfRange { .. } => 0x32aa_6024,
            // InlineTooLarge(uint256)
            Self::InlineTooLarge(_) => 0x0567_3318,
            // ReceiptMismatch(bytes32)
            Self::ReceiptMismatch(_) => 0x79d6_2e06,
            // UrlTooLarge(uint256)
            Self::UrlTooLarge(_) => 0x78c1_074c,
            // TooMany(uint256)
            Self::TooMany(_) => 0xb7e9_260a,
            // InvalidRecipient()
            Self::InvalidRecipient => 0x9c8d_2cd2,
            // WrongChain(uint256)
            Self::WrongChain(_) => 0xbd40_7dda,
            // BadSignature(address)
            Self::BadSignature(_) => 0x9a7d_38d9,
            // InsufficientBalance(address,uint256,uint256)
            Self::InsufficientBalance { .. } => 0xdb42_144d,
            // TransferFailed(address)
            Self::TransferFailed(_) => 0x39f1_c8d9,
            // TransferMismatch(uint256,uint256)
            Self::TransferMismatch { .. } => 0xad48_e590,
            // CallbackReverted(bytes32)
            Self::CallbackReverted(_) => 0x69b9_7104,
        };
        selector.to_be_bytes()
    }
}

#[cfg(test)]
pub(in crate::model) mod tests {
    use alloy_primitives::{Address, B256, U256, keccak256};

    use super::*;
    use crate::{
        model::{JobId, Status, TermsFault},
        money::AttoFil,
        time::Time,
    };

    /// One refusal of each kind, with the signature of its error.
    pub(in crate::model) fn all_rejections() -> [(&'static str, Rejection); 25] {
        let (job, account, amount, time) = (JobId::default(), Address::ZERO, AttoFil::ZERO, Time(0));
        [
            ("Reentered()", Rejection::Reentered),
            ("WrongAsset(address)", Rejection::WrongAsset(account)),
            ("BadTerms(uint8)", Rejection::BadTerms(TermsFault::ZeroClient)),
            ("UnknownJob(bytes32)", Rejection::UnknownJob(job)),
            ("SaltSpent(address,uint256)", Rejection::SaltSpent { client: account, salt: U256::ZERO }),
            (
                "SaltTooFar(address,uint256,uint256)",
                Rejection::SaltTooFar { client: account, salt: U256::ZERO, next: U256::ZERO },
            ),
            ("WrongState(bytes32,uint8)", Rejection::WrongState { job, found: Status::None }),
            ("WrongSender(address,address)", Rejection::WrongSender { sender: account, wanted: account }),
            ("TooEarly(uint256,uint256)", Rejection::TooEarly { time, from: time }),
            ("TooLate(uint256,uint256)", Rejection::TooLate { time, until: time }),
            ("SpecTooLarge(uint256)", Rejection::SpecTooLarge(0)),
            ("SpecMismatch(bytes32,bytes32)", Rejection::SpecMismatch { found: B256::ZERO, wanted: B256::ZERO }),
            ("InvalidProvider()", Rejection::InvalidProvider),
            (
                "PriceOutOfRange(uint256,uint256,uint256)",
                Rejection::PriceOutOfRange { price: amount, min_price: amount, max_price: amount },
            ),
            ("InlineTooLarge(uint256)", Rejection::InlineTooLarge(0)),
            ("ReceiptMismatch(bytes32)", Rejection::ReceiptMismatch(job)),
            ("UrlTooLarge(uint256)", Rejection::UrlTooLarge(0)),
            ("TooMany(uint256)", Rejection::TooMany(0)),
            ("InvalidRecipient()", Rejection::InvalidRecipient),
            ("WrongChain(uint256)", Rejection::WrongChain(0)),
            ("BadSignature(address)", Rejection::BadSignature(account)),
            (
                "InsufficientBalance(address,uint256,uint256)",
                Rejection::InsufficientBalance { account, balance: amount, needed: amount },
            ),
            ("TransferFailed(address)", Rejection::TransferFailed(account)),
            ("TransferMismatch(uint256,uint256)", Rejection::TransferMismatch { asked: amount, moved: amount }),
            ("CallbackReverted(bytes32)", Rejection::CallbackReverted(job)),
        ]
    }

    #[test]
    fn every_selector_is_the_hash_of_its_signature() {
        for (signature, rejection) in all_rejections() {
            assert_eq!(rejection.selector(), keccak256(signature)[..4], "{signature}");
        }
        assert_eq!(INSUFFICIENT_GAS, keccak256("InsufficientGas(uint256,uint256)")[..4]);
        assert_eq!(BAD_SETTINGS, keccak256("BadSettings(uint8)")[..4]);
    }
}
