//! Filecoin Pay, as far as it is used here: accounts that pay each other along rails, at once and never by a rate.
//!
//! It is the same protocol as the contract with which this project's contracts are tested, `contracts/test/mocks/FilecoinPayStandIn.sol`,
//! which says in our own words what [FilecoinPayV1](https://github.com/FilOzone/filecoin-pay) does (`src/FilecoinPayV1.sol` at 04ded6a);
//! names, order of checks, errors and events are the same. Left out are rates: a rail on which money flows with each epoch does not
//! exist here, so no account is ever in debt, and settling a rail only winds it up after its end. Left out as well are commissions,
//! deposits by signature and auctions of fees.
//!
//! Amounts, epochs (block numbers) and ids are 256-bit numbers, as there: what strangers write into approvals has no bounds.
//! [`rails`] is what contracts of ours make of it. A [world](crate::world) executes all of it.

mod approval;
mod command;
mod event;
pub mod rails;
mod rejection;
mod selector;
mod state;
mod storage;

use alloy_primitives::{Address, U256, address};

pub use approval::Approval;
pub use command::Command;
pub use event::Event;
pub use rejection::{Lockup, Rejection};
pub use state::{Account, FilecoinPay, RailView};
pub(crate) use state::{Next, Situation};

/// Where the fees in the chain's coin go: f099, as an address.
pub const BURN: Address = address!("0xff00000000000000000000000000000000000063");

/// What Filecoin Pay keeps of a payment: 0.5 %, rounded up (`NETWORK_FEE_NUMERATOR` / `NETWORK_FEE_DENOMINATOR`).
#[must_use]
pub fn fee(gross: U256) -> U256 {
    const IN: u16 = 200;
    gross.div_ceil(U256::from(IN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fee_is_rounded_up() {
        let fees: Vec<U256> = [0_u64, 1, 199, 200, 201, 1_000_000].map(|gross| fee(U256::from(gross))).into();
        assert_eq!(fees, [0_u64, 1, 1, 1, 2, 5_000].map(U256::from));
    }
}
