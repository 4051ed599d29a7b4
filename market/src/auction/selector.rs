//! Refusals as the contract encodes them.

use super::Rejection;

impl Rejection {
    /// The selector of the Solidity error: see [`model::Rejection::selector`](crate::model::Rejection::selector).
    #[must_use]
    pub const fn selector(&self) -> [u8; 4] {
        let selector: u32 = match self {
            // NotTheMatcher(address)
            Self::NotTheMatcher(_) => 0xfcd8_d27f,
            // BadAuction(uint8)
            Self::BadAuction(_) => 0xfec0_5ab0,
            // NotOpen(bytes32,uint8)
            Self::NotOpen { .. } => 0x09b9_bfa8,
            // AlreadyCommitted(bytes32,address)
            Self::AlreadyCommitted { .. } => 0x8385_0ec6,
            // NoCommitment(bytes32,address)
            Self::NoCommitment { .. } => 0xcb30_0d77,
            // NothingToAward(bytes32)
            Self::NothingToAward(_) => 0xcf5c_711a,
            // HasBids(bytes32)
            Self::HasBids(_) => 0x850d_5db9,
            // NoAuction(bytes32)
            Self::NoAuction(_) => 0x78f8_fc9a,
            // InvalidBidder(address)
            Self::InvalidBidder(_) => 0x555e_2646,
            // WrongReveal(bytes32,address)
            Self::WrongReveal { .. } => 0xbe27_be68,
            Self::Market(rejection) => return rejection.selector(),
        };
        selector.to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, keccak256};

    use super::*;
    use crate::{
        auction::AuctionFault,
        model::{self, JobId, Status},
    };

    #[test]
    fn every_selector_is_the_hash_of_its_signature() {
        let (job, bidder) = (JobId::default(), Address::ZERO);
        let all = [
            ("NotTheMatcher(address)", Rejection::NotTheMatcher(bidder)),
            ("BadAuction(uint8)", Rejection::BadAuction(AuctionFault::NoRange)),
            ("NotOpen(bytes32,uint8)", Rejection::NotOpen { job, found: Status::None }),
            ("AlreadyCommitted(bytes32,address)", Rejection::AlreadyCommitted { job, bidder }),
            ("NoCommitment(bytes32,address)", Rejection::NoCommitment { job, bidder }),
            ("NothingToAward(bytes32)", Rejection::NothingToAward(job)),
            ("HasBids(bytes32)", Rejection::HasBids(job)),
            ("NoAuction(bytes32)", Rejection::NoAuction(job)),
            ("InvalidBidder(address)", Rejection::InvalidBidder(bidder)),
            ("WrongReveal(bytes32,address)", Rejection::WrongReveal { job, bidder }),
            ("UnknownJob(bytes32)", Rejection::Market(model::Rejection::UnknownJob(job))),
        ];
        for (signature, rejection) in all {
            assert_eq!(rejection.selector(), keccak256(signature)[..4], "{signature}");
        }
    }
}
