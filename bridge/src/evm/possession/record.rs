//! Lota's record of what PDPVerifier told it.

use alloy::{
    primitives::Bytes as Data,
    sol_types::{SolCall, SolConstructor},
};
use lota_market::{Address, U256};

use super::{LastProof, MAX_DATA_SETS, PieceName, Possession, Possessions, Verifier, gathered, narrow, read};
use crate::evm::chain::{At, Chain, RpcError};

/// Generated from the checked-in ABI; nothing of it leaves this file.
mod abi {
    #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
    alloy::sol!(PossessionRecord, "../contracts/abi/PossessionRecord.json");
}

use abi::PossessionRecord as contract;

/// When data sets with a record as their listener have to be proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Epochs in which one proof is due.
    pub period: u64,
    /// The last epochs of a period, in which it can be given.
    pub window: u64,
    /// The least number of challenges of a proof.
    pub challenges: u64,
}

/// The code and arguments that deploy a record of what this PDPVerifier tells.
#[must_use]
pub fn deployment(verifier: Address, schedule: Schedule) -> Data {
    let Schedule { period, window, challenges } = schedule;
    let fixed = contract::constructorCall { verifier, period, window, challenges };
    [contract::BYTECODE.as_ref(), &fixed.abi_encode()].concat().into()
}

/// A record on a chain.
#[derive(Clone, Debug)]
pub struct PossessionRecord {
    chain: Chain,
    contract: Address,
    verifier: Address,
}

impl PossessionRecord {
    /// The record at this address.
    ///
    /// # Errors
    /// [`RpcError`], also when another contract is there, or none.
    pub async fn find(chain: &Chain, contract: Address) -> Result<Self, RpcError> {
        let verifier = read(chain, contract, contract::VERIFIERCall {}, At::Latest).await?;
        Ok(Self { chain: chain.clone(), contract, verifier })
    }

    /// Where it is.
    #[must_use]
    pub fn contract(&self) -> Address {
        self.contract
    }

    /// In which data sets a piece is, and when it was proven last: of the [`MAX_DATA_SETS`] newest that have had it.
    ///
    /// # Errors
    /// [`RpcError`].
    pub async fn of(&self, piece: &PieceName) -> Result<Possessions, RpcError> {
        let at = self.chain.latest().await?;
        let verifier = Verifier { chain: &self.chain, contract: self.verifier, at };
        let count = self.ask(contract::dataSetCountOfCall { root: piece.root }, &verifier).await?;
        let count = narrow(self.contract, "the number of data sets", count)?;
        let from = count.saturating_sub(MAX_DATA_SETS);
        let call =
            contract::dataSetsOfCall { root: piece.root, from: U256::from(from), limit: U256::from(MAX_DATA_SETS) };
        let data_sets = self.ask(call, &verifier).await?;
        let mut each = Vec::new();
        for data_set in data_sets.into_iter().take(usize::try_from(MAX_DATA_SETS).unwrap_or(usize::MAX)) {
            each.push(self.possession(data_set, piece, &verifier).await);
        }
        gathered(verifier.at.number(), each, from)
    }

    async fn possession(
        &self,
        data_set: u64,
        piece: &PieceName,
        verifier: &Verifier<'_>,
    ) -> Result<Option<Possession>, RpcError> {
        let id = U256::from(data_set);
        let place = self.ask(contract::pieceInCall { root: piece.root, dataSetId: id }, verifier).await?;
        if !place.isThere || !verifier.is_live(data_set, place.pieceId).await? {
            return Ok(None);
        }
        // The record knows the root alone, which a piece of four leaves has, too, if these are the tree's upper nodes.
        if verifier.cid_of(data_set, place.pieceId).await? != piece.cid {
            return Ok(None);
        }
        let kept = self.ask(contract::dataSetOfCall { dataSetId: id }, verifier).await?;
        let overdue = self.ask(contract::overduePeriodsCall { dataSetId: id }, verifier).await?;
        let last_proof = match place.lastProven {
            0 => LastProof::Never,
            epoch => LastProof::At { epoch, time: verifier.time_of(epoch).await },
        };
        Ok(Some(Possession {
            data_set,
            piece: place.pieceId,
            provider: verifier.provider(data_set).await?,
            last_proof,
            deadline: (kept.deadline != 0).then_some(kept.deadline),
            overdue,
        }))
    }

    async fn ask<C: SolCall>(&self, call: C, verifier: &Verifier<'_>) -> Result<C::Return, RpcError> {
        read(&self.chain, self.contract, call, At::Block(verifier.at.number())).await
    }
}
