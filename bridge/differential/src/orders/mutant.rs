//! Mistakes to be found.

use lota_market::{
    AttoFil, Time, U256,
    filecoin_pay::{self, rails},
    filecoin_pay_deals::{Command, Event, Order, Rejection, lane_of_payer},
    granter, model,
    world::{ContractCommand, ContractEvent, Log},
};

use super::{Ask, DEALS, Step};
use crate::{party::MARKET, token::TOKEN};

/// A mistake in what the twin says, to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderMutant {
    /// The price on the ramp is rounded up.
    RoundedUpPrice,
    /// An order is taken without looking what is free in the payer's account.
    EmptyAccount,
    /// The same for what the payer allows.
    UncheckedAllowance,
    /// The same for how long the payer allows it.
    UncheckedPeriod,
    /// A rail that the payer has terminated is used on.
    TerminatedRail,
    /// Money is locked for an epoch less than it may take.
    ShortPeriod,
    /// A price is due though the job was not settled.
    DueUnsettled,
    /// The payer gets nothing of what the provider was slashed.
    MissingRefund,
    /// The fee is rounded down.
    FeeRoundedDown,
    /// What is paid is not taken from the operator's allowance.
    EndlessAllowance,
    /// A rail pays after its end.
    PaidAfterTheEnd,
    /// Anyone takes an order that names its provider.
    AnyProvider,
    /// Anyone signs for a payer.
    AnySignature,
    /// Some other value than the collateral will do.
    AnyValue,
    /// An order that was cancelled stays open.
    KeptOrder,
    /// What a stranger says of a job's end is believed.
    StrangersCallback,
    /// The same of a rail's end.
    StrangersRail,
    /// The token may do something about orders while it moves collateral.
    OpenGuard,
    /// What is granted is locked, and never due.
    GrantNotDue,
    /// Anyone has the granter grant.
    AnybodyGrants,
    /// A grant goes to a rail that the sponsor has terminated.
    GrantOnTerminatedRail,
}

impl OrderMutant {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::RoundedUpPrice,
        Self::EmptyAccount,
        Self::UncheckedAllowance,
        Self::UncheckedPeriod,
        Self::TerminatedRail,
        Self::ShortPeriod,
        Self::DueUnsettled,
        Self::MissingRefund,
        Self::FeeRoundedDown,
        Self::EndlessAllowance,
        Self::PaidAfterTheEnd,
        Self::AnyProvider,
        Self::AnySignature,
        Self::AnyValue,
        Self::KeptOrder,
        Self::StrangersCallback,
        Self::StrangersRail,
        Self::OpenGuard,
        Self::GrantNotDue,
        Self::AnybodyGrants,
        Self::GrantOnTerminatedRail,
    ];

    /// Whether the mistake is to do what was refused.
    pub(super) fn accepts(self, step: &Step, rejection: &Rejection) -> bool {
        let takes = matches!(
            step.ask,
            Ask::Command(ContractCommand::FilecoinPayDeals(Command::Take { .. } | Command::OpenAndTake { .. }))
        );
        match (self, rejection) {
            (Self::EmptyAccount, Rejection::NotEnoughFunds { .. })
            | (Self::UncheckedAllowance, Rejection::AllowanceTooSmall { .. })
            | (Self::UncheckedPeriod, Rejection::LockupPeriodTooLong { .. })
            | (Self::TerminatedRail, Rejection::RailTerminated(_))
            | (Self::PaidAfterTheEnd, Rejection::CannotModifyTerminatedRailBeyondEndEpoch { .. })
            | (Self::AnyValue, Rejection::WrongValue { .. })
            | (Self::StrangersCallback, Rejection::NotTheMarket(_))
            | (Self::StrangersRail, Rejection::NotFilecoinPay(_))
            | (Self::AnySignature, Rejection::Market(model::Rejection::BadSignature(_))) => true,
            (Self::AnyProvider, Rejection::Market(model::Rejection::WrongSender { .. })) => takes,
            _ => false,
        }
    }

    /// The same of what the granter refused.
    pub(super) const fn grants(self, rejection: &granter::Rejection) -> bool {
        matches!(
            (self, rejection),
            (Self::AnybodyGrants, granter::Rejection::NotTheBlessing(_))
                | (Self::GrantOnTerminatedRail, granter::Rejection::Rails(rails::Rejection::RailTerminated(_)))
        )
    }

    /// Makes the mistake in what was done.
    pub(super) fn misjudge(self, step: &Step, log: &mut Vec<Log>) {
        if self == Self::OpenGuard {
            return let_in(step, log);
        }
        let order = match &step.ask {
            Ask::Command(ContractCommand::FilecoinPayDeals(command)) => command.order(),
            _ => None,
        };
        for Log { event, .. } in log {
            match (self, event) {
                (Self::RoundedUpPrice, ContractEvent::FilecoinPayDeals(Event::OrderTaken { price, .. })) => {
                    *price = order.map_or(*price, |order| rounded_up(order, step.at));
                }
                (
                    Self::ShortPeriod,
                    ContractEvent::FilecoinPay(filecoin_pay::Event::RailLockupModified {
                        old_period, new_period, ..
                    }),
                ) if *new_period > *old_period => {
                    *new_period = new_period.saturating_sub(U256::from(1));
                }
                (Self::DueUnsettled, ContractEvent::FilecoinPayDeals(event)) => {
                    if let Event::PriceFreed { job, rail, price, .. } = *event {
                        *event = Event::PriceDue { job, rail, price };
                    }
                }
                (Self::MissingRefund, ContractEvent::FilecoinPayDeals(Event::PriceFreed { refund, .. })) => {
                    *refund = AttoFil::ZERO;
                }
                (
                    Self::FeeRoundedDown,
                    ContractEvent::FilecoinPay(filecoin_pay::Event::RailOneTimePaymentProcessed { net, fee, .. }),
                ) => {
                    let gross = *net + *fee;
                    *fee = gross / U256::from(200);
                    *net = gross - *fee;
                }
                _ => {}
            }
        }
    }
}

fn rounded_up(order: &Order, now: Time) -> U256 {
    let (rise, period) = (order.max_price - order.min_price, order.terms.ramp_period);
    let elapsed = now.since(order.terms.ramp_start).min(period);
    order.min_price + (rise * U256::from(elapsed)).div_ceil(U256::from(period))
}

/// Adds what the market would say, had the token been let in while it moves the collateral to the contract.
fn let_in(step: &Step, log: &mut Vec<Log>) {
    let Ask::Command(ContractCommand::FilecoinPayDeals(command)) = &step.ask else { return };
    if command.order().is_none_or(|order| order.terms.collateral == AttoFil::ZERO) {
        return;
    }
    let taken = |log: &Log| matches!(log.event, ContractEvent::FilecoinPayDeals(Event::OrderTaken { .. }));
    let Some(taken) = log.iter().position(taken) else { return };
    let mut at = taken;
    for tried in &step.token.conduct.script.calls {
        if let ContractCommand::FilecoinPayDeals(Command::Revoke { up_to }) = tried.call.command {
            at += 1;
            let event = model::Event::SaltsRevoked { client: DEALS, lane: lane_of_payer(TOKEN), up_to };
            log.insert(at, Log { contract: MARKET, event: event.into() });
        }
    }
}
