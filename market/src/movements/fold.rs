//! From events to movements.

use alloy_primitives::Address;

use super::{Accounts, Bidding, Cause, Change, Deal, Holder, Movement, Pocket};
use crate::{
    AttoFil,
    auction::{self, Standing},
    model::{Event, JobId},
    world::{ContractEvent, Log},
};

/// Notes movements as they are carried out.
struct Booking<'a> {
    accounts: &'a mut Accounts,
    movements: &'a mut Vec<Movement>,
    job: Option<JobId>,
}

impl Accounts {
    /// Somebody got money from nowhere.
    pub fn minted(&mut self, account: Address, amount: AttoFil, movements: &mut Vec<Movement>) {
        let mut booking = Booking { accounts: self, movements, job: None };
        booking.carry_out(Cause::Minted, None, (account, Pocket::Wallet), amount);
    }

    /// A contract said something; what money moved is added to `movements`.
    pub fn take(&mut self, log: &Log, movements: &mut Vec<Movement>) {
        match &log.event {
            ContractEvent::Market(event) => {
                Booking { accounts: self, movements, job: event.job() }.take_market(event);
            }
            ContractEvent::Auction(event) => {
                Booking { accounts: self, movements, job: event.job() }.take_auction(log.contract, event);
            }
            // A blessing's and a granter's money, and what is paid over Filecoin Pay, is in no party's books yet.
            ContractEvent::Blessing(_)
            | ContractEvent::Granter(_)
            | ContractEvent::FilecoinPay(_)
            | ContractEvent::FilecoinPayDeals(_) => {}
        }
    }

    fn set_deal(&mut self, job: JobId, deal: Option<Deal>) -> Option<Deal> {
        let before = match deal {
            Some(deal) => self.deals.insert(job, deal),
            None => self.deals.remove(&job),
        };
        self.undo.note(|| Change::Deal(job, before));
        before
    }

    fn set_bidding(&mut self, job: JobId, bidding: Option<Bidding>) {
        let before = match bidding {
            Some(bidding) => self.biddings.insert(job, bidding),
            None => self.biddings.remove(&job),
        };
        self.undo.note(|| Change::Bidding(job, before.map(Box::new)));
    }
}

type Place = (Address, Pocket);

impl Booking<'_> {
    fn carry_out(&mut self, cause: Cause, from: Option<Place>, to: Place, amount: AttoFil) {
        if amount == AttoFil::ZERO {
            return;
        }
        let holder = |(account, pocket)| Holder { account, pocket };
        let (from, to) = (from.map(holder), holder(to));
        if let Some(from) = from {
            // The contracts let nobody move what he has not; all money there is fits.
            self.change(from, |held| held.saturating_sub(amount));
        }
        self.change(to, |held| AttoFil(held.0.saturating_add(amount.0)));
        self.movements.push(Movement { cause, job: self.job, from, to, amount });
    }

    fn change(&mut self, holder: Holder, changed: impl FnOnce(AttoFil) -> AttoFil) {
        let Holder { account, pocket } = holder;
        let before = self.accounts.holdings.get(&account).copied();
        self.accounts.undo.note(|| Change::Holdings(account, before));
        let amount = self.accounts.holdings.entry(account).or_default().pocket(pocket);
        *amount = changed(*amount);
    }

    fn transfer(&mut self, cause: Cause, from: Place, to: Place, amount: AttoFil) {
        self.carry_out(cause, Some(from), to, amount);
    }

    fn deal(&self, job: JobId) -> Option<Deal> {
        self.accounts.deals.get(&job).copied()
    }

    fn take_market(&mut self, event: &Event) {
        use Pocket::{Burned, Collateral, Escrow, Market, Wallet};
        match event {
            Event::Deposited { account, payer, amount } => {
                self.transfer(Cause::Deposited, (*payer, Wallet), (*account, Market), *amount);
            }
            Event::Withdrawn { account, to, amount } => {
                self.transfer(Cause::Withdrawn, (*account, Market), (*to, Wallet), *amount);
            }
            Event::JobOpened { job, terms, .. } => {
                let deal = Deal {
                    client: terms.client,
                    arbiter: terms.arbiter,
                    price: terms.max_price,
                    collateral: terms.collateral,
                    deposit: auction::deposit(terms),
                };
                self.accounts.set_deal(*job, Some(deal));
                self.transfer(Cause::Escrowed, (deal.client, Market), (deal.client, Escrow), deal.price);
            }
            Event::JobLocked { job, provider, payer, price } => {
                let Some(deal) = self.deal(*job) else { return };
                let refund = deal.price.saturating_sub(*price);
                self.transfer(Cause::PriceReduced, (deal.client, Escrow), (deal.client, Market), refund);
                self.transfer(Cause::Staked, (*payer, Market), (*provider, Collateral), deal.collateral);
                self.accounts.set_deal(*job, Some(Deal { price: *price, ..deal }));
            }
            Event::JobSettled { job, provider, price, .. } => {
                let Some(deal) = self.accounts.set_deal(*job, None) else { return };
                self.transfer(Cause::Paid, (deal.client, Escrow), (*provider, Market), *price);
                self.transfer(Cause::StakeReturned, (*provider, Collateral), (*provider, Market), deal.collateral);
            }
            Event::JobCancelled { job, .. } => {
                let Some(deal) = self.accounts.set_deal(*job, None) else { return };
                self.transfer(Cause::EscrowReturned, (deal.client, Escrow), (deal.client, Market), deal.price);
            }
            Event::JobSlashed { job, provider, to_client, to_arbiter, to_burn, .. } => {
                let Some(deal) = self.accounts.set_deal(*job, None) else { return };
                let stake = (*provider, Collateral);
                self.transfer(Cause::EscrowReturned, (deal.client, Escrow), (deal.client, Market), deal.price);
                let compensation = to_client.saturating_sub(deal.price);
                self.transfer(Cause::Compensated, stake, (deal.client, Market), compensation);
                self.transfer(Cause::ArbiterPaid, stake, (deal.arbiter, Market), *to_arbiter);
                self.transfer(Cause::StakeBurned, stake, (*provider, Burned), *to_burn);
            }
            Event::JobVoided { job, provider, price, .. } => {
                let Some(deal) = self.accounts.set_deal(*job, None) else { return };
                self.transfer(Cause::EscrowReturned, (deal.client, Escrow), (deal.client, Market), *price);
                self.transfer(Cause::StakeReturned, (*provider, Collateral), (*provider, Market), deal.collateral);
            }
            Event::BatchSettled { client, provider, price, .. } => {
                self.transfer(Cause::BatchPaid, (*client, Market), (*provider, Market), *price);
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

    fn bidding(&self, job: JobId) -> Bidding {
        if let Some(bidding) = self.accounts.biddings.get(&job) {
            return bidding.clone();
        }
        let deal = self.deal(job);
        let amount = |of: fn(&Deal) -> AttoFil| deal.as_ref().map(of).unwrap_or_default();
        Bidding {
            deposit: amount(|deal| deal.deposit),
            collateral: amount(|deal| deal.collateral),
            ..Bidding::default()
        }
    }

    fn take_auction(&mut self, contract: Address, event: &auction::Event) {
        use Pocket::{Auction, Bids, Wallet};
        match event {
            auction::Event::Funded { account, payer, amount } => {
                self.transfer(Cause::Funded, (*payer, Wallet), (*account, Auction), *amount);
            }
            auction::Event::Defunded { account, to, amount } => {
                self.transfer(Cause::Defunded, (*account, Auction), (*to, Wallet), *amount);
            }
            auction::Event::BidCommitted { job, bidder, order, .. } => {
                let mut bidding = self.bidding(*job);
                bidding.standing.commits = *order;
                bidding.sealed.insert(*bidder, *order);
                self.transfer(Cause::BidSealed, (*bidder, Auction), (*bidder, Bids), bidding.deposit);
                self.accounts.set_bidding(*job, Some(bidding));
            }
            auction::Event::BidRevealed { job, bidder, price } => self.reveal(*job, *bidder, *price),
            auction::Event::AuctionAwarded { job, winner, .. } => {
                let bidding = self.bidding(*job);
                if let Some(second) = bidding.standing.second {
                    self.give_back(second.bidder, bidding.collateral);
                }
                // On its way to the market it is the auction's own.
                self.transfer(Cause::BidAwarded, (*winner, Bids), (contract, Wallet), bidding.collateral);
                self.end(*job, &bidding);
            }
            auction::Event::AuctionReleased { job } => {
                let bidding = self.bidding(*job);
                for standing in [bidding.standing.best, bidding.standing.second].into_iter().flatten() {
                    self.give_back(standing.bidder, bidding.collateral);
                }
                self.end(*job, &bidding);
            }
            auction::Event::AuctionCancelled { job } => {
                let bidding = self.bidding(*job);
                self.end(*job, &bidding);
            }
            auction::Event::CommitmentSwept { job, bidder } => {
                // After the end of the auction it was burned before.
                let Some(mut bidding) = self.accounts.biddings.get(job).cloned() else { return };
                if bidding.sealed.remove(bidder).is_some() {
                    self.burn(*bidder, bidding.deposit);
                    self.accounts.set_bidding(*job, Some(bidding));
                }
            }
        }
    }

    fn reveal(&mut self, job: JobId, bidder: Address, price: AttoFil) {
        use Pocket::{Auction, Bids};
        let mut bidding = self.bidding(job);
        let Some(order) = bidding.sealed.remove(&bidder) else { return };
        self.transfer(Cause::BidRevealed, (bidder, Bids), (bidder, Auction), bidding.deposit);
        if let Some((standing, displaced)) = bidding.standing.with(Standing { bidder, price, order }) {
            bidding.standing = standing;
            self.transfer(Cause::BidStaked, (bidder, Auction), (bidder, Bids), bidding.collateral);
            if let Some(displaced) = displaced {
                self.give_back(displaced.bidder, bidding.collateral);
            }
        }
        self.accounts.set_bidding(job, Some(bidding));
    }

    fn give_back(&mut self, bidder: Address, collateral: AttoFil) {
        self.transfer(Cause::BidReturned, (bidder, Pocket::Bids), (bidder, Pocket::Auction), collateral);
    }

    fn burn(&mut self, bidder: Address, deposit: AttoFil) {
        self.transfer(Cause::BidBurned, (bidder, Pocket::Bids), (bidder, Pocket::Burned), deposit);
    }

    /// Nobody can reveal any more.
    fn end(&mut self, job: JobId, bidding: &Bidding) {
        for bidder in bidding.sealed.keys() {
            self.burn(*bidder, bidding.deposit);
        }
        if self.accounts.biddings.contains_key(&job) {
            self.accounts.set_bidding(job, None);
        }
    }
}
