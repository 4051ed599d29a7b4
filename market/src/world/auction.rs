//! Executing calls of auctions, and what they ask their markets.

use alloy_primitives::Address;

use super::{CallError, Contract, Env, Log, World, beside::Till};
use crate::{
    AttoFil,
    auction::{Command, Event, Next, Rejection, SealedBidAuction, Situation},
    model::{self, JobId, Status},
};

impl World {
    /// Executes a call of an auction; see [`World::execute`].
    ///
    /// # Errors
    /// As [`World::execute`].
    pub fn execute_on_auction<E: Env>(
        &mut self,
        sender: Address,
        auction: Address,
        value: AttoFil,
        command: &Command,
        env: &mut E,
        log: &mut Vec<Log>,
    ) -> Result<(), CallError> {
        let index = self.index_of(auction).ok_or(CallError::NoContract(auction))?;
        if !matches!(self.contracts[index].contract, Contract::Auction(_)) {
            return Err(CallError::NoSuchFunction(auction));
        }
        self.check_sender(sender)?;
        self.send_along(sender, auction, value, command.is_payable())?;
        // What the auction does comes before what it asks of others: if they refuse, it is undone.
        let (savepoint, said) = (self.savepoint(), log.len());
        let outcome = Frame { world: self, index, auction, env, log }.execute(sender, value, command);
        self.close(savepoint, outcome.is_ok());
        outcome.map_err(|rejection| {
            log.truncate(said);
            let returned = self.wallets.transfer(auction, sender, value);
            debug_assert_eq!(returned, Ok(()), "the auction lost what was sent along with a refused command");
            CallError::RejectedByAuction(rejection)
        })
    }
}

/// The execution of one command on one auction.
struct Frame<'f, E> {
    world: &'f mut World,
    /// Where the auction is among the contracts.
    index: usize,
    auction: Address,
    env: &'f mut E,
    log: &'f mut Vec<Log>,
}

impl<E: Env> Frame<'_, E> {
    fn execute(&mut self, sender: Address, value: AttoFil, command: &Command) -> Result<(), Rejection> {
        let market = self.state().market();
        let job = command.terms().map_or(JobId::default(), |terms| self.env.job_id(market, terms));
        let status = self.world.market(market).map_or(Status::None, |market| market.deal(job).status);
        let Self { world, index, auction, env, log } = self;
        let (here, env) = (*auction, &**env);
        let seals = |commitment, bid: &_| env.seals(here, commitment, bid);
        let situation = Situation { now: env.now(), here, job, status, seals: &seals };
        let mut emit = |event: Event| log.push(Log { contract: here, event: event.into() });
        match auction_in(world, *index).execute(sender, value, command, &situation, &mut emit)? {
            Next::Done => Ok(()),
            Next::PullIn(amount) => self.pull_in(sender, amount),
            Next::PayOut { to, amount } => self.while_calling(|frame| frame.pay_out(to, amount)),
            Next::CallMarket { deposit, command } => {
                self.while_calling(|frame| frame.ask_market(market, deposit, &command))
            }
        }
    }

    fn state(&mut self) -> &mut SealedBidAuction {
        auction_in(self.world, self.index)
    }

    /// Meanwhile the auction lets nobody in.
    fn while_calling<T>(&mut self, action: impl FnOnce(&mut Self) -> T) -> T {
        self.state().calling = true;
        let outcome = action(self);
        self.state().calling = false;
        outcome
    }

    /// The tokens come in, and exactly as many as were asked for.
    fn pull_in(&mut self, from: Address, amount: AttoFil) -> Result<(), Rejection> {
        let (here, till) = (self.auction, self.till());
        self.while_calling(|frame| frame.world.take_in(till, from, amount, frame.env, frame.log))?;
        if !self.state().has_room_for(amount) {
            return Err(model::Rejection::TransferFailed(here).into());
        }
        let Self { world, index, log, .. } = self;
        auction_in(world, *index).funded(from, amount, &mut |event| {
            log.push(Log { contract: here, event: event.into() });
        });
        Ok(())
    }

    fn pay_out(&mut self, to: Address, amount: AttoFil) -> Result<(), Rejection> {
        let till = self.till();
        Ok(self.world.give_out(till, to, amount, self.env, self.log)?)
    }

    fn till(&mut self) -> Till {
        Till { contract: self.auction, asset: self.state().asset() }
    }

    /// Brings the collateral to the market, and gives it a command.
    fn ask_market(&mut self, market: Address, deposit: AttoFil, command: &model::Command) -> Result<(), Rejection> {
        let till = self.till();
        let Self { world, auction, env, log, .. } = self;
        if deposit != AttoFil::ZERO {
            world.bring_to_market(till, market, deposit, *env, log)?;
        }
        Ok(world.ask_market(*auction, market, AttoFil::ZERO, command, *env, log)?)
    }
}

/// The auction at a place where [`World::execute_on_auction`] has found one; contracts do not change their kind.
fn auction_in(world: &mut World, index: usize) -> &mut SealedBidAuction {
    match &mut world.contracts[index].contract {
        Contract::Auction(auction) => auction,
        Contract::Market(_)
        | Contract::Blessing(_)
        | Contract::FilecoinPay(_)
        | Contract::Granter(_)
        | Contract::FilecoinPayDeals(_) => {
            unreachable!("a frame is of an auction")
        }
    }
}
