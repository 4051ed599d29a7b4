//! Where nodes meet: a market in this process, or one on a development chain that is started for it.

use std::{collections::HashMap, path::Path};

use anyhow::bail;
use clap::ValueEnum;
use lota_bridge::PrivateKeySigner;
use lota_market::{Address, AttoFil, asset::Asset};

use super::{Account, Funds, LocalMarket, MockVenue, Sync};
use crate::chain::{Asker, BlessingPlan, ChainMarket, DevelopmentBlessing, DevelopmentChain, PaidIn};

/// What a market runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ground {
    /// The protocol's model in this process, without a chain
    #[default]
    Memory,
    /// The same, served on a websocket to nodes that reach it only there
    Mock,
    /// Foundry's development chain, started and ended by this command, with the contract
    Anvil,
}

/// A market that lasts as long as this process, with money for everybody.
#[derive(Debug)]
pub(crate) enum Venue {
    /// In this process.
    Memory(LocalMarket),
    /// In this process, and reached by a websocket.
    Mock(MockVenue),
    /// On a chain.
    Anvil(Box<DevelopmentChain>),
}

/// What parties have, in and outside the market, at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Wealth {
    /// The block of that moment.
    block: u64,
    /// In the order of those who were asked about.
    pub(crate) accounts: Vec<AttoFil>,
    /// What the market holds for jobs.
    pub(crate) held: AttoFil,
    /// What is burned.
    pub(crate) burned: AttoFil,
}

impl Venue {
    /// Opens the market that is kept in this folder, or begins it there. A chain listens at `port` if that is free.
    ///
    /// # Errors
    /// When it is in use or damaged, or there is no Anvil.
    pub(crate) async fn open(ground: Ground, paid_in: PaidIn, folder: &Path, port: u16) -> anyhow::Result<Self> {
        match ground {
            Ground::Memory => {
                let folder = folder.to_owned();
                let market = tokio::task::spawn_blocking(move || LocalMarket::open(&folder, Sync::Never)).await??;
                Ok(Self::Memory(market))
            }
            Ground::Mock => Ok(Self::Mock(MockVenue::open(folder, port).await?)),
            Ground::Anvil => Ok(Self::Anvil(Box::new(DevelopmentChain::open(folder, port, paid_in).await?))),
        }
    }

    /// The account of this key, with money; what it must remember is kept in its node's folder.
    ///
    /// # Errors
    /// When the market cannot be reached, or the folder not be written.
    pub(crate) async fn join(&self, signer: PrivateKeySigner, dir: &Path, funds: Funds) -> anyhow::Result<Account> {
        match self {
            Self::Memory(market) => {
                let account = Account::of(market, signer);
                account.fund(market, funds).await?;
                Ok(account)
            }
            Self::Mock(venue) => venue.join(signer, funds).await,
            Self::Anvil(chain) => {
                let account = Account::on_chain(chain.market(), signer, dir, None).await?;
                let (party, transport) = (account.address(), account.transport());
                let settings = chain.market().settings();
                let in_asset = |amount| chain.market().market().asset().scaled(amount, settings.quantum);
                let is_new =
                    transport.wallet(party).await? == AttoFil::ZERO && transport.balance(party).await? == AttoFil::ZERO;
                if settings.is_token() && transport.funds(party).await? == AttoFil::ZERO && is_new {
                    chain.mint(party, in_asset(funds.sum()?)).await?;
                }
                if is_new {
                    chain.give(party, funds.sum()?).await?;
                }
                // Still untouched (also after a crash right here): nothing was paid for, so nothing was sent.
                if transport.funds(party).await? == in_asset(funds.sum()?) {
                    account.deposit("play-deposit", in_asset(funds.market)).await?;
                }
                Ok(account)
            }
        }
    }

    /// What its amounts are in, and what they are multiples of.
    pub(crate) fn asset(&self) -> (Asset, u64) {
        match self {
            Self::Memory(market) => (Asset::coin(), market.chain.market().settings.quantum),
            Self::Mock(venue) => (Asset::coin(), venue.market().chain.market().settings.quantum),
            Self::Anvil(chain) => {
                let market = chain.market().market();
                (market.asset().clone(), market.settings().quantum)
            }
        }
    }

    /// Somebody with this key and this money who asks through a contract; without a chain there are no contracts.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub(crate) async fn asker(&self, signer: PrivateKeySigner, money: AttoFil) -> anyhow::Result<Option<Asker>> {
        match self {
            Self::Memory(_) | Self::Mock(_) => Ok(None),
            Self::Anvil(chain) => {
                chain.give(signer.address(), money).await?;
                Ok(Some(Asker::new(chain.market(), signer)))
            }
        }
    }

    /// The blessing that is remembered in this folder, or a new one: see [`DevelopmentChain::open_blessing`].
    ///
    /// # Errors
    /// Without a chain, or when it refuses.
    pub(crate) async fn open_blessing(
        &self,
        folder: &Path,
        plan: &BlessingPlan<'_>,
    ) -> anyhow::Result<DevelopmentBlessing> {
        match self {
            Self::Memory(_) | Self::Mock(_) => bail!("notaries need a chain with contracts: say `--chain anvil`"),
            Self::Anvil(chain) => chain.open_blessing(folder, plan).await,
        }
    }

    /// The market's contract, if it is on a chain.
    pub(crate) const fn on_chain(&self) -> Option<&ChainMarket> {
        match self {
            Self::Memory(_) | Self::Mock(_) => None,
            Self::Anvil(chain) => Some(chain.market()),
        }
    }

    /// What these parties have now, also in a blessing and at its Filecoin Pay, if there is one.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub(crate) async fn wealth(
        &self,
        parties: &[Address],
        blessing: Option<&DevelopmentBlessing>,
    ) -> anyhow::Result<Wealth> {
        let here = |market: &LocalMarket| {
            let chain = &market.chain;
            let accounts = parties.iter().map(|party| [chain.wallet(*party), chain.balance(*party)].into_iter().sum());
            let market = chain.snapshot();
            let held = [market.escrowed(), market.collateral()].into_iter().sum();
            Wealth { block: 0, accounts: accounts.collect(), held, burned: market.burned() }
        };
        match self {
            Self::Memory(market) => Ok(here(market)),
            Self::Mock(venue) => Ok(here(venue.market())),
            Self::Anvil(chain) => {
                let block = chain.height().await?;
                let (all, burned) = chain.holdings(block).await?;
                let (mut accounts, mut free) = (Vec::new(), burned);
                for party in parties {
                    let (inside, outside) = chain.fortune(*party, block).await?;
                    free = [free, inside].into_iter().sum();
                    let blessed = match blessing {
                        Some(blessing) => chain.in_blessing(blessing, *party, block).await?,
                        None => AttoFil::ZERO,
                    };
                    accounts.push([inside, outside, blessed].into_iter().sum());
                }
                // Everybody with money in the market is among the parties; the rest is held for jobs.
                let held = all.checked_sub(free).unwrap_or_default();
                let burned = [burned, chain.burned_by_payments(block).await?].into_iter().sum();
                Ok(Wealth { block, accounts, held, burned })
            }
        }
    }

    /// What everybody paid for gas between two moments. Without a chain there is none.
    ///
    /// # Errors
    /// When the chain cannot be asked.
    pub(crate) async fn gas(&self, before: &Wealth, after: &Wealth) -> anyhow::Result<HashMap<Address, AttoFil>> {
        match self {
            Self::Memory(_) | Self::Mock(_) => Ok(HashMap::new()),
            Self::Anvil(chain) => chain.gas(before.block + 1..=after.block).await,
        }
    }

    /// What it runs on, in words; none: nothing worth saying.
    pub(crate) fn describe(&self) -> Option<String> {
        match self {
            Self::Memory(_) => None,
            Self::Mock(venue) => Some(format!("The mock of the contracts at {}", venue.url())),
            Self::Anvil(chain) => {
                let market = chain.market();
                let network = market.endpoint().network();
                let settings = market.settings();
                let paid_in = if settings.is_token() {
                    format!(", paid in {}, the token at {}", market.market().asset(), settings.asset)
                } else {
                    String::new()
                };
                let auction = market.auction().map_or_else(String::new, |auction| {
                    format!("{} an auction at {}", if paid_in.is_empty() { " and" } else { ";" }, auction.contract())
                });
                Some(format!(
                    "Anvil at {} (chain {}), the market at {}{paid_in}{auction}",
                    chain.url(),
                    network.chain_id,
                    market.contract()
                ))
            }
        }
    }

    /// Settings for Foundry's tools, as a line for a shell; none without a chain.
    pub(crate) fn variables(&self) -> Option<String> {
        match self {
            Self::Memory(_) | Self::Mock(_) => None,
            Self::Anvil(chain) => {
                let market = chain.market();
                let auction =
                    market.auction().map_or_else(String::new, |auction| format!(" AUCTION={}", auction.contract()));
                Some(format!("export ETH_RPC_URL={} MARKET={}{auction}", chain.url(), market.contract()))
            }
        }
    }

    /// Ready when the chain has ended by itself.
    pub(crate) async fn ended(&self) {
        match self {
            Self::Memory(_) | Self::Mock(_) => std::future::pending().await,
            Self::Anvil(chain) => chain.ended().await,
        }
    }

    /// Ends it. Nodes come first.
    ///
    /// # Errors
    /// When the chain does not end.
    pub(crate) async fn end(self) -> anyhow::Result<()> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Mock(venue) => venue.end().await,
            Self::Anvil(chain) => chain.end().await,
        }
    }
}
