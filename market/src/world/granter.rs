//! Executing calls of granters, and whom they call.

use alloy_primitives::{Address, Bytes, U256};

use super::{CallError, Contract, Env, ExternalCall, Log, Occasion, World, beside::Till};
use crate::{
    AttoFil,
    filecoin_pay::rails::{self, Rails},
    granter::{ActorRequest, Command, Event, Granter, Kind, Next, Rejection, Situation},
};

impl World {
    /// Executes a call of a granter; see [`World::execute`].
    ///
    /// # Errors
    /// As [`World::execute`].
    pub fn execute_on_granter<E: Env>(
        &mut self,
        sender: Address,
        granter: Address,
        value: AttoFil,
        command: &Command,
        env: &mut E,
        log: &mut Vec<Log>,
    ) -> Result<(), CallError> {
        self.check_sender(sender)?;
        self.call_granter(sender, granter, value, command, env, log)
    }

    /// The same for whoever sends, contracts of this world included.
    pub(super) fn call_granter<E: Env>(
        &mut self,
        sender: Address,
        granter: Address,
        value: AttoFil,
        command: &Command,
        env: &mut E,
        log: &mut Vec<Log>,
    ) -> Result<(), CallError> {
        let index = self.index_of(granter).ok_or(CallError::NoContract(granter))?;
        match &self.contracts[index].contract {
            Contract::Granter(found) if found.has(command) => {}
            _ => return Err(CallError::NoSuchFunction(granter)),
        }
        self.send_along(sender, granter, value, command.is_payable())?;
        // What the granter does comes before what others do: if they refuse, it is undone.
        let (savepoint, said) = (self.savepoint(), log.len());
        let outcome = Frame { world: self, index, granter, env, log }.execute(sender, value, command);
        self.close(savepoint, outcome.is_ok());
        outcome.map_err(|rejection| {
            log.truncate(said);
            let returned = self.wallets.transfer(granter, sender, value);
            debug_assert_eq!(returned, Ok(()), "the granter lost what was sent along with a refused command");
            CallError::RejectedByGranter(rejection)
        })
    }

    /// Whether the granter at an address could grant an amount to a provider's recipient now (`checkGrant`), or why not; `None` when there is
    /// no granter of this world.
    pub fn check_grant<E: Env>(
        &self,
        granter: Address,
        provider: Address,
        recipient: &Bytes,
        amount: U256,
        env: &E,
    ) -> Option<Result<(), Rejection>> {
        let found = self.granter(granter)?;
        let situation = Situation {
            now: env.now(),
            here: granter,
            held: self.held_by(granter, found),
            allowance: &|allocator| self.datacap_allowance(allocator, granter, env),
            lockable: &|rails, payee, amount| self.lockable(granter, rails, payee, amount),
        };
        Some(found.check(provider, recipient, amount, &situation))
    }

    /// Whether a granter could promise an amount on a rail from its sponsor.
    fn lockable(&self, granter: Address, own: &Rails, payee: Address, amount: U256) -> Result<(), rails::Rejection> {
        let Some(Kind::FilecoinPay { sponsor, .. }) = self.granter(granter).map(Granter::kind) else { return Ok(()) };
        // It was there when the granter was deployed.
        let Some(filecoin_pay) = self.filecoin_pay(own.filecoin_pay()) else { return Ok(()) };
        own.require_lockable(*sponsor, payee, amount, 0, filecoin_pay, granter)
    }

    /// What a granter owns of its asset: all that is in its wallet.
    fn held_by(&self, granter: Address, found: &Granter) -> AttoFil {
        let asset = found.asset();
        if asset.is_zero() { self.wallet(granter) } else { self.token_wallet(asset, granter) }
    }

    fn datacap_allowance<E: Env>(&self, allocator: Address, granter: Address, env: &E) -> Result<U256, Bytes> {
        // Contracts of this world are no MetaAllocators, and Solidity does not call where nothing is.
        if self.has_contract(allocator) || !env.has_code(allocator) {
            return Err(Bytes::new());
        }
        env.datacap_allowance(allocator, granter)
    }
}

/// The execution of one command on one granter.
struct Frame<'f, E> {
    world: &'f mut World,
    /// Where the granter is among the contracts.
    index: usize,
    granter: Address,
    env: &'f mut E,
    log: &'f mut Vec<Log>,
}

impl<E: Env> Frame<'_, E> {
    fn execute(&mut self, sender: Address, value: AttoFil, command: &Command) -> Result<(), Rejection> {
        let (here, epoch) = (self.granter, self.env.block_number());
        let Self { world, log, .. } = self;
        match command {
            Command::Pay { rails } => return Ok(world.pay_rails(here, rails, epoch, log)?),
            Command::Release { rail } => {
                return Ok(world.on_rails(here, epoch, log, |rails, calls| rails.release(*rail, calls))?);
            }
            Command::RenewRail { payee } => {
                let renewed = world
                    .on_rails(here, epoch, log, |rails, calls| rails.renew_rail(sender, *payee, calls.filecoin_pay));
                return Ok(renewed?);
            }
            _ => {}
        }
        let till = Till { contract: self.granter, asset: self.state().asset() };
        match self.step(sender, value, command)? {
            Next::Done => Ok(()),
            Next::PullIn(amount) => {
                self.while_calling(|frame| frame.world.take_in(till, sender, amount, frame.env, frame.log))?;
                let Self { granter, log, .. } = self;
                Granter::funded(sender, amount, &mut |event| say(log, *granter, event));
                Ok(())
            }
            Next::PayOut { to, amount } => {
                Ok(self.while_calling(|frame| frame.world.give_out(till, to, amount, frame.env, frame.log))?)
            }
            Next::Lock { sponsor, to, amount } => {
                let Command::Grant(grant) = command else { return Ok(()) };
                let rail = self
                    .world
                    .on_rails(here, epoch, self.log, |rails, calls| rails.lock(sponsor, to, amount, 0, calls))?;
                let Self { world, index, log, .. } = self;
                granter_in(world, *index).locked(grant, rail, &mut |event| say(log, here, event));
                Ok(())
            }
            Next::AddVerifiedClient { client, amount } => {
                let request = ActorRequest::AddVerifiedClient { client: &client, amount };
                Granter::registered(self.env.ask_actor(self.granter, &request).as_ref(), amount)
            }
            Next::Allocate { allocator, client, amount } => {
                let before = self.datacap_of(&client)?;
                self.allocate(allocator, &client, amount)?;
                Granter::allocated(before, self.datacap_of(&client)?, amount)
            }
        }
    }

    /// What the granter does by itself.
    fn step(&mut self, sender: Address, value: AttoFil, command: &Command) -> Result<Next, Rejection> {
        let here = self.granter;
        let allowance = match self.state().kind() {
            Kind::MetaAllocator { allocator } => {
                let allocator = *allocator;
                self.world.datacap_allowance(allocator, here, self.env)
            }
            _ => Ok(U256::ZERO),
        };
        let Self { world, index, env, log, .. } = self;
        let held = world.granter(here).map(|found| world.held_by(here, found)).unwrap_or_default();
        let situation =
            Situation { now: env.now(), here, held, allowance: &|_| allowance.clone(), lockable: &|_, _, _| Ok(()) };
        granter_in(world, *index).execute(sender, value, command, &situation, &mut |event| say(log, here, event))
    }

    fn datacap_of(&mut self, client: &[u8]) -> Result<U256, Rejection> {
        Granter::datacap(self.env.ask_actor(self.granter, &ActorRequest::DataCapOf { client }))
    }

    /// Has the MetaAllocator give a client DataCap; that it did is its word.
    fn allocate(&mut self, allocator: Address, client: &[u8], amount: U256) -> Result<(), Rejection> {
        let occasion = Occasion::AddVerifiedClient { client, amount };
        let script = self.env.script(&ExternalCall { caller: self.granter, callee: allocator, occasion });
        if self.world.run(&script, self.env, self.log) {
            return Ok(());
        }
        Err(Rejection::AllocatorRefused(self.env.allocator_refusal(allocator)))
    }

    fn state(&mut self) -> &mut Granter {
        granter_in(self.world, self.index)
    }

    /// Meanwhile a pool lets nobody in.
    fn while_calling<T>(&mut self, action: impl FnOnce(&mut Self) -> T) -> T {
        self.state().set_calling(true);
        let outcome = action(self);
        self.state().set_calling(false);
        outcome
    }
}

fn say(log: &mut Vec<Log>, granter: Address, event: Event) {
    log.push(Log { contract: granter, event: event.into() });
}

/// The granter at a place where [`World::call_granter`] has found one; contracts do not change their kind.
fn granter_in(world: &mut World, index: usize) -> &mut Granter {
    let Contract::Granter(granter) = &mut world.contracts[index].contract else {
        unreachable!("a frame is of a granter")
    };
    granter
}
