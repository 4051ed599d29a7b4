//! The contract's state, what may be read of it, and the one door through which it changes.

use alloy_primitives::{Address, Bytes, FixedBytes, U256};
use serde::{Deserialize, Serialize};

use super::{
    Command, DeploymentFault, Event, Grant, Limits, Nomination, Notaries, Phase, Record, Registration, Rejection,
    Settings, Signed, Stage, storage::Storage,
};
use crate::{
    AttoFil, Time,
    model::{self, JobId, Status, is_foreign_id},
};

/// What becomes of a check, or of a command after which nothing else is due.
pub(super) type Checked = Result<(), Rejection>;

/// A blessing: `Blessing.sol` as a value. Equal states are equal values, with equal hashes.
///
/// It is a part of a [world](crate::world), which executes its commands and calls its granters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Blessing {
    market: Address,
    asset: Address,
    pub(super) settings: Settings,
    pub(super) storage: Storage,
    /// It is calling a granter, the token or a payee: nobody may do anything here.
    #[serde(skip)]
    pub(crate) calling: bool,
}

/// What a command finds outside of the blessing.
pub(crate) struct Situation<'a> {
    pub(crate) now: Time,
    /// The blessing's own address.
    pub(crate) here: Address,
    /// The id of the job to be nominated.
    pub(crate) job: JobId,
    /// Its status at the market.
    pub(crate) status: Status,
    /// Whether the market has settled it with the receipt that is brought.
    pub(crate) is_receipt: bool,
    /// The chain id when it is not that of the deployment.
    pub(crate) foreign_chain: Option<u64>,
    /// Whether a notary signed something so.
    pub(crate) signed: &'a dyn Fn(Address, &Signed<'_>, &Bytes) -> bool,
    pub(crate) has_code: &'a dyn Fn(Address) -> bool,
    /// Whether a granter could grant what is nominated; why not: the selector of its error.
    pub(crate) check_grant: &'a dyn Fn(&Nomination) -> Result<(), FixedBytes<4>>,
}

/// What is due outside of the blessing before a command is done. If it fails, nothing has happened, but for
/// [`Next::CallGranter`].
pub(crate) enum Next {
    Done,
    /// The sender's tokens are to come in: then [`Blessing::funded`].
    PullIn(AttoFil),
    PayOut {
        to: Address,
        amount: AttoFil,
    },
    /// Then [`Blessing::granted`] or [`Blessing::grant_failed`].
    CallGranter {
        granter: Address,
        grant: Box<Grant>,
    },
}

impl Blessing {
    /// A blessing in which nothing has happened, beside a market with these settings; its own are taken as they are.
    #[must_use]
    pub fn new(market: Address, of_market: &model::Settings, settings: Settings, notaries: Notaries) -> Self {
        let storage = Storage::new(notaries);
        Self { market, asset: of_market.asset, settings, storage, calling: false }
    }

    /// What is wrong with it beside a market with these settings (or none).
    pub(crate) fn fault(&self, of_market: Option<&model::Settings>) -> Option<DeploymentFault> {
        if of_market.is_none_or(|of_market| of_market.asset != self.asset) {
            return Some(DeploymentFault::Market);
        }
        self.settings.fault()
    }

    /// Executes a command, as far as it goes without the outside: the caller does what comes next. On `Err` nothing of what has
    /// changed stays: the caller rolls it back.
    ///
    /// `value` has been moved to the blessing; only payable commands may bring any.
    pub(crate) fn execute(
        &mut self,
        sender: Address,
        value: AttoFil,
        command: &Command,
        at: &Situation<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Result<Next, Rejection> {
        if self.calling {
            return Err(model::Rejection::Reentered.into());
        }
        match command {
            Command::Fund => {
                if self.is_token() {
                    return Err(model::Rejection::WrongAsset(self.asset).into());
                }
                if !self.has_room_for(value) {
                    return Err(model::Rejection::TransferFailed(at.here).into());
                }
                self.funded(sender, value, emit);
            }
            Command::FundToken { amount } => {
                if !self.is_token() {
                    return Err(model::Rejection::WrongAsset(self.asset).into());
                }
                return Ok(Next::PullIn(*amount));
            }
            Command::Withdraw { to, amount } => return self.withdraw(sender, *to, *amount, emit),
            Command::SetAside { amount } => {
                self.storage.debit(sender, *amount)?;
                self.give_to_pool(sender, *amount);
                emit(Event::SetAside { provider: sender, amount: *amount });
            }
            Command::TakeBack { amount } => {
                self.take_from_pool(sender, *amount)?;
                self.storage.credit(sender, *amount);
                emit(Event::TakenBack { provider: sender, amount: *amount });
            }
            Command::Register { granter, recipient, share_rate, max_share } => {
                let (share_rate, max_share) = (*share_rate, *max_share);
                let registration = Registration { recipient: recipient.clone(), share_rate, max_share };
                self.register(sender, *granter, registration, emit)?;
            }
            Command::SetNotaries { notaries, quorum, until, ballots } => {
                self.change_notaries(sender, notaries, *quorum, *until, ballots, at, emit)?;
            }
            Command::SetGranter { granter, limits, until, ballots } => {
                self.change_granter(sender, *granter, limits, *until, ballots, at, emit)?;
            }
            Command::Nominate { terms, receipt, request } => {
                self.nominate(sender, terms, receipt, request, at, emit)?;
            }
            Command::Vote { nomination, choice, reasons } => {
                self.check_vote(nomination, *choice, sender, at)?;
                self.cast(nomination, *choice, *reasons, sender, at, emit);
            }
            Command::VoteSigned { nomination, choice, reasons, notary, signature } => {
                self.check_vote(nomination, *choice, *notary, at)?;
                let version = self.storage.notaries().version;
                let what = Signed::Vote { nomination, choice: *choice, reasons: *reasons, version };
                check_signature(*notary, &what, signature, at)?;
                self.cast(nomination, *choice, *reasons, *notary, at, emit);
            }
            Command::Grant { nomination } => return self.begin_grant(nomination, at),
            Command::Expire { nomination } => self.expire(nomination, at, emit)?,
            Command::Sweep { granter, providers } => self.sweep(*granter, providers, at)?,
        }
        Ok(Next::Done)
    }

    /// The effects of money that has come in.
    pub(crate) fn funded(&mut self, account: Address, amount: AttoFil, emit: &mut dyn FnMut(Event)) {
        self.storage.totals.pay_in(amount);
        self.storage.credit(account, amount);
        emit(Event::Funded { account, payer: account, amount });
    }

    /// Whether the books can take this much: no sum in them may overflow.
    pub(crate) fn has_room_for(&self, amount: AttoFil) -> bool {
        self.held().checked_add(amount).is_some()
    }

    fn withdraw(
        &mut self,
        account: Address,
        to: Address,
        amount: AttoFil,
        emit: &mut dyn FnMut(Event),
    ) -> Result<Next, Rejection> {
        if to.is_zero() || is_foreign_id(to, account) {
            return Err(model::Rejection::InvalidRecipient.into());
        }
        self.storage.debit(account, amount)?;
        self.storage.totals.pay_out(amount);
        emit(Event::Defunded { account, to, amount });
        Ok(Next::PayOut { to, amount })
    }

    pub(super) fn give_to_pool(&mut self, provider: Address, amount: AttoFil) {
        // `held` bounds the sum of all pools.
        self.storage.set_pool(provider, AttoFil(self.storage.pool(provider).0.saturating_add(amount.0)));
    }

    pub(super) fn take_from_pool(&mut self, provider: Address, needed: AttoFil) -> Checked {
        let pool = self.storage.pool(provider);
        let left = pool.checked_sub(needed).ok_or(Rejection::InsufficientPool { provider, pool, needed })?;
        self.storage.set_pool(provider, left);
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

    /// The market whose jobs are blessed here.
    #[must_use]
    pub const fn market(&self) -> Address {
        self.market
    }

    /// What is paid in: zero for the chain's coin, else a token.
    #[must_use]
    pub const fn asset(&self) -> Address {
        self.asset
    }

    /// Whether it is a token, not the chain's coin.
    #[must_use]
    pub fn is_token(&self) -> bool {
        !self.asset.is_zero()
    }

    /// What was fixed at the deployment.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The notaries now.
    #[must_use]
    pub const fn notaries(&self) -> &Notaries {
        self.storage.notaries()
    }

    /// A granter's limits.
    #[must_use]
    pub fn limits(&self, granter: Address) -> Limits {
        self.storage.limits(granter)
    }

    /// All granters that were admitted.
    pub fn granters(&self) -> impl Iterator<Item = (Address, Limits)> + '_ {
        self.storage.all_limits().iter().map(|(granter, limits)| (*granter, *limits))
    }

    /// What was granted in the period of `now`: to a provider, and altogether.
    #[must_use]
    pub fn granted_of(&self, granter: Address, provider: Address, now: Time) -> (U256, U256) {
        (self.used(granter, Some(provider), now), self.used(granter, None, now))
    }

    /// How many sums of grants are stored, of periods that are over, too.
    #[must_use]
    pub fn usages(&self) -> usize {
        self.storage.usages().len()
    }

    /// What a provider registered for a granter.
    #[must_use]
    pub fn registration(&self, provider: Address, granter: Address) -> Option<&Registration> {
        self.storage.registration(provider, granter)
    }

    /// All registrations, by provider and granter.
    pub fn registrations(&self) -> impl Iterator<Item = (Address, Address, &Registration)> + '_ {
        self.storage.registrations().iter().map(|((provider, granter), found)| (*provider, *granter, found))
    }

    /// A job that was nominated.
    #[must_use]
    pub fn record(&self, job: JobId) -> Option<&Record> {
        self.storage.job(job)
    }

    /// All jobs that were ever nominated.
    pub fn records(&self) -> impl Iterator<Item = (JobId, &Record)> + '_ {
        self.storage.jobs().iter().map(|(job, record)| (*job, record))
    }

    /// How many votes count: approvals while it is nominated, and rejections or, while it is blessed, revocations.
    #[must_use]
    pub fn votes(&self, job: JobId) -> (usize, usize) {
        let now = self.notaries().version;
        match self.record(job).map(|record| &record.stage) {
            Some(Stage::Nominated { version, approvals, rejections, .. }) if *version == now => {
                (approvals.len(), rejections.len())
            }
            Some(Stage::Blessed { version, revocations, .. }) if *version == now => (0, revocations.len()),
            _ => (0, 0),
        }
    }

    /// The phase of a job.
    #[must_use]
    pub fn phase(&self, job: JobId) -> Phase {
        self.record(job).map_or(Phase::None, Record::phase)
    }

    /// Free balance of an account here.
    #[must_use]
    pub fn balance(&self, account: Address) -> AttoFil {
        self.storage.balance(account)
    }

    /// All accounts with money, by their addresses.
    pub fn balances(&self) -> impl Iterator<Item = (Address, AttoFil)> + '_ {
        self.storage.balances().iter().map(|(account, balance)| (*account, *balance))
    }

    /// What a provider has set aside for shares.
    #[must_use]
    pub fn pool(&self, provider: Address) -> AttoFil {
        self.storage.pool(provider)
    }

    /// All providers that have set something aside.
    pub fn pools(&self) -> impl Iterator<Item = (Address, AttoFil)> + '_ {
        self.storage.pools().iter().map(|(provider, pool)| (*provider, *pool))
    }

    /// Everything it holds: accounts, what is set aside, escrow, and burned deposits.
    #[must_use]
    pub const fn held(&self) -> AttoFil {
        self.storage.totals.held
    }

    /// Deposits, shares and bounties of the nominations that run.
    #[must_use]
    pub const fn escrowed(&self) -> AttoFil {
        self.storage.totals.escrowed
    }

    /// Deposits of nominations that were refused or revoked.
    #[must_use]
    pub const fn burned(&self) -> AttoFil {
        self.storage.totals.burned
    }
}

/// Refuses a signature that is not a notary's.
pub(super) fn check_signature(notary: Address, what: &Signed<'_>, signature: &Bytes, at: &Situation<'_>) -> Checked {
    if let Some(chain) = at.foreign_chain {
        return Err(model::Rejection::WrongChain(chain).into());
    }
    if (at.signed)(notary, what, signature) { Ok(()) } else { Err(model::Rejection::BadSignature(notary).into()) }
}

/// Refuses what is done after `until`.
pub(super) fn check_until(until: Time, at: &Situation<'_>) -> Checked {
    if at.now > until { Err(model::Rejection::TooLate { time: at.now, until }.into()) } else { Ok(()) }
}

/// Refuses what is done until `deadline`.
pub(super) fn check_after(deadline: Time, at: &Situation<'_>) -> Checked {
    if at.now > deadline {
        Ok(())
    } else {
        Err(model::Rejection::TooEarly { time: at.now, from: deadline.after(1) }.into())
    }
}
