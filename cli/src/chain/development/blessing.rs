//! What a development chain has for those who bless jobs: a blessing with notaries, and a pool of bonuses as its granter.

use std::path::Path;

use anyhow::Context as _;
use lota_bridge::{
    PrivateKeySigner,
    blessing::signed_digest,
    eip712,
    evm::{Blessing, Granter, blessing, chain::At, granters},
};
use lota_market::{
    Address, AttoFil, Bytes, Time, U256,
    blessing::{Ballot, Command, Limits, Notaries, Settings, Signed},
    money::FIL,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{DevelopmentChain, create, send, unusable};
use crate::home;

/// Where it is remembered where they are.
const PLACE: &str = "blessing.json";
/// What a provider is granted for a job, in the chain's coin.
pub(crate) const BONUS: AttoFil = AttoFil(FIL / 2);
/// What the pool begins with.
const POOL: AttoFil = AttoFil(1_000 * FIL);
/// What is granted for one job, to a provider and altogether in a period, at most.
const MOST: [u128; 3] = [2 * FIL, 20 * FIL, 100 * FIL];
/// The length of a period, in seconds.
const PERIOD: u32 = 3_600;
/// How long the pool is open, in seconds.
const OPEN_FOR: u64 = 10 * 365 * 86_400;

/// Short times, so that one can wait for them; the deposit is in hundredths of whatever the market's asset is.
fn settings(chain: &DevelopmentChain) -> Settings {
    let market = chain.market.market();
    Settings {
        deposit: market.asset().scaled(AttoFil(FIL / 100), market.settings().quantum),
        vote_for: 3_600,
        revoke_for: 3,
        grant_for: 86_400,
        limit_period: PERIOD,
        granter_gas: 300_000,
    }
}

#[derive(Serialize, Deserialize)]
struct Place {
    blessing: Address,
    granter: Address,
    block: u64,
}

/// A blessing on a development chain, and its granter.
#[derive(Clone, Debug)]
pub(crate) struct DevelopmentBlessing {
    pub(crate) contract: Blessing,
    /// A pool of bonuses in the chain's coin.
    pub(crate) granter: Address,
}

impl DevelopmentChain {
    /// The blessing that is remembered in this folder; or a new one with these notaries, of whom so many decide, who have admitted the
    /// pool that is its granter.
    ///
    /// # Errors
    /// When the chain refuses, or what is remembered does not fit to it.
    pub(crate) async fn open_blessing(
        &self,
        folder: &Path,
        notaries: &[PrivateKeySigner],
        quorum: u32,
    ) -> anyhow::Result<DevelopmentBlessing> {
        let file = folder.join(PLACE);
        let place = match std::fs::read(&file) {
            Ok(text) => serde_json::from_slice::<Place>(&text)
                .with_context(|| format!("{} is damaged; begin anew with --reset", file.display()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let place = self.begin_blessing(notaries, quorum).await?;
                home::write_private(&file, &serde_json::to_vec(&place)?)?;
                place
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        let contract = Blessing::find(self.market.market(), place.blessing, place.block)
            .await
            .with_context(|| unusable(folder))?;
        // Time is to pass for nominations, too.
        self.mine_for(place.blessing, place.block);
        Ok(DevelopmentBlessing { contract, granter: place.granter })
    }

    async fn begin_blessing(&self, notaries: &[PrivateKeySigner], quorum: u32) -> anyhow::Result<Place> {
        let endpoint = self.market.endpoint();
        let list: Vec<Address> = notaries.iter().map(PrivateKeySigner::address).collect();
        let code = blessing::deployment(self.market.contract(), &settings(self), &Notaries::first(list, quorum));
        let (contract, block) = create(endpoint, self.faucet, code).await?;
        let now = endpoint.chain().newest().await?.time();
        let [per_job, per_provider, per_period] = MOST.map(U256::from);
        let limits = Limits { per_job, per_provider, per_period };
        let pool = Granter::Bonus {
            asset: Address::ZERO,
            bounds: granters::Bounds { limits, period: PERIOD.into() },
            remainder_to: self.faucet,
            open_until: now.after(OPEN_FOR),
        };
        let (granter, _) = create(endpoint, self.faucet, pool.deployment(contract)).await?;
        self.call(granter, granters::fund_bonus(), POOL).await?;

        let until = Time(u64::MAX);
        let reference = lota_bridge::BlessingRef { chain_id: endpoint.network().chain_id, contract };
        let decision = endpoint.view(contract, &blessing::decisions(), At::Latest).await?;
        let digest = signed_digest(&reference, &Signed::Granter { granter, limits: &limits, decision, until });
        let mut ballots = Vec::new();
        for notary in notaries.iter().take(quorum as usize) {
            let signature = eip712::sign(notary, &digest).context("a notary's key does not sign")?;
            ballots.push(Ballot { notary: notary.address(), signature });
        }
        ballots.sort_by_key(|ballot| ballot.notary);
        let admit = Command::SetGranter { granter, limits, until, ballots };
        self.call(contract, blessing::call_data(&admit), AttoFil::ZERO).await?;
        Ok(Place { blessing: contract, granter, block })
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
        let (endpoint, contract, at) = (self.market.endpoint(), blessing.contract.contract(), At::Block(block));
        let free = endpoint.view(contract, &blessing::balance_of(account), at).await?;
        let aside = endpoint.view(contract, &blessing::pool_of(account), at).await?;
        free.checked_add(aside).context("more money than there is")
    }
}
