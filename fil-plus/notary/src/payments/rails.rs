//! The [`Payer`] on a chain.

use std::collections::BTreeMap;

use async_trait::async_trait;
use lota_bridge::evm::{
    Account, SendError,
    chain::At,
    granters::rails::{self, Locked, RailDue, RailGranter, RailsError, refusal},
};
use lota_market::{Address, B256, U256, agent::EffectKey, model::JobId};
use tokio::sync::Mutex;

use super::{Landed, PayError, Payer};

/// Calls granters' `pay` with an account whose journal outlives the process.
#[derive(Debug)]
pub struct RailPayer {
    account: Account,
    blessing: Address,
    /// The granters that were looked at and pay by rails. That one does not may be a node's error, so it is asked again.
    granters: Mutex<BTreeMap<Address, RailGranter>>,
}

impl RailPayer {
    /// Pays what granters of this blessing granted, with this account.
    #[must_use]
    pub fn new(account: Account, blessing: Address) -> Self {
        Self { account, blessing, granters: Mutex::default() }
    }

    async fn granter(&self, contract: Address) -> Result<RailGranter, PayError> {
        if let Some(known) = self.granters.lock().await.get(&contract) {
            return Ok(known.clone());
        }
        match RailGranter::find(self.account.chain(), contract, self.blessing).await {
            Ok(found) => {
                self.granters.lock().await.insert(contract, found.clone());
                Ok(found)
            }
            Err(error @ RailsError::NotOne { .. }) => Err(PayError::Refused(error.to_string())),
            Err(RailsError::Rpc(error)) => Err(later(error)),
        }
    }
}

fn later(error: impl ToString) -> PayError {
    PayError::Later(error.to_string())
}

#[async_trait]
impl Payer for RailPayer {
    async fn locked(&self, granter: Address, job: JobId, transaction: B256) -> Result<Option<Locked>, PayError> {
        // What the transaction says decides: a node that cannot read the granter now makes a grant no smaller.
        let locked = rails::locked(self.account.chain(), granter, job, transaction).await.map_err(later)?;
        if locked.is_some() {
            self.granter(granter).await?;
        }
        Ok(locked)
    }

    async fn rail(&self, granter: Address, rail: U256, block: Option<u64>) -> Result<RailDue, PayError> {
        self.granter(granter).await?.rail(rail, block.map_or(At::Latest, At::Block)).await.map_err(later)
    }

    async fn pay(&self, key: &EffectKey, granter: Address, rails: &[U256]) -> Result<Landed, PayError> {
        let call = self.granter(granter).await?.pay(rails.to_vec());
        match self.account.send(key, call).await {
            Ok(landed) => Ok(Landed { transaction: landed.transaction, block: landed.block, time: landed.time }),
            Err(SendError::Refused { refusal: why, .. } | SendError::Reverted { refusal: why, .. }) => {
                Err(PayError::Refused(refusal(&why)))
            }
            Err(error @ (SendError::Failed(_) | SendError::TooMuchGas { .. } | SendError::KeyReused { .. })) => {
                Err(PayError::Refused(error.to_string()))
            }
            Err(error) => Err(later(error)),
        }
    }
}
