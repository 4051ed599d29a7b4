//! `FilecoinPayDeals` beside a market on a chain: commands to call data, logs to events, reverts to refusals, views; and its
//! [contract].

pub mod contract;
#[cfg(test)]
mod tests;

use alloy::{
    primitives::Bytes as Data,
    sol_types::{SolCall, SolConstructor, SolError, SolEventInterface, SolInterface},
};
use lota_market::{
    Address, AttoFil, B256, Time, U256,
    filecoin_pay_deals::{Command, DeploymentFault, Event, Order, OrderFault, Rejection},
    model::{JobId, JobResult, Receipt, Terms},
};

use super::market::bindings::{self, Revert, Unreadable, View, amount, returned, word};

/// Generated from the checked-in ABI; nothing of it leaves this file.
mod abi {
    #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
    alloy::sol!(FilecoinPayDeals, "../contracts/abi/FilecoinPayDeals.json");
}

/// What Filecoin Pay refuses `pay` and `release` with, which the contract passes on.
mod passed_on {
    #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
    alloy::sol! {
        error RailInactiveOrSettled(uint256 railId);
        error CannotModifyTerminatedRailBeyondEndEpoch(uint256 railId, uint256 maxSettlementEpoch, uint256 blockNumber);
    }
}

use abi::{
    FilecoinPayDeals::{self, FilecoinPayDealsErrors as Failure, FilecoinPayDealsEvents as Happening},
    IFilecoinPayDeals, ILotaMarket,
};

bindings::abi_terms!(ILotaMarket);

fn receipt_out(receipt: &Receipt) -> ILotaMarket::Receipt {
    let JobResult { output, exit_code, fuel_used, inline_data } = &receipt.result;
    ILotaMarket::Receipt {
        provider: receipt.provider,
        price: word(receipt.price),
        result: ILotaMarket::Result {
            output: *output,
            exitCode: *exit_code,
            fuelUsed: *fuel_used,
            inlineData: inline_data.clone(),
        },
    }
}

fn order_out(order: &Order) -> IFilecoinPayDeals::Order {
    IFilecoinPayDeals::Order {
        terms: terms_out(&order.terms),
        payer: order.payer,
        provider: order.provider,
        minPrice: order.min_price,
        maxPrice: order.max_price,
    }
}

/// The call data of a command.
#[must_use]
pub fn call_data(command: &Command) -> Data {
    use FilecoinPayDeals as call;
    let data = match command {
        Command::Open { order, spec, signature } => {
            call::openCall::new((order_out(order), spec.clone(), signature.clone())).abi_encode()
        }
        Command::Take { order } => call::takeCall::new((order_out(order),)).abi_encode(),
        Command::OpenAndTake { order, spec, signature } => {
            call::openAndTakeCall::new((order_out(order), spec.clone(), signature.clone())).abi_encode()
        }
        Command::Cancel { order } => call::cancelCall::new((order_out(order),)).abi_encode(),
        Command::Accept { terms, receipt } => {
            call::acceptCall::new((terms_out(terms), receipt_out(receipt))).abi_encode()
        }
        Command::Revoke { up_to } => call::revokeCall::new((*up_to,)).abi_encode(),
        Command::Withdraw { to } => call::withdrawCall::new((*to,)).abi_encode(),
        Command::Pay { rails } => call::payCall::new((rails.clone(),)).abi_encode(),
        Command::Release { rail } => call::releaseCall::new((*rail,)).abi_encode(),
        Command::RenewRail { payee } => call::renewRailCall::new((*payee,)).abi_encode(),
    };
    data.into()
}

/// The event that a log's topics and data are.
///
/// # Errors
/// When it is none of the contract's.
pub fn decode(topics: &[B256], data: &[u8]) -> Result<Event, Unreadable> {
    let happening = Happening::decode_raw_log(topics, data).map_err(|error| Unreadable::new("a log", error))?;
    Ok(match happening {
        Happening::OrderOpened(e) => Event::OrderOpened {
            job: JobId(e.jobId),
            payer: e.payer,
            provider: e.provider,
            min_price: e.minPrice,
            max_price: e.maxPrice,
        },
        Happening::OrderTaken(e) => Event::OrderTaken {
            job: JobId(e.jobId),
            payer: e.payer,
            provider: e.provider,
            rail: e.railId,
            price: e.price,
        },
        Happening::PriceDue(e) => Event::PriceDue { job: JobId(e.jobId), rail: e.railId, price: e.price },
        Happening::PriceFreed(e) => {
            Event::PriceFreed { job: JobId(e.jobId), rail: e.railId, price: e.price, refund: amount(e.refund)? }
        }
        Happening::RailOpened(e) => Event::RailOpened { rail: e.railId, payer: e.payer, payee: e.payee },
        Happening::RailClosing(e) => Event::RailClosing { rail: e.railId, end_epoch: e.endEpoch },
        Happening::RailPaid(e) => Event::RailPaid { rail: e.railId, amount: e.amount },
    })
}

/// Reads the data of a revert.
///
/// # Errors
/// What it is when it is no refusal: see [`Revert`].
pub fn revert(data: &[u8]) -> Result<Rejection, Revert> {
    if let Ok(e) = passed_on::RailInactiveOrSettled::abi_decode(data) {
        return Ok(Rejection::RailInactiveOrSettled(e.railId));
    }
    if let Ok(e) = passed_on::CannotModifyTerminatedRailBeyondEndEpoch::abi_decode(data) {
        return Ok(Rejection::CannotModifyTerminatedRailBeyondEndEpoch {
            rail: e.railId,
            end_epoch: e.maxSettlementEpoch,
            epoch: e.blockNumber,
        });
    }
    match Failure::abi_decode(data).ok().map(own_rejection) {
        Some(Ok(Some(rejection))) => Ok(rejection),
        Some(Err(error)) => Err(Revert::Unknown(error.to_string())),
        // It has errors of the market, and passes those of the market on.
        Some(Ok(None)) | None => match bindings::revert(data) {
            Revert::Rejected(rejection) => Ok(Rejection::Market(rejection)),
            other => Err(other),
        },
    }
}

/// Why the contract cannot be deployed, of the data that its constructor reverts with.
#[must_use]
pub fn deployment_fault(data: &[u8]) -> Option<DeploymentFault> {
    match Failure::abi_decode(data) {
        Ok(Failure::BadSettings(_)) => Some(DeploymentFault::Settings),
        Ok(Failure::BadRailSettings(_)) => Some(DeploymentFault::RailSettings),
        _ => None,
    }
}

/// The refusal of an error that is this contract's alone.
fn own_rejection(failure: Failure) -> Result<Option<Rejection>, Unreadable> {
    Ok(Some(match failure {
        Failure::BadOrder(e) => {
            let fault = OrderFault::from_number(e.fault);
            Rejection::BadOrder(fault.ok_or_else(|| Unreadable::new("an enum", format!("{} is no fault", e.fault)))?)
        }
        Failure::NotOpen(e) => Rejection::NotOpen(JobId(e.jobId)),
        Failure::NotTaken(e) => Rejection::NotTaken(JobId(e.jobId)),
        Failure::WrongValue(e) => Rejection::WrongValue { sent: amount(e.sent)?, wanted: amount(e.wanted)? },
        Failure::NotTheMarket(e) => Rejection::NotTheMarket(e.sender),
        Failure::NotFilecoinPay(e) => Rejection::NotFilecoinPay(e.sender),
        Failure::AmountOutOfRange(e) => Rejection::AmountOutOfRange(e.amount),
        Failure::BadPair(e) => Rejection::BadPair { payer: e.payer, payee: e.payee },
        Failure::RailTerminated(e) => Rejection::RailTerminated(e.railId),
        Failure::RailRuns(e) => Rejection::RailRuns(e.railId),
        Failure::NoRail(e) => Rejection::NoRail { payer: e.payer, payee: e.payee },
        Failure::OperatorNotApproved(e) => Rejection::OperatorNotApproved(e.payer),
        Failure::LockupPeriodTooLong(e) => {
            Rejection::LockupPeriodTooLong { payer: e.payer, allowed: e.allowed, needed: e.needed }
        }
        Failure::AllowanceTooSmall(e) => {
            Rejection::AllowanceTooSmall { payer: e.payer, left: e.left, needed: e.needed }
        }
        Failure::PayerInDebt(e) => Rejection::PayerInDebt { payer: e.payer, epoch: e.epoch },
        Failure::NotEnoughFunds(e) => {
            Rejection::NotEnoughFunds { payer: e.payer, available: e.available, needed: e.needed }
        }
        _ => return Ok(None),
    }))
}

// Views -------------------------------------------------------------------------------------------------------------------

/// `market()`.
#[must_use]
pub fn market_of() -> View<Address> {
    View::new(FilecoinPayDeals::marketCall {}.abi_encode().into(), returned::<FilecoinPayDeals::marketCall>)
}

/// `FILECOIN_PAY()`.
#[must_use]
pub fn filecoin_pay() -> View<Address> {
    View::new(FilecoinPayDeals::FILECOIN_PAYCall {}.abi_encode().into(), returned::<FilecoinPayDeals::FILECOIN_PAYCall>)
}

/// `TOKEN()`: zero for the chain's coin.
#[must_use]
pub fn token() -> View<Address> {
    View::new(FilecoinPayDeals::TOKENCall {}.abi_encode().into(), returned::<FilecoinPayDeals::TOKENCall>)
}

/// `EPOCH_SECONDS()`.
#[must_use]
pub fn epoch_seconds() -> View<U256> {
    let data = FilecoinPayDeals::EPOCH_SECONDSCall {}.abi_encode().into();
    View::new(data, returned::<FilecoinPayDeals::EPOCH_SECONDSCall>)
}

/// `GRACE()`, in seconds.
#[must_use]
pub fn grace() -> View<U256> {
    View::new(FilecoinPayDeals::GRACECall {}.abi_encode().into(), returned::<FilecoinPayDeals::GRACECall>)
}

/// `callbackGas()`.
#[must_use]
pub fn callback_gas() -> View<u32> {
    View::new(FilecoinPayDeals::callbackGasCall {}.abi_encode().into(), returned::<FilecoinPayDeals::callbackGasCall>)
}

/// `openOrder(job)`: the digest of an open order; `None` when there is none.
#[must_use]
pub fn open_order(job: JobId) -> View<Option<B256>> {
    let data = FilecoinPayDeals::openOrderCall::new((job.0,)).abi_encode().into();
    View::new(data, |data| {
        let digest = returned::<FilecoinPayDeals::openOrderCall>(data)?;
        Ok((!digest.is_zero()).then_some(digest))
    })
}

/// A job that a provider has taken and that has not ended: `IFilecoinPayDeals.Deal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deal {
    pub payer: Address,
    /// In the market's asset.
    pub collateral: AttoFil,
    /// Locked on the rail.
    pub price: U256,
    pub rail: U256,
}

/// `dealOf(job)`; `None` when nobody runs it.
#[must_use]
pub fn deal_of(job: JobId) -> View<Option<Deal>> {
    View::new(FilecoinPayDeals::dealOfCall::new((job.0,)).abi_encode().into(), |data| {
        let found = returned::<FilecoinPayDeals::dealOfCall>(data)?;
        if found.payer.is_zero() {
            return Ok(None);
        }
        let collateral = amount(found.collateral)?;
        Ok(Some(Deal { payer: found.payer, collateral, price: found.price, rail: found.railId }))
    })
}

/// `orderDigest(order)`.
#[must_use]
pub fn order_digest(order: &Order) -> View<B256> {
    let data = FilecoinPayDeals::orderDigestCall::new((order_out(order),)).abi_encode().into();
    View::new(data, returned::<FilecoinPayDeals::orderDigestCall>)
}

/// `priceAt(order, time)`.
#[must_use]
pub fn price_at(order: &Order, time: Time) -> View<U256> {
    let data = FilecoinPayDeals::priceAtCall::new((order_out(order), U256::from(time.0))).abi_encode().into();
    View::new(data, returned::<FilecoinPayDeals::priceAtCall>)
}

/// `owed(payer)`, in the market's asset.
#[must_use]
pub fn owed(payer: Address) -> View<AttoFil> {
    let data = FilecoinPayDeals::owedCall::new((payer,)).abi_encode().into();
    View::new(data, |data| amount(returned::<FilecoinPayDeals::owedCall>(data)?))
}

/// `railOf(payer, payee)`; `None` when there was none yet.
#[must_use]
pub fn rail_of(payer: Address, payee: Address) -> View<Option<U256>> {
    let data = FilecoinPayDeals::railOfCall::new((payer, payee)).abi_encode().into();
    View::new(data, |data| {
        let rail = returned::<FilecoinPayDeals::railOfCall>(data)?;
        Ok((!rail.is_zero()).then_some(rail))
    })
}

/// What is promised on a rail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promised {
    /// All of it, `due` included.
    pub needed: U256,
    /// What [`Command::Pay`] would pay.
    pub due: U256,
}

/// `promised(rail)`.
#[must_use]
pub fn promised(rail: U256) -> View<Promised> {
    View::new(FilecoinPayDeals::promisedCall::new((rail,)).abi_encode().into(), |data| {
        let found = returned::<FilecoinPayDeals::promisedCall>(data)?;
        Ok(Promised { needed: found.needed, due: found.due })
    })
}

/// What a deployment is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployment {
    pub market: Address,
    /// The least `callback_gas` of an order's terms, in the chain's own unit: some 60,000 on Ethereum; measure it.
    pub callback_gas: u32,
    /// The contract FilecoinPayV1.
    pub filecoin_pay: Address,
    /// The ERC-20 that is paid; zero: the chain's coin.
    pub token: Address,
    /// Seconds of an epoch: 30 on Filecoin; elsewhere the shortest time between two blocks.
    pub epoch_seconds: u64,
    /// How long what is due stays payable when the payer ends a rail, in seconds.
    pub grace: u64,
}

impl Deployment {
    /// The bytecode that deploys it.
    #[must_use]
    pub fn code(&self) -> Data {
        let fixed = FilecoinPayDeals::constructorCall {
            fixedMarket: self.market,
            leastCallbackGas: self.callback_gas,
            filecoinPay: self.filecoin_pay,
            token: self.token,
            epochSeconds: U256::from(self.epoch_seconds),
            grace: U256::from(self.grace),
        };
        let mut code = FilecoinPayDeals::BYTECODE.to_vec();
        code.extend(fixed.abi_encode());
        code.into()
    }
}
