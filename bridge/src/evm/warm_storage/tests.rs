use alloy::primitives::{b256, hex};

use super::*;
use crate::PrivateKeySigner;

/// Calibration's, as in the signatures that filecoin-services and synapse-sdk hold each other to.
fn domain() -> Domain {
    let service = "0x02925630df557F957f70E112bA06e50965417CA0".parse().expect("an address");
    Domain { chain_id: 314_159, service }
}

fn signer() -> PrivateKeySigner {
    "0x1234567890123456789012345678901234567890123456789012345678901234".parse().expect("a key")
}

#[test]
fn data_sets_are_signed_as_the_service_and_the_sdk_agree() {
    let payee = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8".parse().expect("an address");
    let metadata = [("title", "TestDataSet")];
    let data = domain().create_data_set(&signer(), signer().address(), U256::from(12_345), payee, &metadata);
    let expected = concat!(
        "0000000000000000000000002e988a386a799f506693793c6a5af6b54dfaabfb",
        "0000000000000000000000000000000000000000000000000000000000003039",
        "00000000000000000000000000000000000000000000000000000000000000a0",
        "0000000000000000000000000000000000000000000000000000000000000120",
        "00000000000000000000000000000000000000000000000000000000000001a0",
        "0000000000000000000000000000000000000000000000000000000000000001",
        "0000000000000000000000000000000000000000000000000000000000000020",
        "0000000000000000000000000000000000000000000000000000000000000005",
        "7469746c65000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000001",
        "0000000000000000000000000000000000000000000000000000000000000020",
        "000000000000000000000000000000000000000000000000000000000000000b",
        "5465737444617461536574000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000041",
        "71b76dc59fda32a090b48744f047748725f1989d69c24b25713ff7c175f36525",
        "5d96f112712439fc01a2a9c6fb6cd5e0e78bd57888677cb5172f08acebfc34e2",
        "1b00000000000000000000000000000000000000000000000000000000000000",
    );
    assert_eq!(hex::encode(data.expect("signed")), expected);
}

#[test]
fn pieces_are_signed_as_the_service_and_the_sdk_agree() {
    let first = hex!("01559120220005de6815dcb348843215a94de532954b60be550a4bec6e74555665e9a5ec4e0f3c");
    let second = hex!("01559120227e03642a607ef886b004bf2c1978463ae1d4693ac0f410eb2d1b7a47fe205e5e750f");
    let pieces: [(&[u8], Metadata<'_>); 2] = [(&first, &[]), (&second, &[])];
    let data = domain().add_pieces(&signer(), U256::from(12_345), U256::from(1), &pieces).expect("signed");
    let expected = concat!(
        "0000000000000000000000000000000000000000000000000000000000000001",
        "0000000000000000000000000000000000000000000000000000000000000080",
        "0000000000000000000000000000000000000000000000000000000000000120",
        "00000000000000000000000000000000000000000000000000000000000001c0",
        "0000000000000000000000000000000000000000000000000000000000000002",
        "0000000000000000000000000000000000000000000000000000000000000040",
        "0000000000000000000000000000000000000000000000000000000000000060",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000002",
        "0000000000000000000000000000000000000000000000000000000000000040",
        "0000000000000000000000000000000000000000000000000000000000000060",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0000000000000000000000000000000000000000000000000000000000000041",
        "e629320e4fed8eebdc015f875541230d1478aac9308117b66d4a165de54e2809",
        "6439705e753274f445b4c62a5ccdf53761efaec6c8f235c3199326a5023daa48",
        "1b00000000000000000000000000000000000000000000000000000000000000",
    );
    assert_eq!(hex::encode(data), expected);
}

#[test]
fn removals_are_signed_as_the_service_and_the_sdk_agree() {
    let data = domain().remove_pieces(&signer(), U256::from(12_345), &[1, 3, 5]).expect("signed");
    let expected = concat!(
        "0000000000000000000000000000000000000000000000000000000000000020",
        "0000000000000000000000000000000000000000000000000000000000000041",
        "16df3928604421914122d3ad071558e6e704b9d28bd38bdf93b02ca876049735",
        "1981d111edc0d7a470213e8cf235a72c2ae4dd8dc426a144b2b9fdd4a4035f09",
        "1c00000000000000000000000000000000000000000000000000000000000000",
    );
    assert_eq!(hex::encode(data), expected);
}

#[test]
fn the_permissions_of_session_keys_are_the_type_hashes_of_the_contract() {
    let create = b"CreateDataSet(uint256 clientDataSetId,address payee,MetadataEntry[] metadata)MetadataEntry(string key,string value)";
    let add = b"AddPieces(uint256 clientDataSetId,uint256 nonce,Cid[] pieceData,PieceMetadata[] pieceMetadata)\
        Cid(bytes data)MetadataEntry(string key,string value)PieceMetadata(uint256 pieceIndex,MetadataEntry[] metadata)";
    let hash = |text: &[u8]| alloy::primitives::keccak256(text);
    assert_eq!(signing::permissions(true), [("CreateDataSet", hash(create)), ("AddPieces", hash(add))]);
    assert_eq!(signing::permissions(false), [("AddPieces", hash(add))]);
}

#[test]
fn what_the_service_keeps_of_a_nonce_is_taken_apart() {
    assert_eq!(landed(U256::ZERO), Ok(None));
    let created = Landed { data_set: 7, last_piece: None, is_final: false };
    assert_eq!(landed(U256::from(7)), Ok(Some(created)));
    let added = (U256::from(3) << 128) | U256::from(7);
    assert_eq!(landed(added), Ok(Some(Landed { last_piece: Some(2), ..created })));
    assert!(landed(U256::MAX).is_err());
}

#[test]
fn nonces_follow_from_all_parts_and_their_edges() {
    let first = nonce(&[b"a", b"bc"]);
    assert_eq!(first, nonce(&[b"a", b"bc"]));
    assert_ne!(first, nonce(&[b"ab", b"c"]));
    assert_ne!(first, U256::from_be_bytes(b256!("0000000000000000000000000000000000000000000000000000000000000000").0));
}

#[test]
fn what_storing_takes_follows_from_the_price_list_alone() {
    let mut list = abi::PriceList {
        token: Address::ZERO,
        rates: abi::Rates {
            storagePerTibPerMonth: U256::from(86_400_u64 << 10),
            datasetFeePerMonth: U256::from(86_400 * 5),
            cdnEgressPerTib: U256::ZERO,
            cacheMissEgressPerTib: U256::ZERO,
        },
        fees: abi::Fees {
            createDataSetFee: U256::from(1_000),
            addPiecesBaseFee: U256::from(100),
            addPiecesPerPieceFee: U256::from(10),
            schedulePieceRemovalsFee: U256::from(7),
            terminateFee: U256::from(7),
        },
        lockups: abi::Lockups {
            lifecycleReserveTarget: U256::from(50_000),
            replenishThreshold: U256::ZERO,
            defaultLockupPeriod: U256::from(30),
            cdnLockupAmount: U256::ZERO,
            cacheMissLockupAmount: U256::ZERO,
            cdnLockupPeriod: U256::ZERO,
        },
    };
    let gib = 1_u64 << 30;
    assert_eq!(needed(&list, gib, false), (U256::from(1), U256::from(30 + 110)));
    assert_eq!(needed(&list, 2 * gib + 1, false), (U256::from(3), U256::from(90 + 110)));
    assert_eq!(needed(&list, gib, true), (U256::from(6), U256::from(180 + 110 + 51_000)));
    list.rates.storagePerTibPerMonth = U256::MAX;
    assert!(needed(&list, u64::MAX, true).1 > U256::from(u128::MAX), "no overflow");
}
