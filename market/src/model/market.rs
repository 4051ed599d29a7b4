//! The market's state, what may be read of it, and the one door through which it changes.

use core::slice;

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::{Command, Deal, Env, Event, JobId, MAX_BATCH, MAX_SPEC, MAX_URL, Rejection, Settings, ledger::Ledger};
use crate::money::AttoFil;

/// What becomes of a command.
pub(super) type Outcome = Result<(), Rejection>;

/// The market: `LotaMarket.sol` as a value. Equal states are equal values, with equal hashes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Market {
    pub(super) settings: Settings,
    pub(super) ledger: Ledger,
}

impl Market {
    /// A market in which nothing has happened.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, ledger: Ledger::default() }
    }

    /// Executes a command of `sender`. Events go into `sink` in the order in which the contract emits them.
    ///
    /// All or nothing: on `Err` nothing has changed and no event went out. Of the environment, `value` is read by
    /// [`Command::Deposit`] and [`Command::Open`] only, and is zero within [`Command::Multicall`]; the caller sends none
    /// along with other commands. What [`Env::payout_accepted`] and [`Env::callback_succeeds`] did within a multicall that
    /// is refused afterwards is undone by whoever keeps the environment, as a chain does.
    ///
    /// # Errors
    /// The [`Rejection`] with which the contract reverts. [`Rejection::Reentered`] is never among them: nothing in here
    /// calls back into the market.
    pub fn apply<E: Env>(
        &mut self,
        sender: Address,
        command: &Command,
        env: &mut E,
        sink: &mut impl FnMut(Event),
    ) -> Result<(), Rejection> {
        if !matches!(command, Command::Multicall { .. }) {
            let value = env.value();
            return self.step(sender, value, command, env, sink).map(|_| ());
        }
        let mut events = Vec::new();
        self.ledger.begin();
        match self.run(sender, command, env, &mut |event| events.push(event)) {
            Ok(()) => {
                self.ledger.commit();
                events.into_iter().for_each(sink);
                Ok(())
            }
            Err(rejection) => {
                self.ledger.roll_back();
                Err(rejection)
            }
        }
    }

    /// Executes a multicall, and those within it, until the first refusal. An explicit stack: nesting costs no call frames.
    fn run<E: Env>(
        &mut self,
        sender: Address,
        command: &Command,
        env: &mut E,
        emit: &mut impl FnMut(Event),
    ) -> Outcome {
        let mut stack = vec![slice::from_ref(command).iter()];
        while let Some(calls) = stack.last_mut() {
            match calls.next() {
                Some(call) => {
                    let inner = self.step(sender, AttoFil::ZERO, call, env, emit)?;
                    if !inner.is_empty() {
                        stack.push(inner.iter());
                    }
                }
                None => {
                    stack.pop();
                }
            }
        }
        Ok(())
    }

    /// Executes one command; returns the commands that a multicall holds, for the caller to execute.
    fn step<'c, E: Env>(
        &mut self,
        sender: Address,
        value: AttoFil,
        command: &'c Command,
        env: &mut E,
        emit: &mut impl FnMut(Event),
    ) -> Result<&'c [Command], Rejection> {
        match command {
            Command::Deposit { account } => self.deposit(sender, *account, value, emit),
            Command::Withdraw { to, amount } => self.withdraw(sender, *to, *amount, env, emit),
            Command::Open { terms, spec } => self.open(sender, value, terms, spec, env, emit),
            Command::OpenSigned { terms, spec, signature } => self.open_signed(terms, spec, signature, env, emit),
            Command::OpenSignedAndLock { terms, spec, signature } => {
                self.open_signed_and_lock(sender, terms, spec, signature, env, emit)
            }
            Command::Revoke { salts } => self.revoke(sender, salts, emit),
            Command::Lock { terms } => self.lock(sender, terms, env, emit),
            Command::Award { terms, provider, price } => self.award(sender, terms, *provider, *price, env, emit),
            Command::Cancel { terms } => self.cancel(sender, terms, env, emit),
            Command::Expire { terms } => self.expire(terms, env, emit),
            Command::SubmitResult { terms, result } => self.submit_result(sender, terms, result, env, emit),
            Command::Accept { terms, receipt } => self.accept(sender, terms, receipt, env, emit),
            Command::Settle { terms, receipt } => self.settle(terms, receipt, env, emit),
            Command::Dispute { terms } => self.dispute(sender, terms, env, emit),
            Command::Rule { terms, receipt, verdict } => self.rule(sender, terms, receipt, *verdict, env, emit),
            Command::Lapse { terms, receipt } => self.lapse(terms, receipt, env, emit),
            Command::RetryCallback { terms, receipt } => self.retry_callback(terms, receipt, env, emit),
            Command::SettleBatch { entries } => self.settle_batch(entries, env, emit),
            Command::Multicall { calls } => {
                at_most_a_batch(calls.len())?;
                return Ok(calls);
            }
            Command::PublishSpec { spec } => {
                if spec.len() > MAX_SPEC {
                    return Err(Rejection::SpecTooLarge(spec.len() as u64));
                }
                emit(Event::SpecPublished { spec: env.spec_digest(spec), data: spec.clone() });
                Ok(())
            }
            Command::Announce { url } => {
                if url.len() > MAX_URL {
                    return Err(Rejection::UrlTooLarge(url.len() as u64));
                }
                emit(Event::Announced { party: sender, url: url.clone() });
                Ok(())
            }
        }?;
        Ok(&[])
    }

    fn deposit(&mut self, sender: Address, account: Address, value: AttoFil, emit: &mut impl FnMut(Event)) -> Outcome {
        if account.is_zero() {
            return Err(Rejection::InvalidRecipient);
        }
        self.ledger.books.require_room(sender, value)?;
        self.ledger.books.totals.pay_in(value);
        self.ledger.credit(account, value);
        emit(Event::Deposited { account, amount: value });
        Ok(())
    }

    fn withdraw<E: Env>(
        &mut self,
        sender: Address,
        to: Address,
        amount: AttoFil,
        env: &mut E,
        emit: &mut impl FnMut(Event),
    ) -> Outcome {
        if to.is_zero() {
            return Err(Rejection::InvalidRecipient);
        }
        self.ledger.books.require(sender, amount)?;
        if !env.payout_accepted(to, amount) {
            return Err(Rejection::TransferFailed(to));
        }
        self.ledger.debit(sender, amount)?;
        self.ledger.books.totals.pay_out(amount);
        emit(Event::Withdrawn { account: sender, to, amount });
        Ok(())
    }

    // Views -----------------------------------------------------------------------------------------------------------

    /// The settings of this deployment.
    #[must_use]
    pub const fn settings(&self) -> Settings {
        self.settings
    }

    /// A deal as it is stored; [`Deal::NONE`] when there is none.
    #[must_use]
    pub fn deal(&self, job: JobId) -> Deal<'_> {
        self.ledger.deals.get(&job).map_or(Deal::NONE, |stage| stage.view())
    }

    /// All deals, by their ids.
    pub fn deals(&self) -> impl Iterator<Item = (JobId, Deal<'_>)> + '_ {
        self.ledger.deals.iter().map(|(job, stage)| (*job, stage.view()))
    }

    /// The free balance of an account.
    #[must_use]
    pub fn balance(&self, account: Address) -> AttoFil {
        self.ledger.books.balance(account)
    }

    /// All accounts with a free balance, by their addresses.
    pub fn balances(&self) -> impl Iterator<Item = (Address, AttoFil)> + '_ {
        self.ledger.books.balances()
    }

    /// Whether a salt was used or revoked.
    #[must_use]
    pub fn is_spent(&self, client: Address, salt: U256) -> bool {
        self.ledger.is_spent(client, salt)
    }

    /// Everything the market holds: free balances, escrow, collateral and burned money. On a chain: the contract's balance,
    /// unless money was forced on it.
    #[must_use]
    pub const fn held(&self) -> AttoFil {
        self.ledger.books.totals.held
    }

    /// Money in escrow for running deals.
    #[must_use]
    pub const fn escrowed(&self) -> AttoFil {
        self.ledger.books.totals.escrowed
    }

    /// Collateral of running deals.
    #[must_use]
    pub const fn collateral(&self) -> AttoFil {
        self.ledger.books.totals.collateral
    }

    /// Money that was burned.
    #[must_use]
    pub const fn burned(&self) -> AttoFil {
        self.ledger.books.totals.burned
    }
}

/// Refuses more than [`MAX_BATCH`].
pub(super) const fn at_most_a_batch(count: usize) -> Outcome {
    if count > MAX_BATCH { Err(Rejection::TooMany(count as u64)) } else { Ok(()) }
}
