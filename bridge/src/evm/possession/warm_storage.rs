//! What the warm storage service knows of proofs (FilOzone/filecoin-services, FilecoinWarmStorageServiceStateView.sol at a16aea4). It is
//! the listener of the data sets that are paid through it, so no record of Lota's can be.

use alloy::sol_types::SolCall;
use lota_market::{Address, U256};

use super::{
    LastProof, MAX_DATA_SETS, PieceName, Possession, Possessions, Verifier, abi as pdp, gathered, narrow,
    overdue_periods, read,
};
use crate::evm::chain::{At, Chain, RpcError};

mod abi {
    #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
    alloy::sol! {
        function viewContractAddress() external view returns (address);
        function pdpVerifierAddress() external view returns (address);

        // of the view contract
        function getClientDataSetsLength(address payer) external view returns (uint256);
        function clientDataSets(address payer, uint256 offset, uint256 limit) external view
            returns (uint256[] memory dataSetIds);
        function provingDeadline(uint256 setId) external view returns (uint256);
        function provenThisPeriod(uint256 dataSetId) external view returns (bool);
        function getPDPConfig() external view
            returns (
                uint64 maxProvingPeriod,
                uint256 challengeWindowSize,
                uint256 challengesPerProof,
                uint256 initChallengeWindowStart
            );
    }
}

/// The warm storage service on a chain, as far as proofs go.
#[derive(Clone, Debug)]
pub struct WarmStorageProofs {
    chain: Chain,
    service: Address,
    view: Address,
    verifier: Address,
}

impl WarmStorageProofs {
    /// The service at this address.
    ///
    /// # Errors
    /// [`RpcError`], also when another contract is there, or none.
    pub async fn find(chain: &Chain, service: Address) -> Result<Self, RpcError> {
        let view = read(chain, service, abi::viewContractAddressCall {}, At::Latest).await?;
        let verifier = read(chain, service, abi::pdpVerifierAddressCall {}, At::Latest).await?;
        if [view, verifier].contains(&Address::ZERO) {
            return Err(RpcError::Malformed(format!("{service} is not set up as a warm storage service")));
        }
        Ok(Self { chain: chain.clone(), service, view, verifier })
    }

    /// The service's contract.
    #[must_use]
    pub fn service(&self) -> Address {
        self.service
    }

    /// In which of a payer's data sets a piece is, and when it was proven last: of its [`MAX_DATA_SETS`] newest. The service has no
    /// index of pieces, so without the payer nothing is found.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn of(&self, payer: Address, piece: &PieceName) -> Result<Possessions, RpcError> {
        let at = self.chain.latest().await?;
        let verifier = Verifier { chain: &self.chain, contract: self.verifier, at };
        let latest = At::Block(at.number());
        let count = read(&self.chain, self.view, abi::getClientDataSetsLengthCall { payer }, latest).await?;
        let count = narrow(self.view, "the number of data sets", count)?;
        if count == 0 {
            return gathered(at.number(), Vec::new(), 0);
        }
        let offset = count.saturating_sub(MAX_DATA_SETS);
        let call = abi::clientDataSetsCall { payer, offset: U256::from(offset), limit: U256::from(MAX_DATA_SETS) };
        let data_sets = read(&self.chain, self.view, call, latest).await?;
        let period = read(&self.chain, self.view, abi::getPDPConfigCall {}, latest).await?.maxProvingPeriod;
        let mut each = Vec::new();
        for data_set in data_sets.into_iter().take(usize::try_from(MAX_DATA_SETS).unwrap_or(usize::MAX)) {
            each.push(match narrow(self.view, "a data set's id", data_set) {
                Ok(data_set) => self.possession(data_set, piece, period, &verifier).await,
                Err(error) => Err(error),
            });
        }
        gathered(at.number(), each, offset)
    }

    async fn possession(
        &self,
        data_set: u64,
        piece: &PieceName,
        period: u64,
        verifier: &Verifier<'_>,
    ) -> Result<Option<Possession>, RpcError> {
        let id = U256::from(data_set);
        if !verifier.read(pdp::dataSetLiveCall { setId: id }).await? {
            return Ok(None);
        }
        let call = pdp::findPieceIdsByCidCall {
            setId: id,
            pieceCid: pdp::Cid { data: piece.cid.clone() },
            startPieceId: U256::ZERO,
            limit: U256::from(1),
        };
        let Some(found) = verifier.read(call).await?.first().copied() else { return Ok(None) };
        let deadline = self.ask(abi::provingDeadlineCall { setId: id }, verifier.at.number()).await?;
        let deadline = narrow(self.view, "a deadline", deadline)?;
        let now = verifier.at.number();
        let is_proven = self.ask(abi::provenThisPeriodCall { dataSetId: id }, now).await?;
        Ok(Some(Possession {
            data_set,
            piece: narrow(verifier.contract, "a piece's id", found)?,
            provider: verifier.provider(data_set).await?,
            last_proof: self.last_proof(id, found, is_proven, verifier).await?,
            deadline: (deadline != 0).then_some(deadline),
            overdue: overdue_periods(deadline, is_proven, period, now),
        }))
    }

    /// PDPVerifier keeps one epoch for the whole data set, which is that of its creation at first. Whether it was a proof, and of this
    /// piece, is to be seen as long as that proof's period lasts: now, or in the state of that epoch.
    async fn last_proof(
        &self,
        data_set: U256,
        piece: U256,
        is_proven: bool,
        verifier: &Verifier<'_>,
    ) -> Result<LastProof, RpcError> {
        let epoch = verifier.read(pdp::getDataSetLastProvenEpochCall { setId: data_set }).await?;
        let epoch = narrow(verifier.contract, "the epoch of a proof", epoch)?;
        let at = if is_proven { verifier.at.number() } else { epoch };
        let then = async {
            let was_proven = is_proven || self.ask(abi::provenThisPeriodCall { dataSetId: data_set }, at).await?;
            let call = pdp::pieceChallengableCall { setId: data_set, pieceId: piece };
            let was_challenged = read(&self.chain, verifier.contract, call, At::Block(at)).await?;
            Ok::<_, RpcError>(was_proven && was_challenged)
        };
        match then.await {
            Ok(true) => Ok(LastProof::At { epoch, time: verifier.time_of(epoch).await }),
            Ok(false) => Ok(LastProof::Never),
            // The present state was read from this node, so it is the old one that it has not.
            Err(RpcError::Refused(_)) if at != verifier.at.number() => Ok(LastProof::OfDataSet(epoch)),
            Err(error) => Err(error),
        }
    }

    async fn ask<C: SolCall>(&self, call: C, at: u64) -> Result<C::Return, RpcError> {
        read(&self.chain, self.view, call, At::Block(at)).await
    }
}
