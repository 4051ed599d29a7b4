//! The granters of `contracts/src/granters`: the code that deploys them beside a blessing, what their errors are called; their
//! [bindings]; and, of one that pays over Filecoin Pay, its [rails].

mod advice;
pub mod bindings;
pub mod rails;

pub use advice::{advice, failure, failure_with};
use alloy::{
    primitives::{Bytes as Data, FixedBytes, U256 as Word, Uint},
    sol_types::{SolCall, SolConstructor},
};
pub use lota_market::granter::Bounds;
use lota_market::{Address, Time};

use super::market::bindings::{View, returned};

/// Generated from the checked-in ABIs; nothing of it leaves this file.
mod abi {
    #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
    pub(super) mod request_only {
        alloy::sol!(RequestOnlyGranter, "../contracts/abi/RequestOnlyGranter.json");
    }
    pub(super) mod verifreg {
        alloy::sol!(VerifregGranter, "../contracts/abi/VerifregGranter.json");
    }
    pub(super) mod meta_allocator {
        alloy::sol!(MetaAllocatorGranter, "../contracts/abi/MetaAllocatorGranter.json");
    }
    pub(super) mod bonus {
        alloy::sol!(BonusGranter, "../contracts/abi/BonusGranter.json");
    }
    pub(super) mod filecoin_pay {
        alloy::sol!(FilecoinPayGranter, "../contracts/abi/FilecoinPayGranter.json");
    }
}

use abi::{
    bonus::BonusGranter::{self, BonusGranterErrors},
    filecoin_pay::FilecoinPayGranter::{self, FilecoinPayGranterErrors},
    meta_allocator::MetaAllocatorGranter::{self, MetaAllocatorGranterErrors},
    request_only::RequestOnlyGranter::{self, RequestOnlyGranterErrors},
    verifreg::VerifregGranter::{self, VerifregGranterErrors},
};

/// A granter as it is deployed; docs/granters.md says what each gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Granter {
    RequestOnly,
    Verifreg,
    MetaAllocator {
        /// The MetaAllocator's contract.
        allocator: Address,
    },
    Bonus {
        /** The ERC-20 of the pool; zero: the chain's coin. */
        asset: Address,
        bounds: Bounds,
        /** Who gets what is left after `open_until`. */
        remainder_to: Address,
        open_until: Time,
    },
    FilecoinPay {
        /** The contract FilecoinPayV1. */
        filecoin_pay: Address,
        /** The ERC-20 that is paid; zero: the chain's coin. */
        token: Address,
        /** Whose account pays. */
        sponsor: Address,
        /** Seconds of an epoch: 30 on Filecoin; elsewhere the shortest time between two blocks. */
        epoch_seconds: u64,
        /** How long money stays payable when the sponsor ends a rail, in seconds. */
        grace: u64,
    },
}

impl Granter {
    /// The name of [`FilecoinPay`](Self::FilecoinPay).
    pub const FILECOIN_PAY: &str = "FilecoinPayGranter";

    /// Its contract's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::RequestOnly => "RequestOnlyGranter",
            Self::Verifreg => "VerifregGranter",
            Self::MetaAllocator { .. } => "MetaAllocatorGranter",
            Self::Bonus { .. } => "BonusGranter",
            Self::FilecoinPay { .. } => Self::FILECOIN_PAY,
        }
    }

    /// The bytecode that deploys it beside a blessing. Bounds of a bonus that its contract cannot be told are its greatest ones.
    #[must_use]
    pub fn deployment(&self, blessing: Address) -> Data {
        let (code, arguments) = match *self {
            Self::RequestOnly => {
                (&RequestOnlyGranter::BYTECODE, RequestOnlyGranter::constructorCall { blessing }.abi_encode())
            }
            Self::Verifreg => (&VerifregGranter::BYTECODE, VerifregGranter::constructorCall { blessing }.abi_encode()),
            Self::MetaAllocator { allocator } => (
                &MetaAllocatorGranter::BYTECODE,
                MetaAllocatorGranter::constructorCall { blessing, allocator }.abi_encode(),
            ),
            Self::Bonus { asset, bounds: Bounds { limits, period }, remainder_to, open_until } => {
                let bounds = BonusGranter::Limits {
                    perJob: bonus(limits.per_job),
                    perProvider: bonus(limits.per_provider),
                    perPeriod: bonus(limits.per_period),
                    period,
                };
                let call = BonusGranter::constructorCall {
                    blessing,
                    asset,
                    bounds,
                    remainderTo: remainder_to,
                    openUntil: open_until.0,
                };
                (&BonusGranter::BYTECODE, call.abi_encode())
            }
            Self::FilecoinPay { filecoin_pay, token, sponsor, epoch_seconds, grace } => {
                let call = FilecoinPayGranter::constructorCall {
                    blessing,
                    filecoinPay: filecoin_pay,
                    token,
                    sponsor,
                    epochSeconds: Word::from(epoch_seconds),
                    grace: Word::from(grace),
                };
                (&FilecoinPayGranter::BYTECODE, call.abi_encode())
            }
        };
        [code.as_ref(), &arguments].concat().into()
    }
}

fn bonus(amount: Word) -> Uint<96, 2> {
    amount.min(Bounds::MAX).to()
}

/// `BLESSING()` of any granter of ours: the blessing that it obeys.
#[must_use]
pub fn blessing_of() -> View<Address> {
    let data = RequestOnlyGranter::BLESSINGCall {}.abi_encode().into();
    View::new(data, returned::<RequestOnlyGranter::BLESSINGCall>)
}

/// `lockupPeriod()` of a [`Granter::FilecoinPay`]: for how many epochs its sponsor must let it lock.
#[must_use]
pub fn lockup_period() -> View<Word> {
    let data = FilecoinPayGranter::lockupPeriodCall {}.abi_encode().into();
    View::new(data, returned::<FilecoinPayGranter::lockupPeriodCall>)
}

/// Call data that adds the value sent to the pool of a [`Granter::Bonus`].
#[must_use]
pub fn fund_bonus() -> Data {
    BonusGranter::fundCall {}.abi_encode().into()
}

/// What a granter of ours calls the error with this selector: what a blessing says of a grant that failed. What to do is in
/// docs/granters.md.
#[must_use]
pub fn error_name(selector: FixedBytes<4>) -> Option<&'static str> {
    let selector = selector.0;
    RequestOnlyGranterErrors::name_by_selector(selector)
        .or_else(|| VerifregGranterErrors::name_by_selector(selector))
        .or_else(|| MetaAllocatorGranterErrors::name_by_selector(selector))
        .or_else(|| BonusGranterErrors::name_by_selector(selector))
        .or_else(|| FilecoinPayGranterErrors::name_by_selector(selector))
}

#[cfg(test)]
mod tests {
    use alloy::primitives::keccak256;

    use super::*;

    #[test]
    fn errors_are_called_by_their_names() {
        for (signature, name) in [
            ("FilPlusEnded()", Some("FilPlusEnded")),
            ("OperatorNotApproved(address)", Some("OperatorNotApproved")),
            ("BadRecipient(bytes)", Some("BadRecipient")),
            ("NotGranted(uint256,uint256)", Some("NotGranted")),
            ("PoolEmpty(uint256,uint256)", Some("PoolEmpty")),
            ("Unheard(uint256)", None),
        ] {
            let selector = FixedBytes::from_slice(&keccak256(signature)[..4]);
            assert_eq!(error_name(selector), name, "{signature}");
        }
        assert_eq!(error_name(FixedBytes::ZERO), None, "it said nothing");
    }
}
