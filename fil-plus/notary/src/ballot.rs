//! What a notary's wallet is asked to sign: EIP-712 typed data as JSON (`eth_signTypedData_v4`), and the same in words.

use lota_bridge::{
    BlessingRef,
    blessing::{DOMAIN_NAME, DOMAIN_VERSION},
};
use lota_market::{
    B256,
    blessing::{Choice, Nomination},
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// Names and types of a nomination's fields, as `IBlessing.Nomination` has them.
const NOMINATION: [(&str, &str); 15] = [
    ("jobId", "bytes32"),
    ("round", "uint32"),
    ("client", "address"),
    ("provider", "address"),
    ("matcher", "address"),
    ("arbiter", "address"),
    ("nominator", "address"),
    ("granter", "address"),
    ("recipient", "bytes"),
    ("amount", "uint256"),
    ("piece", "bytes32"),
    ("pieceSize", "uint64"),
    ("share", "uint256"),
    ("bounty", "uint256"),
    ("expires", "uint64"),
];
const VOTE: [(&str, &str); 3] = [("nomination", "Nomination"), ("reasons", "bytes32"), ("version", "uint32")];
const DOMAIN: [(&str, &str); 4] =
    [("name", "string"), ("version", "string"), ("chainId", "uint256"), ("verifyingContract", "address")];

/// The digest of a written reason: sha2-256 of its bytes.
#[must_use]
pub fn reasons_digest(text: &str) -> B256 {
    B256::from_slice(&Sha256::digest(text.as_bytes()))
}

/// What is signed, as `eth_signTypedData_v4` takes it. Numbers are decimal texts, which wallets read exactly.
#[must_use]
pub fn typed_data(
    blessing: &BlessingRef,
    nomination: &Nomination,
    choice: Choice,
    reasons: B256,
    version: u32,
) -> Value {
    let fields = |fields: &[(&str, &str)]| -> Value {
        fields.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect()
    };
    let kind = match choice {
        Choice::Approve => "Approval",
        Choice::Reject => "Rejection",
        Choice::Revoke => "Revocation",
    };
    let mut types = serde_json::Map::new();
    types.insert("EIP712Domain".into(), fields(&DOMAIN));
    types.insert(kind.into(), fields(&VOTE));
    types.insert("Nomination".into(), fields(&NOMINATION));
    json!({
        "types": types,
        "primaryType": kind,
        "domain": {
            "name": DOMAIN_NAME,
            "version": DOMAIN_VERSION,
            "chainId": blessing.chain_id.to_string(),
            "verifyingContract": blessing.contract,
        },
        "message": {
            "nomination": {
                "jobId": nomination.job.0,
                "round": nomination.round.to_string(),
                "client": nomination.client,
                "provider": nomination.provider,
                "matcher": nomination.matcher,
                "arbiter": nomination.arbiter,
                "nominator": nomination.nominator,
                "granter": nomination.granter,
                "recipient": nomination.recipient,
                "amount": nomination.amount.to_string(),
                "piece": nomination.piece,
                "pieceSize": nomination.piece_size.to_string(),
                "share": nomination.share.0.to_string(),
                "bounty": nomination.bounty.0.to_string(),
                "expires": nomination.expires.0.to_string(),
            },
            "reasons": reasons,
            "version": version.to_string(),
        },
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "this is test code")]

    use alloy::{
        primitives::keccak256,
        signers::{SignerSync as _, local::PrivateKeySigner},
    };
    use lota_bridge::blessing::signed_digest;
    use lota_market::{Address, AttoFil, Bytes, Time, U256, blessing::Signed, model::JobId};
    use proptest::prelude::*;

    use super::*;

    fn nominations() -> impl Strategy<Value = Nomination> {
        let party = || any::<[u8; 20]>().prop_map(Address::from);
        let digest = || any::<[u8; 32]>().prop_map(B256::from);
        (
            (digest(), any::<u32>(), party(), party(), party(), party(), party(), party()),
            (prop::collection::vec(any::<u8>(), 0..64), any::<[u8; 32]>(), digest(), any::<u64>()),
            (any::<u128>(), any::<u128>(), any::<u64>()),
        )
            .prop_map(|(parties, granted, money)| {
                let (job, round, client, provider, matcher, arbiter, nominator, granter) = parties;
                let (recipient, amount, piece, piece_size) = granted;
                Nomination {
                    job: JobId(job),
                    round,
                    client,
                    provider,
                    matcher,
                    arbiter,
                    nominator,
                    granter,
                    recipient: Bytes::from(recipient),
                    amount: U256::from_be_bytes(amount),
                    piece,
                    piece_size,
                    share: AttoFil(money.0),
                    bounty: AttoFil(money.1),
                    expires: Time(money.2),
                }
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// A wallet hashes the JSON by itself: what it then signs must be what the contract checks.
        #[test]
        fn a_wallet_that_reads_the_json_signs_the_contract_s_digest(
            nomination in nominations(), chain_id in any::<u64>(), version in any::<u32>(), choice in 0_u8..3, reason in ".{0,40}"
        ) {
            let wallet = PrivateKeySigner::from_slice(keccak256("a notary").as_slice()).expect("a key");
            let blessing = BlessingRef { chain_id, contract: Address::repeat_byte(7) };
            let choice = Choice::from_number(choice).expect("three");
            let reasons = reasons_digest(&reason);
            let json = typed_data(&blessing, &nomination, choice, reasons, version);
            let read = serde_json::from_value(json).expect("typed data");
            let signature = wallet.sign_dynamic_typed_data_sync(&read).expect("signed");
            let digest =
                signed_digest(&blessing, &Signed::Vote { nomination: &nomination, choice, reasons, version });
            prop_assert_eq!(signature.recover_address_from_prehash(&digest).expect("a signature"), wallet.address());
        }
    }
}
