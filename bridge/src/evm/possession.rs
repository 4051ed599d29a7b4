//! Proofs that pieces are stored (PDP, provable data possession), as two contracts on a Filecoin chain tell of them: Lota's own record
//! of PDPVerifier's calls (`contracts/src/storage/PossessionRecord.sol`), and Filecoin's warm storage service, which is the listener of
//! the data sets that it is paid for.
//!
//! What is read is read at one block. A contract that answers with nonsense, or a node that does not answer, is an error; a single data
//! set that cannot be read is counted, and the others are told.

mod record;
mod warm_storage;

use alloy::sol_types::SolCall;
use lota_market::{Address, B256, Bytes, Time, U256};

use super::chain::{At, Chain, Header, RpcError};
pub use record::{PossessionRecord, Schedule, deployment};
pub use warm_storage::WarmStorageProofs;

/// The most data sets of a piece, or of a payer, that are looked at: the newest.
pub const MAX_DATA_SETS: u64 = 64;

/// The functions of PDPVerifier (FilOzone/pdp, src/PDPVerifier.sol at cc3f5ea) that are called.
mod abi {
    #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
    alloy::sol! {
        struct Cid { bytes data; }
        function dataSetLive(uint256 setId) external view returns (bool);
        function pieceLive(uint256 setId, uint256 pieceId) external view returns (bool);
        function getPieceCid(uint256 setId, uint256 pieceId) external view returns (Cid memory);
        function pieceChallengable(uint256 setId, uint256 pieceId) external view returns (bool);
        function getDataSetStorageProvider(uint256 setId) external view returns (address provider, address proposed);
        function getDataSetLastProvenEpoch(uint256 setId) external view returns (uint256);
        function getDataSetListener(uint256 setId) external view returns (address);
        function findPieceIdsByCid(uint256 setId, Cid pieceCid, uint256 startPieceId, uint256 limit) external view
            returns (uint256[] memory pieceIds);
    }
}

/// What a piece is called on chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PieceName {
    /// The root of its tree.
    pub root: B256,
    /// The bytes of its CID, version 2 (FRC-0069).
    pub cid: Bytes,
}

/// A piece in a data set that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Possession {
    pub data_set: u64,
    pub piece: u64,
    /// Who stores it and proves it, by PDPVerifier.
    pub provider: Address,
    pub last_proof: LastProof,
    /// Last epoch of the period in which the next proof is due, or was; none if nothing is to be proven.
    pub deadline: Option<u64>,
    /// Periods that are over and had no proof, since the data set's last.
    pub overdue: u64,
}

/// The last proof that was about a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LastProof {
    /// None is known.
    Never,
    /// The data set was proven in this epoch; whether the piece was in it then, the node does not know any more.
    OfDataSet(u64),
    /// It was challenged, and the challenges were answered.
    At {
        /// The block's number.
        epoch: u64,
        /// The block's timestamp, if the node has the block still.
        time: Option<Time>,
    },
}

/// What was found, as of one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Possessions {
    /// Number of the block.
    pub as_of: u64,
    /// What was proven last comes first.
    pub found: Vec<Possession>,
    /// Data sets that could not be read, or that there was no room to look at.
    pub unread: u64,
}

/// Periods without a proof that are over in epoch `now`: as `PossessionRecord.overduePeriods` and the warm storage service's faults
/// count them. `is_proven`: whether that of the period that ends with `deadline` came.
#[must_use]
pub fn overdue_periods(deadline: u64, is_proven: bool, period: u64, now: u64) -> u64 {
    if deadline == 0 || now <= deadline || period == 0 {
        return 0;
    }
    (now - deadline - 1) / period + u64::from(!is_proven)
}

/// PDPVerifier, at one block.
struct Verifier<'a> {
    chain: &'a Chain,
    contract: Address,
    at: Header,
}

impl Verifier<'_> {
    async fn read<C: SolCall>(&self, call: C) -> Result<C::Return, RpcError> {
        read(self.chain, self.contract, call, At::Block(self.at.number())).await
    }

    async fn provider(&self, data_set: u64) -> Result<Address, RpcError> {
        let call = abi::getDataSetStorageProviderCall { setId: U256::from(data_set) };
        Ok(self.read(call).await?.provider)
    }

    /// Whether a piece is there: neither it nor its data set was removed.
    async fn is_live(&self, data_set: u64, piece: u64) -> Result<bool, RpcError> {
        self.read(abi::pieceLiveCall { setId: U256::from(data_set), pieceId: U256::from(piece) }).await
    }

    /// The CID that a piece was added with.
    async fn cid_of(&self, data_set: u64, piece: u64) -> Result<Bytes, RpcError> {
        Ok(self.read(abi::getPieceCidCall { setId: U256::from(data_set), pieceId: U256::from(piece) }).await?.data)
    }

    /// When a block was; none if the node does not say.
    async fn time_of(&self, epoch: u64) -> Option<Time> {
        match self.chain.block_at(epoch).await {
            Ok(Some(header)) if header.number() == epoch => Some(header.time()),
            _ => None,
        }
    }
}

/// Sorts what was found, and leaves out what could not be read.
fn gathered(as_of: u64, each: Vec<Result<Option<Possession>, RpcError>>, beyond: u64) -> Result<Possessions, RpcError> {
    let (mut found, mut unread, mut last) = (Vec::new(), beyond, None);
    let mut answered = each.is_empty();
    for one in each {
        match one {
            Ok(possession) => {
                answered = true;
                found.extend(possession);
            }
            Err(error) => {
                unread += 1;
                last = Some(error);
            }
        }
    }
    // A node that answers nothing is not a chain that knows nothing.
    if let Some(error) = last.filter(|_| !answered) {
        return Err(error);
    }
    found.sort_by_key(|possession| std::cmp::Reverse((possession.last_proof, possession.data_set)));
    Ok(Possessions { as_of, found, unread })
}

async fn read<C: SolCall>(chain: &Chain, contract: Address, call: C, at: At) -> Result<C::Return, RpcError> {
    let data = chain.view(contract, &call.abi_encode().into(), at).await?;
    C::abi_decode_returns_validate(&data)
        .map_err(|error| RpcError::Malformed(format!("{contract} answers {} with nonsense: {error}", C::SIGNATURE)))
}

/// A number of a contract that has 64 bits where it makes sense.
fn narrow(contract: Address, what: &str, number: U256) -> Result<u64, RpcError> {
    u64::try_from(number).map_err(|_| RpcError::Malformed(format!("{contract} says that {what} is {number}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn possession(data_set: u64, last_proof: LastProof) -> Possession {
        Possession { data_set, piece: 0, provider: Address::ZERO, last_proof, deadline: None, overdue: 0 }
    }

    #[test]
    fn periods_are_overdue_when_they_are_over_without_a_proof() {
        for (now, is_proven, overdue) in [
            (99, false, 0),
            (100, false, 0),
            (101, false, 1),
            (110, false, 1),
            (111, false, 2),
            (101, true, 0),
            (111, true, 1),
        ] {
            assert_eq!(overdue_periods(100, is_proven, 10, now), overdue, "{now} {is_proven}");
        }
        assert_eq!(overdue_periods(0, false, 10, 1_000), 0);
        assert_eq!(overdue_periods(1, false, 0, u64::MAX), 0);
        assert_eq!(overdue_periods(1, false, 1, u64::MAX), u64::MAX - 1);
    }

    #[test]
    fn what_was_proven_last_comes_first_and_what_fails_is_counted() {
        let proven = |epoch| LastProof::At { epoch, time: None };
        let each = vec![
            Ok(Some(possession(1, LastProof::Never))),
            Ok(None),
            Ok(Some(possession(2, proven(5)))),
            Err(RpcError::Malformed("no".into())),
            Ok(Some(possession(3, proven(7)))),
            Ok(Some(possession(4, LastProof::OfDataSet(9)))),
        ];
        let all = gathered(10, each, 2).expect("some were read");
        assert_eq!(all.found.iter().map(|one| one.data_set).collect::<Vec<_>>(), [3, 2, 4, 1]);
        assert_eq!((all.unread, all.as_of), (3, 10));
        assert!(gathered(10, vec![Err(RpcError::Malformed("no".into()))], 0).is_err());
        assert!(gathered(10, Vec::new(), 0).expect("nothing is an answer").found.is_empty());
    }
}
