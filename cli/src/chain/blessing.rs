//! A blessing beside a market that is deployed on a chain: found, deployed, read, and sent to.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use lota_bridge::{
    PrivateKeySigner,
    blessing::{BlessingLanded, BlessingSubmitError, BlessingTransport as _},
    evm::{
        Account, Blessing, Call, Chain, Config, EvmBlessing, Granter, Network, Source, bindings::Unreadable, blessing,
        chain::At, chain::Log, granters,
    },
    journal::MemoryJournal,
};
use lota_market::{
    Address, AttoFil, B256, Time, U256,
    agent::EffectKey,
    blessing::{Command, Limits, Notaries, Rejection, Settings},
};

use super::{
    ChainError, ChainMarket, Endpoint,
    ballot::{Change, SignedBallot},
    code,
    deploy::{DeployedContract, create},
    reading::read_log,
};

/// How long a command may take to get into a block, as of a deployment.
const PATIENCE: Duration = Duration::from_secs(900);
/// How often to look whether it is there.
const LOOK: Duration = Duration::from_secs(1);
const DAY: u32 = 86_400;

/// What a blessing on this network is deployed with, unless other settings are asked for; the deposit is one of the market's asset.
///
/// The gas for a granter suffices for the dearest of ours, the first payment to a recipient over Filecoin Pay: 450,000 on Ethereum;
/// on FEVM, where gas grows with what is stored, 176 M with 4,000 rails there (docs/granters.md).
pub(crate) fn default_blessing_settings(network: &Network, deposit: AttoFil) -> Settings {
    if network.chain_id == Network::DEVELOPMENT.chain_id {
        return Settings {
            deposit,
            vote_for: DAY,
            revoke_for: 10,
            grant_for: 30 * DAY,
            limit_period: DAY,
            granter_gas: 500_000,
        };
    }
    Settings {
        deposit,
        vote_for: 7 * DAY,
        revoke_for: 2 * DAY,
        grant_for: 30 * DAY,
        limit_period: 28 * DAY,
        granter_gas: 250_000_000,
    }
}

/// A blessing on a chain, and its market, whose codes were compared with the checked-in ones.
#[derive(Clone, Debug)]
pub(crate) struct ChainBlessing {
    market: ChainMarket,
    blessing: Blessing,
}

impl ChainBlessing {
    /// The blessing at this address, and the market that it is for; what happened at both is read from `first_block` on.
    ///
    /// # Errors
    /// [`ChainError::NoBlessing`], [`ChainError::OtherThanBlessing`], those of [`ChainMarket::find`], or when the node does not answer.
    pub(crate) async fn find(endpoint: Endpoint, contract: Address, first_block: u64) -> anyhow::Result<Self> {
        let network = *endpoint.network();
        let code = endpoint.chain().code(contract).await.map_err(|error| endpoint.failed(error))?;
        if code.is_empty() {
            return Err(ChainError::NoBlessing { contract, network: network.name, chain_id: network.chain_id }.into());
        }
        if !code::is_blessing(&code) {
            return Err(ChainError::OtherThanBlessing { contract, network: network.name, size: code.len() }.into());
        }
        let of = endpoint.view(contract, &blessing::market_of(), At::Latest).await?;
        let market = ChainMarket::find(endpoint, of, first_block).await?;
        let blessing = Blessing::find(market.market(), contract, first_block).await?;
        Ok(Self { market, blessing })
    }

    /// The market whose jobs it blesses.
    pub(crate) const fn market(&self) -> &ChainMarket {
        &self.market
    }

    /// The blessing itself.
    pub(crate) const fn blessing(&self) -> &Blessing {
        &self.blessing
    }

    /// The chain.
    pub(crate) const fn endpoint(&self) -> &Endpoint {
        self.market.endpoint()
    }

    /// Which granter of ours is at an address, if its code is one's; whether it obeys this blessing is another question.
    ///
    /// # Errors
    /// See [`ChainError`].
    pub(crate) async fn granter_at(&self, contract: Address) -> Result<Option<&'static str>, ChainError> {
        let endpoint = self.endpoint();
        let code = endpoint.chain().code(contract).await.map_err(|error| endpoint.failed(error))?;
        Ok(code::granter(&code))
    }

    /// What contracts said up to the newest block, in the chain's order.
    ///
    /// # Errors
    /// When the node does not answer, or what a contract said cannot be understood.
    pub(crate) async fn said<T: Send + 'static>(
        &self,
        source: Source,
        decode: impl Fn(&Log) -> Result<T, Unreadable> + Send + Sync + 'static,
    ) -> anyhow::Result<Vec<(Time, T)>> {
        read_log(self.endpoint(), source, decode).await
    }

    /// A party's way to it, with a key that nothing else uses in the meantime.
    ///
    /// # Errors
    /// When the node does not answer.
    pub(crate) async fn with_key(&self, signer: PrivateKeySigner) -> anyhow::Result<EvmBlessing> {
        let chain = self.endpoint().chain();
        let config = Config { poll: chain.config().poll.min(LOOK), ..chain.config().clone() };
        let chain = Chain::connect(config).await.map_err(|error| self.endpoint().failed(error))?;
        let journal = Arc::new(MemoryJournal::default());
        let account = Account::open(&chain, signer, journal.clone());
        Ok(EvmBlessing::new(self.blessing.reached_by(&chain), account, journal))
    }

    /// Sends one command, once, and waits for its block.
    ///
    /// # Errors
    /// In words that say what to do: see [`refusal`].
    pub(crate) async fn send(&self, by: &EvmBlessing, name: &str, command: &Command) -> anyhow::Result<BlessingLanded> {
        let key = EffectKey::named(name);
        let sending = async {
            loop {
                match by.submit(&key, command, AttoFil::ZERO).await {
                    // What is on its way is sent once under its key.
                    Err(BlessingSubmitError::Transport(error)) if error.is_temporary() => {
                        tracing::warn!(%error, "the chain's node does not answer; trying again");
                        tokio::time::sleep(LOOK).await;
                    }
                    landed => return landed,
                }
            }
        };
        match tokio::time::timeout(PATIENCE, sending).await {
            Ok(landed) => landed.map_err(|error| self.refusal(error)),
            Err(_) => bail!(
                "the transaction of {} is in no block after {} s; look for it in a block explorer before you repeat it",
                by.party(),
                PATIENCE.as_secs()
            ),
        }
    }

    /// Credits money to the party's account there.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub(crate) async fn fund(&self, by: &EvmBlessing, amount: AttoFil) -> anyhow::Result<BlessingLanded> {
        by.fund(&EffectKey::named("fund"), amount).await.map_err(|error| self.refusal(error))
    }

    /// Why a command was not taken, with amounts in the asset, and what a granter says by name.
    pub(crate) fn refusal(&self, error: BlessingSubmitError) -> anyhow::Error {
        match error {
            BlessingSubmitError::Rejected(Rejection::GrantRefused { granter, why }) => {
                match granters::error_name(why) {
                    Some(name) => anyhow::anyhow!(
                        "the granter {granter} cannot grant this: {name}; docs/granters.md says what to do about it"
                    ),
                    None => Rejection::GrantRefused { granter, why }.into(),
                }
            }
            BlessingSubmitError::Rejected(rejection) => {
                anyhow::anyhow!("the blessing refuses: {}", rejection.words(self.blessing.asset()))
            }
            other => other.into(),
        }
    }
}

/// Deploys the checked-in blessing beside a market, and compares what the chain then holds.
///
/// # Errors
/// When settings or notaries cannot be, the account has no money, the chain refuses, or what is there afterwards is something else.
pub(crate) async fn deploy_blessing(
    market: &ChainMarket,
    signer: PrivateKeySigner,
    settings: Settings,
    notaries: Vec<Address>,
    quorum: u32,
    sent: impl FnOnce(B256),
) -> anyhow::Result<(DeployedContract, ChainBlessing)> {
    if let Some(fault) = settings.fault() {
        bail!("the blessing cannot be deployed with these settings: {fault}");
    }
    if let Some(fault) = Notaries::fault(&notaries, quorum) {
        bail!("the blessing cannot be deployed with these notaries: {fault}");
    }
    let endpoint = market.endpoint();
    let code = blessing::deployment(market.contract(), &settings, &Notaries::first(notaries, quorum));
    let deployed = create(endpoint, signer, Call::create(code), sent).await.context("no blessing was deployed")?;
    let there = ChainBlessing::find(endpoint.clone(), deployed.contract, deployed.block).await?;
    let (found, of) = (there.blessing.settings(), there.blessing.market());
    if (found, of) != (settings, market.contract()) {
        bail!("{} was deployed with others than asked for (market {of}, {found:?}); do not use it", deployed.contract);
    }
    Ok((deployed, there))
}

/// Deploys one of the checked-in granters, which obeys this blessing. The notaries still have to admit it.
///
/// # Errors
/// When it cannot be deployed so, the account has no money, the chain refuses, or what is there afterwards is something else.
pub(crate) async fn deploy_granter(
    blessing: &ChainBlessing,
    signer: PrivateKeySigner,
    granter: &Granter,
    sent: impl FnOnce(B256),
) -> anyhow::Result<DeployedContract> {
    let (endpoint, name) = (blessing.endpoint(), granter.name());
    if let Granter::Bonus { bounds, .. } = granter
        && let Some(fault) = bounds.fault()
    {
        bail!("the {name} cannot be deployed: {fault}");
    }
    let code = granter.deployment(blessing.blessing().contract());
    let deployed =
        create(endpoint, signer, Call::create(code), sent).await.with_context(|| format!("no {name} was deployed"))?;
    let contract = deployed.contract;
    let of = endpoint.view(contract, &granters::blessing_of(), At::Latest).await?;
    if blessing.granter_at(contract).await? != Some(name) || of != blessing.blessing().contract() {
        bail!("what was deployed at {contract} is not the {name} of this version for this blessing; do not use it");
    }
    Ok(deployed)
}

/// Has these notaries, who must be a quorum, admit a granter with limits (or change them): signs their ballots until `until`, and sends them
/// with the account of `by`.
///
/// # Errors
/// When the chain refuses.
pub(crate) async fn admit_granter(
    blessing: &ChainBlessing,
    by: &EvmBlessing,
    notaries: &[PrivateKeySigner],
    granter: Address,
    limits: Limits,
    until: Time,
) -> anyhow::Result<BlessingLanded> {
    let decision = by.notaries().await?.decisions;
    let change = Change::SetGranter { granter, limits };
    let ballots = notaries
        .iter()
        .map(|notary| SignedBallot::sign(&by.blessing(), notary, change.clone(), decision, until))
        .collect::<anyhow::Result<Vec<_>>>()?;
    blessing.send(by, &format!("admit/{decision}"), &SignedBallot::command(&ballots)?).await
}

/// What a limit leaves after `used` of it.
pub(crate) fn left(limit: U256, used: U256) -> U256 {
    limit.saturating_sub(used)
}
