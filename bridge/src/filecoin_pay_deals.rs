//! `FilecoinPayDeals` beside a market: which contract it is, and what payers sign for it (EIP-712), in the domain
//! ("LotaFilecoinPayDeals", "1", chain id, contract).
//!
//! The type is that of `contracts/src/FilecoinPayDeals.sol`.

use alloy::{
    primitives::U256 as Word,
    sol_types::{Eip712Domain, SolStruct},
};
use lota_market::{Address, B256, U256, filecoin_pay_deals::Order};
use serde::{Deserialize, Serialize};

use crate::eip712::{self, MarketRef};

/// A rail on which a `FilecoinPayDeals` pays, as it and Filecoin Pay have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RailState {
    /// What is due, gross, in the token's smallest unit.
    pub due: U256,
    /// Before which block it still pays, once its payer has terminated it.
    pub end: Option<u64>,
    /// It has ended, and Filecoin Pay has forgotten it.
    pub is_wound_up: bool,
}

/// Name of the signing domain.
pub const DOMAIN_NAME: &str = "LotaFilecoinPayDeals";
/// Version of the signing domain.
pub const DOMAIN_VERSION: &str = "1";

/// A `FilecoinPayDeals` beside a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FilecoinPayDealsRef {
    pub contract: Address,
    /// The contract FilecoinPayV1 that keeps the accounts.
    pub filecoin_pay: Address,
    /// What prices are in: zero for the chain's coin, else an ERC-20.
    pub token: Address,
    /// The least `callback_gas` of an order's terms.
    pub callback_gas: u32,
}

/// The signed struct, named as in the contract; private, since everybody else speaks the market's own types.
mod typed {
    alloy::sol! {
        struct Order {
            bytes32 jobId;
            address payer;
            address provider;
            uint256 minPrice;
            uint256 maxPrice;
        }
    }
}

/// The signing domain of a contract on a chain.
#[must_use]
pub fn domain(chain_id: u64, contract: Address) -> Eip712Domain {
    Eip712Domain::new(
        Some(DOMAIN_NAME.into()),
        Some(DOMAIN_VERSION.into()),
        Some(Word::from(chain_id)),
        Some(contract),
        None,
    )
}

/// What a payer signs for an order: `orderDigest` of `contract`, which is beside `market`.
#[must_use]
pub fn order_digest(market: &MarketRef, contract: Address, order: &Order) -> B256 {
    let typed = typed::Order {
        jobId: eip712::job_id(market, &order.terms).0,
        payer: order.payer,
        provider: order.provider,
        minPrice: order.min_price,
        maxPrice: order.max_price,
    };
    typed.eip712_signing_hash(&domain(market.chain_id, contract))
}

#[cfg(test)]
mod tests {
    use alloy::primitives::keccak256;
    use lota_market::{
        AttoFil, Time,
        model::{Settings, Terms},
    };

    use super::*;

    fn number(number: u64) -> B256 {
        B256::left_padding_from(&number.to_be_bytes())
    }

    /// Written out once more, with another value in every field: none can stand where another belongs.
    #[test]
    fn what_payers_sign_has_every_field_in_its_place() {
        let account = Address::repeat_byte;
        let market = MarketRef { chain_id: 17, contract: account(18), settings: Settings::COIN };
        let terms = Terms {
            client: account(1),
            salt: U256::from(2),
            spec: B256::repeat_byte(3),
            spec_codec: 4,
            min_price: AttoFil::ZERO,
            max_price: AttoFil::ZERO,
            ramp_start: Time(5),
            ramp_period: 6,
            lock_by: Time(7),
            run_for: 8,
            review_for: 9,
            rule_for: 10,
            collateral: AttoFil(11),
            matcher: account(1),
            arbiter: account(12),
            callback_gas: 13,
            keep_record: false,
        };
        let order = Order {
            terms,
            payer: account(14),
            provider: account(15),
            min_price: U256::from(16),
            max_price: U256::from(19),
        };
        let domain_type = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
        let domain = [
            keccak256(domain_type),
            keccak256("LotaFilecoinPayDeals"),
            keccak256("1"),
            number(17),
            account(20).into_word(),
        ];
        let of = "Order(bytes32 jobId,address payer,address provider,uint256 minPrice,uint256 maxPrice)";
        let hash = keccak256(
            [
                keccak256(of),
                eip712::job_id(&market, &order.terms).0,
                account(14).into_word(),
                account(15).into_word(),
                number(16),
                number(19),
            ]
            .concat(),
        );
        let digest = keccak256([&[0x19, 0x01][..], &keccak256(domain.concat())[..], &hash[..]].concat());
        assert_eq!(order_digest(&market, account(20), &order), digest);
    }
}
