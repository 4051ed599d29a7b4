//! The contract's state, what may be read of it, and how it changes.

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::{Approval, Command, Event, Lockup, Rejection, fee, storage::Storage};

/// Filecoin Pay as a value. Equal states are equal values, with equal hashes.
///
/// It is a part of a [world](crate::world), which executes its commands, and calls of it by contracts with [rails](super::rails).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FilecoinPay {
    storage: Storage,
    /// It is calling a payee or a token: nobody may do anything here.
    #[serde(skip)]
    pub(crate) entered: bool,
}

/// An account; amounts in its token's smallest unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Account {
    pub funds: U256,
    /// Of the funds, what only rails can spend.
    pub lockup_current: U256,
    /// An epoch.
    pub lockup_last_settled_at: U256,
}

/// A rail; its rate, its commission and who would get that are zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RailView {
    pub token: Address,
    /// The payer.
    pub from: Address,
    /// The payee.
    pub to: Address,
    pub operator: Address,
    /// Who is told when it is terminated; zero: nobody.
    pub validator: Address,
    /// In epochs.
    pub lockup_period: U256,
    /// What can be paid at once.
    pub lockup_fixed: U256,
    /// An epoch.
    pub settled_up_to: U256,
    /// The epoch before which it can still be paid on, once it was terminated; 0 before.
    pub end_epoch: U256,
}

/// What a command finds outside of Filecoin Pay.
#[derive(Clone, Copy)]
pub(crate) struct Situation {
    /// Filecoin Pay's own address.
    pub(crate) here: Address,
    /// The block's number.
    pub(crate) epoch: U256,
}

/// What is due outside of Filecoin Pay before a command is done. If it fails, nothing has happened.
pub(crate) enum Next {
    Done,
    /// Tokens of the sender are to come in.
    PullIn {
        token: Address,
        amount: U256,
    },
    PayOut {
        token: Address,
        to: Address,
        amount: U256,
    },
    /// A fee in the chain's coin, which nobody gets.
    Burn(U256),
    /// The rail's validator is to be told that it was terminated.
    TellValidator {
        validator: Address,
        rail: U256,
        end_epoch: U256,
    },
}

impl FilecoinPay {
    /// Executes a command, as far as it goes without the outside: the caller does what comes next. After `Err` the caller undoes
    /// what has happened.
    ///
    /// `value` has been moved to Filecoin Pay; only payable commands may bring any.
    pub(crate) fn execute(
        &mut self,
        sender: Address,
        value: U256,
        command: &Command,
        at: Situation,
        emit: &mut dyn FnMut(Event),
    ) -> Result<Next, Rejection> {
        match *command {
            Command::Deposit { token, to, amount } => self.deposit(value, token, to, amount, at),
            Command::Withdraw { token, amount } => self.withdraw(sender, token, amount, at),
            Command::SetOperatorApproval {
                token,
                operator,
                approved,
                rate_allowance,
                lockup_allowance,
                max_lockup_period,
            } => {
                self.let_in()?;
                if operator.is_zero() {
                    return Err(Rejection::ZeroAddressNotAllowed("operator".into()));
                }
                let lockup_usage = self.operator_approval(token, sender, operator).lockup_usage;
                let is_approved = approved;
                let approval =
                    Approval { is_approved, rate_allowance, lockup_allowance, lockup_usage, max_lockup_period };
                self.storage.set_approval(token, sender, operator, approval);
                Ok(Next::Done)
            }
            Command::TerminateRail { rail } => self.terminate_rail(sender, rail, at, emit),
            Command::SettleRail { rail, until_epoch } => self.settle_rail(rail, until_epoch, at, emit),
            Command::CreateRail { token, from, to } => {
                self.create_rail(sender, token, from, to, Address::ZERO, at, emit)?;
                Ok(Next::Done)
            }
            Command::ModifyRailLockup { rail, period, lockup_fixed } => {
                self.modify_rail_lockup(sender, rail, period, lockup_fixed, at, emit)?;
                Ok(Next::Done)
            }
            Command::ModifyRailPayment { rail, one_time_payment } => {
                Ok(Next::Burn(self.modify_rail_payment(sender, rail, one_time_payment, at, emit)?))
            }
        }
    }

    // Accounts --------------------------------------------------------------------------------------------------------

    fn deposit(
        &mut self,
        value: U256,
        token: Address,
        to: Address,
        amount: U256,
        at: Situation,
    ) -> Result<Next, Rejection> {
        self.let_in()?;
        if to.is_zero() {
            return Err(Rejection::ZeroAddressNotAllowed("to".into()));
        }
        let mut account = self.settled(token, to, at);
        if token.is_zero() && value != amount {
            return Err(Rejection::MustSendExactNativeAmount { required: amount, sent: value });
        }
        if !token.is_zero() && !value.is_zero() {
            return Err(Rejection::TokenFailed);
        }
        // While the tokens come in nobody is let in, so nobody sees that they are here already.
        account.funds = account.funds.checked_add(amount).ok_or(if token.is_zero() {
            Rejection::Overflow
        } else {
            Rejection::TokenFailed
        })?;
        self.storage.set_account(token, to, account);
        Ok(if token.is_zero() { Next::Done } else { Next::PullIn { token, amount } })
    }

    fn withdraw(&mut self, owner: Address, token: Address, amount: U256, at: Situation) -> Result<Next, Rejection> {
        self.let_in()?;
        let mut account = self.settled(token, owner, at);
        let available = account.available();
        if amount > available {
            return Err(Rejection::InsufficientUnlockedFunds { available, requested: amount });
        }
        account.funds = account.funds.saturating_sub(amount);
        self.storage.set_account(token, owner, account);
        Ok(Next::PayOut { token, to: owner, amount })
    }

    // Rails -----------------------------------------------------------------------------------------------------------

    /// A new rail of `operator`'s.
    #[expect(clippy::too_many_arguments, reason = "the contract's own parameters, its caller, and where it is")]
    pub(crate) fn create_rail(
        &mut self,
        operator: Address,
        token: Address,
        from: Address,
        to: Address,
        validator: Address,
        at: Situation,
        emit: &mut dyn FnMut(Event),
    ) -> Result<U256, Rejection> {
        self.let_in()?;
        if from.is_zero() {
            return Err(Rejection::ZeroAddressNotAllowed("from".into()));
        }
        if to.is_zero() {
            return Err(Rejection::ZeroAddressNotAllowed("to".into()));
        }
        if !self.operator_approval(token, from, operator).is_approved {
            return Err(Rejection::OperatorNotApproved { from, operator });
        }
        let id = self.storage.next_id();
        let rail = RailView { token, from, to, operator, validator, settled_up_to: at.epoch, ..RailView::default() };
        self.storage.set_rail(id, Some(rail));
        emit(Event::RailCreated { rail: id, payer: from, payee: to, token, operator, validator });
        Ok(id)
    }

    pub(crate) fn modify_rail_lockup(
        &mut self,
        operator: Address,
        id: U256,
        period: U256,
        lockup_fixed: U256,
        at: Situation,
        emit: &mut dyn FnMut(Event),
    ) -> Result<(), Rejection> {
        self.let_in()?;
        let mut rail = self.operated(id, operator)?;
        let mut payer = self.settled(rail.token, rail.from, at);
        let mut approval = self.operator_approval(rail.token, rail.from, operator);
        let (old_period, old_fixed) = (rail.lockup_period, rail.lockup_fixed);
        if rail.is_terminated() {
            if period != old_period || lockup_fixed > old_fixed {
                return Err(Rejection::InvalidTerminatedRailModification {
                    now: Box::new(Lockup { period: old_period, fixed: old_fixed }),
                    asked: Box::new(Lockup { period, fixed: lockup_fixed }),
                });
            }
        } else if period > old_period && period > approval.max_lockup_period {
            return Err(Rejection::LockupPeriodExceedsOperatorMaximum {
                token: rail.token,
                operator,
                most: Box::new(approval.max_lockup_period),
                asked: Box::new(period),
            });
        }
        let others = payer.lockup_current.checked_sub(old_fixed).ok_or(Rejection::Overflow)?;
        payer.lockup_current = others.checked_add(lockup_fixed).ok_or(Rejection::Overflow)?;
        approval.change_lockup(old_fixed, lockup_fixed)?;
        (rail.lockup_period, rail.lockup_fixed) = (period, lockup_fixed);
        payer.require_covered()?;
        self.storage.set_account(rail.token, rail.from, payer);
        self.storage.set_approval(rail.token, rail.from, operator, approval);
        self.storage.set_rail(id, Some(rail));
        emit(Event::RailLockupModified {
            rail: id,
            old_period,
            new_period: period,
            old_fixed,
            new_fixed: lockup_fixed,
        });
        Ok(())
    }

    /// Pays at once; says how much of the chain's coin is to be burned.
    pub(crate) fn modify_rail_payment(
        &mut self,
        operator: Address,
        id: U256,
        payment: U256,
        at: Situation,
        emit: &mut dyn FnMut(Event),
    ) -> Result<U256, Rejection> {
        self.let_in()?;
        let mut rail = self.operated(id, operator)?;
        rail.lockup_fixed = rail.lockup_fixed.checked_sub(payment).ok_or(Rejection::OneTimePaymentExceedsLockup {
            rail: id,
            available: rail.lockup_fixed,
            required: payment,
        })?;
        let mut payer = self.settled(rail.token, rail.from, at);
        if rail.is_terminated() && at.epoch >= rail.end_epoch {
            let (end_epoch, epoch) = (rail.end_epoch, at.epoch);
            return Err(Rejection::CannotModifyTerminatedRailBeyondEndEpoch { rail: id, end_epoch, epoch });
        }
        let mut approval = self.operator_approval(rail.token, rail.from, operator);
        payer.lockup_current = payer.lockup_current.checked_sub(payment).ok_or(Rejection::Overflow)?;
        approval.spend(payment)?;
        payer.funds = payer.funds.checked_sub(payment).ok_or(Rejection::Overflow)?;
        self.storage.set_rail(id, Some(rail));
        self.storage.set_account(rail.token, rail.from, payer);
        self.storage.set_approval(rail.token, rail.from, operator, approval);
        if payment.is_zero() {
            return Ok(U256::ZERO);
        }
        let fee = fee(payment);
        let net = payment.saturating_sub(fee);
        self.credit(rail.token, rail.to, net)?;
        if !rail.token.is_zero() {
            self.credit(rail.token, at.here, fee)?;
        }
        emit(Event::RailOneTimePaymentProcessed { rail: id, net, fee });
        Ok(if rail.token.is_zero() { fee } else { U256::ZERO })
    }

    fn terminate_rail(
        &mut self,
        sender: Address,
        id: U256,
        at: Situation,
        emit: &mut dyn FnMut(Event),
    ) -> Result<Next, Rejection> {
        self.let_in()?;
        let mut rail = self.active(id)?;
        if rail.is_terminated() {
            return Err(Rejection::RailAlreadyTerminated(id));
        }
        let payer = self.settled(rail.token, rail.from, at);
        if sender != rail.from && sender != rail.operator {
            let RailView { from: client, operator, .. } = rail;
            return Err(Rejection::NotAuthorizedToTerminateRail { rail: id, client, operator, caller: sender });
        }
        let end_epoch = payer.lockup_last_settled_at.checked_add(rail.lockup_period).ok_or(Rejection::Overflow)?;
        rail.end_epoch = end_epoch;
        self.storage.set_account(rail.token, rail.from, payer);
        self.storage.set_rail(id, Some(rail));
        emit(Event::RailTerminated { rail: id, by: sender, end_epoch });
        if rail.validator.is_zero() {
            return Ok(Next::Done);
        }
        Ok(Next::TellValidator { validator: rail.validator, rail: id, end_epoch })
    }

    fn settle_rail(
        &mut self,
        id: U256,
        until_epoch: U256,
        at: Situation,
        emit: &mut dyn FnMut(Event),
    ) -> Result<Next, Rejection> {
        self.let_in()?;
        if until_epoch > at.epoch {
            return Err(Rejection::CannotSettleFutureEpochs { rail: id, most: at.epoch, asked: until_epoch });
        }
        let mut rail = self.active(id)?;
        let mut payer = self.settled(rail.token, rail.from, at);
        let most = if rail.is_terminated() { rail.end_epoch } else { payer.lockup_last_settled_at };
        rail.settled_up_to = rail.settled_up_to.max(until_epoch.min(most));
        if !rail.is_terminated() || rail.settled_up_to < rail.end_epoch {
            self.storage.set_account(rail.token, rail.from, payer);
            self.storage.set_rail(id, Some(rail));
            return Ok(Next::Done);
        }
        payer.lockup_current = payer.lockup_current.checked_sub(rail.lockup_fixed).ok_or(Rejection::Overflow)?;
        let mut approval = self.operator_approval(rail.token, rail.from, rail.operator);
        approval.change_lockup(rail.lockup_fixed, U256::ZERO)?;
        self.storage.set_account(rail.token, rail.from, payer);
        self.storage.set_approval(rail.token, rail.from, rail.operator, approval);
        self.storage.set_rail(id, None);
        emit(Event::RailFinalized { rail: id });
        Ok(Next::Done)
    }

    // Inside ----------------------------------------------------------------------------------------------------------

    const fn let_in(&self) -> Result<(), Rejection> {
        if self.entered { Err(Rejection::Reentrant) } else { Ok(()) }
    }

    fn active(&self, id: U256) -> Result<RailView, Rejection> {
        self.rail(id).ok_or(Rejection::RailInactiveOrSettled(id))
    }

    fn operated(&self, id: U256, caller: Address) -> Result<RailView, Rejection> {
        let rail = self.active(id)?;
        let expected = rail.operator;
        if caller == expected { Ok(rail) } else { Err(Rejection::OnlyRailOperatorAllowed { expected, caller }) }
    }

    /// An account as it is at this epoch: nothing flowed in between.
    fn settled(&self, token: Address, owner: Address, at: Situation) -> Account {
        Account { lockup_last_settled_at: at.epoch, ..self.account(token, owner) }
    }

    fn credit(&mut self, token: Address, owner: Address, amount: U256) -> Result<(), Rejection> {
        let mut account = self.account(token, owner);
        account.funds = account.funds.checked_add(amount).ok_or(Rejection::Overflow)?;
        self.storage.set_account(token, owner, account);
        Ok(())
    }

    pub(crate) fn open_savepoint(&mut self) {
        self.storage.open_savepoint();
    }

    pub(crate) fn keep(&mut self) {
        self.storage.keep();
    }

    pub(crate) fn roll_back(&mut self) {
        self.storage.roll_back();
    }

    // Views -----------------------------------------------------------------------------------------------------------

    /// An account as it is stored.
    #[must_use]
    pub fn account(&self, token: Address, owner: Address) -> Account {
        self.storage.account(token, owner)
    }

    /// All accounts that were ever used: token, owner and account.
    pub fn accounts(&self) -> impl Iterator<Item = (Address, Address, Account)> + '_ {
        self.storage.accounts()
    }

    /// What all accounts in a token have together: Filecoin Pay holds as much.
    #[must_use]
    pub fn held(&self, token: Address) -> U256 {
        self.accounts().filter(|(of, ..)| *of == token).map(|(_, _, account)| account.funds).sum()
    }

    #[must_use]
    pub fn operator_approval(&self, token: Address, client: Address, operator: Address) -> Approval {
        self.storage.approval(token, client, operator)
    }

    /// All approvals that were ever given: client and approval.
    pub fn approvals(&self) -> impl Iterator<Item = (Address, Approval)> + '_ {
        self.storage.approvals()
    }

    /// A rail that has not been wound up.
    #[must_use]
    pub fn rail(&self, id: U256) -> Option<RailView> {
        self.storage.rail(id)
    }

    /// All rails that have not been wound up, by their ids.
    pub fn rails(&self) -> impl Iterator<Item = (U256, &RailView)> + '_ {
        self.storage.rails()
    }

    /// How many rails there ever were: the newest has this id.
    #[must_use]
    pub const fn rail_count(&self) -> u64 {
        self.storage.count()
    }
}

impl Account {
    /// What is not locked.
    #[must_use]
    pub fn available(&self) -> U256 {
        self.funds.saturating_sub(self.lockup_current)
    }

    fn require_covered(&self) -> Result<(), Rejection> {
        if self.funds < self.lockup_current { Err(Rejection::LockupExceedsFunds) } else { Ok(()) }
    }
}

impl RailView {
    #[must_use]
    pub fn is_terminated(&self) -> bool {
        !self.end_epoch.is_zero()
    }
}
