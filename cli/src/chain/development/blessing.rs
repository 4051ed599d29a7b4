//! What a development chain has for those who bless jobs: a blessing with notaries, and a granter.

use std::path::Path;

use anyhow::{Context as _, bail};
use clap::ValueEnum;
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

use super::{DevelopmentChain, StandIn, send, unusable};
use crate::{
    chain::{
        ChainBlessing,
        blessing::{admit_granter, default_blessing_settings, deploy_blessing, deploy_granter},
    },
    home,
};

/// Where it is remembered where they are.
const PLACE: &str = "blessing.json";
/// What a provider is granted for a job, in the chain's coin; over Filecoin Pay it gets that less the fee of 0.5 %.
pub(crate) const BONUS: AttoFil = AttoFil(FIL / 2);
/// How long a blessing may be revoked, in seconds: one can wait for it.
pub(crate) const REVOKE_FOR: u32 = 3;
/// What the pool begins with.
const POOL: AttoFil = AttoFil(1_000 * FIL);
/// What is granted for one job, to a provider and altogether in a period, at most.
const MOST: [u128; 3] = [2 * FIL, 20 * FIL, 100 * FIL];
/// How long what was granted over Filecoin Pay can be paid if the sponsor ends the rail, in seconds.
const GRACE: u64 = 30 * 86_400;
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
    /// None: the granter is a pool of bonuses.
    #[serde(default)]
    filecoin_pay: Option<StandIn>,
}

/// How a development chain's notaries reward providers: in the chain's coin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum GranterKind {
    /// From a sponsor's account at Filecoin Pay, of which a stand-in is deployed, over a rail
    #[default]
    FilecoinPay,
    /// From a pool of bonuses
    Bonus,
}

impl GranterKind {
    /// As it is written on the command line.
    const fn name(self) -> &'static str {
        match self {
            Self::FilecoinPay => "filecoin-pay",
            Self::Bonus => "bonus",
        }
    }
}

/// Who begins a blessing, and with which granter.
pub(crate) struct BlessingPlan<'a> {
    /// Deploys it, and has money to nominate.
    pub(crate) service: &'a PrivateKeySigner,
    pub(crate) notaries: &'a [PrivateKeySigner],
    /// So many of them decide.
    pub(crate) quorum: u32,
    /// Who pays over Filecoin Pay.
    pub(crate) sponsor: &'a PrivateKeySigner,
    /// None: that of the blessing that is remembered, or the usual one.
    pub(crate) granter: Option<GranterKind>,
}

/// A blessing on a development chain, and its granter.
pub(crate) struct DevelopmentBlessing {
    pub(crate) blessing: ChainBlessing,
    pub(crate) granter: Address,
    /// Over which it pays; none: it is a pool of bonuses in the chain's coin.
    pub(crate) filecoin_pay: Option<StandIn>,
    /// The block that its events are read from.
    pub(crate) first_block: u64,
}

impl DevelopmentBlessing {
    /// How it rewards providers.
    pub(crate) const fn kind(&self) -> GranterKind {
        if self.filecoin_pay.is_some() { GranterKind::FilecoinPay } else { GranterKind::Bonus }
    }
}

impl DevelopmentChain {
    /// The blessing that is remembered in this folder; or a new one by this plan, whose notaries have admitted its granter.
    ///
    /// # Errors
    /// When the chain refuses, or what is remembered does not fit to it.
    pub(crate) async fn open_blessing(
        &self,
        folder: &Path,
        plan: &BlessingPlan<'_>,
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
                let (granter, filecoin_pay) = (place.granter, place.filecoin_pay);
                let opened = DevelopmentBlessing { blessing, granter, filecoin_pay, first_block: place.block };
                let (asked, found) = (plan.granter.unwrap_or(opened.kind()), opened.kind());
                if asked != found {
                    bail!(
                        "the notaries of the chain kept in {} reward by `--granter {}`, not {}; leave --granter out, or begin anew with --reset",
                        folder.display(),
                        found.name(),
                        asked.name()
                    );
                }
                opened
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let begun = self.begin_blessing(plan).await?;
                let blessing = begun.blessing.blessing().contract();
                let place = Place {
                    blessing,
                    granter: begun.granter,
                    block: begun.first_block,
                    filecoin_pay: begun.filecoin_pay,
                };
                home::write_private(&file, &serde_json::to_vec(&place)?)?;
                begun
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        // Time is to pass for nominations, too.
        self.mine_for(opened.blessing.blessing().contract(), opened.first_block);
        Ok(opened)
    }

    async fn begin_blessing(&self, plan: &BlessingPlan<'_>) -> anyhow::Result<DevelopmentBlessing> {
        let &BlessingPlan { service, notaries, quorum, sponsor, .. } = plan;
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
        let (granter, filecoin_pay) = match plan.granter.unwrap_or_default() {
            GranterKind::Bonus => {
                let pool = Granter::Bonus {
                    asset: Address::ZERO,
                    bounds: granters::Bounds { limits, period: settings.limit_period.into() },
                    remainder_to: self.faucet,
                    open_until: now.after(OPEN_FOR),
                };
                let granter = deploy_granter(&blessing, service.clone(), &pool, |_| ()).await?.contract;
                self.call(granter, granters::fund_bonus(), POOL).await?;
                (granter, None)
            }
            GranterKind::FilecoinPay => {
                let stand_in = self.begin_stand_in(sponsor.address()).await?;
                let over_rails = Granter::FilecoinPay {
                    filecoin_pay: stand_in.contract,
                    token: Address::ZERO,
                    sponsor: stand_in.sponsor,
                    epoch_seconds: 1,
                    grace: GRACE,
                };
                let granter = deploy_granter(&blessing, service.clone(), &over_rails, |_| ()).await?.contract;
                let period = endpoint.view(granter, &granters::lockup_period(), At::Latest).await?;
                self.approve(&stand_in, sponsor.clone(), granter, period).await?;
                (granter, Some(stand_in))
            }
        };
        let by = blessing.with_key(service.clone()).await?;
        let deciding = notaries.get(..quorum as usize).context("the quorum is more than there are notaries")?;
        admit_granter(&blessing, &by, deciding, granter, limits, Time(u64::MAX)).await?;
        blessing.fund(&by, in_asset(DEPOSITS)).await?;
        Ok(DevelopmentBlessing { blessing, granter, filecoin_pay, first_block: deployed.block })
    }

    /// Calls a contract from the account that gives money away.
    pub(super) async fn call(&self, to: Address, data: Bytes, value: AttoFil) -> anyhow::Result<()> {
        let transaction = json!([{ "from": self.faucet, "to": to, "data": data, "value": U256::from(value.0) }]);
        send(self.market.endpoint(), transaction).await.map(drop)
    }

    /// What an account has in a blessing, has set aside there, and has at its Filecoin Pay, as of a block.
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
        let paid = match &blessing.filecoin_pay {
            Some(stand_in) => self.in_stand_in(stand_in, account, block).await?,
            None => AttoFil::ZERO,
        };
        free.checked_add(aside).and_then(|sum| sum.checked_add(paid)).context("more money than there is")
    }
}
