//! Executing calls of Filecoin Pay: of everybody's, and of contracts with rails.

use alloy_primitives::{Address, U256};

use super::{CallError, Contract, ContractEvent, Env, ExternalCall, Log, Occasion, Script, TokenTransfer, World};
use crate::{
    AttoFil,
    filecoin_pay::{
        BURN, Command, Event, FilecoinPay, Next, Rejection, Situation,
        rails::{self, Calls, Rails, Said},
    },
};

/// The rails of a contract, and how it says what they say.
pub(super) struct RailsOf<'a> {
    pub(super) rails: &'a mut Rails,
    pub(super) event_of: fn(rails::Event) -> ContractEvent,
    pub(super) refusal_of: fn(rails::Rejection) -> CallError,
}

impl World {
    /// Executes a call of Filecoin Pay; see [`World::execute`].
    ///
    /// # Errors
    /// As [`World::execute`].
    pub fn execute_on_filecoin_pay<E: Env>(
        &mut self,
        sender: Address,
        contract: Address,
        value: AttoFil,
        command: &Command,
        env: &mut E,
        log: &mut Vec<Log>,
    ) -> Result<(), CallError> {
        let index = self.index_of(contract).ok_or(CallError::NoContract(contract))?;
        if !matches!(self.contracts[index].contract, Contract::FilecoinPay(_)) {
            return Err(CallError::NoSuchFunction(contract));
        }
        self.check_sender(sender)?;
        self.send_along(sender, contract, value, command.is_payable())?;
        // What Filecoin Pay does comes before what others do: if they refuse, it is undone.
        let (savepoint, said) = (self.savepoint(), log.len());
        let outcome = Frame { world: self, index, contract, env, log }.execute(sender, value, command);
        self.close(savepoint, outcome.is_ok());
        outcome.map_err(|rejection| {
            log.truncate(said);
            let returned = self.wallets.transfer(contract, sender, value);
            debug_assert_eq!(returned, Ok(()), "Filecoin Pay lost what was sent along with a refused command");
            CallError::RejectedByFilecoinPay(rejection)
        })
    }

    /// Has the rails of a contract call Filecoin Pay. When they are refused, what they did is to be undone.
    pub(super) fn on_rails<T>(
        &mut self,
        contract: Address,
        epoch: u64,
        log: &mut Vec<Log>,
        action: impl FnOnce(&mut Rails, &mut Calls<'_>) -> Result<T, rails::Rejection>,
    ) -> Result<T, rails::Rejection> {
        let own = self.index_of(contract);
        let rails = own.and_then(|index| self.contracts[index].contract.rails());
        let here = rails.map(Rails::filecoin_pay).unwrap_or_default();
        let indices = own.zip(self.index_of(here)).map(|(own, pay)| [own, pay]);
        let both = indices.and_then(|indices| self.contracts.get_disjoint_mut(indices).ok());
        let both = both.map(|[own, pay]| (&mut own.contract, &mut pay.contract));
        let Some((own, Contract::FilecoinPay(filecoin_pay))) = both else {
            return Err(rails::Rejection::NotFilecoinPay(here));
        };
        let Some(RailsOf { rails, event_of, .. }) = own.rails_mut() else {
            return Err(rails::Rejection::NotFilecoinPay(here));
        };
        let mut emit = |said| {
            log.push(match said {
                Said::Rails(event) => Log { contract, event: event_of(event) },
                Said::FilecoinPay(event) => Log { contract: here, event: event.into() },
            });
        };
        let at = Situation { here, epoch: U256::from(epoch) };
        action(rails, &mut Calls { filecoin_pay, at, operator: contract, emit: &mut emit })
    }

    /// Pays all that is due on some rails of a contract. When that is refused, what was done is to be undone.
    pub(super) fn pay_rails(
        &mut self,
        contract: Address,
        rails: &[U256],
        epoch: u64,
        log: &mut Vec<Log>,
    ) -> Result<(), rails::Rejection> {
        let (here, fees) = self.on_rails(contract, epoch, log, |own, calls| {
            let fees = own.pay(rails, calls)?;
            Ok((calls.at.here, fees))
        })?;
        Ok(self.burn(here, fees)?)
    }

    /// Tells a contract with rails, as `IRailValidator`, that a rail was terminated. Only its Filecoin Pay is believed.
    ///
    /// # Errors
    /// When there is no such contract, or it does not believe the sender: then nothing was said.
    pub fn tell_rail_terminated(
        &mut self,
        sender: Address,
        contract: Address,
        rail: U256,
        end_epoch: U256,
        log: &mut Vec<Log>,
    ) -> Result<(), CallError> {
        let index = self.index_of(contract).ok_or(CallError::NoContract(contract))?;
        let found = self.contracts[index].contract.rails_mut();
        let RailsOf { rails, event_of, refusal_of } = found.ok_or(CallError::NoSuchFunction(contract))?;
        let event = rails.rail_terminated(sender, rail, end_epoch).map_err(refusal_of)?;
        log.push(Log { contract, event: event_of(event) });
        Ok(())
    }

    /// Filecoin Pay at an address gives up a fee.
    fn burn(&mut self, here: Address, fee: U256) -> Result<(), Rejection> {
        self.wallets.transfer(here, BURN, in_coin(fee)?).map_err(|_| failed(BURN, fee))
    }
}

/// The execution of one command on one Filecoin Pay.
struct Frame<'f, E> {
    world: &'f mut World,
    /// Where it is among the contracts.
    index: usize,
    contract: Address,
    env: &'f mut E,
    log: &'f mut Vec<Log>,
}

impl<E: Env> Frame<'_, E> {
    fn execute(&mut self, sender: Address, value: AttoFil, command: &Command) -> Result<(), Rejection> {
        let here = self.contract;
        let situation = Situation { here, epoch: U256::from(self.env.block_number()) };
        let Self { world, index, log, .. } = self;
        let mut emit = |event: Event| log.push(Log { contract: here, event: event.into() });
        let next =
            filecoin_pay_in(world, *index).execute(sender, U256::from(value.0), command, situation, &mut emit)?;
        match next {
            Next::Done => Ok(()),
            Next::PullIn { token, amount } => self.move_tokens(token, sender, here, amount),
            Next::PayOut { token, to, amount } if token.is_zero() => self.pay_out(to, amount),
            Next::PayOut { token, to, amount } => self.move_tokens(token, here, to, amount),
            Next::Burn(fee) => self.world.burn(here, fee),
            Next::TellValidator { validator, rail, end_epoch } => {
                let told = self.world.tell_rail_terminated(here, validator, rail, end_epoch, self.log);
                debug_assert_eq!(
                    told,
                    Ok(()),
                    "only contracts with rails name themselves, and they believe their Filecoin Pay"
                );
                Ok(())
            }
        }
    }

    fn pay_out(&mut self, to: Address, amount: U256) -> Result<(), Rejection> {
        let here = self.contract;
        let paid = in_coin(amount)?;
        self.world.wallets.transfer(here, to, paid).map_err(|_| failed(to, amount))?;
        let script = if self.world.has_contract(to) {
            Script::accepting(false)
        } else {
            let occasion = Occasion::Payout { amount: paid };
            self.env.script(&ExternalCall { caller: here, callee: to, occasion })
        };
        let accepted = self.while_entered(|frame| frame.world.run(&script, frame.env, frame.log));
        if accepted { Ok(()) } else { Err(failed(to, amount)) }
    }

    /// The token is believed: Filecoin Pay is used with tokens that do what they are asked to.
    fn move_tokens(&mut self, token: Address, from: Address, to: Address, amount: U256) -> Result<(), Rejection> {
        let here = self.contract;
        let amount = AttoFil(u128::try_from(amount).map_err(|_| Rejection::TokenFailed)?);
        let transfer = TokenTransfer { token, caller: here, from, to, amount };
        let moved = self.while_entered(|frame| frame.world.move_tokens(&transfer, from == here, frame.env, frame.log));
        if moved { Ok(()) } else { Err(Rejection::TokenFailed) }
    }

    /// Meanwhile it lets nobody in.
    fn while_entered<T>(&mut self, action: impl FnOnce(&mut Self) -> T) -> T {
        filecoin_pay_in(self.world, self.index).entered = true;
        let outcome = action(self);
        filecoin_pay_in(self.world, self.index).entered = false;
        outcome
    }
}

/// An amount of the chain's coin; there is no more of it than this counts.
fn in_coin(amount: U256) -> Result<AttoFil, Rejection> {
    u128::try_from(amount).map(AttoFil).map_err(|_| Rejection::Overflow)
}

const fn failed(to: Address, amount: U256) -> Rejection {
    Rejection::NativeTransferFailed { to, amount }
}

/// Filecoin Pay at a place where [`World::execute_on_filecoin_pay`] has found it; contracts do not change their kind.
fn filecoin_pay_in(world: &mut World, index: usize) -> &mut FilecoinPay {
    let Contract::FilecoinPay(found) = &mut world.contracts[index].contract else {
        unreachable!("a frame is of Filecoin Pay")
    };
    found
}
