//! The ledger: who has how much where, and why every amount moved. It is a fold of what the contracts say, and so an audit of them:
//! [`Ledger::check`] compares it with what they hold.

mod csv;

use std::collections::{BTreeMap, HashMap};

use lota_market::{
    Address, AttoFil,
    auction::{self, SealedBidAuction, deposit},
    model::{Event, JobId},
    world::{ContractEvent, Log},
};

use crate::{
    chain::{ARBITER, AUCTION, Chain},
    identity::{self, ById},
    queue::VirtualTime,
    state::State,
};

pub use csv::CsvSink;

/// Whose money it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A party, by its number.
    Party(u32),
    Arbiter,
    /// Nobody's: it was made, or burned.
    Nobody,
}

/// Where a party's money is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
    /// Outside of all contracts.
    Wallet,
    /// Free, in the market.
    Balance,
    /// In the market, for a job that it asked for.
    Escrow,
    /// In the market, for a job that it runs.
    Collateral,
    /// Free, in the auction.
    Auction,
    /// In the auction, for a bid.
    Stake,
    /// Nobody's: not there before.
    Minted,
    /// Nobody's, for ever.
    Burned,
}

impl Account {
    /// Its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Wallet => "wallet",
            Self::Balance => "balance",
            Self::Escrow => "escrow",
            Self::Collateral => "collateral",
            Self::Auction => "auction",
            Self::Stake => "stake",
            Self::Minted => "minted",
            Self::Burned => "burned",
        }
    }
}

/// An amount that moved, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Movement {
    pub time: VirtualTime,
    /// Why, such as `price`; the same word means the same everywhere.
    pub reason: &'static str,
    /// For which job.
    pub job: Option<JobId>,
    pub from: (Owner, Account),
    pub to: (Owner, Account),
    pub amount: AttoFil,
}

/// Takes every movement as it happens. `()` takes none, and costs nothing.
pub trait Sink {
    /// One more movement.
    ///
    /// # Errors
    /// When it cannot be written; then the simulation ends.
    fn movement(&mut self, movement: &Movement) -> std::io::Result<()>;

    /// How often the market's state is wanted, in virtual time; `None`: never.
    fn every(&self) -> Option<VirtualTime> {
        None
    }

    /// The market's state at one of these moments.
    ///
    /// # Errors
    /// When it cannot be written; then the simulation ends.
    fn state(&mut self, _: &State) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink for () {
    fn movement(&mut self, _: &Movement) -> std::io::Result<()> {
        Ok(())
    }
}

impl Sink for Vec<Movement> {
    fn movement(&mut self, movement: &Movement) -> std::io::Result<()> {
        self.push(*movement);
        Ok(())
    }
}

/// What a party has in each place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Holdings {
    pub wallet: AttoFil,
    pub balance: AttoFil,
    pub escrow: AttoFil,
    pub collateral: AttoFil,
    pub auction: AttoFil,
    pub stake: AttoFil,
}

impl Holdings {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> AttoFil {
        let Self { wallet, balance, escrow, collateral, auction, stake } = *self;
        [wallet, balance, escrow, collateral, auction, stake].into_iter().sum()
    }

    const fn at(&mut self, account: Account) -> Option<&mut AttoFil> {
        Some(match account {
            Account::Wallet => &mut self.wallet,
            Account::Balance => &mut self.balance,
            Account::Escrow => &mut self.escrow,
            Account::Collateral => &mut self.collateral,
            Account::Auction => &mut self.auction,
            Account::Stake => &mut self.stake,
            Account::Minted | Account::Burned => return None,
        })
    }
}

/// A deal that has not ended.
#[derive(Clone, Copy, Debug)]
struct Open {
    client: Owner,
    escrow: AttoFil,
    collateral: AttoFil,
    /// What a bid's deposit is.
    deposit: AttoFil,
}

/// Who has how much where.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    parties: Vec<Holdings>,
    arbiter: Holdings,
    minted: AttoFil,
    burned: AttoFil,
    open: HashMap<JobId, Open, ById>,
    /// Who has something at stake in a job's auction.
    bids: HashMap<JobId, BTreeMap<Owner, AttoFil>, ById>,
    /// A movement that the books contradict: never, or the contracts lose money.
    fault: Option<String>,
}

/// Where movements go while something is taken in.
struct Entry<'e> {
    time: VirtualTime,
    job: Option<JobId>,
    sink: &'e mut dyn Sink,
    failed: Option<std::io::Error>,
}

impl Ledger {
    /// What a party has.
    #[must_use]
    pub fn of(&self, owner: Owner) -> Holdings {
        match owner {
            Owner::Party(number) => self.parties.get(number as usize).copied().unwrap_or_default(),
            Owner::Arbiter => self.arbiter,
            Owner::Nobody => Holdings::default(),
        }
    }

    /// What was burned.
    #[must_use]
    pub const fn burned(&self) -> AttoFil {
        self.burned
    }

    /// Money was made in a party's wallet.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn minted(
        &mut self,
        time: VirtualTime,
        owner: Owner,
        amount: AttoFil,
        sink: &mut dyn Sink,
    ) -> std::io::Result<()> {
        let mut entry = Entry { time, job: None, sink, failed: None };
        self.post(&mut entry, "minted", (Owner::Nobody, Account::Minted), (owner, Account::Wallet), amount);
        entry.failed.map_or(Ok(()), Err)
    }

    /// Takes in what the contracts said of one command. `auction`: as it is after it.
    ///
    /// # Errors
    /// When a movement cannot be written.
    pub fn take_in(
        &mut self,
        time: VirtualTime,
        log: &[Log],
        auction: &SealedBidAuction,
        sink: &mut dyn Sink,
    ) -> std::io::Result<()> {
        let mut entry = Entry { time, job: None, sink, failed: None };
        for Log { event, .. } in log {
            match event {
                ContractEvent::Market(event) => {
                    entry.job = event.job();
                    self.of_market(&mut entry, event);
                }
                ContractEvent::Auction(event) => {
                    entry.job = event.job();
                    self.of_auction(&mut entry, event, auction);
                }
                // No blessing is deployed here.
                ContractEvent::Blessing(_) => {}
            }
        }
        entry.failed.map_or(Ok(()), Err)
    }

    fn of_market(&mut self, entry: &mut Entry<'_>, event: &Event) {
        use Account::{Balance, Burned, Collateral, Escrow, Stake, Wallet};
        match event {
            // What the auction brings for an award is the winner's stake.
            Event::Deposited { payer, .. } if *payer == AUCTION => {}
            Event::Deposited { account, payer, amount } => {
                self.post(entry, "deposit", (owner(*payer), Wallet), (owner(*account), Balance), *amount);
            }
            Event::Withdrawn { account, to, amount } => {
                self.post(entry, "withdrawal", (owner(*account), Balance), (owner(*to), Wallet), *amount);
            }
            Event::JobOpened { job, terms, .. } => {
                let (client, max_price, collateral) = (terms.client, terms.max_price, terms.collateral);
                let client = owner(client);
                let open = Open { client, escrow: max_price, collateral, deposit: deposit(terms) };
                self.open.insert(*job, open);
                self.post(entry, "escrow", (client, Balance), (client, Escrow), max_price);
            }
            Event::JobLocked { job, provider, payer, price } => {
                let Some(open) = self.open.get_mut(job) else { return self.unknown(*job) };
                let (refund, Open { client, collateral, .. }) = (open.escrow.saturating_sub(*price), *open);
                open.escrow = *price;
                self.post(entry, "escrow above the price", (client, Escrow), (client, Balance), refund);
                let from = if *payer == AUCTION { (owner(*provider), Stake) } else { (owner(*payer), Balance) };
                self.post(entry, "collateral", from, (owner(*provider), Collateral), collateral);
            }
            Event::JobSettled { job, provider, price, .. } => {
                let Some(Open { client, collateral, .. }) = self.open.remove(job) else { return self.unknown(*job) };
                let provider = owner(*provider);
                self.post(entry, "price", (client, Escrow), (provider, Balance), *price);
                self.post(entry, "collateral returned", (provider, Collateral), (provider, Balance), collateral);
            }
            Event::JobCancelled { job, .. } => {
                let Some(Open { client, escrow, .. }) = self.open.remove(job) else { return self.unknown(*job) };
                self.post(entry, "escrow of a cancelled job", (client, Escrow), (client, Balance), escrow);
            }
            Event::JobVoided { job, provider, price, .. } => {
                let Some(Open { client, collateral, .. }) = self.open.remove(job) else { return self.unknown(*job) };
                let provider = owner(*provider);
                self.post(entry, "price of a void job", (client, Escrow), (client, Balance), *price);
                self.post(entry, "collateral returned", (provider, Collateral), (provider, Balance), collateral);
            }
            Event::JobSlashed { job, provider, to_client, to_arbiter, to_burn, .. } => {
                let Some(Open { client, escrow, .. }) = self.open.remove(job) else { return self.unknown(*job) };
                let from = (owner(*provider), Collateral);
                self.post(entry, "price of a slashed job", (client, Escrow), (client, Balance), escrow);
                self.post(entry, "slashed, to the client", from, (client, Balance), to_client.saturating_sub(escrow));
                self.post(entry, "slashed, to the arbiter", from, (Owner::Arbiter, Balance), *to_arbiter);
                self.post(entry, "slashed, burned", from, (Owner::Nobody, Burned), *to_burn);
            }
            Event::BatchSettled { client, provider, price, .. } => {
                self.post(entry, "price", (owner(*client), Balance), (owner(*provider), Balance), *price);
            }
            Event::ResultSubmitted { .. }
            | Event::JobDisputed { .. }
            | Event::CallbackDelivered { .. }
            | Event::CallbackFailed { .. }
            | Event::BatchSkipped { .. }
            | Event::SaltsRevoked { .. }
            | Event::SpecPublished { .. }
            | Event::Announced { .. } => {}
        }
    }

    fn of_auction(&mut self, entry: &mut Entry<'_>, event: &auction::Event, state: &SealedBidAuction) {
        use Account::{Auction, Burned, Stake, Wallet};
        match event {
            auction::Event::Funded { account, payer, amount } => {
                self.post(entry, "brought for bids", (owner(*payer), Wallet), (owner(*account), Auction), *amount);
            }
            auction::Event::Defunded { account, to, amount } => {
                self.post(entry, "taken from bids", (owner(*account), Auction), (owner(*to), Wallet), *amount);
            }
            auction::Event::BidCommitted { job, bidder, .. } => {
                let deposit = self.open.get(job).map_or(AttoFil::ZERO, |open| open.deposit);
                let bidder = owner(*bidder);
                self.post(entry, "deposit of a bid", (bidder, Auction), (bidder, Stake), deposit);
                self.bids.entry(*job).or_default().insert(bidder, deposit);
            }
            auction::Event::BidRevealed { job, bidder, .. } => {
                let bidder = owner(*bidder);
                let at_stake = self.bids.get_mut(job).and_then(|bids| bids.insert(bidder, AttoFil::ZERO));
                let deposit = at_stake.unwrap_or_default();
                self.post(entry, "deposit of a bid returned", (bidder, Stake), (bidder, Auction), deposit);
                self.compare(entry, *job, state);
            }
            auction::Event::AuctionAwarded { job, winner, .. } => {
                self.compare(entry, *job, state);
                self.forfeit(entry, *job, Some(owner(*winner)));
            }
            auction::Event::AuctionCancelled { job } | auction::Event::AuctionReleased { job } => {
                self.compare(entry, *job, state);
                self.forfeit(entry, *job, None);
            }
            auction::Event::CommitmentSwept { job, bidder } => {
                let bidder = owner(*bidder);
                let swept = self.bids.get_mut(job).and_then(|bids| bids.remove(&bidder)).unwrap_or_default();
                self.post(entry, "deposit of a bid forfeited", (bidder, Stake), (Owner::Nobody, Burned), swept);
            }
        }
    }

    /// What the bidders of a job have in the auction says whose collateral is at stake there.
    fn compare(&mut self, entry: &mut Entry<'_>, job: JobId, state: &SealedBidAuction) {
        let bidders: Vec<Owner> = self.bids.get(&job).map(|bids| bids.keys().copied().collect()).unwrap_or_default();
        for bidder in bidders {
            let Owner::Party(number) = bidder else { continue };
            let (before, now) = (self.of(bidder).auction, state.balance(identity::address(number)));
            let (free, stake) = ((bidder, Account::Auction), (bidder, Account::Stake));
            let staked = |bids: &mut Self, amount| {
                bids.bids.entry(job).or_default().insert(bidder, amount);
            };
            if let Some(amount) = before.checked_sub(now).filter(|amount| *amount != AttoFil::ZERO) {
                self.post(entry, "collateral of a bid", free, stake, amount);
                staked(self, amount);
            } else if let Some(amount) = now.checked_sub(before).filter(|amount| *amount != AttoFil::ZERO) {
                self.post(entry, "collateral of a bid returned", stake, free, amount);
                staked(self, AttoFil::ZERO);
            }
        }
    }

    /// An auction is over: what was not revealed is lost. The winner's collateral goes to the market.
    fn forfeit(&mut self, entry: &mut Entry<'_>, job: JobId, winner: Option<Owner>) {
        for (bidder, amount) in self.bids.remove(&job).unwrap_or_default() {
            if Some(bidder) != winner {
                let lost = (Owner::Nobody, Account::Burned);
                self.post(entry, "deposit of a bid forfeited", (bidder, Account::Stake), lost, amount);
            }
        }
    }

    fn post(
        &mut self,
        entry: &mut Entry<'_>,
        reason: &'static str,
        from: (Owner, Account),
        to: (Owner, Account),
        amount: AttoFil,
    ) {
        if amount == AttoFil::ZERO {
            return;
        }
        let Entry { time, job, .. } = *entry;
        if let Some(place) = self.place(from) {
            match place.checked_sub(amount) {
                Some(left) => *place = left,
                None => {
                    let found = *place;
                    let fault = || format!("{reason}: {amount} left {from:?}, where {found} was");
                    self.fault.get_or_insert_with(fault);
                    return;
                }
            }
        } else if from.1 == Account::Minted {
            self.minted = AttoFil(self.minted.0.saturating_add(amount.0));
        }
        match self.place(to) {
            Some(place) => *place = AttoFil(place.0.saturating_add(amount.0)),
            None => self.burned = AttoFil(self.burned.0.saturating_add(amount.0)),
        }
        let written = entry.sink.movement(&Movement { time, reason, job, from, to, amount });
        if let (Err(error), None) = (written, &entry.failed) {
            entry.failed = Some(error);
        }
    }

    fn place(&mut self, (owner, account): (Owner, Account)) -> Option<&mut AttoFil> {
        match owner {
            Owner::Party(number) => {
                let number = number as usize;
                if number >= self.parties.len() {
                    self.parties.resize_with(number + 1, Holdings::default);
                }
                self.parties[number].at(account)
            }
            Owner::Arbiter => self.arbiter.at(account),
            Owner::Nobody => None,
        }
    }

    fn unknown(&mut self, job: JobId) {
        self.fault
            .get_or_insert_with(|| format!("something was said of job {job}, which was never opened or has ended"));
    }

    /// Compares all of this with what wallets and contracts hold.
    ///
    /// # Errors
    /// The first difference: then the contracts have said something else than they did.
    pub fn check(&self, chain: &Chain) -> Result<(), String> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let (world, market, auction) = (chain.world(), chain.market(), chain.auction());
        let same = |what: &str, here: AttoFil, there: AttoFil| {
            if here == there { Ok(()) } else { Err(format!("{what}: the ledger has {here}, the chain {there}")) }
        };
        let accounts =
            self.parties.iter().enumerate().map(|(number, holdings)| (identity::address(number as u32), holdings));
        let (mut escrow, mut collateral, mut all) = (0_u128, 0_u128, self.burned.0);
        for (account, holdings) in accounts.chain([(ARBITER, &self.arbiter)]) {
            same(&format!("wallet of {account}"), holdings.wallet, world.wallet(account))?;
            same(&format!("balance of {account}"), holdings.balance, market.balance(account))?;
            same(&format!("auction account of {account}"), holdings.auction, auction.balance(account))?;
            escrow += holdings.escrow.0;
            collateral += holdings.collateral.0;
            all += holdings.total().0;
        }
        same("escrow", AttoFil(escrow), market.escrowed())?;
        same("collateral", AttoFil(collateral), market.collateral())?;
        same("all money", AttoFil(all), world.minted())?;
        same("minted", self.minted, world.minted())
    }
}

/// Whose an account is.
fn owner(account: Address) -> Owner {
    if account == ARBITER {
        return Owner::Arbiter;
    }
    identity::number(account).map_or(Owner::Nobody, Owner::Party)
}
