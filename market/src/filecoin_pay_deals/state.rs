//! The contract's state, what may be read of it, and how it changes by itself.

use alloy_primitives::{Address, Bytes, U256};
use serde::{Deserialize, Serialize};

use super::{
    DeploymentFault, Event, Order, OrderFault, Rejection,
    storage::{Deal, OpenOrder, Storage},
};
use crate::{
    AttoFil, Time,
    filecoin_pay::rails::Rails,
    model::{self, JobId, Lane, Reason, Settings, lane_of},
};

/// `FilecoinPayDeals.sol` as a value. Equal states are equal values, with equal hashes.
///
/// It is a part of a [world](crate::world), which executes its commands, those that it gives to its market, and its calls of Filecoin
/// Pay.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FilecoinPayDeals {
    market: Address,
    asset: Address,
    quantum: u64,
    callback_gas: u32,
    pub(crate) rails: Rails,
    storage: Storage,
    /// It is calling the market or its token: what changes orders and deals is closed.
    #[serde(skip)]
    pub(crate) calling: bool,
}

/// What opening an order finds outside of the contract.
pub(crate) struct Situation<'a> {
    /// The contract's own address.
    pub(crate) here: Address,
    pub(crate) job: JobId,
    /// The chain id when it is not the one of the deployment.
    pub(crate) foreign_chain: Option<u64>,
    /// Whether a signature is the payer's over the order.
    pub(crate) signed: &'a dyn Fn(&Order, &Bytes) -> bool,
}

/// What is to be locked when an order is taken.
pub(crate) struct Lock {
    pub(crate) price: U256,
    /// How long the deal may take, in seconds.
    pub(crate) time: u64,
}

/// What becomes of a check.
type Checked = Result<(), Rejection>;

impl FilecoinPayDeals {
    /// A contract in which nothing has happened, beside a market with these settings.
    #[must_use]
    pub fn new(market: Address, settings: &Settings, callback_gas: u32, rails: Rails) -> Self {
        let Settings { asset, quantum, .. } = *settings;
        Self { market, asset, quantum, callback_gas, rails, storage: Storage::default(), calling: false }
    }

    /// What is wrong with its deployment, given the market's settings, if there is one, and whether there is a Filecoin Pay.
    pub(crate) fn fault(&self, settings: Option<&Settings>, has_filecoin_pay: bool) -> Option<DeploymentFault> {
        if !self.rails.fits(has_filecoin_pay) {
            return Some(DeploymentFault::RailSettings);
        }
        let fits = settings.is_some_and(|settings| {
            (self.asset, self.quantum) == (settings.asset, settings.quantum)
                && self.callback_gas != 0
                && self.callback_gas <= settings.max_callback_gas
        });
        (!fits).then_some(DeploymentFault::Settings)
    }

    // Orders ----------------------------------------------------------------------------------------------------------

    /// Checks an order that is to be opened. The caller has the market open its job.
    pub(crate) fn check_open(
        &self,
        sender: Address,
        order: &Order,
        signature: &Bytes,
        at: &Situation<'_>,
        emit: &mut dyn FnMut(Event),
    ) -> Checked {
        if let Some(fault) = self.fault_of(order, at.here) {
            return Err(Rejection::BadOrder(fault));
        }
        if sender != order.payer {
            if let Some(chain) = at.foreign_chain {
                return Err(model::Rejection::WrongChain(chain).into());
            }
            if !(at.signed)(order, signature) {
                return Err(model::Rejection::BadSignature(order.payer).into());
            }
        }
        let Order { payer, provider, min_price, max_price, .. } = *order;
        emit(Event::OrderOpened { job: at.job, payer, provider, min_price, max_price });
        Ok(())
    }

    /// The first thing that is wrong with an order; `here` is the contract's address.
    #[must_use]
    pub fn fault_of(&self, order: &Order, here: Address) -> Option<OrderFault> {
        let Order { terms, payer, min_price, max_price, .. } = order;
        if terms.client != here {
            return Some(OrderFault::Client);
        }
        if terms.matcher != here {
            return Some(OrderFault::Matcher);
        }
        if terms.min_price != AttoFil::ZERO || terms.max_price != AttoFil::ZERO {
            return Some(OrderFault::MarketPrice);
        }
        if terms.callback_gas < self.callback_gas {
            return Some(OrderFault::CallbackGas);
        }
        if terms.keep_record {
            return Some(OrderFault::KeepRecord);
        }
        if payer.is_zero() {
            return Some(OrderFault::Payer);
        }
        if lane_of(terms.salt).0 != lane_of_payer(*payer) {
            return Some(OrderFault::Salt);
        }
        if min_price.is_zero() || min_price > max_price || *max_price > U256::from(u128::MAX) {
            return Some(OrderFault::Price);
        }
        None
    }

    /// The order's job is open at the market.
    pub(crate) fn opened(&mut self, job: JobId, order: &Order) {
        self.storage.set_open(job, Some(OpenOrder::of(order)));
    }

    pub(crate) fn is_open(&self, job: JobId, order: &Order) -> bool {
        self.storage.open_order(job) == Some(OpenOrder::of(order))
    }

    pub(crate) fn require_open(&self, job: JobId, order: &Order) -> Checked {
        if self.is_open(job, order) { Ok(()) } else { Err(Rejection::NotOpen(job)) }
    }

    pub(crate) fn forget_order(&mut self, job: JobId) {
        self.storage.set_open(job, None);
    }

    /// Checks whether the sender may take an order now. The caller locks the price.
    pub(crate) fn check_take(sender: Address, order: &Order, now: Time) -> Result<Lock, Rejection> {
        if !order.provider.is_zero() {
            require_sender(sender, order.provider)?;
        }
        let terms = &order.terms;
        if now < terms.ramp_start {
            return Err(model::Rejection::TooEarly { time: now, from: terms.ramp_start }.into());
        }
        let time = [terms.run_for, terms.review_for, terms.rule_for].map(u64::from).iter().sum();
        Ok(Lock { price: order.price_at(now), time })
    }

    /// The price is locked on a rail.
    pub(crate) fn taken(
        &mut self,
        job: JobId,
        provider: Address,
        order: &Order,
        price: U256,
        rail: U256,
        emit: &mut dyn FnMut(Event),
    ) {
        let Order { payer, ref terms, .. } = *order;
        // Nothing above it can be locked.
        let locked = u128::try_from(price).unwrap_or(u128::MAX);
        self.storage.set_deal(job, Some(Deal { payer, collateral: terms.collateral, price: locked, rail }));
        emit(Event::OrderTaken { job, payer, provider, rail, price });
    }

    /// What must come along with an order that is taken.
    pub(crate) fn check_value(&self, value: AttoFil, collateral: AttoFil) -> Checked {
        let wanted = if self.is_token() { AttoFil::ZERO } else { collateral };
        if value == wanted { Ok(()) } else { Err(Rejection::WrongValue { sent: value, wanted }) }
    }

    pub(crate) fn check_accept(&self, sender: Address, job: JobId) -> Checked {
        let deal = self.storage.deal(job).ok_or(Rejection::NotTaken(job))?;
        require_sender(sender, deal.payer)
    }

    /// What a payer is owed, and no more from here on.
    pub(crate) fn take_owed(&mut self, payer: Address) -> AttoFil {
        let amount = self.storage.owed(payer);
        self.storage.set_owed(payer, AttoFil::ZERO);
        amount
    }

    // Ends ------------------------------------------------------------------------------------------------------------

    /// The market says that a job was settled.
    pub(crate) fn on_job_result(
        &mut self,
        sender: Address,
        job: JobId,
        emit: &mut dyn FnMut(Event),
    ) -> Result<(), Rejection> {
        self.require_market(sender)?;
        let Deal { price, rail, .. } = self.storage.deal(job).unwrap_or_default();
        self.storage.set_deal(job, None);
        self.rails.make_due(rail, price);
        emit(Event::PriceDue { job, rail, price: U256::from(price) });
        Ok(())
    }

    /// The market says that a job ended without a result that is paid for.
    pub(crate) fn on_job_failed(
        &mut self,
        sender: Address,
        job: JobId,
        reason: Reason,
        emit: &mut dyn FnMut(Event),
    ) -> Result<(), Rejection> {
        self.require_market(sender)?;
        let Some(Deal { payer, collateral, price, rail }) = self.storage.deal(job) else {
            self.storage.set_open(job, None);
            return Ok(());
        };
        self.storage.set_deal(job, None);
        self.rails.unlock(rail, price);
        let slashed = matches!(reason, Reason::NotSubmitted | Reason::Overturned);
        let refund = if slashed { collateral.half() } else { AttoFil::ZERO };
        // The market holds as much for this contract.
        self.storage.set_owed(payer, AttoFil(self.storage.owed(payer).0.saturating_add(refund.0)));
        emit(Event::PriceFreed { job, rail, price: U256::from(price), refund });
        Ok(())
    }

    fn require_market(&self, sender: Address) -> Checked {
        if sender == self.market { Ok(()) } else { Err(Rejection::NotTheMarket(sender)) }
    }

    pub(crate) fn open_savepoint(&mut self) {
        self.rails.open_savepoint();
        self.storage.open_savepoint();
    }

    pub(crate) fn keep(&mut self) {
        self.rails.keep();
        self.storage.keep();
    }

    pub(crate) fn roll_back(&mut self) {
        self.rails.roll_back();
        self.storage.roll_back();
    }

    // Views -----------------------------------------------------------------------------------------------------------

    /// The market whose jobs are paid for here.
    #[must_use]
    pub const fn market(&self) -> Address {
        self.market
    }

    /// What collateral is in: zero for the chain's coin, else a token.
    #[must_use]
    pub const fn asset(&self) -> Address {
        self.asset
    }

    /// Whether it is a token, not the chain's coin.
    #[must_use]
    pub fn is_token(&self) -> bool {
        !self.asset.is_zero()
    }

    /// The least `callback_gas` of an order's terms.
    #[must_use]
    pub const fn callback_gas(&self) -> u32 {
        self.callback_gas
    }

    /// Its rails.
    #[must_use]
    pub const fn rails(&self) -> &Rails {
        &self.rails
    }

    /// An order that is open.
    #[must_use]
    pub fn open_order(&self, job: JobId) -> Option<OpenOrder> {
        self.storage.open_order(job)
    }

    /// All open orders, by their jobs' ids.
    pub fn open_orders(&self) -> impl Iterator<Item = (JobId, OpenOrder)> + '_ {
        self.storage.open_orders()
    }

    /// A job that a provider has taken and that has not ended.
    #[must_use]
    pub fn deal(&self, job: JobId) -> Option<Deal> {
        self.storage.deal(job)
    }

    /// All deals under way, by their jobs' ids.
    pub fn deals(&self) -> impl Iterator<Item = (JobId, Deal)> + '_ {
        self.storage.deals()
    }

    /// What a payer is owed of slashed collateral, in the market's asset.
    #[must_use]
    pub fn owed(&self, payer: Address) -> AttoFil {
        self.storage.owed(payer)
    }

    /// All payers who are owed something, by their addresses.
    pub fn all_owed(&self) -> impl Iterator<Item = (Address, AttoFil)> + '_ {
        self.storage.all_owed()
    }
}

/// The lane of the salts of a payer's orders: its address.
#[must_use]
pub fn lane_of_payer(payer: Address) -> Lane {
    Lane::from_be_slice(payer.as_slice())
}

pub(crate) fn require_sender(sender: Address, wanted: Address) -> Checked {
    if sender == wanted { Ok(()) } else { Err(model::Rejection::WrongSender { sender, wanted }.into()) }
}
