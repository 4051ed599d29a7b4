//! What the payer, or a session key of its, signs (EIP-712), and what the service is given with it (`extraData`).

use alloy::{
    primitives::Bytes as Data,
    signers::{SignerSync, local::PrivateKeySigner},
    sol_types::{Eip712Domain, SolStruct, SolValue},
};
use lota_market::{Address, B256, U256};

/// Words about a data set or a piece, which the service keeps: keys and values.
pub type Metadata<'a> = &'a [(&'a str, &'a str)];

/// The signed structs, named as in the service's contract.
mod typed {
    alloy::sol! {
        struct MetadataEntry {
            string key;
            string value;
        }

        struct CreateDataSet {
            uint256 clientDataSetId;
            address payee;
            MetadataEntry[] metadata;
        }

        struct Cid {
            bytes data;
        }

        struct PieceMetadata {
            uint256 pieceIndex;
            MetadataEntry[] metadata;
        }

        struct AddPieces {
            uint256 clientDataSetId;
            uint256 nonce;
            Cid[] pieceData;
            PieceMetadata[] pieceMetadata;
        }

        struct SchedulePieceRemovals {
            uint256 clientDataSetId;
            uint256[] pieceIds;
        }
    }
}

/// Where signatures count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Domain {
    /// The chain's id (EIP-155).
    pub chain_id: u64,
    /// The service's contract.
    pub service: Address,
}

impl Domain {
    fn sign(&self, signer: &PrivateKeySigner, message: &impl SolStruct) -> Result<Data, alloy::signers::Error> {
        let domain = Eip712Domain::new(
            Some("FilecoinWarmStorageService".into()),
            Some("1".into()),
            Some(U256::from(self.chain_id)),
            Some(self.service),
            None,
        );
        let signature = signer.sign_hash_sync(&message.eip712_signing_hash(&domain))?;
        Ok(signature.as_bytes().to_vec().into())
    }

    /// A new data set of `payer` with the provider that is paid at `payee`. `id` is the payer's own number for it: a nonce.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn create_data_set(
        &self,
        signer: &PrivateKeySigner,
        payer: Address,
        id: U256,
        payee: Address,
        metadata: Metadata<'_>,
    ) -> Result<Data, alloy::signers::Error> {
        let message = typed::CreateDataSet { clientDataSetId: id, payee, metadata: entries(metadata) };
        let signature = self.sign(signer, &message)?;
        let (keys, values) = columns(metadata);
        Ok((payer, id, keys, values, signature).abi_encode_params().into())
    }

    /// More pieces in the data set with the payer's number `data_set`: their CIDs of version 2, in bytes, and words about each.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn add_pieces(
        &self,
        signer: &PrivateKeySigner,
        data_set: U256,
        nonce: U256,
        pieces: &[(&[u8], Metadata<'_>)],
    ) -> Result<Data, alloy::signers::Error> {
        let about = |(index, (_, metadata)): (usize, &(&[u8], Metadata<'_>))| typed::PieceMetadata {
            pieceIndex: U256::from(index),
            metadata: entries(metadata),
        };
        let message = typed::AddPieces {
            clientDataSetId: data_set,
            nonce,
            pieceData: pieces.iter().map(|(cid, _)| typed::Cid { data: cid.to_vec().into() }).collect(),
            pieceMetadata: pieces.iter().enumerate().map(about).collect(),
        };
        let signature = self.sign(signer, &message)?;
        let (keys, values): (Vec<_>, Vec<_>) = pieces.iter().map(|(_, metadata)| columns(metadata)).unzip();
        Ok((nonce, keys, values, signature).abi_encode_params().into())
    }

    /// The pieces with these ids are no longer to be stored.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub fn remove_pieces(
        &self,
        signer: &PrivateKeySigner,
        data_set: U256,
        pieces: &[u64],
    ) -> Result<Data, alloy::signers::Error> {
        let ids = pieces.iter().copied().map(U256::from).collect();
        let signature =
            self.sign(signer, &typed::SchedulePieceRemovals { clientDataSetId: data_set, pieceIds: ids })?;
        Ok((signature,).abi_encode_params().into())
    }
}

/// Both at once, in one transaction of the provider's: what [`Domain::create_data_set`] and [`Domain::add_pieces`] gave.
#[must_use]
pub fn create_and_add(create: Data, add: Data) -> Data {
    (create, add).abi_encode_params().into()
}

/// The operations that a session key has to be allowed, by name and type hash.
pub(super) fn permissions(is_new: bool) -> Vec<(&'static str, B256)> {
    let add = ("AddPieces", typed::AddPieces::default_type_hash());
    let create = ("CreateDataSet", typed::CreateDataSet::default_type_hash());
    if is_new { vec![create, add] } else { vec![add] }
}

/// A message's type hash is the same for all values.
trait TypeHash: SolStruct {
    fn default_type_hash() -> B256 {
        alloy::primitives::keccak256(Self::eip712_encode_type().as_bytes())
    }
}

impl<T: SolStruct> TypeHash for T {}

fn entries(metadata: Metadata<'_>) -> Vec<typed::MetadataEntry> {
    let entry =
        |(key, value): &(&str, &str)| typed::MetadataEntry { key: (*key).to_owned(), value: (*value).to_owned() };
    metadata.iter().map(entry).collect()
}

fn columns(metadata: Metadata<'_>) -> (Vec<String>, Vec<String>) {
    metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).unzip()
}
