//! Executing calls of `FilecoinPayDeals`, what it asks of its market and of Filecoin Pay, and what they tell it.

use alloy_primitives::{Address, Bytes};

use super::{CallError, Contract, Env, Log, World, beside::Till};
use crate::{
    AttoFil,
    filecoin_pay_deals::{
        Command, Event, FilecoinPayDeals, Lock, Order, Rejection, Situation, lane_of_payer, require_sender,
    },
    model::{self, JobId, JobResult, Reason, Terms},
};

impl World {
    /// Executes a call of a `FilecoinPayDeals`; see [`World::execute`].
    ///
    /// # Errors
    /// As [`World::execute`].
    pub fn execute_on_filecoin_pay_deals<E: Env>(
        &mut self,
        sender: Address,
        deals: Address,
        value: AttoFil,
        command: &Command,
        env: &mut E,
        log: &mut Vec<Log>,
    ) -> Result<(), CallError> {
        let index = self.index_of(deals).ok_or(CallError::NoContract(deals))?;
        if !matches!(self.contracts[index].contract, Contract::FilecoinPayDeals(_)) {
            return Err(CallError::NoSuchFunction(deals));
        }
        self.check_sender(sender)?;
        self.send_along(sender, deals, value, command.is_payable())?;
        // What the contract does comes before what it asks of others: if they refuse, it is undone.
        let (savepoint, said) = (self.savepoint(), log.len());
        let outcome = Frame { world: self, index, deals, env, log }.execute(sender, value, command);
        self.close(savepoint, outcome.is_ok());
        outcome.map_err(|rejection| {
            log.truncate(said);
            let returned = self.wallets.transfer(deals, sender, value);
            debug_assert_eq!(returned, Ok(()), "the contract lost what was sent along with a refused command");
            CallError::RejectedByFilecoinPayDeals(rejection)
        })
    }

    /// Tells a `FilecoinPayDeals`, as `ILotaClient`, that a job has ended: with a result, or for another reason. Only its market is
    /// believed.
    ///
    /// # Errors
    /// When there is no such contract, or it does not believe the sender: then nothing has changed, and nothing was said.
    pub fn tell_job_ended(
        &mut self,
        sender: Address,
        deals: Address,
        job: JobId,
        outcome: Result<&JobResult, Reason>,
        log: &mut Vec<Log>,
    ) -> Result<(), CallError> {
        let index = self.index_of(deals).ok_or(CallError::NoContract(deals))?;
        let Contract::FilecoinPayDeals(state) = &mut self.contracts[index].contract else {
            return Err(CallError::NoSuchFunction(deals));
        };
        let mut emit = |event: Event| log.push(Log { contract: deals, event: event.into() });
        let told = match outcome {
            Ok(_) => state.on_job_result(sender, job, &mut emit),
            Err(reason) => state.on_job_failed(sender, job, reason, &mut emit),
        };
        told.map_err(CallError::RejectedByFilecoinPayDeals)
    }
}

/// The execution of one command on one contract.
struct Frame<'f, E> {
    world: &'f mut World,
    /// Where it is among the contracts.
    index: usize,
    deals: Address,
    env: &'f mut E,
    log: &'f mut Vec<Log>,
}

impl<E: Env> Frame<'_, E> {
    fn execute(&mut self, sender: Address, value: AttoFil, command: &Command) -> Result<(), Rejection> {
        let (here, epoch) = (self.deals, self.env.block_number());
        let Self { world, log, .. } = self;
        let done = match command {
            // Of rails alone: that the market or its token is being called does not matter to them.
            Command::Pay { rails } => world.pay_rails(here, rails, epoch, log),
            Command::Release { rail } => world.on_rails(here, epoch, log, |rails, calls| rails.release(*rail, calls)),
            Command::RenewRail { payee } => {
                world.on_rails(here, epoch, log, |rails, calls| rails.renew_rail(sender, *payee, calls.filecoin_pay))
            }
            _ => return self.execute_guarded(sender, value, command),
        };
        Ok(done?)
    }

    /// Meanwhile none of these is let in.
    fn execute_guarded(&mut self, sender: Address, value: AttoFil, command: &Command) -> Result<(), Rejection> {
        if core::mem::replace(&mut self.state().calling, true) {
            return Err(model::Rejection::Reentered.into());
        }
        let outcome = self.about_jobs(sender, value, command);
        self.state().calling = false;
        outcome
    }

    fn about_jobs(&mut self, sender: Address, value: AttoFil, command: &Command) -> Result<(), Rejection> {
        let job = command.terms().map_or(JobId::default(), |terms| self.job(terms));
        match command {
            Command::Open { order, spec, signature } => {
                self.open(sender, job, order, spec, signature)?;
                self.state().opened(job, order);
                Ok(())
            }
            Command::Take { order } => {
                self.state().require_open(job, order)?;
                self.state().forget_order(job);
                self.take(sender, value, job, order)
            }
            Command::OpenAndTake { order, spec, signature } => {
                if self.state().is_open(job, order) {
                    self.state().forget_order(job);
                } else {
                    self.open(sender, job, order, spec, signature)?;
                }
                self.take(sender, value, job, order)
            }
            Command::Cancel { order } => {
                self.state().require_open(job, order)?;
                require_sender(sender, order.payer)?;
                self.ask_market(&model::Command::Cancel { terms: order.terms.clone() })
            }
            Command::Accept { terms, receipt } => {
                self.state().check_accept(sender, job)?;
                self.ask_market(&model::Command::Accept { terms: terms.clone(), receipt: receipt.clone() })
            }
            Command::Revoke { up_to } => {
                self.ask_market(&model::Command::Revoke { lane: lane_of_payer(sender), up_to: *up_to })
            }
            Command::Withdraw { to } => {
                let amount = self.state().take_owed(sender);
                self.ask_market(&model::Command::Withdraw { to: *to, amount })
            }
            Command::Pay { .. } | Command::Release { .. } | Command::RenewRail { .. } => {
                debug_assert!(false, "these are about rails");
                Ok(())
            }
        }
    }

    /// Has the market open an order's job.
    fn open(
        &mut self,
        sender: Address,
        job: JobId,
        order: &Order,
        spec: &Bytes,
        signature: &Bytes,
    ) -> Result<(), Rejection> {
        let here = self.deals;
        let market = self.state().market();
        let Self { world, index, env, log, .. } = self;
        let env = &**env;
        let signed = |order: &Order, signature: &Bytes| env.order_signed(market, here, order, signature);
        let situation = Situation { here, job, foreign_chain: env.foreign_chain(), signed: &signed };
        let mut emit = |event: Event| log.push(Log { contract: here, event: event.into() });
        deals_in(world, *index).check_open(sender, order, signature, &situation, &mut emit)?;
        self.ask_market(&model::Command::Open { terms: order.terms.clone(), spec: spec.clone() })
    }

    /// Locks the price, brings the collateral, and awards the job to the sender.
    fn take(&mut self, sender: Address, value: AttoFil, job: JobId, order: &Order) -> Result<(), Rejection> {
        let (here, epoch) = (self.deals, self.env.block_number());
        let Lock { price, time } = FilecoinPayDeals::check_take(sender, order, self.env.now())?;
        let rail = self
            .world
            .on_rails(here, epoch, self.log, |rails, calls| rails.lock(order.payer, sender, price, time, calls))?;
        let Self { world, index, log, .. } = self;
        let mut emit = |event: Event| log.push(Log { contract: here, event: event.into() });
        deals_in(world, *index).taken(job, sender, order, price, rail, &mut emit);
        self.deposit(sender, value, order.terms.collateral)?;
        let (terms, provider) = (order.terms.clone(), sender);
        self.ask_market(&model::Command::Award { terms, provider, price: AttoFil::ZERO })
    }

    /// Brings the sender's collateral to the market, into this contract's account there.
    fn deposit(&mut self, sender: Address, value: AttoFil, collateral: AttoFil) -> Result<(), Rejection> {
        self.state().check_value(value, collateral)?;
        if collateral == AttoFil::ZERO {
            return Ok(());
        }
        let (till, market) = (Till { contract: self.deals, asset: self.state().asset() }, self.state().market());
        let Self { world, env, log, .. } = self;
        if !till.asset.is_zero() {
            world.take_in(till, sender, collateral, *env, log)?;
        }
        Ok(world.bring_to_market(till, market, collateral, *env, log)?)
    }

    fn ask_market(&mut self, command: &model::Command) -> Result<(), Rejection> {
        let market = self.state().market();
        Ok(self.world.ask_market(self.deals, market, AttoFil::ZERO, command, self.env, self.log)?)
    }

    fn job(&mut self, terms: &Terms) -> JobId {
        let market = self.state().market();
        self.env.job_id(market, terms)
    }

    fn state(&mut self) -> &mut FilecoinPayDeals {
        deals_in(self.world, self.index)
    }
}

/// The contract at a place where [`World::execute_on_filecoin_pay_deals`] has found it; contracts do not change their kind.
fn deals_in(world: &mut World, index: usize) -> &mut FilecoinPayDeals {
    let Contract::FilecoinPayDeals(found) = &mut world.contracts[index].contract else {
        unreachable!("a frame is of a FilecoinPayDeals")
    };
    found
}
