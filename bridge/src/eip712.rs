//! What parties sign (EIP-712), in the domain ("LotaMarket", "1", chain id, contract).
//!
//! Type names, field names and order are those of `contracts/src/interfaces/ILotaMarket.sol`. [`SignedCommand`] is what
//! markets without a chain take in place of a transaction.

use alloy::{
    primitives::{FixedBytes, Signature, U256 as Word, keccak256},
    signers::{SignerSync, local::PrivateKeySigner},
    sol_types::{Eip712Domain, SolStruct},
};
use lota_market::{
    Address, AttoFil, B256, Bytes, Time,
    agent::EffectKey,
    model::{JobId, JobResult, Receipt, Settings, Signed, Terms},
};
use serde::{Deserialize, Serialize};

/// Name of the signing domain.
pub const DOMAIN_NAME: &str = "LotaMarket";
/// Version of the signing domain.
pub const DOMAIN_VERSION: &str = "1";

/// Which market this is: the domain of everything that is signed for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct MarketRef {
    /// The chain's id (EIP-155).
    pub chain_id: u64,
    /// The market's contract; of a market without a chain, a name of 20 bytes.
    pub contract: Address,
    /// The settings it was deployed with.
    pub settings: Settings,
}

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
            bool keepRecord;
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
            uint64 until;
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
        keepRecord: terms.keep_record,
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

/// What the market stores of a job's receipt: the highest 208 bits of keccak256(abi.encode(job's id, struct hash of the receipt)).
#[must_use]
pub fn receipt_digest(job: JobId, receipt: &Receipt) -> FixedBytes<26> {
    let digest = keccak256([job.0, receipt_hash(receipt)].concat());
    FixedBytes::from_slice(&digest[..26])
}

/// The id of a job: the digest of its terms, which is also what its client signs.
#[must_use]
pub fn job_id(market: &MarketRef, terms: &Terms) -> JobId {
    JobId(typed_terms(terms).eip712_signing_hash(&domain(market)))
}

/// The digest of `Acceptance(bytes32 jobId,Receipt receipt,uint64 until)`.
#[must_use]
pub fn acceptance_digest(market: &MarketRef, job: JobId, receipt: &Receipt, until: Time) -> B256 {
    typed::Acceptance { jobId: job.0, receipt: typed_receipt(receipt), until: until.0 }
        .eip712_signing_hash(&domain(market))
}

/// The digest that a client's signature is over.
#[must_use]
pub fn signed_digest(market: &MarketRef, what: &Signed<'_>) -> B256 {
    match what {
        Signed::Terms(job) => job.0,
        Signed::Acceptance(job, receipt, until) => acceptance_digest(market, *job, receipt, *until),
    }
}

/// Whose ECDSA signature this is; `None` when it is nobody's. As the contract does it: 65 bytes (r, s, v with v 27 or 28) or
/// 64 (EIP-2098), and the lower s of the two that would do (EIP-2).
#[must_use]
pub fn recover(digest: &B256, signature: &[u8]) -> Option<Address> {
    let signature = match signature {
        compact if compact.len() == 64 => Signature::from_erc2098(compact),
        [.., 27 | 28] if signature.len() == 65 => Signature::from_raw(signature).ok()?,
        _ => return None,
    };
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

#[cfg(test)]
mod tests {
    use lota_market::U256;
    use serde_json::Value;

    use super::*;

    /// Made by ethers' `TypedDataEncoder`, an implementation that shares no code with ours.
    const VECTORS: &str = include_str!("../fixtures/eip712.json");
    const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";

    fn text(value: &Value) -> String {
        value.as_str().map_or_else(|| value.to_string(), str::to_owned)
    }

    fn read<T: std::str::FromStr>(value: &Value) -> T
    where
        T::Err: std::fmt::Debug,
    {
        text(value).parse().expect("vectors are well formed")
    }

    fn amount(value: &Value) -> AttoFil {
        AttoFil(read(value))
    }

    struct Case {
        market: MarketRef,
        terms: Terms,
        receipt: Receipt,
        until: Time,
        command: SignedCommand,
        expected: Value,
    }

    fn cases() -> Vec<Case> {
        let vectors: Value = serde_json::from_str(VECTORS).expect("vectors are JSON");
        vectors["cases"].as_array().expect("there are cases").iter().map(case).collect()
    }

    fn case(case: &Value) -> Case {
        let (t, r, c) = (&case["terms"], &case["receipt"], &case["command"]);
        Case {
            market: MarketRef {
                chain_id: read(&case["chainId"]),
                contract: read(&case["contract"]),
                settings: Settings { min_window: 60, max_callback_gas: 0 },
            },
            terms: Terms {
                client: read(&t["client"]),
                salt: read::<U256>(&t["salt"]),
                spec: read(&t["spec"]),
                spec_codec: read(&t["specCodec"]),
                min_price: amount(&t["minPrice"]),
                max_price: amount(&t["maxPrice"]),
                ramp_start: Time(read(&t["rampStart"])),
                ramp_period: read(&t["rampPeriod"]),
                lock_by: Time(read(&t["lockBy"])),
                run_for: read(&t["runFor"]),
                review_for: read(&t["reviewFor"]),
                rule_for: read(&t["ruleFor"]),
                collateral: amount(&t["collateral"]),
                matcher: read(&t["matcher"]),
                arbiter: read(&t["arbiter"]),
                callback_gas: read(&t["callbackGas"]),
                keep_record: read(&t["keepRecord"]),
            },
            receipt: Receipt {
                provider: read(&r["provider"]),
                price: amount(&r["price"]),
                result: JobResult {
                    output: read(&r["result"]["output"]),
                    exit_code: read(&r["result"]["exitCode"]),
                    fuel_used: read(&r["result"]["fuelUsed"]),
                    inline_data: read(&r["result"]["inlineData"]),
                },
            },
            until: Time(read(&case["until"])),
            command: SignedCommand {
                sender: read(&c["sender"]),
                key: EffectKey::named(&text(&c["key"])),
                value: amount(&c["value"]),
                command: read(&c["command"]),
                signature: read(&case["expected"]["commandSignature"]),
            },
            expected: case["expected"].clone(),
        }
    }

    #[test]
    fn every_digest_is_what_ethers_computes() {
        for Case { market, terms, receipt, until, command, expected } in cases() {
            let job = job_id(&market, &terms);
            assert_eq!(domain(&market).separator(), read::<B256>(&expected["domainSeparator"]));
            assert_eq!(terms_hash(&terms), read::<B256>(&expected["termsHash"]));
            assert_eq!(job.0, read::<B256>(&expected["jobId"]));
            assert_eq!(result_hash(&receipt.result), read::<B256>(&expected["resultHash"]));
            assert_eq!(receipt_hash(&receipt), read::<B256>(&expected["receiptHash"]));
            assert_eq!(receipt_digest(job, &receipt), read::<FixedBytes<26>>(&expected["receiptDigest"]));
            let accepted = acceptance_digest(&market, job, &receipt, until);
            assert_eq!(accepted, read::<B256>(&expected["acceptanceDigest"]));
            assert_eq!(command.digest(&market), read::<B256>(&expected["commandDigest"]));
        }
    }

    #[test]
    fn signatures_are_those_of_ethers_and_recover_to_the_signer() {
        let signer: PrivateKeySigner = KEY.parse().expect("a valid key");
        for Case { market, terms, receipt, until, command, expected } in cases() {
            let job = job_id(&market, &terms);
            for (digest, name) in [
                (signed_digest(&market, &Signed::Terms(job)), "termsSignature"),
                (signed_digest(&market, &Signed::Acceptance(job, &receipt, until)), "acceptanceSignature"),
                (command.digest(&market), "commandSignature"),
            ] {
                let signature = sign(&signer, &digest).expect("the key signs");
                assert_eq!(signature, read::<Bytes>(&expected[name]), "{name}");
                assert_eq!(recover(&digest, &signature), Some(signer.address()), "{name}");
                assert_ne!(recover(&B256::ZERO, &signature), Some(signer.address()), "{name}");
            }
            assert_eq!(command.signer(&market), Some(signer.address()));
        }
    }

    #[test]
    fn a_signature_is_taken_in_two_forms_and_no_other() {
        let signer: PrivateKeySigner = KEY.parse().expect("a valid key");
        let digest = B256::repeat_byte(7);
        let whole = signer.sign_hash_sync(&digest).expect("the key signs");
        let bytes = whole.as_bytes();
        assert_eq!(recover(&digest, &bytes), Some(signer.address()));
        assert_eq!(recover(&digest, &whole.as_erc2098()), Some(signer.address()));

        let mut bare_parity = bytes;
        bare_parity[64] -= 27;
        let order = U256::from_str_radix("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)
            .expect("the order of secp256k1");
        let high_s = Signature::new(whole.r(), order - whole.s(), !whole.v()).as_bytes();
        for (wrong, why) in [
            (bare_parity.to_vec(), "v 0 or 1"),
            (high_s.to_vec(), "the higher s"),
            (bytes[..63].to_vec(), "too short"),
            ([bytes.as_slice(), &[0]].concat(), "too long"),
            (vec![], "empty"),
            (vec![0; 65], "zeros"),
            ([[0; 64].as_slice(), &[27]].concat(), "zero r and s"),
        ] {
            assert_eq!(recover(&digest, &wrong), None, "{why}");
        }
    }
}
