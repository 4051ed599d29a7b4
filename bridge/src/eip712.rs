//! What parties sign (EIP-712), in the domain ("LotaMarket", "1", chain id, contract).
//!
//! Type names, field names and order are those of `contracts/src/interfaces/ILotaMarket.sol`. [`SignedCommand`] is what
//! markets without a chain take in place of a transaction.

use alloy::{
    primitives::{Signature, U256 as Word},
    signers::{SignerSync, local::PrivateKeySigner},
    sol_types::{Eip712Domain, SolStruct},
};
use lota_market::{
    Address, AttoFil, B256, Bytes,
    agent::EffectKey,
    model::{JobId, JobResult, Receipt, Signed, Terms},
};
use serde::{Deserialize, Serialize};

use crate::transport::MarketRef;

/// Name of the signing domain.
pub const DOMAIN_NAME: &str = "LotaMarket";
/// Version of the signing domain.
pub const DOMAIN_VERSION: &str = "1";

/// The signed structs, named as in the interface; private, since everybody else speaks the market's own types.
mod typed {
    alloy::sol! {
        struct Terms {
            address client;
            uint256 salt;
            bytes32 spec;
            uint16 specCodec;
            uint256 minPrice;
            uint256 maxPrice;
            uint64 rampStart;
            uint64 rampPeriod;
            uint64 lockBy;
            uint32 runFor;
            uint32 reviewFor;
            uint32 ruleFor;
            uint256 collateral;
            address matcher;
            address arbiter;
            uint32 callbackGas;
        }

        struct Result {
            bytes32 output;
            uint32 exitCode;
            uint64 fuelUsed;
            bytes inlineData;
        }

        struct Receipt {
            address provider;
            uint256 price;
            Result result;
        }

        struct Acceptance {
            bytes32 jobId;
            Receipt receipt;
        }

        struct MarketCommand {
            address sender;
            string key;
            uint256 value;
            bytes command;
        }
    }
}

fn typed_terms(terms: &Terms) -> typed::Terms {
    typed::Terms {
        client: terms.client,
        salt: terms.salt,
        spec: terms.spec,
        specCodec: terms.spec_codec,
        minPrice: Word::from(terms.min_price.0),
        maxPrice: Word::from(terms.max_price.0),
        rampStart: terms.ramp_start.0,
        rampPeriod: terms.ramp_period,
        lockBy: terms.lock_by.0,
        runFor: terms.run_for,
        reviewFor: terms.review_for,
        ruleFor: terms.rule_for,
        collateral: Word::from(terms.collateral.0),
        matcher: terms.matcher,
        arbiter: terms.arbiter,
        callbackGas: terms.callback_gas,
    }
}

fn typed_result(result: &JobResult) -> typed::Result {
    typed::Result {
        output: result.output,
        exitCode: result.exit_code,
        fuelUsed: result.fuel_used,
        inlineData: result.inline_data.clone(),
    }
}

fn typed_receipt(receipt: &Receipt) -> typed::Receipt {
    typed::Receipt {
        provider: receipt.provider,
        price: Word::from(receipt.price.0),
        result: typed_result(&receipt.result),
    }
}

/// The signing domain of a market.
#[must_use]
pub fn domain(market: &MarketRef) -> Eip712Domain {
    Eip712Domain::new(
        Some(DOMAIN_NAME.into()),
        Some(DOMAIN_VERSION.into()),
        Some(Word::from(market.chain_id)),
        Some(market.contract),
        None,
    )
}

/// Struct hash of terms, without a domain.
#[must_use]
pub fn terms_hash(terms: &Terms) -> B256 {
    typed_terms(terms).eip712_hash_struct()
}

/// Struct hash of a result, without a domain.
#[must_use]
pub fn result_hash(result: &JobResult) -> B256 {
    typed_result(result).eip712_hash_struct()
}

/// Struct hash of a receipt, without a domain.
#[must_use]
pub fn receipt_hash(receipt: &Receipt) -> B256 {
    typed_receipt(receipt).eip712_hash_struct()
}

/// The highest 208 bits of a receipt's struct hash: what the market stores of it.
#[must_use]
pub fn receipt_digest(receipt: &Receipt) -> [u8; 26] {
    let mut digest = [0; 26];
    digest.copy_from_slice(&receipt_hash(receipt)[..26]);
    digest
}

/// The id of a job: the digest of its terms, which is also what its client signs.
#[must_use]
pub fn job_id(market: &MarketRef, terms: &Terms) -> JobId {
    JobId(typed_terms(terms).eip712_signing_hash(&domain(market)))
}

/// The digest of `Acceptance(bytes32 jobId,Receipt receipt)`.
#[must_use]
pub fn acceptance_digest(market: &MarketRef, job: JobId, receipt: &Receipt) -> B256 {
    typed::Acceptance { jobId: job.0, receipt: typed_receipt(receipt) }.eip712_signing_hash(&domain(market))
}

/// The digest that a client's signature is over.
#[must_use]
pub fn signed_digest(market: &MarketRef, what: &Signed<'_>) -> B256 {
    match what {
        Signed::Terms(job) => job.0,
        Signed::Acceptance(job, receipt) => acceptance_digest(market, *job, receipt),
    }
}

/// Whose ECDSA signature this is; `None` when it is nobody's. As the contract does it: 65 bytes r, s, v, with v 27 or 28 and
/// s in the lower half of the curve's order (EIP-2), so that a signature has one form only.
#[must_use]
pub fn recover(digest: &B256, signature: &[u8]) -> Option<Address> {
    let v = *signature.get(64)?;
    if !matches!(v, 27 | 28) {
        return None;
    }
    let signature = Signature::from_raw(signature).ok()?;
    if signature.normalize_s().is_some() {
        return None;
    }
    signature.recover_address_from_prehash(digest).ok()
}

/// Signs a digest: 65 bytes r, s, v with v 27 or 28.
///
/// # Errors
/// When the key cannot be used.
pub fn sign(signer: &PrivateKeySigner, digest: &B256) -> Result<Bytes, alloy::signers::Error> {
    Ok(Bytes::copy_from_slice(&signer.sign_hash_sync(digest)?.as_bytes()))
}

/// A command as markets without a chain take it: signed by its sender over
/// `MarketCommand(address sender,string key,uint256 value,bytes command)`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SignedCommand {
    /// Who sends it.
    pub sender: Address,
    /// The effect's key: (sender, key) lands at most once.
    pub key: EffectKey,
    /// Money from the sender's wallet.
    pub value: AttoFil,
    /// The [`Command`](lota_market::model::Command) as canonical DAG-CBOR.
    pub command: Bytes,
    /// The sender's signature.
    pub signature: Bytes,
}

impl SignedCommand {
    /// The digest that the signature is over.
    #[must_use]
    pub fn digest(&self, market: &MarketRef) -> B256 {
        typed::MarketCommand {
            sender: self.sender,
            key: self.key.as_str().to_owned(),
            value: Word::from(self.value.0),
            command: self.command.clone(),
        }
        .eip712_signing_hash(&domain(market))
    }

    /// Signs a command.
    ///
    /// # Errors
    /// When the key cannot be used.
    pub fn sign(
        signer: &PrivateKeySigner,
        market: &MarketRef,
        key: EffectKey,
        value: AttoFil,
        command: Bytes,
    ) -> Result<Self, alloy::signers::Error> {
        let mut signed = Self { sender: signer.address(), key, value, command, signature: Bytes::new() };
        signed.signature = sign(signer, &signed.digest(market))?;
        Ok(signed)
    }

    /// Who signed it; `None` when nobody did.
    #[must_use]
    pub fn signer(&self, market: &MarketRef) -> Option<Address> {
        recover(&self.digest(market), &self.signature)
    }
}
