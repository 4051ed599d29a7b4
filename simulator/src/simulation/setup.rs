//! How a simulation begins: populations become parties, and bring their money.

use std::collections::{HashMap, VecDeque};

use lota_market::{
    AttoFil, B256, Bytes,
    agent::{Agent, Offer, Pricing, Resources, Specs},
    model::Command,
    spec::{JobSpec, Limits},
};

use super::{
    Happening, Simulation, SimulationError,
    jobs::Jobs,
    observe::Sums,
    party::{Client, Party, Provider, Role, Tally},
};
use crate::{
    chain::{ARBITER, AUCTION, Chain, to_market},
    chance::{Purpose, Seed},
    identity,
    ledger::{Ledger, Sink},
    queue::{EventQueue, VirtualTime},
    scenario::{Amount, Clients, JobSettings, Providers, Scenario},
    strategy,
    summary::Summary,
};

/// A program that every spec names: none is fetched.
const MODULE: &str = "bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e";
/// Memory of a job, in bytes.
const MEMORY: u64 = 1 << 20;
/// How many specs are kept.
const MOST_SPECS: usize = 4_096;

/// Specs that were made already.
#[derive(Debug, Default)]
pub(super) struct SpecBook(HashMap<u64, (Bytes, B256)>);

impl SpecBook {
    /// The bytes and the digest of a spec that may burn so much, in 10^6 units of fuel, in so many seconds.
    pub(super) fn spec(&mut self, megafuel: u64, wall: u64) -> Result<(Bytes, B256), SimulationError> {
        if let Some(known) = self.0.get(&megafuel) {
            return Ok(known.clone());
        }
        let wrong = |problem: String| SimulationError::Job(problem.replace('\n', "; "));
        let module = MODULE.parse().map_err(|_| wrong("its program has no CID".to_owned()))?;
        let fuel = megafuel.saturating_mul(1_000_000).max(1);
        let limits = Limits { fuel, memory: MEMORY, output: 1, entries: 1, wall, ..Limits::LEAST };
        let spec = JobSpec::wasm(module, limits).validate().map_err(|problems| wrong(problems.to_string()))?;
        let bytes = Bytes::from(spec.to_dag_cbor());
        let made = (bytes.clone(), identity::spec_digest(&bytes));
        if self.0.len() >= MOST_SPECS {
            self.0.clear();
        }
        self.0.insert(megafuel, made.clone());
        Ok(made)
    }
}

impl<'s> Simulation<'s> {
    pub(super) fn new(scenario: &'s Scenario, seed: Seed, sink: &'s mut dyn Sink) -> Result<Self, SimulationError> {
        let mut simulation = Self {
            scenario,
            chain: Chain::new(&scenario.chain)?,
            queue: EventQueue::default(),
            parties: Vec::new(),
            providers: Vec::new(),
            populations: Vec::new(),
            sendings: slab::Slab::new(),
            locals: slab::Slab::new(),
            notes: slab::Slab::new(),
            jobs: Jobs::default(),
            specs: SpecBook::default(),
            ledger: Ledger::default(),
            sink,
            mediators: seed.stream(Purpose::Mediation, 0),
            summary: Summary::default(),
            sums: Sums::default(),
            happenings: 0,
            waiting: 0,
            log: Vec::new(),
        };
        for (name, population) in &scenario.clients {
            simulation.add_clients(name, population, seed)?;
        }
        let specs = Specs::default();
        for (name, population) in &scenario.providers {
            simulation.add_providers(name, population, seed, &specs)?;
        }
        simulation.add_shills(seed)?;
        for number in 0..simulation.parties.len() as u32 {
            simulation.settle(number, Vec::new())?;
        }
        Ok(simulation)
    }

    fn begin_population(&mut self, name: &str) -> u16 {
        self.populations.push(name.to_owned());
        (self.populations.len() - 1) as u16
    }

    fn add_clients(&mut self, name: &str, population: &Clients, seed: Seed) -> Result<(), SimulationError> {
        let place = self.begin_population(name);
        let identities = population.identities();
        // Who is several accounts has what one has, and wants what one wants.
        let balance = AttoFil(population.balance.0.0 / u128::from(identities));
        for member in 0..population.count * identities {
            let identity = u64::from(member % identities);
            let (all, parts) = (population.jobs, u64::from(identities));
            let to_come = all / parts + u64::from(identity < all % parts);
            let client = Client {
                strategy: strategy::client(population.strategy),
                to_come,
                due: VecDeque::new(),
                next_salt: 0,
                busy: 0,
                committed: AttoFil::ZERO,
                shills: Vec::new(),
                is_blocked: false,
            };
            let agent = Agent::new(self.next_account(), self.chain.settings(), None);
            let party = self.add(name, member, place, agent, Role::Client(Box::new(client)), seed);
            self.bring(party, balance, AttoFil::ZERO)?;
            self.schedule_request(party, population);
        }
        Ok(())
    }

    fn add_providers(
        &mut self,
        name: &str,
        population: &Providers,
        seed: Seed,
        specs: &Specs,
    ) -> Result<(), SimulationError> {
        let place = self.begin_population(name);
        let first = self.parties.len() as u64;
        // What they are is drawn before anything else, so that members of a ring know each other.
        let natures: Vec<Provider> = (0..u64::from(population.count))
            .map(|member| {
                let chance = &mut seed.stream(Purpose::Nature, first + member);
                let cost = population.cost.sample(chance);
                let cost_per_gigafuel = population.cost_per_gigafuel.sample(chance);
                let speed = population.speed.sample(chance).max(1e-9);
                let failure = population.failure.sample(chance).clamp(0.0, 1.0);
                Provider { strategy: strategy::provider(population), cost, cost_per_gigafuel, speed, failure }
            })
            .collect();
        let (mut lowest, mut second) = (f64::INFINITY, f64::INFINITY);
        for Provider { cost, .. } in &natures {
            (lowest, second) = if *cost < lowest { (*cost, lowest) } else { (lowest, second.min(*cost)) };
        }
        let all: u64 = self.scenario.providers.values().map(|it| u64::from(it.count)).sum();
        let rivals = all.saturating_sub(1);
        for (member, nature) in natures.into_iter().enumerate() {
            let lowest_of_others = if nature.cost == lowest { second } else { lowest };
            let highest = Amount::to_fil(self.scenario.job.max_price.0);
            let base = nature.strategy.ask(nature.cost, &strategy::Market { rivals, lowest_of_others, highest });
            // Strategies are about what a job costs; what fuel costs comes on top, for everybody.
            let per_gigafuel = nature.cost_per_gigafuel;
            let mut chance = seed.stream(Purpose::Nature, 1 << 40 | (first + member as u64));
            let slots = population.slots.sample(&mut chance).round().max(1.0) as u32;
            let offer = Offer {
                pricing: Pricing {
                    per_gigafuel: Amount::from_fil(per_gigafuel),
                    ..Pricing::flat(Amount::from_fil(base))
                },
                slots,
                resources: Resources::UNLIMITED,
                max_fuel: u64::MAX,
                max_wall: u64::MAX,
                max_collateral: AttoFil(u128::MAX >> 32),
                min_window: self.chain.pace().min_window(),
                max_window: u32::MAX,
                accept_no_collateral: true,
                fuel_per_second: (nature.speed * 1e9).clamp(1.0, u64::MAX as f64) as u64,
                matchers: vec![AUCTION],
                arbiters: vec![ARBITER],
                ..Offer::default()
            };
            let agent = Agent::new(self.next_account(), self.chain.settings(), Some(offer))
                .bidding_in(Some(Chain::auctioneer()))
                .sharing(specs.clone());
            let party = self.add(name, member as u32, place, agent, Role::Provider(Box::new(nature)), seed);
            self.providers.push(party);
            let balance = population.balance.0;
            self.bring(party, balance, if self.scenario.job.auction.is_some() { balance } else { AttoFil::ZERO })?;
        }
        Ok(())
    }

    pub(super) fn next_account(&self) -> lota_market::Address {
        identity::address(self.parties.len() as u32)
    }

    pub(super) fn add(
        &mut self,
        name: &str,
        member: u32,
        population: u16,
        agent: Agent,
        role: Role,
        seed: Seed,
    ) -> u32 {
        let number = self.parties.len() as u32;
        self.parties.push(Party {
            agent: agent.at_pace(self.chain.pace()),
            account: identity::address(number),
            population,
            name: format!("{name}/{member}"),
            chance: seed.stream(Purpose::Life, number.into()),
            role,
            wake: None,
            told: (AttoFil::ZERO, lota_market::agent::At::default()),
            final_at: None,
            sweep_at: 8,
            began: AttoFil::ZERO,
            tally: Tally::default(),
        });
        number
    }

    /// A party's money is made: some for the market, where it goes at once, and some to keep outside.
    pub(super) fn bring(&mut self, party: u32, balance: AttoFil, outside: AttoFil) -> Result<(), SimulationError> {
        let account = self.parties[party as usize].account;
        let all = AttoFil(balance.0.saturating_add(outside.0));
        self.chain.mint(account, all)?;
        self.ledger.minted(VirtualTime::default(), account, all, self.sink)?;
        self.parties[party as usize].began = all;
        if balance != AttoFil::ZERO {
            let deposit = to_market(Command::Deposit { account });
            let mut log = std::mem::take(&mut self.log);
            let executed = self.chain.execute(account, &deposit, balance, &mut log);
            debug_assert_eq!(executed, Ok(()), "whoever was given money can pay it in");
            self.ledger.take_in(VirtualTime::default(), &log, self.sink)?;
            log.clear();
            self.log = log;
        }
        Ok(())
    }

    /// When a client wants its next task done.
    pub(super) fn schedule_request(&mut self, party: u32, population: &Clients) {
        let now = self.now();
        let member = &mut self.parties[party as usize];
        let Role::Client(client) = &mut member.role else { return };
        if client.to_come > 0 {
            client.to_come -= 1;
            let pause = VirtualTime::from_secs(population.interval.sample(&mut member.chance));
            self.queue.schedule(now.after(pause), Happening::Request { party });
        }
    }
}

/// The names of a scenario's parties, by their numbers.
#[must_use]
pub fn party_names(scenario: &Scenario) -> Vec<String> {
    let clients = scenario.clients.iter().map(|(name, it)| (name, it.count * it.identities()));
    let providers = scenario.providers.iter().map(|(name, it)| (name, it.count));
    clients
        .chain(providers)
        .flat_map(|(name, count)| (0..count).map(move |member| format!("{name}/{member}")))
        .collect()
}

/// The wall limit of a scenario's jobs: what its run window leaves after everything else, in seconds.
pub(super) fn wall(job: &JobSettings, min_window: u32) -> u64 {
    u64::from(job.run_for.saturating_sub(min_window.max(1)).max(1))
}
