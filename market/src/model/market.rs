//! The market's state, what may be read of it, and the one door through which it changes.

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use super::{
    Authorization, Callback, Command, Deal, Env, Event, JobId, Lane, MAX_BATCH, MAX_SPEC, MAX_URL, Permit, Rejection,
    Settings, storage::Storage, terms::is_foreign_id,
};
use crate::money::AttoFil;

/// What becomes of a check, or of a command after which nothing else is due.
pub(super) type Checked = Result<(), Rejection>;

/// The market: `LotaMarket.sol` as a value. Equal states are equal values, with equal hashes.
///
/// It is a part of a [world](crate::world), which executes its commands and knows who owns what outside of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Market {
    pub(super) settings: Settings,
    pub(super) storage: Storage,
    /// Whose code the market is calling. Between the world's commands: nobody's.
    #[serde(skip)]
    pub(crate) calling: Callee,
}

/// Whose code a market is calling, and who may therefore call it: `Guard.sol`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Callee {
    #[default]
    Nobody,
    /// In a callback: anyone may deposit and open.
    Client,
    /// In a payout, or a call of the token: nobody may do anything.
    Payee,
}

/// What is due outside of the market before a command is done.
pub(crate) enum Next<'c> {
    Done,
    /// The calls of a multicall, each to be executed in turn.
    Run(&'c [Command]),
    PullIn(Pull<'c>),
    PayOut(Payout),
    CallBack(Callback<'c>),
}

/// Tokens that an account lets the market take; see [`Market::pulled_in`].
#[derive(Clone, Copy)]
pub(crate) struct Pull<'c> {
    /// Whose tokens they are.
    pub(crate) payer: Address,
    /// Who is credited.
    pub(crate) account: Address,
    pub(crate) amount: AttoFil,
    pub(crate) means: Means<'c>,
}

/// Why a token lets the market take an amount.
#[derive(Clone, Copy)]
pub(crate) enum Means<'c> {
    /// The payer approved it before.
    Allowance,
    /// The payer's permit comes along; if it fails, he may have approved before.
    Permit(&'c Permit),
    /// The payer authorized it.
    Authorization(&'c Authorization),
}

/// Money that an account may withdraw; see [`Market::pay_out`].
#[derive(Clone, Copy)]
pub(crate) struct Payout {
    pub(crate) account: Address,
    pub(crate) to: Address,
    pub(crate) amount: AttoFil,
}

impl Market {
    /// A market in which nothing has happened.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, storage: Storage::default(), calling: Callee::Nobody }
    }

    /// Executes a command, as far as it goes without the outside: the caller does what comes next. On `Err` nothing has
    /// changed and no event went out.
    ///
    /// `value` has been moved to the market; only payable commands may bring any.
    pub(crate) fn execute<'c, E: Env>(
        &mut self,
        sender: Address,
        value: AttoFil,
        command: &'c Command,
        env: &E,
        emit: &mut impl FnMut(Event),
    ) -> Result<Next<'c>, Rejection> {
        match self.calling {
            Callee::Nobody => {}
            Callee::Client if command.may_come_from_a_callback() => {}
            Callee::Client | Callee::Payee => return Err(Rejection::Reentered),
        }
        match command {
            Command::Deposit { account } => self.deposit(env.here(), sender, *account, value, emit),
            Command::DepositToken { account, amount } => {
                return self.deposit_token(sender, sender, *account, *amount, Means::Allowance);
            }
            Command::DepositTokenWithPermit { account, amount, permit } => {
                return self.deposit_token(sender, sender, *account, *amount, Means::Permit(permit));
            }
            Command::DepositTokenWithAuthorization { from, amount, authorization } => {
                return self.deposit_token(sender, *from, *from, *amount, Means::Authorization(authorization));
            }
            Command::Withdraw { to, amount } => return self.withdraw(sender, *to, *amount),
            Command::Open { terms, spec } => self.open(sender, value, terms, spec, env, emit),
            Command::OpenSigned { terms, spec, signature } => {
                self.open_signed(sender, terms, spec, signature, env, emit)
            }
            Command::OpenSignedAndLock { terms, spec, signature } => {
                self.open_signed_and_lock(sender, terms, spec, signature, env, emit)
            }
            Command::Revoke { lane, up_to } => {
                self.revoke(sender, *lane, *up_to, emit);
                Ok(())
            }
            Command::Lock { terms } => self.lock(sender, terms, env, emit),
            Command::Award { terms, provider, price } => self.award(sender, terms, *provider, *price, env, emit),
            Command::Cancel { terms } => return self.cancel(sender, terms, env, emit),
            Command::Expire { terms } => return self.expire(terms, env, emit),
            Command::GiveUp { terms } => return self.give_up(sender, terms, env, emit),
            Command::SubmitResult { terms, result } => return self.submit_result(sender, terms, result, env, emit),
            Command::Accept { terms, receipt } => return self.accept(sender, terms, receipt, env, emit),
            Command::Settle { terms, receipt } => return self.settle(terms, receipt, env, emit),
            Command::Dispute { terms } => self.dispute(sender, terms, env, emit),
            Command::Rule { terms, receipt, verdict } => return self.rule(sender, terms, receipt, *verdict, env, emit),
            Command::Lapse { terms, receipt } => return self.lapse(terms, receipt, env, emit),
            Command::RetryCallback { terms, receipt } => return self.retry_callback(terms, receipt, env),
            Command::SettleBatch { entries } => self.settle_batch(sender, entries, env, emit),
            Command::Multicall { calls } => {
                at_most_a_batch(calls.len())?;
                return Ok(Next::Run(calls));
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
        Ok(Next::Done)
    }

    /// From here on changes can be undone, until [`Market::keep`] or [`Market::roll_back`] closes the savepoint.
    pub(crate) fn open_savepoint(&mut self) {
        self.storage.open_savepoint();
    }

    pub(crate) fn keep(&mut self) {
        self.storage.keep();
    }

    pub(crate) fn roll_back(&mut self) {
        self.storage.roll_back();
    }

    fn deposit(
        &mut self,
        here: Address,
        sender: Address,
        account: Address,
        value: AttoFil,
        emit: &mut impl FnMut(Event),
    ) -> Checked {
        self.only_coin()?;
        check_recipient(account, sender)?;
        self.storage.books.require_room(here, value)?;
        self.paid_in(sender, account, value, emit);
        Ok(())
    }

    fn deposit_token<'c>(
        &self,
        sender: Address,
        payer: Address,
        account: Address,
        amount: AttoFil,
        means: Means<'c>,
    ) -> Result<Next<'c>, Rejection> {
        if !self.settings.is_token() {
            return Err(Rejection::WrongAsset(self.settings.asset));
        }
        check_recipient(account, sender)?;
        Ok(Next::PullIn(Pull { payer, account, amount, means }))
    }

    /// The effects of a deposit of tokens, after they have arrived.
    pub(crate) fn pulled_in(&mut self, pull: Pull<'_>, emit: &mut (impl FnMut(Event) + ?Sized)) {
        self.paid_in(pull.payer, pull.account, pull.amount, emit);
    }

    /// Whether the books can take this much: no sum in them may overflow.
    pub(crate) fn has_room_for(&self, amount: AttoFil) -> bool {
        self.held().checked_add(amount).is_some()
    }

    fn paid_in(&mut self, payer: Address, account: Address, amount: AttoFil, emit: &mut (impl FnMut(Event) + ?Sized)) {
        self.storage.books.totals.pay_in(amount);
        self.storage.credit(account, amount);
        emit(Event::Deposited { account, payer, amount });
    }

    /// Refuses the chain's coin in the market of a token.
    pub(super) fn only_coin(&self) -> Checked {
        if self.settings.is_token() { Err(Rejection::WrongAsset(self.settings.asset)) } else { Ok(()) }
    }

    fn withdraw(&self, account: Address, to: Address, amount: AttoFil) -> Result<Next<'static>, Rejection> {
        check_recipient(to, account)?;
        self.storage.books.require(account, amount)?;
        Ok(Next::PayOut(Payout { account, to, amount }))
    }

    /// The effects of a withdrawal, which come before the recipient is paid.
    pub(crate) fn pay_out(&mut self, payout: Payout, emit: &mut (impl FnMut(Event) + ?Sized)) -> Checked {
        let Payout { account, to, amount } = payout;
        self.storage.debit(account, amount)?;
        self.storage.books.totals.pay_out(amount);
        emit(Event::Withdrawn { account, to, amount });
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
        self.storage.deals.get(&job).map_or(Deal::NONE, |state| state.view())
    }

    /// All deals of which something is stored, by their ids.
    pub fn deals(&self) -> impl Iterator<Item = (JobId, Deal<'_>)> + '_ {
        self.storage.deals.sorted().into_iter().map(|(job, state)| (*job, state.view()))
    }

    /// The free balance of an account.
    #[must_use]
    pub fn balance(&self, account: Address) -> AttoFil {
        self.storage.books.balance(account)
    }

    /// All accounts with a free balance, by their addresses.
    pub fn balances(&self) -> impl Iterator<Item = (Address, AttoFil)> + '_ {
        self.storage.books.balances()
    }

    /// Whether a salt was used or revoked.
    #[must_use]
    pub fn is_spent(&self, client: Address, salt: U256) -> bool {
        self.storage.is_spent(client, salt)
    }

    /// The lowest salt of a lane that is not spent.
    #[must_use]
    pub fn next_salt(&self, client: Address, lane: Lane) -> U256 {
        self.storage.next_salt(client, lane)
    }

    /// Everything the market holds: free balances, escrow, collateral and burned money. On a chain: the contract's balance,
    /// unless money was forced on it.
    #[must_use]
    pub const fn held(&self) -> AttoFil {
        self.storage.books.totals.held
    }

    /// Money in escrow for running deals.
    #[must_use]
    pub const fn escrowed(&self) -> AttoFil {
        self.storage.books.totals.escrowed
    }

    /// Collateral of running deals.
    #[must_use]
    pub const fn collateral(&self) -> AttoFil {
        self.storage.books.totals.collateral
    }

    /// Money that was burned.
    #[must_use]
    pub const fn burned(&self) -> AttoFil {
        self.storage.books.totals.burned
    }
}

/// Refuses an account to which money cannot go: nobody's, or one that may be another's.
fn check_recipient(account: Address, sender: Address) -> Checked {
    if account.is_zero() || is_foreign_id(account, sender) { Err(Rejection::InvalidRecipient) } else { Ok(()) }
}

/// Refuses more than [`MAX_BATCH`].
pub(super) const fn at_most_a_batch(count: usize) -> Checked {
    if count > MAX_BATCH { Err(Rejection::TooMany(count as u64)) } else { Ok(()) }
}
