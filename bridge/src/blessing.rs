//! A blessing beside a market: how a process reaches it ([`BlessingTransport`]), and what notaries sign (EIP-712), in the domain
//! ("LotaBlessing", "1", chain id, contract).
//!
//! Type names, field names and order are those of `contracts/src/interfaces/IBlessing.sol`.

mod transport;

use alloy::{
    primitives::U256 as Word,
    sol_types::{Eip712Domain, SolStruct},
};
use lota_market::{
    Address, B256, U256,
    blessing::{Choice, Limits, Nomination, Signed},
};
use serde::{Deserialize, Serialize};

pub use transport::{
    BlessingLanded, BlessingSubmitError, BlessingTransport, BlessingUpdate, BlessingUpdates, StoredRecord,
};

/// Name of the signing domain.
pub const DOMAIN_NAME: &str = "LotaBlessing";
/// Version of the signing domain.
pub const DOMAIN_VERSION: &str = "1";

/// A blessing beside a market: the domain of what notaries sign for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct BlessingRef {
    /// The chain's id (EIP-155).
    pub chain_id: u64,
    pub contract: Address,
}

/// The signed structs, named as in the interface; private, since everybody else speaks the market's own types.
mod typed {
    alloy::sol! {
        struct Nomination {
            bytes32 jobId;
            uint32 round;
            address client;
            address provider;
            address matcher;
            address arbiter;
            address nominator;
            address granter;
            bytes recipient;
            uint256 amount;
            bytes32 piece;
            uint64 pieceSize;
            uint256 share;
            uint256 bounty;
            uint64 expires;
        }

        struct Approval {
            Nomination nomination;
            bytes32 reasons;
            uint32 version;
        }

        struct Rejection {
            Nomination nomination;
            bytes32 reasons;
            uint32 version;
        }

        struct Revocation {
            Nomination nomination;
            bytes32 reasons;
            uint32 version;
        }

        struct SetNotaries {
            address[] notaries;
            uint32 quorum;
            uint64 decision;
            uint64 until;
        }

        struct SetGranter {
            address granter;
            uint128 perJob;
            uint128 perProvider;
            uint128 perPeriod;
            uint64 decision;
            uint64 until;
        }
    }
}

fn typed_nomination(nomination: &Nomination) -> typed::Nomination {
    typed::Nomination {
        jobId: nomination.job.0,
        round: nomination.round,
        client: nomination.client,
        provider: nomination.provider,
        matcher: nomination.matcher,
        arbiter: nomination.arbiter,
        nominator: nomination.nominator,
        granter: nomination.granter,
        recipient: nomination.recipient.clone(),
        amount: nomination.amount,
        piece: nomination.piece,
        pieceSize: nomination.piece_size,
        share: Word::from(nomination.share.0),
        bounty: Word::from(nomination.bounty.0),
        expires: nomination.expires.0,
    }
}

/// The signing domain of a blessing.
#[must_use]
pub fn domain(blessing: &BlessingRef) -> Eip712Domain {
    Eip712Domain::new(
        Some(DOMAIN_NAME.into()),
        Some(DOMAIN_VERSION.into()),
        Some(Word::from(blessing.chain_id)),
        Some(blessing.contract),
        None,
    )
}

/// Struct hash of a nomination, which the contract stores.
#[must_use]
pub fn nomination_hash(nomination: &Nomination) -> B256 {
    typed_nomination(nomination).eip712_hash_struct()
}

/// The digest that a notary's signature is over. Limits of 2^128 and more, which no contract takes, count as 2^128 - 1.
#[must_use]
pub fn signed_digest(blessing: &BlessingRef, what: &Signed<'_>) -> B256 {
    let domain = domain(blessing);
    match *what {
        Signed::Vote { nomination, choice, reasons, version } => {
            let nomination = typed_nomination(nomination);
            match choice {
                Choice::Approve => typed::Approval { nomination, reasons, version }.eip712_signing_hash(&domain),
                Choice::Reject => typed::Rejection { nomination, reasons, version }.eip712_signing_hash(&domain),
                Choice::Revoke => typed::Revocation { nomination, reasons, version }.eip712_signing_hash(&domain),
            }
        }
        Signed::Notaries { notaries, quorum, decision, until } => {
            typed::SetNotaries { notaries: notaries.to_vec(), quorum, decision, until: until.0 }
                .eip712_signing_hash(&domain)
        }
        Signed::Granter { granter, limits, decision, until } => {
            let [per_job, per_provider, per_period] = limits_out(limits);
            typed::SetGranter {
                granter,
                perJob: per_job,
                perProvider: per_provider,
                perPeriod: per_period,
                decision,
                until: until.0,
            }
            .eip712_signing_hash(&domain)
        }
    }
}

/// Limits as the contract has them: 128 bits each.
pub(crate) fn limits_out(limits: &Limits) -> [u128; 3] {
    [limits.per_job, limits.per_provider, limits.per_period].map(narrow)
}

/// A number of 128 bits; a greater one is the greatest.
pub(crate) fn narrow(number: U256) -> u128 {
    u128::try_from(number).unwrap_or(u128::MAX)
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Bytes, keccak256};
    use lota_market::{AttoFil, Time, model::JobId};

    use super::*;

    const NOMINATION: &str = "Nomination(bytes32 jobId,uint32 round,address client,address provider,address matcher,\
        address arbiter,address nominator,address granter,bytes recipient,uint256 amount,bytes32 piece,uint64 pieceSize,\
        uint256 share,uint256 bounty,uint64 expires)";

    fn number(number: u64) -> B256 {
        B256::left_padding_from(&number.to_be_bytes())
    }

    /// Written out once more, with other values in every field: none can stand where another belongs.
    #[test]
    fn what_notaries_sign_has_every_field_in_its_place() {
        let account = Address::repeat_byte;
        let nomination = Nomination {
            job: JobId(B256::repeat_byte(1)),
            round: 2,
            client: account(3),
            provider: account(4),
            matcher: account(5),
            arbiter: account(6),
            nominator: account(7),
            granter: account(8),
            recipient: Bytes::from_static(b"recipient"),
            amount: U256::from(9),
            piece: B256::repeat_byte(10),
            piece_size: 11,
            share: AttoFil(12),
            bounty: AttoFil(13),
            expires: Time(14),
        };
        let words = [keccak256(NOMINATION), B256::repeat_byte(1), number(2)]
            .into_iter()
            .chain((3..=8).map(|byte| account(byte).into_word()))
            .chain([keccak256("recipient"), number(9), B256::repeat_byte(10)])
            .chain((11..=14).map(number));
        let hash = keccak256(words.collect::<Vec<_>>().concat());
        assert_eq!(nomination_hash(&nomination), hash);

        let blessing = BlessingRef { chain_id: 17, contract: account(18) };
        let domain_type = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
        let domain =
            [keccak256(domain_type), keccak256("LotaBlessing"), keccak256("1"), number(17), account(18).into_word()];
        for (choice, name) in
            [(Choice::Approve, "Approval"), (Choice::Reject, "Rejection"), (Choice::Revoke, "Revocation")]
        {
            let of = format!("{name}(Nomination nomination,bytes32 reasons,uint32 version){NOMINATION}");
            let vote = keccak256([keccak256(of), hash, B256::repeat_byte(15), number(16)].concat());
            let digest = keccak256([&[0x19, 0x01][..], &keccak256(domain.concat())[..], &vote[..]].concat());
            let what = Signed::Vote { nomination: &nomination, choice, reasons: B256::repeat_byte(15), version: 16 };
            assert_eq!(signed_digest(&blessing, &what), digest, "{name}");
        }
    }
}
