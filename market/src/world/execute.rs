//! Executing calls: money moves with them, contracts call out, and what fails has not happened.
//!
//! Calls nest through scripts, and no deeper than there are contracts: what a market lets in while it calls out (to deposit
//! and to open) never calls out itself.

use core::slice;

use alloy_primitives::{Address, B256, Bytes};

use super::{
    Call, CallError, Contract, ContractCommand, Deployed, End, Env, ExternalCall, Log, Occasion, Savepoint, Script,
    World,
};
use crate::{
    AttoFil, Time,
    model::{self, Callback, Callee, Command, Event, JobId, Market, Next, Payout, Pull, Rejection, Signed, Terms},
};

impl World {
    /// Executes a call. What contracts say is added to `log`, in the order in which they say it.
    ///
    /// # Errors
    /// When the call is refused: then nothing has changed, and nothing was said.
    pub fn execute<E: Env>(&mut self, call: &Call, env: &mut E, log: &mut Vec<Log>) -> Result<(), CallError> {
        let Call { sender, contract, value, command: ContractCommand::Market(command) } = call;
        self.execute_on_market(*sender, *contract, *value, command, env, log)
    }

    /// Executes a call of a market; see [`World::execute`].
    ///
    /// # Errors
    /// As [`World::execute`].
    pub fn execute_on_market<E: Env>(
        &mut self,
        sender: Address,
        market: Address,
        value: AttoFil,
        command: &Command,
        env: &mut E,
        log: &mut Vec<Log>,
    ) -> Result<(), CallError> {
        let index = self.index_of(market).ok_or(CallError::NoContract(market))?;
        if self.index_of(sender).is_some() {
            return Err(CallError::SenderIsContract(sender));
        }
        if value != AttoFil::ZERO {
            if !command.is_payable() {
                return Err(CallError::NotPayable { value });
            }
            self.wallets.transfer(sender, market, value).map_err(|wallet| CallError::Unaffordable {
                account: sender,
                wallet,
                needed: value,
            })?;
        }
        let mut frame = Frame { world: self, index, market, env, log };
        let outcome = match frame.step(sender, value, command) {
            Ok(Next::Done) => Ok(()),
            Ok(Next::Run(calls)) => frame.multicall(sender, calls),
            Ok(next) => frame.finish(next),
            Err(rejection) => Err(rejection),
        };
        outcome.map_err(|rejection| {
            // Whatever a refused command has done is undone already, so the money is still there.
            let returned = self.wallets.transfer(market, sender, value);
            debug_assert_eq!(returned, Ok(()), "the market lost what was sent along with a refused command");
            CallError::Rejected(rejection)
        })
    }

    fn index_of(&self, address: Address) -> Option<usize> {
        self.contracts.iter().position(|deployed| deployed.address == address)
    }

    fn close(&mut self, savepoint: Savepoint, keep: bool) {
        if keep {
            self.keep(savepoint);
        } else {
            self.roll_back(savepoint);
        }
    }

    /// Runs the code of somebody; says whether it succeeded. If not, nothing of what it did has happened.
    fn run<E: Env>(&mut self, script: &Script, env: &mut E, log: &mut Vec<Log>) -> bool {
        if script.calls.is_empty() {
            return script.end == End::Return;
        }
        let (savepoint, said) = (self.savepoint(), log.len());
        let mut calls = script.calls.iter();
        let succeeded = calls.all(|scripted| self.execute(&scripted.call, env, log).is_ok() || scripted.may_fail)
            && script.end == End::Return;
        self.close(savepoint, succeeded);
        if !succeeded {
            log.truncate(said);
        }
        succeeded
    }
}

/// The execution of one command on one market.
struct Frame<'f, E> {
    world: &'f mut World,
    /// Where the market is among the contracts.
    index: usize,
    market: Address,
    env: &'f mut E,
    log: &'f mut Vec<Log>,
}

impl<E: Env> Frame<'_, E> {
    fn state(&mut self) -> &mut Market {
        let Deployed { contract: Contract::Market(market), .. } = &mut self.world.contracts[self.index];
        market
    }

    /// What the market does by itself.
    fn step<'c>(&mut self, sender: Address, value: AttoFil, command: &'c Command) -> Result<Next<'c>, Rejection> {
        let Self { world, index, market, env, log } = self;
        let Deployed { contract: Contract::Market(state), .. } = &mut world.contracts[*index];
        let mut emit = |event: Event| log.push(Log { contract: *market, event: event.into() });
        state.execute(sender, value, command, &Surroundings { market: *market, env: &**env }, &mut emit)
    }

    /// What is due after that.
    fn finish(&mut self, next: Next<'_>) -> Result<(), Rejection> {
        match next {
            Next::Done => Ok(()),
            Next::Run(calls) => {
                debug_assert!(calls.is_empty(), "calls are run by `multicall`");
                Ok(())
            }
            Next::PullIn(pull) => self.pull_in(pull),
            Next::PayOut(payout) => self.pay_out(payout),
            Next::CallBack(callback) => self.call_back(&callback),
        }
    }

    /// Executes the calls of a multicall, and of those within it, until the first refusal, which undoes all of them. An
    /// explicit stack: nesting costs no call frames.
    fn multicall(&mut self, sender: Address, calls: &[Command]) -> Result<(), Rejection> {
        let (savepoint, said) = (self.world.savepoint(), self.log.len());
        let outcome = self.sequence(sender, calls);
        self.world.close(savepoint, outcome.is_ok());
        if outcome.is_err() {
            self.log.truncate(said);
        }
        outcome
    }

    fn sequence(&mut self, sender: Address, calls: &[Command]) -> Result<(), Rejection> {
        let mut stack: Vec<slice::Iter<'_, Command>> = vec![calls.iter()];
        while let Some(calls) = stack.last_mut() {
            let Some(call) = calls.next() else {
                stack.pop();
                continue;
            };
            match self.step(sender, AttoFil::ZERO, call)? {
                Next::Run(inner) => stack.push(inner.iter()),
                next => self.finish(next)?,
            }
        }
        Ok(())
    }

    /// The tokens come in.
    fn pull_in(&mut self, pull: Pull<'_>) -> Result<(), Rejection> {
        Err(Rejection::TransferFailed(pull.account))
    }

    /// The recipient gets the money, and then runs; if it refuses, nothing has happened.
    fn pay_out(&mut self, payout: Payout) -> Result<(), Rejection> {
        let failed = Rejection::TransferFailed(payout.to);
        let script = self.script(payout.to, Occasion::Payout { amount: payout.amount });
        if script.calls.is_empty() {
            return if script.end == End::Return { self.transfer(payout) } else { Err(failed) };
        }
        let (savepoint, said) = (self.world.savepoint(), self.log.len());
        let outcome = self.transfer(payout).and_then(|()| {
            self.state().calling = Callee::Payee;
            let accepted = self.world.run(&script, self.env, self.log);
            self.state().calling = Callee::Nobody;
            if accepted { Ok(()) } else { Err(failed) }
        });
        self.world.close(savepoint, outcome.is_ok());
        if outcome.is_err() {
            self.log.truncate(said);
        }
        outcome
    }

    fn transfer(&mut self, payout: Payout) -> Result<(), Rejection> {
        let Self { world, index, market, log, .. } = self;
        let Deployed { contract: Contract::Market(state), .. } = &mut world.contracts[*index];
        let mut emit = |event: Event| log.push(Log { contract: *market, event: event.into() });
        state.pay_out(payout, &mut emit)?;
        let paid = world.wallets.transfer(*market, payout.to, payout.amount);
        debug_assert_eq!(paid, Ok(()), "the market holds what is in its books");
        Ok(())
    }

    /// Tells the client; that its code fails changes nothing but what is remembered about the callback.
    fn call_back(&mut self, callback: &Callback<'_>) -> Result<(), Rejection> {
        let Terms { client, callback_gas: gas, .. } = *callback.terms;
        let has_code = self.world.contract(client).is_some() || self.env.has_code(client);
        if !has_code && !callback.retried {
            self.state().owes_no_callback(callback);
            return Ok(());
        }
        let occasion = Occasion::Callback { job: callback.job, gas, outcome: callback.outcome };
        let script = self.script(client, occasion);
        self.state().calling = Callee::Client;
        let delivered = self.world.run(&script, self.env, self.log);
        self.state().calling = Callee::Nobody;
        let Self { world, index, market, log, .. } = self;
        let Deployed { contract: Contract::Market(state), .. } = &mut world.contracts[*index];
        state.called_back(callback, delivered, &mut |event| log.push(Log { contract: *market, event: event.into() }))
    }

    /// A market is no client, and takes no money but with its commands.
    fn script(&mut self, callee: Address, occasion: Occasion<'_>) -> Script {
        match self.world.contract(callee) {
            Some(Contract::Market(_)) => Script::ending(End::Revert),
            None => self.env.script(&ExternalCall { caller: self.market, callee, occasion }),
        }
    }
}

/// What one market may ask.
struct Surroundings<'a, E> {
    market: Address,
    env: &'a E,
}

impl<E: Env> model::Env for Surroundings<'_, E> {
    fn now(&self) -> Time {
        self.env.now()
    }

    fn job_id(&self, terms: &Terms) -> JobId {
        self.env.job_id(self.market, terms)
    }

    fn spec_digest(&self, spec: &Bytes) -> B256 {
        self.env.spec_digest(spec)
    }

    fn foreign_chain(&self) -> Option<u64> {
        self.env.foreign_chain()
    }

    fn signature_valid(&self, client: Address, what: &Signed<'_>, signature: &Bytes) -> bool {
        self.env.signature_valid(self.market, client, what, signature)
    }
}
