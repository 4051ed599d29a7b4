//! The contract's state, what may be read of it, and the one door through which it changes.

use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

use super::{
    Auction, Bid, Command, Event, MAX_REVEAL_PERIOD, Rejection,
    storage::{Sealed, Storage},
};
use crate::{
    AttoFil, Time,
    model::{self, JobId, Settings, Status, is_foreign_id},
};

/// What becomes of a check, or of a command after which nothing else is due.
pub(super) type Checked = Result<(), Rejection>;

/// The auction: `SealedBidAuction.sol` as a value. Equal states are equal values, with equal hashes.
///
/// It is a part of a [world](crate::world), which executes its commands, and those that it gives to its market.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SealedBidAuction {
    market: Address,
    asset: Address,
    pub(super) quantum: u64,
    pub(super) min_reveal_period: u32,
    pub(super) storage: Storage,
    /// It is calling the market, the token or a payee: nobody may do anything here.
    #[serde(skip)]
    pub(crate) calling: bool,
}

/// What a command finds outside of the auction.
pub(crate) struct Situation<'a> {
    pub(crate) now: Time,
    /// The auction's own address.
    pub(crate) here: Address,
    /// The id of the job that the command is about.
    pub(crate) job: JobId,
    /// Its status at the market.
    pub(crate) status: Status,
    /// Whether a commitment is that to a bid.
    pub(crate) seals: &'a dyn Fn(B256, &Bid) -> bool,
}

/// What is due outside of the auction before a command is done. If it fails, nothing has happened.
pub(crate) enum Next {
    Done,
    /// The sender's tokens are to come in: then [`SealedBidAuction::funded`].
    PullIn(AttoFil),
    PayOut {
        to: Address,
        amount: AttoFil,
    },
    /// The market's word is to be had.
    CallMarket {
        /// What goes to the auction's account at the market first.
        deposit: AttoFil,
        command: Box<model::Command>,
    },
}

impl SealedBidAuction {
    /// An auction in which nothing has happened, beside a market with these settings.
    #[must_use]
    pub fn new(market: Address, settings: &Settings, min_reveal_period: u32) -> Self {
        let Settings { asset, quantum, .. } = *settings;
        Self { market, asset, quantum, min_reveal_period, storage: Storage::default(), calling: false }
    }

    /// Whether its reveal period is one that can be deployed with, and it was made for a market with these settings.
    pub(crate) fn fits(&self, settings: &Settings) -> bool {
        let period = u64::from(self.min_reveal_period);
        period != 0 && period <= MAX_REVEAL_PERIOD && (self.asset, self.quantum) == (settings.asset, settings.quantum)
    }

    /// Executes a command, as far as it goes without the outside: the caller does what comes next. On `Err` nothing has changed
    /// and no event went out.
    ///
    /// `value` has been moved to the auction; only payable commands may bring any.
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
            Command::Commit { terms, commitment } => self.commit(sender, terms, *commitment, at, emit)?,
            Command::Reveal { terms, price, nonce } => self.reveal(sender, terms, *price, *nonce, at, emit)?,
            Command::Award { terms } => return self.award(terms, at, emit),
            Command::Cancel { terms } => return self.cancel(sender, terms, at, emit),
            Command::Release { terms } => self.release(terms, at, emit)?,
            Command::Sweep { terms, bidders } => self.sweep(terms, bidders, at, emit)?,
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

    /// The market whose jobs are auctioned here.
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

    /// The shortest `ramp_period` of an auction, in seconds.
    #[must_use]
    pub const fn min_reveal_period(&self) -> u32 {
        self.min_reveal_period
    }

    /// An auction as it is stored; without commits when there is none.
    #[must_use]
    pub fn auction(&self, job: JobId) -> Auction {
        self.storage.auction(job)
    }

    /// All auctions of which something is stored, by their jobs' ids.
    pub fn auctions(&self) -> impl Iterator<Item = (JobId, Auction)> + '_ {
        self.storage.auctions()
    }

    /// The order (from 1) of a bidder's commitment that is not revealed; 0 when there is none.
    #[must_use]
    pub fn commitment(&self, job: JobId, bidder: Address) -> u32 {
        self.storage.sealed(job, bidder).map_or(0, |sealed| sealed.order)
    }

    /// All commitments that are not revealed: job, bidder and order.
    pub fn commitments(&self) -> impl Iterator<Item = (JobId, Address, u32)> + '_ {
        self.storage.all_sealed().map(|(job, bidder, Sealed { order, .. })| (job, bidder, order))
    }

    /// Free balance of an account here.
    #[must_use]
    pub fn balance(&self, account: Address) -> AttoFil {
        self.storage.balance(account)
    }

    /// All accounts with money, by their addresses.
    pub fn balances(&self) -> impl Iterator<Item = (Address, AttoFil)> + '_ {
        self.storage.balances()
    }

    /// Everything it holds: accounts, the collateral of the best two, and burned deposits.
    #[must_use]
    pub const fn held(&self) -> AttoFil {
        self.storage.totals.held
    }

    /// Collateral of the best two of all auctions.
    #[must_use]
    pub const fn staked(&self) -> AttoFil {
        self.storage.totals.staked
    }

    /// Deposits of bids that were not revealed.
    #[must_use]
    pub const fn burned(&self) -> AttoFil {
        self.storage.totals.burned
    }
}
