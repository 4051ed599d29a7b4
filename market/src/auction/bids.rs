//! The life of an auction.

use alloy_primitives::{Address, B256};

use super::{
    Auction, AuctionFault, Bid, Event, MAX_COMMITS, MAX_SWEEP, Rejection, SealedBidAuction, Standing, deposit,
    reveal_until,
    state::{Checked, Next, Situation},
    storage::Sealed,
};
use crate::{
    AttoFil, Time,
    model::{self, Command, Status, Terms, is_masked_id},
};

impl SealedBidAuction {
    pub(super) fn commit(
        &mut self,
        sender: Address,
        terms: &Terms,
        commitment: B256,
        at: &Situation<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Checked {
        self.check_terms(terms, at)?;
        let job = at.job;
        match at.status {
            Status::Open => {}
            Status::None => return Err(model::Rejection::UnknownJob(job).into()),
            found => return Err(Rejection::NotOpen { job, found }),
        }
        if self.storage.sealed(job, sender).is_some() {
            return Err(Rejection::AlreadyCommitted { job, bidder: sender });
        }
        if sender == terms.client || sender.is_zero() || is_masked_id(sender) {
            return Err(Rejection::InvalidBidder(sender));
        }
        if at.now >= terms.ramp_start {
            let until = Time(terms.ramp_start.0.saturating_sub(1));
            return Err(model::Rejection::TooLate { time: at.now, until }.into());
        }
        let auction = self.storage.auction(job);
        let order = auction.commits.saturating_add(1);
        if order > MAX_COMMITS {
            return Err(model::Rejection::TooMany(order.into()).into());
        }
        let deposit = deposit(terms);
        self.storage.debit(sender, deposit)?;
        self.storage.totals.burn(deposit);
        self.storage.set_auction(job, Some(Auction { commits: order, ..auction }));
        self.storage.set_sealed(job, sender, Some(Sealed { order, commitment }));
        emit(Event::BidCommitted { job, bidder: sender, commitment, order });
        Ok(())
    }

    pub(super) fn reveal(
        &mut self,
        sender: Address,
        terms: &Terms,
        price: AttoFil,
        nonce: B256,
        at: &Situation<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Checked {
        self.check_terms(terms, at)?;
        let job = at.job;
        let sealed = self.storage.sealed(job, sender).ok_or(Rejection::NoCommitment { job, bidder: sender })?;
        if at.now < terms.ramp_start {
            return Err(model::Rejection::TooEarly { time: at.now, from: terms.ramp_start }.into());
        }
        check_until(reveal_until(terms), at)?;
        if !(at.seals)(sealed.commitment, &Bid { job, bidder: sender, price, nonce }) {
            return Err(Rejection::WrongReveal { job, bidder: sender });
        }
        terms.check_price(price, self.quantum)?;
        let (deposit, collateral) = (deposit(terms), terms.collateral);
        let ranked = self.storage.auction(job).with(Standing { bidder: sender, price, order: sealed.order });
        if ranked.is_some() {
            let balance = AttoFil(self.storage.balance(sender).0.saturating_add(deposit.0));
            if balance < collateral {
                return Err(
                    model::Rejection::InsufficientBalance { account: sender, balance, needed: collateral }.into()
                );
            }
        }
        self.storage.set_sealed(job, sender, None);
        self.storage.totals.unburn(deposit);
        self.storage.credit(sender, deposit);
        if let Some((auction, displaced)) = ranked {
            self.storage.set_auction(job, Some(auction));
            self.storage.debit(sender, collateral)?;
            match displaced {
                Some(displaced) => self.storage.credit(displaced.bidder, collateral),
                None => self.storage.totals.stake(collateral),
            }
        }
        emit(Event::BidRevealed { job, bidder: sender, price });
        Ok(())
    }

    pub(super) fn award(
        &mut self,
        terms: &Terms,
        at: &Situation<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Result<Next, Rejection> {
        self.check_terms(terms, at)?;
        let job = at.job;
        let auction = self.storage.auction(job);
        let (winner, price) = auction.award(terms.max_price).ok_or(Rejection::NothingToAward(job))?;
        check_after(reveal_until(terms), at)?;
        check_until(terms.lock_by, at)?;
        let collateral = terms.collateral;
        if let Some(second) = auction.second {
            self.give_back(second.bidder, collateral);
        }
        self.storage.totals.unstake(collateral);
        self.storage.totals.pay_out(collateral);
        self.storage.set_auction(job, None);
        emit(Event::AuctionAwarded { job, winner, price });
        let command = Command::Award { terms: terms.clone(), provider: winner, price };
        Ok(Next::CallMarket { deposit: collateral, command: command.into() })
    }

    pub(super) fn cancel(
        &mut self,
        sender: Address,
        terms: &Terms,
        at: &Situation<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Result<Next, Rejection> {
        check_matcher(terms, at)?;
        let job = at.job;
        let auction = self.storage.auction(job);
        if auction.best.is_some() {
            return Err(Rejection::HasBids(job));
        }
        if auction.commits > 0 {
            check_after(reveal_until(terms), at)?;
        } else if !has_passed(reveal_until(terms), terms, at) && sender != terms.client {
            return Err(model::Rejection::WrongSender { sender, wanted: terms.client }.into());
        }
        self.storage.set_auction(job, None);
        emit(Event::AuctionCancelled { job });
        let command = Command::Cancel { terms: terms.clone() };
        Ok(Next::CallMarket { deposit: AttoFil::ZERO, command: command.into() })
    }

    pub(super) fn release(&mut self, terms: &Terms, at: &Situation<'_>, emit: &mut dyn FnMut(Event)) -> Checked {
        self.check_terms(terms, at)?;
        let job = at.job;
        let auction = self.storage.auction(job);
        if auction.commits == 0 {
            return Err(Rejection::NoAuction(job));
        }
        check_after(terms.lock_by, at)?;
        for standing in [auction.best, auction.second].into_iter().flatten() {
            self.give_back(standing.bidder, terms.collateral);
        }
        self.storage.set_auction(job, None);
        emit(Event::AuctionReleased { job });
        Ok(())
    }

    pub(super) fn sweep(
        &mut self,
        terms: &Terms,
        bidders: &[Address],
        at: &Situation<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Checked {
        self.check_terms(terms, at)?;
        check_after(reveal_until(terms), at)?;
        if bidders.len() > MAX_SWEEP {
            return Err(model::Rejection::TooMany(bidders.len() as u64).into());
        }
        let job = at.job;
        for bidder in bidders.iter().copied() {
            if self.storage.sealed(job, bidder).is_some() {
                self.storage.set_sealed(job, bidder, None);
                emit(Event::CommitmentSwept { job, bidder });
            }
        }
        Ok(())
    }

    fn give_back(&mut self, bidder: Address, collateral: AttoFil) {
        self.storage.totals.unstake(collateral);
        self.storage.credit(bidder, collateral);
    }

    /// What is wrong with terms for an auction here, apart from the matcher.
    #[must_use]
    pub fn fault(&self, terms: &Terms) -> Option<AuctionFault> {
        if terms.min_price >= terms.max_price {
            Some(AuctionFault::NoRange)
        } else if terms.ramp_period < u64::from(self.min_reveal_period) {
            Some(AuctionFault::RevealPeriod)
        } else if reveal_until(terms) >= terms.lock_by {
            Some(AuctionFault::TooLong)
        } else {
            None
        }
    }

    fn check_terms(&self, terms: &Terms, at: &Situation<'_>) -> Checked {
        check_matcher(terms, at)?;
        self.fault(terms).map_or(Ok(()), |fault| Err(Rejection::BadAuction(fault)))
    }
}

fn check_matcher(terms: &Terms, at: &Situation<'_>) -> Checked {
    if terms.matcher == at.here { Ok(()) } else { Err(Rejection::NotTheMatcher(terms.matcher)) }
}

/// Refuses what is done after `until`.
fn check_until(until: Time, at: &Situation<'_>) -> Checked {
    if at.now > until { Err(model::Rejection::TooLate { time: at.now, until }.into()) } else { Ok(()) }
}

/// Refuses what is done until `deadline`.
fn check_after(deadline: Time, at: &Situation<'_>) -> Checked {
    if at.now > deadline {
        Ok(())
    } else {
        Err(model::Rejection::TooEarly { time: at.now, from: deadline.after(1) }.into())
    }
}

/// Whether the reveals are over, of terms that may not fit an auction: a sum that time cannot count never passes.
fn has_passed(reveal_until: Time, terms: &Terms, at: &Situation<'_>) -> bool {
    let is_exact = reveal_until.0.checked_sub(terms.ramp_period) == Some(terms.ramp_start.0);
    is_exact && at.now > reveal_until
}
