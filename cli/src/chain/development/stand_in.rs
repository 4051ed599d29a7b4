//! The stand-in of Filecoin Pay on a development chain: the published contract is in no package registry, and no chain but one's own may
//! be told that this is it.

use anyhow::{Context as _, bail};
use lota_bridge::{
    PrivateKeySigner,
    evm::{
        Call, Network,
        chain::At,
        filecoin_pay::{self, Approval},
    },
};
use lota_market::{Address, AttoFil, Bytes, U256, money::FIL};
use serde::{Deserialize, Serialize};

use super::{DevelopmentChain, create};
use crate::chain::deploy;

/// Test code of the contracts' (`contracts/test/mocks/FilecoinPayStandIn.sol`).
const ARTIFACT: &str = include_str!("../../../../contracts/test/artifacts/FilecoinPayStandIn.json");
/// f099, where the fees of payments in the chain's coin go.
const BURNT: Address = alloy::primitives::address!("0xff00000000000000000000000000000000000063");
/// What the sponsor has there, and outside for gas.
const DEPOSIT: AttoFil = AttoFil(1_000 * FIL);
const GAS_MONEY: AttoFil = AttoFil(FIL);

#[derive(Deserialize)]
struct Artifact {
    bytecode: Bytes,
}

/// Where it is, and whose account there pays what notaries bless.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct StandIn {
    pub(crate) contract: Address,
    pub(crate) sponsor: Address,
}

impl DevelopmentChain {
    /// Deploys it, with money of this sponsor's.
    pub(super) async fn begin_stand_in(&self, sponsor: Address) -> anyhow::Result<StandIn> {
        let endpoint = self.market.endpoint();
        if endpoint.network().chain_id != Network::DEVELOPMENT.chain_id {
            bail!("the stand-in of Filecoin Pay is for development chains; {} has its own", endpoint.network().name);
        }
        let artifact: Artifact = serde_json::from_str(ARTIFACT).context("the stand-in's artifact is damaged")?;
        let (contract, _) = create(endpoint, self.faucet, artifact.bytecode).await?;
        self.give(sponsor, GAS_MONEY).await?;
        let deposit = filecoin_pay::deposit(Address::ZERO, sponsor, U256::from(DEPOSIT.0));
        self.call(contract, deposit, DEPOSIT).await?;
        Ok(StandIn { contract, sponsor })
    }

    /// The sponsor lets a granter lock what it has there, for so many epochs.
    pub(super) async fn approve(
        &self,
        stand_in: &StandIn,
        sponsor: PrivateKeySigner,
        granter: Address,
        lockup_period: U256,
    ) -> anyhow::Result<()> {
        let approval = Approval {
            is_approved: true,
            lockup_allowance: U256::from(DEPOSIT.0),
            max_lockup_period: lockup_period,
            ..Approval::default()
        };
        let call = Call::new(stand_in.contract, filecoin_pay::set_operator_approval(Address::ZERO, granter, &approval));
        let sent = deploy::send(self.market.endpoint().chain(), sponsor, call, |_| ()).await;
        sent.map(drop).context("the granter was not approved at the stand-in of Filecoin Pay")
    }

    /// What an account has there, as of a block.
    pub(super) async fn in_stand_in(
        &self,
        stand_in: &StandIn,
        account: Address,
        block: u64,
    ) -> anyhow::Result<AttoFil> {
        let view = filecoin_pay::account(Address::ZERO, account);
        let found = self.market.endpoint().view(stand_in.contract, &view, At::Block(block)).await?;
        u128::try_from(found.funds).map(AttoFil).context("more money than there is")
    }

    /// What was burned of payments, as of a block.
    ///
    /// # Errors
    /// See [`ChainError`](crate::chain::ChainError).
    pub(crate) async fn burned_by_payments(&self, block: u64) -> anyhow::Result<AttoFil> {
        Ok(self.market.endpoint().money(BURNT, At::Block(block)).await?)
    }
}
