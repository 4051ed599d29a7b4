//! Rails from payers to payees on which a contract makes payments at once: `contracts/src/abstracts/Rails.sol` as a value, whose
//! header is the specification.
//!
//! It is a part of the contracts that inherit it, and calls [`FilecoinPay`] in their names. Payers are never in debt here, as nothing
//! flows by a rate, so `PayerInDebt` is no refusal of this twin.

mod event;
mod rejection;
mod storage;

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

pub use event::Event;
pub use rejection::Rejection;
pub use storage::Promised;

use super::{FilecoinPay, RailView, Situation};
use crate::model::is_masked_id;
use storage::Storage;

/// The longest grace, in seconds (a year).
pub const MAX_GRACE: u64 = 365 * 86_400;

/// One rail for each pair of payer and payee, and what is promised and due on each. Equal states are equal values, with equal hashes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rails {
    filecoin_pay: Address,
    token: Address,
    epoch_seconds: u64,
    grace: u64,
    storage: Storage,
}

/// Filecoin Pay, as a contract with rails finds it.
pub(crate) struct Calls<'a> {
    pub(crate) filecoin_pay: &'a mut FilecoinPay,
    pub(crate) at: Situation,
    /// The contract with the rails.
    pub(crate) operator: Address,
    pub(crate) emit: &'a mut dyn FnMut(Said),
}

/// What one of the two says.
pub(crate) enum Said {
    Rails(Event),
    FilecoinPay(super::Event),
}

impl Calls<'_> {
    fn say(&mut self, event: Event) {
        (self.emit)(Said::Rails(event));
    }

    fn modify_rail_lockup(&mut self, rail: U256, period: U256, lockup_fixed: U256) -> Result<(), super::Rejection> {
        let Self { filecoin_pay, at, operator, emit } = self;
        let mut emit = |event| emit(Said::FilecoinPay(event));
        filecoin_pay.modify_rail_lockup(*operator, rail, period, lockup_fixed, *at, &mut emit)
    }
}

/// What a promise makes of the rail of its pair.
struct Lockable {
    /// None when the pair has none yet.
    rail: Option<U256>,
    period: U256,
    needed: u128,
}

impl Rails {
    /// No rails yet.
    #[must_use]
    pub fn new(filecoin_pay: Address, token: Address, epoch_seconds: u64, grace: u64) -> Self {
        Self { filecoin_pay, token, epoch_seconds, grace, storage: Storage::default() }
    }

    /// Whether it can be deployed so, given whether there is a Filecoin Pay.
    #[must_use]
    pub const fn fits(&self, has_filecoin_pay: bool) -> bool {
        has_filecoin_pay && self.epoch_seconds != 0 && self.grace <= MAX_GRACE
    }

    // For everybody ---------------------------------------------------------------------------------------------------

    /// Pays all that is due on these rails; says how much of the chain's coin is to be burned.
    pub(crate) fn pay(&mut self, rails: &[U256], calls: &mut Calls<'_>) -> Result<U256, Rejection> {
        let mut burned = U256::ZERO;
        for rail in rails {
            let Promised { needed, due } = self.promised(*rail);
            if due == 0 {
                continue;
            }
            self.storage.set_promised(*rail, Promised { needed: needed.saturating_sub(due), due: 0 });
            calls.say(Event::RailPaid { rail: *rail, amount: U256::from(due) });
            let Calls { filecoin_pay, at, operator, emit } = &mut *calls;
            let mut emit = |event| emit(Said::FilecoinPay(event));
            let fee = filecoin_pay.modify_rail_payment(*operator, *rail, U256::from(due), *at, &mut emit)?;
            burned = burned.saturating_add(fee);
        }
        Ok(burned)
    }

    /// Gives the payer back what the rail holds beyond what it needs.
    pub(crate) fn release(&self, rail: U256, calls: &mut Calls<'_>) -> Result<(), Rejection> {
        let found = calls.filecoin_pay.rail(rail).ok_or(super::Rejection::RailInactiveOrSettled(rail))?;
        let needed = U256::from(self.promised(rail).needed);
        if found.lockup_fixed > needed {
            calls.modify_rail_lockup(rail, found.lockup_period, needed)?;
        }
        Ok(())
    }

    /// Lets a new rail be made from `payer` to `payee`, after `payer` terminated the one there was.
    pub(crate) fn renew_rail(
        &mut self,
        payer: Address,
        payee: Address,
        filecoin_pay: &FilecoinPay,
    ) -> Result<(), Rejection> {
        let rail = self.rail_of(payer, payee).ok_or(Rejection::NoRail { payer, payee })?;
        if running(filecoin_pay, rail).is_some() {
            return Err(Rejection::RailRuns(rail));
        }
        self.storage.set_rail_of(payer, payee, None);
        Ok(())
    }

    // For Filecoin Pay ------------------------------------------------------------------------------------------------

    /// What Filecoin Pay says of a rail's end is passed on; nobody else is believed.
    pub(crate) fn rail_terminated(&self, sender: Address, rail: U256, end_epoch: U256) -> Result<Event, Rejection> {
        if sender != self.filecoin_pay {
            return Err(Rejection::NotFilecoinPay(sender));
        }
        Ok(Event::RailClosing { rail, end_epoch })
    }

    // For the contract that has them ----------------------------------------------------------------------------------

    /// Promises `amount`: it stays locked for at least `time` seconds and the grace, whatever the payer does. Returns the rail.
    pub(crate) fn lock(
        &mut self,
        payer: Address,
        payee: Address,
        amount: U256,
        time: u64,
        calls: &mut Calls<'_>,
    ) -> Result<U256, Rejection> {
        let Lockable { rail, period, needed } =
            self.lockable(payer, payee, amount, time, calls.filecoin_pay, calls.operator)?;
        let rail = match rail {
            Some(rail) => rail,
            None => {
                let Calls { filecoin_pay, at, operator, emit } = &mut *calls;
                let mut emit = |event| emit(Said::FilecoinPay(event));
                let made = filecoin_pay.create_rail(*operator, self.token, payer, payee, *operator, *at, &mut emit)?;
                self.storage.set_rail_of(payer, payee, Some(made));
                calls.say(Event::RailOpened { rail: made, payer, payee });
                made
            }
        };
        let due = self.promised(rail).due;
        self.storage.set_promised(rail, Promised { needed, due });
        calls.modify_rail_lockup(rail, period, U256::from(needed))?;
        Ok(rail)
    }

    /// Makes a part of what was promised due.
    pub(crate) fn make_due(&mut self, rail: U256, amount: u128) {
        let Promised { needed, due } = self.promised(rail);
        // Nothing is due that was not promised.
        self.storage.set_promised(rail, Promised { needed, due: due.saturating_add(amount) });
    }

    /// Lets a part of what was promised go: until [`Self::release`], or the next promise, it stays locked.
    pub(crate) fn unlock(&mut self, rail: U256, amount: u128) {
        let Promised { needed, due } = self.promised(rail);
        // Nothing is let go that was not promised.
        self.storage.set_promised(rail, Promised { needed: needed.saturating_sub(amount), due });
    }

    /// Whether `amount` could be promised for `time` seconds now; `operator` is the contract with the rails.
    ///
    /// # Errors
    /// Why it could not.
    pub fn require_lockable(
        &self,
        payer: Address,
        payee: Address,
        amount: U256,
        time: u64,
        filecoin_pay: &FilecoinPay,
        operator: Address,
    ) -> Result<(), Rejection> {
        self.lockable(payer, payee, amount, time, filecoin_pay, operator).map(drop)
    }

    fn lockable(
        &self,
        payer: Address,
        payee: Address,
        amount: U256,
        time: u64,
        filecoin_pay: &FilecoinPay,
        operator: Address,
    ) -> Result<Lockable, Rejection> {
        if payer == payee || is_masked_id(payee) || payer.is_zero() || payee.is_zero() {
            return Err(Rejection::BadPair { payer, payee });
        }
        let rail = self.rail_of(payer, payee);
        let before = rail.map_or(0, |rail| self.promised(rail).needed);
        let more = u128::try_from(amount).ok().filter(|more| *more != 0);
        let needed = more.and_then(|more| before.checked_add(more)).ok_or(Rejection::AmountOutOfRange(amount))?;
        let mut period = self.lockup_period(time);
        let found = match rail {
            Some(rail) => running(filecoin_pay, rail).ok_or(Rejection::RailTerminated(rail))?,
            None => RailView::default(),
        };
        period = period.max(found.lockup_period);
        let longer = if period > found.lockup_period { period } else { U256::ZERO };
        let grows = U256::from(needed).saturating_sub(found.lockup_fixed);
        self.require_allowed(payer, longer, grows, filecoin_pay, operator)?;
        Ok(Lockable { rail, period, needed })
    }

    /// `period`: a longer lockup period than there is, or 0; `more`: how much the fixed lockup grows.
    fn require_allowed(
        &self,
        payer: Address,
        period: U256,
        more: U256,
        filecoin_pay: &FilecoinPay,
        operator: Address,
    ) -> Result<(), Rejection> {
        let approval = filecoin_pay.operator_approval(self.token, payer, operator);
        if !approval.is_approved {
            return Err(Rejection::OperatorNotApproved(payer));
        }
        if period > approval.max_lockup_period {
            let allowed = approval.max_lockup_period;
            return Err(Rejection::LockupPeriodTooLong { payer, allowed, needed: period });
        }
        let left = approval.lockup_allowance.saturating_sub(approval.lockup_usage);
        if more > left {
            return Err(Rejection::AllowanceTooSmall { payer, left, needed: more });
        }
        let available = filecoin_pay.account(self.token, payer).available();
        if more > available {
            return Err(Rejection::NotEnoughFunds { payer, available, needed: more });
        }
        Ok(())
    }

    /// How many epochs a promise for `time` seconds must stay locked: those of that time and the grace, and the one that has begun.
    #[must_use]
    pub fn lockup_period(&self, time: u64) -> U256 {
        let seconds = U256::from(time) + U256::from(self.grace);
        // A contract whose epochs have no length cannot be deployed.
        seconds.div_ceil(U256::from(self.epoch_seconds.max(1))) + U256::from(1)
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

    /// Where Filecoin Pay is.
    #[must_use]
    pub const fn filecoin_pay(&self) -> Address {
        self.filecoin_pay
    }

    /// What is paid: zero for the chain's coin.
    #[must_use]
    pub const fn token(&self) -> Address {
        self.token
    }

    /// The shortest time between two blocks, in seconds.
    #[must_use]
    pub const fn epoch_seconds(&self) -> u64 {
        self.epoch_seconds
    }

    /// How long what is due can still be paid if the payer terminates the rail as early as possible, in seconds.
    #[must_use]
    pub const fn grace(&self) -> u64 {
        self.grace
    }

    /// The rail on which promises between these two are made now.
    #[must_use]
    pub fn rail_of(&self, payer: Address, payee: Address) -> Option<U256> {
        self.storage.rail_of(payer, payee)
    }

    /// All pairs that have a rail: payer, payee and rail.
    pub fn pairs(&self) -> impl Iterator<Item = (Address, Address, U256)> + '_ {
        self.storage.pairs()
    }

    /// What is promised on a rail, and what of it is due.
    #[must_use]
    pub fn promised(&self, rail: U256) -> Promised {
        self.storage.promised(rail)
    }

    /// All rails on which something is promised.
    pub fn all_promised(&self) -> impl Iterator<Item = (U256, Promised)> + '_ {
        self.storage.all_promised()
    }
}

/// A rail that is neither terminated nor wound up.
fn running(filecoin_pay: &FilecoinPay, rail: U256) -> Option<RailView> {
    filecoin_pay.rail(rail).filter(|rail| !rail.is_terminated())
}
