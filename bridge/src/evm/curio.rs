//! Deals that storage providers with Curio take by direct onboarding: Lota's market contract for them
//! (`contracts/src/storage/CurioMarket.sol`).

mod client;

use alloy::{
    primitives::Bytes as Data,
    sol_types::{SolCall, SolConstructor, SolError, SolEvent},
};
use lota_market::{Address, B256, Bytes, U256};

use super::chain::{At, Chain, Filter, Log, RpcError};
pub use client::{Client, ClientError, masked_id, sign_delegated};

/// Generated from the checked-in ABI; nothing of it leaves this file.
mod abi {
    #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
    alloy::sol!(CurioMarket, "../contracts/abi/CurioMarket.json");
}

use abi::{CurioMarket as contract, ICurioMarket};

/// The version of Curio's interface that is implemented.
pub const VERSION: u64 = 1;

/// A deal that a client wants. Epochs are block numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposal {
    /// Id of the storage provider's miner actor: 1000 for f01000.
    pub provider: u64,
    /// The bytes of the piece CID, version 2.
    pub piece: Bytes,
    /// None: any.
    pub start: Option<u64>,
    /// In epochs; Curio takes 518,400 or more.
    pub duration: u64,
    /// DataCap's.
    pub allocation: Option<u64>,
    /// Last epoch in which the provider may take it.
    pub open_until: u64,
}

/// How far a deal is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The provider may take it.
    Open,
    /// The provider's actor said that the piece is in a sector.
    Active {
        /// Since which epoch.
        since: u64,
        /// Until which.
        until: u64,
        sector: u64,
    },
    /// It is over, or came to nothing.
    Finalized,
}

/// A deal as the contract keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deal {
    /// Who announced it; Curio must see its f410 address as the client.
    pub client: Address,
    pub provider: u64,
    /// The root of the piece's tree.
    pub root: B256,
    pub stage: Stage,
}

/// The code and arguments that deploy the contract: for anybody's deals, or for those with pieces that are nominated there.
#[must_use]
pub fn deployment(blessing: Option<Address>) -> Data {
    let fixed = contract::constructorCall { blessing: blessing.unwrap_or_default() };
    [contract::BYTECODE.as_ref(), &fixed.abi_encode()].concat().into()
}

/// The call that announces a deal.
#[must_use]
pub fn announce(proposal: &Proposal) -> Bytes {
    contract::announceCall {
        proposal: ICurioMarket::Proposal {
            provider: proposal.provider,
            pieceCid: proposal.piece.clone(),
            startEpoch: proposal.start.unwrap_or_default(),
            duration: proposal.duration,
            allocationId: proposal.allocation.unwrap_or_default(),
            openUntil: proposal.open_until,
        },
    }
    .abi_encode()
    .into()
}

/// The call that takes a deal back.
#[must_use]
pub fn withdraw(deal: u64) -> Bytes {
    contract::withdrawCall { dealId: U256::from(deal) }.abi_encode().into()
}

/// The id of a deal that was announced, if this log tells of one.
#[must_use]
pub fn announced(log: &Log) -> Option<u64> {
    let event = contract::DealAnnounced::decode_raw_log(log.topics.iter().copied(), &log.data).ok()?;
    u64::try_from(event.dealId).ok()
}

/// What a deal's notification carries: its id in CBOR.
#[must_use]
pub fn notification_payload(deal: u64) -> Vec<u8> {
    let [.., a, b, c, d] = deal.to_be_bytes();
    match deal {
        0..=23 => vec![d],
        24..=0xff => vec![0x18, d],
        0x100..=0xffff => vec![0x19, c, d],
        0x1_0000..=0xffff_ffff => vec![0x1a, a, b, c, d],
        _ => [&[0x1b][..], &deal.to_be_bytes()].concat(),
    }
}

/// The contract on a chain.
#[derive(Clone, Debug)]
pub struct CurioMarket {
    chain: Chain,
    contract: Address,
}

impl CurioMarket {
    /// The contract at this address.
    ///
    /// # Errors
    /// [`RpcError`], also when another contract is there, or none.
    pub async fn find(chain: &Chain, contract: Address) -> Result<Self, RpcError> {
        let market = Self { chain: chain.clone(), contract };
        let version = market.ask(contract::versionCall {}, At::Latest).await?;
        if version != U256::from(VERSION) {
            return Err(RpcError::Malformed(format!(
                "{contract} has version {version} of Curio's interface, not {VERSION}"
            )));
        }
        Ok(market)
    }

    /// A deal; none if nobody announced it.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn deal(&self, id: u64, at: At) -> Result<Option<Deal>, RpcError> {
        let key = U256::from(id);
        let deal = match self.ask(contract::dealOfCall { dealId: key }, at).await {
            Err(RpcError::Refused(refusal)) if is_not_found(refusal.data.as_ref()) => return Ok(None),
            other => other?,
        };
        let stage = match self.ask(contract::getDealStateCall { dealId: key }, at).await? {
            0 => Stage::Open,
            1 => Stage::Active { since: deal.activeSince, until: deal.activeUntil, sector: deal.sector },
            2 => Stage::Finalized,
            other => {
                return Err(RpcError::Malformed(format!("{} says that deal {id} has state {other}", self.contract)));
            }
        };
        Ok(Some(Deal { client: deal.client, provider: deal.provider, root: deal.root, stage }))
    }

    /// What finds the deals that were announced of a piece, by anybody.
    #[must_use]
    pub fn announcements_of(&self, root: B256) -> Filter {
        Filter {
            addresses: vec![self.contract],
            topics: vec![vec![contract::DealAnnounced::SIGNATURE_HASH], Vec::new(), Vec::new(), vec![root]],
        }
    }

    async fn ask<C: SolCall>(&self, call: C, at: At) -> Result<C::Return, RpcError> {
        let data = self.chain.view(self.contract, &call.abi_encode().into(), at).await?;
        C::abi_decode_returns_validate(&data).map_err(|error| {
            RpcError::Malformed(format!("{} answers {} with nonsense: {error}", self.contract, C::SIGNATURE))
        })
    }
}

fn is_not_found(data: Option<&Bytes>) -> bool {
    data.is_some_and(|data| data.starts_with(&contract::DealNotFound::SELECTOR))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curio_s_interface_has_the_selectors_that_it_calls() {
        // market/mk20/contract/CurioDealViewV1.go of Curio.
        assert_eq!(contract::verifyDealCall::SELECTOR, [0x2e, 0x9b, 0x81, 0x2d]);
        assert_eq!(
            contract::verifyDealCall::SIGNATURE,
            "verifyDeal((uint256,uint8,uint256,bytes,bytes,uint256,uint256,uint256,uint256))"
        );
        assert_eq!(contract::versionCall::SIGNATURE, "version()");
        assert_eq!(contract::getDealStateCall::SIGNATURE, "getDealState(uint256)");
        assert_eq!(contract::DealNotFound::SIGNATURE, "DealNotFound(uint256)");
        // actors/evm/src/lib.rs of builtin-actors.
        assert_eq!(contract::handle_filecoin_methodCall::SELECTOR, [0x86, 0x8e, 0x10, 0xc4]);
    }

    #[test]
    fn a_payload_is_a_number_in_the_fewest_bytes() {
        for id in [0, 1, 23, 24, 255, 256, 65_535, 65_536, u64::from(u32::MAX), u64::from(u32::MAX) + 1, u64::MAX] {
            assert_eq!(notification_payload(id), serde_ipld_dagcbor::to_vec(&id).expect("a number"), "{id}");
        }
    }
}
