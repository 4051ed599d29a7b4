//! Executing calls of blessings, and what they ask their granters.

use alloy_primitives::{Address, Bytes, FixedBytes};

use super::{CallError, Contract, Env, ExternalCall, Log, Occasion, Script, World, beside::Till};
use crate::{
    AttoFil,
    blessing::{Blessing, Command, Event, Grant, Next, Nomination, Rejection, Signed, Situation},
    granter,
    model::{self, JobId, Status},
};

impl World {
    /// Executes a call of a blessing; see [`World::execute`].
    ///
    /// # Errors
    /// As [`World::execute`].
    pub fn execute_on_blessing<E: Env>(
        &mut self,
        sender: Address,
        blessing: Address,
        value: AttoFil,
        command: &Command,
        env: &mut E,
        log: &mut Vec<Log>,
    ) -> Result<(), CallError> {
        let index = self.index_of(blessing).ok_or(CallError::NoContract(blessing))?;
        if !matches!(self.contracts[index].contract, Contract::Blessing(_)) {
            return Err(CallError::NoSuchFunction(blessing));
        }
        self.check_sender(sender)?;
        self.send_along(sender, blessing, value, command.is_payable())?;
        // What the blessing does comes before what others do: if they refuse, it is undone.
        let (savepoint, said) = (self.savepoint(), log.len());
        let outcome = Frame { world: self, index, blessing, env, log }.execute(sender, value, command);
        self.close(savepoint, outcome.is_ok());
        outcome.map_err(|rejection| {
            log.truncate(said);
            let returned = self.wallets.transfer(blessing, sender, value);
            debug_assert_eq!(returned, Ok(()), "the blessing lost what was sent along with a refused command");
            CallError::RejectedByBlessing(rejection)
        })
    }
}

/// The execution of one command on one blessing.
struct Frame<'f, E> {
    world: &'f mut World,
    /// Where the blessing is among the contracts.
    index: usize,
    blessing: Address,
    env: &'f mut E,
    log: &'f mut Vec<Log>,
}

impl<E: Env> Frame<'_, E> {
    fn execute(&mut self, sender: Address, value: AttoFil, command: &Command) -> Result<(), Rejection> {
        let till = Till { contract: self.blessing, asset: self.state().asset() };
        match self.step(sender, value, command)? {
            Next::Done => Ok(()),
            Next::PullIn(amount) => {
                self.while_calling(|frame| frame.world.take_in(till, sender, amount, frame.env, frame.log))?;
                if !self.state().has_room_for(amount) {
                    return Err(model::Rejection::TransferFailed(self.blessing).into());
                }
                self.say(|state, emit| state.funded(sender, amount, emit));
                Ok(())
            }
            Next::PayOut { to, amount } => {
                Ok(self.while_calling(|frame| frame.world.give_out(till, to, amount, frame.env, frame.log))?)
            }
            Next::CallGranter { granter, grant } => {
                self.call_granter(granter, &grant, command.nomination());
                Ok(())
            }
        }
    }

    /// What the blessing does by itself.
    fn step(&mut self, sender: Address, value: AttoFil, command: &Command) -> Result<Next, Rejection> {
        let here = self.blessing;
        let (mut job, mut status, mut is_receipt) = (JobId::default(), Status::None, false);
        if let Command::Nominate { terms, receipt, .. } = command {
            let market = self.state().market();
            job = self.env.job_id(market, terms);
            if let Some(market) = self.world.market(market) {
                let deal = market.deal(job);
                (status, is_receipt) = (deal.status, deal.receipt == Some(receipt));
            }
        }
        // What a granter of this world says does not depend on what the blessing does: asked before, it is answered as last.
        let mut of_granter = None;
        if let Command::Nominate { receipt, request, .. } = command
            && let Some(blessing) = self.world.blessing(here)
            && let Some(registered) = blessing.registration(receipt.provider, request.granter)
        {
            let (recipient, amount) = (&registered.recipient, request.amount);
            of_granter = self.world.check_grant(request.granter, receipt.provider, recipient, amount, self.env);
        }
        let Self { world, index, env, log, .. } = self;
        let env = &**env;
        let contracts: Vec<Address> = world.contracts().map(|(address, _)| address).chain(world.tokens()).collect();
        let signed = |notary, what: &Signed<'_>, signature: &Bytes| env.notary_signed(here, notary, what, signature);
        let has_code = |account| contracts.contains(&account) || env.has_code(account);
        let check_grant = |nomination: &Nomination| {
            if let Some(checked) = &of_granter {
                return checked.as_ref().map_err(|rejection| rejection.selector().into()).copied();
            }
            // Other contracts of this world are no granters.
            let granter = nomination.granter;
            if contracts.contains(&granter) || !env.has_code(granter) {
                return Err(FixedBytes::ZERO);
            }
            env.check_grant(granter, nomination)
        };
        let situation = Situation {
            now: env.now(),
            here,
            job,
            status,
            is_receipt,
            foreign_chain: env.foreign_chain(),
            signed: &signed,
            has_code: &has_code,
            check_grant: &check_grant,
        };
        let mut emit = |event: Event| log.push(Log { contract: here, event: event.into() });
        blessing_in(world, *index).execute(sender, value, command, &situation, &mut emit)
    }

    /// Whatever the granter does, the call of the blessing succeeds.
    fn call_granter(&mut self, granter: Address, grant: &Grant, nomination: Option<&Nomination>) {
        let Some(nomination) = nomination else { return };
        let now = self.env.now();
        let failure = if self.world.granter(granter).is_some() {
            let command = granter::Command::Grant(Box::new(grant.clone()));
            let here = self.blessing;
            let granted = self.while_calling(|frame| {
                frame.world.call_granter(here, granter, AttoFil::ZERO, &command, frame.env, frame.log)
            });
            granted.err().map(|error| match error {
                CallError::RejectedByGranter(rejection) => rejection.selector().into(),
                // The granter is there, and nothing is sent along.
                _ => FixedBytes::ZERO,
            })
        } else if self.world.has_contract(granter) || !self.env.has_code(granter) {
            Some(FixedBytes::ZERO)
        } else {
            let occasion = Occasion::Grant { grant };
            let script = self.env.script(&ExternalCall { caller: self.blessing, callee: granter, occasion });
            let succeeded = self.run(&script);
            (!succeeded).then(|| self.env.grant_failure(granter))
        };
        self.say(|state, emit| match failure {
            Some(why) => state.grant_failed(nomination, why, emit),
            None => state.granted(nomination, now, emit),
        });
    }

    fn run(&mut self, script: &Script) -> bool {
        self.while_calling(|frame| frame.world.run(script, frame.env, frame.log))
    }

    fn state(&mut self) -> &mut Blessing {
        blessing_in(self.world, self.index)
    }

    /// Has the blessing change, and say so.
    fn say(&mut self, change: impl FnOnce(&mut Blessing, &mut dyn FnMut(Event))) {
        let Self { world, index, blessing, log, .. } = self;
        change(blessing_in(world, *index), &mut |event| log.push(Log { contract: *blessing, event: event.into() }));
    }

    /// Meanwhile the blessing lets nobody in.
    fn while_calling<T>(&mut self, action: impl FnOnce(&mut Self) -> T) -> T {
        self.state().calling = true;
        let outcome = action(self);
        self.state().calling = false;
        outcome
    }
}

/// The blessing at a place where [`World::execute_on_blessing`] has found one; contracts do not change their kind.
fn blessing_in(world: &mut World, index: usize) -> &mut Blessing {
    match &mut world.contracts[index].contract {
        Contract::Blessing(blessing) => blessing,
        Contract::Market(_)
        | Contract::Auction(_)
        | Contract::FilecoinPay(_)
        | Contract::Granter(_)
        | Contract::FilecoinPayDeals(_) => {
            unreachable!("a frame is of a blessing")
        }
    }
}
