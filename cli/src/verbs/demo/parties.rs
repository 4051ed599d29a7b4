//! Who takes part: two clients, three providers, each a node of its own.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context as _;
use lota_bridge::PrivateKeySigner;
use lota_market::{
    Address, AttoFil,
    agent::{Offer, Pricing, Resources},
    money::FIL,
};
use lota_node::{
    Node, NodeConfig, Parts,
    executor::{Delayed, Executors, WasmRun},
};

use super::notaries::Notaries;
use crate::{
    api::Api,
    chain::{Asker, GranterKind, PaidIn},
    host::{Account, Engines, Funds, Ground, Venue, Wealth},
    verbs::notary::register_on_development_chain,
};

/// What everybody has in the market to begin with.
const MONEY: AttoFil = AttoFil(10 * FIL);
/// What everybody has outside on a chain, to pay for gas.
const GAS_MONEY: AttoFil = AttoFil(FIL);
/// The memory that only the slow provider offers, in bytes.
pub(super) const LARGE_MEMORY: u64 = 2 << 30;
/// How long the slow provider does nothing before it runs a job.
const DELAY: Duration = Duration::from_secs(8);

/// Everybody, and the market they meet on.
pub(super) struct Parties {
    pub(super) venue: Venue,
    pub(super) people: Vec<Person>,
    /// Who asks through a contract; without a chain there are no contracts.
    pub(super) asker: Option<Asker>,
    /// Those who bless jobs, with `--fil-plus`.
    pub(super) notaries: Option<Notaries>,
}

/// A party in the accounts.
pub(super) struct Holder {
    pub(super) name: &'static str,
    /// Its own address first, then that of its contract.
    pub(super) addresses: Vec<Address>,
}

/// One party.
pub(super) struct Person {
    pub(super) name: &'static str,
    pub(super) offer: Option<Offer>,
    pub(super) account: Account,
    pub(super) api: Api,
    pub(super) gateway: String,
    node: Node,
}

/// The clients' names.
pub(super) const CLIENTS: [&str; 2] = ["alice", "bob"];

/// Who asks through a contract.
pub(super) const ASKER: &str = "frida";

/// The providers: name, price of a job, price of 10^9 units of fuel, most memory, how much later they begin.
const PROVIDERS: [(&str, u64, u64, u64, Duration); 3] = [
    ("carla", 4_000_000, 100_000, 1 << 30, Duration::ZERO),
    ("dario", 2_000_000, 400_000, 1 << 30, Duration::ZERO),
    ("erika", 12_000_000, 100_000, LARGE_MEMORY, DELAY),
];

impl Parties {
    /// Starts the market and all nodes in this folder.
    /// `bid`: the providers bring money for an auction. `bless`: there are notaries, who reward like this, and the providers are registered with them.
    pub(super) async fn start(
        ground: Ground,
        bid: bool,
        bless: Option<GranterKind>,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let venue = Venue::open(ground, PaidIn::Coin, &folder.join("market"), 0).await?;
        let wallet = if ground != Ground::Anvil && !bid { AttoFil::ZERO } else { GAS_MONEY };
        let funds = Funds { market: MONEY, wallet };
        let engines = Engines::start(&folder.join("modules"))?;
        let notaries = match bless {
            Some(granter) => Some(Notaries::begin(&venue, granter, folder).await?),
            None => None,
        };
        let mut people = Vec::new();
        for name in CLIENTS {
            people.push(Person::start(name, None, folder, &venue, funds, None).await?);
        }
        for (name, base, per_gigafuel, max_memory, delay) in PROVIDERS {
            let pricing =
                Pricing { per_gigafuel: AttoFil::from_gwei(per_gigafuel), ..Pricing::flat(AttoFil::from_gwei(base)) };
            // The jobs use far less than they may: the demo does not depend on the machine's memory.
            let resources = Resources { memory_bytes: 2 * max_memory, ..Resources::UNLIMITED };
            let offer = Offer { pricing, max_memory, resources, ..Offer::default() };
            let executors = delayed(engines.executors(offer.slots), delay);
            let provider = Some((executors, offer));
            people.push(Person::start(name, provider, folder, &venue, funds, notaries.as_ref()).await?);
        }
        let asker = venue.asker(PrivateKeySigner::random(), GAS_MONEY).await?;
        Ok(Self { venue, people, asker, notaries })
    }

    /// The party of this name.
    pub(super) fn named(&self, name: &str) -> anyhow::Result<&Person> {
        self.people.iter().find(|person| person.name == name).with_context(|| format!("nobody is called {name}"))
    }

    /// What a party is called; others by their address.
    pub(super) fn name_of(&self, address: Address) -> String {
        self.people
            .iter()
            .find(|person| person.account.address() == address)
            .map_or_else(|| address.to_string(), |person| person.name.to_owned())
    }

    /// Everybody with money, in the order of the accounts.
    pub(super) fn holders(&self) -> Vec<Holder> {
        let people =
            self.people.iter().map(|person| Holder { name: person.name, addresses: vec![person.account.address()] });
        let asker = self.asker.iter();
        let asker = asker.map(|asker| Holder { name: ASKER, addresses: vec![asker.account(), asker.contract()] });
        let notaries = self.notaries.iter().flat_map(Notaries::holders);
        people.chain(asker).chain(notaries).collect()
    }

    /// What all holders have now.
    pub(super) async fn wealth(&self) -> anyhow::Result<Wealth> {
        let holders = self.holders();
        let addresses: Vec<Address> = holders.iter().flat_map(|holder| holder.addresses.iter().copied()).collect();
        let blessing = self.notaries.as_ref().map(|notaries| &notaries.blessing);
        let mut wealth = self.venue.wealth(&addresses, blessing).await?;
        let mut amounts = std::mem::take(&mut wealth.accounts).into_iter();
        wealth.accounts = holders.iter().map(|holder| amounts.by_ref().take(holder.addresses.len()).sum()).collect();
        Ok(wealth)
    }

    /// Ends all nodes, and the market.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        for person in self.people {
            person.node.shutdown().await;
        }
        self.venue.end().await
    }
}

/// The same executors, which begin so much later.
fn delayed(executors: Executors, delay: Duration) -> Executors {
    match executors.get(WasmRun::ENGINE) {
        Some(wasm) if delay > Duration::ZERO => {
            let slow = Delayed::new(Arc::clone(wasm), delay);
            executors.with(WasmRun::ENGINE, Arc::new(slow))
        }
        _ => executors,
    }
}

impl Person {
    async fn start(
        name: &'static str,
        provider: Option<(Executors, Offer)>,
        folder: &Path,
        venue: &Venue,
        funds: Funds,
        notaries: Option<&Notaries>,
    ) -> anyhow::Result<Self> {
        let dir = folder.join("nodes").join(name);
        let account = venue.join(PrivateKeySigner::random(), &dir, funds).await?;
        if let Some(notaries) = notaries {
            register_on_development_chain(&notaries.blessing, &account).await?;
        }
        let (executors, offer) = provider.unzip();
        let config =
            // What is asked for callbacks does not follow what gas costs: the figures are the same every time.
            NodeConfig {
                provider: offer.clone(),
                allow_private_addresses: true,
                callback_margin: 0,
                // The books are closed at the end.
                keep_bid_money: 0,
                ..NodeConfig::new(name, dir)
            };
        let parts = Parts::new(account.transport()).with_executors(executors.unwrap_or_default());
        let node = Node::start(config, parts).await.with_context(|| format!("{name}'s node did not start"))?;
        let api = Api::at(&node.api().url, node.api().token.clone())?;
        let gateway = node.gateway().to_owned();
        Ok(Self { name, offer, account, api, gateway, node })
    }
}
