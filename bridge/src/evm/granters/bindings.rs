//! A granter on a chain: commands to call data, logs to events, reverts to refusals, views.

use alloy::{
    primitives::{Bytes as Data, I256},
    sol_types::{SolCall, SolEventInterface, SolInterface},
};
use lota_market::{
    Address, B256, Bytes, Time, U256,
    blessing::{Grant, Limit},
    filecoin_pay::rails,
    granter::{Command, Event, Rejection},
    model::JobId,
};

use super::abi::{
    bonus::BonusGranter::{self, BonusGranterErrors, BonusGranterEvents},
    filecoin_pay::FilecoinPayGranter::{self, FilecoinPayGranterErrors, FilecoinPayGranterEvents},
    meta_allocator::MetaAllocatorGranter::MetaAllocatorGranterErrors,
    request_only::RequestOnlyGranter::{self, RequestOnlyGranterErrors, RequestOnlyGranterEvents},
    verifreg::VerifregGranter::VerifregGranterErrors,
};
use crate::evm::market::bindings::{self, Revert, Unreadable, View, amount, returned, word};

fn grant_out(grant: &Grant) -> RequestOnlyGranter::Grant {
    RequestOnlyGranter::Grant {
        jobId: grant.job.0,
        round: grant.round,
        provider: grant.provider,
        recipient: grant.recipient.clone(),
        amount: grant.amount,
        piece: grant.piece,
        pieceSize: grant.piece_size,
        reasons: grant.reasons,
    }
}

fn grant_in(found: RequestOnlyGranter::Grant) -> Grant {
    Grant {
        job: JobId(found.jobId),
        round: found.round,
        provider: found.provider,
        recipient: found.recipient,
        amount: found.amount,
        piece: found.piece,
        piece_size: found.pieceSize,
        reasons: found.reasons,
    }
}

/// The call data of a command.
#[must_use]
pub fn call_data(command: &Command) -> Data {
    let data = match command {
        Command::Grant(grant) => RequestOnlyGranter::grantCall { g: grant_out(grant) }.abi_encode(),
        Command::Fund => BonusGranter::fundCall {}.abi_encode(),
        Command::FundToken { amount } => BonusGranter::fundTokenCall { amount: word(*amount) }.abi_encode(),
        Command::Close => BonusGranter::closeCall {}.abi_encode(),
        Command::CloseTo { to } => BonusGranter::closeToCall { to: *to }.abi_encode(),
        Command::Pay { rails } => FilecoinPayGranter::payCall { railIds: rails.clone() }.abi_encode(),
        Command::Release { rail } => FilecoinPayGranter::releaseCall { railId: *rail }.abi_encode(),
        Command::RenewRail { payee } => FilecoinPayGranter::renewRailCall { payee: *payee }.abi_encode(),
    };
    data.into()
}

/// `checkGrant` of any granter.
#[must_use]
pub fn check_grant(provider: Address, recipient: &Bytes, amount: U256) -> Data {
    RequestOnlyGranter::checkGrantCall::new((provider, recipient.clone(), amount)).abi_encode().into()
}

/// The event that a log's topics and data are.
///
/// # Errors
/// When it is none of a granter's.
pub fn decode(topics: &[B256], data: &[u8]) -> Result<Event, Unreadable> {
    if let Ok(RequestOnlyGranterEvents::GrantRequested(e)) = RequestOnlyGranterEvents::decode_raw_log(topics, data) {
        let grant = Box::new(grant_in(e.grant));
        return Ok(Event::GrantRequested { job: JobId(e.jobId), provider: e.provider, grant });
    }
    if let Ok(happening) = FilecoinPayGranterEvents::decode_raw_log(topics, data)
        && let Some(event) = of_rails(happening)
    {
        return Ok(event);
    }
    let happening =
        BonusGranterEvents::decode_raw_log(topics, data).map_err(|error| Unreadable::new("a log", error))?;
    Ok(match happening {
        BonusGranterEvents::Funded(e) => Event::Funded { payer: e.payer, amount: amount(e.amount)? },
        BonusGranterEvents::Closed(e) => Event::Closed { to: e.to, amount: amount(e.amount)? },
        BonusGranterEvents::Granted(e) => Event::Granted {
            job: JobId(e.jobId),
            round: e.round,
            provider: e.provider,
            recipient: e.recipient,
            amount: e.amount,
            reasons: e.reasons,
        },
    })
}

/// Reads the data of a revert.
///
/// # Errors
/// What it is when it is no refusal of a granter's own: see [`Revert`].
pub fn revert(data: &[u8]) -> Result<Rejection, Revert> {
    let unreadable = |error: Unreadable| Revert::Unknown(error.to_string());
    if let Ok(failure) = BonusGranterErrors::abi_decode(data)
        && let Some(rejection) = of_pool(failure).map_err(unreadable)?
    {
        return Ok(rejection);
    }
    if let Ok(failure) = VerifregGranterErrors::abi_decode(data)
        && let Some(rejection) = of_registry(failure).map_err(unreadable)?
    {
        return Ok(rejection);
    }
    if let Ok(failure) = MetaAllocatorGranterErrors::abi_decode(data)
        && let Some(rejection) = of_allocator(failure).map_err(unreadable)?
    {
        return Ok(rejection);
    }
    if let Ok(failure) = FilecoinPayGranterErrors::abi_decode(data)
        && let Some(rejection) = of_sponsor(failure)
    {
        return Ok(rejection);
    }
    if let Ok(RequestOnlyGranterErrors::NoAmount(_)) = RequestOnlyGranterErrors::abi_decode(data) {
        return Ok(Rejection::NoAmount);
    }
    // They have errors of the market.
    match bindings::revert(data) {
        Revert::Rejected(rejection) => Ok(Rejection::Market(rejection)),
        other => Err(other),
    }
}

fn of_rails(happening: FilecoinPayGranterEvents) -> Option<Event> {
    use FilecoinPayGranterEvents as Happening;
    Some(match happening {
        Happening::GrantLocked(e) => Event::GrantLocked { job: JobId(e.jobId), rail: e.railId, amount: e.amount },
        Happening::RailOpened(e) => {
            Event::Rails(rails::Event::RailOpened { rail: e.railId, payer: e.payer, payee: e.payee })
        }
        Happening::RailClosing(e) => Event::Rails(rails::Event::RailClosing { rail: e.railId, end_epoch: e.endEpoch }),
        Happening::RailPaid(e) => Event::Rails(rails::Event::RailPaid { rail: e.railId, amount: e.amount }),
        Happening::Granted(_) => return None,
    })
}

fn time(seconds: U256) -> Time {
    Time(seconds.saturating_to())
}

fn exit_code(code: I256) -> Result<i64, Unreadable> {
    i64::try_from(code).map_err(|_| Unreadable::new("an exit code", format!("{code} is none")))
}

fn of_pool(failure: BonusGranterErrors) -> Result<Option<Rejection>, Unreadable> {
    use BonusGranterErrors as Failure;
    Ok(Some(match failure {
        Failure::NotTheBlessing(e) => Rejection::NotTheBlessing(e.sender),
        Failure::BadRecipient(e) => Rejection::BadRecipient(e.recipient),
        Failure::NoAmount(_) => Rejection::NoAmount,
        Failure::PoolClosed(e) => Rejection::PoolClosed(time(e.until)),
        Failure::PoolOpen(e) => Rejection::PoolOpen(time(e.until)),
        Failure::NotEntitled(e) => Rejection::NotEntitled(e.sender),
        Failure::PoolEmpty(e) => Rejection::PoolEmpty { held: e.held, amount: e.amount },
        Failure::OverLimit(e) => {
            let limit = Limit::from_number(e.limit);
            let limit = limit.ok_or_else(|| Unreadable::new("a limit", format!("{} is none", e.limit)))?;
            Rejection::OverLimit { limit, left: e.left, amount: e.amount }
        }
        // Of deployments, and of the market.
        Failure::NoBlessing(_)
        | Failure::BadSettings(_)
        | Failure::WrongAsset(_)
        | Failure::Reentered(_)
        | Failure::InvalidRecipient(_)
        | Failure::TransferFailed(_)
        | Failure::TransferMismatch(_) => return Ok(None),
    }))
}

fn of_registry(failure: VerifregGranterErrors) -> Result<Option<Rejection>, Unreadable> {
    use VerifregGranterErrors as Failure;
    Ok(Some(match failure {
        Failure::AmountTooSmall(e) => Rejection::AmountTooSmall(e.amount),
        Failure::AmountRefused(e) => Rejection::AmountRefused(e.amount),
        Failure::NotAVerifier(_) => Rejection::NotAVerifier,
        Failure::FilPlusEnded(_) => Rejection::FilPlusEnded,
        Failure::RegistryFailed(e) => Rejection::RegistryFailed(exit_code(e.exitCode)?),
        Failure::NoBuiltinActors(_) => Rejection::NoBuiltinActors,
        Failure::NotTheBlessing(e) => Rejection::NotTheBlessing(e.sender),
        Failure::BadRecipient(e) => Rejection::BadRecipient(e.recipient),
        Failure::NoBlessing(_) => return Ok(None),
    }))
}

fn of_allocator(failure: MetaAllocatorGranterErrors) -> Result<Option<Rejection>, Unreadable> {
    use MetaAllocatorGranterErrors as Failure;
    Ok(Some(match failure {
        Failure::AllowanceTooSmall(e) => Rejection::AllowanceTooSmall { allowance: e.allowance, amount: e.amount },
        Failure::AllocatorRefused(e) => Rejection::AllocatorRefused(e.reason),
        Failure::NotGranted(e) => Rejection::NotGranted { granted: e.granted, amount: e.amount },
        Failure::BalanceUnknown(e) => Rejection::BalanceUnknown(exit_code(e.exitCode)?),
        Failure::BadReturn(e) => Rejection::BadReturn(e.returned),
        Failure::AmountTooSmall(e) => Rejection::AmountTooSmall(e.amount),
        Failure::NoBuiltinActors(_) => Rejection::NoBuiltinActors,
        Failure::NotTheBlessing(e) => Rejection::NotTheBlessing(e.sender),
        Failure::BadRecipient(e) => Rejection::BadRecipient(e.recipient),
        Failure::NoBlessing(_) | Failure::NoAllocator(_) => return Ok(None),
    }))
}

fn of_sponsor(failure: FilecoinPayGranterErrors) -> Option<Rejection> {
    use FilecoinPayGranterErrors as Failure;
    use rails::Rejection as Of;
    Some(Rejection::Rails(match failure {
        Failure::NotTheBlessing(e) => return Some(Rejection::NotTheBlessing(e.sender)),
        Failure::BadRecipient(e) => return Some(Rejection::BadRecipient(e.recipient)),
        Failure::NotFilecoinPay(e) => Of::NotFilecoinPay(e.sender),
        Failure::AmountOutOfRange(e) => Of::AmountOutOfRange(e.amount),
        Failure::BadPair(e) => Of::BadPair { payer: e.payer, payee: e.payee },
        Failure::RailTerminated(e) => Of::RailTerminated(e.railId),
        Failure::RailRuns(e) => Of::RailRuns(e.railId),
        Failure::NoRail(e) => Of::NoRail { payer: e.payer, payee: e.payee },
        Failure::OperatorNotApproved(e) => Of::OperatorNotApproved(e.payer),
        Failure::LockupPeriodTooLong(e) => {
            Of::LockupPeriodTooLong { payer: e.payer, allowed: e.allowed, needed: e.needed }
        }
        Failure::AllowanceTooSmall(e) => Of::AllowanceTooSmall { payer: e.payer, left: e.left, needed: e.needed },
        Failure::NotEnoughFunds(e) => Of::NotEnoughFunds { payer: e.payer, available: e.available, needed: e.needed },
        // Of deployments, and of accounts that pay by a rate.
        Failure::NoBlessing(_) | Failure::NoSponsor(_) | Failure::BadRailSettings(_) | Failure::PayerInDebt(_) => {
            return None;
        }
    }))
}

/// `promised(rail)` of a granter that pays by Filecoin Pay: what is promised, and what of it is due.
#[must_use]
pub fn promised(rail: U256) -> View<(U256, U256)> {
    let data = FilecoinPayGranter::promisedCall { railId: rail }.abi_encode().into();
    View::new(data, |data| {
        let found = returned::<FilecoinPayGranter::promisedCall>(data)?;
        Ok((found.needed, found.due))
    })
}

/// `railOf(payer, payee)` of the same: zero when there is none yet.
#[must_use]
pub fn rail_of(payer: Address, payee: Address) -> View<U256> {
    let data = FilecoinPayGranter::railOfCall { payer, payee }.abi_encode().into();
    View::new(data, returned::<FilecoinPayGranter::railOfCall>)
}

/// `leftFor(provider)` of a pool of bonuses: what may still be paid in this period, to the provider and to all.
#[must_use]
pub fn left_for(provider: Address) -> View<(U256, U256)> {
    let data = BonusGranter::leftForCall { provider }.abi_encode().into();
    View::new(data, |data| {
        let found = returned::<BonusGranter::leftForCall>(data)?;
        Ok((found.toProvider, found.toAll))
    })
}
