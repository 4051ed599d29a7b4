//! What a call costs: gas and fees.

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::{Decodable2718, Encodable2718};
use alloy::primitives::TxKind;
use alloy::signers::SignerSync;
use lota_market::{Address, AttoFil, B256, Bytes, U256};

use super::{Reserve, call::content};
use crate::{
    PrivateKeySigner,
    evm::chain::{Chain, Header, RpcError},
    journal::Attempt,
};

/// Fees per unit of gas, in attoFIL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Price {
    pub max_fee: u128,
    pub max_tip: u128,
}

impl Price {
    /// What the chain asks now, with room for the base fee to double.
    pub(super) async fn now(chain: &Chain) -> Result<Self, RpcError> {
        Self::after(chain, &chain.latest().await?).await
    }

    /// What the chain asks after a block, with room for the base fee to double.
    pub(super) async fn after(chain: &Chain, latest: &Header) -> Result<Self, RpcError> {
        let tip = chain.tip().await?;
        let fee = match latest.base_fee_per_gas {
            Some(base) => base.saturating_mul(U256::from(2)).saturating_add(tip),
            None => chain.gas_price().await?,
        };
        let max_fee = fee.saturating_to::<u128>();
        Ok(Self { max_fee, max_tip: tip.saturating_to::<u128>().min(max_fee) })
    }

    /// Enough to replace a transaction that offers this: nodes ask for a quarter more (Lotus) or a tenth (Ethereum's).
    const fn raised(self) -> Self {
        const fn raise(fee: u128) -> u128 {
            fee.saturating_add(fee / 4).saturating_add(1)
        }
        Self { max_fee: raise(self.max_fee), max_tip: raise(self.max_tip) }
    }

    /// What replaces a transaction that offers `before`: what the chain asks now, but enough more.
    pub(super) fn replacing(self, before: &Attempt) -> Self {
        let least = Self { max_fee: before.max_fee, max_tip: before.max_tip }.raised();
        let max_fee = self.max_fee.max(least.max_fee);
        Self { max_fee, max_tip: self.max_tip.max(least.max_tip).min(max_fee) }
    }
}

/// What a unit of gas costs in a block that comes now.
pub(super) async fn of_a_unit(chain: &Chain) -> Result<u128, RpcError> {
    let latest = chain.latest().await?;
    let fee = match latest.base_fee_per_gas {
        Some(base) => base.saturating_add(chain.tip().await?),
        None => chain.gas_price().await?,
    };
    Ok(fee.saturating_to())
}

/// A quarter more.
pub(super) const fn with_margin(gas: u64) -> u64 {
    gas.saturating_add(gas / 4)
}

/// The gas that is reserved, where the call itself may use `gas`.
pub(super) fn reserved(reserve: Reserve, gas: u64) -> u128 {
    let calls = u128::from(reserve.calls) * u128::from(gas) * 3 / 2;
    calls.saturating_add(reserve.gas.into())
}

/// A transaction that is to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Draft {
    pub chain_id: u64,
    pub nonce: u64,
    pub gas: u64,
    /// `None` creates a contract.
    pub to: Option<Address>,
    pub value: AttoFil,
    pub data: Bytes,
}

impl Draft {
    /// Signs it with fees.
    pub(super) fn sign(&self, signer: &PrivateKeySigner, price: Price) -> Result<Attempt, alloy::signers::Error> {
        let transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: self.gas,
            max_fee_per_gas: price.max_fee,
            max_priority_fee_per_gas: price.max_tip,
            to: self.to.map_or(TxKind::Create, TxKind::Call),
            value: U256::from(self.value.0),
            access_list: Default::default(),
            input: self.data.clone(),
        };
        let signature = signer.sign_hash_sync(&transaction.signature_hash())?;
        let signed = transaction.into_signed(signature);
        let raw = TxEnvelope::from(signed.clone()).encoded_2718();
        Ok(Attempt { hash: *signed.hash(), raw: raw.into(), max_fee: price.max_fee, max_tip: price.max_tip })
    }

    /// Reads a signed version back; `None` when it is none of ours.
    pub(super) fn of(attempt: &Attempt) -> Option<Self> {
        let envelope = TxEnvelope::decode_2718(&mut attempt.raw.as_ref()).ok()?;
        let transaction = envelope.as_eip1559()?.tx();
        Some(Self {
            chain_id: transaction.chain_id,
            nonce: transaction.nonce,
            gas: transaction.gas_limit,
            to: transaction.to.to().copied(),
            value: AttoFil(transaction.value.saturating_to()),
            data: transaction.input.clone(),
        })
    }

    /// Hash of what it does, as `Call::content` says.
    pub(super) fn content(&self) -> B256 {
        content(self.to, self.value, &self.data)
    }

    /// The most it can cost.
    pub(super) fn cost(&self, max_fee: u128) -> AttoFil {
        let fees = u128::from(self.gas).saturating_mul(max_fee);
        AttoFil(self.value.0.saturating_add(fees))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft() -> Draft {
        Draft {
            chain_id: 314,
            nonce: 7,
            gas: 1_000_000,
            to: Some(Address::repeat_byte(1)),
            value: AttoFil(5),
            data: Bytes::from_static(b"data"),
        }
    }

    #[test]
    fn signed_bytes_are_read_back() {
        let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(1)).expect("a valid key");
        let creation = Draft { to: None, ..draft() };
        let attempt = creation.sign(&signer, Price { max_fee: 100, max_tip: 3 }).expect("it signs");
        assert_eq!(Draft::of(&attempt), Some(creation));
        let attempt = draft().sign(&signer, Price { max_fee: 100, max_tip: 3 }).expect("it signs");
        assert_eq!(Draft::of(&attempt), Some(draft()));
        let envelope = TxEnvelope::decode_2718(&mut attempt.raw.as_ref()).expect("a transaction");
        assert_eq!(*envelope.tx_hash(), attempt.hash);
        assert_eq!(draft().cost(100), AttoFil(100_000_005));
        assert_eq!(Draft::of(&Attempt { raw: Bytes::new(), ..attempt }), None);
    }

    #[test]
    fn a_replacement_offers_a_quarter_more_and_what_the_chain_asks() {
        let before = Attempt { hash: B256::ZERO, raw: Bytes::new(), max_fee: 100, max_tip: 8 };
        let cheap = Price { max_fee: 50, max_tip: 1 }.replacing(&before);
        assert_eq!(cheap, Price { max_fee: 126, max_tip: 11 });
        let dear = Price { max_fee: 900, max_tip: 20 }.replacing(&before);
        assert_eq!(dear, Price { max_fee: 900, max_tip: 20 });
        let none = Attempt { max_fee: u128::MAX, max_tip: u128::MAX, ..before };
        assert_eq!(Price { max_fee: 1, max_tip: 1 }.replacing(&none).max_fee, u128::MAX);
    }

    #[test]
    fn limits_do_not_overflow() {
        assert_eq!(with_margin(1_000), 1_250);
        assert_eq!(with_margin(u64::MAX), u64::MAX);
        assert!(reserved(Reserve { calls: u32::MAX, gas: u64::MAX }, u64::MAX) > u128::from(u64::MAX));
        assert_eq!(reserved(Reserve { calls: 2, gas: 7 }, 1_000), 3_007);
    }
}
