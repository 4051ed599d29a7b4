//! A granter that pays over Filecoin Pay, beside a blessing on a chain: its rails, and having them paid.

use alloy::primitives::keccak256;
use anyhow::bail;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use lota_bridge::{
    PrivateKeySigner,
    evm::{
        Granter, SendError, Source,
        account::Landed,
        chain::At,
        granters::{
            bindings,
            rails::{RailDue, RailGranter, RailsError, refusal},
        },
    },
};
use lota_market::{Address, B256, U256, asset::Asset, filecoin_pay::rails, granter::Event};

use super::{ChainBlessing, Endpoint, deploy::send, pay_deals, reading::read_log};

/// How many views are asked for at once.
const AT_ONCE: usize = 8;

/// A granter of this version that pays over Filecoin Pay.
pub(crate) struct ChainRailGranter {
    endpoint: Endpoint,
    granter: RailGranter,
    /// What it pays in.
    asset: Asset,
    first_block: u64,
}

/// A rail of a granter's.
pub(crate) struct GranterRail {
    pub(crate) rail: U256,
    pub(crate) payee: Address,
    pub(crate) state: RailDue,
}

impl GranterRail {
    /// Whether it can be paid by a transaction that is sent when this is the newest block: it lands in the next one, or the one after
    /// that.
    pub(crate) fn pays(&self, newest: u64) -> bool {
        self.state.pays_in(newest.saturating_add(2))
    }
}

impl ChainRailGranter {
    /// The granter at this address; what happened there is read from `first_block` on.
    ///
    /// # Errors
    /// When there is something else, it obeys another blessing, or the node does not answer.
    pub(crate) async fn find(blessing: &ChainBlessing, contract: Address, first_block: u64) -> anyhow::Result<Self> {
        let endpoint = blessing.endpoint().clone();
        let network = endpoint.network();
        let on = format!("{} (chain {})", network.name, network.chain_id);
        match blessing.granter_at(contract).await? {
            Some(Granter::FILECOIN_PAY) => {}
            Some(other) => bail!(
                "the granter at {contract} is a {other}, which pays at once when it grants: there is nothing to call for (docs/granters.md)"
            ),
            None => bail!(
                "the contract at {contract} on {on} is no {} of this version; name the address that `lota chain deploy-granter` printed",
                Granter::FILECOIN_PAY
            ),
        }
        let found = RailGranter::find(endpoint.chain(), contract, blessing.blessing().contract()).await;
        let granter = found.map_err(|error| match error {
            RailsError::Rpc(error) => endpoint.failed(error).into(),
            other => anyhow::Error::new(other),
        })?;
        let asset = pay_deals::unit_of(&endpoint, granter.token()).await?;
        Ok(Self { endpoint, granter, asset, first_block })
    }

    /// What it pays in.
    pub(crate) const fn asset(&self) -> &Asset {
        &self.asset
    }

    /// Its address.
    pub(crate) const fn contract(&self) -> Address {
        self.granter.contract()
    }

    /// Its rails, in the order in which they were made: all, or those of these numbers.
    ///
    /// # Errors
    /// When the node does not answer, or what a contract said cannot be understood.
    pub(crate) async fn rails(&self, wanted: &[U256]) -> anyhow::Result<Vec<GranterRail>> {
        let topics = vec![vec![keccak256("RailOpened(uint256,address,address)")]];
        let source = Source { topics, ..Source::new(self.contract(), self.first_block) };
        let said = read_log(&self.endpoint, source, |log| bindings::decode(&log.topics, &log.data)).await?;
        let rails = said.into_iter().filter_map(|(_, event)| match event {
            Event::Rails(rails::Event::RailOpened { rail, payee, .. }) => Some((rail, payee)),
            _ => None,
        });
        let rails = rails.filter(|(rail, _)| wanted.is_empty() || wanted.contains(rail));
        stream::iter(rails.map(|(rail, payee)| async move {
            let state = self.granter.rail(rail, At::Latest).await.map_err(|error| self.endpoint.failed(error))?;
            anyhow::Ok(GranterRail { rail, payee, state })
        }))
        .buffered(AT_ONCE)
        .try_collect()
        .await
    }

    /// Number of the newest block.
    ///
    /// # Errors
    /// When the node does not answer.
    pub(crate) async fn newest(&self) -> anyhow::Result<u64> {
        Ok(self.endpoint.chain().newest().await.map_err(|error| self.endpoint.failed(error))?.number())
    }

    /// Has all paid that is due on these rails, in one transaction: what was paid on each.
    ///
    /// # Errors
    /// In words that say what to do.
    pub(crate) async fn pay(
        &self,
        signer: &PrivateKeySigner,
        rails: Vec<U256>,
        sent: impl FnOnce(B256),
    ) -> anyhow::Result<(Landed, Vec<(U256, U256)>)> {
        let landed = send(self.endpoint.chain(), signer.clone(), self.granter.pay(rails), sent).await;
        let landed = landed.map_err(|error| match error.downcast_ref::<SendError>() {
            Some(SendError::Refused { refusal: why, .. } | SendError::Reverted { refusal: why, .. }) => {
                anyhow::anyhow!("the granter refuses: {}", refusal(why))
            }
            _ => error,
        })?;
        let logs = landed.logs.iter().filter(|log| log.address == self.contract());
        let paid = logs.filter_map(|log| match bindings::decode(&log.topics, &log.data) {
            Ok(Event::Rails(rails::Event::RailPaid { rail, amount })) => Some((rail, amount)),
            _ => None,
        });
        let paid = paid.collect();
        Ok((landed, paid))
    }
}
