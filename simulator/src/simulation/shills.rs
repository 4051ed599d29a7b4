//! Clients that bid against their own providers.
//!
//! Such a client has further accounts. In each auction of its own they seal bids at even steps between the lowest and the highest price,
//! and at the end of the reveals it opens the one just above the lowest bid, if there is one below the second: that becomes the price.
//! The other bids are not opened, and their deposits are lost.
//!
//! Where bids are not sealed, it looks at them when the last has come, and bids once: just above the lowest.

use lota_market::{
    AttoFil, Time,
    agent::Agent,
    auction::{Bid, Command, deposit, reveal_until},
    model::{JobId, Terms},
    money::GWEI,
    world::ContractCommand,
};

use super::{Happening, Simulation, SimulationError, party::Role};
use crate::{chance::Seed, identity, scenario::ClientKind};

impl Simulation<'_> {
    /// The further accounts of all such clients, which come after all parties.
    pub(super) fn add_shills(&mut self, seed: Seed) -> Result<(), SimulationError> {
        let (scenario, job) = (self.scenario, &self.scenario.job);
        for (place, (name, population)) in (0..).zip(&scenario.clients) {
            if population.strategy != ClientKind::Shill {
                continue;
            }
            let range = job.max_price.0.saturating_sub(job.min_price.0);
            let each = range.0.saturating_add(job.collateral.0.0);
            let money = AttoFil(each.saturating_mul(u128::from(population.jobs)).saturating_mul(job.replicas.into()));
            for member in 0..population.count {
                let client = self.parties.iter().position(|party| party.name == format!("{name}/{member}"));
                let mut accounts = Vec::new();
                for number in 0..population.shills() {
                    let agent = Agent::new(self.next_account(), self.chain.settings(), None);
                    let name = format!("{name}/{member} shill");
                    let account = self.add(&name, number, place, agent, Role::Shill, seed);
                    self.bring(account, AttoFil::ZERO, money)?;
                    let sender = self.parties[account as usize].account;
                    self.execute(sender, &ContractCommand::Auction(Command::Fund), money)?;
                    accounts.push(account);
                }
                if let Some(client) = client.and_then(|at| self.parties[at].client()) {
                    client.shills = accounts;
                }
            }
        }
        Ok(())
    }

    /// A job was opened: its client may have something to do in the auction.
    pub(super) fn may_be_shilled(&mut self, job: JobId) {
        let Some(record) = self.jobs.jobs.get(&job) else { return };
        let (client, until) = (record.client, reveal_until(&record.terms));
        // Bids are sealed before the first moment of the reveals.
        let commits_end = Time(record.terms.ramp_start.0.saturating_sub(1));
        if self.shills_of(client).is_empty() {
            return;
        }
        let note = self.notes.insert(job) as u32;
        let looks = match self.scenario.job.auction {
            Some(auction) if auction.unsealed => self.chain.last_before(commits_end),
            _ => self.now(),
        };
        self.queue.schedule(looks, Happening::Shills { note, opens: false });
        let note = self.notes.insert(job) as u32;
        // The last block in which bids may be opened.
        self.queue.schedule(self.chain.last_before(until), Happening::Shills { note, opens: true });
    }

    fn shills_of(&self, client: u32) -> &[u32] {
        match &self.parties[client as usize].role {
            Role::Client(client) => &client.shills,
            _ => &[],
        }
    }

    pub(super) fn on_shilling(&mut self, note: u32, opens: bool) -> Result<(), SimulationError> {
        let Some(job) = self.notes.try_remove(note as usize) else { return Ok(()) };
        let Some(record) = self.jobs.jobs.get(&job) else { return Ok(()) };
        let (terms, accounts) = (record.terms.clone(), self.shills_of(record.client).to_vec());
        let is_unsealed = self.scenario.job.auction.is_some_and(|auction| auction.unsealed);
        let look = if opens { record.after_look } else { self.look(job) };
        if let Some(record) = self.jobs.jobs.get_mut(&job) {
            record.after_look = look;
        }
        let bids: Vec<(u32, AttoFil)> = if is_unsealed {
            accounts.first().copied().zip(look).into_iter().collect()
        } else {
            accounts.iter().zip(1..).map(|(account, step)| (*account, price(&terms, step, accounts.len()))).collect()
        };
        if !opens {
            for (account, price) in bids {
                let bid = self.bid(job, account, price);
                let commitment = identity::commitment(&bid);
                let command = ContractCommand::Auction(Command::Commit { terms: terms.clone(), commitment });
                self.execute(bid.bidder, &command, AttoFil::ZERO)?;
            }
            return Ok(());
        }
        let auction = self.chain.auction().auction(job);
        let Some(lowest) = auction.best.map(|standing| standing.price) else { return Ok(()) };
        let second = auction.second.map_or(terms.max_price, |standing| standing.price);
        if let Some((account, price)) = bids.into_iter().find(|(_, price)| *price > lowest && *price < second) {
            let Bid { bidder, nonce, .. } = self.bid(job, account, price);
            let command = ContractCommand::Auction(Command::Reveal { terms, price, nonce });
            self.execute(bidder, &command, AttoFil::ZERO)?;
        }
        Ok(())
    }

    /// The price just above the lowest bid, for whoever can see bids; none, if that would not become the price.
    fn look(&self, job: JobId) -> Option<AttoFil> {
        let record = self.jobs.jobs.get(&job)?;
        let mut prices = record.sealed.clone();
        prices.sort();
        let second = prices.get(1).copied().unwrap_or(record.terms.max_price);
        let just_above = AttoFil(prices.first()?.0.saturating_add(GWEI));
        (just_above < second).then_some(just_above)
    }

    fn bid(&self, job: JobId, account: u32, price: AttoFil) -> Bid {
        let bidder = self.parties[account as usize].account;
        Bid { job, bidder, price, nonce: identity::nonce(job, bidder) }
    }
}

/// The price of a bid: so many of even steps above the lowest.
fn price(terms: &Terms, step: u32, bids: usize) -> AttoFil {
    let share = deposit(terms).0 / GWEI * u128::from(step) / (bids as u128 + 1);
    AttoFil(terms.min_price.0.saturating_add(share * GWEI))
}
