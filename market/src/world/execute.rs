//! Executing calls: money moves with them, contracts call out, and what fails has not happened.
//!
//! Calls nest through scripts, and no deeper than twice the number of contracts: what a market lets in while it calls a client back
//! (deposits, and to open) calls nobody but its token, and while it does that it lets nothing in.

use core::slice;

use alloy_primitives::{Address, B256, Bytes};

use super::{
    Answer, Call, CallError, Contract, ContractCommand, Deployed, End, Env, ExternalCall, Log, Occasion, Savepoint,
    Script, TokenTransfer, World,
};
use crate::{
    AttoFil, Time,
    model::{
        self, Callback, Callee, Command, Event, JobId, Market, Means, Next, Payout, Pull, Rejection, Signed, Terms,
    },
};

impl World {
    /// Executes a call. What contracts say is added to `log`, in the order in which they say it.
    ///
    /// # Errors
    /// When the call is refused: then nothing has changed, and nothing was said.
    pub fn execute<E: Env>(&mut self, call: &Call, env: &mut E, log: &mut Vec<Log>) -> Result<(), CallError> {
        let Call { sender, contract, value, command } = call;
        match command {
            ContractCommand::Market(command) => self.execute_on_market(*sender, *contract, *value, command, env, log),
            ContractCommand::Auction(command) => self.execute_on_auction(*sender, *contract, *value, command, env, log),
            ContractCommand::Blessing(command) => {
                self.execute_on_blessing(*sender, *contract, *value, command, env, log)
            }
            ContractCommand::FilecoinPay(command) => {
                self.execute_on_filecoin_pay(*sender, *contract, *value, command, env, log)
            }
            ContractCommand::FilecoinPayDeals(command) => {
                self.execute_on_filecoin_pay_deals(*sender, *contract, *value, command, env, log)
            }
            ContractCommand::Granter(command) => self.execute_on_granter(*sender, *contract, *value, command, env, log),
        }
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
        self.check_sender(sender)?;
        self.call_market(sender, market, value, command, env, log)
    }

    /// The same for whoever sends, contracts of this world included.
    pub(super) fn call_market<E: Env>(
        &mut self,
        sender: Address,
        market: Address,
        value: AttoFil,
        command: &Command,
        env: &mut E,
        log: &mut Vec<Log>,
    ) -> Result<(), CallError> {
        let index = self.index_of(market).ok_or(CallError::NoContract(market))?;
        if !matches!(self.contracts[index].contract, Contract::Market(_)) {
            return Err(CallError::NoSuchFunction(market));
        }
        self.send_along(sender, market, value, command.is_payable())?;
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

    /// A contract acts by its own code only.
    pub(super) fn check_sender(&self, sender: Address) -> Result<(), CallError> {
        if self.index_of(sender).is_some() { Err(CallError::SenderIsContract(sender)) } else { Ok(()) }
    }

    /// What is sent along with a command moves before it is executed.
    pub(super) fn send_along(
        &mut self,
        sender: Address,
        contract: Address,
        value: AttoFil,
        is_payable: bool,
    ) -> Result<(), CallError> {
        if value == AttoFil::ZERO {
            return Ok(());
        }
        if !is_payable {
            return Err(CallError::NotPayable { value });
        }
        let sent = self.wallets.transfer(sender, contract, value);
        sent.map_err(|wallet| CallError::Unaffordable { account: sender, wallet, needed: value })
    }

    pub(super) fn index_of(&self, address: Address) -> Option<usize> {
        self.contracts.iter().position(|deployed| deployed.address == address)
    }

    pub(super) fn close(&mut self, savepoint: Savepoint, keep: bool) {
        if keep {
            self.keep(savepoint);
        } else {
            self.roll_back(savepoint);
        }
    }

    /// Runs the code of somebody; says whether it succeeded. If not, nothing of what it did has happened.
    pub(super) fn run<E: Env>(&mut self, script: &Script, env: &mut E, log: &mut Vec<Log>) -> bool {
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
        market_in(&mut self.world.contracts[self.index])
    }

    /// What the market does by itself.
    fn step<'c>(&mut self, sender: Address, value: AttoFil, command: &'c Command) -> Result<Next<'c>, Rejection> {
        let Self { world, index, market, env, log } = self;
        let state = market_in(&mut world.contracts[*index]);
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

    /// Does something of which, when it fails, nothing has happened.
    fn attempt(&mut self, action: impl FnOnce(&mut Self) -> Result<(), Rejection>) -> Result<(), Rejection> {
        let (savepoint, said) = (self.world.savepoint(), self.log.len());
        let outcome = action(self);
        self.world.close(savepoint, outcome.is_ok());
        if outcome.is_err() {
            self.log.truncate(said);
        }
        outcome
    }

    /// Executes the calls of a multicall, and of those within it, until the first refusal, which undoes all of them. An
    /// explicit stack: nesting costs no call frames.
    fn multicall(&mut self, sender: Address, calls: &[Command]) -> Result<(), Rejection> {
        self.attempt(|frame| frame.sequence(sender, calls))
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

    /// The tokens come in, and exactly as many as were asked for; or nothing has happened.
    fn pull_in(&mut self, pull: Pull<'_>) -> Result<(), Rejection> {
        self.attempt(|frame| {
            let Pull { payer, amount, means, .. } = pull;
            let (token, market) = (frame.asset(), frame.market);
            let refused = Rejection::TransferFailed(market);
            let authorized = match means {
                Means::Allowance => false,
                Means::Permit(permit) => {
                    if frame.env.permit_valid(token, payer, market, amount, permit) {
                        frame.world.approve(token, payer, market, amount);
                    }
                    false
                }
                Means::Authorization(authorization) => {
                    if !frame.env.authorization_valid(token, payer, market, amount, authorization) {
                        return Err(refused);
                    }
                    true
                }
            };
            let before = frame.world.token_wallet(token, market);
            let transfer = TokenTransfer { token, caller: market, from: payer, to: market, amount };
            if !frame.move_tokens(&transfer, authorized) {
                return Err(refused);
            }
            require_moved(amount, before, frame.world.token_wallet(token, market))?;
            if !frame.state().has_room_for(amount) {
                return Err(refused);
            }
            frame.say(|state, emit| state.pulled_in(pull, emit));
            Ok(())
        })
    }

    /// The recipient gets the money, and then runs; if it refuses, nothing has happened.
    fn pay_out(&mut self, payout: Payout) -> Result<(), Rejection> {
        let failed = Rejection::TransferFailed(payout.to);
        if self.state().settings().is_token() {
            return self.attempt(|frame| {
                frame.take_out(payout)?;
                let (token, market) = (frame.asset(), frame.market);
                let before = frame.world.token_wallet(token, market);
                let Payout { to, amount, .. } = payout;
                let transfer = TokenTransfer { token, caller: market, from: market, to, amount };
                if !frame.move_tokens(&transfer, true) {
                    return Err(failed);
                }
                require_moved(amount, frame.world.token_wallet(token, market), before)
            });
        }
        let script = self.script(payout.to, Occasion::Payout { amount: payout.amount });
        if script.calls.is_empty() {
            return if script.end == End::Return { self.transfer(payout) } else { Err(failed) };
        }
        self.attempt(|frame| {
            frame.transfer(payout)?;
            if frame.run(Callee::Payee, &script) { Ok(()) } else { Err(failed) }
        })
    }

    fn transfer(&mut self, payout: Payout) -> Result<(), Rejection> {
        self.take_out(payout)?;
        let paid = self.world.wallets.transfer(self.market, payout.to, payout.amount);
        debug_assert_eq!(paid, Ok(()), "the market holds what is in its books");
        Ok(())
    }

    /// The money leaves the books.
    fn take_out(&mut self, payout: Payout) -> Result<(), Rejection> {
        self.say(|state, emit| state.pay_out(payout, emit))
    }

    /// The token does what it is asked to, or something else; says whether it did not refuse. What it did when it refused is to be
    /// undone.
    fn move_tokens(&mut self, transfer: &TokenTransfer, authorized: bool) -> bool {
        let conduct = self.env.conduct(transfer);
        let Some(token) = self.world.token_mut(transfer.token) else { return false };
        let allowed = authorized || token.spend_allowance(transfer.from, transfer.caller, transfer.amount);
        allowed
            && token.carry_out(transfer, &conduct)
            && self.run(Callee::Payee, &conduct.script)
            && conduct.answer != Answer::NotTrue
    }

    fn asset(&mut self) -> Address {
        self.state().settings().asset
    }

    /// Has the market change, and say so.
    fn say<T>(&mut self, change: impl FnOnce(&mut Market, &mut dyn FnMut(Event)) -> T) -> T {
        let Self { world, index, market, log, .. } = self;
        let state = market_in(&mut world.contracts[*index]);
        change(state, &mut |event| log.push(Log { contract: *market, event: event.into() }))
    }

    /// Runs somebody's code, during which the market lets in what it lets in while it calls such a callee.
    fn run(&mut self, callee: Callee, script: &Script) -> bool {
        let before = core::mem::replace(&mut self.state().calling, callee);
        let succeeded = self.world.run(script, self.env, self.log);
        self.state().calling = before;
        succeeded
    }

    /// Tells the client; that its code fails changes nothing but what is remembered about the callback.
    fn call_back(&mut self, callback: &Callback<'_>) -> Result<(), Rejection> {
        let Terms { client, callback_gas: gas, .. } = *callback.terms;
        let has_code = self.world.has_contract(client) || self.env.has_code(client);
        if !has_code && !callback.retried {
            self.state().owes_no_callback(callback);
            return Ok(());
        }
        let delivered = if let Some(Contract::FilecoinPayDeals(_)) = self.world.contract(client) {
            // It calls nobody meanwhile, and believes its market.
            self.world.tell_job_ended(self.market, client, callback.job, callback.outcome, self.log).is_ok()
        } else {
            let occasion = Occasion::Callback { job: callback.job, gas, outcome: callback.outcome };
            let script = self.script(client, occasion);
            self.run(Callee::Client, &script)
        };
        self.say(|state, emit| state.called_back(callback, delivered, emit))
    }

    /// Other contracts of this world are no clients, and none takes money but with its commands.
    fn script(&mut self, callee: Address, occasion: Occasion<'_>) -> Script {
        if self.world.has_contract(callee) {
            return Script::ending(End::Revert);
        }
        self.env.script(&ExternalCall { caller: self.market, callee, occasion })
    }
}

/// The market at a place where [`World::call_market`] has found one; contracts do not change their kind.
fn market_in(deployed: &mut Deployed) -> &mut Market {
    match &mut deployed.contract {
        Contract::Market(market) => market,
        Contract::Auction(_)
        | Contract::Blessing(_)
        | Contract::FilecoinPay(_)
        | Contract::Granter(_)
        | Contract::FilecoinPayDeals(_) => {
            unreachable!("a frame is of a market")
        }
    }
}

/// What a contract's own balance says was moved must be what was asked for.
pub(super) fn require_moved(asked: AttoFil, less: AttoFil, more: AttoFil) -> Result<(), Rejection> {
    let moved = more.saturating_sub(less);
    if moved == asked { Ok(()) } else { Err(Rejection::TransferMismatch { asked, moved }) }
}

/// What one market may ask.
struct Surroundings<'a, E> {
    market: Address,
    env: &'a E,
}

impl<E: Env> model::Env for Surroundings<'_, E> {
    fn here(&self) -> Address {
        self.market
    }

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
