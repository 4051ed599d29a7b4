//! Transactions without any node of ours: signed here, sent as they are.

use alloy::{
    consensus::{SignableTransaction as _, TxEip1559, TxEnvelope},
    eips::eip2718::Encodable2718 as _,
    primitives::TxKind,
    signers::SignerSync as _,
};
use lota_bridge::{PrivateKeySigner, evm::Network};
use lota_market::{Address, Bytes, U256};

/// More than any base fee here.
const MAX_FEE: u128 = 10_000_000_000;

/// The signed bytes of a call.
pub(crate) fn signed(key: &PrivateKeySigner, nonce: u64, to: Address, gas: u64, value: u64, input: Bytes) -> Bytes {
    let transaction = TxEip1559 {
        chain_id: Network::DEVELOPMENT.chain_id,
        nonce,
        gas_limit: gas,
        max_fee_per_gas: MAX_FEE,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(to),
        value: U256::from(value),
        input,
        ..TxEip1559::default()
    };
    let signature = key.sign_hash_sync(&transaction.signature_hash()).expect("the key signs");
    TxEnvelope::from(transaction.into_signed(signature)).encoded_2718().into()
}
