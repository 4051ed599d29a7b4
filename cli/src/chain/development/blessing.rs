//! What a development chain has for those who bless jobs: a blessing with notaries, and a pool of bonuses as its granter.

use std::path::Path;

use anyhow::Context as _;
use lota_bridge::{
    PrivateKeySigner,
    evm::{Granter, blessing, chain::At, granters},
};
use lota_market::{
    Address, AttoFil, Bytes, Time, U256,
    blessing::{Limits, Settings},
    money::FIL,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{DevelopmentChain, send, unusable};
use crate::{
    chain::{
        ChainBlessing,
        blessing::{admit_granter, default_blessing_settings, deploy_blessing, deploy_granter},
    },
    home,
};

/// Where it is remembered where they are.
const PLACE: &str = "blessing.json";
/// What a provider is granted for a job, in the chain's coin.
pub(crate) const BONUS: AttoFil = AttoFil(FIL / 2);
/// How long a blessing may be revoked, in seconds: one can wait for it.
pub(crate) const REVOKE_FOR: u32 = 3;
/// What the pool begins with.
const POOL: AttoFil = AttoFil(1_000 * FIL);
/// What is granted for one job, to a provider and altogether in a period, at most.
const MOST: [u128; 3] = [2 * FIL, 20 * FIL, 100 * FIL];
/// How long the pool is open, in seconds.
const OPEN_FOR: u64 = 10 * 365 * 86_400;
/// What the account that nominates has for gas and, of the market's asset, for deposits.
const SERVICE_MONEY: AttoFil = AttoFil(100 * FIL);
/// What a nomination costs if it is refused, and for how many the account has money in the blessing.
const DEPOSIT: AttoFil = AttoFil(FIL / 100);
const DEPOSITS: AttoFil = AttoFil(10 * FIL);

#[derive(Serialize, Deserialize)]
struct Place {
    blessing: Address,
    granter: Address,
    block: u64,
}

/// A blessing on a development chain, and its granter.
pub(crate) struct DevelopmentBlessing {
    pub(crate) blessing: ChainBlessing,
    /// A pool of bonuses in the chain's coin.
    pub(crate) granter: Address,
    /// The block that its events are read from.
    pub(crate) first_block: u64,
}

impl DevelopmentChain {
    /// The blessing that is remembered in this folder; or a new one with these notaries, of whom so many decide, who have admitted the
    /// pool that is its granter. The account of `service` deploys it, and has money to nominate.
    ///
    /// # Errors
    /// When the chain refuses, or what is remembered does not fit to it.
    pub(crate) async fn open_blessing(
        &self,
        folder: &Path,
        service: &PrivateKeySigner,
        notaries: &[PrivateKeySigner],
        quorum: u32,
    ) -> anyhow::Result<DevelopmentBlessing> {
        let file = folder.join(PLACE);
        let opened = match std::fs::read(&file) {
            Ok(text) => {
                let place = serde_json::from_slice::<Place>(&text)
                    .with_context(|| format!("{} is damaged; begin anew with --reset", file.display()))?;
                let endpoint = self.market.endpoint().clone();
                let blessing = ChainBlessing::find(endpoint, place.blessing, place.block)
                    .await
                    .with_context(|| unusable(folder))?;
                DevelopmentBlessing { blessing, granter: place.granter, first_block: place.block }
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let begun = self.begin_blessing(service, notaries, quorum).await?;
                let blessing = begun.blessing.blessing().contract();
                let place = Place { blessing, granter: begun.granter, block: begun.first_block };
                home::write_private(&file, &serde_json::to_vec(&place)?)?;
                begun
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        // Time is to pass for nominations, too.
        self.mine_for(opened.blessing.blessing().contract(), opened.first_block);
        Ok(opened)
    }

    async fn begin_blessing(
        &self,
        service: &PrivateKeySigner,
        notaries: &[PrivateKeySigner],
        quorum: u32,
    ) -> anyhow::Result<DevelopmentBlessing> {
        let market = self.market.market();
        let in_asset = |amount| market.asset().scaled(amount, market.settings().quantum);
        self.give(service.address(), SERVICE_MONEY).await?;
        if market.settings().is_token() {
            self.mint(service.address(), in_asset(SERVICE_MONEY)).await?;
        }
        let endpoint = self.market.endpoint();
        let settings =
            Settings { revoke_for: REVOKE_FOR, ..default_blessing_settings(endpoint.network(), in_asset(DEPOSIT)) };
        let list: Vec<Address> = notaries.iter().map(PrivateKeySigner::address).collect();
        let (deployed, blessing) =
            deploy_blessing(&self.market, service.clone(), settings, list, quorum, |_| ()).await?;

        let now = endpoint.chain().newest().await?.time();
        let [per_job, per_provider, per_period] = MOST.map(U256::from);
        let limits = Limits { per_job, per_provider, per_period };
        let pool = Granter::Bonus {
            asset: Address::ZERO,
            bounds: granters::Bounds { limits, period: settings.limit_period.into() },
            remainder_to: self.faucet,
            open_until: now.after(OPEN_FOR),
        };
        let granter = deploy_granter(&blessing, service.clone(), &pool, |_| ()).await?.contract;
        self.call(granter, granters::fund_bonus(), POOL).await?;
        let by = blessing.with_key(service.clone()).await?;
        let deciding = notaries.get(..quorum as usize).context("the quorum is more than there are notaries")?;
        admit_granter(&blessing, &by, deciding, granter, limits, Time(u64::MAX)).await?;
        blessing.fund(&by, in_asset(DEPOSITS)).await?;
        Ok(DevelopmentBlessing { blessing, granter, first_block: deployed.block })
    }

    /// Calls a contract from the account that gives money away.
    async fn call(&self, to: Address, data: Bytes, value: AttoFil) -> anyhow::Result<()> {
        let transaction = json!([{ "from": self.faucet, "to": to, "data": data, "value": U256::from(value.0) }]);
        send(self.market.endpoint(), transaction).await.map(drop)
    }

    /// What an account has in a blessing, and has set aside there, as of a block.
    ///
    /// # Errors
    /// See [`ChainError`](super::ChainError).
    pub(crate) async fn in_blessing(
        &self,
        blessing: &DevelopmentBlessing,
        account: Address,
        block: u64,
    ) -> anyhow::Result<AttoFil> {
        let (endpoint, at) = (self.market.endpoint(), At::Block(block));
        let contract = blessing.blessing.blessing().contract();
        let free = endpoint.view(contract, &blessing::balance_of(account), at).await?;
        let aside = endpoint.view(contract, &blessing::pool_of(account), at).await?;
        free.checked_add(aside).context("more money than there is")
    }
}
