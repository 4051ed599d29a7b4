//! A blessing beside a market on a chain: commands to call data, logs to events, reverts to refusals, views; its [contract] and
//! the [transport] to it.

pub mod contract;
pub mod transport;

use alloy::{
    primitives::Bytes as Data,
    sol_types::{SolCall, SolConstructor, SolEventInterface, SolInterface},
};
use lota_market::{
    Address, AttoFil, B256, Time, U256,
    blessing::{
        Ballot, Choice, Command, DeploymentFault, End, Event, Limit, Limits, Nomination, Notaries, NotariesFault,
        Phase, Registration, Rejection, Request, Settings,
    },
    model::{JobId, JobResult, Receipt, Status, Terms},
};

use super::market::bindings::{self, Revert, Unreadable, View, amount, returned, variant, word};
use crate::blessing::{StoredRecord, limits_out, narrow};

/// Generated from the checked-in ABI; nothing of it leaves this file.
mod abi {
    #![allow(missing_docs, clippy::all, unreachable_pub, reason = "generated")]
    alloy::sol!(Blessing, "../contracts/abi/Blessing.json");
}

use abi::{
    Blessing::{self, BlessingErrors as Failure, BlessingEvents as Happening},
    IBlessing, ILotaMarket,
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

fn request_out(request: &Request) -> IBlessing::Request {
    IBlessing::Request {
        granter: request.granter,
        amount: request.amount,
        piece: request.piece,
        pieceSize: request.piece_size,
        bounty: word(request.bounty),
        minShare: word(request.min_share),
    }
}

fn nomination_out(nomination: &Nomination) -> IBlessing::Nomination {
    IBlessing::Nomination {
        jobId: nomination.job.0,
        round: nomination.round,
        client: nomination.client,
        provider: nomination.provider,
        matcher: nomination.matcher,
        arbiter: nomination.arbiter,
        nominator: nomination.nominator,
        granter: nomination.granter,
        recipient: nomination.recipient.clone(),
        amount: nomination.amount,
        piece: nomination.piece,
        pieceSize: nomination.piece_size,
        share: word(nomination.share),
        bounty: word(nomination.bounty),
        expires: nomination.expires.0,
    }
}

fn nomination_in(found: IBlessing::Nomination) -> Result<Nomination, Unreadable> {
    Ok(Nomination {
        job: JobId(found.jobId),
        round: found.round,
        client: found.client,
        provider: found.provider,
        matcher: found.matcher,
        arbiter: found.arbiter,
        nominator: found.nominator,
        granter: found.granter,
        recipient: found.recipient,
        amount: found.amount,
        piece: found.piece,
        piece_size: found.pieceSize,
        share: amount(found.share)?,
        bounty: amount(found.bounty)?,
        expires: Time(found.expires),
    })
}

fn ballots_out(ballots: &[Ballot]) -> Vec<IBlessing::Ballot> {
    let out =
        |Ballot { notary, signature }: &Ballot| IBlessing::Ballot { notary: *notary, signature: signature.clone() };
    ballots.iter().map(out).collect()
}

fn limits_to_abi(limits: &Limits) -> IBlessing::Limits {
    let [per_job, per_provider, per_period] = limits_out(limits);
    IBlessing::Limits { perJob: per_job, perProvider: per_provider, perPeriod: per_period }
}

fn limits_in(found: &IBlessing::Limits) -> Limits {
    Limits {
        per_job: U256::from(found.perJob),
        per_provider: U256::from(found.perProvider),
        per_period: U256::from(found.perPeriod),
    }
}

/// The call data of a command. Rates and limits of 2^128 and more, which the contract cannot be told, become 2^128 - 1.
#[must_use]
pub fn call_data(command: &Command) -> Data {
    use Blessing as call;
    let data = match command {
        Command::Fund => call::fundCall {}.abi_encode(),
        Command::FundToken { amount } => call::fundTokenCall::new((word(*amount),)).abi_encode(),
        Command::Withdraw { to, amount } => call::withdrawCall::new((*to, word(*amount))).abi_encode(),
        Command::SetAside { amount } => call::setAsideCall::new((word(*amount),)).abi_encode(),
        Command::TakeBack { amount } => call::takeBackCall::new((word(*amount),)).abi_encode(),
        Command::Register { granter, recipient, share_rate, max_share } => {
            call::registerCall::new((*granter, recipient.clone(), narrow(*share_rate), max_share.0)).abi_encode()
        }
        Command::SetNotaries { notaries, quorum, until, ballots } => {
            call::setNotariesCall::new((notaries.clone(), *quorum, until.0, ballots_out(ballots))).abi_encode()
        }
        Command::SetGranter { granter, limits, until, ballots } => {
            call::setGranterCall::new((*granter, limits_to_abi(limits), until.0, ballots_out(ballots))).abi_encode()
        }
        Command::Nominate { terms, receipt, request } => {
            call::nominateCall::new((terms_out(terms), receipt_out(receipt), request_out(request))).abi_encode()
        }
        Command::Vote { nomination, choice, reasons } => {
            call::voteCall::new((nomination_out(nomination), choice.number(), *reasons)).abi_encode()
        }
        Command::VoteSigned { nomination, choice, reasons, notary, signature } => call::voteSignedCall::new((
            nomination_out(nomination),
            choice.number(),
            *reasons,
            *notary,
            signature.clone(),
        ))
        .abi_encode(),
        Command::Grant { nomination } => call::grantCall::new((nomination_out(nomination),)).abi_encode(),
        Command::Expire { nomination } => call::expireCall::new((nomination_out(nomination),)).abi_encode(),
        Command::Sweep { granter, providers } => call::sweepCall::new((*granter, providers.clone())).abi_encode(),
    };
    data.into()
}

/// An enum of the contract.
fn numbered<T>(found: Option<T>, number: u8) -> Result<T, Unreadable> {
    found.ok_or_else(|| Unreadable::new("an enum", format!("{number} is none of its numbers")))
}

/// The event that a log's topics and data are.
///
/// # Errors
/// When it is none of a blessing's.
pub fn decode(topics: &[B256], data: &[u8]) -> Result<Event, Unreadable> {
    let happening = Happening::decode_raw_log(topics, data).map_err(|error| Unreadable::new("a log", error))?;
    Ok(match happening {
        Happening::Funded(e) => Event::Funded { account: e.account, payer: e.payer, amount: amount(e.amount)? },
        Happening::Defunded(e) => Event::Defunded { account: e.account, to: e.to, amount: amount(e.amount)? },
        Happening::SetAside(e) => Event::SetAside { provider: e.provider, amount: amount(e.amount)? },
        Happening::TakenBack(e) => Event::TakenBack { provider: e.provider, amount: amount(e.amount)? },
        Happening::Registered(e) => Event::Registered {
            provider: e.provider,
            granter: e.granter,
            recipient: e.recipient,
            share_rate: U256::from(e.shareRate),
            max_share: AttoFil(e.maxShare),
        },
        Happening::NotariesSet(e) => Event::NotariesSet { version: e.version, notaries: e.notaries, quorum: e.quorum },
        Happening::GranterSet(e) => Event::GranterSet { granter: e.granter, limits: limits_in(&e.limits) },
        Happening::JobNominated(e) => Event::JobNominated {
            job: JobId(e.jobId),
            nominator: e.nominator,
            nomination: Box::new(nomination_in(e.nomination)?),
        },
        Happening::VoteCast(e) => Event::VoteCast {
            job: JobId(e.jobId),
            round: e.round,
            notary: e.notary,
            choice: numbered(Choice::from_number(e.choice), e.choice)?,
            reasons: e.reasons,
        },
        Happening::JobBlessed(e) => Event::JobBlessed {
            job: JobId(e.jobId),
            round: e.round,
            revoke_until: Time(e.revokeUntil),
            grant_until: Time(e.grantUntil),
        },
        Happening::NominationEnded(e) => Event::NominationEnded {
            job: JobId(e.jobId),
            round: e.round,
            end: numbered(End::from_number(e.end), e.end)?,
        },
        Happening::GrantFailed(e) => Event::GrantFailed { job: JobId(e.jobId), round: e.round, why: e.why },
        Happening::JobGranted(e) => Event::JobGranted {
            job: JobId(e.jobId),
            provider: e.provider,
            granter: e.granter,
            amount: e.amount,
            to_client: amount(e.toClient)?,
        },
    })
}

/// Reads the data of a revert.
///
/// # Errors
/// What it is when it is no refusal: see [`Revert`].
pub fn revert(data: &[u8]) -> Result<Rejection, Revert> {
    let own = Failure::abi_decode(data).ok().map(own_rejection);
    match own {
        Some(Ok(Some(rejection))) => Ok(rejection),
        Some(Err(error)) => Err(Revert::Unknown(error.to_string())),
        // It has errors of the market.
        Some(Ok(None)) | None => match bindings::revert(data) {
            Revert::Rejected(rejection) => Ok(Rejection::Market(rejection)),
            other => Err(other),
        },
    }
}

/// Why a blessing cannot be deployed, of the data that its constructor reverts with.
#[must_use]
pub fn deployment_fault(data: &[u8]) -> Option<DeploymentFault> {
    match Failure::abi_decode(data) {
        Ok(Failure::BadDeployment(e)) => DeploymentFault::from_number(e.fault),
        _ => None,
    }
}

/// The refusal of an error that is a blessing's alone.
fn own_rejection(failure: Failure) -> Result<Option<Rejection>, Unreadable> {
    Ok(Some(match failure {
        Failure::BadNotaries(e) => Rejection::BadNotaries(numbered(NotariesFault::from_number(e.fault), e.fault)?),
        Failure::BadLimits(e) => Rejection::BadLimits(e.granter),
        Failure::NotKept(e) => Rejection::NotKept(JobId(e.jobId)),
        Failure::NotSettled(e) => Rejection::NotSettled { job: JobId(e.jobId), found: variant::<Status>(e.found)? },
        Failure::AlreadyGranted(e) => Rejection::AlreadyGranted(JobId(e.jobId)),
        Failure::AlreadyNominated(e) => Rejection::AlreadyNominated { job: JobId(e.jobId), round: e.round },
        Failure::UnknownNomination(e) => Rejection::UnknownNomination(JobId(e.jobId)),
        Failure::WrongPhase(e) => {
            Rejection::WrongPhase { job: JobId(e.jobId), found: numbered(Phase::from_number(e.found), e.found)? }
        }
        Failure::NotNotary(e) => Rejection::NotNotary(e.account),
        Failure::ConflictOfInterest(e) => Rejection::ConflictOfInterest { job: JobId(e.jobId), notary: e.notary },
        Failure::AlreadyVoted(e) => Rejection::AlreadyVoted { job: JobId(e.jobId), notary: e.notary },
        Failure::UnknownGranter(e) => Rejection::UnknownGranter(e.granter),
        Failure::NotRegistered(e) => Rejection::NotRegistered { provider: e.provider, granter: e.granter },
        Failure::ShareTooSmall(e) => {
            Rejection::ShareTooSmall { share: amount(e.share)?, min_share: amount(e.minShare)? }
        }
        Failure::RecipientTooLong(e) => Rejection::RecipientTooLong(u64::try_from(e.size).unwrap_or(u64::MAX)),
        Failure::BadPiece(e) => Rejection::BadPiece { piece: e.piece, size: e.size },
        Failure::OverLimit(e) => Rejection::OverLimit {
            granter: e.granter,
            limit: numbered(Limit::from_number(e.limit), e.limit)?,
            amount: e.amount,
            left: e.left,
        },
        Failure::RepeatedBallot(e) => Rejection::RepeatedBallot(e.notary),
        Failure::QuorumNotReached(e) => Rejection::QuorumNotReached {
            ballots: u64::try_from(e.ballots).unwrap_or(u64::MAX),
            quorum: u32::try_from(e.quorum).unwrap_or(u32::MAX),
        },
        Failure::InsufficientPool(e) => {
            Rejection::InsufficientPool { provider: e.provider, pool: amount(e.pool)?, needed: amount(e.needed)? }
        }
        Failure::GrantRefused(e) => Rejection::GrantRefused { granter: e.granter, why: e.why },
        _ => return Ok(None),
    }))
}

// Views -------------------------------------------------------------------------------------------------------------------

/// `market()`.
#[must_use]
pub fn market_of() -> View<Address> {
    View::new(Blessing::marketCall {}.abi_encode().into(), returned::<Blessing::marketCall>)
}

/// `settings()`.
#[must_use]
pub fn settings() -> View<Settings> {
    View::new(Blessing::settingsCall {}.abi_encode().into(), |data| {
        let found = returned::<Blessing::settingsCall>(data)?;
        Ok(Settings {
            deposit: AttoFil(found.deposit),
            vote_for: found.voteFor,
            revoke_for: found.revokeFor,
            grant_for: found.grantFor,
            limit_period: found.limitPeriod,
            granter_gas: found.granterGas,
        })
    })
}

/// `notaries()`: without `decisions`, which [`decisions`] tells.
#[must_use]
pub fn notaries() -> View<(Vec<Address>, u32, u32)> {
    View::new(Blessing::notariesCall {}.abi_encode().into(), |data| {
        let found = returned::<Blessing::notariesCall>(data)?;
        Ok((found.list, found.quorum, found.version))
    })
}

/// `decisions()`.
#[must_use]
pub fn decisions() -> View<u64> {
    View::new(Blessing::decisionsCall {}.abi_encode().into(), returned::<Blessing::decisionsCall>)
}

/// `limitsOf(granter)`.
#[must_use]
pub fn limits_of(granter: Address) -> View<Limits> {
    let data = Blessing::limitsOfCall::new((granter,)).abi_encode().into();
    View::new(data, |data| Ok(limits_in(&returned::<Blessing::limitsOfCall>(data)?)))
}

/// `grantedOf(granter, provider)`: to the provider, and altogether.
#[must_use]
pub fn granted_of(granter: Address, provider: Address) -> View<(U256, U256)> {
    let data = Blessing::grantedOfCall::new((granter, provider)).abi_encode().into();
    View::new(data, |data| {
        let found = returned::<Blessing::grantedOfCall>(data)?;
        Ok((found.toProvider, found.inAll))
    })
}

/// `registrationOf(provider, granter)`.
#[must_use]
pub fn registration_of(provider: Address, granter: Address) -> View<Registration> {
    let data = Blessing::registrationOfCall::new((provider, granter)).abi_encode().into();
    View::new(data, |data| {
        let found = returned::<Blessing::registrationOfCall>(data)?;
        Ok(Registration {
            recipient: found.recipient,
            share_rate: U256::from(found.shareRate),
            max_share: AttoFil(found.maxShare),
        })
    })
}

/// `recordOf(job)`.
#[must_use]
pub fn record_of(job: JobId) -> View<StoredRecord> {
    View::new(Blessing::recordOfCall::new((job.0,)).abi_encode().into(), |data| {
        let found = returned::<Blessing::recordOfCall>(data)?;
        Ok(StoredRecord {
            phase: numbered(Phase::from_number(found.phase), found.phase)?,
            round: found.round,
            nomination: found.nomination,
            approvals: found.approvals,
            against: found.against,
            blessed_at: Time(found.blessedAt),
            reasons: found.reasons,
        })
    })
}

/// `hasVoted(job, notary)`.
#[must_use]
pub fn has_voted(job: JobId, notary: Address) -> View<bool> {
    let data = Blessing::hasVotedCall::new((job.0, notary)).abi_encode().into();
    View::new(data, returned::<Blessing::hasVotedCall>)
}

/// `balanceOf(account)`.
#[must_use]
pub fn balance_of(account: Address) -> View<AttoFil> {
    let data = Blessing::balanceOfCall::new((account,)).abi_encode().into();
    View::new(data, |data| amount(returned::<Blessing::balanceOfCall>(data)?))
}

/// `poolOf(provider)`.
#[must_use]
pub fn pool_of(provider: Address) -> View<AttoFil> {
    let data = Blessing::poolOfCall::new((provider,)).abi_encode().into();
    View::new(data, |data| amount(returned::<Blessing::poolOfCall>(data)?))
}

/// `burned()`.
#[must_use]
pub fn burned() -> View<AttoFil> {
    let data = Blessing::burnedCall {}.abi_encode().into();
    View::new(data, |data| amount(returned::<Blessing::burnedCall>(data)?))
}

/// The bytecode that deploys a blessing for the jobs of a market.
#[must_use]
pub fn deployment(market: Address, settings: &Settings, notaries: &Notaries) -> Data {
    let fixed = Blessing::constructorCall {
        fixedMarket: market,
        fixedSettings: IBlessing::Settings {
            deposit: settings.deposit.0,
            voteFor: settings.vote_for,
            revokeFor: settings.revoke_for,
            grantFor: settings.grant_for,
            limitPeriod: settings.limit_period,
            granterGas: settings.granter_gas,
        },
        list: notaries.list.clone(),
        quorum: notaries.quorum,
    };
    let mut code = Blessing::BYTECODE.to_vec();
    code.extend(fixed.abi_encode());
    code.into()
}
